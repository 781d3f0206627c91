// The program that `selftest` runs natively and under each emulator. Each word of the command line is a step.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <sys/utsname.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define TARGET(features) __attribute__((target(features), noinline))
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#define TARGET(features) __attribute__((target("arch=armv8.2-a+" features), noinline))
#endif

namespace {

constexpr int length = 64 * 250;

struct operands {
    std::vector<std::uint8_t> a;
    std::vector<std::int8_t> b;

    operands() : a(length), b(length)
    {
        std::mt19937 random(7);
        for (auto& x : a)
            x = static_cast<std::uint8_t>(random());
        for (auto& x : b)
            x = static_cast<std::int8_t>(random());
    }
};

using dot_function = std::int32_t (*)(const std::uint8_t*, const std::int8_t*);

std::int32_t dot_scalar(const std::uint8_t* a, const std::int8_t* b)
{
    std::int32_t sum = 0;
    for (int i = 0; i < length; ++i)
        sum += a[i] * b[i];
    return sum;
}

#if defined(__x86_64__)

TARGET("avx2") std::int32_t sum_of_lanes(__m256i sum)
{
    std::int32_t lanes[8], total = 0;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sum);
    for (auto lane : lanes)
        total += lane;
    return total;
}

TARGET("avx2") std::int32_t dot_avx2(const std::uint8_t* a, const std::int8_t* b)
{
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < length; i += 16) {
        const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i)));
        const __m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b + i)));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, y));
    }
    return sum_of_lanes(sum);
}

TARGET("avx512f,avx512bw,avx512vl,avx512dq") std::int32_t dot_avx512(const std::uint8_t* a, const std::int8_t* b)
{
    __m512i sum = _mm512_setzero_si512();
    // 24 bytes a step through masked loads, so that masking is executed too.
    for (int i = 0; i < length; i += 24) {
        const int count = length - i < 24 ? length - i : 24;
        const __mmask32 mask = (1u << count) - 1;
        const __m512i x = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, a + i));
        const __m512i y = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, b + i));
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(x, y));
    }
    return _mm512_reduce_add_epi32(sum);
}

TARGET("avx512f,avx512bw,avx512vnni") std::int32_t dot_vnni(const std::uint8_t* a, const std::int8_t* b)
{
    __m512i sum = _mm512_setzero_si512();
    for (int i = 0; i < length; i += 64)
        sum = _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i));
    return _mm512_reduce_add_epi32(sum);
}

TARGET("avx2,avxvnni") std::int32_t dot_avxvnni(const std::uint8_t* a, const std::int8_t* b)
{
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < length; i += 32)
        sum = _mm256_dpbusd_avx_epi32(
            sum, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i)), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + i)));
    return sum_of_lanes(sum);
}

// Floating-point results bit for bit: fused multiply-add, division, rounding, conversion with saturation.
TARGET("avx512f,avx512bw,avx512vl,avx512dq") std::uint64_t float_bits(const operands& data)
{
    std::uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < length; i += 16) {
        const __m512 x = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data.a.data() + i))));
        const __m512 y = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data.b.data() + i))));
        const __m512 z = _mm512_fmadd_ps(x, y, _mm512_div_ps(x, _mm512_add_ps(y, _mm512_set1_ps(0.25f))));
        const __m128i q = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_roundscale_ps(z, 8)));
        unsigned char bytes[80];
        _mm512_storeu_ps(bytes, z);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + 64), q);
        for (auto byte : bytes)
            hash = (hash ^ byte) * 1099511628211u;
    }
    return hash;
}

// Bochs's time-stamp counter advances by one an instruction: no CPU does that.
double ticks_per_instruction()
{
    constexpr long rounds = 1000000;
    long n = rounds;
    const std::uint64_t begin = __rdtsc();
    __asm__ volatile("1: nop\n nop\n dec %0\n jnz 1b" : "+r"(n) : : "cc");
    return static_cast<double>(__rdtsc() - begin) / (4.0 * rounds);
}

void describe()
{
    char brand[49] = {};
    for (unsigned i = 0; i < 3; ++i) {
        unsigned r[4] = {};
        __get_cpuid(0x80000002 + i, r, r + 1, r + 2, r + 3);
        std::memcpy(brand + 16 * i, r, 16);
    }
    unsigned a, b = 0, c = 0, d, e, f, g = 0, h;
    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    __get_cpuid(1, &e, &f, &g, &h);
    unsigned xcr0 = 0;
    // volatile: else it may be hoisted out of the branch, and is then an illegal instruction.
    if (g & bit_OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(xcr0) : "c"(0) : "edx");
    std::printf(
        "brand=%s\ncpuid avx512f=%d avx512vnni=%d osxsave=%d\n", brand, !!(b & bit_AVX512F), !!(c & bit_AVX512VNNI), !!(g & bit_OSXSAVE));
    std::printf("xcr0=%#x ymm=%d zmm=%d\n", xcr0, (xcr0 & 6) == 6, (xcr0 & 0xe6) == 0xe6);
    std::printf("usable avx=%d avx2=%d fma=%d avx512f=%d avx512bw=%d avx512vnni=%d\n", !!__builtin_cpu_supports("avx"),
        !!__builtin_cpu_supports("avx2"), !!__builtin_cpu_supports("fma"), !!__builtin_cpu_supports("avx512f"),
        !!__builtin_cpu_supports("avx512bw"), !!__builtin_cpu_supports("avx512vnni"));
    std::printf("ticks per instruction=%.2f\n", ticks_per_instruction());
}

dot_function kernel(const char* name)
{
    if (!std::strcmp(name, "avx2"))
        return dot_avx2;
    if (!std::strcmp(name, "avx512"))
        return dot_avx512;
    if (!std::strcmp(name, "avxvnni"))
        return dot_avxvnni;
    return std::strcmp(name, "vnni") ? nullptr : dot_vnni;
}

#elif defined(__aarch64__)

std::int32_t dot_neon(const std::uint8_t* a, const std::int8_t* b)
{
    int32x4_t sum = vdupq_n_s32(0);
    for (int i = 0; i < length; i += 8) {
        const int16x8_t x = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(a + i)));
        const int16x8_t y = vmovl_s8(vld1_s8(b + i));
        sum = vmlal_s16(sum, vget_low_s16(x), vget_low_s16(y));
        sum = vmlal_high_s16(sum, x, y);
    }
    return vaddvq_s32(sum);
}

// The instruction multiplies signed by signed: a - 128 fits, and 128 times the sum of b is added back.
TARGET("dotprod") std::int32_t dot_dotprod(const std::uint8_t* a, const std::int8_t* b)
{
    int32x4_t sum = vdupq_n_s32(0), sum_of_b = vdupq_n_s32(0);
    for (int i = 0; i < length; i += 16) {
        const int8x16_t y = vld1q_s8(b + i);
        sum = vdotq_s32(sum, vreinterpretq_s8_u8(veorq_u8(vld1q_u8(a + i), vdupq_n_u8(0x80))), y);
        sum_of_b = vdotq_s32(sum_of_b, vdupq_n_s8(1), y);
    }
    return vaddvq_s32(sum) + 128 * vaddvq_s32(sum_of_b);
}

TARGET("i8mm") std::int32_t dot_i8mm(const std::uint8_t* a, const std::int8_t* b)
{
    int32x4_t sum = vdupq_n_s32(0);
    for (int i = 0; i < length; i += 16)
        sum = vusdotq_s32(sum, vld1q_u8(a + i), vld1q_s8(b + i));
    return vaddvq_s32(sum);
}

void describe()
{
    std::printf("usable dotprod=%d i8mm=%d\n", !!(getauxval(AT_HWCAP) & HWCAP_ASIMDDP), !!(getauxval(AT_HWCAP2) & HWCAP2_I8MM));
}

dot_function kernel(const char* name)
{
    if (!std::strcmp(name, "neon"))
        return dot_neon;
    if (!std::strcmp(name, "dotprod"))
        return dot_dotprod;
    return std::strcmp(name, "i8mm") ? nullptr : dot_i8mm;
}

#endif

void print_sum_over_threads()
{
    long sums[4] = {};
    std::vector<std::thread> threads;
    for (long t = 0; t < 4; ++t)
        threads.emplace_back([&sums, t] {
            for (long i = t; i < 100000; i += 4)
                sums[t] += i;
        });
    for (auto& thread : threads)
        thread.join();
    std::printf("threads sum=%ld\n", sums[0] + sums[1] + sums[2] + sums[3]);
}

void print_file(const char* path)
{
    char line[256] = "missing\n";
    if (std::FILE* file = std::fopen(path, "r")) {
        if (!std::fgets(line, sizeof line, file))
            line[0] = 0;
        std::fclose(file);
    }
    std::printf("file %s", line);
}

} // namespace

int main(int count, char** words)
{
    const operands data;
    for (int i = 1; i < count; ++i) {
        const char* word = words[i];
        const char* next = i + 1 < count ? words[i + 1] : "";
        if (!std::strcmp(word, "describe")) {
            utsname system;
            uname(&system);
            std::printf("kernel=%s machine=%s\n", system.release, system.machine);
            describe();
        } else if (!std::strcmp(word, "threads")) {
            print_sum_over_threads();
        } else if (!std::strcmp(word, "random")) {
            std::printf("random=%d\n", std::random_device()() != std::random_device()());
        } else if (!std::strcmp(word, "stderr")) {
            std::fprintf(stderr, "standard error\n");
        } else if (!std::strcmp(word, "hang")) {
            for (;;)
                pause();
        } else if (!std::strcmp(word, "word")) {
            std::printf("word=<%s>\n", next), ++i;
        } else if (!std::strcmp(word, "env")) {
            const char* value = std::getenv(next);
            std::printf("%s=<%s>\n", next, value ? value : "unset"), ++i;
        } else if (!std::strcmp(word, "file")) {
            print_file(next), ++i;
        } else if (!std::strcmp(word, "exit")) {
            return std::atoi(next);
        } else if (!std::strcmp(word, "abort")) {
            std::abort();
#if defined(__x86_64__)
        } else if (!std::strcmp(word, "float")) {
            std::printf("float=%016llx\n", static_cast<unsigned long long>(float_bits(data)));
#endif
        } else if (dot_function dot = kernel(word)) {
            const std::int32_t result = dot(data.a.data(), data.b.data());
            const bool right = result == dot_scalar(data.a.data(), data.b.data());
            std::printf("%s=%d %s\n", word, result, right ? "right" : "WRONG");
            if (!right)
                return 1;
        } else {
            std::fprintf(stderr, "no step %s\n", word);
            return 2;
        }
        std::fflush(stdout);
    }
}
