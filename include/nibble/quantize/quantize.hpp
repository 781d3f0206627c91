// Quantize and dequantize matrices of float32: to and from int8, uint8, int4x2, uint4x2, int2x4 and uint2x4.
//   quantize    by default q = clamp(round(x * (1 / scale)) + zero_point): 1 / scale is rounded once to float, then the product; ties to
//               even. rule.hpp has all other rules, and presets of what other systems do
//   dequantize  x = float(q - zero_point) * scale
// The bits are the same on every backend and for every executor. reference/quantize.hpp defines them.
// A byte holds two codes of 4 bits or four of 2 bits, the first in the lowest bits. Unused bits of a row's last byte are zero.
#pragma once

#include "../core/executor.hpp"
#include "../core/fp_mode.hpp"
#include "../core/numeric.hpp"
#include "../core/view.hpp"
#include "params.hpp"
#include "quantize.kernels.hpp"

NIBBLE_BEGIN

namespace detail {

template <class Q>
inline status check_codes(std::ptrdiff_t rows, std::ptrdiff_t cols, matrix_view<Q> q) noexcept
{
    if (const status s = check(q); s != status::ok)
        return s;
    return q.rows != rows || q.cols != elements_for<std::remove_const_t<Q>>(cols) ? status::shape_mismatch : status::ok;
}

/// run(args) for all rows, about 64 K elements a task.
template <class Args, class Executor>
inline void run_rows(kernel<Args> run, const Args& args, Executor&& executor)
{
    const std::ptrdiff_t task = args.cols < 65536 ? 65536 / args.cols : 1;
    executor.parallel_for(static_cast<std::size_t>((args.row_end + task - 1) / task), [&](std::size_t i) {
        Args part = args;
        part.row_begin = static_cast<std::ptrdiff_t>(i) * task;
        part.row_end = args.row_end - part.row_begin < task ? args.row_end : part.row_begin + task;
        const default_fp_mode mode;
        run(part);
    });
}

template <class Q>
inline quantize_args make_quantize_args(matrix_view<const float> x, matrix_view<Q> q, params_strides strides, quantize_rule rule) noexcept
{
    static_assert(sizeof(Q) == 1, "codes of 8, 4 or 2 bits");
    const code_limits codes = codes_of<Q>(rule.range);
    quantize_args args {};
    args.x = x.data;
    args.x_stride = x.stride;
    args.q = q.data;
    args.q_stride = q.stride;
    args.row_end = x.rows;
    args.cols = x.cols;
    args.block_rows = strides.block_rows;
    args.group_size = strides.group_size;
    args.row_stride = strides.row;
    args.group_stride = strides.group;
    args.qmin = codes.qmin;
    args.qmax = codes.qmax;
    args.rule = rule;
    return args;
}

/// The kernel that writes codes of type Q.
template <class Q>
inline kernel<quantize_args> quantize_kernel() noexcept
{
    if constexpr (code_traits<Q>::per_element == 1)
        return kernels::quantize_8();
    else if constexpr (code_traits<Q>::per_element == 2)
        return kernels::quantize_4();
    else
        return kernels::quantize_2();
}

/// The kernel that reads codes of type Q.
template <class Q>
inline kernel<dequantize_args> dequantize_kernel() noexcept
{
    constexpr bool is_signed = code_traits<Q>::qmin < 0;
    if constexpr (code_traits<Q>::per_element == 1)
        return is_signed ? kernels::dequantize_s8() : kernels::dequantize_u8();
    else if constexpr (code_traits<Q>::per_element == 2)
        return is_signed ? kernels::dequantize_s4() : kernels::dequantize_u4();
    else
        return is_signed ? kernels::dequantize_s2() : kernels::dequantize_u2();
}

} // namespace detail

/// x: rows x cols; q: rows x cols, or rows x ceil(cols / 2) pairs, or rows x ceil(cols / 4) quads.
template <class Q, class Executor = serial_executor>
inline status quantize(
    matrix_view<const float> x, quant_params_view p, matrix_view<Q> q, quantize_rule rule = {}, Executor&& executor = Executor {})
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_codes(x.rows, x.cols, q); s != status::ok)
        return s;
    if (const status s = check_params<Q>(p, x.rows, x.cols); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    quantize_args args = detail::make_quantize_args(x, q, strides_of(p.kind, x.cols, p.group_size, p.block_rows), rule);
    args.scales = p.scales.data();
    args.zero_points = p.zero_points.empty() ? nullptr : p.zero_points.data();
    detail::run_rows(detail::quantize_kernel<Q>(), args, executor);
    return status::ok;
}

/// Symmetric quantization with scales from the data, in one pass: scale = max|x| / qmax of each row or group, narrow codes, ties to even.
/// The codes and scales are those of choose_params and quantize. A group with a NaN or an infinity gets the scale NaN, which nothing
/// else here accepts.
/// Q: int8 or int4x2. p.kind: per_channel or per_group; scales: params_count.
template <class Q, class Executor = serial_executor>
inline status quantize_dynamic(matrix_view<const float> x, granularity kind, std::ptrdiff_t group_size, span<float> scales,
    matrix_view<Q> q, Executor&& executor = Executor {})
{
    static_assert(code_traits<Q>::qmin < 0 && code_traits<Q>::per_element <= 2, "int8 or int4x2");
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_codes(x.rows, x.cols, q); s != status::ok)
        return s;
    if (kind != granularity::per_channel && kind != granularity::per_group)
        return status::granularity_unsupported;
    if (const status s = check_grouping<Q>(kind, group_size, 1); s != status::ok)
        return s;
    if (scales.size() != static_cast<std::size_t>(params_count(kind, x.rows, x.cols, group_size)))
        return status::params_count_mismatch;
    if (check(scales) != status::ok)
        return status::null_pointer;
    if (x.empty()) {
        for (float& scale : scales)
            scale = 1.0f;
        return status::ok;
    }
    quantize_rule rule;
    rule.range = code_range::narrow;
    quantize_args args = detail::make_quantize_args(x, q, strides_of(kind, x.cols, group_size), rule);
    args.scales_out = scales.data();
    if constexpr (code_traits<Q>::per_element == 1)
        detail::run_rows(kernels::quantize_absmax_8(), args, executor);
    else
        detail::run_rows(kernels::quantize_absmax_4(), args, executor);
    return status::ok;
}

template <class Q, class Executor = serial_executor>
inline status dequantize(matrix_view<const Q> q, quant_params_view p, matrix_view<float> x, Executor&& executor = Executor {})
{
    static_assert(sizeof(Q) == 1, "codes of 8, 4 or 2 bits");
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_codes(x.rows, x.cols, q); s != status::ok)
        return s;
    if (const status s = check_params<Q>(p, x.rows, x.cols); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    const params_strides strides = strides_of(p.kind, x.cols, p.group_size, p.block_rows);
    const dequantize_args args {q.data, q.stride, x.data, x.stride, 0, x.rows, x.cols, strides.block_rows, strides.group_size,
        p.scales.data(), p.zero_points.empty() ? nullptr : p.zero_points.data(), strides.row, strides.group};
    detail::run_rows(detail::dequantize_kernel<Q>(), args, executor);
    return status::ok;
}

/// Scales (and zero points) from the data, by the formulas of params.hpp; not_finite if x holds a NaN or an infinity.
/// zero_points: params_count, or empty for symmetric codes of a signed type. scratch: choose_params_scratch floats.
template <class Q>
inline status choose_params(matrix_view<const float> x, params_rule rule, granularity kind, std::ptrdiff_t group_size, span<float> scales,
    span<std::int32_t> zero_points, span<float> scratch, std::ptrdiff_t block_rows = 1) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = check_grouping<Q>(kind, group_size, block_rows); s != status::ok)
        return s;
    const std::size_t count = static_cast<std::size_t>(params_count(kind, x.rows, x.cols, group_size, block_rows));
    const bool may_lack_zero_points = rule.how == scheme::symmetric && code_traits<Q>::qmin < 0;
    if (scales.size() != count || (zero_points.size() != count && !(zero_points.empty() && may_lack_zero_points)))
        return status::params_count_mismatch;
    if (check(scales) != status::ok || check(zero_points) != status::ok)
        return status::null_pointer;
    if (const status s = check_room(scratch, (2 * checked_size(count)).value()); s != status::ok)
        return s;
    float *const low = scratch.data(), *const high = low + count;
    const default_fp_mode mode;
    if (x.empty()) {
        for (std::size_t i = 0; i < 2 * count; ++i)
            scratch[i] = 0.0f;
    } else {
        const params_strides strides = strides_of(kind, x.cols, group_size, block_rows);
        const bool all_rows = kind == granularity::per_tensor || kind == granularity::per_column;
        kernels::range_f32()({x.data, x.stride, x.rows, x.cols, all_rows ? x.rows : strides.block_rows, strides.group_size, low, high});
    }
    for (std::size_t i = 0; i < count; ++i)
        if (is_nan(low[i]))
            return status::not_finite;
    for (std::size_t i = 0; i < count; ++i) {
        const scale_and_zero_point chosen = params_of_range(low[i], high[i], rule, codes_of<Q>(rule.range));
        scales[i] = chosen.scale;
        if (!zero_points.empty())
            zero_points[i] = chosen.zero_point;
    }
    return status::ok;
}

/// Scratch floats that choose_params needs; SIZE_MAX if they do not fit std::ptrdiff_t.
NIBBLE_INLINE constexpr std::size_t choose_params_scratch(
    granularity kind, std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t group_size = 0, std::ptrdiff_t block_rows = 1) noexcept
{
    return (2 * checked_size(params_count(kind, rows, cols, group_size, block_rows))).value();
}

NIBBLE_END
