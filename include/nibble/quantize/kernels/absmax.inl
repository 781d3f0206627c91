// Quantization whose scales follow from the data: scale = max|x| / qmax of a row or a group, in one pass.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "absmax.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// The bits of the greatest |x|: as integers, magnitudes of floats sort like the floats, and NaN comes above infinity.
inline std::int32_t greatest_magnitude(const float* x, std::ptrdiff_t count) noexcept
{
    const ints mask(magnitude_mask);
    ints top[4] = {ints(0), ints(0), ints(0), ints(0)};
    std::ptrdiff_t i = 0;
    for (; i + 4 * width <= count; i += 4 * width)
        unroll<4>([&](std::size_t v) NIBBLE_UNROLLED {
            const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(v) * width;
            top[v] = max(top[v], as_ints(floats::load_unaligned(x + i + lane)) & mask);
        });
    ints all = max(max(top[0], top[1]), max(top[2], top[3]));
    for (; i + width <= count; i += width)
        all = max(all, as_ints(floats::load_unaligned(x + i)) & mask);
    std::int32_t best = highest_lane(all);
    for (; i < count; ++i) {
        const std::int32_t magnitude = static_cast<std::int32_t>(magnitude_bits(x[i]));
        best = larger(magnitude, best);
    }
    return best;
}

// The symmetric scale of a group whose greatest magnitude has the bits `top`; NaN if that is not finite.
inline float absmax_scale(std::int32_t top, float qmax) noexcept
{
    if (top >= infinity_bits)
        return quiet_nan();
    const float scale = float_from_bits(static_cast<std::uint32_t>(top)) / qmax;
    return scale < 1.17549435e-38f ? 1.0f : scale;
}

// The greatest magnitudes of `width` chunks.
inline ints greatest_magnitudes(const float* x) noexcept
{
    const ints mask(magnitude_mask);
    ints top[ints::size];
    unroll<ints::size>([&](std::size_t c) NIBBLE_UNROLLED { top[c] = ints(0); }); // no magnitude is less
    unroll_grid<ints::size, chunk_vectors>([&](std::size_t c, std::size_t v) NIBBLE_UNROLLED {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(c) * chunk + static_cast<std::ptrdiff_t>(v) * width;
        const ints magnitude = as_ints(floats::load_unaligned(x + at)) & mask;
        top[c] = max(top[c], magnitude);
    });
    return highest_lanes(top);
}

// The scales of `width` groups of a chunk each, and their reciprocals. False, and nothing done: a group holds a NaN or an infinity.
inline bool absmax_scales(const float* x, float qmax, float* scales, float* inverse) noexcept
{
    const ints top = greatest_magnitudes(x);
    if (highest_lane(top) >= infinity_bits)
        return false;
    const ints scale = as_ints(quotient(as_floats(top), floats(qmax)));
    const floats chosen = as_floats(select(scale < ints(0x00800000), as_ints(floats(1.0f)), scale));
    chosen.store_unaligned(scales);
    quotient(floats(1.0f), chosen).store_unaligned(inverse);
    return true;
}

// Groups of a chunk each, as many as come in whole vectors of finite groups; returns how many. Scales are computed one vector ahead, so
// that their two divisions do not keep the codes waiting.
template <int Bits>
inline std::ptrdiff_t quantize_absmax_groups(const float* x, std::uint8_t* q, std::ptrdiff_t groups, float qmax, float* scales) noexcept
{
    float inverse[2][floats::size];
    std::ptrdiff_t done = 0;
    bool ready = groups >= width && absmax_scales(x, qmax, scales, inverse[0]);
    for (int side = 0; ready; side ^= 1) {
        const std::ptrdiff_t next = done + width;
        ready = next + width <= groups && absmax_scales(x + next * chunk, qmax, scales + next, inverse[side ^ 1]);
        quantize_chunks<Bits, true>(
            x + done * chunk, q + done * chunk * Bits / 8, width, inverse[side], 1, usual_rounding {}, as_rounded {});
        done = next;
    }
    return done;
}

template <int Bits>
inline float quantize_absmax_group(const float* x, std::uint8_t* q, std::ptrdiff_t count, float qmax) noexcept
{
    const std::int32_t top = greatest_magnitude(x, count);
    const float scale = absmax_scale(top, qmax), inverse = 1.0f / scale;
    if (top < infinity_bits) {
        const std::ptrdiff_t whole = count / chunk * chunk;
        quantize_chunks<Bits, true>(x, q, count / chunk, &inverse, 0, usual_rounding {}, as_rounded {});
        absmax_quantizer rule {inverse};
        quantize_span<Bits>(x, q, whole, count - whole, rule);
    } else {
        quantizer rule {1.0f, -qmax, qmax, 0};
        quantize_span<Bits>(x, q, 0, count, rule);
    }
    return scale;
}

template <int Bits>
inline void quantize_absmax(const quantize_args& args) noexcept
{
    const float qmax = static_cast<float>(args.qmax);
    for (std::ptrdiff_t r = args.row_begin; r < args.row_end; ++r) {
        const float* x = args.x + r * args.x_stride;
        std::uint8_t* q = static_cast<std::uint8_t*>(args.q) + r * args.q_stride;
        float* scales = args.scales_out + r * args.row_stride;
        std::ptrdiff_t begin = 0;
        while (begin < args.cols) {
            if (args.group_size == chunk) {
                const std::ptrdiff_t done
                    = quantize_absmax_groups<Bits>(x + begin, q + begin * Bits / 8, (args.cols - begin) / chunk, qmax, scales);
                begin += done * chunk;
                scales += done;
            }
            const std::ptrdiff_t left = args.cols - begin;
            if (left == 0)
                break;
            *scales++ = quantize_absmax_group<Bits>(x + begin, q + begin * Bits / 8, smaller(left, args.group_size), qmax);
            begin += args.group_size;
        }
    }
}

template <class Lazy>
inline void quantize_absmax_8(const quantize_args& args) noexcept
{
    quantize_absmax<8>(args);
}
template <class Lazy>
inline void quantize_absmax_4(const quantize_args& args) noexcept
{
    quantize_absmax<4>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
