// Clang inlines an intrinsic with the assumptions that its header was compiled with, those of -ffast-math included, whatever the pragmas
// around the call say, and gives them to every builtin and conditional operator, too. Where floats matter, these stand in for the
// intrinsics that xsimd and the kernels use: operators, which obey the pragmas; integer operations to select; and under -ffast-math the
// instruction itself to multiply and add.
// backend/clang_macros.inl puts them in the place of the intrinsics.
#if !defined(__clang__)
#elif NIBBLE_ISA == NIBBLE_ISA_AVX512
NIBBLE_INLINE __m512 nibble_mm512_add_ps(__m512 a, __m512 b) noexcept { return a + b; }
NIBBLE_INLINE __m512 nibble_mm512_sub_ps(__m512 a, __m512 b) noexcept { return a - b; }
NIBBLE_INLINE __m512 nibble_mm512_mul_ps(__m512 a, __m512 b) noexcept { return a * b; }
NIBBLE_INLINE __m512 nibble_mm512_div_ps(__m512 a, __m512 b) noexcept { return a / b; }
NIBBLE_INLINE __m512 nibble_mm512_mask_blend_ps(__mmask16 m, __m512 a, __m512 b) noexcept
{
    return _mm512_castsi512_ps(_mm512_mask_blend_epi32(m, _mm512_castps_si512(a), _mm512_castps_si512(b)));
}
template <int Predicate>
NIBBLE_INLINE __mmask16 nibble_mm512_cmp_ps_mask(__m512 a, __m512 b) noexcept
{
    if constexpr (Predicate == _CMP_EQ_OQ)
        return _mm512_movepi32_mask(reinterpret_cast<__m512i>(a == b));
    else if constexpr (Predicate == _CMP_LT_OQ)
        return _mm512_movepi32_mask(reinterpret_cast<__m512i>(a < b));
    else if constexpr (Predicate == _CMP_LE_OQ)
        return _mm512_movepi32_mask(reinterpret_cast<__m512i>(a <= b));
    else if constexpr (Predicate == _CMP_UNORD_Q)
        return static_cast<__mmask16>(~_mm512_movepi32_mask(reinterpret_cast<__m512i>((a == a) & (b == b))));
    else
        return __builtin_ia32_cmpps512_mask(a, b, Predicate, 0xffff, _MM_FROUND_CUR_DIRECTION);
}
#if defined(__FAST_MATH__)
NIBBLE_INLINE __m512 nibble_mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) noexcept
{
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b));
    return c;
}
#endif
#elif NIBBLE_ISA == NIBBLE_ISA_AVX2
NIBBLE_INLINE __m256 nibble_mm256_add_ps(__m256 a, __m256 b) noexcept { return a + b; }
NIBBLE_INLINE __m256 nibble_mm256_sub_ps(__m256 a, __m256 b) noexcept { return a - b; }
NIBBLE_INLINE __m256 nibble_mm256_mul_ps(__m256 a, __m256 b) noexcept { return a * b; }
NIBBLE_INLINE __m256 nibble_mm256_div_ps(__m256 a, __m256 b) noexcept { return a / b; }
NIBBLE_INLINE __m256 nibble_mm256_blendv_ps(__m256 a, __m256 b, __m256 m) noexcept
{
    return _mm256_castsi256_ps(_mm256_blendv_epi8(_mm256_castps_si256(a), _mm256_castps_si256(b), _mm256_castps_si256(m)));
}
template <int Predicate>
NIBBLE_INLINE __m256 nibble_mm256_cmp_ps(__m256 a, __m256 b) noexcept
{
    if constexpr (Predicate == _CMP_UNORD_Q)
        return reinterpret_cast<__m256>(~((a == a) & (b == b)));
    else
        return __builtin_ia32_cmpps256(a, b, Predicate);
}
#if defined(__FAST_MATH__)
NIBBLE_INLINE __m256 nibble_mm256_fmadd_ps(__m256 a, __m256 b, __m256 c) noexcept
{
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
    return c;
}
#endif
#endif
