// Macros: what a kernel may ask about its target, which backends this build compiles, and what opens and closes a region of another target.
#pragma once

#include "../core/config.hpp"

// Whether this file compiles kernels, or only declares them (core/config.hpp).
#if !defined(NIBBLE_EXTERN_KERNELS) || defined(NIBBLE_DEFINE_KERNELS)
#define NIBBLE_HAVE_KERNELS 1
#else
#define NIBBLE_HAVE_KERNELS 0
#endif

// Kernels ask #if NIBBLE_ISA >= NIBBLE_ISA_AVX2, never __AVX2__: inside a region the compiler's own macros are not reliable.
#define NIBBLE_ISA_SCALAR 0
#define NIBBLE_ISA_AVX2 2       // AVX2, FMA, F16C
#define NIBBLE_ISA_AVX512 3     // + AVX-512 F, CD, BW, DQ, VL
#define NIBBLE_ISA_AVX512VNNI 4 // + AVX-512 VNNI
#define NIBBLE_ISA_NEON 11
#define NIBBLE_ISA_NEON_DOTPROD 12
#define NIBBLE_ISA_NEON_I8MM 13

#if !defined(NIBBLE_SCALAR_ONLY) && !defined(NIBBLE_NO_XSIMD) && !__has_include(<xsimd/xsimd.hpp>)
#define NIBBLE_NO_XSIMD 1
#if NIBBLE_HAVE_KERNELS
#pragma message("nibble: xsimd was not found, so only the scalar kernels are compiled (Debian: libxsimd-dev; or define NIBBLE_NO_XSIMD)")
#endif
#endif

#if NIBBLE_HAVE_KERNELS && !defined(__OPTIMIZE__) && !defined(NIBBLE_ALLOW_SLOW) && !defined(NIBBLE_ALONE)
#pragma message("nibble: kernels compiled without optimization are up to 350 times slower (use -O2, or define NIBBLE_ALLOW_SLOW)")
#endif

#if defined(NIBBLE_SCALAR_ONLY) || defined(NIBBLE_NO_XSIMD)
#define NIBBLE_COMPILE_X86 0
#define NIBBLE_COMPILE_NEON 0
#else
#if defined(__x86_64__)
#define NIBBLE_COMPILE_X86 1
#else
#define NIBBLE_COMPILE_X86 0
#endif
#if defined(__aarch64__)
#define NIBBLE_COMPILE_NEON 1
#else
#define NIBBLE_COMPILE_NEON 0
#endif
#endif

#if NIBBLE_COMPILE_X86 && !defined(NIBBLE_NO_AVX512)
#define NIBBLE_COMPILE_AVX512 1
#else
#define NIBBLE_COMPILE_AVX512 0
#endif

#if NIBBLE_COMPILE_AVX512 && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define NIBBLE_COMPILE_AVX512AMX 1
#else
#define NIBBLE_COMPILE_AVX512AMX 0
#endif

// Clang before 16 declares vdotq_s32 only where the whole file has it.
#if NIBBLE_COMPILE_NEON && (!defined(__clang__) || __clang_major__ >= 16)
#define NIBBLE_COMPILE_NEON_DOTPROD 1
#else
#define NIBBLE_COMPILE_NEON_DOTPROD 0
#endif

#if defined(__clang__)
#define NIBBLE_REGION_BEGIN(options) \
    NIBBLE_STRICT_BEGIN NIBBLE_PRAGMA(clang attribute push(__attribute__((target(options))), apply_to = function))
#define NIBBLE_REGION_END NIBBLE_PRAGMA(clang attribute pop) NIBBLE_STRICT_END
#else
// GCC's own AVX-512 intrinsics trip -Wmaybe-uninitialized (GCC bug 105593).
#define NIBBLE_REGION_BEGIN(options)                                                          \
    NIBBLE_STRICT_BEGIN NIBBLE_PRAGMA(GCC target(options)) NIBBLE_PRAGMA(GCC diagnostic push) \
        NIBBLE_PRAGMA(GCC diagnostic ignored "-Wmaybe-uninitialized") NIBBLE_PRAGMA(GCC diagnostic ignored "-Wuninitialized")
#define NIBBLE_REGION_END NIBBLE_PRAGMA(GCC diagnostic pop) NIBBLE_STRICT_END
#endif

#define NIBBLE_OPTIONS_AVX2 "sse3,ssse3,sse4.1,sse4.2,popcnt,avx,avx2,fma,f16c"
#define NIBBLE_OPTIONS_AVX512 NIBBLE_OPTIONS_AVX2 ",avx512f,avx512cd,avx512bw,avx512dq,avx512vl"
#define NIBBLE_OPTIONS_AVX512VNNI NIBBLE_OPTIONS_AVX512 ",avx512vnni"
#define NIBBLE_OPTIONS_AVX512AMX NIBBLE_OPTIONS_AVX512VNNI ",amx-tile,amx-int8"
#if defined(__clang__)
#define NIBBLE_OPTIONS_NEON_DOTPROD "dotprod"
#define NIBBLE_OPTIONS_NEON_I8MM "dotprod,i8mm"
#else
// GCC's vdotq_s32 and vmmlaq_s32 ask for Armv8.2-A as such, not for the extension alone.
#define NIBBLE_OPTIONS_NEON_DOTPROD "arch=armv8.2-a+dotprod"
#define NIBBLE_OPTIONS_NEON_I8MM "arch=armv8.2-a+dotprod+i8mm"
#endif

// The name of a region's xsimd: one for each version and set of flags, like all code.
#define NIBBLE_CONCAT_(a, b) a##b
#define NIBBLE_CONCAT(a, b) NIBBLE_CONCAT_(a, b)
#define NIBBLE_XSIMD_OF(backend) \
    NIBBLE_CONCAT(NIBBLE_CONCAT(nibble_xsimd_##backend##_, NIBBLE_VERSION_NAMESPACE), NIBBLE_CONCAT(_, NIBBLE_ABI_TAG))
#define NIBBLE_XSIMD_AVX2 NIBBLE_XSIMD_OF(avx2)
#define NIBBLE_XSIMD_AVX512 NIBBLE_XSIMD_OF(avx512)
