#include "../support.hpp"

#include <algorithm>
#include <cmath>

using namespace nibble;

namespace {

// m rows of k inputs that depend on each other, as those of a real layer do.
std::vector<float> correlated(std::ptrdiff_t m, std::ptrdiff_t k, std::uint64_t seed)
{
    test::random random(seed);
    std::vector<float> mix(static_cast<std::size_t>(k * k)), x(static_cast<std::size_t>(m * k));
    for (float& v : mix)
        v = random.real() * 0.3f;
    std::vector<float> source(static_cast<std::size_t>(k));
    for (std::ptrdiff_t r = 0; r < m; ++r) {
        for (std::ptrdiff_t c = 0; c < k; ++c)
            source[std::size_t(c)] = random.real() / static_cast<float>(1 + c % 7);
        for (std::ptrdiff_t c = 0; c < k; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j)
                x[std::size_t(r * k + c)] += mix[std::size_t(c * k + j)] * source[std::size_t(j)];
    }
    return x;
}

std::vector<float> weights(std::ptrdiff_t n, std::ptrdiff_t k, std::uint64_t seed)
{
    test::random random(seed);
    std::vector<float> w(static_cast<std::size_t>(n * k));
    for (float& v : w)
        v = random.real() + random.real() * 0.5f;
    return w;
}

hessian hessian_of(const std::vector<float>& x, std::ptrdiff_t k)
{
    auto h = hessian::make(k);
    REQUIRE(h);
    REQUIRE(h->add({x.data(), static_cast<std::ptrdiff_t>(x.size()) / k, k}) == status::ok);
    return std::move(*h);
}

template <class Q>
struct quantized {
    std::vector<Q> codes;
    std::vector<float> scales;
    std::vector<std::int32_t> zero_points;
    std::ptrdiff_t n, k;
    weight_format f;

    quantized(std::ptrdiff_t rows, std::ptrdiff_t cols, const weight_format& format)
        : codes(std::size_t(rows * elements_for<Q>(cols))), scales(std::size_t(params_count(format.kind, rows, cols, format.group_size))),
          zero_points(scales.size()), n(rows), k(cols), f(format)
    {
    }
    quantized_matrix<Q> to() { return {{codes.data(), n, elements_for<Q>(k)}, scales, zero_points}; }
    bool operator==(const quantized& other) const
    {
        return test::same_bits(codes.data(), other.codes.data(), codes.size())
               && test::same_bits(scales.data(), other.scales.data(), scales.size()) && zero_points == other.zero_points;
    }
    std::vector<float> back() const
    {
        std::vector<float> values(std::size_t(n * k));
        reference::dequantize(matrix_view<const Q>(codes.data(), n, elements_for<Q>(k)), {f.kind, f.group_size, scales, zero_points},
            matrix_view<float>(values.data(), n, k));
        return values;
    }
};

// ||X (W - Q)^T||^2, from its definition
double output_error(
    const std::vector<float>& x, const std::vector<float>& w, const std::vector<float>& q, std::ptrdiff_t n, std::ptrdiff_t k)
{
    double sum = 0;
    for (std::ptrdiff_t r = 0; r < static_cast<std::ptrdiff_t>(x.size()) / k; ++r)
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            double y = 0;
            for (std::ptrdiff_t c = 0; c < k; ++c)
                y += double(x[std::size_t(r * k + c)]) * (double(w[std::size_t(i * k + c)]) - double(q[std::size_t(i * k + c)]));
            sum += y * y;
        }
    return sum;
}

} // namespace

TEST_CASE("the double product is one ascending chain of fused multiply-adds on every backend")
{
    test::random random(3);
    for (const std::ptrdiff_t m : {1, 2, 7, 8, 13, 17})
        for (const std::ptrdiff_t n : {1, 3, 4, 15, 16, 17, 33, 70})
            for (const std::ptrdiff_t k : {0, 1, 5}) {
                const std::ptrdiff_t stride = n + 3;
                test::guarded<double> a(m * k + 1), b((k > 0 ? k - 1 : 0) * stride + n), c((m - 1) * stride + n);
                std::vector<double> start(c.size()), expected;
                for (std::size_t i = 0; i < a.size(); ++i)
                    a[i] = double(random.real()) / 3;
                for (std::size_t i = 0; i < b.size(); ++i)
                    b[i] = double(random.real()) / 7;
                for (double& v : start)
                    v = double(random.real()) / 9;
                for (const bool subtract : {false, true}) {
                    expected = start;
                    for (std::ptrdiff_t i = 0; i < m; ++i)
                        for (std::ptrdiff_t j = 0; j < n; ++j)
                            for (std::ptrdiff_t l = 0; l < k; ++l) {
                                double& sum = expected[std::size_t(i * stride + j)];
                                const double left = a[std::size_t(l * m + i)];
                                sum = std::fma(subtract ? -left : left, b[std::size_t(l * stride + j)], sum);
                            }
                    for (const backend back : test::usable_backends()) {
                        REQUIRE(force_backend(back) == status::ok);
                        std::copy(start.begin(), start.end(), c.data());
                        kernels::product_f64()({a.data(), 1, m, b.data(), stride, c.data(), stride, m, n, k, subtract});
                        INFO(to_string(back) << " " << m << " " << n << " " << k);
                        CHECK(test::same_bits(c.data(), expected.data(), expected.size()));
                    }
                }
            }
    REQUIRE(force_backend(best_backend()) == status::ok);
}

TEST_CASE("the Cholesky factor gives the matrix back, at sizes around the block, the same for any executor")
{
    for (const std::ptrdiff_t k : {1, 2, 63, 64, 65, 150}) {
        const hessian h = hessian_of(correlated(2 * k, k, 5), k);
        std::vector<double> a(std::size_t(k * k)), again;
        for (std::ptrdiff_t i = 0; i < k; ++i)
            for (std::ptrdiff_t j = 0; j < k; ++j)
                a[std::size_t(i * k + j)] = h(i, j) + (i == j ? 0.1 : 0.0);
        again = a;
        REQUIRE(cholesky(matrix_view<double>(a.data(), k, k)));
        REQUIRE(cholesky(matrix_view<double>(again.data(), k, k), test::three_threads()));
        double worst = 0;
        for (std::ptrdiff_t i = 0; i < k; ++i)
            for (std::ptrdiff_t j = i; j < k; ++j) {
                double sum = 0;
                for (std::ptrdiff_t l = 0; l <= i; ++l)
                    sum += a[std::size_t(l * k + i)] * a[std::size_t(l * k + j)];
                const double exact = h(i, j) + (i == j ? 0.1 : 0.0);
                worst = std::max(worst, std::fabs(sum - exact) / std::sqrt((h(i, i) + 0.1) * (h(j, j) + 0.1)));
            }
        CHECK(worst < 1e-14 * double(k + 10));
        CHECK(test::same_bits(a.data(), again.data(), a.size()));
    }
    double indefinite[] = {1.0, 2.0, 2.0, 1.0};
    CHECK_FALSE(cholesky(matrix_view<double>(indefinite, 2, 2)));
}

TEST_CASE("round to nearest is choose_params and quantize where it can be compared")
{
    const std::ptrdiff_t n = 5, k = 70;
    const std::vector<float> w = weights(n, k, 11);
    weight_format f;
    f.kind = granularity::per_group;
    f.group_size = 32;
    quantized<int4x2> q(n, k, f), expected(n, k, f);
    REQUIRE(round_to_nearest(matrix_view<const float>(w.data(), n, k), f, q.to()) == status::ok);
    std::vector<float> scratch(choose_params_scratch(f.kind, n, k, 32));
    REQUIRE(choose_params<int4x2>({w.data(), n, k}, scheme::symmetric, f.kind, 32, expected.scales, {}, scratch) == status::ok);
    REQUIRE(quantize({w.data(), n, k}, {f.kind, 32, expected.scales}, expected.to().codes) == status::ok);
    CHECK(q == expected);

    f.search = range_search::squared_error;
    quantized<int4x2> searched(n, k, f);
    REQUIRE(round_to_nearest(matrix_view<const float>(w.data(), n, k), f, searched.to()) == status::ok);
    double before = 0, after = 0;
    const std::vector<float> plain = q.back(), found = searched.back();
    for (std::size_t i = 0; i < w.size(); ++i) {
        before += (double(w[i]) - plain[i]) * (double(w[i]) - plain[i]);
        after += (double(w[i]) - found[i]) * (double(w[i]) - found[i]);
    }
    CHECK(after < before);
}

TEMPLATE_TEST_CASE("GPTQ with a diagonal Hessian is round to nearest, bit for bit", "", std::int8_t, int4x2, uint4x2, int2x4)
{
    const std::ptrdiff_t n = 70, k = 150;
    std::vector<float> x(std::size_t(k * k));
    for (std::ptrdiff_t i = 0; i < k; ++i)
        x[std::size_t(i * k + i)] = 0.5f + static_cast<float>(i % 13);
    const hessian h = hessian_of(x, k);
    const std::vector<float> w = weights(n, k, 21);
    for (const granularity kind : {granularity::per_tensor, granularity::per_channel, granularity::per_group})
        for (const scheme how : {scheme::symmetric, scheme::affine})
            for (const bool act_order : {false, true}) {
                weight_format f;
                f.kind = kind;
                f.group_size = kind == granularity::per_group ? 32 : 0;
                f.how = how;
                gptq_options o;
                o.act_order = act_order;
                quantized<TestType> expected(n, k, f), q(n, k, f);
                REQUIRE(round_to_nearest(matrix_view<const float>(w.data(), n, k), f, expected.to()) == status::ok);
                REQUIRE(gptq(matrix_view<const float>(w.data(), n, k), h, f, q.to(), o) == status::ok);
                CHECK(q == expected);
            }
}

TEST_CASE("GPTQ never leaves a larger output error than round to nearest on seeded correlated layers")
{
    int cases = 0, above = 0;
    std::ptrdiff_t rounded = 0;
    for (std::uint64_t seed = 0; seed < 12; ++seed)
        for (const int bits : {2, 3, 4, 8})
            for (const std::ptrdiff_t group : {0, 32})
                for (const bool act_order : {false, true}) {
                    const std::ptrdiff_t n = 9, k = 96;
                    const std::vector<float> x = correlated(200, k, seed), w = weights(n, k, seed + 100);
                    weight_format f;
                    f.bits = bits;
                    f.kind = group ? granularity::per_group : granularity::per_channel;
                    f.group_size = group;
                    gptq_options o;
                    o.act_order = act_order;
                    quantized<std::int8_t> nearest(n, k, f), q(n, k, f);
                    gptq_report report;
                    REQUIRE(round_to_nearest(matrix_view<const float>(w.data(), n, k), f, nearest.to()) == status::ok);
                    REQUIRE(gptq(matrix_view<const float>(w.data(), n, k), hessian_of(x, k), f, q.to(), o, &report) == status::ok);
                    const double error = output_error(x, w, q.back(), n, k);
                    above += error > output_error(x, w, nearest.back(), n, k);
                    rounded += report.nearest_rows;
                    ++cases;
                    CHECK(report.error >= error * (1 - 1e-9));
                    CHECK_FALSE(report.thin);
                }
    INFO(above << " of " << cases << ", rows rounded to nearest: " << rounded);
    CHECK(above == 0);
    CHECK(cases == 192);
    CHECK(rounded == 9); // of 1728
}

TEST_CASE("brute force bounds GPTQ on tiny layers of 2 bits, where the codes often end")
{
    int optimal = 0, above_nearest = 0;
    std::ptrdiff_t rounded = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const std::ptrdiff_t k = 6;
        const std::vector<float> x = correlated(30, k, seed), w = weights(1, k, seed + 7);
        weight_format f;
        f.bits = 2;
        gptq_options o;
        o.damping = 0;
        quantized<std::int8_t> nearest(1, k, f), q(1, k, f);
        REQUIRE(round_to_nearest(matrix_view<const float>(w.data(), 1, k), f, nearest.to()) == status::ok);
        gptq_report report;
        REQUIRE(gptq(matrix_view<const float>(w.data(), 1, k), hessian_of(x, k), f, q.to(), o, &report) == status::ok);
        rounded += report.nearest_rows;
        double best = HUGE_VAL;
        std::vector<float> tried(std::size_t(k), 0.0f);
        for (int code = 0; code < 4096; ++code) {
            for (std::ptrdiff_t c = 0; c < k; ++c)
                tried[std::size_t(c)] = static_cast<float>((code >> 2 * c & 3) - 2) * nearest.scales[0];
            best = std::min(best, output_error(x, w, tried, 1, k));
        }
        const double error = output_error(x, w, q.back(), 1, k);
        CHECK(error >= best * (1 - 1e-9));
        optimal += error <= best * (1 + 1e-9);
        above_nearest += error > output_error(x, w, nearest.back(), 1, k) * (1 + 1e-9);
    }
    CHECK(above_nearest == 0);
    CHECK(rounded == 5); // where the greedy codes alone would be above
    CHECK(optimal >= 4);
}

TEST_CASE("GPTQ is the same on every backend and executor, survives thin and dead data, and can be stopped")
{
    const std::ptrdiff_t n = 130, k = 100;
    std::vector<float> x = correlated(30, k, 9), w = weights(n, k, 10);
    for (std::ptrdiff_t r = 0; r < 30; ++r)
        x[std::size_t(r * k + 17)] = 0.0f;
    const hessian h = hessian_of(x, k);
    const matrix_view<const float> view(w.data(), n, k);
    weight_format f;
    f.kind = granularity::per_group;
    f.group_size = 24;
    f.half_scales = true;
    f.search = range_search::squared_error;
    f.range_steps = 8;
    gptq_options o;
    o.damping = 0;
    gptq_report report;
    quantized<uint4x2> expected(n, k, f);
    REQUIRE(gptq(view, h, f, expected.to(), o, &report) == status::ok);
    CHECK(report.thin);
    CHECK(report.damping > 0);
    CHECK(report.dead_columns == 1);
    for (const float v : expected.scales)
        CHECK(to_float(to_half(v)) == v);
    const std::vector<float> back = expected.back();
    for (std::ptrdiff_t r = 0; r < n; ++r)
        CHECK(back[std::size_t(r * k + 17)] == 0.0f);
    for (const backend b : test::usable_backends()) {
        REQUIRE(force_backend(b) == status::ok);
        quantized<uint4x2> q(n, k, f);
        REQUIRE(gptq(view, h, f, q.to(), o, nullptr, {}, test::three_threads()) == status::ok);
        CHECK(q == expected);
    }
    REQUIRE(force_backend(best_backend()) == status::ok);
    REQUIRE(packed_weights::make(
        matrix_view<const uint4x2>(expected.codes.data(), n, elements_for<uint4x2>(k)), k, params_of(f, expected.to()), {true}));

    quantized<uint4x2> q(n, k, f);
    const progress stop {[](void*, double done) { return done < 0.3; }, nullptr};
    CHECK(gptq(view, h, f, q.to(), o, nullptr, stop) == status::cancelled);
    CHECK(gptq(view, *hessian::make(k), f, q.to(), o) == status::calibration_missing);
    CHECK(gptq(view, *hessian::make(k + 1), f, q.to(), o) == status::shape_mismatch);
    o.damping = -1;
    CHECK(gptq(view, h, f, q.to(), o) == status::option_invalid);
    f.bits = 5;
    CHECK(gptq(view, h, f, q.to()) == status::bits_invalid);
    x[3] = NAN;
    auto other = hessian::make(k);
    CHECK(other->add({x.data(), 30, k}) == status::not_finite);
    CHECK(other->rows() == 0);
}

TEST_CASE("AWQ's scales are the published formula, and never end above rounding to nearest")
{
    int better = 0;
    for (std::uint64_t seed = 0; seed < 6; ++seed)
        for (const bool grouped : {false, true}) {
            const std::ptrdiff_t m = 150, n = 20, k = 64;
            std::vector<float> x = correlated(m, k, seed), w = weights(n, k, seed + 50);
            for (std::ptrdiff_t r = 0; r < m; ++r)
                x[std::size_t(r * k + 5)] *= 20.0f;
            std::vector<column_statistics> columns(static_cast<std::size_t>(k));
            REQUIRE(observe_columns({x.data(), m, k}, span<column_statistics>(columns)) == status::ok);
            std::vector<float> magnitude, scales(static_cast<std::size_t>(k)), scaled(w.size());
            for (const column_statistics& c : columns)
                magnitude.push_back(c.magnitude());
            weight_format f;
            f.bits = 3;
            f.kind = grouped ? granularity::per_group : granularity::per_channel;
            f.group_size = grouped ? 16 : 0;
            hessian h = hessian_of(x, k);
            awq_report report;
            REQUIRE(search_awq_scales<std::int8_t>({w.data(), n, k}, magnitude, h, f, 20, scales, &report) == status::ok);
            double most = 0, least = HUGE_VAL;
            for (const float a : magnitude) {
                const double s = std::max(std::pow(double(a), report.ratio), 1e-4);
                most = std::max(most, s);
                least = std::min(least, s);
            }
            for (std::size_t c = 0; c < scales.size(); ++c)
                CHECK(double(scales[c]) == Approx(std::pow(double(magnitude[c]), report.ratio) / std::sqrt(most * least)).epsilon(1e-6));
            CHECK(report.error <= report.error_before);
            better += report.error < report.error_before;

            // What the report says is what scaling, rounding and dividing gives.
            quantized<std::int8_t> q(n, k, f);
            REQUIRE(scale_columns({w.data(), n, k}, scales, false, {scaled.data(), n, k}) == status::ok);
            REQUIRE(round_to_nearest(matrix_view<const float>(scaled.data(), n, k), f, q.to()) == status::ok);
            std::vector<float> back = q.back();
            for (std::size_t i = 0; i < back.size(); ++i)
                back[i] /= scales[i % std::size_t(k)];
            CHECK(output_error(x, w, back, n, k) == Approx(report.error).epsilon(1e-4));

            // The clip search measures groups alone, so its promise is for whole rows.
            quantized<std::int8_t> nearest(n, k, f), clipped(n, k, f);
            REQUIRE(round_to_nearest(matrix_view<const float>(w.data(), n, k), f, nearest.to()) == status::ok);
            REQUIRE(round_clipped(matrix_view<const float>(w.data(), n, k), h, f, clipped.to()) == status::ok);
            if (!grouped)
                CHECK(output_error(x, w, clipped.back(), n, k) <= output_error(x, w, nearest.back(), n, k) * (1 + 1e-9));
        }
    CHECK(better >= 10);
}

TEST_CASE("SmoothQuant keeps the float function, its formula is the published one, and it never ends above its start")
{
    const float a[] = {16.0f, 1.0f, 0.0f}, b[] = {1.0f, 4.0f, 0.0f};
    float s[3];
    REQUIRE(smooth_scales(a, b, 0.5, false, s) == status::ok);
    CHECK(s[0] == 4.0f);
    CHECK(s[1] == 0.5f);
    CHECK(s[2] == 1.0f);
    REQUIRE(smooth_scales(a, b, 0.25, true, s) == status::ok);
    CHECK(s[0] == 2.0f);
    CHECK(smooth_scales(a, b, 1.5, false, s) == status::option_invalid);

    for (std::uint64_t seed = 0; seed < 4; ++seed)
        for (const activation_scales kind : {activation_scales::per_row, activation_scales::per_tensor})
            for (const bool power : {false, true}) {
                const std::ptrdiff_t m = 60, n = 17, k = 48;
                std::vector<float> x = correlated(m, k, seed), w = weights(n, k, seed + 3), scales(static_cast<std::size_t>(k));
                for (std::ptrdiff_t r = 0; r < m && seed != 3; ++r)
                    x[std::size_t(r * k + 7)] *= 100.0f;
                smooth_report report;
                REQUIRE(search_smooth_scales({x.data(), m, k}, {w.data(), n, k}, kind, power, 20, scales, &report) == status::ok);
                CHECK(report.error <= report.error_before);
                if (seed != 3)
                    CHECK(report.error < report.error_before / 4);
                double worst = 0;
                for (std::ptrdiff_t r = 0; r < m; ++r)
                    for (std::ptrdiff_t j = 0; j < n; ++j) {
                        double before = 0, after = 0, size = 0;
                        for (std::ptrdiff_t c = 0; c < k; ++c) {
                            const double xv = double(x[std::size_t(r * k + c)]), wv = double(w[std::size_t(j * k + c)]);
                            const double scale = double(scales[std::size_t(c)]);
                            before += xv * wv;
                            after += (xv / scale) * (wv * scale);
                            size += std::fabs(xv * wv);
                        }
                        worst = std::max(worst, std::fabs(before - after) / size);
                        if (power)
                            CHECK(before == after);
                    }
                CHECK(worst < 1e-12);
            }
}

TEST_CASE("HQQ is its formulas, and never ends above rounding to nearest in its own measure")
{
    // One step by hand: 4 codes of [0, 3] for the weights 0, 1, 2, 9: scale 3, codes 0 0 1 3; beta so small that no error counts as an
    // outlier.
    const float w[] = {0.0f, 1.0f, 2.0f, 9.0f};
    weight_format f;
    f.how = scheme::affine;
    f.bits = 2;
    CHECK(detail::shrink(0.5, {1.0, 4.0, 1.01, 1}, 4.0) == 0.25);
    CHECK(detail::shrink(-0.5, {1.0, 4.0, 1.01, 1}, 4.0) == -0.25);
    CHECK(detail::shrink(0.2, {1.0, 4.0, 1.01, 1}, 4.0) == 0.0);
    hqq_options o;
    o.p = 2.0;
    o.beta = 1e-30;
    o.iterations = 1;
    quantized<std::uint8_t> one(1, 4, f);
    REQUIRE(hqq(matrix_view<const float>(w, 1, 4), f, one.to(), o) == status::ok);
    // scale = sum q w / sum q^2 = (2 + 27) / (1 + 9) = 2.9; 0, 0, 1, 3: error 1 + 0.81 + 0.09 is less than 1 + 1 + 0
    CHECK(one.scales[0] == 2.9f);

    for (const scheme how : {scheme::symmetric, scheme::affine})
        for (const std::ptrdiff_t group : {0, 32}) {
            const std::ptrdiff_t n = 40, k = 96;
            const std::vector<float> layer = weights(n, k, 77);
            weight_format g;
            g.how = how;
            g.bits = 3;
            g.kind = group ? granularity::per_group : granularity::per_channel;
            g.group_size = group;
            quantized<std::uint8_t> nearest(n, k, g), q(n, k, g), again(n, k, g);
            REQUIRE(round_to_nearest(matrix_view<const float>(layer.data(), n, k), g, nearest.to()) == status::ok);
            REQUIRE(hqq(matrix_view<const float>(layer.data(), n, k), g, q.to()) == status::ok);
            REQUIRE(hqq(matrix_view<const float>(layer.data(), n, k), g, again.to(), {}, {}, test::three_threads()) == status::ok);
            CHECK(q == again);
            double before = 0, after = 0;
            const std::vector<float> a = nearest.back(), b = q.back();
            for (std::size_t i = 0; i < layer.size(); ++i) {
                before += std::pow(std::fabs(double(layer[i]) - a[i]), 0.7);
                after += std::pow(std::fabs(double(layer[i]) - b[i]), 0.7);
            }
            CHECK(after < before);
        }
}

TEST_CASE("bias correction takes the mean error out of the outputs")
{
    const std::ptrdiff_t m = 50, n = 5, k = 12;
    std::vector<float> x = correlated(m, k, 4), bias(static_cast<std::size_t>(n), 1.0f), mean;
    for (float& v : x)
        v += 1.0f;
    const std::vector<float> w = weights(n, k, 6);
    weight_format f;
    f.bits = 3;
    quantized<std::int8_t> q(n, k, f);
    REQUIRE(round_to_nearest(matrix_view<const float>(w.data(), n, k), f, q.to()) == status::ok);
    std::vector<column_statistics> columns(static_cast<std::size_t>(k));
    REQUIRE(observe_columns({x.data(), m, k}, span<column_statistics>(columns)) == status::ok);
    for (const column_statistics& c : columns)
        mean.push_back(c.mean());
    const std::vector<float> back = q.back();
    REQUIRE(correct_bias({w.data(), n, k}, {back.data(), n, k}, mean, bias) == status::ok);
    for (std::ptrdiff_t j = 0; j < n; ++j) {
        double shift = 1.0 - double(bias[std::size_t(j)]);
        for (std::ptrdiff_t r = 0; r < m; ++r)
            for (std::ptrdiff_t c = 0; c < k; ++c)
                shift += double(x[std::size_t(r * k + c)]) * (double(w[std::size_t(j * k + c)]) - double(back[std::size_t(j * k + c)]))
                         / double(m);
        CHECK(std::fabs(shift) < 1e-5);
    }
}

TEST_CASE("the formats under a budget are the best ones, which brute force finds too")
{
    test::random random(9);
    for (int round = 0; round < 40; ++round) {
        const std::size_t layers = 5, formats = 3;
        std::vector<double> errors(layers * formats);
        std::vector<std::uint64_t> bytes(errors.size());
        for (std::size_t i = 0; i < errors.size(); ++i) {
            errors[i] = double(random.integer(0, 1000));
            bytes[i] = std::uint64_t(random.integer(1, 40)) * 100;
        }
        const std::uint64_t budget = std::uint64_t(random.integer(5, 150)) * 100;
        double best = HUGE_VAL;
        for (std::size_t choice = 0; choice < 243; ++choice) {
            double error = 0;
            std::uint64_t size = 0;
            for (std::size_t l = 0, rest = choice; l < layers; ++l, rest /= 3) {
                error += errors[l * 3 + rest % 3];
                size += bytes[l * 3 + rest % 3];
            }
            if (size <= budget)
                best = std::min(best, error);
        }
        std::vector<std::uint32_t> chosen(layers, 9);
        mixed_precision_report report;
        const status s = choose_formats(errors, bytes, formats, budget, chosen, &report);
        if (best == HUGE_VAL) {
            CHECK(s == status::budget_too_small);
            CHECK(chosen[0] == 9);
            continue;
        }
        REQUIRE(s == status::ok);
        CHECK(report.error == best);
        CHECK(report.bytes <= budget);
        // Counted in a few units it still fits, if it can.
        if (choose_formats(errors, bytes, formats, budget, chosen, &report, 16) == status::ok) {
            CHECK(report.bytes <= budget);
            CHECK(report.error >= best);
        }
    }
}

TEST_CASE("the column split is its two products and one sum, bit for bit, and keeps the outliers exact")
{
    const std::ptrdiff_t m = 9, n = 21, k = 40;
    std::vector<float> x = correlated(m, k, 2), w = weights(n, k, 5), most(static_cast<std::size_t>(k)),
                       bias(static_cast<std::size_t>(n), 0.25f);
    for (std::ptrdiff_t r = 0; r < m; ++r)
        for (const std::ptrdiff_t c : {3, 17})
            x[std::size_t(r * k + c)] *= 300.0f;
    REQUIRE(column_max({x.data(), m, k}, most) == status::ok);
    std::vector<std::int32_t> columns(static_cast<std::size_t>(k));
    const auto found = find_outlier_columns(most, 20.0f, columns);
    REQUIRE(found);
    REQUIRE(found->outliers == 2);
    CHECK(columns[0] == 3);
    CHECK(columns[1] == 17);
    CHECK(found->kept_bits > 5);
    const auto split = column_split::make<std::int8_t>({w.data(), n, k}, span<const std::int32_t>(columns.data(), 2), weight_format {});
    REQUIRE(split);
    epilogue e;
    e.bias = bias;
    e.function = activation_function::relu;

    std::vector<float> inner(std::size_t(m * 38)), outer(std::size_t(m * 2)), a(std::size_t(m * n)), b(a.size()), exact(a.size());
    split->gather({x.data(), m, k}, {inner.data(), m, 38}, {outer.data(), m, 2});
    CHECK(outer[1] == x[17]);
    for (const backend back : test::usable_backends()) {
        REQUIRE(force_backend(back) == status::ok);
        std::vector<float> y(a.size());
        std::vector<std::byte> workspace(gemm_workspace(m, *split));
        REQUIRE(gemm({x.data(), m, k}, *split, e, {y.data(), m, n}, workspace, test::reversed_executor {}) == status::ok);
        REQUIRE(gemm({inner.data(), m, 38}, split->quantized(), {}, matrix_view<float>(a.data(), m, n), workspace) == status::ok);
        REQUIRE(gemm({outer.data(), m, 2}, split->floats(), {}, matrix_view<float>(b.data(), m, n), {}) == status::ok);
        for (std::size_t i = 0; i < y.size(); ++i)
            CHECK(y[i] == std::max(a[i] + b[i] + 0.25f, 0.0f));
        CHECK(gemm({x.data(), m, k}, *split, e, {y.data(), m, n}, span<std::byte>(workspace.data(), workspace.size() - 1))
              == status::buffer_too_small);
    }
    REQUIRE(force_backend(best_backend()) == status::ok);
    // Against the float product the split is far better than int8 alone.
    const auto floats = packed_weights::make(matrix_view<const float>(w.data(), n, k));
    REQUIRE(gemm({x.data(), m, k}, *floats, {}, matrix_view<float>(exact.data(), m, n), {}) == status::ok);
    const auto plain = column_split::make<std::int8_t>({w.data(), n, k}, {}, weight_format {});
    std::vector<std::byte> workspace(gemm_workspace(m, *plain));
    double errors[2];
    for (const int i : {0, 1}) {
        REQUIRE(gemm({x.data(), m, k}, i == 0 ? *plain : *split, {}, {a.data(), m, n}, workspace) == status::ok);
        errors[i] = compare({exact.data(), m, n}, {a.data(), m, n})->noise;
    }
    CHECK(errors[1] < errors[0] / 100);
    const std::int32_t unsorted[] = {4, 2};
    CHECK(column_split::make<std::int8_t>({w.data(), n, k}, unsorted, weight_format {}).error() == status::shape_mismatch);
}

TEST_CASE("dense and sparse: the greatest weights stay exact, and the product is one chain after the dense sum")
{
    const std::ptrdiff_t m = 5, n = 13, k = 30, kept = 20;
    const std::vector<float> x = correlated(m, k, 8), w = weights(n, k, 15);
    std::vector<float> dense(w.size()), values(kept), a(std::size_t(m * n)), y(a.size());
    std::vector<std::int32_t> row_begin(n + 1), columns(kept);
    REQUIRE(split_outlier_weights({w.data(), n, k}, {}, {dense.data(), n, k}, row_begin, columns, values) == status::ok);
    float least_kept = 1e9f, most_left = 0;
    for (const float v : values)
        least_kept = std::min(least_kept, std::fabs(v));
    std::vector<float> whole = dense;
    for (std::ptrdiff_t r = 0; r < n; ++r)
        for (std::int32_t i = row_begin[std::size_t(r)]; i < row_begin[std::size_t(r) + 1]; ++i)
            whole[std::size_t(r * k + columns[std::size_t(i)])] += values[std::size_t(i)];
    for (const float v : dense)
        most_left = std::max(most_left, std::fabs(v));
    CHECK(whole == w);
    CHECK(most_left <= least_kept);
    weight_format f;
    f.kind = granularity::per_group;
    f.group_size = 16;
    quantized<int4x2> q(n, k, f);
    REQUIRE(round_to_nearest(matrix_view<const float>(dense.data(), n, k), f, q.to()) == status::ok);
    const auto packed
        = packed_weights::make(matrix_view<const int4x2>(q.codes.data(), n, elements_for<int4x2>(k)), k, params_of(f, q.to()));
    REQUIRE(packed);
    std::vector<std::byte> workspace(gemm_workspace(m, packed->view()));
    REQUIRE(gemm({x.data(), m, k}, *packed, {}, matrix_view<float>(a.data(), m, n), workspace) == status::ok);
    const sparse_view sparse {row_begin, columns, values};
    REQUIRE(gemm({x.data(), m, k}, *packed, sparse, {}, {y.data(), m, n}, workspace, test::reversed_executor {}) == status::ok);
    for (std::ptrdiff_t r = 0; r < m; ++r)
        for (std::ptrdiff_t j = 0; j < n; ++j) {
            float sum = a[std::size_t(r * n + j)];
            for (std::int32_t i = row_begin[std::size_t(j)]; i < row_begin[std::size_t(j) + 1]; ++i)
                sum = std::fma(x[std::size_t(r * k + columns[std::size_t(i)])], values[std::size_t(i)], sum);
            CHECK(y[std::size_t(r * n + j)] == sum);
        }
    columns[3] = 30;
    CHECK(gemm({x.data(), m, k}, *packed, {row_begin, columns, values}, {}, {y.data(), m, n}, workspace) == status::shape_mismatch);
}
