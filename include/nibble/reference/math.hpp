// The definition of the activation functions. No product is an operand of a plain sum: a compiler that inlines these into code of its own
// could round the two as one.
#pragma once

#include "../core/options.hpp"
#include "../core/numeric.hpp"
#include "../core/strict_math.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

NIBBLE_INLINE bool is_nan(float x) noexcept { return (float_bits(x) & 0x7fffffffu) > 0x7f800000u; }

inline float clamp(float x, float low, float high) noexcept
{
    return strict_math::choose(x < low, low, strict_math::choose(high < x, high, x));
}

/// e^x for x in [-87, 88]: x = n ln 2 + r, a polynomial of degree 7 in r, n added to the exponent. Relative error below 1.3e-7.
inline float exp(float x) noexcept
{
    const float n = strict_math::nearbyint(x * 1.44269504f);
    float r = strict_math::fma(n, -0.693145752f, x);
    r = strict_math::fma(n, -1.42860677e-6f, r);
    float p = strict_math::fma(r, 1.98756915e-4f, 1.39819995e-3f);
    p = strict_math::fma(p, r, 8.33345190e-3f);
    p = strict_math::fma(p, r, 4.16657959e-2f);
    p = strict_math::fma(p, r, 1.66666657e-1f);
    p = strict_math::fma(p, r, 0.5f);
    p = strict_math::fma(p, r * r, r);
    p = p + 1.0f;
    return float_from_bits(float_bits(p) + (static_cast<std::uint32_t>(static_cast<std::int32_t>(n)) << 23));
}

/// x / (1 + e^-y), y clamped to [-88, 87]
inline float times_sigmoid(float x, float y) noexcept
{
    const float minus = 0.0f - clamp(y, -88.0f, 87.0f);
    return x / (1.0f + exp(strict_math::choose(is_nan(y), 0.0f, minus)));
}

/// x (1 + erf(x / sqrt 2)) / 2 with Abramowitz and Stegun 7.1.26: erfc(z) = (a1 t + ... + a5 t^5) e^(-z z), t = 1 / (1 + 0.3275911 z)
inline float gelu(float x) noexcept
{
    const float z = clamp(x, -13.0f, 13.0f) * 0.707106781f;
    const float a = strict_math::choose(z < 0.0f, 0.0f - z, z), finite = strict_math::choose(is_nan(a), 0.0f, a);
    const float t = 1.0f / strict_math::fma(finite, 0.3275911f, 1.0f);
    float p = strict_math::fma(t, 1.061405429f, -1.453152027f);
    p = strict_math::fma(p, t, 1.421413741f);
    p = strict_math::fma(p, t, -0.284496736f);
    p = strict_math::fma(p, t, 0.254829592f);
    const float pt = p * t, e = exp((0.0f - finite) * finite), half_x = x * 0.5f;
    return half_x * strict_math::choose(z < 0.0f, pt * e, strict_math::fma(0.0f - pt, e, 2.0f));
}

inline float apply(activation_function f, float x) noexcept
{
    switch (f) {
    case activation_function::none: return x;
    case activation_function::relu: return strict_math::choose(x < 0.0f, 0.0f, x);
    case activation_function::gelu: return gelu(x);
    case activation_function::gelu_tanh: return times_sigmoid(x, 1.59576912f * strict_math::fma(x * x * x, 0.044715f, x));
    case activation_function::silu: return times_sigmoid(x, x);
    }
    return x;
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
