// Codes of 8, 4 and 2 bits to floats: x = (code - zero point) * scale.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "dequantize.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Columns [begin, begin + count) of a row; scales[0], or with PerColumn scales[i * stride] for column begin + i.
template <int Bits, bool Signed, bool PerColumn>
inline void dequantize_span(const std::uint8_t* q, float* x, std::ptrdiff_t begin, std::ptrdiff_t count, const float* scales,
    const std::int32_t* zero_points, std::ptrdiff_t stride) noexcept
{
    float scale[chunk];
    std::int32_t zero_point[chunk];
    const ints group_zero(zero_points && !PerColumn ? zero_points[0] : 0);
    const floats group_scale(scales[0]);
    const auto values = [&](const std::uint8_t* from, float* to) noexcept {
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
            const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(i) * width;
            const ints zero = PerColumn ? ints::load_unaligned(zero_point + lane) : group_zero;
            const floats s = PerColumn ? floats::load_unaligned(scale + lane) : group_scale;
            (to_float(load_codes<Bits, Signed>(from, i) - zero) * s).store_unaligned(to + lane);
        });
    };
    for (std::ptrdiff_t i = 0; i < count; i += chunk) {
        const std::ptrdiff_t part = smaller(count - i, chunk);
        if constexpr (PerColumn)
            for (std::ptrdiff_t lane = 0; lane < chunk; ++lane) {
                const std::ptrdiff_t at = lane < part ? (i + lane) * stride : 0;
                scale[lane] = scales[at];
                zero_point[lane] = zero_points ? zero_points[at] : 0;
            }
        const std::uint8_t* from = q + (begin + i) * Bits / 8;
        if (part == chunk) {
            values(from, x + begin + i);
        } else {
            std::uint8_t codes[chunk] = {};
            float reals[chunk];
            std::memcpy(codes, from, static_cast<std::size_t>((part * Bits + 7) / 8));
            values(codes, reals);
            std::memcpy(x + begin + i, reals, static_cast<std::size_t>(part) * sizeof(float));
        }
    }
}

// `count` chunks, chunk c with scales[c * stride] and zero_points[c * stride].
template <int Bits, bool Signed, bool HasZeroPoints>
inline void dequantize_chunks(const std::uint8_t* q, float* x, std::ptrdiff_t count, const float* scales, const std::int32_t* zero_points,
    std::ptrdiff_t stride) noexcept
{
    for (std::ptrdiff_t c = 0; c < count; ++c, q += chunk * Bits / 8, x += chunk) {
        const floats scale(scales[c * stride]);
        const ints zero(HasZeroPoints ? zero_points[c * stride] : 0);
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
            const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(i) * width;
            const ints codes = load_codes<Bits, Signed>(q, i);
            (to_float(HasZeroPoints ? codes - zero : codes) * scale).store_unaligned(x + lane);
        });
    }
}

template <int Bits, bool Signed>
inline void dequantize_matrix(const dequantize_args& args) noexcept
{
    for (std::ptrdiff_t r = args.row_begin; r < args.row_end; ++r) {
        const std::uint8_t* q = static_cast<const std::uint8_t*>(args.q) + r * args.q_stride;
        float* x = args.x + r * args.x_stride;
        const std::ptrdiff_t row = r / args.block_rows * args.row_stride;
        const float* scales = args.scales + row;
        const std::int32_t* zero_points = args.zero_points ? args.zero_points + row : nullptr;
        if (args.group_size == 1) {
            dequantize_span<Bits, Signed, true>(q, x, 0, args.cols, scales, zero_points, args.group_stride);
            continue;
        }
        const auto chunks = [&](std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t at, std::ptrdiff_t stride) noexcept {
            if (zero_points)
                dequantize_chunks<Bits, Signed, true>(q + begin * Bits / 8, x + begin, count, scales + at, zero_points + at, stride);
            else
                dequantize_chunks<Bits, Signed, false>(q + begin * Bits / 8, x + begin, count, scales + at, nullptr, stride);
        };
        std::ptrdiff_t begin = 0, at = 0;
        if (args.group_size == chunk && args.group_stride == 1) {
            at = args.cols / chunk;
            begin = at * chunk;
            chunks(0, at, 0, 1);
        }
        for (; begin < args.cols; begin += args.group_size, at += args.group_stride) {
            const std::ptrdiff_t count = smaller(args.cols - begin, args.group_size);
            const std::ptrdiff_t whole = count / chunk * chunk;
            chunks(begin, count / chunk, at, 0);
            if (whole < count)
                dequantize_span<Bits, Signed, false>(
                    q, x, begin + whole, count - whole, scales + at, zero_points ? zero_points + at : nullptr, 0);
        }
    }
}

template <class Lazy>
inline void dequantize_s8(const dequantize_args& args) noexcept
{
    dequantize_matrix<8, true>(args);
}
template <class Lazy>
inline void dequantize_u8(const dequantize_args& args) noexcept
{
    dequantize_matrix<8, false>(args);
}
template <class Lazy>
inline void dequantize_s4(const dequantize_args& args) noexcept
{
    dequantize_matrix<4, true>(args);
}
template <class Lazy>
inline void dequantize_u4(const dequantize_args& args) noexcept
{
    dequantize_matrix<4, false>(args);
}
template <class Lazy>
inline void dequantize_s2(const dequantize_args& args) noexcept
{
    dequantize_matrix<2, true>(args);
}
template <class Lazy>
inline void dequantize_u2(const dequantize_args& args) noexcept
{
    dequantize_matrix<2, false>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
