// Depthwise convolution of int8 images, or of int16 ones by int8 weights (16x8, int16.hpp): output channel o sees input channel
// i = o / multiplier only.
//   sum[o] over ky, kx of (x[oy * stride - pad_top + ky * dilation, ..., i] - x_zero_point) * w[ky, kx, o]
//   y[o] = requantization of sum[o], its bias included; taps outside the image add nothing
// Weights have TFLite's layout, 1 x kernel_height x kernel_width x output channels. They need no packing and no scratch memory.
#pragma once

#include "../gemm/gemm.hpp"
#include "images.hpp"
#include "tflite.kernels.hpp"
#include "int16.hpp"

NIBBLE_BEGIN
namespace tflite {

namespace detail {

inline constexpr std::ptrdiff_t max_taps_16x8 = INT32_MAX / (32768 * 128);

template <class X, class Requantization, class Executor>
inline status run_depthwise(images_view<const X> x, std::int32_t x_zero_point, matrix_view<const std::int8_t> w, const window& at,
    std::ptrdiff_t most_taps, const Requantization& r, images_view<X> y, Executor&& executor)
{
    for (const status s : {check(x), check(w), check(images_view<const X>(y)), check(at)})
        if (s != status::ok)
            return s;
    if (x_zero_point < -128 || x_zero_point > 127)
        return status::zero_point_out_of_range;
    const std::ptrdiff_t multiplier = x.channels == 0 ? 0 : y.channels / x.channels;
    if (x.batch != y.batch || multiplier * x.channels != y.channels || w.rows != at.kernel_height * at.kernel_width || w.cols != y.channels
        || (!w.empty() && w.rows > 1 && w.stride != w.cols) || y.height != output_height(at, x.height)
        || y.width != output_width(at, x.width))
        return status::shape_mismatch;
    if (w.rows > most_taps)
        return status::k_too_large;
    depthwise_args args {x.data, x.height, x.width, x.channels, x_zero_point, w.data, multiplier, at.kernel_height, at.kernel_width,
        at.stride_height, at.stride_width, at.dilation_height, at.dilation_width, at.pad_top, at.pad_left, y.data, y.height, y.width, 0,
        y.batch * y.height, {}, {}};
    if (const status s = check_output<X>(r, y.channels, args.requantize, args.wide); s != status::ok)
        return s;
    if (y.size() == 0)
        return status::ok;
    kernel<depthwise_args> run;
    if constexpr (sizeof(X) == 1)
        run = kernels::depthwise_s8();
    else
        run = kernels::depthwise_s16();
    const std::ptrdiff_t products = y.width * y.channels * w.rows, task = products < 262144 ? 262144 / products : 1;
    executor.parallel_for(static_cast<std::size_t>((args.row_end + task - 1) / task), [&](std::size_t i) {
        depthwise_args part = args;
        part.row_begin = static_cast<std::ptrdiff_t>(i) * task;
        part.row_end = args.row_end - part.row_begin < task ? args.row_end : part.row_begin + task;
        const default_fp_mode mode;
        run(part);
    });
    return status::ok;
}

} // namespace detail

/// w: (kernel_height * kernel_width) x output channels, contiguous. multiplier: output channels an input channel; the kernels are fast
/// for 1 and kernels of at most 64 taps.
template <class Executor = serial_executor>
inline status depthwise_conv2d(images_view<const std::int8_t> x, std::int32_t x_zero_point, matrix_view<const std::int8_t> w,
    const window& at, const requantization& r, images_view<std::int8_t> y, Executor&& executor = Executor {})
{
    return detail::run_depthwise(x, x_zero_point, w, at, max_k(false, true, false), r, y, executor);
}

/// Kernels of at most 511 taps, whose sums fit int32 before the bias is added. r: requantization_16x8, or requantization for an int32 bias.
template <class Executor = serial_executor>
inline status depthwise_conv2d(images_view<const std::int16_t> x, matrix_view<const std::int8_t> w, const window& at,
    const requantization_16x8& r, images_view<std::int16_t> y, Executor&& executor = Executor {})
{
    return detail::run_depthwise(x, 0, w, at, detail::max_taps_16x8, r, y, executor);
}
template <class Executor = serial_executor>
inline status depthwise_conv2d(images_view<const std::int16_t> x, matrix_view<const std::int8_t> w, const window& at,
    const requantization& r, images_view<std::int16_t> y, Executor&& executor = Executor {})
{
    return detail::run_depthwise(x, 0, w, at, detail::max_taps_16x8, r, y, executor);
}

} // namespace tflite
NIBBLE_END
