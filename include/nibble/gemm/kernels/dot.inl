// Integer products of one quad (4 consecutive k) of activations, the same for every column, with a quad of each of ints::size columns.
// All are exact: nothing saturates, and int32 sums that fit are right even where a step on the way wraps.
//   8-bit weights  AVX2, AVX-512: int16 operands for vpmaddwd. NEON: bytes as they are. VNNI: vpdpbusd, whose first operand is unsigned:
//                  activations + 128 where there is one group of k, so that compensation depends on the column only; else weights + 128
//   4-bit weights  u in [0, 15]; a chain of 8 quads fits int16, since 8 * 2 * 15 * 128 = 30720
// Activations are int8, uint8 ones minus 128.
// Bytes by themselves, a vector of them:
//   bits_of<Count, Mask>   v >> Count & Mask, v << -Count & Mask where Count is negative
//   look_up                of codes below 16
//   dot_wide               of activations and weights in [-127, 127], plus weight_offset8 as look_up's table has them
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "dot.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::ptrdiff_t chain_quads = 8; // a multiple of 2

#if NIBBLE_ISA == NIBBLE_ISA_SCALAR
using activation8 = std::int8_t;
using group_activation8 = activation8;
inline constexpr std::size_t quad_parts = 1;
inline constexpr std::int32_t weight_offset8 = 0;

struct quad {
    std::int8_t a[4];
};
inline quad spread_quad(const std::int8_t* a) noexcept
{
    quad q;
    std::memcpy(q.a, a, 4);
    return q;
}
template <std::size_t>
inline quad spread8(const activation8* a) noexcept
{
    return spread_quad(a);
}
struct weights8 {
    std::int8_t w[4];
};
inline weights8 load8(const std::byte* p) noexcept
{
    weights8 quad;
    std::memcpy(quad.w, p, 4);
    return quad;
}
template <std::size_t>
inline weights8 part8(weights8 w) noexcept
{
    return w;
}
inline ints dot8(ints acc, quad q, weights8 w) noexcept
{
    return acc + ints(q.a[0] * w.w[0] + q.a[1] * w.w[1] + q.a[2] * w.w[2] + q.a[3] * w.w[3]);
}

struct vector {
    std::uint8_t v[4];
};
template <class Step>
inline vector of_bytes(Step step) noexcept
{
    vector x;
    for (int i = 0; i < 4; ++i)
        x.v[i] = static_cast<std::uint8_t>(step(i));
    return x;
}
inline vector load_vector(const std::byte* p) noexcept
{
    vector x;
    std::memcpy(x.v, p, 4);
    return x;
}
inline void store_vector(vector x, std::byte* p) noexcept { std::memcpy(p, x.v, 4); }
inline vector or_vector(vector a, vector b) noexcept
{
    return of_bytes([&](int i) { return a.v[i] | b.v[i]; });
}
template <int Count, int Mask>
inline vector bits_of(vector a) noexcept
{
    constexpr int left = Count < 0 ? -Count : 0, right = Count < 0 ? 0 : Count;
    return of_bytes([&](int i) { return a.v[i] << left >> right & Mask; });
}
inline vector add_bytes(vector a, int by) noexcept
{
    return of_bytes([&](int i) { return a.v[i] + by; });
}
inline vector look_up(const std::int8_t (&table)[16], vector codes) noexcept
{
    return of_bytes([&](int i) { return table[codes.v[i]]; });
}

using weights4 = vector;
inline weights4 as_weights4(vector v) noexcept { return v; }
inline ints dot_wide(ints acc, quad q, vector w) noexcept
{
    weights8 signed_bytes;
    std::memcpy(signed_bytes.w, w.v, 4);
    return dot8(acc, q, signed_bytes);
}
using chain4 = ints;
inline chain4 dot4(chain4 acc, quad q, weights4 w) noexcept
{
    return acc + ints(q.a[0] * w.v[0] + q.a[1] * w.v[1] + q.a[2] * w.v[2] + q.a[3] * w.v[3]);
}
inline chain4 begin_chain(ints acc) noexcept { return acc; }
inline ints end_chain(ints, chain4 chain) noexcept { return chain; }

#elif NIBBLE_ISA >= NIBBLE_ISA_NEON
using activation8 = std::int8_t;
using group_activation8 = activation8;
inline constexpr std::size_t quad_parts = 1;
inline constexpr std::int32_t weight_offset8 = 0;

inline int8x16_t spread_quad(const std::int8_t* a) noexcept
{
    std::uint32_t quad;
    std::memcpy(&quad, a, 4);
    return vreinterpretq_s8_u32(vdupq_n_u32(quad));
}
template <std::size_t>
inline int8x16_t spread8(const activation8* a) noexcept
{
    return spread_quad(a);
}
inline int8x16_t load8(const std::byte* p) noexcept { return vld1q_s8(reinterpret_cast<const std::int8_t*>(p)); }
template <std::size_t>
inline int8x16_t part8(int8x16_t w) noexcept
{
    return w;
}
inline ints dot8(ints acc, int8x16_t a, int8x16_t w) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON_DOTPROD
    return ints(vdotq_s32(acc, w, a));
#else
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(a)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(w, a));
    return ints(vaddq_s32(acc, vpaddq_s32(low, high)));
#endif
}

using vector = uint8x16_t;
inline vector load_vector(const std::byte* p) noexcept { return vld1q_u8(reinterpret_cast<const std::uint8_t*>(p)); }
inline void store_vector(vector v, std::byte* p) noexcept { vst1q_u8(reinterpret_cast<std::uint8_t*>(p), v); }
inline vector or_vector(vector a, vector b) noexcept { return vorrq_u8(a, b); }
template <int Count, int Mask>
inline vector bits_of(vector v) noexcept
{
    if constexpr (Count > 0)
        v = vshrq_n_u8(v, Count);
    else if constexpr (Count < 0)
        v = vshlq_n_u8(v, -Count);
    return vandq_u8(v, vdupq_n_u8(Mask));
}
inline vector add_bytes(vector v, int by) noexcept { return vaddq_u8(v, vdupq_n_u8(static_cast<std::uint8_t>(by))); }
inline vector look_up(const std::int8_t (&table)[16], vector codes) noexcept
{
    return vreinterpretq_u8_s8(vqtbl1q_s8(vld1q_s8(table), codes));
}

using weights4 = int8x16_t;
inline weights4 as_weights4(vector v) noexcept { return vreinterpretq_s8_u8(v); }
inline ints dot_wide(ints acc, int8x16_t a, vector w) noexcept { return dot8(acc, a, as_weights4(w)); }
#if NIBBLE_ISA >= NIBBLE_ISA_NEON_DOTPROD
using chain4 = ints;
inline chain4 begin_chain(ints acc) noexcept { return acc; }
inline chain4 dot4(chain4 acc, int8x16_t a, weights4 w) noexcept { return dot8(acc, a, w); }
inline ints end_chain(ints, chain4 chain) noexcept { return chain; }
#else
struct chain4 {
    int16x8_t low, high;
};
inline chain4 begin_chain(ints) noexcept { return {vdupq_n_s16(0), vdupq_n_s16(0)}; }
inline chain4 dot4(chain4 acc, int8x16_t a, weights4 w) noexcept
{
    return {vmlal_s8(acc.low, vget_low_s8(w), vget_low_s8(a)), vmlal_high_s8(acc.high, w, a)};
}
inline ints end_chain(ints acc, chain4 chain) noexcept
{
    return ints(vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(chain.low), vpaddlq_s16(chain.high))));
}
#endif

#else // x86

#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
using vector = __m512i;
#define NIBBLE_MM(operation) _mm512_##operation
inline vector load_vector(const std::byte* p) noexcept { return _mm512_loadu_si512(p); }
inline void store_vector(vector v, std::byte* p) noexcept { _mm512_storeu_si512(p, v); }
inline vector and_vector(vector a, vector b) noexcept { return _mm512_and_si512(a, b); }
inline vector or_vector(vector a, vector b) noexcept { return _mm512_or_si512(a, b); }
inline vector look_up(const std::int8_t (&table)[16], vector codes) noexcept
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), codes);
}
inline vector kept(vector v) noexcept
{
    __asm__("" : "+v"(v));
    return v;
}
#else
using vector = __m256i;
#define NIBBLE_MM(operation) _mm256_##operation
inline vector load_vector(const std::byte* p) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline void store_vector(vector v, std::byte* p) noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
inline vector and_vector(vector a, vector b) noexcept { return _mm256_and_si256(a, b); }
inline vector or_vector(vector a, vector b) noexcept { return _mm256_or_si256(a, b); }
inline vector look_up(const std::int8_t (&table)[16], vector codes) noexcept
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), codes);
}
// v itself, finished here: left to itself GCC does all products of a step first and all additions after, for which 16 registers are too
// few (6 rows x 16 columns of int8: 134 GOP/s instead of 172).
inline vector kept(vector v) noexcept
{
    __asm__("" : "+x"(v));
    return v;
}
#endif

template <int Count, int Mask>
inline vector bits_of(vector v) noexcept
{
    // Bits come in from the neighbouring byte: the mask leaves none of them.
    static_assert(Count < 0 ? (Mask & ((1 << -Count) - 1)) == 0 : Mask >> (8 - Count) == 0);
    if constexpr (Count > 0)
        v = NIBBLE_MM(srli_epi16)(v, Count);
    else if constexpr (Count < 0)
        v = NIBBLE_MM(slli_epi16)(v, -Count);
    return and_vector(v, NIBBLE_MM(set1_epi8)(static_cast<char>(Mask)));
}
inline vector add_bytes(vector v, int by) noexcept { return NIBBLE_MM(add_epi8)(v, NIBBLE_MM(set1_epi8)(static_cast<char>(by))); }

inline vector spread_quad(const void* p) noexcept
{
    std::int32_t bits;
    std::memcpy(&bits, p, 4);
    return NIBBLE_MM(set1_epi32)(bits);
}

#if NIBBLE_ISA >= NIBBLE_ISA_AVX512VNNI
using activation8 = std::int8_t;
using group_activation8 = std::uint8_t;
inline constexpr std::size_t quad_parts = 1;
inline constexpr std::int32_t weight_offset8 = 128;

template <std::size_t>
inline vector spread8(const activation8* a) noexcept
{
    return spread_quad(a);
}
inline vector load8(const std::byte* p) noexcept { return _mm512_xor_si512(load_vector(p), _mm512_set1_epi8(-128)); }
template <std::size_t>
inline vector part8(vector w) noexcept
{
    return w;
}
inline ints dot8(ints acc, vector a, vector w) noexcept { return ints(kept(_mm512_dpbusd_epi32(acc, w, a))); }
// several: rows use the weights. Left to itself GCC reads them again for each row.
inline vector load8_of_group(const std::byte* p, bool several) noexcept { return several ? kept(load_vector(p)) : load_vector(p); }
inline ints dot8_of_group(ints acc, vector a, vector w) noexcept { return ints(kept(_mm512_dpbusd_epi32(acc, a, w))); }
#else
// A 16-bit half of a column's quad holds (k0, k1) or (k2, k3) as bytes, so the even k and the odd k make two operands.
using activation8 = std::int16_t;
using group_activation8 = activation8;
inline constexpr std::size_t quad_parts = 2;
inline constexpr std::int32_t weight_offset8 = 0;

template <std::size_t Part>
inline vector spread8(const activation8* a) noexcept
{
    return spread_quad(a + 2 * Part);
}
inline vector load8(const std::byte* p) noexcept { return load_vector(p); }
template <std::size_t Part>
inline vector part8(vector w) noexcept
{
    return NIBBLE_MM(srai_epi16)(Part == 0 ? NIBBLE_MM(slli_epi16)(w, 8) : w, 8);
}
inline ints dot8(ints acc, vector a, vector w) noexcept { return ints(kept(NIBBLE_MM(add_epi32)(acc, NIBBLE_MM(madd_epi16)(a, w)))); }
#endif

using weights4 = vector;
inline weights4 as_weights4(vector v) noexcept { return v; }
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512VNNI
using chain4 = ints;
inline chain4 begin_chain(ints acc) noexcept { return acc; }
inline chain4 dot4(chain4 acc, vector a, weights4 w) noexcept { return dot8(acc, a, w); }
inline ints end_chain(ints, chain4 chain) noexcept { return chain; }
inline ints dot_wide(ints acc, vector a, vector w) noexcept { return dot8(acc, a, w); }
#else
struct chain4 {
    vector v;
};
inline chain4 begin_chain(ints) noexcept { return {NIBBLE_MM(set1_epi16)(0)}; }
inline chain4 dot4(chain4 acc, vector a, weights4 w) noexcept
{
    return {kept(NIBBLE_MM(add_epi16)(acc.v, NIBBLE_MM(maddubs_epi16)(w, a)))};
}
inline ints end_chain(ints acc, chain4 chain) noexcept
{
    return ints(kept(NIBBLE_MM(add_epi32)(acc, NIBBLE_MM(madd_epi16)(chain.v, NIBBLE_MM(set1_epi16)(1)))));
}
inline ints dot_wide(ints acc, vector a, vector w) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
    const vector with_sign = _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(w), _mm512_setzero_si512(), a);
#else
    const vector with_sign = _mm256_sign_epi8(a, w);
#endif
    return end_chain(acc, {NIBBLE_MM(maddubs_epi16)(NIBBLE_MM(abs_epi8)(w), with_sign)});
}
#endif
#undef NIBBLE_MM
#endif

#if NIBBLE_ISA != NIBBLE_ISA_AVX512VNNI
inline auto load8_of_group(const std::byte* p, bool) noexcept { return load8(p); }
template <class Activations, class Weights>
inline ints dot8_of_group(ints acc, Activations a, Weights w) noexcept
{
    return dot8(acc, a, w);
}
#endif

inline void load4(const std::byte* p, weights4& low, weights4& high) noexcept
{
    const vector b = load_vector(p);
    low = as_weights4(bits_of<0, 15>(b));
    high = as_weights4(bits_of<4, 15>(b));
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
