// The scales of ggml's blocks, a group in each lane: all groups go through the same steps, so that sums have their order, and what a branch
// would decide is selected. reference/scale_search.hpp has the rules for one group.
//
// What all searches do: for codes l and weights w the best scale of x ~ scale * l is sum(w x l) / sum(w l l) (lx and l2 below), and its
// squared error is sum(w x x) - lx^2 / l2. The first sum is the same for all candidates, so that the better of two has the greater lx^2 /
// l2; the test is written without a division, as ggml writes it. Lanes may divide by zero or hold NaN on the way: selects keep that out of
// results.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "search.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Up to `width` groups, number i of each side by side. Lanes without a group repeat the last one.
struct lane_groups {
    static constexpr std::size_t most = 32 * floats::size;
    alignas(64) float x[most];
    alignas(64) float weights[most];
    std::ptrdiff_t size;

    floats number(std::ptrdiff_t i) const noexcept { return floats::load_unaligned(x + i * width); }
    floats weight(std::ptrdiff_t i) const noexcept { return floats::load_unaligned(weights + i * width); }

    void gather(const block_search_args& args, std::ptrdiff_t first) noexcept
    {
        size = args.size;
        for (std::ptrdiff_t lane = 0; lane < width; ++lane) {
            const std::ptrdiff_t group = smaller(first + lane, args.groups - 1);
            for (std::ptrdiff_t i = 0; i < size; ++i)
                x[i * width + lane] = args.x[group * size + i];
            if (args.weights != nullptr)
                for (std::ptrdiff_t i = 0; i < size; ++i)
                    weights[i * width + lane] = args.weights[group * size + i];
        }
    }
};

// As reference::nearest_int, for all x.
inline ints nearest_code(floats x) noexcept { return (as_ints(opaque(x) + floats(12582912.0f)) & ints(0x7fffff)) - ints(0x400000); }
inline floats bounded_code(floats x, std::int32_t low, std::int32_t high) noexcept
{
    return to_float(max(ints(low), min(nearest_code(x), ints(high))));
}

inline floats magnitude(floats x) noexcept { return as_floats(as_ints(x) & ints(magnitude_mask)); }
inline floats negative(floats x) noexcept { return as_floats(as_ints(x) ^ ints(INT32_MIN)); }

inline floats first_extreme(const lane_groups& groups) noexcept
{
    floats top(0.0f), extreme(0.0f);
    for (std::ptrdiff_t i = 0; i < groups.size; ++i) {
        const floats x = groups.number(i), m = magnitude(x);
        const auto more = top < m;
        top = select(more, m, top);
        extreme = select(more, x, extreme);
    }
    return extreme;
}

inline void scatter(floats values, std::ptrdiff_t count, float* out) noexcept
{
    alignas(64) float lanes[floats::size];
    values.store_unaligned(lanes);
    std::memcpy(out, lanes, static_cast<std::size_t>(count) * sizeof(float));
}

// The codes of number i, one a lane, to each group's place.
inline void scatter_codes(ints codes, std::ptrdiff_t i, std::ptrdiff_t size, std::ptrdiff_t count, std::uint8_t* out) noexcept
{
    std::uint8_t lanes[floats::size];
    store_low_bytes(codes, lanes);
    for (std::ptrdiff_t lane = 0; lane < count; ++lane)
        out[lane * size + i] = lanes[lane];
}

// body(groups, count, first): for every `width` groups.
template <class Body>
inline void for_lane_groups(const block_search_args& args, Body body) noexcept
{
    lane_groups groups;
    for (std::ptrdiff_t first = 0; first < args.groups; first += width) {
        groups.gather(args, first);
        body(groups, smaller(args.groups - first, width), first);
    }
}

// Candidates: the extreme is worth bias codes, or 0.9 fewer to 0.9 more, in tenths. Codes are made again at the end from
// the best inverse, which costs less than keeping those of every candidate.
template <class Lazy>
inline void search_symmetric(const block_search_args& args) noexcept
{
    const std::int32_t bias = args.levels;
    for_lane_groups(args, [&](const lane_groups& g, std::ptrdiff_t count, std::ptrdiff_t first) noexcept {
        const floats extreme = first_extreme(g);
        const auto small = magnitude(extreme) < floats(least_scaled_group);
        floats scale(0.0f), best(0.0f), best_inverse(0.0f);
        for (std::int32_t step = 0; step < 19; ++step) {
            const std::int32_t tenths = step == 0 ? 0 : step < 10 ? step - 10 : step - 9;
            const float nudged = static_cast<float>(bias) + nibble::opaque(0.1f * static_cast<float>(tenths));
            const floats inverse = quotient(floats(-nudged), extreme);
            floats sum_lx(0.0f), sum_l2(0.0f);
            for (std::ptrdiff_t i = 0; i < g.size; ++i) {
                const floats x = g.number(i), w = g.weight(i), l = bounded_code(inverse * x, -bias, bias - 1);
                sum_lx = sum_lx + opaque(w * x * l);
                sum_l2 = sum_l2 + opaque(w * l * l);
            }
            const auto none = sum_l2 == floats(0.0f);
            const floats found = select(none, floats(0.0f), quotient(sum_lx, sum_l2));
            if (step == 0) {
                scale = found;
                best = found * sum_lx;
                best_inverse = inverse;
            } else {
                const auto better = floats(0.0f) < sum_l2 && best * sum_l2 < sum_lx * sum_lx;
                scale = select(better, found, scale);
                best = select(better, found * sum_lx, best);
                best_inverse = select(better, inverse, best_inverse);
            }
        }
        scatter(select(small, floats(0.0f), scale), count, args.scales + first);
        for (std::ptrdiff_t i = 0; i < g.size; ++i) {
            const floats l = bounded_code(best_inverse * g.number(i), -bias, bias - 1) + floats(static_cast<float>(bias));
            scatter_codes(round_to_int(select(small, floats(0.0f), l)), i, g.size, count, args.codes + first * g.size);
        }
    });
}

// From the codes of the extreme's scale, five rounds of moving each code to where the others' best scale puts it.
template <class Lazy>
inline void search_descent(const block_search_args& args) noexcept
{
    const std::int32_t bias = args.levels;
    for_lane_groups(args, [&](const lane_groups& g, std::ptrdiff_t count, std::ptrdiff_t first) noexcept {
        alignas(64) float codes[lane_groups::most];
        const floats extreme = first_extreme(g), zero(0.0f);
        const auto small = magnitude(extreme) < floats(least_scaled_group);
        const floats inverse = quotient(floats(static_cast<float>(-bias)), extreme);
        floats sum_lx(0.0f), sum_l2(0.0f);
        for (std::ptrdiff_t i = 0; i < g.size; ++i) {
            const floats x = g.number(i), w = x * x, l = bounded_code(inverse * x, -bias, bias - 1);
            l.store_unaligned(codes + i * width);
            sum_lx = sum_lx + opaque(w * x * l);
            sum_l2 = sum_l2 + opaque(w * l * l);
        }
        // A group of which no code changes in a round stays as it is in the rounds to come, too.
        for (int round = 0; round < 5; ++round) {
            for (std::ptrdiff_t i = 0; i < g.size; ++i) {
                const floats x = g.number(i), w = x * x, old = floats::load_unaligned(codes + i * width);
                floats lx = sum_lx - opaque(w * x * old), l2 = sum_l2 - opaque(w * old * old);
                const floats l = bounded_code(quotient(x * l2, lx), -bias, bias - 1);
                const auto moves = zero < lx;
                lx = lx + opaque(w * x * l);
                l2 = l2 + opaque(w * l * l);
                const auto better = moves && (zero < l2 && sum_lx * sum_lx * l2 < lx * lx * sum_l2);
                const auto changes = better && !(l == old);
                select(changes, l, old).store_unaligned(codes + i * width);
                sum_lx = select(changes, lx, sum_lx);
                sum_l2 = select(changes, l2, sum_l2);
            }
        }
        const floats scale = select(zero < sum_l2, quotient(sum_lx, sum_l2), zero);
        scatter(select(small, zero, scale), count, args.scales + first);
        for (std::ptrdiff_t i = 0; i < g.size; ++i) {
            const floats l = floats::load_unaligned(codes + i * width) + floats(static_cast<float>(bias));
            scatter_codes(round_to_int(select(small, zero, l)), i, g.size, count, args.codes + first * g.size);
        }
    });
}

// x ~ scale * l + low, low <= 0. For each candidate's codes scale and low solve two linear equations; a low above zero becomes 0. The next
// candidate starts from the best low so far, so that candidates depend on each other and stay in order.
template <class Lazy>
inline void search_affine(const block_search_args& args) noexcept
{
    const std::int32_t levels = args.levels;
    for_lane_groups(args, [&](const lane_groups& g, std::ptrdiff_t count, std::ptrdiff_t first) noexcept {
        alignas(64) float codes[lane_groups::most];
        const floats zero(0.0f), top(static_cast<float>(levels));
        floats low = g.number(0), high = low, sum_w = g.weight(0), sum_x = opaque(sum_w * low);
        for (std::ptrdiff_t i = 1; i < g.size; ++i) {
            const floats x = g.number(i), w = g.weight(i);
            low = select(x < low, x, low);
            high = select(high < x, x, high);
            sum_w = sum_w + w;
            sum_x = sum_x + opaque(w * x);
        }
        low = select(zero < low, zero, low);
        const auto has_range = low < high;
        const auto error = [&](floats scale, floats minimum) noexcept {
            floats sum(0.0f);
            for (std::ptrdiff_t i = 0; i < g.size; ++i) {
                const floats off = opaque(scale * floats::load_unaligned(codes + i * width)) + minimum - g.number(i);
                sum = sum + opaque(g.weight(i) * (args.candidates.absolute ? magnitude(off) : off * off));
            }
            return sum;
        };
        floats inverse = quotient(top, high - low), scale = quotient(floats(1.0f), inverse);
        floats best_inverse = inverse, best_low = low;
        for (std::ptrdiff_t i = 0; i < g.size; ++i)
            bounded_code(inverse * (g.number(i) - low), 0, levels).store_unaligned(codes + i * width);
        floats best = error(scale, low);
        for (int each = 0; each <= args.candidates.last; ++each) {
            const float nudged = args.candidates.nudge + nibble::opaque(args.candidates.step * static_cast<float>(each));
            inverse = quotient(floats(nudged + static_cast<float>(levels)), high - low);
            floats sum_l(0.0f), sum_l2(0.0f), sum_xl(0.0f);
            for (std::ptrdiff_t i = 0; i < g.size; ++i) {
                const floats x = g.number(i), l = bounded_code(inverse * (x - low), 0, levels), wl = opaque(g.weight(i) * l);
                l.store_unaligned(codes + i * width);
                sum_l = sum_l + wl;
                sum_l2 = sum_l2 + opaque(wl * l);
                sum_xl = sum_xl + opaque(wl * x);
            }
            const floats determinant = opaque(sum_w * sum_l2) - opaque(sum_l * sum_l);
            floats this_scale = quotient(opaque(sum_w * sum_xl) - opaque(sum_x * sum_l), determinant);
            floats this_low = quotient(opaque(sum_l2 * sum_x) - opaque(sum_l * sum_xl), determinant);
            const auto above = zero < this_low;
            this_scale = select(above, quotient(sum_xl, sum_l2), this_scale);
            this_low = select(above, zero, this_low);
            const floats this_error = error(this_scale, this_low);
            const auto better = zero < determinant && this_error < best;
            best_inverse = select(better, inverse, best_inverse);
            best_low = select(better, low, best_low);
            best = select(better, this_error, best);
            scale = select(better, this_scale, scale);
            low = select(better, this_low, low);
        }
        scatter(select(has_range, scale, zero), count, args.scales + first);
        scatter(negative(low), count, args.minimums + first);
        for (std::ptrdiff_t i = 0; i < g.size; ++i) {
            const floats l = bounded_code(best_inverse * (g.number(i) - best_low), 0, levels);
            scatter_codes(round_to_int(select(has_range, l, zero)), i, g.size, count, args.codes + first * g.size);
        }
    });
}

// The value of IQ4's code for x.
inline floats iq4_value(floats x) noexcept
{
    const floats twice = x + x;
    floats value(static_cast<float>(iq4_values[0]));
    for (int i = 0; i < 15; ++i) {
        const auto below = twice < floats(static_cast<float>(iq4_values[i] + iq4_values[i + 1]));
        value = select(below, value, floats(static_cast<float>(iq4_values[i + 1])));
    }
    return value;
}

// Scales only.
template <class Lazy>
inline void search_iq4(const block_search_args& args) noexcept
{
    for_lane_groups(args, [&](const lane_groups& g, std::ptrdiff_t count, std::ptrdiff_t first) noexcept {
        const floats extreme = first_extreme(g), zero(0.0f), least(static_cast<float>(iq4_values[0]));
        const auto small = magnitude(extreme) < floats(least_scaled_group);
        floats scale(0.0f), best(0.0f);
        for (int each = -8; each <= 7; ++each) {
            const floats inverse = each == -8 ? quotient(floats(1.0f), quotient(negative(extreme), least))
                                              : quotient(floats(static_cast<float>(each + iq4_values[0])), extreme);
            floats sum_qx(0.0f), sum_q2(0.0f);
            for (std::ptrdiff_t i = 0; i < g.size; ++i) {
                const floats x = g.number(i), q = iq4_value(inverse * x), wq = g.weight(i) * q;
                sum_qx = sum_qx + opaque(wq * x);
                sum_q2 = sum_q2 + opaque(wq * q);
            }
            const auto some = zero < sum_q2;
            const floats found = select(some, quotient(sum_qx, sum_q2), zero);
            if (each == -8) {
                scale = found;
                best = found * sum_qx;
            } else {
                const auto better = some && best * sum_q2 < sum_qx * sum_qx;
                scale = select(better, found, scale);
                best = select(better, found * sum_qx, best);
            }
        }
        scatter(select(small, zero, scale), count, args.scales + first);
    });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
