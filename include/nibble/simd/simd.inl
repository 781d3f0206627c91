// What each backend begins with. A backend that adds an instruction, not a vector type, takes over everything from the one that it
// extends, but for unrolled loops: GCC inlines a step into them only if both are compiled for the same instruction set.
#if NIBBLE_ISA == NIBBLE_ISA_AVX2
#include "xsimd/clang_intrinsics.inl"
#define xsimd NIBBLE_XSIMD_AVX2
#include "xsimd/private.inl"
#undef xsimd
NIBBLE_BEGIN
namespace avx2 {
namespace xsimd = ::NIBBLE_XSIMD_AVX2;
}
NIBBLE_END
#elif NIBBLE_ISA == NIBBLE_ISA_AVX512
#include "xsimd/clang_intrinsics.inl"
#define xsimd NIBBLE_XSIMD_AVX512
#include "xsimd/private.inl"
#undef xsimd
NIBBLE_BEGIN
namespace avx512 {
namespace xsimd = ::NIBBLE_XSIMD_AVX512;
}
NIBBLE_END
#elif NIBBLE_ISA == NIBBLE_ISA_AVX512VNNI
NIBBLE_BEGIN
namespace avx512vnni {
using namespace avx512;
}
namespace avx512amx {
using namespace avx512vnni;
}
NIBBLE_END
#elif NIBBLE_ISA > NIBBLE_ISA_NEON
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {
using namespace neon;
}
NIBBLE_END
#endif

#include "unroll.inl"
#if NIBBLE_ISA == NIBBLE_ISA_SCALAR
#include "vectors_scalar.inl"
#elif NIBBLE_ISA == NIBBLE_ISA_AVX2 || NIBBLE_ISA == NIBBLE_ISA_AVX512 || NIBBLE_ISA == NIBBLE_ISA_NEON
#include "vectors.inl"
#endif
#if NIBBLE_ISA == NIBBLE_ISA_SCALAR || NIBBLE_ISA == NIBBLE_ISA_AVX2 || NIBBLE_ISA == NIBBLE_ISA_AVX512 || NIBBLE_ISA == NIBBLE_ISA_NEON
#include "lanes.inl"
#include "shorts.inl"
#endif
