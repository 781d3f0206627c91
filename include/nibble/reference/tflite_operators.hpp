// The definition of the TFLite int8 scheme's operators in tflite/ that are no convolutions: one output at a time, by its coordinates, in
// 64-bit integers and in fixed-point numbers that know their integer bits.
#pragma once

#include "../core/math.hpp"
#include "../tflite/activations.hpp"
#include "../tflite/batch_matmul.hpp"
#include "../tflite/images.hpp"
#include "../tflite/normalize.hpp"
#include "../tflite/pad.hpp"
#include "../tflite/resize.hpp"
#include "../tflite/tensor.hpp"
#include "math.hpp"
#include "requantize.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

namespace detail {

inline std::int32_t multiply_fixed(requantize_mode mode, std::int32_t x, fixed_multiplier m) noexcept
{
    return mode == requantize_mode::single_rounding ? multiply_single_rounding(x, m.multiplier, m.shift)
                                                    : multiply_double_rounding(x, m.multiplier, m.shift);
}
inline std::int8_t clamped(std::int64_t q) noexcept { return static_cast<std::int8_t>(q < -128 ? -128 : q > 127 ? 127 : q); }

/// x / d, half away from zero; d above 0.
inline std::int64_t nearest_quotient(std::int64_t x, std::int64_t d) noexcept
{
    return x < 0 ? -((-2 * x + d) / (2 * d)) : (2 * x + d) / (2 * d);
}

/// A real of Integer integer bits: raw / 2^(31 - Integer). gemmlowp's arithmetic.
template <int Integer>
struct fixed {
    std::int32_t raw = 0;

    static constexpr std::int32_t one = Integer == 0 ? INT32_MAX : static_cast<std::int32_t>(std::int64_t {1} << (31 - Integer));
    template <int To>
    fixed<To> as() const noexcept
    {
        if constexpr (To >= Integer)
            return {static_cast<std::int32_t>(nearest_quotient(raw, std::int64_t {1} << (To - Integer)))};
        else
            return {saturated(raw * (std::int64_t {1} << (Integer - To)))};
    }
};
template <int A, int B>
inline fixed<A + B> operator*(fixed<A> a, fixed<B> b) noexcept
{
    return {multiply_double_rounding(a.raw, b.raw, 0)};
}
template <int A>
inline fixed<A> operator+(fixed<A> a, fixed<A> b) noexcept
{
    return {saturated(static_cast<std::int64_t>(a.raw) + b.raw)};
}
template <int A>
inline fixed<A> operator-(fixed<A> a, fixed<A> b) noexcept
{
    return {saturated(static_cast<std::int64_t>(a.raw) - b.raw)};
}

/// 1 / sqrt(x) = multiplier * 2^(shift - 31)
inline fixed_multiplier inverse_root(std::int64_t x) noexcept
{
    if (x <= 1)
        return {INT32_MAX, 0};
    std::int32_t shift = 0; // after x = v * 4^-shift, v in [2^27, 2^29)
    while (x >= std::int64_t {1} << 29) {
        x /= 4;
        --shift;
    }
    while (x < std::int64_t {1} << 27) {
        x *= 4;
        ++shift;
    }
    const fixed<3> v {static_cast<std::int32_t>(x / 2)}, half {static_cast<std::int32_t>(nearest_quotient(v.raw, 2))},
        three_halves {fixed<3>::one / 2 * 3};
    fixed<3> y {fixed<3>::one};
    for (int i = 0; i < 5; ++i)
        y = (three_halves * y - half * (y * y * y).template as<3>()).template as<3>();
    y = y * fixed<0> {1518500250}; // sqrt(1/2)
    shift -= 11;
    return shift > 0 ? fixed_multiplier {static_cast<std::int32_t>(y.raw * (std::int64_t {1} << shift)), 0}
                     : fixed_multiplier {y.raw, shift};
}

/// A real in [0, 1] as a number without integer bits.
inline fixed<0> nearest_fixed(double real) noexcept { return {static_cast<std::int32_t>(real * 2147483648.0 + 0.5)}; }

/// e^x of x <= 0, as gemmlowp approximates it. x = v - 1/8 - n/4, v in [-1/8, 1/8): e^v by Taylor's polynomial of degree 4, then a factor
/// e^-(2^i / 4) for each bit i of n.
inline fixed<0> exp(fixed<5> x) noexcept
{
    if (x.raw == 0)
        return {fixed<0>::one};
    const std::int64_t quarter = fixed<5>::one / 4, n = (-std::int64_t {x.raw} - 1) / quarter;
    const fixed<0> v = fixed<5> {static_cast<std::int32_t>(x.raw + n * quarter)}.as<0>() + nearest_fixed(0.125);
    const fixed<0> square = v * v, cube = square * v, fourth = square * square, third = nearest_fixed(1.0 / 3.0);
    const fixed<0> quarter_of_fourth {static_cast<std::int32_t>(nearest_quotient(fourth.raw, 4))};
    const fixed<0> twice_higher = (quarter_of_fourth + cube) * third + square;
    const fixed<0> eighth = nearest_fixed(portable_exp(-0.125));
    fixed<0> y = eighth + eighth * (v + fixed<0> {static_cast<std::int32_t>(nearest_quotient(twice_higher.raw, 2))});
    for (int i = 0; n >> i != 0; ++i)
        if (n >> i & 1)
            y = y * nearest_fixed(portable_exp(-0.25 * (1 << i)));
    return y;
}

/// 1 / (1 + x) of x in [0, 1): three steps of Newton and Raphson towards 1 / d, d = (1 + x) / 2, from 48/17 - 32/17 d.
inline fixed<0> inverse_of_one_plus(fixed<0> x) noexcept
{
    const fixed<0> d {static_cast<std::int32_t>(nearest_quotient(std::int64_t {x.raw} + fixed<0>::one, 2))};
    fixed<2> y = fixed<2> {1515870810} + d * fixed<2> {-1010580540};
    for (int i = 0; i < 3; ++i)
        y = y + (y * (fixed<2> {fixed<2>::one} - d * y)).as<2>();
    return fixed<1> {y.raw}.as<0>(); // half of y
}

/// log x of x >= 1, as TFLite approximates it.
inline fixed<5> log(fixed<12> x) noexcept
{
    const fixed<0> log_2 {1488522236}, half_root {1518500250}, half_fourth_root {1805811301};
    // a: x = 2^(n - 3/4) * (a / 2^(-1/4)), if a does not saturate; b: x = 2^(m - 1/4) * ...
    int n = 12, m = 12;
    std::int64_t normal = x.raw;
    for (; normal < std::int64_t {1} << 30; --n)
        normal *= 2;
    const fixed<0> a {saturated(2 * std::int64_t {(fixed<0> {static_cast<std::int32_t>(normal)} * half_root).raw})};
    std::int64_t scaled = (fixed<0> {x.raw} * half_root).raw, b = x.raw;
    for (; scaled < std::int64_t {1} << 30; --m) {
        scaled *= 2;
        b *= 2;
    }
    n -= 1;
    const std::int32_t r_raw = a.raw < b ? a.raw : saturated(b);
    const std::int32_t a_power = n * fixed<6>::one + fixed<6>::one / 4, b_power = m * fixed<6>::one - fixed<6>::one / 4;
    const fixed<6> power {a_power > b_power ? a_power : b_power};
    const fixed<0> r {r_raw}, middle {static_cast<std::int32_t>(nearest_quotient(std::int64_t {r.raw} + half_fourth_root.raw, 2))};
    const fixed<0> off = r - half_fourth_root, q = off + off, square = q * q;
    const fixed<0> numerator = q * r + q * square * fixed<0> {117049297};
    const fixed<0> denominator = middle * ((fixed<0> {1057819769} + q) + fixed<0> {127690142} * square) + fixed<0> {638450708} * q;
    return (power * log_2 + numerator.as<6>() * inverse_of_one_plus(denominator)).as<5>();
}

/// The coordinates of element `index` of a tensor.
struct coordinates {
    std::ptrdiff_t at[tflite::max_rank] {};

    coordinates(span<const std::ptrdiff_t> shape, std::ptrdiff_t index) noexcept
    {
        for (std::size_t i = shape.size(); i-- > 0; index /= shape[i])
            at[i] = index % shape[i];
    }
};

inline bool named(span<const std::ptrdiff_t> axes, std::size_t dimension, std::size_t rank) noexcept
{
    for (const std::ptrdiff_t axis : axes)
        if (axis == static_cast<std::ptrdiff_t>(dimension)
            || axis + static_cast<std::ptrdiff_t>(rank) == static_cast<std::ptrdiff_t>(dimension))
            return true;
    return false;
}

} // namespace detail

/// y = f(a, b), broadcast.
template <class F>
inline void for_pairs(
    tflite::images_view<const std::int8_t> a, tflite::images_view<const std::int8_t> b, tflite::images_view<std::int8_t> y, F f) noexcept
{
    const auto element = [](const tflite::images_view<const std::int8_t>& x, std::ptrdiff_t n, std::ptrdiff_t r, std::ptrdiff_t c,
                             std::ptrdiff_t i) { return x(n % x.batch, r % x.height, c % x.width, i % x.channels); };
    for (std::ptrdiff_t n = 0; n < y.batch; ++n)
        for (std::ptrdiff_t r = 0; r < y.height; ++r)
            for (std::ptrdiff_t c = 0; c < y.width; ++c)
                for (std::ptrdiff_t i = 0; i < y.channels; ++i)
                    y(n, r, c, i) = f(element(a, n, r, c, i), element(b, n, r, c, i));
}

/// One element; r.mode, zero_point, low and high are used.
inline std::int8_t subtract(std::int8_t a, std::int32_t a_zero_point, std::int8_t b, std::int32_t b_zero_point,
    const tflite::add_multipliers& m, const requantization& r) noexcept
{
    const std::int32_t left = detail::multiply_fixed(r.mode, (a - a_zero_point) * (1 << 20), m.a);
    const std::int32_t right = detail::multiply_fixed(r.mode, (b - b_zero_point) * (1 << 20), {-m.b.multiplier, m.b.shift});
    const std::int64_t q = std::int64_t {detail::multiply_fixed(r.mode, left + right, m.sum)} + r.zero_point;
    return detail::clamped(q < r.low ? r.low : q > r.high ? r.high : q);
}
inline std::int8_t squared_difference(std::int8_t a, std::int32_t a_zero_point, std::int8_t b, std::int32_t b_zero_point,
    const tflite::add_multipliers& m, const requantization& r) noexcept
{
    const std::int32_t left = detail::multiply_fixed(r.mode, (a - a_zero_point) * 128, m.a);
    const std::int32_t right = detail::multiply_fixed(r.mode, (b - b_zero_point) * 128, m.b);
    const std::int64_t q = std::int64_t {detail::multiply_fixed(r.mode, (left - right) * (left - right), m.sum)} + r.zero_point;
    return detail::clamped(q < r.low ? r.low : q > r.high ? r.high : q);
}
inline std::int8_t prelu(std::int8_t x, std::int32_t x_zero_point, std::int8_t alpha, std::int32_t alpha_zero_point,
    const tflite::prelu_multipliers& m, std::int32_t y_zero_point) noexcept
{
    const std::int32_t v = x - x_zero_point, product = v * (alpha - alpha_zero_point);
    const std::int64_t q = v < 0 ? multiply_double_rounding(product, m.slope.multiplier, m.slope.shift)
                                 : multiply_double_rounding(v, m.identity.multiplier, m.identity.shift);
    return detail::clamped(q + y_zero_point);
}
inline std::int8_t leaky_relu(std::int32_t code, tflite::quantization x, tflite::quantization y, float alpha) noexcept
{
    const default_fp_mode mode;
    const std::int32_t v = code - x.zero_point;
    const float real = opaque(x.scale * (v < 0 ? alpha : 1.0f)) / y.scale;
    const auto m = encode_multiplier(static_cast<double>(real < 0.0f ? -real : real));
    return detail::clamped(
        std::int64_t {multiply_double_rounding(v, real < 0.0f ? -m->multiplier : m->multiplier, m->shift)} + y.zero_point);
}
inline std::int8_t elu(std::int32_t code, tflite::quantization x, tflite::quantization y) noexcept
{
    const default_fp_mode mode;
    const float v = x.scale * static_cast<float>(code - x.zero_point);
    float image = v;
    if (v < 0.0f)
        image = static_cast<float>(portable_exp(static_cast<double>(v))) - 1.0f;
    const float steps = opaque(image * (1.0f / y.scale));
    const float bounded = clamp(strict_math::choose(is_nan(steps), 0.0f, steps), -1000.0f, 1000.0f);
    // Twice a float is exact, and so is its whole part.
    const std::int64_t whole = static_cast<std::int64_t>(bounded * 2.0f);
    return detail::clamped((whole + (whole > 0) - (whole < 0)) / 2 + y.zero_point);
}

inline void l2_normalization(matrix_view<const std::int8_t> x, std::int32_t x_zero_point, matrix_view<std::int8_t> y) noexcept
{
    for (std::ptrdiff_t r = 0; r < x.rows; ++r) {
        std::int64_t sum = 0;
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            sum += (x(r, c) - x_zero_point) * (x(r, c) - x_zero_point);
        const fixed_multiplier m = detail::inverse_root(sum);
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            y(r, c) = detail::clamped(multiply_double_rounding(x(r, c) - x_zero_point, m.multiplier, m.shift + 7));
    }
}

/// One row to scale 2^-8 and zero point -128, or 2^-16 and -32768: to 8 or 16 bits.
template <class Y>
inline void softmax_row(const std::int8_t* x, std::ptrdiff_t cols, fixed_multiplier m, std::int32_t least, Y* y) noexcept
{
    constexpr int bits = 8 * sizeof(Y);
    constexpr std::int64_t low = -(std::int64_t {1} << (bits - 1)), high = -low - 1;
    std::int32_t top = -128;
    for (std::ptrdiff_t c = 0; c < cols; ++c)
        top = top < x[c] ? x[c] : top;
    const auto exp_of
        = [&](std::ptrdiff_t c) { return detail::exp(detail::fixed<5> {multiply_double_rounding(x[c] - top, m.multiplier, m.shift)}); };
    detail::fixed<12> sum;
    for (std::ptrdiff_t c = 0; c < cols; ++c)
        if (x[c] - top >= least)
            sum = sum + exp_of(c).template as<12>();
    // sum = (1 + a) * 2^power
    int power = 12;
    std::int64_t one_and_a = sum.raw;
    for (; one_and_a < std::int64_t {1} << 31; --power)
        one_and_a *= 2;
    const detail::fixed<0> inverse
        = detail::inverse_of_one_plus(detail::fixed<0> {static_cast<std::int32_t>(one_and_a - (std::int64_t {1} << 31))});
    for (std::ptrdiff_t c = 0; c < cols; ++c) {
        std::int64_t q = low;
        if (x[c] - top >= least)
            q += detail::nearest_quotient((inverse * exp_of(c)).raw, std::int64_t {1} << (31 - bits + power));
        y[c] = static_cast<Y>(q < high ? q : high);
    }
}

inline void log_softmax(matrix_view<const std::int8_t> x, float x_scale, matrix_view<std::int8_t> y) noexcept
{
    const default_fp_mode mode;
    const double wanted = static_cast<double>(x_scale) * 67108864.0;
    const auto m = encode_multiplier(wanted < 2147483647.0 ? wanted : 2147483647.0);
    const double per_code = static_cast<double>(m->multiplier) / static_cast<double>(std::int64_t {1} << (31 - m->shift));
    const auto inverse = encode_multiplier(1.0 / per_code);
    const std::int64_t least = -((std::int64_t {31} * (1 << 26)) / (std::int64_t {1} << m->shift));
    for (std::ptrdiff_t r = 0; r < x.rows; ++r) {
        std::int32_t top = -128;
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            top = top < x(r, c) ? x(r, c) : top;
        const auto difference
            = [&](std::ptrdiff_t c) { return detail::fixed<5> {multiply_double_rounding(x(r, c) - top, m->multiplier, m->shift)}; };
        detail::fixed<12> sum;
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            if (x(r, c) - top >= least)
                sum = sum + detail::exp(difference(c)).as<12>();
        const detail::fixed<5> log = detail::log(sum);
        const std::int64_t beyond = multiply_double_rounding(INT32_MIN + log.raw, inverse->multiplier, inverse->shift);
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const bool counts = x(r, c) - top >= least && x(r, c) - top > beyond;
            y(r, c) = counts ? detail::clamped(detail::nearest_quotient((difference(c) - log).raw, 1 << 22) + 127) : std::int8_t {-128};
        }
    }
}

/// f(x's code) for every element of x that belongs to output `index`.
template <class F>
inline void for_reduced(tflite::tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, std::ptrdiff_t index, F f) noexcept
{
    const std::ptrdiff_t size = x.size();
    for (std::ptrdiff_t i = 0; i < size; ++i) {
        const detail::coordinates c(x.shape, i);
        std::ptrdiff_t output = 0;
        for (std::size_t d = 0; d < x.shape.size(); ++d)
            if (!detail::named(axes, d, x.shape.size()))
                output = output * x.shape[d] + c.at[d];
        if (output == index)
            f(x.data[i]);
    }
}
inline std::int8_t reduced_extreme(
    tflite::tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, std::ptrdiff_t index, bool greatest) noexcept
{
    std::int8_t found = greatest ? -128 : 127;
    for_reduced(x, axes, index, [&](std::int8_t code) { found = (greatest ? code > found : code < found) ? code : found; });
    return found;
}
/// The code of output `index` of a sum or mean.
inline std::int8_t reduced_sum(tflite::tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, std::ptrdiff_t index,
    tflite::quantization x_params, tflite::quantization y_params, bool mean, requantize_mode mode) noexcept
{
    const default_fp_mode fp_mode;
    std::int64_t sum = 0, count = 0;
    for_reduced(x, axes, index, [&](std::int8_t code) {
        sum += code - x_params.zero_point;
        ++count;
    });
    fixed_multiplier m = *encode_multiplier(static_cast<double>(x_params.scale) / static_cast<double>(y_params.scale));
    if (mean) {
        std::int32_t bits = 0;
        for (std::int64_t rest = count; rest > 1 && bits < 31 + m.shift; rest /= 2)
            ++bits;
        m = {static_cast<std::int32_t>(m.multiplier * (std::int64_t {1} << bits) / count), m.shift - bits};
    }
    const float scale = x_params.scale / (mean ? y_params.scale * static_cast<float>(count) : y_params.scale);
    requantization r;
    r.mode = mode;
    r.scale = span<const float>(&scale, 1);
    r.multiplier = span<const std::int32_t>(&m.multiplier, 1);
    r.shift = span<const std::int32_t>(&m.shift, 1);
    r.zero_point = y_params.zero_point;
    return static_cast<std::int8_t>(requantize(static_cast<std::int32_t>(sum), r, 0, codes_of<std::int8_t>(code_range::full)));
}

inline void resize_bilinear(
    tflite::images_view<const std::int8_t> x, tflite::images_view<std::int8_t> y, tflite::resize_options options) noexcept
{
    // In 1/1024 of an input.
    const auto position = [&](std::ptrdiff_t out, std::int64_t from, std::int64_t to) {
        const bool corners = options.align_corners && to > 1;
        const std::int64_t a = from - (corners ? 1 : 0), b = to - (corners ? 1 : 0), scale = (2048 * a + b) / (2 * b);
        return options.half_pixel_centers ? out * scale + scale / 2 - 512 : out * scale;
    };
    const auto inside = [](std::int64_t pixel, std::int64_t size) { return pixel < 0 ? 0 : pixel >= size ? size - 1 : pixel; };
    for (std::ptrdiff_t n = 0; n < y.batch; ++n)
        for (std::ptrdiff_t oy = 0; oy < y.height; ++oy)
            for (std::ptrdiff_t ox = 0; ox < y.width; ++ox)
                for (std::ptrdiff_t c = 0; c < y.channels; ++c) {
                    const std::int64_t v = position(oy, x.height, y.height), h = position(ox, x.width, y.width);
                    const std::int64_t top = v >= 0 ? v / 1024 : -1, left = h >= 0 ? h / 1024 : -1; // floors: no position is below -1
                    std::int64_t sum = 0;
                    for (const int i : {0, 1})
                        for (const int j : {0, 1}) {
                            const std::int64_t down = v - 1024 * top, right = h - 1024 * left;
                            sum += (i ? down : 1024 - down) * (j ? right : 1024 - right)
                                   * x(n, inside(top + i, x.height), inside(left + j, x.width), c);
                        }
                    y(n, oy, ox, c) = static_cast<std::int8_t>(detail::nearest_quotient(sum, 1 << 20));
                }
}

inline void resize_nearest_neighbor(
    tflite::images_view<const std::int8_t> x, tflite::images_view<std::int8_t> y, tflite::resize_options options) noexcept
{
    const default_fp_mode mode;
    const auto pixel = [&](std::ptrdiff_t out, std::ptrdiff_t from, std::ptrdiff_t to) {
        float scale = static_cast<float>(from) / static_cast<float>(to);
        if (options.align_corners && to > 1)
            scale = static_cast<float>(from - 1) / static_cast<float>(to - 1);
        const float at = opaque((options.half_pixel_centers ? static_cast<float>(out) + 0.5f : static_cast<float>(out)) * scale);
        // Twice and half are exact; nothing is below 0.
        const std::ptrdiff_t halves = static_cast<std::ptrdiff_t>(at * 2.0f), found = options.align_corners ? (halves + 1) / 2 : halves / 2;
        return found >= from ? from - 1 : found;
    };
    for (std::ptrdiff_t n = 0; n < y.batch; ++n)
        for (std::ptrdiff_t oy = 0; oy < y.height; ++oy)
            for (std::ptrdiff_t ox = 0; ox < y.width; ++ox)
                for (std::ptrdiff_t c = 0; c < y.channels; ++c)
                    y(n, oy, ox, c) = x(n, pixel(oy, x.height, y.height), pixel(ox, x.width, y.width), c);
}

inline void pad(tflite::tensor_view<const std::int8_t> x, span<const tflite::padding> paddings, std::int8_t value,
    tflite::tensor_view<std::int8_t> y) noexcept
{
    const std::ptrdiff_t size = y.size();
    for (std::ptrdiff_t i = 0; i < size; ++i) {
        const detail::coordinates c(y.shape, i);
        std::ptrdiff_t from = 0;
        bool inside = true;
        for (std::size_t d = 0; d < x.shape.size(); ++d) {
            const std::ptrdiff_t at = c.at[d] - paddings[d].before;
            inside = inside && at >= 0 && at < x.shape[d];
            from = from * x.shape[d] + at;
        }
        y.data[i] = inside ? x.data[from] : value;
    }
}

inline void batch_matmul(tflite::tensor_view<const std::int8_t> a, std::int32_t a_zero_point, tflite::tensor_view<const std::int8_t> b,
    std::int32_t b_zero_point, tflite::batch_matmul_options options, const requantization& r, tflite::tensor_view<std::int8_t> y) noexcept
{
    const default_fp_mode mode;
    const std::size_t rank = y.shape.size();
    // The element at the batch of c and at (row, col), or (col, row) if the matrices are transposed.
    const auto element = [&](tflite::tensor_view<const std::int8_t> x, const detail::coordinates& c, std::ptrdiff_t row, std::ptrdiff_t col,
                             bool transposed) {
        const std::size_t own = x.shape.size();
        std::ptrdiff_t at = 0;
        for (std::size_t d = 0; d + 2 < own; ++d)
            at = at * x.shape[d] + (x.shape[d] == 1 ? 0 : c.at[d + rank - own]);
        return x.data[(at * x.shape[own - 2] + (transposed ? col : row)) * x.shape[own - 1] + (transposed ? row : col)];
    };
    const std::ptrdiff_t k = a.shape[a.shape.size() - (options.adj_x ? 2 : 1)], size = y.size();
    for (std::ptrdiff_t i = 0; i < size; ++i) {
        const detail::coordinates c(y.shape, i);
        const std::ptrdiff_t row = c.at[rank - 2], col = c.at[rank - 1];
        std::int64_t sum = 0;
        for (std::ptrdiff_t l = 0; l < k; ++l)
            sum += (element(a, c, row, l, options.adj_x) - a_zero_point) * (element(b, c, l, col, options.adj_y) - b_zero_point);
        y.data[i] = static_cast<std::int8_t>(
            requantize(static_cast<std::int32_t>(sum), r, static_cast<std::size_t>(col), codes_of<std::int8_t>(code_range::full)));
    }
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
