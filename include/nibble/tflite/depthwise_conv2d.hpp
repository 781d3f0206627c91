// Depthwise convolution of int8 images: output channel o sees input channel i = o / multiplier only.
//   sum[o] over ky, kx of (x[oy * stride - pad_top + ky * dilation, ..., i] - x_zero_point) * w[ky, kx, o]
//   y[o] = requantization of sum[o], its bias included; taps outside the image count nothing
// Weights are as TFLite's, 1 x kernel_height x kernel_width x output channels, and need no packing. No scratch memory.
#pragma once

#include "../gemm/gemm.hpp"
#include "images.hpp"

NIBBLE_BEGIN
namespace tflite {

/// w: (kernel_height * kernel_width) x output channels, contiguous. multiplier: output channels an input channel; the kernels are fast
/// for 1.
template <class Executor = serial_executor>
inline status depthwise_conv2d(images_view<const std::int8_t> x, std::int32_t x_zero_point, matrix_view<const std::int8_t> w,
    const window& at, const requantization& r, images_view<std::int8_t> y, Executor&& executor = Executor {})
{
    for (const status s : {check(x), check(w), check(images_view<const std::int8_t>(y)), check(at)})
        if (s != status::ok)
            return s;
    if (x_zero_point < -128 || x_zero_point > 127)
        return status::zero_point_out_of_range;
    const std::ptrdiff_t multiplier = x.channels == 0 ? 0 : y.channels / x.channels;
    if (x.batch != y.batch || multiplier * x.channels != y.channels || w.rows != at.kernel_height * at.kernel_width || w.cols != y.channels
        || (w.rows > 1 && w.stride != w.cols) || y.height != output_height(at, x.height) || y.width != output_width(at, x.width))
        return status::shape_mismatch;
    if (w.rows > max_k(false, true, false))
        return status::k_too_large;
    depthwise_args args {x.data, x.height, x.width, x.channels, x_zero_point, w.data, multiplier, at.kernel_height, at.kernel_width,
        at.stride_height, at.stride_width, at.dilation_height, at.dilation_width, at.pad_top, at.pad_left, y.data, y.height, y.width, 0,
        y.batch * y.height, {}};
    if (const status s = nibble::detail::check_requantization<std::int8_t>(r, y.channels, args.requantize); s != status::ok)
        return s;
    if (y.size() == 0)
        return status::ok;
    const auto kernel = kernels().depthwise_s8;
    const std::ptrdiff_t products = y.width * y.channels * w.rows, task = products < 262144 ? 262144 / products : 1;
    executor.parallel_for(static_cast<std::size_t>((args.row_end + task - 1) / task), [&](std::size_t i) {
        depthwise_args part = args;
        part.row_begin = static_cast<std::ptrdiff_t>(i) * task;
        part.row_end = args.row_end - part.row_begin < task ? args.row_end : part.row_begin + task;
        const default_fp_mode mode;
        kernel(part);
    });
    return status::ok;
}

} // namespace tflite
NIBBLE_END
