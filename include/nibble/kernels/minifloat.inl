// float <-> floats of 8 and fewer bits; core/minifloat.hpp has the formats and the conversion of one number.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// The code of the nearest magnitude, before overflow; for NaN and infinity, something above F::max_code.
template <class F, bool TiesTowardZero>
inline words encode_magnitude(words magnitude) noexcept
{
    constexpr int drop = 23 - F::fraction_bits;
    constexpr std::int32_t least_normal = (128 - F::bias) << 23;
    const words rebiased = magnitude + words((1 << (drop - 1)) - 1 - ((127 - F::bias) << 23));
    const words odd = TiesTowardZero ? words(0) : shift_right<drop>(magnitude) & words(1);
    const words normal = shift_right<drop>(rebiased + odd);

    // Below the least normal number, codes are multiples of one unit: that of the last place of this power of two, which a sum rounds to.
    constexpr std::int32_t anchor = (128 - F::bias + drop) << 23;
    const floats x = as_floats(magnitude), sum = x + as_floats(words(anchor));
    words below = as_words(sum) - words(anchor);
    if constexpr (TiesTowardZero) {
        // Both differences are exact; half a unit above x means that a tie went up.
        const words above = as_words((sum - as_floats(words(anchor))) - x);
        below = choose(above == words(least_normal - ((F::fraction_bits + 1) << 23)), below - words(1), below);
    }
    return choose(magnitude < words(least_normal), below, normal);
}

template <class F>
inline words encode(floats x, overflow rule) noexcept
{
    const words bits = as_words(x), magnitude = bits & words(0x7fffffff);
    const words limit(rule == overflow::saturate ? F::max_code : F::max_code + 1);
    const words code = min(encode_magnitude<F, false>(magnitude), limit);
    const words sign = shift_right<31 - F::exponent_bits - F::fraction_bits>(bits) & words(F::sign_bit);
    return choose(words(0x7f800000) < magnitude, words(0x7f), code) | sign;
}

template <class F>
inline floats decode(words code) noexcept
{
    const words sign = shift_left<31 - F::exponent_bits - F::fraction_bits>(code & words(F::sign_bit));
    const words magnitude = code & words(F::sign_bit - 1);
    const words normal = shift_left<23 - F::fraction_bits>(magnitude) + words((127 - F::bias) << 23);
    const floats below = to_float(magnitude) * as_floats(words((128 - F::bias - F::fraction_bits) << 23));
    words v = choose(magnitude < words(1 << F::fraction_bits), as_words(below), normal);
    if constexpr (F::has_nan)
        v = choose(words(F::max_code) < magnitude, words(0x7fc00000), v);
    if constexpr (F::has_infinity)
        v = choose(magnitude == words(F::max_code + 1), words(0x7f800000), v);
    return as_floats(v | sign);
}

inline void f32_to_float8_e4m3(const convert_args& args) noexcept
{
    convert<float, std::uint8_t>(
        args, [&](const float* x, std::uint8_t* q) { store_low_bytes(encode<float8_e4m3>(floats::load_unaligned(x), args.rule), q); });
}
inline void float8_e4m3_to_f32(const convert_args& args) noexcept
{
    convert<std::uint8_t, float>(args, [](const std::uint8_t* q, float* x) { decode<float8_e4m3>(load_u8(q)).store_unaligned(x); });
}
inline void f32_to_float8_e5m2(const convert_args& args) noexcept
{
    convert<float, std::uint8_t>(
        args, [&](const float* x, std::uint8_t* q) { store_low_bytes(encode<float8_e5m2>(floats::load_unaligned(x), args.rule), q); });
}
inline void float8_e5m2_to_f32(const convert_args& args) noexcept
{
    convert<std::uint8_t, float>(args, [](const std::uint8_t* q, float* x) { decode<float8_e5m2>(load_u8(q)).store_unaligned(x); });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
