// The arithmetic of single numbers that operators share: minimums, what a float's bits say, activation functions and fixed point.
#include "../support.hpp"

#include <limits>

#include <nibble/core/activation_function.hpp>
#include <nibble/tflite/fixed_point.hpp>

using namespace nibble;

static_assert(smaller(2, 3) == 2 && smaller(3, 2) == 2 && larger(2, 3) == 3 && larger(-1, std::int64_t {INT64_MIN}) == -1);
static_assert(std::is_same_v<decltype(smaller(std::int8_t {1}, std::int64_t {1})), std::int64_t>);
static_assert(clamped(5, 0, 4) == 4 && clamped(-1, 0, 4) == 0 && clamped(3, 0, 4) == 3);
static_assert(clamped(std::int64_t {1} << 40, INT32_MIN, INT32_MAX) == INT32_MAX);

TEST_CASE("the bits of a float say whether it is NaN, finite, or a scale")
{
    const struct {
        std::uint32_t bits;
        bool nan, finite, scale;
    } cases[] = {{0, false, true, false}, {1, false, true, true}, {0x3f800000u, false, true, true}, {0x7f7fffffu, false, true, true},
        {0x7f800000u, false, false, false}, {0x7f800001u, true, false, false}, {0x7fffffffu, true, false, false},
        {0x80000000u, false, true, false}, {0x80000001u, false, true, false}, {0xff7fffffu, false, true, false},
        {0xff800000u, false, false, false}, {0xffc00000u, true, false, false}, {0xffffffffu, true, false, false}};
    for (const auto& each : cases) {
        const float x = float_from_bits(each.bits);
        CHECK(is_nan(x) == each.nan);
        CHECK(is_finite(x) == each.finite);
        CHECK(is_positive_finite(x) == each.scale);
        CHECK(magnitude_bits(x) == (each.bits & 0x7fffffffu));
        CHECK(float_bits(magnitude_of(x)) == (each.bits & 0x7fffffffu));
    }
    CHECK(float_bits(quiet_nan()) == 0x7fc00000u);
    CHECK(float_bits(strict_math::clamp(quiet_nan(), -1.0f, 1.0f)) == 0x7fc00000u);
    CHECK(strict_math::clamp(-2.0f, -1.0f, 1.0f) == -1.0f);
    CHECK(strict_math::clamp(2.0f, -1.0f, 1.0f) == 1.0f);
}

TEST_CASE("activation functions of one number equal the reference")
{
    const default_fp_mode mode;
    test::random random(1);
    for (int i = 0; i < 20000; ++i) {
        // Numbers of every magnitude, then those where the functions bend.
        const float x = i % 2 == 0 ? float_from_bits(random.bits()) : 4.0f * random.real();
        for (const activation_function f : {activation_function::none, activation_function::relu, activation_function::gelu,
                 activation_function::gelu_tanh, activation_function::silu}) {
            const float found = detail::apply_activation(f, x), expected = reference::apply(f, x);
            REQUIRE((float_bits(found) == float_bits(expected) || (is_nan(found) && is_nan(expected))));
        }
    }
}

TEST_CASE("products with fixed-point multipliers equal the reference")
{
    test::random random(2);
    for (int i = 0; i < 20000; ++i) {
        const std::int32_t x = static_cast<std::int32_t>(random.bits()) >> random.integer(0, 31);
        const fixed_multiplier m {i % 8 == 0 ? INT32_MAX : random.integer(1 << 30, INT32_MAX), random.integer(-31, 31)};
        REQUIRE(tflite::detail::times(x, m) == reference::multiply_double_rounding(x, m.multiplier, m.shift));
        REQUIRE(tflite::detail::times(x, {-m.multiplier, m.shift}) == reference::multiply_double_rounding(x, -m.multiplier, m.shift));
        REQUIRE(tflite::detail::rescaled(requantize_mode::single_rounding, x, m)
                == reference::multiply_single_rounding(x, m.multiplier, m.shift));
        const float scale = float_from_bits(random.bits() >> 2 | 0x800000u);
        for (const requantize_mode mode :
            {requantize_mode::float_ties_to_even, requantize_mode::double_rounding, requantize_mode::single_rounding}) {
            requantization r;
            r.mode = mode;
            r.scale = span<const float>(&scale, 1);
            r.multiplier = span<const std::int32_t>(&m.multiplier, 1);
            r.shift = span<const std::int32_t>(&m.shift, 1);
            r.zero_point = random.integer(-128, 127);
            REQUIRE(tflite::detail::requantized_sum(x, r, {-128, 127}) == reference::requantize(x, r, 0, {-128, 127}));
        }
    }
}
