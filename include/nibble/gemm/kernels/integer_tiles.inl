// A register tile of an integer product: Rows rows of activations x Panels panels, over a block of k. From block to block its sums are in
// memory, [Rows][Panels * 16]: integers where there is one group of k, floats where there are several.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "integer_tiles.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

union integer_sum {
    float real;
    std::int32_t whole;
};

// One group: sums += stored activations x stored codes of k. Compensation is added once, when all k are done (integer_finish.inl).
template <int Bits, bool Reduced, int Rows, int Panels, class Stored, class Plan>
inline void tile_of_one_group(
    const gemm_args& args, const Stored* first, weight_block w, range k, const Plan& plan, integer_sum* sums, std::size_t ahead) noexcept
{
    typename accumulation<Rows, Panels>::sums acc;
    if (k.begin == 0)
        unroll_grid<Rows, Panels, panel_vectors>(
            [&](std::size_t r, std::size_t p, std::size_t v) NIBBLE_UNROLLED { acc[r][p][v] = ints(0); });
    else
        unroll_grid<Rows, Panels, panel_vectors>([&](std::size_t r, std::size_t p, std::size_t v) NIBBLE_UNROLLED {
            acc[r][p][v] = ints::load_unaligned(&sums[sum_at<Panels>(r, p, v)].whole);
        });
    row_cursor<Stored, Rows> a(first, packed_stride<Stored>(args));
    const std::byte* const codes = w.at + section_of<Bits>(args).codes;
    accumulation<Rows, Panels>::template run<Bits, Reduced, true>(acc, codes, w.panel_bytes, a, k.end - k.begin, plan, ahead);
    unroll_grid<Rows, Panels, panel_vectors>([&](std::size_t r, std::size_t p, std::size_t v)
                                                 NIBBLE_UNROLLED { acc[r][p][v].store_unaligned(&sums[sum_at<Panels>(r, p, v)].whole); });
}

// The part of a group's compensation that depends on the column; row_sums: of the group's activations.
template <int Bits, int Rows, int Panels>
NIBBLE_INLINE void compensate_columns(typename accumulation<Rows, Panels>::sums& acc, const gemm_args& args,
    const compensation<Bits>& compensate, weight_block w, std::ptrdiff_t padded, const std::int32_t* row_sums) noexcept
{
    [[maybe_unused]] std::int32_t sums_of[std::size_t {Panels * panel_columns}];
    if (Bits == 8 && args.section.without_sums)
        sum_columns<Panels>(w.at + section_of<Bits>(args).codes, w.panel_bytes, padded, sums_of);
    unroll_grid<Rows, Panels, panel_vectors>([&](std::size_t r, std::size_t p, std::size_t v) NIBBLE_UNROLLED {
        group_cursor group = read_group<Bits>(args, w.at + p * w.panel_bytes);
        if (Bits == 8 && args.section.without_sums)
            group.column_sums = reinterpret_cast<const std::byte*>(sums_of + p * std::size_t {panel_columns});
        ints& x = acc[r][p][v];
        x = x + compensate.of_column(group, v * ints::size);
        if (compensate.zero_points)
            x = x - compensate.zero_points_of(group, v * ints::size) * ints(row_sums[r]);
    });
}

// Several groups: of each, the exact sum is made of registers that begin with the row's compensation, and then
//   sums = fused(float(exact sum), scale, sums)
//   sums = fused(float(sum of the group's activations), minimum, sums)    with minimums
template <int Bits, bool Reduced, int Rows, int Panels, class Stored, class Plan>
inline void tile_of_groups(const gemm_args& args, std::ptrdiff_t row, const Stored* first, weight_block w, range groups, const Plan& plan,
    integer_sum* sums, std::size_t ahead) noexcept
{
    if (groups.begin == 0)
        unroll_grid<Rows, Panels, panel_vectors>([&](std::size_t r, std::size_t p, std::size_t v) NIBBLE_UNROLLED {
            floats(0.0f).store_unaligned(&sums[sum_at<Panels>(r, p, v)].real);
        });
    const compensation<Bits> compensate(args, activation_offset<Reduced>(args.signed_activations));
    const section_layout layout = section_of<Bits>(args);
    row_cursor<Stored, Rows> a(first, packed_stride<Stored>(args));
    typename accumulation<Rows, Panels>::sums acc;
    for (std::ptrdiff_t g = groups.begin; g < groups.end; ++g) {
        const std::ptrdiff_t begin = g * args.group_size, length = smaller(args.k - begin, args.group_size);
        const std::ptrdiff_t padded = padded_codes(length);
        const std::int32_t* const row_sums = args.group_sums + g * args.rows + row;
        unroll<Rows>([&](std::size_t r) NIBBLE_UNROLLED {
            const ints from_row = compensate.of_row(row_sums[r], length);
            unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED { acc[r][p][v] = from_row; });
        });
        unroll<Panels>([&](std::size_t p) NIBBLE_UNROLLED { fetch_ahead(w.at + p * w.panel_bytes, ahead); });
        accumulation<Rows, Panels>::template run<Bits, Reduced, false>(acc, w.at + layout.codes, w.panel_bytes, a, padded, plan, ahead);
        if (compensate.has_columns())
            compensate_columns<Bits, Rows, Panels>(acc, args, compensate, w, padded, row_sums);
        // Sums stay in memory: registers have no room for them beside the exact ones.
        __asm__ volatile("" : : : "memory");
        floats scale[std::size_t {Panels}][panel_vectors];
        unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
            scale[p][v] = load_scales(args, w.at + p * w.panel_bytes, v * ints::size);
        });
        unroll_grid<Rows, Panels, panel_vectors>([&](std::size_t r, std::size_t p, std::size_t v) NIBBLE_UNROLLED {
            float* const at = &sums[sum_at<Panels>(r, p, v)].real;
            fused(to_float(acc[r][p][v]), scale[p][v], floats::load_unaligned(at)).store_unaligned(at);
        });
        if (args.section.has_minimums)
            unroll_grid<Rows, Panels, panel_vectors>([&](std::size_t r, std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                float* const at = &sums[sum_at<Panels>(r, p, v)].real;
                const floats minimum = load_scales(args, w.at + p * w.panel_bytes + layout.minimums, v * ints::size);
                fused(to_float(ints(row_sums[r])), minimum, floats::load_unaligned(at)).store_unaligned(at);
            });
        w.at += layout.codes + section_layout::code_bytes(Bits, padded);
    }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
