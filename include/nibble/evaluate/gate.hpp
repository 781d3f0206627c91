// Limits for measurements, for a test that runs with every change:
//     const gate gates[] = {at_most("mean KL of INT4", kl, 0.01), at_least("top-1 of INT4", top1, 0.9)};
//     const gate_result r = check_gates(gates);   // r.failed: how many, r.first: which
// A value that is NaN fails every gate.
#pragma once

#include <cstddef>

#include "../core/status.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN_TYPES

struct gate {
    const char* name = "";
    double value = 0, limit = 0;
    bool is_upper_limit = true;
};

NIBBLE_INLINE constexpr gate at_most(const char* name, double value, double limit) noexcept { return {name, value, limit, true}; }
NIBBLE_INLINE constexpr gate at_least(const char* name, double value, double limit) noexcept { return {name, value, limit, false}; }

struct gate_result {
    status outcome = status::ok; ///< gate_failed if one does not hold; null_pointer
    std::size_t failed = 0, first = 0;
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

inline bool holds(const gate& g) noexcept { return g.is_upper_limit ? g.value <= g.limit : g.value >= g.limit; }

inline gate_result check_gates(span<const gate> gates) noexcept
{
    gate_result r;
    if (r.outcome = check(gates); r.outcome != status::ok)
        return r;
    for (std::size_t i = 0; i < gates.size(); ++i)
        if (!holds(gates[i])) {
            r.first = r.failed == 0 ? i : r.first;
            ++r.failed;
            r.outcome = status::gate_failed;
        }
    return r;
}

/// tested_on_calibration if one label names both sets of data: null or empty labels are unknown, and pass.
inline status check_data(const char* calibration, const char* test) noexcept
{
    if (calibration == nullptr || test == nullptr || *calibration == 0)
        return status::ok;
    for (; *calibration == *test; ++calibration, ++test)
        if (*calibration == 0)
            return status::tested_on_calibration;
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
