#include "../support.hpp"

#include "../../examples/qat_fashion_mnist/network.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

using namespace nibble;

namespace {

const rounding all_roundings[]
    = {rounding::ties_to_even, rounding::half_away_from_zero, rounding::half_up, rounding::toward_zero, rounding::stochastic};

// Every way to share parameters, of a rows x cols matrix.
struct shape {
    granularity kind;
    std::ptrdiff_t rows, cols, group = 0, block_rows = 1;

    std::ptrdiff_t params() const { return params_count(kind, rows, cols, group, block_rows); }
};

// The last is more than one task of an executor, and long enough for emulators to be met now and then only.
const shape shapes[] = {{granularity::per_tensor, 3, 1}, {granularity::per_tensor, 3, 77}, {granularity::per_channel, 4, 33},
    {granularity::per_channel, 2, 300}, {granularity::per_column, 5, 45}, {granularity::per_group, 3, 70, 32},
    {granularity::per_group, 2, 31, 5}, {granularity::per_group, 2, 200, 64}, {granularity::per_block, 7, 50, 16, 3},
    {granularity::per_block, 5, 9, 1, 2}, {granularity::per_tensor, 70, 1000}};

// Numbers around the codes, ties, and what is no number.
float hard_number(test::random& random)
{
    const float special[] = {0.0f, -0.0f, 0.5f, -0.5f, 1.5f, -2.5f, 1e30f, -1e30f, 1e-42f, std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
    return random.integer(0, 7) == 0 ? special[random.integer(0, 11)] : random.real();
}

// Data, parameters and gradients of one shape.
struct problem {
    shape at;
    std::ptrdiff_t stride;
    std::vector<float> x, dy, scales;
    std::vector<std::int32_t> zero_points;
    fake_quantization f;

    problem(const shape& s, code_limits codes, bool with_zero_points, quantize_rule rule, std::uint64_t seed, bool hard = true)
        : at(s), stride(s.cols + 3)
    {
        test::random random(seed);
        const std::size_t size = static_cast<std::size_t>((at.rows - 1) * stride + at.cols);
        for (std::size_t i = 0; i < size; ++i) {
            x.push_back(hard ? hard_number(random) : random.real());
            dy.push_back(random.integer(0, 9) == 0 ? 0.0f : random.real());
        }
        for (std::ptrdiff_t i = 0; i < at.params(); ++i) {
            scales.push_back((0.5f + std::fabs(random.real())) / static_cast<float>(codes.qmax - codes.qmin));
            if (random.integer(0, 3) == 0)
                scales.back() = 0.25f;
            zero_points.push_back(random.integer(codes.qmin, codes.qmax));
        }
        f = {{at.kind, at.group, scales, {}, at.block_rows}, codes, rule};
        if (with_zero_points)
            f.params.zero_points = zero_points;
    }
    problem(const problem&) = delete;
    problem& operator=(const problem&) = delete;

    matrix_view<const float> x_view() const { return {x.data(), at.rows, at.cols, stride}; }
    matrix_view<const float> dy_view() const { return {dy.data(), at.rows, at.cols, stride}; }
    std::size_t scratch() const { return fake_quantize_scratch(at.kind, at.rows, at.cols, at.group); }
    // Where the parameter of an element stands, by the table of quantize/params.hpp.
    std::size_t param(std::ptrdiff_t r, std::ptrdiff_t c) const
    {
        const std::ptrdiff_t groups = at.group == 0 ? 0 : (at.cols + at.group - 1) / at.group;
        switch (at.kind) {
        case granularity::per_tensor: return 0;
        case granularity::per_channel: return static_cast<std::size_t>(r);
        case granularity::per_column: return static_cast<std::size_t>(c);
        case granularity::per_group: return static_cast<std::size_t>(r * groups + c / at.group);
        case granularity::per_block: return static_cast<std::size_t>(r / at.block_rows * groups + c / at.group);
        }
        return 0;
    }
    std::int32_t zero_point(std::size_t i) const { return f.params.zero_points.empty() ? 0 : f.params.zero_points[i]; }
};

struct gradients {
    std::vector<float> x, scale, zero_point;
};

gradients backward(const problem& p, gradient_rule how)
{
    gradients g {p.dy, std::vector<float>(p.scales.size(), 9.0f), std::vector<float>(p.scales.size(), 9.0f)};
    std::vector<float> scratch(p.scratch());
    REQUIRE(fake_quantize_backward(p.x_view(), p.dy_view(), p.f, {{g.x.data(), p.at.rows, p.at.cols, p.stride}, g.scale, g.zero_point},
                scratch, how, test::reversed_executor {})
            == status::ok);
    return g;
}

template <class Each>
void for_problems(Each each)
{
    std::uint64_t seed = 1;
    for (const shape& s : shapes)
        for (const bool zero_points : {false, true})
            for (int which = 0; which < (s.rows == 70 ? 1 : 14); ++which) {
                // All roundings; the orders and the code limits in turn.
                const quantize_rule rule {all_roundings[which % 5], which % 3 == 1, which % 4 == 2, code_range::full, seed};
                const int bits = 2 + which % 7;
                const code_limits codes = codes_of_bits(bits, which % 2 == 0, which % 3 == 0 ? code_range::narrow : code_range::full);
                each(problem(s, codes, zero_points, rule, seed++), which);
            }
}

template <class Q>
void equals_dequantized(const shape& s, quantize_rule rule, bool zero_points)
{
    const problem p(s, codes_of<Q>(rule.range), zero_points, rule, static_cast<std::uint64_t>(s.cols));
    const std::ptrdiff_t elements = elements_for<Q>(s.cols);
    std::vector<Q> q(static_cast<std::size_t>(s.rows * elements)), codes = q;
    std::vector<float> expected(p.x.size(), 7.0f), y = expected;
    const matrix_view<Q> q_view(q.data(), s.rows, elements);
    REQUIRE(quantize(p.x_view(), p.f.params, q_view, rule) == status::ok);
    REQUIRE(
        dequantize(matrix_view<const Q>(q_view), p.f.params, matrix_view<float>(expected.data(), s.rows, s.cols, p.stride)) == status::ok);
    REQUIRE(fake_quantize(p.x_view(), p.f, {y.data(), s.rows, s.cols, p.stride}, test::reversed_executor {}) == status::ok);
    CHECK(test::same_bits(y.data(), expected.data(), y.size()));
    REQUIRE(fake_quantized_codes(p.x_view(), p.f, matrix_view<Q>(codes.data(), s.rows, elements)) == status::ok);
    CHECK(test::same_bits(codes.data(), q.data(), q.size()));
}

// The real function whose derivatives the backward pass gives: the rounding error, and which elements are clipped, stay as they are at the
// point.
struct surrogate {
    double x, scale, zero_point, qmin, qmax, error;
    bool clipped_low, clipped_high, pact;

    double operator()(double at, double s, double z) const
    {
        if (clipped_low || clipped_high)
            return s * ((clipped_low ? qmin : qmax) - z);
        // s (at / s + error), since z cancels; PACT keeps the whole error term as a constant.
        return pact ? at + scale * error : at + s * error;
    }
};

} // namespace

TEST_CASE("fake_quantize is dequantize of quantize, for every type, rounding, order, range and granularity, on every backend")
{
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        for (const shape& s : shapes)
            for (const rounding round : all_roundings)
                for (int which = 0; which < (s.rows == 70 ? 1 : 6); ++which) {
                    const quantize_rule rule {round, which % 2 == 1, which % 3 == 1, static_cast<code_range>(which % 3), 42};
                    const bool zero_points = which < 3;
                    equals_dequantized<std::int8_t>(s, rule, zero_points);
                    equals_dequantized<std::uint8_t>(s, rule, zero_points);
                    if (check_grouping<int2x4>(s.kind, s.group, s.block_rows) == status::ok) {
                        equals_dequantized<int4x2>(s, rule, zero_points);
                        equals_dequantized<uint4x2>(s, rule, zero_points);
                        equals_dequantized<int2x4>(s, rule, zero_points);
                        equals_dequantized<uint2x4>(s, rule, zero_points);
                    }
                }
    }
}

TEST_CASE("fake_quantize equals the reference on every backend, in place or not, beside guarded memory")
{
    for_problems([](const problem& p, int) {
        std::vector<float> expected(p.x.size(), 7.0f);
        reference::fake_quantize(p.x_view(), p.f, {expected.data(), p.at.rows, p.at.cols, p.stride});
        for (const backend b : test::usable_backends()) {
            INFO(to_string(b) << " rows " << p.at.rows << " cols " << p.at.cols << " group " << p.at.group);
            REQUIRE(force_backend(b) == status::ok);
            for (const bool at_end : {false, true}) {
                test::guarded<float> x(static_cast<std::ptrdiff_t>(p.x.size()), at_end), y(static_cast<std::ptrdiff_t>(p.x.size()), at_end);
                std::copy(p.x.begin(), p.x.end(), x.data());
                std::fill(y.data(), y.data() + y.size(), 7.0f);
                const matrix_view<float> x_view(x.data(), p.at.rows, p.at.cols, p.stride);
                REQUIRE(fake_quantize(x_view, p.f, {y.data(), p.at.rows, p.at.cols, p.stride}) == status::ok);
                CHECK(test::same_bits(y.data(), expected.data(), y.size()));
                REQUIRE(fake_quantize(x_view, p.f, x_view) == status::ok);
                bool same = true;
                for (std::ptrdiff_t r = 0; r < p.at.rows; ++r)
                    same = same && test::same_bits(x_view.row(r), expected.data() + r * p.stride, static_cast<std::size_t>(p.at.cols));
                CHECK(same);
            }
        }
    });
}

TEST_CASE("gradients of fake quantization equal the reference on every backend, in place or not, beside guarded memory")
{
    for_problems([](const problem& p, int which) {
        const gradient_rule how {which % 2 ? clip_test::code : clip_test::value,
            which % 5 == 4 ? scale_gradient::pact : scale_gradient::lsq, which % 4 ? 0.37f : 1.0f};
        gradients expected {std::vector<float>(p.x.size(), 7.0f), p.scales, p.scales};
        std::vector<float> scratch(p.scratch());
        std::vector<reference::fake_quantize_derivative> terms(static_cast<std::size_t>(p.at.cols));
        reference::fake_quantize_backward(p.x_view(), p.dy_view(), p.f,
            {{expected.x.data(), p.at.rows, p.at.cols, p.stride}, expected.scale, expected.zero_point}, scratch, terms, how);
        for (const backend b : test::usable_backends()) {
            INFO(to_string(b) << " rows " << p.at.rows << " cols " << p.at.cols << " group " << p.at.group);
            REQUIRE(force_backend(b) == status::ok);
            const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(p.x.size());
            test::guarded<float> x(size), dy(size), dx(size), guarded_scratch(static_cast<std::ptrdiff_t>(p.scratch()));
            std::copy(p.x.begin(), p.x.end(), x.data());
            std::copy(p.dy.begin(), p.dy.end(), dy.data());
            std::fill(dx.data(), dx.data() + dx.size(), 7.0f);
            const matrix_view<float> x_view(x.data(), p.at.rows, p.at.cols, p.stride), dy_view(dy.data(), p.at.rows, p.at.cols, p.stride);
            std::vector<float> scale(p.scales.size()), zero_point(p.scales.size());
            REQUIRE(fake_quantize_backward(x_view, dy_view, p.f, {{dx.data(), p.at.rows, p.at.cols, p.stride}, scale, zero_point},
                        guarded_scratch, how, test::reversed_executor {})
                    == status::ok);
            CHECK(test::same_bits(dx.data(), expected.x.data(), dx.size()));
            CHECK(test::same_bits(scale.data(), expected.scale.data(), scale.size()));
            CHECK(test::same_bits(zero_point.data(), expected.zero_point.data(), zero_point.size()));
            // Without sums, and dx over dy.
            REQUIRE(fake_quantize_backward(x_view, dy_view, p.f, {dy_view}, {}, how) == status::ok);
            bool same = true;
            for (std::ptrdiff_t r = 0; r < p.at.rows; ++r)
                same = same && test::same_bits(dy_view.row(r), expected.x.data() + r * p.stride, static_cast<std::size_t>(p.at.cols));
            CHECK(same);
        }
    });
}

TEST_CASE("gradients are the finite differences of the surrogate that keeps rounding errors and clipping")
{
    std::uint64_t seed = 100;
    for (const shape& s : shapes)
        for (const rounding round : all_roundings)
            for (int which = 0; which < (s.rows == 70 ? 1 : 8); ++which) {
                const bool pact = which % 4 == 3;
                const problem p(s, codes_of_bits(2 + which % 7, which % 2 == 0), which % 3 != 0 && !pact,
                    {round, which % 2 == 1, which % 4 == 2, code_range::full, seed}, seed, false);
                ++seed;
                const gradient_rule how {
                    which < 4 ? clip_test::value : clip_test::code, pact ? scale_gradient::pact : scale_gradient::lsq, 1.0f};
                std::vector<float> y(p.x.size());
                REQUIRE(fake_quantize(p.x_view(), p.f, {y.data(), s.rows, s.cols, p.stride}) == status::ok);
                const gradients g = backward(p, how);
                std::vector<double> scale(p.scales.size()), zero_point(p.scales.size()), size(p.scales.size());
                bool dx_right = true;
                for (std::ptrdiff_t r = 0; r < s.rows; ++r)
                    for (std::ptrdiff_t c = 0; c < s.cols; ++c) {
                        const std::size_t at = p.param(r, c), i = static_cast<std::size_t>(r * p.stride + c);
                        const double sc = static_cast<double>(p.scales[at]), z = p.zero_point(at), x = static_cast<double>(p.x[i]);
                        const double v = x / sc, q = std::nearbyint(static_cast<double>(y[i]) / sc), dy = static_cast<double>(p.dy[i]);
                        const double qmin = p.f.codes.qmin, qmax = p.f.codes.qmax;
                        surrogate f {x, sc, z, qmin, qmax, q - v, v <= qmin - z, v >= qmax - z, pact};
                        if (how.test == clip_test::code && round != rounding::stochastic) {
                            const double up = round == rounding::toward_zero ? 1 : 0.5, zero_first = p.f.rule.zero_point_first ? z : 0;
                            // Beyond the last code by more than what rounds back to it; toward zero that depends on the side of zero.
                            const double low = qmin - z, high = qmax - z;
                            f.clipped_low = round == rounding::toward_zero ? std::trunc(v + zero_first) < low + zero_first : v < low - up;
                            f.clipped_high
                                = round == rounding::toward_zero ? std::trunc(v + zero_first) > high + zero_first : v > high + up;
                        } else if (how.test == clip_test::code) {
                            continue; // whether a code was clipped is the draw's
                        }
                        const double h = 1e-4;
                        dx_right = dx_right
                                   && std::fabs((f(x + h, sc, z) - f(x - h, sc, z)) / (2 * h) * dy - static_cast<double>(g.x[i])) < 1e-6;
                        scale[at] += (f(x, sc + h, z) - f(x, sc - h, z)) / (2 * h) * dy;
                        zero_point[at] += (f(x, sc, z + h) - f(x, sc, z - h)) / (2 * h) * dy;
                        size[at] += (std::fabs(q) + std::fabs(v) + 1) * std::fabs(dy);
                    }
                INFO("rows " << s.rows << " cols " << s.cols << " group " << s.group << " rounding " << static_cast<int>(round) << " which "
                             << which);
                CHECK(dx_right);
                if (how.test == clip_test::code && round == rounding::stochastic)
                    continue;
                bool sums_right = true;
                for (std::size_t i = 0; i < scale.size(); ++i)
                    sums_right = sums_right && std::fabs(scale[i] - static_cast<double>(g.scale[i])) < 1e-6 * (1 + size[i])
                                 && std::fabs(zero_point[i] - static_cast<double>(g.zero_point[i])) < 1e-6 * (1 + size[i]);
                CHECK(sums_right);
            }
}

TEST_CASE("a layer in fake quantization with exact sums equals the integer product and its epilogue, bit for bit, on every backend")
{
    struct layer_shape {
        std::ptrdiff_t m, n, k, group;
    };
    std::uint64_t seed = 500;
    for (const layer_shape& l : {layer_shape {1, 1, 1, 0}, layer_shape {5, 17, 33, 0}, layer_shape {3, 40, 130, 0},
             layer_shape {2, 20, 96, 32}, layer_shape {9, 7, 784, 0}})
        for (const int w_bits : {2, 3, 4, 8})
            for (const int x_bits : {4, 8})
                for (const bool affine : {false, true}) {
                    ++seed;
                    test::random random(seed);
                    const code_limits w_codes = codes_of_bits(w_bits, true, w_bits == 2 && affine ? code_range::narrow : code_range::full);
                    const shape w_shape {l.group ? granularity::per_group : granularity::per_channel, l.n, l.k, l.group};
                    const problem w(w_shape, w_codes, affine, {}, seed, false);
                    const problem x({granularity::per_tensor, l.m, l.k}, codes_of_bits(x_bits, false), affine, {}, seed + 1000, false);
                    std::vector<float> x_hat(x.x.size()), w_hat(w.x.size()), bias;
                    std::vector<std::uint8_t> x_codes(x.x.size());
                    for (std::ptrdiff_t j = 0; j < l.n; ++j)
                        bias.push_back(random.real());
                    epilogue e;
                    e.bias = bias;
                    e.function = affine ? activation_function::none : activation_function::relu;
                    e.output_scale = 0.03f * static_cast<float>(l.k) / 30.0f;
                    e.output_zero_point = affine ? 5 : 0;
                    const std::size_t count = static_cast<std::size_t>(l.m * l.n);
                    const matrix_view<const float> x_view(x_hat.data(), l.m, l.k, x.stride), w_view(w_hat.data(), l.n, l.k, w.stride);
                    std::vector<std::int32_t> sums(count), bias_codes(static_cast<std::size_t>(l.n));
                    std::vector<float> y(count), simulated(count), exact_y(count);
                    std::vector<std::uint8_t> codes(count), exact_codes(count);
                    std::vector<std::int32_t> exact_sums(count);
                    std::vector<double> sizes(count);
                    for (const backend b : test::usable_backends()) {
                        INFO(to_string(b) << " m " << l.m << " n " << l.n << " k " << l.k << " bits " << w_bits << " x " << x_bits);
                        REQUIRE(force_backend(b) == status::ok);
                        REQUIRE(fake_quantize(x.x_view(), x.f, {x_hat.data(), l.m, l.k, x.stride}) == status::ok);
                        REQUIRE(fake_quantize(w.x_view(), w.f, {w_hat.data(), l.n, l.k, w.stride}) == status::ok);
                        const matrix_view<std::uint8_t> x_code_view(x_codes.data(), l.m, l.k, x.stride);
                        REQUIRE(fake_quantized_codes(x.x_view(), x.f, x_code_view) == status::ok);
                        const auto packed = convert<std::int8_t>(w.x_view(), w.f);
                        REQUIRE(packed.error() == status::ok);
                        std::vector<std::byte> workspace(gemm_workspace(l.m, *packed));
                        const static_activations s {x.scales[0], x.zero_point(0)};
                        const matrix_view<const std::uint8_t> x_const(x_code_view);

                        reference::fake_quantized_linear<float>(x_view, x.f, w_view, w.f, e, {exact_y.data(), l.m, l.n});
                        REQUIRE(gemm(x_const, s, *packed, e, matrix_view<float>(y.data(), l.m, l.n), workspace) == status::ok);
                        CHECK(test::same_bits(y.data(), exact_y.data(), count));

                        reference::fake_quantized_linear<std::uint8_t>(x_view, x.f, w_view, w.f, e, {exact_codes.data(), l.m, l.n});
                        REQUIRE(gemm(x_const, s, *packed, e, matrix_view<std::uint8_t>(codes.data(), l.m, l.n), workspace) == status::ok);
                        CHECK(test::same_bits(codes.data(), exact_codes.data(), count));
                        // The next layer's fake quantization of y stands for the same codes.
                        const std::vector<float> out_scale(1, e.output_scale);
                        const std::vector<std::int32_t> out_zero(1, e.output_zero_point);
                        std::vector<std::uint8_t> next(count);
                        REQUIRE(fake_quantized_codes<std::uint8_t>({y.data(), l.m, l.n},
                                    {{granularity::per_tensor, 0, out_scale, out_zero}, {0, 255}, {}}, {next.data(), l.m, l.n})
                                == status::ok);
                        CHECK(test::same_bits(codes.data(), next.data(), count));

                        if (l.group == 0) {
                            // Integers only: the exact sums requantized, in floats and in fixed point.
                            reference::fake_quantized_linear<std::int32_t>(x_view, x.f, w_view, w.f, {}, {exact_sums.data(), l.m, l.n});
                            REQUIRE(gemm(x_const, s, *packed, epilogue {}, matrix_view<std::int32_t>(sums.data(), l.m, l.n), workspace)
                                    == status::ok);
                            CHECK(test::same_bits(sums.data(), exact_sums.data(), count));
                            std::vector<float> multipliers;
                            std::vector<std::int32_t> fixed, shifts;
                            for (std::size_t j = 0; j < bias.size(); ++j) {
                                const double input = static_cast<double>(x.scales[0]) * static_cast<double>(w.scales[j]);
                                bias_codes[j] = static_cast<std::int32_t>(std::nearbyint(static_cast<double>(bias[j]) / input));
                                multipliers.push_back(static_cast<float>(input / static_cast<double>(e.output_scale)));
                                const auto m = encode_multiplier(input / static_cast<double>(e.output_scale));
                                REQUIRE(m.error() == status::ok);
                                fixed.push_back(m->multiplier);
                                shifts.push_back(m->shift);
                            }
                            for (const requantize_mode mode :
                                {requantize_mode::float_ties_to_even, requantize_mode::double_rounding, requantize_mode::single_rounding}) {
                                requantization r;
                                r.mode = mode;
                                r.scale = multipliers;
                                r.multiplier = fixed;
                                r.shift = shifts;
                                r.bias = bias_codes;
                                r.zero_point = e.output_zero_point;
                                reference::requantize(matrix_view<const std::int32_t>(exact_sums.data(), l.m, l.n), r,
                                    matrix_view<std::uint8_t>(exact_codes.data(), l.m, l.n));
                                REQUIRE(
                                    gemm(x_const, s.zero_point, *packed, r, matrix_view<std::uint8_t>(codes.data(), l.m, l.n), workspace)
                                    == status::ok);
                                CHECK(test::same_bits(codes.data(), exact_codes.data(), count));
                            }
                        }

                        // The textbook's sums in floats: within the bound of qat/convert.hpp.
                        std::vector<float> w_rows;
                        for (std::ptrdiff_t j = 0; j < l.n; ++j)
                            w_rows.insert(w_rows.end(), w_view.row(j), w_view.row(j) + l.k);
                        const auto floats = packed_weights::make(matrix_view<const float>(w_rows.data(), l.n, l.k));
                        REQUIRE(floats.error() == status::ok);
                        REQUIRE(gemm(x_view, *floats, e, matrix_view<float>(simulated.data(), l.m, l.n), {}) == status::ok);
                        bool bounded = true;
                        const double terms = static_cast<double>(l.k + (l.group ? (l.k + l.group - 1) / l.group : 1) + 8);
                        for (std::ptrdiff_t i = 0; i < l.m; ++i)
                            for (std::ptrdiff_t j = 0; j < l.n; ++j) {
                                double size = std::fabs(static_cast<double>(bias[static_cast<std::size_t>(j)]));
                                for (std::ptrdiff_t c = 0; c < l.k; ++c)
                                    size += std::fabs(static_cast<double>(x_view(i, c)) * static_cast<double>(w_view(j, c)));
                                const std::size_t at = static_cast<std::size_t>(i * l.n + j);
                                const double off = std::fabs(static_cast<double>(simulated[at]) - static_cast<double>(exact_y[at]));
                                bounded = bounded && off <= terms * 0x1p-24 * size;
                            }
                        CHECK(bounded);
                    }
                }
}

TEST_CASE("gradients of LSQ, LSQ+ and PACT by hand")
{
    // scale 1/2, codes -2 ... 1: v = 2 x is -3, -2, -1.25, 0.25, 0.75, 1, 1.25, 2.
    const std::vector<float> x {-1.5f, -1.0f, -0.625f, 0.125f, 0.375f, 0.5f, 0.625f, 1.0f}, dy(8, 1.0f), half(1, 0.5f);
    const std::vector<std::int32_t> none {}, one {1};
    struct expectation {
        gradient_rule how;
        std::vector<std::int32_t> zero_points;
        std::vector<float> dx;
        float scale, zero_point;
    };
    const expectation expectations[] = {
        // LSQ: -2 -2 +0.25 -0.25 +0.25 1 1 1; two clipped below, three at or above the end.
        {{}, none, {0, 0, 1, 1, 1, 0, 0, 0}, -0.75f, -2.5f},
        // PyTorch: the codes -3 and 2 are clipped alone: -2 +0 +0.25 -0.25 +0.25 +0 -0.25 1.
        {{clip_test::code, scale_gradient::lsq, 1.0f}, none, {0, 1, 1, 1, 1, 1, 1, 0}, -1.0f, -1.0f},
        // PACT: q where clipped, and nothing else.
        {{clip_test::value, scale_gradient::pact, 1.0f}, none, {0, 0, 1, 1, 1, 0, 0, 0}, -1.0f, -2.5f},
        // LSQ+ with zero point 1, v in (-3, 0): q - z is -3 at the first, 0 from the fourth on; +0 +0.25 between.
        {{}, one, {0, 1, 1, 0, 0, 0, 0, 0}, -3.0f + 0.0f + 0.25f, -3.0f},
        {{clip_test::value, scale_gradient::lsq, 0.5f}, one, {0, 1, 1, 0, 0, 0, 0, 0}, -1.375f, -1.5f},
    };
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        for (const expectation& e : expectations) {
            const fake_quantization f {{granularity::per_tensor, 0, half, e.zero_points}, codes_of_bits(2, true), {}};
            std::vector<float> dx(8), scale(1), zero_point(1), scratch(fake_quantize_scratch(granularity::per_tensor, 1, 8));
            REQUIRE(fake_quantize_backward({x.data(), 1, 8}, {dy.data(), 1, 8}, f, {{dx.data(), 1, 8}, scale, zero_point}, scratch, e.how)
                    == status::ok);
            CHECK(dx == e.dx);
            CHECK(scale[0] == e.scale);
            CHECK(zero_point[0] == e.zero_point);
        }
    }
    CHECK(lsq_gradient_factor(100, 4) == 0.05f);
    const code_limits ternary = codes_of_bits(2, true, code_range::narrow), byte = codes_of_bits(8, false);
    CHECK((ternary.qmin == -1 && ternary.qmax == 1 && byte.qmin == 0 && byte.qmax == 255));
}

TEST_CASE("stochastic rounding is noise in training: unbiased, another for another seed, and the same forward and backward")
{
    const std::ptrdiff_t cols = 4096;
    const std::vector<float> x(static_cast<std::size_t>(cols), 0.3f), dy(static_cast<std::size_t>(cols), 1.0f), one(1, 1.0f);
    fake_quantization f {
        {granularity::per_tensor, 0, one}, codes_of_bits(4, true), {rounding::stochastic, false, false, code_range::full, 1}};
    std::vector<float> y(x.size()), again(x.size()), other(x.size()), dx(x.size()), scale(1),
        scratch(fake_quantize_scratch(granularity::per_tensor, 1, cols));
    REQUIRE(fake_quantize({x.data(), 1, cols}, f, {y.data(), 1, cols}) == status::ok);
    REQUIRE(fake_quantize({x.data(), 1, cols}, f, {again.data(), 1, cols}) == status::ok);
    double sum = 0;
    for (const float e : y)
        sum += static_cast<double>(e);
    CHECK(std::fabs(sum / static_cast<double>(cols) - 0.3) < 0.03); // 4 standard deviations
    CHECK(y == again);
    REQUIRE(fake_quantize_backward({x.data(), 1, cols}, {dy.data(), 1, cols}, f, {{dx.data(), 1, cols}, scale}, scratch) == status::ok);
    CHECK(std::fabs(static_cast<double>(scale[0]) - (sum - 0.3 * static_cast<double>(cols))) < 0.01);
    f.rule.seed = 2;
    REQUIRE(fake_quantize({x.data(), 1, cols}, f, {other.data(), 1, cols}) == status::ok);
    CHECK(y != other);
}

TEST_CASE("fake quantization refuses bad input before it writes")
{
    std::vector<float> x(12, 1.0f), y(12, 7.0f), scales(3, 0.5f), d_scales(3), scratch(6);
    const std::vector<float> untouched = y;
    const matrix_view<const float> in(x.data(), 3, 4);
    const matrix_view<float> out(y.data(), 3, 4);
    const fake_quantization good {{granularity::per_channel, 0, scales}, {-8, 7}, {}};
    const auto with = [&](auto change) {
        fake_quantization f = good;
        change(f);
        const status forward = fake_quantize(in, f, out), backward = fake_quantize_backward(in, in, f, {out, d_scales}, scratch);
        CHECK(forward == backward);
        return forward;
    };
    CHECK(with([](fake_quantization& f) { f.codes = {3, 3}; }) == status::code_limits_invalid);
    CHECK(with([](fake_quantization& f) { f.codes = {-129, 7}; }) == status::code_limits_invalid);
    CHECK(with([](fake_quantization& f) { f.codes = {-1, 128}; }) == status::code_limits_invalid);
    CHECK(with([](fake_quantization& f) { f.codes = {0, 256}; }) == status::code_limits_invalid);
    CHECK(with([](fake_quantization& f) { f.params.kind = granularity::per_tensor; }) == status::params_count_mismatch);
    CHECK(with([](fake_quantization& f) { f.params.kind = granularity::per_group; }) == status::group_size_invalid);
    const std::vector<std::int32_t> zero_points {0, 0, 128};
    CHECK(with([&](fake_quantization& f) { f.params.zero_points = zero_points; }) == status::zero_point_out_of_range);
    scales[1] = 0.0f;
    CHECK(with([](fake_quantization&) {}) == status::scale_invalid);
    scales[1] = 0.5f;
    CHECK(fake_quantize(in, good, {y.data(), 3, 3}) == status::shape_mismatch);
    CHECK(fake_quantize(in, good, {y.data(), 3, 4, 2}) == status::stride_too_small);
    CHECK(fake_quantize(in, good, {nullptr, 3, 4}) == status::null_pointer);
    CHECK(fake_quantize_backward(in, {x.data(), 2, 4}, good, {out}, {}) == status::shape_mismatch);
    CHECK(fake_quantize_backward(in, in, good, {{y.data(), 4, 3}}, {}) == status::shape_mismatch);
    CHECK(fake_quantize_backward(in, in, good, {out, span<float>(d_scales).subspan(0, 2)}, scratch) == status::params_count_mismatch);
    CHECK(fake_quantize_backward(in, in, good, {out, {}, span<float>(d_scales).subspan(0, 2)}, scratch) == status::params_count_mismatch);
    CHECK(fake_quantize_backward(in, in, good, {out, d_scales}, span<float>(scratch).subspan(0, 5)) == status::buffer_too_small);
    std::vector<int4x2> pairs(6);
    fake_quantization wide = good;
    wide.codes = {-8, 8};
    CHECK(fake_quantized_codes(in, wide, matrix_view<int4x2>(pairs.data(), 3, 2)) == status::code_limits_invalid);
    CHECK(convert<int4x2>(in, wide).error() == status::code_limits_invalid);
    CHECK(y == untouched);
    // Nothing to do: no rows. The gradients are sums of nothing.
    d_scales.assign(3, 9.0f);
    fake_quantization empty = good;
    empty.params.kind = granularity::per_column;
    CHECK(fake_quantize_backward({nullptr, 0, 3}, {nullptr, 0, 3}, empty, {{nullptr, 0, 3}, d_scales}, {}) == status::ok);
    CHECK(d_scales == std::vector<float>(3, 0.0f));
}

TEST_CASE("observers average ranges, or keep the extremes, until they are frozen")
{
    const std::vector<float> first {-1.0f, 2.0f, 0.5f}, second {-3.0f, 4.0f, 0.0f};
    const auto view = [](const std::vector<float>& v) { return matrix_view<const float>(v.data(), 1, 3); };
    range_observer moving(0.25f), extremes(0.0f);
    for (range_observer* o : {&moving, &extremes}) {
        REQUIRE(o->observe(view(first)) == status::ok);
        REQUIRE(o->observe({nullptr, 0, 3}) == status::ok);
        REQUIRE(o->observe(view(second)) == status::ok);
        CHECK(o->batches() == 2);
    }
    CHECK((moving.low() == -1.5f && moving.high() == 2.5f));
    CHECK((extremes.low() == -3.0f && extremes.high() == 4.0f));
    const std::vector<float> bad {0.0f, std::numeric_limits<float>::quiet_NaN(), 100.0f};
    CHECK(extremes.observe(view(bad)) == status::not_finite);
    REQUIRE(extremes.observe(view(first)) == status::ok);
    CHECK(extremes.high() == 4.0f);
    extremes.freeze();
    const std::vector<float> wide {-9.0f, 9.0f, 0.0f};
    REQUIRE(extremes.observe(view(wide)) == status::ok);
    CHECK((extremes.frozen() && extremes.low() == -3.0f && extremes.high() == 4.0f));
    const scale_and_zero_point p = extremes.params(scheme::affine, {0, 255}),
                               expected = params_of_range(-3.0f, 4.0f, scheme::affine, {0, 255});
    CHECK((p.scale == expected.scale && p.zero_point == expected.zero_point));
}

TEST_CASE("learned parameters start from the range, or from the range of the least squared error")
{
    for (const shape& s :
        {shape {granularity::per_tensor, 4, 50}, shape {granularity::per_channel, 5, 40}, shape {granularity::per_column, 30, 3},
            shape {granularity::per_group, 2, 70, 32}, shape {granularity::per_block, 6, 40, 16, 4}})
        for (const scheme how : {scheme::symmetric, scheme::affine}) {
            const problem p(s, codes_of_bits(4, true), false, {}, 3, false);
            const std::size_t count = p.scales.size();
            std::vector<float> scales(count), expected_scales(count);
            std::vector<std::int32_t> zero_points(count), expected_zero_points(count);
            std::vector<float> scratch(start_params_scratch(params_start::mse, s.kind, s.rows, s.cols, s.group, s.block_rows)),
                small(choose_params_scratch(s.kind, s.rows, s.cols, s.group, s.block_rows));
            if (check_grouping<int4x2>(s.kind, s.group, s.block_rows) == status::ok) {
                REQUIRE(choose_params<int4x2>(p.x_view(), how, s.kind, s.group, expected_scales, expected_zero_points, small, s.block_rows)
                        == status::ok);
                REQUIRE(start_params(
                            p.x_view(), params_start::max_abs, how, {-8, 7}, s.kind, s.group, scales, zero_points, scratch, s.block_rows)
                        == status::ok);
                CHECK((scales == expected_scales && zero_points == expected_zero_points));
            }
            const fake_quantization f {{s.kind, s.group, scales, zero_points, s.block_rows}, {-8, 7}, {}};
            const auto errors = [&] {
                std::vector<double> sum(count);
                std::vector<float> y(p.x.size());
                REQUIRE(fake_quantize(p.x_view(), f, {y.data(), s.rows, s.cols, p.stride}) == status::ok);
                for (std::ptrdiff_t r = 0; r < s.rows; ++r)
                    for (std::ptrdiff_t c = 0; c < s.cols; ++c)
                        sum[p.param(r, c)] += std::pow(
                            static_cast<double>(y[static_cast<std::size_t>(r * p.stride + c)]) - static_cast<double>(p.x_view()(r, c)), 2);
                return sum;
            };
            REQUIRE(start_params(p.x_view(), params_start::mse, how, {-8, 7}, s.kind, s.group, scales, zero_points, scratch, s.block_rows)
                    == status::ok);
            const std::vector<double> best = errors();
            // No other of the fractions is better.
            std::vector<double> low(count, 0), high(count, 0);
            for (std::ptrdiff_t r = 0; r < s.rows; ++r)
                for (std::ptrdiff_t c = 0; c < s.cols; ++c) {
                    low[p.param(r, c)] = std::min(low[p.param(r, c)], static_cast<double>(p.x_view()(r, c)));
                    high[p.param(r, c)] = std::max(high[p.param(r, c)], static_cast<double>(p.x_view()(r, c)));
                }
            bool least = true;
            for (int i = 24; i <= 64; ++i) {
                for (std::size_t at = 0; at < count; ++at) {
                    const scale_and_zero_point tried
                        = params_of_range(static_cast<float>(low[at] * i / 64), static_cast<float>(high[at] * i / 64), how, {-8, 7});
                    scales[at] = tried.scale;
                    zero_points[at] = tried.zero_point;
                }
                const std::vector<double> error = errors();
                for (std::size_t at = 0; at < count; ++at)
                    least = least && best[at] <= error[at] * (1 + 1e-5);
            }
            CHECK(least);
        }
    std::vector<float> bad {1.0f, std::numeric_limits<float>::infinity()}, scale(1), scratch(100);
    CHECK(start_params({bad.data(), 1, 2}, params_start::mse, scheme::symmetric, {-8, 7}, granularity::per_tensor, 0, scale, {}, scratch)
          == status::not_finite);
    CHECK(start_params({bad.data(), 1, 2}, params_start::mse, scheme::symmetric, {7, -8}, granularity::per_tensor, 0, scale, {}, scratch)
          == status::code_limits_invalid);
    CHECK(start_params({bad.data(), 1, 2}, params_start::mse, scheme::symmetric, {-8, 7}, granularity::per_tensor, 0, scale, {}, {})
          == status::buffer_too_small);

    std::vector<float> scales {0.5f, -0.1f, 0.0f, std::numeric_limits<float>::quiet_NaN(), 1e-9f};
    bound_scales(scales, 1e-6f);
    CHECK(scales == std::vector<float> {0.5f, 1e-6f, 1e-6f, 1e-6f, 1e-6f});
    const std::vector<float> learned {0.5f, 1.5f, -9.0f, 300.0f, std::numeric_limits<float>::quiet_NaN()};
    std::vector<std::int32_t> zero_points(5);
    REQUIRE(round_zero_points(learned, {0, 15}, zero_points) == status::ok);
    CHECK(zero_points == std::vector<std::int32_t> {0, 2, 0, 15, 0});
}

TEST_CASE("convert packs the codes that fake_quantize rounds to, with the trained scales, as pack does")
{
    const problem p({granularity::per_group, 18, 40, 8}, codes_of_bits(3, true), true, {}, 9, false);
    std::vector<int4x2> codes(18 * 20);
    REQUIRE(fake_quantized_codes(p.x_view(), p.f, matrix_view<int4x2>(codes.data(), 18, 20)) == status::ok);
    for (std::ptrdiff_t r = 0; r < 18; ++r)
        for (std::ptrdiff_t c = 0; c < 40; ++c) {
            const std::int32_t code = load_code(codes.data() + r * 20, c);
            REQUIRE((code >= -4 && code <= 3));
        }
    const auto packed = packed_weights::make(matrix_view<const int4x2>(codes.data(), 18, 20), 40, p.f.params);
    const auto converted = convert<int4x2>(p.x_view(), p.f);
    REQUIRE((packed.error() == status::ok && converted.error() == status::ok));
    REQUIRE(packed->bytes().size() == converted->bytes().size());
    CHECK(test::same_bits(packed->bytes().data(), converted->bytes().data(), packed->bytes().size()));
    fake_quantization blocks = p.f;
    blocks.params = {granularity::per_column, 0, span<const float>(p.scales).subspan(0, 40)};
    CHECK(convert<int8_t>(p.x_view(), blocks).error() == status::granularity_unsupported);
}

TEST_CASE("a small network trained in fake quantization recovers what rounding to nearest loses, on the integer kernels")
{
    using perceptron::matrix;
    using perceptron::network;
    // Points around 24 centres, which take turns to be of one of four classes.
    constexpr std::ptrdiff_t size = 32, centres = 24, classes = 4, training = 4096, held_out = 1024, batch = 64;
    test::random random(4);
    matrix centre, x;
    centre.resize(centres, size);
    for (float& d : centre.data)
        d = random.real();
    x.resize(training + held_out, size);
    std::vector<std::uint8_t> labels;
    for (std::ptrdiff_t i = 0; i < x.rows; ++i) {
        const std::ptrdiff_t at = random.integer(0, centres - 1);
        for (std::ptrdiff_t l = 0; l < size; ++l) // in [0, 1], as network takes its input to be
            x.row(i)[l] = 0.5f + centre.row(at)[l] / 12.0f + (random.real() + random.real()) / 24.0f;
        labels.push_back(static_cast<std::uint8_t>(at % classes));
    }
    const auto rows = [&](std::ptrdiff_t first, std::ptrdiff_t count) {
        matrix part;
        part.resize(count, size);
        std::copy(x.row(first), x.row(first) + count * size, part.data.begin());
        return part;
    };
    const auto train = [&](network& n, int epochs, float rate) {
        matrix d;
        n.forget();
        for (int epoch = 0; epoch < epochs; ++epoch)
            for (std::ptrdiff_t first = 0; first < training; first += batch) {
                cross_entropy(n.forward(rows(first, batch)), labels.data() + first, d);
                n.backward(d);
                n.step(rate * (1.0f - static_cast<float>(epoch) / static_cast<float>(epochs)));
            }
    };
    const auto correct = [&](auto&& n) {
        return static_cast<double>(perceptron::count_correct(n.forward(rows(training, held_out)), labels.data() + training)) / held_out;
    };

    network n({size, 64, 32, classes}, 1);
    train(n, 10, 1e-2f);
    const double floats = correct(n);
    CHECK(floats > 0.97);
    n.quantize({codes_of_bits(2, true), codes_of_bits(4, false)}, params_start::max_abs, rows(0, training));
    const double rounded = correct(perceptron::integer_network(n));
    CHECK(rounded < floats - 0.3);
    n.quantize({codes_of_bits(2, true), codes_of_bits(4, false)}, params_start::mse, rows(0, training));
    const std::vector<float> first_scales = n.layers[0].weight_scales.value;
    train(n, 20, 1e-2f);
    CHECK(n.layers[0].weight_scales.value != first_scales);
    const double trained = correct(perceptron::integer_network(n));
    INFO("floats " << floats << ", rounded to nearest " << rounded << ", trained " << trained);
    CHECK(trained > floats - 0.015);
    CHECK(std::fabs(trained - correct(n)) <= 0.01); // the simulation in floats
}
