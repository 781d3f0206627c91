// Float operations whose bits are part of the contract, for code between NIBBLE_STRICT_BEGIN and NIBBLE_STRICT_END. The pragmas there bind
// operators only: clang gives -ffast-math's assumptions to the inline functions of <cmath>, to builtins (a fused multiply-add may become
// two roundings) and to the conditional operator (no operand is NaN).
#pragma once

#include "numeric.hpp"

#if defined(__clang__) && defined(__FAST_MATH__) && !defined(__aarch64__)
// Under a name that the compiler does not know.
extern "C" float nibble_libm_fmaf(float, float, float) noexcept __asm__("fmaf");
extern "C" double nibble_libm_fma(double, double, double) noexcept __asm__("fma");
#endif

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace strict_math {

/// c ? a : b
NIBBLE_INLINE float choose(bool c, float a, float b) noexcept { return float_from_bits(c ? float_bits(a) : float_bits(b)); }

/// x, or the end of [low, high] that it is beyond; NaN stays.
NIBBLE_INLINE float clamp(float x, float low, float high) noexcept { return choose(x < low, low, choose(high < x, high, x)); }

/// a * b + c with one rounding
NIBBLE_INLINE float fma(float a, float b, float c) noexcept
{
#if !defined(__clang__) || !defined(__FAST_MATH__)
    return __builtin_fmaf(a, b, c);
#elif defined(__aarch64__)
    float sum;
    __asm__("fmadd %s0, %s1, %s2, %s3" : "=w"(sum) : "w"(a), "w"(b), "w"(c));
    return sum;
#else
    return nibble_libm_fmaf(a, b, c);
#endif
}
NIBBLE_INLINE double fma(double a, double b, double c) noexcept
{
#if !defined(__clang__) || !defined(__FAST_MATH__)
    return __builtin_fma(a, b, c);
#elif defined(__aarch64__)
    double sum;
    __asm__("fmadd %d0, %d1, %d2, %d3" : "=w"(sum) : "w"(a), "w"(b), "w"(c));
    return sum;
#else
    return nibble_libm_fma(a, b, c);
#endif
}

/// average + rate * (x - average), each operation rounded once as in PyTorch's MovingAverageMinMaxObserver, or in double where the
/// difference is beyond float's range. Finite for finite numbers and a rate in [0, 1].
NIBBLE_INLINE float moved_average(float average, float x, float rate) noexcept
{
    const float difference = x - average;
    if (is_finite(difference))
        return average + opaque(rate * difference);
    const double from = static_cast<double>(average);
    return static_cast<float>(fma(static_cast<double>(rate), static_cast<double>(x) - from, from));
}

NIBBLE_INLINE float nearbyint(float x) noexcept { return __builtin_nearbyintf(x); }
NIBBLE_INLINE float round(float x) noexcept { return __builtin_roundf(x); }
NIBBLE_INLINE float floor(float x) noexcept { return __builtin_floorf(x); }
NIBBLE_INLINE float trunc(float x) noexcept { return __builtin_truncf(x); }
NIBBLE_INLINE long lrint(float x) noexcept { return __builtin_lrintf(x); }

} // namespace strict_math
NIBBLE_END
NIBBLE_STRICT_END
