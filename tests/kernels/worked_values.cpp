// The worked values of docs/quantization.md, in its order, and each preset against its owner's published definition.
#include "../support.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace nibble;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(), not_a_number = std::numeric_limits<float>::quiet_NaN();

// The codes of x with one scale and zero point, which all backends must give.
template <class Q = std::int8_t>
std::vector<int> codes(const std::vector<float>& x, float scale, std::int32_t zero_point, quantize_rule rule = {})
{
    const std::ptrdiff_t cols = static_cast<std::ptrdiff_t>(x.size());
    std::vector<int> first;
    for (const backend b : test::usable_backends()) {
        REQUIRE(force_backend(b) == status::ok);
        std::vector<Q> q(x.size());
        const quant_params_view p {granularity::per_tensor, 0, span<const float>(&scale, 1), span<const std::int32_t>(&zero_point, 1)};
        REQUIRE(quantize<Q>({x.data(), 1, cols}, p, {q.data(), 1, cols}, rule) == status::ok);
        const std::vector<int> found(q.begin(), q.end());
        if (!first.empty())
            CHECK(found == first);
        first = found;
    }
    return first;
}

quantize_rule rounded(rounding round)
{
    quantize_rule rule;
    rule.round = round;
    return rule;
}

using list = std::vector<int>;
constexpr code_limits u8 {0, 255}, s8 {-128, 127};

scale_and_zero_point affine(float lo, float hi, params_formula f, code_limits limits = u8)
{
    return params_of_range(lo, hi, {scheme::affine, f}, limits);
}

// Ranges of every size that hold 0 or not, some with one end at 0.
template <class Check>
void for_ranges(Check check)
{
    test::random random(21);
    for (int i = 0; i < 100000; ++i) {
        const int shift = random.integer(-30, 20);
        float lo = std::ldexp(random.real(), shift), hi = std::ldexp(random.real(), shift);
        if (random.integer(0, 7) == 0)
            lo = 0.0f;
        if (random.integer(0, 7) == 0)
            hi = -lo;
        check(std::min(lo, hi), std::max(lo, hi));
    }
}

} // namespace

TEST_CASE("worked values: quantize")
{
    CHECK(codes({0.015f, 0.025f}, 0.01f, 0) == list {2, 2});
    const std::vector<float> ties {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f};
    CHECK(codes(ties, 1, 0) == list {0, 2, 2, 0, -2, -2});
    CHECK(codes(ties, 1, 0, rounded(rounding::half_away_from_zero)) == list {1, 2, 3, -1, -2, -3});
    CHECK(codes(ties, 1, 0, rounded(rounding::half_up)) == list {1, 2, 3, 0, -1, -2});
    CHECK(codes(ties, 1, 0, rounded(rounding::toward_zero)) == list {0, 1, 2, 0, -1, -2});
    quantize_rule stochastic = rounded(rounding::stochastic);
    stochastic.seed = 1;
    CHECK(codes(std::vector<float>(16, 2.25f), 1, 0, stochastic) == list {2, 2, 3, 2, 3, 2, 3, 2, 3, 2, 2, 2, 2, 2, 3, 3});

    quantize_rule divide;
    divide.divide = true;
    CHECK(codes({0.045f}, 0.01f, 0) == list {4});
    CHECK(codes({0.045f}, 0.01f, 0, divide) == list {5});
    quantize_rule zero_point_first;
    zero_point_first.zero_point_first = true;
    CHECK(codes({0.5f}, 1, 1) == list {1});
    CHECK(codes({0.5f}, 1, 1, zero_point_first) == list {2});

    quantize_rule narrow, reduced;
    narrow.range = code_range::narrow;
    reduced.range = code_range::reduced;
    CHECK(codes({-200, 200}, 1, 0) == list {-128, 127});
    CHECK(codes({-200, 200}, 1, 0, narrow) == list {-127, 127});
    CHECK(codes({-200, 200}, 1, 0, reduced) == list {-64, 63});
    CHECK(codes<std::uint8_t>({-200, 200}, 1, 0, reduced) == list {0, 127});

    CHECK(codes({not_a_number, infinity, -infinity, 3e38f, -0.0f}, 0.01f, 5) == list {5, 127, -128, 127, 5});
    // 7 and 2 units of 2^-149: the reciprocal of the scale is infinite, the quotient 3.5.
    CHECK(codes({float_from_bits(7)}, float_from_bits(2), 0) == list {127});
    CHECK(codes({float_from_bits(7)}, float_from_bits(2), 0, divide) == list {4});
    CHECK(reference::dequantize(3, 0.5f, -1) == 2.0f);
}

TEST_CASE("worked values: parameters")
{
    CHECK(params_of_range(0, 2, {scheme::symmetric}, s8).scale == 0.0157480314f);
    CHECK(params_of_range(0, 2, {scheme::symmetric}, codes_of<std::int8_t>(code_range::reduced)).scale == 0.0317460336f);
    CHECK(params_of_range(-1, 3, {scheme::symmetric, params_formula::nibble, code_range::full, true}, s8).scale == 0.03125f);
    CHECK(params_of_range(0, 0, {scheme::symmetric}, s8).scale == 1.0f);
    CHECK(params_of_range(0, 1e-45f, {scheme::symmetric}, s8).scale == 1.0f);
    for (const params_formula f :
        {params_formula::nibble, params_formula::onnx, params_formula::tflite, params_formula::pytorch, params_formula::fbgemm}) {
        CHECK(affine(-1, 2, f).scale == 0.0117647061f);
        CHECK(affine(-1, 2, f).zero_point == 85);
        CHECK(affine(-1, 1, f).scale == 0.00784313772f);
        CHECK(affine(-1, 1, f).zero_point == (f == params_formula::tflite ? 128 : 127));
        CHECK(affine(0, 0, f).scale == (f == params_formula::pytorch ? 0x1p-23f : f == params_formula::fbgemm ? 0.1f : 1.0f));
    }
    CHECK(affine(-0.001f, 0.003f, params_formula::fbgemm).scale == 6.1e-5f);
    CHECK(affine(-0.001f, 0.003f, params_formula::fbgemm).zero_point == 64);
}

TEST_CASE("worked values: presets")
{
    CHECK(affine(-3, 2, params_formula::onnx).scale == 0.0196078438f);
    CHECK(affine(-3, 2, params_formula::onnx).zero_point == 153);
    CHECK(codes<std::uint8_t>({1000, -254, 3}, 2, 128, preset::onnx.rule) == list {255, 1, 130});
    CHECK(affine(-10, 30, params_formula::tflite).scale == 0.156862751f);
    CHECK(affine(-10, 30, params_formula::tflite).zero_point == 64);
    CHECK(codes({0.25f, -0.25f}, 0.5f, 0, preset::tflite_activations.rule) == list {1, -1});
    CHECK(codes({-64, 0.25f}, 0.5f, 0, preset::tflite_weights.rule) == list {-127, 1});
    CHECK(affine(-1, 3, params_formula::pytorch, s8).zero_point == -64);
    CHECK(codes({0.5f, 1.5f}, 1, 1, preset::pytorch.rule) == list {1, 3});
    CHECK(codes({0.5f, 1.5f}, 1, 1, preset::fbgemm.rule) == list {2, 2});
    CHECK(codes({0.5f, -2.5f, -200}, 1, 0, preset::ggml_q8_0.rule) == list {1, -3, -127});
}

TEST_CASE("params_formula::tflite is ChooseQuantizationParams")
{
    // tensorflow/lite/kernels/internal/quantization_util.h: all in double; the zero point from the end with the smaller error.
    for_ranges([](float lo, float hi) {
        const double rmin = static_cast<double>(std::min(lo, 0.0f)), rmax = static_cast<double>(std::max(hi, 0.0f));
        if (rmin == rmax)
            return;
        const double scale = (rmax - rmin) / 255;
        const double from_min = -128 - rmin / scale, from_max = 127 - rmax / scale;
        const double zero_point = 128 + std::fabs(rmin / scale) < 127 + std::fabs(rmax / scale) ? from_min : from_max;
        const scale_and_zero_point p = affine(lo, hi, params_formula::tflite, s8);
        if (p.scale != static_cast<float>(scale) || p.zero_point != std::clamp<double>(std::round(zero_point), -128, 127))
            FAIL(lo << " " << hi);
    });
    SUCCEED();
}

TEST_CASE("params_formula::pytorch is MinMaxObserver")
{
    // torch/ao/quantization/observer.py, calculate_qparams: float32 tensors, eps = 2^-23.
    for_ranges([](float lo, float hi) {
        const float low = std::min(lo, 0.0f), high = std::max(hi, 0.0f);
        const volatile float width = high - low;
        const float scale = std::max(width / 255.0f, 0x1p-23f);
        const float zero_point = std::clamp(0.0f - std::nearbyint(low / scale), 0.0f, 255.0f);
        const float reach = std::max(-low, high), symmetric = std::max(reach / 127.5f, 0x1p-23f);
        const scale_and_zero_point p = affine(lo, hi, params_formula::pytorch);
        if (p.scale != scale || static_cast<float>(p.zero_point) != zero_point
            || params_of_range(lo, hi, {scheme::symmetric, params_formula::pytorch}, s8).scale != symmetric)
            FAIL(lo << " " << hi);
    });
    SUCCEED();
}

TEST_CASE("params_formula::fbgemm is ChooseQuantizationParams")
{
    // fbgemm/src/QuantUtils.cc: the scale rounded to float, 0.1 for none, at least 6.1e-5; the zero point in double.
    for_ranges([](float lo, float hi) {
        float low = std::min(lo, 0.0f), high = std::max(hi, 0.0f);
        float scale = static_cast<float>((static_cast<double>(high) - static_cast<double>(low)) / 255);
        if (scale == 0.0f || std::isinf(1.0f / scale))
            scale = 0.1f;
        if (scale < 6.1e-5f) {
            const float was = scale;
            scale = 6.1e-5f;
            if (low == 0.0f) {
                high = 6.1e-5f * 255;
            } else if (high == 0.0f) {
                low = -6.1e-5f * 255;
            } else {
                low *= 6.1e-5f / was;
                high *= 6.1e-5f / was;
            }
        }
        const double below = static_cast<double>(low) / static_cast<double>(scale),
                     above = static_cast<double>(high) / static_cast<double>(scale);
        const double zero_point = std::fabs(below) < 255 + std::fabs(above) ? -below : 255 - above;
        const scale_and_zero_point p = affine(lo, hi, params_formula::fbgemm);
        if (p.scale != scale || p.zero_point != std::clamp<double>(std::nearbyint(zero_point), 0, 255))
            FAIL(lo << " " << hi);
    });
    SUCCEED();
}

TEST_CASE("worked values: requantization")
{
    const float half_scale[] = {0.5f};
    requantization r;
    r.scale = half_scale;
    r.zero_point = 1;
    const auto code = [&](std::int32_t sum) { return reference::requantize(sum, r, 0, s8); };
    CHECK(code(1) == 1);
    CHECK(code(3) == 3);
    CHECK(code(5) == 3);
    r.zero_point_first = true;
    CHECK(code(1) == 2);
    CHECK(code(3) == 2);
    CHECK(code(5) == 4);
    const auto m = encode_multiplier(0.25);
    CHECK(m->multiplier == 1073741824);
    CHECK(m->shift == -1);
    const std::int32_t sums[] = {1, -2, -6, 5}, twice[] = {1, -1, -2, 2}, once[] = {0, 0, -1, 1};
    for (int i = 0; i < 4; ++i) {
        CHECK(reference::multiply_double_rounding(sums[i], m->multiplier, m->shift) == twice[i]);
        CHECK(reference::multiply_single_rounding(sums[i], m->multiplier, m->shift) == once[i]);
    }
    CHECK(reference::multiply_double_rounding(INT32_MIN, INT32_MAX, 31) == -INT32_MAX);
}

TEST_CASE("worked values: half and bfloat16")
{
    CHECK(to_half(65519.0f).bits == 0x7bff);
    CHECK(to_half(65520.0f).bits == 0x7c00);
    CHECK(to_half(1.00048828125f).bits == 0x3c00);
    CHECK(to_half(0x1p-25f).bits == 0x0000);
    CHECK(to_half(0x1.8p-24f).bits == 0x0002);
    CHECK(to_half(float_from_bits(0xffc02001u)).bits == 0xfe01);
    CHECK(to_bfloat16(1.00390625f).bits == 0x3f80);
    CHECK(to_bfloat16(1.01171875f).bits == 0x3f82);
    CHECK(to_bfloat16(3.4e38f).bits == 0x7f80);
    CHECK(to_bfloat16(float_from_bits(0x00008001u)).bits == 0x0001);
}

TEST_CASE("worked values: blocks of 7, 1, -0.1")
{
    const std::vector<float> x {7.0f, 1.0f, -0.1f};
    const auto values = [&](auto code, scale_rule rule) {
        using Q = decltype(code);
        constexpr std::ptrdiff_t each = mx_traits<Q>::per_element;
        std::vector<Q> q((3 + each - 1) / each);
        float8_e8m0 scale;
        REQUIRE(quantize_mx(matrix_view<const float>(x.data(), 1, 3), matrix_view<Q>(q.data(), 1, static_cast<std::ptrdiff_t>(q.size())),
                    matrix_view<float8_e8m0>(&scale, 1, 1), {rule})
                == status::ok);
        std::vector<float> all {to_float(scale)};
        for (std::ptrdiff_t i = 0; i < 3; ++i)
            all.push_back(reference::load_element(q.data(), i));
        return all;
    };
    using floats = std::vector<float>;
    CHECK(values(float4_e2m1x2 {}, scale_rule::floor) == floats {1, 6, 1, -0.0f});
    CHECK(values(float4_e2m1x2 {}, scale_rule::even) == floats {2, 4, 0.5f, -0.0f});
    CHECK(values(float4_e2m1x2 {}, scale_rule::ceil) == floats {2, 4, 0.5f, -0.0f});
    CHECK(values(float6_e2m3x4 {}, scale_rule::floor) == floats {1, 7, 1, -0.125f});
    CHECK(values(float6_e3m2x4 {}, scale_rule::floor) == floats {0.25f, 28, 4, -0.375f});
    CHECK(values(float8_e4m3 {}, scale_rule::floor) == floats {0x1p-6f, 448, 64, -6.5f});
    CHECK(values(float8_e5m2 {}, scale_rule::floor) == floats {0x1p-13f, 57344, 8192, -768});
    CHECK(values(std::int8_t {}, scale_rule::floor) == floats {4, 112.0f / 64, 16.0f / 64, -2.0f / 64});
    float4_e2m1x2 q[2];
    float8_e4m3 scale;
    REQUIRE(quantize_nvfp4(matrix_view<const float>(x.data(), 1, 3), 1.0f, {q, 1, 2}, {&scale, 1, 1}) == status::ok);
    CHECK(to_float(scale) == 1.125f);
    CHECK(to_float(q[0].first()) == 6.0f);
    CHECK(to_float(q[0].second()) == 1.0f);
    CHECK(to_float(q[1].first()) == 0.0f);
}

TEST_CASE("worked values: the greatest k")
{
    CHECK(max_k(false, false, false) == 131071);
    CHECK(max_k(true, false, false) == 65793);
    CHECK(max_k(true, true, true) == 33025);
}
