// y = requantization of (a - a_zero_point) (b - b_zero_point) for every pair of matrices of two int8 tensors, both of activations. a: ... x
// m x k, adj_x: ... x k x m; b: ... x k x n, adj_y: ... x n x k; y: ... x m x n. The dimensions before the last two are batches and are
// broadcast as in numpy. The multiplier is a_scale * b_scale / y_scale: batch_matmul_multiplier. A matrix of b is packed for gemm once for
// consecutive products with it.
#pragma once

#include "../gemm/gemm.hpp"
#include "tensor.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

/// For the fixed-point modes: the product in float, the quotient in double, as TFLite's.
inline result<fixed_multiplier> batch_matmul_multiplier(float a_scale, float b_scale, float y_scale) noexcept
{
    for (const float scale : {a_scale, b_scale, y_scale})
        if (!is_positive_finite(scale))
            return status::scale_invalid;
    const default_fp_mode mode;
    return encode_multiplier(static_cast<double>(opaque(a_scale * b_scale)) / static_cast<double>(y_scale));
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN
namespace tflite {

struct batch_matmul_options {
    bool adj_x = false, adj_y = false;
};

namespace detail {

/// Where the parts of the caller's memory begin, which are packed_codes, transposed a, transposed b, and what gemm needs.
struct batch_matmul_scratch {
    std::size_t a = 0, b = 0, product = 0, bytes = 0;

    status set(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) noexcept
    {
        packed_weights_view w = nibble::detail::describe<std::int8_t>(n, k, 0, true, {});
        if (const status s = nibble::detail::lay_out(w); s != status::ok)
            return s;
        if (m < 0)
            return status::negative_size;
        if (!(64 * (checked_size(larger(m, n)) + 1) * (checked_size(w.padded_k) + 256)).fits())
            return status::size_overflow;
        const auto rounded = [](std::ptrdiff_t codes) noexcept { return (static_cast<std::size_t>(codes) + 63) / 64 * 64; };
        a = (nibble::detail::total_bytes(w) + 63) / 64 * 64;
        b = a + rounded(m * k);
        product = b + rounded(n * k);
        bytes = product + gemm_workspace(m, w) + 63;
        return status::ok;
    }
};

inline void transpose(const std::int8_t* from, std::ptrdiff_t rows, std::ptrdiff_t cols, std::int8_t* to) noexcept
{
    for (std::ptrdiff_t r = 0; r < rows; ++r)
        for (std::ptrdiff_t c = 0; c < cols; ++c)
            to[c * rows + r] = from[r * cols + c];
}

/// The batches of y, and of an operand for each of them.
struct batches {
    std::ptrdiff_t count = 1;
    strided_dimensions a, b;

    status set(span<const std::ptrdiff_t> a_shape, span<const std::ptrdiff_t> b_shape, span<const std::ptrdiff_t> y_shape) noexcept
    {
        const std::size_t rank = y_shape.size(), most = larger(a_shape.size(), b_shape.size());
        if (a_shape.size() < 2 || b_shape.size() < 2 || rank != most)
            return status::shape_mismatch;
        std::ptrdiff_t a_stride = 1, b_stride = 1;
        for (std::size_t i = 2; i < rank; ++i) {
            const auto size_of = [i](span<const std::ptrdiff_t> s) { return i < s.size() ? s[s.size() - 1 - i] : 1; };
            const std::ptrdiff_t in_a = size_of(a_shape), in_b = size_of(b_shape), in_y = size_of(y_shape);
            if (in_y != (in_a == 1 ? in_b : in_a) || (in_b != 1 && in_b != in_y))
                return status::shape_mismatch;
            a.add(in_y, in_a == in_y ? a_stride : 0);
            b.add(in_y, in_b == in_y ? b_stride : 0);
            a_stride *= in_a;
            b_stride *= in_b;
            count *= in_y;
        }
        return status::ok;
    }
};

} // namespace detail

/// Bytes for products of m x k and k x n, of any alignment; 0 for sizes below zero, SIZE_MAX if they do not fit std::ptrdiff_t.
inline std::size_t batch_matmul_workspace(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) noexcept
{
    detail::batch_matmul_scratch scratch;
    const status s = scratch.set(m, n, k);
    return s == status::ok ? scratch.bytes : s == status::size_overflow ? SIZE_MAX : 0;
}

/// r: one scale or multiplier, or one a column; any mode. k_too_large where a sum could leave int32: k above 33025, or 65793 if one of the
/// zero points is 0, 131071 if both are.
template <class Executor = serial_executor>
inline status batch_matmul(tensor_view<const std::int8_t> a, std::int32_t a_zero_point, tensor_view<const std::int8_t> b,
    std::int32_t b_zero_point, batch_matmul_options options, const requantization& r, tensor_view<std::int8_t> y, span<std::byte> workspace,
    Executor&& executor = Executor {})
{
    for (const status s : {check(a), check(b), check(y)})
        if (s != status::ok)
            return s;
    detail::batches batches;
    if (const status s = batches.set(a.shape, b.shape, y.shape); s != status::ok)
        return s;
    const auto from_end = [](span<const std::ptrdiff_t> shape, std::size_t i) { return shape[shape.size() - i]; };
    const std::ptrdiff_t m = from_end(a.shape, options.adj_x ? 1 : 2), k = from_end(a.shape, options.adj_x ? 2 : 1);
    const std::ptrdiff_t n = from_end(b.shape, options.adj_y ? 2 : 1);
    if (from_end(b.shape, options.adj_y ? 1 : 2) != k || from_end(y.shape, 2) != m || from_end(y.shape, 1) != n)
        return status::shape_mismatch;
    for (const std::int32_t zero_point : {a_zero_point, b_zero_point})
        if (zero_point < -128 || zero_point > 127)
            return status::zero_point_out_of_range;
    if (k > max_k(false, a_zero_point != 0, b_zero_point != 0))
        return status::k_too_large;
    requantize_params params {};
    if (const status s = nibble::detail::check_requantization<std::int8_t>(r, n, params); s != status::ok)
        return s;
    detail::batch_matmul_scratch scratch;
    if (const status s = scratch.set(m, n, k); s != status::ok)
        return s;
    if (nibble::check(workspace) != status::ok)
        return status::null_pointer;
    if (workspace.size() < scratch.bytes)
        return status::buffer_too_small;
    if (y.size() == 0)
        return status::ok;

    std::byte* const memory = workspace.data() + nibble::detail::bytes_to_line(workspace.data());
    const span<std::byte> packed(memory, scratch.a), product(memory + scratch.product, scratch.bytes - 63 - scratch.product);
    std::int8_t *const a_rows = reinterpret_cast<std::int8_t*>(memory + scratch.a), *const b_rows
                                                                                    = reinterpret_cast<std::int8_t*>(memory + scratch.b);
    static constexpr float one = 1.0f;
    const span<const std::int32_t> zero_points(&b_zero_point, b_zero_point != 0 ? 1 : 0);
    packed_weights_view w;
    std::ptrdiff_t packed_at = -1;
    for (std::ptrdiff_t batch = 0; batch < batches.count; ++batch) {
        const std::int8_t *left = a.data + batches.a.offset_of(batch) * m * k, *right = b.data;
        if (const std::ptrdiff_t at = batches.b.offset_of(batch); at != packed_at) {
            right += at * n * k;
            if (!options.adj_y) {
                detail::transpose(right, k, n, b_rows);
                right = b_rows;
            }
            if (const status s = pack(matrix_view<const std::int8_t>(right, n, k), k,
                    {granularity::per_tensor, 0, span<const float>(&one, 1), zero_points}, packed);
                s != status::ok)
                return s;
            const auto view = view_packed(packed);
            if (!view)
                return view.error();
            w = *view;
            packed_at = at;
        }
        if (options.adj_x) {
            detail::transpose(left, k, m, a_rows);
            left = a_rows;
        }
        if (const status s = gemm(matrix_view<const std::int8_t>(left, m, k), a_zero_point, w, r,
                matrix_view<std::int8_t>(y.data + batch * m * n, m, n), product, executor);
            s != status::ok)
            return s;
    }
    return status::ok;
}

} // namespace tflite
NIBBLE_END
