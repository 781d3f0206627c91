// Products of packed activations with packed int8 or 4-bit weights, group after group of k:
//   exact int32 sum of the group, minus zero points; then sums = fused(float(sum), scale, sums), or the int32 itself is the output.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// One group of one panel: scales, column sums (8 bits), zero points where there are some, then the codes.
struct group_cursor {
    const std::byte* scales;
    const std::byte* column_sums;
    const std::byte* zero_points;
    const std::byte* codes;
    std::size_t bytes;
};

template <int Bits>
inline group_cursor read_group(const gemm_args& args, const std::byte* p, std::ptrdiff_t padded) noexcept
{
    group_cursor group {};
    group.scales = p;
    const std::byte* at = p + (args.half_scales ? 2 : 4) * panel_columns;
    if constexpr (Bits == 8) {
        group.column_sums = at;
        at += 4 * panel_columns;
    }
    if (args.has_zero_points) {
        group.zero_points = at;
        at += (Bits == 8 ? 4 : 1) * panel_columns;
    }
    group.codes = at;
    group.bytes = static_cast<std::size_t>(at - p) + static_cast<std::size_t>(padded * panel_columns * Bits / 8);
    return group;
}

inline words load_words(const std::byte* p) noexcept
{
    std::int32_t lanes[words::size];
    std::memcpy(lanes, p, sizeof lanes);
    return words::load_unaligned(lanes);
}

template <int Bits>
struct integer_gemm {
    template <int Rows, int Panels>
    struct tile {
        static constexpr std::size_t vectors = panel_columns / width;
        using stored = std::conditional_t<Bits == 8, activation8, std::int8_t>;

        // acc += the products of `padded` k, from codes + p * panel_bytes of each panel p and the block's activations at a.
        static void accumulate(words (&acc)[Rows][Panels][vectors], const std::byte* codes, std::size_t panel_bytes, const stored* a,
            std::ptrdiff_t padded) noexcept
        {
            constexpr std::size_t vector_bytes = words::size * 4;
#if NIBBLE_ISA >= NIBBLE_ISA_NEON_I8MM
            if constexpr (Rows % 2 == 0 && Panels == 1)
                return accumulate_pairs<Bits, Rows, vectors>(acc, codes, a, padded);
#endif
            if constexpr (Bits == 8) {
                for (std::ptrdiff_t k = 0; k < padded; k += 4, codes += 4 * panel_columns, a += 4 * Rows)
                    unroll<Panels>([&](auto p) {
                        unroll<vectors>([&](auto v) {
                            const weights8 w = weights8::load(codes + p * panel_bytes + v * vector_bytes);
                            unroll<Rows>([&](auto r) { acc[r][p][v] = dot8(acc[r][p][v], a + 4 * r, w); });
                        });
                    });
            } else {
                for (std::ptrdiff_t k = 0; k < padded;) {
                    const std::ptrdiff_t stop = padded - k < 4 * chain_quads ? padded : k + 4 * chain_quads;
                    chain4 chain[Rows][Panels][vectors];
                    unroll<Rows>(
                        [&](auto r) { unroll<Panels>([&](auto p) { unroll<vectors>([&](auto v) { chain[r][p][v] = empty_chain(); }); }); });
                    for (; k < stop; k += 8, codes += 4 * panel_columns, a += 8 * Rows)
                        unroll<Panels>([&](auto p) {
                            unroll<vectors>([&](auto v) {
                                weights4 low, high;
                                load4(codes + p * panel_bytes + v * vector_bytes, low, high);
                                unroll<Rows>([&](auto r) {
                                    chain[r][p][v] = dot4(chain[r][p][v], a + 4 * r, low);
                                    chain[r][p][v] = dot4(chain[r][p][v], a + 4 * Rows + 4 * r, high);
                                });
                            });
                        });
                    unroll<Rows>([&](auto r) {
                        unroll<Panels>(
                            [&](auto p) { unroll<vectors>([&](auto v) { acc[r][p][v] = acc[r][p][v] + chain_sum(chain[r][p][v]); }); });
                    });
                }
            }
        }

        static void run(const gemm_args& args, std::ptrdiff_t row, std::ptrdiff_t panel) noexcept
        {
            const stored* a = reinterpret_cast<const stored*>(args.a) + row * args.padded_k;
            const std::byte* w = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes;
            float sums[Rows][Panels * panel_columns] = {};
            std::int32_t exact[Rows][Panels * panel_columns];
            // What the stored activations lack: zero_point and the offset, as a multiple of a column's sum of weights. For 4-bit weights
            // uint8 activations are stored minus 128, int8 ones as they are.
            const std::int32_t shift = (Bits == 8 ? activation_offset(args.signed_activations) : 0) - args.zero_point;
            for (std::ptrdiff_t g = 0; g < args.groups; ++g) {
                const std::ptrdiff_t begin = g * args.group_size,
                                     length = args.k - begin < args.group_size ? args.k - begin : args.group_size;
                const std::ptrdiff_t padded = (length + 7) / 8 * 8;
                words acc[Rows][Panels][vectors];
                unroll<Rows>([&](auto r) { unroll<Panels>([&](auto p) { unroll<vectors>([&](auto v) { acc[r][p][v] = words(0); }); }); });
                const group_cursor first = read_group<Bits>(args, w, padded);
                accumulate(acc, first.codes, args.panel_bytes, a, padded);
                for (int p = 0; p < Panels; ++p) {
                    const group_cursor group = read_group<Bits>(args, w + static_cast<std::size_t>(p) * args.panel_bytes, padded);
                    for (std::size_t v = 0; v < vectors; ++v) {
                        const std::size_t lane = v * words::size;
                        const floats scale
                            = args.half_scales ? load_half(group.scales + 2 * lane) : as_floats(load_words(group.scales + 4 * lane));
                        for (int r = 0; r < Rows; ++r) {
                            const words row_sum(args.group_sums[(row + r) * args.groups + g]);
                            words sum = acc[r][p][v];
                            if constexpr (Bits == 8) {
                                if (shift != 0)
                                    sum = sum + words(shift) * load_words(group.column_sums + 4 * lane);
                                if (args.has_zero_points)
                                    sum = sum - load_words(group.zero_points + 4 * lane) * row_sum;
                            } else {
                                sum = sum - (args.has_zero_points ? load_u8(group.zero_points + lane) : words(8)) * row_sum;
                            }
                            const std::size_t at = static_cast<std::size_t>(p) * panel_columns + lane;
                            if (args.output == gemm_output::s32 || args.requantize)
                                sum.store_unaligned(exact[r] + at);
                            else
                                fused(to_float(sum), scale, floats::load_unaligned(sums[r] + at)).store_unaligned(sums[r] + at);
                        }
                    }
                }
                a += padded * Rows;
                w += first.bytes;
            }
            const std::ptrdiff_t column = panel * panel_columns, left = args.n - column;
            const std::ptrdiff_t columns = left < Panels * panel_columns ? left : Panels * panel_columns;
            for (int r = 0; r < Rows; ++r) {
                if (args.requantize)
                    requantize_row(*args.requantize, exact[r], column, columns,
                        static_cast<std::uint8_t*>(args.c) + (row + r) * args.c_stride + column);
                else if (args.output == gemm_output::s32)
                    std::memcpy(static_cast<std::int32_t*>(args.c) + (row + r) * args.c_stride + column, exact[r],
                        static_cast<std::size_t>(columns) * sizeof(std::int32_t));
                else
                    finish_row(args, sums[r], row + r, column, columns);
            }
        }
    };
};

inline void gemm_w8(const gemm_args& args) noexcept { for_each_tile<integer_gemm<8>::tile>(args); }
inline void gemm_w4(const gemm_args& args) noexcept { for_each_tile<integer_gemm<4>::tile>(args); }

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
