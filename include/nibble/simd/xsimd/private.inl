// One more xsimd, compiled for the region it is included in. The includer names it: #define xsimd NAME.
#include "isa_save.inl"
#include "save.inl"
#define __SSE3__ 1
#define __SSSE3__ 1
#define __SSE4_1__ 1
#define __SSE4_2__ 1
#define __AVX__ 1
#define __AVX2__ 1
#define __FMA__ 1
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
#define __AVX512F__ 1
#define __AVX512CD__ 1
#define __AVX512BW__ 1
#define __AVX512DQ__ 1
#define __AVX512VL__ 1
#endif
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12
// GCC 12 (not 11, not 13) forgets a region's target on an in-class friend that has no attribute of its own, and then returns a
// vector the wrong way when the friend is not inlined. xsimd's operators were such friends before xsimd 13.
#define friend friend __attribute__((always_inline))
#endif
#include <xsimd/xsimd.hpp>
#undef friend
#include "isa_restore.inl"
#include "restore.inl"
