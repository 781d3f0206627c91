// ONNX's ConvInteger and QLinearConv of images, in ONNX's layouts: x and y batch x channels x height x width (NCHW), weights output
// channels x input channels of a group x kernel height x kernel width (OIHW). A convolution of one dimension has height 1.
//   conv_integer  y[n, o, oy, ox] = sum over i, ky, kx of (x[n, g * in + i, iy, ix] - x_zero_point) * (w[o, i, ky, kx] - w_zero_point[o])
//                 iy = oy * stride - pad_top + ky * dilation, likewise ix; g = o / (output channels / groups); taps outside the image count
//                 nothing
//   qlinear_conv  y = clamp(even(float(sum + bias[o]) * scale[o]) + y_zero_point), scale = x_scale * w_scale / y_scale in float
// x, w and y are int8 or uint8, y of conv_integer int32. Zero points and scales of w: one, or one an output channel; w's zero points may be
// left out: 0. k_too_large at more weights a filter than gemm's sums can hold: max_k(false, true, whether w has zero points).
//
// Images are copied to NHWC and back, codes of uint8 less 128, and multiplied there: by tflite::depthwise_conv2d where a group has one
// input channel, by tflite::conv2d, or where these do not apply, with zero points of the weights (other than 0, or 128 if uint8) and for
// int32, by gemm of rows that are gathered for 48 pixels at a time. All give the same bits.
#pragma once

#include "../tflite/conv2d.hpp"
#include "../tflite/depthwise_conv2d.hpp"
#include "../tflite/quantize.hpp"
#include "conv_filter.hpp"

NIBBLE_BEGIN
namespace onnx {

namespace detail {

inline std::size_t whole_lines(std::size_t bytes) noexcept { return (bytes + 63) / 64 * 64; }

/// Parts of a convolution's scratch memory: x and y in NHWC, scales, and what the threads need.
struct conv_parts {
    std::size_t x, y, scales, gathered, packed, conv2d;

    conv_parts(const conv_filter& w, std::ptrdiff_t x_size, std::ptrdiff_t y_size, std::size_t y_code) noexcept
        : x(whole_lines(static_cast<std::size_t>(x_size) + 16)), y(whole_lines(static_cast<std::size_t>(y_size) * y_code)),
          scales(whole_lines(4 * static_cast<std::size_t>(w.out_channels()))), gathered(0), packed(0), conv2d(0)
    {
        if (y_code == 1 && !w.has_zero_points()) {
            conv2d = w.is_depthwise() ? 0 : tflite::conv2d_workspace(w.plain());
        } else {
            gathered = whole_lines(static_cast<std::size_t>(tflite::detail::conv_tile * w.k()) + 16);
            packed = whole_lines(gemm_workspace(tflite::detail::conv_tile, w.group(0)));
        }
    }
    std::size_t fixed() const noexcept { return 64 + x + y + scales; }
    std::size_t thread() const noexcept { return gathered + packed + conv2d; }
};

/// Codes of X in NCHW to int8 in NHWC.
template <class X, class Executor>
inline void channels_last(nchw_view<const X> x, std::int8_t* to, Executor&& executor)
{
    constexpr std::ptrdiff_t block = 16;
    executor.parallel_for(static_cast<std::size_t>(x.batch * x.height), [&](std::size_t i) {
        const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(i) / x.height, row = static_cast<std::ptrdiff_t>(i) % x.height;
        std::int8_t* const out = to + static_cast<std::ptrdiff_t>(i) * x.width * x.channels;
        for (std::ptrdiff_t first = 0; first < x.channels; first += block) {
            const std::ptrdiff_t end = x.channels - first < block ? x.channels : first + block;
            for (std::ptrdiff_t column = 0; column < x.width; ++column)
                for (std::ptrdiff_t c = first; c < end; ++c)
                    out[column * x.channels + c] = static_cast<std::int8_t>(x(n, c, row, column) - code_offset<X>);
        }
    });
}

/// And back, or int32 as it is.
template <class C, class Y, class Executor>
inline void channels_first(const C* from, nchw_view<Y> y, Executor&& executor)
{
    constexpr std::ptrdiff_t block = 16;
    executor.parallel_for(static_cast<std::size_t>(y.batch * y.height), [&](std::size_t i) {
        const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(i) / y.height, row = static_cast<std::ptrdiff_t>(i) % y.height;
        const C* const in = from + static_cast<std::ptrdiff_t>(i) * y.width * y.channels;
        for (std::ptrdiff_t first = 0; first < y.channels; first += block) {
            const std::ptrdiff_t end = y.channels - first < block ? y.channels : first + block;
            for (std::ptrdiff_t column = 0; column < y.width; ++column)
                for (std::ptrdiff_t c = first; c < end; ++c)
                    y(n, c, row, column) = static_cast<Y>(in[column * y.channels + c] + code_offset<Y>);
        }
    });
}

/// The rules of both operators but for scales and biases.
template <class X, class Y>
inline status check_conv(
    nchw_view<const X> x, std::int32_t x_zero_point, const conv_filter& w, const tflite::window& at, nchw_view<Y> y) noexcept
{
    static_assert(std::is_same_v<X, std::int8_t> || std::is_same_v<X, std::uint8_t>, "int8 or uint8");
    for (const status s : {check(x), check(nchw_view<const Y>(y)), check(at)})
        if (s != status::ok)
            return s;
    if (x_zero_point < code_traits<X>::qmin || x_zero_point > code_traits<X>::qmax)
        return status::zero_point_out_of_range;
    if (at.kernel_height != w.kernel_height() || at.kernel_width != w.kernel_width() || x.channels != w.in_channels()
        || y.channels != w.out_channels() || x.batch != y.batch || y.height != tflite::output_height(at, x.height)
        || y.width != tflite::output_width(at, x.width))
        return status::shape_mismatch;
    return w.k() > max_k(false, true, w.has_zero_points()) ? status::k_too_large : status::ok;
}

/// Convolution by gemm; x and y in NHWC. multiply(thread's scratch, rows, pixels, group, first output) for all tiles and groups.
template <class Executor, class Multiply>
inline void gather_and_multiply(tflite::images_view<const std::int8_t> x, std::int32_t x_zero_point, const conv_filter& w,
    const tflite::window& at, tflite::images_view<const std::byte> y, const conv_parts& parts, span<std::byte> scratch, Executor&& executor,
    Multiply multiply)
{
    constexpr std::ptrdiff_t tile = tflite::detail::conv_tile;
    const std::ptrdiff_t pixels = y.batch * y.height * y.width, tiles = (pixels + tile - 1) / tile;
    const std::ptrdiff_t room = static_cast<std::ptrdiff_t>(scratch.size() / parts.thread()), threads = room < tiles ? room : tiles;
    const std::ptrdiff_t in = w.in_channels() / w.groups();
    const tflite::detail::conv_geometry geometry {at, false};
    executor.parallel_for(static_cast<std::size_t>(threads), [&](std::size_t thread) {
        std::byte* const own = scratch.data() + thread * parts.thread();
        std::int8_t* const gathered = reinterpret_cast<std::int8_t*>(own);
        const std::ptrdiff_t t = static_cast<std::ptrdiff_t>(thread);
        for (std::ptrdiff_t unit = tiles * t / threads; unit < tiles * (t + 1) / threads; ++unit) {
            const std::ptrdiff_t first = unit * tile, rows = pixels - first < tile ? pixels - first : tile;
            for (std::ptrdiff_t g = 0; g < w.groups(); ++g) {
                for (std::ptrdiff_t i = 0; i < rows; ++i) {
                    const std::ptrdiff_t pixel = first + i;
                    geometry.gather(x, x_zero_point, pixel / y.width / y.height, pixel / y.width % y.height, pixel % y.width, g * in, in,
                        gathered + i * w.k());
                }
                multiply(
                    span<std::byte>(own + parts.gathered, parts.packed), matrix_view<const std::int8_t>(gathered, rows, w.k()), g, first);
            }
        }
    });
}

/// `size` bytes of `from` at an address of whole lines.
inline std::byte* first_line(span<std::byte> from) noexcept
{
    return from.data() + (64 - reinterpret_cast<std::uintptr_t>(from.data()) % 64) % 64;
}

} // namespace detail

/// Scratch bytes for qlinear_conv on images of batch x height x width on so many threads.
inline std::size_t qlinear_conv_workspace(const conv_filter& w, const tflite::window& at, std::ptrdiff_t batch, std::ptrdiff_t height,
    std::ptrdiff_t width, std::ptrdiff_t threads = 1) noexcept
{
    const std::ptrdiff_t outputs = batch * tflite::output_height(at, height) * tflite::output_width(at, width) * w.out_channels();
    const detail::conv_parts parts(w, batch * height * width * w.in_channels(), outputs, 1);
    return parts.fixed() + parts.thread() * static_cast<std::size_t>(threads < 1 ? 1 : threads);
}
/// And for conv_integer.
inline std::size_t conv_integer_workspace(const conv_filter& w, const tflite::window& at, std::ptrdiff_t batch, std::ptrdiff_t height,
    std::ptrdiff_t width, std::ptrdiff_t threads = 1) noexcept
{
    const std::ptrdiff_t outputs = batch * tflite::output_height(at, height) * tflite::output_width(at, width) * w.out_channels();
    const detail::conv_parts parts(w, batch * height * width * w.in_channels(), outputs, 4);
    return parts.fixed() + parts.thread() * static_cast<std::size_t>(threads < 1 ? 1 : threads);
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
    detail::gather_and_multiply(tflite::images_view<const std::int8_t>(from, x.batch, x.height, x.width, x.channels), zero_point, w, at,
        tflite::images_view<const std::byte>(nullptr, y.batch, y.height, y.width, y.channels), parts,
        {base + parts.x + parts.y + parts.scales, workspace.size() - parts.fixed()}, executor,
        [&](span<std::byte> scratch, matrix_view<const std::int8_t> rows, std::ptrdiff_t g, std::ptrdiff_t first) {
            // Cannot be refused: everything is checked above.
            (void)gemm(rows, static_activations {1.0f, zero_point}, w.group(g), epilogue {},
                matrix_view<std::int32_t>(sums + first * y.channels + g * n, rows.rows, n, y.channels), scratch);
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
    if (w.is_depthwise()) {
        if (const status s = tflite::depthwise_conv2d(images, zero_point, w.taps(), at, r, outputs, executor); s != status::ok)
            return s;
    } else if (!w.has_zero_points()) {
        if (const status s = tflite::conv2d(images, zero_point, w.plain(), at, r, outputs, scratch, executor); s != status::ok)
            return s;
    } else {
        const std::ptrdiff_t n = w.out_channels() / w.groups();
        detail::gather_and_multiply(images, zero_point, w, at,
            tflite::images_view<const std::byte>(nullptr, y.batch, y.height, y.width, y.channels), parts, scratch, executor,
            [&](span<std::byte> own, matrix_view<const std::int8_t> rows, std::ptrdiff_t g, std::ptrdiff_t first) {
                const std::size_t channel = static_cast<std::size_t>(g * n), count = static_cast<std::size_t>(n);
                requantization of_group = r;
                of_group.scale = r.scale.size() == 1 ? r.scale : r.scale.subspan(channel, count);
                of_group.bias = r.bias.empty() ? r.bias : r.bias.subspan(channel, count);
                (void)gemm(rows, zero_point, w.group(g), of_group,
                    matrix_view<std::int8_t>(codes + first * y.channels + g * n, rows.rows, n, y.channels), own);
            });
    }
    detail::channels_first(codes, y, executor);
    return status::ok;
}

/// The operator with its inputs in ONNX's order. Packs w in each call and allocates.
template <class X, class W, class Executor = serial_executor>
inline status conv_integer(nchw_view<const X> x, nchw_view<const W> w, std::int32_t x_zero_point, span<const std::int32_t> w_zero_point,
    const tflite::window& at, std::ptrdiff_t groups, nchw_view<std::int32_t> y, Executor&& executor = Executor {})
{
    if (const status s = check(x); s != status::ok)
        return s;
    const auto filter = conv_filter::make(w, x.channels, groups, w_zero_point);
    if (!filter)
        return filter.error();
    if (const status s = detail::check_conv(x, x_zero_point, *filter, at, y); s != status::ok)
        return s;
    aligned_buffer workspace;
    if (!workspace.resize(conv_integer_workspace(*filter, at, x.batch, x.height, x.width)))
        return status::out_of_memory;
    return conv_integer(x, x_zero_point, *filter, at, y, workspace.bytes(), executor);
}
template <class X, class W, class Y, class Executor = serial_executor>
inline status qlinear_conv(nchw_view<const X> x, float x_scale, std::int32_t x_zero_point, nchw_view<const W> w, span<const float> w_scale,
    span<const std::int32_t> w_zero_point, float y_scale, std::int32_t y_zero_point, span<const std::int32_t> bias,
    const tflite::window& at, std::ptrdiff_t groups, nchw_view<Y> y, Executor&& executor = Executor {})
{
    if (const status s = check(x); s != status::ok)
        return s;
    const auto filter = conv_filter::make(w, x.channels, groups, w_zero_point);
    if (!filter)
        return filter.error();
    if (const status s = detail::check_conv(x, x_zero_point, *filter, at, y); s != status::ok)
        return s;
    aligned_buffer workspace;
    if (!workspace.resize(qlinear_conv_workspace(*filter, at, x.batch, x.height, x.width)))
        return status::out_of_memory;
    return qlinear_conv(x, x_scale, x_zero_point, *filter, w_scale, y_scale, y_zero_point, bias, at, y, workspace.bytes(), executor);
}

} // namespace onnx
NIBBLE_END
