// Sums and products of two int8 or int16 tensors, requantized.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "elementwise.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline ints load_code_vector(const std::int8_t* p) noexcept { return load_s8(p); }
inline ints load_code_vector(const std::int16_t* p) noexcept { return load_s16(p); }

// One of the two tensors, less its zero point.
template <class X>
struct operand {
    const X* codes;
    bool repeated;
    std::int32_t zero_point;

    // Lanes i ... i + count - 1; what the others hold is left open.
    NIBBLE_INLINE ints load(std::ptrdiff_t i, std::ptrdiff_t count) const noexcept
    {
        if (repeated)
            return ints(codes[0] - zero_point);
        if (count >= width)
            return load_code_vector(codes + i) - ints(zero_point);
        X lanes[ints::size] = {};
        for (std::ptrdiff_t j = 0; j < count; ++j)
            lanes[j] = codes[i + j];
        return load_code_vector(lanes) - ints(zero_point);
    }
};

// sum(a, b) of codes less their zero points, to codes.
template <class X, class Sum>
inline void for_elements(const elementwise_args& args, Sum sum) noexcept
{
    using stored = std::conditional_t<sizeof(X) == 1, std::uint8_t, std::int16_t>;
    constexpr std::ptrdiff_t block = 64;
    const operand<X> a {static_cast<const X*>(args.a), args.a_repeated, args.a_zero_point};
    const operand<X> b {static_cast<const X*>(args.b), args.b_repeated, args.b_zero_point};
    for (std::ptrdiff_t i = args.begin; i < args.end; i += block) {
        const std::ptrdiff_t count = smaller(args.end - i, block);
        std::int32_t sums[block];
        for (std::ptrdiff_t j = 0; j < count; j += width)
            sum(a.load(i + j, count - j), b.load(i + j, count - j)).store_unaligned(sums + j);
        requantize_block(args.requantize, sums, 0, 1, 0, count, static_cast<stored*>(args.y) + i, 0);
    }
}

template <class X>
inline void add(const elementwise_args& args) noexcept
{
    const ints a_multiplier(args.a_multiplier), a_shift(args.a_shift), b_multiplier(args.b_multiplier), b_shift(args.b_shift);
    const requantize_mode mode = args.requantize.mode;
    for_elements<X>(args, [&](ints a, ints b) noexcept {
        return multiply_fixed(mode, shift_left<add_headroom<X>>(a), a_multiplier, a_shift)
               + multiply_fixed(mode, shift_left<add_headroom<X>>(b), b_multiplier, b_shift);
    });
}

template <class Lazy>
inline void add_s8(const elementwise_args& args) noexcept
{
    add<std::int8_t>(args);
}
template <class Lazy>
inline void add_s16(const elementwise_args& args) noexcept
{
    add<std::int16_t>(args);
}

template <class Lazy>
inline void multiply_s8(const elementwise_args& args) noexcept
{
    for_elements<std::int8_t>(args, [](ints a, ints b) noexcept { return a * b; });
}
template <class Lazy>
inline void multiply_s16(const elementwise_args& args) noexcept
{
    for_elements<std::int16_t>(args, [](ints a, ints b) noexcept { return a * b; });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
