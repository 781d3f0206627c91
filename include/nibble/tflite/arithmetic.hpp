// Differences and extremes of two int8 tensors, of one shape or broadcast as elementwise.hpp says.
//   subtract            add with the multiplier of b negated, which is TFLite's own SUB
//   squared_difference  d = m_a * ((a - a_zero_point) * 2^7) - m_b * ((b - b_zero_point) * 2^7), y = requantization of d^2, fixed-point
//                       modes only; m_a = a_scale / (2 max(a_scale, b_scale)), m_b likewise, and the requantization's multiplier is
//                       (2 max(a_scale, b_scale))^2 / (2^14 y_scale): squared_difference_params
//   maximum, minimum    of the codes; the specification requires one scale and zero point for a, b and y
// Each product with a multiplier is rounded by the requantization's mode. The mode double_rounding is TFLite's own arithmetic.
#pragma once

#include "elementwise.hpp"
#include "fixed_point.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

/// Multipliers of a, b and the squared difference, as add_multipliers. scale_invalid for scales that are none, or a square beyond 2^31.
inline result<add_multipliers> squared_difference_params(float a_scale, float b_scale, float y_scale) noexcept
{
    for (const float scale : {a_scale, b_scale, y_scale})
        if (!is_positive_finite(scale))
            return status::scale_invalid;
    const default_fp_mode mode;
    const double twice = 2.0 * static_cast<double>(larger(a_scale, b_scale));
    const auto a = encode_multiplier(static_cast<double>(a_scale) / twice), b = encode_multiplier(static_cast<double>(b_scale) / twice),
               square = encode_multiplier(twice * twice / (16384.0 * static_cast<double>(y_scale)));
    if (!square)
        return square.error();
    return add_multipliers {*a, *b, *square};
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN
namespace tflite {

namespace detail {

/// Of a run that run_elementwise hands out: element i of a repeated operand is its first.
template <class Each>
inline void for_codes(const elementwise_args& args, Each each) noexcept
{
    const std::int8_t *const a = static_cast<const std::int8_t*>(args.a), *const b = static_cast<const std::int8_t*>(args.b);
    if (args.a_repeated)
        for (std::ptrdiff_t i = args.begin; i < args.end; ++i)
            each(i, a[0], b[i]);
    else if (args.b_repeated)
        for (std::ptrdiff_t i = args.begin; i < args.end; ++i)
            each(i, a[i], b[0]);
    else
        for (std::ptrdiff_t i = args.begin; i < args.end; ++i)
            each(i, a[i], b[i]);
}

template <bool Greatest>
inline void extremes(const elementwise_args& args) noexcept
{
    std::int8_t* const y = static_cast<std::int8_t*>(args.y);
    for_codes(args, [y](std::ptrdiff_t i, std::int8_t a, std::int8_t b) noexcept { y[i] = (a > b) == Greatest ? a : b; });
}

template <class Lazy = void>
inline void square_differences(const elementwise_args& args) noexcept
{
    constexpr std::ptrdiff_t block = 64;
    constexpr std::int32_t headroom = 1 << 7;
    const requantize_mode mode = args.requantize.mode;
    for (elementwise_args part = args; part.begin < args.end; part.begin = part.end) {
        part.end = args.end - part.begin < block ? args.end : part.begin + block;
        std::int32_t squares[block];
        for_codes(part, [&](std::ptrdiff_t i, std::int32_t a, std::int32_t b) noexcept {
            const std::int32_t d = rescaled(mode, (a - args.a_zero_point) * headroom, {args.a_multiplier, args.a_shift})
                                   - rescaled(mode, (b - args.b_zero_point) * headroom, {args.b_multiplier, args.b_shift});
            squares[i - part.begin] = d * d; // |d| <= 255 * 2^7
        });
        requantize_few<Lazy>(squares, part.end - part.begin, args.requantize, static_cast<std::int8_t*>(args.y) + part.begin);
    }
}

template <bool Greatest, class Executor>
inline status extreme(images_view<const std::int8_t> a, images_view<const std::int8_t> b, images_view<std::int8_t> y, Executor&& executor)
{
    static constexpr float one = 1.0f;
    requantization none;
    none.scale = span<const float>(&one, 1);
    if (const status s = check_elementwise(a, 0, b, 0, y, none); s != status::ok)
        return s;
    return run_elementwise(&extremes<Greatest>, elementwise_args {}, a, b, none, y, executor);
}

} // namespace detail

/// y = a - b; m: add_params. r: mode (fixed-point), zero point and bounds of y; its multiplier is m.sum, whatever r holds.
template <class Executor = serial_executor>
inline status subtract(images_view<const std::int8_t> a, std::int32_t a_zero_point, images_view<const std::int8_t> b,
    std::int32_t b_zero_point, const add_multipliers& m, const requantization& r, images_view<std::int8_t> y,
    Executor&& executor = Executor {})
{
    return detail::add(a, a_zero_point, b, b_zero_point, m, r, y, executor, -1);
}

/// y = (a - b)^2; m: squared_difference_params. r as in subtract.
template <class Executor = serial_executor>
inline status squared_difference(images_view<const std::int8_t> a, std::int32_t a_zero_point, images_view<const std::int8_t> b,
    std::int32_t b_zero_point, const add_multipliers& m, requantization r, images_view<std::int8_t> y, Executor&& executor = Executor {})
{
    if (const status s = detail::check_elementwise(a, a_zero_point, b, b_zero_point, y, r); s != status::ok)
        return s;
    if (r.mode == requantize_mode::float_ties_to_even)
        return status::requantize_mode_invalid;
    // Above 2^-1, a square could leave int32.
    for (const fixed_multiplier& each : {m.a, m.b})
        if (each.multiplier < 0 || each.shift < -31 || each.shift > 0 || (each.shift == 0 && each.multiplier > 1 << 30))
            return status::multiplier_invalid;
    r.multiplier = span<const std::int32_t>(&m.sum.multiplier, 1);
    r.shift = span<const std::int32_t>(&m.sum.shift, 1);
    elementwise_args args {};
    args.a_zero_point = a_zero_point;
    args.b_zero_point = b_zero_point;
    args.a_multiplier = m.a.multiplier;
    args.a_shift = m.a.shift;
    args.b_multiplier = m.b.multiplier;
    args.b_shift = m.b.shift;
    return detail::run_elementwise(&detail::square_differences<>, args, a, b, r, y, executor);
}

/// a, b and y have one scale and zero point.
template <class Executor = serial_executor>
inline status maximum(
    images_view<const std::int8_t> a, images_view<const std::int8_t> b, images_view<std::int8_t> y, Executor&& executor = Executor {})
{
    return detail::extreme<true>(a, b, y, executor);
}
template <class Executor = serial_executor>
inline status minimum(
    images_view<const std::int8_t> a, images_view<const std::int8_t> b, images_view<std::int8_t> y, Executor&& executor = Executor {})
{
    return detail::extreme<false>(a, b, y, executor);
}

} // namespace tflite
NIBBLE_END
