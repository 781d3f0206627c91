#include "../support.hpp"

#include <cmath>

using namespace nibble;

namespace {

const requantize_mode all_modes[]
    = {requantize_mode::float_ties_to_even, requantize_mode::double_rounding, requantize_mode::single_rounding};

// Scales, multipliers, shifts and biases for some columns.
struct parameters {
    std::vector<float> scale;
    std::vector<std::int32_t> multiplier, shift, bias;

    parameters(std::size_t count, std::size_t columns, std::uint64_t seed) : scale(count), multiplier(count), shift(count), bias(columns)
    {
        test::random random(seed);
        for (std::size_t i = 0; i < count; ++i) {
            scale[i] = std::ldexp(1.0f + std::fabs(random.real()), -random.integer(1, 20));
            multiplier[i] = random.integer(0, 9) == 0 ? 0 : random.integer(1 << 30, INT32_MAX);
            shift[i] = random.integer(0, 3) == 0 ? random.integer(-31, 31) : random.integer(-14, 0);
        }
        for (std::int32_t& b : bias)
            b = random.integer(-1000, 1000);
    }
    requantization with(requantize_mode mode, std::int32_t zero_point, bool first = false) const
    {
        requantization r;
        r.mode = mode;
        r.scale = scale;
        r.multiplier = multiplier;
        r.shift = shift;
        r.bias = bias;
        r.zero_point = zero_point;
        r.zero_point_first = first;
        return r;
    }
};

std::int32_t hard_sum(test::random& random)
{
    const std::int32_t special[] = {INT32_MIN, INT32_MAX, -INT32_MAX, 0, 1, -1, 1 << 30, -(1 << 30)};
    switch (random.integer(0, 3)) {
    case 0: return special[random.integer(0, 7)];
    case 1: return static_cast<std::int32_t>(random.bits());
    default: return random.integer(-200000, 200000);
    }
}

template <class Q>
void compare(std::ptrdiff_t rows, std::ptrdiff_t cols, bool per_column)
{
    const std::ptrdiff_t stride = cols + 2;
    test::guarded<std::int32_t> x((rows - 1) * stride + cols, per_column);
    test::random random(static_cast<std::uint64_t>(cols));
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = hard_sum(random);
    const matrix_view<const std::int32_t> view(x.data(), rows, cols, stride);
    const parameters p(per_column ? static_cast<std::size_t>(cols) : 1, static_cast<std::size_t>(cols), 5);
    for (const requantize_mode mode : all_modes)
        for (const std::int32_t zero_point : {0, 3, 101})
            for (const bool first : {false, true}) {
                requantization r = p.with(mode, zero_point, first);
                if (zero_point == 3)
                    r.low = 3;
                if (zero_point == 101)
                    r.bias = {};
                std::vector<Q> expected(static_cast<std::size_t>(rows * cols));
                reference::requantize(view, r, matrix_view<Q>(expected.data(), rows, cols));
                for (const backend b : test::usable_backends()) {
                    INFO(to_string(b) << " mode " << static_cast<int>(mode) << " cols " << cols << " zero point " << zero_point);
                    REQUIRE(force_backend(b) == status::ok);
                    test::guarded<Q> q(rows * cols, per_column);
                    REQUIRE(requantize<Q>(view, r, {q.data(), rows, cols}, test::reversed_executor {}) == status::ok);
                    CHECK(test::same_bits(q.data(), expected.data(), expected.size()));
                }
            }
}

} // namespace

TEST_CASE("requantize equals the reference on every backend")
{
    for (const std::ptrdiff_t cols : {1, 3, 4, 7, 8, 15, 16, 17, 33, 300})
        for (const bool per_column : {false, true}) {
            compare<std::int8_t>(3, cols, per_column);
            compare<std::uint8_t>(2, cols, per_column);
        }
}

TEST_CASE("the golden ties of double and single rounding")
{
    struct golden {
        std::int32_t x, multiplier, shift, twice, once;
    };
    constexpr std::int32_t half = 1 << 30, most = INT32_MAX;
    for (const golden& g : {golden {1, half, -1, 1, 0}, {-2, half, -1, -1, 0}, {-6, half, -1, -2, -1}, {5, half, -1, 2, 1},
             {-40, half / 2 * 3, -2, -8, -7}, {-39, most, -1, -20, -19}, {3, half, 0, 2, 2}, {-3, half, 0, -1, -1},
             {most, most, -3, 268435456, 268435456}, {-most, most, -3, -268435456, -268435456}, {-1, half, 0, 0, 0}, {1, half, 0, 1, 1}}) {
        INFO(g.x << " * " << g.multiplier << " * 2^" << g.shift);
        CHECK(reference::multiply_double_rounding(g.x, g.multiplier, g.shift) == g.twice);
        CHECK(reference::multiply_single_rounding(g.x, g.multiplier, g.shift) == g.once);
    }
}

TEST_CASE("multipliers are encoded as TFLite encodes them")
{
    struct golden {
        double real;
        std::int32_t multiplier, shift;
    };
    for (const golden& g : {golden {0.25, 1073741824, -1}, {0.5 - 5e-9, 2147483627, -1}, {0.5 - 1e-10, 1073741824, 0},
             {0.75, 1610612736, 0}, {1 - 1e-9, 2147483646, 0}, {1 + 1e-11, 1073741824, 1}, {1.25, 1342177280, 1}, {1.75, 1879048192, 1},
             {2 - 1e-9, 2147483647, 1}, {2 - 1e-11, 1073741824, 2}, {std::ldexp(1.0, -31), 1073741824, -30},
             {std::ldexp(1.0, -32), 1073741824, -31}, {std::ldexp(0.99, -32), 0, 0}, {std::ldexp(1.0, -33), 0, 0}, {0.0, 0, 0},
             {1e-320, 0, 0}, {std::ldexp(1.0, 30), 1073741824, 31}}) {
        INFO(g.real);
        const auto m = encode_multiplier(g.real);
        REQUIRE(m);
        CHECK(m->multiplier == g.multiplier);
        CHECK(m->shift == g.shift);
    }
    for (const double bad : {-0.5, std::ldexp(1.0, 31), std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
        CHECK(encode_multiplier(bad).error() == status::scale_invalid);
}

TEST_CASE("the sums of a product, requantized in it, equal requantize of its int32 sums")
{
    const std::ptrdiff_t m = 7, n = 37, k = 50;
    test::random random(11);
    std::vector<std::uint8_t> a(static_cast<std::size_t>(m * k));
    std::vector<std::int8_t> w(static_cast<std::size_t>(n * k));
    for (std::uint8_t& v : a)
        v = static_cast<std::uint8_t>(random.bits());
    for (std::int8_t& v : w)
        v = static_cast<std::int8_t>(random.bits());
    const std::vector<float> ones(static_cast<std::size_t>(n), 1.0f);
    const auto packed = packed_weights::make(matrix_view<const std::int8_t>(w.data(), n, k), k, {granularity::per_channel, 0, ones});
    REQUIRE(packed);
    std::vector<std::byte> workspace(gemm_workspace(m, *packed));
    const matrix_view<const std::uint8_t> activations(a.data(), m, k);
    const parameters p(static_cast<std::size_t>(n), static_cast<std::size_t>(n), 3);
    for (const backend b : test::usable_backends())
        for (const requantize_mode mode : all_modes) {
            INFO(to_string(b) << " mode " << static_cast<int>(mode));
            REQUIRE(force_backend(b) == status::ok);
            const requantization r = p.with(mode, -5);
            std::vector<std::int32_t> sums(static_cast<std::size_t>(m * n));
            REQUIRE(
                gemm<std::uint8_t>(activations, {1.0f, 128}, *packed, epilogue {}, matrix_view<std::int32_t>(sums.data(), m, n), workspace)
                == status::ok);
            std::vector<std::int8_t> expected(sums.size()), q(sums.size(), 99);
            reference::requantize(matrix_view<const std::int32_t>(sums.data(), m, n), r, matrix_view<std::int8_t>(expected.data(), m, n));
            REQUIRE(gemm<std::uint8_t>(activations, 128, *packed, r, matrix_view<std::int8_t>(q.data(), m, n), workspace) == status::ok);
            CHECK(q == expected);
        }
}

TEST_CASE("requantize refuses what it cannot do")
{
    const std::vector<std::int32_t> x(6, 1);
    std::vector<std::int8_t> q(6, 77);
    const matrix_view<const std::int32_t> view(x.data(), 2, 3);
    const matrix_view<std::int8_t> out(q.data(), 2, 3);
    const parameters p(3, 3, 1), two(2, 3, 1);
    CHECK(requantize(view, two.with(requantize_mode::double_rounding, 0), out) == status::params_count_mismatch);
    CHECK(requantize(view, p.with(requantize_mode::double_rounding, 128), out) == status::zero_point_out_of_range);
    parameters bad = p;
    bad.shift[1] = -32;
    CHECK(requantize(view, bad.with(requantize_mode::single_rounding, 0), out) == status::multiplier_invalid);
    bad.scale[1] = 0.0f;
    CHECK(requantize(view, bad.with(requantize_mode::float_ties_to_even, 0), out) == status::scale_invalid);
    requantization r = p.with(requantize_mode::double_rounding, 0);
    r.low = 4;
    r.high = 3;
    CHECK(requantize(view, r, out) == status::invalid_clamp);
    CHECK(
        requantize(view, p.with(requantize_mode::double_rounding, 0), matrix_view<std::int8_t>(q.data(), 3, 2)) == status::shape_mismatch);
    CHECK(q == std::vector<std::int8_t>(6, 77));
}
