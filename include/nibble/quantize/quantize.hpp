// Quantize and dequantize matrices of float32: to and from int8, uint8, int4x2 and uint4x2.
//   quantize    q = clamp(round(x * (1 / scale)) + zero_point, qmin, qmax)   1 / scale is rounded once to float, then the product; ties to
//               even; NaN gives zero_point, an infinity the end of the range
//   dequantize  x = float(q - zero_point) * scale
// The bits are the same on every backend; reference/quantize.hpp is their definition.
// Codes of 4 bits stand two in a byte, column 2i in the low half; a row of an odd number of columns ends with a zero half.
#pragma once

#include "../backend/backend.hpp"
#include "../backend/fp_mode.hpp"
#include "../core/numeric.hpp"
#include "../core/view.hpp"
#include "params.hpp"

NIBBLE_BEGIN

namespace detail {

template <class Q>
inline status check_quantize(std::ptrdiff_t rows, std::ptrdiff_t cols, matrix_view<Q> q, quant_params_view p) noexcept
{
    if (const status s = check(q); s != status::ok)
        return s;
    if (q.rows != rows || q.cols != elements_for<std::remove_const_t<Q>>(cols))
        return status::shape_mismatch;
    return check_params<std::remove_const_t<Q>>(p, rows, cols);
}

} // namespace detail

/// x: rows x cols; q: rows x cols, or rows x ceil(cols / 2) for 4-bit pairs.
template <class Q>
inline status quantize(matrix_view<const float> x, quant_params_view p, matrix_view<Q> q) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_quantize(x.rows, x.cols, q, p); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    const params_steps steps = steps_of(p.kind, x.cols, p.group_size);
    const quantize_args args {x.data, x.stride, q.data, q.stride, x.rows, x.cols, steps.group_size, p.scales.data(),
        p.zero_points.empty() ? nullptr : p.zero_points.data(), steps.row, steps.group, code_traits<Q>::qmin, code_traits<Q>::qmax};
    const default_fp_mode mode;
    (code_traits<Q>::per_element == 2 ? kernels().quantize_4 : kernels().quantize_8)(args);
    return status::ok;
}

template <class Q>
inline status dequantize(matrix_view<const Q> q, quant_params_view p, matrix_view<float> x) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_quantize(x.rows, x.cols, q, p); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    const params_steps steps = steps_of(p.kind, x.cols, p.group_size);
    const dequantize_args args {q.data, q.stride, x.data, x.stride, x.rows, x.cols, steps.group_size, p.scales.data(),
        p.zero_points.empty() ? nullptr : p.zero_points.data(), steps.row, steps.group};
    const default_fp_mode mode;
    if constexpr (std::is_same_v<Q, std::int8_t>)
        kernels().dequantize_s8(args);
    else if constexpr (std::is_same_v<Q, std::uint8_t>)
        kernels().dequantize_u8(args);
    else if constexpr (std::is_same_v<Q, int4x2>)
        kernels().dequantize_s4(args);
    else
        kernels().dequantize_u4(args);
    return status::ok;
}

/// Scales (and zero points, for affine) from the data; `low` is scratch for params_count floats. not_finite if x holds NaN or infinity.
///   symmetric  scale = max|x| / qmax
///   affine     lo = min(x, 0), hi = max(x, 0); scale = (hi - lo) / (qmax - qmin); zero_point = round(qmin - lo / scale), in double
/// A scale below the least normal float becomes 1: such a group quantizes to its zero point.
template <class Q>
inline status choose_params(matrix_view<const float> x, scheme how, granularity kind, std::ptrdiff_t group_size, span<float> scales,
    span<std::int32_t> zero_points, span<float> low) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (kind == granularity::per_group && (group_size < 1 || group_size % code_traits<Q>::per_element != 0))
        return status::group_size_invalid;
    const std::size_t count = static_cast<std::size_t>(params_count(kind, x.rows, x.cols, group_size));
    if (scales.size() != count || (how == scheme::affine ? zero_points.size() != count : !zero_points.empty()))
        return status::params_count_mismatch;
    const params_steps steps = steps_of(kind, x.cols, group_size);
    const std::size_t ranges = kind == granularity::per_tensor ? static_cast<std::size_t>(x.rows) : count;
    if (low.size() < 2 * ranges)
        return status::buffer_too_small;
    if ((count != 0 && scales.data() == nullptr) || (!zero_points.empty() && zero_points.data() == nullptr)
        || (ranges != 0 && low.data() == nullptr))
        return status::null_pointer;
    float* const high = low.data() + ranges;
    const default_fp_mode mode;
    if (x.cols == 0)
        for (std::size_t i = 0; i < 2 * ranges; ++i)
            low[i] = 0.0f;
    else if (x.rows != 0)
        kernels().range_f32({x.data, x.stride, x.rows, x.cols, steps.group_size, low.data(), high});
    float all_low = 0.0f, all_high = 0.0f;
    for (std::size_t i = 0; i < ranges; ++i) {
        if ((float_bits(low[i]) & 0x7fffffffu) > 0x7f800000u)
            return status::not_finite;
        all_low = low[i] < all_low ? low[i] : all_low;
        all_high = high[i] > all_high ? high[i] : all_high;
    }
    constexpr double qmin = code_traits<Q>::qmin, qmax = code_traits<Q>::qmax;
    for (std::size_t i = 0; i < count; ++i) {
        const double lo = kind == granularity::per_tensor ? all_low : low[i] < 0.0f ? low[i] : 0.0f;
        const double hi = kind == granularity::per_tensor ? all_high : high[i] > 0.0f ? high[i] : 0.0f;
        const double span_of_codes = how == scheme::affine ? qmax - qmin : (qmin < 0 ? qmax : (qmax + 1) / 2 - 1);
        const double reach = how == scheme::affine ? hi - lo : (hi > -lo ? hi : -lo);
        float scale = static_cast<float>(reach / span_of_codes);
        if (scale < 1.17549435e-38f)
            scale = 1.0f;
        scales[i] = scale;
        if (how == scheme::affine) {
            const double at = std::nearbyint(qmin - lo / static_cast<double>(scale));
            zero_points[i] = static_cast<std::int32_t>(at < qmin ? qmin : at > qmax ? qmax : at);
        }
    }
    return status::ok;
}

/// Scratch floats that choose_params needs.
NIBBLE_INLINE constexpr std::size_t choose_params_scratch(
    granularity kind, std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t group_size = 0) noexcept
{
    return 2 * static_cast<std::size_t>(kind == granularity::per_tensor ? rows : params_count(kind, rows, cols, group_size));
}

NIBBLE_END
