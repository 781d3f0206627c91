// Activation functions of int16 tensors with zero points of 0, in the integers of TFLite's reference kernels.
//   logistic    1 / (1 + e^-x), y_scale 2^-15: |x| in steps of 1 / 12288, on the straight lines between sigmoid_points, rounded to 2^-15
//   tanh        2 / (1 + e^(-2 x)) - 1, y_scale 2^-15, from the same points
//   relu        y = clamp(m * x), m = x_scale / y_scale in float, encoded, by double rounding; the bounds are bounds_of(f, y)'s
//   leaky_relu  the same m if x >= 0, otherwise m = x_scale * alpha / y_scale, in float from left to right, negative if alpha is: in double
//               rounding ties of the product round up first. TFLite of 2026 rounds the magnitude and then takes the sign
// The steps of logistic and tanh are floor((x * m + 2^(shift - 1)) / 2^shift), where m = 12288 * x_scale * 2^shift, rounded down, with the
// greatest shift up to 31 for which the product is at most 32767. They are 3 x if x_scale is 2^-12 (6 x if it is 2^-11, tanh only) to
// within 10^-3 of its logarithm to base 2. TFLite's interpreter, unlike its reference kernels, computes those last two with gemmlowp's
// fixed point. TFLite has no HARD_SWISH of int16. All of this is plain C++, the same on every backend.
#pragma once

#include "../core/math.hpp"
#include "int16_tables.hpp"
#include "requantize.hpp"
#include "tables.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {
namespace detail {

/// Codes as steps of 1 / 12288.
struct sigmoid_steps {
    std::int32_t multiplier, shift;

    NIBBLE_INLINE std::int32_t of(std::int32_t code) const noexcept
    {
        return (code * multiplier + (shift > 0 ? 1 << (shift - 1) : 0)) >> shift;
    }
};

/// largest_power: 2^-12 ... 2^(largest_power - 12) are powers of two of their own.
inline result<sigmoid_steps> make_sigmoid_steps(float x_scale, std::int32_t largest_power) noexcept
{
    if (!is_positive_finite(x_scale))
        return status::scale_invalid;
    if (float_bits(x_scale) >= 0x402aaaabu) // 8/3: products of codes would leave int32.
        return status::scale_invalid;
    const default_fp_mode mode;
    const double scale = static_cast<double>(pinned(x_scale));
    const float log2 = pinned(static_cast<float>(portable_log(scale)) * (1.0f / 0.693147182f));
    for (std::int32_t power = 0; power <= largest_power; ++power) {
        const float apart = log2 - static_cast<float>(power - 12);
        if (apart > -1e-3f && apart < 1e-3f)
            return sigmoid_steps {3 << power, 0};
    }
    double real = pinned(scale * 12288.0);
    std::int32_t shift = 0;
    for (; real <= 16383.5 && shift <= 30; ++shift)
        real = real * 2.0;
    return sigmoid_steps {static_cast<std::int32_t>(real), shift};
}

struct leaky_multipliers {
    fixed_multiplier identity, alpha; ///< alpha's may be negative
};

inline result<leaky_multipliers> make_leaky_multipliers(float x_scale, float alpha, float y_scale) noexcept
{
    if (!is_positive_finite(x_scale) || !is_positive_finite(y_scale))
        return status::scale_invalid;
    if (!is_finite(alpha))
        return status::option_invalid;
    const default_fp_mode mode;
    const float from = pinned(x_scale), slope = pinned(magnitude_of(alpha)), to = pinned(y_scale);
    const auto identity = encode_multiplier(pinned(static_cast<double>(from / to)));
    const auto product = encode_multiplier(pinned(static_cast<double>(from * slope / to)));
    if (!identity || !product)
        return status::scale_invalid;
    const bool negative = float_bits(alpha) >> 31 != 0;
    return leaky_multipliers {*identity, {negative ? -product->multiplier : product->multiplier, product->shift}};
}

} // namespace detail
} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN
namespace tflite {

namespace detail {

/// 2^16 / (1 + e^-v) times 2^bits, v = steps / (24 * 2^bits) >= 0; the last point from its place on.
NIBBLE_INLINE std::int32_t sigmoid_of(std::int32_t steps, int bits) noexcept
{
    const std::int32_t i = steps >> bits, one = 1 << bits;
    return i >= 255 ? 0xffff * one : sigmoid_points[i] * (one - steps % one) + sigmoid_points[i + 1] * (steps % one);
}

/// 2^15 where the points end, which is no code: 2^15 - 1.
NIBBLE_INLINE std::int16_t logistic_of(std::int32_t steps) noexcept
{
    const std::int32_t q = (sigmoid_of(steps < 0 ? -steps : steps, 9) + 512) >> 10, positive = smaller(q, 32767);
    return static_cast<std::int16_t>(steps < 0 ? 32768 - positive : positive);
}

NIBBLE_INLINE std::int16_t tanh_of(std::int32_t steps) noexcept
{
    const std::int32_t positive = (sigmoid_of(steps < 0 ? -steps : steps, 8) - (1 << 23) + 128) >> 8;
    return static_cast<std::int16_t>(steps < 0 ? -positive : positive);
}

} // namespace detail

/// x_scale is below 8/3. y: of scale 2^-15 and zero point 0; may be x.
template <class Executor = serial_executor>
inline status logistic(span<const std::int16_t> x, float x_scale, span<std::int16_t> y, Executor&& executor = Executor {})
{
    if (const status s = detail::check_spans(x, y); s != status::ok)
        return s;
    const auto steps = detail::make_sigmoid_steps(x_scale, 0);
    if (!steps)
        return steps.error();
    detail::for_each_code(x.size(), executor, [&](std::size_t i) { y[i] = detail::logistic_of(steps->of(x[i])); });
    return status::ok;
}

/// As logistic.
template <class Executor = serial_executor>
inline status tanh(span<const std::int16_t> x, float x_scale, span<std::int16_t> y, Executor&& executor = Executor {})
{
    if (const status s = detail::check_spans(x, y); s != status::ok)
        return s;
    const auto steps = detail::make_sigmoid_steps(x_scale, 1);
    if (!steps)
        return steps.error();
    detail::for_each_code(x.size(), executor, [&](std::size_t i) { y[i] = detail::tanh_of(steps->of(x[i])); });
    return status::ok;
}

/// f: relu, relu6 or relu_n1_to_1; none is requantize with a ratio of scales in float. y may be x.
template <class Executor = serial_executor>
inline status relu(
    span<const std::int16_t> x, float x_scale, fused_activation f, span<std::int16_t> y, float y_scale, Executor&& executor = Executor {})
{
    if (const status s = detail::check_spans(x, y); s != status::ok)
        return s;
    const auto bounds = bounds_of<std::int16_t>(f, {y_scale, 0});
    if (!bounds || !is_positive_finite(x_scale))
        return status::scale_invalid;
    const auto m = detail::multiplier_of_float_ratio(x_scale, y_scale);
    if (!m)
        return m.error();
    const fixed_multiplier by = *m;
    const code_limits codes = *bounds;
    detail::for_each_code(x.size(), executor,
        [&](std::size_t i) { y[i] = static_cast<std::int16_t>(detail::requantized(x[i], 0, by, 0, codes.qmin, codes.qmax)); });
    return status::ok;
}

/// alpha: any finite number, else option_invalid. y may be x.
template <class Executor = serial_executor>
inline status leaky_relu(
    span<const std::int16_t> x, float x_scale, float alpha, span<std::int16_t> y, float y_scale, Executor&& executor = Executor {})
{
    if (const status s = detail::check_spans(x, y); s != status::ok)
        return s;
    const auto m = detail::make_leaky_multipliers(x_scale, alpha, y_scale);
    if (!m)
        return m.error();
    const detail::leaky_multipliers by = *m;
    detail::for_each_code(x.size(), executor, [&](std::size_t i) {
        y[i] = static_cast<std::int16_t>(detail::saturated_to(detail::times(x[i], x[i] < 0 ? by.alpha : by.identity), -32768, 32767));
    });
    return status::ok;
}

} // namespace tflite
NIBBLE_END
