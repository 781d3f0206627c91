// Fixed-point requantization and softmax against gemmlowp (Debian's libgemmlowp-dev), and single rounding against its public definition.
#include "../support.hpp"

#include <algorithm>
#include <cmath>

#include <gemmlowp/fixedpoint/fixedpoint.h>

using namespace nibble;

namespace {

// TFLite's MultiplyByQuantizedMultiplier, as its kernels call gemmlowp.
std::int32_t gemmlowp_multiply(std::int32_t x, std::int32_t multiplier, std::int32_t shift)
{
    const std::int32_t left = std::max(shift, 0), right = std::max(-shift, 0);
    return gemmlowp::RoundingDivideByPOT(gemmlowp::SaturatingRoundingDoublingHighMul(x * (1 << left), multiplier), right);
}

// TFLITE_SINGLE_ROUNDING: x * multiplier / 2^(31 - shift) in 64 bits, half up.
std::int32_t single_rounding(std::int32_t x, std::int32_t multiplier, std::int32_t shift)
{
    const std::int32_t total = 31 - shift;
    return static_cast<std::int32_t>((static_cast<std::int64_t>(x) * multiplier + (std::int64_t {1} << (total - 1))) >> total);
}

struct problem {
    std::int32_t x, multiplier, shift;
};

// Ties, ends and random numbers. x * 2^shift stays in int32, since TFLite leaves open what happens beyond.
problem next_problem(test::random& random)
{
    problem p {};
    p.shift = random.integer(0, 3) == 0 ? random.integer(0, 8) : random.integer(-31, 0);
    p.multiplier = random.integer(0, 3) == 0 ? (1 << 30) + (random.integer(0, 3) << 28) : random.integer(1 << 30, INT32_MAX);
    p.x = random.integer(0, 1) ? static_cast<std::int32_t>(random.bits()) : random.integer(-200000, 200000);
    if (random.integer(0, 15) == 0)
        p.x = random.integer(0, 1) ? INT32_MIN : INT32_MAX;
    p.x >>= std::max(p.shift, 0);
    return p;
}

} // namespace

TEST_CASE("eight million double roundings are gemmlowp's, single roundings those of the definition")
{
    test::random random(1);
    std::uint64_t twice = 0, once = 0;
    for (int i = 0; i < 8000000; ++i) {
        const problem p = next_problem(random);
        twice += reference::multiply_double_rounding(p.x, p.multiplier, p.shift) != gemmlowp_multiply(p.x, p.multiplier, p.shift);
        once += reference::multiply_single_rounding(p.x, p.multiplier, p.shift) != single_rounding(p.x, p.multiplier, p.shift);
    }
    CHECK(twice == 0);
    CHECK(once == 0);
}

TEST_CASE("requantized rows are gemmlowp's on every backend")
{
    const std::ptrdiff_t rows = 1000, cols = 256;
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        test::random random(2);
        std::vector<std::int32_t> x(static_cast<std::size_t>(rows * cols)), multiplier(cols), shift(cols);
        for (std::size_t j = 0; j < multiplier.size(); ++j) {
            const problem p = next_problem(random);
            multiplier[j] = p.multiplier;
            shift[j] = random.integer(-16, -6);
        }
        for (std::int32_t& v : x)
            v = random.integer(-4000000, 4000000) >> random.integer(0, 12);
        requantization r;
        r.mode = requantize_mode::double_rounding;
        r.multiplier = multiplier;
        r.shift = shift;
        r.zero_point = -7;
        std::vector<std::int8_t> q(x.size());
        REQUIRE(requantize<std::int8_t>({x.data(), rows, cols}, r, {q.data(), rows, cols}) == status::ok);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const std::size_t j = i % static_cast<std::size_t>(cols);
            wrong += q[i] != std::clamp(gemmlowp_multiply(x[i], multiplier[j], shift[j]) - 7, -128, 127);
        }
        CHECK(wrong == 0);
    }
}

TEST_CASE("gemmlowp itself gives the golden ties")
{
    struct golden {
        std::int32_t x, multiplier, shift, twice;
    };
    constexpr std::int32_t half = 1 << 30, most = INT32_MAX;
    for (const golden& g : {golden {1, half, -1, 1}, {-2, half, -1, -1}, {-6, half, -1, -2}, {5, half, -1, 2}, {-40, half / 2 * 3, -2, -8},
             {-39, most, -1, -20}, {3, half, 0, 2}, {-3, half, 0, -1}, {most, most, -3, 268435456}, {-most, most, -3, -268435456}}) {
        CHECK(gemmlowp_multiply(g.x, g.multiplier, g.shift) == g.twice);
        CHECK(reference::multiply_double_rounding(g.x, g.multiplier, g.shift) == g.twice);
    }
    // TFLite's own unit test: a real multiplier, encoded and applied.
    for (const auto& [x, real, expected] : {std::tuple {10000, 0.00097656, 10}, {INT32_MIN, 1e-5, -21475}, {INT32_MAX, 1e-5, 21475}}) {
        const auto m = encode_multiplier(real);
        REQUIRE(m);
        CHECK(gemmlowp_multiply(x, m->multiplier, m->shift) == expected);
        CHECK(reference::multiply_double_rounding(x, m->multiplier, m->shift) == expected);
        CHECK(reference::multiply_single_rounding(x, m->multiplier, m->shift) == expected);
    }
}

TEST_CASE("softmax's exponential and reciprocal are gemmlowp's")
{
    using five = gemmlowp::FixedPoint<std::int32_t, 5>;
    using none = gemmlowp::FixedPoint<std::int32_t, 0>;
    std::uint64_t exponentials = 0, reciprocals = 0;
    for (std::int64_t raw = INT32_MIN; raw <= 0; raw += 997) {
        const std::int32_t a = static_cast<std::int32_t>(raw);
        exponentials += tflite::detail::exp_of_negative(a) != gemmlowp::exp_on_negative_values(five::FromRaw(a)).raw();
    }
    for (const std::int32_t a : {0, -1, -2, -(1 << 24), -(1 << 24) + 1, -(1 << 24) - 1, -(31 << 26)})
        exponentials += tflite::detail::exp_of_negative(a) != gemmlowp::exp_on_negative_values(five::FromRaw(a)).raw();
    for (std::int64_t raw = 0; raw <= INT32_MAX; raw += 997) {
        const std::int32_t a = static_cast<std::int32_t>(raw);
        reciprocals += tflite::detail::reciprocal_of_one_plus(a) != gemmlowp::one_over_one_plus_x_for_x_in_0_1(none::FromRaw(a)).raw();
    }
    CHECK(exponentials == 0);
    CHECK(reciprocals == 0);
}

TEST_CASE("softmax is TFLite's reference kernel over gemmlowp")
{
    using scaled = gemmlowp::FixedPoint<std::int32_t, 5>;
    using total = gemmlowp::FixedPoint<std::int32_t, 12>;
    using none = gemmlowp::FixedPoint<std::int32_t, 0>;
    test::random random(9);
    for (int i = 0; i < 400; ++i) {
        const std::ptrdiff_t cols = random.integer(1, 300);
        const float scale = std::ldexp(1.0f + std::fabs(random.real()), -random.integer(0, 9));
        const auto s = tflite::softmax_params(scale);
        REQUIRE(s);
        std::vector<std::int8_t> x(static_cast<std::size_t>(cols)), y(x.size());
        std::vector<std::int16_t> wide(x.size());
        for (std::int8_t& v : x)
            v = static_cast<std::int8_t>(random.integer(-128, 127) >> random.integer(0, 4));
        REQUIRE(tflite::softmax({x.data(), 1, cols}, *s, {y.data(), 1, cols}) == status::ok);
        REQUIRE(tflite::softmax({x.data(), 1, cols}, *s, matrix_view<std::int16_t>(wide.data(), 1, cols)) == status::ok);

        const std::int32_t top = *std::max_element(x.begin(), x.end());
        const auto exponential = [&](std::int32_t code) {
            return gemmlowp::exp_on_negative_values(
                scaled::FromRaw(gemmlowp_multiply(code - top, s->multiplier.multiplier, s->multiplier.shift)));
        };
        total sum = total::Zero();
        for (const std::int8_t v : x)
            if (v - top >= s->least)
                sum = sum + gemmlowp::Rescale<12>(exponential(v));
        const int headroom = __builtin_clz(static_cast<unsigned>(sum.raw()));
        const none part = none::FromRaw(static_cast<std::int32_t>((static_cast<std::uint32_t>(sum.raw()) << headroom) - 0x80000000u));
        const none reciprocal = gemmlowp::one_over_one_plus_x_for_x_in_0_1(part);
        std::size_t wrong = 0;
        for (std::size_t c = 0; c < x.size(); ++c) {
            std::int32_t expected = -128, expected_wide = -32768;
            if (x[c] - top >= s->least) {
                const std::int32_t raw = (reciprocal * exponential(x[c])).raw();
                expected = std::min(gemmlowp::RoundingDivideByPOT(raw, 12 - headroom + 31 - 8) - 128, 127);
                expected_wide = std::min(gemmlowp::RoundingDivideByPOT(raw, 12 - headroom + 31 - 16) - 32768, 32767);
            }
            wrong += y[c] != expected;
            wrong += wide[c] != expected_wide;
        }
        CHECK(wrong == 0);
    }
}
