// Convolution and transposed convolution of int8 images, and of int16 images by int8 weights (16x8, int16.hpp).
//   conv2d            sum[o] over ky, kx, i of (x[oy * stride - pad_top + ky * dilation, ..., i] - x_zero_point) * w[o, ky, kx, i]
//   transpose_conv2d  the same over the (ky, kx) for which (oy + pad_top - ky * dilation) / stride, likewise across, is an input row
//   y[o] = requantization of sum[o], its bias included; taps outside the image add nothing; group g of the output channels sees group g
//          of the input channels
// Each output pixel has a row of inputs. The rows of 48 pixels at a time are gathered and multiplied by gemm's kernels. A convolution of 1
// x 1 with stride 1 and one group may read the image itself. An int16 is 256 times a signed byte plus an unsigned one, so it takes two
// products. A transposed convolution multiplies zeros where no input falls: stride_height * stride_width times as many products as it
// needs. A fully connected layer of int8 is gemm with a requantization.
//
// As many threads share the work as the workspace has room for: over output pixels or, if these are few, over output channels.
#pragma once

#include "conv_product.hpp"

NIBBLE_BEGIN
namespace tflite {

namespace detail {

template <class X>
inline status check_conv(
    images_view<const X> x, std::int32_t x_zero_point, const packed_filter& w, const window& at, images_view<X> y) noexcept
{
    for (const status s : {check(x), check(images_view<const X>(y)), check(at)})
        if (s != status::ok)
            return s;
    if (x_zero_point < -128 || x_zero_point > 127)
        return status::zero_point_out_of_range;
    if (at.kernel_height != w.kernel_height() || at.kernel_width != w.kernel_width() || x.channels != w.in_channels()
        || y.channels != w.out_channels() || x.batch != y.batch)
        return status::shape_mismatch;
    return w.k() > max_k(false, true, false) ? status::k_too_large : status::ok;
}

/// Whether each output pixel sees one input pixel, the one at its own place, and all its channels.
inline bool is_pointwise(const packed_filter& w, const conv_geometry& geometry) noexcept
{
    const window& at = geometry.at;
    return !geometry.transposed && w.groups() == 1 && w.kernel_height() == 1 && w.kernel_width() == 1 && at.stride_height == 1
           && at.stride_width == 1 && at.pad_top == 0 && at.pad_left == 0 && at.pad_bottom == 0 && at.pad_right == 0;
}

template <class X, class Requantization, class Executor>
inline status run_conv(images_view<const X> x, std::int32_t x_zero_point, const packed_filter& w, conv_geometry geometry,
    const Requantization& r, images_view<X> y, span<std::byte> workspace, Executor&& executor)
{
    requantize_params narrow {};
    requantize_16x8_params wide {};
    if (const status s = check_output<X>(r, y.channels, narrow, wide); s != status::ok)
        return s;
    const conv_scratch<X> scratch(w);
    if (const status s = check_room(workspace, scratch.all() + 64); s != status::ok)
        return s;
    if (y.size() == 0)
        return status::ok;

    const std::ptrdiff_t pixels = y.batch * y.height * y.width, tiles = (pixels + conv_tile - 1) / conv_tile;
    const std::ptrdiff_t in = x.channels / w.groups(), out = y.channels / w.groups(), panels = (out + panel_columns - 1) / panel_columns;
    const std::ptrdiff_t room = static_cast<std::ptrdiff_t>((workspace.size() - 64) / scratch.all());
    // Parts of the output channels, each by a thread that gathers the same rows.
    const std::ptrdiff_t wanted = (room + tiles - 1) / tiles, parts = smaller(wanted, panels);
    const std::ptrdiff_t units = tiles * parts, threads = smaller(room, units);
    std::byte* const base = workspace.data() + nibble::detail::bytes_to_line(workspace.data());
    const std::ptrdiff_t stride = conv_stride(w.k());
    // A pointwise convolution's rows are the image's pixels; in place, if gathering would not place them further apart.
    const bool in_place = is_pointwise(w, geometry) && stride == w.k();

    executor.parallel_for(static_cast<std::size_t>(threads), [&](std::size_t thread) {
        std::byte* const own = base + thread * scratch.all();
        X* const gathered = reinterpret_cast<X*>(own + scratch.products * (scratch.packed + scratch.wide));
        if (!in_place)
            std::memset(gathered, 0, scratch.gathered); // What is between rows is multiplied by zeros.
        conv_product<X> product(own, w, x_zero_point, narrow, wide);
        const std::ptrdiff_t t = static_cast<std::ptrdiff_t>(thread);
        const default_fp_mode mode;
        for (std::ptrdiff_t unit = units * t / threads; unit < units * (t + 1) / threads; ++unit) {
            const std::ptrdiff_t first = unit / parts * conv_tile, rows = smaller(pixels - first, conv_tile);
            const std::ptrdiff_t part = unit % parts, column = panels * part / parts * panel_columns,
                                 end = panels * (part + 1) / parts * panel_columns;
            for (std::ptrdiff_t g = 0; g < w.groups(); ++g) {
                if (in_place) {
                    product.set_rows(scratch, x.data + first * x.channels, rows);
                } else {
                    std::ptrdiff_t image = first / y.width / y.height, oy = first / y.width % y.height, ox = first % y.width;
                    for (std::ptrdiff_t i = 0; i < rows; ++i) {
                        geometry.gather(x, x_zero_point, image, oy, ox, g * in, in, gathered + i * stride);
                        if (++ox == y.width) {
                            ox = 0;
                            if (++oy == y.height) {
                                oy = 0;
                                ++image;
                            }
                        }
                    }
                    product.set_rows(scratch, gathered, rows);
                }
                product.run(scratch, w.group(g), g * out, column, smaller(end, out), y.data + first * y.channels + g * out, y.channels);
            }
        }
    });
    return status::ok;
}

template <class X, class Requantization, class Executor>
inline status conv2d(images_view<const X> x, std::int32_t x_zero_point, const packed_filter& w, const window& at, const Requantization& r,
    images_view<X> y, span<std::byte> workspace, Executor&& executor)
{
    if (const status s = check_conv(x, x_zero_point, w, at, y); s != status::ok)
        return s;
    if (y.height != output_height(at, x.height) || y.width != output_width(at, x.width))
        return status::shape_mismatch;
    return run_conv(x, x_zero_point, w, {at, false}, r, y, workspace, executor);
}

template <class X, class Requantization, class Executor>
inline status transpose_conv2d(images_view<const X> x, std::int32_t x_zero_point, const packed_filter& w, const window& at,
    const Requantization& r, images_view<X> y, span<std::byte> workspace, Executor&& executor)
{
    if (const status s = check_conv(x, x_zero_point, w, at, y); s != status::ok)
        return s;
    if (x.height != output_height(at, y.height) || x.width != output_width(at, y.width))
        return status::shape_mismatch;
    return run_conv(x, x_zero_point, w, {at, true}, r, y, workspace, executor);
}

} // namespace detail

/// Scratch bytes for conv2d and transpose_conv2d on so many threads; SIZE_MAX if they do not fit std::ptrdiff_t. X: std::int8_t or
/// std::int16_t.
template <class X = std::int8_t>
inline std::size_t conv2d_workspace(const packed_filter& w, std::ptrdiff_t threads = 1) noexcept
{
    return (detail::conv_scratch<X>(w).all() * checked_size(larger(threads, 1)) + 64).value();
}

/// y: batch x output_height(at, x.height) x output_width(at, x.width) x output channels. r: one multiplier or scale, or one an output
/// channel.
template <class Executor = serial_executor>
inline status conv2d(images_view<const std::int8_t> x, std::int32_t x_zero_point, const packed_filter& w, const window& at,
    const requantization& r, images_view<std::int8_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    return detail::conv2d(x, x_zero_point, w, at, r, y, workspace, executor);
}
template <class Executor = serial_executor>
inline status conv2d(images_view<const std::int16_t> x, const packed_filter& w, const window& at, const requantization_16x8& r,
    images_view<std::int16_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    return detail::conv2d(x, 0, w, at, r, y, workspace, executor);
}
/// With an int32 bias.
template <class Executor = serial_executor>
inline status conv2d(images_view<const std::int16_t> x, const packed_filter& w, const window& at, const requantization& r,
    images_view<std::int16_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    return detail::conv2d(x, 0, w, at, r, y, workspace, executor);
}

/// at: the window of the convolution that maps y's size to x's.
template <class Executor = serial_executor>
inline status transpose_conv2d(images_view<const std::int8_t> x, std::int32_t x_zero_point, const packed_filter& w, const window& at,
    const requantization& r, images_view<std::int8_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    return detail::transpose_conv2d(x, x_zero_point, w, at, r, y, workspace, executor);
}
template <class Executor = serial_executor>
inline status transpose_conv2d(images_view<const std::int16_t> x, const packed_filter& w, const window& at, const requantization_16x8& r,
    images_view<std::int16_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    return detail::transpose_conv2d(x, 0, w, at, r, y, workspace, executor);
}
/// With an int32 bias.
template <class Executor = serial_executor>
inline status transpose_conv2d(images_view<const std::int16_t> x, const packed_filter& w, const window& at, const requantization& r,
    images_view<std::int16_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    return detail::transpose_conv2d(x, 0, w, at, r, y, workspace, executor);
}

namespace detail {

template <class Requantization, class Executor>
inline status fully_connected(matrix_view<const std::int16_t> x, const packed_filter& w, const Requantization& r,
    matrix_view<std::int16_t> y, span<std::byte> workspace, Executor&& executor)
{
    for (const status s : {nibble::check(x), nibble::check(y)})
        if (s != status::ok)
            return s;
    if ((!x.empty() && x.rows > 1 && x.stride != x.cols) || (!y.empty() && y.rows > 1 && y.stride != y.cols))
        return status::layout_unsupported;
    return conv2d(images_view<const std::int16_t>(x.data, x.rows, 1, 1, x.cols), 0, w, window {}, r,
        images_view<std::int16_t>(y.data, y.rows, 1, 1, y.cols), workspace, executor);
}

} // namespace detail

/// A 16x8 fully connected layer: x: m x k, y: m x n, both contiguous; w: packed_filter::make(weights, 1, 1, k). r: its multipliers are
/// fully_connected_multipliers' ones.
template <class Executor = serial_executor>
inline status fully_connected(matrix_view<const std::int16_t> x, const packed_filter& w, const requantization_16x8& r,
    matrix_view<std::int16_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    return detail::fully_connected(x, w, r, y, workspace, executor);
}
/// With an int32 bias.
template <class Executor = serial_executor>
inline status fully_connected(matrix_view<const std::int16_t> x, const packed_filter& w, const requantization& r,
    matrix_view<std::int16_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    return detail::fully_connected(x, w, r, y, workspace, executor);
}

} // namespace tflite
NIBBLE_END
