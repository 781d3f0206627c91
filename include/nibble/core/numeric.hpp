// Number formats as plain values: half (IEEE binary16), bfloat16, pairs of 4-bit and quadruples of 2-bit integers. core/minifloat.hpp has
// floating-point formats of 8 and fewer bits.
//   half      1 sign, 5 exponent, 10 fraction bits; float -> half rounds to nearest, ties to even; overflow gives infinity
//   bfloat16  the upper 16 bits of a float; float -> bfloat16 rounds to nearest, ties to even; subnormals are kept
//   NaN       keeps its sign and the upper bits of its payload and becomes quiet, as F16C, AVX-512 and Arm do
//   int4x2    two codes in [-8, 7], uint4x2: two in [0, 15]; the first of the pair in the low four bits (as ONNX and MatMulNBits)
//   int2x4    four codes in [-2, 1], uint2x4: four in [0, 3]; the first in the lowest two bits (as ONNX)
#pragma once

#include <cstdint>
#include <cstring>

#include "bits.hpp"
#include "config.hpp"

NIBBLE_BEGIN_TYPES

// Without an initializer, as blocks hold it: their implicit constructors would be functions that files with other flags share.
struct half {
    std::uint16_t bits;
};

struct bfloat16 {
    std::uint16_t bits = 0;
};

struct int4x2 {
    std::uint8_t bits = 0;
    NIBBLE_INLINE constexpr std::int32_t first() const noexcept { return ((bits & 15) ^ 8) - 8; }
    NIBBLE_INLINE constexpr std::int32_t second() const noexcept { return ((bits >> 4) ^ 8) - 8; }
};

struct uint4x2 {
    std::uint8_t bits = 0;
    NIBBLE_INLINE constexpr std::int32_t first() const noexcept { return bits & 15; }
    NIBBLE_INLINE constexpr std::int32_t second() const noexcept { return bits >> 4; }
};

struct int2x4 {
    std::uint8_t bits = 0;
    NIBBLE_INLINE constexpr std::int32_t operator[](int i) const noexcept { return ((bits >> 2 * i & 3) ^ 2) - 2; }
};

struct uint2x4 {
    std::uint8_t bits = 0;
    NIBBLE_INLINE constexpr std::int32_t operator[](int i) const noexcept { return bits >> 2 * i & 3; }
};

NIBBLE_INLINE constexpr bool operator==(half a, half b) noexcept { return a.bits == b.bits; }
NIBBLE_INLINE constexpr bool operator==(bfloat16 a, bfloat16 b) noexcept { return a.bits == b.bits; }
NIBBLE_INLINE constexpr bool operator==(int4x2 a, int4x2 b) noexcept { return a.bits == b.bits; }
NIBBLE_INLINE constexpr bool operator==(uint4x2 a, uint4x2 b) noexcept { return a.bits == b.bits; }
NIBBLE_INLINE constexpr bool operator==(int2x4 a, int2x4 b) noexcept { return a.bits == b.bits; }
NIBBLE_INLINE constexpr bool operator==(uint2x4 a, uint2x4 b) noexcept { return a.bits == b.bits; }

/// What a code type holds: how many codes an element stores, and their range.
template <class Q>
struct code_traits;
template <>
struct code_traits<std::int8_t> {
    static constexpr int per_element = 1;
    static constexpr std::int32_t qmin = -128, qmax = 127;
};
template <>
struct code_traits<std::int16_t> {
    static constexpr int per_element = 1;
    static constexpr std::int32_t qmin = -32768, qmax = 32767;
};
template <>
struct code_traits<std::uint8_t> {
    static constexpr int per_element = 1;
    static constexpr std::int32_t qmin = 0, qmax = 255;
};
template <>
struct code_traits<std::uint16_t> {
    static constexpr int per_element = 1;
    static constexpr std::int32_t qmin = 0, qmax = 65535;
};
template <>
struct code_traits<int4x2> {
    static constexpr int per_element = 2;
    static constexpr std::int32_t qmin = -8, qmax = 7;
};
template <>
struct code_traits<uint4x2> {
    static constexpr int per_element = 2;
    static constexpr std::int32_t qmin = 0, qmax = 15;
};
template <>
struct code_traits<int2x4> {
    static constexpr int per_element = 4;
    static constexpr std::int32_t qmin = -2, qmax = 1;
};
template <>
struct code_traits<uint2x4> {
    static constexpr int per_element = 4;
    static constexpr std::int32_t qmin = 0, qmax = 3;
};

/// Elements that store `codes` codes.
template <class Q>
NIBBLE_INLINE constexpr std::ptrdiff_t elements_for(std::ptrdiff_t codes) noexcept
{
    return codes / code_traits<Q>::per_element + (codes % code_traits<Q>::per_element != 0);
}

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// e with 2^e <= |x| < 2^(e + 1), of subnormals as well; 0 for 0. x: finite.
NIBBLE_INLINE int exponent_of(float x) noexcept
{
    const std::uint32_t magnitude = magnitude_bits(x);
    if (magnitude == 0 || magnitude >= 0x00800000u)
        return magnitude == 0 ? 0 : static_cast<int>(magnitude >> 23) - 127;
    int e = -149;
    for (std::uint32_t rest = magnitude >> 1; rest != 0; rest >>= 1)
        ++e;
    return e;
}

/// 2^e for e in [-1022, 1023].
NIBBLE_INLINE double two_to_the(int e) noexcept
{
    const std::uint64_t bits = static_cast<std::uint64_t>(e + 1023) << 52;
    double x;
    std::memcpy(&x, &bits, 8);
    return x;
}

/// x itself, which the compiler cannot see through: a product and a sum on its two sides stay two roundings.
NIBBLE_INLINE float opaque(float x) noexcept
{
#if defined(__x86_64__)
    __asm__("" : "+x"(x));
#elif defined(__aarch64__)
    __asm__("" : "+w"(x));
#else
    volatile float kept = x;
    x = kept;
#endif
    return x;
}

// All conversions work on bits, so that no floating-point mode and no compiler flag can change them.

NIBBLE_INLINE half to_half(float x) noexcept
{
    const std::uint32_t u = float_bits(x), sign = u >> 16 & 0x8000u, magnitude = magnitude_bits(x);
    std::uint32_t h;
    if (magnitude > infinity_bits)
        h = 0x7e00u | (magnitude >> 13 & 0x3ffu);
    else if (magnitude >= 0x477ff000u) // 65520 and above round to infinity
        h = 0x7c00u;
    else if (magnitude >= 0x38800000u) // normal halves: from 2^-14
        h = (magnitude - 0x38000000u + 0x0fffu + (magnitude >> 13 & 1u)) >> 13;
    else if (magnitude > 0x33000000u) { // subnormal halves: above 2^-25, multiples of 2^-24
        const std::uint32_t shift = 126u - (magnitude >> 23), mantissa = (magnitude & 0x7fffffu) | 0x800000u;
        const std::uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u), tie = 1u << (shift - 1u);
        h = kept + (rest > tie || (rest == tie && (kept & 1u)) ? 1u : 0u);
    } else
        h = 0;
    return half {static_cast<std::uint16_t>(sign | h)};
}

NIBBLE_INLINE float to_float(half x) noexcept
{
    const std::uint32_t sign = (x.bits & 0x8000u) << 16, exponent = x.bits >> 10 & 31u;
    std::uint32_t fraction = x.bits & 0x3ffu;
    if (exponent == 31)
        return float_from_bits(sign | infinity_bits | (fraction ? 0x400000u : 0u) | fraction << 13);
    if (exponent != 0)
        return float_from_bits(sign | (exponent + 112u) << 23 | fraction << 13);
    if (fraction == 0)
        return float_from_bits(sign);
    std::uint32_t e = 113;
    for (; !(fraction & 0x400u); --e)
        fraction <<= 1;
    return float_from_bits(sign | e << 23 | (fraction & 0x3ffu) << 13);
}

NIBBLE_INLINE bfloat16 to_bfloat16(float x) noexcept
{
    const std::uint32_t u = float_bits(x);
    if (is_nan(x))
        return bfloat16 {static_cast<std::uint16_t>(u >> 16 | 0x40u)};
    return bfloat16 {static_cast<std::uint16_t>((u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
}

NIBBLE_INLINE float to_float(bfloat16 x) noexcept { return float_from_bits(static_cast<std::uint32_t>(x.bits) << 16); }

NIBBLE_END
