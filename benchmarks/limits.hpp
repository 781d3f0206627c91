// What this machine can do at most, measured in the same run as the products: loops that work on registers alone, one for each mix of
// instructions that a product can be made of, and loops that only read memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "contender.hpp"

namespace bench {

struct compute_limit {
    std::string backend;            ///< of nibble, whose instructions these are
    std::string mix;                ///< which instructions
    std::vector<std::string> kinds; ///< of products that can be made of it; none: it is here for comparison
    double gops = 0;                ///< 2 operations a multiply-add
    int threads = 1;
};
struct memory_limit {
    std::string level;            ///< L1, L2, L3, DRAM
    std::size_t bytes = 0;        ///< that each thread reads again and again
    int streams = 1, threads = 1; ///< places that a thread reads from at the same time
    double gbs = 0;               ///< of all threads together
};
struct machine_limits {
    std::vector<compute_limit> compute;
    std::vector<memory_limit> memory;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(compute_limit, backend, mix, kinds, gops, threads)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(memory_limit, level, bytes, streams, threads, gbs)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(machine_limits, compute, memory)

struct cache_sizes {
    std::size_t l1 = 0, l2 = 0, l3 = 0; ///< data, in bytes, each of one core or what it shares; 0: not known
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(cache_sizes, l1, l2, l3)

/// Bytes that a DRAM measurement walks: at least twice the last cache that one core can fill.
std::size_t streamed_bytes(const cache_sizes& caches);

machine_limits measure_limits(const cache_sizes& caches, const std::vector<int>& threads, bool quick);

/// The greater of each: what slows the machine down for a while does not lower its limits.
machine_limits greatest(machine_limits a, const machine_limits& b);

/// The most GOP/s that the limits allow a product of this kind which does `operations` for `weight_bytes` read; 0 if not known.
double attainable(const machine_limits& limits, const cache_sizes& caches, const std::string& kind, const std::string& backend, int threads,
    double operations, double weight_bytes, bool stream);

} // namespace bench
