// The primitives of Armv8 Advanced SIMD: 4 lanes. contract.md says what each one does.
NIBBLE_BEGIN
namespace neon {

using floats = xsimd::batch<float, xsimd::neon64>;
using ints = xsimd::batch<std::int32_t, xsimd::neon64>;
using doubles = xsimd::batch<double, xsimd::neon64>;

inline constexpr std::ptrdiff_t width = 4, chunk = 32;
inline constexpr std::size_t chunk_vectors = 8;
inline constexpr int vector_registers = 32;

// Arithmetic

inline floats fused(floats a, floats b, floats c) noexcept { return floats(vfmaq_f32(c, a, b)); }
inline doubles fused(doubles a, doubles b, doubles c) noexcept { return doubles(vfmaq_f64(c, a, b)); }
// xsimd 8's division for NEON is an estimate with two Newton steps.
inline floats quotient(floats a, floats b) noexcept { return floats(vdivq_f32(a, b)); }
inline floats opaque(floats x) noexcept
{
    float32x4_t v = x;
    __asm__("" : "+w"(v));
    return floats(v);
}
template <int Count>
inline ints shift_left(ints v) noexcept
{
    return ints(vshlq_n_s32(v, Count));
}
template <int Count>
inline ints shift_right(ints v) noexcept
{
    return ints(vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(v), Count)));
}
template <int Count>
inline ints shift_right_arithmetic(ints v) noexcept
{
    return ints(vshrq_n_s32(v, Count));
}
inline ints shift_left_by(ints x, ints n) noexcept { return ints(vshlq_s32(x, n)); }
inline ints shift_right_by(ints x, ints n) noexcept { return ints(vshlq_s32(x, vnegq_s32(n))); }
inline ints rounded_product(ints x, ints m, ints n) noexcept
{
    const int32x4_t down = vsubq_s32(vdupq_n_s32(-31), n);
    const int64x2_t low = vrshlq_s64(vmull_s32(vget_low_s32(x), vget_low_s32(m)), vmovl_s32(vget_low_s32(down)));
    const int64x2_t high = vrshlq_s64(vmull_high_s32(x, m), vmovl_high_s32(down));
    return ints(vcombine_s32(vmovn_s64(low), vmovn_s64(high)));
}
inline ints rounded_high_product(ints x, ints m) noexcept { return ints(vqrdmulhq_s32(x, m)); }
inline ints select(ints::batch_bool_type c, ints a, ints b) noexcept { return ints(vbslq_s32(c, a, b)); }

// Conversions

inline ints as_ints(floats x) noexcept { return ints(vreinterpretq_s32_f32(x)); }
inline floats as_floats(ints x) noexcept { return floats(vreinterpretq_f32_s32(x)); }
inline ints round_to_int(floats x) noexcept { return ints(vcvtnq_s32_f32(x)); }
inline ints truncate_to_int(floats x) noexcept { return ints(vcvtq_s32_f32(x)); }
inline ints round_half_away_to_int(floats x) noexcept { return ints(vcvtaq_s32_f32(x)); }
inline floats floor_of(floats x) noexcept { return floats(vrndmq_f32(x)); }
inline floats within_shorts(floats x) noexcept { return x; }

// Memory

inline ints load_s8(const void* p) noexcept
{
    std::uint32_t b;
    std::memcpy(&b, p, 4);
    return ints(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(b))))));
}
inline ints load_u8(const void* p) noexcept
{
    std::uint32_t b;
    std::memcpy(&b, p, 4);
    return ints(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(b)))))));
}
inline ints load_s16(const std::int16_t* p) noexcept { return ints(vmovl_s16(vld1_s16(p))); }
inline floats load_half(const void* p) noexcept
{
    std::uint16_t h[4];
    std::memcpy(h, p, 8);
    return floats(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h))));
}
inline floats load_bfloat16(const void* p) noexcept
{
    std::uint16_t h[4];
    std::memcpy(h, p, 8);
    return floats(vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(h), 16)));
}
inline void store_low_bytes(ints v, void* out) noexcept
{
    const int16x4_t h = vmovn_s32(v);
    const std::uint32_t b = vget_lane_u32(vreinterpret_u32_s8(vmovn_s16(vcombine_s16(h, h))), 0);
    std::memcpy(out, &b, 4);
}
inline void store_low_shorts(ints v, std::int16_t* out) noexcept { vst1_s16(out, vmovn_s32(v)); }
inline void store_half(floats x, void* p) noexcept
{
    std::uint16_t h[4];
    vst1_u16(h, vreinterpret_u16_f16(vcvt_f16_f32(x)));
    std::memcpy(p, h, 8);
}

// Across lanes

inline float lowest_lane(floats v) noexcept { return vminvq_f32(v); }
inline float highest_lane(floats v) noexcept { return vmaxvq_f32(v); }
inline std::int32_t highest_lane(ints v) noexcept { return vmaxvq_s32(v); }
inline ints highest_lanes(const ints (&m)[ints::size]) noexcept { return ints(vpmaxq_s32(vpmaxq_s32(m[0], m[1]), vpmaxq_s32(m[2], m[3]))); }

// Chunks

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
inline chunk_shorts lowest(const chunk_shorts& a, const chunk_shorts& b) noexcept
{
    return {{vminq_s16(a.v[0], b.v[0]), vminq_s16(a.v[1], b.v[1]), vminq_s16(a.v[2], b.v[2]), vminq_s16(a.v[3], b.v[3])}};
}
inline bool any_least(const chunk_shorts& s) noexcept
{
    return vminvq_s16(vminq_s16(vminq_s16(s.v[0], s.v[1]), vminq_s16(s.v[2], s.v[3]))) == INT16_MIN;
}
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
// Modulo 2^16, the low bits and the exponent moved down are one sum.
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
inline bool any_code_above(const std::uint8_t* codes, std::int32_t limit) noexcept
{
    const uint8x16_t magnitude = vdupq_n_u8(0x7f);
    return vmaxvq_u8(vmaxq_u8(vandq_u8(vld1q_u8(codes), magnitude), vandq_u8(vld1q_u8(codes + 16), magnitude))) > limit;
}
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
// 8 halves to two vectors.
inline void load_halves(uint16x8_t h, floats* x) noexcept
{
    const float16x8_t f = vreinterpretq_f16_u16(h);
    x[0] = floats(vcvt_f32_f16(vget_low_f16(f)));
    x[1] = floats(vcvt_high_f32_f16(f));
}
inline constexpr bool load_float8_is_exact = false;
// A code of 8 bits becomes the half whose exponent and sign are in place; what is left is the difference of the biases.
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

// Products of int16

using shorts = int16x8_t;
inline shorts all_shorts(std::int32_t v) noexcept { return vdupq_n_s16(static_cast<std::int16_t>(v)); }
inline shorts load_shorts(const std::int8_t* p) noexcept { return vmovl_s8(vld1_s8(p)); }
inline shorts load_shorts(const std::int16_t* p) noexcept { return vld1q_s16(p); }
struct short_pair {
    shorts first, second;
};
inline short_pair paired(shorts a, shorts b) noexcept { return {a, b}; }
inline void add_products(ints& low, ints& high, short_pair a, short_pair b) noexcept
{
    const int32x4_t first = vmlal_s16(low, vget_low_s16(a.first), vget_low_s16(b.first));
    low = ints(vmlal_s16(first, vget_low_s16(a.second), vget_low_s16(b.second)));
    high = ints(vmlal_high_s16(vmlal_high_s16(high, a.first, b.first), a.second, b.second));
}
inline void store_sums(ints low, ints high, std::int32_t* out) noexcept
{
    low.store_unaligned(out);
    high.store_unaligned(out + width);
}

// Bytes

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

} // namespace neon
NIBBLE_END
