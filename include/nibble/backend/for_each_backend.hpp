// Compiles one kernel file for every backend, each time inside a region of its instruction set and in the backend's namespace. Before
// including this file, define
//   NIBBLE_KERNEL_FILE      the file, as "../FAMILY/kernels/NAME.inl"
//   NIBBLE_KERNEL_BACKENDS  which kinds of backends get code of their own (default: NIBBLE_OWN_VECTORS); the others reuse the code of the
//                           backend that they extend
// Both are undefined afterwards. Inside a region NIBBLE_ISA is the instruction set and NIBBLE_BACKEND_NAME the namespace.
// docs/backends.md explains the technique. This file is included many times on purpose.

#include "../core/strict_math.hpp"
#include "region.hpp"

#define NIBBLE_OWN_VECTORS 1      // scalar, avx2, avx512, neon
#define NIBBLE_OWN_DOT_PRODUCTS 2 // avx512vnni, neon_dotprod, neon_i8mm: one more instruction for products of bytes
#define NIBBLE_OWN_TILES 4        // avx512amx

#if !defined(NIBBLE_KERNEL_BACKENDS)
#define NIBBLE_KERNEL_BACKENDS NIBBLE_OWN_VECTORS
#endif

#if defined(NIBBLE_ALONE) && __INCLUDE_LEVEL__ == 2
// A kernel file opened on its own, as editors do: what follows here is that file, for one backend and outside a region.
#if NIBBLE_KERNEL_BACKENDS & NIBBLE_OWN_VECTORS
#define NIBBLE_ISA NIBBLE_ISA_SCALAR
#define NIBBLE_BACKEND_NAME scalar
#else
#define NIBBLE_ISA NIBBLE_ISA_AVX512VNNI
#define NIBBLE_BACKEND_NAME avx512amx
#endif
#elif NIBBLE_HAVE_KERNELS

#if NIBBLE_KERNEL_BACKENDS & NIBBLE_OWN_VECTORS
NIBBLE_STRICT_BEGIN
#define NIBBLE_ISA NIBBLE_ISA_SCALAR
#define NIBBLE_BACKEND_NAME scalar
#include NIBBLE_KERNEL_FILE
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_STRICT_END

#if NIBBLE_COMPILE_X86
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_AVX2)
#define NIBBLE_ISA NIBBLE_ISA_AVX2
#define NIBBLE_BACKEND_NAME avx2
#include "clang_macros.inl"
#include NIBBLE_KERNEL_FILE
#include "clang_macros_end.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END
#endif

#if NIBBLE_COMPILE_AVX512
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_AVX512)
#define NIBBLE_ISA NIBBLE_ISA_AVX512
#define NIBBLE_BACKEND_NAME avx512
#include "clang_macros.inl"
#include NIBBLE_KERNEL_FILE
#include "clang_macros_end.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END
#endif

#if NIBBLE_COMPILE_NEON
NIBBLE_STRICT_BEGIN
#define NIBBLE_ISA NIBBLE_ISA_NEON
#define NIBBLE_BACKEND_NAME neon
#include NIBBLE_KERNEL_FILE
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_STRICT_END
#endif
#endif // NIBBLE_OWN_VECTORS

#if NIBBLE_KERNEL_BACKENDS & NIBBLE_OWN_DOT_PRODUCTS
#if NIBBLE_COMPILE_AVX512
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_AVX512VNNI)
#define NIBBLE_ISA NIBBLE_ISA_AVX512VNNI
#define NIBBLE_BACKEND_NAME avx512vnni
#include NIBBLE_KERNEL_FILE
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END
#endif

#if NIBBLE_COMPILE_NEON_DOTPROD
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_NEON_DOTPROD)
#define NIBBLE_ISA NIBBLE_ISA_NEON_DOTPROD
#define NIBBLE_BACKEND_NAME neon_dotprod
#include NIBBLE_KERNEL_FILE
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END

NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_NEON_I8MM)
#define NIBBLE_ISA NIBBLE_ISA_NEON_I8MM
#define NIBBLE_BACKEND_NAME neon_i8mm
#include NIBBLE_KERNEL_FILE
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END
#endif
#endif // NIBBLE_OWN_DOT_PRODUCTS

#if (NIBBLE_KERNEL_BACKENDS & NIBBLE_OWN_TILES) && NIBBLE_COMPILE_AVX512AMX
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_AVX512AMX)
#define NIBBLE_ISA NIBBLE_ISA_AVX512VNNI
#define NIBBLE_BACKEND_NAME avx512amx
#include NIBBLE_KERNEL_FILE
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END
#endif

#endif // NIBBLE_HAVE_KERNELS

#undef NIBBLE_OWN_VECTORS
#undef NIBBLE_OWN_DOT_PRODUCTS
#undef NIBBLE_OWN_TILES
#undef NIBBLE_KERNEL_BACKENDS
#undef NIBBLE_KERNEL_FILE
