// The definition of quantize, dequantize: one number at a time, plain C++. Every backend gives these bits.
#pragma once

#include <cmath>

#include "../backend/fp_mode.hpp"
#include "../quantize/params.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

/// q = clamp(round(x * inverse_scale) + zero_point, qmin, qmax), ties to even; NaN gives zero_point.
inline std::int32_t quantize(float x, float inverse_scale, std::int32_t zero_point, std::int32_t qmin, std::int32_t qmax) noexcept
{
    const float t = x * inverse_scale;
    if ((float_bits(t) & 0x7fffffffu) > 0x7f800000u)
        return zero_point;
    const float low = static_cast<float>(qmin - zero_point), high = static_cast<float>(qmax - zero_point);
    const float rounded = t < low ? low : t > high ? high : std::nearbyint(t);
    return static_cast<std::int32_t>(rounded) + zero_point;
}

template <class Q>
inline void store_code(Q* row, std::ptrdiff_t column, std::int32_t code) noexcept
{
    if constexpr (code_traits<Q>::per_element == 1) {
        row[column] = static_cast<Q>(code);
    } else {
        Q& pair = row[column / 2];
        pair.bits = static_cast<std::uint8_t>(column % 2 == 0 ? code & 15 : (pair.bits & 15) | (code & 15) << 4);
    }
}

template <class Q>
inline std::int32_t load_code(const Q* row, std::ptrdiff_t column) noexcept
{
    if constexpr (code_traits<Q>::per_element == 1)
        return row[column];
    else
        return column % 2 == 0 ? row[column / 2].first() : row[column / 2].second();
}

template <class Q>
inline void quantize(matrix_view<const float> x, quant_params_view p, matrix_view<Q> q) noexcept
{
    const default_fp_mode mode;
    const params_steps steps = steps_of(p.kind, x.cols, p.group_size);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::size_t at = static_cast<std::size_t>(r * steps.row + c / steps.group_size * steps.group);
            const std::int32_t zero_point = p.zero_points.empty() ? 0 : p.zero_points[at];
            store_code(q.row(r), c, quantize(x(r, c), 1.0f / p.scales[at], zero_point, code_traits<Q>::qmin, code_traits<Q>::qmax));
        }
}

template <class Q>
inline void dequantize(matrix_view<const Q> q, quant_params_view p, matrix_view<float> x) noexcept
{
    const default_fp_mode mode;
    const params_steps steps = steps_of(p.kind, x.cols, p.group_size);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::size_t at = static_cast<std::size_t>(r * steps.row + c / steps.group_size * steps.group);
            const std::int32_t zero_point = p.zero_points.empty() ? 0 : p.zero_points[at];
            x(r, c) = static_cast<float>(load_code(q.row(r), c) - zero_point) * p.scales[at];
        }
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
