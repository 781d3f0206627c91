// Version, compiler support and the namespaces of nibble. A user may define these macros before including nibble:
//   NIBBLE_NO_XSIMD       leave xsimd out: only the scalar backend is compiled
//   NIBBLE_SCALAR_ONLY    compile the scalar backend only (fast builds, odd compilers)
//   NIBBLE_ALLOW_SLOW     do not warn if kernels are compiled without optimization
//   NIBBLE_NO_AVX512      leave the AVX-512 backends out
//   NIBBLE_WITH_CPUINFO   ask the cpuinfo library which backends the CPU runs; link it (the CMake target does)
//   NIBBLE_EXTERN_KERNELS only declare the kernels. One source file of the program, built with the same flags, also defines
//                         NIBBLE_DEFINE_KERNELS, includes nibble.hpp and so compiles them. Or several files share the kernels, each
//                         defined in one of them (cmake/kernels)
#pragma once

#define NIBBLE_VERSION_MAJOR 0
#define NIBBLE_VERSION_MINOR 1
#define NIBBLE_VERSION_PATCH 0

#define NIBBLE_STRING_(text) #text
#define NIBBLE_STRING(text) NIBBLE_STRING_(text)
#define NIBBLE_VERSION_STRING \
    NIBBLE_STRING(NIBBLE_VERSION_MAJOR) "." NIBBLE_STRING(NIBBLE_VERSION_MINOR) "." NIBBLE_STRING(NIBBLE_VERSION_PATCH)

#if defined(_MSC_VER) && !defined(__clang__)
#error "nibble needs GCC or Clang: MSVC cannot compile one function for another instruction set than its file."
#endif
#if __cplusplus < 201703L
#error "nibble needs C++17: compile with -std=c++17 or newer."
#endif
#if defined(__SIZEOF_POINTER__) && __SIZEOF_POINTER__ < 8
#error "nibble needs a 64-bit target: sizes are checked in 64 bits, and floats of the x87 are not rounded like others."
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "nibble needs a little-endian machine: packed weights and 4-bit codes are defined as little-endian bytes."
#endif

// Members of small value types are always inlined, so that no out-of-line copy of them exists that the linker could take from a
// file compiled for a newer CPU.
#define NIBBLE_INLINE inline __attribute__((always_inline))
// After a lambda's parameters: inlined before arrays that it captures are put in registers.
#define NIBBLE_UNROLLED __attribute__((always_inline))

#include "abi_tag.hpp"

// Types and constants: equal in every translation unit of one version of nibble.
#define NIBBLE_VERSION_NAMESPACE v0_1_0
#define NIBBLE_BEGIN_TYPES \
    namespace nibble {     \
    inline namespace NIBBLE_VERSION_NAMESPACE {
#define NIBBLE_END_TYPES \
    }                    \
    }

// Code: one copy for each set of compiler flags, since the linker keeps only one of several functions of the same name.
#define NIBBLE_BEGIN   \
    NIBBLE_BEGIN_TYPES \
    inline namespace NIBBLE_ABI_TAG {
#define NIBBLE_END \
    }              \
    NIBBLE_END_TYPES

#define NIBBLE_PRAGMA(text) _Pragma(#text)

// Floating-point code whose bits are part of the contract stands between these two: no contraction of a product and a sum into
// one rounding, none of -ffast-math, whatever the including file is compiled with.
#if defined(__clang__)
#define NIBBLE_STRICT_BEGIN \
    NIBBLE_PRAGMA(float_control(push)) NIBBLE_PRAGMA(float_control(precise, on)) NIBBLE_PRAGMA(clang fp contract(off))
#define NIBBLE_STRICT_END NIBBLE_PRAGMA(float_control(pop))
#else
#define NIBBLE_STRICT_BEGIN NIBBLE_PRAGMA(GCC push_options) NIBBLE_PRAGMA(GCC optimize("no-fast-math", "fp-contract=off"))
#define NIBBLE_STRICT_END NIBBLE_PRAGMA(GCC pop_options)
#endif
