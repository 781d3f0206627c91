// nibble_tflite_cases FOLDER: writes operations of the int8 scheme as JSON, with their operands and what nibble computes. tflite.js makes a
// TFLite model of each, runs it and compares.
//   float requantization   what XNNPACK computes inside this TFLite: convolutions, fully connected layers, products, means, transposed
//                          convolutions with one scale
//   double rounding        what TFLite's own kernels compute: transposed convolutions with a scale a channel or of int16, sums, RELU, RELU6
//   single rounding        what ruy computes inside this TFLite: convolutions and fully connected layers of int16 with int32 biases,
//                          products of batches
// This TFLite sums and averages over any axes in floats, where its ties are others, and does not clamp a SUM. It interpolates int8 in other
// ways than its reference kernel, which it runs for int16: so bilinear resizing is held with int8 codes in int16 tensors. QUANTIZE of int8
// is left out: XNNPACK multiplies by x_scale / y_scale rounded to 8 fraction bits.
#include <cmath>

#include "tflite_operation.hpp"

namespace {

template <class X = std::int8_t>
std::vector<X> codes(test::random& random, std::ptrdiff_t count, std::int32_t low = code_traits<X>::qmin)
{
    std::vector<X> q(static_cast<std::size_t>(count));
    for (X& c : q)
        c = static_cast<X>(random.integer(low, code_traits<X>::qmax));
    return q;
}

template <class X = std::int8_t>
quantization some_quantization(test::random& random)
{
    constexpr bool wide = sizeof(X) == 2;
    const float scale = std::ldexp(1.0f + std::fabs(random.real()), wide ? -14 : -6);
    return {scale, wide ? 0 : random.integer(-128, 127)};
}

enum class layer { conv, depthwise, transposed, fully_connected };

// X: of the activations. Bias: int64 and int32 are added to sums of int16 with different arithmetic. For a fully connected layer the window
// is 1 x 1 and the image one pixel a row.
template <class X = std::int8_t, class Bias = std::conditional_t<sizeof(X) == 2, std::int64_t, std::int32_t>>
void weighted(const std::string& folder, test::random& random, layer kind, std::ptrdiff_t batch, std::ptrdiff_t size, std::ptrdiff_t in,
    std::ptrdiff_t out, tflite::window at, bool same, bool per_channel, tflite::fused_activation f, std::ptrdiff_t groups = 1)
{
    const std::ptrdiff_t height = size, width = kind == layer::fully_connected ? 1 : size + 1;
    if (same)
        at = same_padding(at, height, width);
    const std::ptrdiff_t taps = at.kernel_height * at.kernel_width, k = taps * (kind == layer::depthwise ? 1 : in / groups);
    std::ptrdiff_t out_height = output_height(at, height), out_width = output_width(at, width);
    if (kind == layer::transposed) {
        out_height = (height - 1) * at.stride_height + at.kernel_height;
        out_width = (width - 1) * at.stride_width + at.kernel_width;
    }
    constexpr bool wide = sizeof(X) == 2;
    const std::vector<X> x = codes<X>(random, batch * height * width * in);
    const std::vector<std::int8_t> w = codes(random, out * k, -127);
    std::vector<Bias> bias(static_cast<std::size_t>(out));
    for (Bias& b : bias)
        b = random.integer(-3000, 3000) * Bias {wide ? 256 : 1};
    const quantization xq = some_quantization<X>(random);
    std::vector<float> w_scale(static_cast<std::size_t>(per_channel ? out : 1)), bias_scale, scales(w_scale.size());
    for (float& s : w_scale) {
        s = std::ldexp(1.0f + std::fabs(random.real()), -8);
        bias_scale.push_back(s * xq.scale);
    }
    const quantization yq {xq.scale * std::sqrt(static_cast<float>(k)), wide ? 0 : random.integer(-128, 127)};
    const auto bounds = tflite::bounds_of<X>(f, yq);
    must(bounds.error());
    must(tflite::output_scales(xq.scale, w_scale, yq.scale, scales));
    std::vector<std::int32_t> multiplier(w_scale.size()), shift(w_scale.size());
    must(kind == layer::fully_connected ? tflite::fully_connected_multipliers(xq.scale, w_scale, yq.scale, multiplier, shift)
                                        : tflite::output_multipliers(xq.scale, w_scale, yq.scale, multiplier, shift));
    std::vector<X> y(static_cast<std::size_t>(batch * out_height * out_width * out));
    const tflite::images_view<const X> from(x.data(), batch, height, width, in);
    const tflite::images_view<X> to(y.data(), batch, out_height, out_width, out);
    const matrix_view<const std::int8_t> by_tap(w.data(), taps, out);
    tflite::packed_filter filter;
    std::vector<std::byte> workspace;
    if (kind != layer::depthwise) {
        auto made
            = tflite::packed_filter::make(matrix_view<const std::int8_t>(w.data(), out, k), at.kernel_height, at.kernel_width, in, groups);
        must(made.error());
        filter = std::move(*made);
        workspace.resize(tflite::conv2d_workspace<X>(filter));
    }
    if constexpr (sizeof(Bias) == 8) {
        const tflite::requantization_16x8 r {multiplier, shift, bias, bounds->qmin, bounds->qmax};
        must(kind == layer::depthwise    ? tflite::depthwise_conv2d(from, by_tap, at, r, to)
             : kind == layer::transposed ? tflite::transpose_conv2d(from, filter, at, r, to, workspace)
                                         : tflite::conv2d(from, filter, at, r, to, workspace));
    } else {
        requantization r;
        r.mode = kind == layer::transposed ? per_channel || wide ? requantize_mode::double_rounding : requantize_mode::float_ties_to_even
                 : wide                    ? requantize_mode::single_rounding
                                           : requantize_mode::float_ties_to_even;
        r.scale = scales;
        r.multiplier = multiplier;
        r.shift = shift;
        r.bias = bias;
        r.zero_point = yq.zero_point;
        r.low = bounds->qmin;
        r.high = bounds->qmax;
        if constexpr (wide)
            must(kind == layer::transposed ? tflite::transpose_conv2d(from, filter, at, r, to, workspace)
                                           : tflite::conv2d(from, filter, at, r, to, workspace));
        else
            must(kind == layer::depthwise    ? tflite::depthwise_conv2d(from, xq.zero_point, by_tap, at, r, to)
                 : kind == layer::transposed ? tflite::transpose_conv2d(from, xq.zero_point, filter, at, r, to, workspace)
                                             : tflite::conv2d(from, xq.zero_point, filter, at, r, to, workspace));
    }
    static const char* const names[] = {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"};
    operation op(folder, names[static_cast<int>(kind)]);
    const dims w_shape = kind == layer::fully_connected ? dims {out, in}
                         : kind == layer::depthwise     ? dims {1, at.kernel_height, at.kernel_width, out}
                                                        : dims {out, at.kernel_height, at.kernel_width, in / groups};
    if (kind == layer::transposed) {
        const std::vector<std::int32_t> y_shape {static_cast<std::int32_t>(batch), static_cast<std::int32_t>(out_height),
            static_cast<std::int32_t>(out_width), static_cast<std::int32_t>(out)};
        op.tensor({4}, y_shape, {}, 0, true);
        op.tensor(w_shape, w, w_scale, 0, true);
        op.tensor({batch, height, width, in}, x, {xq.scale}, xq.zero_point);
    } else {
        op.tensor(
            kind == layer::fully_connected ? dims {batch * height, in} : dims {batch, height, width, in}, x, {xq.scale}, xq.zero_point);
        op.tensor(w_shape, w, w_scale, 0, true, kind == layer::depthwise ? 3 : 0);
    }
    op.tensor({out}, bias, bias_scale, 0, true);
    op.option("same", same).option("stride_width", static_cast<double>(at.stride_width));
    op.option("stride_height", static_cast<double>(at.stride_height)).option("dilation_width", static_cast<double>(at.dilation_width));
    op.option("dilation_height", static_cast<double>(at.dilation_height)).option("activation", static_cast<int>(f));
    op.option("depth_multiplier", kind == layer::depthwise ? static_cast<double>(out / in) : 0);
    op.write(kind == layer::fully_connected ? dims {batch * height, out} : dims {batch, out_height, out_width, out}, y, yq);
}

template <class X>
void pool(const std::string& folder, test::random& random, bool average, tflite::window at, bool same)
{
    const std::ptrdiff_t height = 9, width = 8, channels = 19;
    if (same)
        at = same_padding(at, height, width);
    const std::ptrdiff_t out_height = output_height(at, height), out_width = output_width(at, width);
    const std::vector<X> x = codes<X>(random, height * width * channels);
    std::vector<X> y(static_cast<std::size_t>(out_height * out_width * channels));
    const tflite::images_view<X> to(y.data(), 1, out_height, out_width, channels);
    must(average ? tflite::average_pool2d({x.data(), 1, height, width, channels}, at, to)
                 : tflite::max_pool2d({x.data(), 1, height, width, channels}, at, to));
    const quantization q = some_quantization<X>(random);
    operation op(folder, average ? "AVERAGE_POOL_2D" : "MAX_POOL_2D");
    op.tensor({1, height, width, channels}, x, {q.scale}, q.zero_point).option("same", same);
    op.option("stride_width", static_cast<double>(at.stride_width)).option("stride_height", static_cast<double>(at.stride_height));
    op.option("filter_width", static_cast<double>(at.kernel_width)).option("filter_height", static_cast<double>(at.kernel_height));
    op.write({1, out_height, out_width, channels}, y, q);
}

void table(const std::string& folder, test::random& random, const char* name)
{
    const std::vector<std::int8_t> x = codes(random, 1000);
    const quantization xq {std::ldexp(1.0f + std::fabs(random.real()), -random.integer(4, 8)), random.integer(-128, 127)};
    quantization yq = some_quantization(random);
    const std::string op = name;
    result<tflite::code_table> t = status::option_invalid;
    if (op == "LOGISTIC") {
        yq = tflite::logistic_output;
        t = tflite::function_table(tflite::table_function::logistic, xq, yq);
    } else if (op == "TANH") {
        yq = tflite::tanh_output;
        t = tflite::function_table(tflite::table_function::tanh, xq, yq);
    } else {
        t = tflite::requantize_table(xq, yq, op == "RELU" ? tflite::fused_activation::relu : tflite::fused_activation::relu6);
    }
    must(t.error());
    std::vector<std::int8_t> y(x.size());
    must(tflite::look_up(x, *t, y));
    operation(folder, op).tensor({1, 1000}, x, {xq.scale}, xq.zero_point).write({1, 1000}, y, yq);
}

template <class X>
void mean(const std::string& folder, test::random& random)
{
    const std::ptrdiff_t height = random.integer(1, 8), width = random.integer(1, 8), channels = 37;
    const std::vector<X> x = codes<X>(random, 2 * height * width * channels);
    const quantization xq = some_quantization<X>(random), yq = some_quantization<X>(random);
    std::vector<X> y(static_cast<std::size_t>(2 * channels));
    must(tflite::mean({x.data(), 2, height, width, channels}, xq, yq, nibble::matrix_view<X>(y.data(), 2, channels),
        requantize_mode::float_ties_to_even));
    operation op(folder, "MEAN");
    op.tensor({2, height, width, channels}, x, {xq.scale}, xq.zero_point);
    op.tensor({2}, std::vector<std::int32_t> {1, 2}, {}, 0, true).write({2, channels}, y, yq);
}

// shape: of a second operand that is broadcast against one of 1 x 5 x 10 x 20.
template <class X>
void elementwise(const std::string& folder, test::random& random, bool sum, const dims& shape)
{
    const std::vector<X> a = codes<X>(random, 1000), b = codes<X>(random, shape[1] * shape[2] * shape[3]);
    constexpr bool wide = sizeof(X) == 2;
    const quantization aq = some_quantization<X>(random), bq = some_quantization<X>(random),
                       yq {sum ? aq.scale + bq.scale : aq.scale * bq.scale * (wide ? 20000.0f : 100.0f),
                           wide ? 0 : random.integer(-128, 127)};
    std::vector<X> y(a.size());
    const tflite::images_view<const X> from_a(a.data(), 1, 5, 10, 20), from_b(b.data(), 1, shape[1], shape[2], shape[3]);
    const tflite::images_view<X> to(y.data(), 1, 5, 10, 20);
    requantization r;
    r.zero_point = yq.zero_point;
    const auto m = tflite::add_params<X>(aq.scale, bq.scale, yq.scale);
    const std::vector<float> scale {aq.scale * bq.scale / yq.scale};
    const auto product = encode_multiplier(static_cast<double>(scale[0]));
    must(m.error());
    must(product.error());
    const std::vector<std::int32_t> multiplier {product->multiplier}, shift {product->shift};
    r.scale = scale;
    r.multiplier = multiplier;
    r.shift = shift;
    r.mode = sum || wide ? requantize_mode::double_rounding : requantize_mode::float_ties_to_even;
    if constexpr (wide)
        must(sum ? tflite::add(from_a, from_b, *m, r, to) : tflite::multiply(from_a, from_b, r, to));
    else
        must(sum ? tflite::add(from_a, aq.zero_point, from_b, bq.zero_point, *m, r, to)
                 : tflite::multiply(from_a, aq.zero_point, from_b, bq.zero_point, r, to));
    operation op(folder, sum ? "ADD" : "MUL");
    op.tensor({1, 5, 10, 20}, a, {aq.scale}, aq.zero_point).tensor(shape, b, {bq.scale}, bq.zero_point);
    op.write({1, 5, 10, 20}, y, yq);
}

std::ptrdiff_t product(const dims& shape)
{
    std::ptrdiff_t all = 1;
    for (const std::ptrdiff_t size : shape)
        all *= size;
    return all;
}

std::vector<std::int32_t> as_int32(const dims& values) { return {values.begin(), values.end()}; }

// SUB, SQUARED_DIFFERENCE, MAXIMUM, MINIMUM and PRELU; shape: of a second operand that is broadcast against one of 1 x 5 x 10 x 20.
void pairs(const std::string& folder, test::random& random, const std::string& name, const dims& shape)
{
    const bool same = name == "MAXIMUM" || name == "MINIMUM";
    const std::vector<std::int8_t> a = codes(random, 1000), b = codes(random, product(shape));
    const quantization aq = some_quantization(random), bq = same ? aq : some_quantization(random);
    quantization yq = same ? aq : some_quantization(random);
    yq.scale *= name == "SUB" || name == "PRELU" ? 2.0f : name == "SQUARED_DIFFERENCE" ? 0.25f : 1.0f;
    std::vector<std::int8_t> y(a.size());
    const tflite::images_view<const std::int8_t> from_a(a.data(), 1, 5, 10, 20), from_b(b.data(), 1, shape[1], shape[2], shape[3]);
    const tflite::images_view<std::int8_t> to(y.data(), 1, 5, 10, 20);
    requantization r;
    r.mode = requantize_mode::double_rounding;
    r.zero_point = yq.zero_point;
    operation op(folder, name);
    if (name == "SUB") {
        const auto f = random.integer(0, 1) ? tflite::fused_activation::relu6 : tflite::fused_activation::none;
        const auto bounds = tflite::bounds_of(f, yq);
        const auto m = tflite::add_params(aq.scale, bq.scale, yq.scale);
        must(m.error());
        r.low = bounds->qmin;
        r.high = bounds->qmax;
        must(tflite::subtract(from_a, aq.zero_point, from_b, bq.zero_point, *m, r, to));
        op.option("activation", static_cast<int>(f));
    } else if (name == "SQUARED_DIFFERENCE") {
        const auto m = tflite::squared_difference_params(aq.scale, bq.scale, yq.scale);
        must(m.error());
        must(tflite::squared_difference(from_a, aq.zero_point, from_b, bq.zero_point, *m, r, to));
    } else if (name == "PRELU") {
        const auto m = tflite::prelu_params(aq.scale, bq.scale, yq.scale);
        must(m.error());
        must(tflite::prelu(from_a, aq.zero_point, from_b, bq.zero_point, *m, yq.zero_point, to));
    } else {
        must(name == "MAXIMUM" ? tflite::maximum(from_a, from_b, to) : tflite::minimum(from_a, from_b, to));
    }
    op.tensor({1, 5, 10, 20}, a, {aq.scale}, aq.zero_point).tensor(shape, b, {bq.scale}, bq.zero_point);
    op.write({1, 5, 10, 20}, y, yq);
}

// XNNPACK computes LEAKY_RELU in 8 fraction bits where both multipliers are at least 2^-8: here one of them is less.
void activation_table(const std::string& folder, test::random& random, bool elu)
{
    const std::vector<std::int8_t> x = codes(random, 1000);
    const quantization xq {std::ldexp(1.0f + std::fabs(random.real()), -random.integer(4, 8)), random.integer(-128, 127)};
    quantization yq = some_quantization(random);
    float alpha = random.real();
    if (!elu && random.integer(0, 1) != 0) {
        yq.scale = xq.scale * 300.0f;
        alpha *= 300.0f;
    } else {
        alpha *= yq.scale / xq.scale / 3000.0f;
    }
    const auto t = elu ? tflite::elu_table(xq, yq) : tflite::leaky_relu_table(xq, yq, alpha);
    must(t.error());
    std::vector<std::int8_t> y(x.size());
    must(tflite::look_up(x, *t, y));
    operation op(folder, elu ? "ELU" : "LEAKY_RELU");
    op.option("alpha", static_cast<double>(alpha)).tensor({1, 1000}, x, {xq.scale}, xq.zero_point).write({1, 1000}, y, yq);
}

void reductions(const std::string& folder, test::random& random, const std::string& name)
{
    dims shape, axes, left;
    for (int rank = random.integer(1, 4), i = 0; i < rank; ++i)
        shape.push_back(random.integer(1, 9));
    const bool keep = random.integer(0, 1) != 0;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const bool over = random.integer(0, 1) != 0;
        if (over)
            axes.push_back(static_cast<std::ptrdiff_t>(i) - (random.integer(0, 1) ? static_cast<std::ptrdiff_t>(shape.size()) : 0));
        if (!over || keep)
            left.push_back(over ? 1 : shape[i]);
    }
    if (axes.empty())
        return;
    const std::vector<std::int8_t> x = codes(random, product(shape));
    const quantization xq = some_quantization(random);
    quantization yq = xq;
    std::vector<std::int8_t> y(static_cast<std::size_t>(product(left)));
    const tflite::tensor_view<const std::int8_t> from(x.data(), shape);
    if (name == "SUM" || name == "MEAN") {
        yq = some_quantization(random);
        yq.scale *= name == "SUM" ? 4.0f * std::sqrt(static_cast<float>(x.size()) / static_cast<float>(y.size())) : 1.0f;
        yq.zero_point /= 2;
        must(name == "SUM" ? tflite::sum(from, axes, xq, yq, y, requantize_mode::float_ties_to_even)
                           : tflite::mean(from, axes, xq, yq, y, requantize_mode::float_ties_to_even));
        for (std::ptrdiff_t i = 0; i < product(left); ++i) {
            double sum = 0, count = 0;
            reference::for_reduced(from, axes, i, [&](std::int8_t code) {
                sum += code - xq.zero_point;
                ++count;
            });
            const double exact = sum * static_cast<double>(xq.scale) / static_cast<double>(yq.scale) / (name == "MEAN" ? count : 1.0);
            const bool tie = std::fabs(std::fabs(exact - std::nearbyint(exact)) - 0.5) < 1e-4;
            if (tie || (name == "SUM" && std::fabs(exact + yq.zero_point) > 127.0))
                return;
        }
    } else {
        must(name == "REDUCE_MAX" ? tflite::reduce_max(from, axes, y) : tflite::reduce_min(from, axes, y));
    }
    operation op(folder, name);
    op.option("keep_dims", keep).tensor(shape, x, {xq.scale}, xq.zero_point);
    op.tensor({static_cast<std::ptrdiff_t>(axes.size())}, as_int32(axes), {}, 0, true).write(left, y, yq);
}

void normalized_rows(const std::string& folder, test::random& random, bool logarithm)
{
    const std::ptrdiff_t rows = random.integer(1, 5), cols = random.integer(1, 300);
    const std::vector<std::int8_t> x = codes(random, rows * cols);
    const quantization xq {std::ldexp(1.0f + std::fabs(random.real()), -random.integer(0, 9)), random.integer(-128, 127)};
    std::vector<std::int8_t> y(x.size());
    const matrix_view<const std::int8_t> from(x.data(), rows, cols);
    const matrix_view<std::int8_t> to(y.data(), rows, cols);
    if (logarithm) {
        const auto s = tflite::log_softmax_params(xq.scale);
        must(s.error());
        must(tflite::log_softmax(from, *s, to));
    } else {
        must(tflite::l2_normalization(from, xq.zero_point, to));
    }
    operation op(folder, logarithm ? "LOG_SOFTMAX" : "L2_NORMALIZATION");
    op.tensor({rows, cols}, x, {xq.scale}, xq.zero_point);
    op.write({rows, cols}, y, logarithm ? tflite::log_softmax_output : tflite::l2_normalization_output);
}

void resized(const std::string& folder, test::random& random, bool bilinear, tflite::resize_options how)
{
    const dims shape {random.integer(1, 2), random.integer(1, 9), random.integer(1, 9), random.integer(1, 20)},
        to {shape[0], random.integer(1, 12), random.integer(1, 12), shape[3]};
    const std::vector<std::int8_t> x = codes(random, product(shape));
    std::vector<std::int8_t> y(static_cast<std::size_t>(product(to)));
    const tflite::images_view<const std::int8_t> from(x.data(), shape[0], shape[1], shape[2], shape[3]);
    const tflite::images_view<std::int8_t> out(y.data(), to[0], to[1], to[2], to[3]);
    must(bilinear ? tflite::resize_bilinear(from, out, how) : tflite::resize_nearest_neighbor(from, out, how));
    const quantization q = some_quantization(random);
    operation op(folder, bilinear ? "RESIZE_BILINEAR" : "RESIZE_NEAREST_NEIGHBOR");
    op.option("align_corners", how.align_corners).option("half_pixel_centers", how.half_pixel_centers);
    const auto write = [&](const auto& from_codes, const auto& to_codes, quantization p) {
        op.tensor(shape, from_codes, {p.scale}, p.zero_point).tensor({2}, as_int32({to[1], to[2]}), {}, 0, true).write(to, to_codes, p);
    };
    if (bilinear)
        write(std::vector<std::int16_t>(x.begin(), x.end()), std::vector<std::int16_t>(y.begin(), y.end()), {q.scale, 0});
    else
        write(x, y, q);
}

void padded(const std::string& folder, test::random& random, bool with_value)
{
    dims shape, to, amounts;
    std::vector<tflite::padding> paddings;
    for (int rank = random.integer(1, 4), i = 0; i < rank; ++i) {
        shape.push_back(random.integer(1, 6));
        paddings.push_back({random.integer(0, 2), random.integer(0, 2)});
        amounts.insert(amounts.end(), {paddings.back().before, paddings.back().after});
        to.push_back(shape.back() + paddings.back().before + paddings.back().after);
    }
    const std::vector<std::int8_t> x = codes(random, product(shape));
    std::vector<std::int8_t> y(static_cast<std::size_t>(product(to)));
    const quantization q = some_quantization(random);
    const std::int8_t value = static_cast<std::int8_t>(with_value ? random.integer(-128, 127) : q.zero_point);
    must(tflite::pad({x.data(), shape}, paddings, value, {y.data(), to}));
    operation op(folder, with_value ? "PADV2" : "PAD");
    op.tensor(shape, x, {q.scale}, q.zero_point);
    op.tensor({static_cast<std::ptrdiff_t>(shape.size()), 2}, as_int32(amounts), {}, 0, true);
    if (with_value)
        op.tensor({1}, std::vector<std::int8_t> {value}, {q.scale}, q.zero_point, true);
    op.write(to, y, q);
}

void batched(const std::string& folder, test::random& random)
{
    const std::ptrdiff_t m = random.integer(1, 20), n = random.integer(1, 20), k = random.integer(1, 40);
    const tflite::batch_matmul_options how {random.integer(0, 1) != 0, random.integer(0, 1) != 0};
    dims a, b, y;
    for (int rank = random.integer(0, 2), i = 0; i < rank; ++i) {
        y.push_back(random.integer(1, 4));
        const std::int32_t which = random.integer(0, 3);
        a.push_back(which == 1 ? 1 : y.back());
        b.push_back(which == 2 ? 1 : y.back());
    }
    a.insert(a.end(), {how.adj_x ? k : m, how.adj_x ? m : k});
    b.insert(b.end(), {how.adj_y ? n : k, how.adj_y ? k : n});
    y.insert(y.end(), {m, n});
    const std::vector<std::int8_t> left = codes(random, product(a)), right = codes(random, product(b));
    std::vector<std::int8_t> found(static_cast<std::size_t>(product(y)));
    const quantization aq = some_quantization(random), bq = some_quantization(random),
                       yq {aq.scale * bq.scale * 100.0f * std::sqrt(static_cast<float>(k)), random.integer(-128, 127)};
    const auto multiplier = tflite::batch_matmul_multiplier(aq.scale, bq.scale, yq.scale);
    must(multiplier.error());
    requantization r;
    r.mode = requantize_mode::single_rounding;
    r.multiplier = span<const std::int32_t>(&multiplier->multiplier, 1);
    r.shift = span<const std::int32_t>(&multiplier->shift, 1);
    r.zero_point = yq.zero_point;
    std::vector<std::byte> workspace(tflite::batch_matmul_workspace(m, n, k));
    must(tflite::batch_matmul({left.data(), a}, aq.zero_point, {right.data(), b}, bq.zero_point, how, r, {found.data(), y}, workspace));
    operation op(folder, "BATCH_MATMUL");
    op.option("adj_x", how.adj_x).option("adj_y", how.adj_y);
    op.tensor(a, left, {aq.scale}, aq.zero_point).tensor(b, right, {bq.scale}, bq.zero_point).write(y, found, yq);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "nibble_tflite_cases FOLDER\n");
        return 2;
    }
    const std::string folder = argv[1];
    test::random random(1);
    using tflite::fused_activation;
    for (const bool per_channel : {false, true})
        for (const fused_activation f : {fused_activation::none, fused_activation::relu, fused_activation::relu6}) {
            for (const bool same : {false, true}) {
                weighted(folder, random, layer::conv, 1, 9, 16, 24, {}, same, per_channel, f);
                weighted(folder, random, layer::conv, 2, 9, 3, 17, {3, 3, 2, 2}, same, per_channel, f);
                weighted(folder, random, layer::conv, 1, 11, 5, 8, {3, 3, 1, 1, 2, 2}, same, per_channel, f);
                if (per_channel) {
                    weighted(folder, random, layer::depthwise, 1, 9, 35, 35, {3, 3, 1, 1}, same, per_channel, f);
                    weighted(folder, random, layer::depthwise, 2, 8, 8, 8, {5, 3, 2, 2}, same, per_channel, f);
                    weighted(folder, random, layer::depthwise, 1, 8, 4, 12, {3, 3, 1, 1}, same, per_channel, f);
                }
            }
            if (!per_channel)
                for (const std::ptrdiff_t rows : {1, 7})
                    weighted(folder, random, layer::fully_connected, 1, rows, 40, 19, {}, false, per_channel, f);
        }
    for (const bool per_channel : {false, true}) {
        weighted(folder, random, layer::transposed, 1, 5, 6, 9, {3, 3, 2, 2}, false, per_channel, fused_activation::none);
        weighted(folder, random, layer::transposed, 2, 4, 17, 20, {2, 4, 2, 3}, false, per_channel, fused_activation::none);
        weighted(folder, random, layer::transposed, 1, 6, 3, 5, {3, 3, 1, 1}, false, per_channel, fused_activation::none);
    }
    for (const bool per_channel : {false, true})
        for (const fused_activation f : {fused_activation::none, fused_activation::relu, fused_activation::relu6}) {
            weighted<std::int16_t>(folder, random, layer::conv, 1, 9, 16, 24, {}, false, per_channel, f);
            weighted<std::int16_t>(folder, random, layer::conv, 2, 9, 3, 17, {3, 3, 2, 2}, true, per_channel, f);
            weighted<std::int16_t>(folder, random, layer::depthwise, 1, 9, 35, 35, {3, 3, 1, 1}, true, true, f);
            weighted<std::int16_t>(folder, random, layer::depthwise, 1, 8, 4, 12, {3, 3, 2, 2}, false, true, fused_activation::none);
            weighted<std::int16_t>(folder, random, layer::fully_connected, 1, 7, 400, 19, {}, false, false, f);
            weighted<std::int16_t>(folder, random, layer::transposed, 1, 5, 6, 9, {3, 3, 2, 2}, false, true, fused_activation::none);
        }
    for (const bool average : {false, true})
        for (const bool same : {false, true}) {
            for (const tflite::window& at : {tflite::window {2, 2, 2, 2}, {3, 5, 1, 2}}) {
                pool<std::int8_t>(folder, random, average, at, same);
                pool<std::int16_t>(folder, random, average, at, same);
            }
        }
    for (int i = 0; i < 20; ++i) {
        for (const char* name : {"LOGISTIC", "TANH", "RELU", "RELU6"})
            table(folder, random, name);
        mean<std::int8_t>(folder, random);
        mean<std::int16_t>(folder, random);
        static const dims shapes[] = {{1, 5, 10, 20}, {1, 1, 1, 20}, {1, 1, 1, 1}, {1, 5, 1, 20}, {1, 1, 10, 1}};
        for (const bool sum : {true, false}) {
            elementwise<std::int8_t>(folder, random, sum, shapes[i % 5]);
            elementwise<std::int16_t>(folder, random, sum, shapes[i % 5]);
        }
        for (const char* name : {"SUB", "SQUARED_DIFFERENCE", "MAXIMUM", "MINIMUM", "PRELU"})
            pairs(folder, random, name, shapes[i % 5]);
    }
    for (int i = 0; i < 50; ++i) {
        for (const bool other : {false, true}) {
            activation_table(folder, random, other);
            normalized_rows(folder, random, other);
            padded(folder, random, other);
            for (const tflite::resize_options how : {tflite::resize_options {}, {true, false}, {false, true}})
                resized(folder, random, other, how);
        }
        for (const char* name : {"SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN"})
            reductions(folder, random, name);
        batched(folder, random);
    }
    for (const std::ptrdiff_t groups : {2, 4})
        for (const bool per_channel : {false, true}) {
            weighted(folder, random, layer::conv, 1, 9, 4, 8, {}, false, per_channel, fused_activation::none, groups);
            weighted(folder, random, layer::conv, 1, 9, 12, 8, {3, 3, 1, 1}, true, per_channel, fused_activation::relu, groups);
            weighted<std::int16_t>(folder, random, layer::conv, 1, 9, 4, 8, {}, false, per_channel, fused_activation::none, groups);
        }
    // Biases of int32 under sums of int16.
    for (const bool per_channel : {false, true})
        for (const fused_activation f : {fused_activation::none, fused_activation::relu, fused_activation::relu6}) {
            weighted<std::int16_t, std::int32_t>(folder, random, layer::conv, 1, 9, 16, 24, {}, false, per_channel, f);
            weighted<std::int16_t, std::int32_t>(folder, random, layer::conv, 2, 9, 3, 17, {3, 3, 2, 2}, true, per_channel, f);
        }
    for (int i = 0; i < 6; ++i)
        weighted<std::int16_t, std::int32_t>(
            folder, random, layer::transposed, 1, 5, 6, 9, {3, 3, 2, 2}, false, true, fused_activation::none);
    // Many scales, some of whose product is another number in double than in float; likewise quotients.
    for (int i = 0; i < 40; ++i)
        weighted<std::int16_t, std::int32_t>(
            folder, random, layer::fully_connected, 1, 60, 40, 50, {}, false, false, fused_activation::none);
    for (int i = 0; i < 100; ++i)
        for (const char* name : {"RELU", "RELU6"})
            table(folder, random, name);
    return 0;
}
