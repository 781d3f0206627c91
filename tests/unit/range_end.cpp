// Finite numbers at the ends of a type's range: finite and right results, or the status that says why not.

#include "../support.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace nibble;

namespace {

constexpr float most = std::numeric_limits<float>::max(), infinity = std::numeric_limits<float>::infinity();

bool is_infinite(double x)
{
    const double expected = std::numeric_limits<double>::infinity();
    return test::same_bits(&x, &expected, 1);
}

NIBBLE_STRICT_BEGIN

// PyTorch's MovingAverageMinMaxObserver in float32: min_val + averaging_constant * (min_cur - min_val).
float pytorch_average(float average, float x, float rate)
{
    const volatile float difference = x - average;
    const volatile float change = rate * difference;
    return average + change;
}

// (hi - lo) / codes in float if the difference is one, else in double.
float float_scale(float lo, float hi, int codes)
{
    const volatile float width = hi - lo;
    return is_finite(width) ? width / static_cast<float>(codes) : static_cast<float>((double(hi) - double(lo)) / codes);
}

NIBBLE_STRICT_END

// All magnitudes near the end of the range, a few small ones.
float extreme(test::random& random)
{
    const std::int32_t kind = random.integer(0, 9);
    return kind == 0   ? 0.0f
           : kind == 1 ? random.real()
                       : std::ldexp(1.0f - std::fabs(random.real()) / 12.0f, 127) * (random.integer(0, 1) ? 1.9999999f : -1.9999999f);
}

} // namespace

TEST_CASE("the exponential to the end of double, and perplexities of any loss")
{
    test::random random(1);
    for (int i = 0; i < 5000; ++i) {
        const double x = 700.0 + 9.7827 * (double(random.real()) + 3.0) / 6.0;
        REQUIRE(std::fabs(portable_exp(x) / std::exp(x) - 1) <= 1e-15);
    }
    for (const double x : {709.0, 709.4, 709.43, 709.5, 709.78, 709.782712893})
        CHECK(std::fabs(portable_exp(x) / std::exp(x) - 1) <= 1e-15);
    for (const double x : {709.7828, 709.8, 710.0, 1e4, 1e300, std::numeric_limits<double>::infinity()})
        CHECK(is_infinite(portable_exp(x)));
    CHECK(portable_exp(-std::numeric_limits<double>::infinity()) == 0.0);
    CHECK(is_infinite(portable_pow(1e200, 2.0)));
    CHECK(portable_pow(1e200, 1.5) == Approx(1e300).epsilon(1e-12));

    for (const float gap : {0.0f, 1.0f, 700.0f, 709.0f, 709.5f}) {
        prediction_statistics p;
        REQUIRE(p.add_target(std::vector<float> {0, gap}, 0) == status::ok);
        CHECK(std::fabs(p.perplexity() / std::exp(p.loss) - 1) <= 1e-15);
    }
    for (const float gap : {709.8f, 710.0f, 1000.0f, most, infinity}) {
        prediction_statistics p;
        REQUIRE(p.add_target(std::vector<float> {0, -gap}, 1) == status::ok);
        CHECK(is_infinite(p.perplexity()));
        // A mean of 1001 losses of which one is large.
        for (int i = 0; i < 1000 && gap < 2000.0f; ++i)
            REQUIRE(p.add_target(std::vector<float> {0, 0}, 1) == status::ok);
        if (gap < 2000.0f)
            CHECK(p.perplexity() == Approx(std::exp((double(gap) + 1000 * std::log(2.0)) / 1001)).epsilon(1e-12));
    }
}

TEST_CASE("moving averages are PyTorch's, and right where its difference overflows")
{
    test::random random(2);
    int fused_differs = 0;
    for (int i = 0; i < 4000; ++i) {
        const float rate = i % 3 == 0 ? 0.01f : std::fabs(random.real()) / 3.0f;
        moving_average_observer o;
        o.averaging = rate;
        range_observer r(rate == 0.0f ? 0.01f : rate);
        float low = 0, high = 0;
        const int shift = random.integer(-120, 100);
        for (int batch = 0; batch < 6; ++batch) {
            const float x[] = {std::ldexp(random.real(), shift), std::ldexp(random.real(), shift), std::ldexp(random.real(), shift)};
            const float least = *std::min_element(x, x + 3), greatest = *std::max_element(x, x + 3);
            fused_differs += batch != 0 && strict_math::fma(rate, least - low, low) != pytorch_average(low, least, rate);
            low = batch == 0 ? least : pytorch_average(low, least, rate);
            high = batch == 0 ? greatest : pytorch_average(high, greatest, rate);
            o.observe(x);
            REQUIRE(r.observe({x, 1, 3}) == status::ok);
            REQUIRE((o.low == low && o.high == high));
            REQUIRE((rate == 0.0f || (r.low() == low && r.high() == high)));
        }
    }
    CHECK(fused_differs > 1000);

    // Steps of 0.01 for which one fused rounding gives the float next to PyTorch's.
    const float steps[][3]
        = {{-1.0f, 8.5f, -0.904999971f}, {-1.0f, 8.75f, -0.902500033f}, {0.75f, -9.0f, 0.652500033f}, {0.75f, -8.75f, 0.654999971f}};
    for (const auto& step : steps) {
        moving_average_observer average;
        average.observe(span<const float>(&step[0], 1));
        average.observe(span<const float>(&step[1], 1));
        CHECK((average.low == step[2] && average.high == step[2]));
    }

    moving_average_observer o;
    o.observe(std::vector<float> {-3e38f});
    o.observe(std::vector<float> {3e38f});
    CHECK((o.low == -2.94e38f && o.high == -2.94e38f));
    range_observer r(0.01f);
    for (const float v : {-3e38f, 3e38f})
        REQUIRE(r.observe({&v, 1, 1}) == status::ok);
    CHECK((r.low() == -2.94e38f && r.high() == -2.94e38f));
    for (int i = 0; i < 4000; ++i) {
        const float a = extreme(random), b = extreme(random), rate = std::fabs(random.real()) / 3.0f;
        moving_average_observer average;
        average.averaging = rate;
        average.observe(span<const float>(&a, 1));
        average.observe(span<const float>(&b, 1));
        const double exact = double(a) + double(rate) * (double(b) - double(a)), ulp = double(most) * 0x1p-23;
        REQUIRE(is_finite(average.low));
        REQUIRE(std::fabs(double(average.low) - exact) <= ulp);
    }
}

TEST_CASE("parameters of ranges whose width is no float")
{
    const code_limits u8 {0, 255}, s8 {-128, 127};
    const auto scale_of = [](double low, double high, double codes) { return static_cast<float>((high - low) / codes); };
    for (const params_formula f :
        {params_formula::nibble, params_formula::onnx, params_formula::tflite, params_formula::pytorch, params_formula::fbgemm}) {
        INFO(int(f));
        const scale_and_zero_point p = params_of_range(-3e38f, 3e38f, {scheme::affine, f}, u8);
        CHECK(p.scale == scale_of(-3e38f, 3e38f, 255));
        CHECK((p.zero_point == 127 || p.zero_point == 128));
        const scale_and_zero_point q = params_of_range(-1e38f, most, {scheme::affine, f}, s8);
        CHECK(q.scale == scale_of(-1e38f, most, 255));
        CHECK(q.zero_point == -70); // -128 + 57.93
        const bool halves = f == params_formula::onnx || f == params_formula::pytorch;
        CHECK(params_of_range(-3e38f, 2e38f, {scheme::symmetric, f}, s8).scale
              == (halves ? scale_of(-3e38f, 3e38f, 255) : scale_of(0, 3e38f, 127)));
        CHECK(is_finite(params_of_range(-most, most, {scheme::affine, f}, {0, 1}).scale));
    }
    // Where the width is a float, the formulas stay the owners': quotients of floats.
    test::random random(3);
    int wide = 0;
    for (int i = 0; i < 5000; ++i) {
        const float a = extreme(random), b = extreme(random), low = std::min({a, b, 0.0f}), high = std::max({a, b, 0.0f});
        const float expected = float_scale(low, high, 255);
        wide += double(high) - double(low) > double(most);
        const scale_and_zero_point p = params_of_range(low, high, {scheme::affine, params_formula::onnx}, u8);
        REQUIRE(p.scale == (expected == 0.0f ? 1.0f : expected));
        const float at = std::nearbyint(0.0f - low / p.scale);
        REQUIRE(p.zero_point == static_cast<std::int32_t>(std::min(std::max(at, 0.0f), 255.0f)));
    }
    CHECK(wide > 1000);
}

TEST_CASE("DynamicQuantizeLinear of -3e38 and 3e38")
{
    const std::vector<float> x {-3e38f, 3e38f, 0.0f, 1.5e38f};
    std::vector<std::uint8_t> y(4);
    std::vector<float> back(4);
    float scale = 0;
    std::uint8_t zero_point = 0;
    REQUIRE(onnx::dynamic_quantize_linear(x, y, scale, zero_point) == status::ok);
    CHECK(scale == 2.3529411e36f);
    CHECK(zero_point == 128);
    CHECK(y == std::vector<std::uint8_t> {0, 255, 128, 192});
    const float scales[] = {scale};
    const std::int32_t zeros[] = {zero_point};
    const std::ptrdiff_t shape[] = {4};
    REQUIRE(onnx::dequantize_linear<std::uint8_t>(y, shape, scales, zeros, back) == status::ok);
    for (std::size_t i = 0; i < 4; ++i)
        CHECK(std::fabs(double(back[i]) - double(x[i])) <= 0.51 * double(scale));

    const std::vector<float> ends {-most, most};
    std::vector<std::uint8_t> codes(2);
    REQUIRE(onnx::dynamic_quantize_linear(ends, codes, scale, zero_point) == status::ok);
    CHECK((scale == static_cast<float>(2 * double(most) / 255) && zero_point == 128));
    CHECK((codes[0] == 0 && codes[1] == 255));
    CHECK(float_bits(reference::dequantize(codes[0], scale, zero_point)) == 0xff800000u);
}

TEST_CASE("multipliers up to 2^31 keep shifts that requantize takes")
{
    for (const double real : {2147483647.75, 2147483647.5, 2147483648.0 - 0x1p-22}) {
        const auto m = encode_multiplier(real);
        REQUIRE(m);
        CHECK((m->multiplier == INT32_MAX && m->shift == 31));
    }
    CHECK(encode_multiplier(2147483647.25)->multiplier == INT32_MAX);
    CHECK(encode_multiplier(2147483646.75)->multiplier == INT32_MAX);
    CHECK(encode_multiplier(2147483646.25)->multiplier == INT32_MAX - 1);
    test::random random(4);
    for (int i = 0; i < 20000; ++i) {
        const double part = std::fabs(double(random.real())) / 3.1;
        const int near = random.integer(-55, -3), exponent = random.integer(-36, 31);
        const double fraction = random.integer(0, 1) ? 1.0 - std::ldexp(part, near) : part;
        const double real = std::ldexp(fraction, exponent);
        if (real >= 2147483648.0)
            continue;
        const auto m = encode_multiplier(real);
        REQUIRE(m);
        REQUIRE((m->shift >= -31 && m->shift <= 31));
        REQUIRE((m->multiplier == 0 || m->multiplier >= 1 << 30));
        const double unit = std::ldexp(1.0, m->shift - 31), off = std::fabs(real - m->multiplier * unit);
        REQUIRE((m->multiplier == 0 ? real < 0x1p-32 : off <= unit * (m->multiplier == INT32_MAX ? 1.0 : 0.5)));
        const std::int32_t multiplier[] = {m->multiplier}, shift[] = {m->shift}, sum[] = {1};
        std::int8_t q[1];
        requantization r;
        r.mode = requantize_mode::double_rounding;
        r.multiplier = multiplier;
        r.shift = shift;
        REQUIRE(requantize({sum, 1, 1}, r, matrix_view<std::int8_t>(q, 1, 1)) == status::ok);
    }
}

TEST_CASE("a Hessian of no inputs")
{
    auto h = hessian::make(0);
    REQUIRE(h);
    CHECK(h->add({nullptr, 3, 0}) == status::ok);
    CHECK(h->importance(span<float>()) == status::ok);
    CHECK(h->scale({}) == status::ok);
    CHECK(h->merge(*hessian::make(0)) == status::ok);
    double channels[2] = {7, 7};
    const auto error = output_error({nullptr, 2, 0}, {nullptr, 2, 0}, *h, channels);
    REQUIRE(error);
    CHECK((*error == 0.0 && channels[0] == 0.0 && channels[1] == 0.0));
    CHECK(gptq({nullptr, 0, 0}, *h, weight_format {}, quantized_matrix<std::int8_t> {}) == status::ok);
}

TEST_CASE("weights and inputs near the end of float are quantized")
{
    test::random random(5);
    for (int i = 0; i < 300; ++i) {
        const std::ptrdiff_t n = random.integer(1, 3), k = random.integer(1, 16), m = 20;
        weight_format f;
        f.bits = random.integer(3, 8);
        f.how = random.integer(0, 1) ? scheme::symmetric : scheme::affine;
        std::vector<float> w(std::size_t(n * k)), x(std::size_t(m * k)), scales(static_cast<std::size_t>(n)),
            factors(static_cast<std::size_t>(k));
        for (float& v : w)
            v = extreme(random);
        for (float& v : x)
            v = i % 2 ? extreme(random) : random.real();
        std::vector<std::uint8_t> codes(std::size_t(n * k));
        std::vector<std::int32_t> zeros(static_cast<std::size_t>(n));
        const quantized_matrix<std::uint8_t> q {{codes.data(), n, k}, scales, zeros};
        auto h = hessian::make(k);
        REQUIRE(h->add({x.data(), m, k}) == status::ok);
        std::vector<column_statistics> columns(static_cast<std::size_t>(k));
        REQUIRE(observe_columns({x.data(), m, k}, span<column_statistics>(columns)) == status::ok);
        std::vector<float> magnitude, importance;
        for (const column_statistics& c : columns) {
            magnitude.push_back(c.magnitude());
            importance.push_back(c.importance());
        }
        for (const float v : importance)
            REQUIRE((is_finite(v) && v >= 0));
        const matrix_view<const float> view(w.data(), n, k);
        for (int which = 0; which < 7; ++which) {
            INFO(which);
            f.search = which == 1 ? range_search::squared_error : range_search::min_max;
            const status s = which < 2    ? round_to_nearest(view, f, q, importance)
                             : which == 2 ? gptq(view, *h, f, q)
                             : which == 3 ? round_clipped(view, *h, f, q)
                             : which == 4 ? hqq(view, f, q)
                             : which == 5 ? search_awq_scales<std::uint8_t>(view, magnitude, *h, f, 6, factors)
                                          : search_smooth_scales({x.data(), m, k}, view, activation_scales::per_row, false, 6, factors);
            REQUIRE(s == status::ok);
            for (const float v : which < 5 ? scales : factors)
                REQUIRE((is_finite(v) && v > 0));
        }
        std::vector<float> scratch(start_params_scratch(params_start::mse, granularity::per_channel, n, k));
        REQUIRE(start_params(view, params_start::mse, f.how, {0, 255}, granularity::per_channel, 0, scales, zeros, scratch) == status::ok);
        for (const float v : scales)
            REQUIRE((is_finite(v) && v > 0));
        histogram_observer histogram;
        histogram.observe(w);
        for (const result<value_range>& range : {percentile_range(histogram, 99, true), percentile_range(histogram, 99, false),
                 squared_error_range(histogram, f.how, {-8, 7}, 10), least_squares_range(histogram, 16)}) {
            REQUIRE(range);
            REQUIRE((is_finite(range->low) && is_finite(range->high) && range->low <= range->high));
        }
    }
}
