// What the codes of a block mean:
//   x = integer * step             or, in types with a minimum, and rounded twice,   x = integer * step + minimum
// with one step (scale) and one minimum for each group of columns. Products with blocks compute with these integers and steps.
#pragma once

#include <type_traits>

#include "layout.hpp"

NIBBLE_BEGIN_TYPES

/// A block's contents; steps and minimums of as many groups as it has.
struct decoded_block {
    std::int8_t integers[256];
    float steps[16];
    float minimums[16];
};

/// Columns that share a step.
template <class Block>
inline constexpr int block_group = smaller<int>(block_traits<Block>::elements, 32);
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
template <>
inline constexpr int block_group<block_q1_0> = 128;
template <>
inline constexpr int block_group<block_q2_0> = 64;

template <class Block, class... Blocks>
inline constexpr bool is_any_of = (std::is_same_v<Block, Blocks> || ...);

template <class Block>
inline constexpr bool has_minimum = is_any_of<Block, block_q4_1, block_q5_1, block_q2_K, block_q4_K, block_q5_K>;

/// Whether a step is the block's d times a factor of the group, a minimum the block's -dmin times another.
template <class Block>
inline constexpr bool has_factors = is_any_of<Block, block_q2_K, block_q3_K, block_q4_K, block_q5_K, block_q6_K, block_iq4_xs>;

/// What a code stands for: a value of a table, else code * 2^code_shift - code_bias. Whether it is a place in a table, and in which.
template <class Block>
inline constexpr bool has_iq4_values = is_any_of<Block, block_iq4_nl, block_iq4_xs>;
template <class Block>
inline constexpr bool has_fp4_values = is_any_of<Block, block_mxfp4, block_nvfp4>;
template <class Block>
inline constexpr bool has_code_values = has_iq4_values<Block> || has_fp4_values<Block>;

/// That table. (A function, not a pointer that may be null: with -fsanitize=undefined g++ takes no comparison of addresses for a constant.)
template <class Block>
NIBBLE_INLINE constexpr const std::int8_t (&code_values() noexcept)[16]
{
    static_assert(has_code_values<Block>);
    if constexpr (has_iq4_values<Block>)
        return iq4_values;
    else
        return fp4_values;
}
template <class Block>
inline constexpr int code_bias = is_any_of<Block, block_q6_K>                                         ? 32
                                 : is_any_of<Block, block_q5_0>                                       ? 16
                                 : is_any_of<Block, block_q4_0>                                       ? 8
                                 : is_any_of<Block, block_q3_K>                                       ? 4
                                 : is_any_of<Block, block_tq1_0, block_tq2_0, block_q1_0, block_q2_0> ? 1
                                                                                                      : 0;
template <class Block>
inline constexpr int code_shift = is_any_of<Block, block_q1_0> ? 1 : 0;

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
NIBBLE_INLINE void decode_codes(const Block& b, std::int8_t* integers) noexcept
{
    if constexpr (is_any_of<Block, block_q8_0, block_q8_1, block_q8_K>) {
        std::memcpy(integers, b.qs, sizeof b.qs);
    } else {
        std::uint8_t codes[256];
        unpack(b, codes);
        for (int i = 0; i < block_traits<Block>::elements; ++i) {
            if constexpr (has_code_values<Block>)
                integers[i] = code_values<Block>()[codes[i]];
            else
                integers[i] = static_cast<std::int8_t>((codes[i] << code_shift<Block>)-code_bias<Block>);
        }
    }
}

/// The factors of each group; minimum[] of types with minimums alone.
template <class Block>
NIBBLE_INLINE void group_factors(const Block& b, std::int8_t (&scale)[16], [[maybe_unused]] std::int8_t (&minimum)[16]) noexcept
{
    constexpr ggml_type type = block_traits<Block>::type;
    if constexpr (type == ggml_type::q4_K || type == ggml_type::q5_K) {
        std::uint8_t scales[8], minimums[8];
        unpack_scales(b.scales, scales, minimums);
        std::memcpy(scale, scales, 8);
        std::memcpy(minimum, minimums, 8);
    } else if constexpr (type == ggml_type::q3_K) {
        std::uint8_t scales[16];
        unpack_scales(b.scales, scales);
        for (int j = 0; j < 16; ++j)
            scale[j] = static_cast<std::int8_t>(scales[j] - 32);
    } else if constexpr (type == ggml_type::q2_K) {
        for (int j = 0; j < 16; ++j) {
            scale[j] = b.scales[j] & 15;
            minimum[j] = static_cast<std::int8_t>(b.scales[j] >> 4);
        }
    } else if constexpr (type == ggml_type::iq4_xs) {
        for (int j = 0; j < 8; ++j)
            scale[j] = static_cast<std::int8_t>(scale_of(b, j) - 32);
    } else {
        std::memcpy(scale, b.scales, 16);
    }
}

template <class Block>
NIBBLE_INLINE void decode_steps(const Block& b, decoded_block& out) noexcept
{
    constexpr int groups = block_traits<Block>::elements / block_group<Block>;
    if constexpr (has_factors<Block>) {
        std::int8_t scale[16], minimum[16];
        group_factors(b, scale, minimum);
        for (int j = 0; j < groups; ++j) {
            out.steps[j] = to_float(b.d) * static_cast<float>(scale[j]);
            if constexpr (has_minimum<Block>)
                out.minimums[j] = -(to_float(b.dmin) * static_cast<float>(minimum[j]));
        }
    } else if constexpr (std::is_same_v<Block, block_q8_K>) {
        out.steps[0] = b.d;
    } else if constexpr (std::is_same_v<Block, block_mxfp4>) {
        out.steps[0] = mxfp4_step(b.e);
    } else if constexpr (std::is_same_v<Block, block_nvfp4>) {
        for (int j = 0; j < groups; ++j)
            out.steps[j] = nvfp4_step(b.d[j]);
    } else {
        out.steps[0] = to_float(b.d);
        if constexpr (has_minimum<Block>)
            out.minimums[0] = to_float(b.m);
    }
}

} // namespace detail

/// block_q4_K, for example; minimums are written for types that have them.
template <class Block>
NIBBLE_INLINE void decode(const Block& b, decoded_block& out) noexcept
{
    detail::decode_codes(b, out.integers);
    detail::decode_steps(b, out);
}

NIBBLE_END
