// float <-> floats of 8 and fewer bits; core/minifloat.hpp has the formats and the conversion of one number.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "minifloat.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// The code of the nearest magnitude, before overflow; for NaN and infinity, something above F::max_code. Codes are in the order of their
// values, so that rounding up may carry into the exponent. Normal codes: the float's bits with F's bias, and nearly half of the last place
// added before the rest is dropped; `odd` makes ties even.
template <class F, bool TiesTowardZero>
inline ints encode_magnitude(ints magnitude) noexcept
{
    constexpr int drop = 23 - F::fraction_bits;
    constexpr std::int32_t least_normal = (128 - F::bias) << 23;
    const ints rebiased = magnitude + ints((1 << (drop - 1)) - 1 - ((127 - F::bias) << 23));
    const ints odd = TiesTowardZero ? ints(0) : shift_right<drop>(magnitude) & ints(1);
    const ints normal = shift_right<drop>(rebiased + odd);

    // Below the least normal number, codes are multiples of one unit: that of the last place of this power of two, which a sum rounds to.
    constexpr std::int32_t anchor = (128 - F::bias + drop) << 23;
    const floats x = as_floats(magnitude), sum = x + as_floats(ints(anchor));
    ints below = as_ints(sum) - ints(anchor);
    if constexpr (TiesTowardZero) {
        // Both differences are exact; half a unit above x means that a tie went up.
        const ints above = as_ints((sum - as_floats(ints(anchor))) - x);
        below = select(above == ints(least_normal - ((F::fraction_bits + 1) << 23)), below - ints(1), below);
    }
    return select(magnitude < ints(least_normal), below, normal);
}

// One code in each lane: any float.
template <class F>
inline ints encode(floats x, overflow rule) noexcept
{
    const ints bits = as_ints(x), magnitude = bits & ints(magnitude_mask);
    const ints limit(rule == overflow::saturate ? F::max_code : F::max_code + 1);
    const ints code = min(encode_magnitude<F, false>(magnitude), limit);
    const ints sign = shift_right<31 - F::exponent_bits - F::fraction_bits>(bits) & ints(F::sign_bit);
    return select(ints(infinity_bits) < magnitude, ints(0x7f), code) | sign;
}

// The magnitudes' codes of a chunk, ties to even, not above the limit; anything for NaN. Added to a power of two with the exponent of x and
// the place of the last bit of F as its own last, x is rounded: the sum's low bits count places, its exponent is that of x.
template <class F>
inline chunk_bytes encode_magnitudes(const floats (&x)[chunk_vectors], const chunk_bytes& limit) noexcept
{
    constexpr int drop = 23 - F::fraction_bits;
    ints sums[chunk_vectors];
    unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
        const ints bits = as_ints(x[i]), power = max(bits & ints(infinity_bits), ints((128 - F::bias) << 23));
        sums[i] = as_ints(fused(as_floats(power), floats(static_cast<float>(1 << drop)), as_floats(bits & ints(magnitude_mask))));
    });
    const chunk_shorts codes = shifted(exponent_and_low<F::fraction_bits>(sums), -((128 - F::bias + drop) << F::fraction_bits));
    return bounded(narrow(codes), all_bytes(0), limit);
}

template <class F>
inline chunk_bytes encode_signs(const floats (&x)[chunk_vectors]) noexcept
{
    ints bits[chunk_vectors];
    unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { bits[i] = as_ints(x[i]); });
    return bitwise_and(is_negative(bits), all_bytes(F::sign_bit));
}

// One code in each lane. Subnormal codes are whole multiples of the least one, and so a product; normal ones are moved into place.
template <class F>
inline floats decode(ints code) noexcept
{
    const ints sign = shift_left<31 - F::exponent_bits - F::fraction_bits>(code & ints(F::sign_bit));
    const ints magnitude = code & ints(F::sign_bit - 1);
    const ints normal = shift_left<23 - F::fraction_bits>(magnitude) + ints((127 - F::bias) << 23);
    const floats below = to_float(magnitude) * as_floats(ints((128 - F::bias - F::fraction_bits) << 23));
    ints v = select(magnitude < ints(1 << F::fraction_bits), as_ints(below), normal);
    if constexpr (F::has_nan)
        v = select(ints(F::max_code) < magnitude, ints(quiet_nan_bits), v);
    if constexpr (F::has_infinity)
        v = select(magnitude == ints(F::max_code + 1), ints(infinity_bits), v);
    return as_floats(v | sign);
}

// A chunk goes the fast way, in int16 and bytes, unless it holds a NaN.
template <class F>
inline void encode_float8(const convert_args& args) noexcept
{
    const chunk_bytes limit = all_bytes(args.rule == overflow::saturate ? F::max_code : F::max_code + 1);
    convert_chunks<float, std::uint8_t>(args, [&](const float* from, std::uint8_t* to) noexcept {
        floats x[chunk_vectors];
        unroll<chunk_vectors>(
            [&](std::size_t i) NIBBLE_UNROLLED { x[i] = floats::load_unaligned(from + static_cast<std::ptrdiff_t>(i) * width); });
        if (!any_nan(x)) {
            store_bytes<8>(exclusive_or(encode_magnitudes<F>(x, limit), encode_signs<F>(x)), to);
        } else {
            ints codes[chunk_vectors];
            unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { codes[i] = encode<F>(x[i], args.rule); });
            store_codes<8>(codes, to);
        }
    });
}

// A chunk. load_float8 does not know NaN: a chunk that holds a code above the greatest number is done again.
template <class F>
inline void decode_float8(const std::uint8_t* codes, floats (&x)[chunk_vectors]) noexcept
{
    load_float8<F>(codes, x);
    if (!load_float8_is_exact && any_code_above(codes, F::max_code + F::has_infinity))
        unroll<chunk_vectors>(
            [&](std::size_t i) NIBBLE_UNROLLED { x[i] = decode<F>(load_u8(codes + static_cast<std::ptrdiff_t>(i) * width)); });
}

template <class F>
inline void decode_float8(const convert_args& args) noexcept
{
    convert_chunks<std::uint8_t, float>(args, [](const std::uint8_t* from, float* to) noexcept {
        floats x[chunk_vectors];
        decode_float8<F>(from, x);
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { x[i].store_unaligned(to + static_cast<std::ptrdiff_t>(i) * width); });
    });
}

template <class Lazy>
inline void f32_to_float8_e4m3(const convert_args& args) noexcept
{
    encode_float8<float8_e4m3>(args);
}
template <class Lazy>
inline void float8_e4m3_to_f32(const convert_args& args) noexcept
{
    decode_float8<float8_e4m3>(args);
}
template <class Lazy>
inline void f32_to_float8_e5m2(const convert_args& args) noexcept
{
    encode_float8<float8_e5m2>(args);
}
template <class Lazy>
inline void float8_e5m2_to_f32(const convert_args& args) noexcept
{
    decode_float8<float8_e5m2>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
