// Compiles the kernels once per backend, all in this translation unit. NIBBLE_ISA is the instruction set of a pass, NIBBLE_BACKEND_NAME
// its namespace. Vector types stay inside a pass; what leaves it is the table of plain functions.
#pragma once

// Everything that is not nibble's comes in here, before any region, compiled for what the file is compiled for; xsimd's plain inclusion
// brings in every standard header it uses, so that a region adds nothing but xsimd's own text and nibble's.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "../backend/kernel_table.hpp"
#include "../blocks/compact.hpp"
#include "../core/formats.hpp"
#include "../core/minifloat.hpp"
#include "../core/numeric.hpp"
#include "../core/strict_math.hpp"
#include "region.hpp"

#if !defined(NIBBLE_EXTERN_KERNELS) || defined(NIBBLE_DEFINE_KERNELS)
#define NIBBLE_HAVE_KERNELS 1
#else
#define NIBBLE_HAVE_KERNELS 0
#endif

#if NIBBLE_HAVE_KERNELS

#if NIBBLE_COMPILE_X86
#include <immintrin.h>
#elif NIBBLE_COMPILE_NEON
#include <arm_neon.h>
#endif
#if NIBBLE_COMPILE_X86 || NIBBLE_COMPILE_NEON
#include <xsimd/xsimd.hpp>
#endif

NIBBLE_STRICT_BEGIN
#define NIBBLE_ISA NIBBLE_ISA_SCALAR
#define NIBBLE_BACKEND_NAME scalar
#include "scalar/batch.inl"
#include "pass.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_STRICT_END

#if NIBBLE_COMPILE_X86
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_AVX2)
#define NIBBLE_ISA NIBBLE_ISA_AVX2
#define NIBBLE_BACKEND_NAME avx2
#include "xsimd/clang_intrinsics.inl"
#define xsimd NIBBLE_XSIMD_AVX2
#include "xsimd/private.inl"
#undef xsimd
NIBBLE_BEGIN
namespace avx2 {
namespace xsimd = ::NIBBLE_XSIMD_AVX2;
}
NIBBLE_END
#include "batch.inl"
#include "pass.inl"
#include "xsimd/clang_intrinsics_end.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END
#endif

#if NIBBLE_COMPILE_AVX512
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_AVX512)
#define NIBBLE_ISA NIBBLE_ISA_AVX512
#define NIBBLE_BACKEND_NAME avx512
#include "xsimd/clang_intrinsics.inl"
#define xsimd NIBBLE_XSIMD_AVX512
#include "xsimd/private.inl"
#undef xsimd
NIBBLE_BEGIN
namespace avx512 {
namespace xsimd = ::NIBBLE_XSIMD_AVX512;
}
NIBBLE_END
#include "batch.inl"
#include "pass.inl"
#include "xsimd/clang_intrinsics_end.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END

// A backend that adds an instruction, not a vector type, compiles again only the kernels that use it.
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_AVX512VNNI)
#define NIBBLE_ISA NIBBLE_ISA_AVX512VNNI
#define NIBBLE_BACKEND_NAME avx512vnni
NIBBLE_BEGIN
namespace avx512vnni {
using namespace avx512;
}
NIBBLE_END
#include "unroll.inl"
#include "integer_pass.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END
#endif

#if NIBBLE_COMPILE_AVX512AMX
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_AVX512AMX)
#define NIBBLE_ISA NIBBLE_ISA_AVX512VNNI
#define NIBBLE_BACKEND_NAME avx512amx
NIBBLE_BEGIN
namespace avx512amx {
using namespace avx512vnni;
}
NIBBLE_END
#include "unroll.inl"
#include "gemm_amx.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END
#endif

#if NIBBLE_COMPILE_NEON
NIBBLE_STRICT_BEGIN
#define NIBBLE_ISA NIBBLE_ISA_NEON
#define NIBBLE_BACKEND_NAME neon
#include "batch.inl"
#include "pass.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_STRICT_END
#endif

#if NIBBLE_COMPILE_NEON_DOTPROD
NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_NEON_DOTPROD)
#define NIBBLE_ISA NIBBLE_ISA_NEON_DOTPROD
#define NIBBLE_BACKEND_NAME neon_dotprod
NIBBLE_BEGIN
namespace neon_dotprod {
using namespace neon;
}
NIBBLE_END
#include "unroll.inl"
#include "integer_pass.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END

NIBBLE_REGION_BEGIN(NIBBLE_OPTIONS_NEON_I8MM)
#define NIBBLE_ISA NIBBLE_ISA_NEON_I8MM
#define NIBBLE_BACKEND_NAME neon_i8mm
NIBBLE_BEGIN
namespace neon_i8mm {
using namespace neon;
}
NIBBLE_END
#include "unroll.inl"
#include "integer_pass.inl"
#undef NIBBLE_BACKEND_NAME
#undef NIBBLE_ISA
NIBBLE_REGION_END
#endif

#endif // NIBBLE_HAVE_KERNELS

NIBBLE_BEGIN

/// The tables of this build in the order of the enum backend; null where a backend was left out.
#if !NIBBLE_HAVE_KERNELS
const kernel_table* const* compiled_tables() noexcept;
#else
#if defined(NIBBLE_DEFINE_KERNELS)
const kernel_table* const* compiled_tables() noexcept;
#else
inline
#endif
const kernel_table* const* compiled_tables() noexcept
{
    // clang-format off
    static constexpr const kernel_table* tables[] = {
        &scalar::table,
#if NIBBLE_COMPILE_X86
        &avx2::table,
#else
        nullptr,
#endif
#if NIBBLE_COMPILE_AVX512
        &avx512::table,
        &avx512vnni::table,
#else
        nullptr,
        nullptr,
#endif
#if NIBBLE_COMPILE_AVX512AMX
        &avx512amx::table,
#else
        nullptr,
#endif
#if NIBBLE_COMPILE_NEON
        &neon::table,
#else
        nullptr,
#endif
#if NIBBLE_COMPILE_NEON_DOTPROD
        &neon_dotprod::table,
        &neon_i8mm::table,
#else
        nullptr,
        nullptr,
#endif
    };
    // clang-format on
    return tables;
}
#endif

NIBBLE_END
