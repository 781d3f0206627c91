#include "../support.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace nibble;

namespace {

std::vector<std::int16_t> all_codes()
{
    std::vector<std::int16_t> codes;
    for (int code = -32768; code < 32768; ++code)
        codes.push_back(static_cast<std::int16_t>(code));
    return codes;
}

// Mostly any code of X, often one of the ends.
template <class X>
X some_code(test::random& random)
{
    constexpr std::int64_t low = std::numeric_limits<X>::min(), high = std::numeric_limits<X>::max();
    switch (random.integer(0, 9)) {
    case 0: return static_cast<X>(low);
    case 1: return static_cast<X>(high);
    case 2: return static_cast<X>(low + random.integer(0, 3));
    default: return static_cast<X>(low + static_cast<std::int64_t>(random.bits() % static_cast<std::uint64_t>(high - low + 1)));
    }
}

template <class X>
std::vector<X> some_codes(test::random& random, std::ptrdiff_t count)
{
    std::vector<X> codes(static_cast<std::size_t>(count));
    for (X& c : codes)
        c = some_code<X>(random);
    return codes;
}

// Between 2^low and 2^(high + 1), at times a power of two.
float some_scale(test::random& random, int low, int high)
{
    const float m = random.integer(0, 4) == 0 ? 1.0f : 1.0f + std::fabs(random.real()) / 3.0f;
    return std::ldexp(m < 2.0f ? m : 1.0f, random.integer(low, high));
}

template <class X, class Y>
void requantize_some(test::random& random, int cases)
{
    for (int i = 0; i < cases; ++i) {
        const int exponent = random.integer(0, 19) == 0 ? 30 : 8 * static_cast<int>(sizeof(X));
        const tflite::quantization from {some_scale(random, -20, 0), static_cast<std::int32_t>(some_code<X>(random))},
            to {some_scale(random, -20, 0) * (random.integer(0, 1) ? std::ldexp(1.0f, exponent - 8 * static_cast<int>(sizeof(Y))) : 1.0f),
                static_cast<std::int32_t>(some_code<Y>(random))};
        const std::vector<X> x = some_codes<X>(random, random.integer(0, 40));
        std::vector<Y> y(x.size());
        const auto m = encode_multiplier(static_cast<double>(from.scale) / static_cast<double>(to.scale));
        REQUIRE(tflite::requantize<X, Y>(x, from, y, to, test::reversed_executor {}) == (m ? status::ok : status::scale_invalid));
        if (!m)
            continue;
        for (std::size_t j = 0; j < x.size(); ++j)
            REQUIRE(y[j]
                    == static_cast<Y>(reference::requantize_code(
                        x[j], from.zero_point, *m, to.zero_point, std::numeric_limits<Y>::min(), std::numeric_limits<Y>::max())));
    }
}

template <class X>
void requantize_to_all(test::random& random, int cases)
{
    requantize_some<X, std::int8_t>(random, cases);
    requantize_some<X, std::uint8_t>(random, cases);
    requantize_some<X, std::int16_t>(random, cases);
    requantize_some<X, std::int32_t>(random, cases);
}

constexpr std::int16_t canary = 0x5a5a;

} // namespace

TEST_CASE("points of int16 functions follow their rules")
{
    for (int i = 0; i < 513; ++i) {
        REQUIRE(tflite::detail::exp_points[i] == reference::exp_point(i));
        REQUIRE(tflite::detail::reciprocal_points[i] == reference::reciprocal_point(i));
    }
    for (int i = 0; i < 256; ++i)
        REQUIRE(tflite::detail::sigmoid_points[i] == reference::sigmoid_point(i));
}

TEST_CASE("logistic and tanh of every int16 code equal the reference")
{
    test::random random(1);
    const std::vector<std::int16_t> x = all_codes();
    std::vector<std::int16_t> y(x.size());
    std::vector<float> scales {std::ldexp(1.0f, -12), std::ldexp(1.0f, -11), std::ldexp(1.0f, -13), std::ldexp(1.0005f, -12),
        std::ldexp(0.9995f, -11), std::ldexp(1.001f, -12), 2.6666665f, 1.3333f, 1.0f, 1e-12f, 1e-14f, 1e-38f};
    for (int i = 0; i < 8; ++i)
        scales.push_back(some_scale(random, -16, -9));
    for (const float scale : scales) {
        INFO(scale);
        REQUIRE(tflite::logistic(x, scale, y, test::reversed_executor {}) == status::ok);
        for (std::size_t i = 0; i < x.size(); ++i)
            if (y[i] != reference::logistic(x[i], scale))
                FAIL(x[i]);
        // A step of 1 / 12288 is 0.7 codes where the function is steepest; the rounded multiplier is off by up to 2^-14.
        for (std::size_t i = 0; i < x.size(); i += 7)
            REQUIRE(std::fabs(y[i] - std::min(32768.0 / (1.0 + std::exp(-static_cast<double>(scale) * x[i])), 32767.0)) < 7.0);
        REQUIRE(tflite::tanh(x, scale, y, test::reversed_executor {}) == status::ok);
        for (std::size_t i = 0; i < x.size(); ++i)
            if (y[i] != reference::tanh(x[i], scale))
                FAIL(x[i]);
        for (std::size_t i = 0; i < x.size(); i += 7)
            REQUIRE(std::fabs(y[i] - 32768.0 * std::tanh(static_cast<double>(scale) * x[i])) < 14.0);
        std::vector<std::int16_t> in_place = x;
        REQUIRE(tflite::tanh(in_place, scale, in_place) == status::ok);
        REQUIRE(in_place == y);
    }
}

TEST_CASE("relu and leaky relu of every int16 code equal the reference")
{
    test::random random(2);
    const std::vector<std::int16_t> x = all_codes();
    std::vector<std::int16_t> y(x.size());
    const tflite::fused_activation functions[] = {tflite::fused_activation::none, tflite::fused_activation::relu,
        tflite::fused_activation::relu_n1_to_1, tflite::fused_activation::relu6};
    for (int i = 0; i < 40; ++i) {
        const float x_scale = some_scale(random, -16, -9), y_scale = i == 0 ? x_scale : some_scale(random, i == 1 ? -31 : -16, -9);
        const tflite::fused_activation f = functions[i % 4];
        REQUIRE(tflite::relu(x, x_scale, f, y, y_scale, test::reversed_executor {}) == status::ok);
        const auto bounds = tflite::bounds_of<std::int16_t>(f, {y_scale, 0});
        const auto m = encode_multiplier(static_cast<double>(x_scale / y_scale));
        REQUIRE((bounds && m));
        for (std::size_t j = 0; j < x.size(); ++j)
            if (y[j] != reference::requantize_code(x[j], 0, *m, 0, bounds->qmin, bounds->qmax))
                FAIL(x[j]);
        const float alphas[] = {0.0f, -0.0f, 0.2f, -0.3f, 1.0f, 1.5f, 1e-30f, random.real(), -random.real()};
        const float alpha = alphas[i % 9];
        INFO(x_scale << " " << alpha << " " << y_scale);
        REQUIRE(tflite::leaky_relu(x, x_scale, alpha, y, y_scale, test::reversed_executor {}) == status::ok);
        for (std::size_t j = 0; j < x.size(); ++j)
            if (y[j] != reference::leaky_relu(x[j], x_scale, alpha, y_scale))
                FAIL(x[j]);
    }
}

TEST_CASE("requantization between integer types equals the reference")
{
    test::random random(3);
    requantize_to_all<std::int8_t>(random, 1500);
    requantize_to_all<std::uint8_t>(random, 1500);
    requantize_to_all<std::int16_t>(random, 1500);
    requantize_to_all<std::int32_t>(random, 1500);

    // The same codes, 128 apart.
    std::vector<std::int8_t> x;
    for (int code = -128; code < 128; ++code)
        x.push_back(static_cast<std::int8_t>(code));
    std::vector<std::uint8_t> y(256);
    REQUIRE(tflite::requantize<std::int8_t, std::uint8_t>(x, {0.3f, -3}, y, {0.3f, 125}) == status::ok);
    for (int i = 0; i < 256; ++i)
        REQUIRE(y[static_cast<std::size_t>(i)] == i);
    // As the table of 256 codes.
    for (int i = 0; i < 300; ++i) {
        const tflite::quantization from {some_scale(random, -8, -2), random.integer(-128, 127)},
            to {some_scale(random, -8, -2), random.integer(-128, 127)};
        const auto table = tflite::requantize_table(from, to);
        REQUIRE(table);
        std::vector<std::int8_t> by_table(256), codes(256);
        REQUIRE(tflite::look_up(x, *table, by_table) == status::ok);
        REQUIRE(tflite::requantize<std::int8_t, std::int8_t>(x, from, codes, to) == status::ok);
        REQUIRE(codes == by_table);
    }
    const std::vector<std::int16_t> wide {-32768, -129, -128, 0, 127, 128, 32767};
    std::vector<std::int8_t> narrow(wide.size());
    REQUIRE(tflite::requantize<std::int16_t, std::int8_t>(wide, {1.0f / 256.0f, 0}, narrow, {1.0f, -1}) == status::ok);
    CHECK(narrow == std::vector<std::int8_t> {-128, -2, -2, -1, 0, 0, 127}); // 127 / 256 is rounded twice
}

TEST_CASE("int16 concatenation equals the reference")
{
    test::random random(4);
    for (int i = 0; i < 1500; ++i) {
        const std::ptrdiff_t rows = random.integer(0, 4), count = random.integer(0, 4), apart = random.integer(0, 3);
        const float y_scale = some_scale(random, -16, -9);
        std::vector<std::vector<std::int16_t>> data;
        std::vector<tflite::concatenation_input_16> inputs;
        std::vector<std::int16_t> expected;
        std::ptrdiff_t cols = 0;
        for (std::ptrdiff_t n = 0; n < count; ++n) {
            const std::ptrdiff_t width = random.integer(0, 5);
            data.push_back(some_codes<std::int16_t>(random, rows * (width + apart)));
            inputs.push_back(
                {{data.back().data(), rows, width, width + apart}, random.integer(0, 1) ? y_scale : some_scale(random, -16, -9)});
            cols += width;
        }
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            for (const tflite::concatenation_input_16& input : inputs) {
                const auto m = encode_multiplier(static_cast<double>(input.scale) / static_cast<double>(y_scale));
                for (std::ptrdiff_t c = 0; c < input.x.cols; ++c) {
                    expected.push_back(static_cast<std::int16_t>(reference::requantize_code(input.x(r, c), 0, *m, 0, -32768, 32767)));
                    if (input.scale == y_scale)
                        REQUIRE(expected.back() == input.x(r, c));
                }
            }
            expected.insert(expected.end(), static_cast<std::size_t>(apart), canary);
        }
        std::vector<std::int16_t> y(expected.size(), canary);
        REQUIRE(tflite::concatenate(inputs, y_scale, {y.data(), rows, cols, cols + apart}) == status::ok);
        REQUIRE(y == expected);
    }
}

TEST_CASE("int16 softmax equals the reference")
{
    test::random random(5);
    for (int i = 0; i < 3000; ++i) {
        const std::ptrdiff_t rows = random.integer(1, 3), cols = random.integer(1, i % 100 == 0 ? 700 : 12), apart = random.integer(0, 2);
        const float scale = i % 50 == 0 ? std::ldexp(1.0f, random.integer(-40, 12)) : some_scale(random, -16, -8);
        const float beta = random.integer(0, 2) ? 1.0f : std::fabs(random.real()) + 0.01f;
        const auto s = tflite::softmax_params<std::int16_t>(scale, beta);
        REQUIRE(s);
        std::vector<std::int16_t> x = some_codes<std::int16_t>(random, rows * (cols + apart));
        if (random.integer(0, 3) == 0) // numbers that are near one another
            for (std::int16_t& c : x)
                c = static_cast<std::int16_t>(c / 64);
        std::vector<std::int16_t> y(x.size(), canary), expected(static_cast<std::size_t>(cols));
        const matrix_view<const std::int16_t> from(x.data(), rows, cols, cols + apart);
        const matrix_view<std::int16_t> to(y.data(), rows, cols, cols + apart);
        REQUIRE(tflite::softmax(from, *s, to, test::reversed_executor {}) == status::ok);
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            reference::softmax_row(from.row(r), cols, s->multiplier, expected.data());
            double sum = 0;
            for (std::ptrdiff_t c = 0; c < cols; ++c)
                sum += std::exp(static_cast<double>(scale * beta) * (from(r, c) - *std::max_element(from.row(r), from.row(r) + cols)));
            for (std::ptrdiff_t c = 0; c < cols; ++c) {
                REQUIRE(to(r, c) == expected[static_cast<std::size_t>(c)]);
                const double apart_from_top
                    = static_cast<double>(scale * beta) * (from(r, c) - *std::max_element(from.row(r), from.row(r) + cols));
                // e^x below e^-10 counts as that.
                REQUIRE(std::fabs(to(r, c) - 32768.0 * std::exp(apart_from_top) / sum) < 24.0 + 2.0 * static_cast<double>(cols));
            }
            for (std::ptrdiff_t c = 0; c < apart; ++c)
                REQUIRE(y[static_cast<std::size_t>(r * (cols + apart) + cols + c)] == canary);
        }
        REQUIRE(tflite::softmax({x.data(), rows, cols, cols + apart}, *s, {x.data(), rows, cols, cols + apart}) == status::ok);
        for (std::ptrdiff_t r = 0; r < rows; ++r)
            REQUIRE(std::equal(to.row(r), to.row(r) + cols, from.row(r)));
    }
    // The longest row.
    const auto s = tflite::softmax_params<std::int16_t>(1.0f / 4096.0f);
    std::vector<std::int16_t> x(65536, 5), y(65536);
    REQUIRE(tflite::softmax({x.data(), 1, 65536}, *s, {y.data(), 1, 65536}) == status::ok);
    std::vector<std::int16_t> expected(65536);
    reference::softmax_row(x.data(), 65536, s->multiplier, expected.data());
    CHECK(y == expected);
    x.push_back(5);
    y.push_back(0);
    CHECK(tflite::softmax({x.data(), 1, 65537}, *s, {y.data(), 1, 65537}) == status::k_too_large);
}

TEST_CASE("interpolated functions of every int16 code equal the reference")
{
    test::random random(11);
    const std::vector<std::int16_t> x = all_codes();
    std::vector<std::int16_t> y(x.size());
    const auto check = [&](auto f, float x_scale, float y_scale, double bound) {
        const auto table = tflite::interpolation_table(f, x_scale, y_scale);
        REQUIRE(table);
        REQUIRE(tflite::look_up(x, *table, y, test::reversed_executor {}) == status::ok);
        for (std::size_t i = 0; i < x.size(); i += 5)
            if (y[i] != reference::interpolate(x[i], f, x_scale, y_scale))
                FAIL(x[i]);
        double worst = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double exact = std::clamp(f(static_cast<double>(x_scale) * x[i]) / static_cast<double>(y_scale), -32768.0, 32767.0);
            worst = std::max(worst, std::fabs(exact - y[i]));
        }
        INFO(x_scale << " " << y_scale);
        CHECK(worst < bound);
    };
    const auto hard_swish = [](double v) { return v <= -3 ? 0.0 : v >= 3 ? v : v * (v + 3) / 6; };
    for (int i = 0; i < 12; ++i) {
        const float scale = some_scale(random, -15, -12);
        check(hard_swish, scale, scale, 16.0);
        check([](double v) { return 1.0 / (1.0 + portable_exp(-v)); }, scale, 1.0f / 32768.0f, 16.0);
        check([](double v) { return v < 0.0 ? portable_exp(v) - 1.0 : v; }, scale, scale * 2.0f, 16.0);
        check([](double v) { return v * 1e6; }, scale, scale, 1e9);
    }
    CHECK(tflite::interpolation_table(hard_swish, 0.0f, 1.0f).error() == status::scale_invalid);
    CHECK(tflite::interpolation_table(hard_swish, 1.0f, NAN).error() == status::scale_invalid);
    CHECK(tflite::interpolation_table([](double v) { return v > 0.0 ? v : static_cast<double>(NAN); }, 1.0f, 1.0f).error()
          == status::not_finite);
    const auto steep = tflite::interpolation_table([](double v) { return v > 0.0 ? HUGE_VAL : -HUGE_VAL; }, 1.0f, 1.0f);
    REQUIRE(steep);
    CHECK((steep->at[0] == -32768 && steep->at[512] == 32767));
    std::vector<std::int16_t> one(1, canary);
    CHECK(tflite::look_up(x, *steep, one) == status::shape_mismatch);
    CHECK(tflite::look_up(span<const std::int16_t>(nullptr, 1), *steep, one) == status::null_pointer);
    CHECK(one[0] == canary);
}

TEST_CASE("softmax from int8 to int16 is the reference, and the real one to within its sums' bits")
{
    test::random random(10);
    for (int i = 0; i < 300; ++i) {
        const std::ptrdiff_t cols = random.integer(1, 200);
        const float scale = some_scale(random, -8, 0);
        const auto s = tflite::softmax_params(scale);
        REQUIRE(s);
        const std::vector<std::int8_t> x = some_codes<std::int8_t>(random, cols);
        std::vector<std::int16_t> y(x.size());
        const matrix_view<std::int16_t> to(y.data(), 1, cols);
        REQUIRE(tflite::softmax({x.data(), 1, cols}, *s, to, test::reversed_executor {}) == status::ok);
        std::vector<std::int16_t> defined(y.size());
        reference::softmax_row(x.data(), cols, s->multiplier, s->least, defined.data());
        REQUIRE(y == defined);
        double sum = 0;
        for (const std::int8_t code : x)
            sum += std::exp(static_cast<double>(scale) * (code - 127));
        for (std::size_t c = 0; c < x.size(); ++c) {
            const double exact = std::exp(static_cast<double>(scale) * (x[c] - 127)) / sum * 65536.0 - 32768.0;
            REQUIRE(std::fabs(std::min(exact, 32767.0) - y[c]) < 1.0 + static_cast<double>(cols) / 16.0);
        }
    }
    std::vector<std::int8_t> x(4);
    std::vector<std::int16_t> y(4, canary);
    const tflite::softmax_scale s = *tflite::softmax_params(0.1f);
    CHECK(tflite::softmax({x.data(), 1, 4}, s, matrix_view<std::int16_t>(y.data(), 2, 2)) == status::shape_mismatch);
    CHECK(tflite::softmax({x.data(), 1, 4}, {{1 << 30, 1}, 1}, matrix_view<std::int16_t>(y.data(), 1, 4)) == status::multiplier_invalid);
    CHECK(y == std::vector<std::int16_t>(4, canary));
}

TEST_CASE("TFLite's int4 filters equal the int8 filters of the same codes")
{
    test::random random(6);
    std::vector<float> scale {0.03f};
    requantization r;
    r.scale = scale;
    for (int i = 0; i < 400; ++i) {
        const std::ptrdiff_t side = random.integer(1, 3), groups = random.integer(1, 2), in = groups * random.integer(1, 5),
                             out = groups * random.integer(1, 5), k = side * side * in / groups;
        std::vector<int4x2> packed(static_cast<std::size_t>((out * k + 1) / 2));
        for (int4x2& pair : packed)
            pair.bits = static_cast<std::uint8_t>(random.integer(0, 255));
        std::vector<std::int8_t> codes(static_cast<std::size_t>(out * k));
        for (std::ptrdiff_t j = 0; j < out * k; ++j)
            codes[static_cast<std::size_t>(j)] = reference::int4_code(packed.data(), j);
        std::vector<std::int8_t> unpacked(codes.size());
        REQUIRE(tflite::unpack_int4(packed, unpacked) == status::ok);
        REQUIRE(unpacked == codes);
        const auto of_int4 = tflite::packed_filter::make(packed, out, side, side, in, groups);
        const auto of_int8 = tflite::packed_filter::make(matrix_view<const std::int8_t>(codes.data(), out, k), side, side, in, groups);
        REQUIRE((of_int4 && of_int8));
        const std::vector<std::int8_t> x = some_codes<std::int8_t>(random, 4 * 5 * in);
        const tflite::window at {side, side};
        const std::ptrdiff_t height = output_height(at, 4), width = output_width(at, 5);
        std::vector<std::int8_t> y(static_cast<std::size_t>(height * width * out)), expected(y.size());
        std::vector<std::byte> workspace(tflite::conv2d_workspace(*of_int4));
        const tflite::images_view<const std::int8_t> from(x.data(), 1, 4, 5, in);
        REQUIRE(tflite::conv2d(from, 3, *of_int4, at, r, {y.data(), 1, height, width, out}, workspace) == status::ok);
        REQUIRE(tflite::conv2d(from, 3, *of_int8, at, r, {expected.data(), 1, height, width, out}, workspace) == status::ok);
        REQUIRE(y == expected);
        CHECK(tflite::packed_filter::make(span<const int4x2>(packed.data(), packed.size() - 1), out, side, side, in, groups).error()
              == status::shape_mismatch);
    }
    const std::vector<int4x2> packed(5);
    CHECK(tflite::packed_filter::make(span<const int4x2>(packed), 1, 3, 3, 1));
    CHECK(tflite::packed_filter::make(span<const int4x2>(packed), -1, 3, 3, 1).error() == status::negative_size);
    CHECK(tflite::packed_filter::make(span<const int4x2>(packed), PTRDIFF_MAX, 3, 3, 1).error() == status::size_overflow);
    CHECK(tflite::packed_filter::make(span<const int4x2>(packed), 1, 3, 3, 2).error() == status::shape_mismatch);
    CHECK(tflite::packed_filter::make(span<const int4x2>(nullptr, 5), 1, 3, 3, 1).error() == status::null_pointer);
    CHECK(tflite::packed_filter::make(span<const int4x2>(packed), 1, 0, 3, 1).error() == status::window_invalid);
    std::vector<std::int8_t> codes(8, 77);
    CHECK(tflite::unpack_int4(packed, codes) == status::shape_mismatch);
    CHECK(tflite::unpack_int4(packed, span<std::int8_t>(nullptr, 9)) == status::null_pointer);
    CHECK(codes == std::vector<std::int8_t>(8, 77));
    CHECK(tflite::unpack_int4({}, {}) == status::ok);
}

TEST_CASE("floats to int16 and back equal the reference")
{
    test::random random(9);
    const float specials[]
        = {0.0f, -0.0f, 1e-40f, -1e-40f, 1e38f, -1e38f, INFINITY, -INFINITY, 0.5f, -0.5f, 1.5f, 32766.5f, 32767.5f, -32768.5f};
    for (int i = 0; i < 2000; ++i) {
        const float scale = i % 10 == 0 ? std::ldexp(1.0f, random.integer(-140, 120)) : some_scale(random, -16, 4);
        std::vector<float> x(specials, specials + std::size(specials));
        for (int j = 0; j < 30; ++j)
            x.push_back(random.real() * std::ldexp(1.0f, random.integer(-20, 14)));
        for (int j = 0; j < 30; ++j) // halves
            x.push_back((static_cast<float>(random.integer(-33000, 33000)) + 0.5f) * scale);
        std::vector<std::int16_t> q(x.size());
        REQUIRE(tflite::quantize(x, scale, q, test::reversed_executor {}) == status::ok);
        for (std::size_t j = 0; j < x.size(); ++j)
            REQUIRE(q[j] == reference::quantize_int16(x[j], scale));
        std::vector<float> back(x.size());
        REQUIRE(tflite::dequantize(q, scale, back, test::reversed_executor {}) == status::ok);
        for (std::size_t j = 0; j < x.size(); ++j)
            REQUIRE(back[j] == static_cast<float>(static_cast<double>(scale) * q[j]));

        const tflite::quantization chosen = tflite::choose_quantization<std::int16_t>({-std::fabs(x[20]), std::fabs(x[21])});
        CHECK((chosen.zero_point == 0 && chosen.scale == std::fmax(std::fabs(x[20]), std::fabs(x[21])) / 32767.0f));

        std::vector<float> bias, w_scales;
        const float x_scale = some_scale(random, -16, -9);
        for (int j = 0; j < 20; ++j) {
            bias.push_back(x[static_cast<std::size_t>(20 + j)]);
            w_scales.push_back(some_scale(random, -12, -4));
        }
        std::vector<std::int64_t> codes(bias.size());
        REQUIRE(tflite::quantize_bias(bias, x_scale, w_scales, codes) == status::ok);
        for (std::size_t j = 0; j < bias.size(); ++j)
            REQUIRE(codes[j] == reference::bias_of_int16(bias[j], x_scale, w_scales[j]));
    }
    std::vector<std::int16_t> q(2, canary);
    REQUIRE(tflite::quantize(std::vector<float> {NAN, -NAN}, 0.1f, q) == status::ok);
    CHECK(q == std::vector<std::int16_t> {0, 0});
    CHECK(tflite::choose_quantization<std::int16_t>({0.0f, 0.0f}).scale == 1.0f);
    CHECK(tflite::choose_quantization<std::int16_t>({-2.0f, 1.0f}).scale == 2.0f / 32767.0f);
    CHECK(tflite::choose_quantization<std::int16_t>({3.0f, 4.0f}).scale == 4.0f / 32767.0f);

    std::vector<float> x(2, 7.0f);
    CHECK(tflite::quantize(x, 0.0f, q) == status::scale_invalid);
    CHECK(tflite::quantize(x, 1.0f, span<std::int16_t>(q.data(), 1)) == status::shape_mismatch);
    CHECK(tflite::quantize(span<const float>(nullptr, 2), 1.0f, q) == status::null_pointer);
    CHECK(tflite::dequantize(q, NAN, x) == status::scale_invalid);
    CHECK(tflite::dequantize(q, 1.0f, span<float>(x.data(), 1)) == status::shape_mismatch);
    CHECK(tflite::dequantize(span<const std::int16_t>(nullptr, 2), 1.0f, x) == status::null_pointer);
    CHECK((q == std::vector<std::int16_t> {0, 0} && x == std::vector<float> {7.0f, 7.0f}));

    std::vector<std::int64_t> codes(2, 11);
    const std::vector<float> w {1.0f}, bias {70368744177664.0f, -70368744177664.0f}, more {0.0f, 70368752566272.0f}; // 2^46
    CHECK(tflite::quantize_bias(more, 1.0f, w, codes) == status::bias_too_large);
    CHECK(tflite::quantize_bias(std::vector<float> {0.0f, NAN}, 1.0f, w, codes) == status::not_finite);
    CHECK(tflite::quantize_bias(bias, 0.0f, w, codes) == status::scale_invalid);
    CHECK(tflite::quantize_bias(bias, 1e-30f, std::vector<float> {1e-30f}, codes) == status::scale_invalid);
    CHECK(tflite::quantize_bias(bias, 1.0f, std::vector<float> {1, 2, 3}, codes) == status::params_count_mismatch);
    CHECK(tflite::quantize_bias(bias, 1.0f, w, span<std::int64_t>(codes.data(), 1)) == status::shape_mismatch);
    CHECK(tflite::quantize_bias(bias, 1.0f, w, span<std::int64_t>(nullptr, 2)) == status::null_pointer);
    CHECK(codes == std::vector<std::int64_t> {11, 11});
    REQUIRE(tflite::quantize_bias(bias, 1.0f, w, codes) == status::ok);
    CHECK(codes == std::vector<std::int64_t> {std::int64_t {1} << 46, -(std::int64_t {1} << 46)});
}

TEST_CASE("a standalone ReLU's ratio of scales is one of floats, as TFLite has it")
{
    const auto table = [](float x_scale, float y_scale) {
        return tflite::requantize_table({x_scale, -128}, {y_scale, -128}, tflite::fused_activation::relu);
    };
    CHECK(table(0x1.7df9ep-6f, 0x1.a11d04p-6f)->at[56 + 128] == 41); // a ratio in double gives 40
    CHECK(table(0x1.e50dep-4f, 0x1.afd5c8p-4f)->at[14 + 128] == 31); // 32
    CHECK(table(0x1.9ccc3p-6f, 0x1.9e1ffcp-6f)->at[28 + 128] == 28); // 27
}

TEST_CASE("multipliers do not depend on the caller's floating-point mode")
{
    test::random random(8);
    const std::vector<std::int16_t> x {-32768, -20000, -300, 5, 700, 32767};
    for (int i = 0; i < 2000; ++i) {
        // Every fourth time subnormal scales, which a caller's mode may take for 0.
        const int low = i % 4 == 0 ? -140 : -16, high = i % 4 == 0 ? -130 : -9;
        const float a = some_scale(random, low, high), b = some_scale(random, low, high), c = some_scale(random, low, high);
        const std::vector<float> scales {b, c}, real {-a, a * 3.5f, b, -b, c}, bias {a * c, -b * c};
        const auto results = [&] {
            std::vector<std::int32_t> all;
            std::vector<float> floats(real.size());
            const auto keep = [&](const auto& m) {
                all.push_back(m ? m->multiplier : -1);
                all.push_back(m ? m->shift : static_cast<std::int32_t>(m.error()));
            };
            const auto sum = tflite::add_params(a, b, c);
            all.push_back(static_cast<std::int32_t>(sum.error()));
            if (sum)
                for (const fixed_multiplier& m : {sum->a, sum->b, sum->sum}) {
                    all.push_back(m.multiplier);
                    all.push_back(m.shift);
                }
            for (const tflite::fused_activation f : {tflite::fused_activation::none, tflite::fused_activation::relu6}) {
                const auto table = tflite::requantize_table({a, 5}, {b, -7}, f);
                REQUIRE(table);
                all.insert(all.end(), table->at, table->at + 256);
            }
            for (const tflite::table_function f : {tflite::table_function::logistic, tflite::table_function::hard_swish}) {
                const auto table = tflite::function_table(f, {a, 5}, {b, -7});
                REQUIRE(table);
                all.insert(all.end(), table->at, table->at + 256);
            }
            const auto bounds = tflite::bounds_of<std::int16_t>(tflite::fused_activation::relu6, {a, 0});
            all.push_back(bounds->qmax);
            const auto curve = tflite::interpolation_table([](double v) { return v * 0.7 - 1e-3; }, a, b);
            REQUIRE(curve);
            all.insert(all.end(), curve->at, curve->at + 513);
            const auto narrow = tflite::softmax_params(a, 1.5f);
            all.push_back(narrow ? narrow->multiplier.multiplier : static_cast<std::int32_t>(narrow.error()));
            const auto wide = tflite::softmax_params<std::int16_t>(a, 1.5f);
            all.push_back(wide ? wide->multiplier.multiplier : static_cast<std::int32_t>(wide.error()));
            keep(tflite::detail::multiplier_of_ratio(a, b));
            keep(tflite::detail::multiplier_of_float_ratio(a, b));
            std::vector<std::int16_t> y(x.size());
            REQUIRE(tflite::leaky_relu(x, a, 0.3f, y, b) == status::ok);
            all.insert(all.end(), y.begin(), y.end());
            std::vector<std::int16_t> quantized(real.size());
            REQUIRE(tflite::quantize(real, b, quantized) == status::ok);
            all.insert(all.end(), quantized.begin(), quantized.end());
            REQUIRE(tflite::dequantize(quantized, b, floats) == status::ok);
            for (const float f : floats)
                all.push_back(static_cast<std::int32_t>(float_bits(f)));
            std::vector<std::int64_t> codes(2);
            all.push_back(static_cast<std::int32_t>(tflite::quantize_bias(bias, a, scales, codes)));
            for (const std::int64_t code : codes)
                all.push_back(static_cast<std::int32_t>(code));
            const float whole = tflite::choose_quantization({-a, b}).scale, half = tflite::choose_quantization<std::int16_t>({-a, b}).scale;
            all.push_back(static_cast<std::int32_t>(float_bits(whole)));
            all.push_back(static_cast<std::int32_t>(float_bits(half)));
            REQUIRE(tflite::logistic(x, a, y) == status::ok);
            all.insert(all.end(), y.begin(), y.end());
            return all;
        };
        const std::vector<std::int32_t> expected = results();
#if defined(__x86_64__)
        const unsigned saved = __builtin_ia32_stmxcsr();
        for (const unsigned mode : {0xa040u, 0xc040u}) { // down or up, subnormals flushed
            __builtin_ia32_ldmxcsr((saved & ~0x6000u) | mode);
            const std::vector<std::int32_t> found = results();
            __builtin_ia32_ldmxcsr(saved);
            REQUIRE(found == expected);
        }
#endif
    }
}

TEST_CASE("the specification takes a change between int8 and int16")
{
    const std::vector<float> scale {0.5f};
    const std::vector<std::int32_t> zero_point {3};
    const tflite::quantized_tensor narrow {tflite::integer_type::s8, scale, zero_point}, wide {tflite::integer_type::s16, scale},
        shifted {tflite::integer_type::s16, scale, zero_point};
    const auto check = [](tflite::operation op, const tflite::quantized_tensor& x, const tflite::quantized_tensor& y) {
        return tflite::check(op, span<const tflite::quantized_tensor>(&x, 1), y);
    };
    CHECK(check(tflite::operation::quantize, narrow, wide) == status::ok);
    CHECK(check(tflite::operation::quantize, wide, narrow) == status::ok);
    CHECK(check(tflite::operation::quantize, narrow, shifted) == status::zero_point_out_of_range);
    CHECK(check(tflite::operation::relu, narrow, wide) == status::operand_type_invalid);
}

TEST_CASE("int16 operators refuse what does not fit before the first write")
{
    const std::vector<std::int16_t> x(4, 100);
    std::vector<std::int16_t> y(4, canary), three(3, canary);
    const span<const std::int16_t> none(nullptr, 4);
    const span<std::int16_t> nowhere(nullptr, 4);
    const float bad_scales[] = {0.0f, -1.0f, NAN, INFINITY};
    for (const float bad : bad_scales) {
        CHECK(tflite::logistic(x, bad, y) == status::scale_invalid);
        CHECK(tflite::tanh(x, bad, y) == status::scale_invalid);
        CHECK(tflite::relu(x, bad, tflite::fused_activation::relu, y, 1.0f) == status::scale_invalid);
        CHECK(tflite::relu(x, 1.0f, tflite::fused_activation::relu, y, bad) == status::scale_invalid);
        CHECK(tflite::leaky_relu(x, bad, 0.1f, y, 1.0f) == status::scale_invalid);
        CHECK(tflite::leaky_relu(x, 1.0f, 0.1f, y, bad) == status::scale_invalid);
        CHECK(tflite::softmax_params<std::int16_t>(bad).error() == status::scale_invalid);
        CHECK(tflite::softmax_params<std::int16_t>(1.0f, bad).error() == status::scale_invalid);
        CHECK(tflite::requantize<std::int16_t, std::int16_t>(x, {bad, 0}, y, {1.0f, 0}) == status::scale_invalid);
        CHECK(tflite::requantize<std::int16_t, std::int16_t>(x, {1.0f, 0}, y, {bad, 0}) == status::scale_invalid);
        const std::vector<tflite::concatenation_input_16> inputs {{{x.data(), 1, 2}, 1.0f}, {{x.data(), 1, 2}, bad}};
        CHECK(tflite::concatenate(inputs, 1.0f, {y.data(), 1, 4}) == status::scale_invalid);
        CHECK(tflite::concatenate({inputs.data(), 1}, bad, {y.data(), 1, 2}) == status::scale_invalid);
    }
    CHECK(tflite::logistic(x, 8.0f / 3.0f, y) == status::scale_invalid);
    CHECK(tflite::relu(x, 1e30f, tflite::fused_activation::relu, y, 1e-9f) == status::scale_invalid);
    CHECK(tflite::leaky_relu(x, 1.0f, 1e30f, y, 1.0f) == status::scale_invalid);
    CHECK(tflite::leaky_relu(x, 1.0f, NAN, y, 1.0f) == status::option_invalid);
    CHECK(tflite::leaky_relu(x, 1.0f, -INFINITY, y, 1.0f) == status::option_invalid);
    CHECK(tflite::requantize<std::int16_t, std::int16_t>(x, {1e30f, 0}, y, {1e-9f, 0}) == status::scale_invalid);
    CHECK(tflite::softmax_params<std::int16_t>(1e30f, 1e30f).error() == status::scale_invalid);

    CHECK(tflite::logistic(x, 0.1f, three) == status::shape_mismatch);
    CHECK(tflite::tanh(x, 0.1f, three) == status::shape_mismatch);
    CHECK(tflite::relu(x, 0.1f, tflite::fused_activation::relu, three, 0.1f) == status::shape_mismatch);
    CHECK(tflite::leaky_relu(x, 0.1f, 0.1f, three, 0.1f) == status::shape_mismatch);
    CHECK(tflite::requantize<std::int16_t, std::int16_t>(x, {}, three, {}) == status::shape_mismatch);
    CHECK(tflite::logistic(none, 0.1f, y) == status::null_pointer);
    CHECK(tflite::logistic(x, 0.1f, nowhere) == status::null_pointer);
    CHECK(tflite::tanh(none, 0.1f, y) == status::null_pointer);
    CHECK(tflite::relu(none, 0.1f, tflite::fused_activation::relu, y, 0.1f) == status::null_pointer);
    CHECK(tflite::leaky_relu(none, 0.1f, 0.1f, y, 0.1f) == status::null_pointer);
    CHECK(tflite::requantize<std::int16_t, std::int16_t>(none, {}, y, {}) == status::null_pointer);

    CHECK(tflite::requantize<std::int16_t, std::int16_t>(x, {1.0f, 32768}, y, {}) == status::zero_point_out_of_range);
    CHECK(tflite::requantize<std::int16_t, std::int16_t>(x, {}, y, {1.0f, -32769}) == status::zero_point_out_of_range);
    const std::vector<std::uint8_t> bytes(4);
    CHECK(tflite::requantize<std::uint8_t, std::int16_t>(bytes, {1.0f, -1}, y, {}) == status::zero_point_out_of_range);
    CHECK(tflite::requantize<std::uint8_t, std::int16_t>(bytes, {1.0f, 256}, y, {}) == status::zero_point_out_of_range);

    const tflite::softmax_scale_16 s = *tflite::softmax_params<std::int16_t>(0.1f);
    CHECK(tflite::softmax({x.data(), 2, 2}, s, {y.data(), 1, 4}) == status::shape_mismatch);
    CHECK(tflite::softmax({nullptr, 1, 4}, s, {y.data(), 1, 4}) == status::null_pointer);
    CHECK(tflite::softmax({x.data(), 1, 4}, s, {y.data(), 1, -4}) == status::negative_size);
    CHECK(tflite::softmax({x.data(), 1, 4}, {{-1, 0}}, {y.data(), 1, 4}) == status::multiplier_invalid);
    CHECK(tflite::softmax({x.data(), 1, 4}, {{1 << 30, 32}}, {y.data(), 1, 4}) == status::multiplier_invalid);
    CHECK(tflite::softmax({x.data(), 0, 4}, s, {y.data(), 0, 4}) == status::ok);

    std::vector<tflite::concatenation_input_16> inputs {{{x.data(), 1, 2}, 1.0f}, {{x.data(), 1, 3}, 1.0f}};
    CHECK(tflite::concatenate(inputs, 1.0f, {y.data(), 1, 4}) == status::shape_mismatch);
    CHECK(tflite::concatenate({inputs.data(), 1}, 1.0f, {y.data(), 1, 4}) == status::shape_mismatch);
    CHECK(tflite::concatenate({nullptr, 1}, 1.0f, {y.data(), 1, 4}) == status::null_pointer);
    inputs[1] = {{nullptr, 1, 2}, 1.0f};
    CHECK(tflite::concatenate(inputs, 1.0f, {y.data(), 1, 4}) == status::null_pointer);
    inputs[1] = {{x.data(), 1, 2}, 1e-9f};
    inputs[0].scale = 1e30f;
    CHECK(tflite::concatenate(inputs, 1e-9f, {y.data(), 1, 4}) == status::scale_invalid);
    CHECK(std::all_of(y.begin(), y.end(), [](std::int16_t c) { return c == canary; }));
    CHECK(std::all_of(three.begin(), three.end(), [](std::int16_t c) { return c == canary; }));
}
