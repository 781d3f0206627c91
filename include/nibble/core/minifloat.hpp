// Floating-point formats of 8, 6 and 4 bits as plain values, and their exact conversions. Conversions work on bits, so no floating-point
// mode and no compiler flag changes them.
//
//                    bits s-e-f  bias  least    largest  infinity  NaN
//   float8_e4m3      1-4-3       7     2^-9     448      no        0x7f, 0xff      (OCP E4M3, ONNX FLOAT8E4M3FN)
//   float8_e5m2      1-5-2       15    2^-16    57344    0x7c      0x7d ... 0x7f   (the sign bit may be set, too)
//   float8_e4m3fnuz  1-4-3       8     2^-10    240      no        0x80            (no negative zero; ONNX's name)
//   float8_e5m2fnuz  1-5-2       16    2^-17    57344    no        0x80            (no negative zero; ONNX's name)
//   float6_e2m3      1-2-3       1     0.125    7.5      no        no
//   float6_e3m2      1-3-2       3     0.0625   28       no        no
//   float4_e2m1      1-2-1       1     0.5      6        no        no
//   float8_e8m0      0-8-0       127   2^-127   2^127    no        0xff            (a scale: 2^(bits - 127), neither sign nor zero)
//   nf4              a code of the 16 NormalFloat values of QLoRA in [-1, 1]
//
// Float to minifloat rounds to nearest, ties to even, and keeps the sign of zero. A number that is too large after rounding, or infinite,
// becomes the largest value. Under overflow::to_infinity_or_nan it becomes infinity, or NaN in a format without infinity (ONNX Cast with
// and without saturate). NaN becomes 0x7f with its sign. In a format without NaN it becomes the positive largest value, as in ONNX. Every
// NaN code becomes the float NaN 0x7fc00000 with its sign.
#pragma once

#include <cstddef>
#include <cstdint>

#include "numeric.hpp"

NIBBLE_BEGIN_TYPES

/// What becomes of numbers that are too large for an 8-bit float.
enum class overflow : std::uint8_t { saturate, to_infinity_or_nan };

/// Which of two equally near numbers is taken.
enum class ties : std::uint8_t { to_even, toward_zero };

template <int ExponentBits, int FractionBits, int Bias, bool HasInfinity, bool HasNan>
struct minifloat {
    static constexpr int exponent_bits = ExponentBits, fraction_bits = FractionBits, bias = Bias;
    static constexpr bool has_infinity = HasInfinity, has_nan = HasNan;
    static constexpr std::int32_t sign_bit = 1 << (ExponentBits + FractionBits);
    /// The code of the largest finite value; the next code is infinity or, without infinity, NaN.
    static constexpr std::int32_t max_code
        = HasInfinity ? sign_bit - (1 << FractionBits) - 1 : sign_bit - 1 - static_cast<std::int32_t>(HasNan);
    /// The largest value is below 2^(max_exponent + 1).
    static constexpr int max_exponent = (max_code >> FractionBits) - Bias;

    std::uint8_t bits = 0;
};

using float8_e4m3 = minifloat<4, 3, 7, false, true>;
using float8_e5m2 = minifloat<5, 2, 15, true, true>;
using float6_e2m3 = minifloat<2, 3, 1, false, false>;
using float6_e3m2 = minifloat<3, 2, 3, false, false>;
using float4_e2m1 = minifloat<2, 1, 1, false, false>;

static_assert(float8_e4m3::max_code == 0x7e && float8_e4m3::max_exponent == 8);
static_assert(float8_e5m2::max_code == 0x7b && float8_e5m2::max_exponent == 15);
static_assert(float6_e2m3::max_code == 0x1f && float6_e2m3::max_exponent == 2);
static_assert(float6_e3m2::max_code == 0x1f && float6_e3m2::max_exponent == 4);
static_assert(float4_e2m1::max_code == 0x07 && float4_e2m1::max_exponent == 2);

/// The code of the negative zero is the one NaN.
template <int ExponentBits, int FractionBits, int Bias>
struct fnuz_float {
    using finite = minifloat<ExponentBits, FractionBits, Bias, false, false>; ///< the same but for NaN and the zeros
    static constexpr std::uint8_t nan_code = 0x80;
    std::uint8_t bits = 0;
};

using float8_e4m3fnuz = fnuz_float<4, 3, 8>;
using float8_e5m2fnuz = fnuz_float<5, 2, 16>;

static_assert(float8_e4m3fnuz::finite::max_code == 0x7f && float8_e4m3fnuz::finite::max_exponent == 7);
static_assert(float8_e5m2fnuz::finite::max_code == 0x7f && float8_e5m2fnuz::finite::max_exponent == 15);

struct float8_e8m0 {
    std::uint8_t bits = 0;
};

struct nf4 {
    std::uint8_t bits = 0;
};

/// The first of a pair stands in the low four bits.
struct float4_e2m1x2 {
    std::uint8_t bits = 0;
    NIBBLE_INLINE constexpr float4_e2m1 first() const noexcept { return {static_cast<std::uint8_t>(bits & 15)}; }
    NIBBLE_INLINE constexpr float4_e2m1 second() const noexcept { return {static_cast<std::uint8_t>(bits >> 4)}; }
};

struct nf4x2 {
    std::uint8_t bits = 0;
    NIBBLE_INLINE constexpr nf4 first() const noexcept { return {static_cast<std::uint8_t>(bits & 15)}; }
    NIBBLE_INLINE constexpr nf4 second() const noexcept { return {static_cast<std::uint8_t>(bits >> 4)}; }
};

/// Four 6-bit floats in 24 bits, the first in the lowest six, in little-endian bytes (as ONNX).
template <class F>
struct float6x4 {
    std::uint8_t bytes[3] = {0, 0, 0};
    NIBBLE_INLINE constexpr F operator[](int i) const noexcept
    {
        return {static_cast<std::uint8_t>((bytes[0] | bytes[1] << 8 | bytes[2] << 16) >> 6 * i & 63)};
    }
};

using float6_e2m3x4 = float6x4<float6_e2m3>;
using float6_e3m2x4 = float6x4<float6_e3m2>;

template <int E, int F, int B, bool I, bool N>
NIBBLE_INLINE constexpr bool operator==(minifloat<E, F, B, I, N> a, minifloat<E, F, B, I, N> b) noexcept
{
    return a.bits == b.bits;
}
template <int E, int F, int B>
NIBBLE_INLINE constexpr bool operator==(fnuz_float<E, F, B> a, fnuz_float<E, F, B> b) noexcept
{
    return a.bits == b.bits;
}
NIBBLE_INLINE constexpr bool operator==(float8_e8m0 a, float8_e8m0 b) noexcept { return a.bits == b.bits; }
NIBBLE_INLINE constexpr bool operator==(nf4 a, nf4 b) noexcept { return a.bits == b.bits; }
NIBBLE_INLINE constexpr bool operator==(float4_e2m1x2 a, float4_e2m1x2 b) noexcept { return a.bits == b.bits; }
NIBBLE_INLINE constexpr bool operator==(nf4x2 a, nf4x2 b) noexcept { return a.bits == b.bits; }
template <class F>
NIBBLE_INLINE constexpr bool operator==(float6x4<F> a, float6x4<F> b) noexcept
{
    return a.bytes[0] == b.bytes[0] && a.bytes[1] == b.bytes[1] && a.bytes[2] == b.bytes[2];
}

/// How far from a power of two a float may be taken to it.
enum class e8m0_rounding : std::uint8_t {
    down,    ///< the greatest power of two not above
    up,      ///< the least one not below
    nearest, ///< ties up
};

/// The values of nf4 codes 0 ... 15.
inline constexpr float nf4_values[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
    -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
    0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

/// A number above midpoint i has a code above i. These are bitsandbytes' figures: the means of neighbours as they were before the
/// values were rounded to float, hence up to one unit in the last place beside the mean of the values above.
inline constexpr float nf4_midpoints[15] = {-0.8480964004993439f, -0.6106329262256622f, -0.4599952697753906f, -0.33967943489551544f,
    -0.23460740596055984f, -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f, 0.1202552504837513f, 0.2035212516784668f,
    0.2920137718319893f, 0.3893125355243683f, 0.5016634166240692f, 0.6427869200706482f, 0.8614784181118011f};

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// The rule for overflow matters to the 8-bit formats only: the others saturate.
template <class T>
NIBBLE_INLINE T to_minifloat(float x, overflow rule = overflow::saturate, ties tie = ties::to_even) noexcept
{
    constexpr int drop = 23 - T::fraction_bits, least_exponent = 128 - T::bias;
    constexpr std::uint32_t max_code = static_cast<std::uint32_t>(T::max_code), sign_bit = static_cast<std::uint32_t>(T::sign_bit);
    const std::uint32_t u = float_bits(x), sign = u >> 31 ? sign_bit : 0, magnitude = magnitude_bits(x), even = tie == ties::to_even;
    if (magnitude > infinity_bits)
        return T {static_cast<std::uint8_t>(T::has_nan ? sign | 0x7fu : max_code)};
    const int exponent = static_cast<int>(magnitude >> 23);
    std::uint32_t code = 0;
    if (exponent >= least_exponent) {
        const std::uint32_t rebiased = magnitude - (static_cast<std::uint32_t>(least_exponent - 1) << 23);
        code = (rebiased + ((1u << (drop - 1)) - 1u) + (magnitude >> drop & even)) >> drop;
    } else if (const int shift = drop + least_exponent - exponent; shift <= 24) { // below that, less than half of the least value
        const std::uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
        const std::uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u), half_way = 1u << (shift - 1);
        code = kept + (rest > half_way || (rest == half_way && (kept & even)) ? 1u : 0u);
    }
    if (code > max_code)
        code = rule == overflow::saturate || !T::has_nan ? max_code : max_code + 1;
    return T {static_cast<std::uint8_t>(sign | code)};
}

template <int E, int F, int B, bool I, bool N>
NIBBLE_INLINE float to_float(minifloat<E, F, B, I, N> x) noexcept
{
    using T = minifloat<E, F, B, I, N>;
    const std::uint32_t sign = x.bits & static_cast<std::uint32_t>(T::sign_bit) ? 0x80000000u : 0;
    std::uint32_t code = x.bits & (static_cast<std::uint32_t>(T::sign_bit) - 1u);
    if (I && code == static_cast<std::uint32_t>(T::max_code) + 1u)
        return float_from_bits(sign | infinity_bits);
    if (code > static_cast<std::uint32_t>(T::max_code))
        return float_from_bits(sign | quiet_nan_bits);
    if (code >> F != 0)
        return float_from_bits(sign | (code + (static_cast<std::uint32_t>(127 - B) << F)) << (23 - F));
    if (code == 0)
        return float_from_bits(sign);
    std::uint32_t exponent = 128u - B;
    for (; !(code >> F); --exponent)
        code <<= 1;
    return float_from_bits(sign | exponent << 23 | (code & ((1u << F) - 1u)) << (23 - F));
}

NIBBLE_INLINE float8_e4m3 to_float8_e4m3(float x, overflow rule = overflow::saturate) noexcept
{
    return to_minifloat<float8_e4m3>(x, rule);
}
NIBBLE_INLINE float8_e5m2 to_float8_e5m2(float x, overflow rule = overflow::saturate) noexcept
{
    return to_minifloat<float8_e5m2>(x, rule);
}
NIBBLE_INLINE float6_e2m3 to_float6_e2m3(float x) noexcept { return to_minifloat<float6_e2m3>(x); }
NIBBLE_INLINE float6_e3m2 to_float6_e3m2(float x) noexcept { return to_minifloat<float6_e3m2>(x); }
NIBBLE_INLINE float4_e2m1 to_float4_e2m1(float x) noexcept { return to_minifloat<float4_e2m1>(x); }

/// T: float8_e4m3fnuz or float8_e5m2fnuz. overflow::to_infinity_or_nan: too large a number, infinity included, becomes NaN.
template <class T>
NIBBLE_INLINE T to_fnuz_float(float x, overflow rule = overflow::saturate) noexcept
{
    using F = typename T::finite;
    // Half way from the largest value to the next power of two, where ties to even go to the latter.
    constexpr std::uint32_t too_large
        = static_cast<std::uint32_t>(127 + F::max_exponent) << 23 | ((1u << (F::fraction_bits + 1)) - 1u) << (22 - F::fraction_bits);
    const std::uint32_t magnitude = magnitude_bits(x);
    if (magnitude > infinity_bits || (rule != overflow::saturate && magnitude >= too_large))
        return T {T::nan_code};
    const std::uint8_t code = to_minifloat<F>(x).bits;
    return T {code == T::nan_code ? std::uint8_t {0} : code};
}
template <int E, int F, int B>
NIBBLE_INLINE float to_float(fnuz_float<E, F, B> x) noexcept
{
    using T = fnuz_float<E, F, B>;
    return x.bits == T::nan_code ? float_from_bits(0xffc00000u) : to_float(typename T::finite {x.bits});
}

/// Of |x|, clamped to [2^-127, 2^127]; NaN and infinity give NaN.
NIBBLE_INLINE float8_e8m0 to_float8_e8m0(float x, e8m0_rounding rounding) noexcept
{
    const std::uint32_t magnitude = magnitude_bits(x);
    if (magnitude >= infinity_bits)
        return {255};
    // Between 2^-127 and 2^-126 floats are subnormal: normalized, with the biased exponent 0.
    const std::uint32_t normal = magnitude >= 0x800000u ? magnitude : magnitude >= 0x400000u ? 2u * magnitude - 0x800000u : 0u;
    const std::uint32_t add = rounding == e8m0_rounding::down ? 0u : rounding == e8m0_rounding::up ? 0x7fffffu : 0x400000u;
    const std::uint32_t code = (normal + add) >> 23;
    return {static_cast<std::uint8_t>(smaller(code, 254u))};
}

NIBBLE_INLINE float to_float(float8_e8m0 x) noexcept
{
    return float_from_bits(x.bits == 255 ? quiet_nan_bits : x.bits == 0 ? 0x400000u : static_cast<std::uint32_t>(x.bits) << 23);
}

/// The nearest value, the lower one if x is a midpoint (as bitsandbytes); NaN gives 7, the code of 0.
NIBBLE_INLINE nf4 to_nf4(float x) noexcept
{
    if (is_nan(x))
        return {7};
    unsigned code = 0;
    for (const float midpoint : nf4_midpoints)
        code += x > midpoint;
    return {static_cast<std::uint8_t>(code)};
}

NIBBLE_INLINE float to_float(nf4 x) noexcept { return nf4_values[x.bits & 15]; }

NIBBLE_END
