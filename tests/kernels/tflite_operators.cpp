#include "../support.hpp"

#include <algorithm>
#include <cmath>

using namespace nibble;
using tflite::images_view;
using tflite::quantization;
using tflite::tensor_view;

namespace {

using dims = std::vector<std::ptrdiff_t>;

constexpr std::int8_t canary = 0x5a;
constexpr requantize_mode fixed_modes[] = {requantize_mode::double_rounding, requantize_mode::single_rounding};
constexpr requantize_mode all_modes[]
    = {requantize_mode::float_ties_to_even, requantize_mode::double_rounding, requantize_mode::single_rounding};

template <class Run>
void on_every_backend(Run run)
{
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        run();
    }
}

std::ptrdiff_t product(const dims& shape)
{
    std::ptrdiff_t all = 1;
    for (const std::ptrdiff_t size : shape)
        all *= size;
    return all;
}

// Codes before or after a page that faults; one tensor in eight is at an end of the range.
class tensor {
public:
    tensor(test::random& random, dims shape)
        : shape_(std::move(shape)), codes_(product(shape_), random.integer(0, 1) != 0), expected_(codes_.size(), canary)
    {
        const std::int32_t which = random.integer(0, 15);
        for (std::size_t i = 0; i < codes_.size(); ++i)
            codes_[i] = static_cast<std::int8_t>(which == 0 ? -128 : which == 1 ? 127 : random.integer(-128, 127));
    }
    const dims& shape() const { return shape_; }
    std::ptrdiff_t size() const { return static_cast<std::ptrdiff_t>(codes_.size()); }
    std::int8_t& operator[](std::ptrdiff_t i) const { return codes_[static_cast<std::size_t>(i)]; }
    span<std::int8_t> codes() const { return {codes_.data(), codes_.size()}; }
    tensor_view<std::int8_t> view() const { return {codes_.data(), shape_}; }
    matrix_view<std::int8_t> matrix() const { return {codes_.data(), shape_[0], shape_[1]}; }
    images_view<std::int8_t> images() const { return {codes_.data(), shape_[0], shape_[1], shape_[2], shape_[3]}; }

    // Where a definition writes what this output should hold, and whether it does.
    tensor_view<std::int8_t> expected_view() { return {expected_.data(), shape_}; }
    matrix_view<std::int8_t> expected_matrix() { return {expected_.data(), shape_[0], shape_[1]}; }
    images_view<std::int8_t> expected_images() { return {expected_.data(), shape_[0], shape_[1], shape_[2], shape_[3]}; }
    bool as_expected() const { return test::same_bits(codes_.data(), expected_.data(), expected_.size()); }

private:
    dims shape_;
    test::guarded<std::int8_t> codes_;
    std::vector<std::int8_t> expected_;
};

float some_scale(test::random& random, std::int32_t low = -9, std::int32_t high = 1)
{
    return std::ldexp(1.0f + std::fabs(random.real()) / 3.0f, random.integer(low, high));
}
std::int32_t some_zero_point(test::random& random)
{
    const std::int32_t which = random.integer(0, 5);
    return which == 0 ? 0 : which == 1 ? -128 : which == 2 ? 127 : random.integer(-128, 127);
}
quantization some_quantization(test::random& random) { return {some_scale(random), some_zero_point(random)}; }

dims some_shape(test::random& random, std::int32_t rank, std::int32_t largest)
{
    dims shape;
    for (std::int32_t i = 0; i < rank; ++i)
        shape.push_back(random.integer(0, 40) == 0 ? 0 : random.integer(0, 3) == 0 ? 1 : random.integer(1, largest));
    return shape;
}

// Two operands and what they are broadcast to.
struct operands {
    dims a, b, y;

    explicit operands(test::random& random, bool a_is_whole = false)
    {
        y = random.integer(0, 60) == 0 ? dims {1, 1, 1, random.integer(65000, 70000)} : some_shape(random, 4, 9);
        if (random.integer(0, 3) == 0)
            y[3] = random.integer(60, 140);
        for (const std::ptrdiff_t size : y) {
            const std::int32_t which = random.integer(0, 5);
            a.push_back(which == 0 && !a_is_whole ? 1 : size);
            b.push_back(which == 1 ? 1 : size);
        }
        if (random.integer(0, 9) == 0) {
            a = y;
            b = {1, 1, 1, 1};
        }
    }
};

} // namespace

TEST_CASE("differences and their squares equal the definition")
{
    on_every_backend([] {
        test::random random(1);
        for (int i = 0; i < 700; ++i) {
            const operands s(random);
            const tensor a(random, s.a), b(random, s.b);
            tensor y(random, s.y);
            const std::int32_t a_zero = some_zero_point(random), b_zero = some_zero_point(random);
            const float a_scale = some_scale(random), b_scale = random.integer(0, 9) == 0 ? a_scale : some_scale(random),
                        y_scale = some_scale(random);
            requantization r;
            r.mode = fixed_modes[random.integer(0, 1)];
            r.zero_point = some_zero_point(random);
            r.low = random.integer(0, 1) ? r.zero_point : -1000;
            r.high = random.integer(0, 1) ? 127 : 1000;
            const auto m = tflite::add_params(a_scale, b_scale, y_scale),
                       square = tflite::squared_difference_params(a_scale, b_scale, y_scale);
            REQUIRE((m && square));
            reference::for_pairs(a.images(), b.images(), y.expected_images(),
                [&](std::int8_t left, std::int8_t right) { return reference::subtract(left, a_zero, right, b_zero, *m, r); });
            REQUIRE(tflite::subtract(a.images(), a_zero, b.images(), b_zero, *m, r, y.images(), test::reversed_executor {}) == status::ok);
            REQUIRE(y.as_expected());
            reference::for_pairs(a.images(), b.images(), y.expected_images(), [&](std::int8_t left, std::int8_t right) {
                return reference::squared_difference(left, a_zero, right, b_zero, *square, r);
            });
            REQUIRE(tflite::squared_difference(a.images(), a_zero, b.images(), b_zero, *square, r, y.images(), test::reversed_executor {})
                    == status::ok);
            REQUIRE(y.as_expected());
        }
    });
}

TEST_CASE("differences and their squares are the real ones to within a code")
{
    test::random random(2);
    for (int i = 0; i < 20000; ++i) {
        const float a_scale = some_scale(random, -3, 0), b_scale = some_scale(random, -3, 0);
        const std::int32_t a_zero = some_zero_point(random), b_zero = some_zero_point(random);
        const std::int8_t a[] = {static_cast<std::int8_t>(random.integer(-128, 127))},
                          b[] = {static_cast<std::int8_t>(random.integer(-128, 127))};
        std::int8_t y[1];
        requantization r;
        r.mode = fixed_modes[i % 2];
        r.zero_point = random.integer(-20, 20);
        const double difference = static_cast<double>(a_scale) * (a[0] - a_zero) - static_cast<double>(b_scale) * (b[0] - b_zero);
        const auto close = [&](double real, float y_scale, double most) {
            const double exact = real / static_cast<double>(y_scale) + r.zero_point;
            return std::fabs(std::clamp(exact, -128.0, 127.0) - y[0]) < most;
        };
        REQUIRE(tflite::subtract(
                    {a, 1, 1, 1, 1}, a_zero, {b, 1, 1, 1, 1}, b_zero, *tflite::add_params(a_scale, b_scale, 1.5f), r, {y, 1, 1, 1, 1})
                == status::ok);
        REQUIRE(close(difference, 1.5f, 0.51));
        REQUIRE(tflite::squared_difference({a, 1, 1, 1, 1}, a_zero, {b, 1, 1, 1, 1}, b_zero,
                    *tflite::squared_difference_params(a_scale, b_scale, 200.0f), r, {y, 1, 1, 1, 1})
                == status::ok);
        REQUIRE(close(difference * difference, 200.0f, 3.0)); // 7 fraction bits of a difference
    }
}

TEST_CASE("ties of a difference are TFLite's, whose multiplier of b is negative")
{
    // b's multiplier is (2^30 + 2^10) / 2^31: times 2^20 it is 2^19 + 1/2. Its negative rounds up, and nothing is left of the difference.
    const std::int8_t a[] = {1}, b[] = {1};
    const tflite::add_multipliers m {{1 << 30, 0}, {(1 << 30) + (1 << 10), 0}, {1 << 30, 31}};
    for (const backend each : test::usable_backends())
        for (const requantize_mode mode : fixed_modes) {
            REQUIRE(force_backend(each) == status::ok);
            std::int8_t y[] = {canary};
            requantization r;
            r.mode = mode;
            REQUIRE(tflite::subtract({a, 1, 1, 1, 1}, 0, {b, 1, 1, 1, 1}, 0, m, r, {y, 1, 1, 1, 1}) == status::ok);
            CHECK(y[0] == 0);
            CHECK(reference::subtract(1, 0, 1, 0, m, r) == 0);
        }
}

TEST_CASE("maximum and minimum of codes")
{
    test::random random(3);
    for (int i = 0; i < 2000; ++i) {
        const operands s(random);
        const tensor a(random, s.a), b(random, s.b);
        tensor y(random, s.y);
        reference::for_pairs(
            a.images(), b.images(), y.expected_images(), [](std::int8_t left, std::int8_t right) { return std::max(left, right); });
        REQUIRE(tflite::maximum(a.images(), b.images(), y.images(), test::reversed_executor {}) == status::ok);
        REQUIRE(y.as_expected());
        reference::for_pairs(
            a.images(), b.images(), y.expected_images(), [](std::int8_t left, std::int8_t right) { return std::min(left, right); });
        REQUIRE(tflite::minimum(a.images(), b.images(), y.images(), test::reversed_executor {}) == status::ok);
        REQUIRE(y.as_expected());
    }
}

TEST_CASE("prelu equals the definition")
{
    test::random random(4);
    for (int i = 0; i < 2000; ++i) {
        const operands s(random, true);
        const tensor x(random, s.a), alpha(random, s.b);
        tensor y(random, s.y);
        const std::int32_t x_zero = some_zero_point(random), alpha_zero = some_zero_point(random), y_zero = some_zero_point(random);
        const auto m = tflite::prelu_params(some_scale(random), some_scale(random), some_scale(random));
        REQUIRE(m);
        reference::for_pairs(x.images(), alpha.images(), y.expected_images(),
            [&](std::int8_t left, std::int8_t right) { return reference::prelu(left, x_zero, right, alpha_zero, *m, y_zero); });
        REQUIRE(tflite::prelu(x.images(), x_zero, alpha.images(), alpha_zero, *m, y_zero, y.images(), test::reversed_executor {})
                == status::ok);
        REQUIRE(y.as_expected());
    }
    // -100 * 0.25 * 0.5 = -12.5, away from zero after the product's shift
    const std::int8_t x[] = {-100, 100}, alpha[] = {4};
    std::int8_t y[2];
    REQUIRE(tflite::prelu({x, 1, 1, 1, 2}, 0, {alpha, 1, 1, 1, 1}, 2, *tflite::prelu_params(0.5f, 0.0625f, 0.5f), 3, {y, 1, 1, 1, 2})
            == status::ok);
    CHECK((y[0] == -10 && y[1] == 103));
}

TEST_CASE("leaky ReLU and ELU are tables of their functions")
{
    test::random random(5);
    int apart = 0;
    for (int i = 0; i < 3000; ++i) {
        const quantization x = some_quantization(random), y = some_quantization(random);
        const float alpha = i % 10 == 0 ? 0.0f : i % 10 == 1 ? -0.5f : random.real();
        const auto leaky = tflite::leaky_relu_table(x, y, alpha), elu = tflite::elu_table(x, y);
        REQUIRE((leaky && elu));
        for (std::int32_t code = -128; code < 128; ++code) {
            REQUIRE(leaky->at[code + 128] == reference::leaky_relu(code, x, y, alpha));
            REQUIRE(elu->at[code + 128] == reference::elu(code, x, y));
            const double v = static_cast<double>(x.scale) * (code - x.zero_point);
            const auto exact = [&](double image) { return std::clamp(image / static_cast<double>(y.scale) + y.zero_point, -128.0, 127.0); };
            REQUIRE(std::fabs(leaky->at[code + 128] - exact(v < 0 ? v * static_cast<double>(alpha) : v)) < 1.01);
            const double smooth = exact(v < 0 ? std::expm1(v) : v);
            REQUIRE(std::fabs(elu->at[code + 128] - smooth) < 0.501);
            apart += elu->at[code + 128] != static_cast<std::int32_t>(std::round(smooth - y.zero_point)) + y.zero_point;
        }
    }
    CHECK(apart < 40); // ties only
    // Ties: half away from zero of a positive product's second rounding, up for a negative multiplier's first.
    CHECK(tflite::leaky_relu_table({1, 0}, {1, 0}, 0.5f)->at[128 - 1] == 0);
    CHECK(tflite::leaky_relu_table({1, 0}, {1, 0}, -0.5f)->at[128 - 1] == 1);
    CHECK(tflite::elu_table({1, 0}, {2, 0})->at[128 + 1] == 1);
    for (const float scale : {1e-45f, 3e38f})
        for (const float y_scale : {1e-45f, 3e38f}) {
            const auto extreme = tflite::elu_table({scale, 0}, {y_scale, 5});
            REQUIRE(extreme);
            CHECK(extreme->at[128] == 5);
            CHECK(extreme->at[255] == (scale < y_scale ? 5 : 127));
            for (std::int32_t code = -128; code < 128; ++code)
                REQUIRE(extreme->at[code + 128] == reference::elu(code, {scale, 0}, {y_scale, 5}));
        }
}

TEST_CASE("L2 normalization equals the definition and the real one")
{
    test::random random(6);
    for (int i = 0; i < 3000; ++i) {
        const tensor x(random, {random.integer(0, 4), random.integer(0, 9) == 0 ? random.integer(1, 3000) : random.integer(1, 20)});
        tensor y(random, x.shape());
        if (random.integer(0, 3) == 0) // small sums
            for (std::ptrdiff_t j = 0; j < x.size(); ++j)
                x[j] = static_cast<std::int8_t>(x[j] / 64);
        const std::int32_t zero_point = random.integer(0, 1) ? 0 : some_zero_point(random);
        reference::l2_normalization(x.matrix(), zero_point, y.expected_matrix());
        REQUIRE(tflite::l2_normalization(x.matrix(), zero_point, y.matrix(), test::reversed_executor {}) == status::ok);
        REQUIRE(y.as_expected());
        std::vector<std::int8_t> own(x.codes().begin(), x.codes().end());
        const matrix_view<std::int8_t> in_place(own.data(), x.shape()[0], x.shape()[1]);
        REQUIRE(tflite::l2_normalization(in_place, zero_point, in_place) == status::ok);
        REQUIRE(test::same_bits(own.data(), y.codes().data(), own.size()));
        for (std::ptrdiff_t r = 0; r < y.shape()[0]; ++r) {
            double sum = 0;
            for (std::ptrdiff_t c = 0; c < y.shape()[1]; ++c)
                sum += std::pow(x.matrix()(r, c) - zero_point, 2.0);
            for (std::ptrdiff_t c = 0; c < y.shape()[1] && sum > 0; ++c) {
                const double exact = (x.matrix()(r, c) - zero_point) / std::sqrt(sum) * 128.0;
                REQUIRE(std::fabs(std::min(exact, 127.0) - y.matrix()(r, c)) < 0.77); // rounded twice
            }
        }
    }
    // The reciprocal of a root for every sum up to some, and for large ones.
    for (std::int32_t i = 0; i < 200000; ++i) {
        const std::int32_t sum = i < 100000 ? i : static_cast<std::int32_t>(random.bits() & 0x7fffffffu);
        const fixed_multiplier found = tflite::detail::inverse_root(sum), wanted = reference::detail::inverse_root(sum);
        REQUIRE((found.multiplier == wanted.multiplier && found.shift == wanted.shift));
        const double root = static_cast<double>(found.multiplier) * std::ldexp(1.0, found.shift - 31);
        REQUIRE(std::fabs(root * std::sqrt(static_cast<double>(std::max(sum, 1))) - 1.0) < 2e-4);
    }
}

TEST_CASE("log softmax equals the definition and the real one")
{
    test::random random(7);
    for (int i = 0; i < 2000; ++i) {
        const tensor x(random, {random.integer(0, 3), random.integer(0, 19) == 0 ? random.integer(1, 4095) : random.integer(1, 30)});
        tensor y(random, x.shape());
        const float scale = some_scale(random, random.integer(0, 9) == 0 ? -25 : -9, 4);
        const auto s = tflite::log_softmax_params(scale);
        REQUIRE(s);
        reference::log_softmax(x.matrix(), scale, y.expected_matrix());
        REQUIRE(tflite::log_softmax(x.matrix(), *s, y.matrix(), test::reversed_executor {}) == status::ok);
        REQUIRE(y.as_expected());
        std::vector<std::int8_t> own(x.codes().begin(), x.codes().end());
        const matrix_view<std::int8_t> in_place(own.data(), x.shape()[0], x.shape()[1]);
        REQUIRE(tflite::log_softmax(in_place, *s, in_place) == status::ok);
        REQUIRE(test::same_bits(own.data(), y.codes().data(), own.size()));
        for (std::ptrdiff_t r = 0; r < y.shape()[0]; ++r) {
            const std::int8_t top = *std::max_element(x.matrix().row(r), x.matrix().row(r) + x.shape()[1]);
            double sum = 0;
            for (std::ptrdiff_t c = 0; c < y.shape()[1]; ++c)
                sum += std::exp(static_cast<double>(scale) * (x.matrix()(r, c) - top));
            for (std::ptrdiff_t c = 0; c < y.shape()[1]; ++c) {
                const double exact = (static_cast<double>(scale) * (x.matrix()(r, c) - top) - std::log(sum)) * 16.0 + 127.0;
                REQUIRE(std::fabs(std::max(exact, -128.0) - y.matrix()(r, c)) < 0.51);
            }
        }
    }
    for (int i = 0; i < 300000; ++i) {
        // Sums of 1 to 4095 ones and of what is between.
        const std::int32_t whole = i < 4095 ? i + 1 : random.integer(1, 4095),
                           sum = whole * (1 << 19) + (i < 4095 || whole == 4095 ? 0 : random.integer(0, (1 << 19) - 1));
        const std::int32_t found = tflite::detail::log_of_sum(sum);
        REQUIRE(found == reference::detail::log({sum}).raw);
        REQUIRE(std::fabs(std::ldexp(static_cast<double>(found), -26) - std::log(std::ldexp(static_cast<double>(sum), -19))) < 1e-4);
    }
}

TEST_CASE("reductions over any axes equal the definition")
{
    on_every_backend([] {
        test::random random(8);
        for (int i = 0; i < 1200; ++i) {
            const std::int32_t rank = random.integer(0, 5);
            dims shape = some_shape(random, rank, rank < 3 ? 20 : 6), axes, left;
            if (rank > 0 && random.integer(0, 9) == 0)
                shape.back() = random.integer(60, 200);
            for (std::ptrdiff_t d = 0; d < rank; ++d) {
                const std::int32_t which = random.integer(0, 3);
                if (which > 1)
                    axes.push_back(which == 2 ? d : d - rank);
                if (which == 3 && random.integer(0, 3) == 0)
                    axes.push_back(d);
                if (which <= 1)
                    left.push_back(shape[static_cast<std::size_t>(d)]);
            }
            std::reverse(axes.begin(), axes.end());
            if (product(shape) > 800)
                continue;
            const tensor x(random, shape);
            tensor y(random, left);
            const bool nothing = x.size() == 0 && y.size() != 0;
            const quantization from = some_quantization(random), to = some_quantization(random);
            const requantize_mode mode = all_modes[random.integer(0, 2)];
            const auto equal = [&](status found, auto expected) {
                if (nothing)
                    return found == status::shape_mismatch;
                for (std::ptrdiff_t j = 0; j < y.size(); ++j)
                    y.expected_view().data[j] = expected(j);
                return found == status::ok && y.as_expected();
            };
            const test::reversed_executor executor;
            REQUIRE(equal(tflite::reduce_max(x.view(), axes, y.codes(), executor),
                [&](std::ptrdiff_t j) { return reference::reduced_extreme(x.view(), axes, j, true); }));
            REQUIRE(equal(tflite::reduce_min(x.view(), axes, y.codes(), executor),
                [&](std::ptrdiff_t j) { return reference::reduced_extreme(x.view(), axes, j, false); }));
            REQUIRE(equal(tflite::sum(x.view(), axes, from, to, y.codes(), mode, executor),
                [&](std::ptrdiff_t j) { return reference::reduced_sum(x.view(), axes, j, from, to, false, mode); }));
            REQUIRE(equal(tflite::mean(x.view(), axes, from, to, y.codes(), mode, executor),
                [&](std::ptrdiff_t j) { return reference::reduced_sum(x.view(), axes, j, from, to, true, mode); }));
        }
    });
}

TEST_CASE("mean over height and width is pooling's")
{
    test::random random(9);
    const dims axes {1, 2};
    for (int i = 0; i < 300; ++i) {
        const tensor x(random, {random.integer(1, 2), random.integer(1, 7), random.integer(1, 7), random.integer(1, 70)});
        const tensor y(random, {x.shape()[0], x.shape()[3]}), other(random, y.shape());
        const quantization from = some_quantization(random), to = some_quantization(random);
        REQUIRE(tflite::mean(x.view(), axes, from, to, y.codes(), all_modes[i % 3]) == status::ok);
        REQUIRE(tflite::mean(x.images(), from, to, other.matrix(), all_modes[i % 3]) == status::ok);
        REQUIRE(test::same_bits(y.codes().data(), other.codes().data(), y.codes().size()));
    }
}

TEST_CASE("resized images equal the definition")
{
    test::random random(10);
    for (int i = 0; i < 3000; ++i) {
        const std::int32_t largest = i % 50 == 0 ? 300 : 12;
        const tensor x(random, {random.integer(1, 2), random.integer(1, largest), random.integer(1, 12), random.integer(1, 5)});
        tensor y(random, {x.shape()[0], random.integer(1, largest), random.integer(1, i % 50 == 1 ? 2500 : 12), x.shape()[3]});
        const tflite::resize_options how {random.integer(0, 2) == 0, random.integer(0, 2) == 0};
        reference::resize_nearest_neighbor(x.images(), y.expected_images(), how);
        REQUIRE(tflite::resize_nearest_neighbor(x.images(), y.images(), how, test::reversed_executor {}) == status::ok);
        REQUIRE(y.as_expected());
        if (how.align_corners && how.half_pixel_centers) {
            REQUIRE(tflite::resize_bilinear(x.images(), y.images(), how) == status::option_invalid);
            continue;
        }
        reference::resize_bilinear(x.images(), y.expected_images(), how);
        REQUIRE(tflite::resize_bilinear(x.images(), y.images(), how, test::reversed_executor {}) == status::ok);
        REQUIRE(y.as_expected());
    }
    const std::int8_t x[] = {-100, 100};
    std::int8_t y[4];
    REQUIRE(tflite::resize_bilinear({x, 1, 1, 2, 1}, {y, 1, 1, 4, 1}) == status::ok);
    CHECK((y[0] == -100 && y[1] == 0 && y[2] == 100 && y[3] == 100));
    REQUIRE(tflite::resize_bilinear({x, 1, 1, 2, 1}, {y, 1, 1, 4, 1}, {false, true}) == status::ok);
    CHECK((y[0] == -100 && y[1] == -50 && y[2] == 50 && y[3] == 100));
    REQUIRE(tflite::resize_bilinear({x, 1, 1, 2, 1}, {y, 1, 1, 4, 1}, {true, false}) == status::ok);
    CHECK((y[0] == -100 && y[1] == -33 && y[2] == 33 && y[3] == 100)); // 341/1024 and 682/1024: -33.4, 33.2
    REQUIRE(tflite::resize_nearest_neighbor({x, 1, 1, 2, 1}, {y, 1, 1, 3, 1}, {true, false}) == status::ok);
    CHECK((y[0] == -100 && y[1] == 100 && y[2] == 100)); // half up
    // A scale of 1/2000 rounded to 1/1024 would lead beside an image of one pixel.
    std::vector<std::int8_t> wide(2000);
    REQUIRE(tflite::resize_bilinear({x + 1, 1, 1, 1, 1}, {wide.data(), 1, 1, 2000, 1}) == status::ok);
    CHECK(std::all_of(wide.begin(), wide.end(), [](std::int8_t c) { return c == 100; }));
}

TEST_CASE("padded tensors equal the definition")
{
    test::random random(11);
    for (int i = 0; i < 4000; ++i) {
        const std::int32_t rank = random.integer(0, 5);
        const tensor x(random, some_shape(random, rank, i % 100 == 0 && rank < 3 ? 400 : 5));
        std::vector<tflite::padding> paddings;
        dims shape = x.shape();
        for (std::ptrdiff_t& size : shape) {
            paddings.push_back(
                random.integer(0, 2) == 0 ? tflite::padding {} : tflite::padding {random.integer(0, 3), random.integer(0, 3)});
            size += paddings.back().before + paddings.back().after;
        }
        tensor y(random, shape);
        const std::int8_t value = static_cast<std::int8_t>(random.integer(-128, 127));
        reference::pad(x.view(), paddings, value, y.expected_view());
        REQUIRE(tflite::pad(x.view(), paddings, value, y.view(), test::reversed_executor {}) == status::ok);
        REQUIRE(y.as_expected());
    }
}

TEST_CASE("products of batches equal the definition")
{
    on_every_backend([] {
        test::random random(12);
        for (int i = 0; i < 700; ++i) {
            const bool long_sums = i % 100 == 0;
            const std::ptrdiff_t m = random.integer(1, i % 20 == 0 ? 60 : 9), n = random.integer(1, i % 20 == 1 ? 60 : 20),
                                 k = long_sums ? random.integer(300, 1000) : random.integer(0, 40);
            const tflite::batch_matmul_options how {random.integer(0, 1) != 0, random.integer(0, 1) != 0};
            dims a_shape, b_shape, y_shape;
            for (std::int32_t rank = random.integer(0, 3), d = 0; d < rank; ++d) {
                const std::ptrdiff_t size = random.integer(0, 30) == 0 ? 0 : random.integer(1, 3);
                const std::int32_t which = random.integer(0, 3);
                a_shape.push_back(which == 1 ? 1 : size);
                b_shape.push_back(which == 2 ? 1 : size);
                y_shape.push_back(size);
            }
            // One operand may have fewer dimensions.
            dims& shorter = random.integer(0, 1) ? a_shape : b_shape;
            while (!shorter.empty() && shorter[0] == 1 && random.integer(0, 1))
                shorter.erase(shorter.begin());
            a_shape.insert(a_shape.end(), {how.adj_x ? k : m, how.adj_x ? m : k});
            b_shape.insert(b_shape.end(), {how.adj_y ? n : k, how.adj_y ? k : n});
            y_shape.insert(y_shape.end(), {m, n});
            const tensor a(random, a_shape), b(random, b_shape);
            tensor y(random, y_shape);
            const std::int32_t a_zero = some_zero_point(random), b_zero = some_zero_point(random);
            const float scale = 0.02f / std::sqrt(static_cast<float>(k + 1));
            const auto multiplier = tflite::batch_matmul_multiplier(scale, 0.5f, 1.0f);
            REQUIRE(multiplier);
            requantization r;
            r.mode = all_modes[i % 3];
            r.scale = span<const float>(&scale, 1);
            r.multiplier = span<const std::int32_t>(&multiplier->multiplier, 1);
            r.shift = span<const std::int32_t>(&multiplier->shift, 1);
            r.zero_point = some_zero_point(random);
            r.low = random.integer(0, 1) ? r.zero_point : -128;
            reference::batch_matmul(a.view(), a_zero, b.view(), b_zero, how, r, y.expected_view());
            test::guarded<std::byte> workspace(
                static_cast<std::ptrdiff_t>(tflite::batch_matmul_workspace(m, n, k)), random.integer(0, 1) != 0);
            REQUIRE(tflite::batch_matmul(a.view(), a_zero, b.view(), b_zero, how, r, y.view(), {workspace.data(), workspace.size()},
                        test::reversed_executor {})
                    == status::ok);
            REQUIRE(y.as_expected());
        }
    });
}

TEST_CASE("TFLite's other operators refuse what does not fit before the first write")
{
    std::vector<std::int8_t> x(64), y(64, canary);
    const images_view<const std::int8_t> a(x.data(), 1, 2, 2, 3), one(x.data(), 1, 1, 1, 1);
    const images_view<std::int8_t> to(y.data(), 1, 2, 2, 3), none(nullptr, 1, 2, 2, 3);
    requantization r;
    r.mode = requantize_mode::double_rounding;
    const tflite::add_multipliers m = *tflite::add_params(1, 1, 1);
    const auto both
        = [&](images_view<const std::int8_t> left, std::int32_t left_zero, images_view<const std::int8_t> right, std::int32_t right_zero,
              const tflite::add_multipliers& by, const requantization& how, images_view<std::int8_t> into) {
              const status s = tflite::subtract(left, left_zero, right, right_zero, by, how, into);
              CHECK(s == tflite::squared_difference(left, left_zero, right, right_zero, by, how, into));
              return s;
          };
    CHECK(both(a, 0, one, 0, m, r, {y.data(), 1, 2, 2, 2}) == status::shape_mismatch);
    CHECK(both(a, 0, {x.data(), 1, 2, 2, 2}, 0, m, r, to) == status::shape_mismatch);
    CHECK(both(a, 128, one, 0, m, r, to) == status::zero_point_out_of_range);
    CHECK(both(a, 0, one, -129, m, r, to) == status::zero_point_out_of_range);
    CHECK(both(a, 0, one, 0, m, r, none) == status::null_pointer);
    CHECK(both({x.data(), 1, -2, 2, 3}, 0, one, 0, m, r, to) == status::negative_size);
    CHECK(both(a, 0, one, 0, {{-1, 0}, m.b, m.sum}, r, to) == status::multiplier_invalid);
    CHECK(both(a, 0, one, 0, {m.a, {1 << 30, 1}, m.sum}, r, to) == status::multiplier_invalid);
    CHECK(both(a, 0, one, 0, {m.a, m.b, {1 << 30, 32}}, r, to) == status::multiplier_invalid);
    CHECK(tflite::squared_difference(a, 0, one, 0, {{INT32_MAX, 0}, m.b, m.sum}, r, to) == status::multiplier_invalid);
    requantization bad = r;
    bad.zero_point = 128;
    CHECK(both(a, 0, one, 0, m, bad, to) == status::zero_point_out_of_range);
    bad = r;
    bad.low = 5;
    bad.high = 4;
    CHECK(both(a, 0, one, 0, m, bad, to) == status::invalid_clamp);
    bad = r;
    bad.mode = requantize_mode::float_ties_to_even;
    CHECK(both(a, 0, one, 0, m, bad, to) == status::requantize_mode_invalid);
    CHECK(tflite::squared_difference_params(0, 1, 1).error() == status::scale_invalid);
    CHECK(tflite::squared_difference_params(1e30f, 1, 1e-30f).error() == status::scale_invalid);
    CHECK(tflite::maximum(a, one, {y.data(), 1, 2, 2, 2}) == status::shape_mismatch);
    CHECK(tflite::minimum(a, {nullptr, 1, 1, 1, 1}, to) == status::null_pointer);

    const tflite::prelu_multipliers slopes = *tflite::prelu_params(1, 1, 1);
    CHECK(tflite::prelu(one, 0, a, 0, slopes, 0, to) == status::shape_mismatch);
    CHECK(tflite::prelu(a, 0, one, 0, slopes, 200, to) == status::zero_point_out_of_range);
    CHECK(tflite::prelu(a, 0, one, 200, slopes, 0, to) == status::zero_point_out_of_range);
    CHECK(tflite::prelu(a, 0, one, 0, {{-1, 0}, slopes.slope}, 0, to) == status::multiplier_invalid);
    CHECK(tflite::prelu(a, 0, one, 0, {slopes.identity, {0, -32}}, 0, to) == status::multiplier_invalid);
    CHECK(tflite::prelu_params(1, -1, 1).error() == status::scale_invalid);
    CHECK(tflite::prelu_params(1e30f, 1e30f, 1).error() == status::scale_invalid);
    CHECK(tflite::leaky_relu_table({1, 0}, {1, 0}, NAN).error() == status::option_invalid);
    CHECK(tflite::leaky_relu_table({1, 0}, {1, 0}, -INFINITY).error() == status::option_invalid);
    CHECK(tflite::leaky_relu_table({1, 0}, {1, 0}, 3e38f).error() == status::scale_invalid);
    CHECK(tflite::leaky_relu_table({1, 128}, {1, 0}, 1).error() == status::zero_point_out_of_range);
    CHECK(tflite::elu_table({1, 0}, {0, 0}).error() == status::scale_invalid);

    const matrix_view<const std::int8_t> rows(x.data(), 2, 5);
    const matrix_view<std::int8_t> out(y.data(), 2, 5);
    const auto s = tflite::log_softmax_params(0.5f);
    REQUIRE(s);
    CHECK(tflite::l2_normalization(rows, 0, {y.data(), 2, 4}) == status::shape_mismatch);
    CHECK(tflite::l2_normalization(rows, 128, out) == status::zero_point_out_of_range);
    CHECK(tflite::l2_normalization({x.data(), 1, 33026}, 0, {y.data(), 1, 33026}) == status::k_too_large);
    CHECK(tflite::log_softmax(rows, *s, {y.data(), 1, 5}) == status::shape_mismatch);
    CHECK(tflite::log_softmax({x.data(), 1, 4096}, *s, {y.data(), 1, 4096}) == status::k_too_large);
    CHECK(tflite::log_softmax(rows, {{-1, 0}, s->inverse, s->least}, out) == status::multiplier_invalid);
    CHECK(tflite::log_softmax(rows, {s->multiplier, {1, 1}, s->least}, out) == status::multiplier_invalid);
    CHECK(tflite::log_softmax(rows, {s->multiplier, s->inverse, 1}, out) == status::multiplier_invalid);
    CHECK(tflite::log_softmax_params(0.0f).error() == status::scale_invalid);
    CHECK(tflite::log_softmax_params(std::ldexp(1.0f, -26)).error() == status::scale_invalid);
    CHECK(tflite::log_softmax_params(std::ldexp(1.0f, -25)).error() == status::ok);

    const dims shape {2, 3, 4}, nine(9, 1), empty {2, 0, 4}, negative {2, -3, 4}, huge {PTRDIFF_MAX / 4, 4, 4}, last {-1}, over {3},
        under {-4}, middle {1}, many {3000, 3000};
    const tensor_view<const std::int8_t> t(x.data(), shape);
    const span<std::int8_t> eight(y.data(), 8), six(y.data(), 6);
    const auto all = [&](tensor_view<const std::int8_t> of, span<const std::ptrdiff_t> axes, span<std::int8_t> into) {
        const status found = tflite::reduce_max(of, axes, into);
        CHECK(found == tflite::reduce_min(of, axes, into));
        CHECK(found == tflite::sum(of, axes, {1, 0}, {1, 0}, into));
        CHECK(found == tflite::mean(of, axes, {1, 0}, {1, 0}, into));
        return found;
    };
    CHECK(all(t, middle, six) == status::shape_mismatch);
    CHECK(all(t, over, eight) == status::axis_out_of_range);
    CHECK(all(t, under, eight) == status::axis_out_of_range);
    CHECK(all({x.data(), nine}, last, eight) == status::rank_too_large);
    CHECK(all({x.data(), empty}, middle, eight) == status::shape_mismatch);
    CHECK(all({x.data(), negative}, middle, eight) == status::negative_size);
    CHECK(all({x.data(), huge}, middle, eight) == status::size_overflow);
    CHECK(all({nullptr, shape}, last, six) == status::null_pointer);
    CHECK(all(t, last, {nullptr, 6}) == status::null_pointer);
    CHECK(tflite::sum(t, last, {0, 0}, {1, 0}, six) == status::scale_invalid);
    CHECK(tflite::mean(t, last, {1, 0}, {1, -129}, six) == status::zero_point_out_of_range);
    CHECK(tflite::sum(t, last, {1e30f, 0}, {1e-30f, 0}, six) == status::scale_invalid);
    CHECK(tflite::sum({x.data(), many}, dims {0, 1}, {1, 0}, {1, 0}, span<std::int8_t>(y.data(), 1)) == status::k_too_large);

    CHECK(tflite::resize_bilinear(a, {y.data(), 2, 2, 2, 3}) == status::shape_mismatch);
    CHECK(tflite::resize_nearest_neighbor(a, {y.data(), 1, 2, 2, 2}) == status::shape_mismatch);
    CHECK(tflite::resize_bilinear({x.data(), 1, 0, 2, 3}, to) == status::shape_mismatch);
    CHECK(tflite::resize_nearest_neighbor({nullptr, 1, 2, 2, 3}, to) == status::null_pointer);
    CHECK(tflite::resize_bilinear({x.data(), 1, (1 << 20) + 1, 1, 3}, to) == status::window_invalid);
    CHECK(tflite::resize_bilinear(a, to, {true, true}) == status::option_invalid);

    const dims padded_shape {2, 4, 5};
    const std::vector<tflite::padding> paddings {{}, {1, 0}, {0, 1}}, below {{}, {-1, 2}, {0, 1}}, few {{1, 0}};
    const tensor_view<std::int8_t> into(y.data(), padded_shape);
    CHECK(tflite::pad(t, paddings, 0, {y.data(), shape}) == status::shape_mismatch);
    CHECK(tflite::pad(t, few, 0, into) == status::shape_mismatch);
    CHECK(tflite::pad(t, below, 0, into) == status::window_invalid);
    CHECK(tflite::pad({nullptr, shape}, paddings, 0, into) == status::null_pointer);
    CHECK(tflite::pad({x.data(), nine}, paddings, 0, into) == status::rank_too_large);

    const dims a_shape {2, 2, 3}, b_shape {3, 4}, y_shape {2, 2, 4}, other {3, 3, 4}, vector {4}, deep {1, 33026}, deeper {33026, 1},
        single {1, 1};
    const tensor_view<const std::int8_t> left(x.data(), a_shape), right(x.data(), b_shape);
    const tensor_view<std::int8_t> products(y.data(), y_shape);
    std::vector<std::byte> workspace(tflite::batch_matmul_workspace(2, 4, 3));
    const float scale = 0.1f;
    requantization by;
    by.scale = span<const float>(&scale, 1);
    const auto multiply = [&](tensor_view<const std::int8_t> p, tensor_view<const std::int8_t> q, tensor_view<std::int8_t> to_view,
                              tflite::batch_matmul_options how = {}, std::int32_t p_zero = 0,
                              std::int32_t q_zero = 0) { return tflite::batch_matmul(p, p_zero, q, q_zero, how, by, to_view, workspace); };
    CHECK(multiply(left, {x.data(), a_shape}, products) == status::shape_mismatch);
    CHECK(multiply(left, right, products, {true, false}) == status::shape_mismatch);
    CHECK(multiply(left, {x.data(), other}, products) == status::shape_mismatch);
    CHECK(multiply(left, {x.data(), vector}, products) == status::shape_mismatch);
    CHECK(multiply(left, right, {y.data(), shape}) == status::shape_mismatch);
    CHECK(multiply(left, right, products, {}, 128) == status::zero_point_out_of_range);
    CHECK(multiply(left, right, products, {}, 0, -129) == status::zero_point_out_of_range);
    CHECK(multiply({nullptr, a_shape}, right, products) == status::null_pointer);
    CHECK(multiply({x.data(), deep}, {x.data(), deeper}, {y.data(), single}, {}, 1, 1) == status::k_too_large);
    CHECK(tflite::batch_matmul(left, 0, right, 0, {}, by, products, {workspace.data(), workspace.size() - 1}) == status::buffer_too_small);
    CHECK(tflite::batch_matmul(left, 0, right, 0, {}, {}, products, workspace) == status::params_count_mismatch);
    CHECK(tflite::batch_matmul_workspace(-1, 2, 3) == 0);
    CHECK(tflite::batch_matmul_workspace(PTRDIFF_MAX / 64, 2, 3) == SIZE_MAX);
    CHECK(tflite::batch_matmul_multiplier(1e30f, 1e30f, 1).error() == status::scale_invalid);
    CHECK(std::all_of(y.begin(), y.end(), [](std::int8_t c) { return c == canary; }));
}

TEST_CASE("sums of the most codes do not overflow int32")
{
    const dims shape {1 << 12, 1 << 11};
    const std::vector<std::int8_t> x(std::size_t {1} << 23, 127);
    std::int8_t y[1];
    REQUIRE(tflite::mean({x.data(), shape}, dims {0, 1}, {1, -128}, {2, 0}, y) == status::ok);
    CHECK(y[0] == 127);
    REQUIRE(tflite::sum({x.data(), shape}, dims {0, 1}, {1, -128}, {3e7f, 0}, y) == status::ok);
    CHECK(y[0] == 71); // 2139095040 / 3e7
    const std::vector<std::int8_t> row(33025, -128);
    std::vector<std::int8_t> normal(row.size());
    REQUIRE(tflite::l2_normalization({row.data(), 1, 33025}, 127, {normal.data(), 1, 33025}) == status::ok);
    CHECK(normal[0] == -1); // -128 / 181.7
}

TEST_CASE("the specification's rules for these operators")
{
    using tflite::integer_type;
    using tflite::operation;
    using tflite::quantized_tensor;
    const std::vector<float> scale {0.5f}, other {0.25f}, fixed {1.0f / 128.0f}, log_fixed {16.0f / 256.0f};
    const std::vector<std::int32_t> zero {3}, greatest {127};
    const quantized_tensor x {integer_type::s8, scale, zero}, z {integer_type::s8, other, zero};
    const auto check = [](operation op, std::vector<quantized_tensor> inputs, const quantized_tensor& y) {
        return tflite::check(op, span<const quantized_tensor>(inputs), y);
    };
    for (const operation op : {operation::sub, operation::squared_difference, operation::prelu, operation::batch_matmul}) {
        CHECK(check(op, {x, z}, x) == status::ok);
        CHECK(check(op, {x}, x) == status::operand_count_invalid);
    }
    for (const operation op : {operation::maximum, operation::minimum, operation::pad_v2}) {
        CHECK(check(op, {x, x}, x) == status::ok);
        CHECK(check(op, {x, z}, x) == status::same_params_needed);
        CHECK(check(op, {x}, x) == status::operand_count_invalid);
    }
    for (const operation op :
        {operation::reduce_max, operation::reduce_min, operation::pad, operation::resize_bilinear, operation::resize_nearest_neighbor}) {
        CHECK(check(op, {x}, x) == status::ok);
        CHECK(check(op, {x}, z) == status::same_params_needed);
        CHECK(check(op, {x, x}, x) == status::operand_count_invalid);
    }
    for (const operation op : {operation::sum, operation::mean, operation::elu, operation::leaky_relu}) {
        CHECK(check(op, {x}, z) == status::ok);
        CHECK(check(op, {x, x}, x) == status::operand_count_invalid);
    }
    CHECK(check(operation::l2_normalization, {x}, {integer_type::s8, fixed}) == status::ok);
    CHECK(check(operation::l2_normalization, {x}, x) == status::fixed_params_needed);
    CHECK(check(operation::log_softmax, {x}, {integer_type::s8, log_fixed, greatest}) == status::ok);
    CHECK(check(operation::log_softmax, {x}, {integer_type::s8, log_fixed}) == status::fixed_params_needed);
}

#if defined(__x86_64__)
TEST_CASE("parameters of operators do not depend on the caller's floating-point mode")
{
    using tflite::integer_type;
    // Scales below the least normal float, which the caller's mode would read as 0, and quotients that it would round up.
    const std::vector<float> small {std::ldexp(1.0f, -140)}, w {std::ldexp(3.0f, -141)}, least {std::ldexp(1.0f, -145)};
    const auto all = [&] {
        std::vector<std::int32_t> found;
        const auto add = [&](const auto& m) {
            found.push_back(static_cast<std::int32_t>(m.error()));
            found.insert(found.end(), {m->multiplier, m->shift});
        };
        const float s = small[0];
        for (const auto& m : {tflite::add_params(s, w[0], s), tflite::squared_difference_params(0.5f, s, 0.1f)})
            for (const fixed_multiplier& each : {m->a, m->b, m->sum})
                add(result<fixed_multiplier>(each));
        const auto prelu = tflite::prelu_params(s, 0.3f, w[0]);
        add(result<fixed_multiplier>(prelu->identity));
        add(result<fixed_multiplier>(prelu->slope));
        add(tflite::batch_matmul_multiplier(s, 0.5f, w[0]));
        add(result<fixed_multiplier>(tflite::softmax_params(1e30f, s)->multiplier));
        add(result<fixed_multiplier>(tflite::log_softmax_params(0.3f)->inverse));
        std::vector<std::int32_t> multiplier(1), shift(1);
        found.push_back(static_cast<std::int32_t>(tflite::output_multipliers(s, small, least[0], multiplier, shift)));
        found.insert(found.end(), {multiplier[0], shift[0]});
        for (const auto& t : {tflite::requantize_table({s, 0}, {w[0], 0}), tflite::leaky_relu_table({s, 0}, {w[0], 0}, 0.3f),
                 tflite::elu_table({s, 0}, {w[0], 0})})
            found.insert(found.end(), t->at, t->at + 256);
        const std::vector<float> one {1.0f};
        const tflite::quantized_tensor x {integer_type::s8, one}, weights {integer_type::s8, small}, bias {integer_type::s32, small};
        found.push_back(static_cast<std::int32_t>(
            tflite::check(tflite::operation::conv_2d, std::vector<tflite::quantized_tensor> {x, weights, bias}, x)));
        return found;
    };
    const std::vector<std::int32_t> wanted = all();
    const unsigned saved = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(saved | 0xc040u); // up, subnormals flushed
    const std::vector<std::int32_t> found = all();
    __builtin_ia32_ldmxcsr(saved);
    CHECK(found == wanted);
}
#endif
