// Convolution and transposed convolution of int8 images.
//   conv2d            sum[o] over ky, kx, i of (x[oy * stride - pad_top + ky * dilation, ..., i] - x_zero_point) * w[o, ky, kx, i]
//   transpose_conv2d  the same over the (ky, kx) for which (oy + pad_top - ky * dilation) / stride, likewise across, is an input row
//   y[o] = requantization of sum[o], its bias included; taps outside the image count nothing; group g of the output channels sees group g
//          of the input channels
// Rows of inputs, one an output pixel, are gathered for 48 pixels at a time and multiplied by gemm's kernels; a convolution of 1 x 1 with
// stride 1 reads the image itself. A transposed convolution multiplies zeros where no input falls: stride_height * stride_width times as
// many products as it needs. A fully connected layer is gemm with a requantization.
//
// Work is divided among as many threads as the workspace has room for.
#pragma once

#include "../gemm/gemm.hpp"
#include "images.hpp"
#include "packed_filter.hpp"

NIBBLE_BEGIN
namespace tflite {

namespace detail {

inline constexpr std::ptrdiff_t conv_tile = 48; // output pixels: the block of the kernels (kernels/tiles.inl)

/// What one thread needs: packed rows, their sums, rows as they are gathered; in this order.
struct conv_scratch {
    std::size_t packed, sums, gathered;

    explicit conv_scratch(const packed_filter& w) noexcept
        : packed(round_up(static_cast<std::size_t>(conv_tile * (2 * ((w.k() + 7) / 8 * 8) + 128)))), sums(round_up(conv_tile * 4)),
          gathered(round_up(static_cast<std::size_t>(conv_tile * w.k())))
    {
    }
    std::size_t all() const noexcept { return packed + sums + gathered; }

private:
    static std::size_t round_up(std::size_t bytes) noexcept { return (bytes + 63) / 64 * 64; }
};

/// Where the taps of an output pixel fall.
struct conv_geometry {
    window at;
    bool transposed;

    /// The input row or column of a tap, or -1.
    std::ptrdiff_t tap(std::ptrdiff_t out, std::ptrdiff_t k, std::ptrdiff_t stride, std::ptrdiff_t dilation, std::ptrdiff_t pad,
        std::ptrdiff_t size) const noexcept
    {
        std::ptrdiff_t in = out * stride - pad + k * dilation;
        if (transposed) {
            in = out + pad - k * dilation;
            if (in < 0 || in % stride != 0)
                return -1;
            in /= stride;
        }
        return in < 0 || in >= size ? -1 : in;
    }

    /// The inputs of output pixel (oy, ox), in the order of a filter.
    void gather(images_view<const std::int8_t> x, std::int32_t zero_point, std::ptrdiff_t image, std::ptrdiff_t oy, std::ptrdiff_t ox,
        std::ptrdiff_t channel, std::ptrdiff_t channels, std::int8_t* to) const noexcept
    {
        const std::size_t bytes = static_cast<std::size_t>(channels);
        const std::ptrdiff_t left = ox * at.stride_width - at.pad_left;
        const bool whole_rows = !transposed && at.dilation_width == 1 && channels == x.channels && left >= 0 && left + at.kernel_width <= x.width;
        for (std::ptrdiff_t ky = 0; ky < at.kernel_height; ++ky) {
            const std::ptrdiff_t iy = tap(oy, ky, at.stride_height, at.dilation_height, at.pad_top, x.height);
            if (whole_rows && iy >= 0) {
                std::memcpy(to, &x(image, iy, left, 0), bytes * static_cast<std::size_t>(at.kernel_width));
                to += channels * at.kernel_width;
                continue;
            }
            for (std::ptrdiff_t kx = 0; kx < at.kernel_width; ++kx, to += channels) {
                const std::ptrdiff_t ix = iy < 0 ? -1 : tap(ox, kx, at.stride_width, at.dilation_width, at.pad_left, x.width);
                if (ix < 0)
                    std::memset(to, zero_point, bytes);
                else
                    std::memcpy(to, &x(image, iy, ix, channel), bytes);
            }
        }
    }
};

inline status check_conv(images_view<const std::int8_t> x, std::int32_t x_zero_point, const packed_filter& w, const window& at,
    images_view<std::int8_t> y) noexcept
{
    for (const status s : {check(x), check(images_view<const std::int8_t>(y)), check(at)})
        if (s != status::ok)
            return s;
    if (x_zero_point < -128 || x_zero_point > 127)
        return status::zero_point_out_of_range;
    if (at.kernel_height != w.kernel_height() || at.kernel_width != w.kernel_width() || x.channels != w.in_channels()
        || y.channels != w.out_channels() || x.batch != y.batch)
        return status::shape_mismatch;
    return w.k() > max_k(false, true, false) ? status::k_too_large : status::ok;
}

template <class Executor>
inline status run_conv(images_view<const std::int8_t> x, std::int32_t x_zero_point, const packed_filter& w, conv_geometry geometry,
    const requantization& r, images_view<std::int8_t> y, span<std::byte> workspace, Executor&& executor)
{
    requantize_params requantize {};
    if (const status s = nibble::detail::check_requantization<std::int8_t>(r, y.channels, requantize); s != status::ok)
        return s;
    const conv_scratch scratch(w);
    if (workspace.size() < scratch.all() + 64)
        return status::buffer_too_small;
    if (workspace.data() == nullptr)
        return status::null_pointer;
    if (y.size() == 0)
        return status::ok;

    const kernel_table& table = kernels();
    const std::ptrdiff_t pixels = y.batch * y.height * y.width, tiles = (pixels + conv_tile - 1) / conv_tile;
    const std::ptrdiff_t room = static_cast<std::ptrdiff_t>((workspace.size() - 64) / scratch.all()), threads = room < tiles ? room : tiles;
    std::byte* const base = workspace.data() + (64 - reinterpret_cast<std::uintptr_t>(workspace.data()) % 64) % 64;
    const window& at = geometry.at;
    const bool in_place = !geometry.transposed && w.kernel_height() == 1 && w.kernel_width() == 1 && at.stride_height == 1
                          && at.stride_width == 1 && at.pad_top == 0 && at.pad_left == 0 && x.height == y.height && x.width == y.width;
    const std::ptrdiff_t in = x.channels / w.groups(), out = y.channels / w.groups();

    executor.parallel_for(static_cast<std::size_t>(threads), [&](std::size_t thread) {
        std::byte* const packed = base + thread * scratch.all();
        std::int32_t* const sums = reinterpret_cast<std::int32_t*>(packed + scratch.packed);
        std::int8_t* const gathered = reinterpret_cast<std::int8_t*>(packed + scratch.packed + scratch.sums);
        const std::ptrdiff_t t = static_cast<std::ptrdiff_t>(thread);
        const default_fp_mode mode;
        for (std::ptrdiff_t tile = tiles * t / threads; tile < tiles * (t + 1) / threads; ++tile)
            for (std::ptrdiff_t g = 0; g < w.groups(); ++g) {
                const std::ptrdiff_t first = tile * conv_tile, rows = pixels - first < conv_tile ? pixels - first : conv_tile;
                const packed_weights_view filter = w.group(g);
                pack_activations_args pack {};
                pack.a = x.data + first * x.channels + g * in;
                pack.a_stride = x.channels;
                if (!in_place) {
                    for (std::ptrdiff_t i = 0; i < rows; ++i) {
                        const std::ptrdiff_t pixel = first + i, row = pixel / y.width;
                        geometry.gather(x, x_zero_point, row / y.height, row % y.height, pixel % y.width, g * in, in, gathered + i * w.k());
                    }
                    pack.a = gathered;
                    pack.a_stride = w.k();
                }
                pack.row_end = pack.rows = rows;
                pack.k = pack.group_size = w.k();
                pack.groups = 1;
                pack.padded_k = filter.padded_k;
                pack.weight_bits = 8;
                pack.zero_point = x_zero_point;
                pack.packed = packed;
                pack.group_sums = sums;
                table.pack_s8(pack);

                requantize_params columns = requantize;
                columns.bias = columns.bias == nullptr ? nullptr : columns.bias + g * out;
                columns.scale += g * out * columns.step * (columns.scale != nullptr);
                columns.multiplier += g * out * columns.step * (columns.multiplier != nullptr);
                columns.shift += g * out * columns.step * (columns.shift != nullptr);
                gemm_args product {};
                product.a = packed;
                product.group_sums = sums;
                product.rows = product.row_end = rows;
                product.zero_point = x_zero_point;
                product.signed_activations = true;
                product.panels = filter.panels;
                product.panel_bytes = filter.panel_bytes;
                product.panel_end = (out + packed_panel - 1) / packed_panel;
                product.n = out;
                product.k = product.group_size = w.k();
                product.groups = 1;
                product.padded_k = filter.padded_k;
                product.c = y.data + first * y.channels + g * out;
                product.c_stride = y.channels;
                product.output = gemm_output::s8;
                product.requantize = &columns;
                table.gemm_w8(product);
            }
    });
    return status::ok;
}

} // namespace detail

/// Scratch bytes for conv2d and transpose_conv2d on so many threads.
inline std::size_t conv2d_workspace(const packed_filter& w, std::ptrdiff_t threads = 1) noexcept
{
    return detail::conv_scratch(w).all() * static_cast<std::size_t>(threads < 1 ? 1 : threads) + 64;
}

/// y: batch x output_height(at, x.height) x output_width(at, x.width) x output channels. r: one multiplier or scale, or one an output
/// channel.
template <class Executor = serial_executor>
inline status conv2d(images_view<const std::int8_t> x, std::int32_t x_zero_point, const packed_filter& w, const window& at,
    const requantization& r, images_view<std::int8_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    if (const status s = detail::check_conv(x, x_zero_point, w, at, y); s != status::ok)
        return s;
    if (y.height != output_height(at, x.height) || y.width != output_width(at, x.width))
        return status::shape_mismatch;
    return detail::run_conv(x, x_zero_point, w, {at, false}, r, y, workspace, executor);
}

/// at: the window of the convolution that maps y's size to x's.
template <class Executor = serial_executor>
inline status transpose_conv2d(images_view<const std::int8_t> x, std::int32_t x_zero_point, const packed_filter& w, const window& at,
    const requantization& r, images_view<std::int8_t> y, span<std::byte> workspace, Executor&& executor = Executor {})
{
    if (const status s = detail::check_conv(x, x_zero_point, w, at, y); s != status::ok)
        return s;
    if (x.height != output_height(at, y.height) || x.width != output_width(at, y.width))
        return status::shape_mismatch;
    return detail::run_conv(x, x_zero_point, w, {at, true}, r, y, workspace, executor);
}

} // namespace tflite
NIBBLE_END
