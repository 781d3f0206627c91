// Compiles primitives.inl, the test of simd/contract.md, for every backend.
#pragma once

#include <nibble/gemm/kernels/dot.hpp>

NIBBLE_BEGIN_TYPES

// Operands for the primitives, `count` of each, a multiple of 32. Arrays end where no memory is.
struct primitives_test {
    std::ptrdiff_t count;
    const float *any[3], *numbers[2], *in_int32; // any bits; no NaN; finite and in [-2^31, 2^31)
    const double* doubles[3];
    const std::int32_t *ints[3], *not_negative, *shifts, *bytes, *words; // in [0, 31], [-128, 255] and [0, 65535]
    const std::uint8_t* codes;                                           // bits of 8-bit numbers
    const std::uint16_t* halves;
    const std::int16_t* shorts[2];
    const std::int8_t *small[2], *odd; // small: in [-127, 127]
    std::byte* room;                   // for 64 numbers of 4 bytes; ends where no memory is
    void (*failed)(const char* primitive, std::ptrdiff_t at, double got, double wanted);
};

NIBBLE_END_TYPES

#define NIBBLE_KERNEL_BACKENDS (NIBBLE_OWN_VECTORS | NIBBLE_OWN_DOT_PRODUCTS)
#define NIBBLE_KERNEL_FILE "kernels/primitives.inl"
#include <nibble/backend/for_each_backend.hpp>
