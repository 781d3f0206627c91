// ONNX's MatMulInteger and QLinearMatMul, for matrices with any row stride, or for contiguous tensors whose leading dimensions are batches.
// They multiply and broadcast as numpy.matmul does.
//   matmul_integer  y = (a - a_zero_point) (b - b_zero_point), int32; k_too_large if a sum could leave int32
//   qlinear_matmul  y = clamp(even(float(sum) * scale) + y_zero_point), scale = a_scale * b_scale / y_scale in float
// a has one zero point, one for each row of a matrix, or one for each row of all matrices. b has one zero point and b_scale, one for each
// column of a matrix, or one for each column of all matrices. Zero points may be left out: 0. a, b and y are int8 or uint8. Each call packs
// b. If b is constant, pack it once (pack_transposed) and call gemm. All functions here allocate.
#pragma once

#include <initializer_list>

#include "../core/memory.hpp"
#include "../gemm/gemm.hpp"
#include "../tflite/quantize.hpp"
#include "matmul_shape.hpp"

NIBBLE_BEGIN
namespace onnx {

namespace detail {

/// b's codes less this are int8.
template <class B>
inline constexpr std::int32_t code_offset = std::is_same_v<B, std::uint8_t> ? 128 : 0;

/// Packed int8 codes with the kernel that multiplies by them, which only programs that call this compile.
template <class Lazy = void>
inline packed_weights_view with_product(packed_weights_view w) noexcept
{
    w.product = &nibble::detail::product_of<std::int8_t>;
    return w;
}

/// Bytes that pack_b needs beside the packed ones.
inline std::size_t pack_b_scratch(std::ptrdiff_t k, std::ptrdiff_t n) noexcept { return (n * (8 + checked_size(k)) + 1).value(); }

/// b, k x n, for gemm, with unit scales. zero_points: none, one, or one a column; with_zero_points: whether to store them.
template <class B>
inline status pack_b(
    matrix_view<const B> b, span<const std::int32_t> zero_points, bool with_zero_points, std::byte* scratch, span<std::byte> out) noexcept
{
    const std::size_t n = static_cast<std::size_t>(b.cols), given = zero_points.size();
    float* const scales = reinterpret_cast<float*>(scratch);
    std::int32_t* const zeros = reinterpret_cast<std::int32_t*>(scales + n);
    std::int8_t* const codes = reinterpret_cast<std::int8_t*>(zeros + n);
    for (std::size_t j = 0; j < n; ++j) {
        scales[j] = 1.0f;
        zeros[j] = (given == 0 ? 0 : zero_points[given == 1 ? 0 : j]) - code_offset<B>;
        for (std::ptrdiff_t i = 0; i < b.rows; ++i)
            codes[static_cast<std::ptrdiff_t>(j) * b.rows + i]
                = static_cast<std::int8_t>(b(i, static_cast<std::ptrdiff_t>(j)) - code_offset<B>);
    }
    return pack(matrix_view<const std::int8_t>(codes, b.cols, b.rows), b.rows,
        {granularity::per_channel, 0, span<const float>(scales, n), span<const std::int32_t>(zeros, with_zero_points ? n : 0)}, out);
}

/// Zero points of codes of Q: as many as one of the counts, within the type.
template <class Q>
inline status check_zero_points(span<const std::int32_t> zero_points, std::initializer_list<std::size_t> counts) noexcept
{
    bool fits = zero_points.size() <= 1;
    for (const std::size_t count : counts)
        fits = fits || zero_points.size() == count;
    if (!fits)
        return status::params_count_mismatch;
    if (check(zero_points) != status::ok)
        return status::null_pointer;
    for (const std::int32_t zero_point : zero_points)
        if (zero_point < code_traits<Q>::qmin || zero_point > code_traits<Q>::qmax)
            return status::zero_point_out_of_range;
    return status::ok;
}

/// Whether packed codes need zero points.
template <class B>
inline bool any_zero_point(span<const std::int32_t> zero_points) noexcept
{
    bool any = code_offset<B> != 0 && zero_points.empty();
    for (const std::int32_t zero_point : zero_points)
        any = any || zero_point != code_offset<B>;
    return any;
}

/// The rules of both operators, except those for scales, before the first write. Matrices are stacked below each other.
template <class A, class B, class Y>
inline status check_matmul(const matmul_shape& s, matrix_view<const A> a, span<const std::int32_t> a_zero_point, matrix_view<const B> b,
    span<const std::int32_t> b_zero_point, matrix_view<Y> y) noexcept
{
    static_assert(std::is_same_v<A, std::int8_t> || std::is_same_v<A, std::uint8_t>, "int8 or uint8");
    static_assert(std::is_same_v<B, std::int8_t> || std::is_same_v<B, std::uint8_t>, "int8 or uint8");
    for (const status bad : {check(a), check(b), check(y)})
        if (bad != status::ok)
            return bad;
    if (a.cols != s.k || b.cols != s.n || y.cols != s.n || a.rows != s.a_matrices * s.m || b.rows != s.b_matrices * s.k
        || y.rows != s.matrices * s.m)
        return status::shape_mismatch;
    if (const status bad = check_zero_points<A>(a_zero_point, {static_cast<std::size_t>(s.m), static_cast<std::size_t>(a.rows)});
        bad != status::ok)
        return bad;
    if (const status bad
        = check_zero_points<B>(b_zero_point, {static_cast<std::size_t>(s.n), static_cast<std::size_t>(s.b_matrices * s.n)});
        bad != status::ok)
        return bad;
    bool a_zero = false;
    for (const std::int32_t zero_point : a_zero_point)
        a_zero = a_zero || zero_point != 0;
    return s.k > max_k(std::is_same_v<A, std::uint8_t>, a_zero, any_zero_point<B>(b_zero_point)) ? status::k_too_large : status::ok;
}

/// multiply(packed b, matrix of b, first row of a, rows, first row of y) for all pairs of matrices; arguments are checked.
template <class B, class Multiply>
inline status for_each_product(const matmul_shape& s, matrix_view<const B> b, span<const std::int32_t> b_zero_point, Multiply multiply)
{
    if (s.matrices == 0 || s.m == 0 || s.n == 0)
        return status::ok;
    const bool zero_points = any_zero_point<B>(b_zero_point);
    const auto bytes = packed_size<std::int8_t>(s.n, s.k, 0, zero_points);
    if (!bytes)
        return bytes.error();
    aligned_buffer packed, scratch;
    for (const status bad : {packed.allocate(*bytes), scratch.allocate(pack_b_scratch(s.k, s.n))})
        if (bad != status::ok)
            return bad;
    const std::size_t columns = static_cast<std::size_t>(s.n);
    for (std::ptrdiff_t i = 0; i < s.b_matrices; ++i) {
        span<const std::int32_t> own = b_zero_point;
        if (own.size() > columns)
            own = own.subspan(static_cast<std::size_t>(i) * columns, columns);
        const matrix_view<const B> matrix(b.row(i * s.k), s.k, s.n, b.stride);
        if (const status bad = pack_b(matrix, own, zero_points, scratch.bytes().data(), packed.bytes()); bad != status::ok)
            return bad;
        const packed_weights_view weights = with_product(*nibble::detail::read_packed(packed.bytes()));
        if (s.b_matrices == 1) // all of a at once
            return multiply(weights, i, std::ptrdiff_t {0}, s.matrices * s.m, std::ptrdiff_t {0});
        for (std::ptrdiff_t j = 0; j < s.matrices; ++j)
            if (s.matrix_of(false, j) == i)
                if (const status bad = multiply(weights, i, s.matrix_of(true, j) * s.m, s.m, j * s.m); bad != status::ok)
                    return bad;
    }
    return status::ok;
}

template <class A, class B, class Executor>
inline status matmul_integer(const matmul_shape& s, matrix_view<const A> a, span<const std::int32_t> a_zero_point, matrix_view<const B> b,
    span<const std::int32_t> b_zero_point, matrix_view<std::int32_t> y, Executor&& executor)
{
    if (const status bad = check_matmul(s, a, a_zero_point, b, b_zero_point, y); bad != status::ok)
        return bad;
    aligned_buffer workspace;
    return for_each_product(
        s, b, b_zero_point, [&](const packed_weights_view& w, std::ptrdiff_t, std::ptrdiff_t from, std::ptrdiff_t rows, std::ptrdiff_t to) {
            if (const status bad = workspace.allocate(gemm_workspace(rows, w)); bad != status::ok)
                return bad;
            const std::size_t given = a_zero_point.size();
            const std::ptrdiff_t together = given > 1 ? 1 : rows;
            for (std::ptrdiff_t i = 0; i < rows; i += together) {
                const std::size_t row = static_cast<std::size_t>(from + i);
                const static_activations how {1.0f, given == 0 ? 0 : a_zero_point[row % given]};
                if (const status bad = gemm(matrix_view<const A>(a.row(from + i), together, a.cols, a.stride), how, w, epilogue {},
                        matrix_view<std::int32_t>(y.row(to + i), together, y.cols, y.stride), workspace.bytes(), executor);
                    bad != status::ok)
                    return bad;
            }
            return status::ok;
        });
}

template <class A, class B, class Y, class Executor>
inline status qlinear_matmul(const matmul_shape& s, matrix_view<const A> a, float a_scale, std::int32_t a_zero_point,
    matrix_view<const B> b, span<const float> b_scale, span<const std::int32_t> b_zero_point, float y_scale, std::int32_t y_zero_point,
    matrix_view<Y> y, Executor&& executor)
{
    static_assert(std::is_same_v<Y, std::int8_t> || std::is_same_v<Y, std::uint8_t>, "int8 or uint8");
    if (const status bad = check_matmul(s, a, span<const std::int32_t>(&a_zero_point, 1), b, b_zero_point, y); bad != status::ok)
        return bad;
    const std::size_t columns = static_cast<std::size_t>(s.n), given = b_scale.size();
    if (given != 1 && given != columns && given != static_cast<std::size_t>(s.b_matrices) * columns)
        return status::params_count_mismatch;
    if (y_zero_point < code_traits<Y>::qmin || y_zero_point > code_traits<Y>::qmax)
        return status::zero_point_out_of_range;
    aligned_buffer scales, workspace;
    if (const status bad = scales.allocate(given * checked_size(sizeof(float)) + 1); bad != status::ok)
        return bad;
    const span<float> scale(reinterpret_cast<float*>(scales.bytes().data()), given);
    if (const status bad = tflite::output_scales(a_scale, b_scale, y_scale, scale); bad != status::ok)
        return bad;
    return for_each_product(s, b, b_zero_point,
        [&](const packed_weights_view& w, std::ptrdiff_t of_b, std::ptrdiff_t from, std::ptrdiff_t rows, std::ptrdiff_t to) {
            if (const status bad = workspace.allocate(gemm_workspace(rows, w)); bad != status::ok)
                return bad;
            requantization r;
            r.scale = given > columns ? scale.subspan(static_cast<std::size_t>(of_b) * columns, columns) : scale;
            r.zero_point = y_zero_point;
            return gemm(matrix_view<const A>(a.row(from), rows, a.cols, a.stride), a_zero_point, w, r,
                matrix_view<Y>(y.row(to), rows, y.cols, y.stride), workspace.bytes(), executor);
        });
}

/// A contiguous tensor's matrices below each other.
template <class T>
inline matrix_view<T> stacked(span<T> x, std::ptrdiff_t rows, std::ptrdiff_t cols) noexcept
{
    return {x.data(), rows, cols};
}

} // namespace detail

/// b, k x n as MatMul has it, packed for gemm, with its zero points (one, one a column, or none) and unit scales.
template <class B>
inline result<packed_weights> pack_transposed(matrix_view<const B> b, span<const std::int32_t> zero_points) noexcept
{
    static_assert(std::is_same_v<B, std::int8_t> || std::is_same_v<B, std::uint8_t>, "int8 or uint8");
    if (const status s = check(b); s != status::ok)
        return s;
    if (const status s = detail::check_zero_points<B>(zero_points, {static_cast<std::size_t>(b.cols)}); s != status::ok)
        return s;
    const bool any = detail::any_zero_point<B>(zero_points);
    const auto bytes = packed_size<std::int8_t>(b.cols, b.rows, 0, any);
    if (!bytes)
        return bytes.error();
    aligned_buffer scratch;
    if (const status s = scratch.allocate(detail::pack_b_scratch(b.rows, b.cols)); s != status::ok)
        return s;
    return packed_weights::filled(
        bytes, [&](span<std::byte> out) { return detail::pack_b(b, zero_points, any, scratch.bytes().data(), out); },
        [](packed_weights_view& view) { view.product = &nibble::detail::product_of<std::int8_t>; });
}

/// a: m x k; b: k x n; y: m x n.
template <class A, class B, class Executor = serial_executor>
inline status matmul_integer(matrix_view<const A> a, span<const std::int32_t> a_zero_point, matrix_view<const B> b,
    span<const std::int32_t> b_zero_point, matrix_view<std::int32_t> y, Executor&& executor = Executor {})
{
    detail::matmul_shape s;
    s.m = a.rows;
    s.k = a.cols;
    s.n = b.cols;
    return detail::matmul_integer(s, a, a_zero_point, b, b_zero_point, y, executor);
}

/// Tensors: a_shape ends with m, k (or is k alone), b_shape with k, n (or is k alone); the dimensions before are equal, 1 or not there, and
/// become y's. y: as many elements as the product has, m x n of each matrix.
template <class A, class B, class Executor = serial_executor>
inline status matmul_integer(span<const A> a, span<const std::ptrdiff_t> a_shape, span<const std::int32_t> a_zero_point, span<const B> b,
    span<const std::ptrdiff_t> b_shape, span<const std::int32_t> b_zero_point, span<std::int32_t> y, Executor&& executor = Executor {})
{
    const auto s = detail::describe_matmul(a_shape, b_shape);
    if (!s)
        return s.error();
    if (a.size() != static_cast<std::size_t>(s->a_matrices * s->m * s->k)
        || b.size() != static_cast<std::size_t>(s->b_matrices * s->k * s->n)
        || y.size() != static_cast<std::size_t>(s->matrices * s->m * s->n))
        return status::shape_mismatch;
    return detail::matmul_integer(*s, detail::stacked(a, s->a_matrices * s->m, s->k), a_zero_point,
        detail::stacked(b, s->b_matrices * s->k, s->n), b_zero_point, detail::stacked(y, s->matrices * s->m, s->n), executor);
}

/// As matmul_integer with one zero point of a, and y of int8 or uint8.
template <class A, class B, class Y, class Executor = serial_executor>
inline status qlinear_matmul(matrix_view<const A> a, float a_scale, std::int32_t a_zero_point, matrix_view<const B> b,
    span<const float> b_scale, span<const std::int32_t> b_zero_point, float y_scale, std::int32_t y_zero_point, matrix_view<Y> y,
    Executor&& executor = Executor {})
{
    detail::matmul_shape s;
    s.m = a.rows;
    s.k = a.cols;
    s.n = b.cols;
    return detail::qlinear_matmul(s, a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point, y, executor);
}
template <class A, class B, class Y, class Executor = serial_executor>
inline status qlinear_matmul(span<const A> a, span<const std::ptrdiff_t> a_shape, float a_scale, std::int32_t a_zero_point, span<const B> b,
    span<const std::ptrdiff_t> b_shape, span<const float> b_scale, span<const std::int32_t> b_zero_point, float y_scale,
    std::int32_t y_zero_point, span<Y> y, Executor&& executor = Executor {})
{
    const auto s = detail::describe_matmul(a_shape, b_shape);
    if (!s)
        return s.error();
    if (a.size() != static_cast<std::size_t>(s->a_matrices * s->m * s->k)
        || b.size() != static_cast<std::size_t>(s->b_matrices * s->k * s->n)
        || y.size() != static_cast<std::size_t>(s->matrices * s->m * s->n))
        return status::shape_mismatch;
    return detail::qlinear_matmul(*s, detail::stacked(a, s->a_matrices * s->m, s->k), a_scale, a_zero_point,
        detail::stacked(b, s->b_matrices * s->k, s->n), b_scale, b_zero_point, y_scale, y_zero_point,
        detail::stacked(y, s->matrices * s->m, s->n), executor);
}

} // namespace onnx
NIBBLE_END
