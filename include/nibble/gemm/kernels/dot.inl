// Integer products of one quad (4 consecutive k) of activations, the same for every column, with a quad of each of ints::size columns.
// All are exact: nothing saturates, and int32 sums that fit are right even where a step on the way wraps. Activations are int8, uint8 ones
// minus 128. A file an instruction set, dot/NAME.inl, defines
//   activation8, group_activation8   how activations are stored for int8 weights: where k has several groups, and where it has one
//   weight_offset8                   what dot8 takes weights plus: 128 where they are the unsigned operand, else 0
//   quad_parts                       in how many parts a quad of int8 is multiplied: 2 where bytes are widened to int16, else 1
//   spread_quad(a)                   a quad of activations, 4 bytes, repeated for every column
//   spread8<Part>(a)                 the same of a part of a quad of stored activations
//   load8(p), part8<Part>(w)         int8 weights of ints::size columns, as dot8 takes them: all, and a part of them
//   dot8(acc, a, w)                  acc + the products of one part
//   load8_of_group(p, several), dot8_of_group(acc, a, w)
//                                    the same where k has one group; several: rows use the weights
//   weights4, as_weights4(v)         4-bit weights u in [0, 15], one a byte, from a vector of bytes
//   chain4, begin_chain(acc), dot4(chain, a, w), end_chain(acc, chain)
//                                    acc + the products of at most chain_quads quads: where sums wait in int16, 8 * 2 * 15 * 128 = 30720
//                                    fits. Larger weights make shorter chains (gemv_blocks.inl)
//   dot_wide(acc, a, w)              acc + the products of activations and weights in [-127, 127], which are bytes plus weight_offset8
//   kept(v)                          on x86: v, which the compiler finishes before it goes on
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "dot.hpp"

#if NIBBLE_ISA == NIBBLE_ISA_SCALAR
#include "dot/scalar.inl"
#elif NIBBLE_ISA == NIBBLE_ISA_AVX2
#include "dot/avx2.inl"
#elif NIBBLE_ISA == NIBBLE_ISA_AVX512
#include "dot/avx512.inl"
#elif NIBBLE_ISA == NIBBLE_ISA_AVX512VNNI
#include "dot/avx512vnni.inl"
#elif NIBBLE_ISA == NIBBLE_ISA_NEON
#include "dot/neon.inl"
#else
#include "dot/neon_dotprod.inl"
#endif

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::ptrdiff_t chain_quads = 8; // a multiple of 2

// 4-bit weights of ints::size columns, two quads: bytes hold a code of the first in their low bits, one of the second above.
inline void load4(const std::byte* p, weights4& low, weights4& high) noexcept
{
    const vector b = load_vector(p);
    low = as_weights4(bits_of<0, 15>(b));
    high = as_weights4(bits_of<4, 15>(b));
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
