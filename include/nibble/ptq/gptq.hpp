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
#include "../quantize/weight_format.hpp"

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

/// What all strips of one call of gptq share.
template <class Q>
struct gptq_layer {
    matrix_view<const float> w;
    const weight_format& format;
    const quantized_matrix<Q>& q;
    matrix_view<const double> factor; ///< factor_hessian's
    const std::int32_t* order;        ///< of processing: k columns
    const float* importance;          ///< of each column; 0: dead
    std::ptrdiff_t columns_together;  ///< a group where groups get their scales on the way
    bool scales_on_the_way;           ///< a group's scale is chosen when the columns before it are done
};

/// Memory of one strip. Matrices are transposed, so that the rows of W are the lanes of vectors: [column, back to front as in the
/// factor][row of the strip].
struct gptq_scratch {
    static constexpr std::ptrdiff_t width = f64_block;

    matrix_view<double> d;      ///< k x width: weights, then, once a column is done, their errors
    matrix_view<double> sums;   ///< columns_together x width: sum over j < c of d_j R_jc
    matrix_view<double> change; ///< columns_together x width
    float* group;               ///< columns_together: one row's weights
    std::uint8_t* codes;        ///< k x width: codes less qmin, columns in their own order

    gptq_scratch(double* memory, std::ptrdiff_t k, std::ptrdiff_t together) noexcept
        : d(memory, k, width), sums(d.row(k), together, width), change(sums.row(together), together, width),
          group(reinterpret_cast<float*>(change.row(together))), codes(reinterpret_cast<std::uint8_t*>(change.row(together) + together))
    {
    }
    /// What the constructor lays out: floats in as many doubles, codes in an eighth of them.
    static constexpr std::ptrdiff_t doubles(std::ptrdiff_t k, std::ptrdiff_t together) noexcept
    {
        return (k + 2 * together) * width + together + (k * width + 7) / 8;
    }
};

/// What a strip adds to gptq_report.
struct gptq_share {
    double error;
    std::ptrdiff_t nearest_rows;
};

/// Up to 64 rows of W on their way through GPTQ, beginning with `row`.
template <class Q>
class gptq_strip {
public:
    gptq_strip(const gptq_layer<Q>& layer, const gptq_scratch& scratch, std::ptrdiff_t row) noexcept
        : layer_(layer), at_(scratch), grid_(grid_of<Q>(layer.format)), row_(row), count_(smaller(layer.w.rows - row, width))
    {
    }

    gptq_share run() const noexcept
    {
        double error[width] = {}, nearest[width] = {};
        gptq_share share {0, 0};
        quantize(error);
        for (std::ptrdiff_t r = 0; r < count_; ++r)
            for (std::ptrdiff_t c = 0; c < layer_.w.cols; ++c)
                store_code(layer_.q.codes.row(row_ + r), c, at_.codes[c * width + r] + grid_.codes.qmin);
        measure_nearest(error, nearest);
        for (std::ptrdiff_t r = 0; r < count_; ++r)
            if (!(error[r] <= nearest[r])) {
                round_row(row_ + r);
                error[r] = nearest[r];
                ++share.nearest_rows;
            }
        for (std::ptrdiff_t r = 0; r < count_; ++r)
            share.error += error[r];
        return share;
    }

private:
    static constexpr std::ptrdiff_t width = gptq_scratch::width;

    // Where columns are.

    /// The column of W that is i-th from the end of the order.
    std::ptrdiff_t column(std::ptrdiff_t i) const noexcept { return layer_.order[layer_.w.cols - 1 - i]; }
    bool is_dead(std::ptrdiff_t c) const noexcept { return !(layer_.importance[c] > 0.0f); }

    /// d = W. Lanes without a row hold zeros, and so do dead columns.
    void load_weights() const noexcept
    {
        const std::ptrdiff_t k = layer_.w.cols;
        std::memset(at_.d.data, 0, static_cast<std::size_t>(k * width) * sizeof(double));
        for (std::ptrdiff_t r = 0; r < count_; ++r)
            for (std::ptrdiff_t i = 0; i < k; ++i)
                at_.d(i, r) = is_dead(column(i)) ? 0.0 : static_cast<double>(layer_.w(row_ + r, column(i)));
    }

    /// block(begin, end) for every columns_together columns in the order of processing, until it returns false. sums then hold what the
    /// errors of all columns before the block add, as one product of matrices; for_columns adds those within it.
    template <class Block>
    void for_blocks(Block block) const noexcept
    {
        const std::ptrdiff_t k = layer_.w.cols;
        for (std::ptrdiff_t end = k, begin; end > 0; end = begin) {
            begin = larger(end - layer_.columns_together, 0);
            const std::ptrdiff_t size = end - begin, done = k - end;
            std::memset(at_.sums.data, 0, static_cast<std::size_t>(size * width) * sizeof(double));
            add_product<>(block_of(layer_.factor, begin, end, size, done), block_of(at_.d, end, 0, done, width), at_.sums);
            if (!block(begin, end))
                return;
        }
    }

    /// each(i, sum) for every column of a block in the order of processing; sum[r] = sum over j < c of d_j R_jc.
    template <class Each>
    void for_columns(std::ptrdiff_t begin, std::ptrdiff_t end, Each each) const noexcept
    {
        for (std::ptrdiff_t i = end - 1; i >= begin; --i) {
            const std::ptrdiff_t done = end - i - 1;
            add_product<>(block_of(layer_.factor, i, i + 1, 1, done), block_of(at_.d, i + 1, 0, done, width),
                block_of(at_.sums, i - begin, 0, 1, width));
            each(i, at_.sums.row(i - begin));
        }
    }

    /// A weight got its code: it becomes its error, which adds (d_c R_cc + sum)^2 to the row's ||d R||^2.
    void settle(std::ptrdiff_t i, std::ptrdiff_t r, std::int32_t code, scale_and_zero_point p, double sum, double& error) const noexcept
    {
        double& weight = at_.d(i, r);
        weight = weight - static_cast<double>(dequantize_one(code, p));
        const double e = strict_math::fma(weight, layer_.factor(i, i), sum);
        error = strict_math::fma(e, e, error);
    }

    // The two passes. error[r] = ||d R||^2 of every row.

    /// With GPTQ's codes, which are kept, as are the scales found on the way.
    void quantize(double* error) const noexcept
    {
        load_weights();
        for_blocks([&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
            if (layer_.scales_on_the_way)
                choose_scales(begin, end);
            for_columns(begin, end, [&](std::ptrdiff_t i, const double* sum) noexcept {
                const std::ptrdiff_t c = column(i);
                const double diagonal = layer_.factor(i, i);
                for (std::ptrdiff_t r = 0; r < count_; ++r) {
                    const scale_and_zero_point p = params_at(layer_.format, layer_.q, layer_.w.cols, row_ + r, c);
                    double wanted = at_.d(i, r) + sum[r] / diagonal;
                    if (p.scale == 1.0f && wanted != 0.0 && is_zero(row_ + r, c))
                        wanted = 0.0;
                    const std::int32_t code = grid_.code(static_cast<float>(wanted), p);
                    at_.codes[c * width + r] = static_cast<std::uint8_t>(code - grid_.codes.qmin);
                    settle(i, r, code, p, sum[r], error[r]);
                }
            });
            return true;
        });
    }

    /// With the weights' nearest codes, and only until every row has reached its limit: then GPTQ's codes are no worse anywhere.
    void measure_nearest(const double* limit, double* error) const noexcept
    {
        scale_and_zero_point of_group[width];
        load_weights();
        for_blocks([&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
            for (std::ptrdiff_t r = 0; r < count_ && layer_.scales_on_the_way; ++r)
                of_group[r] = unchanged_params(row_ + r, layer_.w.cols - end);
            for_columns(begin, end, [&](std::ptrdiff_t i, const double* sum) noexcept {
                for (std::ptrdiff_t r = 0; r < count_; ++r) {
                    const scale_and_zero_point p
                        = layer_.scales_on_the_way ? of_group[r] : params_at(layer_.format, layer_.q, layer_.w.cols, row_ + r, column(i));
                    settle(i, r, grid_.code(static_cast<float>(at_.d(i, r)), p), p, sum[r], error[r]);
                }
            });
            return !std::equal(error, error + count_, limit, [](double e, double most) { return e >= most; });
        });
    }

    // Scales and zero points.

    /// Whether all weights that share (r, c)'s scale are 0. That scale is then 1, whatever the size of the other weights, and no unit for
    /// what makes up for their errors.
    bool is_zero(std::ptrdiff_t r, std::ptrdiff_t c) const noexcept
    {
        if (layer_.scales_on_the_way)
            return false;
        const weight_format& f = layer_.format;
        const std::ptrdiff_t first = f.kind == granularity::per_group ? c / f.group_size * f.group_size : 0;
        const matrix_view<const float> part = sharing_a_scale(layer_.w, f, r, first);
        for (std::ptrdiff_t i = 0; i < part.rows; ++i)
            for (std::ptrdiff_t j = 0; j < part.cols; ++j)
                if (part(i, j) != 0.0f)
                    return false;
        return true;
    }

    /// Scales of the group at [begin, end) from its weights after the best change that makes up for the error so far, all of it within the
    /// group and before any rounding: change_c R_cc = sum_c - sum over the group's earlier columns of change_j R_jc.
    void choose_scales(std::ptrdiff_t begin, std::ptrdiff_t end) const noexcept
    {
        const std::ptrdiff_t size = end - begin, first = layer_.w.cols - end; // first: the group's first column in W
        std::memcpy(at_.change.data, at_.sums.data, static_cast<std::size_t>(size * width) * sizeof(double));
        for (std::ptrdiff_t i = size - 1; i >= 0; --i) {
            const std::ptrdiff_t done = size - i - 1;
            subtract_product<>(block_of(layer_.factor, begin + i, begin + i + 1, 1, done), block_of(at_.change, i + 1, 0, done, width),
                block_of(at_.change, i, 0, 1, width));
            for (std::ptrdiff_t r = 0; r < width; ++r)
                at_.change(i, r) = at_.change(i, r) / layer_.factor(begin + i, begin + i);
        }
        for (std::ptrdiff_t r = 0; r < count_; ++r) {
            for (std::ptrdiff_t c = 0; c < size; ++c)
                at_.group[c] = finite_float(at_.d(end - 1 - c, r) + at_.change(size - 1 - c, r));
            keep_params(row_ + r, first, grid_.best({at_.group, 1, size}, layer_.importance + first, layer_.format));
        }
    }

    void keep_params(std::ptrdiff_t r, std::ptrdiff_t c, scale_and_zero_point p) const noexcept
    {
        const params_strides strides = strides_of(layer_.format.kind, layer_.w.cols, layer_.format.group_size);
        const std::size_t at = static_cast<std::size_t>(r * strides.row + c / strides.group_size * strides.group);
        layer_.q.scales[at] = p.scale;
        if (!layer_.q.zero_points.empty())
            layer_.q.zero_points[at] = p.zero_point;
    }

    scale_and_zero_point unchanged_params(std::ptrdiff_t r, std::ptrdiff_t first) const noexcept
    {
        return grid_.best(sharing_a_scale(layer_.w, layer_.format, r, first), layer_.importance + first, layer_.format);
    }

    /// Row r to the nearest codes; the weights of dead columns are 0.
    void round_row(std::ptrdiff_t r) const noexcept
    {
        const std::ptrdiff_t k = layer_.w.cols;
        for (std::ptrdiff_t first = 0; first < k && layer_.scales_on_the_way; first += layer_.columns_together)
            keep_params(r, first, unchanged_params(r, first));
        for (std::ptrdiff_t c = 0; c < k; ++c)
            store_code(
                layer_.q.codes.row(r), c, grid_.code(is_dead(c) ? 0.0f : layer_.w(r, c), params_at(layer_.format, layer_.q, k, r, c)));
    }

    const gptq_layer<Q>& layer_;
    gptq_scratch at_;
    weight_grid grid_;
    std::ptrdiff_t row_, count_;
};

/// Columns in the order of processing, and their importance: zero exactly where H[c][c] is, which are the dead columns.
inline void order_columns(const hessian& h, bool by_size, std::int32_t* order, float* importance) noexcept
{
    const std::ptrdiff_t k = h.size();
    for (std::ptrdiff_t c = 0; c < k; ++c)
        order[c] = static_cast<std::int32_t>(c);
    (void)h.importance(span<float>(importance, static_cast<std::size_t>(k)));
    if (by_size)
        std::sort(order, order + k, [&](std::int32_t a, std::int32_t b) { return h(a, a) != h(b, b) ? h(a, a) > h(b, b) : a < b; });
}

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
    const std::ptrdiff_t together = !on_the_way ? detail::f64_block : smaller(f.group_size, k);
    // Strips whose scratch is there at once, and so the tasks that can run beside each other.
    constexpr std::ptrdiff_t wave = 16;
    const std::ptrdiff_t strips = (w.rows + detail::f64_block - 1) / detail::f64_block, at_once = smaller(strips, wave);
    detail::double_matrix factor, scratch, errors;
    aligned_buffer orders;
    if (const status s = factor.resize(k, k); s != status::ok)
        return s;
    if (const status s = scratch.resize(at_once, detail::gptq_scratch::doubles(k, together)); s != status::ok)
        return s;
    if (const status s = errors.resize(2, strips); s != status::ok)
        return s;
    if (!orders.resize(static_cast<std::size_t>(k) * 8))
        return status::out_of_memory;
    std::int32_t* const order = reinterpret_cast<std::int32_t*>(orders.bytes().data());
    float* const importance = reinterpret_cast<float*>(order + k);
    detail::order_columns(h, o.act_order, order, importance);
    if (!report_progress(0))
        return status::cancelled;
    if (const status s = detail::factor_hessian(h, {order, static_cast<std::size_t>(k)}, o, factor, done, executor); s != status::ok)
        return s;
    if (!on_the_way)
        detail::choose_all_params(w, importance, f, q);
    constexpr double factored = 0.3; // the factorization's part of the time, as a rule
    const detail::gptq_layer<Q> layer {w, f, q, factor.view(), order, importance, together, on_the_way};
    for (std::ptrdiff_t first = 0; first < strips; first += at_once) {
        if (!report_progress(factored + (1.0 - factored) * static_cast<double>(first) / static_cast<double>(strips)))
            return status::cancelled;
        executor.parallel_for(static_cast<std::size_t>(smaller(strips - first, at_once)), [&](std::size_t i) {
            const default_fp_mode task_mode;
            const std::ptrdiff_t strip = first + static_cast<std::ptrdiff_t>(i);
            const detail::gptq_scratch own(scratch.row(static_cast<std::ptrdiff_t>(i)), k, together);
            const detail::gptq_share share = detail::gptq_strip<Q>(layer, own, strip * detail::f64_block).run();
            errors(0, strip) = share.error;
            errors(1, strip) = static_cast<double>(share.nearest_rows);
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
