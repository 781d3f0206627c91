// Integer products of one quad (4 consecutive k) of activations, the same for every column, with a quad of each of words::size columns.
// All are exact: nothing saturates, and int32 sums that fit are right even where a step on the way wraps.
//   8-bit weights  AVX2, AVX-512: int16 operands for vpmaddwd; VNNI: vpdpbusd with activations + 128; NEON: activations as int8
//   4-bit weights  u in [0, 15], activations int8: a chain of up to 8 quads fits int16, since 8 * 2 * 15 * 128 = 30720
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::ptrdiff_t chain_quads = 8;

// How activations a are stored for 8-bit weights: as a - offset.
inline constexpr std::int32_t activation_offset(bool is_signed) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON
    return is_signed ? 0 : 128;
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512VNNI
    return is_signed ? -128 : 0;
#else
    return is_signed ? 0 : 0;
#endif
}

#if NIBBLE_ISA == NIBBLE_ISA_SCALAR
using activation8 = std::int16_t;
inline constexpr int quad_order[4] = {0, 1, 2, 3};

struct weights8 {
    std::int8_t w[4];
    static weights8 load(const std::byte* p) noexcept
    {
        weights8 quad;
        std::memcpy(quad.w, p, 4);
        return quad;
    }
};
inline words dot8(words acc, const activation8* a, weights8 quad) noexcept
{
    return acc + words(a[0] * quad.w[0] + a[1] * quad.w[1] + a[2] * quad.w[2] + a[3] * quad.w[3]);
}

struct weights4 {
    std::uint8_t u[4];
};
inline void load4(const std::byte* p, weights4& low, weights4& high) noexcept
{
    std::uint8_t b[4];
    std::memcpy(b, p, 4);
    for (int i = 0; i < 4; ++i) {
        low.u[i] = b[i] & 15;
        high.u[i] = static_cast<std::uint8_t>(b[i] >> 4);
    }
}
using chain4 = words;
inline chain4 dot4(chain4 acc, const std::int8_t* a, weights4 quad) noexcept
{
    return acc + words(a[0] * quad.u[0] + a[1] * quad.u[1] + a[2] * quad.u[2] + a[3] * quad.u[3]);
}
inline words chain_sum(chain4 chain) noexcept { return chain; }
inline chain4 empty_chain() noexcept { return words(0); }

#elif NIBBLE_ISA >= NIBBLE_ISA_NEON
using activation8 = std::int8_t;
inline constexpr int quad_order[4] = {0, 1, 2, 3};

inline int8x16_t broadcast_quad(const std::int8_t* a) noexcept
{
    std::uint32_t quad;
    std::memcpy(&quad, a, 4);
    return vreinterpretq_s8_u32(vdupq_n_u32(quad));
}

struct weights8 {
    int8x16_t w;
    static weights8 load(const std::byte* p) noexcept { return {vld1q_s8(reinterpret_cast<const std::int8_t*>(p))}; }
};
inline words dot8(words acc, const activation8* a, weights8 quad) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_NEON_DOTPROD
    return words(vdotq_s32(acc, quad.w, broadcast_quad(a)));
#else
    const int8x16_t b = broadcast_quad(a);
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(quad.w), vget_low_s8(b)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(quad.w, b));
    return words(vaddq_s32(acc, vpaddq_s32(low, high)));
#endif
}

using weights4 = weights8;
inline void load4(const std::byte* p, weights4& low, weights4& high) noexcept
{
    const uint8x16_t b = vld1q_u8(reinterpret_cast<const std::uint8_t*>(p));
    low.w = vreinterpretq_s8_u8(vandq_u8(b, vdupq_n_u8(15)));
    high.w = vreinterpretq_s8_u8(vshrq_n_u8(b, 4));
}
#if NIBBLE_ISA >= NIBBLE_ISA_NEON_DOTPROD
using chain4 = words;
inline chain4 empty_chain() noexcept { return words(0); }
inline chain4 dot4(chain4 acc, const std::int8_t* a, weights4 quad) noexcept { return dot8(acc, a, quad); }
inline words chain_sum(chain4 chain) noexcept { return chain; }
#else
struct chain4 {
    int16x8_t low, high;
};
inline chain4 empty_chain() noexcept { return {vdupq_n_s16(0), vdupq_n_s16(0)}; }
inline chain4 dot4(chain4 acc, const std::int8_t* a, weights4 quad) noexcept
{
    const int8x16_t b = broadcast_quad(a);
    return {vmlal_s8(acc.low, vget_low_s8(quad.w), vget_low_s8(b)), vmlal_high_s8(acc.high, quad.w, b)};
}
inline words chain_sum(chain4 chain) noexcept { return words(vpaddq_s32(vpaddlq_s16(chain.low), vpaddlq_s16(chain.high))); }
#endif

#else // x86

inline words broadcast_bits(const void* p) noexcept
{
    std::int32_t bits;
    std::memcpy(&bits, p, 4);
    return words(bits);
}

#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
using vector = __m512i;
#define NIBBLE_MM(operation) _mm512_##operation
inline vector load_vector(const std::byte* p) noexcept { return _mm512_loadu_si512(p); }
inline vector and_vector(vector a, vector b) noexcept { return _mm512_and_si512(a, b); }
#else
using vector = __m256i;
#define NIBBLE_MM(operation) _mm256_##operation
inline vector load_vector(const std::byte* p) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline vector and_vector(vector a, vector b) noexcept { return _mm256_and_si256(a, b); }
#endif

#if NIBBLE_ISA >= NIBBLE_ISA_AVX512VNNI
using activation8 = std::uint8_t;
inline constexpr int quad_order[4] = {0, 1, 2, 3};

struct weights8 {
    vector w;
    static weights8 load(const std::byte* p) noexcept { return {load_vector(p)}; }
};
inline words dot8(words acc, const activation8* a, weights8 quad) noexcept
{
    return words(_mm512_dpbusd_epi32(acc, broadcast_bits(a), quad.w));
}
#else
// A 16-bit half of a column's quad holds (k0, k1) or (k2, k3) as bytes, so the even k and the odd k make the two operands.
using activation8 = std::int16_t;
inline constexpr int quad_order[4] = {0, 2, 1, 3};

struct weights8 {
    vector even, odd;
    static weights8 load(const std::byte* p) noexcept
    {
        const vector w = load_vector(p);
        return {NIBBLE_MM(srai_epi16)(NIBBLE_MM(slli_epi16)(w, 8), 8), NIBBLE_MM(srai_epi16)(w, 8)};
    }
};
inline words dot8(words acc, const activation8* a, weights8 quad) noexcept
{
    const vector even = NIBBLE_MM(madd_epi16)(quad.even, broadcast_bits(a));
    const vector odd = NIBBLE_MM(madd_epi16)(quad.odd, broadcast_bits(a + 2));
    return acc + words(NIBBLE_MM(add_epi32)(even, odd));
}
#endif

struct weights4 {
    vector u;
};
inline void load4(const std::byte* p, weights4& low, weights4& high) noexcept
{
    const vector mask = NIBBLE_MM(set1_epi8)(15), b = load_vector(p);
    low.u = and_vector(b, mask);
    high.u = and_vector(NIBBLE_MM(srli_epi16)(b, 4), mask);
}
struct chain4 {
    vector v;
};
inline chain4 empty_chain() noexcept { return {NIBBLE_MM(set1_epi16)(0)}; }
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512VNNI
inline chain4 dot4(chain4 acc, const std::int8_t* a, weights4 quad) noexcept
{
    return {_mm512_dpbusd_epi32(acc.v, quad.u, broadcast_bits(a))};
}
inline words chain_sum(chain4 chain) noexcept { return words(chain.v); }
#else
inline chain4 dot4(chain4 acc, const std::int8_t* a, weights4 quad) noexcept
{
    return {NIBBLE_MM(add_epi16)(acc.v, NIBBLE_MM(maddubs_epi16)(quad.u, broadcast_bits(a)))};
}
inline words chain_sum(chain4 chain) noexcept { return words(NIBBLE_MM(madd_epi16)(chain.v, NIBBLE_MM(set1_epi16)(1))); }
#endif
#undef NIBBLE_MM
#endif

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
