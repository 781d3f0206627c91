// ONNX's QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear on contiguous tensors of any rank.
//   integers  y = clamp(even(x / y_scale) + y_zero_point)      back: y = float(x - x_zero_point) * x_scale
//   floats    y = minifloat(x / y_scale)                       back: y = float(x) * x_scale
// Q, the element that holds codes: std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, int4x2, uint4x2, int2x4, uint2x4, or of floats
// float8_e4m3 (ONNX FLOAT8E4M3FN), float8_e5m2, float8_e4m3fnuz, float8_e5m2fnuz, float4_e2m1x2. Codes of 4 and 2 bits are packed across
// the whole tensor, the first lowest.
//   scales       one; or one for each index of `axis`; or with block_size > 0 the tensor's shape with ceil(shape[axis] / block_size) in
//                place of shape[axis]
//   zero points  as many as scales, or none (0), as int32 for every Q; floats have only 0
//   saturate     of 8-bit floats, ONNX's attribute: overflow::saturate is 1, overflow::to_infinity_or_nan 0
// The bits are those of the operators' specification, versions 21 to 25. Where it leaves something open they are those of onnxruntime's CPU
// provider. As in onnxruntime, an infinity saturates in FNUZ formats, too. docs/quantization.md says what onnxruntime does differently.
// x / y_scale and the scales are float (output_dtype, precision: FLOAT).
#pragma once

#include "linear_tiles.hpp"

NIBBLE_BEGIN
namespace onnx {

/// x: the product of `shape` elements; y: as many codes. NaN gives the zero point; as a float NaN, or 6 where there is none.
template <class Q, class Executor = serial_executor>
inline status quantize_linear(span<const float> x, span<const std::ptrdiff_t> shape, span<const float> y_scale,
    span<const std::int32_t> y_zero_point, span<Q> y, std::ptrdiff_t axis = 1, std::ptrdiff_t block_size = 0,
    Executor&& executor = Executor {}, overflow saturate = overflow::saturate)
{
    if (check(x) != status::ok || check(shape) != status::ok || check(y) != status::ok)
        return status::null_pointer;
    const auto s = detail::check_linear<Q>(x.size(), y.size(), shape, axis, block_size, y_scale, y_zero_point);
    if (!s || s->count == 0)
        return s.error();
    if constexpr (!detail::linear_traits<Q>::is_float && sizeof(Q) == 1)
        if (detail::by_matrices<Q>(*s, block_size))
            return detail::for_each_matrix(*s, block_size, y_scale, y_zero_point,
                [&](std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t first, quant_params_view p) {
                    return quantize(matrix_view<const float>(x.data() + first, rows, cols), p,
                        matrix_view<Q>(y.data() + first / code_traits<Q>::per_element, rows, elements_for<Q>(cols)), preset::onnx.rule,
                        executor);
                });
    detail::for_each_tile(*s, block_size, y_scale, y_zero_point, executor,
        [&](std::ptrdiff_t first, std::ptrdiff_t count, const float* scale, const std::int32_t* zero_point) {
            detail::quantize_tile(
                x.data() + first, count, scale, zero_point, saturate, y.data() + first / detail::linear_traits<Q>::per_element);
        });
    return status::ok;
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
    if constexpr (!detail::linear_traits<Q>::is_float && sizeof(Q) == 1)
        if (detail::by_matrices<Q>(*s, block_size))
            return detail::for_each_matrix(*s, block_size, x_scale, x_zero_point,
                [&](std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t first, quant_params_view p) {
                    return dequantize(matrix_view<const Q>(x.data() + first / code_traits<Q>::per_element, rows, elements_for<Q>(cols)), p,
                        matrix_view<float>(y.data() + first, rows, cols), executor);
                });
    detail::for_each_tile(*s, block_size, x_scale, x_zero_point, executor,
        [&](std::ptrdiff_t first, std::ptrdiff_t count, const float* scale, const std::int32_t* zero_point) {
            detail::dequantize_tile(x.data() + first / detail::linear_traits<Q>::per_element, count, scale, zero_point, y.data() + first);
        });
    return status::ok;
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

} // namespace onnx
NIBBLE_END
