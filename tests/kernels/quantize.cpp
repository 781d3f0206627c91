#include "../support.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace nibble;

namespace {

// Random numbers with the hard cases mixed in: ties, zeros, infinities, NaN, subnormals, huge.
void fill(float* x, std::size_t count, std::uint64_t seed)
{
    test::random random(seed);
    const float special[] = {0.0f, -0.0f, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 1e30f, -1e30f, 1e-42f, std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 126.5f, 127.5f, -128.5f};
    for (std::size_t i = 0; i < count; ++i)
        x[i] = random.integer(0, 7) == 0 ? special[random.integer(0, 15)] : random.real();
}

template <class Q>
void compare(granularity kind, std::ptrdiff_t group, bool zero_points, std::ptrdiff_t rows, std::ptrdiff_t cols, quantize_rule rule = {},
    std::ptrdiff_t block_rows = 1)
{
    const std::ptrdiff_t stride = cols + 3, elements = elements_for<Q>(cols), q_stride = elements + 2;
    test::guarded<float> x((rows - 1) * stride + cols, !zero_points);
    fill(x.data(), x.size(), static_cast<std::uint64_t>(cols * 31 + rows));
    const std::size_t count = static_cast<std::size_t>(params_count(kind, rows, cols, group, block_rows));
    std::vector<float> scales(count);
    std::vector<std::int32_t> zeros(zero_points ? count : 0);
    test::random random(7);
    for (float& s : scales)
        s = 0.01f + std::fabs(random.real()) * 0.02f;
    for (std::int32_t& z : zeros)
        z = random.integer(code_traits<Q>::qmin, code_traits<Q>::qmax);
    const quant_params_view params {kind, group, scales, zeros, block_rows};
    const matrix_view<const float> view(x.data(), rows, cols, stride);

    const std::size_t q_count = static_cast<std::size_t>((rows - 1) * q_stride + elements);
    std::vector<Q> expected(q_count);
    std::memset(static_cast<void*>(expected.data()), 0xa5, q_count * sizeof(Q));
    const std::vector<Q> canary = expected;
    reference::quantize(view, params, matrix_view<Q>(expected.data(), rows, elements, q_stride), rule);
    std::vector<float> back(static_cast<std::size_t>((rows - 1) * stride + cols), 9.0f);
    const std::vector<float> back_canary = back;
    reference::dequantize(
        matrix_view<const Q>(expected.data(), rows, elements, q_stride), params, matrix_view<float>(back.data(), rows, cols, stride));

    for (const backend b : test::usable_backends()) {
        INFO(to_string(b) << " rows " << rows << " cols " << cols << " group " << group << " block rows " << block_rows << " rounding "
                          << static_cast<int>(rule.round) << (rule.divide ? " divide" : "")
                          << (rule.zero_point_first ? " zero point first" : ""));
        REQUIRE(force_backend(b) == status::ok);
        test::guarded<Q> q(static_cast<std::ptrdiff_t>(q_count), zero_points);
        std::memcpy(static_cast<void*>(q.data()), canary.data(), q_count * sizeof(Q));
        REQUIRE(quantize(view, params, matrix_view<Q>(q.data(), rows, elements, q_stride), rule, test::reversed_executor {}) == status::ok);
        CHECK(test::same_bits(q.data(), expected.data(), q_count));
        test::guarded<float> y(static_cast<std::ptrdiff_t>(back.size()), zero_points);
        std::memcpy(y.data(), back_canary.data(), back.size() * sizeof(float));
        REQUIRE(dequantize(matrix_view<const Q>(q.data(), rows, elements, q_stride), params,
                    matrix_view<float>(y.data(), rows, cols, stride), test::reversed_executor {})
                == status::ok);
        CHECK(test::same_bits(y.data(), back.data(), back.size()));
    }
}

template <class Q>
void compare_all()
{
    for (const std::ptrdiff_t cols : {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 127, 129, 200, 300})
        for (const bool zero_points : {false, true}) {
            compare<Q>(granularity::per_tensor, 0, zero_points, 2, cols);
            compare<Q>(granularity::per_channel, 0, zero_points, 3, cols);
            for (const std::ptrdiff_t group : {2, 6, 32, 64, 128})
                compare<Q>(granularity::per_group, group, zero_points, 2, cols);
        }
}

const rounding all_roundings[]
    = {rounding::ties_to_even, rounding::half_away_from_zero, rounding::half_up, rounding::toward_zero, rounding::stochastic};

template <class Q>
void compare_rules()
{
    for (const rounding round : all_roundings)
        for (const int bits : {0, 1, 2, 3})
            for (const code_range range : {code_range::full, code_range::narrow, code_range::reduced}) {
                const quantize_rule rule {round, (bits & 1) != 0, (bits & 2) != 0, range, 42};
                for (const std::ptrdiff_t cols : {1, 5, 31, 33, 68}) {
                    compare<Q>(granularity::per_channel, 0, true, 2, cols, rule);
                    compare<Q>(granularity::per_column, 0, true, 2, cols, rule);
                    compare<Q>(granularity::per_column, 0, false, 2, cols, rule);
                    compare<Q>(granularity::per_group, 32, true, 2, cols, rule);
                    compare<Q>(granularity::per_block, 8, true, 5, cols, rule, 2);
                    compare<Q>(granularity::per_block, 1, true, 4, cols, rule, 3);
                }
            }
}

// What a rule says, in double and long double, without the library's code: for scales that are powers of two t is exact.
double rounded(double t, rounding round)
{
    const double below = std::floor(t), rest = t - below;
    switch (round) {
    case rounding::ties_to_even: return rest < 0.5 ? below : rest > 0.5 ? below + 1 : std::fmod(below, 2) == 0 ? below : below + 1;
    case rounding::half_away_from_zero: return rest < 0.5 ? below : rest > 0.5 ? below + 1 : t < 0 ? below : below + 1;
    case rounding::half_up: return rest < 0.5 ? below : below + 1;
    case rounding::toward_zero: return t < 0 && rest != 0 ? below + 1 : below;
    case rounding::stochastic: break;
    }
    return below;
}

} // namespace

TEST_CASE("every rounding, order and range equals the reference on every backend, int8") { compare_rules<std::int8_t>(); }
TEST_CASE("every rounding, order and range equals the reference on every backend, uint8") { compare_rules<std::uint8_t>(); }
TEST_CASE("every rounding, order and range equals the reference on every backend, int4") { compare_rules<int4x2>(); }

TEST_CASE("quarters and their neighbours round as the rule says")
{
    std::vector<float> x;
    for (int i = -600; i <= 600; ++i)
        for (const float nudge : {0.0f, 0.03125f, -0.03125f})
            x.push_back(static_cast<float>(i) * 0.25f + nudge);
    const std::ptrdiff_t cols = static_cast<std::ptrdiff_t>(x.size());
    const std::vector<float> one(1, 1.0f);
    for (const rounding round : {rounding::ties_to_even, rounding::half_away_from_zero, rounding::half_up, rounding::toward_zero})
        for (const std::int32_t zero_point : {0, 1, -3})
            for (const bool first : {false, true}) {
                const std::vector<std::int32_t> zeros(1, zero_point);
                std::vector<std::int8_t> q(x.size());
                REQUIRE(quantize<std::int8_t>(
                            {x.data(), 1, cols}, {granularity::per_tensor, 0, one, zeros}, {q.data(), 1, cols}, {round, false, first})
                        == status::ok);
                bool right = true;
                for (std::size_t i = 0; i < x.size(); ++i) {
                    const double t = static_cast<double>(x[i]);
                    const double code = first ? rounded(t + zero_point, round) : rounded(t, round) + zero_point;
                    right = right && static_cast<double>(q[i]) == std::min(127.0, std::max(-128.0, code));
                }
                CHECK(right);
            }
}

TEST_CASE("stochastic rounding is unbiased, depends on the seed, and not on strides or executors")
{
    const std::ptrdiff_t rows = 100, cols = 1000;
    std::vector<float> x(static_cast<std::size_t>(rows * cols), 3.25f);
    const std::vector<float> one(1, 1.0f);
    std::vector<std::int8_t> q(x.size()), other(x.size());
    const quant_params_view params {granularity::per_tensor, 0, one};
    REQUIRE(quantize<std::int8_t>({x.data(), rows, cols}, params, {q.data(), rows, cols}, {rounding::stochastic, false, false, {}, 1})
            == status::ok);
    std::size_t up = 0;
    for (const std::int8_t code : q)
        up += code == 4;
    CHECK(std::fabs(static_cast<double>(up) / static_cast<double>(q.size()) - 0.25) < 0.006); // 4 standard deviations: 0.0055
    REQUIRE(quantize<std::int8_t>({x.data(), rows, cols}, params, {other.data(), rows, cols}, {rounding::stochastic, false, false, {}, 2})
            == status::ok);
    CHECK(q != other);
    REQUIRE(quantize<std::int8_t>({x.data(), rows, cols}, params, {other.data(), rows, cols}, {rounding::stochastic, false, false, {}, 1},
                test::reversed_executor {})
            == status::ok);
    CHECK(q == other);
}

TEST_CASE("quantize_dynamic gives what choose_params and quantize give, on every backend")
{
    const auto compare_dynamic = [](auto code, granularity kind, std::ptrdiff_t group, std::ptrdiff_t cols) {
        using Q = decltype(code);
        const std::ptrdiff_t rows = 3, stride = cols + 1, elements = elements_for<Q>(cols);
        test::guarded<float> x((rows - 1) * stride + cols);
        test::random random(static_cast<std::uint64_t>(cols));
        for (std::size_t i = 0; i < x.size(); ++i)
            x[i] = i % 50 < 4 ? 0.0f : random.real();
        const matrix_view<const float> view(x.data(), rows, cols, stride);
        const std::size_t count = static_cast<std::size_t>(params_count(kind, rows, cols, group));
        std::vector<float> expected_scales(count), scratch(2 * count);
        std::vector<Q> expected(static_cast<std::size_t>(rows * elements));
        const params_rule how {scheme::symmetric, params_formula::nibble, code_range::narrow};
        quantize_rule rule;
        rule.range = code_range::narrow;
        REQUIRE(choose_params<Q>(view, how, kind, group, expected_scales, {}, scratch) == status::ok);
        reference::quantize(view, {kind, group, expected_scales}, matrix_view<Q>(expected.data(), rows, elements), rule);
        for (const backend b : test::usable_backends()) {
            INFO(to_string(b) << " cols " << cols << " group " << group);
            REQUIRE(force_backend(b) == status::ok);
            std::vector<float> scales(count);
            test::guarded<Q> q(rows * elements);
            REQUIRE(quantize_dynamic<Q>(view, kind, group, scales, {q.data(), rows, elements}, test::reversed_executor {}) == status::ok);
            CHECK(test::same_bits(scales.data(), expected_scales.data(), count));
            CHECK(test::same_bits(q.data(), expected.data(), expected.size()));
        }
    };
    for (const std::ptrdiff_t cols : {1, 2, 31, 32, 33, 64, 100, 257}) {
        compare_dynamic(std::int8_t {}, granularity::per_channel, 0, cols);
        compare_dynamic(std::int8_t {}, granularity::per_group, 32, cols);
        compare_dynamic(int4x2 {}, granularity::per_channel, 0, cols);
        compare_dynamic(int4x2 {}, granularity::per_group, 32, cols);
    }
    std::vector<float> x(64, 1.0f), scales(2);
    x[40] = std::numeric_limits<float>::infinity();
    std::vector<std::int8_t> q(64);
    for (const backend b : test::usable_backends()) {
        REQUIRE(force_backend(b) == status::ok);
        REQUIRE(quantize_dynamic<std::int8_t>({x.data(), 1, 64}, granularity::per_group, 32, scales, {q.data(), 1, 64}) == status::ok);
        CHECK(scales[0] == 1.0f / 127.0f);
        CHECK(scales[1] != scales[1]);
        CHECK(q[0] == 127);
        CHECK(q[40] == 127);
        CHECK(q[41] == 1);
    }
}

TEST_CASE("the parameters of a range are those that each owner's formula gives")
{
    const code_limits u8 {0, 255}, s8 {-128, 127};
    const auto params = [](float lo, float hi, params_formula f, code_limits codes) {
        return params_of_range(lo, hi, {scheme::affine, f}, codes);
    };
    // The golden values of TFLite's own unit test.
    CHECK(params(-10, 30, params_formula::tflite, u8).scale == static_cast<float>(40.0 / 255));
    CHECK(params(-10, 30, params_formula::tflite, u8).zero_point == 64);
    CHECK(params(-10, 0, params_formula::tflite, u8).zero_point == 255);
    CHECK(params(0, 30, params_formula::tflite, u8).zero_point == 0);
    CHECK(params(0, 0, params_formula::tflite, s8).zero_point == 0);
    // The worked examples of the ONNX operator: [0, 2, -3, -2.5, 1.34, 0.5] and [-1, -2.1, -1.3, -2.5, -3.34, -4].
    CHECK(params(-3, 2, params_formula::onnx, u8).scale == 5.0f / 255.0f);
    CHECK(params(-3, 2, params_formula::onnx, u8).zero_point == 153);
    CHECK(params(-4, -1, params_formula::onnx, u8).scale == 4.0f / 255.0f);
    CHECK(params(-4, -1, params_formula::onnx, u8).zero_point == 255);
    CHECK(params(0, 0, params_formula::onnx, u8).scale == 1.0f);
    CHECK(params(0, 0, params_formula::onnx, u8).zero_point == 0);
    CHECK(params(0, 0, params_formula::pytorch, u8).scale == std::numeric_limits<float>::epsilon());
    CHECK(params(0, 0, params_formula::fbgemm, u8).scale == 0.1f);
    CHECK(params(-1, 1, params_formula::fbgemm, u8).zero_point == 127); // 2 / 255 rounds up to float, so it is no tie
    CHECK(params(-1, 1, params_formula::tflite, u8).zero_point == 128);
    CHECK(params(-1, 3, params_formula::pytorch, s8).zero_point == -64);
    CHECK(params_of_range(-1, 2, {scheme::symmetric, params_formula::pytorch}, s8).scale == 2.0f / 127.5f);
    CHECK(params_of_range(-1, 2, {scheme::symmetric}, u8).zero_point == 128);
    CHECK(params_of_range(-1, 2, {scheme::symmetric, params_formula::nibble, code_range::full, true}, s8).scale == 0.015625f * 2.0f);
    CHECK(params_of_range(-1, 127, {scheme::symmetric, params_formula::nibble, code_range::full, true}, s8).scale == 1.0f);
    // No range gives a scale that is not finite and above zero, nor a zero point that is no code.
    const float ends[] = {0.0f, 1e-45f, 1e-38f, 1.0f, 1e38f, 3.40282347e+38f};
    for (const params_formula f :
        {params_formula::nibble, params_formula::onnx, params_formula::tflite, params_formula::pytorch, params_formula::fbgemm})
        for (const scheme how : {scheme::symmetric, scheme::affine})
            for (const bool power : {false, true})
                for (const float lo : ends)
                    for (const float hi : ends) {
                        const scale_and_zero_point p = params_of_range(-lo, hi, {how, f, code_range::full, power}, s8);
                        CHECK(is_positive_finite(p.scale));
                        CHECK(p.zero_point >= -128);
                        CHECK(p.zero_point <= 127);
                    }
}

TEST_CASE("quantize and dequantize int8 equal the reference on every backend") { compare_all<std::int8_t>(); }
TEST_CASE("quantize and dequantize uint8 equal the reference on every backend") { compare_all<std::uint8_t>(); }
TEST_CASE("quantize and dequantize int4 equal the reference on every backend") { compare_all<int4x2>(); }
TEST_CASE("quantize and dequantize uint4 equal the reference on every backend") { compare_all<uint4x2>(); }

TEST_CASE("half and bfloat16 conversions equal the definition on every backend")
{
    std::vector<half> halves(65536);
    std::vector<bfloat16> brains(65536);
    for (std::size_t i = 0; i < 65536; ++i) {
        halves[i].bits = static_cast<std::uint16_t>(i);
        brains[i].bits = static_cast<std::uint16_t>(i);
    }
    std::vector<float> floats(200003);
    test::random random(3);
    for (std::size_t i = 0; i < floats.size(); ++i) {
        const std::uint32_t exponents[] = {0x38u, 0x33u, 0x47u, 0x7fu, 0x00u, 0x3fu};
        const std::uint32_t u = random.bits();
        floats[i] = float_from_bits(random.integer(0, 1) ? u : (u & 0x80ffffffu) | exponents[random.integer(0, 5)] << 24);
    }
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        std::vector<float> out(65536), expected(65536);
        REQUIRE(convert(span<const half>(halves), span<float>(out)) == status::ok);
        for (std::size_t i = 0; i < 65536; ++i)
            expected[i] = to_float(halves[i]);
        CHECK(test::same_bits(out.data(), expected.data(), out.size()));
        REQUIRE(convert(span<const bfloat16>(brains), span<float>(out)) == status::ok);
        for (std::size_t i = 0; i < 65536; ++i)
            expected[i] = to_float(brains[i]);
        CHECK(test::same_bits(out.data(), expected.data(), out.size()));
        std::vector<half> h(floats.size()), h_expected(floats.size());
        std::vector<bfloat16> f(floats.size()), f_expected(floats.size());
        for (std::size_t i = 0; i < floats.size(); ++i) {
            h_expected[i] = to_half(floats[i]);
            f_expected[i] = to_bfloat16(floats[i]);
        }
        REQUIRE(convert(span<const float>(floats), span<half>(h)) == status::ok);
        CHECK(test::same_bits(h.data(), h_expected.data(), h.size()));
        REQUIRE(convert(span<const float>(floats), span<bfloat16>(f)) == status::ok);
        CHECK(test::same_bits(f.data(), f_expected.data(), f.size()));
    }
}

TEST_CASE("choose_params covers the range of every granularity, and refuses what is not finite")
{
    const std::ptrdiff_t rows = 7, cols = 45;
    test::guarded<float> x(rows * cols);
    test::random random(5);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = random.real();
    const matrix_view<const float> view(x.data(), rows, cols);
    struct shape {
        granularity kind;
        std::ptrdiff_t group, block_rows;
    };
    for (const shape s : {shape {granularity::per_tensor, 0, 1}, {granularity::per_channel, 0, 1}, {granularity::per_column, 0, 1},
             {granularity::per_group, 32, 1}, {granularity::per_block, 16, 3}, {granularity::per_block, 1, 2}})
        for (const backend b : test::usable_backends()) {
            INFO(to_string(b) << " granularity " << static_cast<int>(s.kind) << " group " << s.group);
            REQUIRE(force_backend(b) == status::ok);
            const std::size_t count = static_cast<std::size_t>(params_count(s.kind, rows, cols, s.group, s.block_rows));
            std::vector<float> scales(count), scratch(choose_params_scratch(s.kind, rows, cols, s.group, s.block_rows));
            std::vector<std::int32_t> zeros(count);
            REQUIRE(choose_params<std::uint8_t>(view, scheme::affine, s.kind, s.group, scales, zeros, scratch, s.block_rows) == status::ok);
            const params_strides strides = strides_of(s.kind, cols, s.group, s.block_rows);
            std::vector<float> low(count, 0.0f), high(count, 0.0f);
            for (std::ptrdiff_t r = 0; r < rows; ++r)
                for (std::ptrdiff_t c = 0; c < cols; ++c) {
                    const std::size_t at
                        = static_cast<std::size_t>(r / strides.block_rows * strides.row + c / strides.group_size * strides.group);
                    low[at] = std::min(low[at], view(r, c));
                    high[at] = std::max(high[at], view(r, c));
                }
            for (std::size_t i = 0; i < count; ++i) {
                CHECK(scales[i] == static_cast<float>((static_cast<double>(high[i]) - static_cast<double>(low[i])) / 255));
                CHECK(zeros[i] == std::nearbyint(-static_cast<double>(low[i]) / static_cast<double>(scales[i])));
            }
            x[3 * cols + 40] = std::numeric_limits<float>::quiet_NaN();
            CHECK(choose_params<std::uint8_t>(view, scheme::affine, s.kind, s.group, scales, zeros, scratch, s.block_rows)
                  == status::not_finite);
            x[3 * cols + 40] = 1.0f;
        }
}

TEST_CASE("bad arguments name the rule and write nothing")
{
    const std::vector<float> x(8, 1.0f);
    std::vector<std::int8_t> q(8, 77);
    const std::vector<std::int8_t> before = q;
    std::vector<float> one(1, 0.5f), two(2, 0.5f), negative(1, -1.0f);
    std::vector<std::int32_t> far(1, 300);
    const matrix_view<const float> view(x.data(), 2, 4);
    const matrix_view<std::int8_t> out(q.data(), 2, 4);
    CHECK(quantize(view, {granularity::per_tensor, 0, two}, out) == status::params_count_mismatch);
    CHECK(quantize(view, {granularity::per_tensor, 0, negative}, out) == status::scale_invalid);
    CHECK(quantize(view, {granularity::per_tensor, 0, one, far}, out) == status::zero_point_out_of_range);
    CHECK(quantize(view, {granularity::per_group, 0, one}, out) == status::group_size_invalid);
    CHECK(quantize(view, {granularity::per_tensor, 0, one}, matrix_view<std::int8_t>(q.data(), 2, 3)) == status::shape_mismatch);
    CHECK(quantize(view, {granularity::per_tensor, 0, one}, matrix_view<std::int8_t>(nullptr, 2, 4)) == status::null_pointer);
    CHECK(quantize({x.data(), 2, 4, 3}, {granularity::per_tensor, 0, one}, out) == status::stride_too_small);
    CHECK(quantize({x.data(), -2, 4}, {granularity::per_tensor, 0, one}, out) == status::negative_size);
    for (const granularity kind : {granularity::per_group, granularity::per_block})
        for (const std::ptrdiff_t none : {0, -1}) {
            CHECK((strides_of(kind, 4, none).group_size == 1 && strides_of(kind, 4, none).group == 0));
            CHECK((strides_of(kind, 4, 2, none).block_rows == 1 && params_count(kind, 2, 4, none) == 0));
        }
    CHECK(q == before);
}

TEST_CASE("one number by the default rule is the definition's")
{
    test::random random(99);
    for (int i = 0; i < 200000; ++i) {
        const float x = float_from_bits(random.bits()), scale = std::ldexp(1.0f + std::fabs(random.real()), random.integer(-100, 100));
        const code_limits codes = i % 2 == 0 ? code_limits {-128, 127} : code_limits {0, 15};
        const scale_and_zero_point p {scale, random.integer(codes.qmin, codes.qmax)};
        const float near = i % 3 == 0 ? x : scale * (static_cast<float>(random.integer(-300, 300)) * 0.5f);
        const std::int32_t code = quantize_one(near, p, codes);
        const float back = dequantize_one(code, p);
        if (code != reference::quantize(near, p.scale, p.zero_point, {}, codes)
            || float_bits(back) != float_bits(reference::dequantize(code, p.scale, p.zero_point))) {
            CAPTURE(near, scale, p.zero_point);
            FAIL(code);
        }
    }
}
