// Trained scales and zero points: their start values, and what keeps them valid after an optimizer's step.
//   max_abs   the whole range of the data, by the formulas of quantize/params.hpp
//   mse       of the ranges i / 64 of that, i = 24 ... 64, the one with the least sum of squared errors of fake_quantize, for each
//             parameter on its own; the wider of two equal ones
// Training that starts from either has calibrated post-training quantization as its first step.
#pragma once

#include "../core/strict_math.hpp"
#include "../quantize/fake_quantize.hpp"

NIBBLE_BEGIN_TYPES

enum class params_start : std::uint8_t { max_abs, mse };

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// Scratch floats that start_params needs; SIZE_MAX if they do not fit std::ptrdiff_t.
inline std::size_t start_params_scratch(params_start from, granularity kind, std::ptrdiff_t rows, std::ptrdiff_t cols,
    std::ptrdiff_t group_size = 0, std::ptrdiff_t block_rows = 1) noexcept
{
    const checked_size count = params_count(kind, rows, cols, group_size, block_rows);
    return (from == params_start::mse ? 5 * count + checked_size(rows) * cols : 2 * count).value();
}

/// Parameters to start training from. x: finite, else not_finite. zero_points: params_count, or empty for symmetric codes with qmin < 0.
/// rule.range is not used: codes say it.
template <class Executor = serial_executor>
inline status start_params(matrix_view<const float> x, params_start from, params_rule rule, code_limits codes, granularity kind,
    std::ptrdiff_t group_size, span<float> scales, span<std::int32_t> zero_points, span<float> scratch, std::ptrdiff_t block_rows = 1,
    Executor&& executor = Executor {})
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = check_grouping<std::int8_t>(kind, group_size, block_rows); s != status::ok)
        return s;
    if (codes.qmin >= codes.qmax || codes.qmin < -128 || codes.qmax > (codes.qmin < 0 ? 127 : 255))
        return status::code_limits_invalid;
    const std::size_t count = static_cast<std::size_t>(params_count(kind, x.rows, x.cols, group_size, block_rows));
    const bool may_lack_zero_points = rule.how == scheme::symmetric && codes.qmin < 0;
    if (scales.size() != count || (zero_points.size() != count && !(zero_points.empty() && may_lack_zero_points)))
        return status::params_count_mismatch;
    if (check(scales) != status::ok || check(zero_points) != status::ok)
        return status::null_pointer;
    if (const status s = check_room(scratch, start_params_scratch(from, kind, x.rows, x.cols, group_size, block_rows)); s != status::ok)
        return s;
    const default_fp_mode mode;
    const params_strides strides = strides_of(kind, x.cols, group_size, block_rows);
    float *const low = scratch.data(), *const high = low + count;
    if (x.empty()) {
        for (std::size_t i = 0; i < 2 * count; ++i)
            scratch[i] = 0.0f;
    } else {
        const bool all_rows = kind == granularity::per_tensor || kind == granularity::per_column;
        kernels::range_f32()({x.data, x.stride, x.rows, x.cols, all_rows ? x.rows : strides.block_rows, strides.group_size, low, high});
    }
    for (std::size_t i = 0; i < count; ++i)
        if (is_nan(low[i]))
            return status::not_finite;
    const auto shrunk
        = [&](std::size_t i, float fraction) noexcept { return params_of_range(low[i] * fraction, high[i] * fraction, rule, codes); };
    for (std::size_t i = 0; i < count; ++i) {
        const scale_and_zero_point whole = shrunk(i, 1.0f);
        scales[i] = whole.scale;
        if (!zero_points.empty())
            zero_points[i] = whole.zero_point;
    }
    if (from == params_start::max_abs || x.empty())
        return status::ok;

    float *const error = high + count, *const least = error + count, *const fraction = least + count, *const y = fraction + count;
    const matrix_view<float> rounded(y, x.rows, x.cols);
    const fake_quantization f {{kind, group_size, scales, zero_points, block_rows}, codes, {}};
    // Errors are counted in units of the power of two of their parameter's range, so that their squares stay floats.
    const auto in_units = [&](float off, std::size_t p) noexcept {
        return static_cast<float>(static_cast<double>(off) * two_to_the(-exponent_of(high[p] > -low[p] ? high[p] : low[p])));
    };
    for (int i = 64; i >= 24; --i) {
        const float tried = static_cast<float>(i) / 64.0f;
        for (std::size_t p = 0; p < count; ++p) {
            const scale_and_zero_point narrower = shrunk(p, tried);
            scales[p] = narrower.scale;
            if (!zero_points.empty())
                zero_points[p] = narrower.zero_point;
            error[p] = 0.0f;
        }
        if (const status s = fake_quantize(x, f, rounded, executor); s != status::ok)
            return s;
        for (std::ptrdiff_t r = 0; r < x.rows; ++r)
            for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
                const std::ptrdiff_t p = r / strides.block_rows * strides.row + c / strides.group_size * strides.group;
                const float off = in_units(rounded(r, c) - x(r, c), static_cast<std::size_t>(p));
                error[p] = strict_math::fma(off, off, error[p]);
            }
        for (std::size_t p = 0; p < count; ++p)
            if (i == 64 || error[p] < least[p]) {
                least[p] = error[p];
                fraction[p] = tried;
            }
    }
    for (std::size_t p = 0; p < count; ++p) {
        const scale_and_zero_point best = shrunk(p, fraction[p]);
        scales[p] = best.scale;
        if (!zero_points.empty())
            zero_points[p] = best.zero_point;
    }
    return status::ok;
}

/// After a step: what is not at least `least`, NaN too, becomes `least`, above zero and finite. A null span has no scales.
inline void bound_scales(span<float> scales, float least = 1.17549435e-38f) noexcept
{
    if (check(scales) != status::ok)
        return;
    for (float& scale : scales)
        if (!is_positive_finite(scale) || scale < least)
            scale = least;
}

/// Learned zero points are real numbers; these are the codes they stand for: rounded, ties to even, within the limits; NaN gives qmin.
inline status round_zero_points(span<const float> learned, code_limits codes, span<std::int32_t> zero_points) noexcept
{
    if (learned.size() != zero_points.size())
        return status::shape_mismatch;
    if (check(learned) != status::ok || check(zero_points) != status::ok)
        return status::null_pointer;
    const default_fp_mode mode;
    for (std::size_t i = 0; i < learned.size(); ++i) {
        const float low = static_cast<float>(codes.qmin), high = static_cast<float>(codes.qmax), z = learned[i];
        zero_points[i] = static_cast<std::int32_t>(std::nearbyint(z > low ? smaller(z, high) : low));
    }
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
