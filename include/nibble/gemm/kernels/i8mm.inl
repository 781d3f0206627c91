// Pairs of rows with vmmlaq_s32: (2 rows x 8 k) . (8 k x 2 columns) in one instruction, on the same packed order as all other backends.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// acc[r][0][v] += the products of `padded` k of 16 columns, from codes of 8 or 4 bits, and of Rows (even) rows at a, which move on.
template <int Bits, int Rows>
inline void accumulate_pairs(ints (&acc)[std::size_t {Rows}][1][panel_vectors], const std::byte* codes, row_cursor<std::int8_t, Rows>& a,
    std::ptrdiff_t padded) noexcept
{
    // square[i][v][h]: rows 2i, 2i + 1 and columns 4v + 2h, 4v + 2h + 1 as {row 2i, row 2i, row 2i + 1, row 2i + 1}.
    int32x4_t square[std::size_t {Rows / 2}][panel_vectors][2];
    unroll_grid<Rows / 2, panel_vectors>(
        [&](std::size_t i, std::size_t v) NIBBLE_UNROLLED { square[i][v][0] = square[i][v][1] = vdupq_n_s32(0); });
    for (; padded != 0; padded -= 8, codes += 16 * Bits, a.advance(8)) {
        int8x16_t rows[std::size_t {Rows / 2}];
        unroll<Rows / 2>([&](std::size_t i) NIBBLE_UNROLLED { rows[i] = vcombine_s8(vld1_s8(a[2 * i]), vld1_s8(a[2 * i + 1])); });
        unroll<panel_vectors>([&](std::size_t v) NIBBLE_UNROLLED {
            int8x16_t first, second;
            if constexpr (Bits == 8) {
                first = load8(codes + 16 * v);
                second = load8(codes + 64 + 16 * v);
            } else {
                load4(codes + 16 * v, first, second);
            }
            const int32x4_t low = vreinterpretq_s32_s8(first), high = vreinterpretq_s32_s8(second);
            const int8x16_t left = vreinterpretq_s8_s32(vzip1q_s32(low, high)), right = vreinterpretq_s8_s32(vzip2q_s32(low, high));
            unroll<Rows / 2>([&](std::size_t i) NIBBLE_UNROLLED {
                square[i][v][0] = vmmlaq_s32(square[i][v][0], rows[i], left);
                square[i][v][1] = vmmlaq_s32(square[i][v][1], rows[i], right);
            });
        });
    }
    unroll_grid<Rows / 2, panel_vectors>([&](std::size_t i, std::size_t v) NIBBLE_UNROLLED {
        const int32x4_t left = square[i][v][0], right = square[i][v][1];
        acc[2 * i][0][v] = acc[2 * i][0][v] + ints(vcombine_s32(vget_low_s32(left), vget_low_s32(right)));
        acc[2 * i + 1][0][v] = acc[2 * i + 1][0][v] + ints(vcombine_s32(vget_high_s32(left), vget_high_s32(right)));
    });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
