// One row of float activations times compact panels (blocks/compact.hpp): codes go from memory to registers and into products, nothing is
// written out. Bit for bit what integer_product does. Activations are int8 codes in [-127, 127], so that chains of products of unsigned
// weights fit int16 where dot4 has chains.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "gemv_blocks.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Products take unsigned weights, the integers plus `offset`; IQ4's values take all 8 bits.
template <class Block>
struct row_weights {
    static constexpr bool wide = has_iq4_values<Block>;
    static constexpr int offset = wide ? weight_offset8 : has_fp4_values<Block> ? 12 : code_bias<Block>;
    static constexpr int greatest = wide ? 127 : has_fp4_values<Block> ? 24 : ((1 << compact_bits<Block>)-1) << code_shift<Block>;
    static constexpr int fit = 32767 / (2 * 127 * greatest), chain = fit >= 8 ? 8 : fit >= 4 ? 4 : fit;
    static_assert(chain >= 1);
    struct values {
        std::int8_t v[16];
    };
    static constexpr values shifted() noexcept
    {
        values t {};
        if constexpr (has_code_values<Block>)
            for (int i = 0; i < 16; ++i)
                t.v[i] = static_cast<std::int8_t>(static_cast<std::uint8_t>(code_values<Block>()[i] + offset));
        return t;
    }
    static constexpr values table = shifted();
};

// sums[0 ... 15] += one section of a panel, times the activations of its columns; group_sums: of its groups.
template <class Block>
inline void add_section(
    const std::byte* section, const std::int8_t* a, const std::int32_t* group_sums, float* sums, std::size_t ahead) noexcept
{
    using layout = compact_section<Block>;
    using weights = row_weights<Block>;
    constexpr int group = block_group<Block>, quads = group < 32 ? group / 4 : 8, chain = smaller(weights::chain, quads);
    fetch_lines_ahead(section, layout::head, ahead);
    for (std::ptrdiff_t lane = 0; lane < panel_columns; lane += width) {
        const std::byte* planes = section + layout::head + 4 * lane;
        floats sum = floats::load_unaligned(sums + lane);
        ints whole(0);
        for (int column = 0; column < layout::elements; column += 32, planes += layout::plane_bytes) {
            if (lane == 0)
                fetch_lines_ahead(planes, layout::plane_bytes, ahead);
            vector codes[8];
            read_codes<Block>(planes, codes);
            unroll<8 / quads>([&](auto part) NIBBLE_UNROLLED {
                const int begin = column + 4 * quads * static_cast<int>(part), g = begin / group;
                if (begin % group == 0)
                    whole = ints(-weights::offset * group_sums[g]);
                unroll<quads / chain>([&](auto c) NIBBLE_UNROLLED {
                    [[maybe_unused]] auto products = begin_chain(whole);
                    unroll<chain>([&](auto i) NIBBLE_UNROLLED {
                        constexpr std::size_t q = quads * decltype(part)::value + chain * decltype(c)::value + decltype(i)::value;
                        const auto x = spread_quad(a + column + 4 * static_cast<std::ptrdiff_t>(q));
                        if constexpr (weights::wide)
                            whole = dot_wide(whole, x, look_up(weights::table.v, codes[q]));
                        else if constexpr (has_code_values<Block>)
                            products = dot4(products, x, as_weights4(look_up(weights::table.v, codes[q])));
                        else
                            products = dot4(products, x, as_weights4(codes[q]));
                    });
                    if constexpr (!weights::wide)
                        whole = end_chain(whole, products);
                });
                if ((begin + 4 * quads) % group == 0) {
                    sum = fused(to_float(whole), read_step<Block>(section, g, 0, lane), sum);
                    if constexpr (has_minimum<Block>)
                        sum = fused(to_float(ints(group_sums[g])), read_step<Block>(section, g, 1, lane), sum);
                }
            });
        }
        sum.store_unaligned(sums + lane);
    }
}

template <class Block, class Product>
inline void multiply_row_by(const gemm_args& args) noexcept
{
    using layout = compact_section<Block>;
    constexpr std::ptrdiff_t side_by_side = 4;
    const std::int8_t* const a = reinterpret_cast<const std::int8_t*>(args.a);
    const std::ptrdiff_t blocks = args.k / layout::elements;
    for (std::ptrdiff_t panel = args.panel_begin; panel < args.panel_end; panel += side_by_side) {
        const std::ptrdiff_t count = smaller(args.panel_end - panel, side_by_side);
        const std::byte* const first = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes;
        // Floats, not Product::sum: with GCC 12 adding to the union's floats costs mxfp4 in caches a tenth of its speed.
        float sums[side_by_side][panel_columns] = {};
        for (std::ptrdiff_t b = 0; b < blocks; ++b) {
            const std::size_t at = static_cast<std::size_t>(b * layout::bytes);
            // At the end of the panels, what the next ones begin with.
            const std::size_t ahead
                = args.panel_bytes - at <= usual_ahead ? static_cast<std::size_t>(count) * args.panel_bytes - at : usual_ahead;
            for (std::ptrdiff_t p = 0; p < count; ++p)
                add_section<Block>(first + static_cast<std::size_t>(p) * args.panel_bytes + at, a + b * layout::elements,
                    args.group_sums + b * layout::groups, sums[p], ahead);
        }
        for (std::ptrdiff_t p = 0; p < count; ++p) {
            typename Product::sum sums_of[panel_columns];
            for (std::ptrdiff_t c = 0; c < panel_columns; ++c)
                sums_of[c].real = sums[p][c];
            Product::finish(args, {0, 1}, panel + p, 1, sums_of);
        }
    }
}

// Of panels that expand to 4 bits, or to int8.
template <class Product, bool FourBits>
inline void multiply_row(const gemm_args& args) noexcept
{
    with_compact<FourBits>(args.compact, [&](auto block) noexcept { multiply_row_by<decltype(block), Product>(args); });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
