// Products of 16 columns by vpmaddwd and vpmaddubsw, as in avx2.inl.
NIBBLE_BEGIN
namespace avx512 {

// Finished here, as in avx2.inl.
inline vector kept(vector v) noexcept
{
    __asm__("" : "+v"(v));
    return v;
}

// vpmaddwd multiplies int16 and adds neighbours. A 16-bit half of a column's quad holds (k0, k1) or (k2, k3) as bytes, so the even k and
// the odd k make two operands.
using activation8 = std::int16_t;
using group_activation8 = activation8;
inline constexpr std::size_t quad_parts = 2;
inline constexpr std::int32_t weight_offset8 = 0;

inline vector spread_quad(const void* p) noexcept
{
    std::int32_t bits;
    std::memcpy(&bits, p, 4);
    return _mm512_set1_epi32(bits);
}
template <std::size_t Part>
inline vector spread8(const activation8* a) noexcept
{
    return spread_quad(a + 2 * Part);
}
inline vector load8(const std::byte* p) noexcept { return load_vector(p); }
template <std::size_t Part>
inline vector part8(vector w) noexcept
{
    return _mm512_srai_epi16(Part == 0 ? _mm512_slli_epi16(w, 8) : w, 8);
}
inline ints dot8(ints acc, vector a, vector w) noexcept { return ints(kept(_mm512_add_epi32(acc, _mm512_madd_epi16(a, w)))); }
inline vector load8_of_group(const std::byte* p, bool) noexcept { return load8(p); }
inline ints dot8_of_group(ints acc, vector a, vector w) noexcept { return dot8(acc, a, w); }

// vpmaddubsw multiplies bytes, of which one operand is unsigned, and adds neighbours in int16.
using weights4 = vector;
inline weights4 as_weights4(vector v) noexcept { return v; }
struct chain4 {
    vector v;
};
inline chain4 begin_chain(ints) noexcept { return {_mm512_set1_epi16(0)}; }
inline chain4 dot4(chain4 acc, vector a, weights4 w) noexcept { return {kept(_mm512_add_epi16(acc.v, _mm512_maddubs_epi16(w, a)))}; }
inline ints end_chain(ints acc, chain4 chain) noexcept
{
    return ints(kept(_mm512_add_epi32(acc, _mm512_madd_epi16(chain.v, _mm512_set1_epi16(1)))));
}
// |w| is the unsigned operand; activations take over its sign.
inline ints dot_wide(ints acc, vector a, vector w) noexcept
{
    const vector with_sign = _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(w), _mm512_setzero_si512(), a);
    return end_chain(acc, {_mm512_maddubs_epi16(_mm512_abs_epi8(w), with_sign)});
}

} // namespace avx512
NIBBLE_END
