// What each backend begins with: unrolled loops and the primitives of its instruction set. contract.md says what each primitive does. A
// backend that adds an instruction, not a vector type, takes over everything from the one that it extends, but for the unrolled loops.
#include "unroll.inl"

#if NIBBLE_ISA == NIBBLE_ISA_SCALAR
#include "scalar.inl"
#include "shared.inl"
#elif NIBBLE_ISA == NIBBLE_ISA_AVX2
#include "avx2.inl"
#include "x86.inl"
#include "shared.inl"
#elif NIBBLE_ISA == NIBBLE_ISA_AVX512
#include "avx512.inl"
#include "x86.inl"
#include "shared.inl"
#elif NIBBLE_ISA == NIBBLE_ISA_NEON
#include "neon.inl"
#include "shared.inl"
#elif NIBBLE_ISA == NIBBLE_ISA_AVX512VNNI
NIBBLE_BEGIN
namespace avx512vnni {
using namespace avx512;
}
namespace avx512amx {
using namespace avx512vnni;
}
NIBBLE_END
#else
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {
using namespace neon;
}
NIBBLE_END
#endif
