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

/// importance * sqrt(power + x^2)
inline void weigh(const float* x, const float* importance, float power, int n, float* weights) noexcept
{
    for (int i = 0; i < n; ++i)
        weights[i] = importance[i] * square_root(power + product(x[i], x[i]));
}

// Q4_0 and Q5_0: the extreme becomes code 0.
template <class Block>
inline void quantize_signed(const float* x, const float* importance, float mean_square, Block& out) noexcept
{
    constexpr int bias = std::is_same_v<Block, block_q4_0> ? 8 : 16;
    std::uint8_t codes[32];
    if (importance != nullptr) {
        float weights[32];
        weigh(x, importance, mean_square, 32, weights);
        out.d = scale_half(symmetric_search(x, weights, 32, bias, codes));
    } else {
        const float d = signed_extreme(x, 32) / static_cast<float>(-bias), inverse = inverse_or_zero(d);
        out.d = scale_half(d);
        for (int i = 0; i < 32; ++i) {
            const std::uint8_t code = low_byte(product(x[i], inverse) + (static_cast<float>(bias) + 0.5f));
            codes[i] = code < 2 * bias - 1 ? code : static_cast<std::uint8_t>(2 * bias - 1);
        }
    }
    pack(codes, out);
}

// Q4_1 and Q5_1: the least number becomes code 0, the greatest the largest code.
template <class Block>
inline void quantize_ranged(const float* x, const float* importance, float mean_square, Block& out) noexcept
{
    constexpr int max_code = std::is_same_v<Block, block_q4_1> ? 15 : 31;
    std::uint8_t codes[32];
    if (importance != nullptr) {
        float weights[32];
        weigh(x, importance, mean_square, 32, weights);
        const affine_scale found = affine_search(x, weights, 32, max_code, {-0.9f, 0.05f, 36, false}, codes);
        out.d = scale_half(found.scale);
        out.m = scale_half(-found.minimum);
    } else {
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
    static constexpr int reach[] = {0, 1, 2, 5, 11, 22, 44};
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
        codes[i] = fp4_code(x[i], detail::mxfp4_step(out.e));
    pack(codes, out);
}

inline void quantize_fp4(const float* x, block_nvfp4& out) noexcept
{
    std::uint8_t codes[64];
    for (int j = 0; j < 4; ++j) {
        out.d[j] = nvfp4_scale(std::fabs(signed_extreme(x + 16 * j, 16)) / 6.0f);
        for (int i = 16 * j; i < 16 * j + 16; ++i)
            codes[i] = fp4_code(x[i], detail::nvfp4_step(out.d[j]));
    }
    pack(codes, out);
}

/// The nearest of iq4_values, the greater of two; 15 for NaN.
inline std::uint8_t iq4_code(float x) noexcept
{
    int code = 0;
    while (code < 15 && !(x + x < static_cast<float>(iq4_values[code] + iq4_values[code + 1])))
        ++code;
    return static_cast<std::uint8_t>(code);
}

/// The scale of 32 numbers: x ~ scale * value of a code.
inline float iq4_search(const float* x, const float* weights) noexcept
{
    const float extreme = signed_extreme(x, 32);
    if (std::fabs(extreme) < least_group)
        return 0.0f;
    float scale = 0.0f, best = 0.0f;
    for (int each = -8; each <= 7; ++each) {
        const float inverse
            = each == -8 ? 1.0f / (-extreme / static_cast<float>(iq4_values[0])) : static_cast<float>(each + iq4_values[0]) / extreme;
        float sum_qx = 0.0f, sum_q2 = 0.0f;
        for (int i = 0; i < 32; ++i) {
            const float q = static_cast<float>(iq4_values[iq4_code(inverse * x[i])]);
            sum_qx += product(weights[i] * q, x[i]);
            sum_q2 += product(weights[i] * q, q);
        }
        if (each == -8 || (sum_q2 > 0.0f && sum_qx * sum_qx > best * sum_q2)) {
            scale = sum_q2 > 0.0f ? sum_qx / sum_q2 : 0.0f;
            best = scale * sum_qx;
        }
    }
    return scale;
}

// IQ4_NL and IQ4_XS.
template <class Block>
inline void quantize_iq4(const float* x, const float* importance, Block& out) noexcept
{
    constexpr int n = block_traits<Block>::elements;
    const float power = sum_of_squares(x, n) * (2.0f / static_cast<float>(n));
    float scales[n / 32], top = 0.0f;
    for (int j = 0; j < n / 32; ++j) {
        float weights[32];
        if (importance != nullptr)
            weigh(x + 32 * j, importance + 32 * j, power, 32, weights);
        else
            for (int i = 0; i < 32; ++i)
                weights[i] = x[32 * j + i] * x[32 * j + i];
        scales[j] = iq4_search(x + 32 * j, weights);
        top = std::fabs(scales[j]) > std::fabs(top) ? scales[j] : top;
    }
    std::uint8_t codes[n];
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
        if constexpr (has_offset<Block>)
            x[i] += d.offsets[j];
    }
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
