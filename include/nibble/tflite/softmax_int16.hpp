// Softmax of int16 rows in TFLite's integers; zero points are 0, the output's scale is 2^-15. Softmax of int8 rows is in softmax.hpp.
//   d = 32767 + m * (x - max of the row), saturated to int16, by double rounding; m = beta * x_scale (in float) / (10 / 65535)
//   e = e^(d's place in [-10, 0]) * 2^15, on the straight lines between exp_points; s = the row's sum of e
//   r = 2^15 / (1 + a), on those between reciprocal_points, where s = 2^15 (1 + a) 2^n and a is rounded to 16 bits
//   y = e * r / 2^(15 + n), half up, at most 32767
// TFLite for microcontrollers makes its tables in float, not in double: two of its reciprocal_points differ by one.
// A row may have 65536 columns. This is plain C++, the same on every backend.
#pragma once

#include "int16_tables.hpp"
#include "interpolation.hpp"
#include "rows.hpp"

NIBBLE_BEGIN
namespace tflite {

/// beta * x_scale as softmax of int16 uses it.
struct softmax_scale_16 {
    fixed_multiplier multiplier;
};

} // namespace tflite
NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

/// X: std::int16_t.
template <class X>
inline result<softmax_scale_16> softmax_params(float x_scale, float beta = 1.0f) noexcept
{
    static_assert(std::is_same_v<X, std::int16_t>, "int16; int8 has softmax_params(x_scale, beta)");
    if (!is_positive_finite(x_scale) || !is_positive_finite(beta))
        return status::scale_invalid;
    const default_fp_mode mode;
    const float scale = pinned(x_scale), factor = pinned(beta);
    const auto m = encode_multiplier(pinned(static_cast<double>(scale * factor) / (10.0 / 65535.0)));
    if (!m)
        return m.error();
    return softmax_scale_16 {*m};
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN
namespace tflite {

/// x, y: rows x cols, cols at most 65536. y may be x.
template <class Executor = serial_executor>
inline status softmax(
    matrix_view<const std::int16_t> x, const softmax_scale_16& s, matrix_view<std::int16_t> y, Executor&& executor = Executor {})
{
    if (const status bad = detail::check_rows(x, y, 65536); bad != status::ok)
        return bad;
    if (s.multiplier.multiplier < 0 || s.multiplier.shift < -31 || s.multiplier.shift > 31)
        return status::multiplier_invalid;
    detail::for_rows(x, y, executor, [&](const std::int16_t* from, std::int16_t* to) noexcept {
        const std::int32_t top = detail::greatest_code(from, x.cols);
        std::int32_t sum = 0; // at most 65536 * 32767
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::int64_t place = std::int64_t {detail::times(from[c] - top, s.multiplier)} + 32767;
            const std::int32_t e = detail::between_points(detail::exp_points, detail::saturated_to(place, -32768, 32767));
            sum += e;
            to[c] = static_cast<std::int16_t>(e);
        }
        int digits = 15; // of the sum, which is 32762 at least: the greatest number's e
        while (sum >> digits != 0)
            ++digits;
        // The sum's first 17 digits are (1 + a) 2^16, a in [0, 1].
        const std::int32_t one_and_a = static_cast<std::int32_t>(((static_cast<std::int64_t>(sum) << (31 - digits)) + (1 << 13)) >> 14);
        const std::int32_t a = detail::saturated_to(std::int64_t {one_and_a} - (1 << 16) - (1 << 15), -32768, 32767);
        const std::int64_t reciprocal = detail::between_points(detail::reciprocal_points, a);
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::int64_t q = (to[c] * reciprocal + (std::int64_t {1} << (digits - 2))) >> (digits - 1);
            to[c] = static_cast<std::int16_t>(smaller(q, 32767));
        }
    });
    return status::ok;
}

} // namespace tflite
NIBBLE_END
