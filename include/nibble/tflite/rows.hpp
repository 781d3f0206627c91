// What the operators on rows of codes share: softmax and the normalizations.
#pragma once

#include "../core/bits.hpp"
#include "../core/executor.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN
namespace tflite {
namespace detail {

/// x and y: rows x cols, cols at most `most`, beyond which a row's sum leaves its range: k_too_large.
template <class X, class Y>
inline status check_rows(matrix_view<const X> x, matrix_view<Y> y, std::ptrdiff_t most) noexcept
{
    for (const status bad : {nibble::check(x), nibble::check(y)})
        if (bad != status::ok)
            return bad;
    if (x.rows != y.rows || x.cols != y.cols)
        return status::shape_mismatch;
    return x.cols > most ? status::k_too_large : status::ok;
}

/// f(row of x, row of y) for every row, some at a time, so that a task is worth its start.
template <class X, class Y, class Row, class Executor>
inline void for_rows(matrix_view<const X> x, matrix_view<Y> y, Executor&& executor, Row f)
{
    if (x.empty())
        return;
    const std::ptrdiff_t together = 65536 / x.cols + 1;
    executor.parallel_for(static_cast<std::size_t>((x.rows + together - 1) / together), [&](std::size_t task) {
        const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(task) * together, end = smaller(begin + together, x.rows);
        for (std::ptrdiff_t row = begin; row < end; ++row)
            f(x.row(row), y.row(row));
    });
}

/// cols: at least 1.
template <class X>
inline std::int32_t greatest_code(const X* x, std::ptrdiff_t cols) noexcept
{
    std::int32_t top = x[0];
    for (std::ptrdiff_t c = 1; c < cols; ++c)
        top = larger(x[c], top);
    return top;
}

} // namespace detail
} // namespace tflite
NIBBLE_END
