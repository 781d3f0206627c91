// The definition of requantize: one number at a time, in 64-bit integers.
#pragma once

#include "../quantize/requantize.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

inline std::int32_t saturated(std::int64_t x) noexcept
{
    return x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : static_cast<std::int32_t>(x);
}

/// x * multiplier * 2^(shift - 31) with two roundings.
inline std::int32_t multiply_double_rounding(std::int32_t x, std::int32_t multiplier, std::int32_t shift) noexcept
{
    const std::int64_t y = saturated(shift > 0 ? static_cast<std::int64_t>(x) * (std::int64_t {1} << shift) : x);
    const std::int64_t high = (y * multiplier + (std::int64_t {1} << 30)) >> 31;
    if (shift >= 0)
        return static_cast<std::int32_t>(high);
    const std::int64_t half = std::int64_t {1} << (-shift - 1), magnitude = high < 0 ? -high : high,
                       quotient = (magnitude + half) >> -shift;
    return static_cast<std::int32_t>(high < 0 ? -quotient : quotient);
}

/// x * multiplier * 2^(shift - 31) with one rounding, half up.
inline std::int32_t multiply_single_rounding(std::int32_t x, std::int32_t multiplier, std::int32_t shift) noexcept
{
    const std::int64_t y = saturated(shift > 0 ? static_cast<std::int64_t>(x) * (std::int64_t {1} << shift) : x);
    const std::int32_t right = shift < 0 ? -shift : 0;
    return static_cast<std::int32_t>((y * multiplier + (std::int64_t {1} << (30 + right))) >> (31 + right));
}

/// The code of sum x in column j, between low and high.
inline std::int32_t requantize(std::int32_t x, const requantization& r, std::size_t j, code_limits codes) noexcept
{
    if (!r.bias.empty())
        x = static_cast<std::int32_t>(static_cast<std::uint32_t>(x) + static_cast<std::uint32_t>(r.bias[j]));
    const std::int32_t low = r.low < codes.qmin ? codes.qmin : r.low, high = r.high > codes.qmax ? codes.qmax : r.high;
    std::int64_t code = 0;
    if (r.mode == requantize_mode::float_ties_to_even) {
        const float t = opaque(static_cast<float>(x) * r.scale[r.scale.size() == 1 ? 0 : j]);
        const float u = r.zero_point_first ? t + static_cast<float>(r.zero_point) : t;
        const float bounded = u < -1e6f ? -1e6f : u > 1e6f ? 1e6f : u;
        code = static_cast<std::int64_t>(strict_math::nearbyint(bounded)) + (r.zero_point_first ? 0 : r.zero_point);
    } else {
        const std::size_t at = r.multiplier.size() == 1 ? 0 : j;
        code = r.mode == requantize_mode::double_rounding ? multiply_double_rounding(x, r.multiplier[at], r.shift[at])
                                                          : multiply_single_rounding(x, r.multiplier[at], r.shift[at]);
        code += r.zero_point;
    }
    return code < low ? low : code > high ? high : static_cast<std::int32_t>(code);
}

template <class Q>
inline void requantize(matrix_view<const std::int32_t> x, const requantization& r, matrix_view<Q> q) noexcept
{
    const default_fp_mode mode;
    for (std::ptrdiff_t i = 0; i < x.rows; ++i)
        for (std::ptrdiff_t j = 0; j < x.cols; ++j)
            q(i, j) = static_cast<Q>(requantize(x(i, j), r, static_cast<std::size_t>(j), codes_of<Q>(code_range::full)));
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
