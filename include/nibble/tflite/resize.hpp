// Resizes images of int8 codes. Scale and zero point do not change. An output pixel o of n, on an axis of m inputs, lies at
//   o * m / n                    by default
//   o * (m - 1) / (n - 1)        align_corners, where n > 1
//   (o + 1/2) * m / n - 1/2      half_pixel_centers; for the nearest neighbour without the last term
//   resize_bilinear              between the pixels before and after, in integers: the scale m / n is rounded to 10 fraction bits, the mean
//                                of four pixels half away from zero
//   resize_nearest_neighbor      the pixel there, rounded down, or with align_corners half up; positions are floats
// Positions outside the image take its border. These are TFLite's reference kernels; its other kernels interpolate int8 in floats.
#pragma once

#include <cstring>

#include "../core/executor.hpp"
#include "../core/fp_mode.hpp"
#include "../core/strict_math.hpp"
#include "images.hpp"

NIBBLE_BEGIN
namespace tflite {

struct resize_options {
    bool align_corners = false, half_pixel_centers = false;
};

namespace detail {

/// The two inputs that an output lies between, and how far from the first, in 1/1024.
struct resize_position {
    std::ptrdiff_t before, after;
    std::int32_t fraction;
};

inline resize_position position_between(std::ptrdiff_t out, std::ptrdiff_t from, std::ptrdiff_t to, resize_options o) noexcept
{
    const bool corners = o.align_corners && to > 1;
    const std::int64_t numerator = corners ? from - 1 : from, denominator = corners ? to - 1 : to;
    const std::int64_t scale = (1024 * numerator + denominator / 2) / denominator;
    const std::int64_t at = out * scale + (o.half_pixel_centers ? scale / 2 - 512 : 0);
    if (at <= 0)
        return {0, 0, 0};
    const std::int64_t before = at / 1024, last = from - 1;
    if (before >= last)
        return {from - 1, from - 1, 0};
    return {std::ptrdiff_t {before}, std::ptrdiff_t {before + 1}, static_cast<std::int32_t>(at % 1024)};
}

/// Sizes that fit, and whether there is anything to do.
inline status check_resize(images_view<const std::int8_t> x, images_view<std::int8_t> y) noexcept
{
    for (const status s : {check(x), check(images_view<const std::int8_t>(y))})
        if (s != status::ok)
            return s;
    if (x.batch != y.batch || x.channels != y.channels)
        return status::shape_mismatch;
    constexpr std::ptrdiff_t largest = 1 << 20;
    for (const std::ptrdiff_t side : {x.height, x.width, y.height, y.width})
        if (side > largest)
            return status::window_invalid;
    return y.size() != 0 && x.size() == 0 ? status::shape_mismatch : status::ok;
}

} // namespace detail

} // namespace tflite
NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {
namespace detail {

inline std::ptrdiff_t nearest(std::ptrdiff_t out, std::ptrdiff_t from, std::ptrdiff_t to, resize_options o) noexcept
{
    const bool corners = o.align_corners && to > 1;
    const float scale = static_cast<float>(corners ? from - 1 : from) / static_cast<float>(corners ? to - 1 : to);
    const float at = opaque((static_cast<float>(out) + (o.half_pixel_centers ? 0.5f : 0.0f)) * scale);
    const std::ptrdiff_t pixel = static_cast<std::ptrdiff_t>(o.align_corners ? strict_math::round(at) : strict_math::floor(at));
    return smaller(pixel, from - 1);
}

} // namespace detail
} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN
namespace tflite {

/// y's height and width are the new ones, at most 2^20 as x's; option_invalid for both options at once.
template <class Executor = serial_executor>
inline status resize_bilinear(
    images_view<const std::int8_t> x, images_view<std::int8_t> y, resize_options options = {}, Executor&& executor = Executor {})
{
    if (const status s = detail::check_resize(x, y); s != status::ok)
        return s;
    if (options.align_corners && options.half_pixel_centers)
        return status::option_invalid;
    if (y.size() == 0)
        return status::ok;
    executor.parallel_for(static_cast<std::size_t>(y.batch * y.height), [&](std::size_t line) {
        const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(line) / y.height, oy = static_cast<std::ptrdiff_t>(line) % y.height;
        const detail::resize_position v = detail::position_between(oy, x.height, y.height, options);
        for (std::ptrdiff_t ox = 0; ox < y.width; ++ox) {
            const detail::resize_position h = detail::position_between(ox, x.width, y.width, options);
            const std::int32_t w00 = (1024 - v.fraction) * (1024 - h.fraction), w01 = (1024 - v.fraction) * h.fraction;
            const std::int32_t w10 = v.fraction * (1024 - h.fraction), w11 = v.fraction * h.fraction;
            const std::int8_t *const a = &x(n, v.before, h.before, 0), *const b = &x(n, v.before, h.after, 0);
            const std::int8_t *const c = &x(n, v.after, h.before, 0), *const d = &x(n, v.after, h.after, 0);
            std::int8_t* const to = &y(n, oy, ox, 0);
            for (std::ptrdiff_t i = 0; i < y.channels; ++i) {
                const std::int32_t sum = a[i] * w00 + b[i] * w01 + c[i] * w10 + d[i] * w11, half = 1 << 19;
                to[i] = static_cast<std::int8_t>((sum < 0 ? sum - half : sum + half) / (1 << 20));
            }
        }
    });
    return status::ok;
}

/// As resize_bilinear, and with both options if wanted.
template <class Executor = serial_executor>
inline status resize_nearest_neighbor(
    images_view<const std::int8_t> x, images_view<std::int8_t> y, resize_options options = {}, Executor&& executor = Executor {})
{
    if (const status s = detail::check_resize(x, y); s != status::ok)
        return s;
    if (y.size() == 0)
        return status::ok;
    executor.parallel_for(static_cast<std::size_t>(y.batch * y.height), [&](std::size_t line) {
        const default_fp_mode mode;
        const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(line) / y.height, oy = static_cast<std::ptrdiff_t>(line) % y.height;
        const std::ptrdiff_t iy = detail::nearest(oy, x.height, y.height, options);
        for (std::ptrdiff_t ox = 0; ox < y.width; ++ox)
            std::memcpy(
                &y(n, oy, ox, 0), &x(n, iy, detail::nearest(ox, x.width, y.width, options), 0), static_cast<std::size_t>(y.channels));
    });
    return status::ok;
}

} // namespace tflite
NIBBLE_END
