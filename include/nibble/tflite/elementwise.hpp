// Sums and products of two int8 or int16 tensors, of one shape or broadcast.
//   add       y = requantization of m_a * ((a - a_zero_point) * 2^20) + m_b * ((b - b_zero_point) * 2^20), fixed-point modes only, where
//             m_a = a_scale / (2 max(a_scale, b_scale)), m_b likewise, and the requantization's multiplier is
//             2 max(a_scale, b_scale) / (2^20 y_scale): add_params. int16: 2^15 instead of 2^20
//   multiply  y = requantization of (a - a_zero_point) * (b - b_zero_point); multiplier or scale: a_scale * b_scale / y_scale, in
//             float, as in TFLite, even if it is encoded as a multiplier
// Each product with a multiplier is rounded by the requantization's mode. The mode double_rounding is TFLite's own arithmetic.
// int16 tensors have zero points of 0, as the specification requires.
//
// Broadcasting is that of numpy and TFLite, in four dimensions: each dimension of a and b is the output's or 1. A channel vector is
// 1 x 1 x 1 x channels, a scalar 1 x 1 x 1 x 1.
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/executor.hpp"
#include "../quantize/requantize.hpp"
#include "images.hpp"
#include "tflite.kernels.hpp"

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
    if (!is_positive_finite(q.scale))
        return status::scale_invalid;
    return q.zero_point < -128 || q.zero_point > 127 ? status::zero_point_out_of_range : status::ok;
}

/// X: std::int8_t or std::int16_t.
template <class X = std::int8_t>
inline result<add_multipliers> add_params(float a_scale, float b_scale, float y_scale) noexcept
{
    for (const float scale : {a_scale, b_scale, y_scale})
        if (!is_positive_finite(scale))
            return status::scale_invalid;
    const default_fp_mode mode;
    const double of_a = static_cast<double>(pinned(a_scale)), of_b = static_cast<double>(pinned(b_scale)), twice = 2.0 * larger(of_a, of_b);
    const double of_sum = static_cast<double>(1 << add_headroom<X>) * static_cast<double>(pinned(y_scale));
    const auto a = encode_multiplier(pinned(of_a / twice)), b = encode_multiplier(pinned(of_b / twice)),
               sum = encode_multiplier(pinned(twice / of_sum));
    if (!sum)
        return sum.error();
    return add_multipliers {*a, *b, *sum};
}

namespace detail {

/// Two operands of four dimensions as runs of elements: over a run, each advances by one or stays where it is.
class broadcast {
public:
    /// shape_mismatch if a dimension of a or b is neither y's nor 1.
    status set(const std::ptrdiff_t (&a)[4], const std::ptrdiff_t (&b)[4], const std::ptrdiff_t (&y)[4]) noexcept
    {
        std::ptrdiff_t a_size = 1, b_size = 1;
        bool in_run = true;
        for (int i = 3; i >= 0; --i) {
            if (y[i] != (a[i] == 1 ? b[i] : a[i]) || (b[i] != 1 && b[i] != y[i]))
                return status::shape_mismatch;
            const bool a_stays = a[i] != y[i], b_stays = b[i] != y[i];
            if (y[i] != 1 && run == 1) {
                a_repeated = a_stays;
                b_repeated = b_stays;
            }
            in_run = in_run && (y[i] == 1 || (a_stays == a_repeated && b_stays == b_repeated));
            if (in_run)
                run *= y[i];
            sizes_[i] = in_run ? 1 : y[i];
            a_strides_[i] = a_stays ? 0 : a_size;
            b_strides_[i] = b_stays ? 0 : b_size;
            runs *= sizes_[i];
            a_size *= a[i];
            b_size *= b[i];
        }
        return status::ok;
    }
    struct offsets {
        std::ptrdiff_t a, b;
    };
    offsets of_run(std::ptrdiff_t index) const noexcept
    {
        offsets at {0, 0};
        for (int i = 3; i >= 0; --i) {
            at.a += index % sizes_[i] * a_strides_[i];
            at.b += index % sizes_[i] * b_strides_[i];
            index /= sizes_[i];
        }
        return at;
    }

    std::ptrdiff_t runs = 1, run = 1;
    bool a_repeated = false, b_repeated = false;

private:
    std::ptrdiff_t sizes_[4] {}, a_strides_[4] {}, b_strides_[4] {};
};

template <class X, class Executor>
inline status run_elementwise(kernel<elementwise_args> run, elementwise_args args, images_view<const X> a, images_view<const X> b,
    const requantization& r, images_view<X> y, Executor&& executor)
{
    broadcast shape;
    if (const status s = shape.set(
            {a.batch, a.height, a.width, a.channels}, {b.batch, b.height, b.width, b.channels}, {y.batch, y.height, y.width, y.channels});
        s != status::ok)
        return s;
    if (const status s = nibble::detail::check_requantization<X>(r, 1, args.requantize); s != status::ok)
        return s;
    if (y.size() == 0)
        return status::ok;
    args.a_repeated = shape.a_repeated;
    args.b_repeated = shape.b_repeated;
    constexpr std::ptrdiff_t task = 65536;
    const std::ptrdiff_t pieces = (shape.run + task - 1) / task, together = task / shape.run + 1; // pieces of a run, of a task
    const std::ptrdiff_t all = shape.runs * pieces;
    executor.parallel_for(static_cast<std::size_t>((all + together - 1) / together), [&](std::size_t i) {
        const default_fp_mode mode;
        const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(i) * together;
        for (std::ptrdiff_t piece = first; piece < all && piece < first + together; ++piece) {
            const auto at = shape.of_run(piece / pieces);
            elementwise_args part = args;
            part.a = a.data + at.a;
            part.b = b.data + at.b;
            part.y = y.data + piece / pieces * shape.run;
            part.begin = piece % pieces * task;
            part.end = shape.run - part.begin < task ? shape.run : part.begin + task;
            run(part);
        }
    });
    return status::ok;
}

template <class X>
inline status check_elementwise(images_view<const X> a, std::int32_t a_zero_point, images_view<const X> b, std::int32_t b_zero_point,
    images_view<X> y, const requantization& r) noexcept
{
    for (const status s : {check(a), check(b), check(images_view<const X>(y))})
        if (s != status::ok)
            return s;
    for (const std::int32_t zero_point : {a_zero_point, b_zero_point})
        if (zero_point < -128 || zero_point > 127)
            return status::zero_point_out_of_range;
    if (sizeof(X) == 2 && r.zero_point != 0)
        return status::zero_point_out_of_range;
    return r.bias.empty() ? status::ok : status::params_count_mismatch;
}

template <class X>
inline images_view<X> flat(span<X> x) noexcept
{
    return {x.data(), 1, 1, 1, static_cast<std::ptrdiff_t>(x.size())};
}

/// b_sign: 1, or -1 for a difference.
template <class X, class Executor>
inline status add(images_view<const X> a, std::int32_t a_zero_point, images_view<const X> b, std::int32_t b_zero_point,
    const add_multipliers& m, requantization r, images_view<X> y, Executor&& executor, std::int32_t b_sign = 1)
{
    if (const status s = check_elementwise(a, a_zero_point, b, b_zero_point, y, r); s != status::ok)
        return s;
    if (r.mode == requantize_mode::float_ties_to_even)
        return status::requantize_mode_invalid;
    // Above 2^-1, a code times 2^20 and a multiplier could leave int32 once the two are added.
    for (const fixed_multiplier& each : {m.a, m.b})
        if (each.multiplier < 0 || each.shift < -31 || each.shift > 0)
            return status::multiplier_invalid;
    r.multiplier = span<const std::int32_t>(&m.sum.multiplier, 1);
    r.shift = span<const std::int32_t>(&m.sum.shift, 1);
    elementwise_args args {};
    args.a_zero_point = a_zero_point;
    args.b_zero_point = b_zero_point;
    args.a_multiplier = m.a.multiplier;
    args.a_shift = m.a.shift;
    args.b_multiplier = b_sign * m.b.multiplier;
    args.b_shift = m.b.shift;
    kernel<elementwise_args> run;
    if constexpr (sizeof(X) == 1)
        run = kernels::add_s8();
    else
        run = kernels::add_s16();
    return run_elementwise(run, args, a, b, r, y, executor);
}

template <class X, class Executor>
inline status multiply(images_view<const X> a, std::int32_t a_zero_point, images_view<const X> b, std::int32_t b_zero_point,
    const requantization& r, images_view<X> y, Executor&& executor)
{
    if (const status s = check_elementwise(a, a_zero_point, b, b_zero_point, y, r); s != status::ok)
        return s;
    elementwise_args args {};
    args.a_zero_point = a_zero_point;
    args.b_zero_point = b_zero_point;
    kernel<elementwise_args> run;
    if constexpr (sizeof(X) == 1)
        run = kernels::multiply_s8();
    else
        run = kernels::multiply_s16();
    return run_elementwise(run, args, a, b, r, y, executor);
}

} // namespace detail

/// r: mode, zero point and bounds of y; its multiplier is m.sum, whatever r holds.
template <class Executor = serial_executor>
inline status add(images_view<const std::int8_t> a, std::int32_t a_zero_point, images_view<const std::int8_t> b, std::int32_t b_zero_point,
    const add_multipliers& m, const requantization& r, images_view<std::int8_t> y, Executor&& executor = Executor {})
{
    return detail::add(a, a_zero_point, b, b_zero_point, m, r, y, executor);
}
template <class Executor = serial_executor>
inline status add(span<const std::int8_t> a, std::int32_t a_zero_point, span<const std::int8_t> b, std::int32_t b_zero_point,
    const add_multipliers& m, const requantization& r, span<std::int8_t> y, Executor&& executor = Executor {})
{
    if (a.size() != b.size())
        return status::shape_mismatch;
    return detail::add(detail::flat(a), a_zero_point, detail::flat(b), b_zero_point, m, r, detail::flat(y), executor);
}
/// m: add_params<std::int16_t>.
template <class Executor = serial_executor>
inline status add(images_view<const std::int16_t> a, images_view<const std::int16_t> b, const add_multipliers& m, const requantization& r,
    images_view<std::int16_t> y, Executor&& executor = Executor {})
{
    return detail::add(a, 0, b, 0, m, r, y, executor);
}

template <class Executor = serial_executor>
inline status multiply(images_view<const std::int8_t> a, std::int32_t a_zero_point, images_view<const std::int8_t> b,
    std::int32_t b_zero_point, const requantization& r, images_view<std::int8_t> y, Executor&& executor = Executor {})
{
    return detail::multiply(a, a_zero_point, b, b_zero_point, r, y, executor);
}
template <class Executor = serial_executor>
inline status multiply(span<const std::int8_t> a, std::int32_t a_zero_point, span<const std::int8_t> b, std::int32_t b_zero_point,
    const requantization& r, span<std::int8_t> y, Executor&& executor = Executor {})
{
    if (a.size() != b.size())
        return status::shape_mismatch;
    return detail::multiply(detail::flat(a), a_zero_point, detail::flat(b), b_zero_point, r, detail::flat(y), executor);
}
template <class Executor = serial_executor>
inline status multiply(images_view<const std::int16_t> a, images_view<const std::int16_t> b, const requantization& r,
    images_view<std::int16_t> y, Executor&& executor = Executor {})
{
    return detail::multiply(a, 0, b, 0, r, y, executor);
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END
