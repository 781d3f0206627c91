// Activation functions of one int8 tensor, as tables of 256 codes for look_up(), and PRELU, whose slopes are a tensor.
//   leaky_relu_table  y = clamp(m * (x - x_zero_point) + y_zero_point): m = x_scale / y_scale if the difference is not negative, otherwise
//                     x_scale * alpha / y_scale; a negative alpha negates the multiplier, and ties of the product round up
//   elu_table         y = clamp(half_away(f(x_scale * (x - x_zero_point)) * (1 / y_scale)) + y_zero_point), f(v) = v, or e^v - 1 below 0
//   prelu             as leaky_relu_table, m = x_scale * alpha_scale / y_scale below 0, of (x - x_zero_point) * (alpha - alpha_zero_point)
// Multipliers are quotients in float, from left to right, as TFLite computes them, and products are rounded twice.
#pragma once

#include "../core/math.hpp"
#include "arithmetic.hpp"
#include "tables.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

/// What prelu multiplies by: x where it is not negative, and products of x and alpha.
struct prelu_multipliers {
    fixed_multiplier identity, slope;
};

inline result<prelu_multipliers> prelu_params(float x_scale, float alpha_scale, float y_scale) noexcept
{
    for (const float scale : {x_scale, alpha_scale, y_scale})
        if (!is_positive_finite(scale))
            return status::scale_invalid;
    const default_fp_mode mode;
    const auto identity = encode_multiplier(static_cast<double>(x_scale / y_scale)),
               slope = encode_multiplier(static_cast<double>(opaque(x_scale * alpha_scale) / y_scale));
    if (!identity || !slope)
        return status::scale_invalid;
    return prelu_multipliers {*identity, *slope};
}

/// alpha: finite, of any sign.
inline result<code_table> leaky_relu_table(quantization x, quantization y, float alpha) noexcept
{
    for (const status s : {check(x), check(y)})
        if (s != status::ok)
            return s;
    if (!is_finite(alpha))
        return status::option_invalid;
    const default_fp_mode mode;
    const float magnitude = magnitude_of(alpha);
    const auto identity = encode_multiplier(static_cast<double>(x.scale / y.scale));
    auto slope = encode_multiplier(static_cast<double>(opaque(x.scale * magnitude) / y.scale));
    if (!identity || !slope)
        return status::scale_invalid;
    if (float_bits(alpha) >> 31 != 0)
        slope->multiplier = -slope->multiplier;
    code_table table {};
    for (std::int32_t code = -128; code < 128; ++code) {
        const std::int32_t v = code - x.zero_point;
        const std::int32_t product = detail::times(v, v >= 0 ? *identity : *slope);
        table.at[code + 128] = detail::with_zero_point(product, y.zero_point);
    }
    return table;
}

inline result<code_table> elu_table(quantization x, quantization y) noexcept
{
    for (const status s : {check(x), check(y)})
        if (s != status::ok)
            return s;
    const default_fp_mode mode;
    const float inverse = 1.0f / y.scale;
    code_table table {};
    for (std::int32_t code = -128; code < 128; ++code) {
        const std::int32_t difference = code - x.zero_point;
        const float v = x.scale * static_cast<float>(difference);
        const float negative = strict_math::choose(difference < 0, v, 0.0f);
        const float below = static_cast<float>(portable_exp(static_cast<double>(negative))) - 1.0f;
        const float image = strict_math::choose(difference < 0, below, v);
        // An image of 0 has no steps, even of an infinite inverse.
        const float steps = strict_math::choose(image == 0.0f, 0.0f, strict_math::round(opaque(image * inverse)));
        table.at[code + 128] = detail::to_s8(static_cast<std::int32_t>(clamped(steps, -1000.0f, 1000.0f)) + y.zero_point);
    }
    return table;
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN
namespace tflite {

namespace detail {

// a: x; b: alpha; the multiplier of a: identity; that of b: slope.
inline void prelu_codes(const elementwise_args& args) noexcept
{
    std::int8_t* const y = static_cast<std::int8_t*>(args.y);
    const fixed_multiplier identity {args.a_multiplier, args.a_shift}, slope {args.b_multiplier, args.b_shift};
    for_codes(args, [&](std::ptrdiff_t i, std::int32_t x, std::int32_t alpha) noexcept {
        const std::int32_t v = x - args.a_zero_point;
        const std::int32_t product = v >= 0 ? times(v, identity) : times(v * (alpha - args.b_zero_point), slope);
        y[i] = with_zero_point(product, args.requantize.zero_point);
    });
}

} // namespace detail

/// alpha: of x's shape, or broadcast to it, mostly 1 x 1 x 1 x channels; y: of x's shape.
template <class Executor = serial_executor>
inline status prelu(images_view<const std::int8_t> x, std::int32_t x_zero_point, images_view<const std::int8_t> alpha,
    std::int32_t alpha_zero_point, const prelu_multipliers& m, std::int32_t y_zero_point, images_view<std::int8_t> y,
    Executor&& executor = Executor {})
{
    static constexpr float one = 1.0f;
    requantization r;
    r.scale = span<const float>(&one, 1);
    r.zero_point = y_zero_point;
    if (const status s = detail::check_elementwise(x, x_zero_point, alpha, alpha_zero_point, y, r); s != status::ok)
        return s;
    if (!detail::valid(m.identity) || !detail::valid(m.slope))
        return status::multiplier_invalid;
    if (x.batch != y.batch || x.height != y.height || x.width != y.width || x.channels != y.channels)
        return status::shape_mismatch;
    elementwise_args args {};
    args.a_zero_point = x_zero_point;
    args.b_zero_point = alpha_zero_point;
    args.a_multiplier = m.identity.multiplier;
    args.a_shift = m.identity.shift;
    args.b_multiplier = m.slope.multiplier;
    args.b_shift = m.slope.shift;
    return detail::run_elementwise(&detail::prelu_codes, args, x, alpha, r, y, executor);
}

} // namespace tflite
NIBBLE_END
