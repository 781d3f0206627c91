// Products of 4 columns, widened from bytes to int16 and to int32.
NIBBLE_BEGIN
namespace neon {

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
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(a)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(w, a));
    return ints(vaddq_s32(acc, vpaddq_s32(low, high)));
}
inline int8x16_t load8_of_group(const std::byte* p, bool) noexcept { return load8(p); }
inline ints dot8_of_group(ints acc, int8x16_t a, int8x16_t w) noexcept { return dot8(acc, a, w); }

using weights4 = int8x16_t;
inline weights4 as_weights4(vector v) noexcept { return vreinterpretq_s8_u8(v); }
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
inline ints dot_wide(ints acc, int8x16_t a, vector w) noexcept { return dot8(acc, a, as_weights4(w)); }

} // namespace neon
NIBBLE_END
