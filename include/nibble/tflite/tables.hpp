// Functions of one int8 tensor, as tables of 256 codes.
//   requantize_table  y = clamp(m * (x - x_zero_point) + y_zero_point) by double rounding, m an encoded multiplier of x_scale / y_scale:
//                       without an activation the quotient is in double: TFLite's QUANTIZE of int8, and what concatenate does to each input
//                       with one it is in float, clamped to bounds_of(): TFLite's RELU, RELU6 and RELU_N1_TO_1
//   function_table    y = clamp(half_away(f(x_scale * (x - x_zero_point)) * (1 / y_scale)) + y_zero_point), in floats: TFLite's LOGISTIC
//                     and TANH; hard_swish is x clamp(x + 3, 0, 6) / 6, which TFLite's own computes in 16-bit fixed point
// Looking up is plain C++, the same on every backend. A table fits the first-level cache, so the cost is one load for each element.
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/activation_function.hpp"
#include "fixed_point.hpp"
#include "requantize.hpp"

NIBBLE_BEGIN
namespace tflite {

enum class fused_activation : std::uint8_t { none, relu, relu_n1_to_1, relu6 };
enum class table_function : std::uint8_t { logistic, tanh, hard_swish };

/// The code of code x is at[x + 128].
struct code_table {
    std::int8_t at[256];
};

/// What the specification fixes: real = scale * (q - zero_point) of an output.
inline constexpr quantization logistic_output {1.0f / 256.0f, -128}, softmax_output {1.0f / 256.0f, -128}, tanh_output {1.0f / 128.0f, 0},
    l2_normalization_output {1.0f / 128.0f, 0}, log_softmax_output {16.0f / 256.0f, 127};

} // namespace tflite
NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

/// The codes that a fused activation leaves: half_away(bound / scale) + zero_point, within those of X, std::int8_t or std::int16_t.
template <class X = std::int8_t>
inline result<code_limits> bounds_of(fused_activation f, quantization y) noexcept
{
    if (const status s = check(y); s != status::ok)
        return s;
    if (sizeof(X) == 2 && y.zero_point != 0)
        return status::zero_point_out_of_range;
    const default_fp_mode mode;
    constexpr std::int32_t qmin = code_traits<X>::qmin, qmax = code_traits<X>::qmax;
    const auto code = [&](float bound) {
        const float steps = strict_math::clamp(strict_math::round(pinned(bound / pinned(y.scale))), -1e6f, 1e6f);
        const std::int32_t q = static_cast<std::int32_t>(steps) + y.zero_point;
        return clamped(q, qmin, qmax);
    };
    switch (f) {
    case fused_activation::none: break;
    case fused_activation::relu: return code_limits {code(0.0f), qmax};
    case fused_activation::relu_n1_to_1: return code_limits {code(-1.0f), code(1.0f)};
    case fused_activation::relu6: return code_limits {code(0.0f), code(6.0f)};
    }
    return code_limits {qmin, qmax};
}

/// f other than none: TFLite's operator of that name, which rounds x_scale / y_scale to float before it encodes it; none: QUANTIZE, which
/// does not. scale_invalid also for a quotient of 2^31 or more.
inline result<code_table> requantize_table(quantization x, quantization y, fused_activation f = fused_activation::none) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    const auto bounds = bounds_of(f, y);
    if (!bounds)
        return bounds.error();
    const auto m
        = f == fused_activation::none ? detail::multiplier_of_ratio(x.scale, y.scale) : detail::multiplier_of_float_ratio(x.scale, y.scale);
    if (!m)
        return m.error();
    code_table table {};
    for (std::int32_t code = -128; code < 128; ++code)
        table.at[code + 128]
            = static_cast<std::int8_t>(detail::requantized(code, x.zero_point, *m, y.zero_point, bounds->qmin, bounds->qmax));
    return table;
}

inline result<code_table> function_table(table_function f, quantization x, quantization y) noexcept
{
    for (const status s : {check(x), check(y)})
        if (s != status::ok)
            return s;
    const default_fp_mode mode;
    const float x_scale = pinned(x.scale), steps_of_one = pinned(1.0f / pinned(y.scale));
    code_table table {};
    for (std::int32_t code = -128; code < 128; ++code) {
        const float v = x_scale * static_cast<float>(code - x.zero_point);
        float image = 0.0f;
        switch (f) {
        case table_function::logistic: image = nibble::detail::times_sigmoid(1.0f, v); break;
        case table_function::tanh: image = strict_math::fma(2.0f, nibble::detail::times_sigmoid(1.0f, v + v), -1.0f); break;
        case table_function::hard_swish: image = v * strict_math::clamp(v + 3.0f, 0.0f, 6.0f) / 6.0f; break;
        }
        // NaN is zero times the infinity that extreme scales give.
        const float ratio = pinned(image * steps_of_one), number = strict_math::choose(is_nan(ratio), 0.0f, ratio);
        const float steps = strict_math::clamp(strict_math::round(number), -1e6f, 1e6f);
        const std::int32_t q = static_cast<std::int32_t>(steps) + y.zero_point;
        table.at[code + 128] = static_cast<std::int8_t>(clamped(q, -128, 127));
    }
    return table;
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN
namespace tflite {

/// y may be x.
template <class Executor = serial_executor>
inline status look_up(span<const std::int8_t> x, const code_table& table, span<std::int8_t> y, Executor&& executor = Executor {})
{
    if (nibble::check(x) != status::ok || nibble::check(y) != status::ok)
        return status::null_pointer;
    if (x.size() != y.size())
        return status::shape_mismatch;
    detail::for_each_code(x.size(), executor, [&](std::size_t i) { y[i] = table.at[x[i] + 128]; });
    return status::ok;
}

/// One input of a concatenation: rows x its columns (what follows the axis), and its scale and zero point.
struct concatenation_input {
    matrix_view<const std::int8_t> x;
    quantization params;
};

/// Inputs side by side in the columns of y, each by its requantize_table; the specification itself wants equal parameters, for which the
/// table changes nothing. A tensor joined along an axis is a matrix of what comes before the axis by what follows.
inline status concatenate(span<const concatenation_input> inputs, quantization params, matrix_view<std::int8_t> y) noexcept
{
    return detail::concatenate_by(
        inputs, y, [&](const concatenation_input& input) noexcept { return requantize_table(input.params, params); },
        [](const code_table& table, std::int8_t code) noexcept { return table.at[code + 128]; });
}

} // namespace tflite
NIBBLE_END
