// The quantization operators of ONNX, by their names, on contiguous tensors; bits as the operator specification says where it decides, else
// as onnxruntime computes them.
//   quantize_linear          y = clamp(even(x / y_scale) + y_zero_point)
//   dequantize_linear        y = float(x - x_zero_point) * x_scale
//   dynamic_quantize_linear  scale and zero point by params_formula::onnx, then quantize_linear, to uint8
//   matmul_integer           y = (a - a_zero_point) (b - b_zero_point), int32; refused if a sum could leave int32
//   qlinear_matmul           y = clamp(even(float(sum) * scale) + y_zero_point), scale = a_scale * b_scale / y_scale in float
// Scales of quantize_linear and dequantize_linear: one; or one for each index of `axis`; or with block_size > 0 the tensor's shape with
// ceil(shape[axis] / block_size) in place of shape[axis]. Zero points: as many as scales, or none (0), as int32 whatever the code's type.
// Codes of 4 and 2 bits are packed across the whole tensor, the first lowest.
// The two products pack b each time; with constant b, pack once (pack_transposed) and call gemm.
#pragma once

#include "../core/memory.hpp"
#include "../gemm/gemm.hpp"
#include "../quantize/quantize.hpp"
#include "../reference/quantize.hpp"

NIBBLE_BEGIN
namespace onnx {

namespace detail {

/// A tensor seen as outer x length x inner, quantized along `length`.
struct axis_shape {
    std::ptrdiff_t outer = 1, length = 1, inner = 1, count = 0, blocks = 1;
    granularity kind = granularity::per_tensor;
};

inline result<axis_shape> split(
    span<const std::ptrdiff_t> shape, std::ptrdiff_t axis, std::ptrdiff_t block_size, std::size_t scales) noexcept
{
    const std::ptrdiff_t rank = static_cast<std::ptrdiff_t>(shape.size());
    axis_shape s;
    s.count = 1;
    checked_size bytes = 16; // at most, of the element that takes the most with its parameters
    for (const std::ptrdiff_t size : shape) {
        if (size < 0)
            return status::negative_size;
        bytes = bytes * shape_extent(size);
        if (!bytes.fits())
            return status::size_overflow;
        s.count *= size;
    }
    if (block_size < 0)
        return status::group_size_invalid;
    if (block_size == 0 && scales == 1) {
        s.inner = s.count;
        return s;
    }
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank)
        return status::shape_mismatch;
    for (std::ptrdiff_t i = 0; i < axis; ++i)
        s.outer *= shape[static_cast<std::size_t>(i)];
    s.length = shape[static_cast<std::size_t>(axis)];
    for (std::ptrdiff_t i = axis + 1; i < rank; ++i)
        s.inner *= shape[static_cast<std::size_t>(i)];
    s.blocks = block_size == 0 ? s.length : s.length / block_size + (s.length % block_size != 0);
    s.kind = block_size == 0 ? granularity::per_channel : granularity::per_block;
    const std::ptrdiff_t needed = block_size == 0 ? s.length : s.outer * s.blocks * s.inner;
    return scales == static_cast<std::size_t>(needed) ? result<axis_shape>(s) : result<axis_shape>(status::params_count_mismatch);
}

/// run(rows, cols, first element, parameters) for each matrix of the tensor that the parameters fit. run gives a status.
template <class Run>
inline status for_each_matrix(
    const axis_shape& s, std::ptrdiff_t block_size, span<const float> scales, span<const std::int32_t> zero_points, Run run)
{
    if (s.kind == granularity::per_tensor)
        return run(1, s.count, 0, quant_params_view {granularity::per_tensor, 0, scales, zero_points});
    if (s.inner == 1 && s.kind == granularity::per_channel)
        return run(s.outer, s.length, 0, quant_params_view {granularity::per_column, 0, scales, zero_points});
    if (s.inner == 1)
        return run(s.outer, s.length, 0, quant_params_view {granularity::per_group, block_size, scales, zero_points});
    const std::ptrdiff_t per_matrix = s.kind == granularity::per_block ? s.blocks * s.inner : 0;
    for (std::ptrdiff_t o = 0; o < s.outer; ++o) {
        const std::size_t first = static_cast<std::size_t>(o * per_matrix),
                          count = per_matrix ? static_cast<std::size_t>(per_matrix) : scales.size();
        quant_params_view p {s.kind, 1, scales.subspan(first, count), {}, block_size};
        if (!zero_points.empty())
            p.zero_points = zero_points.subspan(first, count);
        if (const status bad = run(s.length, s.inner, o * s.length * s.inner, p); bad != status::ok)
            return bad;
    }
    return status::ok;
}

/// The rules of both directions, before the first write.
template <class Q>
inline result<axis_shape> check_linear(std::size_t reals, std::size_t codes, span<const std::ptrdiff_t> shape, std::ptrdiff_t axis,
    std::ptrdiff_t block_size, span<const float> scales, span<const std::int32_t> zero_points) noexcept
{
    const auto s = split(shape, axis, block_size, scales.size());
    if (!s)
        return s.error();
    if (reals != static_cast<std::size_t>(s->count) || codes != static_cast<std::size_t>(elements_for<Q>(s->count)))
        return status::shape_mismatch;
    // All parameters at once, as one channel each.
    if (const status bad
        = check_params<Q>({granularity::per_channel, 0, scales, zero_points}, static_cast<std::ptrdiff_t>(scales.size()), 1);
        bad != status::ok)
        return bad;
    return s;
}

/// Whether each matrix row begins at a whole byte, which the kernels need.
template <class Q>
NIBBLE_INLINE constexpr bool whole_bytes(const axis_shape& s, std::ptrdiff_t block_size) noexcept
{
    constexpr std::ptrdiff_t each = code_traits<Q>::per_element;
    if (each == 1 || s.kind == granularity::per_tensor)
        return true;
    const std::ptrdiff_t row = s.inner == 1 ? s.length : s.inner;
    return row % each == 0 && (s.inner != 1 || s.kind == granularity::per_channel || block_size % each == 0);
}

/// The parameter of element i.
NIBBLE_INLINE constexpr std::size_t param_of(const axis_shape& s, std::ptrdiff_t block_size, std::ptrdiff_t i) noexcept
{
    const std::ptrdiff_t along = i / s.inner % s.length;
    if (s.kind == granularity::per_tensor)
        return 0;
    if (s.kind == granularity::per_channel)
        return static_cast<std::size_t>(along);
    return static_cast<std::size_t>((i / (s.inner * s.length) * s.blocks + along / block_size) * s.inner + i % s.inner);
}

} // namespace detail

/// x: the product of `shape` elements; y as many codes.
template <class Q, class Executor = serial_executor>
inline status quantize_linear(span<const float> x, span<const std::ptrdiff_t> shape, span<const float> y_scale,
    span<const std::int32_t> y_zero_point, span<Q> y, std::ptrdiff_t axis = 1, std::ptrdiff_t block_size = 0,
    Executor&& executor = Executor {})
{
    if (check(x) != status::ok || check(shape) != status::ok || check(y) != status::ok)
        return status::null_pointer;
    const auto s = detail::check_linear<Q>(x.size(), y.size(), shape, axis, block_size, y_scale, y_zero_point);
    if (!s || s->count == 0)
        return s.error();
    const quantize_rule rule = preset::onnx.rule;
    if (!detail::whole_bytes<Q>(*s, block_size)) {
        const default_fp_mode mode;
        for (std::ptrdiff_t i = 0; i < s->count; ++i) {
            const std::size_t at = detail::param_of(*s, block_size, i);
            reference::store_code(y.data(), i,
                reference::quantize(x[static_cast<std::size_t>(i)], y_scale[at], y_zero_point.empty() ? 0 : y_zero_point[at], rule,
                    codes_of<Q>(code_range::full)));
        }
        return status::ok;
    }
    return detail::for_each_matrix(
        *s, block_size, y_scale, y_zero_point, [&](std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t first, quant_params_view p) {
            return quantize(matrix_view<const float>(x.data() + first, rows, cols), p,
                matrix_view<Q>(y.data() + first / code_traits<Q>::per_element, rows, elements_for<Q>(cols)), rule, executor);
        });
}

template <class Q, class Executor = serial_executor>
inline status dequantize_linear(span<const Q> x, span<const std::ptrdiff_t> shape, span<const float> x_scale,
    span<const std::int32_t> x_zero_point, span<float> y, std::ptrdiff_t axis = 1, std::ptrdiff_t block_size = 0,
    Executor&& executor = Executor {})
{
    if (check(x) != status::ok || check(shape) != status::ok || check(y) != status::ok)
        return status::null_pointer;
    const auto s = detail::check_linear<Q>(y.size(), x.size(), shape, axis, block_size, x_scale, x_zero_point);
    if (!s || s->count == 0)
        return s.error();
    if (!detail::whole_bytes<Q>(*s, block_size)) {
        const default_fp_mode mode;
        for (std::ptrdiff_t i = 0; i < s->count; ++i) {
            const std::size_t at = detail::param_of(*s, block_size, i);
            const std::int32_t zero_point = x_zero_point.empty() ? 0 : x_zero_point[at];
            y[static_cast<std::size_t>(i)] = reference::dequantize(reference::load_code(x.data(), i), x_scale[at], zero_point);
        }
        return status::ok;
    }
    return detail::for_each_matrix(
        *s, block_size, x_scale, x_zero_point, [&](std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t first, quant_params_view p) {
            return dequantize(matrix_view<const Q>(x.data() + first / code_traits<Q>::per_element, rows, elements_for<Q>(cols)), p,
                matrix_view<float>(y.data() + first, rows, cols), executor);
        });
}

/// not_finite if x holds a NaN or an infinity. An empty or all-zero x: scale 1, zero point 0, as onnxruntime. The specification's scale is
/// a quotient of floats, infinite where max - min overflows. Here the difference is then taken in double, so that finite numbers have a
/// finite scale: -3e38 and 3e38 have the scale 2.3529411e36, the zero point 128 and the codes 0 and 255.
template <class Executor = serial_executor>
inline status dynamic_quantize_linear(
    span<const float> x, span<std::uint8_t> y, float& y_scale, std::uint8_t& y_zero_point, Executor&& executor = Executor {})
{
    if (x.size() != y.size())
        return status::shape_mismatch;
    if (check(y) != status::ok)
        return status::null_pointer;
    const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(x.size());
    float scale[1], range[2];
    std::int32_t zero_point[1];
    const matrix_view<const float> row(x.data(), 1, count);
    if (const status s
        = choose_params<std::uint8_t>(row, preset::onnx.params, granularity::per_tensor, 0, scale, zero_point, span<float>(range));
        s != status::ok)
        return s;
    y_scale = scale[0];
    y_zero_point = static_cast<std::uint8_t>(zero_point[0]);
    return quantize(row, {granularity::per_tensor, 0, span<const float>(scale), span<const std::int32_t>(zero_point)},
        matrix_view<std::uint8_t>(y.data(), 1, count), preset::onnx.rule, executor);
}

/// b, k x n as MatMul has it, packed for gemm, with its zero points (one, one a column, or none) and unit scales.
template <class B>
inline result<packed_weights> pack_transposed(matrix_view<const B> b, span<const std::int32_t> zero_points) noexcept
{
    static_assert(std::is_same_v<B, std::int8_t> || std::is_same_v<B, std::uint8_t>, "int8 or uint8");
    constexpr std::int32_t offset = std::is_same_v<B, std::uint8_t> ? 128 : 0;
    if (const status s = check(b); s != status::ok)
        return s;
    const std::size_t n = static_cast<std::size_t>(b.cols), given = zero_points.size();
    if (given > 1 && given != n)
        return status::params_count_mismatch;
    if (check(zero_points) != status::ok)
        return status::null_pointer;
    for (const std::int32_t zero_point : zero_points)
        if (zero_point < code_traits<B>::qmin || zero_point > code_traits<B>::qmax)
            return status::zero_point_out_of_range;
    bool any = offset != 0;
    for (const std::int32_t zero_point : zero_points)
        any = any || zero_point != 0;
    aligned_buffer memory;
    if (const status s = memory.allocate(n * (8 + checked_size(b.rows)) + 1); s != status::ok)
        return s;
    float* const scales = reinterpret_cast<float*>(memory.bytes().data());
    std::int32_t* const zeros = reinterpret_cast<std::int32_t*>(scales + n);
    std::int8_t* const codes = reinterpret_cast<std::int8_t*>(zeros + n);
    for (std::size_t j = 0; j < n; ++j) {
        scales[j] = 1.0f;
        zeros[j] = (given == 0 ? 0 : zero_points[given == 1 ? 0 : j]) - offset;
        for (std::ptrdiff_t i = 0; i < b.rows; ++i)
            codes[static_cast<std::ptrdiff_t>(j) * b.rows + i] = static_cast<std::int8_t>(b(i, static_cast<std::ptrdiff_t>(j)) - offset);
    }
    const span<const std::int32_t> kept(zeros, any ? n : 0);
    return packed_weights::make(
        matrix_view<const std::int8_t>(codes, b.cols, b.rows), b.rows, {granularity::per_channel, 0, span<const float>(scales, n), kept});
}

/// a: m x k, its zero points one, one a row, or none; b: k x n, its zero points one, one a column, or none; y: m x n. Allocates.
template <class A, class B, class Executor = serial_executor>
inline status matmul_integer(matrix_view<const A> a, span<const std::int32_t> a_zero_point, matrix_view<const B> b,
    span<const std::int32_t> b_zero_point, matrix_view<std::int32_t> y, Executor&& executor = Executor {})
{
    if (const status s = check(a); s != status::ok)
        return s;
    if (const status s = check(y); s != status::ok)
        return s;
    const std::size_t rows = static_cast<std::size_t>(a.rows), given = a_zero_point.size();
    if (given > 1 && given != rows)
        return status::params_count_mismatch;
    if (check(a_zero_point) != status::ok)
        return status::null_pointer;
    std::int32_t widest = 0; // the zero point that the bound on k has to fear
    for (const std::int32_t zero_point : a_zero_point) {
        if (zero_point < code_traits<A>::qmin || zero_point > code_traits<A>::qmax)
            return status::zero_point_out_of_range;
        widest = zero_point != 0 ? zero_point : widest;
    }
    const auto packed = pack_transposed(b, b_zero_point);
    if (!packed)
        return packed.error();
    if (const status s = nibble::detail::check_gemm(a, packed->view(), epilogue {}, static_activations {1.0f, widest}, y); s != status::ok)
        return s;
    aligned_buffer workspace;
    if (const status s = workspace.allocate(gemm_workspace(a.rows, *packed)); s != status::ok)
        return s;
    const std::ptrdiff_t step = given > 1 ? 1 : a.rows;
    for (std::ptrdiff_t i = 0; i < a.rows; i += step) {
        const static_activations how {1.0f, given == 0 ? 0 : a_zero_point[given == 1 ? 0 : static_cast<std::size_t>(i)]};
        if (const status s = gemm(matrix_view<const A>(a.row(i), step, a.cols, a.stride), how, *packed, epilogue {},
                matrix_view<std::int32_t>(y.row(i), step, y.cols, y.stride), workspace.bytes(), executor);
            s != status::ok)
            return s;
    }
    return status::ok;
}

/// As matmul_integer with one zero point of a, and y of int8 or uint8; b_scale: one, or one a column. Allocates.
template <class A, class B, class Y, class Executor = serial_executor>
inline status qlinear_matmul(matrix_view<const A> a, float a_scale, std::int32_t a_zero_point, matrix_view<const B> b,
    span<const float> b_scale, span<const std::int32_t> b_zero_point, float y_scale, std::int32_t y_zero_point, matrix_view<Y> y,
    Executor&& executor = Executor {})
{
    const auto packed = pack_transposed(b, b_zero_point);
    if (!packed)
        return packed.error();
    if (check(b_scale) != status::ok)
        return status::null_pointer;
    if (!valid_scale(float_bits(a_scale)) || !valid_scale(float_bits(y_scale)))
        return status::scale_invalid;
    if (const status s = check(a); s != status::ok)
        return s;
    aligned_buffer scales, workspace;
    for (const status s :
        {scales.allocate(b_scale.size() * checked_size(sizeof(float)) + 1), workspace.allocate(gemm_workspace(a.rows, *packed))})
        if (s != status::ok)
            return s;
    float* const scale = reinterpret_cast<float*>(scales.bytes().data());
    {
        const default_fp_mode mode;
        for (std::size_t j = 0; j < b_scale.size(); ++j)
            scale[j] = opaque(a_scale * b_scale[j]) / y_scale;
    }
    requantization r;
    r.scale = span<const float>(scale, b_scale.size());
    r.zero_point = y_zero_point;
    return gemm(a, a_zero_point, *packed, r, y, workspace.bytes(), executor);
}

} // namespace onnx
NIBBLE_END
