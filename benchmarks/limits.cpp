#include "limits.hpp"

#include <algorithm>
#include <cmath>

#include "support.hpp"

namespace bench {
namespace {

using vector16 = long long __attribute__((vector_size(16), may_alias));
using vector32 = long long __attribute__((vector_size(32), may_alias));
using vector64 = long long __attribute__((vector_size(64), may_alias));

// Loops that work on registers alone. Each step runs CODE for COUNT accumulators %0, with operands %3 and %4 and help of %1 and %2.
struct loop {
    nibble::backend backend;
    const char* mix;
    std::vector<kind> kinds; // of products that can be made of it
    double multiply_adds;    // in a step
    void (*run)(long steps);
};

#if defined(__x86_64__)
#define STEP(CODE, i) __asm__ volatile(CODE : "+v"(a[i]), "=&v"(t), "=&v"(u) : "v"(x), "v"(y));
#else
#define STEP(CODE, i) __asm__ volatile(CODE : "+w"(a[i]), "=&w"(t), "=&w"(u) : "w"(x), "w"(y));
#endif
#define STEPS_4(CODE) STEP(CODE, 0) STEP(CODE, 1) STEP(CODE, 2) STEP(CODE, 3)
#define STEPS_8(CODE) STEPS_4(CODE) STEP(CODE, 4) STEP(CODE, 5) STEP(CODE, 6) STEP(CODE, 7)
#define STEPS_12(CODE) STEPS_8(CODE) STEP(CODE, 8) STEP(CODE, 9) STEP(CODE, 10) STEP(CODE, 11)
#define LOOP(NAME, TARGET, VECTOR, COUNT, CODE)                 \
    __attribute__((target(TARGET))) void NAME(long steps)       \
    {                                                           \
        VECTOR a[COUNT] = {};                                   \
        [[maybe_unused]] VECTOR x = {}, y = {}, t = {}, u = {}; \
        for (; steps > 0; --steps) {                            \
            STEPS_##COUNT(CODE)                                 \
        }                                                       \
    }

#if defined(__x86_64__)

#define FMA "vfmadd231ps %3, %4, %0"
#define MADD "vpmaddwd %3, %4, %1\n\tvpaddd %1, %0, %0"
#define SATURATING "vpmaddubsw %3, %4, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0"
#define SIGN "vpsignb %3, %4, %1\n\tvpmaddubsw %1, %4, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0"
// Eight products of 4 bits and 8 bits fit an int16 before it is widened.
#define ONE_MORE "vpmaddubsw %3, %4, %2\n\tvpaddw %2, %1, %1\n\t"
#define CHAIN "vpmaddubsw %3, %4, %1\n\t" ONE_MORE ONE_MORE ONE_MORE ONE_MORE ONE_MORE ONE_MORE ONE_MORE "vpmaddwd %3, %1, %1\n\t"
#define SUMS_TO_FLOAT "vcvtdq2ps %1, %1\n\tvfmadd231ps %1, %4, %0"
#define FOUR_DOTS "vpdpbusd %3, %4, %1\n\tvpdpbusd %3, %4, %1\n\tvpdpbusd %3, %4, %1\n\tvpdpbusd %3, %4, %1\n\t"
LOOP(avx2_fma, "avx2,fma", vector32, 12, FMA)
LOOP(avx2_madd, "avx2", vector32, 8, MADD)
LOOP(avx2_sign, "avx2", vector32, 8, SIGN)
LOOP(avx2_saturating, "avx2", vector32, 8, SATURATING)
LOOP(avx2_chain, "avx2", vector32, 4, CHAIN "vpaddd %1, %0, %0")
LOOP(avx2_group, "avx2,fma", vector32, 4, CHAIN SUMS_TO_FLOAT)
LOOP(avx512_fma, "avx512f", vector64, 12, FMA)
LOOP(avx512_madd, "avx512f,avx512bw", vector64, 8, MADD)
LOOP(avx512_saturating, "avx512f,avx512bw", vector64, 8, SATURATING)
LOOP(avx512_chain, "avx512f,avx512bw", vector64, 4, CHAIN "vpaddd %1, %0, %0")
LOOP(avx512_group, "avx512f,avx512bw", vector64, 4, CHAIN SUMS_TO_FLOAT)
LOOP(avx512vnni_dot, "avx512f,avx512vnni", vector64, 12, "vpdpbusd %3, %4, %0")
LOOP(avx512vnni_group, "avx512f,avx512vnni", vector64, 12, "vpxord %1, %1, %1\n\t" FOUR_DOTS FOUR_DOTS SUMS_TO_FLOAT)

// Six tiles of sums, as many as products leave room for.
void amx_dot(long steps)
{
    struct alignas(64) {
        unsigned char palette, start_row, reserved[14];
        unsigned short row_bytes[16];
        unsigned char rows[16];
    } config {};
    config.palette = 1;
    for (int i = 0; i < 8; ++i) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
    for (; steps > 0; --steps)
        __asm__ volatile("tdpbusd %%tmm7, %%tmm6, %%tmm0\n\ttdpbusd %%tmm7, %%tmm6, %%tmm1\n\ttdpbusd %%tmm7, %%tmm6, %%tmm2\n\t"
                         "tdpbusd %%tmm7, %%tmm6, %%tmm3\n\ttdpbusd %%tmm7, %%tmm6, %%tmm4\n\ttdpbusd %%tmm7, %%tmm6, %%tmm5"
                         :
                         :);
    __asm__ volatile("tilerelease" : :);
}

#elif defined(__aarch64__)

LOOP(neon_fma, "arch=armv8-a", vector16, 12, "fmla %0.4s, %3.4s, %4.4s")
LOOP(neon_widen, "arch=armv8-a", vector16, 8,
    "smull %1.8h, %3.8b, %4.8b\n\tsmull2 %2.8h, %3.16b, %4.16b\n\tsadalp %0.4s, %1.8h\n\tsadalp %0.4s, %2.8h")
LOOP(neon_dot, "arch=armv8.2-a+dotprod", vector16, 12, "sdot %0.4s, %3.16b, %4.16b")
LOOP(neon_matrix, "arch=armv8.2-a+i8mm", vector16, 12, "smmla %0.4s, %3.16b, %4.16b")

#endif

std::vector<loop> loops()
{
    std::vector<loop> all;
    using nibble::backend;
    using k = kind;
    const std::vector<kind> floats {k::f32, k::half, k::bfloat16}, bytes {k::int8, k::u8s8, k::s8s8, k::int8_group32, k::iq4_nl},
        nibbles {k::int4_channel, k::int4_group128}, grouped {k::int4_group32, k::q4_0, k::q4_K, k::q6_K, k::mxfp4},
        integers {k::int8, k::int8_reduced, k::u8s8, k::s8s8, k::u7s8, k::int4_channel, k::int4_group128},
        reduced {k::int8_reduced, k::u7s8, k::int8_group32_reduced}, tiled {k::int8, k::int8_reduced, k::u8s8, k::s8s8, k::u7s8},
        all_grouped {k::int4_group32, k::int8_group32, k::int8_group32_reduced, k::q4_0, k::q4_K, k::q6_K, k::iq4_nl, k::mxfp4};
#if defined(__x86_64__)
    all.push_back({backend::avx2, "f32 vfmadd", floats, 12 * 8, avx2_fma});
    all.push_back({backend::avx2, "int16 vpmaddwd + vpaddd", bytes, 8 * 16, avx2_madd});
    all.push_back({backend::avx2, "int8 vpsignb + vpmaddubsw + vpmaddwd + vpaddd", bytes, 8 * 32, avx2_sign});
    all.push_back({backend::avx2, "saturating: vpmaddubsw + vpmaddwd + vpaddd", reduced, 8 * 32, avx2_saturating});
    all.push_back({backend::avx2, "int4, 8 vpmaddubsw in int16", nibbles, 4 * 8 * 32, avx2_chain});
    all.push_back({backend::avx2, "int4, groups of 32 into f32", grouped, 4 * 8 * 32, avx2_group});
    for (const backend b : {backend::avx512, backend::avx512vnni, backend::avx512amx})
        all.push_back({b, "f32 vfmadd", floats, 12 * 16, avx512_fma});
    all.push_back({backend::avx512, "int16 vpmaddwd + vpaddd", bytes, 8 * 32, avx512_madd});
    all.push_back({backend::avx512, "saturating: vpmaddubsw + vpmaddwd + vpaddd", reduced, 8 * 64, avx512_saturating});
    all.push_back({backend::avx512, "int4, 8 vpmaddubsw in int16", nibbles, 4 * 8 * 64, avx512_chain});
    all.push_back({backend::avx512, "int4, groups of 32 into f32", grouped, 4 * 8 * 64, avx512_group});
    for (const backend b : {backend::avx512vnni, backend::avx512amx}) {
        all.push_back({b, "int8 vpdpbusd", integers, 12 * 64, avx512vnni_dot});
        all.push_back({b, "groups of 32 into f32", all_grouped, 12 * 8 * 64, avx512vnni_group});
    }
    all.push_back({backend::avx512amx, "int8 tdpbusd", tiled, 6 * 16 * 16 * 64, amx_dot});
#elif defined(__aarch64__)
    for (const backend b : {backend::neon, backend::neon_dotprod, backend::neon_i8mm})
        all.push_back({b, "f32 fmla", floats, 12 * 4, neon_fma});
    all.push_back({backend::neon, "int8 smull + sadalp", integers, 8 * 16, neon_widen});
    all.push_back({backend::neon_dotprod, "int8 sdot", integers, 12 * 16, neon_dot});
    all.push_back({backend::neon_i8mm, "int8 smmla", integers, 12 * 32, neon_matrix});
#endif
    all.erase(std::remove_if(all.begin(), all.end(), [](const loop& l) { return nibble::check_backend(l.backend) != nibble::status::ok; }),
        all.end());
    return all;
}

// Reads `bytes` from `streams` places at once, `times` times.
using reader = void (*)(const std::byte* p, std::size_t bytes, int streams, long times);

template <class Vector, int Streams>
__attribute__((always_inline)) inline void read_streams(const std::byte* p, std::size_t bytes, long times)
{
    constexpr std::size_t unroll = Streams == 1 ? 8 : 4;
    const std::size_t part = bytes / Streams;
    Vector sum[Streams == 1 ? 8 : Streams] = {};
    for (; times > 0; --times)
        for (std::size_t i = 0; i + unroll * sizeof(Vector) <= part; i += unroll * sizeof(Vector))
            for (int s = 0; s < Streams; ++s)
                for (std::size_t u = 0; u < unroll; ++u) // one chain of sums would be slower than the first-level cache
                    sum[Streams == 1 ? static_cast<int>(u) : s]
                        |= *reinterpret_cast<const Vector*>(p + static_cast<std::size_t>(s) * part + i + u * sizeof(Vector));
    for (Vector& v : sum)
        __asm__ volatile("" : : "m"(v));
}

template <class Vector>
__attribute__((always_inline)) inline void read_any(const std::byte* p, std::size_t bytes, int streams, long times)
{
    switch (streams) {
    case 1: return read_streams<Vector, 1>(p, bytes, times);
    case 4: return read_streams<Vector, 4>(p, bytes, times);
    default: return read_streams<Vector, 8>(p, bytes, times);
    }
}

void read_plain(const std::byte* p, std::size_t bytes, int streams, long times) { read_any<vector16>(p, bytes, streams, times); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) void read_avx2(const std::byte* p, std::size_t bytes, int streams, long times)
{
    read_any<vector32>(p, bytes, streams, times);
}
__attribute__((target("avx512f"))) void read_avx512(const std::byte* p, std::size_t bytes, int streams, long times)
{
    read_any<vector64>(p, bytes, streams, times);
}
#endif

reader widest_reader()
{
#if defined(__x86_64__)
    if (nibble::check_backend(nibble::backend::avx512) == nibble::status::ok)
        return read_avx512;
    if (nibble::check_backend(nibble::backend::avx2) == nibble::status::ok)
        return read_avx2;
#endif
    return read_plain;
}

// The loops that this CPU runs, and the one reader.
const std::vector<loop>& all_loops()
{
    static const std::vector<loop> all = loops();
    return all;
}

// Seconds of f(thread) on all threads at once.
template <class Function>
double together(int threads, Function f)
{
    return seconds([&] {
        if (threads == 1)
            f(std::size_t {0});
        else
            pool(threads).parallel_for(static_cast<std::size_t>(threads), f);
    });
}

nibble::span<std::byte> memory_to_read(std::size_t bytes)
{
    static nibble::aligned_buffer memory;
    if (memory.bytes().size() < bytes) {
        if (!memory.resize(bytes))
            require(nibble::status::out_of_memory);
        std::fill_n(memory.bytes().data(), memory.bytes().size(), std::byte {1});
    }
    return memory.bytes();
}

// Twice the copies of weights: half of it, which must not be read faster, shows that these are not found in a cache.
std::size_t read_bytes(const cache_sizes& caches) { return std::min(2 * memory_bytes(caches), std::size_t(1) << 30); }

std::string mix_of(const loop& l) { return std::string(nibble::to_string(l.backend)) + ": " + l.mix; }

} // namespace

std::size_t memory_bytes(const cache_sizes& caches) { return std::clamp(8 * caches.l3, std::size_t(256) << 20, std::size_t(1) << 30); }

limits::limits(const cache_sizes& caches, const std::vector<int>& threads) : caches_(caches), threads_(threads) {}

void limits::measure(int tries)
{
    measure_compute(tries);
    measure_memory(tries);
}

void limits::measure_compute(int tries)
{
    for (const loop& l : all_loops()) {
        const long steps = std::max(1L, static_cast<long>(3e-4 / std::max(1e-12, seconds([&] { l.run(1000); }) / 1000)));
        for (const int t : threads_) {
            double& most = compute_[{mix_of(l), t}];
            const long of_each = t == 1 ? steps : 4 * steps;
            for (int i = 0; i < tries; ++i)
                most = std::max(most, 2 * l.multiply_adds * double(of_each) * t / together(t, [&](std::size_t) { l.run(of_each); }));
        }
    }
}

void limits::measure_memory(int tries)
{
    const reader read_all = widest_reader();
    const std::size_t l1 = caches_.l1 ? caches_.l1 : 32 << 10, l2 = caches_.l2 ? caches_.l2 : 512 << 10,
                      l3 = caches_.l3 ? caches_.l3 : 8 << 20, whole = read_bytes(caches_);
    const struct {
        const char* name;
        std::size_t bytes; // that each thread reads; of memory all together
    } levels[] = {{"L1", l1 / 2}, {"L2", l2 / 2}, {"L3", std::clamp(l3 / 4, 2 * l2, std::max(2 * l2, std::size_t(16) << 20))},
        {"half_memory", whole / 2}, {"memory", whole}};
    const nibble::span<std::byte> memory = memory_to_read(whole);
    for (const auto& level : levels)
        for (const int t : threads_) {
            const bool large = level.bytes >= whole / 2;
            const std::size_t bytes = (large ? level.bytes / static_cast<std::size_t>(t) : level.bytes) / 4096 * 4096;
            const long times = std::max(1L, static_cast<long>((8 << 20) / static_cast<long>(bytes)));
            double& most = read_[{level.name, t}];
            for (int i = 0; i < tries; ++i)
                for (const int streams : {1, 4, 8}) {
                    const double time = together(t, [&](std::size_t thread) {
                        const std::size_t place = std::min(thread * std::max(bytes, std::size_t(8) << 20), memory.size() - bytes);
                        read_all(memory.data() + place, bytes, streams, times);
                    });
                    most = std::max(most, double(bytes) * double(times) * t / time);
                }
        }
}

double limits::ops(kind what, nibble::backend b, int threads) const
{
    double most = 0;
    for (const loop& l : all_loops())
        if (l.backend == b && std::find(l.kinds.begin(), l.kinds.end(), what) != l.kinds.end())
            if (const auto found = compute_.find({mix_of(l), threads}); found != compute_.end())
                most = std::max(most, found->second);
    return most;
}

double limits::read(const std::string& level, int threads) const
{
    const auto found = read_.find({level, threads});
    return found == read_.end() ? 0 : found->second;
}

void limits::saw_read(int threads, double bytes_a_second)
{
    double& most = read_[{"memory", threads}];
    most = std::max(most, bytes_a_second);
}

std::vector<std::pair<std::string, double>> limits::all() const
{
    std::vector<std::pair<std::string, double>> out;
    const auto threads_of = [](int t) { return ", threads:" + std::to_string(t); };
    for (const auto& [at, value] : compute_)
        out.emplace_back("limit ops, " + at.first + threads_of(at.second), value);
    for (const auto& [at, value] : read_)
        out.emplace_back("limit read, " + at.first + threads_of(at.second), value);
    return out;
}

void limits::read_memory(int threads)
{
    const std::size_t whole = read_bytes(caches_), part = bytes_a_call / static_cast<std::size_t>(threads) / 4096 * 4096;
    const std::byte* const from = memory_to_read(whole).data() + next_;
    together(threads, [&](std::size_t thread) { widest_reader()(from + thread * part, part, 4, 1); });
    next_ = next_ + 2 * bytes_a_call > whole ? 0 : next_ + bytes_a_call;
}

} // namespace bench
