// Products of packed activations with packed int8 or 4-bit weights. With one scale a column the exact int32 sum over all of k is kept until
// the end. With groups of k, each group's exact sum s, less zero points, is added as sums = fused(float(s), scale, sums). With minimums,
// what they are worth follows: sums = fused(float(sum of the group's activations), minimum, sums).
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "integer.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Reduced: activations of 7 bits, multiplied as bytes, see reduced_range.inl.
template <int Bits, bool Reduced = false>
struct integer_product {
    using stored = std::conditional_t<Reduced, activation7, std::conditional_t<Bits == 8, activation8, std::int8_t>>;
    using sum = integer_sum;

    // The highest tile fills the registers with sums, but for what a step needs beside them:
    //                      rows x panels x vectors   weights                activations   other             registers
    //   AVX2, 8 bits          6 x 1 x 2 = 12 sums     2                      1             1 product         16
    //   AVX2, 4 bits          4 x 1 x 2 = 8 chains    4, two halves          2             1 product, mask   16
    //   AVX-512, 8 bits      12 x 2 x 1 = 24 sums     2, 4 without VNNI      1             1 product         32
    //   VNNI, 4 bits         12 x 2 x 1 = 24 sums     4, two halves          2             mask              32
    //   AVX-512, 4 bits       8 x 2 x 1 = 16 chains   4, two halves          2             1 product, mask   32
    //   NEON                  4 x 1 x 4 = 16 sums     4, 8 of 4 bits         1, 2          2 products        32
    // A chain holds int16 sums (dot.inl). Its int32 sums take what registers it leaves, or wait in memory until it ends, so that 12 rows of
    // chains would not be faster than 8. Without dotprod NEON has two registers a chain, 32 in all, and keeps some in memory.
    // Lower tiles have more panels, so that there are sums enough to hide how long a product takes, and several streams of weights.
    static constexpr bool chained = Bits == 4 && !std::is_same_v<chain4, ints>;
    static constexpr int tile_rows = NIBBLE_ISA == NIBBLE_ISA_AVX2                                     ? (chained ? 4 : 6)
                                     : NIBBLE_ISA >= NIBBLE_ISA_AVX512 && NIBBLE_ISA < NIBBLE_ISA_NEON ? (chained ? 8 : 12)
                                                                                                       : 4;
    static constexpr int panels(int height) noexcept
    {
        if (NIBBLE_ISA == NIBBLE_ISA_SCALAR)
            return 1;
        if (NIBBLE_ISA >= NIBBLE_ISA_NEON)
            return height == 1 ? 2 : 1;
        if (NIBBLE_ISA >= NIBBLE_ISA_AVX512)
            return height >= 8 ? 2 : 4;
        return height >= 3 ? 1 : height == 2 ? 2 : 4;
    }

    // In groups, or in k if there is one group. A block is what all tiles of rows read before the next one: 16 K codes of the panels of a
    // high tile, half of a first-level cache of 32 KiB if they have 8 bits.
    static std::ptrdiff_t extent(const gemm_args& args) noexcept { return args.groups > 1 ? args.groups : args.padded_k; }
    static std::ptrdiff_t block(const gemm_args& args) noexcept
    {
        constexpr std::ptrdiff_t most = (std::ptrdiff_t {16} << 10) / (panels(tile_rows) * panel_columns);
        return args.groups == 1 ? most : args.group_size < most ? most / args.group_size : 1;
    }

    static std::size_t offset(const gemm_args& args, std::ptrdiff_t k) noexcept
    {
        if (args.groups == 1)
            return static_cast<std::size_t>(section_layout::code_bytes(Bits, k));
        const std::ptrdiff_t section = section_of<Bits>(args).codes + section_layout::code_bytes(Bits, padded_codes(args.group_size));
        return static_cast<std::size_t>(k * section);
    }

    static constexpr bool expands = false;
    static constexpr std::size_t expanded_bytes = 0;
    struct plan : std::conditional_t<Reduced, block_plan, no_plan> {
        template <int Panels>
        void make(const gemm_args& args, weight_block w, range k) noexcept
        {
            if constexpr (Reduced)
                if (args.groups == 1)
                    this->template find<Panels>(w.at + section_of<Bits>(args).codes, w.panel_bytes, k.end - k.begin);
        }
    };

    template <int Rows, int Panels>
    static void tile(
        const gemm_args& args, std::ptrdiff_t row, weight_block w, range k, const plan& allowed, sum* sums, std::size_t ahead) noexcept
    {
        const std::ptrdiff_t begin = args.groups > 1 ? k.begin * padded_codes(args.group_size) : k.begin;
        const stored* const a = reinterpret_cast<const stored*>(args.a) + row * packed_stride<stored>(args) + begin;
        if (args.groups == 1)
            tile_of_one_group<Bits, Reduced, Rows, Panels>(args, a, w, k, allowed, sums, ahead);
        else
            tile_of_groups<Bits, Reduced, Rows, Panels>(args, row, a, w, k, allowed, sums, ahead);
    }

    static void finish(const gemm_args& args, range rows, std::ptrdiff_t panel, std::ptrdiff_t panels, sum* sums) noexcept
    {
        finish_integers<Bits, Reduced>(args, rows, panel, panels, sums);
    }
};

template <class Lazy>
inline void gemm_w8(const gemm_args& args) noexcept
{
    run_product<integer_product<8>>(args);
}
template <class Lazy>
inline void gemm_w8_reduced(const gemm_args& args) noexcept
{
    run_product<integer_product<8, multiplies_bytes>>(args);
}
template <class Lazy>
inline void gemm_w4(const gemm_args& args) noexcept
{
    run_product<integer_product<4>>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
