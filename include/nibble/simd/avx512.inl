// The primitives of AVX-512 (F, CD, BW, DQ, VL): 16 lanes. contract.md says what each one does; x86.inl has those that AVX2 shares.
#include "xsimd/clang_intrinsics.inl"
#define xsimd NIBBLE_XSIMD_AVX512
#include "xsimd/private.inl"
#undef xsimd

NIBBLE_BEGIN
namespace avx512 {

namespace xsimd = ::NIBBLE_XSIMD_AVX512;

using floats = xsimd::batch<float, xsimd::avx512bw>;
using ints = xsimd::batch<std::int32_t, xsimd::avx512bw>;
using doubles = xsimd::batch<double, xsimd::avx512bw>;

inline constexpr std::ptrdiff_t width = 16, chunk = 32;
inline constexpr std::size_t chunk_vectors = 2;
inline constexpr int vector_registers = 32;

// Arithmetic

// xsimd 8's fma for AVX-512 multiplies and adds, with two roundings.
inline floats fused(floats a, floats b, floats c) noexcept { return floats(_mm512_fmadd_ps(a, b, c)); }
inline doubles fused(doubles a, doubles b, doubles c) noexcept { return doubles(_mm512_fmadd_pd(a, b, c)); }
inline floats quotient(floats a, floats b) noexcept { return a / b; }
inline floats opaque(floats x) noexcept
{
    __m512 v = x;
    __asm__("" : "+v"(v));
    return floats(v);
}
template <int Count>
inline ints shift_left(ints v) noexcept
{
    return ints(_mm512_slli_epi32(v, Count));
}
template <int Count>
inline ints shift_right(ints v) noexcept
{
    return ints(_mm512_srli_epi32(v, Count));
}
template <int Count>
inline ints shift_right_arithmetic(ints v) noexcept
{
    return ints(_mm512_srai_epi32(v, Count));
}
inline ints shift_left_by(ints x, ints n) noexcept { return ints(_mm512_sllv_epi32(x, n)); }
inline ints shift_right_by(ints x, ints n) noexcept { return ints(_mm512_srav_epi32(x, n)); }
inline __m512i rounded_product_64(__m512i a, __m512i b, __m512i shift) noexcept
{
    const __m512i nudge = _mm512_sllv_epi64(_mm512_set1_epi64(1), _mm512_add_epi64(shift, _mm512_set1_epi64(30)));
    const __m512i sum = _mm512_add_epi64(_mm512_mul_epi32(a, b), nudge);
    return _mm512_srav_epi64(sum, _mm512_add_epi64(shift, _mm512_set1_epi64(31)));
}
inline ints rounded_product(ints x, ints m, ints n) noexcept
{
    const __m512i even = rounded_product_64(x, m, _mm512_and_si512(n, _mm512_set1_epi64(0xffffffff)));
    const __m512i odd = rounded_product_64(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(m, 32), _mm512_srli_epi64(n, 32));
    return ints(_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
}
inline ints rounded_high_product(ints x, ints m) noexcept
{
    const __m512i half = _mm512_set1_epi64(1 << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, m), half);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(m, 32)), half);
    return ints(_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 31), _mm512_add_epi64(odd, odd)));
}
// xsimd 8's select of integers for AVX-512 does not compile without optimisation.
inline ints select(ints::batch_bool_type c, ints a, ints b) noexcept { return ints(_mm512_mask_blend_epi32(c, b, a)); }

// Conversions

inline ints as_ints(floats x) noexcept { return ints(_mm512_castps_si512(x)); }
inline floats as_floats(ints x) noexcept { return floats(_mm512_castsi512_ps(x)); }
inline ints round_to_int(floats x) noexcept { return ints(_mm512_cvt_roundps_epi32(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)); }
inline ints truncate_to_int(floats x) noexcept { return ints(_mm512_cvttps_epi32(x)); }
inline floats floor_of(floats x) noexcept { return floats(_mm512_floor_ps(x)); }

// Memory

// Under GCC, xsimd's own converting load goes through memory, element by element.
inline ints load_s8(const void* p) noexcept { return ints(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)))); }
inline ints load_u8(const void* p) noexcept { return ints(_mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)))); }
inline ints load_s16(const std::int16_t* p) noexcept
{
    return ints(_mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
inline floats load_half(const void* p) noexcept { return floats(_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)))); }
inline floats load_bfloat16(const void* p) noexcept
{
    return floats(_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p))), 16)));
}
inline void store_low_bytes(ints v, void* out) noexcept { _mm_storeu_si128(static_cast<__m128i*>(out), _mm512_cvtepi32_epi8(v)); }
inline void store_low_shorts(ints v, std::int16_t* out) noexcept
{
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(v));
}
inline void store_half(floats x, void* p) noexcept
{
    _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_maskz_cvtps_ph(0xffff, x, _MM_FROUND_TO_NEAREST_INT));
}

// Across lanes

inline float lowest_lane(floats v) noexcept { return _mm512_reduce_min_ps(v); }
inline float highest_lane(floats v) noexcept { return _mm512_reduce_max_ps(v); }
inline std::int32_t highest_lane(ints v) noexcept { return _mm512_reduce_max_epi32(v); }
inline ints highest_lanes(const ints (&m)[ints::size]) noexcept
{
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
}

// Parts of vectors

inline __mmask16 lanes_below(std::ptrdiff_t count) noexcept { return static_cast<__mmask16>((std::uint32_t {1} << count) - 1); }
inline ints load_part(const std::int32_t* p, std::ptrdiff_t count) noexcept
{
    return ints(_mm512_maskz_loadu_epi32(lanes_below(count), p));
}
inline floats load_part(const float* p, std::ptrdiff_t count) noexcept { return floats(_mm512_maskz_loadu_ps(lanes_below(count), p)); }
inline void store_part(ints v, std::int32_t* p, std::ptrdiff_t count) noexcept { _mm512_mask_storeu_epi32(p, lanes_below(count), v); }
inline void store_part(floats v, float* p, std::ptrdiff_t count) noexcept { _mm512_mask_storeu_ps(p, lanes_below(count), v); }
inline void store_codes_part(ints v, std::uint8_t* p, std::ptrdiff_t count) noexcept
{
    _mm512_mask_cvtepi32_storeu_epi8(p, lanes_below(count), v);
}
inline void store_codes_part(ints v, std::int16_t* p, std::ptrdiff_t count) noexcept
{
    _mm512_mask_cvtepi32_storeu_epi16(p, lanes_below(count), v);
}

// Chunks

using chunk_bytes = __m256i;
using chunk_shorts = __m512i;
inline chunk_bytes narrow(const ints (&v)[chunk_vectors]) noexcept
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm512_cvtepi32_epi8(v[0])), _mm512_cvtepi32_epi8(v[1]), 1);
}
inline chunk_bytes narrow(chunk_shorts s) noexcept
{
    return _mm256_permutevar8x32_epi32(_mm512_cvtsepi16_epi8(s), _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
}
inline chunk_shorts round_to_shorts(const floats (&t)[chunk_vectors]) noexcept
{
    return _mm512_packs_epi32(round_to_int(t[0]), round_to_int(t[1]));
}
inline chunk_shorts to_shorts(const ints (&v)[chunk_vectors]) noexcept { return _mm512_packs_epi32(v[0], v[1]); }
inline chunk_bytes is_negative(const ints (&v)[chunk_vectors]) noexcept
{
    return _mm256_movm_epi8(_mm512_kunpackw(_mm512_movepi32_mask(v[1]), _mm512_movepi32_mask(v[0])));
}
template <int FractionBits>
inline chunk_shorts exponent_and_low(const ints (&v)[chunk_vectors]) noexcept
{
    const __m512i factors = _mm512_set1_epi32(0x10000 + (1 << (7 - FractionBits))); // the exponent stands 7 bits up in its half
    return _mm512_srli_epi16(_mm512_packs_epi32(_mm512_madd_epi16(v[0], factors), _mm512_madd_epi16(v[1], factors)), 7 - FractionBits);
}
inline chunk_shorts zero_shorts() noexcept { return _mm512_setzero_si512(); }
inline chunk_shorts lowest(chunk_shorts a, chunk_shorts b) noexcept { return _mm512_min_epi16(a, b); }
inline bool any_least(chunk_shorts s) noexcept { return _mm512_cmpeq_epi16_mask(s, _mm512_set1_epi16(INT16_MIN)) != 0; }
inline chunk_shorts shifted(chunk_shorts a, std::int32_t by) noexcept
{
    return _mm512_adds_epi16(a, _mm512_set1_epi16(static_cast<short>(by)));
}
inline bool any_nan(const floats (&v)[chunk_vectors]) noexcept { return _mm512_cmp_ps_mask(v[0], v[1], _CMP_UNORD_Q) != 0; }
inline void store_shorts(const ints (&v)[chunk_vectors], std::uint16_t* out) noexcept
{
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    _mm512_storeu_si512(out, _mm512_permutexvar_epi64(order, _mm512_packus_epi32(v[0], v[1])));
}

// Codes of 4 or 2 bits. repeat_codes: every lane holds the codes of its half of vector i of the chunk, or of all of it; code_positions:
// where a lane's own code begins. codes_in_low_bits: a lane's own code in its low bits, anything above it.
template <int Bits>
inline ints repeat_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    constexpr std::size_t size = floats::size * Bits / 8;
    std::conditional_t<size == 8, std::uint64_t, std::uint32_t> lanes = 0; // of just this size: GCC then broadcasts from memory
    std::memcpy(&lanes, codes + size * i, size);
    if constexpr (Bits == 4)
        return ints(_mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
            _mm512_castsi128_si512(_mm_cvtsi64_si128(static_cast<long long>(lanes)))));
    else
        return ints(static_cast<std::int32_t>(lanes));
}
template <int Bits>
inline ints code_positions() noexcept
{
    if constexpr (Bits == 4)
        return ints(_mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28));
    else
        return ints(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
}
template <int Bits>
inline ints codes_in_low_bits(const std::uint8_t* codes, std::size_t i) noexcept
{
    return ints(_mm512_srlv_epi32(repeat_codes<Bits>(codes, i), code_positions<Bits>()));
}
// The floats of width halves: sign-extended codes of 8 bits, moved up by Up, under a mask.
template <int Up, int Mask>
inline floats load_as_halves(const std::uint8_t* codes) noexcept
{
    const __m256i wide = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))), Up);
    return floats(_mm512_cvtph_ps(_mm256_and_si256(wide, _mm256_set1_epi16(static_cast<short>(Mask)))));
}
inline void load_e2m1(const std::uint8_t* codes, float scale, floats (&x)[chunk_vectors]) noexcept
{
    const floats values
        = floats(_mm512_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f))
          * floats(scale);
    unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
        const ints code = codes_in_low_bits<4>(codes, i);
        x[i] = floats(_mm512_permutexvar_ps(code, values));
    });
}

// Products of int16

using shorts = __m512i;
inline shorts all_shorts(std::int32_t v) noexcept { return _mm512_set1_epi16(static_cast<short>(v)); }
inline shorts load_shorts(const std::int8_t* p) noexcept
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline shorts load_shorts(const std::int16_t* p) noexcept { return _mm512_loadu_si512(p); }
struct short_pair {
    __m512i first, second;
};
inline short_pair paired(shorts a, shorts b) noexcept { return {_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)}; }
inline void add_products(ints& low, ints& high, short_pair a, short_pair b) noexcept
{
    low = ints(_mm512_add_epi32(low, _mm512_madd_epi16(a.first, b.first)));
    high = ints(_mm512_add_epi32(high, _mm512_madd_epi16(a.second, b.second)));
}
inline void store_sums(ints low, ints high, std::int32_t* out) noexcept
{
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    _mm512_storeu_si512(out, _mm512_permutex2var_epi64(low, first, high));
    _mm512_storeu_si512(out + width, _mm512_permutex2var_epi64(low, second, high));
}

// Bytes

using vector = __m512i;
inline vector load_vector(const std::byte* p) noexcept { return _mm512_loadu_si512(p); }
inline void store_vector(vector v, std::byte* p) noexcept { _mm512_storeu_si512(p, v); }
inline vector or_vector(vector a, vector b) noexcept { return _mm512_or_si512(a, b); }
inline vector look_up(const std::int8_t (&table)[16], vector codes) noexcept
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), codes);
}
template <int Count, int Mask>
inline vector bits_of(vector v) noexcept
{
    // Bits come in from the neighbouring byte: the mask leaves none of them.
    static_assert(Count < 0 ? (Mask & ((1 << -Count) - 1)) == 0 : Mask >> (8 - Count) == 0);
    if constexpr (Count > 0)
        v = _mm512_srli_epi16(v, Count);
    else if constexpr (Count < 0)
        v = _mm512_slli_epi16(v, -Count);
    return _mm512_and_si512(v, _mm512_set1_epi8(static_cast<char>(Mask)));
}
inline vector add_bytes(vector v, int by) noexcept { return _mm512_add_epi8(v, _mm512_set1_epi8(static_cast<char>(by))); }

} // namespace avx512
NIBBLE_END
