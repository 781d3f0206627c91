// 4. Your threads: an executor is anything with parallel_for(count, function). The result has the same bits with every executor.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include <nibble/nibble.hpp>

// Starts threads for each call, to be short; an engine has a pool, OpenMP or oneTBB here.
struct four_threads {
    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
        std::atomic<std::size_t> next {0};
        const auto work = [&] {
            for (std::size_t i = next++; i < count; i = next++)
                function(i);
        };
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back(work);
        work();
        for (std::thread& t : threads)
            t.join();
    }
};

int main()
{
    constexpr std::ptrdiff_t m = 100, n = 300, k = 64;
    std::vector<float> w(n * k), x(m * k), alone(m * n), together(m * n);
    for (std::size_t i = 0; i < w.size(); ++i)
        w[i] = static_cast<float>(i * 7 % 31) - 15.0f;
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<float>(i * 5 % 17) - 8.0f;
    const auto packed = nibble::packed_weights::make(nibble::matrix_view<const float>(w.data(), n, k));
    if (!packed)
        return 1;
    const nibble::matrix_view<const float> from(x.data(), m, k);
    const nibble::status one = nibble::gemm<float>(from, *packed, {}, {alone.data(), m, n}, {});
    const nibble::status four = nibble::gemm<float>(from, *packed, {}, {together.data(), m, n}, {}, four_threads {});
    const bool same = std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)) == 0;
    std::printf("%s, %s, %s\n", nibble::to_string(one), nibble::to_string(four), same ? "the same bits" : "other bits");
    return one == nibble::status::ok && four == nibble::status::ok && same ? 0 : 1;
}
