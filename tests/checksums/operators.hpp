// Checksums of ONNX's operators.
#pragma once

#include "products.hpp"

namespace {

// f(shape, axis, block size, number of scales) for tensors that are quantized whole, along an axis and in blocks.
template <class Each>
void for_tensors(Each each)
{
    const std::vector<std::ptrdiff_t> shapes[] = {{1}, {7}, {3, 5}, {5, 32}, {2, 6, 3, 4}, {2, 3, 5}, {4, 1, 33}};
    for (const std::vector<std::ptrdiff_t>& shape : shapes)
        for (std::size_t axis = 0; axis < shape.size(); ++axis)
            for (const std::ptrdiff_t block : {-1, 0, 1, 2, 32}) {
                std::ptrdiff_t scales = 1;
                for (std::size_t i = 0; i < shape.size(); ++i) {
                    const std::ptrdiff_t along = block > 0 ? (shape[i] + block - 1) / block : shape[i];
                    scales *= block < 0 ? 1 : i == axis ? along : block > 0 ? shape[i] : 1;
                }
                each(shape, static_cast<std::ptrdiff_t>(axis), block < 0 ? 0 : block, scales);
            }
}

template <class Q>
void linear_codes(run& r, numbers& random, bool back, const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t axis, std::ptrdiff_t block,
    std::ptrdiff_t scales)
{
    std::ptrdiff_t count = 1;
    for (const std::ptrdiff_t size : shape)
        count *= size;
    const parameters<Q> p(random, {granularity::per_channel, 0}, scales, 1, random.integer(0, 1) != 0);
    if (back) {
        const std::vector<Q> q = filled<Q>(elements_for<Q>(count), [&] { return random.bits(); });
        std::vector<float> x = untouched<float>(count);
        r.must(onnx::dequantize_linear<Q>(q, shape, p.scales, p.zero_points, x, axis, block, r.threads()));
        r.output(x);
    } else {
        const std::vector<float> x = filled<float>(count, [&] { return random.any(); });
        std::vector<Q> q = untouched<Q>(elements_for<Q>(count));
        r.must(onnx::quantize_linear<Q>(x, shape, p.scales, p.zero_points, q, axis, block, r.threads()));
        r.output(q);
    }
}

template <bool Back>
void onnx_linear(run& r)
{
    numbers random(17);
    for_tensors([&](const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t axis, std::ptrdiff_t block, std::ptrdiff_t scales) {
        linear_codes<std::int8_t>(r, random, Back, shape, axis, block, scales);
        linear_codes<std::uint8_t>(r, random, Back, shape, axis, block, scales);
        linear_codes<int4x2>(r, random, Back, shape, axis, block, scales);
        linear_codes<uint4x2>(r, random, Back, shape, axis, block, scales);
        linear_codes<int2x4>(r, random, Back, shape, axis, block, scales);
        linear_codes<uint2x4>(r, random, Back, shape, axis, block, scales);
    });
}

// Codes that came later have lines of their own.
template <class Q, bool Back>
void later_linear_codes(
    run& r, numbers& random, const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t axis, std::ptrdiff_t block, std::ptrdiff_t scales)
{
    constexpr bool is_float = reference::detail::is_linear_float<Q>;
    std::ptrdiff_t count = 1;
    for (const std::ptrdiff_t size : shape)
        count *= size;
    const std::ptrdiff_t stored = (count + onnx::detail::linear_traits<Q>::per_element - 1) / onnx::detail::linear_traits<Q>::per_element;
    const std::vector<float> scale = filled<float>(scales, [&] { return random.real(-9, 1) & 0x7fffffffu; });
    std::vector<std::int32_t> zero_points;
    if constexpr (!is_float)
        if (random.integer(0, 1) != 0)
            for (std::ptrdiff_t i = 0; i < scales; ++i)
                zero_points.push_back(random.integer(code_traits<Q>::qmin, code_traits<Q>::qmax));
    if constexpr (Back) {
        const std::vector<Q> q = filled<Q>(stored, [&] { return random.bits(); });
        std::vector<float> x = untouched<float>(count);
        if (r.reference())
            reference::dequantize_linear<Q>(q.data(), shape, scale, zero_points, x, axis, block);
        else
            r.must(onnx::dequantize_linear<Q>(q, shape, scale, zero_points, x, axis, block, r.threads()));
        r.output(x);
    } else {
        const overflow rule = random.integer(0, 1) ? overflow::saturate : overflow::to_infinity_or_nan;
        const std::vector<float> x = filled<float>(count, [&] { return random.any(); });
        std::vector<Q> q = untouched<Q>(stored);
        if (r.reference())
            reference::quantize_linear<Q>(x, shape, scale, zero_points, q.data(), axis, block, rule);
        else
            r.must(onnx::quantize_linear<Q>(x, shape, scale, zero_points, q, axis, block, r.threads(), rule));
        r.output(q);
    }
}

template <bool Back>
void onnx_linear_16(run& r)
{
    numbers random(20);
    for_tensors([&](const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t axis, std::ptrdiff_t block, std::ptrdiff_t scales) {
        later_linear_codes<std::int16_t, Back>(r, random, shape, axis, block, scales);
        later_linear_codes<std::uint16_t, Back>(r, random, shape, axis, block, scales);
    });
}

template <bool Back>
void onnx_linear_floats(run& r)
{
    numbers random(21);
    for_tensors([&](const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t axis, std::ptrdiff_t block, std::ptrdiff_t scales) {
        later_linear_codes<float8_e4m3, Back>(r, random, shape, axis, block, scales);
        later_linear_codes<float8_e5m2, Back>(r, random, shape, axis, block, scales);
        later_linear_codes<float8_e4m3fnuz, Back>(r, random, shape, axis, block, scales);
        later_linear_codes<float8_e5m2fnuz, Back>(r, random, shape, axis, block, scales);
        later_linear_codes<float4_e2m1x2, Back>(r, random, shape, axis, block, scales);
    });
}

void onnx_dynamic(run& r)
{
    numbers random(18);
    for (const std::ptrdiff_t count : {0, 1, 3, 16, 33, 301, 70000})
        for (const bool ordinary : {true, false}) {
            const std::vector<float> x = filled<float>(count, [&] { return ordinary ? random.real(-4, 2) : random.finite(); });
            std::vector<std::uint8_t> y = untouched<std::uint8_t>(count), zero_point(1);
            std::vector<float> scale(1);
            r.must(onnx::dynamic_quantize_linear(x, y, scale[0], zero_point[0], r.threads()));
            r.output(y);
            r.output(scale);
            r.output(zero_point);
        }
}

std::vector<std::int32_t> some_zero_points(numbers& random, std::ptrdiff_t count, std::int32_t low, std::int32_t high)
{
    std::vector<std::int32_t> z;
    const std::int32_t which = random.integer(0, 2); // none, one, one each
    for (std::ptrdiff_t i = 0; i < (which == 0 ? 0 : which == 1 ? 1 : count); ++i)
        z.push_back(random.integer(low, high));
    return z;
}

template <class A, class B>
void multiply(run& r, numbers& random, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k)
{
    const std::vector<A> a = filled<A>(m * k, [&] { return random.bits(); });
    const std::vector<B> b = filled<B>(k * n, [&] { return random.bits(); });
    const std::vector<std::int32_t> a_zero = some_zero_points(random, m, code_traits<A>::qmin, code_traits<A>::qmax),
                                    b_zero = some_zero_points(random, n, code_traits<B>::qmin, code_traits<B>::qmax);
    const matrix_view<const A> left(a.data(), m, k);
    const matrix_view<const B> right(b.data(), k, n);
    std::vector<std::int32_t> sums = untouched<std::int32_t>(m * n);
    r.must(onnx::matmul_integer(left, span<const std::int32_t>(a_zero), right, span<const std::int32_t>(b_zero),
        matrix_view<std::int32_t>(sums.data(), m, n), r.threads()));
    r.output(sums);

    const std::vector<float> scale = filled<float>(random.integer(0, 1) ? n : 1, [&] { return random.real(-8, -4) & 0x7fffffffu; });
    const float a_scale = scale_between(random, -8, -4), y_scale = scale_between(random, -4, -1);
    std::vector<A> y = untouched<A>(m * n);
    r.must(onnx::qlinear_matmul(left, a_scale, a_zero.empty() ? 0 : a_zero[0], right, span<const float>(scale),
        span<const std::int32_t>(b_zero), y_scale, random.integer(code_traits<A>::qmin, code_traits<A>::qmax),
        matrix_view<A>(y.data(), m, n), r.threads()));
    r.output(y);
}

void onnx_matmul(run& r)
{
    for_products([&](numbers& random, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, int) {
        multiply<std::int8_t, std::int8_t>(r, random, m, n, k);
        multiply<std::uint8_t, std::int8_t>(r, random, m, n, k);
        multiply<std::uint8_t, std::uint8_t>(r, random, m, n, k);
    });
}

template <class A, class B>
void multiply_batches(run& r, numbers& random, const std::vector<std::ptrdiff_t>& a_shape, const std::vector<std::ptrdiff_t>& b_shape,
    std::ptrdiff_t a_matrices, std::ptrdiff_t b_matrices, std::ptrdiff_t matrices)
{
    const std::ptrdiff_t m = a_shape[a_shape.size() - 2], k = a_shape.back(), n = b_shape.back();
    const std::vector<A> a = filled<A>(a_matrices * m * k, [&] { return random.bits(); });
    const std::vector<B> b = filled<B>(b_matrices * k * n, [&] { return random.bits(); });
    const std::vector<std::int32_t> a_zero = some_zero_points(random, a_matrices * m, code_traits<A>::qmin, code_traits<A>::qmax),
                                    b_zero = some_zero_points(random, b_matrices * n, code_traits<B>::qmin, code_traits<B>::qmax);
    std::vector<std::int32_t> sums = untouched<std::int32_t>(matrices * m * n);
    if (r.reference())
        reference::matmul_integer(a.data(), a_shape, a_zero, b.data(), b_shape, b_zero, matrices, sums.data());
    else
        r.must(onnx::matmul_integer<A, B>(a, a_shape, a_zero, b, b_shape, b_zero, sums, r.threads()));
    r.output(sums);

    const std::vector<float> scale = filled<float>(b_matrices * n, [&] { return random.real(-8, -4) & 0x7fffffffu; });
    const float a_scale = scale_between(random, -8, -4), y_scale = scale_between(random, -4, -1);
    const std::int32_t one_zero = a_zero.empty() ? 0 : a_zero[0], y_zero = random.integer(code_traits<A>::qmin, code_traits<A>::qmax);
    std::vector<A> y = untouched<A>(matrices * m * n);
    if (r.reference())
        reference::qlinear_matmul(
            a.data(), a_shape, a_scale, one_zero, b.data(), b_shape, scale, b_zero, y_scale, y_zero, matrices, y.data());
    else
        r.must(onnx::qlinear_matmul<A, B, A>(a, a_shape, a_scale, one_zero, b, b_shape, scale, b_zero, y_scale, y_zero, y, r.threads()));
    r.output(y);
}

void onnx_matmul_batches(run& r)
{
    numbers random(22);
    for (int i = 0; i < 4; ++i) {
        multiply_batches<std::uint8_t, std::int8_t>(r, random, {3, 5, 17}, {17, 20}, 3, 1, 3);
        multiply_batches<std::uint8_t, std::uint8_t>(r, random, {5, 33}, {3, 33, 4}, 1, 3, 3);
        multiply_batches<std::int8_t, std::int8_t>(r, random, {2, 1, 3, 9}, {1, 3, 9, 18}, 2, 3, 6);
    }
}

template <class X, class W>
void convolve_onnx(run& r, numbers& random, std::ptrdiff_t in, std::ptrdiff_t out, std::ptrdiff_t groups, const tflite::window& at)
{
    const std::ptrdiff_t batch = 2, height = 7, width = 9, out_height = tflite::output_height(at, height),
                         out_width = tflite::output_width(at, width), outputs = batch * out * out_height * out_width;
    const std::vector<X> x = filled<X>(batch * in * height * width, [&] { return random.bits(); });
    const std::vector<W> w = filled<W>(out * (in / groups) * at.kernel_height * at.kernel_width, [&] { return random.bits(); });
    const std::vector<std::int32_t> w_zero = some_zero_points(random, out, code_traits<W>::qmin, code_traits<W>::qmax);
    const std::int32_t x_zero = random.integer(code_traits<X>::qmin, code_traits<X>::qmax);
    const onnx::nchw_view<const X> images(x.data(), batch, in, height, width);
    const onnx::nchw_view<const W> weights(w.data(), out, in / groups, at.kernel_height, at.kernel_width);
    std::vector<std::int32_t> sums = untouched<std::int32_t>(outputs);
    const onnx::nchw_view<std::int32_t> sums_view(sums.data(), batch, out, out_height, out_width);
    if (r.reference())
        reference::conv_integer(images, x_zero, weights, w_zero, at, groups, sums_view);
    else
        r.must(onnx::conv_integer(images, weights, x_zero, span<const std::int32_t>(w_zero), at, groups, sums_view, r.threads()));
    r.output(sums);

    const std::vector<float> w_scale = filled<float>(out, [&] { return random.real(-8, -4) & 0x7fffffffu; });
    const float x_scale = scale_between(random, -8, -4), y_scale = scale_between(random, -4, -1);
    const std::int32_t y_zero = random.integer(code_traits<X>::qmin, code_traits<X>::qmax);
    std::vector<std::int32_t> bias;
    for (std::ptrdiff_t i = 0; i < out; ++i)
        bias.push_back(random.integer(-50000, 50000));
    std::vector<X> y = untouched<X>(outputs);
    const onnx::nchw_view<X> codes(y.data(), batch, out, out_height, out_width);
    if (r.reference())
        reference::qlinear_conv(images, x_scale, x_zero, weights, w_scale, w_zero, y_scale, y_zero, bias, at, groups, codes);
    else
        r.must(onnx::qlinear_conv(images, x_scale, x_zero, weights, span<const float>(w_scale), span<const std::int32_t>(w_zero), y_scale,
            y_zero, span<const std::int32_t>(bias), at, groups, codes, r.threads()));
    r.output(y);
}

void onnx_conv(run& r)
{
    numbers random(23);
    const tflite::window windows[] = {{}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, {3, 2, 2, 1, 1, 2, 0, 1, 2, 1}};
    for (const tflite::window& at : windows)
        for (int i = 0; i < 3; ++i) {
            convolve_onnx<std::uint8_t, std::int8_t>(r, random, 5, 18, 1, at);
            convolve_onnx<std::uint8_t, std::uint8_t>(r, random, 8, 12, 2, at);
            convolve_onnx<std::int8_t, std::int8_t>(r, random, 6, 6, 6, at);
            convolve_onnx<std::int8_t, std::int8_t>(r, random, 4, 4, 4, at);
        }
}

template <class Q>
void nbits_layout(run& r, numbers& random, std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t block)
{
    const auto sizes = onnx::matmul_nbits_sizes<Q>(n, k, block);
    r.must(sizes ? status::ok : sizes.error());
    const std::vector<std::uint8_t> b = filled<std::uint8_t>(n * sizes->row_bytes, [&] { return random.bits(); });
    const std::vector<std::uint8_t> packed = filled<std::uint8_t>(n * sizes->zero_point_row_bytes, [&] { return random.bits(); });
    std::vector<Q> codes = untouched<Q>(n * elements_for<Q>(k));
    std::vector<std::int32_t> zero_points(static_cast<std::size_t>(n * sizes->blocks));
    const matrix_view<Q> view(codes.data(), n, elements_for<Q>(k));
    r.must(onnx::from_matmul_nbits<Q>(b, packed, k, block, view, zero_points));
    r.output(codes);
    r.output(zero_points);
    std::vector<std::uint8_t> again = untouched<std::uint8_t>(n * sizes->row_bytes),
                              packed_again = untouched<std::uint8_t>(n * sizes->zero_point_row_bytes);
    r.must(onnx::to_matmul_nbits<Q>(matrix_view<const Q>(view), zero_points, k, block, again, packed_again));
    r.output(again);
    r.output(packed_again);
}

void onnx_nbits(run& r)
{
    numbers random(19);
    for (const std::ptrdiff_t n : {1, 3})
        for (const std::ptrdiff_t k : {1, 5, 32, 100})
            for (const std::ptrdiff_t block : {4, 16, 32}) {
                nbits_layout<uint2x4>(r, random, n, k, block);
                nbits_layout<uint4x2>(r, random, n, k, block);
                nbits_layout<std::uint8_t>(r, random, n, k, block);
            }
}

} // namespace
