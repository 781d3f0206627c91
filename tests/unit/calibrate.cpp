#include "../support.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

using namespace nibble;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(), quiet = std::numeric_limits<float>::quiet_NaN();

// Of all magnitudes, with what an observer must pass over mixed in.
std::vector<float> values(std::size_t count, std::uint64_t seed)
{
    test::random random(seed);
    const float special[] = {0.0f, -0.0f, infinity, -infinity, quiet, 1e-45f, -1e-40f, 3e38f, -128.0f, 256.0f};
    std::vector<float> x(count);
    for (float& v : x)
        v = random.integer(0, 9) == 0 ? special[random.integer(0, 9)] : std::ldexp(random.real(), random.integer(-12, 12));
    return x;
}

template <class Observer>
std::vector<std::byte> saved(const Observer& o, const std::string& label = "")
{
    const span<const Observer> one(&o, 1);
    std::vector<std::byte> bytes(saved_size(one, label));
    REQUIRE(save(one, label, bytes) == status::ok);
    return bytes;
}

// However the values are divided and in whatever order the parts are merged.
template <class Observer>
void merged_is_single()
{
    const std::vector<float> x = values(5000, 3);
    Observer whole;
    whole.observe(span<const float>(x));
    for (const std::size_t parts : {2u, 7u, 50u}) {
        std::vector<Observer> observers(parts);
        for (std::size_t i = 0; i < x.size(); ++i)
            observers[(i * 7 + i / 100) % parts].observe(span<const float>(&x[i], 1));
        Observer merged;
        for (std::size_t i = parts; i-- > 0;)
            merged.merge(observers[i]);
        CHECK(saved(merged) == saved(whole));
    }
}

} // namespace

TEST_CASE("merged observers equal one that saw everything, byte for byte")
{
    merged_is_single<min_max_observer>();
    merged_is_single<histogram_observer>();
    merged_is_single<column_statistics>();
    moving_average_observer average;
    CHECK(average.merge(average) == status::not_mergeable);
}

TEST_CASE("observers count what is not finite and otherwise pass over it")
{
    const float x[] = {1.0f, quiet, -infinity, -2.5f, infinity, -0.0f, quiet};
    min_max_observer o;
    o.observe(x);
    CHECK(o.low == -2.5f);
    CHECK(o.high == 1.0f);
    CHECK(o.count == 3);
    CHECK(o.nans == 2);
    CHECK(o.infinities == 2);
    CHECK(min_max_observer {}.range().low == 0.0f);

    moving_average_observer average;
    average.averaging = 0.5f;
    const float first[] = {-1.0f, 3.0f}, second[] = {-2.0f, quiet, 5.0f}, none[] = {quiet};
    average.observe(first);
    average.observe(none);
    average.observe(second);
    CHECK(average.low == -1.5f);
    CHECK(average.high == 4.0f);

    const float rows[] = {1.0f, -2.0f, 3.0f, -4.0f, 5.0f, -6.0f};
    min_max_observer columns[3], channels[2];
    REQUIRE(observe_columns({rows, 2, 3}, span<min_max_observer>(columns)) == status::ok);
    REQUIRE(observe_rows({rows, 2, 3}, span<min_max_observer>(channels)) == status::ok);
    CHECK((columns[0].low == -4.0f && columns[0].high == 1.0f && columns[2].low == -6.0f));
    CHECK((channels[1].low == -6.0f && channels[1].high == 5.0f));
    CHECK(observe_rows({rows, 2, 3}, span<min_max_observer>(columns)) == status::shape_mismatch);
}

TEST_CASE("sums of floats and squares are exact")
{
    column_statistics s;
    const float x[] = {1e20f, 1.0f, -1e20f, 0x1p-149f, 3.0f};
    s.observe(x);
    CHECK(s.sum.value() == 4.0);
    CHECK(s.mean() == 0.8f);
    CHECK(s.squares.value() == 2.0 * double(1e20f) * double(1e20f));
    column_statistics t;
    const float y[] = {-0x1p-149f, 0x1p-149f, 2.0f, -4.0f};
    t.observe(y);
    CHECK(t.mean() == -0.5f);
    CHECK(t.magnitude() == 1.5f);
    CHECK(t.importance() == 5.0f);
    exact_sum least;
    least.add(0x1p-298);
    CHECK(least.value() == 0x1p-298);
    exact_sum most;
    for (int i = 0; i < 1000; ++i)
        most.add(-double(std::numeric_limits<float>::max()) * double(std::numeric_limits<float>::max()));
    CHECK(most.value() == Approx(-1000.0 * double(std::numeric_limits<float>::max()) * double(std::numeric_limits<float>::max())));
}

TEST_CASE("a histogram counts every value in the bin that its head describes")
{
    const std::vector<float> x = values(3000, 8);
    histogram_observer h;
    h.observe(x);
    std::vector<std::uint64_t> expected(static_cast<std::size_t>(histogram_observer::bins));
    for (const float v : x)
        if ((float_bits(v) & 0x7fffffffu) < 0x7f800000u)
            ++expected[std::size_t(std::floor(double(v) / h.bin_width()) + double(histogram_observer::half))];
    for (std::ptrdiff_t i = 0; i < histogram_observer::bins; ++i)
        CHECK(h.count(i) == expected[std::size_t(i)]);
    CHECK(h.exponent() == 128);
}

TEST_CASE("percentiles cut off what they say")
{
    histogram_observer h;
    CHECK(percentile_range(h, 99, true).error() == status::calibration_missing);
    std::vector<float> x;
    for (int i = 1; i <= 1000; ++i)
        x.push_back(static_cast<float>(i));
    h.observe(x);
    // 2^10 > 1000, so a bin is 1024 / 2048 wide and holds one value, at its start.
    CHECK(percentile_range(h, 99, true)->high == 990.5f);
    CHECK(percentile_range(h, 100, true)->high == 1000.0f);
    CHECK(percentile_range(h, 99, false)->low == 6.0f);
    CHECK(percentile_range(h, 99, false)->high == 995.5f);
    CHECK(percentile_range(h, 0, true).error() == status::option_invalid);
}

TEST_CASE("the squared-error range clips a far outlier and never loses to the full range")
{
    histogram_observer h;
    std::vector<float> x = {40.0f};
    test::random random(4);
    for (int i = 0; i < 100000; ++i)
        x.push_back((random.real() + random.real() + random.real()) / 4);
    h.observe(x);
    const code_limits codes {-8, 7};
    const auto found = squared_error_range(h, scheme::symmetric, codes);
    REQUIRE(found);
    const auto error = [&](float reach) {
        const float scale = params_of_range(-reach, reach, scheme::symmetric, codes).scale;
        double sum = 0;
        for (const float v : x) {
            const double d = double(v) - double(reference::dequantize(reference::quantize(v, scale, 0, {}, codes), scale, 0));
            sum += d * d;
        }
        return sum;
    };
    CHECK(found->high < 20.0f);
    CHECK(error(found->high) < error(40.0f) / 2);
}

TEST_CASE("the least-squares search is PyTorch's, step by step")
{
    // HistogramObserver's _non_linear_param_search and _compute_quantization_error, written out with their arrays.
    const auto error = [](const std::vector<double>& counts, double width, std::ptrdiff_t start, std::ptrdiff_t end, int levels) {
        const double level = width * double(end - start + 1) / levels;
        const auto norm = [](double from, double to, double density) { return density * (to * to * to - from * from * from) / 3; };
        double sum = 0;
        for (std::size_t i = 0; i < counts.size(); ++i) {
            const double begin = (double(i) - double(start)) * width, finish = begin + width, density = counts[i] / width;
            const double of_begin = std::min(std::max(std::floor(begin / level), 0.0), levels - 1.0);
            const double of_end = std::min(std::max(std::floor(finish / level), 0.0), levels - 1.0);
            sum += norm(begin - (of_begin + 0.5) * level, level / 2, density);
            sum += (of_end - of_begin - 1) * norm(-level / 2, level / 2, density);
            sum += norm(-level / 2, finish - (of_end * level + level / 2), density);
        }
        return sum;
    };
    test::random random(6);
    for (int round = 0; round < 6; ++round) {
        const std::size_t bins = round < 3 ? 128 : 300;
        std::vector<std::uint64_t> counts(bins);
        std::vector<double> real(bins), sums(bins);
        std::uint64_t total = 0;
        for (std::size_t i = 0; i < bins; ++i) {
            const double z = (double(i) - double(bins) / 3) / (double(bins) / 10);
            counts[i] = std::uint64_t(1e5 * std::exp(-z * z / 2)) + std::uint64_t(random.integer(0, 3));
            real[i] = double(counts[i]);
            sums[i] = double(total += counts[i]);
        }
        const int levels = 16;
        std::ptrdiff_t start = 0, end = std::ptrdiff_t(bins) - 1;
        double alpha = 0, beta = 1, least = HUGE_VAL;
        while (alpha < beta) {
            const double next_alpha = alpha + 1e-5, next_beta = beta - 1e-5;
            std::ptrdiff_t l = start, r = end, next_start = start, next_end = end;
            while (l < end && sums[std::size_t(l)] < next_alpha * double(total))
                ++l;
            while (r > start && sums[std::size_t(r)] > next_beta * double(total))
                --r;
            if (l - start > end - r) {
                next_start = l;
                alpha = next_alpha;
            } else {
                next_end = r;
                beta = next_beta;
            }
            if (next_start == start && next_end == end)
                continue;
            const double e = error(real, 0.1, next_start, next_end, levels);
            if (e > least)
                break;
            least = e;
            start = next_start;
            end = next_end;
        }
        const detail::binned_values b {counts.data(), std::ptrdiff_t(bins), -1.0, 0.1};
        const detail::bin_range found = detail::least_squares_bins(b, total, levels);
        CHECK(found.first == start);
        CHECK(found.last == end);
        CHECK(detail::uniform_error(b, 5, 90, levels) == Approx(error(real, 0.1, 5, 90, levels)).epsilon(1e-9));
    }
}

TEST_CASE("the entropy range is TensorRT's, with onnxruntime's smoothing")
{
    const auto naive = [](const std::vector<std::uint64_t>& h, std::size_t kept, std::size_t levels) {
        std::vector<double> p(h.begin(), h.begin() + std::ptrdiff_t(kept)), q(kept);
        for (std::size_t i = kept; i < h.size(); ++i)
            p[kept - 1] += double(h[i]);
        const std::size_t merged = kept / levels;
        for (std::size_t level = 0; level < levels; ++level) {
            const std::size_t begin = level * merged, end = level + 1 == levels ? kept : begin + merged;
            double sum = 0, used = 0;
            for (std::size_t i = begin; i < end; ++i) {
                sum += double(h[i]);
                used += p[i] != 0;
            }
            for (std::size_t i = begin; i < end; ++i)
                q[i] = p[i] != 0 ? sum / used : 0;
        }
        for (std::vector<double>* v : {&p, &q}) {
            double zeros = 0, sum = 0;
            for (const double x : *v)
                zeros += x == 0;
            for (double& x : *v)
                sum += x = x == 0 ? 1e-4 : x - 1e-4 * zeros / (double(v->size()) - zeros);
            for (double& x : *v)
                x /= sum;
        }
        double kl = 0;
        for (std::size_t i = 0; i < kept; ++i)
            kl += p[i] * std::log(p[i] / q[i]);
        return kl;
    };
    test::random random(2);
    std::vector<std::uint64_t> h(200);
    for (std::size_t i = 0; i < h.size(); ++i)
        h[i] = std::uint64_t(5000.0 / double(1 + i * i / 20)) + (i % 3 == 0 ? 0u : std::uint64_t(random.integer(0, 1)));
    std::vector<double> q(h.size());
    for (const std::size_t kept : {16u, 37u, 100u, 200u})
        CHECK(detail::entropy_of(h.data(), 200, std::ptrdiff_t(kept), 16, q.data()) == Approx(naive(h, kept, 16)).epsilon(1e-9));

    // A bulk and a few far values: the bulk is kept.
    histogram_observer o;
    std::vector<float> x;
    for (int i = 0; i < 50000; ++i)
        x.push_back((random.real() + random.real() + random.real() + random.real()) / 6);
    x.push_back(100.0f);
    o.observe(x);
    const auto found = entropy_range(o);
    REQUIRE(found);
    CHECK(found->high > 1.0f);
    CHECK(found->high < 20.0f);
    const auto least = least_squares_range(o);
    REQUIRE(least);
    CHECK(least->high == 100.0f); // to cut the one far value off would cost 97^2, more than the coarse steps do
}

TEST_CASE("saved observers come back with their label, and damaged bytes are refused")
{
    const std::vector<float> x = values(2000, 12);
    histogram_observer h[2];
    h[0].observe(x);
    column_statistics c;
    c.observe(span<const float>(x));
    const std::string label = "training text, windows 0 to 63";
    const std::size_t size = saved_size(span<const histogram_observer>(h), label);
    test::guarded<std::byte> bytes(static_cast<std::ptrdiff_t>(size));
    CHECK(save(span<const histogram_observer>(h), label, span<std::byte>(bytes.data(), size - 1)) == status::buffer_too_small);
    REQUIRE(save(span<const histogram_observer>(h), label, bytes) == status::ok);
    const auto opened = open_observers<histogram_observer>(span<const std::byte>(bytes.data(), size));
    REQUIRE(opened);
    CHECK(opened->count == 2);
    CHECK(std::string(opened->label.begin(), opened->label.end()) == label);
    histogram_observer back[2];
    REQUIRE(load(span<const std::byte>(bytes.data(), size), span<histogram_observer>(back)) == status::ok);
    CHECK(saved(back[0]) == saved(h[0]));
    CHECK(saved(back[1]) == saved(h[1]));
    CHECK(load(span<const std::byte>(bytes.data(), size), span<histogram_observer>(back, 1)) == status::shape_mismatch);
    CHECK(open_observers<column_statistics>(span<const std::byte>(bytes.data(), size)).error() == status::observers_damaged);
    for (std::size_t cut = 0; cut < 80; ++cut) {
        test::guarded<std::byte> part(static_cast<std::ptrdiff_t>(cut));
        if (cut != 0)
            std::memcpy(part.data(), bytes.data(), cut);
        CHECK_FALSE(open_observers<histogram_observer>(span<const std::byte>(part.data(), cut)));
    }
    // Whatever one flipped bit does, it is refused or gives an observer that saves to the same bytes.
    std::vector<std::byte> small = saved(c);
    for (std::size_t i = 0; i < small.size(); ++i)
        for (int bit = 0; bit < 8; ++bit) {
            std::vector<std::byte> changed = small;
            changed[i] ^= static_cast<std::byte>(1 << bit);
            column_statistics loaded;
            if (load(span<const std::byte>(changed), span<column_statistics>(&loaded, 1)) == status::ok)
                CHECK(saved(loaded) == changed);
        }
    std::vector<std::byte> big = saved(h[0]);
    test::random random(1);
    int accepted = 0;
    for (int i = 0; i < 3000; ++i) {
        std::vector<std::byte> changed = big;
        const std::size_t at = std::size_t(random.integer(0, std::int32_t(big.size()) - 1));
        changed[at] ^= static_cast<std::byte>(1 << random.integer(0, 7));
        histogram_observer loaded;
        if (load(span<const std::byte>(changed), span<histogram_observer>(&loaded, 1)) == status::ok) {
            ++accepted;
            CHECK(saved(loaded) == changed);
        }
    }
    CHECK(accepted < 30);
}

TEST_CASE("drift names the layers and channels that moved, and no others")
{
    test::random random(31);
    const auto sample = [&](float scale, float shift) {
        std::vector<float> x(4000 * 4);
        for (std::size_t i = 0; i < x.size(); ++i)
            x[i] = (random.real() + random.real()) * scale + shift;
        return x;
    };
    const char* names[] = {"same", "shifted", "stretched", "one channel"};
    std::vector<histogram_observer> before(4), after(4);
    std::vector<min_max_observer> before_channels(16), after_channels(16);
    std::vector<layer_observers> calibration, deployment;
    for (std::size_t l = 0; l < 4; ++l) {
        const std::vector<float> x = sample(1.0f, 0.0f);
        std::vector<float> y = sample(l == 2 ? 3.0f : 1.0f, l == 1 ? 1.5f : 0.0f);
        if (l == 3)
            for (std::size_t i = 2; i < y.size(); i += 4)
                y[i] *= 0.1f;
        const span<min_max_observer> a(before_channels.data() + 4 * l, 4), b(after_channels.data() + 4 * l, 4);
        before[l].observe(x);
        after[l].observe(y);
        REQUIRE(observe_columns({x.data(), 4000, 4}, a) == status::ok);
        REQUIRE(observe_columns({y.data(), 4000, 4}, b) == status::ok);
        calibration.push_back({names[l], &before[l], {a.data(), 4}});
        deployment.push_back({names[l], &after[l], {b.data(), 4}});
    }
    std::vector<drift_finding> found(32);
    const auto count = find_drift(calibration, deployment, found);
    REQUIRE(count);
    found.resize(*count);
    std::vector<std::string> moved;
    for (const drift_finding& f : found)
        moved.push_back(f.name + std::string(f.channel < 0 ? "" : " " + std::to_string(f.channel)));
    CHECK(moved
          == std::vector<std::string> {
              "shifted", "stretched", "stretched 0", "stretched 1", "stretched 2", "stretched 3", "one channel", "one channel 2"});
    CHECK(found[1].by.growth == Approx(3).epsilon(0.1));
    CHECK(found[1].by.outside > 0.2);
    CHECK(*find_drift(calibration, deployment, {}) == 8);
    deployment[1].name = "renamed";
    CHECK(find_drift(calibration, deployment, found).error() == status::shape_mismatch);
}
