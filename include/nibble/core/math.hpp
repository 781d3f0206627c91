// Logarithm, exponential and power in double that give the same bits on every machine and compiler, unlike those of the C library.
// Calibration and evaluation use them, so a KL divergence is the same number everywhere. The relative error of log and exp is below 1e-15.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "config.hpp"
#include "strict_math.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// log x for positive, normal x; -infinity for 0 and subnormal x; x for an infinity or NaN. With x = 2^e m, m in [sqrt 1/2, sqrt 2), and
/// t = (m - 1) / (m + 1): log x = e log 2 + 2 (t + t^3 / 3 + ... + t^25 / 25), |t| < 0.172.
inline double portable_log(double x) noexcept
{
    std::uint64_t bits;
    std::memcpy(&bits, &x, 8);
    if (bits < 0x0010000000000000u)
        return -HUGE_VAL;
    if (bits >= 0x7ff0000000000000u)
        return x;
    int exponent = static_cast<int>(bits >> 52) - 1023;
    bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
    double m;
    std::memcpy(&m, &bits, 8);
    if (m > 1.4142135623730951) {
        m = m * 0.5;
        ++exponent;
    }
    const double t = (m - 1.0) / (m + 1.0), square = t * t, twice = t + t, e = exponent;
    double p = 1.0 / 25.0;
    for (int n = 23; n >= 3; n -= 2)
        p = strict_math::fma(p, square, 1.0 / n);
    // log 2 in two parts: the product of e and the first is exact.
    const double tail = strict_math::fma(twice * square, p, e * 1.9082149292705877e-10);
    return strict_math::fma(e, 0.6931471803691238, twice + tail);
}

/// e^x: infinity above 709.78, 0 below -708. x = n log 2 + r, 14 terms of the series of e^r, n added to the exponent.
inline double portable_exp(double x) noexcept
{
    if (!(x >= -708.0))
        return x < -708.0 ? 0.0 : x;
    const double bounded = smaller(x, 710.0), n = std::nearbyint(bounded * 1.4426950408889634);
    double r = strict_math::fma(n, -0.6931471803691238, bounded);
    r = strict_math::fma(n, -1.9082149292705877e-10, r);
    double p = 1.0;
    for (int i = 13; i >= 1; --i)
        p = strict_math::fma(p, r / i, 1.0);
    // 2^1024 is no double: the last doubling is a sum, which may overflow to infinity.
    const bool greatest = n > 1023.0;
    std::uint64_t bits;
    std::memcpy(&bits, &p, 8);
    bits += static_cast<std::uint64_t>(static_cast<std::int64_t>(n) - greatest) << 52;
    std::memcpy(&p, &bits, 8);
    return greatest ? p + p : p;
}

/// x^power for x >= 0; infinity above doubles, 0 below 3.3e-308.
inline double portable_pow(double x, double power) noexcept
{
    if (power == 0.0 || x == 1.0)
        return 1.0;
    return x > 0.0 ? portable_exp(power * portable_log(x)) : 0.0;
}

NIBBLE_END
NIBBLE_STRICT_END
