// Fake quantization: floats to the values that their codes stand for, and the gradients that training takes through it.
//   forward    q = the code of x by quantize/rule.hpp, within [qmin, qmax];  y = float(q - zero_point) * scale
//   backward   with v = x * (1 / scale), or x / scale, and z = zero_point, an element is clipped if v <= qmin - z or v >= qmax - z:
//                dy/dx           1, or 0 if clipped                                                    straight-through estimator
//                dy/dscale       (q - z) - v, or q - z if clipped                                      LSQ (Esser et al. 2019)
//                dy/dzero_point  0, or -scale if clipped                                               LSQ+ (Bhalgat et al. 2020)
//              PACT (Choi et al. 2018) learns alpha = qmax * scale and leaves the rounding error out: dy/dscale = 0, or q - z if clipped,
//              and dL/dalpha = dL/dscale / qmax. clip_test::code asks instead whether the rounded code left [qmin, qmax], as PyTorch does.
//              NaN counts as 0, as in the forward pass.
// The forward pass equals dequantize(quantize(x)) bit for bit. Sums of gradients have one order, which reference/fake_quantize.hpp states.
// All results are the same on every backend and for every executor. Stochastic rounding draws the same numbers forward and backward.
#pragma once

#include <cmath>

#include "quantize.hpp"

NIBBLE_BEGIN_TYPES

/// Parameters, codes of up to 8 bits in the range of int8 or of uint8, and the rule that rounds to them; the rule's own range is not used.
struct fake_quantization {
    quant_params_view params;
    code_limits codes {-128, 127};
    quantize_rule rule {};
};

/// Where gradients go: x's (may be dy itself), and one a scale and one a zero point, or empty if they are not learned.
struct fake_quantize_gradients {
    matrix_view<float> x;
    span<float> scale {};
    span<float> zero_point {};
};

struct gradient_rule {
    clip_test test = clip_test::value;
    scale_gradient scale = scale_gradient::lsq;
    float factor = 1.0f; ///< multiplies the gradients of scales and zero points; lsq_gradient_factor
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// LSQ's 1 / sqrt(elements * qmax), elements: how many share the scale.
inline float lsq_gradient_factor(std::ptrdiff_t elements, std::int32_t qmax) noexcept
{
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(elements > 0 ? elements : 1) * (qmax > 0 ? qmax : 1)));
}

/// Scratch floats that fake_quantize_backward needs where it computes gradients of scales or zero points; SIZE_MAX if they do not fit
/// std::ptrdiff_t.
inline std::size_t fake_quantize_scratch(granularity kind, std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t group_size = 0) noexcept
{
    if (rows < 1 || cols < 1 || ((kind == granularity::per_group || kind == granularity::per_block) && group_size < 1))
        return 0;
    const std::ptrdiff_t columns = strides_of(kind, cols, group_size).group_size;
    return (2 * checked_size(rows) * (cols / columns + (cols % columns != 0))).value();
}

namespace detail {

template <class T>
inline status check_like(matrix_view<const float> x, matrix_view<T> other) noexcept
{
    if (const status s = check(other); s != status::ok)
        return s;
    return other.rows != x.rows || other.cols != x.cols ? status::shape_mismatch : status::ok;
}

inline status check_fake_quantization(const fake_quantization& f, std::ptrdiff_t rows, std::ptrdiff_t cols) noexcept
{
    const bool is_signed = f.codes.qmin < 0;
    if (f.codes.qmin >= f.codes.qmax || f.codes.qmin < -128 || f.codes.qmax > (is_signed ? 127 : 255))
        return status::code_limits_invalid;
    return is_signed ? check_params<std::int8_t>(f.params, rows, cols) : check_params<std::uint8_t>(f.params, rows, cols);
}

template <class Args>
inline void set_fake_quantization(Args& args, matrix_view<const float> x, const fake_quantization& f) noexcept
{
    const params_strides strides = strides_of(f.params.kind, x.cols, f.params.group_size, f.params.block_rows);
    args.x = x.data;
    args.x_stride = x.stride;
    args.row_end = x.rows;
    args.cols = x.cols;
    args.block_rows = strides.block_rows;
    args.group_size = strides.group_size;
    args.scales = f.params.scales.data();
    args.zero_points = f.params.zero_points.empty() ? nullptr : f.params.zero_points.data();
    args.row_stride = strides.row;
    args.group_stride = strides.group;
    args.qmin = f.codes.qmin;
    args.qmax = f.codes.qmax;
    args.rule = f.rule;
}

} // namespace detail

/// x, y: rows x cols; y may be x itself.
template <class Executor = serial_executor>
inline status fake_quantize(matrix_view<const float> x, const fake_quantization& f, matrix_view<float> y, Executor&& executor = Executor {})
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_like(x, y); s != status::ok)
        return s;
    if (const status s = detail::check_fake_quantization(f, x.rows, x.cols); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    quantize_args args {};
    detail::set_fake_quantization(args, x, f);
    args.q = y.data;
    args.q_stride = y.stride;
    detail::run_rows(kernels::fake_quantize_f32(), args, executor);
    return status::ok;
}

/// The codes that fake_quantize rounds x to, stored as Q. code_limits_invalid if Q does not hold them.
template <class Q, class Executor = serial_executor>
inline status fake_quantized_codes(
    matrix_view<const float> x, const fake_quantization& f, matrix_view<Q> q, Executor&& executor = Executor {})
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_codes(x.rows, x.cols, q); s != status::ok)
        return s;
    if (f.codes.qmin >= f.codes.qmax || f.codes.qmin < code_traits<Q>::qmin || f.codes.qmax > code_traits<Q>::qmax)
        return status::code_limits_invalid;
    if (const status s = check_params<Q>(f.params, x.rows, x.cols); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    quantize_args args {};
    detail::set_fake_quantization(args, x, f);
    args.q = q.data;
    args.q_stride = q.stride;
    detail::run_rows(detail::quantize_kernel<Q>(), args, executor);
    return status::ok;
}

NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

namespace detail {

/// The sums of rows and groups to one a parameter, rows ascending, in double; times `factor`, and for zero points minus the scale.
inline void finish_gradients(const float* sums, std::ptrdiff_t rows, std::ptrdiff_t groups, std::ptrdiff_t block_rows, float factor,
    const float* scales, span<float> out) noexcept
{
    std::size_t at = 0;
    for (std::ptrdiff_t first = 0; first < rows; first += block_rows)
        for (std::ptrdiff_t g = 0; g < groups; ++g, ++at) {
            const std::ptrdiff_t end = rows - first < block_rows ? rows : first + block_rows;
            double total = 0.0;
            for (std::ptrdiff_t r = first; r < end; ++r)
                total += static_cast<double>(sums[r * groups + g]);
            const double scaled = total * static_cast<double>(factor);
            const float gradient = static_cast<float>(scales != nullptr ? scaled * -static_cast<double>(scales[at]) : scaled);
            out[at] = is_nan(gradient) ? quiet_nan() : gradient;
        }
}

} // namespace detail

/// x: what fake_quantize was given; dy: the gradient of its result. scratch: fake_quantize_scratch floats, or empty where out has neither
/// scale nor zero_point. A NaN in dy makes the gradients of its scale and zero point NaN.
template <class Executor = serial_executor>
inline status fake_quantize_backward(matrix_view<const float> x, matrix_view<const float> dy, const fake_quantization& f,
    fake_quantize_gradients out, span<float> scratch, gradient_rule how = {}, Executor&& executor = Executor {})
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_like(x, dy); s != status::ok)
        return s;
    if (const status s = detail::check_like(x, out.x); s != status::ok)
        return s;
    if (const status s = detail::check_fake_quantization(f, x.rows, x.cols); s != status::ok)
        return s;
    const std::size_t count = f.params.scales.size();
    if ((!out.scale.empty() && out.scale.size() != count) || (!out.zero_point.empty() && out.zero_point.size() != count))
        return status::params_count_mismatch;
    const std::size_t needed
        = out.scale.empty() && out.zero_point.empty() ? 0 : fake_quantize_scratch(f.params.kind, x.rows, x.cols, f.params.group_size);
    if (check(out.scale) != status::ok || check(out.zero_point) != status::ok)
        return status::null_pointer;
    if (const status s = check_room(scratch, needed); s != status::ok)
        return s;
    if (x.empty()) {
        for (float& gradient : out.scale)
            gradient = 0.0f;
        for (float& gradient : out.zero_point)
            gradient = 0.0f;
        return status::ok;
    }
    fake_quantize_backward_args args {};
    detail::set_fake_quantization(args, x, f);
    args.dy = dy.data;
    args.dy_stride = dy.stride;
    args.dx = out.x.data;
    args.dx_stride = out.x.stride;
    args.test = how.test;
    args.gradient = how.scale;
    if (needed != 0) {
        args.groups = static_cast<std::ptrdiff_t>(needed) / 2 / x.rows;
        args.scale_sums = scratch.data();
        args.zero_point_sums = scratch.data() + needed / 2;
    }
    detail::run_rows(kernels::fake_quantize_backward_f32(), args, executor);
    const bool all_rows = f.params.kind == granularity::per_tensor || f.params.kind == granularity::per_column;
    const std::ptrdiff_t block_rows = all_rows ? x.rows : args.block_rows;
    const default_fp_mode mode;
    if (!out.scale.empty())
        detail::finish_gradients(args.scale_sums, x.rows, args.groups, block_rows, how.factor, nullptr, out.scale);
    if (!out.zero_point.empty())
        detail::finish_gradients(args.zero_point_sums, x.rows, args.groups, block_rows, how.factor, args.scales, out.zero_point);
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
