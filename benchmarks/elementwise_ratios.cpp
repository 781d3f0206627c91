// Element-wise operations against memcpy of the float side, interleaved: each round times everything once, so that noise meets all alike.
// One thread, 16 rows of 4096 floats (256 KiB), in the second-level cache. A ratio of 1 is the speed of memcpy.
// usage: nibble_elementwise_ratios [ROUNDS]
#include <functional>
#include <string>

#include "support.hpp"

namespace {

constexpr std::ptrdiff_t rows = 16, columns = 4096, count = rows * columns;
constexpr int repeats = 8; // of an operation in a timed interval

using nibble::granularity;

template <class Q>
struct codes {
    std::vector<Q> q = std::vector<Q>(static_cast<std::size_t>(rows * nibble::elements_for<Q>(columns)));
    nibble::matrix_view<Q> view() { return {q.data(), rows, nibble::elements_for<Q>(columns)}; }
};

struct operation {
    std::string name;
    std::function<void()> run;
};

} // namespace

int main(int argc, char** argv)
{
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 31;
    const std::vector<float> x = bench::data(count);
    const nibble::matrix_view<const float> from(x.data(), rows, columns);
    std::vector<float> y(x.size());
    const nibble::matrix_view<float> to(y.data(), rows, columns);
    const auto count_of
        = [](granularity g, std::ptrdiff_t group) { return static_cast<std::size_t>(nibble::params_count(g, rows, columns, group)); };
    const std::vector<float> one(1, 0.01f), each_group(count_of(granularity::per_group, 32), 0.01f);
    std::vector<float> row_scales(rows), group_scales(each_group.size());
    const std::vector<std::int32_t> zero_points(each_group.size(), 3);
    codes<std::int8_t> s8;
    codes<std::uint8_t> u8;
    codes<nibble::int4x2> s4;
    codes<nibble::uint4x2> u4;
    std::vector<nibble::half> halves(x.size());
    std::vector<nibble::bfloat16> brains(x.size());
    std::vector<nibble::float8_e4m3> e4m3(x.size());
    codes<nibble::float4_e2m1x2> fp4 {std::vector<nibble::float4_e2m1x2>(x.size() / 2)};
    std::vector<nibble::float8_e8m0> mx_scales(x.size() / 32);
    std::vector<std::int32_t> sums(x.size());
    for (std::size_t i = 0; i < sums.size(); ++i)
        sums[i] = static_cast<std::int32_t>(x[i] * 100000.0f);
    const nibble::matrix_view<const std::int32_t> from_sums(sums.data(), rows, columns);
    const std::vector<float> requantize_scale(columns, 0.001f);
    const std::vector<std::int32_t> multiplier(columns, 1400000000), shift(columns, -9);
    nibble::requantization floating, fixed;
    floating.scale = requantize_scale;
    fixed.mode = nibble::requantize_mode::double_rounding;
    fixed.multiplier = multiplier;
    fixed.shift = shift;
    nibble::quantize_rule away, random;
    away.round = nibble::rounding::half_away_from_zero;
    random.round = nibble::rounding::stochastic;

    using bench::require;
    const nibble::matrix_view<nibble::float4_e2m1x2> fp4_view(fp4.q.data(), rows, columns / 2);
    const nibble::matrix_view<nibble::float8_e8m0> mx_view(mx_scales.data(), rows, columns / 32);
    const operation operations[] = {
        {"f32 -> s8, one scale",
            [&] {
                require(nibble::quantize(from, {granularity::per_tensor, 0, one}, s8.view()));
            }},
        {"f32 -> s8, one scale, half away",
            [&] {
                require(nibble::quantize(from, {granularity::per_tensor, 0, one}, s8.view(), away));
            }},
        {"f32 -> s8, one scale, stochastic",
            [&] {
                require(nibble::quantize(from, {granularity::per_tensor, 0, one}, s8.view(), random));
            }},
        {"f32 -> s8, rows, absmax",
            [&] { require(nibble::quantize_dynamic(from, granularity::per_channel, 0, nibble::span<float>(row_scales), s8.view())); }},
        {"f32 -> s8, groups of 32, absmax",
            [&] { require(nibble::quantize_dynamic(from, granularity::per_group, 32, nibble::span<float>(group_scales), s8.view())); }},
        {"f32 -> s4, groups of 32, absmax",
            [&] { require(nibble::quantize_dynamic(from, granularity::per_group, 32, nibble::span<float>(group_scales), s4.view())); }},
        {"f32 -> s4, groups of 32, given",
            [&] {
                require(nibble::quantize(from, {granularity::per_group, 32, each_group}, s4.view()));
            }},
        {"s8 -> f32, one scale",
            [&] {
                require(nibble::dequantize(nibble::matrix_view<const std::int8_t>(s8.view()), {granularity::per_tensor, 0, one}, to));
            }},
        {"s8 -> f32, groups of 32",
            [&] {
                require(
                    nibble::dequantize(nibble::matrix_view<const std::int8_t>(s8.view()), {granularity::per_group, 32, each_group}, to));
            }},
        {"s4 -> f32, groups of 32",
            [&] {
                require(
                    nibble::dequantize(nibble::matrix_view<const nibble::int4x2>(s4.view()), {granularity::per_group, 32, each_group}, to));
            }},
        {"u4 -> f32, groups of 32, zero points",
            [&] {
                require(nibble::dequantize(
                    nibble::matrix_view<const nibble::uint4x2>(u4.view()), {granularity::per_group, 32, each_group, zero_points}, to));
            }},
        {"f32 -> half", [&] { require(nibble::convert(nibble::span<const float>(x), nibble::span<nibble::half>(halves))); }},
        {"half -> f32", [&] { require(nibble::convert(nibble::span<const nibble::half>(halves), nibble::span<float>(y))); }},
        {"f32 -> bfloat16", [&] { require(nibble::convert(nibble::span<const float>(x), nibble::span<nibble::bfloat16>(brains))); }},
        {"bfloat16 -> f32", [&] { require(nibble::convert(nibble::span<const nibble::bfloat16>(brains), nibble::span<float>(y))); }},
        {"f32 -> float8 e4m3", [&] { require(nibble::convert(nibble::span<const float>(x), nibble::span<nibble::float8_e4m3>(e4m3))); }},
        {"float8 e4m3 -> f32", [&] { require(nibble::convert(nibble::span<const nibble::float8_e4m3>(e4m3), nibble::span<float>(y))); }},
        {"f32 -> MXFP4", [&] { require(nibble::quantize_mx(from, fp4_view, mx_view)); }},
        {"MXFP4 -> f32",
            [&] {
                require(nibble::dequantize_mx(nibble::matrix_view<const nibble::float4_e2m1x2>(fp4_view),
                    nibble::matrix_view<const nibble::float8_e8m0>(mx_view), to));
            }},
        {"s32 -> s8, float scale a column", [&] { require(nibble::requantize(from_sums, floating, s8.view())); }},
        {"s32 -> s8, double rounding a column", [&] { require(nibble::requantize(from_sums, fixed, s8.view())); }},
    };

    std::vector<nibble::backend> backends;
    for (int i = nibble::backend_count - 1; i >= 0; --i)
        if (nibble::check_backend(static_cast<nibble::backend>(i)) == nibble::status::ok)
            backends.push_back(static_cast<nibble::backend>(i));
    const std::size_t kinds = std::size(operations);
    std::vector<std::vector<double>> times(backends.size() * kinds + 1);
    for (int round = 0; round < rounds; ++round) {
        times[0].push_back(bench::seconds([&] {
            for (int r = 0; r < repeats; ++r) {
                std::memcpy(y.data(), x.data(), x.size() * sizeof(float));
                __asm__ volatile("" ::"r"(y.data()) : "memory");
            }
        }));
        for (std::size_t b = 0; b < backends.size(); ++b) {
            require(nibble::force_backend(backends[b]));
            for (std::size_t i = 0; i < kinds; ++i) {
                operations[i].run();
                times[1 + b * kinds + i].push_back(bench::seconds([&] {
                    for (int r = 0; r < repeats; ++r)
                        operations[i].run();
                }));
            }
        }
    }
    const double copy = bench::median(times[0]);
    std::printf(
        "memcpy %.1f GB/s of float; speed against it, medians of %d interleaved rounds\n%-38s", 4e-9 * repeats * count / copy, rounds, "");
    for (const nibble::backend b : backends)
        std::printf(" %12s", nibble::to_string(b));
    std::printf("\n");
    for (std::size_t i = 0; i < kinds; ++i) {
        std::printf("%-38s", operations[i].name.c_str());
        for (std::size_t b = 0; b < backends.size(); ++b)
            std::printf(" %12.2f", copy / bench::median(times[1 + b * kinds + i]));
        std::printf("\n");
    }
}
