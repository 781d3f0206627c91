// A = U^T U with U upper triangular, in double, by blocks. Sums are fused multiply-adds in ascending order, so the result does not depend
// on threads, backends or block size.
#pragma once

#include <cmath>

#include "hessian.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// Factors a in place; only its upper triangle is read and written. False, with a spoilt, if a is not positive definite (or holds a NaN),
/// and, with nothing written, if it is not square or its pointer is null.
template <class Executor = serial_executor>
inline bool cholesky(matrix_view<double> a, Executor&& executor = Executor {})
{
    if (check(a) != status::ok || a.rows != a.cols)
        return false;
    const std::ptrdiff_t size = a.rows;
    const default_fp_mode mode;
    constexpr std::ptrdiff_t block = detail::f64_block;
    for (std::ptrdiff_t begin = 0; begin < size; begin += block) {
        const std::ptrdiff_t end = smaller(size, begin + block);
        for (std::ptrdiff_t r = begin; r < end; ++r) {
            const matrix_view<double> above = detail::block_of(a, begin, r, r - begin, end - r);
            detail::subtract_product(
                detail::transposed_f64 {detail::block_of(above, 0, 0, r - begin, 1)}, above, detail::block_of(a, r, r, 1, end - r));
            if (!(a(r, r) > 0.0) || !(a(r, r) < HUGE_VAL))
                return false;
            const double root = std::sqrt(a(r, r));
            a(r, r) = root;
            for (std::ptrdiff_t c = r + 1; c < end; ++c)
                a(r, c) = a(r, c) / root;
        }
        // The rest of these rows, by strips of columns, and what is below it, by blocks of rows.
        const std::ptrdiff_t rest = size - end, strips = (rest + block - 1) / block;
        executor.parallel_for(static_cast<std::size_t>(strips), [&](std::size_t i) {
            const default_fp_mode task_mode;
            const std::ptrdiff_t column = end + static_cast<std::ptrdiff_t>(i) * block;
            const std::ptrdiff_t columns = smaller(size - column, block);
            for (std::ptrdiff_t r = begin; r < end; ++r) {
                detail::subtract_product(detail::transposed_f64 {detail::block_of(a, begin, r, r - begin, 1)},
                    detail::block_of(a, begin, column, r - begin, columns), detail::block_of(a, r, column, 1, columns));
                const double root = a(r, r);
                for (std::ptrdiff_t c = column; c < column + columns; ++c)
                    a(r, c) = a(r, c) / root;
            }
        });
        executor.parallel_for(static_cast<std::size_t>(strips), [&](std::size_t i) {
            const default_fp_mode task_mode;
            const std::ptrdiff_t row = end + static_cast<std::ptrdiff_t>(i) * block, rows = smaller(size - row, block);
            const matrix_view<double> above = detail::block_of(a, begin, row, end - begin, size - row);
            detail::subtract_product(detail::transposed_f64 {detail::block_of(above, 0, 0, end - begin, rows)}, above,
                detail::block_of(a, row, row, rows, size - row));
        });
    }
    return true;
}

NIBBLE_END
NIBBLE_STRICT_END
