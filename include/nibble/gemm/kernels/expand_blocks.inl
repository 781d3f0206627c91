// Compact panels of ggml's blocks (blocks/compact.hpp) written out as plain panels without sums (gemm/section_layout.hpp).
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "expand_blocks.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Columns that are written out together, a multiple of every type's, and the most that they take in a panel.
inline constexpr std::ptrdiff_t expanded_columns = 256;
inline constexpr std::size_t expanded_panel_bytes = 5120;

// A section that they are written out as.
template <class Block>
inline constexpr section_layout plain_section(block_section<Block>, block_group<Block>);

// Where the codes of columns i ... i + 3 are, from the section of column 0 on.
template <class Block>
NIBBLE_INLINE constexpr std::ptrdiff_t plain_code_at(std::ptrdiff_t i) noexcept
{
    constexpr section_layout plain = plain_section<Block>;
    constexpr std::ptrdiff_t group = block_group<Block>;
    return i / group * plain.bytes + plain.codes + section_layout::code_at(block_section<Block>.bits, i % group, 0);
}

inline void fetch_lines_ahead(const std::byte* from, std::ptrdiff_t bytes, std::size_t ahead) noexcept
{
    for (std::ptrdiff_t i = 0; i < bytes; i += cache_line)
        fetch_ahead(from + i, ahead);
}

// f(block type {}) for a type whose compact panels expand to FourBits, or to int8.
template <bool FourBits, class F>
NIBBLE_INLINE void with_compact(ggml_type type, F f) noexcept
{
    switch (type) {
#define NIBBLE_BLOCK(name)                                                                             \
    case ggml_type::name:                                                                              \
        if constexpr (compact_bits<block_##name> != 0 && has_4_bit_integers<block_##name> == FourBits) \
            f(block_##name {});                                                                        \
        break;
        NIBBLE_BLOCKS
#undef NIBBLE_BLOCK
    default: break;
    }
}

// The step of group g, part 1: its minimum, of some channels.
template <class Block>
NIBBLE_INLINE floats read_step(const std::byte* section, int g, int part, std::ptrdiff_t lane) noexcept
{
    using layout = compact_section<Block>;
    if constexpr (has_factors<Block>)
        return load_half(section + 32 * part + 2 * lane)
               * to_float(load_s8(section + layout::step_bytes + 16 * (layout::groups * part + g) + lane));
    else if constexpr (has_half_steps<Block>)
        return load_half(section + 32 * (layout::groups * part + g) + 2 * lane);
    else
        return load_bfloat16(section + 32 * g + 2 * lane);
}

// The scales, and the minimums, of a block's groups.
template <class Block>
inline void expand_steps(const std::byte* from, std::byte* to) noexcept
{
    constexpr section_layout plain = plain_section<Block>;
    for (int g = 0; g < compact_section<Block>::groups; ++g, to += plain.bytes) {
        if constexpr (has_half_steps<Block>)
            std::memcpy(to, from + 32 * g, plain.codes);
        else
            for (int part = 0; part < (has_minimum<Block> ? 2 : 1); ++part)
                for (std::ptrdiff_t lane = 0; lane < panel_columns; lane += width)
                    read_step<Block>(from, g, part, lane).store_unaligned(reinterpret_cast<float*>(to + part * plain.minimums) + lane);
    }
}

// What a plane of `Bits` bits has of quad Quad, moved up to bit To.
template <int Bits, int Quad, int To>
NIBBLE_INLINE vector plane_bits(const std::byte* plane) noexcept
{
    return bits_of<Quad * Bits % 8 - To, ((1 << Bits) - 1) << To>(load_vector(plane + 64 * (Quad * Bits / 8)));
}

// The codes of 32 columns, times 2^code_shift, in a vector for each quad of them.
template <class Block>
NIBBLE_INLINE void read_codes(const std::byte* planes, vector (&codes)[8]) noexcept
{
    constexpr int bits = compact_bits<Block>, first = bits >= 4 ? 4 : bits >= 2 ? 2 : 1, rest = bits - first;
    unroll<8>([&](auto q) NIBBLE_UNROLLED {
        constexpr int quad = static_cast<int>(decltype(q)::value);
        codes[q] = plane_bits<first, quad, code_shift<Block>>(planes);
        if constexpr (rest != 0)
            codes[q] = or_vector(codes[q], plane_bits<rest, quad, first>(planes + 64 * first));
    });
}

// Writes the integers of 32 columns; quad_at(i): where those of quad i go, of 4 bits where a pair of them goes.
template <class Block, class QuadAt>
NIBBLE_INLINE void expand_codes(const std::byte* planes, QuadAt quad_at) noexcept
{
    constexpr int add = (has_4_bit_integers<Block> && !has_minimum<Block> ? 8 : 0) - code_bias<Block>;
    constexpr std::ptrdiff_t bytes = static_cast<std::ptrdiff_t>(sizeof(vector));
    for (std::ptrdiff_t v = 0; v < 64; v += bytes) {
        vector codes[8];
        read_codes<Block>(planes + v, codes);
        unroll<8>([&](std::size_t q) NIBBLE_UNROLLED {
            if constexpr (has_code_values<Block>)
                codes[q] = look_up(code_values<Block>(), codes[q]);
            else if constexpr (add != 0)
                codes[q] = add_bytes(codes[q], add);
        });
        if constexpr (has_4_bit_integers<Block>)
            unroll<4>([&](std::size_t i) NIBBLE_UNROLLED {
                store_vector(or_vector(codes[2 * i], bits_of<-4, 0xf0>(codes[2 * i + 1])), quad_at(2 * i) + v);
            });
        else
            unroll<8>([&](std::size_t i) NIBBLE_UNROLLED { store_vector(codes[i], quad_at(i) + v); });
    }
}

// `blocks` sections of one panel.
template <class Block>
inline void expand_sections(const std::byte* from, std::ptrdiff_t blocks, std::byte* to, std::size_t ahead) noexcept
{
    using layout = compact_section<Block>;
    constexpr section_layout plain = plain_section<Block>;
    static_assert(expanded_columns / block_group<Block> * plain.bytes <= static_cast<std::ptrdiff_t>(expanded_panel_bytes));
    static_assert(expanded_columns % layout::elements == 0);
    for (std::ptrdiff_t b = 0; b < blocks; ++b, to += layout::groups * plain.bytes) {
        fetch_lines_ahead(from, layout::head, ahead);
        expand_steps<Block>(from, to);
        from += layout::head;
        for (std::ptrdiff_t column = 0; column < layout::elements; column += 32, from += layout::plane_bytes) {
            fetch_lines_ahead(from, layout::plane_bytes, ahead);
            std::byte* const out = to + plain_code_at<Block>(column);
            expand_codes<Block>(from, [&](std::size_t quad) NIBBLE_UNROLLED {
                return out + (plain_code_at<Block>(static_cast<std::ptrdiff_t>(quad) * 4) - plain_section<Block>.codes);
            });
        }
    }
}

// Groups [begin, end) of `count` panels from args.panels + panel * args.panel_bytes on; each takes expanded_panel_bytes.
template <bool FourBits>
inline void expand_panels(
    const gemm_args& args, std::ptrdiff_t panel, std::ptrdiff_t count, std::ptrdiff_t begin, std::ptrdiff_t end, std::byte* to) noexcept
{
    const std::ptrdiff_t block_groups = block_elements(args.compact) / args.group_size, blocks = (end - begin) / block_groups;
    const std::size_t offset = static_cast<std::size_t>(begin / block_groups * detail::compact_section_bytes(args.compact));
    const std::byte* from = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes + offset;
    // At the end of the panels, what the next ones begin with.
    const std::size_t ahead = end == args.groups ? static_cast<std::size_t>(count) * args.panel_bytes - offset : usual_ahead;
    for (std::ptrdiff_t p = 0; p < count; ++p, from += args.panel_bytes, to += expanded_panel_bytes)
        with_compact<FourBits>(args.compact, [&](auto block) noexcept { expand_sections<decltype(block)>(from, blocks, to, ahead); });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
