// Reductions of an int8 tensor over any of its dimensions.
//   sum         requantization of the sum of x - x_zero_point, by x_scale / y_scale
//   mean        the same, the multiplier divided by the count as pooling.hpp says; float mode: scale x_scale / (y_scale * count)
//   reduce_max  the greatest code, reduce_min the least; y has x's scale and zero point
// y has one code for each index of the remaining dimensions, in their order. Its shape may keep the reduced dimensions as ones or drop
// them. Axes count from 0, or from the end as -1, -2, ... An axis may be named twice. Without axes every element is its own reduction. The
// fixed-point modes are what TFLite's kernels compute now. Older ones computed in floats, like the float mode except for ties. If x and y
// have one scale and zero point, some versions divide the sum of a mean toward zero, or sum in 8 bits. nibble has one rule for all cases.
#pragma once

#include "../core/fp_mode.hpp"
#include "fixed_point.hpp"
#include "pooling.hpp"
#include "tensor.hpp"

NIBBLE_BEGIN
namespace tflite {

namespace detail {

/// The dimensions of x that are kept and those that are reduced; neighbours of a kind are one.
struct reduction {
    strided_dimensions kept, over;

    status set(span<const std::ptrdiff_t> shape, span<const std::ptrdiff_t> axes) noexcept
    {
        const std::ptrdiff_t rank = static_cast<std::ptrdiff_t>(shape.size());
        bool reduced[max_rank] {};
        for (const std::ptrdiff_t axis : axes) {
            if (axis < -rank || axis >= rank)
                return status::axis_out_of_range;
            reduced[axis < 0 ? axis + rank : axis] = true;
        }
        std::ptrdiff_t stride = 1;
        const strided_dimensions* last = nullptr;
        for (std::ptrdiff_t i = rank - 1; i >= 0; --i) {
            const std::ptrdiff_t size = shape[static_cast<std::size_t>(i)];
            strided_dimensions& to = reduced[i] ? over : kept;
            if (size == 1)
                continue;
            if (&to == last)
                to.widen_last(size);
            else
                to.add(size, stride);
            last = &to;
            stride *= size;
        }
        return status::ok;
    }
};

inline constexpr std::ptrdiff_t reduction_block = 64;

/// found[c] = combine(found[c], x) for all x of outputs first + c, which stand in one run of the innermost kept dimension.
template <class Combine>
inline void reduce_block(
    const reduction& r, const std::int8_t* x, std::ptrdiff_t first, std::ptrdiff_t count, std::int32_t* found, Combine combine) noexcept
{
    const std::int8_t* const base = x + r.kept.offset_of(first);
    const std::ptrdiff_t stride = r.kept.count == 0 ? 0 : r.kept.strides[0];
    if (stride == 1) {
        for (std::ptrdiff_t i = 0; i < r.over.size; ++i) {
            const std::int8_t* const from = base + r.over.offset_of(i);
            for (std::ptrdiff_t c = 0; c < count; ++c)
                found[c] = combine(found[c], from[c]);
        }
        return;
    }
    const std::ptrdiff_t run = r.over.count == 0 ? 1 : r.over.sizes[0];
    for (std::ptrdiff_t i = 0; i < r.over.size; i += run) {
        const std::int8_t* const from = base + r.over.offset_of(i);
        for (std::ptrdiff_t c = 0; c < count; ++c)
            for (std::ptrdiff_t j = 0; j < run; ++j)
                found[c] = combine(found[c], from[c * stride + j]);
    }
}

inline status check_reduction(tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, span<std::int8_t> y, reduction& r) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (nibble::check(axes) != status::ok || nibble::check(y) != status::ok)
        return status::null_pointer;
    if (const status s = r.set(x.shape, axes); s != status::ok)
        return s;
    // Nothing has no greatest code and no mean.
    const bool nothing = y.size() != 0 && r.over.size == 0;
    return nothing || y.size() != static_cast<std::size_t>(r.kept.size) ? status::shape_mismatch : status::ok;
}

/// finish(found, count, codes) for every block of outputs.
template <class Combine, class Finish, class Executor>
inline void reduce(
    const reduction& r, const std::int8_t* x, std::int8_t* y, std::int32_t initial, Combine combine, Finish finish, Executor&& executor)
{
    if (r.kept.size == 0)
        return;
    const std::ptrdiff_t inner = r.kept.count == 0 ? 1 : r.kept.sizes[0];
    const std::ptrdiff_t per_run = (inner + reduction_block - 1) / reduction_block, blocks = r.kept.size / inner * per_run;
    const std::ptrdiff_t together = 65536 / (reduction_block * r.over.size) + 1;
    executor.parallel_for(static_cast<std::size_t>((blocks + together - 1) / together), [&](std::size_t task) {
        const default_fp_mode mode;
        const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(task) * together;
        for (std::ptrdiff_t block = begin; block < blocks && block < begin + together; ++block) {
            const std::ptrdiff_t in_run = block % per_run * reduction_block, first = block / per_run * inner + in_run;
            const std::ptrdiff_t count = smaller(inner - in_run, reduction_block);
            std::int32_t found[reduction_block];
            for (std::ptrdiff_t c = 0; c < count; ++c)
                found[c] = initial;
            reduce_block(r, x, first, count, found, combine);
            finish(found, count, y + first);
        }
    });
}

template <bool Greatest, class Executor>
inline status reduce_extreme(tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, span<std::int8_t> y, Executor&& executor)
{
    reduction r;
    if (const status s = check_reduction(x, axes, y, r); s != status::ok)
        return s;
    reduce(
        r, x.data, y.data(), Greatest ? -128 : 127,
        [](std::int32_t found, std::int32_t code) noexcept { return (found > code) == Greatest ? found : code; },
        [](const std::int32_t* found, std::ptrdiff_t count, std::int8_t* to) noexcept {
            for (std::ptrdiff_t c = 0; c < count; ++c)
                to[c] = static_cast<std::int8_t>(found[c]);
        },
        executor);
    return status::ok;
}

} // namespace detail

} // namespace tflite
NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

namespace detail {

template <bool Mean, class Executor>
inline status sum_or_mean(tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, quantization x_params, quantization y_params,
    span<std::int8_t> y, requantize_mode mode, Executor&& executor)
{
    reduction shape;
    if (const status s = check_reduction(x, axes, y, shape); s != status::ok)
        return s;
    for (const status s : {check(x_params), check(y_params)})
        if (s != status::ok)
            return s;
    if (shape.kept.size == 0)
        return status::ok;
    if (shape.over.size > 1 << 23) // 255 times as many fit int32
        return status::k_too_large;
    const std::int32_t count = static_cast<std::int32_t>(shape.over.size);
    fixed_multiplier m {};
    float scale = 0.0f;
    {
        const default_fp_mode fp_mode;
        scale = x_params.scale / (Mean ? y_params.scale * static_cast<float>(count) : y_params.scale);
        const auto encoded = encode_multiplier(static_cast<double>(x_params.scale) / static_cast<double>(y_params.scale));
        if (!encoded || !is_positive_finite(scale))
            return status::scale_invalid;
        m = Mean ? mean_multiplier(*encoded, count) : *encoded;
    }
    requantization r;
    r.mode = mode;
    r.scale = span<const float>(&scale, 1);
    r.multiplier = span<const std::int32_t>(&m.multiplier, 1);
    r.shift = span<const std::int32_t>(&m.shift, 1);
    r.zero_point = y_params.zero_point;
    requantize_params params {};
    if (const status s = nibble::detail::check_requantization<std::int8_t>(r, 1, params); s != status::ok)
        return s;
    reduce(
        shape, x.data, y.data(), -count * x_params.zero_point, [](std::int32_t sum, std::int32_t code) noexcept { return sum + code; },
        [&params](
            const std::int32_t* sums, std::ptrdiff_t columns, std::int8_t* to) noexcept { requantize_few(sums, columns, params, to); },
        executor);
    return status::ok;
}

} // namespace detail

/// At most 2^23 codes a sum, so that it stays in int32.
template <class Executor = serial_executor>
inline status sum(tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, quantization x_params, quantization y_params,
    span<std::int8_t> y, requantize_mode mode = requantize_mode::double_rounding, Executor&& executor = Executor {})
{
    return detail::sum_or_mean<false>(x, axes, x_params, y_params, y, mode, executor);
}
/// As sum. mean of pooling.hpp is this over height and width of images.
template <class Executor = serial_executor>
inline status mean(tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, quantization x_params, quantization y_params,
    span<std::int8_t> y, requantize_mode mode = requantize_mode::double_rounding, Executor&& executor = Executor {})
{
    return detail::sum_or_mean<true>(x, axes, x_params, y_params, y, mode, executor);
}

template <class Executor = serial_executor>
inline status reduce_max(
    tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, span<std::int8_t> y, Executor&& executor = Executor {})
{
    return detail::reduce_extreme<true>(x, axes, y, executor);
}
template <class Executor = serial_executor>
inline status reduce_min(
    tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, span<std::int8_t> y, Executor&& executor = Executor {})
{
    return detail::reduce_extreme<false>(x, axes, y, executor);
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END
