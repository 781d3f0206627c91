// Fake quantization and its gradients; reference/fake_quantize.hpp is their definition.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// The scales and zero points of a chunk of columns: those of a group, or one a column.
template <bool PerColumn>
class chunk_params {
public:
    chunk_params(const float* scales, const std::int32_t* zero_points, std::ptrdiff_t step) noexcept
        : scales_(scales), zero_points_(zero_points), step_(step)
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
    words zero_point(std::ptrdiff_t lane) const noexcept { return lanes<words>(zero_point_, lane); }

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
            const std::ptrdiff_t at = (i < count ? column + i : column) * step_;
            scale_[i] = scales_[at];
            inverse_[i] = 1.0f / scale_[i];
            zero_point_[i] = zero_points_ ? zero_points_[at] : 0;
        }
    }

    const float* scales_;
    const std::int32_t* zero_points_;
    std::ptrdiff_t step_;
    float scale_[size], inverse_[size];
    std::int32_t zero_point_[size];
};

// visit(rule, params, begin, count, group) for each group of row r, or once for all columns where each has its own parameters.
template <class Visit>
inline void for_each_group(const quantize_args& args, std::ptrdiff_t r, Visit visit) noexcept
{
    const quantize_rule& how = args.rule;
    const std::ptrdiff_t row = r / args.block_rows * args.row_step;
    const float* scales = args.scales + row;
    const std::int32_t* zero_points = args.zero_points ? args.zero_points + row : nullptr;
    if (args.group_size == 1) {
        general_quantizer rule(args, r);
        rule.set_row(scales, zero_points);
        visit(rule, chunk_params<true>(scales, zero_points, args.group_step), 0, args.cols, 0);
        return;
    }
    const bool plain = how.round == rounding::ties_to_even && !how.divide && !how.zero_point_first;
    std::ptrdiff_t group = 0;
    for (std::ptrdiff_t begin = 0; begin < args.cols; begin += args.group_size, ++group) {
        const std::ptrdiff_t at = group * args.group_step, count = args.cols - begin < args.group_size ? args.cols - begin : args.group_size;
        const std::int32_t zero_point = zero_points ? zero_points[at] : 0;
        const chunk_params<false> params(scales + at, zero_points ? zero_points + at : nullptr, 0);
        if (plain) {
            quantizer rule {1.0f / scales[at], static_cast<float>(args.qmin - zero_point), static_cast<float>(args.qmax - zero_point),
                zero_point};
            visit(rule, params, begin, count, group);
        } else {
            general_quantizer rule(args, r);
            rule.set(begin, chunk, scales + at, &zero_point, 0);
            visit(rule, params, begin, count, group);
        }
    }
}

inline void fake_quantize_f32(const quantize_args& args) noexcept
{
    for (std::ptrdiff_t r = args.row_begin; r < args.row_end; ++r) {
        const float* x = args.x + r * args.x_stride;
        float* y = static_cast<float*>(args.q) + r * args.q_stride;
        for_each_group(args, r, [&](auto& rule, auto params, std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t) noexcept {
            const auto step = [&](const float* from, float* to, std::ptrdiff_t column, std::ptrdiff_t part) noexcept {
                rule.prepare(column, part);
                params.prepare(column, part);
                unroll<chunk_vectors>([&](auto i) {
                    constexpr std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(decltype(i)::value) * width;
                    const words code = rule(floats::load_unaligned(from + lane), column + lane);
                    (to_float(code - params.zero_point(lane)) * params.scale(lane)).store_unaligned(to + lane);
                });
            };
            std::ptrdiff_t column = begin;
            const std::ptrdiff_t end = begin + count;
            for (; column + chunk <= end; column += chunk)
                step(x + column, y + column, column, chunk);
            if (column < end) {
                float from[chunk] = {}, to[chunk];
                const std::size_t bytes = static_cast<std::size_t>(end - column) * sizeof(float);
                std::memcpy(from, x + column, bytes);
                step(from, to, column, end - column);
                std::memcpy(y + column, to, bytes);
            }
        });
    }
}

// The chunk's lanes folded in halves; the last sum makes -0 and +0 one zero.
inline float folded(float (&lanes)[chunk]) noexcept
{
    for (std::ptrdiff_t half = chunk / 2; half > 0; half /= 2)
        for (std::ptrdiff_t i = 0; i < half; ++i)
            lanes[i] = lanes[i] + lanes[i + half];
    return lanes[0] + 0.0f;
}

inline void fake_quantize_backward_f32(const fake_quantize_backward_args& args) noexcept
{
    // One code more on either side shows which elements round to a code that is not there.
    quantize_args wider = args;
    --wider.qmin;
    ++wider.qmax;
    const words qmin(args.qmin), qmax(args.qmax);
    const floats zero(0.0f);
    const bool by_value = args.test == clip_test::value, rounding_error = args.gradient == scale_gradient::lsq;
    for (std::ptrdiff_t r = args.row_begin; r < args.row_end; ++r) {
        const float *x = args.x + r * args.x_stride, *dy = args.dy + r * args.dy_stride;
        float* dx = args.dx + r * args.dx_stride;
        for_each_group(wider, r, [&](auto& rule, auto params, std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t group) noexcept {
            constexpr bool per_column = std::is_same_v<decltype(params), chunk_params<true>>;
            floats scale_sum[chunk_vectors], zero_point_sum[chunk_vectors];
            unroll<chunk_vectors>([&](auto i) { scale_sum[i] = zero_point_sum[i] = floats(0.0f); });
            const auto step
                = [&](const float* from, const float* dy_from, float* to, std::ptrdiff_t column, std::ptrdiff_t part) noexcept {
                      rule.prepare(column, part);
                      params.prepare(column, part);
                      unroll<chunk_vectors>([&](auto i) {
                          constexpr std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(decltype(i)::value) * width;
                          const floats at = floats::load_unaligned(from + lane), d = floats::load_unaligned(dy_from + lane);
                          const words zero_point = params.zero_point(lane), wide = rule(at, column + lane),
                                      code = min(max(wide, qmin), qmax);
                          const floats value = opaque(
                              zero_if_nan(args.rule.divide ? quotient(at, params.scale(lane)) : at * params.inverse(lane)));
                          const floats distance = to_float(code - zero_point);
                          const words beyond(by_value ? 0 : 1);
                          const floats tested = by_value ? value : to_float(wide - zero_point);
                          const auto kept = (to_float(qmin - zero_point - beyond) < tested)
                                            & (tested < to_float(qmax - zero_point + beyond));
                          select(kept, d, zero).store_unaligned(to + lane);
                          const floats error = rounding_error ? distance - value : zero;
                          const floats slope = select(kept, error, distance);
                          if constexpr (per_column) {
                              scale_sum[i] = fused(d, slope, zero) + zero;
                              zero_point_sum[i] = select(kept, zero, d) + zero;
                          } else {
                              scale_sum[i] = fused(d, slope, scale_sum[i]);
                              zero_point_sum[i] = zero_point_sum[i] + select(kept, zero, d);
                          }
                      });
                  };
            const auto store = [&](float* scale_to, float* zero_point_to) noexcept {
                unroll<chunk_vectors>([&](auto i) {
                    constexpr std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(decltype(i)::value) * width;
                    scale_sum[i].store_unaligned(scale_to + lane);
                    zero_point_sum[i].store_unaligned(zero_point_to + lane);
                });
            };
            float scale_lanes[chunk], zero_point_lanes[chunk];
            const std::ptrdiff_t end = begin + count;
            for (std::ptrdiff_t column = begin; column < end; column += chunk) {
                const std::ptrdiff_t part = end - column < chunk ? end - column : chunk;
                const std::size_t bytes = static_cast<std::size_t>(part) * sizeof(float);
                if (part == chunk) {
                    step(x + column, dy + column, dx + column, column, part);
                } else {
                    float from[chunk] = {}, dy_from[chunk] = {}, to[chunk];
                    std::memcpy(from, x + column, bytes);
                    std::memcpy(dy_from, dy + column, bytes);
                    step(from, dy_from, to, column, part);
                    std::memcpy(dx + column, to, bytes);
                }
                if (per_column && args.scale_sums != nullptr) {
                    store(scale_lanes, zero_point_lanes);
                    std::memcpy(args.scale_sums + r * args.groups + column, scale_lanes, bytes);
                    std::memcpy(args.zero_point_sums + r * args.groups + column, zero_point_lanes, bytes);
                }
            }
            if (!per_column && args.scale_sums != nullptr) {
                store(scale_lanes, zero_point_lanes);
                args.scale_sums[r * args.groups + group] = folded(scale_lanes);
                args.zero_point_sums[r * args.groups + group] = folded(zero_point_lanes);
            }
        });
    }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
