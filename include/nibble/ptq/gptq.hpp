// GPTQ quantizes the columns of W one after the other, and lets the later columns make up for the error so far.
//
// With H + damping = R R^T, R upper triangular over the columns in the order of processing, and d = w - q a row's error, the squared
// output error is ||d R||^2. Column c enters it as (d_c R_cc + sum over j < c of d_j R_jc)^2, so that
//     q_c = nearest code to  w_c + (sum over j < c of d_j R_jc) / R_cc
// These are the updates that Frantar et al. (2022) make with the Cholesky factor of H^-1, but H^-1 need not be computed. Because codes have
// limits, the result can be worse than w's nearest codes, above all at 2 bits. A row for which ||d R||^2 says so is rounded to nearest
// instead.
#pragma once

#include <algorithm>

#include "../core/progress.hpp"
#include "../core/strict_math.hpp"
#include "cholesky.hpp"
#include "weight_format.hpp"

NIBBLE_BEGIN_TYPES

struct gptq_options {
    double damping = 0.01;      ///< of the mean of H's diagonal, added to it; ten times more, up to 1, until H can be factored
    bool act_order = false;     ///< columns of large H[c][c] first; groups then keep the scales of the unchanged weights
    bool static_groups = false; ///< scales of groups from the unchanged weights, not from those when the group begins
};

struct gptq_report {
    double damping = 0;              ///< what was used
    std::ptrdiff_t dead_columns = 0; ///< inputs that were always 0; their weights became 0
    bool thin = false;               ///< fewer rows than columns: damping alone decides some directions
    std::ptrdiff_t nearest_rows = 0; ///< rows that are better off rounded to nearest, and are
    double error = 0;                ///< ||X (W - Q)^T||^2 + damping * mean of H's diagonal * ||W - Q||^2; never above round to nearest's
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

namespace detail {

/// R of the head of this file, stored back to front: row i is the i-th column from the end of the processing order.
template <class Executor>
inline status factor_hessian(const hessian& h, span<const std::int32_t> order, const gptq_options& o, double_matrix& factor,
    gptq_report& report, Executor&& executor)
{
    const std::ptrdiff_t k = h.size();
    double mean = 0;
    for (std::ptrdiff_t c = 0; c < k; ++c) {
        mean += h(c, c) / static_cast<double>(k);
        report.dead_columns += h(c, c) == 0.0;
    }
    report.thin = h.rows() < k;
    for (double damping = o.damping; damping <= 1.0; damping = damping == 0.0 ? 1e-6 : damping * 10.0) {
        for (std::ptrdiff_t i = 0; i < k; ++i)
            for (std::ptrdiff_t j = i; j < k; ++j)
                factor(i, j) = h(order[static_cast<std::size_t>(k - 1 - i)], order[static_cast<std::size_t>(k - 1 - j)]);
        for (std::ptrdiff_t i = 0; i < k; ++i)
            factor(i, i) = factor(i, i) == 0.0 ? 1.0 : strict_math::fma(damping, mean, factor(i, i));
        if (cholesky(factor.view(), executor)) {
            report.damping = damping;
            return status::ok;
        }
    }
    return status::calibration_too_thin;
}

/// 64 rows of W on their way through GPTQ. Everything is transposed: [column, back to front as in the factor][row of the strip].
template <class Q>
struct gptq_strip {
    static constexpr std::ptrdiff_t width = f64_block;

    matrix_view<const float> w;
    const weight_format& f;
    const quantized_matrix<Q>& q;
    const matrix_view<double>& factor;
    const std::int32_t* order;
    const float* importance;
    std::ptrdiff_t step; // columns done together: a group where groups get their scales on the way
    bool scales_on_the_way;
    std::ptrdiff_t row, count;
    double *d, *sums, *change; // k x width: the weights, then their errors; step x width: the sums; step x width
    float* group;              // step
    std::uint8_t* codes;       // k x width: codes less qmin, columns in their own order

    static constexpr std::size_t doubles(std::ptrdiff_t k, std::ptrdiff_t step) noexcept
    {
        return static_cast<std::size_t>((k + 2 * step) * width + step + (k * width + 7) / 8);
    }

    /// The strip's share of gptq_report::error and of nearest_rows.
    double run(std::ptrdiff_t& nearest_rows) const noexcept
    {
        const weight_grid grid = grid_of<Q>(f);
        double error[width] = {}, nearest[width] = {}, sum = 0;
        process<true>(grid, error, nullptr);
        for (std::ptrdiff_t r = 0; r < count; ++r)
            for (std::ptrdiff_t c = 0; c < w.cols; ++c)
                store_code(q.codes.row(row + r), c, codes[c * width + r] + grid.codes.qmin);
        process<false>(grid, nearest, error);
        for (std::ptrdiff_t r = 0; r < count; ++r)
            if (!(error[r] <= nearest[r])) {
                round_row(grid, row + r);
                error[r] = nearest[r];
                ++nearest_rows;
            }
        for (std::ptrdiff_t r = 0; r < count; ++r)
            sum += error[r];
        return sum;
    }

private:
    std::ptrdiff_t column(std::ptrdiff_t i) const noexcept { return order[w.cols - 1 - i]; }
    bool is_dead(std::ptrdiff_t c) const noexcept { return !(importance[c] > 0.0f); }
    /// Whether all weights that share (r, c)'s scale are 0. That scale is then 1, whatever the size of the other weights, and no unit for
    /// what makes up for their errors.
    bool is_zero(std::ptrdiff_t r, std::ptrdiff_t c) const noexcept
    {
        if (scales_on_the_way)
            return false;
        const std::ptrdiff_t first = f.kind == granularity::per_group ? c / f.group_size * f.group_size : 0;
        const matrix_view<const float> part = sharing_a_scale(w, f, r, first);
        for (std::ptrdiff_t i = 0; i < part.rows; ++i)
            for (std::ptrdiff_t j = 0; j < part.cols; ++j)
                if (part(i, j) != 0.0f)
                    return false;
        return true;
    }

    /// error[r] = ||d R||^2 of every row. greedy: with GPTQ's codes, which are kept like the scales found on the way. Else with the nearest
    /// codes, and only until every row has reached its limit.
    template <bool greedy>
    void process(const weight_grid& grid, double* error, const double* limit) const noexcept
    {
        const std::ptrdiff_t k = w.cols;
        const kernel<product_f64_args> add_product = kernels::product_f64();
        scale_and_zero_point params[width];
        std::memset(d, 0, static_cast<std::size_t>(k * width) * sizeof(double));
        for (std::ptrdiff_t r = 0; r < count; ++r)
            for (std::ptrdiff_t i = 0; i < k; ++i)
                d[i * width + r] = is_dead(column(i)) ? 0.0 : static_cast<double>(w(row + r, column(i)));
        for (std::ptrdiff_t end = k, begin; end > 0; end = begin) {
            begin = end < step ? 0 : end - step;
            std::memset(sums, 0, static_cast<std::size_t>((end - begin) * width) * sizeof(double));
            add_product({factor.row(begin) + end, k, 1, d + end * width, width, sums, width, end - begin, width, k - end, false});
            if (scales_on_the_way && greedy)
                choose_scales(add_product, grid, begin, end);
            for (std::ptrdiff_t r = 0; r < count && scales_on_the_way; ++r)
                params[r] = greedy ? params_at(f, q, k, row + r, k - end) : unchanged_params(grid, row + r, k - end);
            for (std::ptrdiff_t i = end - 1; i >= begin; --i) {
                double* const sum = sums + (i - begin) * width;
                add_product({factor.row(i) + i + 1, k, 1, d + (i + 1) * width, width, sum, width, 1, width, end - i - 1, false});
                const double diagonal = factor(i, i);
                for (std::ptrdiff_t r = 0; r < count; ++r) {
                    const scale_and_zero_point p = scales_on_the_way ? params[r] : params_at(f, q, k, row + r, column(i));
                    double& weight = d[i * width + r];
                    double wanted = greedy ? weight + sum[r] / diagonal : weight;
                    if (greedy && p.scale == 1.0f && wanted != 0.0 && is_zero(row + r, column(i)))
                        wanted = 0.0;
                    const std::int32_t code = grid.code(static_cast<float>(wanted), p);
                    if (greedy)
                        codes[column(i) * width + r] = static_cast<std::uint8_t>(code - grid.codes.qmin);
                    weight = weight - static_cast<double>(dequantize_one(code, p));
                    const double e = strict_math::fma(weight, diagonal, sum[r]);
                    error[r] = strict_math::fma(e, e, error[r]);
                }
            }
            if (!greedy && std::equal(error, error + count, limit, [](double e, double most) { return e >= most; }))
                return;
        }
    }

    /// Scales of the group at [begin, end) from its weights after the best change that makes up for the error so far:
    /// change_i R_ii = sum_i - sum over the group's earlier columns of change_j R_ji.
    void choose_scales(
        kernel<product_f64_args> add_product, const weight_grid& grid, std::ptrdiff_t begin, std::ptrdiff_t end) const noexcept
    {
        const std::ptrdiff_t k = w.cols, size = end - begin;
        std::memcpy(change, sums, static_cast<std::size_t>(size * width) * sizeof(double));
        for (std::ptrdiff_t i = size - 1; i >= 0; --i) {
            add_product({factor.row(begin + i) + begin + i + 1, k, 1, change + (i + 1) * width, width, change + i * width, width, 1, width,
                size - i - 1, true});
            for (std::ptrdiff_t r = 0; r < width; ++r)
                change[i * width + r] = change[i * width + r] / factor(begin + i, begin + i);
        }
        const std::ptrdiff_t first = k - end;
        for (std::ptrdiff_t r = 0; r < count; ++r) {
            for (std::ptrdiff_t c = 0; c < size; ++c)
                group[c] = finite_float(d[(end - 1 - c) * width + r] + change[(size - 1 - c) * width + r]);
            keep_params(row + r, first, grid.best({group, 1, size}, importance + first, f));
        }
    }

    void keep_params(std::ptrdiff_t r, std::ptrdiff_t c, scale_and_zero_point p) const noexcept
    {
        const params_steps steps = steps_of(f.kind, w.cols, f.group_size);
        const std::size_t at = static_cast<std::size_t>(r * steps.row + c / steps.group_size * steps.group);
        q.scales[at] = p.scale;
        if (!q.zero_points.empty())
            q.zero_points[at] = p.zero_point;
    }

    scale_and_zero_point unchanged_params(const weight_grid& grid, std::ptrdiff_t r, std::ptrdiff_t first) const noexcept
    {
        return grid.best(sharing_a_scale(w, f, r, first), importance + first, f);
    }

    /// Row r to the nearest codes; the weights of dead columns are 0.
    void round_row(const weight_grid& grid, std::ptrdiff_t r) const noexcept
    {
        for (std::ptrdiff_t first = 0; first < w.cols && scales_on_the_way; first += step)
            keep_params(r, first, unchanged_params(grid, r, first));
        for (std::ptrdiff_t c = 0; c < w.cols; ++c)
            store_code(q.codes.row(r), c, grid.code(is_dead(c) ? 0.0f : w(r, c), params_at(f, q, w.cols, r, c)));
    }
};

} // namespace detail

/// Quantizes w, n x k, for the inputs that h has seen. Beside w and h it takes k^2 + 1024 (1.125 k + 2 max(64, group size)) doubles of
/// memory, less for n below 1024. With a diagonal H the codes are round_to_nearest's.
template <class Q, class Executor = serial_executor>
inline status gptq(matrix_view<const float> w, const hessian& h, const weight_format& f, const quantized_matrix<Q>& q,
    const gptq_options& o = {}, gptq_report* report = nullptr, progress report_progress = {}, Executor&& executor = Executor {})
{
    if (const status s = detail::check_weights(w, f, q); s != status::ok)
        return s;
    const std::ptrdiff_t k = w.cols;
    if (h.size() != k)
        return status::shape_mismatch;
    if (!(o.damping >= 0.0 && o.damping <= 1.0))
        return status::option_invalid;
    if (h.rows() == 0 && k > 0)
        return status::calibration_missing;
    gptq_report done;
    if (w.empty()) {
        if (report != nullptr)
            *report = done;
        return round_to_nearest(w, f, q);
    }
    const default_fp_mode mode;
    const bool on_the_way = f.kind == granularity::per_group && !o.static_groups && !o.act_order;
    const std::ptrdiff_t step = !on_the_way ? detail::f64_block : f.group_size < k ? f.group_size : k;
    constexpr std::ptrdiff_t wave = 16;
    const std::ptrdiff_t strips = (w.rows + detail::f64_block - 1) / detail::f64_block, at_once = strips < wave ? strips : wave;
    const std::size_t strip_doubles = detail::gptq_strip<Q>::doubles(k, step);
    detail::double_matrix factor, scratch, errors;
    aligned_buffer orders;
    if (const status s = factor.resize(k, k); s != status::ok)
        return s;
    if (const status s = scratch.resize(at_once, static_cast<std::ptrdiff_t>(strip_doubles)); s != status::ok)
        return s;
    if (const status s = errors.resize(2, strips); s != status::ok)
        return s;
    if (!orders.resize(static_cast<std::size_t>(k) * 8))
        return status::out_of_memory;
    std::int32_t* const order = reinterpret_cast<std::int32_t*>(orders.bytes().data());
    float* const importance = reinterpret_cast<float*>(order + k);
    for (std::ptrdiff_t c = 0; c < k; ++c)
        order[c] = static_cast<std::int32_t>(c);
    // Zero exactly where H[c][c] is: these are the dead columns.
    (void)h.importance(span<float>(importance, static_cast<std::size_t>(k)));
    if (o.act_order)
        std::sort(order, order + k, [&](std::int32_t a, std::int32_t b) { return h(a, a) != h(b, b) ? h(a, a) > h(b, b) : a < b; });
    if (!report_progress(0))
        return status::cancelled;
    if (const status s = detail::factor_hessian(h, {order, static_cast<std::size_t>(k)}, o, factor, done, executor); s != status::ok)
        return s;
    if (!on_the_way)
        detail::choose_all_params(w, importance, f, q);
    for (std::ptrdiff_t first = 0; first < strips; first += at_once) {
        if (!report_progress(0.3 + 0.7 * static_cast<double>(first) / static_cast<double>(strips)))
            return status::cancelled;
        executor.parallel_for(static_cast<std::size_t>(strips - first < at_once ? strips - first : at_once), [&](std::size_t i) {
            const default_fp_mode task_mode;
            const std::ptrdiff_t strip = first + static_cast<std::ptrdiff_t>(i), row = strip * detail::f64_block;
            double* const d = scratch.row(static_cast<std::ptrdiff_t>(i));
            double *const sums = d + k * detail::f64_block, *const change = sums + step * detail::f64_block;
            double* const group = change + step * detail::f64_block;
            std::ptrdiff_t nearest_rows = 0;
            errors(0, strip) = detail::gptq_strip<Q> {w, f, q, factor.view(), order, importance, step, on_the_way, row,
                w.rows - row < detail::f64_block ? w.rows - row : detail::f64_block, d, sums, change, reinterpret_cast<float*>(group),
                reinterpret_cast<std::uint8_t*>(group + step)}
                                   .run(nearest_rows);
            errors(1, strip) = static_cast<double>(nearest_rows);
        });
    }
    for (std::ptrdiff_t strip = 0; strip < strips; ++strip) {
        done.error += errors(0, strip);
        done.nearest_rows += static_cast<std::ptrdiff_t>(errors(1, strip));
    }
    if (report != nullptr)
        *report = done;
    (void)report_progress(1);
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
