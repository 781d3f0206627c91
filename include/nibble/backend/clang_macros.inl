// Puts the functions of simd/xsimd/clang_intrinsics.inl in the place of the intrinsics, until clang_macros_end.inl.
#if !defined(__clang__)
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
#pragma push_macro("_mm512_cmp_ps_mask")
#undef _mm512_cmp_ps_mask
#define _mm512_cmp_ps_mask(a, b, predicate) nibble_mm512_cmp_ps_mask<predicate>(a, b)
#define _mm512_add_ps nibble_mm512_add_ps
#define _mm512_sub_ps nibble_mm512_sub_ps
#define _mm512_mul_ps nibble_mm512_mul_ps
#define _mm512_div_ps nibble_mm512_div_ps
#define _mm512_mask_blend_ps nibble_mm512_mask_blend_ps
#if defined(__FAST_MATH__)
#define _mm512_fmadd_ps nibble_mm512_fmadd_ps
#endif
#else
#pragma push_macro("_mm256_cmp_ps")
#undef _mm256_cmp_ps
#define _mm256_cmp_ps(a, b, predicate) nibble_mm256_cmp_ps<predicate>(a, b)
#define _mm256_add_ps nibble_mm256_add_ps
#define _mm256_sub_ps nibble_mm256_sub_ps
#define _mm256_mul_ps nibble_mm256_mul_ps
#define _mm256_div_ps nibble_mm256_div_ps
#define _mm256_blendv_ps nibble_mm256_blendv_ps
#if defined(__FAST_MATH__)
#define _mm256_fmadd_ps nibble_mm256_fmadd_ps
#endif
#endif
