// Fixed-point numbers of the operators that are plain C++, as gemmlowp and TFLite define them. A number of i integer bits is an int32 with
// 31 - i fraction bits; a real factor is multiplier * 2^(shift - 31). quantize/requantize.hpp states the modes of rounding, and its kernels
// do the same to whole rows.
#pragma once

#include "../core/strict_math.hpp"
#include "../quantize/requantize.hpp"

NIBBLE_BEGIN
namespace tflite {
namespace detail {

NIBBLE_INLINE constexpr std::int32_t saturated_to(std::int64_t x, std::int32_t low, std::int32_t high) noexcept
{
    return static_cast<std::int32_t>(clamped(x, low, high));
}
NIBBLE_INLINE constexpr std::int32_t saturated(std::int64_t x) noexcept { return saturated_to(x, INT32_MIN, INT32_MAX); }

NIBBLE_INLINE constexpr std::int8_t to_s8(std::int32_t q) noexcept { return static_cast<std::int8_t>(clamped(q, -128, 127)); }

/// x * 2^n, saturated; n in [0, 31].
NIBBLE_INLINE constexpr std::int32_t shifted_up(std::int32_t x, std::int32_t n) noexcept
{
    return saturated(std::int64_t {x} * (std::int64_t {1} << n));
}

/// x / 2^n, half away from zero; n in [1, 61].
NIBBLE_INLINE constexpr std::int32_t divided(std::int32_t x, std::int32_t n) noexcept
{
    const std::int64_t half = std::int64_t {1} << (n - 1), magnitude = x < 0 ? -std::int64_t {x} : x;
    const std::int64_t q = (magnitude + half) >> n;
    return static_cast<std::int32_t>(x < 0 ? -q : q);
}

/// The product of two fixed-point numbers: floor((a b + 2^30) / 2^31). Not both are INT32_MIN: that product is 2^31.
NIBBLE_INLINE constexpr std::int32_t fixed_product(std::int32_t a, std::int32_t b) noexcept
{
    return static_cast<std::int32_t>((std::int64_t {a} * b + (std::int64_t {1} << 30)) >> 31);
}

NIBBLE_INLINE constexpr bool valid(fixed_multiplier m) noexcept { return m.multiplier >= 0 && m.shift >= -31 && m.shift <= 31; }

/// x * m by double rounding: as a product of 31 fraction bits, then at the shift to the right. A negative multiplier is the product's
/// sign: ties of the first rounding still go up. m.multiplier > INT32_MIN, m.shift in [-31, 31].
NIBBLE_INLINE constexpr std::int32_t times(std::int32_t x, fixed_multiplier m) noexcept
{
    const std::int32_t high = fixed_product(shifted_up(x, larger(m.shift, 0)), m.multiplier);
    return m.shift < 0 ? divided(high, -m.shift) : high;
}

/// x * m by one of the fixed-point modes.
NIBBLE_INLINE constexpr std::int32_t rescaled(requantize_mode mode, std::int32_t x, fixed_multiplier m) noexcept
{
    if (mode != requantize_mode::single_rounding)
        return times(x, m);
    const std::int64_t up = shifted_up(x, larger(m.shift, 0));
    const std::int32_t right = larger(-m.shift, 0);
    return static_cast<std::int32_t>((up * m.multiplier + (std::int64_t {1} << (30 + right))) >> (31 + right));
}

/// The zero point added to a product, within the codes. Beyond 1000 no zero point brings the sum back; below that nothing overflows.
NIBBLE_INLINE constexpr std::int8_t with_zero_point(std::int32_t product, std::int32_t zero_point) noexcept
{
    return to_s8(clamped(product, -1000, 1000) + zero_point);
}

/// A few sums that stand together, by the kernel of requantize(). A template, as all that calls kernels (backend/dispatch.hpp).
template <class Lazy = void>
inline void requantize_few(const std::int32_t* sums, std::ptrdiff_t count, const requantize_params& r, std::int8_t* codes) noexcept
{
    kernels::requantize_s32()({sums, count, codes, count, 0, 1, count, r});
}

} // namespace detail
} // namespace tflite
NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {
namespace detail {

/// One sum by a requantization of one scale or multiplier, without bias, as that kernel does it: for operators whose sums stand apart, or
/// whose codes are int16.
inline std::int32_t requantized_sum(std::int32_t sum, const requantization& r, code_limits codes) noexcept
{
    std::int64_t product = 0;
    if (r.mode == requantize_mode::float_ties_to_even)
        // Within what int32 holds; beyond 10^6 every code is a bound.
        product = static_cast<std::int64_t>(strict_math::nearbyint(clamped(opaque(static_cast<float>(sum) * r.scale[0]), -1e6f, 1e6f)));
    else
        product = rescaled(r.mode, sum, {r.multiplier[0], r.shift[0]});
    return saturated_to(product + r.zero_point, codes.qmin, codes.qmax);
}

} // namespace detail
} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END
