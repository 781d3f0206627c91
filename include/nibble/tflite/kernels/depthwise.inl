// Depthwise convolution of int8 or int16 images in NHWC: lanes are channels, and taps are multiplied two by two.
//   for each part of the channels, for some output pixels: a table of where their taps are in memory
//     for each block of channels: weights widened and paired, then the pixels one after the other
// Two taps make one instruction: pairs of int16, multiplied and added in int32. A tap beside the image reads codes that are the zero point,
// so that no product has to be left out: sums begin at -zero point * weights. No sum overflows: at most 64 taps of 2^15 * 2^7 are at most
// 2^28. Several output channels an input channel, and large kernels, take a plain loop.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "depthwise.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Bounds of what stands on the stack: the table of addresses, the codes outside the image, the widened weights of a block.
inline constexpr std::ptrdiff_t depthwise_channels = 1024; // that share a table
inline constexpr std::ptrdiff_t depthwise_table = 1024;    // taps in it
inline constexpr std::ptrdiff_t depthwise_taps = 64;       // of one pixel; larger kernels take the plain loop

template <class X>
struct depthwise_part {
    const X* const* table; // [pixels][taps]: the part's first channel
    std::ptrdiff_t pixel, pixels, taps, first_channel;
};

struct output_pixel {
    std::ptrdiff_t image, oy, ox;
};
inline output_pixel pixel_at(const depthwise_args& args, std::ptrdiff_t pixel) noexcept
{
    const std::ptrdiff_t row = pixel / args.out_width;
    return {row / args.out_height, row % args.out_height, pixel % args.out_width};
}

// body(tap, address or null) for all taps of an output pixel.
template <class X, class Body>
inline void for_taps(const depthwise_args& args, output_pixel pixel, Body body) noexcept
{
    const X* const x = static_cast<const X*>(args.x);
    const std::ptrdiff_t top = pixel.oy * args.stride_height - args.pad_top, left = pixel.ox * args.stride_width - args.pad_left;
    std::ptrdiff_t tap = 0;
    for (std::ptrdiff_t ky = 0; ky < args.kernel_height; ++ky) {
        const std::ptrdiff_t iy = top + ky * args.dilation_height;
        for (std::ptrdiff_t kx = 0; kx < args.kernel_width; ++kx, ++tap) {
            const std::ptrdiff_t ix = left + kx * args.dilation_width;
            const bool inside = iy >= 0 && iy < args.height && ix >= 0 && ix < args.width;
            body(tap, inside ? x + ((pixel.image * args.height + iy) * args.width + ix) * args.channels : nullptr);
        }
    }
}

// The taps of output pixels [pixel, pixel + pixels). Most pixels have their left neighbour's taps, one stride further.
template <class X>
inline void fill_table(const depthwise_args& args, std::ptrdiff_t pixel, std::ptrdiff_t pixels, std::ptrdiff_t first_channel,
    const X* outside, const X** table) noexcept
{
    const std::ptrdiff_t taps = args.kernel_height * args.kernel_width, apart = args.stride_width * args.channels;
    const std::ptrdiff_t reach = (args.kernel_width - 1) * args.dilation_width;
    output_pixel at = pixel_at(args, pixel);
    for (std::ptrdiff_t i = 0; i < pixels; ++i, table += taps) {
        const std::ptrdiff_t left = at.ox * args.stride_width - args.pad_left;
        if (i != 0 && at.ox != 0 && left - args.stride_width >= 0 && left + reach < args.width)
            for (std::ptrdiff_t t = 0; t < taps; ++t)
                table[t] = table[t - taps] == outside ? outside : table[t - taps] + apart;
        else
            for_taps<X>(
                args, at, [&](std::ptrdiff_t tap, const X* p) noexcept { table[tap] = p == nullptr ? outside : p + first_channel; });
        if (++at.ox == args.out_width) {
            at.ox = 0;
            if (++at.oy == args.out_height) {
                at.oy = 0;
                ++at.image;
            }
        }
    }
}

// Sums of `pixels` pixels, each `stride` after the last, to codes.
inline void finish_depthwise(const depthwise_args& args, std::int8_t, std::ptrdiff_t pixel, std::ptrdiff_t pixels, std::ptrdiff_t channel,
    std::ptrdiff_t count, const std::int32_t* sums, std::ptrdiff_t stride) noexcept
{
    const std::ptrdiff_t out_channels = args.channels * args.multiplier;
    std::int8_t* const y = static_cast<std::int8_t*>(args.y) + pixel * out_channels + channel;
    requantize_block(args.requantize, sums, stride, pixels, channel, count, reinterpret_cast<std::uint8_t*>(y), out_channels);
}

inline void finish_depthwise(const depthwise_args& args, std::int16_t, std::ptrdiff_t pixel, std::ptrdiff_t pixels, std::ptrdiff_t channel,
    std::ptrdiff_t count, const std::int32_t* sums, std::ptrdiff_t stride) noexcept
{
    const std::ptrdiff_t out_channels = args.channels * args.multiplier;
    requantize_16x8<void>({nullptr, sums, stride, pixels, channel, count,
        static_cast<std::int16_t*>(args.y) + pixel * out_channels + channel, out_channels, args.wide});
}

// `count` channels, the first `channel` of the part: all lanes of Vectors vectors if Whole. Weights are widened and paired once for all
// pixels. Sums of 16 pixels are kept and then requantized together, since that loads parameters for each column. A last tap without a
// partner is paired with zeros.
template <class X, std::size_t Vectors, bool Whole>
inline void depthwise_block(
    const depthwise_args& args, const depthwise_part<X>& part, std::ptrdiff_t channel, std::ptrdiff_t count) noexcept
{
    const std::ptrdiff_t pairs = part.taps / 2, first_channel = part.first_channel + channel;
    const auto load = [&](auto* p, std::size_t v) NIBBLE_UNROLLED {
        const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(v) * short_lanes;
        return Whole ? load_shorts(p + lane) : load_some_shorts(p + lane, count - lane);
    };
    short_pair weights[depthwise_taps / 2 + 1][Vectors];
    ints start[2 * Vectors];
    const shorts none = all_shorts(0), zero_point = all_shorts(-args.x_zero_point);
    unroll<2 * Vectors>([&](std::size_t v) NIBBLE_UNROLLED { start[v] = ints(0); });
    for (std::ptrdiff_t p = 0; 2 * p < part.taps; ++p) {
        const std::int8_t* const w = args.w + 2 * p * args.channels + first_channel;
        unroll<Vectors>([&](std::size_t v) NIBBLE_UNROLLED {
            weights[p][v] = paired(load(w, v), 2 * p + 1 < part.taps ? load(w + args.channels, v) : none);
            add_products(start[2 * v], start[2 * v + 1], paired(zero_point, zero_point), weights[p][v]);
        });
    }
    constexpr std::ptrdiff_t together = 16, lanes = static_cast<std::ptrdiff_t>(Vectors) * short_lanes;
    std::int32_t stored[std::size_t {together * lanes}];
    std::ptrdiff_t waiting = 0;
    for (std::ptrdiff_t pixel = 0; pixel < part.pixels; ++pixel) {
        const X* const* const taps = part.table + pixel * part.taps;
        ints sums[2 * Vectors];
        unroll<2 * Vectors>([&](std::size_t v) NIBBLE_UNROLLED { sums[v] = start[v]; });
        for (std::ptrdiff_t p = 0; p < pairs; ++p) {
            const X* const first = taps[2 * p] + channel;
            const X* const second = taps[2 * p + 1] + channel;
            unroll<Vectors>([&](std::size_t v) NIBBLE_UNROLLED {
                add_products(sums[2 * v], sums[2 * v + 1], paired(load(first, v), load(second, v)), weights[p][v]);
            });
        }
        if (part.taps % 2 != 0) {
            const X* const last = taps[part.taps - 1] + channel;
            unroll<Vectors>([&](std::size_t v) NIBBLE_UNROLLED {
                add_products(sums[2 * v], sums[2 * v + 1], paired(load(last, v), none), weights[pairs][v]);
            });
        }
        unroll<Vectors>([&](std::size_t v) NIBBLE_UNROLLED {
            store_sums(sums[2 * v], sums[2 * v + 1], stored + waiting * lanes + static_cast<std::ptrdiff_t>(v) * short_lanes);
        });
        if (++waiting == together || pixel + 1 == part.pixels) {
            finish_depthwise(args, X {}, part.pixel + pixel + 1 - waiting, waiting, first_channel, count, stored, lanes);
            waiting = 0;
        }
    }
}

template <class X>
inline void depthwise_by_vectors(const depthwise_args& args, std::ptrdiff_t pixel_begin, std::ptrdiff_t pixel_end) noexcept
{
    const std::ptrdiff_t taps = args.kernel_height * args.kernel_width, together = depthwise_table / taps;
    X outside[depthwise_channels];
    for (std::ptrdiff_t i = 0; i < depthwise_channels && i < args.channels; ++i)
        outside[i] = static_cast<X>(args.x_zero_point);
    const X* table[depthwise_table];
    depthwise_part<X> part {table, 0, 0, taps, 0};
    for (; part.first_channel < args.channels; part.first_channel += depthwise_channels)
        for (part.pixel = pixel_begin; part.pixel < pixel_end; part.pixel += part.pixels) {
            part.pixels = smaller(pixel_end - part.pixel, together);
            fill_table(args, part.pixel, part.pixels, part.first_channel, outside, table);
            const std::ptrdiff_t rest = args.channels - part.first_channel, channels = smaller(rest, depthwise_channels);
            std::ptrdiff_t channel = 0;
            for (; channels - channel >= 2 * short_lanes; channel += 2 * short_lanes)
                depthwise_block<X, 2, true>(args, part, channel, 2 * short_lanes);
            for (; channel < channels; channel += short_lanes)
                if (channels < short_lanes)
                    depthwise_block<X, 1, false>(args, part, channel, channels);
                else // the last vector ends with the channels: some are computed twice
                    depthwise_block<X, 1, true>(
                        args, part, channels - channel < short_lanes ? channels - short_lanes : channel, short_lanes);
        }
}

// Any multiplier and any kernel.
template <class X>
inline void depthwise_plain(const depthwise_args& args, std::ptrdiff_t pixel_begin, std::ptrdiff_t pixel_end) noexcept
{
    constexpr std::ptrdiff_t block = 64;
    const std::ptrdiff_t out_channels = args.channels * args.multiplier;
    for (std::ptrdiff_t pixel = pixel_begin; pixel < pixel_end; ++pixel)
        for (std::ptrdiff_t channel = 0; channel < out_channels; channel += block) {
            const std::ptrdiff_t count = smaller(out_channels - channel, block);
            std::int32_t sums[block] = {};
            for_taps<X>(args, pixel_at(args, pixel), [&](std::ptrdiff_t tap, const X* at) noexcept {
                for (std::ptrdiff_t i = 0; at != nullptr && i < count; ++i)
                    sums[i] += (at[(channel + i) / args.multiplier] - args.x_zero_point) * args.w[tap * out_channels + channel + i];
            });
            finish_depthwise(args, X {}, pixel, 1, channel, count, sums, 0);
        }
}

template <class X>
inline void depthwise(const depthwise_args& args) noexcept
{
    const std::ptrdiff_t begin = args.row_begin * args.out_width, end = args.row_end * args.out_width;
    if (args.multiplier == 1 && args.kernel_height * args.kernel_width <= depthwise_taps)
        depthwise_by_vectors<X>(args, begin, end);
    else
        depthwise_plain<X>(args, begin, end);
}

template <class Lazy>
inline void depthwise_s8(const depthwise_args& args) noexcept
{
    depthwise<std::int8_t>(args);
}
template <class Lazy>
inline void depthwise_s16(const depthwise_args& args) noexcept
{
    depthwise<std::int16_t>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
