// Softmax of int8 rows in fixed point, with the functions of gemmlowp that TFLite's own kernel uses:
//   d = (x - max of the row) * 2^26 * beta * x_scale, a number of 5 integer and 26 fraction bits; codes with d below -31 become -128
//   y = clamp(round(e^d / sum of e^d * 256) - 128): scale 1/256 and zero point -128, as the specification fixes them; or to int16, with
//       65536 for 256 and 32768 for 128
// Numbers of i integer bits are int32 with 31 - i fraction bits. Sums have 12 integer bits, so a row may have 4095 columns.
// This is plain C++, the same on every backend, because a classifier has one row for each image.
#pragma once

#include "../core/fp_mode.hpp"
#include "fixed_point.hpp"
#include "rows.hpp"

NIBBLE_BEGIN
namespace tflite {

namespace detail {

/// e^a of a in [-32, 0] with 5 integer bits, as a number without integer bits: a Taylor polynomial of 4th degree around -1/8 for what is
/// left of a modulo 1/4, then e^-(2^i) for each further bit of a.
inline std::int32_t exp_of_negative(std::int32_t a) noexcept
{
    if (a == 0)
        return INT32_MAX;
    constexpr std::int32_t quarter = 1 << 24, fraction_bits = 26;
    const std::int32_t part = (a & (quarter - 1)) - quarter;
    constexpr std::int32_t exp_of_eighth = 1895147668, third = 715827883;
    const std::int32_t x = shifted_up(part, 5) + (1 << 28), x2 = fixed_product(x, x), x3 = fixed_product(x2, x), x4 = fixed_product(x2, x2);
    const std::int32_t higher = divided(fixed_product(divided(x4, 2) + x3, third) + x2, 1);
    std::int32_t y = exp_of_eighth + fixed_product(exp_of_eighth, x + higher);
    const std::uint32_t rest = static_cast<std::uint32_t>(part - a);
    constexpr std::int32_t powers[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242}; // e^-(2^-2) ... e^-(2^4)
    for (int i = 0; i < 7; ++i)
        if (rest >> (fraction_bits - 2 + i) & 1)
            y = fixed_product(y, powers[i]);
    return y;
}

/// 1 / (1 + a) of a in [0, 1), both without integer bits: three steps of Newton and Raphson from 48/17 - 32/17 d, d = (1 + a) / 2.
inline std::int32_t reciprocal_of_one_plus(std::int32_t a) noexcept
{
    const std::int32_t d = static_cast<std::int32_t>((static_cast<std::int64_t>(a) + INT32_MAX + 1) / 2);
    std::int32_t x = 1515870810 + fixed_product(d, -1010580540); // two integer bits
    for (int i = 0; i < 3; ++i)
        x += shifted_up(fixed_product(x, (1 << 29) - fixed_product(d, x)), 2);
    return shifted_up(x, 1);
}

} // namespace detail

/// beta * x_scale as softmax uses it.
struct softmax_scale {
    fixed_multiplier multiplier;
    std::int32_t least; ///< differences below this give -128
};

inline result<softmax_scale> softmax_params(float x_scale, float beta = 1.0f) noexcept
{
    if (!is_positive_finite(x_scale) || !is_positive_finite(beta))
        return status::scale_invalid;
    const default_fp_mode mode;
    const float scale = pinned(x_scale), factor = pinned(beta);
    const double real = pinned(static_cast<double>(factor) * static_cast<double>(scale) * static_cast<double>(1 << 26));
    const auto m = encode_multiplier(smaller(real, 2147483647.0));
    if (!m)
        return m.error();
    // Below 1 the differences of codes are below 2^-18: TFLite refuses such scales.
    if (m->multiplier == 0 || m->shift < 0)
        return status::scale_invalid;
    const std::int64_t least = (std::int64_t {31} << 26) >> m->shift;
    return softmax_scale {*m, static_cast<std::int32_t>(-least)};
}

namespace detail {

/// Y: std::int8_t or std::int16_t.
template <class Y, class Executor>
inline status softmax_to(matrix_view<const std::int8_t> x, const softmax_scale& s, matrix_view<Y> y, Executor&& executor)
{
    if (const status bad = check_rows(x, y, 4095); bad != status::ok)
        return bad;
    if (s.multiplier.multiplier < 0 || s.multiplier.shift < 0 || s.multiplier.shift > 31 || s.least > 0)
        return status::multiplier_invalid;
    constexpr std::int32_t qmin = sizeof(Y) == 1 ? -128 : -32768;
    for_rows(x, y, executor, [&](const std::int8_t* from, Y* to) noexcept {
        const std::int32_t top = greatest_code(from, x.cols);
        const auto exp_of = [&](std::int32_t code) { return exp_of_negative(times(code - top, s.multiplier)); };
        std::int32_t sum = 0;
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            if (from[c] - top >= s.least)
                sum += divided(exp_of(from[c]), 12);
        // The sum is (1 + a) 2^units.
        int zeros = 0;
        while ((static_cast<std::uint32_t>(sum) << zeros & 0x80000000u) == 0)
            ++zeros;
        const std::int32_t units = 12 - zeros;
        const std::int32_t reciprocal
            = reciprocal_of_one_plus(static_cast<std::int32_t>((static_cast<std::uint32_t>(sum) << zeros) - 0x80000000u));
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            std::int32_t q = qmin;
            if (from[c] - top >= s.least)
                q = divided(fixed_product(reciprocal, exp_of(from[c])), units + 31 - 8 * static_cast<int>(sizeof(Y))) + qmin;
            to[c] = static_cast<Y>(smaller(q, -1 - qmin));
        }
    });
    return status::ok;
}

} // namespace detail

/// x, y: rows x cols, cols at most 4095. y may be x.
template <class Executor = serial_executor>
inline status softmax(
    matrix_view<const std::int8_t> x, const softmax_scale& s, matrix_view<std::int8_t> y, Executor&& executor = Executor {})
{
    return detail::softmax_to(x, s, y, executor);
}
/// To scale 1/65536 and zero point -32768.
template <class Executor = serial_executor>
inline status softmax(
    matrix_view<const std::int8_t> x, const softmax_scale& s, matrix_view<std::int16_t> y, Executor&& executor = Executor {})
{
    return detail::softmax_to(x, s, y, executor);
}

} // namespace tflite
NIBBLE_END
