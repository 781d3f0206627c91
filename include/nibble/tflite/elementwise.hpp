// Sums and products of two int8 tensors of one shape.
//   add       y = requantization of m_a * ((a - a_zero_point) * 2^20) + m_b * ((b - b_zero_point) * 2^20), fixed-point modes only, where
//             m_a = a_scale / (2 max(a_scale, b_scale)), m_b likewise, and the requantization's multiplier is
//             2 max(a_scale, b_scale) / (2^20 y_scale): add_params
//   multiply  y = requantization of (a - a_zero_point) * (b - b_zero_point); multiplier or scale: a_scale * b_scale / y_scale
// Each product with a multiplier is rounded by the requantization's mode. TFLite's own arithmetic in the mode double_rounding.
#pragma once

#include "../quantize/requantize.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

/// real = scale * (code - zero_point).
struct quantization {
    float scale = 1.0f;
    std::int32_t zero_point = 0;
};

/// What add needs besides the zero points: multipliers of a, b and the sum.
struct add_multipliers {
    fixed_multiplier a, b, sum;
};

/// -128 ... 127 are zero points, scales are finite and above zero.
inline status check(const quantization& q) noexcept
{
    if (!valid_scale(float_bits(q.scale)))
        return status::scale_invalid;
    return q.zero_point < -128 || q.zero_point > 127 ? status::zero_point_out_of_range : status::ok;
}

inline result<add_multipliers> add_params(float a_scale, float b_scale, float y_scale) noexcept
{
    for (const float scale : {a_scale, b_scale, y_scale})
        if (!valid_scale(float_bits(scale)))
            return status::scale_invalid;
    const double twice = 2.0 * static_cast<double>(a_scale > b_scale ? a_scale : b_scale);
    const auto a = encode_multiplier(static_cast<double>(a_scale) / twice), b = encode_multiplier(static_cast<double>(b_scale) / twice),
               sum = encode_multiplier(twice / (static_cast<double>(1 << add_headroom) * static_cast<double>(y_scale)));
    if (!sum)
        return sum.error();
    return add_multipliers {*a, *b, *sum};
}

namespace detail {

template <class Executor>
inline status run_elementwise(void (*kernel)(const elementwise_args&) noexcept, elementwise_args args, const requantization& r,
    std::size_t count, Executor&& executor)
{
    if (const status s = nibble::detail::check_requantization<std::int8_t>(r, 1, args.requantize); s != status::ok)
        return s;
    constexpr std::size_t task = 65536;
    executor.parallel_for((count + task - 1) / task, [&](std::size_t i) {
        elementwise_args part = args;
        part.begin = static_cast<std::ptrdiff_t>(i * task);
        part.end = static_cast<std::ptrdiff_t>(count - i * task < task ? count : (i + 1) * task);
        const default_fp_mode mode;
        kernel(part);
    });
    return status::ok;
}

inline status check_elementwise(span<const std::int8_t> a, std::int32_t a_zero_point, span<const std::int8_t> b, std::int32_t b_zero_point,
    span<std::int8_t> y, const requantization& r) noexcept
{
    if (check(a) != status::ok || check(b) != status::ok || check(y) != status::ok)
        return status::null_pointer;
    if (a.size() != y.size() || b.size() != y.size())
        return status::shape_mismatch;
    for (const std::int32_t zero_point : {a_zero_point, b_zero_point})
        if (zero_point < -128 || zero_point > 127)
            return status::zero_point_out_of_range;
    return r.bias.empty() ? status::ok : status::params_count_mismatch;
}

} // namespace detail

/// r: mode, zero point and bounds of y; its multiplier is m.sum, whatever r holds.
template <class Executor = serial_executor>
inline status add(span<const std::int8_t> a, std::int32_t a_zero_point, span<const std::int8_t> b, std::int32_t b_zero_point,
    const add_multipliers& m, requantization r, span<std::int8_t> y, Executor&& executor = Executor {})
{
    if (const status s = detail::check_elementwise(a, a_zero_point, b, b_zero_point, y, r); s != status::ok)
        return s;
    if (r.mode == requantize_mode::float_ties_to_even)
        return status::requantize_mode_invalid;
    // Above 2^-1, a code times 2^20 and a multiplier could leave int32 once the two are added.
    for (const fixed_multiplier& each : {m.a, m.b})
        if (each.multiplier < 0 || each.shift < -31 || each.shift > 0)
            return status::multiplier_invalid;
    r.multiplier = span<const std::int32_t>(&m.sum.multiplier, 1);
    r.shift = span<const std::int32_t>(&m.sum.shift, 1);
    const elementwise_args args {
        a.data(), b.data(), y.data(), 0, 0, a_zero_point, b_zero_point, m.a.multiplier, m.a.shift, m.b.multiplier, m.b.shift, {}};
    return detail::run_elementwise(kernels().add_s8, args, r, y.size(), executor);
}

template <class Executor = serial_executor>
inline status multiply(span<const std::int8_t> a, std::int32_t a_zero_point, span<const std::int8_t> b, std::int32_t b_zero_point,
    const requantization& r, span<std::int8_t> y, Executor&& executor = Executor {})
{
    if (const status s = detail::check_elementwise(a, a_zero_point, b, b_zero_point, y, r); s != status::ok)
        return s;
    const elementwise_args args {a.data(), b.data(), y.data(), 0, 0, a_zero_point, b_zero_point, 0, 0, 0, 0, {}};
    return detail::run_elementwise(kernels().multiply_s8, args, r, y.size(), executor);
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END
