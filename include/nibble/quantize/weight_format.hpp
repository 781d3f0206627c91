// The format that weights are quantized to, and its parameters. Scales and zero points come from the range of a channel or group, or from a
// search over smaller ranges for the least squared error
//     sum over c of importance[c] * (w[c] - dequantized(w[c]))^2
// importance is, for example, the mean square of each input (the diagonal of GPTQ's H, llama.cpp's imatrix). It may be left out: 1. Columns
// of importance 0 do not widen the range, unless all weights of the other columns are 0.
// Weights times a power of two have the same codes, and their scales are multiplied by it, as long as all scales are normal floats.
// Importance times a power of two changes nothing.
#pragma once

#include <cmath>

#include "../core/codes.hpp"
#include "../core/fp_mode.hpp"
#include "../core/importance.hpp"
#include "../core/memory.hpp"
#include "../core/strict_math.hpp"
#include "one.hpp"

NIBBLE_BEGIN_TYPES

/// min_max: the scale of the full range. squared_error: the best of `range_steps` ranges, down to range_end of the full one.
enum class range_search : std::uint8_t { min_max, squared_error };

struct weight_format {
    granularity kind = granularity::per_channel; ///< per_tensor, per_channel or per_group: what packed_weights takes
    std::ptrdiff_t group_size = 0;
    scheme how = scheme::symmetric;
    int bits = 0; ///< 2 to the width of the code type, which 0 means; 3-bit codes are kept in 4-bit types, and so on
    code_range range = code_range::full;
    range_search search = range_search::min_max;
    int range_steps = 80;
    float range_end = 0.2f;
    bool half_scales = false; ///< every scale is exactly a half, as packing_options::half_scales needs
};

/// Formats by name; the code type gives the bits. What else a format has is set afterwards.
NIBBLE_INLINE weight_format per_tensor(scheme how = scheme::symmetric) noexcept
{
    weight_format f;
    f.kind = granularity::per_tensor;
    f.how = how;
    return f;
}
NIBBLE_INLINE weight_format per_channel(scheme how = scheme::symmetric) noexcept
{
    weight_format f;
    f.how = how;
    return f;
}
NIBBLE_INLINE weight_format per_group(std::ptrdiff_t size, scheme how = scheme::symmetric) noexcept
{
    weight_format f;
    f.kind = granularity::per_group;
    f.group_size = size;
    f.how = how;
    return f;
}

/// Where a quantized n x k matrix goes: codes as quantize() writes them, scales and zero points params_count of each. zero_points may be
/// empty for symmetric codes of a signed type.
template <class Q>
struct quantized_matrix {
    matrix_view<Q> codes;
    span<float> scales;
    span<std::int32_t> zero_points {};
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// The codes that a format uses of Q.
template <class Q>
inline code_limits codes_of(const weight_format& f) noexcept
{
    return codes_of_bits(f.bits == 0 ? 8 / code_traits<Q>::per_element : f.bits, code_traits<Q>::qmin < 0, f.range);
}

/// What packed_weights::make and dequantize need beside the codes.
template <class Q>
inline quant_params_view params_of(const weight_format& f, const quantized_matrix<Q>& q) noexcept
{
    return {f.kind, f.group_size, {q.scales.data(), q.scales.size()}, {q.zero_points.data(), q.zero_points.size()}};
}

namespace detail {

/// The format's codes of one scale: what quantize() gives, in fewer bits.
struct weight_grid {
    code_limits codes;
    params_rule rule;
    bool half_scales;

    scale_and_zero_point params(float low, float high) const noexcept
    {
        scale_and_zero_point p = params_of_range(low, high, rule, codes);
        p.scale = stored_scale(p.scale);
        return p;
    }
    float stored_scale(float scale) const noexcept
    {
        if (!half_scales)
            return larger(1.17549435e-38f, scale);
        const float rounded = to_float(to_half(scale));
        return clamped(rounded, 0x1p-24f, 65504.0f);
    }
    std::int32_t code(float x, scale_and_zero_point p) const noexcept { return quantize_one(x, p, codes); }
    /// The squared error of w, its columns weighted by importance[c] or 1.
    double error(matrix_view<const float> w, const float* importance, scale_and_zero_point p) const noexcept
    {
        double sum = 0;
        for (std::ptrdiff_t r = 0; r < w.rows; ++r)
            for (std::ptrdiff_t c = 0; c < w.cols; ++c) {
                if (importance != nullptr && importance[c] == 0.0f)
                    continue; // of a value that decodes to infinity, 0 * d would be NaN
                const double back = static_cast<double>(dequantize_one(code(w(r, c), p), p));
                const double d = static_cast<double>(w(r, c)) - back;
                sum = strict_math::fma(importance == nullptr ? d : d * static_cast<double>(importance[c]), d, sum);
            }
        return sum;
    }
    scale_and_zero_point best(matrix_view<const float> w, const float* importance, const weight_format& f) const noexcept
    {
        float low = 0.0f, high = 0.0f;
        const auto widen = [&]() noexcept {
            for (std::ptrdiff_t r = 0; r < w.rows; ++r)
                for (std::ptrdiff_t c = 0; c < w.cols; ++c)
                    if (importance == nullptr || importance[c] > 0.0f) {
                        low = smaller(w(r, c), low);
                        high = larger(w(r, c), high);
                    }
        };
        widen();
        if (importance != nullptr && low == high) {
            importance = nullptr;
            widen();
        }
        scale_and_zero_point found = params(low, high);
        if (f.search == range_search::min_max)
            return found;
        double least = error(w, importance, found);
        for (int step = 1; step < f.range_steps; ++step) {
            const float part = strict_math::fma(static_cast<float>(step) / static_cast<float>(f.range_steps - 1), f.range_end - 1.0f, 1.0f);
            const scale_and_zero_point tried = params(low * part, high * part);
            if (const double e = error(w, importance, tried); e < least) {
                least = e;
                found = tried;
            }
        }
        return found;
    }
};

template <class Q>
inline weight_grid grid_of(const weight_format& f) noexcept
{
    return {codes_of<Q>(f), params_rule(f.how), f.half_scales};
}

/// To float; what is beyond its range becomes its end.
inline float finite_float(double x) noexcept
{
    constexpr double most = 3.4028234663852886e+38;
    return static_cast<float>(clamped(x, -most, most));
}

inline bool all_finite(matrix_view<const float> x) noexcept
{
    for (std::ptrdiff_t r = 0; r < x.rows && x.cols > 0; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            if (!is_finite(x(r, c)))
                return false;
    return true;
}

/// Every rule about a weight matrix, its format and where it goes.
template <class Q>
inline status check_weights(matrix_view<const float> w, const weight_format& f, const quantized_matrix<Q>& q) noexcept
{
    if (const status s = check(w); s != status::ok)
        return s;
    if (const status s = check(q.codes); s != status::ok)
        return s;
    if (q.codes.rows != w.rows || q.codes.cols != elements_for<Q>(w.cols))
        return status::shape_mismatch;
    if (f.kind == granularity::per_column || f.kind == granularity::per_block)
        return status::granularity_unsupported;
    if (const status s = check_grouping<Q>(f.kind, f.group_size, 1); s != status::ok)
        return s;
    if (f.bits != 0 && (f.bits < 2 || f.bits > 8 / code_traits<Q>::per_element))
        return status::bits_invalid;
    if (f.range_steps < 2 || f.range_steps > 10000 || !(f.range_end > 0.0f && f.range_end <= 1.0f))
        return status::option_invalid;
    const std::size_t count = static_cast<std::size_t>(params_count(f.kind, w.rows, w.cols, f.group_size));
    const bool may_lack_zero_points = f.how == scheme::symmetric && code_traits<Q>::qmin < 0;
    if (q.scales.size() != count || (q.zero_points.size() != count && !(q.zero_points.empty() && may_lack_zero_points)))
        return status::params_count_mismatch;
    if (check(q.scales) != status::ok || check(q.zero_points) != status::ok)
        return status::null_pointer;
    return all_finite(w) ? status::ok : status::not_finite;
}

/// The part of w that shares a scale and starts at (row, column).
inline matrix_view<const float> sharing_a_scale(
    matrix_view<const float> w, const weight_format& f, std::ptrdiff_t row, std::ptrdiff_t column) noexcept
{
    if (f.kind == granularity::per_tensor)
        return w;
    const std::ptrdiff_t size = f.kind == granularity::per_group ? f.group_size : w.cols, left = w.cols - column;
    return {w.row(row) + column, 1, smaller(left, size), w.stride};
}

/// Scales and zero points of a matrix without elements: those of the range [0, 0].
template <class Q>
inline void set_empty_params(const weight_format& f, const quantized_matrix<Q>& q) noexcept
{
    const scale_and_zero_point p = grid_of<Q>(f).params(0.0f, 0.0f);
    for (float& scale : q.scales)
        scale = p.scale;
    for (std::int32_t& zero_point : q.zero_points)
        zero_point = p.zero_point;
}

/// Scales and zero points of all of w; importance: k floats or null.
template <class Q>
inline void choose_all_params(
    matrix_view<const float> w, const float* importance, const weight_format& f, const quantized_matrix<Q>& q) noexcept
{
    const weight_grid grid = grid_of<Q>(f);
    std::size_t at = 0;
    for (std::ptrdiff_t r = 0; r < w.rows && at < q.scales.size(); ++r)
        for (std::ptrdiff_t c = 0; c < w.cols; ++at) {
            const matrix_view<const float> part = sharing_a_scale(w, f, r, c);
            const scale_and_zero_point p = grid.best(part, importance == nullptr ? nullptr : importance + c, f);
            q.scales[at] = p.scale;
            if (!q.zero_points.empty())
                q.zero_points[at] = p.zero_point;
            c += part.cols;
        }
}

template <class Q>
inline scale_and_zero_point params_at(
    const weight_format& f, const quantized_matrix<Q>& q, std::ptrdiff_t k, std::ptrdiff_t row, std::ptrdiff_t column) noexcept
{
    const params_strides strides = strides_of(f.kind, k, f.group_size);
    const std::size_t at = static_cast<std::size_t>(row * strides.row + column / strides.group_size * strides.group);
    return {q.scales[at], q.zero_points.empty() ? 0 : q.zero_points[at]};
}

} // namespace detail

/// Rounds every weight to the nearest code. w: n x k; importance: k floats as check_importance wants them, or empty.
template <class Q>
inline status round_to_nearest(
    matrix_view<const float> w, const weight_format& f, const quantized_matrix<Q>& q, span<const float> importance = {}) noexcept
{
    if (const status s = detail::check_weights(w, f, q); s != status::ok)
        return s;
    if (!importance.empty() && importance.size() != static_cast<std::size_t>(w.cols))
        return status::shape_mismatch;
    if (const status s = check_importance(importance); s != status::ok)
        return s;
    const default_fp_mode mode;
    if (w.empty()) {
        detail::set_empty_params(f, q);
        return status::ok;
    }
    detail::choose_all_params(w, importance.empty() ? nullptr : importance.data(), f, q);
    const detail::weight_grid grid = detail::grid_of<Q>(f);
    for (std::ptrdiff_t r = 0; r < w.rows; ++r)
        for (std::ptrdiff_t c = 0; c < w.cols; ++c)
            store_code(q.codes.row(r), c, grid.code(w(r, c), detail::params_at(f, q, w.cols, r, c)));
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
