// Numbers times a power of two have the same codes, and scales times that power, wherever all are normal floats.

#include "../support.hpp"

#include <cmath>
#include <limits>

using namespace nibble;

namespace {

constexpr int powers[] = {-100, -99, -75, -64, -63, -40, -13, -1, 0, 1, 7, 24, 59, 60};

int any_power(test::random& random)
{
    const std::int32_t i = random.integer(0, 2 * std::int32_t(std::size(powers)) - 1);
    return i < std::int32_t(std::size(powers)) ? powers[i] : random.integer(-100, 60);
}

std::vector<float> times(std::vector<float> x, int power)
{
    for (float& v : x)
        v = std::ldexp(v, power);
    return x;
}

std::vector<double> times(std::vector<double> x, int power)
{
    for (double& v : x)
        v = std::ldexp(v, power);
    return x;
}

std::vector<float> numbers(test::random& random, std::ptrdiff_t count)
{
    std::vector<float> x(static_cast<std::size_t>(count));
    for (float& v : x)
        v = random.integer(0, 19) == 0 ? 0.0f : random.real() * (random.integer(0, 30) == 0 ? 12.0f : 1.0f);
    return x;
}

// Inputs that depend on each other; some columns are zero, others far below the rest.
std::vector<float> inputs(test::random& random, std::ptrdiff_t m, std::ptrdiff_t k)
{
    std::vector<float> x(static_cast<std::size_t>(m * k));
    for (std::ptrdiff_t r = 0; r < m; ++r) {
        const float shared[] = {random.real(), random.real()};
        for (std::ptrdiff_t c = 0; c < k; ++c)
            x[std::size_t(r * k + c)] = shared[c % 2] + random.real() * 0.4f;
    }
    for (std::ptrdiff_t c = 0; c < k; ++c)
        if (const std::int32_t kind = random.integer(0, 9); kind < 2)
            for (std::ptrdiff_t r = 0; r < m; ++r)
                x[std::size_t(r * k + c)] *= kind == 0 ? 0.0f : 0x1p-4f;
    return x;
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

    quantized(std::ptrdiff_t rows, std::ptrdiff_t cols, const weight_format& f)
        : codes(std::size_t(rows * elements_for<Q>(cols))), scales(std::size_t(params_count(f.kind, rows, cols, f.group_size))),
          zero_points(scales.size()), n(rows), k(cols)
    {
    }
    quantized_matrix<Q> to() { return {{codes.data(), n, elements_for<Q>(k)}, scales, zero_points}; }
    // A group of zeros has the scale 1 at any power.
    bool is(const quantized& other, int power) const
    {
        for (std::size_t i = 0; i < scales.size(); ++i)
            if (scales[i] != std::ldexp(other.scales[i], power) && !(scales[i] == 1.0f && other.scales[i] == 1.0f))
                return false;
        return test::same_bits(codes.data(), other.codes.data(), codes.size()) && zero_points == other.zero_points;
    }
};

weight_format any_format(test::random& random, bool per_tensor)
{
    weight_format f;
    f.bits = random.integer(2, 4);
    f.how = random.integer(0, 1) ? scheme::symmetric : scheme::affine;
    f.kind = random.integer(0, 1) ? granularity::per_group : granularity::per_channel;
    if (per_tensor && random.integer(0, 3) == 0)
        f.kind = granularity::per_tensor;
    f.group_size = f.kind == granularity::per_group ? 8 : 0;
    f.search = random.integer(0, 1) ? range_search::squared_error : range_search::min_max;
    f.range_steps = 6;
    return f;
}

} // namespace

TEST_CASE("round to nearest: weights and importance times powers of two")
{
    test::random random(1);
    for (int i = 0; i < 3000; ++i) {
        const std::ptrdiff_t n = random.integer(1, 3), k = random.integer(1, 20);
        const weight_format f = any_format(random, true);
        const std::vector<float> w = numbers(random, n * k);
        std::vector<float> importance(static_cast<std::size_t>(random.integer(0, 2) ? k : 0));
        for (float& v : importance)
            v = random.integer(0, 2) ? std::fabs(random.real()) : 0.0f;
        quantized<uint4x2> expected(n, k, f), q(n, k, f);
        REQUIRE(round_to_nearest({w.data(), n, k}, f, expected.to(), importance) == status::ok);
        const int power = any_power(random);
        const std::vector<float> scaled = times(w, power), weighted = times(importance, any_power(random));
        REQUIRE(round_to_nearest({scaled.data(), n, k}, f, q.to(), weighted) == status::ok);
        REQUIRE(q.is(expected, power));
    }
}

TEST_CASE("GPTQ: weights and inputs times powers of two")
{
    test::random random(2);
    std::ptrdiff_t dead = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::ptrdiff_t n = random.integer(1, 4), k = random.integer(1, 24), m = random.integer(1, 40);
        const weight_format f = any_format(random, true);
        gptq_options o;
        o.act_order = random.integer(0, 1);
        o.static_groups = random.integer(0, 1);
        const std::vector<float> w = numbers(random, n * k), x = inputs(random, m, k);
        quantized<uint4x2> expected(n, k, f), q(n, k, f);
        gptq_report before, report;
        REQUIRE(gptq({w.data(), n, k}, hessian_of(x, k), f, expected.to(), o, &before) == status::ok);
        const int power = any_power(random), input_power = any_power(random);
        const std::vector<float> scaled = times(w, power);
        REQUIRE(gptq({scaled.data(), n, k}, hessian_of(times(x, input_power), k), f, q.to(), o, &report) == status::ok);
        INFO(i);
        CAPTURE(expected.scales, q.scales, power, input_power, w, x, report.dead_columns, f.how, f.kind, f.search, o.act_order);
        REQUIRE(q.is(expected, power));
        REQUIRE(report.error == std::ldexp(before.error, 2 * (power + input_power)));
        REQUIRE(report.dead_columns == before.dead_columns);
        REQUIRE(report.nearest_rows == before.nearest_rows);
        dead += report.dead_columns;
    }
    CHECK(dead > 100);
}

TEST_CASE("a column of inputs is dead if all of it is zero, and only then")
{
    const std::ptrdiff_t n = 1, k = 4;
    const std::vector<float> w = {1.0f, -0.5f, 0.75f, 0.25f};
    for (const int far : {-20, -74, -80, -120, -149}) {
        std::vector<float> x(static_cast<std::size_t>(k * k));
        for (std::ptrdiff_t c = 0; c < k; ++c)
            x[std::size_t(c * k + c)] = c == 1 ? std::ldexp(1.0f, far) : c == 3 ? 0.0f : 1.0f;
        const hessian h = hessian_of(x, k);
        for (const bool act_order : {false, true}) {
            weight_format f;
            gptq_options o;
            o.damping = 0;
            o.act_order = act_order;
            gptq_report report;
            quantized<std::int8_t> q(n, k, f);
            REQUIRE(gptq({w.data(), n, k}, h, f, q.to(), o, &report) == status::ok);
            CHECK(report.dead_columns == 1);
            CHECK(q.codes == std::vector<std::int8_t> {127, -64, 95, 0});
        }
        float importance[4];
        REQUIRE(h.importance(span<float>(importance)) == status::ok);
        CHECK((importance[0] == 1.0f && importance[2] == 1.0f && importance[3] == 0.0f));
        CHECK(importance[1] == std::max(std::ldexp(1.0f, 2 * far), 0x1p-149f));
        CHECK(h.importance(1) > 0.0f);
    }
}

TEST_CASE("AWQ and the clip search: weights and inputs times powers of two")
{
    test::random random(3);
    int searched = 0;
    for (int i = 0; i < 300; ++i) {
        const std::ptrdiff_t n = random.integer(1, 4), k = random.integer(1, 16), m = random.integer(1, 20);
        const weight_format f = any_format(random, false);
        const std::vector<float> w = numbers(random, n * k), x = inputs(random, m, k);
        const int power = any_power(random), input_power = any_power(random);
        const std::vector<float> scaled = times(w, power), scaled_x = times(x, input_power);
        std::vector<float> scales[2];
        awq_report reports[2];
        quantized<uint4x2> clipped[2] = {{n, k, f}, {n, k, f}};
        for (int which = 0; which < 2; ++which) {
            const std::vector<float>&ws = which ? scaled : w, &xs = which ? scaled_x : x;
            std::vector<column_statistics> columns(static_cast<std::size_t>(k));
            REQUIRE(observe_columns({xs.data(), m, k}, span<column_statistics>(columns)) == status::ok);
            std::vector<float> magnitude;
            for (const column_statistics& c : columns)
                magnitude.push_back(c.magnitude());
            scales[which].resize(static_cast<std::size_t>(k));
            const hessian h = hessian_of(xs, k);
            REQUIRE(search_awq_scales<uint4x2>({ws.data(), n, k}, magnitude, h, f, 5, scales[which], &reports[which]) == status::ok);
            REQUIRE(round_clipped({ws.data(), n, k}, h, f, clipped[which].to(), 5) == status::ok);
        }
        REQUIRE(scales[0] == scales[1]);
        REQUIRE(reports[0].ratio == reports[1].ratio);
        REQUIRE(reports[1].error == std::ldexp(reports[0].error, 2 * (power + input_power)));
        REQUIRE(clipped[1].is(clipped[0], power));
        searched += reports[0].ratio > 0;
    }
    CHECK(searched > 50);
}

TEST_CASE("HQQ: weights times powers of two")
{
    test::random random(4);
    int moved = 0;
    for (int i = 0; i < 1500; ++i) {
        const std::ptrdiff_t n = random.integer(1, 3), k = random.integer(1, 24);
        const weight_format f = any_format(random, false);
        hqq_options o;
        o.iterations = 6;
        o.p = random.integer(0, 1) ? 0.7 : 0.5;
        const std::vector<float> w = numbers(random, n * k);
        quantized<uint4x2> expected(n, k, f), q(n, k, f), nearest(n, k, f);
        REQUIRE(hqq({w.data(), n, k}, f, expected.to(), o) == status::ok);
        REQUIRE(round_to_nearest({w.data(), n, k}, f, nearest.to()) == status::ok);
        moved += !nearest.is(expected, 0);
        const int power = any_power(random);
        const std::vector<float> scaled = times(w, power);
        REQUIRE(hqq({scaled.data(), n, k}, f, q.to(), o) == status::ok);
        REQUIRE(q.is(expected, power));
    }
    CHECK(moved > 500);
}

TEST_CASE("SmoothQuant: inputs and weights times powers of two")
{
    test::random random(5);
    int moved = 0;
    for (int i = 0; i < 200; ++i) {
        const std::ptrdiff_t m = random.integer(1, 12), n = random.integer(1, 5), k = random.integer(1, 20);
        const activation_scales kind = random.integer(0, 1) ? activation_scales::per_row : activation_scales::per_tensor;
        const bool power_of_two = random.integer(0, 1);
        std::vector<float> x = inputs(random, m, k);
        const std::vector<float> w = numbers(random, n * k);
        for (std::ptrdiff_t r = 0; r < m; ++r)
            x[std::size_t(r * k)] *= 64.0f;
        std::vector<float> expected(static_cast<std::size_t>(k)), scales(expected.size());
        smooth_report before, report;
        REQUIRE(search_smooth_scales({x.data(), m, k}, {w.data(), n, k}, kind, power_of_two, 8, expected, &before) == status::ok);
        const int power = any_power(random), input_power = any_power(random);
        const std::vector<float> scaled_x = times(x, input_power), scaled = times(w, power);
        REQUIRE(search_smooth_scales({scaled_x.data(), m, k}, {scaled.data(), n, k}, kind, power_of_two, 8, scales, &report) == status::ok);
        REQUIRE((report.moved == before.moved && report.alpha == before.alpha));
        REQUIRE(report.error == std::ldexp(before.error, 2 * (power + input_power)));
        REQUIRE(report.error_before == std::ldexp(before.error_before, 2 * (power + input_power)));
        const int common = std::ilogb(scales[0]) - std::ilogb(expected[0]);
        REQUIRE(scales == times(expected, common));
        moved += before.moved;

        // The formula, to rounding, at any power.
        std::vector<float> a(static_cast<std::size_t>(k)), b(a.size());
        for (std::size_t c = 0; c < a.size(); ++c) {
            a[c] = std::ldexp(std::fabs(random.real()) + 0.01f, input_power);
            b[c] = std::ldexp(std::fabs(random.real()) + 0.01f, power);
        }
        const double alpha = random.integer(0, 20) / 20.0, center = alpha * input_power - (1 - alpha) * power;
        REQUIRE(smooth_scales(a, b, alpha, false, scales) == status::ok);
        const double lost = std::exp2(center - std::min(std::max(center, -90.0), 90.0)); // beyond 2^96 all scales lose one factor
        for (std::size_t c = 0; c < a.size() && std::fabs(center) < 80; ++c)
            REQUIRE(double(scales[c]) == Approx(std::pow(double(a[c]), alpha) / std::pow(double(b[c]), 1 - alpha) / lost).epsilon(1e-6));
    }
    CHECK(moved > 100);

    // Square roots: even powers halve.
    for (int i = 0; i < 1000; ++i) {
        std::vector<float> a(6), b(6), expected(6), scales(6);
        for (std::size_t c = 0; c < 6; ++c) {
            a[c] = random.integer(0, 6) ? std::fabs(random.real()) : 0.0f;
            b[c] = random.integer(0, 6) ? std::fabs(random.real()) : 0.0f;
        }
        const int power = 2 * (any_power(random) / 2), other = 2 * (any_power(random) / 2);
        const bool power_of_two = random.integer(0, 1);
        REQUIRE(smooth_scales(a, b, 0.5, power_of_two, expected) == status::ok);
        REQUIRE(smooth_scales(times(a, power), times(b, other), 0.5, power_of_two, scales) == status::ok);
        for (std::size_t c = 0; c < 6; ++c)
            REQUIRE(scales[c] == (a[c] == 0 && b[c] == 0 ? 1.0f : std::ldexp(expected[c], (power - other) / 2)));
    }
}

TEST_CASE("outliers: inputs, weights and importance times powers of two")
{
    test::random random(6);
    for (int i = 0; i < 1000; ++i) {
        const std::ptrdiff_t n = random.integer(1, 4), k = random.integer(1, 12);
        std::vector<float> most = numbers(random, k), w = numbers(random, n * k), importance = numbers(random, k);
        for (std::size_t c = 0; c < most.size(); ++c) {
            most[c] = std::fabs(most[c]);
            importance[c] = std::fabs(importance[c]);
        }
        const float ratio = std::fabs(random.real()) + 0.1f;
        const int power = any_power(random);
        std::vector<std::int32_t> columns(most.size()), scaled_columns(most.size());
        const auto found = find_outlier_columns(most, ratio, columns);
        const auto scaled = find_outlier_columns(times(most, power), ratio, scaled_columns);
        REQUIRE((found && scaled));
        REQUIRE(scaled->outliers == found->outliers);
        columns.resize(std::size_t(found->outliers));
        scaled_columns.resize(columns.size());
        REQUIRE(columns == scaled_columns);
        REQUIRE((scaled->median == std::ldexp(found->median, power) && scaled->kept_bits == found->kept_bits));

        const std::size_t kept = std::size_t(random.integer(0, std::int32_t(n * k)));
        std::vector<float> dense(w.size()), scaled_dense(w.size()), values(kept), scaled_values(kept);
        std::vector<std::int32_t> begin(std::size_t(n) + 1), scaled_begin(begin.size()), at(kept), scaled_at(kept);
        const std::vector<float> scaled_w = times(w, power);
        REQUIRE(split_outlier_weights({w.data(), n, k}, importance, {dense.data(), n, k}, begin, at, values) == status::ok);
        REQUIRE(split_outlier_weights({scaled_w.data(), n, k}, times(importance, any_power(random)), {scaled_dense.data(), n, k},
                    scaled_begin, scaled_at, scaled_values)
                == status::ok);
        REQUIRE((begin == scaled_begin && at == scaled_at));
        REQUIRE(scaled_values == times(values, power));
        REQUIRE(scaled_dense == times(dense, power));
    }
    // A threshold beyond float's range.
    std::int32_t columns[3];
    CHECK(find_outlier_columns(std::vector<float> {1e38f, 1e38f, 3e38f}, 6.0f, columns)->outliers == 0);
    CHECK(find_outlier_columns(std::vector<float> {0x1p-149f, 0x1p-149f, 0x1p-148f}, 1.25f, columns)->outliers == 1);
}

TEST_CASE("observers and ranges: values times powers of two, to the least and the greatest floats")
{
    test::random random(7);
    for (int i = 0; i < 150; ++i) {
        const std::vector<float> x = numbers(random, random.integer(1, 300));
        const int power = i % 5 == 0 ? random.integer(-120, 120) : any_power(random);
        const std::vector<float> scaled = times(x, power);
        histogram_observer h, s, both, scaled_both;
        h.observe(x);
        s.observe(scaled);
        const std::size_t half = x.size() / 2;
        both.observe({x.data(), half});
        scaled_both.observe({scaled.data(), half});
        bool same = true;
        for (std::ptrdiff_t bin = 0; bin < histogram_observer::bins; ++bin)
            same = same && h.count(bin) == s.count(bin);
        REQUIRE(same);
        REQUIRE((s.values().low == std::ldexp(h.values().low, power) && s.values().high == std::ldexp(h.values().high, power)));
        const bool zeros = h.values().low == 0 && h.values().high == 0;
        REQUIRE(s.exponent() == (zeros ? histogram_observer::least_exponent : h.exponent() + power));
        const code_limits codes {-8, 7};
        const bool symmetric = random.integer(0, 1);
        const params_rule rule = symmetric ? scheme::symmetric : scheme::affine;
        const result<value_range> ranges[][2] = {{percentile_range(h, 95, symmetric), percentile_range(s, 95, symmetric)},
            {squared_error_range(h, rule, codes, 10), squared_error_range(s, rule, codes, 10)},
            {least_squares_range(h, 16), least_squares_range(s, 16)}};
        for (const auto& r : ranges) {
            REQUIRE((r[0] && r[1]));
            REQUIRE((r[1]->low == std::ldexp(r[0]->low, power) && r[1]->high == std::ldexp(r[0]->high, power)));
        }
        if (i < 6) { // slow
            const auto kept = entropy_range(h, 1024), scaled_kept = entropy_range(s, 1024);
            REQUIRE((kept && scaled_kept && scaled_kept->low == std::ldexp(kept->low, power)));
            REQUIRE(scaled_kept->high == std::ldexp(kept->high, power));
        }
        const drift d = compare(h, both), e = compare(s, scaled_both);
        REQUIRE((d.distance == e.distance && d.outside == e.outside && d.growth == e.growth && d.moved == e.moved));
    }
    for (int exponent = -149; exponent <= 127; ++exponent) {
        histogram_observer h;
        const float x[] = {std::ldexp(1.0f, exponent), -std::ldexp(1.0f, exponent) / 2};
        h.observe(x);
        CHECK(h.exponent() == exponent + 1);
        CHECK(h.count(3072) == 1);
        CHECK(percentile_range(h, 100, false)->high == x[0]);
    }
    for (int i = 0; i < 1000; ++i) {
        const std::vector<float> x = numbers(random, random.integer(1, 20)), y = numbers(random, random.integer(1, 20));
        const int power = any_power(random);
        moving_average_observer a, b;
        range_observer c(0.3f), d(0.3f);
        for (const std::vector<float>* batch : {&x, &y, &x}) {
            const std::vector<float> scaled = times(*batch, power);
            a.observe(*batch);
            b.observe(scaled);
            REQUIRE(c.observe({batch->data(), 1, std::ptrdiff_t(batch->size())}) == status::ok);
            REQUIRE(d.observe({scaled.data(), 1, std::ptrdiff_t(scaled.size())}) == status::ok);
        }
        REQUIRE((b.low == std::ldexp(a.low, power) && b.high == std::ldexp(a.high, power)));
        REQUIRE((d.low() == std::ldexp(c.low(), power) && d.high() == std::ldexp(c.high(), power)));
        column_statistics columns[2], scaled[2];
        columns[0].observe(span<const float>(x));
        columns[1].observe(span<const float>(y));
        scaled[0].observe(span<const float>(times(x, power)));
        scaled[1].observe(span<const float>(times(y, power)));
        REQUIRE(scaled[0].mean() == std::ldexp(columns[0].mean(), power));
        REQUIRE(scaled[0].magnitude() == std::ldexp(columns[0].magnitude(), power));
        float importance[2], scaled_importance[2];
        REQUIRE(importance_of(columns, importance) == status::ok);
        REQUIRE(importance_of(scaled, scaled_importance) == status::ok);
        REQUIRE((importance[0] == scaled_importance[0] && importance[1] == scaled_importance[1]));
    }
}

TEST_CASE("bias correction, errors and formats: numbers times powers of two")
{
    test::random random(8);
    for (int i = 0; i < 1000; ++i) {
        const std::ptrdiff_t n = random.integer(1, 4), k = random.integer(1, 12);
        const std::vector<float> w = numbers(random, n * k), back = numbers(random, n * k), mean = numbers(random, k);
        std::vector<float> bias = numbers(random, n), scaled_bias;
        const int power = random.integer(-70, 50), input_power = random.integer(-40, 50);
        const std::vector<float> scaled_w = times(w, power), scaled_back = times(back, power);
        scaled_bias = times(bias, power + input_power);
        REQUIRE(correct_bias({w.data(), n, k}, {back.data(), n, k}, mean, bias) == status::ok);
        REQUIRE(correct_bias({scaled_w.data(), n, k}, {scaled_back.data(), n, k}, times(mean, input_power), scaled_bias) == status::ok);
        REQUIRE(scaled_bias == times(bias, power + input_power));

        const auto e = compare(matrix_view<const float>(w.data(), n, k), {back.data(), n, k}),
                   s = compare(matrix_view<const float>(scaled_w.data(), n, k), {scaled_back.data(), n, k});
        REQUIRE((e && s));
        const double figures[] = {e->sqnr_db(), e->cosine()}, scaled_figures[] = {s->sqnr_db(), s->cosine()};
        REQUIRE(test::same_bits(figures, scaled_figures, 2));
        REQUIRE((s->mean_error() == std::ldexp(e->mean_error(), power) && s->max_error == std::ldexp(e->max_error, power)));
        REQUIRE(s->mean_squared_error() == std::ldexp(e->mean_squared_error(), 2 * power));

        // 4 layers of 3 formats, also with errors at the end of double's range.
        std::vector<double> errors(12);
        std::vector<std::uint64_t> bytes(12);
        for (std::size_t j = 0; j < 12; ++j) {
            errors[j] = std::fabs(double(random.real()));
            bytes[j] = std::uint64_t(random.integer(1, 9));
        }
        const std::uint64_t budget = std::uint64_t(random.integer(4, 30));
        std::uint32_t choice[4] = {}, scaled_choice[4] = {};
        mixed_precision_report report, scaled_report;
        const status expected = choose_formats(errors, bytes, 3, budget, choice, &report);
        const int error_power = i % 3 == 0 ? 1022 : random.integer(-900, 900);
        REQUIRE(choose_formats(times(errors, error_power), bytes, 3, budget, scaled_choice, &scaled_report) == expected);
        REQUIRE(std::equal(choice, choice + 4, scaled_choice));
        REQUIRE(scaled_report.bytes == report.bytes);
        REQUIRE(scaled_report.error == std::ldexp(report.error, error_power));
    }
}

TEST_CASE("learned parameters start the same: values times powers of two")
{
    test::random random(9);
    int narrower = 0;
    for (int i = 0; i < 500; ++i) {
        const std::ptrdiff_t n = random.integer(1, 4), k = random.integer(1, 20);
        const std::vector<float> x = numbers(random, n * k);
        const int power = any_power(random);
        const std::vector<float> scaled = times(x, power);
        const bool affine = random.integer(0, 1);
        const granularity kind = random.integer(0, 1) ? granularity::per_channel : granularity::per_group;
        const std::size_t count = std::size_t(params_count(kind, n, k, 8));
        std::vector<float> scales(count), scaled_scales(count), whole(count),
            scratch(start_params_scratch(params_start::mse, kind, n, k, 8));
        std::vector<std::int32_t> zeros(count), scaled_zeros(count), whole_zeros(count);
        const params_rule rule = affine ? scheme::affine : scheme::symmetric;
        const auto start = [&](const std::vector<float>& from, params_start how, span<float> to, span<std::int32_t> zero_points) {
            REQUIRE(start_params({from.data(), n, k}, how, rule, {-4, 3}, kind, 8, to, zero_points, scratch) == status::ok);
        };
        start(x, params_start::max_abs, whole, whole_zeros);
        start(x, params_start::mse, scales, zeros);
        start(scaled, params_start::mse, scaled_scales, scaled_zeros);
        narrower += scales != whole;
        for (std::size_t p = 0; p < count; ++p)
            REQUIRE((scaled_scales[p] == std::ldexp(scales[p], power) || (scales[p] == 1.0f && scaled_scales[p] == 1.0f)));
        REQUIRE(zeros == scaled_zeros);
    }
    CHECK(narrower > 250);
}
