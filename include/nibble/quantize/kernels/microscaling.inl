// Blocks of small floats with a scale each; reference/microscaling.hpp has the rules for one number. Scales of MX blocks are powers of two:
// they follow from the bits of the greatest magnitude, and dividing by one is a product with its reciprocal, which is exact.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "microscaling.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::ptrdiff_t mx_block = 32, nvfp4_block = 16;

using int8_magnitude = mx_traits<std::int8_t>::element;

// What the bits of a block's greatest magnitude gain before their exponent is taken: nothing, half of F's last place, or what carries into
// the exponent everything above F's largest fraction.
template <class F>
inline constexpr std::int32_t scale_rounding(scale_rule rule) noexcept
{
    constexpr std::int32_t largest_fraction = (F::max_code & ((1 << F::fraction_bits) - 1)) << (23 - F::fraction_bits);
    return rule == scale_rule::floor ? 0 : rule == scale_rule::even ? 1 << (22 - F::fraction_bits) : 0x7fffff - largest_fraction;
}

// The E8M0 code of a block from the bits of its greatest magnitude, which is finite. Between 2^-127 and 2^-126 floats are subnormal: they
// are normalized, with the biased exponent 0.
template <class F>
inline std::int32_t shared_scale(std::int32_t top, scale_rule rule) noexcept
{
    const std::int32_t normal = top >= 0x800000 ? top : top >= 0x400000 ? 2 * top - 0x800000 : 0;
    const std::int32_t scale
        = static_cast<std::int32_t>(static_cast<std::uint32_t>(normal + scale_rounding<F>(rule)) >> 23) - F::max_exponent;
    return clamped(scale, 0, 254);
}
template <class F>
inline ints shared_scales(ints top, scale_rule rule) noexcept
{
    const ints normal = select(top < ints(0x800000), max(shift_left<1>(top) - ints(0x800000), ints(0)), top);
    const ints scale = shift_right<23>(normal + ints(scale_rounding<F>(rule))) - ints(F::max_exponent);
    return min(max(scale, ints(0)), ints(254));
}

// Saturating; no NaN.
template <class F, bool Ggml>
inline ints encode_element(floats x) noexcept
{
    const ints bits = as_ints(x), code = min(encode_magnitude<F, Ggml>(bits & ints(magnitude_mask)), ints(F::max_code));
    if constexpr (std::is_same_v<F, int8_magnitude>) {
        return select(bits < ints(0), ints(0) - code, code);
    } else {
        const ints sign = shift_right<31 - F::exponent_bits - F::fraction_bits>(bits) & ints(F::sign_bit);
        return Ggml ? select(code == ints(0), code, code | sign) : code | sign;
    }
}

template <class F, bool Ggml>
struct scaled_element {
    float inverse; // a power of two
    void prepare(std::ptrdiff_t, std::ptrdiff_t) const noexcept {}
    ints operator()(floats x, std::ptrdiff_t) const noexcept { return encode_element<F, Ggml>(x * floats(inverse)); }
};

// NVFP4's scales are no powers of two: a division, rounded once.
template <bool Ggml>
struct divided_element {
    float scale;
    void prepare(std::ptrdiff_t, std::ptrdiff_t) const noexcept {}
    ints operator()(floats x, std::ptrdiff_t) const noexcept { return encode_element<float4_e2m1, Ggml>(quotient(x, floats(scale))); }
};

template <class F>
inline constexpr std::ptrdiff_t packed_bytes(std::ptrdiff_t codes) noexcept
{
    return F::sign_bit == 8 ? (codes + 1) / 2 : F::sign_bit == 32 ? (codes + 3) / 4 * 3 : codes;
}

// Codes of 6 bits, four in three bytes.
inline void pack_sixes(const std::uint8_t* codes, std::uint8_t* q, std::ptrdiff_t count) noexcept
{
    for (std::ptrdiff_t i = 0; i < count; i += 4, q += 3) {
        std::uint32_t v;
        std::memcpy(&v, codes + i, 4);
        v = (v & 0x3fu) | (v >> 2 & 0xfc0u) | (v >> 4 & 0x3f000u) | (v >> 6 & 0xfc0000u);
        for (int byte = 0; byte < 3; ++byte)
            q[byte] = static_cast<std::uint8_t>(v >> 8 * byte);
    }
}

template <class F>
inline void store_elements(const chunk_bytes& codes, std::uint8_t* q) noexcept
{
    if constexpr (F::sign_bit == 32) {
        std::uint8_t bytes[mx_block];
        store_bytes<8>(codes, bytes);
        pack_sixes(bytes, q, mx_block);
    } else {
        store_bytes<F::sign_bit == 8 ? 4 : 8>(codes, q);
    }
}

// `count` codes of one block to where it begins; without a rule, zeros.
template <class F, class Rule>
inline void quantize_block(const float* x, std::uint8_t* q, std::ptrdiff_t count, Rule* rule) noexcept
{
    if (rule == nullptr) {
        std::memset(q, 0, static_cast<std::size_t>(packed_bytes<F>(count)));
    } else if constexpr (F::sign_bit == 32) {
        std::uint8_t codes[mx_block] = {};
        quantize_span<8>(x, codes, 0, count, *rule);
        pack_sixes(codes, q, count);
    } else {
        quantize_span<F::sign_bit == 8 ? 4 : 8>(x, q, 0, count, *rule);
    }
}

// The codes of `width` whole blocks and their scales, ties to even. False, and nothing done: a block holds a NaN, an infinity or zeros
// alone.
template <class F>
inline bool quantize_mx_blocks(const float* x, std::uint8_t* q, std::uint8_t* scales, scale_rule rule) noexcept
{
    const ints top = greatest_magnitudes(x);
    if (highest_lane(select(top == ints(0), ints(infinity_bits), top)) >= infinity_bits)
        return false;
    const ints code = shared_scales<F>(top, rule);
    store_low_bytes(code, scales);
    float inverse[floats::size];
    // 2^(127 - code): for code 254 that is 2^-127, which is subnormal.
    as_floats(select(ints(253) < code, ints(0x400000), shift_left<23>(ints(254) - code))).store_unaligned(inverse);
    for (std::ptrdiff_t block = 0; block < width; ++block, x += mx_block, q += packed_bytes<F>(mx_block)) {
        floats t[chunk_vectors];
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
            t[i] = floats::load_unaligned(x + static_cast<std::ptrdiff_t>(i) * width) * floats(inverse[block]);
        });
        store_elements<F>(exclusive_or(encode_magnitudes<F>(t, all_bytes(F::max_code)), encode_signs<F>(t)), q);
    }
    return true;
}

// One block, of any length. A NaN or an infinity makes the scale 255, which is NaN; zeros alone make it 0.
template <class F, bool Ggml>
inline void quantize_mx_block(const float* x, std::uint8_t* q, std::ptrdiff_t count, std::uint8_t* scale, scale_rule rule) noexcept
{
    const std::int32_t top = greatest_magnitude(x, count);
    const bool empty = top >= infinity_bits || top == 0;
    const std::int32_t code = empty ? (top == 0 ? 0 : 255) : shared_scale<F>(top, rule);
    *scale = static_cast<std::uint8_t>(code);
    const std::uint32_t inverse = code >= 254 ? 0x400000u : static_cast<std::uint32_t>(254 - code) << 23;
    scaled_element<F, Ggml> element {float_from_bits(inverse)};
    quantize_block<F>(x, q, count, empty ? nullptr : &element);
}

// Rows by `width` blocks where that way knows the rule and holds, else one by one.
template <class F, bool Ggml>
inline void quantize_mx_rows(const quantize_blocks_args& args) noexcept
{
    constexpr bool in_chunks = !Ggml && !std::is_same_v<F, int8_magnitude>;
    for (std::ptrdiff_t r = 0; r < args.rows; ++r) {
        const float* x = args.x + r * args.x_stride;
        std::uint8_t *q = args.q + r * args.q_stride, *scale = args.scales + r * args.scale_stride;
        std::ptrdiff_t begin = 0;
        while (begin < args.cols) {
            std::ptrdiff_t blocks = 1;
            const std::ptrdiff_t left = args.cols - begin;
            bool done = false;
            if constexpr (in_chunks) {
                if (left >= width * mx_block) {
                    blocks = width;
                    done = quantize_mx_blocks<F>(x + begin, q, scale, args.rule);
                }
            }
            for (std::ptrdiff_t b = 0; !done && b < blocks; ++b) {
                const std::ptrdiff_t at = b * mx_block;
                quantize_mx_block<F, Ggml>(x + begin + at, q + packed_bytes<F>(at), smaller(left - at, mx_block), scale + b, args.rule);
            }
            begin += blocks * mx_block;
            q += packed_bytes<F>(blocks * mx_block);
            scale += blocks;
        }
    }
}

template <class F>
inline void quantize_mx_as(const quantize_blocks_args& args) noexcept
{
    if (args.rounding == element_rounding::ggml)
        quantize_mx_rows<F, true>(args);
    else
        quantize_mx_rows<F, false>(args);
}

template <class Lazy>
inline void quantize_mx(const quantize_blocks_args& args) noexcept
{
    switch (args.format) {
    case storage_format::mxfp8_e4m3: return quantize_mx_as<float8_e4m3>(args);
    case storage_format::mxfp8_e5m2: return quantize_mx_as<float8_e5m2>(args);
    case storage_format::mxfp6_e2m3: return quantize_mx_as<float6_e2m3>(args);
    case storage_format::mxfp6_e3m2: return quantize_mx_as<float6_e3m2>(args);
    case storage_format::mxfp4: return quantize_mx_as<float4_e2m1>(args);
    default: return quantize_mx_as<int8_magnitude>(args);
    }
}

inline void fill(float* x, std::ptrdiff_t count, float value) noexcept
{
    for (std::ptrdiff_t i = 0; i < count; ++i)
        x[i] = value;
}

// `count` elements, the first codes of q, times the scale.
template <class F>
inline void expand_block(const std::uint8_t* q, float* x, std::ptrdiff_t count, float scale) noexcept
{
    std::uint8_t codes[mx_block + 8];
    if constexpr (F::sign_bit == 32) {
        for (std::ptrdiff_t i = 0; i < count; i += 4, q += 3) {
            // GCC copies three bytes through the stack, where the load waits for the stores.
            std::uint32_t v = q[0] | static_cast<std::uint32_t>(q[1]) << 8 | static_cast<std::uint32_t>(q[2]) << 16;
            v = (v & 0x3fu) | (v & 0xfc0u) << 2 | (v & 0x3f000u) << 4 | (v & 0xfc0000u) << 6;
            std::memcpy(codes + i, &v, 4);
        }
        q = codes;
    }
    const auto value = [scale](const std::uint8_t* p, std::ptrdiff_t at) noexcept {
        if constexpr (std::is_same_v<F, int8_magnitude>)
            return to_float(load_s8(p + at)) * floats(0.015625f) * floats(scale);
        else if constexpr (F::sign_bit == 8)
            return decode<F>(load_codes<4, false>(p, static_cast<std::size_t>(at / width))) * floats(scale);
        else
            return decode<F>(load_u8(p + at)) * floats(scale);
    };
    std::ptrdiff_t i = 0;
    for (; i + width <= count; i += width)
        value(q, i).store_unaligned(x + i);
    if (i < count) {
        const std::ptrdiff_t first = F::sign_bit == 8 ? i / 2 : i, end = F::sign_bit == 8 ? (count + 1) / 2 : count;
        std::uint8_t from[floats::size] = {};
        float to[floats::size];
        std::memcpy(from, q + first, static_cast<std::size_t>(end - first));
        value(from, 0).store_unaligned(to);
        std::memcpy(x + i, to, static_cast<std::size_t>(count - i) * sizeof(float));
    }
}

template <class F>
inline void expand_whole_block(const std::uint8_t* q, float* x, float scale) noexcept
{
    if constexpr ((F::sign_bit == 8 || F::sign_bit == 128) && !std::is_same_v<F, int8_magnitude>) {
        floats t[chunk_vectors];
        if constexpr (F::sign_bit == 8) {
            load_e2m1(q, scale, t);
        } else {
            decode_float8<F>(q, t);
            unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { t[i] = t[i] * floats(scale); });
        }
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { t[i].store_unaligned(x + static_cast<std::ptrdiff_t>(i) * width); });
    } else {
        expand_block<F>(q, x, mx_block, scale);
    }
}

template <class F>
inline void dequantize_mx_as(const dequantize_blocks_args& args) noexcept
{
    for (std::ptrdiff_t r = 0; r < args.rows; ++r) {
        const std::uint8_t *q = args.q + r * args.q_stride, *scale = args.scales + r * args.scale_stride;
        float* x = args.x + r * args.x_stride;
        for (std::ptrdiff_t begin = 0; begin < args.cols; begin += mx_block, q += packed_bytes<F>(mx_block), ++scale) {
            const float value = to_float(float8_e8m0 {*scale});
            if (args.cols - begin < mx_block || *scale == 255) {
                const std::ptrdiff_t count = smaller(args.cols - begin, mx_block);
                if (*scale == 255) // not a product: which NaN that gives differs from CPU to CPU
                    fill(x + begin, count, value);
                else
                    expand_block<F>(q, x + begin, count, value);
            } else {
                expand_whole_block<F>(q, x + begin, value);
            }
        }
    }
}

template <class Lazy>
inline void dequantize_mx(const dequantize_blocks_args& args) noexcept
{
    switch (args.format) {
    case storage_format::mxfp8_e4m3: return dequantize_mx_as<float8_e4m3>(args);
    case storage_format::mxfp8_e5m2: return dequantize_mx_as<float8_e5m2>(args);
    case storage_format::mxfp6_e2m3: return dequantize_mx_as<float6_e2m3>(args);
    case storage_format::mxfp6_e3m2: return dequantize_mx_as<float6_e3m2>(args);
    case storage_format::mxfp4: return dequantize_mx_as<float4_e2m1>(args);
    default: return dequantize_mx_as<int8_magnitude>(args);
    }
}

template <class Lazy>
inline void quantize_nvfp4(const quantize_blocks_args& args) noexcept
{
    for (std::ptrdiff_t r = 0; r < args.rows; ++r) {
        const float* x = args.x + r * args.x_stride;
        std::uint8_t *q = args.q + r * args.q_stride, *scale = args.scales + r * args.scale_stride;
        for (std::ptrdiff_t begin = 0; begin < args.cols; begin += nvfp4_block, q += nvfp4_block / 2, ++scale) {
            const std::ptrdiff_t count = smaller(args.cols - begin, nvfp4_block);
            const std::int32_t top = greatest_magnitude(x + begin, count);
            const float amax = float_from_bits(static_cast<std::uint32_t>(top));
            const float8_e4m3 code = top >= infinity_bits ? float8_e4m3 {0x7f} : to_minifloat<float8_e4m3>(amax / 6.0f / args.tensor_scale);
            const float block_scale = to_float(code) * args.tensor_scale;
            *scale = code.bits;
            divided_element<true> ggml {block_scale};
            divided_element<false> even {block_scale};
            if (args.rounding == element_rounding::ggml)
                quantize_block<float4_e2m1>(x + begin, q, count, block_scale > 0.0f ? &ggml : nullptr);
            else
                quantize_block<float4_e2m1>(x + begin, q, count, block_scale > 0.0f ? &even : nullptr);
        }
    }
}

template <class Lazy>
inline void dequantize_nvfp4(const dequantize_blocks_args& args) noexcept
{
    for (std::ptrdiff_t r = 0; r < args.rows; ++r) {
        const std::uint8_t *q = args.q + r * args.q_stride, *scale = args.scales + r * args.scale_stride;
        float* x = args.x + r * args.x_stride;
        for (std::ptrdiff_t begin = 0; begin < args.cols; begin += nvfp4_block, q += nvfp4_block / 2, ++scale) {
            const std::ptrdiff_t count = smaller(args.cols - begin, nvfp4_block);
            if ((*scale & 0x7f) == 0x7f) {
                fill(x + begin, count, quiet_nan());
                continue;
            }
            const float block_scale = to_float(float8_e4m3 {*scale}) * args.tensor_scale;
            if (count == nvfp4_block)
                expand_block<float4_e2m1>(q, x + begin, nvfp4_block, block_scale);
            else
                expand_block<float4_e2m1>(q, x + begin, count, block_scale);
        }
    }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
