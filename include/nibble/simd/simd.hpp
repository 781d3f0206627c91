// What kernels are written over: vectors, primitives on them, and unrolled loops, for each backend. Every header that is not nibble's own
// is included here, before the first region, compiled for what the whole file is compiled for: inside a region a header's inline
// functions would be compiled for that region's CPU, and the linker might keep that copy for everybody. xsimd's plain inclusion brings in
// every standard header that it uses, so that a region adds nothing but xsimd's own text and nibble's.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "../backend/region.hpp"
#include "../core/formats.hpp"
#include "../core/minifloat.hpp"
#include "../core/numeric.hpp"

#if NIBBLE_HAVE_KERNELS
#if NIBBLE_COMPILE_X86
#include <immintrin.h>
#elif NIBBLE_COMPILE_NEON
#include <arm_neon.h>
#endif
#if NIBBLE_COMPILE_X86 || NIBBLE_COMPILE_NEON
#include <xsimd/xsimd.hpp>
#endif
#endif

#define NIBBLE_KERNEL_BACKENDS (NIBBLE_OWN_VECTORS | NIBBLE_OWN_DOT_PRODUCTS | NIBBLE_OWN_TILES)
#define NIBBLE_KERNEL_FILE "../simd/simd.inl"
#include "../backend/for_each_backend.hpp"
