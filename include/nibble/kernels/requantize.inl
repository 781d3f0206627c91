// int32 sums to int8 or uint8 codes; quantize/requantize.hpp states the modes.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Lanes p[0 ... count), the rest zero; or p[0] in every lane.
inline words load_columns(const std::int32_t* p, std::ptrdiff_t count, bool each) noexcept
{
    if (!each)
        return words(*p);
    if (count >= width)
        return words::load_unaligned(p);
    std::int32_t lanes[words::size] = {};
    std::memcpy(lanes, p, static_cast<std::size_t>(count) * sizeof *p);
    return words::load_unaligned(lanes);
}
inline floats load_columns(const float* p, std::ptrdiff_t count, bool each) noexcept
{
    if (!each)
        return floats(*p);
    if (count >= width)
        return floats::load_unaligned(p);
    float lanes[floats::size] = {};
    std::memcpy(lanes, p, static_cast<std::size_t>(count) * sizeof *p);
    return floats::load_unaligned(lanes);
}

// x * 2^n, saturated.
inline words shift_left_saturating(words x, words n) noexcept
{
    const words shifted = shift_left_by(x, n);
    return choose(shift_right_by(shifted, n) == x, shifted, shift_right_arithmetic<31>(x) ^ words(0x7fffffff));
}

// x / 2^n, half away from zero.
inline words divide_by_power(words x, words n) noexcept
{
    const words mask = shift_left_by(words(1), n) - words(1);
    const words threshold = shift_right<1>(mask) + shift_right<31>(x);
    return shift_right_by(x, n) - shift_right_arithmetic<31>(threshold - (x & mask));
}

// x * multiplier * 2^(shift - 31) in one of the fixed-point modes.
inline words multiply_fixed(requantize_mode mode, words x, words multiplier, words shift) noexcept
{
    const words none(0), scaled = shift_left_saturating(x, max(shift, none)), right = max(none - shift, none);
    return mode == requantize_mode::single_rounding ? rounded_product(scaled, multiplier, right)
                                                    : divide_by_power(rounded_product(scaled, multiplier, none), right);
}

// `columns` sums of one row, the first for column `column` of the parameters, to codes.
inline void requantize_row(
    const requantize_params& p, const std::int32_t* sums, std::ptrdiff_t column, std::ptrdiff_t columns, std::uint8_t* codes) noexcept
{
    const words zero_point(p.zero_point);
    for (std::ptrdiff_t j = 0; j < columns; j += width) {
        const std::ptrdiff_t count = columns - j < width ? columns - j : width, at = (column + j) * p.step;
        words sum = load_columns(sums + j, count, true);
        if (p.bias)
            sum = sum + load_columns(p.bias + column + j, count, true);
        words code = zero_point;
        if (p.mode == requantize_mode::float_ties_to_even) {
            const floats t = to_float(sum) * load_columns(p.scale + at, count, p.step != 0);
            const std::int32_t before = p.zero_point_first ? p.zero_point : 0, after = p.zero_point - before;
            const floats u = opaque(t) + floats(static_cast<float>(before));
            const floats low(static_cast<float>(p.low - after)), high(static_cast<float>(p.high - after));
            code = round_to_int(min(max(u, low), high)) + words(after);
        } else {
            const words multiplier = load_columns(p.multiplier + at, count, p.step != 0);
            const words product = multiply_fixed(p.mode, sum, multiplier, load_columns(p.shift + at, count, p.step != 0));
            code = min(max(product, words(p.low - p.zero_point)), words(p.high - p.zero_point)) + zero_point;
        }
        if (width == 1 || count == width) { // without the first, GCC 12 warns of the scalar backend's tail, which cannot be
            store_low_bytes(code, codes + j);
        } else {
            std::uint8_t bytes[floats::size];
            store_low_bytes(code, bytes);
            std::memcpy(codes + j, bytes, static_cast<std::size_t>(count));
        }
    }
}

inline void requantize_s32(const requantize_args& args) noexcept
{
    for (std::ptrdiff_t r = args.row_begin; r < args.row_end; ++r)
        requantize_row(args.params, args.x + r * args.x_stride, 0, args.cols, static_cast<std::uint8_t*>(args.q) + r * args.q_stride);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
