// The definition of ggml's K types: blocks of 256 in groups of 16 or 32, whose scales are quantized themselves. A group's scale is sought
// first, then the scales get 4, 6 or 8 bits, then the codes are chosen anew for the scales as stored; a group whose stored scale is zero
// keeps the codes of the search.
#pragma once

#include "blocks.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

/// Codes of n numbers for a step and a minimum as stored.
inline void encode_again(const float* x, int n, float step, float minimum, int low, int high, int bias, std::uint8_t* codes) noexcept
{
    if (step != 0.0f)
        for (int i = 0; i < n; ++i)
            codes[i] = static_cast<std::uint8_t>(bounded(nearest_int((x[i] + opaque(minimum)) / step), low, high) + bias);
}

/// The weight of a group of numbers is the sum of its numbers' weights.
inline float total(const float* weights, int n) noexcept
{
    float sum = 0.0f;
    for (int i = 0; i < n; ++i)
        sum += weights[i];
    return sum;
}

// Scales and minimums as 4 or 6 bits. Without importance their greatest becomes the largest code.
struct stored_scales {
    float step, minimum;
};
template <std::size_t Groups>
inline stored_scales store_scales(const float* scales, const float* minimums, int max_code, const float* group_weights,
    std::uint8_t (&scale_codes)[Groups], std::uint8_t (&minimum_codes)[Groups]) noexcept
{
    if (group_weights != nullptr) {
        const float step = positive_search(scales, group_weights, static_cast<int>(Groups), max_code, scale_codes);
        return {step, positive_search(minimums, group_weights, static_cast<int>(Groups), max_code, minimum_codes)};
    }
    const auto store = [&](const float* values, std::uint8_t(&codes)[Groups]) noexcept {
        float top = 0.0f;
        for (std::size_t j = 0; j < Groups; ++j)
            top = values[j] > top ? values[j] : top;
        const float inverse = top > 0.0f ? static_cast<float>(max_code) / top : 0.0f;
        for (std::size_t j = 0; j < Groups; ++j) {
            const std::uint8_t code = static_cast<std::uint8_t>(nearest_int(inverse * values[j]));
            codes[j] = max_code == 63 && code > 63 ? std::uint8_t {63} : code;
        }
        return top / static_cast<float>(max_code);
    };
    const float step = store(scales, scale_codes);
    return {step, store(minimums, minimum_codes)};
}

// Q2_K, Q4_K and Q5_K: x ~ scale * code - minimum.
template <class Block>
inline void quantize_k_affine(const float* x, bool with_importance, const searched_block& found, Block& out) noexcept
{
    constexpr ggml_type type = block_traits<Block>::type;
    constexpr int n = block_group<Block>, groups = 256 / n;
    std::uint8_t scale_codes[std::size_t {groups}], minimum_codes[std::size_t {groups}];
    float group_weights[std::size_t {groups}];
    if (with_importance)
        for (int j = 0; j < groups; ++j)
            group_weights[j] = total(found.weights + n * j, n);
    const stored_scales stored = store_scales<std::size_t {groups}>(found.scales, found.minimums, type == ggml_type::q2_K ? 15 : 63,
        with_importance ? group_weights : nullptr, scale_codes, minimum_codes);
    out.d = scale_half(stored.step);
    out.dmin = scale_half(stored.minimum);
    if constexpr (type == ggml_type::q2_K)
        for (int j = 0; j < groups; ++j)
            out.scales[j] = static_cast<std::uint8_t>(scale_codes[j] | minimum_codes[j] << 4);
    else
        pack_scales(scale_codes, minimum_codes, out.scales);
    decoded_block again;
    pack(found.codes, out);
    decode(out, again);
    for (int j = 0; j < groups; ++j)
        encode_again(x + n * j, n, again.steps[j], -again.minimums[j], 0, search_levels<Block>, 0, found.codes + n * j);
    pack(found.codes, out);
}

inline float greatest_scale(const float* scales, int n) noexcept
{
    float top = 0.0f;
    for (int j = 0; j < n; ++j)
        top = std::fabs(scales[j]) > std::fabs(top) ? scales[j] : top;
    return top;
}

inline void quantize_k_signed(const float* x, bool with_importance, const searched_block& found, block_q3_K& out) noexcept
{
    std::uint8_t scale_codes[16] = {};
    float group_weights[16], step = 0.0f;
    const float top = greatest_scale(found.scales, 16);
    if (with_importance) {
        for (int j = 0; j < 16; ++j)
            group_weights[j] = total(found.weights + 16 * j, 16);
        step = symmetric_search(found.scales, group_weights, 16, 32, scale_codes);
    } else if (top != 0.0f) {
        const float inverse = -32.0f / top;
        for (int j = 0; j < 16; ++j) {
            const int near = static_cast<std::int8_t>(nearest_int(inverse * found.scales[j]));
            scale_codes[j] = static_cast<std::uint8_t>(bounded(near, -32, 31) + 32);
        }
        step = 1.0f / inverse;
    }
    pack_scales(scale_codes, out.scales);
    out.d = scale_half(step);
    for (int j = 0; j < 16; ++j) {
        const float group_stride = to_float(out.d) * static_cast<float>(scale_codes[j] - 32);
        encode_again(x + 16 * j, 16, group_stride, 0.0f, -4, 3, 4, found.codes + 16 * j);
    }
    pack(found.codes, out);
}

inline void quantize_k_signed(const float* x, bool, const searched_block& found, block_q6_K& out) noexcept
{
    const float top = greatest_scale(found.scales, 16);
    if (std::fabs(top) < least_scaled_group) {
        out = {};
        return;
    }
    const float inverse = -128.0f / top;
    out.d = scale_half(1.0f / inverse);
    for (int j = 0; j < 16; ++j) {
        const int near = nearest_int(inverse * found.scales[j]);
        out.scales[j] = static_cast<std::int8_t>(near < 127 ? near : 127);
        encode_again(x + 16 * j, 16, to_float(out.d) * static_cast<float>(out.scales[j]), 0.0f, -32, 31, 32, found.codes + 16 * j);
    }
    pack(found.codes, out);
}

/// The greatest magnitude becomes -127 or 127.
inline void quantize_q8_K(const float* x, block_q8_K& out) noexcept
{
    const float extreme = signed_extreme(x, 256);
    out = {};
    if (extreme == 0.0f)
        return;
    const float inverse = -127.0f / extreme;
    out.d = 1.0f / inverse;
    for (int i = 0; i < 256; ++i) {
        const int near = nearest_int(inverse * x[i]);
        out.qs[i] = static_cast<std::int8_t>(near < 127 ? near : 127);
        out.bsums[i / 16] = static_cast<std::int16_t>(out.bsums[i / 16] + out.qs[i]);
    }
}

/// One block of any type; `found` is null for a type that seeks no scales.
template <class Block>
inline void quantize_block(const float* x, bool with_importance, const searched_block* found, Block& out) noexcept
{
    constexpr ggml_type type = block_traits<Block>::type;
    if constexpr (type == ggml_type::q4_0 || type == ggml_type::q5_0)
        quantize_signed(x, found, out);
    else if constexpr (type == ggml_type::q4_1 || type == ggml_type::q5_1)
        quantize_ranged(x, found, out);
    else if constexpr (type == ggml_type::q8_0 || type == ggml_type::q8_1)
        quantize_bytes(x, out);
    else if constexpr (type == ggml_type::tq1_0 || type == ggml_type::tq2_0)
        quantize_ternary(x, out);
    else if constexpr (type == ggml_type::q1_0 || type == ggml_type::q2_0)
        quantize_bits(x, out);
    else if constexpr (type == ggml_type::mxfp4 || type == ggml_type::nvfp4)
        quantize_fp4(x, out);
    else if constexpr (type == ggml_type::iq4_nl || type == ggml_type::iq4_xs)
        quantize_iq4(x, *found, out);
    else if constexpr (type == ggml_type::q3_K || type == ggml_type::q6_K)
        quantize_k_signed(x, with_importance, *found, out);
    else if constexpr (type == ggml_type::q8_K)
        quantize_q8_K(x, out);
    else
        quantize_k_affine(x, with_importance, *found, out);
}

/// The scales of many groups, one after the other.
inline void search_scales(search_kind kind, const block_search_args& args) noexcept
{
    const int n = static_cast<int>(args.size);
    for (std::ptrdiff_t j = 0; j < args.groups; ++j) {
        const float *x = args.x + j * n, *weights = args.weights + j * n;
        std::uint8_t* codes = args.codes + j * n;
        if (kind == search_kind::symmetric) {
            args.scales[j] = symmetric_search(x, weights, n, args.levels, codes);
        } else if (kind == search_kind::descent) {
            args.scales[j] = descent_search(x, n, args.levels, codes);
        } else if (kind == search_kind::iq4) {
            args.scales[j] = iq4_search(x, weights);
        } else {
            const affine_scale found = affine_search(x, weights, n, args.levels, args.candidates, codes);
            args.scales[j] = found.scale;
            args.minimums[j] = found.minimum;
        }
    }
}

/// n numbers, whole blocks. search: search_scales, or a function that gives the same. unit: weigh_block's.
template <class Block, class Search>
inline void quantize_row(
    const float* x, std::ptrdiff_t n, const float* importance, std::byte* out, Search search, float unit = 1.0f) noexcept
{
    constexpr std::ptrdiff_t elements = block_traits<Block>::elements, group = block_group<Block>, portion = 1024;
    const search_kind kind = search_of<Block>(importance != nullptr);
    const float mean_square = importance != nullptr && elements == 32 ? sum_of_squares(x, n) / static_cast<float>(n) : 0.0f;
    float weights[portion], scales[portion / 16], minimums[portion / 16];
    std::uint8_t codes[portion];
    for (std::ptrdiff_t begin = 0; begin < n; begin += portion) {
        const std::ptrdiff_t count = n - begin < portion ? n - begin : portion;
        if (kind != search_kind::none) {
            for (std::ptrdiff_t i = 0; i < count && kind != search_kind::descent; i += elements)
                weigh_block<Block>(x + begin + i, importance != nullptr ? importance + begin + i : nullptr, mean_square, weights + i, unit);
            search(kind, block_search_args {x + begin, weights, count / group, group, search_levels<Block>,
                             candidates_of(block_traits<Block>::type, importance != nullptr), scales, minimums, codes});
        }
        for (std::ptrdiff_t i = 0; i < count; i += elements, out += sizeof(Block)) {
            Block block;
            const searched_block found {weights + i, scales + i / group, minimums + i / group, codes + i};
            quantize_block(x + begin + i, importance != nullptr, kind != search_kind::none ? &found : nullptr, block);
            std::memcpy(out, &block, sizeof block);
        }
    }
}

template <class Block>
inline void dequantize_row(const std::byte* in, std::ptrdiff_t n, float* x) noexcept
{
    constexpr std::ptrdiff_t elements = block_traits<Block>::elements;
    for (std::ptrdiff_t i = 0; i < n; i += elements, in += sizeof(Block)) {
        Block block;
        std::memcpy(static_cast<void*>(&block), in, sizeof block);
        dequantize_block(block, x + i);
    }
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
