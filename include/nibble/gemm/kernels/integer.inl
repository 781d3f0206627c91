// Products of packed activations with packed int8 or 4-bit weights. With one scale a column the exact int32 sum over all of k is kept until
// the end. With groups of k, each group's exact sum s, less zero points, is added as sums = fused(float(s), scale, sums). With minimums,
// what they are worth follows: sums = fused(float(sum of the group's activations), minimum, sums).
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "integer.hpp"
#if NIBBLE_ISA == NIBBLE_ISA_NEON_I8MM
#include "i8mm.inl"
#endif

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Reduced: activations of 7 bits, multiplied as bytes, see reduced_range.inl.
template <int Bits, bool Reduced = false>
struct integer_product {
    using stored = std::conditional_t<Reduced, activation7, std::conditional_t<Bits == 8, activation8, std::int8_t>>;
    union sum {
        float real;
        std::int32_t whole;
    };
    // As many as the registers hold sums of; a chain of 4-bit products needs a second register for each.
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

    // In groups, or in k if there is one group.
    static std::ptrdiff_t extent(const gemm_args& args) noexcept { return args.groups > 1 ? args.groups : args.padded_k; }
    static std::ptrdiff_t block(const gemm_args& args) noexcept
    {
        constexpr std::ptrdiff_t most = NIBBLE_ISA >= NIBBLE_ISA_AVX512 && NIBBLE_ISA < NIBBLE_ISA_NEON ? 512 : 1024;
        return args.groups == 1 ? most : args.group_size < most ? most / args.group_size : 1;
    }

    static std::size_t offset(const gemm_args& args, std::ptrdiff_t k) noexcept
    {
        if (args.groups == 1)
            return static_cast<std::size_t>(section_layout::code_bytes(Bits, k));
        return static_cast<std::size_t>(
            k * (section_of<Bits>(args).codes + section_layout::code_bytes(Bits, padded_codes(args.group_size))));
    }

    template <int Rows, int Panels>
    using accumulators = ints[std::size_t {Rows}][std::size_t {Panels}][panel_vectors];

    static constexpr bool expands = false;
    static constexpr std::size_t expanded_bytes = 0;
    struct plan : std::conditional_t<Reduced, block_plan, no_plan> {
        template <int Panels>
        void make(const gemm_args& args, weight_block w, range k) noexcept
        {
            if constexpr (Reduced)
                if (args.groups == 1)
                    this->template find<Panels>(read_group<Bits>(args, w.at).codes, w.panel_bytes, k.end - k.begin);
        }
    };

    // Of `padded` k of each panel, where the weights have none.
    template <int Panels>
    static void sum_columns(weight_block codes, std::ptrdiff_t padded, std::int32_t* sums) noexcept
    {
        activation8 ones[4];
        for (activation8& one : ones)
            one = 1;
        for (int p = 0; p < Panels; ++p)
            for (std::size_t v = 0; v < panel_vectors; ++v) {
                ints sum(static_cast<std::int32_t>(-weight_offset8 * padded));
                for (std::ptrdiff_t k = 0; k < padded; k += 4) {
                    const auto w
                        = load8(codes.at + static_cast<std::size_t>(p) * codes.panel_bytes + k * panel_columns + v * (ints::size * 4));
                    unroll<quad_parts>([&](auto part) NIBBLE_UNROLLED {
                        constexpr std::size_t half = decltype(part)::value;
                        sum = dot8(sum, spread8<half>(ones), part8<half>(w));
                    });
                }
                sum.store_unaligned(sums + p * panel_columns + v * ints::size);
            }
    }

    // acc += the products of `padded` k, from codes + p * panel_bytes of each panel p and the activations at a, which move on.
    template <int Rows, int Panels, bool OneGroup>
    NIBBLE_INLINE static void accumulate(accumulators<Rows, Panels>& acc, const std::byte* codes, std::size_t panel_bytes,
        row_cursor<stored, Rows>& a, std::ptrdiff_t padded, [[maybe_unused]] const plan& allowed, std::size_t ahead) noexcept
    {
        constexpr std::size_t vector_bytes = ints::size * 4;
#if NIBBLE_ISA >= NIBBLE_ISA_NEON_I8MM
        if constexpr (Rows % 2 == 0 && Panels == 1)
            return accumulate_pairs<Bits, Rows>(acc, codes, a, padded);
#endif
        if constexpr (Reduced) {
            allowed.template accumulate<Rows, Panels>(acc, codes, panel_bytes, a, padded, ahead);
            a.advance(padded);
        } else if constexpr (Bits == 8) {
            for (const std::byte* end = codes + padded * panel_columns; codes != end; codes += 4 * panel_columns, a.advance(4)) {
                unroll<Panels>([&](std::size_t p) NIBBLE_UNROLLED { fetch_ahead(codes + p * panel_bytes, ahead); });
                decltype(load8(codes)) w[std::size_t {Panels}][panel_vectors];
                unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                    const std::byte* const at = codes + p * panel_bytes + v * vector_bytes;
                    w[p][v] = OneGroup ? load8_of_group(at, Rows > 1) : load8(at);
                });
                unroll<quad_parts>([&](auto part) NIBBLE_UNROLLED {
                    decltype(part8<0>(w[0][0])) weights[std::size_t {Panels}][panel_vectors];
                    unroll_grid<Panels, panel_vectors>(
                        [&](std::size_t p, std::size_t v) NIBBLE_UNROLLED { weights[p][v] = part8<decltype(part)::value>(w[p][v]); });
                    unroll<Rows>([&](std::size_t r) NIBBLE_UNROLLED {
                        const auto x = spread8<decltype(part)::value>(a[r]);
                        unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                            acc[r][p][v] = OneGroup ? dot8_of_group(acc[r][p][v], x, weights[p][v]) : dot8(acc[r][p][v], x, weights[p][v]);
                        });
                    });
                });
            }
        } else {
            const auto step = [&](chain4(&chain)[std::size_t {Rows}][std::size_t {Panels}][panel_vectors]) NIBBLE_UNROLLED {
                unroll<Panels>([&](std::size_t p) NIBBLE_UNROLLED { fetch_ahead(codes + p * panel_bytes, ahead); });
                weights4 low[std::size_t {Panels}][panel_vectors], high[std::size_t {Panels}][panel_vectors];
                unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                    load4(codes + p * panel_bytes + v * vector_bytes, low[p][v], high[p][v]);
                });
                unroll<Rows>([&](std::size_t r) NIBBLE_UNROLLED {
                    const auto first = spread_quad(a[r]), second = spread_quad(a[r] + 4);
                    unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                        chain[r][p][v] = dot4(dot4(chain[r][p][v], first, low[p][v]), second, high[p][v]);
                    });
                });
                codes += 4 * panel_columns;
                a.advance(8);
            };
            while (padded != 0) {
                chain4 chain[std::size_t {Rows}][std::size_t {Panels}][panel_vectors];
                unroll_grid<Rows, Panels>([&](std::size_t r, std::size_t p) NIBBLE_UNROLLED {
                    unroll<panel_vectors>([&](std::size_t v) NIBBLE_UNROLLED { chain[r][p][v] = begin_chain(acc[r][p][v]); });
                });
                if (padded >= 4 * chain_quads) {
                    padded -= 4 * chain_quads;
                    unroll<chain_quads / 2>([&](std::size_t) NIBBLE_UNROLLED { step(chain); });
                } else {
                    for (; padded != 0; padded -= 8)
                        step(chain);
                }
                unroll_grid<Rows, Panels>([&](std::size_t r, std::size_t p) NIBBLE_UNROLLED {
                    unroll<panel_vectors>([&](std::size_t v) NIBBLE_UNROLLED { acc[r][p][v] = end_chain(acc[r][p][v], chain[r][p][v]); });
                });
            }
        }
    }

    template <int Rows, int Panels>
    static void tile(
        const gemm_args& args, std::ptrdiff_t row, weight_block w, range k, const plan& allowed, sum* sums, std::size_t ahead) noexcept
    {
        const std::ptrdiff_t stride = packed_stride<stored>(args), padded_group = padded_codes(args.group_size);
        row_cursor<stored, Rows> a(
            reinterpret_cast<const stored*>(args.a) + row * stride + k.begin * (args.groups > 1 ? padded_group : 1), stride);
        accumulators<Rows, Panels> acc;
        const auto each = [&](auto step) NIBBLE_UNROLLED {
            unroll_grid<Rows, Panels>([&](std::size_t r, std::size_t p) NIBBLE_UNROLLED {
                unroll<panel_vectors>([&](std::size_t v) NIBBLE_UNROLLED {
                    step(acc[r][p][v], r, p, v, sums + (r * Panels + p) * std::size_t {panel_columns} + v * ints::size);
                });
            });
        };
        if (args.groups == 1) {
            if (k.begin == 0)
                each([&](ints& x, std::size_t, std::size_t, std::size_t, const sum*) NIBBLE_UNROLLED { x = ints(0); });
            else
                each([&](ints& x, std::size_t, std::size_t, std::size_t, const sum* at)
                         NIBBLE_UNROLLED { x = ints::load_unaligned(&at->whole); });
            accumulate<Rows, Panels, true>(acc, read_group<Bits>(args, w.at).codes, w.panel_bytes, a, k.end - k.begin, allowed, ahead);
            each([&](ints& x, std::size_t, std::size_t, std::size_t, sum* at) NIBBLE_UNROLLED { x.store_unaligned(&at->whole); });
            return;
        }
        if (k.begin == 0)
            each([&](ints&, std::size_t, std::size_t, std::size_t, sum* at) NIBBLE_UNROLLED { floats(0.0f).store_unaligned(&at->real); });
        const compensation<Bits> compensate(args, activation_offset<Reduced>(args.signed_activations));
        const std::ptrdiff_t head = section_of<Bits>(args).codes;
        for (std::ptrdiff_t g = k.begin; g < k.end; ++g) {
            const std::ptrdiff_t begin = g * args.group_size, length = args.k - begin < args.group_size ? args.k - begin : args.group_size;
            const std::ptrdiff_t padded = padded_codes(length);
            const std::int32_t* const row_sums = args.group_sums + g * args.rows + row;
            unroll<Rows>([&](std::size_t r) NIBBLE_UNROLLED {
                const ints from_row = compensate.of_row(row_sums[r], length);
                unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED { acc[r][p][v] = from_row; });
            });
            unroll<Panels>([&](std::size_t p) NIBBLE_UNROLLED { fetch_ahead(w.at + p * w.panel_bytes, ahead); });
            accumulate<Rows, Panels, false>(acc, w.at + head, w.panel_bytes, a, padded, allowed, ahead);
            if (compensate.has_columns()) {
                [[maybe_unused]] std::int32_t sums_of[std::size_t {Panels * panel_columns}];
                if (Bits == 8 && args.section.without_sums)
                    sum_columns<Panels>({w.at + head, w.panel_bytes}, padded, sums_of);
                each([&](ints& x, std::size_t r, std::size_t p, std::size_t v, const sum*) NIBBLE_UNROLLED {
                    group_cursor group = read_group<Bits>(args, w.at + p * w.panel_bytes);
                    if (Bits == 8 && args.section.without_sums)
                        group.column_sums = reinterpret_cast<const std::byte*>(sums_of + p * std::size_t {panel_columns});
                    x = x + compensate.of_column(group, v * ints::size);
                    if (compensate.zero_points)
                        x = x - compensate.zero_points_of(group, v * ints::size) * ints(row_sums[r]);
                });
            }
            // Kept in memory: in registers there is no room for them and a tile.
            __asm__ volatile("" : : : "memory");
            floats scale[std::size_t {Panels}][panel_vectors];
            unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                scale[p][v] = load_scales(args, w.at + p * w.panel_bytes, v * ints::size);
            });
            each([&](const ints& x, std::size_t, std::size_t p, std::size_t v, sum* at)
                     NIBBLE_UNROLLED { fused(to_float(x), scale[p][v], floats::load_unaligned(&at->real)).store_unaligned(&at->real); });
            if (args.section.has_minimums) {
                each([&](const ints&, std::size_t r, std::size_t p, std::size_t v, sum* at) NIBBLE_UNROLLED {
                    const floats minimum = load_scales(args, read_group<Bits>(args, w.at + p * w.panel_bytes).minimums, v * ints::size);
                    fused(to_float(ints(row_sums[r])), minimum, floats::load_unaligned(&at->real)).store_unaligned(&at->real);
                });
            }
            w.at += head + section_layout::code_bytes(Bits, padded);
        }
    }

    // c = sums + of_columns, where the compensation is the same in all rows.
    template <int Panels>
    static void add_columns(const std::int32_t* sums, const std::int32_t* of_columns, std::ptrdiff_t rows, std::ptrdiff_t columns,
        std::int32_t* c, std::ptrdiff_t c_stride) noexcept
    {
        constexpr std::size_t vectors = Panels * panel_vectors;
        const bool all = columns == Panels * panel_columns;
        ints add[vectors];
        unroll<vectors>([&](std::size_t v) NIBBLE_UNROLLED { add[v] = ints::load_unaligned(of_columns + v * ints::size); });
        for (; rows > 0; --rows, sums += Panels * panel_columns, c += c_stride)
            unroll<vectors>([&](std::size_t v) NIBBLE_UNROLLED {
                const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(v * ints::size);
                const ints x = ints::load_unaligned(sums + lane) + add[v];
                if (all)
                    x.store_unaligned(c + lane);
                else if (lane < columns)
                    store_columns(x, c + lane, columns - lane);
            });
    }

    template <int Panels>
    static void finish(const gemm_args& args, range rows, std::ptrdiff_t panel, sum* sums) noexcept
    {
        constexpr std::ptrdiff_t stride = Panels * panel_columns;
        const compensation<Bits> compensate(args, activation_offset<Reduced>(args.signed_activations));
        const bool one_group = args.groups == 1, whole = args.output == gemm_output::s32 || args.requantize;
        // Then the compensation is the same in all rows, and is added while the sums are written.
        const bool by_column = whole && one_group && !compensate.has_rows();
        alignas(64) std::int32_t of_columns[std::size_t {stride}] = {};
        for_columns<Panels>(args, panel, [&](std::ptrdiff_t lane, std::ptrdiff_t column) noexcept {
            const std::byte* const w = args.panels + static_cast<std::size_t>(panel + lane / panel_columns) * args.panel_bytes;
            const std::size_t in_panel = static_cast<std::size_t>(lane % panel_columns);
            const group_cursor group = read_group<Bits>(args, w);
            const ints column_part = one_group ? compensate.of_column(group, in_panel) : ints(0);
            if (by_column) {
                column_part.store_unaligned(of_columns + lane);
                return;
            }
            const epilogue_columns finish_one(args, column);
            const floats scale = one_group ? load_scales(args, group.scales, in_panel) : floats(1.0f);
            for (std::ptrdiff_t row = rows.begin; row < rows.end; ++row) {
                sum* const at = sums + (row - rows.begin) * stride + lane;
                if (!one_group && !whole) {
                    finish_one(floats::load_unaligned(&at->real), row);
                    continue;
                }
                ints x = ints::load_unaligned(&at->whole) + column_part;
                const std::int32_t row_sum = one_group && args.group_sums ? args.group_sums[row] : 0;
                if (one_group && compensate.has_rows())
                    x = x + compensate.of_row(row_sum, args.k);
                if (one_group && compensate.zero_points)
                    x = x - compensate.zero_points_of(group, in_panel) * ints(row_sum);
                if (args.requantize)
                    x.store_unaligned(&at->whole);
                else if (whole)
                    store_columns(x, static_cast<std::int32_t*>(args.c) + row * args.c_stride + column, args.n - column);
                else if (args.section.has_minimums)
                    finish_one(fused(to_float(ints(row_sum)), load_scales(args, group.minimums, in_panel),
                                   fused(to_float(x), scale, floats(0.0f))),
                        row);
                else
                    finish_one(fused(to_float(x), scale, floats(0.0f)), row);
            }
        });
        if (!by_column && !args.requantize)
            return;
        const std::ptrdiff_t column = panel * panel_columns, columns = columns_left(args, panel, Panels);
        const std::ptrdiff_t count = rows.end - rows.begin, at = rows.begin * args.c_stride + column;
        if (args.requantize)
            requantize_block(*args.requantize, &sums->whole, stride, count, column, columns, static_cast<std::uint8_t*>(args.c) + at,
                args.c_stride, by_column ? of_columns : nullptr);
        else
            add_columns<Panels>(&sums->whole, of_columns, count, columns, static_cast<std::int32_t*>(args.c) + at, args.c_stride);
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
