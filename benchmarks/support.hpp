// Shared by the benchmarks: time, data, errors.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <nibble/nibble.hpp>

namespace bench {

inline double median(std::vector<double> times)
{
    std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
    return times[times.size() / 2];
}

template <class Run>
inline double seconds(Run run)
{
    const auto began = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

inline std::vector<float> data(std::ptrdiff_t count)
{
    std::vector<float> x(static_cast<std::size_t>(count));
    std::uint32_t state = 12345;
    for (float& v : x) {
        state = state * 1664525u + 1013904223u;
        v = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

inline void require(nibble::status s)
{
    if (s == nibble::status::ok)
        return;
    std::fprintf(stderr, "benchmark: %s\n", nibble::to_string(s));
    std::exit(1);
}

} // namespace bench
