// The definition of ggml's block types: what is stored for a block of floats, and what comes back. Bytes and floats equal those of ggml's
// own functions built without fused multiply-adds (quantize_row_*_ref without importance, ggml_quantize_chunk with it and for IQ4_NL), for
// finite input; where a scale comes out as NaN, which takes numbers above 10^9 at least, ggml's bytes depend on the CPU and these do not.
// Every backend gives these bits.
//   importance   one weight for each column, or null: how much an error in that column matters
//   mean_square  of the row's numbers; used by the types with blocks of 32 where there is importance
#pragma once

#include "../blocks/decode.hpp"
#include "../core/view.hpp"
#include "scale_search.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

/// half, with one NaN only: the one that x86 makes.
NIBBLE_INLINE half scale_half(float x) noexcept { return x == x ? to_half(x) : half {0xfe00}; }

/// The low byte of the integer part; 0 for what int32 does not hold.
NIBBLE_INLINE std::uint8_t low_byte(float x) noexcept
{
    return std::fabs(x) < 2147483648.0f ? static_cast<std::uint8_t>(static_cast<std::int32_t>(x)) : std::uint8_t {0};
}

NIBBLE_INLINE float inverse_or_zero(float x) noexcept { return x != 0.0f ? 1.0f / x : 0.0f; }

/// The sum of squares, in ascending order.
inline float sum_of_squares(const float* x, std::ptrdiff_t n) noexcept
{
    float sum = 0.0f;
    for (std::ptrdiff_t i = 0; i < n; ++i)
        sum += product(x[i], x[i]);
    return sum;
}

/// How the scales of a type are sought.
enum class search_kind : std::uint8_t { none, symmetric, descent, affine, iq4 };

template <class Block>
inline constexpr search_kind search_of(bool with_importance) noexcept
{
    switch (block_traits<Block>::type) {
    case ggml_type::q4_0:
    case ggml_type::q5_0: return with_importance ? search_kind::symmetric : search_kind::none;
    case ggml_type::q4_1:
    case ggml_type::q5_1: return with_importance ? search_kind::affine : search_kind::none;
    case ggml_type::q2_K:
    case ggml_type::q4_K:
    case ggml_type::q5_K: return search_kind::affine;
    case ggml_type::q3_K: return with_importance ? search_kind::symmetric : search_kind::descent;
    case ggml_type::q6_K: return search_kind::symmetric;
    case ggml_type::iq4_nl:
    case ggml_type::iq4_xs: return search_kind::iq4;
    default: return search_kind::none;
    }
}

/// The largest code of an affine search, half the number of codes of the others.
template <class Block>
inline constexpr std::int32_t search_levels
    = block_traits<Block>::type == ggml_type::q4_0                                                   ? 8
      : block_traits<Block>::type == ggml_type::q5_0                                                 ? 16
      : block_traits<Block>::type == ggml_type::q2_K                                                 ? 3
      : block_traits<Block>::type == ggml_type::q3_K                                                 ? 4
      : block_traits<Block>::type == ggml_type::q4_1 || block_traits<Block>::type == ggml_type::q4_K ? 15
      : block_traits<Block>::type == ggml_type::q5_1 || block_traits<Block>::type == ggml_type::q5_K ? 31
                                                                                                     : 32;

inline constexpr affine_candidates candidates_of(ggml_type type, bool with_importance) noexcept
{
    return with_importance           ? affine_candidates {-0.9f, 0.05f, 36, false}
           : type == ggml_type::q2_K ? affine_candidates {-0.5f, 0.1f, 15, true}
           : type == ggml_type::q4_K ? affine_candidates {-1.0f, 0.1f, 20, false}
                                     : affine_candidates {-0.5f, 0.1f, 15, false};
}

/// What a search has found for one block.
struct searched_block {
    const float* weights;
    const float* scales;
    const float* minimums;
    std::uint8_t* codes;
};

/// The weight of each number of a block in the search. unit: a power of two for importance, 1 in ggml.
template <class Block>
inline void weigh_block(const float* x, const float* importance, float mean_square, float* weights, float unit = 1.0f) noexcept
{
    constexpr ggml_type type = block_traits<Block>::type;
    constexpr int n = block_traits<Block>::elements, group = block_group<Block>;
    if (importance != nullptr && type != ggml_type::q6_K) {
        // Blocks of 32 take the row's mean square, IQ4 twice the block's, Q2_K the block's and the other K types twice the block's.
        float power = mean_square;
        if (type == ggml_type::iq4_nl || type == ggml_type::iq4_xs)
            power = sum_of_squares(x, n) * (2.0f / static_cast<float>(n));
        else if (n == 256)
            power = (type == ggml_type::q2_K ? 1.0f : 2.0f) * sum_of_squares(x, n) / 256.0f;
        for (int i = 0; i < n; ++i)
            weights[i] = product(importance[i], unit) * square_root(power + product(x[i], x[i]));
        return;
    }
    for (int j = 0; j < n; j += group) {
        const bool has_mean = type == ggml_type::q4_K || type == ggml_type::q5_K;
        const float mean = has_mean ? square_root(sum_of_squares(x + j, group) / static_cast<float>(group)) : 0.0f;
        for (int i = j; i < j + group; ++i)
            weights[i] = importance != nullptr                 ? product(importance[i], unit)
                         : has_mean || type == ggml_type::q2_K ? mean + std::fabs(x[i])
                                                               : x[i] * x[i];
    }
}

// Q4_0 and Q5_0: the extreme becomes code 0.
template <class Block>
inline void quantize_signed(const float* x, const searched_block* found, Block& out) noexcept
{
    if (found != nullptr) {
        out.d = scale_half(found->scales[0]);
        return pack(found->codes, out);
    }
    constexpr int bias = search_levels<Block>;
    std::uint8_t codes[32];
    const float d = signed_extreme(x, 32) / static_cast<float>(-bias), inverse = inverse_or_zero(d);
    out.d = scale_half(d);
    for (int i = 0; i < 32; ++i) {
        const std::uint8_t code = low_byte(product(x[i], inverse) + (static_cast<float>(bias) + 0.5f));
        codes[i] = code < 2 * bias - 1 ? code : static_cast<std::uint8_t>(2 * bias - 1);
    }
    pack(codes, out);
}

// Q4_1 and Q5_1: the least number becomes code 0, the greatest the largest code.
template <class Block>
inline void quantize_ranged(const float* x, const searched_block* found, Block& out) noexcept
{
    if (found != nullptr) {
        out.d = scale_half(found->scales[0]);
        out.m = scale_half(-found->minimums[0]);
        return pack(found->codes, out);
    }
    constexpr int max_code = search_levels<Block>;
    std::uint8_t codes[32];
    float low = x[0], high = x[0];
    for (int i = 1; i < 32; ++i) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    const float d = (high - low) / static_cast<float>(max_code), inverse = inverse_or_zero(d);
    out.d = scale_half(d);
    out.m = scale_half(low);
    for (int i = 0; i < 32; ++i) {
        const std::uint8_t code = low_byte(product(x[i] - low, inverse) + 0.5f);
        codes[i] = code < max_code ? code : static_cast<std::uint8_t>(max_code);
    }
    pack(codes, out);
}

// Q8_0 and Q8_1: the greatest magnitude becomes 127; halves away from zero.
template <class Block>
inline void quantize_bytes(const float* x, Block& out) noexcept
{
    const float d = std::fabs(signed_extreme(x, 32)) / 127.0f, inverse = inverse_or_zero(d);
    int sum = 0;
    for (int i = 0; i < 32; ++i) {
        out.qs[i] = static_cast<std::int8_t>(low_byte(std::round(x[i] * inverse)));
        sum += out.qs[i];
    }
    out.d = scale_half(d);
    if constexpr (std::is_same_v<Block, block_q8_1>)
        out.s = scale_half(static_cast<float>(sum) * d);
}

// TQ1_0 and TQ2_0: -1, 0, 1 times the greatest magnitude; halves away from zero.
template <class Block>
inline void quantize_ternary(const float* x, Block& out) noexcept
{
    const float d = std::fabs(signed_extreme(x, 256)), inverse = inverse_or_zero(d);
    std::uint8_t codes[256];
    for (int i = 0; i < 256; ++i)
        codes[i] = static_cast<std::uint8_t>(low_byte(std::round(x[i] * inverse)) + 1);
    out.d = scale_half(d);
    pack(codes, out);
}

// Q1_0: the sign, times the mean magnitude, whose sum is taken in ascending order.
inline void quantize_bits(const float* x, block_q1_0& out) noexcept
{
    std::uint8_t codes[128];
    float sum = 0.0f;
    for (int i = 0; i < 128; ++i) {
        sum += std::fabs(x[i]);
        codes[i] = x[i] >= 0.0f;
    }
    out.d = scale_half(sum / 128.0f);
    pack(codes, out);
}

// Q2_0: -1, 0, 1 times the greatest magnitude; halves away from zero. Code 3, of 2, is never written. Where the inverse of a subnormal
// magnitude is infinite, all codes are 0, which is what conversions on x86 make of infinities and NaN.
inline void quantize_bits(const float* x, block_q2_0& out) noexcept
{
    const float d = std::fabs(signed_extreme(x, 64)), inverse = inverse_or_zero(d);
    std::uint8_t codes[64];
    for (int i = 0; i < 64; ++i) {
        const float whole = std::round(x[i] * inverse);
        codes[i] = std::fabs(whole) < 2.0f ? static_cast<std::uint8_t>(static_cast<std::int32_t>(whole) + 1) : std::uint8_t {0};
    }
    out.d = scale_half(d);
    pack(codes, out);
}

/// floor(log2(amax)) - 2 + 127 as ggml has it: its logarithm is rounded to float, so that numbers just below a power of two count as that
/// power, and what is below 0 wraps.
inline std::uint8_t mxfp4_exponent(float amax) noexcept
{
    if (!(amax > 0.0f))
        return 0;
    int exponent = 0;
    const float fraction = std::frexp(amax, &exponent); // amax = fraction * 2^exponent, fraction in [0.5, 1)
    const int below = static_cast<int>((1.0f - fraction) * 16777216.0f);
    // Half of the distance between floats around `exponent` is 2^bits * 2^-24, and log2(1 - n * 2^-24) is n * 2^-24 / ln 2 below zero.
    // -148 <= exponent <= 128.
    static constexpr int reach[] = {0, 1, 2, 5, 11, 22, 44, 88};
    int bits = 0;
    for (int n = exponent > 0 ? exponent - 1 : -exponent; n > 1; n /= 2)
        ++bits;
    return static_cast<std::uint8_t>((below <= reach[bits] ? exponent : exponent - 1) - 2 + 127);
}

/// The UE4M3 number near x, as ggml has it: halves up, at most 448, and 448 from 256 on.
inline std::uint8_t nvfp4_scale(float x) noexcept
{
    if (!(x > 0.0f))
        return 0;
    const std::uint32_t bits = float_bits(x);
    const int exponent = static_cast<int>(bits >> 23) - 120; // as E4M3 has it
    if (exponent <= 0) {
        const int fraction = static_cast<int>(product(x, 512.0f) + 0.5f);
        return static_cast<std::uint8_t>(fraction < 7 ? fraction : 7);
    }
    if (exponent >= 15)
        return 0x7e;
    const std::uint32_t rounded = ((static_cast<std::uint32_t>(exponent) << 4 | (bits >> 19 & 15u)) + 1u) >> 1;
    return static_cast<std::uint8_t>(rounded < 15u << 3 ? rounded : 0x7eu);
}

/// The code whose value times step is nearest to x, the first of several.
inline std::uint8_t fp4_code(float x, float step) noexcept
{
    int best = 0;
    for (int i = 1; i < 16; ++i) {
        const float off = std::fabs(product(fp4_values[i], step) - x), least = std::fabs(product(fp4_values[best], step) - x);
        best = off < least ? i : best;
    }
    return static_cast<std::uint8_t>(best);
}

inline void quantize_fp4(const float* x, block_mxfp4& out) noexcept
{
    std::uint8_t codes[32];
    out.e = mxfp4_exponent(std::fabs(signed_extreme(x, 32)));
    for (int i = 0; i < 32; ++i)
        codes[i] = fp4_code(x[i], nibble::detail::mxfp4_step(out.e));
    pack(codes, out);
}

inline void quantize_fp4(const float* x, block_nvfp4& out) noexcept
{
    std::uint8_t codes[64];
    for (int j = 0; j < 4; ++j) {
        out.d[j] = nvfp4_scale(std::fabs(signed_extreme(x + 16 * j, 16)) / 6.0f);
        for (int i = 16 * j; i < 16 * j + 16; ++i)
            codes[i] = fp4_code(x[i], nibble::detail::nvfp4_step(out.d[j]));
    }
    pack(codes, out);
}

// IQ4_NL and IQ4_XS.
template <class Block>
inline void quantize_iq4(const float* x, const searched_block& found, Block& out) noexcept
{
    constexpr int n = block_traits<Block>::elements;
    const float* scales = found.scales;
    float top = 0.0f;
    for (int j = 0; j < n / 32; ++j)
        top = std::fabs(scales[j]) > std::fabs(top) ? scales[j] : top;
    std::uint8_t codes[std::size_t {n}];
    if constexpr (n == 32) {
        out.d = scale_half(scales[0]);
        const float inverse = inverse_or_zero(scales[0]);
        for (int i = 0; i < 32; ++i)
            codes[i] = iq4_code(inverse * x[i]);
    } else {
        const float d = -top / 32.0f, inverse = inverse_or_zero(d);
        out.d = scale_half(d);
        std::memset(out.scales_l, 0, sizeof out.scales_l);
        out.scales_h = 0;
        for (int j = 0; j < 8; ++j) {
            const int l = bounded(nearest_int(inverse * scales[j]), -32, 31);
            const float group_inverse = inverse_or_zero(d * static_cast<float>(l));
            for (int i = 32 * j; i < 32 * j + 32; ++i)
                codes[i] = iq4_code(group_inverse * x[i]);
            out.scales_l[j / 2] = static_cast<std::uint8_t>(out.scales_l[j / 2] | ((l + 32) & 15) << 4 * (j % 2));
            out.scales_h = static_cast<std::uint16_t>(out.scales_h | (l + 32) >> 4 << 2 * j);
        }
    }
    pack(codes, out);
}

template <class Block>
inline void dequantize_block(const Block& b, float* x) noexcept
{
    decoded_block d;
    decode(b, d);
    for (int i = 0; i < block_traits<Block>::elements; ++i) {
        const int j = i / block_group<Block>;
        x[i] = product(static_cast<float>(d.integers[i]), d.steps[j]);
        if constexpr (has_minimum<Block>)
            x[i] += d.minimums[j];
    }
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
