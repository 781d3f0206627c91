// Products of 16 columns by vpdpbusd: four products of bytes and an int32 sum in one step. Its first operand is unsigned. Where k has one
// group, these are the activations, stored plus 128, so that compensation depends on the column only; else the weights plus 128.
// spread_quad and 4-bit weights are those of avx512.inl.
NIBBLE_BEGIN
namespace avx512vnni {

// Its own: clang 14 inlines no function with an assembly statement into one for another instruction set.
inline vector kept(vector v) noexcept
{
    __asm__("" : "+v"(v));
    return v;
}

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
// Left to itself GCC reads weights again for each row.
inline vector load8_of_group(const std::byte* p, bool several) noexcept { return several ? kept(load_vector(p)) : load_vector(p); }
inline ints dot8_of_group(ints acc, vector a, vector w) noexcept { return ints(kept(_mm512_dpbusd_epi32(acc, a, w))); }

using chain4 = ints;
inline chain4 begin_chain(ints acc) noexcept { return acc; }
inline chain4 dot4(chain4 acc, vector a, weights4 w) noexcept { return dot8(acc, a, w); }
inline ints end_chain(ints, chain4 chain) noexcept { return chain; }
inline ints dot_wide(ints acc, vector a, vector w) noexcept { return dot8(acc, a, w); }

} // namespace avx512vnni
NIBBLE_END
