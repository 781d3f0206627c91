// A few inputs or weights far outside the rest make the scale of all others too large. Two splits keep them in float. Both use the public
// products, so they give the same bits on every backend:
//   column split (LLM.int8, Dettmers et al., 2022)   c = finish(x[:, inliers] q^T + x[:, outliers] w[:, outliers]^T)
//   dense and sparse (SqueezeLLM, Kim et al., 2023)  c = finish(x q^T + x sparse^T)
// Each product of the column split is rounded to float, as gemm() does with an empty epilogue; then the two are added in one float sum. The
// sparse product continues from the dense one, with one fused multiply-add per entry, in ascending columns. finish is the epilogue of that
// sum.
#pragma once

#include <algorithm>

#include "../core/activation_function.hpp"
#include "../core/math.hpp"
#include "../core/strict_math.hpp"
#include "../gemm/gemm.hpp"
#include "../quantize/weight_format.hpp"

NIBBLE_BEGIN_TYPES

struct outlier_statistics {
    float median = 0, most = 0;  ///< of the columns' greatest magnitudes
    std::ptrdiff_t outliers = 0; ///< columns above ratio * median
    double kept_bits = 0;        ///< log2(most / median): bits that the outliers take from all other columns under one scale
};

/// Entries of an n x k matrix that are not zero, row by row in ascending columns; row r has [row_begin[r], row_begin[r + 1]).
struct sparse_view {
    span<const std::int32_t> row_begin; ///< n + 1
    span<const std::int32_t> columns;
    span<const float> values;
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

namespace detail {

/// The epilogue of one sum in a column of floats. gemm() applies it inside its tiles; here a second product has to be added first.
inline float finished(float sum, const epilogue& e, std::size_t column) noexcept
{
    const float s = e.scale.empty() ? 1.0f : e.scale[column];
    float v = e.bias.empty() ? sum * s : strict_math::fma(sum, s, e.bias[column]);
    v = strict_math::clamp(apply_activation(e.function, v), e.clamp_low, e.clamp_high);
    return strict_math::choose(is_nan(v), quiet_nan(), v);
}

} // namespace detail

/// From the columns' greatest magnitudes (column_max): which columns are more than `ratio` times the median, in ascending order into
/// columns, which has room for all. The median is the lower one of two.
inline result<outlier_statistics> find_outlier_columns(span<const float> column_max, float ratio, span<std::int32_t> columns) noexcept
{
    if (check(column_max) != status::ok)
        return status::null_pointer;
    if (column_max.size() > INT32_MAX)
        return status::size_overflow;
    if (const status bad = check_room(columns, column_max.size()); bad != status::ok)
        return bad;
    if (!(ratio > 0.0f))
        return status::option_invalid;
    outlier_statistics s;
    if (column_max.empty())
        return s;
    for (std::size_t c = 0; c < column_max.size(); ++c) {
        if (float_bits(column_max[c]) >= infinity_bits)
            return status::not_finite;
        columns[c] = static_cast<std::int32_t>(c);
        s.most = larger(column_max[c], s.most);
    }
    std::int32_t* const middle = columns.begin() + (column_max.size() - 1) / 2;
    std::nth_element(columns.begin(), middle, columns.begin() + column_max.size(),
        [&](std::int32_t a, std::int32_t b) { return column_max[static_cast<std::size_t>(a)] < column_max[static_cast<std::size_t>(b)]; });
    s.median = column_max[static_cast<std::size_t>(*middle)];
    for (std::size_t c = 0; c < column_max.size(); ++c)
        if (static_cast<double>(column_max[c]) > static_cast<double>(ratio) * static_cast<double>(s.median))
            columns[static_cast<std::size_t>(s.outliers++)] = static_cast<std::int32_t>(c);
    if (s.median > 0.0f)
        s.kept_bits = 1.4426950408889634 * portable_log(static_cast<double>(s.most) / static_cast<double>(s.median));
    return s;
}

/// Weights whose outlier columns stay in float. Owns its memory.
class column_split {
public:
    column_split() noexcept = default;

    /// w: n x k; outliers: columns in ascending order; f: per_channel or per_tensor, or per_group over the columns that are left.
    template <class Q>
    static result<column_split> make(matrix_view<const float> w, span<const std::int32_t> outliers, const weight_format& f) noexcept
    {
        if (const status s = check(w); s != status::ok)
            return s;
        if (check(outliers) != status::ok)
            return status::null_pointer;
        if (w.cols > INT32_MAX)
            return status::size_overflow;
        for (std::size_t i = 0; i < outliers.size(); ++i)
            if (outliers[i] < 0 || outliers[i] >= w.cols || (i > 0 && outliers[i] <= outliers[i - 1]))
                return status::shape_mismatch;
        column_split made;
        const std::ptrdiff_t n = w.rows, k = w.cols, out = static_cast<std::ptrdiff_t>(outliers.size()), in = k - out;
        aligned_buffer memory, codes;
        const std::size_t count = static_cast<std::size_t>(params_count(f.kind, n, in, f.group_size));
        for (const status s : {made.columns_.allocate(k * checked_size(sizeof(std::int32_t)) + 1),
                 memory.allocate((checked_size(n) * k + 2 * checked_size(count)) * sizeof(float) + 1),
                 codes.allocate(checked_size(n) * elements_for<Q>(in) * sizeof(Q) + 1)})
            if (s != status::ok)
                return s;
        std::int32_t* const order = reinterpret_cast<std::int32_t*>(made.columns_.bytes().data());
        std::ptrdiff_t inlier = 0, next = 0;
        for (std::ptrdiff_t c = 0; c < k; ++c)
            order[next < out && outliers[static_cast<std::size_t>(next)] == c ? in + next++ : inlier++] = static_cast<std::int32_t>(c);
        made.inliers_ = in;
        made.k_ = k;
        float* const parts = reinterpret_cast<float*>(memory.bytes().data());
        const matrix_view<float> dense(parts, n, in), kept(parts + n * in, n, out);
        made.gather(w, dense, kept);
        const span<float> scales(parts + n * k, count);
        const span<std::int32_t> zero_points(reinterpret_cast<std::int32_t*>(scales.end()), count);
        quantized_matrix<Q> q {{reinterpret_cast<Q*>(codes.bytes().data()), n, elements_for<Q>(in)}, scales, zero_points};
        if (f.how == scheme::symmetric && code_traits<Q>::qmin < 0)
            q.zero_points = {};
        if (const status s = round_to_nearest(matrix_view<const float>(dense), f, q); s != status::ok)
            return s;
        auto quantized = packed_weights::make(matrix_view<const Q>(q.codes), in, params_of(f, q), {f.half_scales});
        if (!quantized)
            return quantized.error();
        auto floats = packed_weights::make(matrix_view<const float>(kept));
        if (!floats)
            return floats.error();
        made.quantized_ = std::move(*quantized);
        made.floats_ = std::move(*floats);
        return result<column_split>(std::move(made));
    }

    const packed_weights& quantized() const noexcept { return quantized_; }
    const packed_weights& floats() const noexcept { return floats_; }
    std::ptrdiff_t inliers() const noexcept { return inliers_; }
    std::ptrdiff_t k() const noexcept { return k_; }

    /// The columns of x, m x k(), apart: inliers, m x inliers(), and outliers, m x (k() - inliers()). Nothing is written if one of the
    /// three has another shape or is null.
    void gather(matrix_view<const float> x, matrix_view<float> inliers, matrix_view<float> outliers) const noexcept
    {
        if (check(x) != status::ok || check(inliers) != status::ok || check(outliers) != status::ok || x.cols != k_ || x.empty()
            || inliers.rows != x.rows || outliers.rows != x.rows || inliers.cols != inliers_ || outliers.cols != k_ - inliers_)
            return;
        const std::int32_t* const order = reinterpret_cast<const std::int32_t*>(columns_.bytes().data());
        for (std::ptrdiff_t r = 0; r < x.rows; ++r) {
            for (std::ptrdiff_t c = 0; c < inliers.cols; ++c)
                inliers(r, c) = x(r, order[c]);
            for (std::ptrdiff_t c = 0; c < outliers.cols; ++c)
                outliers(r, c) = x(r, order[inliers.cols + c]);
        }
    }

private:
    packed_weights quantized_, floats_;
    aligned_buffer columns_; // int32: the inliers, then the outliers, each in ascending order
    movable_value<std::ptrdiff_t> inliers_, k_;
};

/// Scratch bytes for m rows; SIZE_MAX if they do not fit std::ptrdiff_t.
inline std::size_t gemm_workspace(std::ptrdiff_t m, const column_split& w) noexcept
{
    const packed_weights_view quantized = w.quantized();
    return m <= 0 ? 0 : (m * (checked_size(w.k()) + quantized.n) * sizeof(float) + 64 + gemm_workspace(m, quantized)).value();
}

/// The column split's product, m x k by n x k, to m x n.
template <class Executor = serial_executor>
inline status gemm(matrix_view<const float> x, const column_split& w, const epilogue& e, matrix_view<float> c, span<std::byte> workspace,
    Executor&& executor = Executor {})
{
    if (const status s = check(x); s != status::ok)
        return s;
    const std::ptrdiff_t m = x.rows, n = w.quantized().view().n, in = w.inliers();
    if (x.cols != w.k() || c.rows != m || c.cols != n)
        return status::shape_mismatch;
    if (const status s = detail::check_gemm(matrix_view<const float>(x.data, m, in, x.stride), w.quantized(), e, {}, c); s != status::ok)
        return s;
    if (const status s = check_room(workspace, gemm_workspace(m, w)); s != status::ok)
        return s;
    if (c.empty())
        return status::ok;
    std::byte* at = workspace.data();
    at += detail::bytes_to_line(at);
    float* const floats = reinterpret_cast<float*>(at);
    const matrix_view<float> inliers(floats, m, in), outliers(floats + m * in, m, w.k() - in), sums(floats + m * w.k(), m, n);
    w.gather(x, inliers, outliers);
    std::byte* const rest = reinterpret_cast<std::byte*>(floats + m * (w.k() + n));
    const span<std::byte> scratch(rest, static_cast<std::size_t>(workspace.end() - rest));
    if (const status s = gemm(matrix_view<const float>(inliers), w.quantized(), {}, c, scratch, executor); s != status::ok)
        return s;
    if (const status s = gemm(matrix_view<const float>(outliers), w.floats(), {}, sums, {}, executor); s != status::ok)
        return s;
    const default_fp_mode mode;
    for (std::ptrdiff_t r = 0; r < m; ++r)
        for (std::ptrdiff_t j = 0; j < n; ++j)
            c(r, j) = detail::finished(c(r, j) + sums(r, j), e, static_cast<std::size_t>(j));
    return status::ok;
}

/// Moves the `values.size()` entries of greatest importance[c] w^2 out of w into the sparse part; dense gets w with zeros in their place.
/// dense may be w. importance: k floats as check_importance wants them, or empty: 1. row_begin: n + 1; columns and values: one size. Ties
/// go to the entry that comes first.
inline status split_outlier_weights(matrix_view<const float> w, span<const float> importance, matrix_view<float> dense,
    span<std::int32_t> row_begin, span<std::int32_t> columns, span<float> values) noexcept
{
    if (const status s = check(w); s != status::ok)
        return s;
    if (const status s = check(dense); s != status::ok)
        return s;
    if (check(importance) != status::ok || check(row_begin) != status::ok || check(columns) != status::ok || check(values) != status::ok)
        return status::null_pointer;
    const std::size_t all = static_cast<std::size_t>(w.rows * w.cols);
    if (all > INT32_MAX)
        return status::size_overflow;
    if (dense.rows != w.rows || dense.cols != w.cols || row_begin.size() != static_cast<std::size_t>(w.rows) + 1
        || columns.size() != values.size() || values.size() > all
        || (!importance.empty() && importance.size() != static_cast<std::size_t>(w.cols)))
        return status::shape_mismatch;
    if (const status s = check_importance(importance); s != status::ok)
        return s;
    if (!detail::all_finite(w))
        return status::not_finite;
    aligned_buffer memory;
    if (const status s = memory.allocate(checked_size(all) * sizeof(std::int32_t) + 1); s != status::ok)
        return s;
    std::int32_t* const order = reinterpret_cast<std::int32_t*>(memory.bytes().data());
    for (std::size_t i = 0; i < all; ++i)
        order[i] = static_cast<std::int32_t>(i);
    const default_fp_mode mode;
    const auto weight = [&](std::int32_t i) noexcept {
        const std::ptrdiff_t c = i % w.cols;
        const double x = static_cast<double>(w(i / w.cols, c));
        return x * x * (importance.empty() ? 1.0 : static_cast<double>(importance[static_cast<std::size_t>(c)]));
    };
    const auto before = [&](std::int32_t a, std::int32_t b) noexcept {
        const double wa = weight(a), wb = weight(b);
        return wa != wb ? wa > wb : a < b;
    };
    std::nth_element(order, order + (values.empty() ? 0 : values.size() - 1), order + all, before);
    std::sort(order, order + values.size());
    for (std::ptrdiff_t r = 0; r < w.rows; ++r)
        for (std::ptrdiff_t c = 0; c < w.cols; ++c)
            dense(r, c) = w(r, c);
    std::size_t at = 0;
    for (std::ptrdiff_t r = 0; r < w.rows; ++r) {
        row_begin[static_cast<std::size_t>(r)] = static_cast<std::int32_t>(at);
        for (; at < values.size() && order[at] / w.cols == r; ++at) {
            const std::ptrdiff_t c = order[at] % w.cols;
            columns[at] = static_cast<std::int32_t>(c);
            values[at] = dense(r, c);
            dense(r, c) = 0.0f;
        }
    }
    row_begin[static_cast<std::size_t>(w.rows)] = static_cast<std::int32_t>(at);
    return status::ok;
}

/// The dense and sparse product. workspace: gemm_workspace(m, w).
template <class Executor = serial_executor>
inline status gemm(matrix_view<const float> x, packed_weights_view w, const sparse_view& sparse, const epilogue& e, matrix_view<float> c,
    span<std::byte> workspace, Executor&& executor = Executor {})
{
    if (check(sparse.row_begin) != status::ok || check(sparse.columns) != status::ok || check(sparse.values) != status::ok)
        return status::null_pointer;
    if (sparse.row_begin.size() != static_cast<std::size_t>(w.n) + 1 || sparse.columns.size() != sparse.values.size()
        || sparse.row_begin[0] != 0 || static_cast<std::size_t>(sparse.row_begin[static_cast<std::size_t>(w.n)]) != sparse.values.size())
        return status::shape_mismatch;
    for (std::size_t j = 0; j < static_cast<std::size_t>(w.n); ++j)
        if (sparse.row_begin[j] < 0 || sparse.row_begin[j] > sparse.row_begin[j + 1])
            return status::shape_mismatch;
    for (const std::int32_t& column : sparse.columns)
        if (column < 0 || column >= w.k)
            return status::shape_mismatch;
    if (const status s = detail::check_gemm(x, w, e, {}, c); s != status::ok)
        return s;
    if (const status s = gemm(x, w, {}, c, workspace, executor); s != status::ok)
        return s;
    executor.parallel_for(static_cast<std::size_t>(x.rows), [&](std::size_t i) {
        const default_fp_mode mode;
        const std::ptrdiff_t r = static_cast<std::ptrdiff_t>(i);
        for (std::ptrdiff_t j = 0; j < w.n; ++j) {
            const std::size_t end = static_cast<std::size_t>(sparse.row_begin[static_cast<std::size_t>(j) + 1]);
            float sum = c(r, j);
            for (std::size_t at = static_cast<std::size_t>(sparse.row_begin[static_cast<std::size_t>(j)]); at < end; ++at)
                sum = strict_math::fma(x(r, sparse.columns[at]), sparse.values[at], sum);
            c(r, j) = detail::finished(sum, e, static_cast<std::size_t>(j));
        }
    });
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
