// Element-wise operations against memcpy of the float side, interleaved: each round times everything once, so that noise meets all alike.
// One thread, 16 rows of 4096 floats (256 KiB), in the second-level cache. A ratio of 1 is the speed of memcpy, which may use means that no
// kernel has (on x86 a string instruction); loops that only copy, read or write vectors of 32 bytes show what is left for kernels.
// usage: nibble_elementwise_ratios [ROUNDS] [OFFSET]
//   OFFSET  bytes from the start of a cache line to the start of every array: 0, or 16 as malloc of large sizes gives it
#include <functional>
#include <string>

#include "../examples/common/command_line.hpp"
#include "support.hpp"

namespace {

constexpr std::ptrdiff_t rows = 16, columns = 4096, count = rows * columns;
constexpr int repeats = 8; // of an operation in a timed interval

using nibble::granularity;

std::uintptr_t offset = 0;

// An array at the offset, and no two at the same place in a page: a load that follows a store to the same place in another page waits.
template <class T>
class array {
public:
    explicit array(std::ptrdiff_t size) : size_(static_cast<std::size_t>(size)), storage_(size_ + 2 * page / sizeof(T))
    {
        static std::uintptr_t place = 0;
        place = (place + 5 * line) % page;
        const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(storage_.data());
        data_ = reinterpret_cast<T*>(at + (page - at % page) + place + offset);
    }
    T* data() { return data_; }
    std::size_t size() const { return size_; }
    nibble::span<T> view() { return {data_, size_}; }
    nibble::span<const T> constant() { return {data_, size_}; }

private:
    static constexpr std::uintptr_t page = 4096, line = 64;
    std::size_t size_;
    std::vector<T> storage_;
    T* data_;
};

template <class Q>
struct codes {
    array<Q> q {rows * nibble::elements_for<Q>(columns)};
    nibble::matrix_view<Q> view() { return {q.data(), rows, nibble::elements_for<Q>(columns)}; }
};

// What loops over vectors reach, eight floats at a time. The empty asm keeps the compiler from calling memcpy and memset instead.
using eight = float __attribute__((vector_size(32), aligned(4)));
#if defined(__x86_64__)
#define WITH_AVX2 __attribute__((target("avx2")))
#else
#define WITH_AVX2
#endif

WITH_AVX2 void copy_loop(const float* x, float* y)
{
    for (std::ptrdiff_t i = 0; i < count; i += 32) {
        for (std::ptrdiff_t v = 0; v < 32; v += 8)
            *reinterpret_cast<eight*>(y + i + v) = *reinterpret_cast<const eight*>(x + i + v);
        __asm__ volatile("" : "+r"(y));
    }
}
WITH_AVX2 void read_loop(const float* x, float* y)
{
    eight sums[4] = {};
    for (std::ptrdiff_t i = 0; i < count; i += 32)
        for (std::ptrdiff_t v = 0; v < 4; ++v)
            sums[v] += *reinterpret_cast<const eight*>(x + i + 8 * v);
    *reinterpret_cast<eight*>(y) = (sums[0] + sums[1]) + (sums[2] + sums[3]);
}
WITH_AVX2 void write_loop(float* y)
{
    const eight one = {1, 1, 1, 1, 1, 1, 1, 1};
    for (std::ptrdiff_t i = 0; i < count; i += 32) {
        for (std::ptrdiff_t v = 0; v < 32; v += 8)
            *reinterpret_cast<eight*>(y + i + v) = one;
        __asm__ volatile("" : "+r"(y));
    }
}

struct operation {
    std::string name;
    std::function<void()> run;
};

} // namespace

int main(int argc, char** argv)
{
    const auto given_rounds = command_line::whole_number(argc > 1 ? argv[1] : "31", 1, 100000);
    const auto given_offset = command_line::whole_number(argc > 2 ? argv[2] : "0", 0, 4096);
    if (!given_rounds || !given_offset || argc > 3) {
        std::fprintf(stderr, "usage: nibble_elementwise_ratios [ROUNDS, 1 to 100000] [OFFSET, 0 to 4096 bytes]\n");
        return 2;
    }
    command_line::warn_of_backend("nibble_elementwise_ratios");
    const int rounds = static_cast<int>(*given_rounds);
    offset = static_cast<std::uintptr_t>(*given_offset) / sizeof(float) * sizeof(float);
    array<float> x(count), y(count);
    const std::vector<float> numbers = bench::data(count);
    std::copy(numbers.begin(), numbers.end(), x.data());
    const nibble::matrix_view<const float> from(x.data(), rows, columns);
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
    array<nibble::half> halves(count);
    array<nibble::bfloat16> brains(count);
    array<nibble::float8_e4m3> e4m3(count);
    array<nibble::float4_e2m1x2> fp4(count / 2);
    std::vector<nibble::float8_e8m0> mx_scales(x.size() / 32);
    array<std::int32_t> sums(count);
    for (std::size_t i = 0; i < sums.size(); ++i)
        sums.data()[i] = static_cast<std::int32_t>(numbers[i] * 100000.0f);
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
    const nibble::matrix_view<nibble::float4_e2m1x2> fp4_view(fp4.data(), rows, columns / 2);
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
        {"f32 -> half", [&] { require(nibble::convert(x.constant(), halves.view())); }},
        {"half -> f32", [&] { require(nibble::convert(halves.constant(), y.view())); }},
        {"f32 -> bfloat16", [&] { require(nibble::convert(x.constant(), brains.view())); }},
        {"bfloat16 -> f32", [&] { require(nibble::convert(brains.constant(), y.view())); }},
        {"f32 -> float8 e4m3", [&] { require(nibble::convert(x.constant(), e4m3.view())); }},
        {"float8 e4m3 -> f32", [&] { require(nibble::convert(e4m3.constant(), y.view())); }},
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
    const std::function<void()> limits[] = {[&] {
                                                std::memcpy(y.data(), x.data(), x.size() * sizeof(float));
                                                __asm__ volatile("" ::"r"(y.data()) : "memory");
                                            },
        [&] { copy_loop(x.data(), y.data()); }, [&] { read_loop(x.data(), y.data()); }, [&] { write_loop(y.data()); }};
    std::vector<std::vector<double>> limit_times(std::size(limits)), times(backends.size() * kinds);
    const auto time = [](const std::function<void()>& run, std::vector<double>& into) {
        run(); // brings the data into the cache
        into.push_back(bench::seconds([&] {
            for (int r = 0; r < repeats; ++r)
                run();
        }));
    };
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < limit_times.size(); ++i)
            time(limits[i], limit_times[i]);
        for (std::size_t b = 0; b < backends.size(); ++b) {
            require(nibble::force_backend(backends[b]));
            for (std::size_t i = 0; i < kinds; ++i)
                time(operations[i].run, times[b * kinds + i]);
        }
    }
    const double copy = bench::median(limit_times[0]);
    std::printf("memcpy %.1f GB/s of float; speed against it, medians of %d interleaved rounds\n"
                "loops over vectors of 32 bytes: copy %.2f, read %.2f, write %.2f\n%-38s",
        4e-9 * repeats * count / copy, rounds, copy / bench::median(limit_times[1]), copy / bench::median(limit_times[2]),
        copy / bench::median(limit_times[3]), "");
    for (const nibble::backend b : backends)
        std::printf(" %12s", nibble::to_string(b));
    std::printf("\n");
    for (std::size_t i = 0; i < kinds; ++i) {
        std::printf("%-38s", operations[i].name.c_str());
        for (std::size_t b = 0; b < backends.size(); ++b)
            std::printf(" %12.2f", copy / bench::median(times[b * kinds + i]));
        std::printf("\n");
    }
}
