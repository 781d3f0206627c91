// gemm and gemv: one thread, hot weights, float activations quantized inside for integer weights.
#include <benchmark/benchmark.h>

#include <string>

#include "support.hpp"

namespace {

struct shape {
    std::ptrdiff_t m, n, k;
    std::string name() const { return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k); }
};

// The layers of a 7B model, for one token, a few, and a prompt; and squares.
std::vector<shape> shapes()
{
    std::vector<shape> all;
    for (const std::ptrdiff_t m : {1, 4, 16, 128})
        for (const auto& [n, k] : {std::pair<std::ptrdiff_t, std::ptrdiff_t> {4096, 4096}, {11008, 4096}, {4096, 11008}})
            all.push_back({m, n, k});
    for (const std::ptrdiff_t size : {256, 512, 1024, 2048})
        all.push_back({size, size, size});
    return all;
}

void count(benchmark::State& state, const shape& s, std::size_t weight_bytes)
{
    const double times = static_cast<double>(state.iterations());
    state.counters["GOP/s"] = benchmark::Counter(2e-9 * double(s.m) * double(s.n) * double(s.k) * times, benchmark::Counter::kIsRate);
    state.counters["GB/s"] = benchmark::Counter(1e-9 * static_cast<double>(weight_bytes) * times, benchmark::Counter::kIsRate);
}

void run_gemm(benchmark::State& state, bench::kind what, nibble::backend b, shape s)
{
    bench::require(nibble::force_backend(b));
    bench::product p(what, s.m, s.n, s.k);
    p.check();
    for (auto step : state) {
        p.run();
        benchmark::ClobberMemory();
    }
    count(state, s, p.w.bytes().size());
}

template <class A>
void run_static(benchmark::State& state, nibble::backend b, shape s)
{
    bench::require(nibble::force_backend(b));
    const nibble::packed_weights w = bench::make_weights(bench::kind::int8, bench::data(s.n * s.k), s.n, s.k);
    std::vector<A> a(static_cast<std::size_t>(s.m * s.k));
    for (std::size_t i = 0; i < a.size(); ++i)
        a[i] = static_cast<A>(i * 37);
    std::vector<std::int32_t> c(static_cast<std::size_t>(s.m * s.n));
    std::vector<std::byte> workspace(nibble::gemm_workspace(s.m, w));
    for (auto step : state) {
        bench::require(nibble::gemm(nibble::matrix_view<const A>(a.data(), s.m, s.k), {1.0f, 3}, w, {},
            nibble::matrix_view<std::int32_t>(c.data(), s.m, s.n), workspace));
        benchmark::ClobberMemory();
    }
    count(state, s, w.bytes().size());
}

#if defined(NIBBLE_BENCHMARK_OPENBLAS)
void run_openblas(benchmark::State& state, shape s)
{
    openblas_set_num_threads(1);
    const std::vector<float> a = bench::data(s.m * s.k), w = bench::data(s.n * s.k);
    std::vector<float> c(static_cast<std::size_t>(s.m * s.n));
    const int m = static_cast<int>(s.m), n = static_cast<int>(s.n), k = static_cast<int>(s.k);
    for (auto step : state) {
        cblas_sgemm(101, 111, 112, m, n, k, 1, a.data(), k, w.data(), k, 0, c.data(), n);
        benchmark::ClobberMemory();
    }
    count(state, s, w.size() * sizeof(float));
}
#endif

} // namespace

void register_products(nibble::backend b)
{
    for (const shape& s : shapes()) {
        // Minutes for a figure that says nothing.
        if (b == nibble::backend::scalar && s.m > 16)
            continue;
        const std::string where = std::string("/") + nibble::to_string(b) + "/" + s.name();
        for (const bench::kind what : bench::all_kinds)
            benchmark::RegisterBenchmark(("gemm_f32_" + std::string(bench::name_of(what)) + where).c_str(),
                [=](benchmark::State& state) { run_gemm(state, what, b, s); });
        benchmark::RegisterBenchmark(
            ("gemm_s8_s8_s32" + where).c_str(), [=](benchmark::State& state) { run_static<std::int8_t>(state, b, s); });
        benchmark::RegisterBenchmark(
            ("gemm_u8_s8_s32" + where).c_str(), [=](benchmark::State& state) { run_static<std::uint8_t>(state, b, s); });
    }
}

void register_baselines()
{
#if defined(NIBBLE_BENCHMARK_OPENBLAS)
    for (const shape& s : shapes())
        benchmark::RegisterBenchmark(("openblas_sgemm/" + s.name()).c_str(), [=](benchmark::State& state) { run_openblas(state, s); });
#endif
    benchmark::RegisterBenchmark("memcpy/4096x64", [](benchmark::State& state) {
        const std::vector<float> x = bench::data(4096 * 64);
        std::vector<float> y(x.size());
        for (auto step : state) {
            std::memcpy(y.data(), x.data(), x.size() * sizeof(float));
            benchmark::ClobberMemory();
        }
        state.counters["GB/s"] = benchmark::Counter(
            1e-9 * static_cast<double>(x.size() * sizeof(float)) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
    });
}
