// The definition of quantize and dequantize: one number at a time, plain C++. Every backend gives these bits.
#pragma once

#include "../core/codes.hpp"
#include "../core/fp_mode.hpp"
#include "../core/strict_math.hpp"
#include "../quantize/params.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

/// 24 random bits of column `column`: two rounds of multiply and shift over the column number and the row's keys, as a real in [0, 1).
inline float noise(stochastic_keys keys, std::ptrdiff_t column) noexcept
{
    const auto mix = [](std::uint32_t h) noexcept {
        h = (h ^ h >> 16) * 0x7feb352du;
        return (h ^ h >> 15) * 0x846ca68bu;
    };
    const std::uint32_t h = mix(mix(static_cast<std::uint32_t>(column) * 0x9e3779b9u ^ keys.first) + keys.second);
    return static_cast<float>(h >> 8) * 0x1p-24f;
}

/// The code of x at (row, column); rule.hpp states it.
inline std::int32_t quantize(float x, float scale, std::int32_t zero_point, quantize_rule rule, code_limits codes, std::ptrdiff_t row = 0,
    std::ptrdiff_t column = 0) noexcept
{
    float t = rule.divide ? x / scale : opaque(x * (1.0f / scale));
    if ((float_bits(t) & 0x7fffffffu) > 0x7f800000u)
        t = 0.0f;
    const std::int32_t before = rule.zero_point_first ? zero_point : 0, after = zero_point - before;
    const float low = static_cast<float>(codes.qmin - after), high = static_cast<float>(codes.qmax - after);
    const float u = t + (static_cast<float>(before) + (rule.round == rounding::half_up ? 0.5f : 0.0f));
    const float bounded = strict_math::choose(u < low, low, strict_math::choose(high < u, high, u));
    float whole = 0.0f;
    switch (rule.round) {
    case rounding::ties_to_even: whole = strict_math::nearbyint(bounded); break;
    case rounding::half_away_from_zero: whole = strict_math::round(bounded); break;
    case rounding::half_up: whole = strict_math::floor(bounded); break;
    case rounding::toward_zero: whole = strict_math::trunc(bounded); break;
    case rounding::stochastic:
        whole = strict_math::floor(bounded);
        whole += noise(stochastic_keys(rule.seed, row), column) < bounded - whole ? 1.0f : 0.0f;
        break;
    }
    return static_cast<std::int32_t>(whole) + after;
}

inline float dequantize(std::int32_t code, float scale, std::int32_t zero_point) noexcept
{
    return static_cast<float>(code - zero_point) * scale;
}

template <class Q>
inline void quantize(matrix_view<const float> x, quant_params_view p, matrix_view<Q> q, quantize_rule rule = {}) noexcept
{
    const default_fp_mode mode;
    const params_strides strides = strides_of(p.kind, x.cols, p.group_size, p.block_rows);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::size_t at = static_cast<std::size_t>(r / strides.block_rows * strides.row + c / strides.group_size * strides.group);
            const std::int32_t zero_point = p.zero_points.empty() ? 0 : p.zero_points[at];
            store_code(q.row(r), c, quantize(x(r, c), p.scales[at], zero_point, rule, codes_of<Q>(rule.range), r, c));
        }
}

template <class Q>
inline void dequantize(matrix_view<const Q> q, quant_params_view p, matrix_view<float> x) noexcept
{
    const default_fp_mode mode;
    const params_strides strides = strides_of(p.kind, x.cols, p.group_size, p.block_rows);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::size_t at = static_cast<std::size_t>(r / strides.block_rows * strides.row + c / strides.group_size * strides.group);
            const std::int32_t zero_point = p.zero_points.empty() ? 0 : p.zero_points[at];
            x(r, c) = dequantize(load_code(q.row(r), c), p.scales[at], zero_point);
        }
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
