// Undoes clang_macros.inl.
#undef _mm512_add_ps
#undef _mm512_sub_ps
#undef _mm512_mul_ps
#undef _mm512_div_ps
#undef _mm512_mask_blend_ps
#undef _mm512_fmadd_ps
#undef _mm256_add_ps
#undef _mm256_sub_ps
#undef _mm256_mul_ps
#undef _mm256_div_ps
#undef _mm256_blendv_ps
#undef _mm256_fmadd_ps
#if defined(__clang__) && NIBBLE_ISA >= NIBBLE_ISA_AVX512
#pragma pop_macro("_mm512_cmp_ps_mask")
#elif defined(__clang__)
#pragma pop_macro("_mm256_cmp_ps")
#endif
