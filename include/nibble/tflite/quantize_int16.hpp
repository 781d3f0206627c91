// From floats to 16x8 and back. tflite/quantize.hpp does the same for int8. Zero points are 0, weights are those of int8.
//   choose_quantization   scale = max|x| / 32767 of a range that was observed
//   quantize_bias         q = half_away(bias / (x_scale * w_scale)) in int64; the product of the scales is rounded to float
//   quantize              q = clamp(half_away(x / scale)), the quotient in float: the reference kernel of TFLite's QUANTIZE. Its optimized
//                         kernel divides in double, which gives another code if the float quotient is rounded onto a half. NaN gives 0
//   dequantize            x = scale * q in float: TFLite's DEQUANTIZE
// Multipliers come from output_multipliers. This is plain C++, the same on every backend.
#pragma once

#include "../calibrate/observer.hpp"
#include "../core/strict_math.hpp"
#include "../quantize/quantize.hpp"
#include "quantize.hpp"
#include "requantize.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

/// X: std::int16_t. The scale is 1 where the range is one point at 0.
template <class X>
inline quantization choose_quantization(value_range range) noexcept
{
    static_assert(std::is_same_v<X, std::int16_t>, "int16; int8 has choose_quantization(range)");
    const default_fp_mode mode;
    const scale_and_zero_point p = params_of_range(
        pinned(range.low), pinned(range.high), {scheme::symmetric, params_formula::tflite}, codes_of<std::int16_t>(code_range::full));
    return {pinned(p.scale), p.zero_point};
}

/// w_scales: one, or one a channel, as many as bias. bias_too_large: a code is beyond 2^46, which requantization_16x8 does not take.
inline status quantize_bias(span<const float> bias, float x_scale, span<const float> w_scales, span<std::int64_t> codes) noexcept
{
    if (const status bad = detail::check_float_bias(bias, x_scale, w_scales, codes); bad != status::ok)
        return bad;
    const default_fp_mode mode;
    const auto steps_of = [&](std::size_t i) {
        return static_cast<double>(bias[i]) / static_cast<double>(x_scale * w_scales[w_scales.size() == 1 ? 0 : i]);
    };
    constexpr double beyond = 70368744177664.5; // 2^46 + 1/2
    for (std::size_t i = 0; i < bias.size(); ++i)
        if (const double steps = steps_of(i); steps >= beyond || steps <= -beyond)
            return status::bias_too_large;
    for (std::size_t i = 0; i < bias.size(); ++i) {
        const std::int64_t twice = static_cast<std::int64_t>(steps_of(i) * 2.0); // whole halves, so that nothing is rounded twice
        codes[i] = (twice + (twice > 0) - (twice < 0)) / 2;
    }
    return status::ok;
}

namespace detail {

NIBBLE_INLINE std::int16_t quantized_16(float x, float scale) noexcept
{
    const float steps = opaque(strict_math::choose(is_nan(x), 0.0f, x) / scale);
    // Before the conversion to an integer: what is larger need not fit one.
    return static_cast<std::int16_t>(strict_math::round(strict_math::clamp(steps, -32768.0f, 32767.0f)));
}

} // namespace detail

template <class Executor = serial_executor>
inline status quantize(span<const float> x, float scale, span<std::int16_t> q, Executor&& executor = Executor {})
{
    if (const status s = detail::check_spans(x, q); s != status::ok)
        return s;
    if (!is_positive_finite(scale))
        return status::scale_invalid;
    detail::for_each_code(x.size(), executor, [&](std::size_t i) { q[i] = detail::quantized_16(x[i], scale); });
    return status::ok;
}

template <class Executor = serial_executor>
inline status dequantize(span<const std::int16_t> q, float scale, span<float> x, Executor&& executor = Executor {})
{
    if (const status s = detail::check_spans(q, x); s != status::ok)
        return s;
    if (!is_positive_finite(scale))
        return status::scale_invalid;
    detail::for_each_code(q.size(), executor, [&](std::size_t i) { x[i] = scale * static_cast<float>(q[i]); });
    return status::ok;
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END
