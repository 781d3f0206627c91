// AWQ (Lin et al., 2023) scales up weights with large inputs before it rounds them: x w^T = (x / s) (w diag(s))^T.
//   scale search   s = magnitude^ratio, at least 1e-4, divided by sqrt(max s * min s); magnitude[c] = mean |x[:, c]|, times the power of
//                  two that brings the greatest into [512, 1024); ratio = 0, 1 / steps, ... below 1; the ratio with the least
//                  ||X (W - Q)^T||^2 wins; 0 changes nothing
//   clip search    for every channel or group the range p * [min, max], p = 1, 1 - 1 / steps ... above 1 - depth, with the least output
//                  error
#pragma once

#include "hessian.hpp"
#include "smooth_quant.hpp"
#include "../quantize/weight_format.hpp"

NIBBLE_BEGIN_TYPES

struct awq_report {
    double ratio = 0;
    double error_before = 0, error = 0; ///< ||X (W - Q)^T||^2, rounded to nearest without and with the scales
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// Scales for w, n x k; matrices that share their input are searched as one, stacked. Then quantize w with its columns multiplied by them
/// and divide the input by them.
/// Q, f: what w will be quantized to. magnitude: k, as check_importance wants them; scales: k. Inputs or weights times a power of two have
/// the same scales.
template <class Q, class Executor = serial_executor>
inline status search_awq_scales(matrix_view<const float> w, span<const float> magnitude, const hessian& h, const weight_format& f,
    int steps, span<float> scales, awq_report* report = nullptr, progress report_progress = {}, Executor&& executor = Executor {})
{
    if (const status s = check(w); s != status::ok)
        return s;
    const std::ptrdiff_t n = w.rows, k = w.cols;
    const std::size_t columns = static_cast<std::size_t>(k), count = static_cast<std::size_t>(params_count(f.kind, n, k, f.group_size));
    if (h.size() != k || magnitude.size() != columns || scales.size() != columns)
        return status::shape_mismatch;
    if (check(magnitude) != status::ok || check(scales) != status::ok)
        return status::null_pointer;
    if (steps < 1 || steps > 1000)
        return status::option_invalid;
    if (h.rows() == 0 || w.empty())
        return status::calibration_missing;
    if (const status s = check_importance(magnitude); s != status::ok)
        return s;
    aligned_buffer memory, code_memory;
    const std::ptrdiff_t row_elements = elements_for<Q>(k);
    const checked_size row_bytes = sizeof(double) + checked_size(k) * sizeof(float);
    if (const status s = memory.allocate(n * row_bytes + (checked_size(k) + 2 * checked_size(count)) * 4); s != status::ok)
        return s;
    if (const status s = code_memory.allocate(checked_size(n) * row_elements * sizeof(Q)); s != status::ok)
        return s;
    double* const errors = reinterpret_cast<double*>(memory.bytes().data());
    const matrix_view<float> scaled(reinterpret_cast<float*>(errors + n), n, k);
    const span<float> tried(scaled.data + n * k, columns), params(tried.end(), count);
    const span<std::int32_t> zero_points(reinterpret_cast<std::int32_t*>(params.end()), count);
    const quantized_matrix<Q> q {{reinterpret_cast<Q*>(code_memory.bytes().data()), n, row_elements}, params, zero_points};

    // Outside the loop: the compiler computes a quotient of step and steps once, for the progress.
    const default_fp_mode mode;
    float greatest = 0.0f;
    for (const float& x : magnitude)
        greatest = larger(x, greatest);
    const int shift = 9 - exponent_of(greatest);
    awq_report done;
    for (int step = 0; step < steps; ++step) {
        if (!report_progress(static_cast<double>(step) / steps))
            return status::cancelled;
        const double ratio = static_cast<double>(step) / steps;
        double most = 0, least = HUGE_VAL;
        for (std::size_t c = 0; c < columns; ++c) {
            const double power = portable_pow(std::ldexp(static_cast<double>(magnitude[c]), shift), ratio), s = larger(power, 1e-4);
            most = larger(s, most);
            least = smaller(s, least);
            tried[c] = static_cast<float>(s);
        }
        const double middle = std::sqrt(most) * std::sqrt(least);
        for (std::size_t c = 0; c < columns; ++c)
            tried[c] = static_cast<float>(static_cast<double>(tried[c]) / middle);
        (void)scale_columns(w, {tried.data(), columns}, false, scaled);
        const status rounded = round_to_nearest(matrix_view<const float>(scaled), f, q);
        if (rounded == status::not_finite && step != 0)
            continue; // w is finite, as step 0 has found, but these scales take it beyond the end of float's range
        if (rounded != status::ok)
            return rounded;
        const auto difference = [&](std::ptrdiff_t r, std::ptrdiff_t c) noexcept {
            const scale_and_zero_point p = detail::params_at(f, q, k, r, c);
            const double back = static_cast<double>(dequantize_one(load_code(q.codes.row(r), c), p));
            return static_cast<double>(w(r, c)) - back / static_cast<double>(tried[static_cast<std::size_t>(c)]);
        };
        if (const status s = detail::row_errors(h, 0, k, n, difference, {errors, static_cast<std::size_t>(n)}, executor); s != status::ok)
            return s;
        double error = 0;
        for (std::ptrdiff_t r = 0; r < n; ++r)
            error += errors[r];
        if (step == 0)
            done.error_before = error;
        if (step == 0 || error < done.error || done.error != done.error) { // NaN where a code decodes to infinity
            done.ratio = ratio;
            done.error = error;
            std::memcpy(scales.data(), tried.data(), columns * sizeof(float));
        }
    }
    if (report != nullptr)
        *report = done;
    (void)report_progress(1);
    return status::ok;
}

/// Rounds w to the nearest codes of ranges that are clipped where that lowers the output error, for h's inputs.
/// per_channel measures whole rows, per_group each group's part alone.
template <class Q, class Executor = serial_executor>
inline status round_clipped(matrix_view<const float> w, const hessian& h, const weight_format& f, const quantized_matrix<Q>& q,
    int steps = 20, double depth = 0.5, progress report_progress = {}, Executor&& executor = Executor {})
{
    if (const status s = detail::check_weights(w, f, q); s != status::ok)
        return s;
    const std::ptrdiff_t n = w.rows, k = w.cols;
    if (h.size() != k)
        return status::shape_mismatch;
    if (f.kind == granularity::per_tensor)
        return status::granularity_unsupported;
    if (steps < 1 || steps > 1000 || !(depth >= 0.0 && depth < 1.0))
        return status::option_invalid;
    if (h.rows() == 0 && !w.empty())
        return status::calibration_missing;
    if (w.empty())
        return round_to_nearest(w, f, q);
    const std::size_t rows = static_cast<std::size_t>(n);
    aligned_buffer memory;
    if (const status s = memory.allocate(n * checked_size(2 * sizeof(double) + sizeof(scale_and_zero_point))); s != status::ok)
        return s;
    double *const errors = reinterpret_cast<double*>(memory.bytes().data()), *const least = errors + n;
    scale_and_zero_point* const tried = reinterpret_cast<scale_and_zero_point*>(least + n);
    const detail::weight_grid grid = detail::grid_of<Q>(f);
    const params_strides strides = strides_of(f.kind, k, f.group_size);
    const int tries = 1 + static_cast<int>(depth * steps);
    for (std::ptrdiff_t begin = 0; begin < k; begin += strides.group_size) {
        const std::ptrdiff_t size = smaller(k - begin, strides.group_size);
        for (int step = 0; step < tries; ++step) {
            if (!report_progress((static_cast<double>(begin) + static_cast<double>(size) * step / tries) / static_cast<double>(k)))
                return status::cancelled;
            const default_fp_mode mode;
            const float part = static_cast<float>(1.0 - static_cast<double>(step) / steps);
            for (std::ptrdiff_t r = 0; r < n; ++r) {
                float low = 0.0f, high = 0.0f;
                for (std::ptrdiff_t c = begin; c < begin + size; ++c) {
                    low = smaller(w(r, c), low);
                    high = larger(w(r, c), high);
                }
                tried[r] = grid.params(low * part, high * part);
            }
            const auto difference = [&](std::ptrdiff_t r, std::ptrdiff_t c) noexcept {
                const float x = w(r, begin + c);
                const std::int32_t code = grid.code(x, tried[r]);
                return static_cast<double>(x) - static_cast<double>(dequantize_one(code, tried[r]));
            };
            if (const status s = detail::row_errors(h, begin, size, n, difference, {errors, rows}, executor); s != status::ok)
                return s;
            for (std::ptrdiff_t r = 0; r < n; ++r)
                if (step == 0 || errors[r] < least[r] || least[r] != least[r]) {
                    least[r] = errors[r];
                    const std::size_t at = static_cast<std::size_t>(r * strides.row + begin / strides.group_size * strides.group);
                    q.scales[at] = tried[r].scale;
                    if (!q.zero_points.empty())
                        q.zero_points[at] = tried[r].zero_point;
                }
        }
    }
    const default_fp_mode mode;
    for (std::ptrdiff_t r = 0; r < n; ++r)
        for (std::ptrdiff_t c = 0; c < k; ++c)
            store_code(q.codes.row(r), c, grid.code(w(r, c), detail::params_at(f, q, k, r, c)));
    (void)report_progress(1);
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
