// What the codes of a block mean:
//   x = integer * step             or, in types with a minimum, and rounded twice,   x = integer * step + offset
// with one step and offset for each group of columns. These integers and steps are what products with blocks are computed from.
#pragma once

#include "layout.hpp"

NIBBLE_BEGIN_TYPES

/// A block's contents; steps and offsets of as many groups as it has.
struct decoded_block {
    std::int8_t integers[256];
    float steps[16];
    float offsets[16];
};

/// Columns that share a step.
template <class Block>
inline constexpr int block_group = block_traits<Block>::elements > 32 ? 32 : block_traits<Block>::elements;
template <>
inline constexpr int block_group<block_nvfp4> = 16;
template <>
inline constexpr int block_group<block_q2_K> = 16;
template <>
inline constexpr int block_group<block_q3_K> = 16;
template <>
inline constexpr int block_group<block_q6_K> = 16;
template <>
inline constexpr int block_group<block_q8_K> = 256;
template <>
inline constexpr int block_group<block_tq1_0> = 256;
template <>
inline constexpr int block_group<block_tq2_0> = 256;

template <class Block, class... Blocks>
inline constexpr bool is_any_of = (std::is_same_v<Block, Blocks> || ...);

template <class Block>
inline constexpr bool has_offset = is_any_of<Block, block_q4_1, block_q5_1, block_q2_K, block_q4_K, block_q5_K>;

NIBBLE_END_TYPES

NIBBLE_BEGIN
namespace detail {

/// Half of 2^(e - 127), since fp4_values are doubled. 255 is no NaN here.
NIBBLE_INLINE float mxfp4_step(std::uint8_t e) noexcept { return float_from_bits(e < 2 ? 0x200000u << e : (e - 1u) << 23); }

/// Half of the unsigned E4M3 number; 127 is 0.
NIBBLE_INLINE float nvfp4_step(std::uint8_t bits) noexcept
{
    const std::uint32_t exponent = bits >> 3 & 15u, fraction = bits & 7u;
    if (bits == 0x7f)
        return 0.0f;
    if (exponent == 0)
        return static_cast<float>(fraction) * 0.0009765625f; // 2^-10
    return float_from_bits((exponent + 119u) << 23 | fraction << 20);
}

template <class Block>
NIBBLE_INLINE void decode_codes(const Block& b, std::int8_t* integers, int bias) noexcept
{
    std::uint8_t codes[256];
    unpack(b, codes);
    for (int i = 0; i < block_traits<Block>::elements; ++i)
        integers[i] = static_cast<std::int8_t>(codes[i] - bias);
}
template <class Block>
NIBBLE_INLINE void decode_codes(const Block& b, std::int8_t* integers, const std::int8_t (&values)[16]) noexcept
{
    std::uint8_t codes[256];
    unpack(b, codes);
    for (int i = 0; i < block_traits<Block>::elements; ++i)
        integers[i] = values[codes[i]];
}

} // namespace detail

/// block_q4_K, for example; offsets are written for types that have them.
template <class Block>
NIBBLE_INLINE void decode(const Block& b, decoded_block& out) noexcept
{
    constexpr ggml_type type = block_traits<Block>::type;
    if constexpr (type == ggml_type::q4_0 || type == ggml_type::q5_0) {
        detail::decode_codes(b, out.integers, type == ggml_type::q4_0 ? 8 : 16);
        out.steps[0] = to_float(b.d);
    } else if constexpr (type == ggml_type::q4_1 || type == ggml_type::q5_1) {
        detail::decode_codes(b, out.integers, 0);
        out.steps[0] = to_float(b.d);
        out.offsets[0] = to_float(b.m);
    } else if constexpr (type == ggml_type::q8_0 || type == ggml_type::q8_1) {
        std::memcpy(out.integers, b.qs, 32);
        out.steps[0] = to_float(b.d);
    } else if constexpr (type == ggml_type::q8_K) {
        std::memcpy(out.integers, b.qs, 256);
        out.steps[0] = b.d;
    } else if constexpr (type == ggml_type::iq4_nl) {
        detail::decode_codes(b, out.integers, iq4_values);
        out.steps[0] = to_float(b.d);
    } else if constexpr (type == ggml_type::iq4_xs) {
        detail::decode_codes(b, out.integers, iq4_values);
        for (int j = 0; j < 8; ++j)
            out.steps[j] = to_float(b.d) * static_cast<float>(scale_of(b, j) - 32);
    } else if constexpr (type == ggml_type::mxfp4) {
        detail::decode_codes(b, out.integers, fp4_values);
        out.steps[0] = detail::mxfp4_step(b.e);
    } else if constexpr (type == ggml_type::nvfp4) {
        detail::decode_codes(b, out.integers, fp4_values);
        for (int j = 0; j < 4; ++j)
            out.steps[j] = detail::nvfp4_step(b.d[j]);
    } else if constexpr (type == ggml_type::q2_K) {
        detail::decode_codes(b, out.integers, 0);
        for (int j = 0; j < 16; ++j) {
            out.steps[j] = to_float(b.d) * static_cast<float>(b.scales[j] & 15);
            out.offsets[j] = -(to_float(b.dmin) * static_cast<float>(b.scales[j] >> 4));
        }
    } else if constexpr (type == ggml_type::q3_K) {
        detail::decode_codes(b, out.integers, 4);
        std::uint8_t scale[16];
        unpack_scales(b.scales, scale);
        for (int j = 0; j < 16; ++j)
            out.steps[j] = to_float(b.d) * static_cast<float>(scale[j] - 32);
    } else if constexpr (type == ggml_type::q4_K || type == ggml_type::q5_K) {
        detail::decode_codes(b, out.integers, 0);
        std::uint8_t scale[8], minimum[8];
        unpack_scales(b.scales, scale, minimum);
        for (int j = 0; j < 8; ++j) {
            out.steps[j] = to_float(b.d) * static_cast<float>(scale[j]);
            out.offsets[j] = -(to_float(b.dmin) * static_cast<float>(minimum[j]));
        }
    } else if constexpr (type == ggml_type::q6_K) {
        detail::decode_codes(b, out.integers, 32);
        for (int j = 0; j < 16; ++j)
            out.steps[j] = to_float(b.d) * static_cast<float>(b.scales[j]);
    } else {
        detail::decode_codes(b, out.integers, 1);
        out.steps[0] = to_float(b.d);
    }
}

NIBBLE_END
