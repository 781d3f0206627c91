// nibble_tflite_cases FOLDER: writes operations of the int8 scheme as JSON, with their operands and what nibble computes. tflite.js makes a
// TFLite model of each, runs it and compares.
//   float requantization   what XNNPACK computes inside this TFLite: convolutions, fully connected layers, products, means, transposed
//                          convolutions with one scale
//   double rounding        what TFLite's own kernels compute: transposed convolutions with a scale a channel or of int16, sums, RELU, RELU6
//   single rounding        what ruy computes inside this TFLite: convolutions and fully connected layers of int16 with int32 biases
// QUANTIZE of int8 is left out: XNNPACK multiplies by x_scale / y_scale rounded to 8 fraction bits.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <nibble/nibble.hpp>

#include "../random.hpp"

using namespace nibble;
using tflite::quantization;

namespace {

using dims = std::vector<std::ptrdiff_t>;

template <class T>
std::string list(const std::vector<T>& values)
{
    std::string text = "[";
    for (std::size_t i = 0; i < values.size(); ++i) {
        char number[40];
        std::snprintf(number, sizeof number, "%.9g", static_cast<double>(values[i]));
        text += (i == 0 ? "" : ",") + std::string(number);
    }
    return text + "]";
}

class operation {
public:
    operation(std::string folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}

    /// Operands in the operator's order; `constant` ones are in the model, the others are fed.
    template <class T>
    operation& tensor(const dims& shape, const std::vector<T>& codes, const std::vector<float>& scales, std::int32_t zero_point = 0,
        bool constant = false, int axis = 0)
    {
        const char* type = sizeof(T) == 1 ? "int8" : sizeof(T) == 2 ? "int16" : sizeof(T) == 4 ? "int32" : "int64";
        tensors_ += std::string(tensors_.empty() ? "" : ",\n ") + "{\"shape\":" + list(shape) + ",\"type\":\"" + type
                    + "\",\"scale\":" + list(scales) + ",\"zero_point\":" + std::to_string(zero_point) + ",\"axis\":" + std::to_string(axis)
                    + ",\"constant\":" + (constant ? "true" : "false") + ",\"codes\":" + list(codes) + "}";
        return *this;
    }
    operation& option(const std::string& name, double value)
    {
        options_ += std::string(options_.empty() ? "" : ",") + "\"" + name + "\":" + std::to_string(value);
        return *this;
    }
    /// The output with what nibble computed.
    template <class X>
    void write(const dims& shape, const std::vector<X>& codes, quantization q)
    {
        tensor(shape, codes, {q.scale}, q.zero_point);
        const std::string path = folder_ + "/" + std::to_string(1000 + count_++) + ".json";
        std::ofstream file(path);
        file << "{\"operator\":\"" << name_ << "\",\"options\":{" << options_ << "},\"tensors\":[\n " << tensors_ << "]}\n";
        if (!file.flush()) {
            std::fprintf(stderr, "cannot write %s\n", path.c_str());
            std::exit(2);
        }
    }

private:
    static inline int count_ = 0;
    std::string folder_, name_, tensors_, options_;
};

void must(status s)
{
    if (s != status::ok) {
        std::fprintf(stderr, "refused: %s\n", to_string(s));
        std::exit(1);
    }
}

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
