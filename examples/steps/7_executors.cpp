// 7. Threads that a program already has: executors over OpenMP, oneTBB and the standard library's parallel algorithms. Each is a few lines;
// those that this build has no library for are left out.
#include <cstdio>
#include <cstring>
#include <algorithm>
#include <numeric>
#include <vector>

#include <nibble/nibble.hpp>
#include <nibble/thread_pool.hpp>

#if defined(NIBBLE_EXAMPLE_TBB)
#include <execution>
#include <tbb/parallel_for.h>
#endif

#if defined(_OPENMP)
struct openmp_executor {
    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
#pragma omp parallel for schedule(dynamic)
        for (std::size_t i = 0; i < count; ++i)
            function(i);
    }
};
#endif

#if defined(NIBBLE_EXAMPLE_TBB)
struct tbb_executor {
    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
        tbb::parallel_for(std::size_t {0}, count, function);
    }
};

// It allocates the numbers that std::for_each goes over. (libstdc++ runs parallel algorithms on oneTBB.)
struct standard_executor {
    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
        std::vector<std::size_t> numbers(count);
        std::iota(numbers.begin(), numbers.end(), std::size_t {0});
        std::for_each(std::execution::par, numbers.begin(), numbers.end(), function);
    }
};
#endif

namespace {

constexpr std::ptrdiff_t m = 100, n = 300, k = 64;
std::vector<float> x(m*k), expected(m*n);
nibble::packed_weights weights;

template <class Executor>
bool same_bits(const char* name, Executor&& executor)
{
    std::vector<float> y(m * n);
    const nibble::status done
        = nibble::gemm<float>(nibble::matrix_view<const float>(x.data(), m, k), weights, {}, {y.data(), m, n}, {}, executor);
    const bool same = std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)) == 0;
    std::printf("%-20s %s, %s\n", name, nibble::to_string(done), same ? "the same bits" : "other bits");
    return done == nibble::status::ok && same;
}

} // namespace

int main()
{
    std::vector<float> w(n * k);
    for (std::size_t i = 0; i < w.size(); ++i)
        w[i] = static_cast<float>(i * 7 % 31) - 15.0f;
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<float>(i * 5 % 17) - 8.0f;
    auto packed = nibble::packed_weights::make(nibble::matrix_view<const float>(w.data(), n, k));
    if (!packed)
        return 1;
    weights = std::move(*packed);
    const nibble::matrix_view<const float> from(x.data(), m, k);
    if (nibble::gemm<float>(from, weights, {}, {expected.data(), m, n}, {}) != nibble::status::ok)
        return 1;

    bool all = same_bits("nibble::thread_pool", nibble::thread_pool());
#if defined(_OPENMP)
    all = same_bits("OpenMP", openmp_executor()) && all;
#endif
#if defined(NIBBLE_EXAMPLE_TBB)
    all = same_bits("oneTBB", tbb_executor()) && all;
    all = same_bits("std::execution::par", standard_executor()) && all;
#endif
    return all ? 0 : 1;
}
