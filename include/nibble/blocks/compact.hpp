// Compact panels: how packed weights keep blocks, in about as many bits as the file has. A panel holds 16 channels, with one section for
// every block of columns:
//   steps       what the step (scale) of each group is computed from, and the group minimum in types that have one:
//                 products   16 halves d, 16 halves -dmin; then one factor (int8) of 16 channels for each group, then those of the minimums
//                 halves     for each group 16 halves; 16 more with a minimum
//                 bfloat16   for each group 16
//   codes       for every 32 columns 64 bytes a bit, in planes: four vectors of 4 bits, two of 2 bits, one of 1 bit, as far as a code has
//               them, the lower bits of a code first. A vector has 64 bytes, byte 4 c + i of channel c and columns that are i modulo 4;
//               the columns 4 q ... 4 q + 3 of the 32, their quad q, have these bits of it:
//                 4 bits     of vector q / 2:  4 (q % 2) and up
//                 2 bits     of vector q / 4:  2 (q % 4) and up
//                 1 bit      q
// One row is multiplied straight from these bytes (gemm/kernels/gemv_blocks.inl). For more rows, kernels first write sections out in the
// form of plain panels, into the first-level cache (gemm/kernels/expand_blocks.inl).
#pragma once

#include "decode.hpp"

NIBBLE_BEGIN_TYPES

/// Whether a block's integers, less the least of them, are below 16. With minimums the least is 0, else it counts as -8.
template <class Block>
inline constexpr bool has_4_bit_integers
    = is_any_of<Block, block_q4_0, block_q4_1, block_q2_K, block_q3_K, block_q4_K, block_tq1_0, block_tq2_0, block_q1_0, block_q2_0>;

/// Whether every step and minimum is a half: those of the others are products, or have larger exponents.
template <class Block>
inline constexpr bool has_half_steps = is_any_of<Block, block_q4_0, block_q4_1, block_q5_0, block_q5_1, block_q8_0, block_q8_1,
    block_iq4_nl, block_nvfp4, block_tq1_0, block_tq2_0, block_q1_0, block_q2_0>;

/// Bits of a code in a compact panel; 0: the type's plain panels are as small.
template <class Block>
inline constexpr int compact_bits = is_any_of<Block, block_q6_K>                                                         ? 6
                                    : is_any_of<Block, block_q5_0, block_q5_1, block_q5_K>                               ? 5
                                    : is_any_of<Block, block_q4_K, block_iq4_nl, block_iq4_xs, block_mxfp4, block_nvfp4> ? 4
                                    : is_any_of<Block, block_q3_K>                                                       ? 3
                                    : is_any_of<Block, block_q2_K, block_tq1_0, block_tq2_0, block_q2_0>                 ? 2
                                    : is_any_of<Block, block_q1_0>                                                       ? 1
                                                                                                                         : 0;

template <class Block>
struct compact_section {
    static constexpr int elements = block_traits<Block>::elements, groups = elements / block_group<Block>, bits = compact_bits<Block>;
    static constexpr int step_bytes = 32 * (has_minimum<Block> ? 2 : 1) * (has_factors<Block> ? 1 : groups);
    static constexpr int factor_bytes = has_factors<Block> ? 16 * groups * (has_minimum<Block> ? 2 : 1) : 0;
    static constexpr int head = step_bytes + factor_bytes, plane_bytes = 64 * bits; // plane_bytes: of 32 columns
    static constexpr int bytes = head + elements / 32 * plane_bytes;
};

NIBBLE_END_TYPES

NIBBLE_BEGIN
namespace detail {

/// The bytes of a section, 0 if there are no compact panels of this type.
constexpr std::ptrdiff_t compact_section_bytes(ggml_type type) noexcept
{
    switch (type) {
#define NIBBLE_BLOCK(name) \
    case ggml_type::name: return compact_bits<block_##name> == 0 ? 0 : compact_section<block_##name>::bytes;
        NIBBLE_BLOCKS
#undef NIBBLE_BLOCK
    default: return 0;
    }
}

/// The steps and codes of one block, of channel c; the section's bytes are zero before.
template <class Block>
NIBBLE_INLINE void store_compact(const Block& block, std::byte* section, std::ptrdiff_t c) noexcept
{
    using layout = compact_section<Block>;
    const auto store_half = [&](std::ptrdiff_t i, half value) noexcept { std::memcpy(section + 32 * i + 2 * c, &value, 2); };
    if constexpr (has_factors<Block>) {
        store_half(0, block.d);
        if constexpr (has_minimum<Block>)
            store_half(1, to_half(-to_float(block.dmin)));
        std::int8_t scale[16], minimum[16];
        group_factors(block, scale, minimum);
        std::byte* const factors = section + layout::step_bytes + c;
        for (int g = 0; g < layout::groups; ++g) {
            factors[16 * g] = static_cast<std::byte>(scale[g]);
            if constexpr (has_minimum<Block>)
                factors[16 * (layout::groups + g)] = static_cast<std::byte>(minimum[g]);
        }
    } else {
        decoded_block d;
        decode_steps(block, d);
        for (int g = 0; g < layout::groups; ++g) {
            if constexpr (has_half_steps<Block>) {
                store_half(g, to_half(d.steps[g]));
            } else {
                const bfloat16 step = to_bfloat16(d.steps[g]);
                std::memcpy(section + 32 * g + 2 * c, &step, 2);
            }
        }
        if constexpr (has_minimum<Block>)
            store_half(layout::groups, to_half(d.minimums[0]));
    }

    std::uint8_t codes[256];
    unpack(block, codes);
    std::byte* const planes = section + layout::head + 4 * c;
    for (int i = 0; i < layout::elements; ++i) {
        std::byte* at = planes + i / 32 * layout::plane_bytes + i % 4;
        const int quad = i % 32 / 4;
        int code = codes[i];
        for (const int plane : {4, 2, 1})
            if ((layout::bits & plane) != 0) {
                at[64 * (quad * plane / 8)] |= static_cast<std::byte>((code & ((1 << plane) - 1)) << quad * plane % 8);
                code >>= plane;
                at += 64 * plane;
            }
    }
}

} // namespace detail
NIBBLE_END
