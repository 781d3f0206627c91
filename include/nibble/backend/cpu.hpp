// Which backends this CPU and its operating system can run. If cpuinfo is linked (NIBBLE_WITH_CPUINFO) it gives the answer, otherwise the
// CPU itself does. Only this file knows cpuinfo. If nothing can be found out, the answer is scalar, never an abort.
#pragma once

#include <cstdint>

#include "../core/config.hpp"

#if defined(NIBBLE_WITH_CPUINFO)
#include <cpuinfo.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

NIBBLE_BEGIN_TYPES

/// Each backend is one exact set of instruction-set extensions.
enum class backend : std::uint8_t {
    scalar,       ///< plain C++, always there
    avx2,         ///< AVX2, FMA, F16C
    avx512,       ///< AVX-512 F, CD, BW, DQ, VL
    avx512vnni,   ///< avx512 and AVX-512 VNNI
    avx512amx,    ///< avx512vnni and AMX tiles of int8
    neon,         ///< Armv8 Advanced SIMD
    neon_dotprod, ///< neon and the dot-product instructions
    neon_i8mm,    ///< neon_dotprod and the int8 matrix instructions
};
inline constexpr int backend_count = 8;

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// A set of backends, one bit each.
struct backend_set {
    std::uint8_t bits = 1;
    NIBBLE_INLINE bool has(backend b) const noexcept { return bits >> static_cast<int>(b) & 1; }
    NIBBLE_INLINE void add(backend b) noexcept { bits = static_cast<std::uint8_t>(bits | 1 << static_cast<int>(b)); }
};

namespace detail {

#if defined(__x86_64__)
/// Linux keeps AMX tiles from a process until it asks: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA). For all threads, at any time.
inline bool may_use_tiles() noexcept
{
#if defined(__linux__)
    long answer = 158; // SYS_arch_prctl
    __asm__ volatile("syscall" : "+a"(answer) : "D"(0x1023l), "S"(18l) : "rcx", "r11", "memory");
    return answer == 0;
#else
    return false;
#endif
}
#endif

} // namespace detail

/// What the CPU says of itself, without any library: CPUID and XGETBV on x86, the kernel's hardware capabilities on Arm.
inline backend_set probe_cpu() noexcept
{
    backend_set set;
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return set;
    const bool osxsave = c >> 27 & 1, avx = c >> 28 & 1, fma = c >> 12 & 1, f16c = c >> 29 & 1;
    if (!osxsave || !avx || !fma || !f16c)
        return set;
    unsigned xcr0 = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    if ((xcr0 & 0x6u) != 0x6u || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b >> 5 & 1))
        return set;
    set.add(backend::avx2);
    const unsigned needed = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; // F, DQ, CD, BW, VL
    if ((xcr0 & 0xe6u) != 0xe6u || (b & needed) != needed)
        return set;
    set.add(backend::avx512);
    if (c >> 11 & 1) {
        set.add(backend::avx512vnni);
        const bool tiles = (d >> 24 & 3) == 3; // AMX-TILE, AMX-INT8
        if (tiles && (xcr0 & 0x60000u) == 0x60000u && detail::may_use_tiles())
            set.add(backend::avx512amx);
    }
#elif defined(__aarch64__)
    set.add(backend::neon);
#if defined(__linux__)
    if (getauxval(AT_HWCAP) >> 20 & 1) { // HWCAP_ASIMDDP
        set.add(backend::neon_dotprod);
        if (getauxval(26) >> 13 & 1) // AT_HWCAP2, HWCAP2_I8MM
            set.add(backend::neon_i8mm);
    }
#endif
#endif
    return set;
}

#if defined(NIBBLE_WITH_CPUINFO)
/// The same, asked of cpuinfo; the probe answers if cpuinfo cannot start (it needs /proc), and for what it has no question for.
inline backend_set ask_cpuinfo() noexcept
{
    if (!cpuinfo_initialize())
        return probe_cpu();
    backend_set set;
#if defined(__x86_64__)
    if (cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c()) {
        set.add(backend::avx2);
        if (cpuinfo_has_x86_avx512f() && cpuinfo_has_x86_avx512cd() && cpuinfo_has_x86_avx512bw() && cpuinfo_has_x86_avx512dq()
            && cpuinfo_has_x86_avx512vl()) {
            set.add(backend::avx512);
            if (cpuinfo_has_x86_avx512vnni()) {
                set.add(backend::avx512vnni);
                if (probe_cpu().has(backend::avx512amx)) // older releases cannot be asked
                    set.add(backend::avx512amx);
            }
        }
    }
#elif defined(__aarch64__)
    set.add(backend::neon);
    if (cpuinfo_has_arm_neon_dot()) {
        set.add(backend::neon_dotprod);
        if (probe_cpu().has(backend::neon_i8mm)) // older releases cannot be asked
            set.add(backend::neon_i8mm);
    }
#endif
    return set;
}
#endif

inline backend_set runnable_backends() noexcept
{
#if defined(NIBBLE_WITH_CPUINFO)
    return ask_cpuinfo();
#else
    return probe_cpu();
#endif
}

NIBBLE_END
