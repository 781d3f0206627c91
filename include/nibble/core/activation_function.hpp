// Activation functions of one float, for operators whose numbers stand apart from a product's rows. Every operation is rounded as in the
// kernels of gemm(), so that a function is the same bits everywhere.
#pragma once

#include "options.hpp"
#include "strict_math.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace detail {

/// ((c[0] t + c[1]) t + ...) t + c[N - 1]
template <std::size_t N>
inline float polynomial(float t, const float (&c)[N]) noexcept
{
    float p = c[0];
    for (std::size_t i = 1; i < N; ++i)
        p = strict_math::fma(p, t, c[i]);
    return p;
}

/// e^x for x in [-87, 88]: x = n ln 2 + r, |r| <= ln 2 / 2. ln 2 is two floats, of which n times the first is exact. n is added to the
/// exponent's bits: the bounds keep 2^n normal.
inline float bounded_exp(float x) noexcept
{
    constexpr float terms[] = {1.98756915e-4f, 1.39819995e-3f, 8.33345190e-3f, 4.16657959e-2f, 1.66666657e-1f, 0.5f};
    const float n = strict_math::nearbyint(x * 1.44269504f);
    const float r = strict_math::fma(n, -1.42860677e-6f, strict_math::fma(n, -0.693145752f, x));
    const float p = strict_math::fma(polynomial(r, terms), r * r, r) + 1.0f;
    return float_from_bits(float_bits(p) + (static_cast<std::uint32_t>(static_cast<std::int32_t>(n)) << 23));
}

/// x / (1 + e^-y), of y within [-88, 87]; a NaN in y counts as 0.
inline float times_sigmoid(float x, float y) noexcept
{
    const float minus = 0.0f - strict_math::clamp(y, -88.0f, 87.0f);
    return x / (1.0f + bounded_exp(strict_math::choose(is_nan(y), 0.0f, minus)));
}

/// x (1 + erf(x / sqrt 2)) / 2. erfc(z) = (a_1 t + ... + a_5 t^5) e^(-z z), t = 1 / (1 + 0.3275911 z), z >= 0: Abramowitz and Stegun
/// 7.1.26. At 13 erfc is far below what a sum with 2 keeps.
inline float gelu_erf(float x) noexcept
{
    constexpr float terms[] = {1.061405429f, -1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f};
    const float z = strict_math::clamp(x, -13.0f, 13.0f) * 0.707106781f;
    const float magnitude = strict_math::choose(is_nan(z), 0.0f, magnitude_of(z));
    const float t = 1.0f / strict_math::fma(magnitude, 0.3275911f, 1.0f), p = polynomial(t, terms) * t;
    const float e = bounded_exp((0.0f - magnitude) * magnitude);
    return x * 0.5f * strict_math::choose(z < 0.0f, p * e, strict_math::fma(0.0f - p, e, 2.0f));
}

inline float apply_activation(activation_function f, float x) noexcept
{
    switch (f) {
    case activation_function::none: return x;
    case activation_function::relu: return strict_math::choose(x < 0.0f, 0.0f, x);
    case activation_function::gelu: return gelu_erf(x);
    case activation_function::gelu_tanh: return times_sigmoid(x, 1.59576912f * strict_math::fma(x * x * x, 0.044715f, x));
    case activation_function::silu: return times_sigmoid(x, x);
    }
    return x;
}

} // namespace detail
NIBBLE_END
NIBBLE_STRICT_END
