// How many lanes a vector has, loops over vectors, and codes of 8, 4 or 2 bits in and out of them, a chunk of 32 at a time.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::ptrdiff_t width = static_cast<std::ptrdiff_t>(floats::size);

// The elements that element-wise kernels take at once: whole vectors on every backend, whole bytes of every code size.
inline constexpr std::ptrdiff_t chunk = 32;
inline constexpr std::size_t chunk_vectors = static_cast<std::size_t>(chunk / width);

// A chunk of codes as bytes, and as int16, where the order of lanes is the backend's own:
// - narrow: the low bytes of ints in [-128, 255]; int16 saturated to int8
// - round_to_shorts: to nearest, ties to even, saturated; NaN and, on x86, what int32 cannot hold give the least int16 (on Arm NaN gives 0)
// - round_is_exact: NaN gives 0, and whatever is beyond int16 its nearer end
// - to_shorts: ints, saturated
// - zero_shorts, lowest, any_least: whether any lane of several chunks is the least int16
// - shifted: saturated sums with one number; bounded: min(max(v, low), high) of int8 lanes
// - is_negative: of ints, all bits set or none
// - store_bytes: the low Bits bits of each, 32 * Bits / 8 bytes, the first code lowest
// - exponent_and_low: of floats whose low 16 bits are below 256, (bits >> 23 << FractionBits) + low; 32767 for infinity
// - any_code_above: whether the low 7 bits of any of 32 bytes are above a limit
// - load_float8: 32 codes to floats, wrong for NaN; load_e2m1: 32 codes of 4 bits times a scale above zero
// - any_nan, store_shorts: of a chunk of floats; of ints in [0, 65535], as 16 bits each
#if NIBBLE_ISA == NIBBLE_ISA_SCALAR

struct chunk_bytes {
    std::int8_t v[chunk];
};
struct chunk_shorts {
    std::int16_t v[chunk];
};
inline constexpr bool round_is_exact = false;

inline chunk_bytes narrow(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_bytes b;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        b.v[i] = static_cast<std::int8_t>(static_cast<std::uint8_t>(v[i].v));
    return b;
}
inline chunk_bytes narrow(const chunk_shorts& s) noexcept
{
    chunk_bytes b;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        b.v[i] = static_cast<std::int8_t>(s.v[i] < -128 ? -128 : s.v[i] > 127 ? 127 : s.v[i]);
    return b;
}
inline chunk_shorts round_to_shorts(const floats (&t)[chunk_vectors]) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i) {
        const float below = t[i].v < 32767.0f ? t[i].v : 32767.0f, bounded = below < -32768.0f ? -32768.0f : below;
        // A sum with 1.5 * 2^23 rounds to integers, which stand in its last bits. NaN is told by its bits, which -ffast-math leaves alone.
        const std::int32_t rounded = static_cast<std::int32_t>(float_bits(bounded + 12582912.0f) - 0x4b400000u);
        const bool nan = (float_bits(t[i].v) & 0x7fffffffu) > 0x7f800000u;
        s.v[i] = static_cast<std::int16_t>(nan ? -32768 : rounded);
    }
    return s;
}
inline chunk_shorts to_shorts(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        s.v[i] = static_cast<std::int16_t>(v[i].v < -32768 ? -32768 : v[i].v > 32767 ? 32767 : v[i].v);
    return s;
}
inline chunk_shorts zero_shorts() noexcept { return {}; }
inline chunk_shorts lowest(const chunk_shorts& a, const chunk_shorts& b) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        s.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
    return s;
}
inline bool any_least(const chunk_shorts& s) noexcept
{
    bool any = false;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        any |= s.v[i] == -32768;
    return any;
}
inline chunk_shorts shifted(const chunk_shorts& a, std::int32_t by) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i) {
        const std::int32_t sum = a.v[i] + by;
        s.v[i] = static_cast<std::int16_t>(sum < -32768 ? -32768 : sum > 32767 ? 32767 : sum);
    }
    return s;
}
inline chunk_bytes all_bytes(std::int32_t v) noexcept
{
    chunk_bytes b;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        b.v[i] = static_cast<std::int8_t>(static_cast<std::uint8_t>(v));
    return b;
}
inline chunk_bytes bounded(const chunk_bytes& a, const chunk_bytes& low, const chunk_bytes& high) noexcept
{
    chunk_bytes b;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        b.v[i] = a.v[i] < low.v[i] ? low.v[i] : a.v[i] > high.v[i] ? high.v[i] : a.v[i];
    return b;
}
inline chunk_bytes exclusive_or(const chunk_bytes& a, const chunk_bytes& b) noexcept
{
    chunk_bytes c;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        c.v[i] = static_cast<std::int8_t>(a.v[i] ^ b.v[i]);
    return c;
}
inline chunk_bytes bitwise_and(const chunk_bytes& a, const chunk_bytes& b) noexcept
{
    chunk_bytes c;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        c.v[i] = static_cast<std::int8_t>(a.v[i] & b.v[i]);
    return c;
}
inline chunk_bytes is_negative(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_bytes c;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        c.v[i] = v[i].v < 0 ? -1 : 0;
    return c;
}
template <int FractionBits>
inline chunk_shorts exponent_and_low(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        s.v[i] = static_cast<std::int16_t>((v[i].v >> 23 << FractionBits) + (v[i].v & 0xffff));
    return s;
}
template <int Bits>
inline void store_bytes(const chunk_bytes& b, std::uint8_t* out) noexcept
{
    constexpr std::ptrdiff_t each = 8 / Bits;
    for (std::ptrdiff_t i = 0; i < chunk; i += each) {
        std::uint32_t byte = 0;
        for (std::ptrdiff_t e = 0; e < each; ++e)
            byte |= (static_cast<std::uint32_t>(b.v[i + e]) & ((1u << Bits) - 1u)) << e * Bits;
        out[i / each] = static_cast<std::uint8_t>(byte);
    }
}

inline bool any_nan(const floats (&v)[chunk_vectors]) noexcept
{
    bool any = false;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        any |= (float_bits(v[i].v) & 0x7fffffffu) > 0x7f800000u;
    return any;
}
inline void store_shorts(const ints (&v)[chunk_vectors], std::uint16_t* out) noexcept
{
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        out[i] = static_cast<std::uint16_t>(v[i].v);
}

template <int Bits, bool Signed>
inline ints load_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    constexpr std::size_t each = 8 / Bits;
    constexpr std::uint32_t sign = Signed ? 1u << (Bits - 1) : 0u;
    const std::uint32_t code = static_cast<std::uint32_t>(codes[i / each]) >> i % each * Bits & ((1u << Bits) - 1u);
    return ints(static_cast<std::int32_t>(code ^ sign) - static_cast<std::int32_t>(sign));
}

inline ints truncate_to_int(floats x) noexcept { return ints(static_cast<std::int32_t>(x.v)); }
inline ints round_half_away_to_int(floats x) noexcept { return ints(static_cast<std::int32_t>(strict_math::round(x.v))); }
inline floats floor_of(floats x) noexcept { return floats(strict_math::floor(x.v)); }
inline bool any_code_above(const std::uint8_t*, std::int32_t) noexcept { return false; } // what load_float8 gives is right for NaN, too
template <class F>
inline void load_float8(const std::uint8_t* codes, floats (&x)[chunk_vectors]) noexcept
{
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        x[i] = floats(to_float(F {codes[i]}));
}
inline void load_e2m1(const std::uint8_t* codes, float scale, floats (&x)[chunk_vectors]) noexcept
{
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        x[i] = floats(to_float(float4_e2m1 {static_cast<std::uint8_t>(codes[i / 2] >> i % 2 * 4 & 15)}) * scale);
}
// What to_shorts saturates alike; NaN gives the least int16.
inline floats within_shorts(floats x) noexcept
{
    const floats low(-32768.0f);
    return select(x == x, max(min(x, floats(32767.0f)), low), low);
}

#elif NIBBLE_ISA >= NIBBLE_ISA_NEON

struct chunk_bytes {
    int8x16_t v[2];
};
struct chunk_shorts {
    int16x8_t v[4];
};
inline constexpr bool round_is_exact = true;

inline int8x16_t low_bytes(ints a, ints b, ints c, ints d) noexcept
{
    const int16x8_t low = vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
    const int16x8_t high = vuzp1q_s16(vreinterpretq_s16_s32(c), vreinterpretq_s16_s32(d));
    return vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high));
}
inline chunk_bytes narrow(const ints (&v)[chunk_vectors]) noexcept
{
    return {{low_bytes(v[0], v[1], v[2], v[3]), low_bytes(v[4], v[5], v[6], v[7])}};
}
inline chunk_bytes narrow(const chunk_shorts& s) noexcept
{
    return {{vqmovn_high_s16(vqmovn_s16(s.v[0]), s.v[1]), vqmovn_high_s16(vqmovn_s16(s.v[2]), s.v[3])}};
}
inline chunk_shorts round_to_shorts(const floats (&t)[chunk_vectors]) noexcept
{
    chunk_shorts s;
    for (std::size_t i = 0; i < 4; ++i)
        s.v[i] = vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(t[2 * i])), vcvtnq_s32_f32(t[2 * i + 1]));
    return s;
}
inline chunk_shorts to_shorts(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_shorts s;
    for (std::size_t i = 0; i < 4; ++i)
        s.v[i] = vqmovn_high_s32(vqmovn_s32(v[2 * i]), v[2 * i + 1]);
    return s;
}
inline chunk_shorts zero_shorts() noexcept { return {}; }
inline chunk_shorts lowest(const chunk_shorts& a, const chunk_shorts&) noexcept { return a; }
inline bool any_least(const chunk_shorts&) noexcept { return false; }
inline chunk_shorts shifted(const chunk_shorts& a, std::int32_t by) noexcept
{
    const int16x8_t b = vdupq_n_s16(static_cast<std::int16_t>(by));
    return {{vqaddq_s16(a.v[0], b), vqaddq_s16(a.v[1], b), vqaddq_s16(a.v[2], b), vqaddq_s16(a.v[3], b)}};
}
inline chunk_bytes all_bytes(std::int32_t v) noexcept
{
    const int8x16_t b = vdupq_n_s8(static_cast<std::int8_t>(static_cast<std::uint8_t>(v)));
    return {{b, b}};
}
inline chunk_bytes bounded(const chunk_bytes& a, const chunk_bytes& low, const chunk_bytes& high) noexcept
{
    return {{vminq_s8(vmaxq_s8(a.v[0], low.v[0]), high.v[0]), vminq_s8(vmaxq_s8(a.v[1], low.v[1]), high.v[1])}};
}
inline chunk_bytes exclusive_or(const chunk_bytes& a, const chunk_bytes& b) noexcept
{
    return {{veorq_s8(a.v[0], b.v[0]), veorq_s8(a.v[1], b.v[1])}};
}
inline chunk_bytes bitwise_and(const chunk_bytes& a, const chunk_bytes& b) noexcept
{
    return {{vandq_s8(a.v[0], b.v[0]), vandq_s8(a.v[1], b.v[1])}};
}
inline chunk_bytes is_negative(const ints (&v)[chunk_vectors]) noexcept
{
    const chunk_bytes b = narrow(to_shorts(v));
    return {{vshrq_n_s8(b.v[0], 7), vshrq_n_s8(b.v[1], 7)}};
}
// Modulo 2^16 the exponent moved down to the code and the low bits are one sum.
template <int FractionBits>
inline chunk_shorts exponent_and_low(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_shorts s;
    for (std::size_t i = 0; i < 4; ++i) {
        const int32x4_t a = vsraq_n_s32(v[2 * i], v[2 * i], 23 - FractionBits);
        const int32x4_t b = vsraq_n_s32(v[2 * i + 1], v[2 * i + 1], 23 - FractionBits);
        s.v[i] = vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
    }
    return s;
}

template <int Bits>
inline void store_bytes(const chunk_bytes& b, std::uint8_t* out) noexcept
{
    const uint8x16_t first = vreinterpretq_u8_s8(b.v[0]), second = vreinterpretq_u8_s8(b.v[1]);
    if constexpr (Bits == 8) {
        vst1q_u8(out, first);
        vst1q_u8(out + 16, second);
    } else {
        const uint8x16_t pairs = vsliq_n_u8(vuzp1q_u8(first, second), vuzp2q_u8(first, second), Bits);
        if constexpr (Bits == 4)
            vst1q_u8(out, pairs);
        else
            vst1_u8(out, vget_low_u8(vsliq_n_u8(vuzp1q_u8(pairs, pairs), vuzp2q_u8(pairs, pairs), 4)));
    }
}

inline bool any_nan(const floats (&v)[chunk_vectors]) noexcept
{
    uint32x4_t ordered = vceqq_f32(v[0], v[0]);
    for (std::size_t i = 1; i < chunk_vectors; ++i)
        ordered = vandq_u32(ordered, vceqq_f32(v[i], v[i]));
    return vminvq_u32(ordered) == 0;
}
inline void store_shorts(const ints (&v)[chunk_vectors], std::uint16_t* out) noexcept
{
    for (std::size_t i = 0; i < chunk_vectors; i += 2)
        vst1q_u16(out + 4 * i, vuzp1q_u16(vreinterpretq_u16_s32(v[i]), vreinterpretq_u16_s32(v[i + 1])));
}

// Lanes i * width ... of the chunk whose codes are given.
template <int Bits, bool Signed>
inline ints load_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    if constexpr (Bits == 8) {
        return Signed ? load_s8(codes + 4 * i) : load_u8(codes + 4 * i);
    } else {
        std::uint16_t lanes = 0;
        std::memcpy(&lanes, codes + i * Bits / 2, Bits / 2);
        static constexpr std::int32_t up[4] = {32 - Bits, 32 - 2 * Bits, 32 - 3 * Bits, 32 - 4 * Bits};
        const uint32x4_t at_top = vshlq_u32(vdupq_n_u32(lanes), vld1q_s32(up));
        if constexpr (Signed)
            return ints(vshrq_n_s32(vreinterpretq_s32_u32(at_top), 32 - Bits));
        else
            return ints(vreinterpretq_s32_u32(vshrq_n_u32(at_top, 32 - Bits)));
    }
}

inline ints truncate_to_int(floats x) noexcept { return ints(vcvtq_s32_f32(x)); }
inline ints round_half_away_to_int(floats x) noexcept { return ints(vcvtaq_s32_f32(x)); }
inline floats floor_of(floats x) noexcept { return floats(vrndmq_f32(x)); }
inline floats within_shorts(floats x) noexcept { return x; }

inline bool any_code_above(const std::uint8_t* codes, std::int32_t limit) noexcept
{
    const uint8x16_t magnitude = vdupq_n_u8(0x7f);
    return vmaxvq_u8(vmaxq_u8(vandq_u8(vld1q_u8(codes), magnitude), vandq_u8(vld1q_u8(codes + 16), magnitude))) > limit;
}

inline void load_halves(uint16x8_t h, floats* x) noexcept
{
    const float16x8_t f = vreinterpretq_f16_u16(h);
    x[0] = floats(vcvt_f32_f16(vget_low_f16(f)));
    x[1] = floats(vcvt_high_f32_f16(f));
}

// A half of the same bits: one of 8 bits with its exponent and sign in place, but for the difference of the biases.
template <class F>
inline void load_float8(const std::uint8_t* codes, floats (&x)[chunk_vectors]) noexcept
{
    for (std::size_t i = 0; i < 4; ++i) {
        if constexpr (F::exponent_bits == 5) {
            load_halves(vshll_n_u8(vld1_u8(codes + 8 * i), 8), x + 2 * i);
        } else {
            const uint16x8_t wide = vreinterpretq_u16_s16(vshll_n_s8(vreinterpret_s8_u8(vld1_u8(codes + 8 * i)), 7));
            load_halves(vandq_u16(wide, vdupq_n_u16(0xbfff)), x + 2 * i);
            x[2 * i] = x[2 * i] * floats(256.0f);
            x[2 * i + 1] = x[2 * i + 1] * floats(256.0f);
        }
    }
}

inline void load_e2m1(const std::uint8_t* codes, float scale, floats (&x)[chunk_vectors]) noexcept
{
    // The upper bytes of the values as halves; the lower ones are zero.
    static constexpr std::uint8_t upper[16] = {0, 0x38, 0x3c, 0x3e, 0x40, 0x42, 0x44, 0x46, 0x80, 0xb8, 0xbc, 0xbe, 0xc0, 0xc2, 0xc4, 0xc6};
    const uint8x16_t pairs = vld1q_u8(codes), low = vandq_u8(pairs, vdupq_n_u8(15)), high = vshrq_n_u8(pairs, 4), table = vld1q_u8(upper);
    const uint8x16_t sides[2] = {vqtbl1q_u8(table, vzip1q_u8(low, high)), vqtbl1q_u8(table, vzip2q_u8(low, high))};
    for (std::size_t side = 0; side < 2; ++side) {
        load_halves(vshll_n_u8(vget_low_u8(sides[side]), 8), x + 4 * side);
        load_halves(vshll_high_n_u8(sides[side], 8), x + 4 * side + 2);
    }
    for (floats& v : x)
        v = v * floats(scale);
}

#else

using chunk_bytes = __m256i;

#if NIBBLE_ISA >= NIBBLE_ISA_AVX512

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

#else

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

#endif

inline constexpr bool round_is_exact = false;
inline chunk_bytes all_bytes(std::int32_t v) noexcept { return _mm256_set1_epi8(static_cast<char>(static_cast<std::uint8_t>(v))); }
inline chunk_bytes bounded(chunk_bytes a, chunk_bytes low, chunk_bytes high) noexcept
{
    return _mm256_min_epi8(_mm256_max_epi8(a, low), high);
}
inline chunk_bytes exclusive_or(chunk_bytes a, chunk_bytes b) noexcept { return _mm256_xor_si256(a, b); }
inline chunk_bytes bitwise_and(chunk_bytes a, chunk_bytes b) noexcept { return _mm256_and_si256(a, b); }
inline bool any_code_above(const std::uint8_t* codes, std::int32_t limit) noexcept
{
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    return _mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_and_si256(v, all_bytes(0x7f)), all_bytes(limit))) != 0;
}

template <int Bits>
inline void store_bytes(chunk_bytes b, std::uint8_t* out) noexcept
{
    if constexpr (Bits == 8) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), b);
    } else {
        const __m256i codes = _mm256_and_si256(b, _mm256_set1_epi8((1 << Bits) - 1));
        const __m256i pairs = _mm256_maddubs_epi16(codes, _mm256_set1_epi16(Bits == 4 ? 0x1001 : 0x0401));
        if constexpr (Bits == 4) {
            const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(pairs, pairs), 0x08);
            _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(packed));
        } else {
            const __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00100001));
            const __m256i packed = _mm256_packus_epi16(_mm256_packus_epi32(quads, quads), quads);
            _mm_storel_epi64(reinterpret_cast<__m128i*>(out),
                _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 0, 0, 0, 0, 0, 0))));
        }
    }
}

// Codes of 4 or 2 bits, those of lanes i * width ... of the chunk: in the low bits, or at the top, of lanes whose other bits may be
// anything.
template <int Bits>
inline ints repeat_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    constexpr std::size_t size = floats::size * Bits / 8;
    std::conditional_t<size == 8, std::uint64_t, std::uint32_t> lanes = 0; // of just this size: GCC then broadcasts from memory
    std::memcpy(&lanes, codes + size * i, size);
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
    if constexpr (Bits == 4)
        return ints(_mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
            _mm512_castsi128_si512(_mm_cvtsi64_si128(static_cast<long long>(lanes)))));
    else
        return ints(static_cast<std::int32_t>(lanes));
#else
    return ints(static_cast<std::int32_t>(lanes));
#endif
}
template <int Bits>
inline ints code_positions() noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
    if constexpr (Bits == 4)
        return ints(_mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28));
    else
        return ints(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
#else
    return ints(_mm256_setr_epi32(0, Bits, 2 * Bits, 3 * Bits, 4 * Bits, 5 * Bits, 6 * Bits, 7 * Bits));
#endif
}
template <int Bits>
inline ints codes_in_low_bits(const std::uint8_t* codes, std::size_t i) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_srlv_epi32(repeat_codes<Bits>(codes, i), code_positions<Bits>()));
#else
    return ints(_mm256_srlv_epi32(repeat_codes<Bits>(codes, i), code_positions<Bits>()));
#endif
}

// Lanes i * width ... of the chunk whose codes are given.
template <int Bits, bool Signed>
inline ints load_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    if constexpr (Bits == 8)
        return Signed ? load_s8(codes + floats::size * i) : load_u8(codes + floats::size * i);
    else if constexpr (Signed)
        return shift_right_arithmetic<32 - Bits>(shift_left_by(repeat_codes<Bits>(codes, i), ints(32 - Bits) - code_positions<Bits>()));
    else
        return codes_in_low_bits<Bits>(codes, i) & ints((1 << Bits) - 1);
}

inline ints truncate_to_int(floats x) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return ints(_mm512_cvttps_epi32(x));
#else
    return ints(_mm256_cvttps_epi32(x));
#endif
}

// Half away from zero. The greatest float below a half, added away from zero, carries from a half on and not below: where the sum is
// not exact, it rounds to the same side.
inline ints round_half_away_to_int(floats x) noexcept
{
    const ints half = (as_ints(x) & ints(INT32_MIN)) | as_ints(floats(0.49999997f));
    return truncate_to_int(opaque(x) + as_floats(half));
}

inline floats floor_of(floats x) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return floats(_mm512_floor_ps(x));
#else
    return floats(_mm256_floor_ps(x));
#endif
}
inline floats within_shorts(floats x) noexcept { return x; }

// A half of the same bits: one of 8 bits with its exponent and sign in place, but for the difference of the biases. Halves spare the
// subnormals of 8 bits the detour that subnormal floats take on some CPUs.
template <class F>
inline void load_float8(const std::uint8_t* codes, floats (&x)[chunk_vectors]) noexcept
{
    constexpr int up = 3 + F::exponent_bits, sign_only = F::exponent_bits == 5 ? 0xffff : 0xbfff;
    const floats rebias(F::exponent_bits == 5 ? 1.0f : 256.0f);
    unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
        const std::uint8_t* p = codes + i * floats::size;
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
        const __m256i wide = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), up);
        x[i] = floats(_mm512_cvtph_ps(_mm256_and_si256(wide, _mm256_set1_epi16(static_cast<short>(sign_only)))));
#else
        const __m128i wide = _mm_slli_epi16(_mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))), up);
        x[i] = floats(_mm256_cvtph_ps(_mm_and_si128(wide, _mm_set1_epi16(static_cast<short>(sign_only)))));
#endif
        if constexpr (F::exponent_bits != 5)
            x[i] = x[i] * rebias;
    });
}

inline void load_e2m1(const std::uint8_t* codes, float scale, floats (&x)[chunk_vectors]) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
    const floats values
        = floats(_mm512_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f))
          * floats(scale);
#else
    const floats values = floats(_mm256_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f)) * floats(scale);
#endif
    unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
        const ints code = codes_in_low_bits<4>(codes, i);
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
        x[i] = floats(_mm512_permutexvar_ps(code, values));
#else
        x[i] = as_floats(as_ints(floats(_mm256_permutevar8x32_ps(values, code))) | (shift_left<28>(code) & ints(INT32_MIN)));
#endif
    });
}

#endif

// The low Bits bits of each lane.
template <int Bits>
inline void store_codes(const ints (&v)[chunk_vectors], std::uint8_t* out) noexcept
{
    store_bytes<Bits>(narrow(v), out);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
