#include "../support.hpp"

#include <algorithm>
#include <cmath>

using namespace nibble;

namespace {

// From the bits: under -ffast-math the compiler takes std::isnan and std::isinf for false.
std::uint64_t magnitude_bits(double x)
{
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits & 0x7fffffffffffffffu;
}
bool is_nan(double x) { return magnitude_bits(x) > 0x7ff0000000000000u; }
bool is_infinite(double x) { return magnitude_bits(x) == 0x7ff0000000000000u; }

} // namespace

TEST_CASE("logarithm and exponential are within 1e-15 of the C library's")
{
    test::random random(5);
    for (int i = 0; i < 20000; ++i) {
        const double x = std::ldexp(1.0 + double(random.bits()) / 4294967296.0, random.integer(-1000, 1000)),
                     y = double(random.real()) * 230;
        REQUIRE(std::fabs(portable_log(x) - std::log(x)) <= 1e-15 * std::max(std::fabs(std::log(x)), 0.01));
        REQUIRE(std::fabs(portable_exp(y) / std::exp(y) - 1) <= 1e-15);
    }
    for (int i = -200; i <= 200; ++i) {
        const double x = 1.0 + double(i) * 1e-3;
        REQUIRE(std::fabs(portable_log(x) - std::log(x)) <= 4e-16 * std::max(std::fabs(std::log(x)), 1e-3));
    }
    CHECK(portable_log(1.0) == 0.0);
    CHECK(portable_exp(0.0) == 1.0);
    CHECK(portable_exp(-1e9) == 0.0);
    CHECK(is_infinite(portable_log(0.0)));
    CHECK(std::signbit(portable_log(0.0)));
    CHECK(portable_pow(0.0, 0.5) == 0.0);
    CHECK(portable_pow(9.0, 0.5) == Approx(3.0).epsilon(1e-15));
}

TEST_CASE("the errors of a matrix in closed form")
{
    const float reference[] = {3.0f, 4.0f, 0.0f, 0.0f}, actual[] = {3.0f, 4.5f, 0.0f, 0.0f};
    error_statistics rows[2];
    const auto e = compare({reference, 2, 2}, {actual, 2, 2}, rows);
    REQUIRE(e);
    CHECK(e->sqnr_db() == Approx(20.0)); // 10 log10(25 / 0.25)
    CHECK(e->max_error == 0.5);
    CHECK(e->mean_error() == 0.125);
    CHECK(e->mean_squared_error() == 0.0625);
    CHECK(e->cosine() == Approx(27.0 / (5.0 * std::sqrt(29.25))));
    CHECK(is_infinite(rows[1].sqnr_db()));
    CHECK(rows[1].cosine() == 1.0);
    CHECK(compare({reference, 2, 2}, {actual, 1, 4}).error() == status::shape_mismatch);
    const float nans[] = {3.0f, std::numeric_limits<float>::quiet_NaN(), 0.0f, 0.0f};
    CHECK(is_nan(compare({reference, 2, 2}, {nans, 2, 2})->max_error));
    CHECK(is_nan(compare({reference, 2, 2}, {nans, 2, 2})->sqnr_db()));
}

TEST_CASE("the output error from the Hessian is that of the products")
{
    test::random random(8);
    const std::ptrdiff_t m = 40, n = 70, k = 33;
    std::vector<float> x(std::size_t(m * k)), w(std::size_t(n * k)), q(w.size());
    for (float& v : x)
        v = random.real();
    for (std::size_t i = 0; i < w.size(); ++i) {
        w[i] = random.real();
        q[i] = w[i] + random.real() * 0.05f;
    }
    auto h = hessian::make(k), first = hessian::make(k);
    REQUIRE(h->add({x.data(), m, k}, test::reversed_executor {}) == status::ok);
    REQUIRE(first->add({x.data(), 15, k}) == status::ok);
    auto rest = hessian::make(k);
    REQUIRE(rest->add({x.data() + 15 * k, m - 15, k}) == status::ok);
    REQUIRE(first->merge(*rest) == status::ok);
    CHECK(first->rows() == m);
    CHECK((*first)(3, 5) == Approx((*h)(3, 5)).epsilon(1e-12));
    double exact = 0;
    for (std::ptrdiff_t r = 0; r < m; ++r)
        for (std::ptrdiff_t j = 0; j < n; ++j) {
            double y = 0;
            for (std::ptrdiff_t c = 0; c < k; ++c)
                y += double(x[std::size_t(r * k + c)]) * (double(w[std::size_t(j * k + c)]) - double(q[std::size_t(j * k + c)]));
            exact += y * y;
        }
    std::vector<double> channels(static_cast<std::size_t>(n));
    const auto error = output_error({w.data(), n, k}, {q.data(), n, k}, *h, channels);
    REQUIRE(error);
    CHECK(*error == Approx(exact).epsilon(1e-9));
    CHECK(channels[69] > 0);
    for (const backend b : test::usable_backends()) {
        REQUIRE(force_backend(b) == status::ok);
        const auto again = output_error({w.data(), n, k}, {q.data(), n, k}, *h, {}, test::reversed_executor {});
        CHECK(*again == *error);
    }
    REQUIRE(force_backend(best_backend()) == status::ok);
}

TEST_CASE("perplexity, KL and agreement in closed form")
{
    prediction_statistics s;
    // p = (3/4, 1/4), q = (1/2, 1/2); logits have a free constant each.
    const float p[] = {static_cast<float>(std::log(3.0)) + 5, 5.0f}, q[] = {-100.0f, -100.0f};
    REQUIRE(s.add(p, q) == status::ok);
    REQUIRE(s.add_target(q, 1) == status::ok);
    CHECK(s.mean_kl() == Approx(0.75 * std::log(1.5) + 0.25 * std::log(0.5)).epsilon(1e-6));
    CHECK(s.perplexity() == Approx(2.0).epsilon(1e-12));
    CHECK(s.top1() == 1.0); // of equal logits the first
    const float other[] = {0.0f, 1.0f};
    REQUIRE(s.add(p, other) == status::ok);
    CHECK(s.top1() == 0.5);
    prediction_statistics same;
    REQUIRE(same.add(p, p) == status::ok);
    CHECK(same.mean_kl() == 0.0);
    const float three[] = {0.0f, 0.0f, 0.0f};
    CHECK(s.add(p, three) == status::shape_mismatch);
    CHECK(s.add_target(q, 2) == status::shape_mismatch);
}

TEST_CASE("gates fail on what is outside, and on NaN")
{
    const gate gates[]
        = {at_most("kl", 0.5, 1.0), at_most("kl", 2.0, 1.0), at_least("top-1", 0.9, 0.9), at_least("top-1", std::nan(""), 0.1)};
    const gate_result r = check_gates(gates);
    CHECK(r.outcome == status::gate_failed);
    CHECK(r.failed == 2);
    CHECK(r.first == 1);
    CHECK(check_gates(span<const gate>(gates, 1)).outcome == status::ok);
    CHECK(check_data("train, 0 to 63", "held out") == status::ok);
    CHECK(check_data("train", "train") == status::tested_on_calibration);
    CHECK(check_data("", "") == status::ok);
}
