// NIBBLE_ABI_TAG: a namespace name that holds the instruction sets for which this translation unit is compiled. Two files built with
// different -m flags then never share a function, so baseline code cannot end up calling a copy with AVX in it.
#pragma once

// clang-format off
#if defined(__SSE4_2__) || defined(__aarch64__)
#define NIBBLE_TAG_0 1
#else
#define NIBBLE_TAG_0 0
#endif
#if defined(__SSE3__) || defined(__ARM_FEATURE_ATOMICS)
#define NIBBLE_TAG_1 1
#else
#define NIBBLE_TAG_1 0
#endif
#if defined(__SSSE3__) || defined(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC)
#define NIBBLE_TAG_2 1
#else
#define NIBBLE_TAG_2 0
#endif
#if defined(__SSE4_1__) || defined(__ARM_FEATURE_DOTPROD)
#define NIBBLE_TAG_3 1
#else
#define NIBBLE_TAG_3 0
#endif
#if defined(__AVX__) || defined(__ARM_FEATURE_MATMUL_INT8)
#define NIBBLE_TAG_4 1
#else
#define NIBBLE_TAG_4 0
#endif
#if defined(__AVX2__) || defined(__ARM_FEATURE_SVE)
#define NIBBLE_TAG_5 1
#else
#define NIBBLE_TAG_5 0
#endif
#if defined(__FMA__) || defined(__ARM_FEATURE_SVE2)
#define NIBBLE_TAG_6 1
#else
#define NIBBLE_TAG_6 0
#endif
#if defined(__F16C__) || defined(__ARM_FEATURE_BF16)
#define NIBBLE_TAG_7 1
#else
#define NIBBLE_TAG_7 0
#endif
#if defined(__BMI__) || defined(__LZCNT__) || defined(__POPCNT__)
#define NIBBLE_TAG_8 1
#else
#define NIBBLE_TAG_8 0
#endif
#if defined(__BMI2__) || defined(__ADX__)
#define NIBBLE_TAG_9 1
#else
#define NIBBLE_TAG_9 0
#endif
#if defined(__AVX512F__)
#define NIBBLE_TAG_10 1
#else
#define NIBBLE_TAG_10 0
#endif
#if defined(__AVX512BW__) || defined(__AVX512DQ__) || defined(__AVX512VL__) || defined(__AVX512CD__)
#define NIBBLE_TAG_11 1
#else
#define NIBBLE_TAG_11 0
#endif
#if defined(__AVX512VNNI__) || defined(__AVX512VBMI__) || defined(__AVX512BF16__)
#define NIBBLE_TAG_12 1
#else
#define NIBBLE_TAG_12 0
#endif
#if defined(__AVX512FP16__) || defined(__AVXVNNI__) || defined(__AMX_TILE__) || defined(__XOP__) || defined(__FMA4__)
#define NIBBLE_TAG_13 1
#else
#define NIBBLE_TAG_13 0
#endif
#if defined(__FAST_MATH__)
#define NIBBLE_TAG_14 1
#else
#define NIBBLE_TAG_14 0
#endif
// clang-format on

#define NIBBLE_TAG_PASTE_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) abi_##a##b##c##d##e##f##g##h##i##j##k##l##m##n##o
#define NIBBLE_TAG_PASTE(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) NIBBLE_TAG_PASTE_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
#define NIBBLE_ABI_TAG                                                                                                               \
    NIBBLE_TAG_PASTE(NIBBLE_TAG_0, NIBBLE_TAG_1, NIBBLE_TAG_2, NIBBLE_TAG_3, NIBBLE_TAG_4, NIBBLE_TAG_5, NIBBLE_TAG_6, NIBBLE_TAG_7, \
        NIBBLE_TAG_8, NIBBLE_TAG_9, NIBBLE_TAG_10, NIBBLE_TAG_11, NIBBLE_TAG_12, NIBBLE_TAG_13, NIBBLE_TAG_14)
