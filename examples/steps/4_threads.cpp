// 4. Threads: an executor is anything with parallel_for(count, function). nibble::thread_pool is one; step 7 has OpenMP's, oneTBB's and the
// standard library's. The result has the same bits with every executor and count of threads.
#include <cstdio>
#include <cstring>
#include <vector>

#include <nibble/nibble.hpp>
#include <nibble/thread_pool.hpp>

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
    nibble::thread_pool pool(4);
    const nibble::status one = nibble::gemm<float>(from, *packed, {}, {alone.data(), m, n}, {});
    const nibble::status four = nibble::gemm<float>(from, *packed, {}, {together.data(), m, n}, {}, pool);
    const bool same = std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)) == 0;
    std::printf("%s, %s, %s\n", nibble::to_string(one), nibble::to_string(four), same ? "the same bits" : "other bits");
    return one == nibble::status::ok && four == nibble::status::ok && same ? 0 : 1;
}
