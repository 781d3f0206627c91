// Rows of floats to ggml's blocks, with ggml's bytes; reference/blocks.hpp and reference/k_blocks.hpp define them. Two ways lead to a
// scale:
//   from the extremes   the greatest magnitude, or the least and the greatest number, get the outermost codes
//   by a search         kernels/search.inl tries several scales for every group of a portion of the row and keeps the one of least weighted
//                       squared error, with its codes. search_of says which search a type takes
// K types have a second level: the scales of a block's groups are codes themselves, with one float scale for all. Codes found with the
// exact scale are chosen anew for the scale as stored. ggml's bytes depend on each rounding. So products are opaque where a sum follows: no
// compiler fuses the two.
#pragma once

#include <cmath>

#include "../core/strict_math.hpp"
#include "blocks.kernels.hpp"
#include "decode.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace detail {

/// A product that no compiler fuses with a sum.
NIBBLE_INLINE float rounded_product(float a, float b) noexcept { return opaque(a * b); }

/// The nearest integer, ties to even, for |x| up to 2^22: the sum's last bit is worth 1. For others, and for NaN, what these bits give in
/// ggml.
NIBBLE_INLINE int nearest_code(float x) noexcept { return static_cast<int>(float_bits(opaque(x) + 12582912.0f) & 0x7fffffu) - 0x400000; }

/// The low byte of the integer part; 0 for what int32 does not hold.
NIBBLE_INLINE std::uint8_t low_byte(float x) noexcept
{
    return magnitude_of(x) < 2147483648.0f ? static_cast<std::uint8_t>(static_cast<std::int32_t>(x)) : std::uint8_t {0};
}

/// half, with one NaN only: the one that x86 makes.
NIBBLE_INLINE half block_scale(float x) noexcept { return is_nan(x) ? half {0xfe00} : to_half(x); }

NIBBLE_INLINE float inverse_or_zero(float x) noexcept { return x != 0.0f ? 1.0f / x : 0.0f; }

/// In double, since clang under -ffast-math estimates roots of floats, whatever the pragmas say. Rounded twice it is still the nearest
/// float.
NIBBLE_INLINE float nearest_root(float x) noexcept { return static_cast<float>(__builtin_sqrt(static_cast<double>(opaque(x)))); }

/// The first number of the greatest magnitude.
inline float first_extreme(const float* x, int n) noexcept
{
    float extreme = 0.0f;
    for (int i = 0; i < n; ++i)
        extreme = magnitude_of(x[i]) > magnitude_of(extreme) ? x[i] : extreme;
    return extreme;
}

/// In ascending order, as all sums here.
inline float sum_of_squares(const float* x, std::ptrdiff_t n) noexcept
{
    float sum = 0.0f;
    for (std::ptrdiff_t i = 0; i < n; ++i)
        sum += rounded_product(x[i], x[i]);
    return sum;
}

enum class scale_search : std::uint8_t { none, symmetric, descent, affine, iq4 };

template <class Block>
inline constexpr scale_search search_of(bool with_importance) noexcept
{
    if (is_any_of<Block, block_q4_0, block_q5_0>)
        return with_importance ? scale_search::symmetric : scale_search::none;
    if (is_any_of<Block, block_q4_1, block_q5_1>)
        return with_importance ? scale_search::affine : scale_search::none;
    if (is_any_of<Block, block_q2_K, block_q4_K, block_q5_K>)
        return scale_search::affine;
    if (is_any_of<Block, block_q3_K>)
        return with_importance ? scale_search::symmetric : scale_search::descent;
    if (is_any_of<Block, block_q6_K>)
        return scale_search::symmetric;
    return has_iq4_values<Block> ? scale_search::iq4 : scale_search::none;
}

/// The largest code of types with a minimum; of the others half the number of codes, which is their code_bias.
template <class Block>
inline constexpr int code_levels = is_any_of<Block, block_q2_K>               ? 3
                                   : is_any_of<Block, block_q4_1, block_q4_K> ? 15
                                   : is_any_of<Block, block_q5_1, block_q5_K> ? 31
                                                                              : code_bias<Block>;

/// Where an affine search looks: ggml's own numbers for each type.
template <class Block>
inline constexpr affine_candidates candidates_of(bool with_importance) noexcept
{
    return with_importance                ? affine_candidates {-0.9f, 0.05f, 36, false}
           : is_any_of<Block, block_q2_K> ? affine_candidates {-0.5f, 0.1f, 15, true}
           : is_any_of<Block, block_q4_K> ? affine_candidates {-1.0f, 0.1f, 20, false}
                                          : affine_candidates {-0.5f, 0.1f, 15, false};
}

template <class Lazy>
inline void search_scales(scale_search which, const block_search_args& args) noexcept
{
    switch (which) {
    case scale_search::symmetric: return kernels::search_symmetric()(args);
    case scale_search::descent: return kernels::search_descent()(args);
    case scale_search::affine: return kernels::search_affine()(args);
    case scale_search::iq4: return kernels::search_iq4()(args);
    case scale_search::none: return;
    }
}

/// What a search has found for one block, group by group. Codes are changed where a scale is rounded.
struct found_scales {
    const float* weights;
    const float* scales;
    const float* minimums;
    std::uint8_t* codes;
};

/// How much the error of each number counts in the search: its own magnitude always has a part in it, so that large numbers are kept.
/// mean_square: of the row, with importance. unit: a power of two for importance, 1 in ggml.
template <class Block>
inline void weigh_block(const float* x, const float* importance, float mean_square, float* weights, float unit) noexcept
{
    constexpr int n = block_traits<Block>::elements, group = block_group<Block>;
    if (importance != nullptr && !is_any_of<Block, block_q6_K>) {
        // Blocks of 32 take the row's mean square, IQ4 twice the block's, Q2_K the block's and the other K types twice the block's.
        float power = mean_square;
        if (has_iq4_values<Block>)
            power = sum_of_squares(x, n) * (2.0f / static_cast<float>(n));
        else if (n == 256)
            power = (is_any_of<Block, block_q2_K> ? 1.0f : 2.0f) * sum_of_squares(x, n) / 256.0f;
        for (int i = 0; i < n; ++i)
            weights[i] = rounded_product(importance[i], unit) * nearest_root(power + rounded_product(x[i], x[i]));
        return;
    }
    constexpr bool has_mean = is_any_of<Block, block_q4_K, block_q5_K>, by_magnitude = has_mean || is_any_of<Block, block_q2_K>;
    for (int begin = 0; begin < n; begin += group) {
        const float mean = has_mean ? nearest_root(sum_of_squares(x + begin, group) / static_cast<float>(group)) : 0.0f;
        for (int i = begin; i < begin + group; ++i)
            weights[i] = importance != nullptr ? rounded_product(importance[i], unit)
                         : by_magnitude        ? mean + magnitude_of(x[i])
                                               : x[i] * x[i];
    }
}

// Scales from the extremes.

/// Q4_0 and Q5_0: the extreme gets code 0, which is the one of greatest magnitude.
template <class Block>
inline void encode_signed(const float* x, Block& out) noexcept
{
    constexpr int bias = code_bias<Block>;
    const float scale = first_extreme(x, 32) / static_cast<float>(-bias), inverse = inverse_or_zero(scale);
    std::uint8_t codes[32];
    for (int i = 0; i < 32; ++i)
        codes[i] = static_cast<std::uint8_t>(
            smaller<int, int>(low_byte(rounded_product(x[i], inverse) + (static_cast<float>(bias) + 0.5f)), 2 * bias - 1));
    out.d = block_scale(scale);
    pack(codes, out);
}

/// Q4_1 and Q5_1: the least number gets code 0, the greatest the largest code.
template <class Block>
inline void encode_ranged(const float* x, Block& out) noexcept
{
    constexpr int max_code = code_levels<Block>;
    float low = x[0], high = x[0];
    for (int i = 1; i < 32; ++i) {
        low = smaller(x[i], low);
        high = larger(x[i], high);
    }
    const float scale = (high - low) / static_cast<float>(max_code), inverse = inverse_or_zero(scale);
    std::uint8_t codes[32];
    for (int i = 0; i < 32; ++i)
        codes[i] = static_cast<std::uint8_t>(smaller<int, int>(low_byte(rounded_product(x[i] - low, inverse) + 0.5f), max_code));
    out.d = block_scale(scale);
    out.m = block_scale(low);
    pack(codes, out);
}

/// Q8_0 and Q8_1: the greatest magnitude gets 127; halves away from zero.
template <class Block>
inline void encode_bytes(const float* x, Block& out) noexcept
{
    const float scale = magnitude_of(first_extreme(x, 32)) / 127.0f, inverse = inverse_or_zero(scale);
    int sum = 0;
    for (int i = 0; i < 32; ++i) {
        out.qs[i] = static_cast<std::int8_t>(low_byte(strict_math::round(x[i] * inverse)));
        sum += out.qs[i];
    }
    out.d = block_scale(scale);
    if constexpr (std::is_same_v<Block, block_q8_1>)
        out.s = block_scale(static_cast<float>(sum) * scale);
}

/// TQ1_0 and TQ2_0: -1, 0, 1 times the greatest magnitude; halves away from zero.
template <class Block>
inline void encode_ternary(const float* x, Block& out) noexcept
{
    const float scale = magnitude_of(first_extreme(x, 256)), inverse = inverse_or_zero(scale);
    std::uint8_t codes[256];
    for (int i = 0; i < 256; ++i)
        codes[i] = static_cast<std::uint8_t>(low_byte(strict_math::round(x[i] * inverse)) + 1);
    out.d = block_scale(scale);
    pack(codes, out);
}

/// Q1_0: the sign, times the mean magnitude.
inline void encode_bits(const float* x, block_q1_0& out) noexcept
{
    std::uint8_t codes[128];
    float sum = 0.0f;
    for (int i = 0; i < 128; ++i) {
        sum += magnitude_of(x[i]);
        codes[i] = x[i] >= 0.0f;
    }
    out.d = block_scale(sum / 128.0f);
    pack(codes, out);
}

/// Q2_0: -1, 0, 1 times the greatest magnitude; halves away from zero. Code 3, of 2, is never written. The inverse of a subnormal magnitude
/// is infinite: then all codes are 0, which is what conversions on x86 make of infinities and NaN.
inline void encode_bits(const float* x, block_q2_0& out) noexcept
{
    const float scale = magnitude_of(first_extreme(x, 64)), inverse = inverse_or_zero(scale);
    std::uint8_t codes[64];
    for (int i = 0; i < 64; ++i) {
        const float whole = strict_math::round(x[i] * inverse);
        codes[i] = magnitude_of(whole) < 2.0f ? static_cast<std::uint8_t>(static_cast<std::int32_t>(whole) + 1) : std::uint8_t {0};
    }
    out.d = block_scale(scale);
    pack(codes, out);
}

/// floor(log2(greatest)) - 2 + 127 as ggml has it: its logarithm is rounded to float, so that numbers just below a power of two count as
/// that power, and what is below 0 wraps.
inline std::uint8_t mxfp4_exponent(float greatest) noexcept
{
    if (!(greatest > 0.0f))
        return 0;
    int exponent = 0;
    const float fraction = std::frexp(greatest, &exponent); // greatest = fraction * 2^exponent, fraction in [0.5, 1)
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
    if (exponent <= 0)
        return static_cast<std::uint8_t>(smaller(static_cast<int>(rounded_product(x, 512.0f) + 0.5f), 7));
    if (exponent >= 15)
        return 0x7e;
    const std::uint32_t rounded = ((static_cast<std::uint32_t>(exponent) << 4 | (bits >> 19 & 15u)) + 1u) >> 1;
    return static_cast<std::uint8_t>(rounded < 15u << 3 ? rounded : 0x7eu);
}

/// The code whose value times step is nearest to x, the first of several.
inline std::uint8_t fp4_code(float x, float step) noexcept
{
    std::uint8_t best = 0;
    float least = magnitude_of(rounded_product(fp4_values[0], step) - x);
    for (int i = 1; i < 16; ++i)
        if (const float off = magnitude_of(rounded_product(fp4_values[i], step) - x); off < least) {
            best = static_cast<std::uint8_t>(i);
            least = off;
        }
    return best;
}

inline void encode_fp4(const float* x, block_mxfp4& out) noexcept
{
    std::uint8_t codes[32];
    out.e = mxfp4_exponent(magnitude_of(first_extreme(x, 32)));
    for (int i = 0; i < 32; ++i)
        codes[i] = fp4_code(x[i], mxfp4_step(out.e));
    pack(codes, out);
}
inline void encode_fp4(const float* x, block_nvfp4& out) noexcept
{
    std::uint8_t codes[64];
    for (int j = 0; j < 4; ++j) {
        out.d[j] = nvfp4_scale(magnitude_of(first_extreme(x + 16 * j, 16)) / 6.0f);
        for (int i = 16 * j; i < 16 * j + 16; ++i)
            codes[i] = fp4_code(x[i], nvfp4_step(out.d[j]));
    }
    pack(codes, out);
}

/// Q8_K: the extreme gets -127.
inline void encode_q8_K(const float* x, block_q8_K& out) noexcept
{
    const float extreme = first_extreme(x, 256);
    out = {};
    if (extreme == 0.0f)
        return;
    const float inverse = -127.0f / extreme;
    out.d = 1.0f / inverse;
    for (int i = 0; i < 256; ++i) {
        out.qs[i] = static_cast<std::int8_t>(smaller(nearest_code(inverse * x[i]), 127));
        out.bsums[i / 16] = static_cast<std::int16_t>(out.bsums[i / 16] + out.qs[i]);
    }
}

// Scales that a search has found.

template <class Block>
inline void store_found(const found_scales& found, Block& out) noexcept
{
    out.d = block_scale(found.scales[0]);
    if constexpr (has_minimum<Block>)
        out.m = block_scale(-found.minimums[0]);
    pack(found.codes, out);
}

/// The nearest of iq4_values, the greater of two; 15 for NaN.
inline std::uint8_t iq4_code(float x) noexcept
{
    int code = 0;
    while (code < 15 && !(x + x < static_cast<float>(iq4_values[code] + iq4_values[code + 1])))
        ++code;
    return static_cast<std::uint8_t>(code);
}

inline void encode_iq4(const float* x, float scale, std::uint8_t* codes) noexcept
{
    const float inverse = inverse_or_zero(scale);
    for (int i = 0; i < 32; ++i)
        codes[i] = iq4_code(inverse * x[i]);
}

inline void encode_found(const float* x, bool, const found_scales& found, block_iq4_nl& out) noexcept
{
    std::uint8_t codes[32];
    encode_iq4(x, found.scales[0], codes);
    out.d = block_scale(found.scales[0]);
    pack(codes, out);
}

/// Six bits for each group's scale, 32 added; the extreme one gets -32.
inline void encode_found(const float* x, bool, const found_scales& found, block_iq4_xs& out) noexcept
{
    const float scale = -first_extreme(found.scales, 8) / 32.0f, inverse = inverse_or_zero(scale);
    std::uint8_t codes[256];
    std::memset(out.scales_l, 0, sizeof out.scales_l);
    out.scales_h = 0;
    for (int j = 0; j < 8; ++j) {
        const int of_group = clamped(nearest_code(inverse * found.scales[j]), -32, 31), stored = of_group + 32;
        encode_iq4(x + 32 * j, scale * static_cast<float>(of_group), codes + 32 * j);
        out.scales_l[j / 2] = static_cast<std::uint8_t>(out.scales_l[j / 2] | (stored & 15) << 4 * (j % 2));
        out.scales_h = static_cast<std::uint16_t>(out.scales_h | stored >> 4 << 2 * j);
    }
    out.d = block_scale(scale);
    pack(codes, out);
}

/// Codes of n numbers for a scale and a minimum as stored. A group whose stored scale is zero keeps the codes of the search.
inline void encode_again(const float* x, int n, float scale, float minimum, int low, int high, int bias, std::uint8_t* codes) noexcept
{
    if (scale != 0.0f)
        for (int i = 0; i < n; ++i)
            codes[i] = static_cast<std::uint8_t>(clamped(nearest_code((x[i] + opaque(minimum)) / scale), low, high) + bias);
}

/// The weight of each group's scale: the sum of its numbers' weights.
template <std::size_t Groups>
inline void weigh_groups(const float* weights, float (&sums)[Groups]) noexcept
{
    constexpr std::size_t size = 256 / Groups;
    for (std::size_t j = 0; j < Groups; ++j) {
        sums[j] = 0.0f;
        for (std::size_t i = 0; i < size; ++i)
            sums[j] += weights[size * j + i];
    }
}

/// ggml's make_qp_quants: values ~ scale * code with codes in [0, max_code], for the scales of a block's groups. Nine scales are tried
/// around the one that gives the greatest value the largest code, then codes are moved one at a time while that lessens the weighted error.
/// Sums hold sum(w v l) and sum(w l l): the best scale for codes l is their quotient. A code below zero, which only a negative value gives,
/// wraps.
template <std::size_t Groups>
inline float fit_scales(const float* values, const float (&weights)[Groups], int max_code, std::uint8_t (&codes)[Groups]) noexcept
{
    float high = 0.0f;
    for (std::size_t i = 0; i < Groups; ++i)
        high = larger(high, values[i]);
    if (high < least_scaled_group) {
        std::memset(codes, 0, Groups);
        return 0.0f;
    }
    // The first candidate's codes wrap as they do in ggml; those of the others are bounded.
    const auto error = [&](float inverse, auto code_of) noexcept {
        const float scale = 1.0f / inverse;
        float sum = 0.0f;
        for (std::size_t i = 0; i < Groups; ++i) {
            const float off = values[i] - rounded_product(scale, static_cast<float>(code_of(nearest_code(inverse * values[i]))));
            sum += rounded_product(weights[i] * off, off);
        }
        return sum;
    };
    float inverse = static_cast<float>(max_code) / high;
    float best = error(inverse, [](int code) noexcept { return static_cast<std::uint8_t>(code); });
    for (int tenths = -4; tenths <= 4; ++tenths) {
        if (tenths == 0)
            continue;
        const float tried = (rounded_product(0.1f, static_cast<float>(tenths)) + static_cast<float>(max_code)) / high;
        if (const float found = error(tried, [=](int code) noexcept { return smaller(code, max_code); }); found < best) {
            best = found;
            inverse = tried;
        }
    }
    float sum_lx = 0.0f, sum_l2 = 0.0f;
    for (std::size_t i = 0; i < Groups; ++i) {
        const int code = smaller(nearest_code(inverse * values[i]), max_code);
        const float l = static_cast<float>(code);
        codes[i] = static_cast<std::uint8_t>(code);
        sum_lx += rounded_product(weights[i] * values[i], l);
        sum_l2 += rounded_product(weights[i] * l, l);
    }
    bool changed = true;
    for (int round = 0; round < 5 && changed; ++round) {
        changed = false;
        for (std::size_t i = 0; i < Groups; ++i) {
            const float w = weights[i], old = static_cast<float>(codes[i]);
            float lx = sum_lx - rounded_product(w * values[i], old), l2 = sum_l2 - rounded_product(w * old, old);
            if (!(lx > 0.0f && l2 > 0.0f))
                continue;
            const int code = smaller(nearest_code(values[i] * l2 / lx), max_code);
            if (code == codes[i])
                continue;
            const float l = static_cast<float>(code);
            lx += rounded_product(w * values[i], l);
            l2 += rounded_product(w * l, l);
            // The squared error is smaller where lx^2 / l2 is greater.
            if (lx * lx * sum_l2 > sum_lx * sum_lx * l2) {
                codes[i] = static_cast<std::uint8_t>(code);
                sum_lx = lx;
                sum_l2 = l2;
                changed = true;
            }
        }
    }
    return sum_l2 > 0.0f ? sum_lx / sum_l2 : 0.0f;
}

/// Without importance the greatest value gets the largest code. Only ggml's types of 6 bits bound the codes.
template <std::size_t Groups>
inline float scales_by_greatest(const float* values, int max_code, std::uint8_t (&codes)[Groups]) noexcept
{
    float high = 0.0f;
    for (std::size_t j = 0; j < Groups; ++j)
        high = larger(values[j], high);
    const float inverse = high > 0.0f ? static_cast<float>(max_code) / high : 0.0f;
    for (std::size_t j = 0; j < Groups; ++j) {
        const std::uint8_t code = static_cast<std::uint8_t>(nearest_code(inverse * values[j]));
        codes[j] = max_code == 63 && code > 63 ? std::uint8_t {63} : code;
    }
    return high / static_cast<float>(max_code);
}

/// Q2_K, Q4_K and Q5_K: x ~ scale * code - minimum, scales and minimums of 4 or 6 bits.
template <class Block>
inline void encode_found_affine(const float* x, bool with_importance, const found_scales& found, Block& out) noexcept
{
    constexpr int n = block_group<Block>, max_code = is_any_of<Block, block_q2_K> ? 15 : 63;
    constexpr std::size_t groups = 256 / n;
    std::uint8_t scales[groups], minimums[groups];
    float scale, minimum;
    if (with_importance) {
        float weights[groups];
        weigh_groups(found.weights, weights);
        scale = fit_scales(found.scales, weights, max_code, scales);
        minimum = fit_scales(found.minimums, weights, max_code, minimums);
    } else {
        scale = scales_by_greatest(found.scales, max_code, scales);
        minimum = scales_by_greatest(found.minimums, max_code, minimums);
    }
    out.d = block_scale(scale);
    out.dmin = block_scale(minimum);
    if constexpr (is_any_of<Block, block_q2_K>)
        for (std::size_t j = 0; j < groups; ++j)
            out.scales[j] = static_cast<std::uint8_t>(scales[j] | minimums[j] << 4);
    else
        pack_scales(scales, minimums, out.scales);
    decoded_block stored;
    pack(found.codes, out);
    decode(out, stored);
    for (int j = 0; j < static_cast<int>(groups); ++j)
        encode_again(x + n * j, n, stored.steps[j], -stored.minimums[j], 0, code_levels<Block>, 0, found.codes + n * j);
    pack(found.codes, out);
}

/// Q3_K: scales of 6 bits, 32 added. With importance they are sought as a group's numbers are, by the same kernel; without it the extreme
/// one gets -32, by way of ggml's int8.
template <class Lazy>
inline void encode_found_q3_K(const float* x, bool with_importance, const found_scales& found, block_q3_K& out) noexcept
{
    std::uint8_t scales[16] = {};
    float scale = 0.0f;
    if (const float extreme = first_extreme(found.scales, 16); with_importance) {
        float weights[16];
        weigh_groups(found.weights, weights);
        search_scales<Lazy>(scale_search::symmetric, {found.scales, weights, 1, 16, 32, {}, &scale, nullptr, scales});
    } else if (extreme != 0.0f) {
        const float inverse = -32.0f / extreme;
        for (int j = 0; j < 16; ++j)
            scales[j]
                = static_cast<std::uint8_t>(clamped(int {static_cast<std::int8_t>(nearest_code(inverse * found.scales[j]))}, -32, 31) + 32);
        scale = 1.0f / inverse;
    }
    pack_scales(scales, out.scales);
    out.d = block_scale(scale);
    for (int j = 0; j < 16; ++j)
        encode_again(x + 16 * j, 16, to_float(out.d) * static_cast<float>(scales[j] - 32), 0.0f, -4, 3, 4, found.codes + 16 * j);
    pack(found.codes, out);
}

/// Q6_K: scales are int8; the extreme one gets -128.
inline void encode_found(const float* x, bool, const found_scales& found, block_q6_K& out) noexcept
{
    const float extreme = first_extreme(found.scales, 16);
    if (magnitude_of(extreme) < least_scaled_group) {
        out = {};
        return;
    }
    const float inverse = -128.0f / extreme;
    out.d = block_scale(1.0f / inverse);
    for (int j = 0; j < 16; ++j) {
        out.scales[j] = static_cast<std::int8_t>(smaller(nearest_code(inverse * found.scales[j]), 127));
        encode_again(x + 16 * j, 16, to_float(out.d) * static_cast<float>(out.scales[j]), 0.0f, -32, 31, 32, found.codes + 16 * j);
    }
    pack(found.codes, out);
}

template <class Lazy, class Block>
inline void encode_searched(const float* x, bool with_importance, const found_scales& found, Block& out) noexcept
{
    if constexpr (is_any_of<Block, block_q2_K, block_q4_K, block_q5_K>)
        encode_found_affine(x, with_importance, found, out);
    else if constexpr (is_any_of<Block, block_q3_K>)
        encode_found_q3_K<Lazy>(x, with_importance, found, out);
    else if constexpr (is_any_of<Block, block_q6_K> || has_iq4_values<Block>)
        encode_found(x, with_importance, found, out);
    else if constexpr (is_any_of<Block, block_q4_0, block_q5_0, block_q4_1, block_q5_1>)
        store_found(found, out);
}

template <class Block>
inline void encode_extremes(const float* x, Block& out) noexcept
{
    if constexpr (is_any_of<Block, block_q4_0, block_q5_0>)
        encode_signed(x, out);
    else if constexpr (is_any_of<Block, block_q4_1, block_q5_1>)
        encode_ranged(x, out);
    else if constexpr (is_any_of<Block, block_q8_0, block_q8_1>)
        encode_bytes(x, out);
    else if constexpr (is_any_of<Block, block_tq1_0, block_tq2_0>)
        encode_ternary(x, out);
    else if constexpr (is_any_of<Block, block_q1_0, block_q2_0>)
        encode_bits(x, out);
    else if constexpr (has_fp4_values<Block>)
        encode_fp4(x, out);
    else if constexpr (is_any_of<Block, block_q8_K>)
        encode_q8_K(x, out);
}

/// n numbers, whole blocks. importance: n weights, or null. unit: weigh_block's. A portion of the row is searched at once, so that all
/// lanes of a vector have a group: 1024 numbers are 32 groups at least.
template <class Lazy, class Block>
inline void encode_row(const float* x, std::ptrdiff_t n, const float* importance, std::byte* out, float unit) noexcept
{
    constexpr std::ptrdiff_t elements = block_traits<Block>::elements, group = block_group<Block>, portion = 1024;
    const bool weighted = importance != nullptr;
    const scale_search search = search_of<Block>(weighted);
    const float mean_square = weighted && elements == 32 ? sum_of_squares(x, n) / static_cast<float>(n) : 0.0f;
    float weights[portion], scales[portion / 16], minimums[portion / 16];
    std::uint8_t codes[portion];
    for (std::ptrdiff_t begin = 0; begin < n; begin += portion) {
        const std::ptrdiff_t count = smaller(n - begin, portion);
        if (search != scale_search::none) {
            if (search != scale_search::descent)
                for (std::ptrdiff_t i = 0; i < count; i += elements)
                    weigh_block<Block>(x + begin + i, weighted ? importance + begin + i : nullptr, mean_square, weights + i, unit);
            search_scales<Lazy>(search,
                {x + begin, weights, count / group, group, code_levels<Block>, candidates_of<Block>(weighted), scales, minimums, codes});
        }
        for (std::ptrdiff_t i = 0; i < count; i += elements, out += sizeof(Block)) {
            Block block;
            if (search == scale_search::none)
                encode_extremes(x + begin + i, block);
            else
                encode_searched<Lazy>(x + begin + i, weighted, {weights + i, scales + i / group, minimums + i / group, codes + i}, block);
            std::memcpy(out, &block, sizeof block);
        }
    }
}

} // namespace detail
NIBBLE_END
NIBBLE_STRICT_END
