// The smaller and the larger of two numbers, and what the bits of a float say. nibble asks for NaN and infinity by the bits alone: under
// -ffast-math a compiler may take x != x for false.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "config.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// a < b ? a : b: b of two zeros. Where floats may be NaN, strict_math has what says which.
template <class A, class B>
NIBBLE_INLINE constexpr std::common_type_t<A, B> smaller(A a, B b) noexcept
{
    static_assert(std::is_signed_v<A> == std::is_signed_v<B>, "a comparison would turn numbers below zero into great ones");
    return a < b ? a : b;
}

/// a > b ? a : b: b of two zeros.
template <class A, class B>
NIBBLE_INLINE constexpr std::common_type_t<A, B> larger(A a, B b) noexcept
{
    static_assert(std::is_signed_v<A> == std::is_signed_v<B>, "a comparison would turn numbers below zero into great ones");
    return a > b ? a : b;
}

/// x, or the end of [low, high] that it is beyond; low <= high. Of floats that may be NaN: strict_math::clamp.
template <class T>
NIBBLE_INLINE constexpr T clamped(T x, std::common_type_t<T> low, std::common_type_t<T> high) noexcept
{
    return x < low ? low : x > high ? high : x;
}

NIBBLE_INLINE std::uint32_t float_bits(float x) noexcept
{
    std::uint32_t u;
    std::memcpy(&u, &x, 4);
    return u;
}

NIBBLE_INLINE float float_from_bits(std::uint32_t u) noexcept
{
    float x;
    std::memcpy(&x, &u, 4);
    return x;
}

/// Floats without their sign bit are in the order of their magnitudes as integers: finite numbers below infinity_bits, NaNs above. int32,
/// as lanes of vectors are; none is negative, so that they mean the same beside std::uint32_t.
inline constexpr std::int32_t magnitude_mask = 0x7fffffff, infinity_bits = 0x7f800000, quiet_nan_bits = 0x7fc00000;

/// The bits of |x|.
NIBBLE_INLINE std::uint32_t magnitude_bits(float x) noexcept { return float_bits(x) & magnitude_mask; }
/// |x|, of a NaN as well.
NIBBLE_INLINE float magnitude_of(float x) noexcept { return float_from_bits(magnitude_bits(x)); }

NIBBLE_INLINE bool is_nan(float x) noexcept { return magnitude_bits(x) > infinity_bits; }
NIBBLE_INLINE bool is_finite(float x) noexcept { return magnitude_bits(x) < infinity_bits; }
/// What a scale has to be: above zero, subnormals included, and finite.
NIBBLE_INLINE bool is_positive_finite(float x) noexcept { return float_bits(x) - 1u < infinity_bits - 1; }

/// The NaN that nibble stores, the same on every CPU.
NIBBLE_INLINE float quiet_nan() noexcept { return float_from_bits(quiet_nan_bits); }

NIBBLE_END
NIBBLE_STRICT_END
