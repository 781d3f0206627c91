// H = X^T X over all rows x seen (m x k), in double. It holds all that GPTQ, AWQ and the clip search need to know of a layer's inputs X.
// The squared output error of any quantized Q is  ||X (W - Q)^T||^2 = sum over rows d of W - Q of d H d^T,  without X.
#pragma once

#include <cmath>

#include "../core/fp_mode.hpp"
#include "../core/importance.hpp"
#include "../core/memory.hpp"
#include "../core/numeric.hpp"
#include "../core/strict_math.hpp"
#include "../core/view.hpp"
#include "../core/executor.hpp"
#include "ptq.kernels.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

namespace detail {

/// A matrix of doubles that owns its memory.
class double_matrix {
public:
    status resize(std::ptrdiff_t rows, std::ptrdiff_t cols) noexcept
    {
        if (rows < 0 || cols < 0)
            return status::negative_size;
        if (!(shape_extent(rows, cols) * sizeof(double)).fits())
            return status::size_overflow;
        if (const status s = memory_.allocate(checked_size(rows) * cols * sizeof(double)); s != status::ok)
            return s;
        view_ = matrix_view<double>(reinterpret_cast<double*>(memory_.bytes().data()), rows, cols);
        return status::ok;
    }
    void clear() noexcept
    {
        if (!view_->empty())
            std::memset(view_->data, 0, static_cast<std::size_t>(view_->rows * view_->cols) * sizeof(double));
    }
    const matrix_view<double>& view() const noexcept { return view_; }
    double* row(std::ptrdiff_t r) const noexcept { return view_->row(r); }
    double& operator()(std::ptrdiff_t r, std::ptrdiff_t c) const noexcept { return view().operator()(r, c); }

private:
    aligned_buffer memory_;
    movable_value<matrix_view<double>> view_;
};

/// Rows and columns of double matrices are worked on in blocks of so many: a block of a strip's weights fits the first-level cache.
inline constexpr std::ptrdiff_t f64_block = 64;

/// rows x cols of m from (row, col) on.
template <class T>
inline matrix_view<T> block_of(matrix_view<T> m, std::ptrdiff_t row, std::ptrdiff_t col, std::ptrdiff_t rows, std::ptrdiff_t cols) noexcept
{
    return {m.data + row * m.stride + col, rows, cols, m.stride};
}

/// A matrix whose columns are the rows of another.
struct transposed_f64 {
    matrix_view<const double> of;
};

/// c += a b. Every element is one chain of fused multiply-adds in ascending order of a's columns, so that blocks do not show in the result.
template <class Lazy = void>
inline void add_product(matrix_view<const double> a, matrix_view<const double> b, matrix_view<double> c) noexcept
{
    kernels::product_f64()({a.data, a.stride, 1, b.data, b.stride, c.data, c.stride, a.rows, b.cols, a.cols, false});
}
template <class Lazy = void>
inline void add_product(transposed_f64 a, matrix_view<const double> b, matrix_view<double> c) noexcept
{
    kernels::product_f64()({a.of.data, 1, a.of.stride, b.data, b.stride, c.data, c.stride, a.of.cols, b.cols, a.of.rows, false});
}
/// c -= a b
template <class Lazy = void>
inline void subtract_product(matrix_view<const double> a, matrix_view<const double> b, matrix_view<double> c) noexcept
{
    kernels::product_f64()({a.data, a.stride, 1, b.data, b.stride, c.data, c.stride, a.rows, b.cols, a.cols, true});
}
template <class Lazy = void>
inline void subtract_product(transposed_f64 a, matrix_view<const double> b, matrix_view<double> c) noexcept
{
    kernels::product_f64()({a.of.data, 1, a.of.stride, b.data, b.stride, c.data, c.stride, a.of.cols, b.cols, a.of.rows, true});
}

} // namespace detail

class hessian {
public:
    hessian() noexcept = default;

    /// For inputs of k columns; k^2 doubles are allocated.
    static result<hessian> make(std::ptrdiff_t k) noexcept
    {
        hessian made;
        if (const status s = made.values_.resize(k, k); s != status::ok)
            return s;
        if (const status s = made.chunk_.resize(chunk_rows, k); s != status::ok)
            return s;
        made.values_.clear();
        return result<hessian>(std::move(made));
    }

    /// Adds rows x of the layer's input, m x k. A row with a NaN or an infinity refuses them all, before anything is added. The sums depend
    /// on how the rows were divided into calls by at most rounding, and on nothing else.
    template <class Executor = serial_executor>
    status add(matrix_view<const float> x, Executor&& executor = Executor {})
    {
        if (const status s = check(x); s != status::ok)
            return s;
        const std::ptrdiff_t k = values_.view().rows;
        if (x.cols != k)
            return status::shape_mismatch;
        if (!(checked_size(rows_) + x.rows).fits())
            return status::size_overflow;
        if (x.empty()) {
            rows_ += x.rows;
            return status::ok;
        }
        for (std::ptrdiff_t r = 0; r < x.rows; ++r)
            for (std::ptrdiff_t c = 0; c < k; ++c)
                if (!is_finite(x(r, c)))
                    return status::not_finite;
        for (std::ptrdiff_t begin = 0; begin < x.rows; begin += chunk_rows) {
            const std::ptrdiff_t count = smaller(x.rows - begin, chunk_rows);
            for (std::ptrdiff_t r = 0; r < count; ++r)
                for (std::ptrdiff_t c = 0; c < k; ++c)
                    chunk_(r, c) = static_cast<double>(x(begin + r, c));
            // The upper triangle alone, by blocks of rows.
            const std::ptrdiff_t blocks = (k + detail::f64_block - 1) / detail::f64_block;
            executor.parallel_for(static_cast<std::size_t>(blocks), [&](std::size_t i) {
                const default_fp_mode mode;
                const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(i) * detail::f64_block;
                const std::ptrdiff_t rows = smaller(k - row, detail::f64_block);
                const matrix_view<double> chunk = detail::block_of(chunk_.view(), 0, row, count, k - row);
                detail::add_product(detail::transposed_f64 {detail::block_of(chunk, 0, 0, count, rows)}, chunk,
                    detail::block_of(values_.view(), row, row, rows, k - row));
            });
        }
        rows_ += x.rows;
        return status::ok;
    }

    /// Adds what another has seen, such as another process's share of the data.
    status merge(const hessian& other) noexcept
    {
        const std::ptrdiff_t k = values_.view().rows;
        if (other.values_.view().rows != k)
            return status::shape_mismatch;
        if (!(checked_size(rows_) + other.rows_).fits())
            return status::size_overflow;
        const default_fp_mode mode;
        for (std::ptrdiff_t r = 0; r < k; ++r)
            for (std::ptrdiff_t c = r; c < k; ++c)
                values_(r, c) += other.values_(r, c);
        rows_ += other.rows_;
        return status::ok;
    }

    /// As if column c of all inputs had been multiplied by factors[c].
    status scale(span<const float> factors) noexcept
    {
        const std::ptrdiff_t k = values_.view().rows;
        if (factors.size() != static_cast<std::size_t>(k))
            return status::shape_mismatch;
        if (check(factors) != status::ok)
            return status::null_pointer;
        const default_fp_mode mode;
        for (std::ptrdiff_t r = 0; r < k; ++r)
            for (std::ptrdiff_t c = r; c < k; ++c)
                values_(r, c) *= static_cast<double>(factors[static_cast<std::size_t>(r)])
                                 * static_cast<double>(factors[static_cast<std::size_t>(c)]);
        return status::ok;
    }

    std::ptrdiff_t size() const noexcept { return values_.view().rows; }
    std::ptrdiff_t rows() const noexcept { return rows_; }
    /// H[i][j] = sum over rows of x[i] x[j]
    double operator()(std::ptrdiff_t i, std::ptrdiff_t j) const noexcept { return i <= j ? values_(i, j) : values_(j, i); }
    /// The mean square of input i: the importance of column i. One beyond float's range becomes the nearest float that is above zero and
    /// finite; importance(span) keeps the ratios there, too.
    float importance(std::ptrdiff_t i) const noexcept
    {
        const default_fp_mode mode;
        return detail::nearest_importance(mean_square(i));
    }
    /// The mean squares of all k inputs, times the power of two that brings the greatest into [1, 2): 0 for inputs that were always 0, and
    /// for no other. The same if all inputs are multiplied by a power of two.
    status importance(span<float> out) const noexcept
    {
        if (out.size() != static_cast<std::size_t>(values_.view().rows))
            return status::shape_mismatch;
        if (check(out) != status::ok)
            return status::null_pointer;
        const default_fp_mode mode;
        detail::importance_of_all([&](std::size_t i) noexcept { return mean_square(static_cast<std::ptrdiff_t>(i)); }, out);
        return status::ok;
    }

private:
    double mean_square(std::ptrdiff_t i) const noexcept { return rows_ == 0 ? 0.0 : values_(i, i) / static_cast<double>(rows_); }

    static constexpr std::ptrdiff_t chunk_rows = 128;
    detail::double_matrix values_, chunk_;
    std::ptrdiff_t rows_ = 0;
};

namespace detail {

/// out[r] = d H d^T over the columns [begin, begin + k) for each row d that difference(r, c) gives, c from 0; strips of 64 rows, each a
/// task.
template <class Difference, class Executor>
inline status row_errors(const hessian& h, std::ptrdiff_t begin, std::ptrdiff_t k, std::ptrdiff_t rows, const Difference& difference,
    span<double> out, Executor&& executor)
{
    if (k == 0) {
        for (std::ptrdiff_t r = 0; r < rows; ++r)
            out[static_cast<std::size_t>(r)] = 0.0;
        return status::ok;
    }
    double_matrix full, strips;
    if (const status s = full.resize(k, k); s != status::ok)
        return s;
    constexpr std::ptrdiff_t wave = 16;
    const std::ptrdiff_t all = (rows + f64_block - 1) / f64_block, at_once = smaller(all, wave);
    if (const status s = strips.resize(2 * at_once * k, f64_block); s != status::ok)
        return s;
    for (std::ptrdiff_t i = 0; i < k; ++i)
        for (std::ptrdiff_t j = 0; j < k; ++j)
            full(i, j) = h(begin + i, begin + j);
    for (std::ptrdiff_t first = 0; first < all; first += at_once)
        executor.parallel_for(static_cast<std::size_t>(smaller(all - first, at_once)), [&](std::size_t task) {
            const default_fp_mode mode;
            const std::ptrdiff_t row = (first + static_cast<std::ptrdiff_t>(task)) * f64_block;
            const std::ptrdiff_t count = smaller(rows - row, f64_block);
            // Both transposed, so that the rows of a strip are the lanes of vectors.
            const matrix_view<double> d = block_of(strips.view(), 2 * static_cast<std::ptrdiff_t>(task) * k, 0, k, f64_block);
            const matrix_view<double> product(d.row(k), k, f64_block);
            std::memset(d.data, 0, static_cast<std::size_t>(2 * k * f64_block) * sizeof(double));
            for (std::ptrdiff_t r = 0; r < count; ++r)
                for (std::ptrdiff_t c = 0; c < k; ++c)
                    d(c, r) = difference(row + r, c);
            add_product<>(full.view(), d, product);
            for (std::ptrdiff_t r = 0; r < count; ++r) {
                double sum = 0;
                for (std::ptrdiff_t c = 0; c < k; ++c)
                    sum = strict_math::fma(d(c, r), product(c, r), sum);
                out[static_cast<std::size_t>(row + r)] = sum;
            }
        });
    return status::ok;
}

} // namespace detail

NIBBLE_END
NIBBLE_STRICT_END
