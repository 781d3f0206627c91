// What a convolution does for 48 output pixels: it gathers one row of inputs for each pixel and multiplies the rows by gemm's kernels.
// Filters have no zero points, so compensation depends on the column only: on the sum of its weights. An int16 is 256 times a signed byte
// plus an unsigned one: two products, whose exact sums are combined.
#pragma once

#include "../gemm/gemm.hpp"
#include "images.hpp"
#include "int16.hpp"
#include "packed_filter.hpp"

NIBBLE_BEGIN
namespace tflite {

namespace detail {

inline constexpr std::ptrdiff_t conv_tile = product_rows; // output pixels that are gathered together

inline constexpr std::ptrdiff_t wide_columns = 128; // output channels whose two sums are kept

/// From gathered row to row, in elements: whole quads, and not so that the rows of a tile compete for the same lines of the cache.
inline std::ptrdiff_t conv_stride(std::ptrdiff_t k) noexcept
{
    const std::ptrdiff_t quads = (k + 3) / 4 * 4;
    return quads % 512 == 0 ? quads + 64 : quads;
}

/// What one thread needs. For int8: packed rows, and rows as they are gathered. For int16: packed rows of upper and of lower bytes, rows as
/// they are gathered, their bytes, and two sums an output.
template <class X>
struct conv_scratch {
    static constexpr std::size_t products = sizeof(X);
    std::size_t packed, gathered, bytes, wide;

    explicit conv_scratch(const packed_filter& w) noexcept : conv_scratch(static_cast<std::size_t>(conv_tile * conv_stride(w.k()))) {}
    std::size_t all() const noexcept { return products * (packed + wide) + gathered + bytes; }

private:
    // Products may read up to 63 bytes past the last row. Short copies may write up to 15 bytes past the run, into this reserved space.
    explicit conv_scratch(std::size_t codes) noexcept
        : packed(round_up(2 * codes)), gathered(round_up(codes * sizeof(X))), bytes(products == 1 ? 0 : round_up(codes)),
          wide(products == 1 ? 0 : static_cast<std::size_t>(conv_tile * wide_columns) * 4)
    {
    }
    static std::size_t round_up(std::size_t bytes) noexcept { return bytes / 64 * 64 + 128; }
};

/// `bytes` bytes; if they are few, as a copy of 16, which may write up to 15 more behind them. end: of what may be read.
inline void copy_run(void* to, const void* from, std::size_t bytes, const void* end) noexcept
{
    if (bytes <= 16 && static_cast<const std::byte*>(end) - static_cast<const std::byte*>(from) >= 16)
        std::memcpy(to, from, 16);
    else
        std::memcpy(to, from, bytes);
}

/// Where the taps of an output pixel fall. A transposed convolution is seen from its outputs, too: input i adds to output i * stride - pad
/// + k * dilation, so that an output takes tap k from (out + pad - k * dilation) / stride where that is whole.
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

    /// The inputs of output pixel (oy, ox), in the order of a filter; up to 15 more bytes may be written.
    template <class X>
    void gather(images_view<const X> x, std::int32_t zero_point, std::ptrdiff_t image, std::ptrdiff_t oy, std::ptrdiff_t ox,
        std::ptrdiff_t channel, std::ptrdiff_t channels, X* to) const noexcept
    {
        const std::size_t bytes = static_cast<std::size_t>(channels) * sizeof(X);
        const std::ptrdiff_t left = ox * at.stride_width - at.pad_left;
        const bool whole_rows
            = !transposed && at.dilation_width == 1 && channels == x.channels && left >= 0 && left + at.kernel_width <= x.width;
        const X* const end = x.data + x.size();
        for (std::ptrdiff_t ky = 0; ky < at.kernel_height; ++ky) {
            const std::ptrdiff_t iy = tap(oy, ky, at.stride_height, at.dilation_height, at.pad_top, x.height);
            if (whole_rows && iy >= 0) {
                copy_run(to, &x(image, iy, left, 0), bytes * static_cast<std::size_t>(at.kernel_width), end);
                to += channels * at.kernel_width;
                continue;
            }
            for (std::ptrdiff_t kx = 0; kx < at.kernel_width; ++kx, to += channels) {
                const std::ptrdiff_t ix = iy < 0 ? -1 : tap(ox, kx, at.stride_width, at.dilation_width, at.pad_left, x.width);
                if (ix < 0)
                    std::memset(to, zero_point, bytes); // 0 for int16
                else
                    copy_run(to, &x(image, iy, ix, channel), bytes, end);
            }
        }
    }
};

/// rows x columns of one group: products of gathered rows and some panels of its weights, requantized. int16: x = 256 * upper + lower +
/// 128, upper and lower signed bytes, so that two int8 products give the exact sum, and the 128 is a zero point of the second.
template <class X>
class conv_product {
public:
    /// narrow: of int8, wide: of int16.
    conv_product(std::byte* scratch, const packed_filter& w, std::int32_t x_zero_point, const requantize_params& narrow,
        const requantize_16x8_params& wide) noexcept
        : at_(scratch), k_(w.k()), stride_(conv_stride(k_)), zero_point_(x_zero_point), narrow_(narrow), wide_(wide)
    {
    }

    /// x: rows, conv_stride(k) from one to the next.
    void set_rows(const conv_scratch<std::int8_t>&, const std::int8_t* x, std::ptrdiff_t rows) noexcept
    {
        rows_ = rows;
        pack(x, 0);
    }
    /// x = 256 * upper + (lower + 128)
    void set_rows(const conv_scratch<std::int16_t>& scratch, const std::int16_t* x, std::ptrdiff_t rows) noexcept
    {
        rows_ = rows;
        std::int8_t* const bytes = reinterpret_cast<std::int8_t*>(at_ + 2 * (scratch.packed + scratch.wide) + scratch.gathered);
        for (const int lower : {0, 1}) {
            for (std::ptrdiff_t i = 0; i < rows * stride_; ++i) {
                const std::int32_t code = x[i];
                bytes[i] = static_cast<std::int8_t>(lower ? (code & 255) - 128 : code >> 8);
            }
            pack(bytes, static_cast<std::size_t>(lower) * scratch.packed);
        }
    }

    /// Output channels [first, last) of the group, which begins at `channel`; y: the first row's first channel of the group.
    void run(const conv_scratch<std::int8_t>&, const packed_weights_view& filter, std::ptrdiff_t channel, std::ptrdiff_t first,
        std::ptrdiff_t last, std::int8_t* y, std::ptrdiff_t y_stride) const noexcept
    {
        requantize_params columns = narrow_;
        const std::ptrdiff_t from = channel + first;
        columns.bias = columns.bias == nullptr ? nullptr : columns.bias + from;
        columns.scale += from * columns.stride * (columns.scale != nullptr);
        columns.multiplier += from * columns.stride * (columns.multiplier != nullptr);
        columns.shift += from * columns.stride * (columns.shift != nullptr);
        multiply(0, filter, first, last, zero_point_, y + first, y_stride, &columns);
    }
    void run(const conv_scratch<std::int16_t>& scratch, const packed_weights_view& filter, std::ptrdiff_t channel, std::ptrdiff_t first,
        std::ptrdiff_t last, std::int16_t* y, std::ptrdiff_t y_stride) const noexcept
    {
        std::int32_t* const high = reinterpret_cast<std::int32_t*>(at_ + 2 * scratch.packed);
        std::int32_t* const low = high + conv_tile * wide_columns;
        for (std::ptrdiff_t j = first; j < last; j += wide_columns) {
            const std::ptrdiff_t end = last - j < wide_columns ? last : j + wide_columns;
            multiply(0, filter, j, end, 0, high, wide_columns, nullptr);
            multiply(scratch.packed, filter, j, end, -128, low, wide_columns, nullptr);
            kernels::requantize_16x8(backend_)({high, low, wide_columns, rows_, channel + j, end - j, y + j, y_stride, wide_});
        }
    }

private:
    void pack(const std::int8_t* x, std::size_t packed) noexcept { kernels::pack_codes(backend_)({x, rows_ * stride_, at_ + packed}); }

    void multiply(std::size_t packed, const packed_weights_view& filter, std::ptrdiff_t first, std::ptrdiff_t last, std::int32_t zero_point,
        void* c, std::ptrdiff_t c_stride, const requantize_params* requantize) const noexcept
    {
        gemm_args product {};
        product.a = at_ + packed;
        product.a_stride = stride_;
        product.rows = product.row_end = rows_;
        product.zero_point = zero_point;
        product.signed_activations = true;
        product.panels = filter.panels + static_cast<std::size_t>(first / panel_columns) * filter.panel_bytes;
        product.panel_bytes = filter.panel_bytes;
        product.panel_end = (last - first + panel_columns - 1) / panel_columns;
        product.n = last - first;
        product.k = product.group_size = k_;
        product.groups = 1;
        product.padded_k = filter.padded_k;
        product.c = c;
        product.c_stride = c_stride;
        product.output = requantize == nullptr ? gemm_output::s32 : gemm_output::s8;
        product.requantize = requantize;
        kernels::gemm_w8(backend_)(product);
    }

    const backend backend_ = active_backend();
    std::byte* at_;
    std::ptrdiff_t k_, stride_, rows_ = 0;
    std::int32_t zero_point_ = 0;
    requantize_params narrow_ {};
    requantize_16x8_params wide_ {};
};

} // namespace detail

} // namespace tflite
NIBBLE_END
