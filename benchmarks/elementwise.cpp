// Quantize, dequantize, ranges, conversions: 64 rows of 4096, in cache; GB/s of the float side, to be held against memcpy.
#include <benchmark/benchmark.h>

#include <string>

#include "support.hpp"

namespace {

constexpr std::ptrdiff_t rows = 64, columns = 4096;

template <class Step>
void measure(benchmark::State& state, Step step)
{
    for (auto each : state) {
        step();
        benchmark::ClobberMemory();
    }
    state.counters["GB/s"]
        = benchmark::Counter(1e-9 * 4 * double(rows * columns) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

template <class Q>
void add_codes(nibble::backend b, const char* name, nibble::granularity g, std::ptrdiff_t group)
{
    const std::string where = std::string(name) + "/" + nibble::to_string(b);
    const std::size_t count = static_cast<std::size_t>(nibble::params_count(g, rows, columns, group));
    benchmark::RegisterBenchmark(("quantize_" + where).c_str(), [=](benchmark::State& state) {
        bench::require(nibble::force_backend(b));
        const std::vector<float> x = bench::data(rows * columns), scales(count, 0.01f);
        std::vector<Q> q(static_cast<std::size_t>(rows * nibble::elements_for<Q>(columns)));
        measure(state, [&] {
            bench::require(nibble::quantize(nibble::matrix_view<const float>(x.data(), rows, columns), {g, group, scales},
                nibble::matrix_view<Q>(q.data(), rows, nibble::elements_for<Q>(columns))));
        });
    });
    benchmark::RegisterBenchmark(("dequantize_" + where).c_str(), [=](benchmark::State& state) {
        bench::require(nibble::force_backend(b));
        const std::vector<float> scales(count, 0.01f);
        const std::vector<Q> q(static_cast<std::size_t>(rows * nibble::elements_for<Q>(columns)));
        std::vector<float> x(static_cast<std::size_t>(rows * columns));
        measure(state, [&] {
            bench::require(nibble::dequantize(nibble::matrix_view<const Q>(q.data(), rows, nibble::elements_for<Q>(columns)),
                {g, group, scales}, nibble::matrix_view<float>(x.data(), rows, columns)));
        });
    });
}

template <class H>
void add_conversions(nibble::backend b, const char* name)
{
    const std::string where = std::string(name) + "/" + nibble::to_string(b);
    benchmark::RegisterBenchmark(("f32_to_" + where).c_str(), [=](benchmark::State& state) {
        bench::require(nibble::force_backend(b));
        const std::vector<float> x = bench::data(rows * columns);
        std::vector<H> h(x.size());
        measure(state, [&] { bench::require(nibble::convert(nibble::span<const float>(x), nibble::span<H>(h))); });
    });
    benchmark::RegisterBenchmark((where + "_to_f32").c_str(), [=](benchmark::State& state) {
        bench::require(nibble::force_backend(b));
        const std::vector<H> h(static_cast<std::size_t>(rows * columns));
        std::vector<float> x(h.size());
        measure(state, [&] { bench::require(nibble::convert(nibble::span<const H>(h), nibble::span<float>(x))); });
    });
}

} // namespace

void register_elementwise(nibble::backend b)
{
    using nibble::granularity;
    add_codes<std::int8_t>(b, "s8_tensor", granularity::per_tensor, 0);
    add_codes<std::int8_t>(b, "s8_channel", granularity::per_channel, 0);
    add_codes<std::uint8_t>(b, "u8_channel", granularity::per_channel, 0);
    add_codes<std::int8_t>(b, "s8_group32", granularity::per_group, 32);
    add_codes<nibble::int4x2>(b, "s4_group32", granularity::per_group, 32);
    add_codes<nibble::uint4x2>(b, "u4_group32", granularity::per_group, 32);
    add_conversions<nibble::half>(b, "half");
    add_conversions<nibble::bfloat16>(b, "bfloat16");
    benchmark::RegisterBenchmark((std::string("choose_params_s8_group32/") + nibble::to_string(b)).c_str(), [=](benchmark::State& state) {
        bench::require(nibble::force_backend(b));
        const std::vector<float> x = bench::data(rows * columns);
        std::vector<float> scales(static_cast<std::size_t>(rows * columns / 32)), scratch(2 * scales.size());
        measure(state, [&] {
            bench::require(nibble::choose_params<std::int8_t>(nibble::matrix_view<const float>(x.data(), rows, columns),
                nibble::scheme::symmetric, granularity::per_group, 32, scales, {}, scratch));
        });
    });
}
