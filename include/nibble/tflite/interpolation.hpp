// Functions of one int16 tensor with zero points of 0, as 513 points with straight lines between them. These are the tables of TFLite's
// GELU and EXP of int16, and make HARD_SWISH and other functions possible that TFLite lacks for int16. For int8, tables.hpp has a table of
// all codes.
//   point i   half_away(v(i)) - half_away((half_away((v(i + 1) + half_away(v(i))) / 2) - half_away(v(i + 1/2))) / 2), saturated,
//             where v(i) = f(x_scale * (65535 i / 512 - 32768)) * 65536 / (65535 y_scale) in double; the last point is half_away(v(512))
//   y         floor(p + (q - p) * (x mod 128) / 128 + 1/2), p and q the points i = floor(x / 128) + 256 and i + 1
// TFLite computes its points in float with the functions of its C library, so a point may differ by one.
//
// The caller gives f, in double. To get the same bits everywhere, make it of portable_exp (core/math.hpp) and plain arithmetic.
// HARD_SWISH: [](double x) { return x <= -3 ? 0.0 : x >= 3 ? x : x * (x + 3) / 6; }
#pragma once

#include "requantize.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

struct code_table_16 {
    std::int16_t at[513];
};

namespace detail {

/// Half away from zero; |x| < 2^52.
inline double nearest_whole(double x) noexcept
{
    const double magnitude = x < 0.0 ? -x : x, whole = static_cast<double>(static_cast<std::int64_t>(magnitude));
    const double nearest = magnitude - whole < 0.5 ? whole : whole + 1.0;
    return x < 0.0 ? -nearest : nearest;
}

/// code in [-32768, 32767] spans the points.
NIBBLE_INLINE std::int32_t between_points(const std::int16_t (&points)[513], std::int32_t code) noexcept
{
    const std::int32_t i = (code >> 7) + 256, from = points[i];
    return from + (((points[i + 1] - from) * (code & 127) + 64) >> 7);
}

} // namespace detail

/// f: double to double. not_finite if a value of f is NaN; one beyond 10^15 steps of y counts as that.
template <class Function>
inline result<code_table_16> interpolation_table(Function&& f, float x_scale, float y_scale)
{
    if (!is_positive_finite(x_scale) || !is_positive_finite(y_scale))
        return status::scale_invalid;
    const default_fp_mode mode;
    const double from = static_cast<double>(pinned(x_scale)), low = from * -32768.0, high = from * 32767.0;
    const double step = (high - low) / 512.0, unit = 65536.0 / (static_cast<double>(pinned(y_scale)) * 65535.0);
    bool numbers = true;
    // Where no code is near, but the conversion to an integer still fits.
    const auto value = [&](double x) {
        const double v = f(x) * unit;
        std::uint64_t bits;
        std::memcpy(&bits, &v, sizeof bits);
        if ((bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u) {
            numbers = false;
            return 0.0;
        }
        return clamped(v, -1e15, 1e15);
    };
    code_table_16 table {};
    for (int i = 0; i <= 512 && numbers; ++i) {
        const double first = detail::nearest_whole(value(low + i * step));
        double point = first;
        if (i < 512) {
            const double line = detail::nearest_whole((value(low + (i + 1) * step) + first) / 2.0),
                         middle = value(low + i * step + step / 2.0);
            point = first - detail::nearest_whole((line - detail::nearest_whole(middle)) / 2.0);
        }
        point = pinned(point);
        table.at[i] = static_cast<std::int16_t>(clamped(point, -32768.0, 32767.0));
    }
    if (!numbers)
        return status::not_finite;
    return table;
}

/// y may be x.
template <class Executor = serial_executor>
inline status look_up(span<const std::int16_t> x, const code_table_16& table, span<std::int16_t> y, Executor&& executor = Executor {})
{
    if (const status s = detail::check_spans(x, y); s != status::ok)
        return s;
    detail::for_each_code(
        x.size(), executor, [&](std::size_t i) { y[i] = static_cast<std::int16_t>(detail::between_points(table.at, x[i])); });
    return status::ok;
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END
