// The vectors of one backend, over xsimd, and the primitives that xsimd lacks.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

#if NIBBLE_ISA >= NIBBLE_ISA_NEON
using arch = xsimd::neon64;
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
using arch = xsimd::avx512bw;
#else
using arch = xsimd::fma3<xsimd::avx2>;
#endif

using floats = xsimd::batch<float, arch>;
using ints = xsimd::batch<std::int32_t, arch>;
using doubles = xsimd::batch<double, arch>;

static_assert(floats::size
                  == (NIBBLE_ISA >= NIBBLE_ISA_NEON     ? 4
                      : NIBBLE_ISA >= NIBBLE_ISA_AVX512 ? 16
                                                        : 8),
    "this xsimd was not compiled for this backend");

// a * b + c with one rounding. (xsimd 8's fma for AVX-512 multiplies and adds, with two.)
inline floats fused(floats a, floats b, floats c) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return floats(vfmaq_f32(c, a, b));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return floats(_mm512_fmadd_ps(a, b, c));
#else
    return floats(_mm256_fmadd_ps(a, b, c));
#endif
}

inline doubles fused(doubles a, doubles b, doubles c) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return doubles(vfmaq_f64(c, a, b));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return doubles(_mm512_fmadd_pd(a, b, c));
#else
    return doubles(_mm256_fmadd_pd(a, b, c));
#endif
}

// a / b, correctly rounded. (xsimd 8's division for NEON is an estimate with two Newton steps.)
inline floats quotient(floats a, floats b) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return floats(vdivq_f32(a, b));
#else
    return a / b;
#endif
}

inline ints as_ints(floats x) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vreinterpretq_s32_f32(x));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_castps_si512(x));
#else
    return ints(_mm256_castps_si256(x));
#endif
}

inline floats as_floats(ints x) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return floats(vreinterpretq_f32_s32(x));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return floats(_mm512_castsi512_ps(x));
#else
    return floats(_mm256_castsi256_ps(x));
#endif
}

// To the nearest integer, ties to even; |x| below 2^31.
inline ints round_to_int(floats x) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vcvtnq_s32_f32(x));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_cvt_roundps_epi32(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#else
    return ints(_mm256_cvtps_epi32(x));
#endif
}

template <int Count>
inline ints shift_right_arithmetic(ints v) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vshrq_n_s32(v, Count));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_srai_epi32(v, Count));
#else
    return ints(_mm256_srai_epi32(v, Count));
#endif
}

// Each lane by its own count in [0, 31].
inline ints shift_left_by(ints x, ints n) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vshlq_s32(x, n));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_sllv_epi32(x, n));
#else
    return ints(_mm256_sllv_epi32(x, n));
#endif
}

inline ints shift_right_by(ints x, ints n) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vshlq_s32(x, vnegq_s32(n)));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_srav_epi32(x, n));
#else
    return ints(_mm256_srav_epi32(x, n));
#endif
}

#if NIBBLE_ISA == NIBBLE_ISA_AVX2
// AVX2 shifts 64 bits only without the sign: 2^63 is added before and taken back after.
inline __m256i rounded_product_64(__m256i a, __m256i b, __m256i shift) noexcept
{
    const __m256i nudge = _mm256_sllv_epi64(_mm256_set1_epi64x(1), _mm256_add_epi64(shift, _mm256_set1_epi64x(30)));
    const __m256i sum = _mm256_add_epi64(_mm256_mul_epi32(a, b), nudge), down = _mm256_add_epi64(shift, _mm256_set1_epi64x(31));
    const __m256i top = _mm256_set1_epi64x(INT64_MIN);
    return _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_xor_si256(sum, top), down), _mm256_srlv_epi64(top, down));
}
#elif NIBBLE_ISA < NIBBLE_ISA_NEON
inline __m512i rounded_product_64(__m512i a, __m512i b, __m512i shift) noexcept
{
    const __m512i nudge = _mm512_sllv_epi64(_mm512_set1_epi64(1), _mm512_add_epi64(shift, _mm512_set1_epi64(30)));
    const __m512i sum = _mm512_add_epi64(_mm512_mul_epi32(a, b), nudge);
    return _mm512_srav_epi64(sum, _mm512_add_epi64(shift, _mm512_set1_epi64(31)));
}
#endif

// (x * m + 2^(30 + n)) >> (31 + n) in 64 bits; m is not negative, n in [0, 31].
inline ints rounded_product(ints x, ints m, ints n) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    const int32x4_t down = vsubq_s32(vdupq_n_s32(-31), n);
    const int64x2_t low = vrshlq_s64(vmull_s32(vget_low_s32(x), vget_low_s32(m)), vmovl_s32(vget_low_s32(down)));
    const int64x2_t high = vrshlq_s64(vmull_high_s32(x, m), vmovl_high_s32(down));
    return ints(vcombine_s32(vmovn_s64(low), vmovn_s64(high)));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    const __m512i even = rounded_product_64(x, m, _mm512_and_si512(n, _mm512_set1_epi64(0xffffffff)));
    const __m512i odd = rounded_product_64(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(m, 32), _mm512_srli_epi64(n, 32));
    return ints(_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
#else
    const __m256i even = rounded_product_64(x, m, _mm256_and_si256(n, _mm256_set1_epi64x(0xffffffff)));
    const __m256i odd = rounded_product_64(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(m, 32), _mm256_srli_epi64(n, 32));
    return ints(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa));
#endif
}

// (x * m + 2^30) >> 31 in 64 bits; m is not negative.
inline ints rounded_high_product(ints x, ints m) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vqrdmulhq_s32(x, m));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    const __m512i half = _mm512_set1_epi64(1 << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, m), half);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(m, 32)), half);
    return ints(_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 31), _mm512_add_epi64(odd, odd)));
#else
    const __m256i half = _mm256_set1_epi64x(1 << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, m), half);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(m, 32)), half);
    return ints(_mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_add_epi64(odd, odd), 0xaa));
#endif
}

// x itself, which the compiler cannot see through: a product and a sum on its two sides stay two roundings.
inline floats opaque(floats x) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    float32x4_t v = x;
    __asm__("" : "+w"(v));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    __m512 v = x;
    __asm__("" : "+v"(v));
#else
    __m256 v = x;
    __asm__("" : "+x"(v));
#endif
    return floats(v);
}

template <int Count>
inline ints shift_left(ints v) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vshlq_n_s32(v, Count));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_slli_epi32(v, Count));
#else
    return ints(_mm256_slli_epi32(v, Count));
#endif
}

// Zeros come in from above, whatever the sign.
template <int Count>
inline ints shift_right(ints v) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(v), Count)));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_srli_epi32(v, Count));
#else
    return ints(_mm256_srli_epi32(v, Count));
#endif
}

// a where c holds, else b. (xsimd 8's select of integers for AVX-512 does not compile without optimisation.)
inline ints choose(ints::batch_bool_type c, ints a, ints b) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vbslq_s32(c, a, b));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_mask_blend_epi32(c, b, a));
#else
    return ints(_mm256_blendv_epi8(b, a, c));
#endif
}

// ints::size bytes: the low byte of each lane.
inline void store_low_bytes(ints v, void* out) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    const int16x4_t h = vmovn_s32(v);
    const std::uint32_t b = vget_lane_u32(vreinterpret_u32_s8(vmovn_s16(vcombine_s16(h, h))), 0);
    std::memcpy(out, &b, 4);
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    _mm_storeu_si128(static_cast<__m128i*>(out), _mm512_cvtepi32_epi8(v));
#else
    const __m256i order = _mm256_setr_epi8(
        0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i b = _mm256_shuffle_epi8(v, order);
    _mm_storel_epi64(static_cast<__m128i*>(out), _mm_unpacklo_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1)));
#endif
}

// ints::size bytes, widened. (xsimd's own converting load goes through memory, element by element, under GCC.)
inline ints load_s8(const void* p) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    std::uint32_t b;
    std::memcpy(&b, p, 4);
    return ints(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(b))))));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
#else
    return ints(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
#endif
}

inline ints load_s16(const std::int16_t* p) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vmovl_s16(vld1_s16(p)));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#else
    return ints(_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#endif
}

// The low 16 bits of each lane; lanes are in [-32768, 32767].
inline void store_low_shorts(ints v, std::int16_t* out) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    vst1_s16(out, vmovn_s32(v));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(v));
#else
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(v, v), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(packed));
#endif
}

inline ints load_u8(const void* p) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    std::uint32_t b;
    std::memcpy(&b, p, 4);
    return ints(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(b)))))));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
#else
    return ints(_mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
#endif
}

inline floats load_half(const void* p) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    std::uint16_t h[4];
    std::memcpy(h, p, 8);
    return floats(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h))));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return floats(_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p))));
#else
    return floats(_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p))));
#endif
}

inline void store_half(floats x, void* p) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    std::uint16_t h[4];
    vst1_u16(h, vreinterpret_u16_f16(vcvt_f16_f32(x)));
    std::memcpy(p, h, 8);
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_maskz_cvtps_ph(0xffff, x, _MM_FROUND_TO_NEAREST_INT));
#else
    _mm_storeu_si128(static_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
#endif
}

inline floats load_bfloat16(const void* p) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    std::uint16_t h[4];
    std::memcpy(h, p, 8);
    return floats(vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(h), 16)));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return floats(_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p))), 16)));
#else
    return floats(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))), 16)));
#endif
}

// The least and the greatest of all lanes; no lane is NaN, and which of two zeros comes back is left open.
inline float lowest_lane(floats v) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return vminvq_f32(v);
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return _mm512_reduce_min_ps(v);
#else
    __m128 m = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_min_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_min_ss(m, _mm_movehdup_ps(m)));
#endif
}

inline float highest_lane(floats v) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return vmaxvq_f32(v);
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return _mm512_reduce_max_ps(v);
#else
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
#endif
}

inline std::int32_t highest_lane(ints v) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return vmaxvq_s32(v);
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return _mm512_reduce_max_epi32(v);
#else
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1)));
#endif
}

// Lane i: the greatest lane of m[i].
inline ints highest_lanes(const ints (&m)[ints::size]) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return ints(vpmaxq_s32(vpmaxq_s32(m[0], m[1]), vpmaxq_s32(m[2], m[3])));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    __m512i fours[4];
    for (int i = 0; i < 4; ++i) {
        const __m512i a = m[4 * i], b = m[4 * i + 1], c = m[4 * i + 2], d = m[4 * i + 3];
        const __m512i ab = _mm512_max_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        const __m512i cd = _mm512_max_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        fours[i] = _mm512_max_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    }
    // Each quarter of fours[i] has a candidate for lanes 4 i ... 4 i + 3; a transposition of quarters brings the four together.
    const __m512i low = _mm512_max_epi32(_mm512_shuffle_i32x4(fours[0], fours[1], 0x44), _mm512_shuffle_i32x4(fours[0], fours[1], 0xee));
    const __m512i high = _mm512_max_epi32(_mm512_shuffle_i32x4(fours[2], fours[3], 0x44), _mm512_shuffle_i32x4(fours[2], fours[3], 0xee));
    return ints(_mm512_max_epi32(_mm512_shuffle_i32x4(low, high, 0x88), _mm512_shuffle_i32x4(low, high, 0xdd)));
#else
    __m256i fours[2];
    for (int i = 0; i < 2; ++i) {
        const __m256i a = m[4 * i], b = m[4 * i + 1], c = m[4 * i + 2], d = m[4 * i + 3];
        const __m256i ab = _mm256_max_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        const __m256i cd = _mm256_max_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        fours[i] = _mm256_max_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    }
    return ints(_mm256_max_epi32(_mm256_permute2x128_si256(fours[0], fours[1], 0x20), _mm256_permute2x128_si256(fours[0], fours[1], 0x31)));
#endif
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
