// The definition of the int16 operators of tflite/activations_int16.hpp, softmax_int16.hpp and quantize_int16.hpp, and of requantize.hpp
// and int4.hpp: an element or a row at a time. Points of tables by their rule; what integers round with shifts is floor(x + 1/2) of exact
// numbers in double.
#pragma once

#include "../core/math.hpp"
#include "../tflite/activations_int16.hpp"
#include "../tflite/softmax_int16.hpp"
#include "requantize.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

namespace detail {

inline double floor_of(double x) noexcept
{
    const double whole = static_cast<double>(static_cast<std::int64_t>(x));
    return whole > x ? whole - 1.0 : whole;
}
inline double half_up(double x) noexcept
{
    const double whole = floor_of(x);
    return x - whole < 0.5 ? whole : whole + 1.0;
}
inline double half_away(double x) noexcept { return x < 0.0 ? -half_up(-x) : half_up(x); }
inline double bounded(double x, double low, double high) noexcept { return x < low ? low : x > high ? high : x; }

/// Point i of 512 intervals of [low, high], of f * unit.
template <class Function>
inline std::int16_t rounded_point(int i, double low, double high, double unit, Function f) noexcept
{
    const double step = (high - low) / 512.0, at = low + i * step, value = half_away(f(at) * unit);
    if (i == 512)
        return static_cast<std::int16_t>(bounded(value, -32768.0, 32767.0));
    const double line = half_away((f(low + (i + 1) * step) * unit + value) / 2.0), middle = half_away(f(at + step / 2.0) * unit);
    return static_cast<std::int16_t>(bounded(value - half_away((line - middle) / 2.0), -32768.0, 32767.0));
}

/// The line between two neighbours of at(0) ... at(512), of which code -32768 is the first.
template <class Points>
inline double between(Points at, double code) noexcept
{
    const double place = (code + 32768.0) / 128.0, i = floor_of(place), from = at(static_cast<int>(i));
    return half_up(from + (place - i) * (at(static_cast<int>(i) + 1) - from));
}

} // namespace detail

inline std::uint16_t sigmoid_point(int i) noexcept
{
    if (i == 255)
        return 65535;
    const auto f = [](double x) { return 65536.0 / (1.0 + portable_exp(-x)); };
    const double x = i / 24.0, next = (i + 1) / 24.0, line = (f(x) + f(next)) / 2.0;
    return static_cast<std::uint16_t>(detail::half_up(f(x) - (line - f((x + next) / 2.0)) / 2.0));
}
inline std::int16_t exp_point(int i) noexcept { return detail::rounded_point(i, -10.0, 0.0, 32768.0, portable_exp); }
inline std::int16_t reciprocal_point(int i) noexcept
{
    return detail::rounded_point(i, 0.0, 1.0, 32768.0, [](double x) { return 1.0 / (1.0 + x); });
}

namespace detail {

/// Code x in steps of 1 / 12288, powers: how many powers of two from 2^-12 on have multipliers of their own.
inline double sigmoid_steps(std::int16_t x, float x_scale, int powers) noexcept
{
    double m = static_cast<double>(x_scale) * 12288.0, unit = 1.0;
    for (int power = 0; power < powers; ++power) {
        const double ratio = static_cast<double>(x_scale) * 4096.0 / (1 << power);
        if (ratio > 0.99930709295445 && ratio < 1.00069338746258) // 2^-0.001 ... 2^0.001
            return 3.0 * (1 << power) * x;
    }
    for (int shift = 0; shift < 31 && m * 2.0 <= 32767.0; ++shift) {
        m *= 2.0;
        unit *= 2.0;
    }
    return half_up(floor_of(m) * x / unit);
}

/// 2^16 / (1 + e^(-x / 24)), x >= 0.
inline double sigmoid_line(double x) noexcept
{
    const double i = floor_of(x);
    if (i >= 255.0)
        return 65535.0;
    const double from = sigmoid_point(static_cast<int>(i));
    return from + (x - i) * (sigmoid_point(static_cast<int>(i) + 1) - from);
}

} // namespace detail

/// y(-x) is 1 - y(x).
inline std::int16_t logistic(std::int16_t x, float x_scale) noexcept
{
    const double steps = detail::sigmoid_steps(x, x_scale, 1);
    const double y = detail::bounded(detail::half_up(detail::sigmoid_line((steps < 0.0 ? -steps : steps) / 512.0) / 2.0), 0.0, 32767.0);
    return static_cast<std::int16_t>(steps < 0.0 ? 32768.0 - y : y);
}
/// y(-x) is -y(x).
inline std::int16_t tanh(std::int16_t x, float x_scale) noexcept
{
    const double steps = detail::sigmoid_steps(x, x_scale, 2);
    const double y = detail::half_up(detail::sigmoid_line((steps < 0.0 ? -steps : steps) / 256.0) - 32768.0);
    return static_cast<std::int16_t>(steps < 0.0 ? -y : y);
}

/// One code of tflite::requantize; low, high: bounds within those of the output's type.
inline std::int32_t requantize_code(
    std::int64_t x, std::int32_t x_zero_point, fixed_multiplier m, std::int32_t y_zero_point, std::int32_t low, std::int32_t high) noexcept
{
    const std::int64_t y = std::int64_t {multiply_double_rounding(saturated(x - x_zero_point), m.multiplier, m.shift)} + y_zero_point;
    return static_cast<std::int32_t>(y < low ? low : y > high ? high : y);
}

inline std::int16_t leaky_relu(std::int16_t x, float x_scale, float alpha, float y_scale) noexcept
{
    const float slope = alpha < 0.0f ? 0.0f - alpha : alpha;
    const fixed_multiplier m = *encode_multiplier(static_cast<double>(x < 0 ? x_scale * slope / y_scale : x_scale / y_scale));
    const std::int32_t y = multiply_double_rounding(x, x < 0 && alpha < 0.0f ? -m.multiplier : m.multiplier, m.shift);
    return static_cast<std::int16_t>(y < -32768 ? -32768 : y > 32767 ? 32767 : y);
}

inline void softmax_row(const std::int16_t* x, std::ptrdiff_t cols, fixed_multiplier m, std::int16_t* y) noexcept
{
    std::int16_t top = x[0];
    for (std::ptrdiff_t c = 0; c < cols; ++c)
        top = x[c] > top ? x[c] : top;
    const auto exp_of = [&](std::int16_t code) {
        const double apart = multiply_double_rounding(code - top, m.multiplier, m.shift);
        return detail::between(exp_point, detail::bounded(apart + 32767.0, -32768.0, 32767.0));
    };
    double sum = 0.0;
    for (std::ptrdiff_t c = 0; c < cols; ++c)
        sum += exp_of(x[c]);
    double power = 0.5; // of two: sum = 2^15 (1 + a) power
    while (sum >= 65536.0 * power)
        power *= 2.0;
    const double one_and_a = detail::half_up(sum / power * 2.0); // * 2^16
    const double reciprocal = detail::between(reciprocal_point, detail::bounded(one_and_a - 98304.0, -32768.0, 32767.0));
    for (std::ptrdiff_t c = 0; c < cols; ++c)
        y[c] = static_cast<std::int16_t>(detail::bounded(detail::half_up(exp_of(x[c]) * reciprocal / (32768.0 * power)), 0.0, 32767.0));
}

/// Code x of tflite::interpolation_table(f, x_scale, y_scale); values of f are no more than 10^15 steps of y.
template <class Function>
inline std::int16_t interpolate(std::int16_t x, Function f, float x_scale, float y_scale) noexcept
{
    const double unit = 65536.0 / (static_cast<double>(y_scale) * 65535.0), low = static_cast<double>(x_scale) * -32768.0;
    const auto point = [&](int i) { return detail::rounded_point(i, low, static_cast<double>(x_scale) * 32767.0, unit, f); };
    return static_cast<std::int16_t>(detail::between(point, static_cast<double>(x)));
}

/// x is no NaN.
inline std::int16_t quantize_int16(float x, float scale) noexcept
{
    const float steps = x / scale;
    return static_cast<std::int16_t>(detail::half_away(detail::bounded(static_cast<double>(steps), -32768.0, 32767.0)));
}
/// Within 2^46.
inline std::int64_t bias_of_int16(float bias, float x_scale, float w_scale) noexcept
{
    const float scale = x_scale * w_scale;
    return static_cast<std::int64_t>(detail::half_away(static_cast<double>(bias) / static_cast<double>(scale)));
}

/// Code i of a TFLite int4 tensor.
inline std::int8_t int4_code(const int4x2* packed, std::ptrdiff_t i) noexcept
{
    const int nibble = packed[i / 2].bits / (i % 2 == 0 ? 1 : 16) % 16;
    return static_cast<std::int8_t>(nibble < 8 ? nibble : nibble - 16);
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
