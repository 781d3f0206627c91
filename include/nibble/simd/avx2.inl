// The primitives of AVX2, with FMA and F16C: 8 lanes. contract.md says what each one does; x86.inl has those that AVX-512 shares.
#include "xsimd/clang_intrinsics.inl"
#define xsimd NIBBLE_XSIMD_AVX2
#include "xsimd/private.inl"
#undef xsimd

NIBBLE_BEGIN
namespace avx2 {

namespace xsimd = ::NIBBLE_XSIMD_AVX2;

using floats = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
using ints = xsimd::batch<std::int32_t, xsimd::fma3<xsimd::avx2>>;
using doubles = xsimd::batch<double, xsimd::fma3<xsimd::avx2>>;

inline constexpr std::ptrdiff_t width = 8, chunk = 32;
inline constexpr std::size_t chunk_vectors = 4;
inline constexpr int vector_registers = 16;

// Arithmetic

inline floats fused(floats a, floats b, floats c) noexcept { return floats(_mm256_fmadd_ps(a, b, c)); }
inline doubles fused(doubles a, doubles b, doubles c) noexcept { return doubles(_mm256_fmadd_pd(a, b, c)); }
inline floats quotient(floats a, floats b) noexcept { return a / b; }
inline floats opaque(floats x) noexcept
{
    __m256 v = x;
    __asm__("" : "+x"(v));
    return floats(v);
}
template <int Count>
inline ints shift_left(ints v) noexcept
{
    return ints(_mm256_slli_epi32(v, Count));
}
template <int Count>
inline ints shift_right(ints v) noexcept
{
    return ints(_mm256_srli_epi32(v, Count));
}
template <int Count>
inline ints shift_right_arithmetic(ints v) noexcept
{
    return ints(_mm256_srai_epi32(v, Count));
}
inline ints shift_left_by(ints x, ints n) noexcept { return ints(_mm256_sllv_epi32(x, n)); }
inline ints shift_right_by(ints x, ints n) noexcept { return ints(_mm256_srav_epi32(x, n)); }
// AVX2 shifts 64 bits only without the sign: 2^63 is added before and taken back after.
inline __m256i rounded_product_64(__m256i a, __m256i b, __m256i shift) noexcept
{
    const __m256i nudge = _mm256_sllv_epi64(_mm256_set1_epi64x(1), _mm256_add_epi64(shift, _mm256_set1_epi64x(30)));
    const __m256i sum = _mm256_add_epi64(_mm256_mul_epi32(a, b), nudge), down = _mm256_add_epi64(shift, _mm256_set1_epi64x(31));
    const __m256i top = _mm256_set1_epi64x(INT64_MIN);
    return _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_xor_si256(sum, top), down), _mm256_srlv_epi64(top, down));
}
inline ints rounded_product(ints x, ints m, ints n) noexcept
{
    const __m256i even = rounded_product_64(x, m, _mm256_and_si256(n, _mm256_set1_epi64x(0xffffffff)));
    const __m256i odd = rounded_product_64(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(m, 32), _mm256_srli_epi64(n, 32));
    return ints(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa));
}
inline ints rounded_high_product(ints x, ints m) noexcept
{
    const __m256i half = _mm256_set1_epi64x(1 << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, m), half);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(m, 32)), half);
    return ints(_mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_add_epi64(odd, odd), 0xaa));
}
inline ints select(ints::batch_bool_type c, ints a, ints b) noexcept { return ints(_mm256_blendv_epi8(b, a, c)); }

// Conversions

inline ints as_ints(floats x) noexcept { return ints(_mm256_castps_si256(x)); }
inline floats as_floats(ints x) noexcept { return floats(_mm256_castsi256_ps(x)); }
inline ints round_to_int(floats x) noexcept { return ints(_mm256_cvtps_epi32(x)); }
inline ints truncate_to_int(floats x) noexcept { return ints(_mm256_cvttps_epi32(x)); }
inline floats floor_of(floats x) noexcept { return floats(_mm256_floor_ps(x)); }

// Memory

// Under GCC, xsimd's own converting load goes through memory, element by element.
inline ints load_s8(const void* p) noexcept { return ints(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p)))); }
inline ints load_u8(const void* p) noexcept { return ints(_mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p)))); }
inline ints load_s16(const std::int16_t* p) noexcept
{
    return ints(_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline floats load_half(const void* p) noexcept { return floats(_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)))); }
inline floats load_bfloat16(const void* p) noexcept
{
    return floats(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))), 16)));
}
inline void store_low_bytes(ints v, void* out) noexcept
{
    const __m256i order = _mm256_setr_epi8(
        0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i b = _mm256_shuffle_epi8(v, order);
    _mm_storel_epi64(static_cast<__m128i*>(out), _mm_unpacklo_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1)));
}
inline void store_low_shorts(ints v, std::int16_t* out) noexcept
{
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(v, v), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(packed));
}
inline void store_half(floats x, void* p) noexcept
{
    _mm_storeu_si128(static_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

// Across lanes

inline float lowest_lane(floats v) noexcept
{
    __m128 m = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_min_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_min_ss(m, _mm_movehdup_ps(m)));
}
inline float highest_lane(floats v) noexcept
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
inline std::int32_t highest_lane(ints v) noexcept
{
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1)));
}
inline ints highest_lanes(const ints (&m)[ints::size]) noexcept
{
    __m256i fours[2];
    for (int i = 0; i < 2; ++i) {
        const __m256i a = m[4 * i], b = m[4 * i + 1], c = m[4 * i + 2], d = m[4 * i + 3];
        const __m256i ab = _mm256_max_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        const __m256i cd = _mm256_max_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        fours[i] = _mm256_max_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    }
    return ints(_mm256_max_epi32(_mm256_permute2x128_si256(fours[0], fours[1], 0x20), _mm256_permute2x128_si256(fours[0], fours[1], 0x31)));
}

// Parts of vectors

inline __m256i lanes_below(std::ptrdiff_t count) noexcept
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<std::int32_t>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline ints load_part(const std::int32_t* p, std::ptrdiff_t count) noexcept { return ints(_mm256_maskload_epi32(p, lanes_below(count))); }
inline floats load_part(const float* p, std::ptrdiff_t count) noexcept { return floats(_mm256_maskload_ps(p, lanes_below(count))); }
inline void store_part(ints v, std::int32_t* p, std::ptrdiff_t count) noexcept { _mm256_maskstore_epi32(p, lanes_below(count), v); }
inline void store_part(floats v, float* p, std::ptrdiff_t count) noexcept { _mm256_maskstore_ps(p, lanes_below(count), v); }

// Chunks

using chunk_bytes = __m256i;
struct chunk_shorts {
    __m256i low, high;
};
inline chunk_bytes in_order(__m256i packed) noexcept
{
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
inline chunk_bytes narrow(const ints (&v)[chunk_vectors]) noexcept
{
    const __m256i low = _mm256_set1_epi16(0x00ff);
    const __m256i a = _mm256_and_si256(_mm256_packs_epi32(v[0], v[1]), low), b = _mm256_and_si256(_mm256_packs_epi32(v[2], v[3]), low);
    return in_order(_mm256_packus_epi16(a, b));
}
inline chunk_bytes narrow(chunk_shorts s) noexcept { return in_order(_mm256_packs_epi16(s.low, s.high)); }
inline chunk_shorts round_to_shorts(const floats (&t)[chunk_vectors]) noexcept
{
    return {_mm256_packs_epi32(round_to_int(t[0]), round_to_int(t[1])), _mm256_packs_epi32(round_to_int(t[2]), round_to_int(t[3]))};
}
inline chunk_shorts to_shorts(const ints (&v)[chunk_vectors]) noexcept
{
    return {_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3])};
}
inline chunk_bytes is_negative(const ints (&v)[chunk_vectors]) noexcept
{
    return _mm256_cmpgt_epi8(_mm256_setzero_si256(), narrow(to_shorts(v)));
}
template <int FractionBits>
inline chunk_shorts exponent_and_low(const ints (&v)[chunk_vectors]) noexcept
{
    const __m256i factors = _mm256_set1_epi32(0x10000 + (1 << (7 - FractionBits))); // the exponent stands 7 bits up in its half
    const auto joined = [factors](const ints& a, const ints& b) noexcept {
        return _mm256_srli_epi16(_mm256_packs_epi32(_mm256_madd_epi16(a, factors), _mm256_madd_epi16(b, factors)), 7 - FractionBits);
    };
    return {joined(v[0], v[1]), joined(v[2], v[3])};
}
inline chunk_shorts zero_shorts() noexcept { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline chunk_shorts lowest(chunk_shorts a, chunk_shorts b) noexcept
{
    return {_mm256_min_epi16(a.low, b.low), _mm256_min_epi16(a.high, b.high)};
}
inline bool any_least(chunk_shorts s) noexcept
{
    const __m256i least = _mm256_cmpeq_epi16(_mm256_min_epi16(s.low, s.high), _mm256_set1_epi16(INT16_MIN));
    return _mm256_movemask_epi8(least) != 0;
}
inline chunk_shorts shifted(chunk_shorts a, std::int32_t by) noexcept
{
    const __m256i b = _mm256_set1_epi16(static_cast<short>(by));
    return {_mm256_adds_epi16(a.low, b), _mm256_adds_epi16(a.high, b)};
}
inline bool any_nan(const floats (&v)[chunk_vectors]) noexcept
{
    const __m256 nan = _mm256_or_ps(_mm256_cmp_ps(v[0], v[1], _CMP_UNORD_Q), _mm256_cmp_ps(v[2], v[3], _CMP_UNORD_Q));
    return _mm256_movemask_ps(nan) != 0;
}
inline void store_shorts(const ints (&v)[chunk_vectors], std::uint16_t* out) noexcept
{
    for (int i = 0; i < 4; i += 2)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8 * i), _mm256_permute4x64_epi64(_mm256_packus_epi32(v[i], v[i + 1]), 0xd8));
}

// Codes of 4 or 2 bits. repeat_codes: every lane holds the codes of vector i of the chunk; code_positions: where a lane's own code begins.
// codes_in_low_bits: a lane's own code in its low bits, anything above it.
template <int Bits>
inline ints repeat_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    std::uint32_t lanes = 0;
    std::memcpy(&lanes, codes + Bits * i, Bits);
    return ints(static_cast<std::int32_t>(lanes));
}
template <int Bits>
inline ints code_positions() noexcept
{
    return ints(_mm256_setr_epi32(0, Bits, 2 * Bits, 3 * Bits, 4 * Bits, 5 * Bits, 6 * Bits, 7 * Bits));
}
template <int Bits>
inline ints codes_in_low_bits(const std::uint8_t* codes, std::size_t i) noexcept
{
    return ints(_mm256_srlv_epi32(repeat_codes<Bits>(codes, i), code_positions<Bits>()));
}
// The floats of width halves: sign-extended codes of 8 bits, moved up by Up, under a mask.
template <int Up, int Mask>
inline floats load_as_halves(const std::uint8_t* codes) noexcept
{
    const __m128i wide = _mm_slli_epi16(_mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes))), Up);
    return floats(_mm256_cvtph_ps(_mm_and_si128(wide, _mm_set1_epi16(static_cast<short>(Mask)))));
}
inline void load_e2m1(const std::uint8_t* codes, float scale, floats (&x)[chunk_vectors]) noexcept
{
    // A lookup of 3 bits, which are the magnitude; the sign comes from the code.
    const floats values = floats(_mm256_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f)) * floats(scale);
    unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
        const ints code = codes_in_low_bits<4>(codes, i);
        x[i] = as_floats(as_ints(floats(_mm256_permutevar8x32_ps(values, code))) | (shift_left<28>(code) & ints(INT32_MIN)));
    });
}

// Products of int16

using shorts = __m256i;
inline shorts all_shorts(std::int32_t v) noexcept { return _mm256_set1_epi16(static_cast<short>(v)); }
inline shorts load_shorts(const std::int8_t* p) noexcept
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline shorts load_shorts(const std::int16_t* p) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
struct short_pair {
    __m256i first, second;
};
inline short_pair paired(shorts a, shorts b) noexcept { return {_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)}; }
inline void add_products(ints& low, ints& high, short_pair a, short_pair b) noexcept
{
    low = ints(_mm256_add_epi32(low, _mm256_madd_epi16(a.first, b.first)));
    high = ints(_mm256_add_epi32(high, _mm256_madd_epi16(a.second, b.second)));
}
inline void store_sums(ints low, ints high, std::int32_t* out) noexcept
{
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + width), _mm256_permute2x128_si256(low, high, 0x31));
}

// Bytes

using vector = __m256i;
inline vector load_vector(const std::byte* p) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline void store_vector(vector v, std::byte* p) noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
inline vector or_vector(vector a, vector b) noexcept { return _mm256_or_si256(a, b); }
inline vector look_up(const std::int8_t (&table)[16], vector codes) noexcept
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), codes);
}
template <int Count, int Mask>
inline vector bits_of(vector v) noexcept
{
    // Bits come in from the neighbouring byte: the mask leaves none of them.
    static_assert(Count < 0 ? (Mask & ((1 << -Count) - 1)) == 0 : Mask >> (8 - Count) == 0);
    if constexpr (Count > 0)
        v = _mm256_srli_epi16(v, Count);
    else if constexpr (Count < 0)
        v = _mm256_slli_epi16(v, -Count);
    return _mm256_and_si256(v, _mm256_set1_epi8(static_cast<char>(Mask)));
}
inline vector add_bytes(vector v, int by) noexcept { return _mm256_add_epi8(v, _mm256_set1_epi8(static_cast<char>(by))); }

} // namespace avx2
NIBBLE_END
