// Quantize, dequantize, range.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::ptrdiff_t width = static_cast<std::ptrdiff_t>(floats::size);

// One (row, group)'s rule: q = clamp(round(x * inverse) + zero_point), NaN giving the zero point. Clamping before rounding is the same
// since both bounds are integers, and keeps the conversion to int in range.
struct quantizer {
    float inverse, low, high;
    std::int32_t zero_point;

    words operator()(floats x) const noexcept
    {
        const floats t = x * floats(inverse);
        const floats in_range = min(max(select(t == t, t, floats(0.0f)), floats(low)), floats(high));
        return round_to_int(in_range) + words(zero_point);
    }
};

// count codes as bytes.
template <class Rule>
inline void quantize_bytes(const float* x, std::uint8_t* q, std::ptrdiff_t count, const Rule& rule) noexcept
{
    std::ptrdiff_t i = 0;
    for (; i + width <= count; i += width)
        store_low_bytes(rule(floats::load_unaligned(x + i)), q + i);
    if (i < count) {
        float from[floats::size] = {};
        std::uint8_t to[floats::size];
        const std::size_t rest = static_cast<std::size_t>(count - i);
        std::memcpy(from, x + i, rest * sizeof(float));
        store_low_bytes(rule(floats::load_unaligned(from)), to);
        std::memcpy(q + i, to, rest);
    }
}

// 2 * pairs codes to pairs of nibbles, the first in the low half; codes has at least 8 readable bytes for every 4 pairs begun.
inline void pack_nibbles(const std::uint8_t* codes, std::uint8_t* pairs, std::ptrdiff_t count) noexcept
{
    for (std::ptrdiff_t i = 0; i < count; i += 4) {
        std::uint64_t v;
        std::memcpy(&v, codes + 2 * i, 8);
        v &= 0x0f0f0f0f0f0f0f0full;
        v = (v | v >> 4) & 0x00ff00ff00ff00ffull;
        v = (v | v >> 8) & 0x0000ffff0000ffffull;
        const std::uint32_t packed = static_cast<std::uint32_t>(v | v >> 16);
        std::memcpy(pairs + i, &packed, static_cast<std::size_t>(count - i < 4 ? count - i : 4));
    }
}

// pairs of nibbles to bytes in [0, 15]; flip = 0x88... turns int4 codes s into s + 8. codes has room for 8 bytes for every 4 pairs begun.
inline void unpack_nibbles(const std::uint8_t* pairs, std::uint8_t* codes, std::ptrdiff_t count, std::uint32_t flip) noexcept
{
    for (std::ptrdiff_t i = 0; i < count; i += 4) {
        std::uint32_t packed = 0;
        std::memcpy(&packed, pairs + i, static_cast<std::size_t>(count - i < 4 ? count - i : 4));
        std::uint64_t v = packed ^ flip;
        v = (v | v << 16) & 0x0000ffff0000ffffull;
        v = (v | v << 8) & 0x00ff00ff00ff00ffull;
        v = (v | v << 4) & 0x0f0f0f0f0f0f0f0full;
        std::memcpy(codes + 2 * i, &v, 8);
    }
}

inline constexpr std::ptrdiff_t nibble_chunk = 128;

template <int Bits>
inline void quantize_matrix(const quantize_args& args) noexcept
{
    for (std::ptrdiff_t r = 0; r < args.rows; ++r) {
        const float* x = args.x + r * args.x_stride;
        std::uint8_t* q = static_cast<std::uint8_t*>(args.q) + r * args.q_stride;
        for (std::ptrdiff_t begin = 0, g = 0; begin < args.cols; begin += args.group_size, ++g) {
            const std::ptrdiff_t at = r * args.row_step + g * args.group_step;
            const std::int32_t zero_point = args.zero_points ? args.zero_points[at] : 0;
            const quantizer rule {
                1.0f / args.scales[at], static_cast<float>(args.qmin - zero_point), static_cast<float>(args.qmax - zero_point), zero_point};
            const std::ptrdiff_t end = args.cols - begin < args.group_size ? args.cols : begin + args.group_size;
            if constexpr (Bits == 8) {
                quantize_bytes(x + begin, q + begin, end - begin, rule);
            } else {
                for (std::ptrdiff_t i = begin; i < end; i += nibble_chunk) {
                    std::uint8_t codes[nibble_chunk + 8] = {};
                    const std::ptrdiff_t count = end - i < nibble_chunk ? end - i : nibble_chunk;
                    quantize_bytes(x + i, codes, count, rule);
                    if (count % 2 != 0)
                        codes[count] = 0;
                    pack_nibbles(codes, q + i / 2, (count + 1) / 2);
                }
            }
        }
    }
}

inline void quantize_8(const quantize_args& args) noexcept { quantize_matrix<8>(args); }
inline void quantize_4(const quantize_args& args) noexcept { quantize_matrix<4>(args); }

template <bool Signed>
inline void dequantize_bytes(const std::uint8_t* q, float* x, std::ptrdiff_t count, float scale, std::int32_t zero_point) noexcept
{
    const auto value = [&](const std::uint8_t* p) noexcept {
        const words code = Signed ? load_s8(p) : load_u8(p);
        return to_float(code - words(zero_point)) * floats(scale);
    };
    std::ptrdiff_t i = 0;
    for (; i + width <= count; i += width)
        value(q + i).store_unaligned(x + i);
    if (i < count) {
        std::uint8_t from[floats::size] = {};
        float to[floats::size];
        const std::size_t rest = static_cast<std::size_t>(count - i);
        std::memcpy(from, q + i, rest);
        value(from).store_unaligned(to);
        std::memcpy(x + i, to, rest * sizeof(float));
    }
}

template <int Bits, bool Signed>
inline void dequantize_matrix(const dequantize_args& args) noexcept
{
    for (std::ptrdiff_t r = 0; r < args.rows; ++r) {
        const std::uint8_t* q = static_cast<const std::uint8_t*>(args.q) + r * args.q_stride;
        float* x = args.x + r * args.x_stride;
        for (std::ptrdiff_t begin = 0, g = 0; begin < args.cols; begin += args.group_size, ++g) {
            const std::ptrdiff_t at = r * args.row_step + g * args.group_step;
            const float scale = args.scales[at];
            const std::int32_t zero_point = args.zero_points ? args.zero_points[at] : 0;
            const std::ptrdiff_t end = args.cols - begin < args.group_size ? args.cols : begin + args.group_size;
            if constexpr (Bits == 8) {
                dequantize_bytes<Signed>(q + begin, x + begin, end - begin, scale, zero_point);
            } else {
                for (std::ptrdiff_t i = begin; i < end; i += nibble_chunk) {
                    std::uint8_t codes[nibble_chunk + 8];
                    const std::ptrdiff_t count = end - i < nibble_chunk ? end - i : nibble_chunk;
                    unpack_nibbles(q + i / 2, codes, (count + 1) / 2, Signed ? 0x88888888u : 0u);
                    dequantize_bytes<false>(codes, x + i, count, scale, zero_point + (Signed ? 8 : 0));
                }
            }
        }
    }
}

inline void dequantize_s8(const dequantize_args& args) noexcept { dequantize_matrix<8, true>(args); }
inline void dequantize_u8(const dequantize_args& args) noexcept { dequantize_matrix<8, false>(args); }
inline void dequantize_s4(const dequantize_args& args) noexcept { dequantize_matrix<4, true>(args); }
inline void dequantize_u4(const dequantize_args& args) noexcept { dequantize_matrix<4, false>(args); }

// The bits of the greatest |x|: as integers, magnitudes of floats sort like the floats, and NaN comes above infinity.
inline std::int32_t greatest_magnitude(const float* x, std::ptrdiff_t count) noexcept
{
    const words mask(0x7fffffff);
    words top(0);
    std::ptrdiff_t i = 0;
    for (; i + width <= count; i += width)
        top = max(top, as_words(floats::load_unaligned(x + i)) & mask);
    std::int32_t best = highest_lane(top);
    for (; i < count; ++i) {
        const std::int32_t magnitude = static_cast<std::int32_t>(float_bits(x[i]) & 0x7fffffffu);
        best = magnitude > best ? magnitude : best;
    }
    return best;
}

inline void range_f32(const range_args& args) noexcept
{
    for (std::ptrdiff_t r = 0, out = 0; r < args.rows; ++r) {
        for (std::ptrdiff_t begin = 0; begin < args.cols; begin += args.group_size, ++out) {
            const float* x = args.x + r * args.x_stride + begin;
            const std::ptrdiff_t count = args.cols - begin < args.group_size ? args.cols - begin : args.group_size;
            if (greatest_magnitude(x, count) >= 0x7f800000) {
                args.low[out] = args.high[out] = float_from_bits(0x7fc00000u);
                continue;
            }
            floats low(x[0]), high(x[0]);
            std::ptrdiff_t i = 0;
            for (; i + width <= count; i += width) {
                low = min(low, floats::load_unaligned(x + i));
                high = max(high, floats::load_unaligned(x + i));
            }
            float least = lowest_lane(low), greatest = highest_lane(high);
            for (; i < count; ++i) {
                least = x[i] < least ? x[i] : least;
                greatest = x[i] > greatest ? x[i] : greatest;
            }
            // Which zero min and max return differs from CPU to CPU.
            args.low[out] = least == 0.0f ? 0.0f : least;
            args.high[out] = greatest == 0.0f ? 0.0f : greatest;
        }
    }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
