// Products of 4 columns by SDOT: four products of bytes and an int32 sum in one step. neon_i8mm uses this file, too. The rest is that of
// neon.inl; whatever is written over dot8 is here again, for there it is written over another dot8.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline ints dot8(ints acc, int8x16_t a, int8x16_t w) noexcept { return ints(vdotq_s32(acc, w, a)); }
inline ints dot8_of_group(ints acc, int8x16_t a, int8x16_t w) noexcept { return dot8(acc, a, w); }

using chain4 = ints;
inline chain4 begin_chain(ints acc) noexcept { return acc; }
inline chain4 dot4(chain4 acc, int8x16_t a, weights4 w) noexcept { return dot8(acc, a, w); }
inline ints end_chain(ints, chain4 chain) noexcept { return chain; }
inline ints dot_wide(ints acc, int8x16_t a, vector w) noexcept { return dot8(acc, a, as_weights4(w)); }

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
