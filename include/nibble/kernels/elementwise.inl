// Sums and products of two int8 tensors, requantized.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Lanes p[0 ... count), the rest zero.
inline words load_some_s8(const std::int8_t* p, std::ptrdiff_t count) noexcept
{
    if (count >= width)
        return load_s8(p);
    std::int8_t lanes[words::size] = {};
    for (std::ptrdiff_t i = 0; i < count; ++i)
        lanes[i] = p[i];
    return load_s8(lanes);
}

// sum(a, b) of codes less their zero points, to codes.
template <class Sum>
inline void for_elements(const elementwise_args& args, Sum sum) noexcept
{
    constexpr std::ptrdiff_t block = 64;
    const words a_zero_point(args.a_zero_point), b_zero_point(args.b_zero_point);
    for (std::ptrdiff_t i = args.begin; i < args.end; i += block) {
        const std::ptrdiff_t count = args.end - i < block ? args.end - i : block;
        std::int32_t sums[block];
        for (std::ptrdiff_t j = 0; j < count; j += width) {
            const words a = load_some_s8(args.a + i + j, count - j) - a_zero_point;
            const words b = load_some_s8(args.b + i + j, count - j) - b_zero_point;
            sum(a, b).store_unaligned(sums + j);
        }
        requantize_block(args.requantize, sums, 0, 1, 0, count, reinterpret_cast<std::uint8_t*>(args.y + i), 0);
    }
}

inline void add_s8(const elementwise_args& args) noexcept
{
    const words a_multiplier(args.a_multiplier), a_shift(args.a_shift), b_multiplier(args.b_multiplier), b_shift(args.b_shift);
    const requantize_mode mode = args.requantize.mode;
    for_elements(args, [&](words a, words b) noexcept {
        return multiply_fixed(mode, shift_left<add_headroom>(a), a_multiplier, a_shift)
               + multiply_fixed(mode, shift_left<add_headroom>(b), b_multiplier, b_shift);
    });
}

inline void multiply_s8(const elementwise_args& args) noexcept
{
    for_elements(args, [](words a, words b) noexcept { return a * b; });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
