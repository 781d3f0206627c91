// Blocks of small numbers that share a scale: the OCP MX formats 1.0 and NVFP4. Blocks run along a row; a row's last one may be shorter.
//   quantize_mx      32 columns, E8M0 scale. Q is float4_e2m1x2 (MXFP4), float6_e2m3x4 or float6_e3m2x4 (MXFP6), float8_e4m3 or
//                    float8_e5m2 (MXFP8), or int8 (MXINT8: elements are q * 2^-6, q in [-127, 127])
//                      code = element nearest to x / scale, saturating; the scale by scale_rule, clamped to [2^-127, 2^127]
//   dequantize_mx    x = element * scale, exact unless it overflows to infinity; -128 in MXINT8 is -2
//   quantize_nvfp4   16 columns, E4M3 scale, and one float for the whole tensor
//                      scale = to_float8_e4m3(amax / 6 / tensor_scale), saturating; code = element nearest to x / (scale * tensor_scale)
//   dequantize_nvfp4 x = element * (scale * tensor_scale)
// Each operation written here rounds once, to float. A block with a NaN or an infinity has a NaN scale (255; NVFP4: 0x7f) and codes 0, and
// is dequantized to NaN 0x7fc00000. A block of zeros, or one whose NVFP4 scale rounds to zero, has scale code 0 and codes 0.
// The bits are the same on every backend; reference/microscaling.hpp is their definition.
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/formats.hpp"
#include "../core/view.hpp"
#include "quantize.kernels.hpp"

NIBBLE_BEGIN_TYPES

/// scale_rule::floor with element_rounding::to_even is OCP MX 1.0. scale_rule::floor with element_rounding::ggml gives the codes of ggml's
/// MXFP4, which stores them in another order; its scale comes from a rounded log2f, so that a maximum less than 50 units in the last place
/// below a power of two may count as that power.
struct mx_options {
    scale_rule scale = scale_rule::floor;
    element_rounding rounding = element_rounding::to_even;
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

namespace detail {

template <class X, class Q, class S>
inline status check_blocks(
    matrix_view<X> x, matrix_view<Q> q, matrix_view<S> scales, std::ptrdiff_t per_element, std::ptrdiff_t block) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = check(q); s != status::ok)
        return s;
    if (const status s = check(scales); s != status::ok)
        return s;
    const auto ceil_div = [](std::ptrdiff_t n, std::ptrdiff_t d) noexcept { return n / d + (n % d != 0); };
    if (q.rows != x.rows || scales.rows != x.rows || q.cols != ceil_div(x.cols, per_element) || scales.cols != ceil_div(x.cols, block))
        return status::shape_mismatch;
    return status::ok;
}

inline status check_tensor_scale(float scale) noexcept { return is_positive_finite(scale) ? status::ok : status::scale_invalid; }

template <class Q>
inline auto* bytes_of(Q* p) noexcept
{
    using byte = std::conditional_t<std::is_const_v<Q>, const std::uint8_t, std::uint8_t>;
    return static_cast<byte*>(static_cast<std::conditional_t<std::is_const_v<Q>, const void, void>*>(p));
}

template <class Q>
inline std::ptrdiff_t byte_stride(matrix_view<Q> q) noexcept
{
    return q.rows > 1 ? q.stride * static_cast<std::ptrdiff_t>(sizeof(Q)) : 0;
}

} // namespace detail

/// x: rows x cols; q: rows x ceil(cols / codes in a Q); scales: rows x ceil(cols / 32).
template <class Q>
inline status quantize_mx(matrix_view<const float> x, matrix_view<Q> q, matrix_view<float8_e8m0> scales, mx_options options = {}) noexcept
{
    if (const status s = detail::check_blocks(x, q, scales, mx_traits<Q>::per_element, 32); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    const quantize_blocks_args args {x.data, x.stride, detail::bytes_of(q.data), detail::byte_stride(q), detail::bytes_of(scales.data),
        scales.stride, x.rows, x.cols, mx_traits<Q>::format, options.scale, options.rounding, 1.0f};
    const default_fp_mode mode;
    kernels::quantize_mx()(args);
    return status::ok;
}

template <class Q>
inline status dequantize_mx(matrix_view<const Q> q, matrix_view<const float8_e8m0> scales, matrix_view<float> x) noexcept
{
    if (const status s = detail::check_blocks(x, q, scales, mx_traits<Q>::per_element, 32); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    const dequantize_blocks_args args {detail::bytes_of(q.data), detail::byte_stride(q), detail::bytes_of(scales.data), scales.stride,
        x.data, x.stride, x.rows, x.cols, mx_traits<Q>::format, 1.0f};
    const default_fp_mode mode;
    kernels::dequantize_mx()(args);
    return status::ok;
}

/// x: rows x cols; q: rows x ceil(cols / 2); scales: rows x ceil(cols / 16). A tensor_scale of max|x| / (6 * 448) uses all of E4M3.
/// (ggml's NVFP4 has no tensor scale, and rounds its scales in a way of its own: halves up, and all of 256 and above to 448.)
template <class Lazy = void>
inline status quantize_nvfp4(matrix_view<const float> x, float tensor_scale, matrix_view<float4_e2m1x2> q, matrix_view<float8_e4m3> scales,
    element_rounding rounding = element_rounding::to_even) noexcept
{
    if (const status s = detail::check_blocks(x, q, scales, 2, 16); s != status::ok)
        return s;
    if (const status s = detail::check_tensor_scale(tensor_scale); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    const quantize_blocks_args args {x.data, x.stride, detail::bytes_of(q.data), detail::byte_stride(q), detail::bytes_of(scales.data),
        scales.stride, x.rows, x.cols, storage_format::nvfp4, scale_rule::floor, rounding, tensor_scale};
    const default_fp_mode mode;
    kernels::quantize_nvfp4()(args);
    return status::ok;
}

template <class Lazy = void>
inline status dequantize_nvfp4(
    matrix_view<const float4_e2m1x2> q, matrix_view<const float8_e4m3> scales, float tensor_scale, matrix_view<float> x) noexcept
{
    if (const status s = detail::check_blocks(x, q, scales, 2, 16); s != status::ok)
        return s;
    if (const status s = detail::check_tensor_scale(tensor_scale); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    const dequantize_blocks_args args {detail::bytes_of(q.data), detail::byte_stride(q), detail::bytes_of(scales.data), scales.stride,
        x.data, x.stride, x.rows, x.cols, storage_format::nvfp4, tensor_scale};
    const default_fp_mode mode;
    kernels::dequantize_nvfp4()(args);
    return status::ok;
}

NIBBLE_END
