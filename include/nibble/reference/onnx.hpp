// The definition of ONNX's operators (onnx/operators.hpp): one element at a time, its place in every tensor found from its coordinates.
// Arguments are valid.
#pragma once

#include "../core/minifloat.hpp"
#include "../onnx/conv_filter.hpp"
#include "quantize.hpp"
#include "requantize.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

namespace detail {

/// Where the parameter of element i of a tensor stands.
inline std::size_t linear_parameter(
    std::ptrdiff_t i, span<const std::ptrdiff_t> shape, std::ptrdiff_t axis, std::ptrdiff_t block_size, std::size_t scales) noexcept
{
    if (block_size == 0 && scales == 1)
        return 0;
    const std::ptrdiff_t rank = static_cast<std::ptrdiff_t>(shape.size()), along = axis < 0 ? axis + rank : axis;
    std::ptrdiff_t at = 0, stride = 1;
    for (std::ptrdiff_t d = rank - 1; d >= 0; --d) {
        const std::ptrdiff_t size = shape[static_cast<std::size_t>(d)], coordinate = i % size;
        i /= size;
        if (d == along && block_size == 0)
            return static_cast<std::size_t>(coordinate);
        at += stride * (d == along ? coordinate / block_size : coordinate);
        stride *= d == along ? (size + block_size - 1) / block_size : size;
    }
    return static_cast<std::size_t>(at);
}

template <class Q>
inline constexpr bool is_float8 = std::is_same_v<Q, float8_e4m3> || std::is_same_v<Q, float8_e5m2>;
template <class Q>
inline constexpr bool is_float8_fnuz = std::is_same_v<Q, float8_e4m3fnuz> || std::is_same_v<Q, float8_e5m2fnuz>;
template <class Q>
inline constexpr bool is_linear_float = is_float8<Q> || is_float8_fnuz<Q> || std::is_same_v<Q, float4_e2m1x2>;

/// The bits of a code of Q for t = x / scale.
template <class Q>
inline std::uint8_t float_code(float t, overflow rule) noexcept
{
    if constexpr (std::is_same_v<Q, float4_e2m1x2>)
        return to_minifloat<float4_e2m1>(t).bits;
    else if constexpr (std::is_same_v<Q, float8_e4m3fnuz> || std::is_same_v<Q, float8_e5m2fnuz>)
        return to_fnuz_float<Q>(t, rule).bits;
    else
        return to_minifloat<Q>(t, rule).bits;
}

/// Row-major index of a matrix in a batch of `shape`, which is broadcast, for matrix i of the batch of the result.
inline std::ptrdiff_t batch_of(span<const std::ptrdiff_t> shape, span<const std::ptrdiff_t> other, std::ptrdiff_t i) noexcept
{
    std::ptrdiff_t at = 0, stride = 1;
    for (std::size_t d = 3; d <= shape.size(); ++d) {
        const std::ptrdiff_t own = shape[shape.size() - d], theirs = d <= other.size() ? other[other.size() - d] : 1;
        const std::ptrdiff_t size = own == 1 ? theirs : own;
        at += own == 1 ? 0 : i % size * stride;
        i /= size;
        stride *= own;
    }
    return at;
}

/// Which of `given` parameters row (or column) i of matrix `matrix` has; `size` rows (columns) a matrix. None: 0.
inline std::int32_t zero_point_at(span<const std::int32_t> given, std::ptrdiff_t matrix, std::ptrdiff_t size, std::ptrdiff_t i) noexcept
{
    const std::size_t index = static_cast<std::size_t>(i), all = static_cast<std::size_t>(matrix * size + i);
    return given.empty() ? 0 : given[given.size() == 1 ? 0 : given.size() == static_cast<std::size_t>(size) ? index : all];
}

inline std::ptrdiff_t from_last(span<const std::ptrdiff_t> shape, std::size_t i) noexcept { return shape[shape.size() - i]; }

} // namespace detail

template <class Q>
inline void quantize_linear(span<const float> x, span<const std::ptrdiff_t> shape, span<const float> scales,
    span<const std::int32_t> zero_points, Q* y, std::ptrdiff_t axis, std::ptrdiff_t block_size, overflow rule = overflow::saturate) noexcept
{
    const default_fp_mode mode;
    for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(x.size()); ++i) {
        const std::size_t at = detail::linear_parameter(i, shape, axis, block_size, scales.size());
        const float number = x[static_cast<std::size_t>(i)];
        if constexpr (std::is_same_v<Q, float4_e2m1x2>) {
            const int code = detail::float_code<Q>(number / scales[at], rule);
            y[i / 2].bits = static_cast<std::uint8_t>(i % 2 == 0 ? code : y[i / 2].bits | code << 4);
        } else if constexpr (detail::is_linear_float<Q>) {
            y[i].bits = detail::float_code<Q>(number / scales[at], rule);
        } else {
            store_code(y, i,
                quantize(number, scales[at], zero_points.empty() ? 0 : zero_points[at], preset::onnx.rule, codes_of<Q>(code_range::full)));
        }
    }
}

template <class Q>
inline void dequantize_linear(const Q* x, span<const std::ptrdiff_t> shape, span<const float> scales, span<const std::int32_t> zero_points,
    span<float> y, std::ptrdiff_t axis, std::ptrdiff_t block_size) noexcept
{
    const default_fp_mode mode;
    for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(y.size()); ++i) {
        const std::size_t at = detail::linear_parameter(i, shape, axis, block_size, scales.size());
        float& out = y[static_cast<std::size_t>(i)];
        if constexpr (std::is_same_v<Q, float4_e2m1x2>)
            out = to_float(i % 2 == 0 ? x[i / 2].first() : x[i / 2].second()) * scales[at];
        else if constexpr (detail::is_linear_float<Q>)
            out = to_float(x[i]) * scales[at];
        else
            out = dequantize(load_code(x, i), scales[at], zero_points.empty() ? 0 : zero_points[at]);
    }
}

/// each(i, j, matrix of y, exact sum) for all elements of all products; shapes have at least two dimensions.
template <class A, class B, class Each>
inline void matmul_sums(const A* a, span<const std::ptrdiff_t> a_shape, span<const std::int32_t> a_zero_point, const B* b,
    span<const std::ptrdiff_t> b_shape, span<const std::int32_t> b_zero_point, std::ptrdiff_t matrices, Each each) noexcept
{
    const std::ptrdiff_t m = detail::from_last(a_shape, 2), k = detail::from_last(a_shape, 1), n = detail::from_last(b_shape, 1);
    for (std::ptrdiff_t matrix = 0; matrix < matrices; ++matrix) {
        const std::ptrdiff_t of_a = detail::batch_of(a_shape, b_shape, matrix), of_b = detail::batch_of(b_shape, a_shape, matrix);
        for (std::ptrdiff_t i = 0; i < m; ++i)
            for (std::ptrdiff_t j = 0; j < n; ++j) {
                const std::int32_t a_zero = detail::zero_point_at(a_zero_point, of_a, m, i),
                                   b_zero = detail::zero_point_at(b_zero_point, of_b, n, j);
                std::int64_t sum = 0;
                for (std::ptrdiff_t l = 0; l < k; ++l)
                    sum += std::int64_t {a[(of_a * m + i) * k + l] - a_zero} * (b[(of_b * k + l) * n + j] - b_zero);
                each(i, j, matrix, static_cast<std::int32_t>(sum));
            }
    }
}

template <class A, class B>
inline void matmul_integer(const A* a, span<const std::ptrdiff_t> a_shape, span<const std::int32_t> a_zero_point, const B* b,
    span<const std::ptrdiff_t> b_shape, span<const std::int32_t> b_zero_point, std::ptrdiff_t matrices, std::int32_t* y) noexcept
{
    const std::ptrdiff_t m = detail::from_last(a_shape, 2), n = detail::from_last(b_shape, 1);
    matmul_sums(a, a_shape, a_zero_point, b, b_shape, b_zero_point, matrices,
        [&](std::ptrdiff_t i, std::ptrdiff_t j, std::ptrdiff_t matrix, std::int32_t sum) { y[(matrix * m + i) * n + j] = sum; });
}

/// The code of a sum.
template <class Y>
inline Y requantize_sum(std::int32_t sum, float x_scale, float w_scale, float y_scale, std::int32_t y_zero_point) noexcept
{
    const float scale[1] = {opaque(x_scale * w_scale) / y_scale};
    requantization r;
    r.scale = scale;
    r.zero_point = y_zero_point;
    return static_cast<Y>(requantize(sum, r, 0, codes_of<Y>(code_range::full)));
}

template <class A, class B, class Y>
inline void qlinear_matmul(const A* a, span<const std::ptrdiff_t> a_shape, float a_scale, std::int32_t a_zero_point, const B* b,
    span<const std::ptrdiff_t> b_shape, span<const float> b_scale, span<const std::int32_t> b_zero_point, float y_scale,
    std::int32_t y_zero_point, std::ptrdiff_t matrices, Y* y) noexcept
{
    const default_fp_mode mode;
    const std::ptrdiff_t m = detail::from_last(a_shape, 2), n = detail::from_last(b_shape, 1);
    matmul_sums(a, a_shape, span<const std::int32_t>(&a_zero_point, 1), b, b_shape, b_zero_point, matrices,
        [&](std::ptrdiff_t i, std::ptrdiff_t j, std::ptrdiff_t matrix, std::int32_t sum) {
            const std::ptrdiff_t of_b = detail::batch_of(b_shape, a_shape, matrix);
            const std::size_t given = b_scale.size(), at = static_cast<std::size_t>(given == 1                             ? 0
                                                                                    : given == static_cast<std::size_t>(n) ? j
                                                                                                                           : of_b * n + j);
            y[(matrix * m + i) * n + j] = requantize_sum<Y>(sum, a_scale, b_scale[at], y_scale, y_zero_point);
        });
}

/// each(n, o, oy, ox, exact sum) for all outputs of a convolution.
template <class X, class W, class Y, class Each>
inline void conv_sums(onnx::nchw_view<const X> x, std::int32_t x_zero_point, onnx::nchw_view<const W> w,
    span<const std::int32_t> w_zero_point, const tflite::window& at, std::ptrdiff_t groups, onnx::nchw_view<Y> y, Each each) noexcept
{
    for (std::ptrdiff_t n = 0; n < y.batch; ++n)
        for (std::ptrdiff_t o = 0; o < y.channels; ++o)
            for (std::ptrdiff_t oy = 0; oy < y.height; ++oy)
                for (std::ptrdiff_t ox = 0; ox < y.width; ++ox) {
                    const std::ptrdiff_t first = o / (y.channels / groups) * w.channels;
                    std::int64_t sum = 0;
                    for (std::ptrdiff_t i = 0; i < w.channels; ++i)
                        for (std::ptrdiff_t ky = 0; ky < w.height; ++ky)
                            for (std::ptrdiff_t kx = 0; kx < w.width; ++kx) {
                                const std::ptrdiff_t iy = oy * at.stride_height - at.pad_top + ky * at.dilation_height;
                                const std::ptrdiff_t ix = ox * at.stride_width - at.pad_left + kx * at.dilation_width;
                                if (iy >= 0 && iy < x.height && ix >= 0 && ix < x.width)
                                    sum += std::int64_t {x(n, first + i, iy, ix) - x_zero_point}
                                           * (w(o, i, ky, kx) - detail::zero_point_at(w_zero_point, 0, y.channels, o));
                            }
                    each(n, o, oy, ox, sum);
                }
}

template <class X, class W>
inline void conv_integer(onnx::nchw_view<const X> x, std::int32_t x_zero_point, onnx::nchw_view<const W> w,
    span<const std::int32_t> w_zero_point, const tflite::window& at, std::ptrdiff_t groups, onnx::nchw_view<std::int32_t> y) noexcept
{
    conv_sums(x, x_zero_point, w, w_zero_point, at, groups, y,
        [&](std::ptrdiff_t n, std::ptrdiff_t o, std::ptrdiff_t oy, std::ptrdiff_t ox, std::int64_t sum) {
            y(n, o, oy, ox) = static_cast<std::int32_t>(sum);
        });
}

/// The bias is added modulo 2^32.
template <class X, class W, class Y>
inline void qlinear_conv(onnx::nchw_view<const X> x, float x_scale, std::int32_t x_zero_point, onnx::nchw_view<const W> w,
    span<const float> w_scale, span<const std::int32_t> w_zero_point, float y_scale, std::int32_t y_zero_point,
    span<const std::int32_t> bias, const tflite::window& at, std::ptrdiff_t groups, onnx::nchw_view<Y> y) noexcept
{
    const default_fp_mode mode;
    conv_sums(x, x_zero_point, w, w_zero_point, at, groups, y,
        [&](std::ptrdiff_t n, std::ptrdiff_t o, std::ptrdiff_t oy, std::ptrdiff_t ox, std::int64_t sum) {
            const std::size_t channel = static_cast<std::size_t>(o);
            const std::uint32_t whole = static_cast<std::uint32_t>(sum) + (bias.empty() ? 0u : static_cast<std::uint32_t>(bias[channel]));
            y(n, o, oy, ox) = requantize_sum<Y>(
                static_cast<std::int32_t>(whole), x_scale, w_scale[w_scale.size() == 1 ? 0 : channel], y_scale, y_zero_point);
        });
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
