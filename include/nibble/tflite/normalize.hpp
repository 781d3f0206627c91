// Normalizes rows of int8 codes in fixed point, with the functions that TFLite's own kernels use. x_i are codes minus the zero point.
//   l2_normalization  y = clamp(x_i * (1 / sqrt(sum of x_i^2)) * 2^7): scale 1/128 and zero point 0. The root's reciprocal is five steps of
//                     Newton and Raphson; the scale of x cancels out, and a row of zeros gives zeros
//   log_softmax       y = clamp(half_away((d - log(sum of e^d)) * 16) + 127), d = (x_i - the row's greatest) * x_scale: scale 16/256 and
//                     zero point 127. d has 5 integer bits, as softmax.hpp says; sums have 12, so a row may have 4095 columns
// Products are rounded twice. This is plain C++, the same on every backend.
#pragma once

#include "rows.hpp"
#include "softmax.hpp"

NIBBLE_BEGIN
namespace tflite {

namespace detail {

NIBBLE_INLINE int leading_zeros(std::int32_t x) noexcept
{
    int zeros = 0;
    while (zeros < 32 && (static_cast<std::uint32_t>(x) << zeros & 0x80000000u) == 0)
        ++zeros;
    return zeros;
}

/// 1 / sqrt(x) of x >= 0, of 0 as of 1, as a multiplier and a shift of 0 or less.
inline fixed_multiplier inverse_root(std::int32_t x) noexcept
{
    if (x <= 1)
        return {INT32_MAX, 0};
    std::int32_t right = 11;
    for (; x >= 1 << 29; ++right)
        x /= 4;
    const std::int32_t pairs = (leading_zeros(x) - 1) / 2 - 1; // of bits, until x is in [2^27, 2^29)
    right -= pairs;
    x <<= 2 * pairs;
    // Numbers of 3 integer bits: x / 2 is in [1/4, 1), the root's reciprocal starts at 1.
    constexpr std::int32_t three_halves = 3 << 27, root_of_half = 1518500250;
    const std::int32_t half = divided(x >> 1, 1);
    std::int32_t y = 1 << 28;
    for (int i = 0; i < 5; ++i) {
        const std::int32_t cube = shifted_up(fixed_product(fixed_product(y, y), y), 6);
        y = shifted_up(fixed_product(three_halves, y) - fixed_product(half, cube), 3);
    }
    y = fixed_product(y, root_of_half);
    return right < 0 ? fixed_multiplier {y << -right, 0} : fixed_multiplier {y, -right};
}

/// log of a sum of exponentials, at least 1, with 12 integer bits, as a number with 5. x = 2^n r, r around 2^(-1/4), by whichever of two n
/// takes r nearer; log r is a quotient of polynomials in r - 2^(-1/4).
inline std::int32_t log_of_sum(std::int32_t x) noexcept
{
    constexpr std::int32_t log_2 = 1488522236, root_of_half = 1518500250, root_of_root_of_half = 1805811301, quarter = 1 << 23;
    constexpr std::int32_t a_numerator = 117049297, a_square = 127690142, a_constant = 1057819769, a_linear = 638450708;
    const int zeros = leading_zeros(x);
    const std::int32_t low = shifted_up(fixed_product(shifted_up(x, zeros - 1), root_of_half), 1);
    const int zeros_of_product = leading_zeros(fixed_product(x, root_of_half)) - 1;
    const std::int32_t high = shifted_up(x, zeros_of_product), r = smaller(low, high);
    // Powers of two have 6 integer bits, since one more than fits 5 is added to.
    const std::int32_t low_power = (12 - zeros) * (1 << 25) + quarter, high_power = (12 - zeros_of_product) * (1 << 25) - quarter;
    const std::int32_t power = larger(low_power, high_power);

    const std::int64_t sum = static_cast<std::int64_t>(r) + root_of_root_of_half;
    const std::int32_t p = static_cast<std::int32_t>((sum + 1) / 2), q = 2 * (r - root_of_root_of_half), square = fixed_product(q, q);
    const std::int32_t numerator = fixed_product(q, r) + fixed_product(fixed_product(q, square), a_numerator);
    const std::int32_t denominator
        = fixed_product(p, a_constant + q + fixed_product(a_square, square)) + fixed_product(a_linear, q); // less one
    const std::int32_t log_r = fixed_product(divided(numerator, 6), reciprocal_of_one_plus(denominator));
    return shifted_up(fixed_product(power, log_2) + log_r, 1);
}

} // namespace detail

/// x_scale as log_softmax uses it.
struct log_softmax_scale {
    fixed_multiplier multiplier;
    fixed_multiplier inverse; ///< from numbers with 5 integer bits to differences of codes
    std::int32_t least;       ///< differences below this do not count in the sum
};

} // namespace tflite
NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

/// scale_invalid for scales that are none, and at most 2^-26, which TFLite refuses.
inline result<log_softmax_scale> log_softmax_params(float x_scale) noexcept
{
    const default_fp_mode mode;
    const auto s = softmax_params(x_scale);
    if (!s)
        return s.error();
    if (s->multiplier.shift < 1 || (s->multiplier.shift == 1 && s->multiplier.multiplier == 1 << 30))
        return status::scale_invalid;
    const auto inverse = encode_multiplier(
        static_cast<double>(std::int64_t {1} << (31 - s->multiplier.shift)) / static_cast<double>(s->multiplier.multiplier));
    if (!inverse)
        return inverse.error();
    return log_softmax_scale {s->multiplier, *inverse, s->least};
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN
namespace tflite {

/// x, y: rows x cols, cols at most 33025, so that a sum of squares stays in int32. y may be x.
template <class Executor = serial_executor>
inline status l2_normalization(
    matrix_view<const std::int8_t> x, std::int32_t x_zero_point, matrix_view<std::int8_t> y, Executor&& executor = Executor {})
{
    if (const status bad = detail::check_rows(x, y, INT32_MAX / (255 * 255)); bad != status::ok)
        return bad;
    if (x_zero_point < -128 || x_zero_point > 127)
        return status::zero_point_out_of_range;
    detail::for_rows(x, y, executor, [&](const std::int8_t* from, std::int8_t* to) noexcept {
        std::int32_t sum = 0;
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            sum += (from[c] - x_zero_point) * (from[c] - x_zero_point);
        const fixed_multiplier root = detail::inverse_root(sum), m {root.multiplier, root.shift + 7};
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            to[c] = detail::to_s8(detail::times(from[c] - x_zero_point, m));
    });
    return status::ok;
}

/// x, y: rows x cols, cols at most 4095. y may be x.
template <class Executor = serial_executor>
inline status log_softmax(
    matrix_view<const std::int8_t> x, const log_softmax_scale& s, matrix_view<std::int8_t> y, Executor&& executor = Executor {})
{
    if (const status bad = detail::check_rows(x, y, 4095); bad != status::ok)
        return bad;
    if (s.multiplier.multiplier < 0 || s.multiplier.shift < 0 || s.multiplier.shift > 31 || s.least > 0 || s.inverse.multiplier < 0
        || s.inverse.shift < -31 || s.inverse.shift > 0)
        return status::multiplier_invalid;
    detail::for_rows(x, y, executor, [&](const std::int8_t* from, std::int8_t* to) noexcept {
        const std::int32_t top = detail::greatest_code(from, x.cols);
        const auto difference = [&](std::int32_t code) noexcept { return detail::times(code - top, s.multiplier); };
        std::int32_t sum = 0;
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            if (from[c] - top >= s.least)
                sum += detail::divided(detail::exp_of_negative(difference(from[c])), 12);
        const std::int32_t log = detail::log_of_sum(sum);
        // At and below this, a difference less the logarithm does not fit 5 integer bits.
        const std::int32_t fits = detail::times(log + INT32_MIN, s.inverse);
        const std::int32_t beyond = larger(fits, s.least - 1);
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            to[c] = from[c] - top > beyond ? detail::to_s8(detail::divided(difference(from[c]) - log, 22) + 127) : std::int8_t {-128};
    });
    return status::ok;
}

} // namespace tflite
NIBBLE_END
