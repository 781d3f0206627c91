// Chooses a format for each layer: the least sum of errors whose sum of bytes fits a budget. errors[layer * formats + format] holds, for
// example, each layer's KL when it alone is quantized. bytes has the same order.
//
// A table holds the best error for every layer and number of units of memory. There are at most `units` units. Sizes are rounded up to
// whole units, so the result always fits. It is the best choice but for that rounding, and exactly the best if the unit divides every size.
#pragma once

#include <cmath>
#include <limits>

#include "../core/bits.hpp"
#include "../core/memory.hpp"
#include "../core/status.hpp"
#include "../core/view.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

struct mixed_precision_report {
    double error = 0;
    std::uint64_t bytes = 0, unit = 1;
};

/// choice[layer]: the format. budget_too_small, with nothing written, if the smallest formats do not fit.
inline status choose_formats(span<const double> errors, span<const std::uint64_t> bytes, std::size_t formats, std::uint64_t budget,
    span<std::uint32_t> choice, mixed_precision_report* report = nullptr, std::size_t units = 1 << 16) noexcept
{
    const std::size_t layers = choice.size();
    if (formats == 0 || errors.size() != bytes.size() || errors.size() / formats != layers || errors.size() % formats != 0)
        return status::shape_mismatch;
    if (check(errors) != status::ok || check(bytes) != status::ok || check(choice) != status::ok)
        return status::null_pointer;
    if (formats > 255 || units == 0 || units > (std::size_t {1} << 24))
        return status::option_invalid;
    std::uint64_t common = budget, least = 0;
    double most = 0.0;
    for (std::size_t l = 0; l < layers; ++l) {
        std::uint64_t smallest = UINT64_MAX;
        for (std::size_t f = 0; f < formats; ++f) {
            const std::uint64_t size = bytes[l * formats + f];
            if (!(errors[l * formats + f] >= 0.0) || !(errors[l * formats + f] < HUGE_VAL))
                return status::not_finite;
            most = larger(errors[l * formats + f], most);
            smallest = smaller(size, smallest);
            for (std::uint64_t a = size; a != 0;) {
                const std::uint64_t rest = common % a;
                common = a;
                a = rest;
            }
        }
        if (smallest > budget - least)
            return status::budget_too_small;
        least += smallest;
    }
    common = common == 0 ? 1 : common;
    const std::uint64_t coarse = budget / units + (budget % units != 0), unit = larger(common, coarse);
    const std::size_t columns = std::size_t {budget / unit} + 1;
    aligned_buffer memory;
    if (const status s = memory.allocate(columns * (checked_size(2 * sizeof(double)) + layers)); s != status::ok)
        return s;
    double *best = reinterpret_cast<double*>(memory.bytes().data()), *next = best + columns;
    std::uint8_t* const taken = reinterpret_cast<std::uint8_t*>(next + columns);
    for (std::size_t u = 0; u < columns; ++u)
        best[u] = 0.0;
    // Errors near the end of double's range are scaled down, so that their sums stay finite.
    const double part = most < 0x1p900 ? 1.0 : 0x1p-100;
    const auto in_units = [&](std::size_t l, std::size_t f) noexcept {
        const std::uint64_t size = bytes[l * formats + f];
        return size / unit + (size % unit != 0);
    };
    // best[u]: the least error of the layers so far in at most u units.
    for (std::size_t l = 0; l < layers; ++l) {
        for (std::size_t u = 0; u < columns; ++u) {
            next[u] = HUGE_VAL;
            for (std::size_t f = 0; f < formats; ++f)
                if (const std::uint64_t size = in_units(l, f); size <= u) {
                    const double error = best[u - size] + errors[l * formats + f] * part;
                    if (error < next[u]) {
                        next[u] = error;
                        taken[l * columns + u] = static_cast<std::uint8_t>(f);
                    }
                }
        }
        std::swap(best, next);
    }
    // Rounding up can push the smallest formats over the budget although they fit.
    if (!(best[columns - 1] < HUGE_VAL))
        return status::budget_too_small;
    mixed_precision_report done;
    done.error = best[columns - 1] / part;
    done.unit = unit;
    for (std::size_t l = layers, u = columns - 1; l-- > 0;) {
        const std::size_t f = taken[l * columns + u];
        choice[l] = static_cast<std::uint32_t>(f);
        done.bytes += bytes[l * formats + f];
        u -= std::size_t {in_units(l, f)};
    }
    if (report != nullptr)
        *report = done;
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
