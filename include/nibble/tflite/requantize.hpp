// Turns codes of one scale and zero point into codes of another, of the same or another integer type: TFLite's QUANTIZE of quantized
// tensors.
//   requantize   y = clamp(m * (x - x_zero_point) + y_zero_point), m = x_scale / y_scale in double, encoded, by double rounding
//   concatenate  of int16: the same for each input. TFLite copies the codes. That is the same if scales are equal, as the specification
//                requires. tables.hpp has int8
// X and Y: std::int8_t, std::uint8_t, std::int16_t or std::int32_t. TFLite has int8 and uint8 to each other, to themselves and to int16,
// int16 to int8, int16 and int32, int32 to int8 and int16. This is plain C++, the same on every backend. int8 to int8 is also possible by a
// table: requantize_table.
#pragma once

#include <limits>

#include "../core/fp_mode.hpp"
#include "../core/executor.hpp"
#include "elementwise.hpp"
#include "fixed_point.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {
namespace detail {

/// x_scale / y_scale for the fixed-point modes.
inline result<fixed_multiplier> multiplier_of_ratio(float x_scale, float y_scale) noexcept
{
    const default_fp_mode mode;
    const float from = pinned(x_scale), to = pinned(y_scale);
    return encode_multiplier(pinned(static_cast<double>(from) / static_cast<double>(to)));
}

/// The same in float, as TFLite's RELU, RELU6 and LEAKY_RELU have it.
inline result<fixed_multiplier> multiplier_of_float_ratio(float x_scale, float y_scale) noexcept
{
    const default_fp_mode mode;
    const float from = pinned(x_scale), to = pinned(y_scale);
    return encode_multiplier(pinned(static_cast<double>(from / to)));
}

} // namespace detail
} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN
namespace tflite {

namespace detail {

/// Scale and zero point of codes of type X.
template <class X>
inline status check_params(const quantization& q) noexcept
{
    if (!is_positive_finite(q.scale))
        return status::scale_invalid;
    const bool fits
        = q.zero_point >= std::int64_t {std::numeric_limits<X>::min()} && q.zero_point <= std::int64_t {std::numeric_limits<X>::max()};
    return fits ? status::ok : status::zero_point_out_of_range;
}

template <class X, class Y>
inline status check_spans(span<const X> x, span<Y> y) noexcept
{
    if (nibble::check(x) != status::ok || nibble::check(y) != status::ok)
        return status::null_pointer;
    return x.size() == y.size() ? status::ok : status::shape_mismatch;
}

/// function(i) for every i < count, in tasks of neighbours, in the default floating-point mode.
template <class Executor, class Function>
inline void for_each_code(std::size_t count, Executor&& executor, Function function)
{
    constexpr std::size_t task = 65536;
    executor.parallel_for((count + task - 1) / task, [&](std::size_t i) {
        const default_fp_mode mode;
        const std::size_t end = smaller(count, (i + 1) * task);
        for (std::size_t j = i * task; j < end; ++j)
            function(j);
    });
}

template <class X>
NIBBLE_INLINE std::int32_t requantized(
    X x, std::int32_t x_zero_point, fixed_multiplier m, std::int32_t y_zero_point, std::int32_t low, std::int32_t high) noexcept
{
    const std::int32_t steps = saturated_to(std::int64_t {x} - x_zero_point, INT32_MIN, INT32_MAX);
    return saturated_to(std::int64_t {times(steps, m)} + y_zero_point, low, high);
}

} // namespace detail

/// requantize<std::int8_t, std::int16_t>(x, ...). y may be x where the types are of one size. Zero points are values of their types;
/// those of int16 are 0 in the specification, but not in the output of TFLite's softmax from int8 to int16.
template <class X, class Y, class Executor = serial_executor>
inline status requantize(span<const X> x, quantization x_params, span<Y> y, quantization y_params, Executor&& executor = Executor {})
{
    constexpr auto is_code = [](auto type) {
        using T = decltype(type);
        return std::is_same_v<T,
                   std::int8_t> || std::is_same_v<T, std::uint8_t> || std::is_same_v<T, std::int16_t> || std::is_same_v<T, std::int32_t>;
    };
    static_assert(is_code(X {}) && is_code(Y {}), "int8, uint8, int16 or int32");
    for (const status s : {detail::check_spans(x, y), detail::check_params<X>(x_params), detail::check_params<Y>(y_params)})
        if (s != status::ok)
            return s;
    const auto m = detail::multiplier_of_ratio(x_params.scale, y_params.scale);
    if (!m)
        return m.error();
    constexpr std::int32_t low = std::numeric_limits<Y>::min(), high = std::numeric_limits<Y>::max();
    const fixed_multiplier by = *m;
    detail::for_each_code(x.size(), executor,
        [&](std::size_t i) { y[i] = static_cast<Y>(detail::requantized(x[i], x_params.zero_point, by, y_params.zero_point, low, high)); });
    return status::ok;
}

/// One input of an int16 concatenation: rows x its columns (what follows the axis), and its scale; zero points are 0.
struct concatenation_input_16 {
    matrix_view<const std::int16_t> x;
    float scale;
};

namespace detail {

/// Inputs side by side in the columns of y. rule_of(input): how its codes become y's, or the status that it has no rule; code_of(rule,
/// code). All is checked before anything is written.
template <class Input, class Y, class RuleOf, class CodeOf>
inline status concatenate_by(span<const Input> inputs, matrix_view<Y> y, RuleOf rule_of, CodeOf code_of) noexcept
{
    if (nibble::check(inputs) != status::ok)
        return status::null_pointer;
    if (const status s = nibble::check(y); s != status::ok)
        return s;
    std::ptrdiff_t cols = 0;
    for (const Input& input : inputs) {
        if (const status s = nibble::check(input.x); s != status::ok)
            return s;
        if (input.x.rows != y.rows || input.x.cols > y.cols - cols)
            return status::shape_mismatch;
        if (const auto rule = rule_of(input); !rule)
            return rule.error();
        cols += input.x.cols;
    }
    if (cols != y.cols)
        return status::shape_mismatch;
    if (y.empty())
        return status::ok;
    std::ptrdiff_t column = 0;
    for (const Input& input : inputs) {
        const auto rule = rule_of(input);
        for (std::ptrdiff_t r = 0; r < y.rows; ++r)
            for (std::ptrdiff_t c = 0; c < input.x.cols; ++c)
                y(r, column + c) = code_of(*rule, input.x(r, c));
        column += input.x.cols;
    }
    return status::ok;
}

} // namespace detail

/// Inputs side by side in the columns of y, as concatenate of int8.
inline status concatenate(span<const concatenation_input_16> inputs, float y_scale, matrix_view<std::int16_t> y) noexcept
{
    const auto rule_of = [&](const concatenation_input_16& input) noexcept -> result<fixed_multiplier> {
        if (!is_positive_finite(input.scale))
            return status::scale_invalid;
        return detail::multiplier_of_ratio(input.scale, y_scale);
    };
    if (!is_positive_finite(y_scale))
        return status::scale_invalid;
    return detail::concatenate_by(inputs, y, rule_of, [](fixed_multiplier m, std::int16_t code) noexcept {
        return static_cast<std::int16_t>(detail::requantized(code, 0, m, 0, -32768, 32767));
    });
}

} // namespace tflite
NIBBLE_END
