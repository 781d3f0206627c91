// Fake quantization and its gradients; reference/fake_quantize.hpp is their definition.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "fake_quantize.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// The scales and zero points of a chunk of columns: those of a group, or one a column.
template <bool PerColumn>
class chunk_params {
public:
    chunk_params(const float* scales, const std::int32_t* zero_points, std::ptrdiff_t stride) noexcept
        : scales_(scales), zero_points_(zero_points), stride_(stride)
    {
        fill(0, 1);
    }

    void prepare(std::ptrdiff_t column, std::ptrdiff_t count) noexcept
    {
        if constexpr (PerColumn)
            fill(column, count);
    }
    floats scale(std::ptrdiff_t lane) const noexcept { return lanes<floats>(scale_, lane); }
    floats inverse(std::ptrdiff_t lane) const noexcept { return lanes<floats>(inverse_, lane); }
    ints zero_point(std::ptrdiff_t lane) const noexcept { return lanes<ints>(zero_point_, lane); }

private:
    static constexpr std::ptrdiff_t size = PerColumn ? chunk : 1;

    template <class Lanes, class T>
    static Lanes lanes(const T* from, std::ptrdiff_t lane) noexcept
    {
        if constexpr (PerColumn)
            return Lanes::load_unaligned(from + lane);
        else
            return Lanes(*from);
    }
    void fill(std::ptrdiff_t column, std::ptrdiff_t count) noexcept
    {
        for (std::ptrdiff_t i = 0; i < size; ++i) {
            const std::ptrdiff_t at = (i < count ? column + i : column) * stride_;
            scale_[i] = scales_[at];
            inverse_[i] = 1.0f / scale_[i];
            zero_point_[i] = zero_points_ ? zero_points_[at] : 0;
        }
    }

    const float* scales_;
    const std::int32_t* zero_points_;
    std::ptrdiff_t stride_;
    float scale_[std::size_t {size}], inverse_[std::size_t {size}];
    std::int32_t zero_point_[std::size_t {size}];
};

// visit(rule, params, begin, count, group) for each group of row r, or once for all columns where each has its own parameters.
template <class Visit>
inline void for_each_group(const quantize_args& args, std::ptrdiff_t r, Visit visit) noexcept
{
    const quantize_rule& how = args.rule;
    const std::ptrdiff_t row = r / args.block_rows * args.row_stride;
    const float* scales = args.scales + row;
    const std::int32_t* zero_points = args.zero_points ? args.zero_points + row : nullptr;
    if (args.group_size == 1) {
        general_quantizer rule(args, r);
        rule.set_row(scales, zero_points);
        visit(rule, chunk_params<true>(scales, zero_points, args.group_stride), 0, args.cols, 0);
        return;
    }
    const bool plain = how.round == rounding::ties_to_even && !how.divide && !how.zero_point_first;
    std::ptrdiff_t group = 0;
    for (std::ptrdiff_t begin = 0; begin < args.cols; begin += args.group_size, ++group) {
        const std::ptrdiff_t at = group * args.group_stride, count = smaller(args.cols - begin, args.group_size);
        const std::int32_t zero_point = zero_points ? zero_points[at] : 0;
        const chunk_params<false> params(scales + at, zero_points ? zero_points + at : nullptr, 0);
        if (plain) {
            quantizer rule {
                1.0f / scales[at], static_cast<float>(args.qmin - zero_point), static_cast<float>(args.qmax - zero_point), zero_point};
            visit(rule, params, begin, count, group);
        } else {
            general_quantizer rule(args, r);
            rule.set(begin, chunk, scales + at, &zero_point, 0);
            visit(rule, params, begin, count, group);
        }
    }
}

template <class Lazy>
inline void fake_quantize_f32(const quantize_args& args) noexcept
{
    for (std::ptrdiff_t r = args.row_begin; r < args.row_end; ++r) {
        const float* x = args.x + r * args.x_stride;
        float* y = static_cast<float*>(args.q) + r * args.q_stride;
        for_each_group(args, r, [&](auto& rule, auto params, std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t) noexcept {
            const auto body = [&](const float* from, float* to, std::ptrdiff_t column, std::ptrdiff_t part) noexcept {
                rule.prepare(column, part);
                params.prepare(column, part);
                unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
                    const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(i) * width;
                    const ints code = rule(floats::load_unaligned(from + lane), column + lane);
                    (to_float(code - params.zero_point(lane)) * params.scale(lane)).store_unaligned(to + lane);
                });
            };
            std::ptrdiff_t column = begin;
            const std::ptrdiff_t end = begin + count;
            for (; column + chunk <= end; column += chunk)
                body(x + column, y + column, column, chunk);
            if (column < end) {
                float from[chunk] = {}, to[chunk];
                const std::size_t bytes = static_cast<std::size_t>(end - column) * sizeof(float);
                std::memcpy(from, x + column, bytes);
                body(from, to, column, end - column);
                std::memcpy(y + column, to, bytes);
            }
        });
    }
}

// The sums of a group: lane i of a chunk takes every 32nd column. With parameters of their own, each column is its own sum.
template <bool PerColumn>
struct gradient_lanes {
    floats scale[chunk_vectors], zero_point[chunk_vectors];

    gradient_lanes() noexcept
    {
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { scale[i] = zero_point[i] = floats(0.0f); });
    }
    void add(std::size_t i, floats dy, floats slope, floats clipped_dy) noexcept
    {
        const floats zero(0.0f);
        scale[i] = fused(dy, slope, PerColumn ? zero : scale[i]);
        zero_point[i] = (PerColumn ? zero : zero_point[i]) + clipped_dy;
    }

    // Folded in halves, first whole vectors, then within one; the last sum makes -0 and +0 one zero.
    static float folded(const floats (&from)[chunk_vectors]) noexcept
    {
        floats rest[chunk_vectors];
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { rest[i] = from[i]; });
        fold_vectors<chunk_vectors / 2>(rest);
        float lanes[floats::size];
        rest[0].store_unaligned(lanes);
        for (std::size_t half = floats::size / 2; half > 0; half /= 2)
            for (std::size_t i = 0; i < half; ++i)
                lanes[i] = lanes[i] + lanes[i + half];
        return lanes[0] + 0.0f;
    }
    // The sums of `count` columns.
    static void store_columns(const floats (&from)[chunk_vectors], float* to, std::ptrdiff_t count) noexcept
    {
        float lanes[chunk];
        unroll<chunk_vectors>(
            [&](std::size_t i) NIBBLE_UNROLLED { from[i].store_unaligned(lanes + static_cast<std::ptrdiff_t>(i) * width); });
        for (std::ptrdiff_t i = 0; i < count; ++i)
            to[i] = lanes[i] + 0.0f;
    }

private:
    template <std::size_t Half>
    static void fold_vectors(floats (&v)[chunk_vectors]) noexcept
    {
        if constexpr (Half > 0) {
            unroll<Half>([&](std::size_t i) NIBBLE_UNROLLED { v[i] = v[i] + v[i + Half]; });
            fold_vectors<Half / 2>(v);
        }
    }
};

// What is the same for all elements.
struct gradient_constants {
    ints qmin, qmax, beyond; // beyond: how far from qmin and qmax the first clipped element is: at them by value, one code further by code
    bool by_value, rounding_error, divide;

    explicit gradient_constants(const fake_quantize_backward_args& args) noexcept
        : qmin(args.qmin), qmax(args.qmax), beyond(args.test == clip_test::value ? 0 : 1), by_value(args.test == clip_test::value),
          rounding_error(args.gradient == scale_gradient::lsq), divide(args.rule.divide)
    {
    }
};

// One chunk, whose first column is `column`; rule has one code more on either side, which shows what rounds to a code that is not there.
// Inlined, so that constants and sums stay in registers.
template <class Rule, bool PerColumn>
NIBBLE_INLINE void gradient_chunk(gradient_constants g, Rule& rule, const chunk_params<PerColumn>& params, const float* x, const float* dy,
    float* dx, std::ptrdiff_t column, gradient_lanes<PerColumn>& sums) noexcept
{
    const floats zero(0.0f);
    for (std::size_t i = 0; i < chunk_vectors; ++i) {
        const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(i) * width;
        const floats at = floats::load_unaligned(x + lane), d = floats::load_unaligned(dy + lane);
        const ints zero_point = params.zero_point(lane), wide = rule(at, column + lane), code = min(max(wide, g.qmin), g.qmax);
        const floats value = opaque(zero_if_nan(g.divide ? quotient(at, params.scale(lane)) : at * params.inverse(lane)));
        const floats distance = to_float(code - zero_point), tested = g.by_value ? value : to_float(wide - zero_point);
        const floats low = to_float(g.qmin - zero_point - g.beyond), high = to_float(g.qmax - zero_point + g.beyond);
        const auto kept = max(low - tested, tested - high) < zero;
        select(kept, d, zero).store_unaligned(dx + lane);
        const floats error = g.rounding_error ? distance - value : zero;
        sums.add(i, d, select(kept, error, distance), select(kept, zero, d));
    }
}

template <class Lazy>
inline void fake_quantize_backward_f32(const fake_quantize_backward_args& args) noexcept
{
    quantize_args wider = args;
    --wider.qmin;
    ++wider.qmax;
    const gradient_constants constants(args);
    for (std::ptrdiff_t r = args.row_begin; r < args.row_end; ++r) {
        const float *x = args.x + r * args.x_stride, *dy = args.dy + r * args.dy_stride;
        float* dx = args.dx + r * args.dx_stride;
        for_each_group(wider, r, [&](auto& rule, auto params, std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t group) noexcept {
            constexpr bool per_column = std::is_same_v<decltype(params), chunk_params<true>>;
            gradient_lanes<per_column> sums;
            const std::ptrdiff_t end = begin + count;
            for (std::ptrdiff_t column = begin; column < end; column += chunk) {
                const std::ptrdiff_t part = smaller(end - column, chunk);
                rule.prepare(column, part);
                params.prepare(column, part);
                if (part == chunk) {
                    gradient_chunk(constants, rule, params, x + column, dy + column, dx + column, column, sums);
                } else {
                    float from[chunk] = {}, dy_from[chunk] = {}, to[chunk];
                    const std::size_t bytes = static_cast<std::size_t>(part) * sizeof(float);
                    std::memcpy(from, x + column, bytes);
                    std::memcpy(dy_from, dy + column, bytes);
                    gradient_chunk(constants, rule, params, from, dy_from, to, column, sums);
                    std::memcpy(dx + column, to, bytes);
                }
                if (per_column && args.scale_sums != nullptr) {
                    sums.store_columns(sums.scale, args.scale_sums + r * args.groups + column, part);
                    sums.store_columns(sums.zero_point, args.zero_point_sums + r * args.groups + column, part);
                }
            }
            if (!per_column && args.scale_sums != nullptr) {
                args.scale_sums[r * args.groups + group] = sums.folded(sums.scale);
                args.zero_point_sums[r * args.groups + group] = sums.folded(sums.zero_point);
            }
        });
    }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
