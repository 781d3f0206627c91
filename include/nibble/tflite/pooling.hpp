// Pooling of images of int8 or int16 codes (with zero points of 0). Averages and maxima keep scale and zero point; the mean requantizes.
//   average_pool2d  half_away(sum of the codes under the window / how many of them are on the image)
//   max_pool2d      the greatest of these codes
//   mean            over height and width, requantization of sum - count * x_zero_point. Fixed-point modes: the multiplier is that of
//                   x_scale / y_scale, divided by count and rounded toward zero, as TFLite does; float mode: scale x_scale / (y_scale *
//                   count)
// Each is clamped to [low, high]. This is plain C++, the same on every backend, because pooling is a small part of a network.
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/executor.hpp"
#include "elementwise.hpp"
#include "fixed_point.hpp"
#include "images.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

namespace detail {

/// sum / count, count above 0.
NIBBLE_INLINE std::int32_t half_away(std::int32_t sum, std::int32_t count) noexcept
{
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

/// m / count, rounded toward zero. The greatest power of two in count keeps the multiplier's bits; the shift stays within -31.
inline fixed_multiplier mean_multiplier(fixed_multiplier m, std::int32_t count) noexcept
{
    std::int32_t up = 0;
    while (up < 31 + m.shift && count >> (up + 1) != 0)
        ++up;
    return {static_cast<std::int32_t>((static_cast<std::int64_t>(m.multiplier) << up) / count), m.shift - up};
}

/// Of y, and not deduced from x, which may be a view of variables too.
template <class Q>
using pooled_images = images_view<std::enable_if_t<std::is_same_v<Q, std::int8_t> || std::is_same_v<Q, std::int16_t>, const Q>>;

template <bool Average, class Q, class Executor>
inline status pool(images_view<const Q> x, const window& at, code_limits bounds, images_view<Q> y, Executor&& executor)
{
    constexpr std::int32_t qmin = code_traits<Q>::qmin, qmax = code_traits<Q>::qmax;
    for (const status s : {check(x), check(images_view<const Q>(y)), check(at)})
        if (s != status::ok)
            return s;
    // Else a window could lie beside the image.
    if (at.dilation_height != 1 || at.dilation_width != 1 || at.pad_top >= at.kernel_height || at.pad_bottom >= at.kernel_height
        || at.pad_left >= at.kernel_width || at.pad_right >= at.kernel_width
        || at.kernel_height > (1 << (31 - 8 * sizeof(Q))) / at.kernel_width)
        return status::window_invalid;
    if (x.batch != y.batch || x.channels != y.channels || y.height != output_height(at, x.height) || y.width != output_width(at, x.width))
        return status::shape_mismatch;
    if (bounds.qmin < qmin || bounds.qmax > qmax || bounds.qmin > bounds.qmax)
        return status::code_limits_invalid;
    if (y.size() == 0)
        return status::ok;
    if (x.size() == 0)
        return status::shape_mismatch;
    executor.parallel_for(static_cast<std::size_t>(y.batch * y.height), [&](std::size_t row) {
        const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(row) / y.height, oy = static_cast<std::ptrdiff_t>(row) % y.height;
        const std::ptrdiff_t top = oy * at.stride_height - at.pad_top;
        const std::ptrdiff_t y_begin = larger(top, 0), y_end = smaller(top + at.kernel_height, x.height);
        constexpr std::ptrdiff_t block = 64;
        for (std::ptrdiff_t ox = 0; ox < y.width; ++ox) {
            const std::ptrdiff_t left = ox * at.stride_width - at.pad_left;
            const std::ptrdiff_t x_begin = larger(left, 0), x_end = smaller(left + at.kernel_width, x.width);
            const std::int32_t count = static_cast<std::int32_t>((y_end - y_begin) * (x_end - x_begin));
            for (std::ptrdiff_t channel = 0; channel < y.channels; channel += block) {
                const std::ptrdiff_t channels = smaller(y.channels - channel, block);
                std::int32_t found[block];
                for (std::ptrdiff_t c = 0; c < channels; ++c)
                    found[c] = Average ? 0 : qmin;
                for (std::ptrdiff_t iy = y_begin; iy < y_end; ++iy)
                    for (std::ptrdiff_t ix = x_begin; ix < x_end; ++ix) {
                        const Q* const from = &x(n, iy, ix, channel);
                        for (std::ptrdiff_t c = 0; c < channels; ++c)
                            found[c] = Average ? found[c] + from[c] : larger(from[c], found[c]);
                    }
                Q* const to = &y(n, oy, ox, channel);
                for (std::ptrdiff_t c = 0; c < channels; ++c) {
                    const std::int32_t q = Average ? half_away(found[c], count) : found[c];
                    to[c] = static_cast<Q>(clamped(q, bounds.qmin, bounds.qmax));
                }
            }
        }
    });
    return status::ok;
}

} // namespace detail

/// Q: int8 or int16. Every window must touch the image: paddings are below the kernel's size, there is no dilation; a window has at most
/// 2^23 pixels, of int16 2^15.
template <class Q = std::int8_t, class Executor = serial_executor>
inline status average_pool2d(detail::pooled_images<Q> x, const window& at, images_view<Q> y,
    code_limits bounds = {code_traits<Q>::qmin, code_traits<Q>::qmax}, Executor&& executor = Executor {})
{
    return detail::pool<true, Q>(x, at, bounds, y, executor);
}

template <class Q = std::int8_t, class Executor = serial_executor>
inline status max_pool2d(detail::pooled_images<Q> x, const window& at, images_view<Q> y,
    code_limits bounds = {code_traits<Q>::qmin, code_traits<Q>::qmax}, Executor&& executor = Executor {})
{
    return detail::pool<false, Q>(x, at, bounds, y, executor);
}

/// y: batch x channels. Images of at most 2^23 pixels, of int16 2^15, so that sums stay in int32.
template <class Q = std::int8_t>
inline status mean(detail::pooled_images<Q> x, quantization x_params, quantization y_params, matrix_view<Q> y,
    requantize_mode mode = requantize_mode::double_rounding) noexcept
{
    for (const status s : {check(x), nibble::check(y), check(x_params), check(y_params)})
        if (s != status::ok)
            return s;
    if (sizeof(Q) == 2 && (x_params.zero_point != 0 || y_params.zero_point != 0))
        return status::zero_point_out_of_range;
    if (y.rows != x.batch || y.cols != x.channels)
        return status::shape_mismatch;
    if (x.height == 0 || x.width == 0)
        return y.empty() ? status::ok : status::shape_mismatch;
    if (y.empty())
        return status::ok;
    if (x.height > (1 << (31 - 8 * sizeof(Q))) / x.width)
        return status::k_too_large;
    const default_fp_mode fp_mode;
    const std::int32_t count = static_cast<std::int32_t>(x.height * x.width);
    const float scale = x_params.scale / (y_params.scale * static_cast<float>(count));
    const auto encoded = encode_multiplier(static_cast<double>(x_params.scale) / static_cast<double>(y_params.scale));
    if (!encoded || !is_positive_finite(scale))
        return status::scale_invalid;
    const fixed_multiplier m = detail::mean_multiplier(*encoded, count);
    requantization r;
    r.mode = mode;
    r.scale = span<const float>(&scale, 1);
    r.multiplier = span<const std::int32_t>(&m.multiplier, 1);
    r.shift = span<const std::int32_t>(&m.shift, 1);
    r.zero_point = y_params.zero_point;
    for (std::ptrdiff_t n = 0; n < y.rows; ++n)
        for (std::ptrdiff_t c = 0; c < y.cols; ++c) {
            std::int32_t sum = -count * x_params.zero_point;
            for (std::ptrdiff_t i = 0; i < count; ++i)
                sum += x.data[(n * count + i) * x.channels + c];
            y(n, c) = static_cast<Q>(detail::requantized_sum(sum, r, codes_of<Q>(code_range::full)));
        }
    return status::ok;
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END
