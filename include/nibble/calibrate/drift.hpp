// Is the calibration data what deployment sees? These functions compare two observers of one layer.
//   distance   the greatest difference of the two cumulative distributions (Kolmogorov and Smirnov), in the wider of the two sets of bins
//   outside    the share of deployment's values in bins beyond calibration's least and greatest value; these values are clipped
//   growth     deployment's greatest magnitude / calibration's
// A layer has moved if distance is above both its limit and what chance gives at 1 % (1.63 sqrt((n + m) / (n m))), if outside is above its
// limit, or if growth is not within [1 / limit, limit]. A channel has moved by its growth alone.
#pragma once

#include <cstring>

#include "observer.hpp"

NIBBLE_BEGIN_TYPES

struct drift_limits {
    double distance = 0.1, outside = 0.001, growth = 2;
};

struct drift {
    double distance = 0, outside = 0, growth = 1;
    bool moved = false;
};

struct drift_finding {
    std::size_t layer = 0;
    const char* name = "";
    std::ptrdiff_t channel = -1; ///< -1: the layer as a whole
    drift by;
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// What is known of a layer; values may be null, channels empty.
struct layer_observers {
    const char* name = "";
    const histogram_observer* values = nullptr;
    span<const min_max_observer> channels {};
};

namespace detail {

inline double reach_of(const min_max_observer& o) noexcept
{
    const value_range r = o.range();
    return static_cast<double>(larger(r.high, -r.low));
}

inline double growth_of(const min_max_observer& calibration, const min_max_observer& now) noexcept
{
    const double before = reach_of(calibration), after = reach_of(now);
    return before == after ? 1.0 : before == 0.0 ? HUGE_VAL : after / before;
}

inline bool grown(double growth, const drift_limits& limits) noexcept
{
    return !(growth <= limits.growth && growth * limits.growth >= 1.0);
}

} // namespace detail

/// Nothing has moved if either has seen nothing.
inline drift compare(const histogram_observer& calibration, const histogram_observer& deployment, drift_limits limits = {}) noexcept
{
    drift d;
    if (calibration.values().count == 0 || deployment.values().count == 0)
        return d;
    const default_fp_mode mode;
    histogram_observer before = calibration, after = deployment;
    before.grow(after.exponent());
    after.grow(before.exponent());
    const double n = static_cast<double>(before.values().count), m = static_cast<double>(after.values().count);
    std::uint64_t below_before = 0, below_after = 0, outside = 0;
    for (std::ptrdiff_t i = 0; i < histogram_observer::bins; ++i) {
        below_before += before.count(i);
        below_after += after.count(i);
        const double apart = std::fabs(static_cast<double>(below_before) / n - static_cast<double>(below_after) / m);
        d.distance = larger(apart, d.distance);
        if (before.bin_begin(i + 1) <= static_cast<double>(before.values().low)
            || before.bin_begin(i) > static_cast<double>(before.values().high))
            outside += after.count(i);
    }
    d.outside = static_cast<double>(outside) / m;
    d.growth = detail::growth_of(before.values(), after.values());
    const double chance = 1.63 * std::sqrt((n + m) / n / m);
    d.moved = (d.distance > limits.distance && d.distance > chance) || d.outside > limits.outside || detail::grown(d.growth, limits);
    return d;
}

/// Names the layers and channels that moved: how many there are; the first ones are written to found. Both lists hold the same layers.
inline result<std::size_t> find_drift(span<const layer_observers> calibration, span<const layer_observers> deployment,
    span<drift_finding> found, drift_limits limits = {}) noexcept
{
    if (calibration.size() != deployment.size())
        return status::shape_mismatch;
    if (check(calibration) != status::ok || check(deployment) != status::ok || check(found) != status::ok)
        return status::null_pointer;
    for (std::size_t l = 0; l < calibration.size(); ++l) {
        const layer_observers &before = calibration[l], &now = deployment[l];
        if (before.name == nullptr || now.name == nullptr || check(before.channels) != status::ok || check(now.channels) != status::ok)
            return status::null_pointer;
        if (std::strcmp(before.name, now.name) != 0 || before.channels.size() != now.channels.size()
            || (before.values == nullptr) != (now.values == nullptr))
            return status::shape_mismatch;
    }
    std::size_t count = 0;
    const auto report = [&](std::size_t layer, std::ptrdiff_t channel, const drift& by) noexcept {
        if (count < found.size())
            found[count] = {layer, deployment[layer].name, channel, by};
        ++count;
    };
    for (std::size_t l = 0; l < calibration.size(); ++l) {
        if (calibration[l].values != nullptr)
            if (const drift d = compare(*calibration[l].values, *deployment[l].values, limits); d.moved)
                report(l, -1, d);
        for (std::size_t c = 0; c < calibration[l].channels.size(); ++c) {
            const min_max_observer &before = calibration[l].channels[c], &now = deployment[l].channels[c];
            if (before.count == 0 || now.count == 0)
                continue;
            drift d;
            d.growth = detail::growth_of(before, now);
            d.moved = detail::grown(d.growth, limits);
            if (d.moved)
                report(l, static_cast<std::ptrdiff_t>(c), d);
        }
    }
    return count;
}

NIBBLE_END
NIBBLE_STRICT_END
