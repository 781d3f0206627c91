#include "limits.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

#include <nibble/backend/backend.hpp>

#include "support.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
// Some of gcc 12's own AVX-512 intrinsics start from an undefined register, which it then warns of.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace bench {
namespace {

// Each loop does `steps` steps of the same number of multiply-adds. OPAQUE makes the compiler believe that a register has changed, so that
// it can neither hoist nor merge the instructions that are counted.
struct loop {
    nibble::backend backend;
    const char* mix;
    std::vector<std::string> kinds;
    double multiply_adds; // in a step
    void (*run)(long steps);
};

#define TIMES_4(STEP) STEP(0) STEP(1) STEP(2) STEP(3)
#define TIMES_8(STEP) TIMES_4(STEP) STEP(4) STEP(5) STEP(6) STEP(7)
#define TIMES_12(STEP) TIMES_8(STEP) STEP(8) STEP(9) STEP(10) STEP(11)

// A function that runs BODY for each of COUNT accumulators, steps times.
#define LOOP(NAME, TARGET, VECTOR, ACCUMULATOR, COUNT, BODY) \
    __attribute__((target(TARGET))) void NAME(long steps)    \
    {                                                        \
        ACCUMULATOR a[COUNT] = {};                           \
        VECTOR x = {}, y = {}, one = {};                     \
        OPAQUE(y);                                           \
        OPAQUE(one);                                         \
        for (; steps > 0; --steps) {                         \
            TIMES_##COUNT(BODY)                              \
        }                                                    \
        for (ACCUMULATOR & v : a)                            \
            OPAQUE(v);                                       \
    }

#if defined(__x86_64__)

// The registers that a constraint allows: AVX-512 has twice as many.
#define OPAQUE_X(v) __asm__ volatile("" : "+x"(v))
#define OPAQUE_V(v) __asm__ volatile("" : "+v"(v))

#define OPAQUE OPAQUE_X
#define FMA(i) \
    OPAQUE(x); \
    a[i] = _mm256_fmadd_ps(x, y, a[i]);
LOOP(avx2_fma, "avx2,fma", __m256, __m256, 12, FMA)
#undef FMA
#define MADD(i) \
    OPAQUE(x);  \
    a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(x, y));
LOOP(avx2_madd, "avx2", __m256i, __m256i, 8, MADD)
#undef MADD
#define SIGN(i) \
    OPAQUE(x);  \
    a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(_mm256_maddubs_epi16(y, _mm256_sign_epi8(x, y)), one));
LOOP(avx2_sign, "avx2", __m256i, __m256i, 8, SIGN)
#undef SIGN
#define SATURATING(i) \
    OPAQUE(x);        \
    a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), one));
LOOP(avx2_saturating, "avx2", __m256i, __m256i, 8, SATURATING)
#undef SATURATING
// Eight products of 4 bits and 8 bits fit an int16 before it is widened.
#define CHAIN(MULTIPLY, ADD)        \
    auto t = MULTIPLY(x, y);        \
    for (int l = 1; l < 8; ++l) {   \
        OPAQUE(x);                  \
        t = ADD(t, MULTIPLY(x, y)); \
    }
#define CHAIN_8(i)                                                \
    {                                                             \
        OPAQUE(x);                                                \
        CHAIN(_mm256_maddubs_epi16, _mm256_add_epi16)             \
        a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(t, one)); \
    }
LOOP(avx2_chain, "avx2", __m256i, __m256i, 4, CHAIN_8)
#undef CHAIN_8
#define GROUP_32(i)                                                                                          \
    {                                                                                                        \
        OPAQUE(x);                                                                                           \
        CHAIN(_mm256_maddubs_epi16, _mm256_add_epi16)                                                        \
        a[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_madd_epi16(t, one)), _mm256_castsi256_ps(y), a[i]); \
    }
LOOP(avx2_group, "avx2,fma", __m256i, __m256, 4, GROUP_32)
#undef GROUP_32
#undef OPAQUE

#define OPAQUE OPAQUE_V
#define FMA(i) \
    OPAQUE(x); \
    a[i] = _mm512_fmadd_ps(x, y, a[i]);
LOOP(avx512_fma, "avx512f", __m512, __m512, 12, FMA)
#undef FMA
#define MADD(i) \
    OPAQUE(x);  \
    a[i] = _mm512_add_epi32(a[i], _mm512_madd_epi16(x, y));
LOOP(avx512_madd, "avx512f,avx512bw", __m512i, __m512i, 8, MADD)
#undef MADD
#define SATURATING(i) \
    OPAQUE(x);        \
    a[i] = _mm512_add_epi32(a[i], _mm512_madd_epi16(_mm512_maddubs_epi16(x, y), one));
LOOP(avx512_saturating, "avx512f,avx512bw", __m512i, __m512i, 8, SATURATING)
#undef SATURATING
#define CHAIN_8(i)                                                \
    {                                                             \
        OPAQUE(x);                                                \
        CHAIN(_mm512_maddubs_epi16, _mm512_add_epi16)             \
        a[i] = _mm512_add_epi32(a[i], _mm512_madd_epi16(t, one)); \
    }
LOOP(avx512_chain, "avx512f,avx512bw", __m512i, __m512i, 4, CHAIN_8)
#undef CHAIN_8
#define GROUP_32(i)                                                                                          \
    {                                                                                                        \
        OPAQUE(x);                                                                                           \
        CHAIN(_mm512_maddubs_epi16, _mm512_add_epi16)                                                        \
        a[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_madd_epi16(t, one)), _mm512_castsi512_ps(y), a[i]); \
    }
LOOP(avx512_group, "avx512f,avx512bw", __m512i, __m512, 4, GROUP_32)
#undef GROUP_32
#define DOT(i) \
    OPAQUE(x); \
    a[i] = _mm512_dpbusd_epi32(a[i], x, y);
LOOP(avx512vnni_dot, "avx512f,avx512vnni", __m512i, __m512i, 12, DOT)
#undef DOT
#define GROUP_32(i)                                                                  \
    {                                                                                \
        __m512i t = {};                                                              \
        for (int l = 0; l < 8; ++l) {                                                \
            OPAQUE(x);                                                               \
            t = _mm512_dpbusd_epi32(t, x, y);                                        \
        }                                                                            \
        a[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(t), _mm512_castsi512_ps(y), a[i]); \
    }
LOOP(avx512vnni_group, "avx512f,avx512vnni", __m512i, __m512, 12, GROUP_32)
#undef GROUP_32
#undef OPAQUE

#define OPAQUE OPAQUE_X
#define DOT(i) \
    OPAQUE(x); \
    a[i] = _mm256_dpbusd_avx_epi32(a[i], x, y);
LOOP(avxvnni_dot, "avx2,avxvnni", __m256i, __m256i, 12, DOT)
#undef DOT
#undef OPAQUE

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

bool has_avx_vnni()
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return nibble::check_backend(nibble::backend::avx2) == nibble::status::ok && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

#elif defined(__aarch64__)

#define OPAQUE(v) __asm__ volatile("" : "+w"(v))
#define FMA(i) \
    OPAQUE(x); \
    a[i] = vfmaq_f32(a[i], x, y);
LOOP(neon_fma, "arch=armv8-a", float32x4_t, float32x4_t, 12, FMA)
#undef FMA
#define WIDEN(i)                                                        \
    OPAQUE(x);                                                          \
    a[i] = vpadalq_s16(a[i], vmull_s8(vget_low_s8(x), vget_low_s8(y))); \
    a[i] = vpadalq_s16(a[i], vmull_high_s8(x, y));
LOOP(neon_widen, "arch=armv8-a", int8x16_t, int32x4_t, 8, WIDEN)
#undef WIDEN
#define DOT(i) \
    OPAQUE(x); \
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(a[i]) : "w"(x), "w"(y));
LOOP(neon_dot, "arch=armv8.2-a+dotprod", int8x16_t, int32x4_t, 12, DOT)
#undef DOT
#define MATRIX(i) \
    OPAQUE(x);    \
    __asm__("smmla %0.4s, %1.16b, %2.16b" : "+w"(a[i]) : "w"(x), "w"(y));
LOOP(neon_matrix, "arch=armv8.2-a+i8mm", int8x16_t, int32x4_t, 12, MATRIX)
#undef MATRIX
#undef OPAQUE

#endif

std::vector<loop> loops()
{
    std::vector<loop> all;
    using nibble::backend;
    const std::vector<std::string> floats {"f32", "half", "bfloat16"}, bytes {"int8", "u8s8s32", "s8s8s32", "q8_0", "iq4_nl"},
        nibbles {"int4_channel", "int4_group128"}, grouped {"int4_group32", "q4_0", "q4_K", "q6_K", "mxfp4"},
        integers {"int8", "int8_reduced", "u8s8s32", "s8s8s32", "u7s8s32", "int4_channel", "int4_group128"},
        reduced {"int8_reduced", "u7s8s32"}, tiled {"int8", "int8_reduced", "u8s8s32", "s8s8s32", "u7s8s32"},
        all_grouped {"int4_group32", "q8_0", "q4_0", "q4_K", "q6_K", "iq4_nl", "mxfp4"};
#if defined(__x86_64__)
    all.push_back({backend::avx2, "f32 vfmadd", floats, 12 * 8, avx2_fma});
    all.push_back({backend::avx2, "int16 vpmaddwd + vpaddd", bytes, 8 * 16, avx2_madd});
    all.push_back({backend::avx2, "int8 vpsignb + vpmaddubsw + vpmaddwd + vpaddd", bytes, 8 * 32, avx2_sign});
    all.push_back({backend::avx2, "saturating: vpmaddubsw + vpmaddwd + vpaddd", reduced, 8 * 32, avx2_saturating});
    all.push_back({backend::avx2, "int4, 8 vpmaddubsw in int16", nibbles, 4 * 8 * 32, avx2_chain});
    all.push_back({backend::avx2, "int4, groups of 32 into f32", grouped, 4 * 8 * 32, avx2_group});
    if (has_avx_vnni())
        all.push_back({backend::avx2, "AVX-VNNI vpdpbusd, 256 bits", {}, 12 * 32, avxvnni_dot});
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

// Runs f(thread) on all threads at once, so that none starts before all are there; seconds until the last is done.
template <class Function>
double together(int threads, Function f)
{
    std::atomic<int> waiting {threads};
    const auto start = [&](int t) {
        waiting.fetch_sub(1);
        while (waiting.load() > 0) {
        }
        f(t);
    };
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t)
        others.emplace_back(start, t);
    const double time = seconds([&] {
        start(0);
        for (std::thread& other : others)
            other.join();
    });
    return time;
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

using vector16 = long long __attribute__((vector_size(16), may_alias));
using vector32 = long long __attribute__((vector_size(32), may_alias));
using vector64 = long long __attribute__((vector_size(64), may_alias));
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

} // namespace

std::size_t streamed_bytes(const cache_sizes& caches)
{
    // A virtual machine may report the last caches of a whole server as one; no core fills more than this.
    constexpr std::size_t least = std::size_t(64) << 20, most = std::size_t(128) << 20;
    return std::clamp(2 * caches.l3, least, most);
}

machine_limits measure_limits(const cache_sizes& caches, const std::vector<int>& threads, bool quick)
{
    machine_limits limits;
    const int tries = quick ? 5 : 15;
    for (const loop& l : loops()) {
        const long steps = std::max(1L, static_cast<long>(5e-4 / std::max(1e-12, seconds([&] { l.run(1000); }) / 1000)));
        for (const int t : threads) {
            double best = 1e30;
            for (int i = 0; i < tries; ++i)
                best = std::min(best, together(t, [&](int) { l.run(t == 1 ? steps : 8 * steps); }));
            const double done = 2 * l.multiply_adds * double(t == 1 ? steps : 8 * steps) * t;
            limits.compute.push_back({nibble::to_string(l.backend), l.mix, l.kinds, 1e-9 * done / best, t});
        }
    }

    const reader read = widest_reader();
    const std::size_t l1 = caches.l1 ? caches.l1 : 32 << 10, l2 = caches.l2 ? caches.l2 : 512 << 10, l3 = caches.l3 ? caches.l3 : 8 << 20;
    const struct {
        const char* name;
        std::size_t bytes;
    } levels[] = {{"L1", l1 / 2}, {"L2", l2 / 2}, {"L3", std::clamp(l3 / 4, 2 * l2, std::max(2 * l2, std::size_t(16) << 20))},
        {"DRAM", streamed_bytes(caches)}};
    const std::size_t all = levels[3].bytes * static_cast<std::size_t>(*std::max_element(threads.begin(), threads.end()));
    nibble::aligned_buffer memory;
    if (!memory.resize(all))
        require(nibble::status::out_of_memory);
    std::fill_n(memory.bytes().data(), all, std::byte {1});
    for (const auto& level : levels)
        for (const int t : threads)
            for (const int streams : {1, 4, 8}) {
                const std::size_t bytes = level.bytes / 4096 * 4096;
                const long times = std::max(1L, static_cast<long>((t == 1 ? 16 << 20 : 64 << 20) / static_cast<long>(bytes)));
                double best = 1e30;
                for (int i = 0; i < (bytes > (64 << 20) ? std::min(tries, 5) : tries); ++i)
                    best = std::min(best, together(t, [&](int thread) {
                        read(memory.bytes().data() + static_cast<std::size_t>(thread) * levels[3].bytes, bytes, streams, times);
                    }));
                limits.memory.push_back(
                    {level.name, bytes, streams, t, 1e-9 * static_cast<double>(bytes) * static_cast<double>(times) * t / best});
            }
    return limits;
}

machine_limits greatest(machine_limits a, const machine_limits& b)
{
    for (std::size_t i = 0; i < a.compute.size(); ++i)
        a.compute[i].gops = std::max(a.compute[i].gops, b.compute[i].gops);
    for (std::size_t i = 0; i < a.memory.size(); ++i)
        a.memory[i].gbs = std::max(a.memory[i].gbs, b.memory[i].gbs);
    return a;
}

double attainable(const machine_limits& limits, const cache_sizes& caches, const std::string& kind, const std::string& backend, int threads,
    double operations, double weight_bytes, bool stream)
{
    double compute = 0, memory = 0;
    for (const compute_limit& l : limits.compute)
        if (l.backend == backend && l.threads == threads && std::find(l.kinds.begin(), l.kinds.end(), kind) != l.kinds.end())
            compute = std::max(compute, l.gops);
    const std::string level = stream || weight_bytes > double(caches.l3) ? "DRAM" : weight_bytes > double(caches.l2) ? "L3" : "L2";
    for (const memory_limit& l : limits.memory)
        if (l.level == level && l.threads == threads)
            memory = std::max(memory, l.gbs);
    return compute == 0 ? 0 : std::min(compute, memory * operations / weight_bytes);
}

} // namespace bench
