// From the sums of an integer product to its output. With several groups they are floats, and only the epilogue is left. With one group
// they are integers, and compensation comes first: then they are the output (int32), are requantized, or are scaled for the epilogue.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "integer_finish.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Sums of stored codes of one group, in a vector of columns, made exact.
template <int Bits>
class exact_sums {
public:
    exact_sums(const gemm_args& args, const compensation<Bits>& compensate, const group_cursor& group, std::size_t lane) noexcept
        : args_(args), compensate_(compensate), of_column_(compensate.of_column(group, lane)), zero_points_(0)
    {
        if (compensate.zero_points)
            zero_points_ = compensate.zero_points_of(group, lane);
    }

    NIBBLE_INLINE ints of_column() const noexcept { return of_column_; }
    NIBBLE_INLINE ints operator()(ints stored, std::int32_t row_sum) const noexcept
    {
        ints x = stored + of_column_;
        if (compensate_.has_rows())
            x = x + compensate_.of_row(row_sum, args_.k);
        if (compensate_.zero_points)
            x = x - zero_points_ * ints(row_sum);
        return x;
    }

private:
    const gemm_args& args_;
    const compensation<Bits>& compensate_;
    ints of_column_, zero_points_;
};

// Calls step(lane, column, group, in_panel) for each vector of columns that exists: the section of one group that it belongs to, and its
// place in the panel.
template <int Bits, class Step>
NIBBLE_INLINE void for_sections(const gemm_args& args, std::ptrdiff_t panel, std::ptrdiff_t panels, Step step) noexcept
{
    for_columns(args, panel, panels, [&](std::ptrdiff_t lane, std::ptrdiff_t column) noexcept {
        const std::byte* const section = args.panels + static_cast<std::size_t>(panel + lane / panel_columns) * args.panel_bytes;
        step(lane, column, read_group<Bits>(args, section), static_cast<std::size_t>(lane % panel_columns));
    });
}

inline std::int32_t row_sum_of(const gemm_args& args, std::ptrdiff_t row) noexcept { return args.group_sums ? args.group_sums[row] : 0; }

// c = sums + of_columns. Row by row: of a row's lines of the cache all are written before the next row's, which may compete for them.
template <int Panels>
inline void add_columns(const integer_sum* sums, const std::int32_t* of_columns, std::ptrdiff_t rows, std::ptrdiff_t columns,
    std::int32_t* c, std::ptrdiff_t c_stride) noexcept
{
    constexpr std::size_t vectors = Panels * panel_vectors;
    ints add[vectors];
    unroll<vectors>([&](std::size_t v) NIBBLE_UNROLLED { add[v] = ints::load_unaligned(of_columns + v * ints::size); });
    for (; rows > 0; --rows, sums += Panels * panel_columns, c += c_stride)
        unroll<vectors>([&](std::size_t v) NIBBLE_UNROLLED {
            const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(v * ints::size);
            const ints x = ints::load_unaligned(&sums[lane].whole) + add[v];
            if (columns == Panels * panel_columns)
                x.store_unaligned(c + lane);
            else if (lane < columns)
                store_columns(x, c + lane, columns - lane);
        });
}

// The exact sums as int32 or requantized. Where compensation is the same in all rows, it is added while the sums are written; else they are
// made exact where they are.
template <int Bits>
inline void finish_exact(const gemm_args& args, const compensation<Bits>& compensate, range rows, std::ptrdiff_t panel,
    std::ptrdiff_t panels, integer_sum* sums) noexcept
{
    const std::ptrdiff_t stride = panels * panel_columns;
    const bool by_row = args.groups == 1 && compensate.has_rows();
    alignas(cache_line) std::int32_t of_columns[std::size_t {most_panels * panel_columns}] = {};
    if (args.groups == 1) // none where k is 0
        for_sections<Bits>(
            args, panel, panels, [&](std::ptrdiff_t lane, std::ptrdiff_t, const group_cursor& group, std::size_t in_panel) noexcept {
                const exact_sums<Bits> exact(args, compensate, group, in_panel);
                if (!by_row) {
                    exact.of_column().store_unaligned(of_columns + lane);
                    return;
                }
                integer_sum* at = sums + lane;
                for (std::ptrdiff_t row = rows.begin; row < rows.end; ++row, at += stride)
                    exact(ints::load_unaligned(&at->whole), row_sum_of(args, row)).store_unaligned(&at->whole);
            });
    const std::ptrdiff_t column = panel * panel_columns, columns = columns_left(args, panel, panels);
    const std::ptrdiff_t count = rows.end - rows.begin, at = rows.begin * args.c_stride + column;
    if (args.requantize) {
        requantize_block(*args.requantize, &sums->whole, stride, count, column, columns, static_cast<std::uint8_t*>(args.c) + at,
            args.c_stride, by_row ? nullptr : of_columns);
    } else {
        const auto add = panels == 1 ? add_columns<1> : panels == 2 ? add_columns<2> : add_columns<most_panels>;
        add(sums, of_columns, count, columns, static_cast<std::int32_t*>(args.c) + at, args.c_stride);
    }
}

// The exact sums of one group, scaled, through the epilogue.
template <int Bits>
inline void finish_scaled(const gemm_args& args, const compensation<Bits>& compensate, range rows, std::ptrdiff_t panel,
    std::ptrdiff_t panels, const integer_sum* sums) noexcept
{
    const std::ptrdiff_t stride = panels * panel_columns;
    for_sections<Bits>(
        args, panel, panels, [&](std::ptrdiff_t lane, std::ptrdiff_t column, const group_cursor& group, std::size_t in_panel) noexcept {
            const exact_sums<Bits> exact(args, compensate, group, in_panel);
            const epilogue_columns finish_one(args, column);
            const floats scale = load_scales(args, group.scales, in_panel);
            const floats minimum = args.section.has_minimums ? load_scales(args, group.minimums, in_panel) : floats(0.0f);
            const integer_sum* at = sums + lane;
            for (std::ptrdiff_t row = rows.begin; row < rows.end; ++row, at += stride) {
                const std::int32_t row_sum = row_sum_of(args, row);
                floats x = fused(to_float(exact(ints::load_unaligned(&at->whole), row_sum)), scale, floats(0.0f));
                if (args.section.has_minimums)
                    x = fused(to_float(ints(row_sum)), minimum, x);
                finish_one(x, row);
            }
        });
}

// rows x panels sums, [rows][panels * 16].
template <int Bits, bool Reduced>
inline void finish_integers(const gemm_args& args, range rows, std::ptrdiff_t panel, std::ptrdiff_t panels, integer_sum* sums) noexcept
{
    const compensation<Bits> compensate(args, activation_offset<Reduced>(args.signed_activations));
    if (args.output == gemm_output::s32 || args.requantize)
        finish_exact(args, compensate, rows, panel, panels, sums);
    else if (args.groups == 1)
        finish_scaled(args, compensate, rows, panel, panels, sums);
    else
        finish_floats(args, rows, panel, panels, &sums->real);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
