// The shapes of ONNX's matrix products (matmul.hpp): those of numpy.matmul.
#pragma once

#include "../core/bits.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN
namespace onnx {
namespace detail {

/// Matrices of a, m x k, of b, k x n, and of y: how many, and which of a and b belong to one of y.
struct matmul_shape {
    span<const std::ptrdiff_t> a {}, b {};
    std::ptrdiff_t m = 0, k = 0, n = 0, a_matrices = 1, b_matrices = 1, matrices = 1;

    /// The size of a batch dimension, counted from the last.
    static std::ptrdiff_t batch(span<const std::ptrdiff_t> shape, std::size_t i) noexcept
    {
        return i + 2 < shape.size() ? shape[shape.size() - 3 - i] : 1;
    }
    /// Which matrix of a, or of b, matrix i of y is made of.
    std::ptrdiff_t matrix_of(bool of_a, std::ptrdiff_t i) const noexcept
    {
        const span<const std::ptrdiff_t> shape = of_a ? a : b, others = of_a ? b : a;
        std::ptrdiff_t at = 0, stride = 1;
        for (std::size_t d = 0; d + 2 < shape.size(); ++d) {
            const std::ptrdiff_t own = batch(shape, d), size = own == 1 ? batch(others, d) : own;
            at += own == 1 ? 0 : i % size * stride;
            i /= size;
            stride *= own;
        }
        return at;
    }
};

/// Shapes of one dimension: a is a row, b a column.
inline result<matmul_shape> describe_matmul(span<const std::ptrdiff_t> a, span<const std::ptrdiff_t> b) noexcept
{
    if (check(a) != status::ok || check(b) != status::ok)
        return status::null_pointer;
    if (a.empty() || b.empty())
        return status::shape_mismatch;
    matmul_shape s;
    s.a = a;
    s.b = b;
    const std::size_t a_rank = a.size(), b_rank = b.size();
    s.m = a_rank == 1 ? 1 : a[a_rank - 2];
    s.k = a[a_rank - 1];
    s.n = b_rank == 1 ? 1 : b[b_rank - 1];
    for (const span<const std::ptrdiff_t> shape : {a, b})
        for (const std::ptrdiff_t size : shape)
            if (size < 0)
                return status::negative_size;
    if (b[b_rank == 1 ? 0 : b_rank - 2] != s.k)
        return status::shape_mismatch;
    // The greatest product of sizes, those of 0 left out, so that none that is taken of some of them can overflow.
    std::ptrdiff_t greatest = 1;
    const auto grow = [&](std::ptrdiff_t size) noexcept {
        if (size != 0 && greatest > PTRDIFF_MAX / 64 / size)
            return false;
        greatest *= size == 0 ? 1 : size;
        return true;
    };
    bool fits = grow(s.m) && grow(s.k) && grow(s.n);
    for (std::size_t i = 0; i + 2 < larger(a_rank, b_rank); ++i) {
        const std::ptrdiff_t of_a = matmul_shape::batch(a, i), of_b = matmul_shape::batch(b, i);
        if (of_a != of_b && of_a != 1 && of_b != 1)
            return status::shape_mismatch;
        fits = fits && grow(of_a == 1 ? of_b : of_a);
        s.a_matrices *= fits ? of_a : 0;
        s.b_matrices *= fits ? of_b : 0;
        s.matrices *= fits ? (of_a == 1 ? of_b : of_a) : 0;
    }
    return fits ? result<matmul_shape>(s) : result<matmul_shape>(status::size_overflow);
}

} // namespace detail
} // namespace onnx
NIBBLE_END
