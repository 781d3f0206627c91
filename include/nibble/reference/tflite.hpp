// The definition of the TFLite int8 scheme's kernels, and of 16x8's: loops over every tap, sums in 64 bits. What is plain C++ in tflite/
// already (tables, pooling, softmax) is defined there.
#pragma once

#include "../tflite/conv2d.hpp"
#include "../tflite/elementwise.hpp"
#include "requantize.hpp"

NIBBLE_BEGIN
namespace reference {

/// A 16x8 sum of at most 48 bits, its bias included.
inline std::int32_t requantize_16x8(std::int64_t sum, fixed_multiplier m, std::int32_t low, std::int32_t high) noexcept
{
    const std::int64_t reduced = m.multiplier < 0x7fff0000 ? (m.multiplier + (1 << 15)) >> 16 : 0x7fff;
    const std::int32_t down = 15 - m.shift;
    const std::int64_t q = (sum * reduced + (std::int64_t {1} << (down - 1))) >> down;
    return static_cast<std::int32_t>(q < low ? low : q > high ? high : q);
}

namespace detail {

/// X: int8 or int16. Sums of int16 activations and their int32 biases are exact, then saturated.
template <class X>
inline std::int32_t requantize_sum(std::int64_t sum, const requantization& r, std::ptrdiff_t o) noexcept
{
    requantization of_sum = r;
    if (sizeof(X) == 2 && !r.bias.empty()) {
        sum += r.bias[static_cast<std::size_t>(o)];
        of_sum.bias = {};
    }
    return requantize(saturated(sum), of_sum, static_cast<std::size_t>(o), codes_of<X>(code_range::full));
}
template <class X>
inline std::int32_t requantize_sum(std::int64_t sum, const tflite::requantization_16x8& r, std::ptrdiff_t o) noexcept
{
    const std::size_t at = r.multiplier.size() == 1 ? 0 : static_cast<std::size_t>(o);
    if (!r.bias.empty())
        sum += r.bias[static_cast<std::size_t>(o)];
    return requantize_16x8(sum, {r.multiplier[at], r.shift[at]}, r.low, r.high);
}

/// sum_at(n, oy, ox, o), requantized, for every output.
template <class Requantization, class X, class Sum>
inline void requantize_images(const Requantization& r, tflite::images_view<X> y, Sum sum_at) noexcept
{
    const default_fp_mode mode;
    for (std::ptrdiff_t n = 0; n < y.batch; ++n)
        for (std::ptrdiff_t oy = 0; oy < y.height; ++oy)
            for (std::ptrdiff_t ox = 0; ox < y.width; ++ox)
                for (std::ptrdiff_t o = 0; o < y.channels; ++o)
                    y(n, oy, ox, o) = static_cast<X>(requantize_sum<X>(sum_at(n, oy, ox, o), r, o));
}

/// step(tap, iy, ix) for the taps of output (oy, ox) that fall on the image.
template <class X, class Step>
inline void for_taps(tflite::images_view<const X> x, const tflite::window& at, std::ptrdiff_t oy, std::ptrdiff_t ox, Step step) noexcept
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

/// w: out_channels x (kernel_height * kernel_width * in_channels / groups), as packed_filter::make takes it; groups: at least 1.
template <class X, class Requantization>
inline void conv2d(tflite::images_view<const X> x, std::int32_t x_zero_point, matrix_view<const std::int8_t> w, std::ptrdiff_t groups,
    const tflite::window& at, const Requantization& r, tflite::images_view<X> y) noexcept
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
template <class X, class Requantization>
inline void transpose_conv2d(tflite::images_view<const X> x, std::int32_t x_zero_point, matrix_view<const std::int8_t> w,
    std::ptrdiff_t groups, const tflite::window& at, const Requantization& r, tflite::images_view<X> y) noexcept
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
template <class X, class Requantization>
inline void depthwise_conv2d(tflite::images_view<const X> x, std::int32_t x_zero_point, matrix_view<const std::int8_t> w,
    const tflite::window& at, const Requantization& r, tflite::images_view<X> y) noexcept
{
    const std::ptrdiff_t multiplier = x.channels == 0 ? 0 : y.channels / x.channels;
    detail::requantize_images(r, y, [&](std::ptrdiff_t n, std::ptrdiff_t oy, std::ptrdiff_t ox, std::ptrdiff_t o) {
        std::int64_t sum = 0;
        detail::for_taps(x, at, oy, ox, [&](std::ptrdiff_t tap, std::ptrdiff_t iy, std::ptrdiff_t ix) {
            sum += (x(n, iy, ix, o / multiplier) - x_zero_point) * w(tap, o);
        });
        return sum;
    });
}

/// One element of tflite::add; r.multiplier and r.shift are m.sum's.
template <class X>
inline X add(
    X a, std::int32_t a_zero_point, X b, std::int32_t b_zero_point, const tflite::add_multipliers& m, const requantization& r) noexcept
{
    const auto scaled = [&](std::int32_t x, fixed_multiplier by) {
        const std::int32_t up = x * (1 << add_headroom<X>);
        return r.mode == requantize_mode::double_rounding ? multiply_double_rounding(up, by.multiplier, by.shift)
                                                          : multiply_single_rounding(up, by.multiplier, by.shift);
    };
    return static_cast<X>(requantize(scaled(a - a_zero_point, m.a) + scaled(b - b_zero_point, m.b), r, 0, codes_of<X>(code_range::full)));
}

} // namespace reference
NIBBLE_END
