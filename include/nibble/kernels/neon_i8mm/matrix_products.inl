// Pairs of rows with vmmlaq_s32: (2 rows x 8 k) . (8 k x 2 columns) in one instruction, on the same packed order as all other backends.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// acc[r][v] += the products of `padded` k of 16 columns, from codes of 8 or 4 bits, and of Rows (even) rows at a.
template <int Bits, int Rows, std::size_t Vectors>
inline void accumulate_pairs(words (&acc)[Rows][1][Vectors], const std::byte* codes, const std::int8_t* a, std::ptrdiff_t padded) noexcept
{
    // square[i][v][h]: rows 2i, 2i + 1 and columns 4v + 2h, 4v + 2h + 1 as {row 2i, row 2i, row 2i + 1, row 2i + 1}.
    int32x4_t square[Rows / 2][Vectors][2];
    unroll<Rows / 2>([&](auto i) { unroll<Vectors>([&](auto v) { square[i][v][0] = square[i][v][1] = vdupq_n_s32(0); }); });
    for (std::ptrdiff_t k = 0; k < padded; k += 8, codes += 16 * Bits, a += 8 * Rows) {
        int8x16_t rows[Rows / 2];
        unroll<Rows / 2>([&](auto i) {
            const int32x2_t first = vreinterpret_s32_s8(vld1_s8(a + 8 * i)), second = vreinterpret_s32_s8(vld1_s8(a + 4 * Rows + 8 * i));
            rows[i] = vreinterpretq_s8_s32(vcombine_s32(vzip1_s32(first, second), vzip2_s32(first, second)));
        });
        unroll<Vectors>([&](auto v) {
            weights8 first, second;
            if constexpr (Bits == 8) {
                first = weights8::load(codes + 16 * v);
                second = weights8::load(codes + 64 + 16 * v);
            } else {
                load4(codes + 16 * v, first, second);
            }
            const int32x4_t low = vreinterpretq_s32_s8(first.w), high = vreinterpretq_s32_s8(second.w);
            const int8x16_t left = vreinterpretq_s8_s32(vzip1q_s32(low, high)), right = vreinterpretq_s8_s32(vzip2q_s32(low, high));
            unroll<Rows / 2>([&](auto i) {
                square[i][v][0] = vmmlaq_s32(square[i][v][0], rows[i], left);
                square[i][v][1] = vmmlaq_s32(square[i][v][1], rows[i], right);
            });
        });
    }
    unroll<Rows / 2>([&](auto i) {
        unroll<Vectors>([&](auto v) {
            const int32x4_t left = square[i][v][0], right = square[i][v][1];
            acc[2 * i][0][v] = acc[2 * i][0][v] + words(vcombine_s32(vget_low_s32(left), vget_low_s32(right)));
            acc[2 * i + 1][0][v] = acc[2 * i + 1][0][v] + words(vcombine_s32(vget_high_s32(left), vget_high_s32(right)));
        });
    });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
