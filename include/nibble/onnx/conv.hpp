// ONNX's ConvInteger and QLinearConv of images, in ONNX's layouts: x and y batch x channels x height x width (NCHW), weights output
// channels x input channels of a group x kernel height x kernel width (OIHW). A convolution of one dimension has height 1.
//   conv_integer  y[n, o, oy, ox] = sum over i, ky, kx of (x[n, g * in + i, iy, ix] - x_zero_point) * (w[o, i, ky, kx] - w_zero_point[o])
//                 iy = oy * stride - pad_top + ky * dilation, likewise ix; g = o / (output channels / groups); taps outside the image add
//                 nothing
//   qlinear_conv  y = clamp(even(float(sum + bias[o]) * scale[o]) + y_zero_point), scale = x_scale * w_scale / y_scale in float
// x, w and y are int8 or uint8; y of conv_integer is int32. w has one zero point and scale, or one for each output channel. Its zero points
// may be left out: 0. A filter with more weights than gemm's sums can hold gives k_too_large: max_k(false, true, whether w has zero
// points).
//
// Images are copied to NHWC and back, with 128 subtracted from codes of uint8. tflite::conv2d multiplies them, or tflite::depthwise_conv2d
// if a group has one input channel. These two do not apply to int32 sums, nor to weights with zero points (other than 0, or 128 if uint8).
// Then gemm multiplies rows that are gathered for 48 pixels at a time, and one input channel takes plain loops. All ways give the same
// bits.
#pragma once

#include "../tflite/depthwise_conv2d.hpp"
#include "../tflite/quantize.hpp"
#include "conv_parts.hpp"

NIBBLE_BEGIN
namespace onnx {

/// Scratch bytes for qlinear_conv on images of batch x height x width on so many threads.
inline std::size_t qlinear_conv_workspace(const conv_filter& w, const tflite::window& at, std::ptrdiff_t batch, std::ptrdiff_t height,
    std::ptrdiff_t width, std::ptrdiff_t threads = 1) noexcept
{
    return detail::conv_workspace(w, at, batch, height, width, sizeof(std::int8_t), threads);
}
/// And for conv_integer.
inline std::size_t conv_integer_workspace(const conv_filter& w, const tflite::window& at, std::ptrdiff_t batch, std::ptrdiff_t height,
    std::ptrdiff_t width, std::ptrdiff_t threads = 1) noexcept
{
    return detail::conv_workspace(w, at, batch, height, width, sizeof(std::int32_t), threads);
}

/// y: batch x output channels x output_height(at, x.height) x output_width(at, x.width). Work is divided among as many threads as the
/// workspace has room for. Allocates nothing.
template <class X, class Executor = serial_executor>
inline status conv_integer(nchw_view<const X> x, std::int32_t x_zero_point, const conv_filter& w, const tflite::window& at,
    nchw_view<std::int32_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    if (const status s = detail::check_conv(x, x_zero_point, w, at, y); s != status::ok)
        return s;
    const detail::conv_parts parts(w, x.size(), y.size(), 4);
    if (workspace.size() < parts.fixed() + parts.thread())
        return status::buffer_too_small;
    if (workspace.data() == nullptr)
        return status::null_pointer;
    if (y.size() == 0)
        return status::ok;
    std::byte* const base = detail::first_line(workspace);
    std::int8_t* const from = reinterpret_cast<std::int8_t*>(base);
    std::int32_t* const sums = reinterpret_cast<std::int32_t*>(base + parts.x);
    const std::int32_t zero_point = x_zero_point - detail::code_offset<X>;
    detail::channels_last(x, from, executor);
    const std::ptrdiff_t n = w.out_channels() / w.groups();
    const detail::conv_problem problem {
        tflite::images_view<const std::int8_t>(from, x.batch, x.height, x.width, x.channels), zero_point, w, at, y.height, y.width};
    detail::for_each_pixels(y.batch * y.height * y.width, parts,
        {base + parts.x + parts.y + parts.scales, workspace.size() - parts.fixed()}, executor,
        [&](std::byte* own, std::ptrdiff_t first, std::ptrdiff_t rows) {
            if (w.is_depthwise())
                return problem.sum_taps(first, rows, sums + first * y.channels);
            for (std::ptrdiff_t g = 0; g < w.groups(); ++g) // Not refused: everything is checked above.
                (void)gemm(problem.gather(first, rows, g, own), static_activations {1.0f, zero_point}, detail::with_product(w.group(g)),
                    epilogue {}, matrix_view<std::int32_t>(sums + first * y.channels + g * n, rows, n, y.channels),
                    span<std::byte>(own + parts.gathered, parts.packed));
        });
    detail::channels_first(sums, y, executor);
    return status::ok;
}

/// bias: one an output channel, or none; it is counted in steps of x_scale * w_scale.
template <class X, class Y, class Executor = serial_executor>
inline status qlinear_conv(nchw_view<const X> x, float x_scale, std::int32_t x_zero_point, const conv_filter& w, span<const float> w_scale,
    float y_scale, std::int32_t y_zero_point, span<const std::int32_t> bias, const tflite::window& at, nchw_view<Y> y,
    span<std::byte> workspace, Executor&& executor = Executor {})
{
    static_assert(std::is_same_v<Y, std::int8_t> || std::is_same_v<Y, std::uint8_t>, "int8 or uint8");
    if (const status s = detail::check_conv(x, x_zero_point, w, at, y); s != status::ok)
        return s;
    const std::size_t columns = static_cast<std::size_t>(w.out_channels());
    if ((w_scale.size() != 1 && w_scale.size() != columns) || (!bias.empty() && bias.size() != columns))
        return status::params_count_mismatch;
    if (y_zero_point < code_traits<Y>::qmin || y_zero_point > code_traits<Y>::qmax)
        return status::zero_point_out_of_range;
    const detail::conv_parts parts(w, x.size(), y.size(), 1);
    if (workspace.size() < parts.fixed() + parts.thread())
        return status::buffer_too_small;
    if (workspace.data() == nullptr || check(bias) != status::ok)
        return status::null_pointer;
    std::byte* const base = detail::first_line(workspace);
    std::int8_t* const from = reinterpret_cast<std::int8_t*>(base);
    std::int8_t* const codes = reinterpret_cast<std::int8_t*>(base + parts.x);
    const span<float> scale(reinterpret_cast<float*>(base + parts.x + parts.y), w_scale.size());
    if (const status s = tflite::output_scales(x_scale, w_scale, y_scale, scale); s != status::ok)
        return s;
    if (y.size() == 0)
        return status::ok;
    const span<std::byte> scratch(base + parts.x + parts.y + parts.scales, workspace.size() - parts.fixed());
    const std::int32_t zero_point = x_zero_point - detail::code_offset<X>;
    requantization r;
    r.scale = scale;
    r.bias = bias;
    r.zero_point = y_zero_point - detail::code_offset<Y>;
    const tflite::images_view<const std::int8_t> images(from, x.batch, x.height, x.width, x.channels);
    const tflite::images_view<std::int8_t> outputs(codes, y.batch, y.height, y.width, y.channels);
    detail::channels_last(x, from, executor);
    status done = status::ok;
    if (!w.has_zero_points()) {
        done = w.is_depthwise() ? tflite::depthwise_conv2d(images, zero_point, w.plain_taps(), at, r, outputs, executor)
                                : tflite::conv2d(images, zero_point, w.plain(), at, r, outputs, scratch, executor);
    } else {
        const std::ptrdiff_t n = w.out_channels() / w.groups();
        const detail::conv_problem problem {images, zero_point, w, at, y.height, y.width};
        detail::for_each_pixels(
            y.batch * y.height * y.width, parts, scratch, executor, [&](std::byte* own, std::ptrdiff_t first, std::ptrdiff_t rows) {
                std::int8_t* const to = codes + first * y.channels;
                if (w.is_depthwise()) { // Nothing here is refused: everything is checked above.
                    std::int32_t* const sums = reinterpret_cast<std::int32_t*>(own);
                    problem.sum_taps(first, rows, sums);
                    (void)requantize(
                        matrix_view<const std::int32_t>(sums, rows, y.channels), r, matrix_view<std::int8_t>(to, rows, y.channels));
                    return;
                }
                for (std::ptrdiff_t g = 0; g < w.groups(); ++g) {
                    const std::size_t channel = static_cast<std::size_t>(g * n), count = static_cast<std::size_t>(n);
                    requantization of_group = r;
                    of_group.scale = r.scale.size() == 1 ? r.scale : r.scale.subspan(channel, count);
                    of_group.bias = r.bias.empty() ? r.bias : r.bias.subspan(channel, count);
                    (void)gemm(problem.gather(first, rows, g, own), zero_point, detail::with_product(w.group(g)), of_group,
                        matrix_view<std::int8_t>(to + g * n, rows, n, y.channels), span<std::byte>(own + parts.gathered, parts.packed));
                }
            });
    }
    if (done != status::ok)
        return done;
    detail::channels_first(codes, y, executor);
    return status::ok;
}

/// The operator with its inputs in ONNX's order. Packs w in each call and allocates.
template <class X, class W, class Executor = serial_executor>
inline status conv_integer(nchw_view<const X> x, nchw_view<const W> w, std::int32_t x_zero_point, span<const std::int32_t> w_zero_point,
    const tflite::window& at, std::ptrdiff_t groups, nchw_view<std::int32_t> y, Executor&& executor = Executor {})
{
    return detail::with_packed_filter(
        x, x_zero_point, w, w_zero_point, at, groups, y, sizeof(std::int32_t), [&](const conv_filter& filter, span<std::byte> workspace) {
            return conv_integer(x, x_zero_point, filter, at, y, workspace, executor);
        });
}
template <class X, class W, class Y, class Executor = serial_executor>
inline status qlinear_conv(nchw_view<const X> x, float x_scale, std::int32_t x_zero_point, nchw_view<const W> w, span<const float> w_scale,
    span<const std::int32_t> w_zero_point, float y_scale, std::int32_t y_zero_point, span<const std::int32_t> bias,
    const tflite::window& at, std::ptrdiff_t groups, nchw_view<Y> y, Executor&& executor = Executor {})
{
    return detail::with_packed_filter(
        x, x_zero_point, w, w_zero_point, at, groups, y, sizeof(Y), [&](const conv_filter& filter, span<std::byte> workspace) {
            return qlinear_conv(x, x_scale, x_zero_point, filter, w_scale, y_scale, y_zero_point, bias, at, y, workspace, executor);
        });
}

} // namespace onnx
NIBBLE_END
