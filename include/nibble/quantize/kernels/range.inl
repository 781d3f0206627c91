// The least and the greatest value of blocks of a matrix, and whether all are finite.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "range.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// The running range of a block, and the greatest magnitude in it.
struct lane_range {
    floats low, high;
    ints top;
    void take(floats x) noexcept
    {
        low = min(low, x);
        high = max(high, x);
        top = max(top, as_ints(x) & ints(magnitude_mask));
    }
};

// Which zero min and max return differs from CPU to CPU, hence the sums with 0.
inline void store_range(float low, float high, std::int32_t top, float& low_out, float& high_out) noexcept
{
    const bool finite = top < infinity_bits;
    low_out = finite ? low + 0.0f : quiet_nan();
    high_out = finite ? high + 0.0f : quiet_nan();
}

template <class Lazy>
inline void range_f32(const range_args& args) noexcept
{
    float* low = args.low;
    float* high = args.high;
    for (std::ptrdiff_t first = 0; first < args.rows; first += args.block_rows) {
        const std::ptrdiff_t end = args.rows - first < args.block_rows ? args.rows : first + args.block_rows;
        if (args.group_size == 1) {
            for (std::ptrdiff_t c = 0; c < args.cols; c += width) {
                const std::ptrdiff_t count = smaller(args.cols - c, width);
                const auto load = [&](std::ptrdiff_t r) noexcept {
                    if (count == width)
                        return floats::load_unaligned(args.x + r * args.x_stride + c);
                    float lanes[floats::size] = {};
                    std::memcpy(lanes, args.x + r * args.x_stride + c, static_cast<std::size_t>(count) * sizeof(float));
                    return floats::load_unaligned(lanes);
                };
                lane_range range {load(first), load(first), ints(0)};
                for (std::ptrdiff_t r = first; r < end; ++r)
                    range.take(load(r));
                float lows[floats::size], highs[floats::size];
                std::int32_t tops[ints::size];
                range.low.store_unaligned(lows);
                range.high.store_unaligned(highs);
                range.top.store_unaligned(tops);
                for (std::ptrdiff_t i = 0; i < count; ++i)
                    store_range(lows[i], highs[i], tops[i], *low++, *high++);
            }
            continue;
        }
        for (std::ptrdiff_t begin = 0; begin < args.cols; begin += args.group_size) {
            const std::ptrdiff_t count = smaller(args.cols - begin, args.group_size);
            const float start = args.x[first * args.x_stride + begin];
            lane_range range {floats(start), floats(start), ints(0)};
            float least = start, greatest = start;
            std::int32_t top = 0;
            for (std::ptrdiff_t r = first; r < end; ++r) {
                const float* x = args.x + r * args.x_stride + begin;
                std::ptrdiff_t i = 0;
                for (; i + width <= count; i += width)
                    range.take(floats::load_unaligned(x + i));
                for (; i < count; ++i) {
                    const std::int32_t magnitude = static_cast<std::int32_t>(magnitude_bits(x[i]));
                    top = larger(magnitude, top);
                    least = smaller(x[i], least);
                    greatest = larger(x[i], greatest);
                }
            }
            const float lane_least = lowest_lane(range.low), lane_greatest = highest_lane(range.high);
            const std::int32_t lane_top = highest_lane(range.top);
            store_range(smaller(lane_least, least), larger(lane_greatest, greatest), larger(lane_top, top), *low++, *high++);
        }
    }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
