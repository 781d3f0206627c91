// Parts of ONNX's convolutions (conv.hpp): images from NCHW to NHWC and back, and outputs in portions.
#pragma once

#include "../tflite/conv2d.hpp"
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
        const bool plain = y_code == 1 && !w.has_zero_points();
        if (w.is_depthwise()) {
            gathered = plain ? 0 : whole_lines(4 * static_cast<std::size_t>(tflite::detail::conv_tile * w.out_channels()) + 1);
        } else if (plain) {
            conv2d = tflite::conv2d_workspace(w.plain());
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
            const std::ptrdiff_t end = smaller(x.channels, first + block);
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
            const std::ptrdiff_t end = smaller(y.channels, first + block);
            for (std::ptrdiff_t column = 0; column < y.width; ++column)
                for (std::ptrdiff_t c = first; c < end; ++c)
                    y(n, c, row, column) = static_cast<Y>(in[column * y.channels + c] + code_offset<Y>);
        }
    });
}

/// The rules of both operators, except those for scales and biases.
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

/// Scratch bytes for outputs of y_code bytes each on so many threads; SIZE_MAX if they do not fit.
inline std::size_t conv_workspace(const conv_filter& w, const tflite::window& at, std::ptrdiff_t batch, std::ptrdiff_t height,
    std::ptrdiff_t width, std::size_t y_code, std::ptrdiff_t threads) noexcept
{
    const std::ptrdiff_t out_height = tflite::output_height(at, height), out_width = tflite::output_width(at, width);
    if (!(256 * shape_extent(batch, height, width, w.in_channels())).fits()
        || !(256 * shape_extent(batch, out_height, out_width, w.out_channels())).fits())
        return SIZE_MAX;
    const conv_parts parts(w, batch * height * width * w.in_channels(), batch * out_height * out_width * w.out_channels(), y_code);
    return (checked_size(parts.fixed()) + parts.thread() * checked_size(larger(threads, 1))).value();
}

/// run(filter, workspace) with w packed and memory allocated, once the rules of both operators are kept.
template <class X, class W, class Y, class Run>
inline status with_packed_filter(nchw_view<const X> x, std::int32_t x_zero_point, nchw_view<const W> w,
    span<const std::int32_t> w_zero_point, const tflite::window& at, std::ptrdiff_t groups, nchw_view<Y> y, std::size_t y_code, Run run)
{
    if (const status s = check(x); s != status::ok)
        return s;
    const auto filter = conv_filter::make(w, x.channels, groups, w_zero_point);
    if (!filter)
        return filter.error();
    if (const status s = check_conv(x, x_zero_point, *filter, at, y); s != status::ok)
        return s;
    aligned_buffer workspace;
    if (const status s = workspace.allocate(conv_workspace(*filter, at, x.batch, x.height, x.width, y_code, 1)); s != status::ok)
        return s;
    return run(*filter, workspace.bytes());
}

/// run(thread's scratch, first, pixels) for all output pixels, 48 at a time, on as many threads as `scratch` has room for.
template <class Executor, class Run>
inline void for_each_pixels(std::ptrdiff_t pixels, const conv_parts& parts, span<std::byte> scratch, Executor&& executor, Run run)
{
    constexpr std::ptrdiff_t tile = tflite::detail::conv_tile;
    const std::ptrdiff_t tiles = (pixels + tile - 1) / tile, room = static_cast<std::ptrdiff_t>(scratch.size() / parts.thread()),
                         threads = smaller(room, tiles);
    executor.parallel_for(static_cast<std::size_t>(threads), [&](std::size_t thread) {
        const std::ptrdiff_t t = static_cast<std::ptrdiff_t>(thread);
        for (std::ptrdiff_t unit = tiles * t / threads; unit < tiles * (t + 1) / threads; ++unit) {
            const std::ptrdiff_t first = unit * tile;
            run(scratch.data() + thread * parts.thread(), first, smaller(pixels - first, tile));
        }
    });
}

/// What the outputs of a convolution are computed from; x in NHWC.
struct conv_problem {
    tflite::images_view<const std::int8_t> x;
    std::int32_t x_zero_point;
    const conv_filter& w;
    tflite::window at;
    std::ptrdiff_t out_height, out_width;

    /// The inputs of `rows` outputs from pixel `first` on, of one group, in the order of a filter; up to 15 more bytes are written.
    matrix_view<const std::int8_t> gather(std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t g, std::byte* to) const noexcept
    {
        const tflite::detail::conv_geometry geometry {at, false};
        const std::ptrdiff_t in = w.in_channels() / w.groups();
        std::int8_t* const gathered = reinterpret_cast<std::int8_t*>(to);
        for (std::ptrdiff_t i = 0; i < rows; ++i) {
            const std::ptrdiff_t pixel = first + i, row = pixel / out_width;
            geometry.gather(x, x_zero_point, row / out_height, row % out_height, pixel % out_width, g * in, in, gathered + i * w.k());
        }
        return {gathered, rows, w.k()};
    }

    /// sums: rows x output channels, of groups of one input channel.
    void sum_taps(std::ptrdiff_t first, std::ptrdiff_t rows, std::int32_t* sums) const noexcept
    {
        const std::ptrdiff_t out = w.out_channels(), multiplier = out / w.in_channels();
        const matrix_view<const std::int16_t> taps = w.taps();
        for (std::ptrdiff_t i = 0; i < rows; ++i, sums += out) {
            const std::ptrdiff_t pixel = first + i, row = pixel / out_width, oy = row % out_height, ox = pixel % out_width;
            for (std::ptrdiff_t o = 0; o < out; ++o)
                sums[o] = 0;
            for (std::ptrdiff_t tap = 0; tap < taps.rows; ++tap) {
                const std::ptrdiff_t iy = oy * at.stride_height - at.pad_top + tap / at.kernel_width * at.dilation_height;
                const std::ptrdiff_t ix = ox * at.stride_width - at.pad_left + tap % at.kernel_width * at.dilation_width;
                if (iy < 0 || iy >= x.height || ix < 0 || ix >= x.width)
                    continue;
                const std::int8_t* const from = &x(row / out_height, iy, ix, 0);
                const std::int16_t* const by = taps.row(tap);
                if (multiplier == 1)
                    for (std::ptrdiff_t o = 0; o < out; ++o)
                        sums[o] += (from[o] - x_zero_point) * by[o];
                else
                    for (std::ptrdiff_t o = 0; o < out; ++o)
                        sums[o] += (from[o / multiplier] - x_zero_point) * by[o];
            }
        }
    }
};

/// The first address of whole lines.
inline std::byte* first_line(span<std::byte> from) noexcept { return from.data() + nibble::detail::bytes_to_line(from.data()); }

} // namespace detail

} // namespace onnx
NIBBLE_END
