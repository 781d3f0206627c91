// The definition of the TFLite int8 scheme's kernels: loops over every tap, sums in 64 bits. What is plain C++ in tflite/ already
// (tables, pooling, softmax) is defined there.
#pragma once

#include "../tflite/conv2d.hpp"
#include "../tflite/elementwise.hpp"
#include "requantize.hpp"

NIBBLE_BEGIN
namespace reference {

namespace detail {

/// sum_at(n, oy, ox, o), requantized, for every output.
template <class Sum>
inline void requantize_images(const requantization& r, tflite::images_view<std::int8_t> y, Sum sum_at) noexcept
{
    const default_fp_mode mode;
    for (std::ptrdiff_t n = 0; n < y.batch; ++n)
        for (std::ptrdiff_t oy = 0; oy < y.height; ++oy)
            for (std::ptrdiff_t ox = 0; ox < y.width; ++ox)
                for (std::ptrdiff_t o = 0; o < y.channels; ++o)
                    y(n, oy, ox, o) = static_cast<std::int8_t>(requantize(static_cast<std::int32_t>(sum_at(n, oy, ox, o)), r,
                        static_cast<std::size_t>(o), codes_of<std::int8_t>(code_range::full)));
}

/// step(tap, iy, ix) for the taps of output (oy, ox) that fall on the image.
template <class Step>
inline void for_taps(
    tflite::images_view<const std::int8_t> x, const tflite::window& at, std::ptrdiff_t oy, std::ptrdiff_t ox, Step step) noexcept
{
    for (std::ptrdiff_t ky = 0; ky < at.kernel_height; ++ky)
        for (std::ptrdiff_t kx = 0; kx < at.kernel_width; ++kx) {
            const std::ptrdiff_t iy = oy * at.stride_height - at.pad_top + ky * at.dilation_height;
            const std::ptrdiff_t ix = ox * at.stride_width - at.pad_left + kx * at.dilation_width;
            if (iy >= 0 && iy < x.height && ix >= 0 && ix < x.width)
                step(ky * at.kernel_width + kx, iy, ix);
        }
}

} // namespace detail

/// w: out_channels x (kernel_height * kernel_width * in_channels / groups), as packed_filter::make takes it.
inline void conv2d(tflite::images_view<const std::int8_t> x, std::int32_t x_zero_point, matrix_view<const std::int8_t> w,
    std::ptrdiff_t groups, const tflite::window& at, const requantization& r, tflite::images_view<std::int8_t> y) noexcept
{
    const std::ptrdiff_t in = x.channels / groups, out = y.channels / groups;
    detail::requantize_images(r, y, [&](std::ptrdiff_t n, std::ptrdiff_t oy, std::ptrdiff_t ox, std::ptrdiff_t o) {
        std::int64_t sum = 0;
        detail::for_taps(x, at, oy, ox, [&](std::ptrdiff_t tap, std::ptrdiff_t iy, std::ptrdiff_t ix) {
            for (std::ptrdiff_t i = 0; i < in; ++i)
                sum += (x(n, iy, ix, o / out * in + i) - x_zero_point) * w(o, tap * in + i);
        });
        return sum;
    });
}

/// The inputs that each input pixel adds to outputs, scattered.
inline void transpose_conv2d(tflite::images_view<const std::int8_t> x, std::int32_t x_zero_point, matrix_view<const std::int8_t> w,
    std::ptrdiff_t groups, const tflite::window& at, const requantization& r, tflite::images_view<std::int8_t> y) noexcept
{
    const std::ptrdiff_t in = x.channels / groups, out = y.channels / groups;
    detail::requantize_images(r, y, [&](std::ptrdiff_t n, std::ptrdiff_t oy, std::ptrdiff_t ox, std::ptrdiff_t o) {
        std::int64_t sum = 0;
        for (std::ptrdiff_t iy = 0; iy < x.height; ++iy)
            for (std::ptrdiff_t ix = 0; ix < x.width; ++ix)
                for (std::ptrdiff_t ky = 0; ky < at.kernel_height; ++ky)
                    for (std::ptrdiff_t kx = 0; kx < at.kernel_width; ++kx)
                        if (iy * at.stride_height - at.pad_top + ky * at.dilation_height == oy
                            && ix * at.stride_width - at.pad_left + kx * at.dilation_width == ox)
                            for (std::ptrdiff_t i = 0; i < in; ++i)
                                sum += (x(n, iy, ix, o / out * in + i) - x_zero_point) * w(o, (ky * at.kernel_width + kx) * in + i);
        return sum;
    });
}

/// w: (kernel_height * kernel_width) x output channels.
inline void depthwise_conv2d(tflite::images_view<const std::int8_t> x, std::int32_t x_zero_point, matrix_view<const std::int8_t> w,
    const tflite::window& at, const requantization& r, tflite::images_view<std::int8_t> y) noexcept
{
    const std::ptrdiff_t multiplier = y.channels / x.channels;
    detail::requantize_images(r, y, [&](std::ptrdiff_t n, std::ptrdiff_t oy, std::ptrdiff_t ox, std::ptrdiff_t o) {
        std::int64_t sum = 0;
        detail::for_taps(x, at, oy, ox, [&](std::ptrdiff_t tap, std::ptrdiff_t iy, std::ptrdiff_t ix) {
            sum += (x(n, iy, ix, o / multiplier) - x_zero_point) * w(tap, o);
        });
        return sum;
    });
}

/// One element of tflite::add; r.multiplier and r.shift are m.sum's.
inline std::int8_t add(std::int8_t a, std::int32_t a_zero_point, std::int8_t b, std::int32_t b_zero_point, const tflite::add_multipliers& m,
    const requantization& r) noexcept
{
    const auto scaled = [&](std::int32_t x, fixed_multiplier by) {
        const std::int32_t up = x * (1 << add_headroom);
        return r.mode == requantize_mode::double_rounding ? multiply_double_rounding(up, by.multiplier, by.shift)
                                                          : multiply_single_rounding(up, by.multiplier, by.shift);
    };
    return static_cast<std::int8_t>(
        requantize(scaled(a - a_zero_point, m.a) + scaled(b - b_zero_point, m.b), r, 0, codes_of<std::int8_t>(code_range::full)));
}

} // namespace reference
NIBBLE_END
