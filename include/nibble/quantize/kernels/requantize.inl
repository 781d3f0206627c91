// int32 sums to int8 or uint8 codes; quantize/requantize.hpp states the modes.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "requantize.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Lanes p[0 ... count), the rest zero; or p[0] in every lane.
inline ints load_columns(const std::int32_t* p, std::ptrdiff_t count, bool each) noexcept
{
    return !each ? ints(*p) : count >= width ? ints::load_unaligned(p) : load_part(p, count);
}
inline floats load_columns(const float* p, std::ptrdiff_t count, bool each) noexcept
{
    return !each ? floats(*p) : count >= width ? floats::load_unaligned(p) : load_part(p, count);
}

inline void store_columns(ints v, std::int32_t* p, std::ptrdiff_t count) noexcept
{
    if (count >= width)
        v.store_unaligned(p);
    else
        store_part(v, p, count);
}

// x * 2^n, saturated; n in [0, 31]. Bits are lost exactly where shifting back does not give x again.
inline ints shift_left_saturating(ints x, ints n) noexcept
{
    const ints shifted = shift_left_by(x, n);
    return select(shift_right_by(shifted, n) == x, shifted, shift_right_arithmetic<31>(x) ^ ints(INT32_MAX));
}

// x / 2^n, half away from zero; n in [0, 31], by gemmlowp's RoundingDivideByPOT: floor division, and one more if what was shifted out is
// above half, or is half and x is not negative.
inline ints divide_by_power(ints x, ints n) noexcept
{
    const ints mask = shift_left_by(ints(1), n) - ints(1);
    const ints threshold = shift_right<1>(mask) + shift_right<31>(x);
    return shift_right_by(x, n) - shift_right_arithmetic<31>(threshold - (x & mask));
}

// x * multiplier * 2^(shift - 31) in one of the fixed-point modes.
inline ints multiply_fixed(requantize_mode mode, ints x, ints multiplier, ints shift) noexcept
{
    const ints none(0), scaled = shift_left_saturating(x, max(shift, none)), right = max(none - shift, none);
    return mode == requantize_mode::single_rounding ? rounded_product(scaled, multiplier, right)
                                                    : divide_by_power(rounded_high_product(scaled, multiplier), right);
}

// What multiply_fixed gives with two roundings where every shift is below zero, in fewer instructions. For n = -shift >= 1 half away from
// zero is (x' / 2^(n - 1) + 1) / 2 with floor divisions, x' = x less 1 if it is negative; n - 1 is the complement of shift. Nothing
// overflows, since a rounded product of two numbers, not both the least int32, is above the least int32.
inline ints multiply_and_shift_right(ints x, ints multiplier, ints shift) noexcept
{
    const ints product = rounded_high_product(x, multiplier), below = product + shift_right_arithmetic<31>(product);
    return shift_right_arithmetic<1>(shift_right_by(below, shift ^ ints(-1)) + ints(1));
}

template <std::size_t Vectors>
inline void store_lanes(const ints (&v)[Vectors], std::uint8_t* codes) noexcept
{
    if constexpr (Vectors == chunk_vectors)
        store_codes<8>(v, codes);
    else
        unroll<Vectors>([&](std::size_t i) NIBBLE_UNROLLED { store_low_bytes(v[i], codes + static_cast<std::ptrdiff_t>(i) * width); });
}
template <std::size_t Vectors>
inline void store_lanes(const ints (&v)[Vectors], std::int16_t* codes) noexcept
{
    unroll<Vectors>([&](std::size_t i) NIBBLE_UNROLLED { store_low_shorts(v[i], codes + static_cast<std::ptrdiff_t>(i) * width); });
}

// A vector of columns: what they share over all rows is loaded once. Bounds have the zero point taken off, so that it is added last and the
// clamp stands between two operations that cannot overflow. The float mode clamps before it converts: both bounds are integers, and what
// int32 does not hold would convert differently from CPU to CPU. Constructors are written out: see CONTRIBUTING's rules for kernel files.
template <requantize_mode Mode>
class requantizer {
public:
    NIBBLE_INLINE requantizer() noexcept
        : bias_(0), multiplier_(0), shift_(0), low_(0), high_(0), zero_point_(0), scale_(0.0f), before_(0.0f)
    {
    }
    // also: a whole vector that adds to the biases, or null.
    NIBBLE_INLINE requantizer(const requantize_params& p, std::ptrdiff_t column, std::ptrdiff_t count, const std::int32_t* also) noexcept
        : bias_(0), multiplier_(0), shift_(0), low_(p.low - p.zero_point), high_(p.high - p.zero_point), zero_point_(p.zero_point),
          scale_(0.0f), before_(0.0f)
    {
        const std::ptrdiff_t at = column * p.stride;
        if (p.bias)
            bias_ = load_columns(p.bias + column, count, true);
        if (also)
            bias_ = bias_ + ints::load_unaligned(also);
        if constexpr (Mode == requantize_mode::float_ties_to_even) {
            scale_ = load_columns(p.scale + at, count, p.stride != 0);
            if (p.zero_point_first) {
                low_ = ints(p.low);
                high_ = ints(p.high);
                zero_point_ = ints(0);
                before_ = floats(static_cast<float>(p.zero_point));
            }
        } else {
            multiplier_ = load_columns(p.multiplier + at, count, p.stride != 0);
            shift_ = load_columns(p.shift + at, count, p.stride != 0);
            only_right_ = Mode == requantize_mode::double_rounding && highest_lane(shift_) < 0;
        }
    }
    NIBBLE_INLINE ints operator()(ints sum) const noexcept
    {
        sum = sum + bias_;
        if constexpr (Mode == requantize_mode::float_ties_to_even) {
            const floats t = to_float(sum) * scale_, u = opaque(t) + before_;
            return round_to_int(min(max(u, to_float(low_)), to_float(high_))) + zero_point_;
        } else {
            const ints product
                = only_right_ ? multiply_and_shift_right(sum, multiplier_, shift_) : multiply_fixed(Mode, sum, multiplier_, shift_);
            return min(max(product, low_), high_) + zero_point_;
        }
    }

private:
    ints bias_, multiplier_, shift_, low_, high_, zero_point_;
    floats scale_, before_;
    bool only_right_ = false;
};

// rows x Vectors * width sums, row by row: the columns' parameters stay in registers.
template <std::size_t Vectors, requantize_mode Mode, class Q>
inline void requantize_vectors(const requantize_params& p, const std::int32_t* sums, std::ptrdiff_t sums_stride, std::ptrdiff_t rows,
    std::ptrdiff_t column, Q* codes, std::ptrdiff_t codes_stride, const std::int32_t* also) noexcept
{
    requantizer<Mode> to_code[Vectors];
    unroll<Vectors>([&](std::size_t i) NIBBLE_UNROLLED {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(i) * width;
        to_code[i] = requantizer<Mode>(p, column + at, width, also ? also + at : nullptr);
    });
    for (std::ptrdiff_t r = 0; r < rows; ++r, sums += sums_stride, codes += codes_stride) {
        ints v[Vectors];
        unroll<Vectors>(
            [&](std::size_t i) NIBBLE_UNROLLED { v[i] = to_code[i](ints::load_unaligned(sums + static_cast<std::ptrdiff_t>(i) * width)); });
        store_lanes(v, codes);
    }
}

// The parameters by value: codes that are bytes might alias them.
template <requantize_mode Mode, class Q>
inline void requantize_in(const requantize_params p, const std::int32_t* sums, std::ptrdiff_t sums_stride, std::ptrdiff_t rows,
    std::ptrdiff_t column, std::ptrdiff_t columns, Q* codes, std::ptrdiff_t codes_stride, const std::int32_t* also) noexcept
{
    const auto also_at = [&](std::ptrdiff_t j) { return also ? also + j : nullptr; };
    std::ptrdiff_t j = 0;
    if constexpr (width > 1) // whole lines of memory at once, where rows are far apart
        for (; columns - j >= chunk; j += chunk)
            requantize_vectors<chunk_vectors, Mode>(p, sums + j, sums_stride, rows, column + j, codes + j, codes_stride, also_at(j));
    for (; columns - j >= width; j += width)
        requantize_vectors<1, Mode>(p, sums + j, sums_stride, rows, column + j, codes + j, codes_stride, also_at(j));
    if (width > 1 && j < columns) {
        const std::ptrdiff_t count = columns - j;
        const requantizer<Mode> to_code(p, column + j, count, also_at(j));
        for (std::ptrdiff_t r = 0; r < rows; ++r)
            store_codes_part(to_code(load_part(sums + r * sums_stride + j, count)), codes + r * codes_stride + j, count);
    }
}

// rows x columns sums to codes of 8 or 16 bits; the first column is `column` of the parameters. also: more biases, as whole vectors.
template <class Q>
inline void requantize_block(const requantize_params& p, const std::int32_t* sums, std::ptrdiff_t sums_stride, std::ptrdiff_t rows,
    std::ptrdiff_t column, std::ptrdiff_t columns, Q* codes, std::ptrdiff_t codes_stride, const std::int32_t* also = nullptr) noexcept
{
    const auto run = p.mode == requantize_mode::float_ties_to_even ? requantize_in<requantize_mode::float_ties_to_even, Q>
                     : p.mode == requantize_mode::double_rounding  ? requantize_in<requantize_mode::double_rounding, Q>
                                                                   : requantize_in<requantize_mode::single_rounding, Q>;
    run(p, sums, sums_stride, rows, column, columns, codes, codes_stride, also);
}

template <class Lazy>
inline void requantize_s32(const requantize_args& args) noexcept
{
    requantize_block(args.params, args.x + args.row_begin * args.x_stride, args.x_stride, args.row_end - args.row_begin, 0, args.cols,
        static_cast<std::uint8_t*>(args.q) + args.row_begin * args.q_stride, args.q_stride);
}

// int16 activations are multiplied as a signed and an unsigned byte (tflite/conv_product.hpp): their sum is 256 high + low, or low alone.
inline std::int64_t sum_16x8(const requantize_16x8_args& args, std::ptrdiff_t r, std::ptrdiff_t j) noexcept
{
    const std::ptrdiff_t at = r * args.stride + j;
    return args.low[at] + (args.high ? std::int64_t {256} * args.high[at] : 0);
}

// Sums with biases of int32, saturated, then as any other int32.
template <class Lazy>
inline void requantize_16x8_narrow(const requantize_16x8_args& args) noexcept
{
    constexpr std::ptrdiff_t block = 64;
    requantize_params p = *args.params.narrow;
    const std::int32_t* const bias = p.bias;
    p.bias = nullptr; // is in the sums
    for (std::ptrdiff_t r = 0; r < args.rows; ++r)
        for (std::ptrdiff_t j = 0; j < args.columns; j += block) {
            const std::ptrdiff_t count = smaller(args.columns - j, block), column = args.column + j;
            std::int32_t sums[block];
            for (std::ptrdiff_t i = 0; i < count; ++i) {
                const std::int64_t sum = sum_16x8(args, r, j + i) + (bias ? bias[column + i] : 0);
                sums[i] = static_cast<std::int32_t>(clamped(sum, INT32_MIN, INT32_MAX));
            }
            requantize_block(p, sums, 0, 1, column, count, args.y + r * args.y_stride + j, 0);
        }
}

// TFLite's 16x8: with the upper 16 bits of the multiplier, rounded, and one rounding, half up. Sums have at most 48 bits and the multiplier
// 15, so that products fit 64. A plain loop: AVX2 and NEON have no products of 64 bits.
template <class Lazy>
inline void requantize_16x8(const requantize_16x8_args& args) noexcept
{
    if (args.params.narrow)
        return requantize_16x8_narrow<Lazy>(args);
    const requantize_16x8_params p = args.params;
    for (std::ptrdiff_t r = 0; r < args.rows; ++r)
        for (std::ptrdiff_t j = 0; j < args.columns; ++j) {
            const std::ptrdiff_t column = args.column + j;
            const std::int64_t sum = sum_16x8(args, r, j) + (p.bias ? p.bias[column] : 0);
            const std::int32_t multiplier = p.multiplier[column * p.stride], down = 15 - p.shift[column * p.stride];
            const std::int64_t reduced = multiplier < 0x7fff0000 ? (multiplier + (1 << 15)) >> 16 : 0x7fff;
            const std::int64_t q = (sum * reduced + (std::int64_t {1} << (down - 1))) >> down;
            args.y[r * args.y_stride + j] = static_cast<std::int16_t>(clamped(q, p.low, p.high));
        }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
