// What this machine can do at most, measured in the same process as the products: loops that work on registers alone, one for each mix of
// instructions that a product can be made of, and loops that only read.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <nibble/backend/backend.hpp>

#include "contender.hpp"

namespace bench {

struct cache_sizes {
    std::size_t l1 = 0, l2 = 0, l3 = 0; ///< data, in bytes, each of one core or what it shares; 0: not known
};

/// Bytes that a measurement from memory walks: eight times the last-level cache, in [256 MiB, 1 GiB]. Copies of twice the cache, as an
/// earlier version had, are found in it by half, more by whoever runs after others of the same weights.
std::size_t memory_bytes(const cache_sizes& caches);

class limits {
public:
    explicit limits(const cache_sizes& caches, const std::vector<int>& threads);

    /// Measures again and keeps the greater: what slows the machine down for a while must not lower its limits.
    void measure(int tries);
    void measure_compute(int tries);

    /// Most operations a second of a product of this kind; 0: not known.
    double ops(kind what, nibble::backend b, int threads) const;
    /// Most bytes a second that a loop reads. level: L1, L2, L3, memory (twice memory_bytes), or half_memory.
    double read(const std::string& level, int threads) const;
    /// A reading loop beside the contenders found more.
    void saw_read(int threads, double bytes_a_second);

    /// For the context of a run: name and value.
    std::vector<std::pair<std::string, double>> all() const;

    /// Reads as many bytes as one call of a reading benchmark does, from where the last call stopped.
    void read_memory(int threads);
    static constexpr std::size_t bytes_a_call = std::size_t(32) << 20;

private:
    void measure_memory(int tries);

    cache_sizes caches_;
    std::vector<int> threads_;
    std::map<std::pair<std::string, int>, double> compute_, read_; // by mix or level, and threads
    std::size_t next_ = 0;
};

/// The one of this program, made by main().
limits& machine_limits();

} // namespace bench
