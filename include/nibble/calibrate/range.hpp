// The range [low, high] to quantize, from a histogram; params_of_range (quantize/params.hpp) makes scale and zero point of it.
//   min_max                 values().range()
//   percentile_range        holds `percent` of the values: as many are cut off below as above or, if symmetric, the largest magnitudes
//   squared_error_range     the part * [low, high], part = 1, 1 - 1 / steps ..., with the least mean squared error of quantizing the
//                           bins' centres
//   least_squares_range     PyTorch's HistogramObserver: cuts quantiles of 1e-5 from the longer side while the L2 error of uniform bins
//                           falls
//   entropy_range           TensorRT (Migacz, 2017): the magnitude whose `levels`-level histogram has the least KL divergence, smoothed
//                           as onnxruntime does: 1e-4 for empty bins
// An empty histogram gives calibration_missing.
#pragma once

#include "../core/math.hpp"
#include "../core/memory.hpp"
#include "../core/strict_math.hpp"
#include "../quantize/one.hpp"
#include "observer.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

namespace detail {

/// A part of a histogram as plain bins.
struct binned_values {
    const std::uint64_t* counts;
    std::ptrdiff_t bins;
    double origin, width;
};

inline value_range within(const min_max_observer& seen, double low, double high) noexcept
{
    const float l = static_cast<float>(low), h = static_cast<float>(high);
    return {larger(l, seen.low), smaller(h, seen.high)};
}

/// The L2 error of bins [start, end] quantized to `levels` bins of equal width, each at its centre, the values uniform within a bin:
/// the integral of density * delta^2, of what lies outside to the nearest centre.
inline double uniform_error(const binned_values& b, std::ptrdiff_t start, std::ptrdiff_t end, int levels) noexcept
{
    const double level_width = b.width * static_cast<double>(end - start + 1) / levels, half_width = level_width / 2;
    if (level_width == 0.0)
        return 0.0;
    const auto cubes = [](double from, double to) noexcept { return strict_math::fma(to * to, to, -(from * from * from)) / 3; };
    const auto level_of = [&](double at) noexcept {
        const double level = std::floor(at / level_width);
        return clamped(level, 0.0, levels - 1.0);
    };
    double error = 0;
    for (std::ptrdiff_t i = 0; i < b.bins; ++i) {
        if (b.counts[i] == 0)
            continue;
        const double begin = static_cast<double>(i - start) * b.width, finish = static_cast<double>(i + 1 - start) * b.width;
        const double first = level_of(begin), last = level_of(finish);
        const double first_centre = (first + 0.5) * level_width, last_centre = (last + 0.5) * level_width;
        double delta = cubes(begin - first_centre, half_width);
        delta = strict_math::fma(last - first - 1, cubes(-half_width, half_width), delta);
        delta += cubes(-half_width, finish - last_centre);
        error = strict_math::fma(static_cast<double>(b.counts[i]) / b.width, delta, error);
    }
    return error;
}

struct bin_range {
    std::ptrdiff_t first, last;
};

inline bin_range least_squares_bins(const binned_values& b, std::uint64_t total, int levels) noexcept
{
    constexpr double step = 1e-5;
    const double all = static_cast<double>(total);
    std::ptrdiff_t start = 0, end = b.bins - 1;
    // The sums of counts up to and including bins l and r.
    std::uint64_t below_l = b.counts[0], below_r = total;
    std::ptrdiff_t l = 0, r = end;
    double alpha = 0, beta = 1, least = HUGE_VAL;
    while (alpha < beta) {
        const double next_alpha = alpha + step, next_beta = beta - step;
        while (l < end && static_cast<double>(below_l) < next_alpha * all)
            below_l += b.counts[++l];
        while (r > start && static_cast<double>(below_r) > next_beta * all)
            below_r -= b.counts[r--];
        std::ptrdiff_t next_start = start, next_end = end;
        if (l - start > end - r) {
            next_start = l;
            alpha = next_alpha;
            // The other side starts from its end again.
            while (r < end)
                below_r += b.counts[++r];
        } else {
            next_end = r;
            beta = next_beta;
            while (l > start)
                below_l -= b.counts[l--];
        }
        if (next_start == start && next_end == end)
            continue;
        const double error = uniform_error(b, next_start, next_end, levels);
        if (error > least)
            break;
        least = error;
        start = next_start;
        end = next_end;
    }
    return {start, end};
}

/// KL(p || q) of `bins` magnitudes cut off after the first `kept`, against their histogram of `levels` levels.
inline double entropy_of(const std::uint64_t* counts, std::ptrdiff_t bins, std::ptrdiff_t kept, int levels, double* q) noexcept
{
    constexpr double epsilon = 1e-4;
    std::uint64_t outliers = 0, filled = 0;
    for (std::ptrdiff_t i = kept; i < bins; ++i)
        outliers += counts[i];
    const auto p = [&](std::ptrdiff_t i) noexcept { return static_cast<double>(counts[i] + (i == kept - 1 ? outliers : 0)); };
    const std::ptrdiff_t merged = kept / levels;
    double p_sum = 0, q_sum = 0;
    std::ptrdiff_t q_filled = 0;
    for (std::ptrdiff_t level = 0; level < levels; ++level) {
        const std::ptrdiff_t begin = level * merged, end = level + 1 == levels ? kept : begin + merged;
        std::uint64_t sum = 0, used = 0;
        for (std::ptrdiff_t i = begin; i < end; ++i) {
            sum += counts[i];
            used += p(i) != 0.0;
        }
        for (std::ptrdiff_t i = begin; i < end; ++i) {
            q[i] = p(i) != 0.0 ? static_cast<double>(sum) / static_cast<double>(used) : 0.0;
            q_filled += q[i] != 0.0;
        }
        filled += used;
    }
    const double size = static_cast<double>(kept);
    const double p_taken = filled == 0 ? 1.0 : epsilon * (size - static_cast<double>(filled)) / static_cast<double>(filled);
    const double q_taken = q_filled == 0 ? 1.0 : epsilon * (size - static_cast<double>(q_filled)) / static_cast<double>(q_filled);
    if (p_taken >= 1.0 || q_taken >= 1.0)
        return HUGE_VAL;
    const auto smooth = [&](double x, double taken) noexcept { return x != 0.0 ? x - taken : epsilon; };
    for (std::ptrdiff_t i = 0; i < kept; ++i) {
        p_sum += smooth(p(i), p_taken);
        q_sum += smooth(q[i], q_taken);
    }
    const double log_ratio = portable_log(q_sum) - portable_log(p_sum);
    double kl = 0;
    for (std::ptrdiff_t i = 0; i < kept; ++i) {
        const double x = smooth(p(i), p_taken), y = smooth(q[i], q_taken);
        kl = strict_math::fma(x / p_sum, portable_log(x) - portable_log(y) + log_ratio, kl);
    }
    return kl;
}

} // namespace detail

inline result<value_range> percentile_range(const histogram_observer& h, double percent, bool symmetric) noexcept
{
    if (!(percent > 0.0 && percent <= 100.0))
        return status::option_invalid;
    if (h.values().count == 0)
        return status::calibration_missing;
    constexpr std::ptrdiff_t half = histogram_observer::half, bins = histogram_observer::bins;
    const default_fp_mode mode;
    const double total = static_cast<double>(h.values().count), outside = total * (1.0 - percent / 100.0);
    if (symmetric) {
        std::uint64_t cut = 0;
        std::ptrdiff_t reach = half;
        for (; reach > 1; --reach) {
            cut += h.count(half - reach) + h.count(half + reach - 1);
            if (static_cast<double>(cut) > outside)
                break;
        }
        const double bound = h.bin_width() * static_cast<double>(reach);
        return detail::within(h.values(), -bound, bound);
    }
    std::ptrdiff_t first = 0, last = bins - 1;
    for (std::uint64_t cut = 0; first < last && static_cast<double>(cut += h.count(first)) <= outside / 2; ++first) {
    }
    for (std::uint64_t cut = 0; last > first && static_cast<double>(cut += h.count(last)) <= outside / 2; --last) {
    }
    return detail::within(h.values(), h.bin_begin(first), h.bin_begin(last + 1));
}

inline result<value_range> squared_error_range(const histogram_observer& h, params_rule rule, code_limits codes, int steps = 100) noexcept
{
    if (steps < 1 || steps > 10000)
        return status::option_invalid;
    if (h.values().count == 0)
        return status::calibration_missing;
    const default_fp_mode mode;
    const value_range whole = h.values().range();
    value_range found = whole;
    double least = HUGE_VAL;
    for (int step = 0; step < steps; ++step) {
        const float part = static_cast<float>(1.0 - static_cast<double>(step) / steps);
        const value_range tried {whole.low * part, whole.high * part};
        const scale_and_zero_point p = params_of_range(tried.low, tried.high, rule, codes);
        double error = 0;
        for (std::ptrdiff_t i = 0; i < histogram_observer::bins; ++i)
            if (h.count(i) != 0) {
                const double centre = h.bin_width() * (static_cast<double>(i - histogram_observer::half) + 0.5);
                const std::int32_t code = quantize_one(static_cast<float>(centre), p, codes);
                const double d = centre - static_cast<double>(dequantize_one(code, p));
                error = strict_math::fma(static_cast<double>(h.count(i)) * d, d, error);
            }
        if (error < least) {
            least = error;
            found = tried;
        }
    }
    return found;
}

inline result<value_range> least_squares_range(const histogram_observer& h, int levels = 256) noexcept
{
    if (levels < 2 || levels > 65536)
        return status::option_invalid;
    if (h.values().count == 0)
        return status::calibration_missing;
    std::uint64_t counts[histogram_observer::bins];
    std::ptrdiff_t first = 0, last = histogram_observer::bins - 1;
    while (h.count(first) == 0)
        ++first;
    while (h.count(last) == 0)
        --last;
    for (std::ptrdiff_t i = first; i <= last; ++i)
        counts[i - first] = h.count(i);
    const default_fp_mode mode;
    const detail::binned_values b {counts, last - first + 1, h.bin_begin(first), h.bin_width()};
    const detail::bin_range found = detail::least_squares_bins(b, h.values().count, levels);
    return detail::within(h.values(), h.bin_begin(first + found.first), h.bin_begin(first + found.last + 1));
}

/// Symmetric.
inline result<value_range> entropy_range(const histogram_observer& h, int levels = 128) noexcept
{
    constexpr std::ptrdiff_t half = histogram_observer::half;
    if (levels < 2 || levels > half)
        return status::option_invalid;
    if (h.values().count == 0)
        return status::calibration_missing;
    std::uint64_t counts[half];
    std::ptrdiff_t bins = 1;
    for (std::ptrdiff_t i = 0; i < half; ++i) {
        counts[i] = h.count(half + i) + h.count(half - 1 - i);
        bins = counts[i] != 0 ? i + 1 : bins;
    }
    const default_fp_mode mode;
    double q[half], least = HUGE_VAL;
    std::ptrdiff_t found = bins;
    for (std::ptrdiff_t kept = levels; kept <= bins; ++kept)
        if (const double kl = detail::entropy_of(counts, bins, kept, levels, q); kl < least) {
            least = kl;
            found = kept;
        }
    const double bound = h.bin_width() * static_cast<double>(found);
    return detail::within(h.values(), -bound, bound);
}

NIBBLE_END
NIBBLE_STRICT_END
