// From a float layer to an int8 one:
//   weights       choose_params and quantize with preset::tflite_weights; per_tensor or per_channel, per_column for depthwise ones
//   activations   choose_quantization of a range that was observed (calibrate/), by preset::tflite_activations
//   bias          q = half_away(bias / (x_scale * w_scale)), saturated to int32; the product of the scales is rounded to float
//   multipliers   x_scale * w_scale / y_scale, encoded for the fixed-point modes as TFLite does: in double for convolutions, and for fully
//                 connected layers with a scale a channel; of a fully connected layer with one scale x_scale * w_scale is rounded to
//                 float. Or in float, from left to right, for the float mode, as onnxruntime and XNNPACK do
#pragma once

#include "../calibrate/observer.hpp"
#include "../quantize/quantize.hpp"
#include "elementwise.hpp"
#include "fixed_point.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

/// An activation's scale and zero point.
inline quantization choose_quantization(value_range range) noexcept
{
    const default_fp_mode mode;
    const scale_and_zero_point p = params_of_range(
        pinned(range.low), pinned(range.high), preset::tflite_activations.params, codes_of<std::int8_t>(code_range::full));
    return {pinned(p.scale), pinned(p.zero_point)};
}

namespace detail {

/// What quantize_bias asks of its arguments, whatever type the codes have.
template <class Code>
inline status check_float_bias(span<const float> bias, float x_scale, span<const float> w_scales, span<Code> codes) noexcept
{
    if (nibble::check(bias) != status::ok || nibble::check(w_scales) != status::ok || nibble::check(codes) != status::ok)
        return status::null_pointer;
    if (codes.size() != bias.size())
        return status::shape_mismatch;
    if (w_scales.size() != 1 && w_scales.size() != bias.size())
        return status::params_count_mismatch;
    const default_fp_mode mode;
    for (const float& b : bias)
        if (!is_finite(b))
            return status::not_finite;
    for (const float& w_scale : w_scales)
        if (!is_positive_finite(x_scale) || !is_positive_finite(w_scale) || !is_positive_finite(x_scale * w_scale))
            return status::scale_invalid;
    return status::ok;
}

} // namespace detail

/// w_scales: one, or one a channel, as many as bias.
inline status quantize_bias(span<const float> bias, float x_scale, span<const float> w_scales, span<std::int32_t> codes) noexcept
{
    if (const status bad = detail::check_float_bias(bias, x_scale, w_scales, codes); bad != status::ok)
        return bad;
    const default_fp_mode mode;
    for (std::size_t i = 0; i < bias.size(); ++i) {
        const double steps = static_cast<double>(bias[i]) / static_cast<double>(x_scale * w_scales[w_scales.size() == 1 ? 0 : i]);
        // Whole halves, so that nothing is added to what was rounded.
        const double bounded = clamped(steps, -2147483648.0, 2147483647.0);
        const std::int64_t twice = static_cast<std::int64_t>(bounded * 2.0);
        codes[i] = detail::saturated((twice + (twice > 0) - (twice < 0)) / 2);
    }
    return status::ok;
}

namespace detail {

/// product(w_scale): x_scale * w_scale, in double.
template <class Product>
inline status encode_multipliers(float x_scale, span<const float> w_scales, float y_scale, span<std::int32_t> multiplier,
    span<std::int32_t> shift, Product product) noexcept
{
    if (nibble::check(w_scales) != status::ok || nibble::check(multiplier) != status::ok || nibble::check(shift) != status::ok)
        return status::null_pointer;
    if (multiplier.size() != w_scales.size() || shift.size() != w_scales.size())
        return status::params_count_mismatch;
    if (!is_positive_finite(x_scale) || !is_positive_finite(y_scale))
        return status::scale_invalid;
    const default_fp_mode mode;
    const auto encode = [&](const float& w_scale) -> result<fixed_multiplier> {
        if (!is_positive_finite(w_scale))
            return status::scale_invalid;
        return encode_multiplier(product(w_scale) / static_cast<double>(y_scale));
    };
    for (const float& w_scale : w_scales)
        if (const auto m = encode(w_scale); !m)
            return m.error();
    for (std::size_t i = 0; i < w_scales.size(); ++i) {
        const auto m = encode(w_scales[i]);
        multiplier[i] = m->multiplier;
        shift[i] = m->shift;
    }
    return status::ok;
}

} // namespace detail

/// For the fixed-point modes, one a scale of the weights: of convolutions, depthwise and transposed ones.
inline status output_multipliers(
    float x_scale, span<const float> w_scales, float y_scale, span<std::int32_t> multiplier, span<std::int32_t> shift) noexcept
{
    return detail::encode_multipliers(x_scale, w_scales, y_scale, multiplier, shift,
        [&](float w_scale) noexcept { return static_cast<double>(x_scale) * static_cast<double>(w_scale); });
}

/// The same of fully connected layers: output_multipliers' ones where w_scales are several, one a channel.
inline status fully_connected_multipliers(
    float x_scale, span<const float> w_scales, float y_scale, span<std::int32_t> multiplier, span<std::int32_t> shift) noexcept
{
    if (w_scales.size() != 1)
        return output_multipliers(x_scale, w_scales, y_scale, multiplier, shift);
    return detail::encode_multipliers(x_scale, w_scales, y_scale, multiplier, shift,
        [&](float w_scale) noexcept { return static_cast<double>(opaque(x_scale * w_scale)); });
}

/// For the float mode.
inline status output_scales(float x_scale, span<const float> w_scales, float y_scale, span<float> scales) noexcept
{
    if (nibble::check(w_scales) != status::ok || nibble::check(scales) != status::ok)
        return status::null_pointer;
    if (scales.size() != w_scales.size())
        return status::params_count_mismatch;
    const default_fp_mode mode;
    for (const float& w_scale : w_scales)
        if (!is_positive_finite(w_scale) || !is_positive_finite(x_scale) || !is_positive_finite(y_scale)
            || !is_positive_finite(x_scale * w_scale / y_scale))
            return status::scale_invalid;
    for (std::size_t i = 0; i < w_scales.size(); ++i)
        scales[i] = x_scale * w_scales[i] / y_scale;
    return status::ok;
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END
