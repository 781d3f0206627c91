#include "../support.hpp"

#include <algorithm>
#include <cmath>

using namespace nibble;
using tflite::images_view;

namespace {

constexpr requantize_mode all_modes[]
    = {requantize_mode::float_ties_to_even, requantize_mode::double_rounding, requantize_mode::single_rounding};

std::vector<std::int8_t> random_codes(test::random& random, std::ptrdiff_t count, std::int32_t low = -128)
{
    std::vector<std::int8_t> codes(static_cast<std::size_t>(count));
    for (std::int8_t& c : codes)
        c = static_cast<std::int8_t>(random.integer(low, 127));
    return codes;
}

// Scales and multipliers that spread sums of k products over the codes.
struct output_stage {
    std::vector<float> scale;
    std::vector<std::int32_t> multiplier, shift, bias;
    requantization r;

    output_stage(test::random& random, requantize_mode mode, std::ptrdiff_t channels, std::ptrdiff_t k, bool each)
    {
        for (std::ptrdiff_t i = 0; i < (each ? channels : 1); ++i) {
            scale.push_back(std::ldexp(1.0f + std::fabs(random.real()), -7) / std::sqrt(static_cast<float>(k)));
            const auto m = encode_multiplier(static_cast<double>(scale.back()));
            multiplier.push_back(m->multiplier);
            shift.push_back(m->shift);
        }
        for (std::ptrdiff_t i = 0; i < channels; ++i)
            bias.push_back(random.integer(-3000, 3000));
        r.mode = mode;
        r.scale = scale;
        r.multiplier = multiplier;
        r.shift = shift;
        r.bias = bias;
        r.zero_point = random.integer(-128, 127);
        r.low = random.integer(0, 1) ? r.zero_point : -128;
    }
};

// The same for sums of int16 by int8.
struct wide_stage {
    std::vector<std::int32_t> multiplier, shift;
    std::vector<std::int64_t> bias;
    tflite::requantization_16x8 r;

    wide_stage(test::random& random, std::ptrdiff_t channels, std::ptrdiff_t k, bool each)
    {
        for (std::ptrdiff_t i = 0; i < (each ? channels : 1); ++i) {
            const float scale = std::ldexp(1.0f + std::fabs(random.real()), -8) / std::sqrt(static_cast<float>(k));
            const auto m = encode_multiplier(static_cast<double>(scale));
            multiplier.push_back(random.integer(0, 9) == 0 ? INT32_MAX : m->multiplier);
            shift.push_back(m->shift);
        }
        for (std::ptrdiff_t i = 0; i < channels; ++i)
            bias.push_back(std::int64_t {1024} * random.integer(-30000, 30000) * (random.integer(0, 9) == 0 ? 1 << 20 : 1));
        r.multiplier = multiplier;
        r.shift = shift;
        r.bias = bias;
        r.low = random.integer(0, 1) ? 0 : -32768;
        r.high = random.integer(0, 1) ? 20000 : 32767;
    }
};

struct shape {
    std::ptrdiff_t batch, height, width, in, out, groups;
    tflite::window at;
};

tflite::window square(std::ptrdiff_t kernel, std::ptrdiff_t stride = 1, std::ptrdiff_t pad = 0, std::ptrdiff_t dilation = 1)
{
    return {kernel, kernel, stride, stride, dilation, dilation, pad, pad, pad, pad};
}

const shape convolutions[] = {
    {1, 1, 1, 1, 1, 1, square(1)},
    {2, 9, 8, 16, 24, 1, square(1)},
    {1, 9, 9, 5, 17, 1, square(1, 2)},
    {2, 7, 6, 3, 16, 1, square(3, 1, 1)},
    {1, 8, 8, 4, 33, 1, {3, 2, 2, 1, 1, 2, 0, 2, 1, 0}},
    {1, 12, 11, 6, 8, 2, square(3, 1, 2, 2)},
    {1, 5, 5, 12, 36, 3, square(5, 2, 4)},
    {1, 3, 3, 8, 8, 8, square(3, 1, 1)},
    {3, 4, 5, 2, 3, 1, {4, 5, 1, 1, 1, 1, 0, 0, 0, 0}},
    {1, 10, 10, 40, 20, 1, square(3, 1, 1)},
    {1, 10, 10, 20, 7, 1, square(1)},
    {1, 3, 3, 512, 9, 1, square(1)},
};

template <class Run>
void on_every_backend(Run run)
{
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        run();
    }
}

constexpr std::int8_t canary = 0x5a;

} // namespace

TEST_CASE("convolutions equal the reference")
{
    on_every_backend([] {
        test::random random(1);
        for (const shape& s : convolutions)
            for (const requantize_mode mode : all_modes)
                for (const bool transposed : {false, true}) {
                    INFO(s.height << "x" << s.width << "x" << s.in << " to " << s.out << " transposed " << transposed);
                    const std::ptrdiff_t out_height = output_height(s.at, s.height), out_width = output_width(s.at, s.width);
                    const std::ptrdiff_t x_size = s.batch * (transposed ? out_height * out_width : s.height * s.width) * s.in;
                    const std::ptrdiff_t y_size = s.batch * (transposed ? s.height * s.width : out_height * out_width) * s.out;
                    const std::ptrdiff_t k = s.at.kernel_height * s.at.kernel_width * s.in / s.groups;
                    test::guarded<std::int8_t> x(x_size, random.integer(0, 1) != 0), y(y_size, random.integer(0, 1) != 0);
                    for (std::size_t i = 0; i < x.size(); ++i)
                        x[i] = static_cast<std::int8_t>(random.integer(-128, 127));
                    const std::vector<std::int8_t> w = random_codes(random, s.out * k, -127);
                    const matrix_view<const std::int8_t> weights(w.data(), s.out, k);
                    const auto filter = tflite::packed_filter::make(weights, s.at.kernel_height, s.at.kernel_width, s.in, s.groups);
                    REQUIRE(filter.error() == status::ok);
                    const output_stage stage(random, mode, s.out, k, random.integer(0, 1) != 0);
                    const std::int32_t zero_point = random.integer(-128, 127);
                    images_view<const std::int8_t> from(x.data(), s.batch, s.height, s.width, s.in);
                    images_view<std::int8_t> to(y.data(), s.batch, out_height, out_width, s.out);
                    if (transposed) {
                        std::swap(from.height, to.height);
                        std::swap(from.width, to.width);
                    }
                    std::vector<std::int8_t> expected(y.size());
                    images_view<std::int8_t> want = to;
                    want.data = expected.data();
                    test::guarded<std::byte> workspace(
                        static_cast<std::ptrdiff_t>(tflite::conv2d_workspace(*filter, 1 + random.integer(0, 2))));
                    const span<std::byte> scratch(workspace.data(), workspace.size());
                    if (transposed) {
                        reference::transpose_conv2d(from, zero_point, weights, s.groups, s.at, stage.r, want);
                        REQUIRE(tflite::transpose_conv2d(from, zero_point, *filter, s.at, stage.r, to, scratch, test::reversed_executor {})
                                == status::ok);
                    } else {
                        reference::conv2d(from, zero_point, weights, s.groups, s.at, stage.r, want);
                        REQUIRE(tflite::conv2d(from, zero_point, *filter, s.at, stage.r, to, scratch, test::reversed_executor {})
                                == status::ok);
                    }
                    CHECK(test::same_bits(y.data(), expected.data(), y.size()));
                }
    });
}

TEST_CASE("int4 filters are the int8 ones of the same codes")
{
    test::random random(2);
    const std::ptrdiff_t k = 27, out = 5;
    std::vector<int4x2> pairs(static_cast<std::size_t>(out * elements_for<int4x2>(k)));
    std::vector<std::int8_t> wide(static_cast<std::size_t>(out * k));
    for (std::ptrdiff_t r = 0; r < out; ++r)
        for (std::ptrdiff_t i = 0; i < k; ++i) {
            wide[static_cast<std::size_t>(r * k + i)] = static_cast<std::int8_t>(random.integer(-7, 7));
            store_code(pairs.data() + r * elements_for<int4x2>(k), i, wide[static_cast<std::size_t>(r * k + i)]);
        }
    const auto narrow = tflite::packed_filter::make(matrix_view<const int4x2>(pairs.data(), out, elements_for<int4x2>(k)), 3, 3, 3);
    const auto whole = tflite::packed_filter::make(matrix_view<const std::int8_t>(wide.data(), out, k), 3, 3, 3);
    REQUIRE((narrow && whole));
    const packed_weights_view a = narrow->group(0), b = whole->group(0);
    CHECK(std::memcmp(a.panels, b.panels, a.panel_bytes) == 0);
}

TEST_CASE("depthwise convolutions equal the reference")
{
    struct depthwise_shape {
        std::ptrdiff_t batch, height, width, channels, multiplier;
        tflite::window at;
    };
    const depthwise_shape shapes[] = {
        {1, 1, 1, 1, 1, square(1)}, {2, 7, 6, 3, 1, square(3, 1, 1)}, {1, 9, 8, 64, 1, square(3, 2, 1)},
        {1, 6, 6, 131, 1, square(3, 1, 2, 2)}, {1, 5, 7, 32, 1, {2, 5, 1, 2, 2, 1, 1, 0, 0, 3}}, {2, 6, 5, 5, 3, square(3, 1, 1)},
        {1, 4, 4, 1, 37, square(3, 1, 1)}, {1, 3, 3, 16, 1, square(5, 1, 4)},
        {1, 4, 3, 7, 1, square(3, 1, 5)},    // whole windows beside the image
        {1, 3, 2, 1061, 1, square(3, 1, 1)}, // more channels than a table of taps serves
        {1, 30, 31, 9, 1, square(8, 1, 3)},  // more pixels than a table holds
        {1, 11, 9, 6, 1, square(9, 1, 4)},   // more taps than are multiplied two by two
    };
    on_every_backend([&] {
        test::random random(3);
        for (const depthwise_shape& s : shapes)
            for (const requantize_mode mode : all_modes) {
                INFO(s.height << "x" << s.width << "x" << s.channels << "x" << s.multiplier);
                const std::ptrdiff_t height = output_height(s.at, s.height), width = output_width(s.at, s.width),
                                     out = s.channels * s.multiplier, k = s.at.kernel_height * s.at.kernel_width;
                const bool at_end = random.integer(0, 1) != 0;
                test::guarded<std::int8_t> x(s.batch * s.height * s.width * s.channels, at_end), y(s.batch * height * width * out, at_end),
                    w(k * out, at_end);
                for (std::size_t i = 0; i < x.size(); ++i)
                    x[i] = static_cast<std::int8_t>(random.integer(-128, 127));
                for (std::size_t i = 0; i < w.size(); ++i)
                    w[i] = static_cast<std::int8_t>(random.integer(-127, 127));
                const output_stage stage(random, mode, out, k, random.integer(0, 1) != 0);
                const std::int32_t zero_point = random.integer(-128, 127);
                const images_view<const std::int8_t> from(x.data(), s.batch, s.height, s.width, s.channels);
                const matrix_view<const std::int8_t> weights(w.data(), k, out);
                images_view<std::int8_t> to(y.data(), s.batch, height, width, out);
                std::vector<std::int8_t> expected(y.size());
                images_view<std::int8_t> want = to;
                want.data = expected.data();
                reference::depthwise_conv2d(from, zero_point, weights, s.at, stage.r, want);
                REQUIRE(tflite::depthwise_conv2d(from, zero_point, weights, s.at, stage.r, to, test::reversed_executor {}) == status::ok);
                CHECK(test::same_bits(y.data(), expected.data(), y.size()));
            }
    });
}

TEST_CASE("convolutions of int16 equal the reference")
{
    const auto random_shorts = [](test::random& random, const test::guarded<std::int16_t>& x) {
        const bool extreme = random.integer(0, 3) == 0;
        for (std::size_t i = 0; i < x.size(); ++i)
            x[i] = static_cast<std::int16_t>(extreme ? -32768 : random.integer(-32768, 32767));
    };
    on_every_backend([&] {
        test::random random(11);
        std::vector<shape> shapes(std::begin(convolutions), std::end(convolutions));
        shapes.push_back({1, 2, 2, 9, 300, 1, square(1)}); // more output channels than are summed at once
        for (const shape& s : shapes)
            for (const bool transposed : {false, true}) {
                INFO(s.height << "x" << s.width << "x" << s.in << " to " << s.out << " transposed " << transposed);
                const std::ptrdiff_t out_height = output_height(s.at, s.height), out_width = output_width(s.at, s.width);
                const std::ptrdiff_t x_size = s.batch * (transposed ? out_height * out_width : s.height * s.width) * s.in;
                const std::ptrdiff_t y_size = s.batch * (transposed ? s.height * s.width : out_height * out_width) * s.out;
                const std::ptrdiff_t k = s.at.kernel_height * s.at.kernel_width * s.in / s.groups;
                const bool at_end = random.integer(0, 1) != 0;
                test::guarded<std::int16_t> x(x_size, at_end), y(y_size, at_end);
                random_shorts(random, x);
                const std::vector<std::int8_t> w = random_codes(random, s.out * k);
                const matrix_view<const std::int8_t> weights(w.data(), s.out, k);
                const auto filter = tflite::packed_filter::make(weights, s.at.kernel_height, s.at.kernel_width, s.in, s.groups);
                REQUIRE(filter.error() == status::ok);
                const wide_stage stage(random, s.out, k, random.integer(0, 1) != 0);
                images_view<const std::int16_t> from(x.data(), s.batch, s.height, s.width, s.in);
                images_view<std::int16_t> to(y.data(), s.batch, out_height, out_width, s.out);
                if (transposed) {
                    std::swap(from.height, to.height);
                    std::swap(from.width, to.width);
                }
                std::vector<std::int16_t> expected(y.size());
                images_view<std::int16_t> want = to;
                want.data = expected.data();
                test::guarded<std::byte> workspace(
                    static_cast<std::ptrdiff_t>(tflite::conv2d_workspace<std::int16_t>(*filter, 1 + random.integer(0, 2))));
                const span<std::byte> scratch(workspace.data(), workspace.size());
                if (transposed) {
                    reference::transpose_conv2d(from, 0, weights, s.groups, s.at, stage.r, want);
                    REQUIRE(tflite::transpose_conv2d(from, *filter, s.at, stage.r, to, scratch, test::reversed_executor {}) == status::ok);
                } else {
                    reference::conv2d(from, 0, weights, s.groups, s.at, stage.r, want);
                    REQUIRE(tflite::conv2d(from, *filter, s.at, stage.r, to, scratch, test::reversed_executor {}) == status::ok);
                }
                CHECK(test::same_bits(y.data(), expected.data(), y.size()));
            }
        for (const auto& [channels, multiplier, at] :
            {std::tuple {std::ptrdiff_t(1), std::ptrdiff_t(1), square(1)}, {35, 1, square(3, 1, 1)}, {64, 1, square(3, 2, 1)},
                {150, 1, square(5, 1, 2)}, {5, 3, square(3, 1, 1)}, {3, 1, tflite::window {22, 22, 1, 1, 1, 1, 11, 11, 11, 11}}}) {
            const std::ptrdiff_t height = 7, width = 6, out = channels * multiplier, k = at.kernel_height * at.kernel_width;
            const std::ptrdiff_t out_height = output_height(at, height), out_width = output_width(at, width);
            const bool at_end = random.integer(0, 1) != 0;
            test::guarded<std::int16_t> x(2 * height * width * channels, at_end), y(2 * out_height * out_width * out, at_end);
            random_shorts(random, x);
            const std::vector<std::int8_t> w = random_codes(random, k * out);
            const wide_stage stage(random, out, k, random.integer(0, 1) != 0);
            const images_view<const std::int16_t> from(x.data(), 2, height, width, channels);
            const images_view<std::int16_t> to(y.data(), 2, out_height, out_width, out);
            std::vector<std::int16_t> expected(y.size());
            images_view<std::int16_t> want = to;
            want.data = expected.data();
            const auto status_of = [&, &window = at, &taps = k] {
                return tflite::depthwise_conv2d(from, {w.data(), taps, out}, window, stage.r, to, test::reversed_executor {});
            };
            reference::depthwise_conv2d(from, 0, {w.data(), k, out}, at, stage.r, want);
            REQUIRE(status_of() == status::ok);
            CHECK(test::same_bits(y.data(), expected.data(), y.size()));
        }
    });
}

TEST_CASE("fully connected layers of int16, and what they refuse")
{
    // Sums that no int32 holds: 600 * 32768 * 127.
    const std::vector<std::int16_t> x(1200, -32768);
    const std::vector<std::int8_t> w(1800, 127);
    std::vector<std::int16_t> y(6);
    const auto filter = tflite::packed_filter::make(matrix_view<const std::int8_t>(w.data(), 3, 600), 1, 1, 600);
    REQUIRE(filter);
    std::vector<std::byte> workspace(tflite::conv2d_workspace<std::int16_t>(*filter));
    const std::vector<std::int32_t> multiplier {1 << 30}, shift {-20};
    const std::vector<std::int64_t> bias {std::int64_t(600) * 32768 * 127, 1 << 21, -(1 << 20)};
    tflite::requantization_16x8 r {multiplier, shift, bias};
    const matrix_view<const std::int16_t> from(x.data(), 2, 600);
    const matrix_view<std::int16_t> to(y.data(), 2, 3);
    on_every_backend([&] {
        REQUIRE(tflite::fully_connected(from, *filter, r, to, workspace) == status::ok);
        CHECK(y == std::vector<std::int16_t> {0, -1190, -1191, 0, -1190, -1191}); // -2496921600 and the biases / 2^21
    });
    // With biases of int32 these sums saturate, and are rounded as any int32.
    const std::vector<std::int32_t> narrow_bias {0, 400000000, -2000000000};
    requantization narrow;
    narrow.mode = requantize_mode::double_rounding;
    narrow.multiplier = multiplier;
    narrow.shift = shift;
    narrow.bias = narrow_bias;
    on_every_backend([&] {
        REQUIRE(tflite::fully_connected(from, *filter, narrow, to, workspace) == status::ok);
        CHECK(y == std::vector<std::int16_t> {-1024, -1000, -1024, -1024, -1000, -1024}); // -2^31, -2096921600 and -2^31 / 2^21
    });
    std::fill(y.begin(), y.end(), std::int16_t(canary));
    narrow.zero_point = 1;
    CHECK(tflite::fully_connected(from, *filter, narrow, to, workspace) == status::zero_point_out_of_range);
    CHECK(tflite::depthwise_conv2d({x.data(), 1, 1, 1, 1}, {w.data(), 1, 1}, {}, narrow, {y.data(), 1, 1, 1, 1})
          == status::zero_point_out_of_range);
    narrow.zero_point = 0;
    narrow.bias = span<const std::int32_t>(narrow_bias.data(), 2);
    CHECK(tflite::fully_connected(from, *filter, narrow, to, workspace) == status::params_count_mismatch);
    const std::vector<std::int32_t> far {8};
    const std::vector<std::int64_t> huge {0, (std::int64_t(1) << 46) + 1, 0};
    CHECK(tflite::fully_connected(from, *filter, {multiplier, far, bias}, to, workspace) == status::multiplier_invalid);
    CHECK(tflite::fully_connected(from, *filter, {multiplier, shift, huge}, to, workspace) == status::bias_too_large);
    CHECK(tflite::fully_connected(from, *filter, {multiplier, shift, {}, 5, 4}, to, workspace) == status::invalid_clamp);
    CHECK(tflite::fully_connected(from, *filter, {multiplier, {}, bias}, to, workspace) == status::params_count_mismatch);
    CHECK(tflite::fully_connected({x.data(), 2, 599}, *filter, r, to, workspace) == status::shape_mismatch);
    CHECK(tflite::fully_connected({x.data(), 2, 300, 301}, *filter, r, to, workspace) == status::layout_unsupported);
    CHECK(
        tflite::fully_connected(from, *filter, r, to, span<std::byte>(workspace.data(), workspace.size() - 1)) == status::buffer_too_small);
    const tflite::window large {512, 1, 1, 1, 1, 1, 0, 0, 0, 0};
    CHECK(tflite::depthwise_conv2d({x.data(), 1, 512, 1, 1}, {w.data(), 512, 1}, large, {multiplier, shift}, {y.data(), 1, 1, 1, 1})
          == status::k_too_large);
    CHECK(std::all_of(y.begin(), y.end(), [](std::int16_t c) { return c == canary; }));
}

TEST_CASE("sums and products broadcast")
{
    struct operands {
        std::ptrdiff_t a[4], b[4];
    };
    const operands shapes[] = {{{2, 3, 4, 5}, {2, 3, 4, 5}}, {{2, 3, 4, 67}, {1, 1, 1, 67}}, {{1, 1, 1, 1}, {2, 3, 4, 5}},
        {{2, 3, 4, 5}, {2, 1, 1, 5}}, {{2, 1, 4, 1}, {1, 3, 1, 70}}, {{2, 3, 4, 5}, {2, 3, 4, 1}}, {{1, 1, 1, 9}, {1, 1, 1, 9}},
        {{1, 300, 300, 1}, {1, 1, 1, 1}}, {{0, 3, 1, 1}, {1, 1, 1, 5}}};
    on_every_backend([&] {
        test::random random(12);
        for (const operands& s : shapes) {
            INFO(&s - shapes);
            std::ptrdiff_t y_shape[4], a_size = 1, b_size = 1, y_size = 1;
            for (int i = 0; i < 4; ++i) {
                y_shape[i] = s.a[i] == 1 ? s.b[i] : s.a[i];
                a_size *= s.a[i];
                b_size *= s.b[i];
                y_size *= y_shape[i];
            }
            const auto element = [&](const std::ptrdiff_t(&of)[4], std::ptrdiff_t index) {
                std::ptrdiff_t at[4];
                for (int i = 3; i >= 0; --i) {
                    at[i] = of[i] == 1 ? 0 : index % y_shape[i];
                    index /= y_shape[i];
                }
                return static_cast<std::size_t>(((at[0] * of[1] + at[1]) * of[2] + at[2]) * of[3] + at[3]);
            };
            const auto run = [&](auto code, std::int32_t a_zero, std::int32_t b_zero) {
                using X = decltype(code);
                test::guarded<X> a(a_size), b(b_size), y(y_size);
                for (const test::guarded<X>* x : {&a, &b})
                    for (std::size_t i = 0; i < x->size(); ++i)
                        (*x)[i] = static_cast<X>(random.integer(code_traits<X>::qmin, code_traits<X>::qmax));
                const images_view<const X> from_a(a.data(), s.a[0], s.a[1], s.a[2], s.a[3]),
                    from_b(b.data(), s.b[0], s.b[1], s.b[2], s.b[3]);
                const images_view<X> to(y.data(), y_shape[0], y_shape[1], y_shape[2], y_shape[3]);
                const std::vector<float> scale {sizeof(X) == 1 ? 0.01f : 1.0f / 40000.0f};
                requantization r;
                r.scale = scale;
                r.low = -30000;
                const auto m = tflite::add_params<X>(0.02f, 0.05f, 0.06f);
                REQUIRE(m);
                requantization sum;
                sum.mode = requantize_mode::double_rounding;
                requantization of_sum = sum;
                of_sum.multiplier = span<const std::int32_t>(&m->sum.multiplier, 1);
                of_sum.shift = span<const std::int32_t>(&m->sum.shift, 1);
                std::vector<X> product(y.size()), expected(y.size());
                for (std::ptrdiff_t i = 0; i < y_size; ++i) {
                    const X left = a[element(s.a, i)], right = b[element(s.b, i)];
                    product[static_cast<std::size_t>(i)]
                        = static_cast<X>(reference::requantize((left - a_zero) * (right - b_zero), r, 0, codes_of<X>(code_range::full)));
                    expected[static_cast<std::size_t>(i)] = reference::add(left, a_zero, right, b_zero, *m, of_sum);
                }
                const test::reversed_executor executor;
                if constexpr (sizeof(X) == 1) {
                    REQUIRE(tflite::multiply(from_a, a_zero, from_b, b_zero, r, to, executor) == status::ok);
                    CHECK(test::same_bits(y.data(), product.data(), y.size()));
                    REQUIRE(tflite::add(from_a, a_zero, from_b, b_zero, *m, sum, to, executor) == status::ok);
                } else {
                    REQUIRE(tflite::multiply(from_a, from_b, r, to, executor) == status::ok);
                    CHECK(test::same_bits(y.data(), product.data(), y.size()));
                    REQUIRE(tflite::add(from_a, from_b, *m, sum, to, executor) == status::ok);
                }
                CHECK(test::same_bits(y.data(), expected.data(), y.size()));
            };
            run(std::int8_t {0}, random.integer(-128, 127), random.integer(-128, 127));
            run(std::int16_t {0}, 0, 0);
        }
    });
    const std::vector<std::int8_t> a(6), b(3);
    const std::vector<float> scale {1.0f};
    std::vector<std::int8_t> y(6, canary);
    requantization r;
    r.scale = scale;
    const images_view<std::int8_t> to(y.data(), 1, 1, 2, 3);
    CHECK(tflite::multiply({a.data(), 1, 1, 2, 3}, 0, {b.data(), 1, 1, 1, 2}, 0, r, to) == status::shape_mismatch);
    CHECK(tflite::multiply({a.data(), 1, 1, 1, 3}, 0, {b.data(), 1, 1, 1, 3}, 0, r, to) == status::shape_mismatch);
    CHECK(tflite::multiply(a, 0, b, 0, r, y) == status::shape_mismatch);
    const std::vector<std::int16_t> wide(1);
    std::vector<std::int16_t> wide_y(1);
    r.zero_point = 1;
    CHECK(tflite::multiply({wide.data(), 1, 1, 1, 1}, {wide.data(), 1, 1, 1, 1}, r, {wide_y.data(), 1, 1, 1, 1})
          == status::zero_point_out_of_range);
    CHECK(std::all_of(y.begin(), y.end(), [](std::int8_t c) { return c == canary; }));
}

TEST_CASE("sums and products equal the reference")
{
    on_every_backend([] {
        test::random random(4);
        for (const std::ptrdiff_t count : {0, 1, 5, 63, 64, 65, 300, 70001}) {
            const std::size_t size = static_cast<std::size_t>(count);
            const std::vector<std::int8_t> a = random_codes(random, count), b = random_codes(random, count);
            const std::int32_t a_zero = random.integer(-128, 127), b_zero = random.integer(-128, 127);
            for (const requantize_mode mode : all_modes) {
                output_stage stage(random, mode, 1, 4000, false);
                stage.r.bias = {};
                std::vector<std::int8_t> y(size + 1, canary), expected(size + 1, canary);
                const span<std::int8_t> to(y.data(), size);
                REQUIRE(tflite::multiply(a, a_zero, b, b_zero, stage.r, to, test::reversed_executor {}) == status::ok);
                for (std::size_t i = 0; i < size; ++i)
                    expected[i] = static_cast<std::int8_t>(
                        reference::requantize((a[i] - a_zero) * (b[i] - b_zero), stage.r, 0, codes_of<std::int8_t>(code_range::full)));
                CHECK(y == expected);
                if (mode == requantize_mode::float_ties_to_even)
                    continue;
                const float a_scale = std::fabs(random.real()) + 0.01f, b_scale = std::fabs(random.real()) + 0.01f;
                const auto m = tflite::add_params(a_scale, b_scale, a_scale + b_scale);
                REQUIRE(m);
                requantization r = stage.r;
                REQUIRE(tflite::add(a, a_zero, b, b_zero, *m, r, to, test::reversed_executor {}) == status::ok);
                r.multiplier = span<const std::int32_t>(&m->sum.multiplier, 1);
                r.shift = span<const std::int32_t>(&m->sum.shift, 1);
                for (std::size_t i = 0; i < size; ++i) {
                    expected[i] = reference::add(a[i], a_zero, b[i], b_zero, *m, r);
                    const float real = a_scale * static_cast<float>(a[i] - a_zero) + b_scale * static_cast<float>(b[i] - b_zero);
                    const float exact = real / (a_scale + b_scale) + static_cast<float>(r.zero_point);
                    REQUIRE(std::fabs(std::clamp(exact, static_cast<float>(std::max(r.low, -128)), 127.0f) - expected[i]) < 0.51f);
                }
                CHECK(y == expected);
            }
        }
    });
}

TEST_CASE("tables are their functions, rounded")
{
    test::random random(5);
    int apart = 0;
    for (int i = 0; i < 300; ++i) {
        const tflite::quantization x {std::ldexp(std::fabs(random.real()) + 0.1f, -random.integer(2, 8)), random.integer(-128, 127)};
        const tflite::quantization y {std::ldexp(std::fabs(random.real()) + 0.1f, -6), random.integer(-128, 127)};
        const auto logistic = tflite::function_table(tflite::table_function::logistic, x, tflite::logistic_output);
        const auto tanh = tflite::function_table(tflite::table_function::tanh, x, tflite::tanh_output);
        const auto hard_swish = tflite::function_table(tflite::table_function::hard_swish, x, y);
        const auto relu6 = tflite::requantize_table(x, y, tflite::fused_activation::relu6);
        REQUIRE((logistic && tanh && hard_swish && relu6));
        for (int code = -128; code < 128; ++code) {
            const double v = static_cast<double>(x.scale) * (code - x.zero_point);
            const auto expect = [&](double image, const tflite::quantization& q, std::int8_t found) {
                const double exact = image / static_cast<double>(q.scale) + q.zero_point;
                const double bounded = std::clamp(exact, -128.0, 127.0);
                REQUIRE(std::fabs(found - bounded) < 0.5001);
                apart += found != static_cast<int>(std::round(bounded));
            };
            expect(1.0 / (1.0 + std::exp(-v)), tflite::logistic_output, logistic->at[code + 128]);
            expect(std::tanh(v), tflite::tanh_output, tanh->at[code + 128]);
            expect(v * std::clamp(v + 3.0, 0.0, 6.0) / 6.0, y, hard_swish->at[code + 128]);
            const double exact = std::clamp(v, 0.0, 6.0) / static_cast<double>(y.scale) + y.zero_point;
            CHECK(std::fabs(relu6->at[code + 128] - std::clamp(exact, -128.0, 127.0)) < 1.01);
        }
    }
    CHECK(apart < 10); // ties only
    for (const float scale : {1e-45f, 3e38f})
        for (const float y_scale : {1e-45f, 3e38f}) {
            const auto extreme = tflite::function_table(tflite::table_function::hard_swish, {scale, 0}, {y_scale, 5});
            REQUIRE(extreme);
            CHECK(extreme->at[128] == 5);
            CHECK(extreme->at[255] == (scale < y_scale ? 5 : 127));
        }

    const auto same = tflite::requantize_table({0.1f, -3}, {0.1f, -3});
    REQUIRE(same);
    std::vector<std::int8_t> all(256), y(256);
    for (int code = -128; code < 128; ++code)
        all[static_cast<std::size_t>(code + 128)] = static_cast<std::int8_t>(code);
    REQUIRE(tflite::look_up(all, *same, y) == status::ok);
    CHECK(y == all);
    CHECK(tflite::bounds_of(tflite::fused_activation::relu6, {0.05f, -20})->qmin == -20);
    CHECK(tflite::bounds_of(tflite::fused_activation::relu6, {0.05f, -20})->qmax == 100);
    CHECK(tflite::bounds_of(tflite::fused_activation::relu_n1_to_1, {0.01f, 100})->qmax == 127);
}

TEST_CASE("concatenation requantizes each input")
{
    const std::vector<std::int8_t> a {10, 20, 30, 40}, b {-128, 127};
    const tflite::concatenation_input inputs[] = {{{a.data(), 2, 2}, {0.1f, 0}}, {{b.data(), 2, 1}, {0.2f, 7}}};
    std::vector<std::int8_t> y(6);
    REQUIRE(tflite::concatenate(inputs, {0.2f, 7}, {y.data(), 2, 3}) == status::ok);
    CHECK(y == std::vector<std::int8_t> {12, 17, -128, 22, 27, 127});
    CHECK(tflite::concatenate(inputs, {0.2f, 7}, {y.data(), 3, 2}) == status::shape_mismatch);
    CHECK(tflite::concatenate(inputs, {0.0f, 7}, {y.data(), 2, 3}) == status::scale_invalid);
}

TEST_CASE("pooling")
{
    test::random random(6);
    for (const tflite::window& at : {square(2, 2), square(3, 1, 1), square(3, 2, 1), tflite::window {5, 1, 1, 1, 1, 1, 4, 0, 2, 0}}) {
        const std::ptrdiff_t batch = 2, height = 7, width = 6, channels = 67, out_height = output_height(at, height),
                             out_width = output_width(at, width);
        const std::vector<std::int8_t> x = random_codes(random, batch * height * width * channels);
        std::vector<std::int8_t> average(static_cast<std::size_t>(batch * out_height * out_width * channels)), greatest(average.size());
        const images_view<const std::int8_t> from(x.data(), batch, height, width, channels);
        const images_view<std::int8_t> to(average.data(), batch, out_height, out_width, channels),
            most(greatest.data(), batch, out_height, out_width, channels);
        REQUIRE(tflite::average_pool2d(from, at, to, {-100, 90}, test::reversed_executor {}) == status::ok);
        REQUIRE(tflite::max_pool2d(from, at, most, {-128, 127}, test::reversed_executor {}) == status::ok);
        for (std::ptrdiff_t n = 0; n < batch; ++n)
            for (std::ptrdiff_t oy = 0; oy < out_height; ++oy)
                for (std::ptrdiff_t ox = 0; ox < out_width; ++ox)
                    for (std::ptrdiff_t c = 0; c < channels; ++c) {
                        double sum = 0, count = 0;
                        int top = -128;
                        for (std::ptrdiff_t i = 0; i < at.kernel_height * at.kernel_width; ++i) {
                            const std::ptrdiff_t iy = oy * at.stride_height - at.pad_top + i / at.kernel_width,
                                                 ix = ox * at.stride_width - at.pad_left + i % at.kernel_width;
                            if (iy < 0 || iy >= height || ix < 0 || ix >= width)
                                continue;
                            sum += from(n, iy, ix, c);
                            ++count;
                            top = std::max<int>(top, from(n, iy, ix, c));
                        }
                        REQUIRE(to(n, oy, ox, c) == std::clamp(static_cast<int>(std::round(sum / count)), -100, 90));
                        REQUIRE(most(n, oy, ox, c) == top);
                    }
    }
    std::vector<std::int8_t> x(4), y(9);
    CHECK(tflite::average_pool2d({x.data(), 1, 2, 2, 1}, square(1, 1, 1), {y.data(), 1, 4, 4, 1}) == status::window_invalid);
    CHECK(tflite::max_pool2d({x.data(), 1, 2, 2, 1}, square(2), {y.data(), 1, 2, 1, 1}) == status::shape_mismatch);
    CHECK(tflite::max_pool2d({x.data(), 1, 2, 2, 1}, square(2), {y.data(), 1, 1, 1, 1}, {5, 4}) == status::code_limits_invalid);
    CHECK(tflite::average_pool2d({nullptr, 1, 0, 2, 1}, square(2, 1, 1), {y.data(), 1, 1, 3, 1}) == status::shape_mismatch);

    const std::vector<std::int16_t> wide {-32768, -32767, -32768, -32768, 300, -32768, 32767, 2};
    std::vector<std::int16_t> found(2);
    const images_view<std::int16_t> out(found.data(), 1, 1, 2, 1);
    REQUIRE(tflite::average_pool2d({wide.data(), 1, 2, 4, 1}, square(2, 2), out) == status::ok);
    CHECK(found == std::vector<std::int16_t> {-24501, -8192}); // -98003 / 4 and -32767 / 4
    REQUIRE(tflite::max_pool2d({wide.data(), 1, 2, 4, 1}, square(2, 2), out, {-32768, 30000}) == status::ok);
    CHECK(found == std::vector<std::int16_t> {300, 30000});
    CHECK(tflite::average_pool2d({wide.data(), 1, 2, 4, 1}, square(2, 2), out, {-32769, 0}) == status::code_limits_invalid);
}

TEST_CASE("mean over height and width")
{
    test::random random(7);
    for (int i = 0; i < 200; ++i) {
        const std::ptrdiff_t height = random.integer(1, 9), width = random.integer(1, 9), channels = 5;
        const std::vector<std::int8_t> x = random_codes(random, 2 * height * width * channels);
        const tflite::quantization from {std::ldexp(1.0f + std::fabs(random.real()), -6), random.integer(-128, 127)},
            to {std::ldexp(1.0f + std::fabs(random.real()), -6), random.integer(-128, 127)};
        std::vector<std::int8_t> y(2 * 5);
        REQUIRE(tflite::mean({x.data(), 2, height, width, channels}, from, to, {y.data(), 2, channels}, all_modes[i % 3]) == status::ok);
        for (std::ptrdiff_t n = 0; n < 2; ++n)
            for (std::ptrdiff_t c = 0; c < channels; ++c) {
                double sum = 0;
                for (std::ptrdiff_t p = 0; p < height * width; ++p)
                    sum += x[static_cast<std::size_t>((n * height * width + p) * channels + c)] - from.zero_point;
                const double exact
                    = sum / static_cast<double>(height * width) * static_cast<double>(from.scale) / static_cast<double>(to.scale)
                      + to.zero_point;
                REQUIRE(
                    std::fabs(std::clamp(exact, -128.0, 127.0) - y[static_cast<std::size_t>(n * channels + c)]) < 0.76); // rounded twice
            }
    }
    std::vector<std::int8_t> y(1);
    CHECK(tflite::mean({y.data(), 1, 1, 1, 1}, {0.0f, 0}, {}, {y.data(), 1, 1}) == status::scale_invalid);
    CHECK(tflite::mean({nullptr, 1, 0, 1, 1}, {}, {}, {y.data(), 1, 1}) == status::shape_mismatch);
}

TEST_CASE("softmax is the reference, and the real one to within a code")
{
    test::random random(8);
    for (const float scale : {1.0f / 256.0f, 0.02f, 0.1f, 0.7f, 3.0f}) {
        const auto s = tflite::softmax_params(scale);
        REQUIRE(s);
        for (const std::ptrdiff_t cols : {1, 2, 10, 1001}) {
            std::vector<std::int8_t> x = random_codes(random, 3 * cols), y(x.size());
            REQUIRE(tflite::softmax({x.data(), 3, cols}, *s, {y.data(), 3, cols}, test::reversed_executor {}) == status::ok);
            std::vector<std::int8_t> defined(y.size());
            for (std::ptrdiff_t r = 0; r < 3; ++r)
                reference::softmax_row(x.data() + r * cols, cols, s->multiplier, s->least, defined.data() + r * cols);
            REQUIRE(y == defined);
            for (std::ptrdiff_t r = 0; r < 3; ++r) {
                double sum = 0;
                for (std::ptrdiff_t c = 0; c < cols; ++c)
                    sum += std::exp(static_cast<double>(scale) * (x[static_cast<std::size_t>(r * cols + c)] - 127));
                for (std::ptrdiff_t c = 0; c < cols; ++c) {
                    const std::size_t i = static_cast<std::size_t>(r * cols + c);
                    const double exact = std::exp(static_cast<double>(scale) * (x[i] - 127)) / sum * 256.0 - 128.0;
                    REQUIRE(std::fabs(std::min(exact, 127.0) - y[i]) < 0.6);
                }
            }
        }
    }
    CHECK(tflite::softmax_params(-1.0f).error() == status::scale_invalid);
    std::vector<std::int8_t> one(1);
    CHECK(tflite::softmax({one.data(), 1, 1}, {{1 << 30, 1}, 1}, {one.data(), 1, 1}) == status::multiplier_invalid);
    CHECK(tflite::softmax_params(1e-20f).error() == status::scale_invalid);
    std::vector<std::int8_t> x(4096);
    CHECK(tflite::softmax({x.data(), 1, 4096}, *tflite::softmax_params(1.0f), {x.data(), 1, 4096}) == status::k_too_large);
}

TEST_CASE("padding same is TFLite's")
{
    const tflite::window odd = tflite::same_padding(square(3, 2), 224, 224), dilated = tflite::same_padding(square(3, 1, 0, 2), 10, 9);
    CHECK((odd.pad_top == 0 && odd.pad_bottom == 1 && output_height(odd, 224) == 112));
    CHECK((dilated.pad_top == 2 && dilated.pad_bottom == 2 && output_height(dilated, 10) == 10 && output_width(dilated, 9) == 9));
    CHECK(output_height(square(5), 4) == 0);
}

TEST_CASE("windows that are none have no outputs and no padding")
{
    const tflite::window none = square(3, 0);
    CHECK((output_height(none, 8) == 0 && output_width(none, 8) == 0 && tflite::output_size(8, 3, 0, 1, 0) == 0));
    const tflite::window same = tflite::same_padding(square(3, 0, 5), 8, 8);
    CHECK((same.stride_height == 0 && same.pad_top == 0 && same.pad_right == 0 && check(same) == status::window_invalid));
    CHECK(tflite::output_size(PTRDIFF_MAX, 1, 1, 1, 1) == 0);
    CHECK(tflite::output_size(8, PTRDIFF_MAX, 1, PTRDIFF_MAX, 0) == 0);
    CHECK(tflite::output_size(8, 3, 1, 1, -1) == 0);
    CHECK(tflite::same_padding(square(3), PTRDIFF_MAX, -1).pad_top == 0);
    const std::vector<std::int8_t> x(64), w(9);
    std::vector<std::int8_t> y(64);
    const std::vector<float> scale {1.0f};
    requantization r;
    r.scale = scale;
    const images_view<const std::int8_t> from(x.data(), 1, 8, 8, 1);
    CHECK(tflite::depthwise_conv2d(from, 0, {w.data(), 9, 1}, none, r, {y.data(), 1, 0, 0, 1}) == status::window_invalid);
    CHECK(tflite::max_pool2d(from, none, {y.data(), 1, 0, 0, 1}) == status::window_invalid);
}

TEST_CASE("groups of a 1 x 1 convolution see their own channels")
{
    const std::vector<std::int8_t> x {10, 20, 30, 40}, w {1, 0, 0, 1, 1, 0, 0, 1}; // two groups, each the identity
    const std::vector<std::int16_t> wide {1000, 2000, 3000, 4000};
    const std::vector<float> scale {1.0f};
    const std::vector<std::int32_t> multiplier {1 << 30}, shift {1};
    requantization r;
    r.scale = scale;
    const auto filter = tflite::packed_filter::make(matrix_view<const std::int8_t>(w.data(), 4, 2), 1, 1, 4, 2);
    REQUIRE(filter);
    std::vector<std::byte> workspace(tflite::conv2d_workspace<std::int16_t>(*filter));
    on_every_backend([&] {
        std::vector<std::int8_t> y(4);
        REQUIRE(tflite::conv2d({x.data(), 1, 1, 1, 4}, 0, *filter, {}, r, {y.data(), 1, 1, 1, 4}, workspace) == status::ok);
        CHECK(y == x);
        std::vector<std::int16_t> wide_y(4);
        const images_view<std::int16_t> to(wide_y.data(), 1, 1, 1, 4);
        REQUIRE(tflite::conv2d({wide.data(), 1, 1, 1, 4}, *filter, {}, tflite::requantization_16x8 {multiplier, shift}, to, workspace)
                == status::ok);
        CHECK(wide_y == wide);
    });
}

TEST_CASE("scales are divided and multiplied in float where TFLite does so")
{
    // RELU of 241 steps: the float quotient is just below a half of a code, the double one above it.
    const auto rectified = tflite::requantize_table({0x1.80cb6ap-11f, -128}, {0x1.660d56p-10f, -128}, tflite::fused_activation::relu);
    const auto quantize = tflite::requantize_table({0x1.80cb6ap-11f, -128}, {0x1.660d56p-10f, -128});
    REQUIRE((rectified && quantize));
    CHECK(rectified->at[113 + 128] != quantize->at[113 + 128]);
    // A fully connected layer of one scale.
    const std::vector<float> one {0x1.000002p0f}, two(2, 0x1.000002p0f);
    std::vector<std::int32_t> multiplier(2), shift(2);
    REQUIRE(tflite::fully_connected_multipliers(1.5f, two, 1.0f, multiplier, shift) == status::ok);
    CHECK(multiplier[1] == 0x60000000 + 192); // 1.5 + 1.5 * 2^-23, which is no float
    multiplier.resize(1);
    shift.resize(1);
    REQUIRE(tflite::output_multipliers(1.5f, one, 1.0f, multiplier, shift) == status::ok);
    CHECK(multiplier[0] == 0x60000000 + 192);
    REQUIRE(tflite::fully_connected_multipliers(1.5f, one, 1.0f, multiplier, shift) == status::ok);
    CHECK(multiplier[0] == 0x60000000 + 256);
}

TEST_CASE("convolutions refuse what does not fit before the first write")
{
    std::vector<std::int8_t> x(2 * 4 * 4 * 4), w(8 * 9 * 4), y(2 * 2 * 2 * 8, canary);
    const auto filter = tflite::packed_filter::make(matrix_view<const std::int8_t>(w.data(), 8, 36), 3, 3, 4);
    REQUIRE(filter);
    std::vector<std::byte> workspace(tflite::conv2d_workspace(*filter));
    const std::vector<float> scale {0.01f}, two {0.01f, 0.01f};
    requantization r;
    r.scale = scale;
    const images_view<const std::int8_t> from(x.data(), 2, 4, 4, 4);
    const images_view<std::int8_t> to(y.data(), 2, 2, 2, 8);
    const auto run = [&](images_view<const std::int8_t> a, const tflite::window& at, const requantization& how, images_view<std::int8_t> b,
                         std::int32_t zero_point = 0) { return tflite::conv2d(a, zero_point, *filter, at, how, b, workspace); };
    CHECK(run(from, square(3), r, to) == status::ok);
    std::fill(y.begin(), y.end(), canary);
    CHECK(run({x.data(), 2, 4, 4, 3}, square(3), r, to) == status::shape_mismatch);
    CHECK(run({x.data(), 1, 4, 4, 4}, square(3), r, to) == status::shape_mismatch);
    CHECK(run({nullptr, 2, 4, 4, 4}, square(3), r, to) == status::null_pointer);
    CHECK(run({x.data(), 2, -4, 4, 4}, square(3), r, to) == status::negative_size);
    CHECK(run({x.data(), PTRDIFF_MAX / 4, 4, 4, 4}, square(3), r, to) == status::size_overflow);
    CHECK(run(from, square(3, 0), r, to) == status::window_invalid);
    CHECK(run(from, square(3, 1, -1), r, to) == status::window_invalid);
    CHECK(run(from, square(3, 1, 0, std::ptrdiff_t {1} << 40), r, to) == status::window_invalid);
    CHECK(run(from, square(2), r, to) == status::shape_mismatch);
    CHECK(run(from, square(3, 1, 1), r, to) == status::shape_mismatch);
    CHECK(run(from, square(3), r, to, 128) == status::zero_point_out_of_range);
    requantization bad = r;
    bad.scale = two;
    CHECK(run(from, square(3), bad, to) == status::params_count_mismatch);
    CHECK(tflite::conv2d(from, 0, *filter, square(3), r, to, span<std::byte>(workspace.data(), workspace.size() - 1))
          == status::buffer_too_small);
    CHECK(tflite::transpose_conv2d(from, 0, *filter, square(3), r, to, workspace) == status::shape_mismatch);
    CHECK(tflite::depthwise_conv2d(from, 0, {w.data(), 9, 8}, square(3), r, {y.data(), 2, 2, 2, 6}) == status::shape_mismatch);
    CHECK(tflite::depthwise_conv2d(from, 0, {w.data(), 9, 8, 9}, square(3), r, to) == status::shape_mismatch);
    CHECK(std::all_of(y.begin(), y.end(), [](std::int8_t c) { return c == canary; }));

    const matrix_view<const std::int8_t> weights(w.data(), 8, 36);
    CHECK(tflite::packed_filter::make(weights, 3, 3, 5).error() == status::shape_mismatch);
    CHECK(tflite::packed_filter::make(weights, 3, 3, 4, 3).error() == status::shape_mismatch);
    CHECK(tflite::packed_filter::make(weights, 0, 3, 4).error() == status::window_invalid);
    CHECK(tflite::packed_filter::make(weights, 1 << 20, 1 << 20, 1 << 20).error() == status::size_overflow);

    const std::vector<std::int8_t> codes(4);
    std::vector<std::int8_t> sum(4);
    CHECK(tflite::add(codes, 0, codes, 0, *tflite::add_params(1, 1, 1), r, sum) == status::requantize_mode_invalid);
    r.mode = requantize_mode::double_rounding;
    CHECK(tflite::add(codes, 0, codes, 0, {{1 << 30, 1}, {1 << 30, 0}, {1 << 30, 0}}, r, sum) == status::multiplier_invalid);
    CHECK(tflite::add(codes, 0, codes, 200, *tflite::add_params(1, 1, 1), r, sum) == status::zero_point_out_of_range);
    CHECK(tflite::add(codes, 0, x, 0, *tflite::add_params(1, 1, 1), r, sum) == status::shape_mismatch);
    CHECK(tflite::add_params(0, 1, 1).error() == status::scale_invalid);
}

TEST_CASE("the largest kernels do not overflow int32")
{
    constexpr std::ptrdiff_t width = 257;
    const std::vector<std::int8_t> x(static_cast<std::size_t>(257 * width), 127), w(x.size(), 127);
    std::vector<std::int8_t> y(1);
    const std::vector<float> scale {1.0f / 21307400};
    requantization r;
    r.scale = scale;
    on_every_backend([&] {
        const auto status_of = [&](std::ptrdiff_t rows) {
            return tflite::depthwise_conv2d({x.data(), 1, rows, width, 1}, -128, {w.data(), rows * width, 1},
                {rows, width, 1, 1, 1, 1, 0, 0, 0, 0}, r, {y.data(), 1, 1, 1, 1});
        };
        REQUIRE(status_of(256) == status::ok);
        CHECK(y[0] == 100); // of a sum of 256 * 257 * 255 * 127, below 2^31 by less than a hundredth
        CHECK(status_of(257) == status::k_too_large);
    });
}

TEST_CASE("the specification's rules are named")
{
    using tflite::integer_type;
    using tflite::operation;
    using tflite::quantized_tensor;
    const std::vector<float> x_scale {0.5f}, w_scale {0.25f, 0.125f}, bias_scale {0.125f, 0.0625f}, wrong {0.125f, 0.0626f}, nan {NAN},
        fixed {1.0f / 256.0f};
    const std::vector<std::int32_t> zero {3}, zeros {0, 0}, some {0, 1}, least {-128}, beyond {128};
    const std::vector<std::int8_t> codes {-127, 127}, least_code {-128, 0};
    const quantized_tensor x {integer_type::s8, x_scale, zero}, wide {integer_type::s16, x_scale};
    const quantized_tensor w {integer_type::s8, w_scale, zeros, 0, 2, codes}, bias {integer_type::s32, bias_scale};
    const auto check = [](operation op, std::vector<quantized_tensor> inputs, const quantized_tensor& y) {
        return tflite::check(op, span<const quantized_tensor>(inputs), y);
    };
    CHECK(check(operation::conv_2d, {x, w, bias}, x) == status::ok);
    CHECK(check(operation::fully_connected, {x, w}, x) == status::ok);
    CHECK(check(operation::conv_2d, {wide, w, bias}, wide) == status::ok);
    CHECK(check(operation::conv_2d, {x}, x) == status::operand_count_invalid);
    CHECK(check(operation::conv_2d, {x, w, bias}, wide) == status::operand_type_invalid);
    CHECK(check(operation::conv_2d, {{integer_type::s8, x_scale, beyond}, w}, x) == status::zero_point_out_of_range);
    CHECK(check(operation::conv_2d, {{integer_type::s16, x_scale, zero}, w}, wide) == status::zero_point_out_of_range);
    CHECK(check(operation::conv_2d, {{integer_type::s8, w_scale}, w}, x) == status::granularity_unsupported);
    CHECK(check(operation::conv_2d, {{integer_type::s8, nan}, w}, x) == status::scale_invalid);
    CHECK(check(operation::conv_2d, {{integer_type::s8, {}}, w}, x) == status::params_count_mismatch);
    CHECK(check(operation::depthwise_conv_2d, {x, w}, x) == status::quantized_axis_invalid);
    CHECK(check(operation::depthwise_conv_2d, {x, {integer_type::s8, w_scale, {}, 3, 2}}, x) == status::ok);
    CHECK(check(operation::conv_2d, {x, {integer_type::s8, w_scale, {}, 0, 3}}, x) == status::params_count_mismatch);
    CHECK(check(operation::conv_2d, {x, {integer_type::s8, w_scale, some, 0, 2}}, x) == status::weight_zero_point);
    CHECK(check(operation::conv_2d, {x, {integer_type::s8, w_scale, {}, 0, 2, least_code}}, x) == status::weight_code_invalid);
    CHECK(check(operation::conv_2d, {x, {integer_type::s4, w_scale, {}, 0, 2, codes}}, x) == status::weight_code_invalid);
    CHECK(check(operation::conv_2d, {x, w, {integer_type::s32, wrong}}, x) == status::bias_scale_invalid);
    CHECK(check(operation::conv_2d, {x, w, {integer_type::s32, x_scale}}, x) == status::params_count_mismatch);
    CHECK(check(operation::conv_2d, {x, w, {integer_type::s8, bias_scale}}, x) == status::operand_type_invalid);
    CHECK(check(operation::conv_2d, {x, w, {integer_type::s32, bias_scale, some}}, x) == status::weight_zero_point);
    CHECK(check(operation::softmax, {x}, {integer_type::s8, fixed, least}) == status::ok);
    CHECK(check(operation::softmax, {x}, x) == status::fixed_params_needed);
    CHECK(check(operation::tanh, {x}, {integer_type::s8, fixed, least}) == status::fixed_params_needed);
    CHECK(check(operation::max_pool_2d, {x}, x) == status::ok);
    CHECK(check(operation::max_pool_2d, {x}, {integer_type::s8, x_scale}) == status::same_params_needed);
    CHECK(check(operation::concatenation, {x, {integer_type::s8, fixed, zero}}, x) == status::same_params_needed);
    CHECK(check(operation::add, {x, {integer_type::s8, fixed, zero}}, x) == status::ok);
    CHECK(check(operation::relu6, {x}, {integer_type::s8, fixed, least}) == status::ok);
}

TEST_CASE("multipliers and biases of a layer")
{
    const std::vector<float> w_scale {0.25f, 0.5f}, bias {1.0f, -0.2f}, huge {1e30f, -1e30f};
    std::vector<std::int32_t> multiplier(2), shift(2), codes(2);
    std::vector<float> scales(2);
    REQUIRE(tflite::output_multipliers(0.5f, w_scale, 1.0f, multiplier, shift) == status::ok);
    CHECK((multiplier == std::vector<std::int32_t> {1 << 30, 1 << 30} && shift == std::vector<std::int32_t> {-2, -1}));
    REQUIRE(tflite::output_scales(0.5f, w_scale, 1.0f, scales) == status::ok);
    CHECK(scales == std::vector<float> {0.125f, 0.25f});
    REQUIRE(tflite::quantize_bias(bias, 0.5f, w_scale, codes) == status::ok);
    CHECK(codes == std::vector<std::int32_t> {8, -1});
    REQUIRE(tflite::quantize_bias(std::vector<float> {0.5f, -1.5f}, 1.0f, std::vector<float> {1.0f}, codes) == status::ok);
    CHECK(codes == std::vector<std::int32_t> {1, -2});
    REQUIRE(tflite::quantize_bias(huge, 0.5f, w_scale, codes) == status::ok);
    CHECK(codes == std::vector<std::int32_t> {INT32_MAX, INT32_MIN});
    CHECK(tflite::quantize_bias(std::vector<float> {NAN, 0}, 0.5f, w_scale, codes) == status::not_finite);
    CHECK(tflite::quantize_bias(bias, 0.5f, std::vector<float> {1, 2, 3}, codes) == status::params_count_mismatch);
    CHECK(tflite::output_multipliers(0.5f, w_scale, 0.0f, multiplier, shift) == status::scale_invalid);
    const tflite::quantization q = tflite::choose_quantization({-1.0f, 3.0f});
    CHECK((q.scale == 4.0f / 255.0f && q.zero_point == -64));
}
