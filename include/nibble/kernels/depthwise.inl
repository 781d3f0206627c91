// Depthwise convolution of int8 images in NHWC: lanes are channels.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Lanes p[0 ... count), the rest zero.
inline words load_some_s8(const std::int8_t* p, std::ptrdiff_t count) noexcept
{
    if (count >= width)
        return load_s8(p);
    std::int8_t lanes[words::size] = {};
    for (std::ptrdiff_t i = 0; i < count; ++i)
        lanes[i] = p[i];
    return load_s8(lanes);
}

inline constexpr std::ptrdiff_t depthwise_vectors = 4, depthwise_block = depthwise_vectors * width;

// The first and the last but one of the taps that fall on the image, for an output at `from`, counted in input elements.
struct taps {
    std::ptrdiff_t begin, end;
};
inline taps taps_inside(std::ptrdiff_t from, std::ptrdiff_t size, std::ptrdiff_t kernel, std::ptrdiff_t dilation) noexcept
{
    const std::ptrdiff_t begin = from >= 0 ? 0 : (dilation - 1 - from) / dilation, last = (size - from + dilation - 1) / dilation;
    return {begin, last < kernel ? last : kernel};
}

// `count` channels from `channel` on of one output row; a whole block, and one output channel per input channel, if Whole.
template <bool Whole>
inline void depthwise_row(const depthwise_args& args, std::ptrdiff_t row, std::ptrdiff_t channel, std::ptrdiff_t count) noexcept
{
    const std::ptrdiff_t image = row / args.out_height, y = row % args.out_height, out_channels = args.channels * args.multiplier;
    const std::int8_t* const x = args.x + image * args.height * args.width * args.channels;
    const std::ptrdiff_t top = y * args.stride_height - args.pad_top;
    const taps vertical = taps_inside(top, args.height, args.kernel_height, args.dilation_height);
    const words zero_point(args.x_zero_point);
    std::int8_t* out = args.y + row * args.out_width * out_channels + channel;
    for (std::ptrdiff_t ox = 0; ox < args.out_width; ++ox, out += out_channels) {
        const std::ptrdiff_t left = ox * args.stride_width - args.pad_left;
        const taps horizontal = taps_inside(left, args.width, args.kernel_width, args.dilation_width);
        words sums[depthwise_vectors];
        unroll<static_cast<std::size_t>(depthwise_vectors)>([&](auto v) NIBBLE_UNROLLED { sums[v] = words(0); });
        for (std::ptrdiff_t ky = vertical.begin; ky < vertical.end; ++ky)
            for (std::ptrdiff_t kx = horizontal.begin; kx < horizontal.end; ++kx) {
                const std::int8_t* pixel
                    = x + ((top + ky * args.dilation_height) * args.width + left + kx * args.dilation_width) * args.channels;
                const std::int8_t* const w = args.w + (ky * args.kernel_width + kx) * out_channels + channel;
                std::int8_t repeated[depthwise_block];
                if (Whole || args.multiplier == 1) {
                    pixel += channel;
                } else {
                    for (std::ptrdiff_t i = 0; i < count; ++i)
                        repeated[i] = pixel[(channel + i) / args.multiplier];
                    pixel = repeated;
                }
                unroll<static_cast<std::size_t>(depthwise_vectors)>([&](auto v) NIBBLE_UNROLLED {
                    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(v) * width;
                    if (Whole)
                        sums[v] = sums[v] + (load_s8(pixel + first) - zero_point) * load_s8(w + first);
                    else if (first < count)
                        sums[v]
                            = sums[v] + (load_some_s8(pixel + first, count - first) - zero_point) * load_some_s8(w + first, count - first);
                });
            }
        std::int32_t lanes[depthwise_block];
        unroll<static_cast<std::size_t>(depthwise_vectors)>(
            [&](auto v) NIBBLE_UNROLLED { sums[v].store_unaligned(lanes + static_cast<std::ptrdiff_t>(v) * width); });
        requantize_row(args.requantize, lanes, channel, count, reinterpret_cast<std::uint8_t*>(out));
    }
}

inline void depthwise_s8(const depthwise_args& args) noexcept
{
    const std::ptrdiff_t out_channels = args.channels * args.multiplier;
    for (std::ptrdiff_t row = args.row_begin; row < args.row_end; ++row)
        for (std::ptrdiff_t channel = 0; channel < out_channels; channel += depthwise_block) {
            const std::ptrdiff_t count = out_channels - channel < depthwise_block ? out_channels - channel : depthwise_block;
            if (count == depthwise_block && args.multiplier == 1)
                depthwise_row<true>(args, row, channel, count);
            else
                depthwise_row<false>(args, row, channel, count);
        }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
