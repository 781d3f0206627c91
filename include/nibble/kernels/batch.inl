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
using words = xsimd::batch<std::int32_t, arch>;

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

// a / b, correctly rounded. (xsimd 8's division for NEON is an estimate with two Newton steps.)
inline floats quotient(floats a, floats b) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return floats(vdivq_f32(a, b));
#else
    return a / b;
#endif
}

inline words as_words(floats x) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return words(vreinterpretq_s32_f32(x));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return words(_mm512_castps_si512(x));
#else
    return words(_mm256_castps_si256(x));
#endif
}

inline floats as_floats(words x) noexcept
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
inline words round_to_int(floats x) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return words(vcvtnq_s32_f32(x));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return words(_mm512_cvt_roundps_epi32(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#else
    return words(_mm256_cvtps_epi32(x));
#endif
}

inline words shift_to_exponent(words n) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return words(vshlq_n_s32(n, 23));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return words(_mm512_slli_epi32(n, 23));
#else
    return words(_mm256_slli_epi32(n, 23));
#endif
}

template <int Count>
inline words shift_left(words v) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return words(vshlq_n_s32(v, Count));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return words(_mm512_slli_epi32(v, Count));
#else
    return words(_mm256_slli_epi32(v, Count));
#endif
}

// Zeros come in from above, whatever the sign.
template <int Count>
inline words shift_right(words v) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return words(vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(v), Count)));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return words(_mm512_srli_epi32(v, Count));
#else
    return words(_mm256_srli_epi32(v, Count));
#endif
}

// a where c holds, else b. (xsimd 8's select of integers for AVX-512 does not compile without optimisation.)
inline words choose(words::batch_bool_type c, words a, words b) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return words(vbslq_s32(c, a, b));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return words(_mm512_mask_blend_epi32(c, b, a));
#else
    return words(_mm256_blendv_epi8(b, a, c));
#endif
}

// words::size bytes: the low byte of each lane.
inline void store_low_bytes(words v, void* out) noexcept
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

// words::size bytes, widened. (xsimd's own converting load goes through memory, element by element, under GCC.)
inline words load_s8(const void* p) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    std::uint32_t b;
    std::memcpy(&b, p, 4);
    return words(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(b))))));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return words(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
#else
    return words(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
#endif
}

inline words load_u8(const void* p) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    std::uint32_t b;
    std::memcpy(&b, p, 4);
    return words(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(b)))))));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return words(_mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
#else
    return words(_mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
#endif
}

// Half a byte for each lane, the first in the low half; `at` counts halves and is a multiple of the lanes.
inline words load_nibbles(const std::uint8_t* p, std::ptrdiff_t at) noexcept
{
    p += at / 2;
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    const uint64x2_t b = vcombine_u64(vcreate_u64(p[0]), vcreate_u64(p[1]));
    return words(vreinterpretq_s32_u64(vandq_u64(vorrq_u64(b, vshlq_n_u64(b, 28)), vdupq_n_u64(0x0000000f0000000full))));
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    const __m512i b = _mm512_cvtepu8_epi64(_mm_loadl_epi64(static_cast<const __m128i*>(static_cast<const void*>(p))));
    return words(_mm512_and_si512(_mm512_or_si512(b, _mm512_slli_epi64(b, 28)), _mm512_set1_epi32(15)));
#else
    std::int32_t four;
    std::memcpy(&four, p, 4);
    const __m256i b = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
    return words(_mm256_and_si256(_mm256_or_si256(b, _mm256_slli_epi64(b, 28)), _mm256_set1_epi32(15)));
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
    _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
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

// The hardware's own bfloat16 conversions flush subnormals, hence integer arithmetic.
inline void store_bfloat16(floats x, void* p) noexcept
{
    alignas(64) float lanes[floats::size];
    x.store_unaligned(lanes);
    std::uint16_t h[floats::size];
    for (std::size_t i = 0; i < floats::size; ++i) {
        const std::uint32_t u = float_bits(lanes[i]);
        const std::uint32_t rounded = (u + 0x7fffu + (u >> 16 & 1u)) >> 16, nan = u >> 16 | 0x40u;
        h[i] = static_cast<std::uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
    }
    std::memcpy(p, h, sizeof h);
}

inline float lowest_lane(floats v) noexcept
{
    float lane[floats::size];
    v.store_unaligned(lane);
    float best = lane[0];
    for (float x : lane)
        best = x < best ? x : best;
    return best;
}

inline float highest_lane(floats v) noexcept
{
    float lane[floats::size];
    v.store_unaligned(lane);
    float best = lane[0];
    for (float x : lane)
        best = x > best ? x : best;
    return best;
}

inline std::int32_t highest_lane(words v) noexcept
{
    std::int32_t lane[words::size];
    v.store_unaligned(lane);
    std::int32_t best = lane[0];
    for (std::int32_t x : lane)
        best = x > best ? x : best;
    return best;
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
