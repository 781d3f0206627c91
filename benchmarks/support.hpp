// Shared by the benchmarks: data, and matrices of weights in every format.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <nibble/nibble.hpp>

// OpenBLAS, whose header Debian keeps in a folder of its own.
extern "C" {
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
    int ldb, float beta, float* c, int ldc);
void openblas_set_num_threads(int count);
}

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

enum class kind { f32, half, int8, int4_channel, int4_group32, int4_group128 };
inline constexpr kind all_kinds[] = {kind::f32, kind::half, kind::int8, kind::int4_channel, kind::int4_group32, kind::int4_group128};
inline const char* name_of(kind k)
{
    constexpr const char* names[] = {"f32", "half", "int8", "int4_channel", "int4_group32", "int4_group128"};
    return names[static_cast<int>(k)];
}

template <class Q>
inline nibble::packed_weights quantized(const std::vector<float>& w, std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t group)
{
    const nibble::matrix_view<const float> view(w.data(), n, k);
    const nibble::granularity g = group ? nibble::granularity::per_group : nibble::granularity::per_channel;
    std::vector<float> scales(static_cast<std::size_t>(nibble::params_count(g, n, k, group)));
    std::vector<float> scratch(nibble::choose_params_scratch(g, n, k, group));
    require(nibble::choose_params<Q>(view, nibble::scheme::symmetric, g, group, scales, {}, scratch));
    for (float& s : scales)
        s = nibble::to_float(nibble::to_half(s));
    std::vector<Q> codes(static_cast<std::size_t>(n * nibble::elements_for<Q>(k)));
    const nibble::matrix_view<Q> q(codes.data(), n, nibble::elements_for<Q>(k));
    const nibble::quant_params_view params {g, group, scales};
    require(nibble::quantize(view, params, q));
    auto packed = nibble::packed_weights::make(nibble::matrix_view<const Q>(q), k, params, {true});
    require(packed.error());
    return std::move(*packed);
}

inline nibble::packed_weights make_weights(kind what, const std::vector<float>& w, std::ptrdiff_t n, std::ptrdiff_t k)
{
    switch (what) {
    case kind::f32: {
        auto packed = nibble::packed_weights::make(nibble::matrix_view<const float>(w.data(), n, k));
        require(packed.error());
        return std::move(*packed);
    }
    case kind::half: {
        std::vector<nibble::half> halves(w.size());
        require(nibble::convert(nibble::span<const float>(w), nibble::span<nibble::half>(halves)));
        auto packed = nibble::packed_weights::make(nibble::matrix_view<const nibble::half>(halves.data(), n, k));
        require(packed.error());
        return std::move(*packed);
    }
    case kind::int8: return quantized<std::int8_t>(w, n, k, 0);
    case kind::int4_channel: return quantized<nibble::int4x2>(w, n, k, 0);
    case kind::int4_group32: return quantized<nibble::int4x2>(w, n, k, 32);
    case kind::int4_group128: return quantized<nibble::int4x2>(w, n, k, 128);
    }
    return {};
}

// One product: activations, weights and output of one shape.
struct product {
    std::ptrdiff_t m, n, k;
    std::vector<float> a, c;
    nibble::packed_weights w;
    std::vector<std::byte> workspace;

    product(kind what, std::ptrdiff_t rows, std::ptrdiff_t columns, std::ptrdiff_t depth)
        : m(rows), n(columns), k(depth), a(data(rows * depth)), c(static_cast<std::size_t>(rows * columns)),
          w(make_weights(what, data(columns * depth), columns, depth)), workspace(nibble::gemm_workspace(rows, w))
    {
    }

    void run()
    {
        require(
            nibble::gemm(nibble::matrix_view<const float>(a.data(), m, k), w, {}, nibble::matrix_view<float>(c.data(), m, n), workspace));
    }

    // The timed kernel's result must be that of the scalar backend, on the first rows.
    void check()
    {
        const nibble::backend timed = nibble::active_backend();
        const std::ptrdiff_t rows = m < 2 ? m : 2;
        run();
        std::vector<float> expected(static_cast<std::size_t>(rows * n));
        require(nibble::force_backend(nibble::backend::scalar));
        require(nibble::gemm(
            nibble::matrix_view<const float>(a.data(), rows, k), w, {}, nibble::matrix_view<float>(expected.data(), rows, n), workspace));
        require(nibble::force_backend(timed));
        if (std::memcmp(expected.data(), c.data(), expected.size() * sizeof(float)) != 0) {
            std::fprintf(stderr, "benchmark: %s differs from scalar\n", nibble::to_string(timed));
            std::exit(1);
        }
    }
};

} // namespace bench
