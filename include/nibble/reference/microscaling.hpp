// The definition of the MX formats and NVFP4: one number at a time, plain C++. Every backend gives these bits.
#pragma once

#include <cmath>

#include "../core/fp_mode.hpp"
#include "../core/options.hpp"
#include "../core/formats.hpp"
#include "../core/strict_math.hpp"
#include "../core/view.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

/// The greatest magnitude of `count` numbers, NaN if one of them is NaN.
inline float greatest_magnitude(const float* x, std::ptrdiff_t count) noexcept
{
    std::uint32_t top = 0;
    for (std::ptrdiff_t i = 0; i < count; ++i)
        top = (float_bits(x[i]) & 0x7fffffffu) > top ? float_bits(x[i]) & 0x7fffffffu : top;
    return float_from_bits(top);
}

/// The scale of a block of elements F; amax is finite and above zero.
template <class F>
inline float8_e8m0 mx_scale(float amax, scale_rule rule) noexcept
{
    int exponent = 0;
    double m = std::ldexp(std::frexp(static_cast<double>(amax), &exponent), 1); // amax = m * 2^(exponent - 1), m in [1, 2)
    if (rule == scale_rule::even)
        m = std::ldexp(std::floor(std::ldexp(m, F::fraction_bits) + 0.5), -F::fraction_bits);
    int k = exponent - 1 - F::max_exponent + (m >= 2.0);
    const double largest = std::ldexp(
        1.0 + std::ldexp(static_cast<double>(F::max_code & ((1 << F::fraction_bits) - 1)), -F::fraction_bits), F::max_exponent);
    if (rule == scale_rule::ceil && std::ldexp(static_cast<double>(amax), -k) > largest)
        ++k;
    return {static_cast<std::uint8_t>(k < -127 ? 0 : k > 127 ? 254 : k + 127)};
}

/// The bits of the element nearest to v, which is not NaN.
template <class F>
inline std::uint8_t mx_element(float v, element_rounding rounding) noexcept
{
    const bool ggml = rounding == element_rounding::ggml;
    const int bits = to_minifloat<F>(v, overflow::saturate, ggml ? ties::toward_zero : ties::to_even).bits;
    const int magnitude = bits & (F::sign_bit - 1);
    if constexpr (std::is_same_v<F, mx_traits<std::int8_t>::element>)
        return static_cast<std::uint8_t>(bits != magnitude ? -magnitude : magnitude);
    else
        return static_cast<std::uint8_t>(ggml && magnitude == 0 ? 0 : bits);
}

template <class Q>
inline void store_element(Q* row, std::ptrdiff_t column, std::uint8_t bits) noexcept
{
    Q& q = row[column / mx_traits<Q>::per_element];
    if constexpr (mx_traits<Q>::per_element == 4) {
        const int at = static_cast<int>(column % 4) * 6;
        if (at == 0)
            q = {};
        const std::uint32_t shifted = static_cast<std::uint32_t>(bits) << at;
        for (int i = 0; i < 3; ++i)
            q.bytes[i] = static_cast<std::uint8_t>(q.bytes[i] | shifted >> 8 * i);
    } else if constexpr (mx_traits<Q>::per_element == 2) {
        q.bits = static_cast<std::uint8_t>(column % 2 == 0 ? bits : q.bits | bits << 4);
    } else {
        std::memcpy(&q, &bits, 1);
    }
}

template <class Q>
inline float load_element(const Q* row, std::ptrdiff_t column) noexcept
{
    const Q& q = row[column / mx_traits<Q>::per_element];
    if constexpr (mx_traits<Q>::per_element == 4)
        return to_float(q[static_cast<int>(column % 4)]);
    else if constexpr (mx_traits<Q>::per_element == 2)
        return to_float(column % 2 == 0 ? q.first() : q.second());
    else if constexpr (std::is_same_v<Q, std::int8_t>)
        return static_cast<float>(q) * 0.015625f;
    else
        return to_float(q);
}

template <class Q>
inline void quantize_mx(
    matrix_view<const float> x, matrix_view<Q> q, matrix_view<float8_e8m0> scales, scale_rule rule, element_rounding rounding) noexcept
{
    using F = typename mx_traits<Q>::element;
    const default_fp_mode mode;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::ptrdiff_t begin = c / 32 * 32, count = x.cols - begin < 32 ? x.cols - begin : 32;
            const float amax = greatest_magnitude(x.row(r) + begin, count);
            float8_e8m0& scale = scales(r, c / 32);
            if (!(amax > 0.0f) || float_bits(amax) == 0x7f800000u) {
                scale = {static_cast<std::uint8_t>(amax == 0.0f ? 0 : 255)};
                store_element(q.row(r), c, 0);
            } else {
                scale = mx_scale<F>(amax, rule);
                const float inverse = to_float(float8_e8m0 {static_cast<std::uint8_t>(254 - scale.bits)});
                store_element(q.row(r), c, mx_element<F>(x(r, c) * inverse, rounding));
            }
        }
}

template <class Q>
inline void dequantize_mx(matrix_view<const Q> q, matrix_view<const float8_e8m0> scales, matrix_view<float> x) noexcept
{
    const default_fp_mode mode;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const float scale = to_float(scales(r, c / 32));
            x(r, c) = strict_math::choose(scales(r, c / 32).bits == 255, scale, load_element(q.row(r), c) * scale);
        }
}

inline void quantize_nvfp4(matrix_view<const float> x, float tensor_scale, matrix_view<float4_e2m1x2> q, matrix_view<float8_e4m3> scales,
    element_rounding rounding) noexcept
{
    const default_fp_mode mode;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::ptrdiff_t begin = c / 16 * 16, count = x.cols - begin < 16 ? x.cols - begin : 16;
            const float amax = greatest_magnitude(x.row(r) + begin, count);
            float8_e4m3& scale = scales(r, c / 16);
            if (float_bits(amax) >= 0x7f800000u)
                scale = {0x7f};
            else
                scale = to_float8_e4m3(amax / 6.0f / tensor_scale);
            const float step = to_float(scale) * tensor_scale;
            store_element(q.row(r), c, step > 0.0f ? mx_element<float4_e2m1>(x(r, c) / step, rounding) : std::uint8_t {0});
        }
}

inline void dequantize_nvfp4(
    matrix_view<const float4_e2m1x2> q, matrix_view<const float8_e4m3> scales, float tensor_scale, matrix_view<float> x) noexcept
{
    const default_fp_mode mode;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const float8_e4m3 scale = scales(r, c / 16);
            const float step = to_float(scale) * tensor_scale;
            x(r, c) = strict_math::choose((scale.bits & 0x7f) == 0x7f, float_from_bits(0x7fc00000u), load_element(q.row(r), c) * step);
        }
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
