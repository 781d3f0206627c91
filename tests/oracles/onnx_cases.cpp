// nibble_onnx_cases FOLDER: writes ONNX models of one operator each, their inputs inside, and beside each the bytes that nibble computes.
// onnxruntime.js runs the models and compares. Where onnxruntime does something of its own, the data keep away from it:
//   NaN                    QuantizeLinear of NaN is left open by the specification
//   huge numbers           along an axis, in blocks, for the last of an odd number of 4-bit codes and for 2-bit codes, onnxruntime
//                          converts quotients beyond int32 to the wrong end of the range, where the specification saturates; elsewhere
//                          it saturates, too
//   8-bit floats           without saturation it takes quotients of E4M3FN in [480, 496) to 448, not NaN, and those of E5M2 from 61440
//                          to 65535 to NaN, not infinity
//   2-bit codes            it quantizes some elements along an axis and in blocks with other elements' scales and zero points
//   float4                 it has no QuantizeLinear and DequantizeLinear of it on CPUs: tests/kernels/onnx_operators.cpp has the
//                          specification's values
//   weights' zero points   of a convolution are all the same, which onnxruntime demands
//   int8 weights           of 7 bits, of products and convolutions: on CPUs without VNNI onnxruntime's sums of uint8 x int8 pairs saturate
//   MatMulNBits            sums of integers and powers of two, exact in every order, which the specification leaves open
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <nibble/nibble.hpp>
#include <nibble/reference/reference.hpp>

#include "../random.hpp"

using namespace nibble;

namespace {

// The little of protocol buffers that a model needs.
class message {
public:
    message& number(int field, std::uint64_t value)
    {
        varint(static_cast<std::uint64_t>(field) << 3);
        varint(value);
        return *this;
    }
    message& text(int field, const std::string& value)
    {
        varint(static_cast<std::uint64_t>(field) << 3 | 2);
        varint(value.size());
        bytes += value;
        return *this;
    }
    std::string bytes;

private:
    void varint(std::uint64_t value)
    {
        for (; value > 127; value >>= 7)
            bytes += static_cast<char>((value & 127) | 128);
        bytes += static_cast<char>(value);
    }
};

// ONNX TensorProto.DataType
template <class T>
constexpr int type_number = std::is_same_v<T, float>             ? 1
                            : std::is_same_v<T, std::uint8_t>    ? 2
                            : std::is_same_v<T, std::int8_t>     ? 3
                            : std::is_same_v<T, std::uint16_t>   ? 4
                            : std::is_same_v<T, std::int16_t>    ? 5
                            : std::is_same_v<T, std::int32_t>    ? 6
                            : std::is_same_v<T, float8_e4m3>     ? 17
                            : std::is_same_v<T, float8_e4m3fnuz> ? 18
                            : std::is_same_v<T, float8_e5m2>     ? 19
                            : std::is_same_v<T, float8_e5m2fnuz> ? 20
                            : std::is_same_v<T, uint4x2>         ? 21
                            : std::is_same_v<T, int4x2>          ? 22
                            : std::is_same_v<T, uint2x4>         ? 25
                                                                 : 26; // int2x4

// What a Cast makes of outputs that onnxruntime's binding for JavaScript has no type for.
constexpr int visible_type(int type) { return type == 22 || type == 26 ? 3 : type == 21 || type == 25 ? 2 : type >= 17 ? 1 : type; }

template <class T>
constexpr bool is_float8 = type_number<T> >= 17 && type_number<T> <= 20;

using dims = std::vector<std::ptrdiff_t>;

template <class T>
std::string raw(const std::vector<T>& x)
{
    return std::string(reinterpret_cast<const char*>(x.data()), x.size() * sizeof(T));
}

class model {
public:
    template <class T>
    model& input(const std::string& name, const dims& shape, const std::vector<T>& x)
    {
        message tensor;
        for (const std::ptrdiff_t d : shape)
            tensor.number(1, static_cast<std::uint64_t>(d));
        tensor.number(2, type_number<T>).text(8, name).text(9, raw(x));
        version_ = type_number<T> >= 25 ? 25 : version_;
        graph_.text(5, tensor.bytes);
        inputs_.push_back(name);
        return *this;
    }
    model& attribute(const std::string& name, std::int64_t value)
    {
        attributes_.push_back(message().text(1, name).number(3, static_cast<std::uint64_t>(value)).number(20, 2).bytes);
        return *this;
    }
    model& attribute(const std::string& name, const std::vector<std::ptrdiff_t>& values)
    {
        message a = message().text(1, name).number(20, 7);
        for (const std::ptrdiff_t v : values)
            a.number(8, static_cast<std::uint64_t>(v));
        attributes_.push_back(a.bytes);
        return *this;
    }
    /// What nibble computed. Codes of 4 and 2 bits come back through a Cast, one in a byte, 8-bit floats as floats.
    template <class T>
    model& output(const std::string& name, const std::vector<T>& x, std::ptrdiff_t codes = 0)
    {
        outputs_.push_back({name, type_number<T>});
        if constexpr (type_number<T> >= 21) {
            std::string one_each;
            for (std::ptrdiff_t i = 0; i < codes; ++i)
                one_each += static_cast<char>(load_code(x.data(), i));
            expected_[name] = one_each;
        } else if constexpr (is_float8<T>) {
            std::vector<float> numbers;
            for (const T code : x)
                numbers.push_back(to_float(code));
            expected_[name] = raw(numbers);
        } else {
            expected_[name] = raw(x);
        }
        return *this;
    }
    void write(const std::string& folder, const std::string& op, const std::string& domain = "") const
    {
        static std::map<std::string, int> count;
        const std::string name = folder + "/" + op + "-" + std::to_string(count[op]++);
        message node, graph = graph_;
        for (const std::string& i : inputs_)
            node.text(1, i);
        for (const auto& [output, type] : outputs_)
            node.text(2, visible_type(type) != type ? output + "_packed" : output);
        node.text(4, op);
        for (const std::string& a : attributes_)
            node.text(5, a);
        node.text(7, domain);
        graph.text(1, node.bytes).text(2, "g");
        for (const auto& [output, type] : outputs_) {
            const std::uint64_t visible = static_cast<std::uint64_t>(visible_type(type));
            if (visible_type(type) != type) {
                const message to = message().text(1, "to").number(3, visible).number(20, 2);
                graph.text(1, message().text(1, output + "_packed").text(2, output).text(4, "Cast").text(5, to.bytes).bytes);
            }
            const message tensor_type = message().number(1, visible);
            graph.text(12, message().text(1, output).text(2, message().text(1, tensor_type.bytes).bytes).bytes);
        }
        message m;
        m.number(1, version_ == 21 ? 10 : 11).text(7, graph.bytes).text(8, message().text(1, "").number(2, version_).bytes);
        m.text(8, message().text(1, "com.microsoft").number(2, 1).bytes);
        save(name + ".onnx", m.bytes);
        for (const auto& [output, bytes] : expected_)
            save(name + "." + output, bytes);
    }

private:
    static void save(const std::string& path, const std::string& bytes)
    {
        std::ofstream file(path, std::ios::binary);
        if (!file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush()) {
            std::fprintf(stderr, "cannot write %s\n", path.c_str());
            std::exit(2);
        }
    }
    message graph_;
    std::uint64_t version_ = 21; // of the operators; codes of 2 bits came with 25
    std::vector<std::string> inputs_, attributes_;
    std::vector<std::pair<std::string, int>> outputs_;
    std::map<std::string, std::string> expected_;
};

void must(status s)
{
    if (s != status::ok) {
        std::fprintf(stderr, "refused: %s\n", to_string(s));
        std::exit(1);
    }
}

template <class T, class Next>
std::vector<T> filled(std::ptrdiff_t count, Next next)
{
    std::vector<T> x(static_cast<std::size_t>(count));
    for (T& e : x)
        e = next();
    return x;
}

std::ptrdiff_t product(const dims& shape)
{
    std::ptrdiff_t n = 1;
    for (const std::ptrdiff_t d : shape)
        n *= d;
    return n;
}

// Mostly multiples of half the scale, which are ties; zeros, subnormals; if `huge`, the largest numbers and infinities.
float hard_real(test::random& random, bool huge)
{
    static constexpr float special[] = {0.0f, -0.0f, 1e-45f, -1e-40f, 3.4e38f, -3.4e38f, HUGE_VALF, -HUGE_VALF};
    switch (random.integer(0, 9)) {
    case 0: return special[random.integer(0, huge ? 7 : 3)];
    case 1: return random.real() * 1000.0f;
    case 2:
    case 3:
    case 4: return static_cast<float>(random.integer(-600, 600)) * 0.0625f;
    default: return random.real() * 5.0f;
    }
}

template <class Q>
std::vector<Q> packed(const std::vector<std::int32_t>& codes)
{
    std::vector<Q> q(static_cast<std::size_t>(elements_for<Q>(static_cast<std::ptrdiff_t>(codes.size()))));
    for (std::size_t i = 0; i < codes.size(); ++i)
        store_code(q.data(), static_cast<std::ptrdiff_t>(i), codes[i]);
    return q;
}

template <class Q>
constexpr bool has_2_bits = std::is_same_v<Q, int2x4> || std::is_same_v<Q, uint2x4>;

// Quotients that onnxruntime does not take to infinity or NaN.
template <class Q>
constexpr float unsure[2] = {HUGE_VALF, HUGE_VALF};
template <>
constexpr float unsure<float8_e4m3>[2] = {480.0f, 496.0f};
template <>
constexpr float unsure<float8_e5m2>[2] = {61440.0f, 65536.0f};

// One scale, one for each index of an axis, or blocks along it.
template <class Q>
void linear(const std::string& folder, test::random& random, const dims& shape, std::ptrdiff_t axis, std::ptrdiff_t block)
{
    dims scale_shape;
    if (block > 0) {
        scale_shape = shape;
        std::ptrdiff_t& along = scale_shape[static_cast<std::size_t>(axis)];
        along = (along + block - 1) / block;
    } else if (axis >= 0) {
        scale_shape = {shape[static_cast<std::size_t>(axis)]};
    }
    const std::ptrdiff_t count = product(shape), scales = product(scale_shape), given_axis = axis < 0 ? 1 : axis;
    const std::vector<float> scale
        = filled<float>(scales, [&] { return random.integer(0, 1) ? 0.125f : 0.01f + std::fabs(random.real()) * 0.1f; });
    std::vector<float> x(static_cast<std::size_t>(count)), back(x.size());
    model m, d;
    if constexpr (is_float8<Q>) {
        const bool saturate = random.integer(0, 1) != 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            x[i] = hard_real(random, true);
            const float quotient
                = std::fabs(x[i])
                  / scale[reference::detail::linear_parameter(static_cast<std::ptrdiff_t>(i), shape, given_axis, block, scale.size())];
            if (!saturate && quotient >= unsure<Q>[0] && quotient < unsure<Q>[1])
                x[i] = 0.0f;
        }
        const std::vector<Q> zero(static_cast<std::size_t>(scales)), codes = filled<Q>(count, [&] {
            Q code;
            code.bits = static_cast<std::uint8_t>(random.bits());
            return code;
        });
        std::vector<Q> q(x.size());
        must(onnx::quantize_linear<Q>(
            x, shape, scale, {}, q, given_axis, block, serial_executor {}, saturate ? overflow::saturate : overflow::to_infinity_or_nan));
        must(onnx::dequantize_linear<Q>(codes, shape, scale, {}, back, given_axis, block));
        m.input("x", shape, x)
            .input("s", scale_shape, scale)
            .input("z", scale_shape, zero)
            .output("y", q, count)
            .attribute("saturate", saturate);
        d.input("x", shape, codes).input("s", scale_shape, scale).input("z", scale_shape, zero).output("y", back);
    } else {
        const bool huge = axis < 0 && count % code_traits<Q>::per_element == 0 && !has_2_bits<Q>;
        for (float& number : x)
            number = hard_real(random, huge);
        const auto code = [&] { return random.integer(code_traits<Q>::qmin, code_traits<Q>::qmax); };
        const std::vector<std::int32_t> zero = filled<std::int32_t>(scales, code);
        std::vector<Q> q(static_cast<std::size_t>(elements_for<Q>(count)));
        must(onnx::quantize_linear<Q>(x, shape, scale, zero, q, given_axis, block));
        const std::vector<Q> codes = packed<Q>(filled<std::int32_t>(count, code));
        must(onnx::dequantize_linear<Q>(codes, shape, scale, zero, back, given_axis, block));
        m.input("x", shape, x).input("s", scale_shape, scale).input("z", scale_shape, packed<Q>(zero)).output("y", q, count);
        d.input("x", shape, codes).input("s", scale_shape, scale).input("z", scale_shape, packed<Q>(zero)).output("y", back);
    }
    if (axis < 0 || !has_2_bits<Q>)
        m.attribute("axis", given_axis).attribute("block_size", block).write(folder, "QuantizeLinear");
    d.attribute("axis", given_axis).attribute("block_size", block).write(folder, "DequantizeLinear");
}

template <class Q>
void all_linear(const std::string& folder, test::random& random)
{
    for (const dims& shape : {dims {3000}, dims {3, 5, 7}, dims {4, 64}, dims {2, 6, 8}}) {
        linear<Q>(folder, random, shape, -1, 0);
        for (std::size_t axis = 0; axis < shape.size() && shape.size() > 1; ++axis) {
            linear<Q>(folder, random, shape, static_cast<std::ptrdiff_t>(axis), 0);
            for (const std::ptrdiff_t block : {2, 16})
                if (shape[axis] >= block)
                    linear<Q>(folder, random, shape, static_cast<std::ptrdiff_t>(axis), block);
        }
    }
}

void dynamic(const std::string& folder, const std::vector<float>& x)
{
    std::vector<std::uint8_t> y(x.size()), zero(1);
    std::vector<float> scale(1);
    must(onnx::dynamic_quantize_linear(x, y, scale[0], zero[0]));
    model m;
    m.input("x", {static_cast<std::ptrdiff_t>(x.size())}, x).output("y", y).output("s", scale).output("z", zero);
    m.write(folder, "DynamicQuantizeLinear");
}

// Tensors whose shapes end with m, k and k, n.
template <class A, class B>
void matmul(const std::string& folder, test::random& random, const dims& a_shape, const dims& b_shape, const dims& batch, bool per_column)
{
    const auto code
        = [&](auto type, std::int32_t low, std::int32_t high) { return static_cast<decltype(type)>(random.integer(low, high)); };
    const bool seven_bits = std::is_same_v<B, std::int8_t>;
    const std::int32_t low = seven_bits ? -64 : 0, high = seven_bits ? 63 : 255;
    const std::vector<A> a = filled<A>(product(a_shape), [&] { return code(A {}, code_traits<A>::qmin, code_traits<A>::qmax); });
    const std::vector<B> b = filled<B>(product(b_shape), [&] { return code(B {}, low, high); });
    // One a column of each matrix of b.
    dims column_shape;
    if (per_column) {
        column_shape = b_shape;
        column_shape[b_shape.size() - 2] = 1;
        if (b_shape.size() == 2)
            column_shape = {b_shape[1]};
    }
    const std::ptrdiff_t columns = product(column_shape);
    const std::vector<A> a_zero {code(A {}, code_traits<A>::qmin, code_traits<A>::qmax)};
    const std::vector<B> b_zero = filled<B>(columns, [&] { return code(B {}, low, high); });
    const std::vector<std::int32_t> a_zero_32(a_zero.begin(), a_zero.end()), b_zero_32(b_zero.begin(), b_zero.end());
    const std::size_t size = static_cast<std::size_t>(product(batch) * a_shape[a_shape.size() - 2] * b_shape.back());

    std::vector<std::int32_t> sums(size);
    must(onnx::matmul_integer<A, B>(a, a_shape, a_zero_32, b, b_shape, b_zero_32, sums));
    model integer;
    integer.input("a", a_shape, a).input("b", b_shape, b).input("az", {}, a_zero).input("bz", column_shape, b_zero).output("y", sums);
    integer.write(folder, "MatMulInteger");

    // A power of two makes ties of the requantized sums.
    const std::vector<float> a_scale {0.03125f}, y_scale {random.integer(0, 1) ? 4.0f : 3.7f};
    const std::vector<float> b_scale = filled<float>(columns, [&] { return random.integer(0, 1) ? 0.0625f : 0.05f; });
    const std::vector<A> y_zero {code(A {}, code_traits<A>::qmin, code_traits<A>::qmax)};
    std::vector<A> y(size);
    must(onnx::qlinear_matmul<A, B, A>(
        a, a_shape, a_scale[0], a_zero_32[0], b, b_shape, b_scale, b_zero_32, y_scale[0], std::int32_t {y_zero[0]}, y));
    model linear;
    linear.input("a", a_shape, a)
        .input("as", {}, a_scale)
        .input("az", {}, a_zero)
        .input("b", b_shape, b)
        .input("bs", column_shape, b_scale);
    linear.input("bz", column_shape, b_zero).input("ys", {}, y_scale).input("yz", {}, y_zero).output("y", y).write(folder, "QLinearMatMul");
}

// in == out == groups is a depthwise convolution. zero_points: of the weights; onnxruntime wants them all the same.
template <class X, class W>
void convolution(const std::string& folder, test::random& random, std::ptrdiff_t batch, std::ptrdiff_t size, std::ptrdiff_t in,
    std::ptrdiff_t out, std::ptrdiff_t groups, const tflite::window& at, bool per_channel, bool zero_points = false)
{
    const std::ptrdiff_t height = size, width = size + 1, out_height = output_height(at, height), out_width = output_width(at, width);
    const auto code
        = [&](auto type, std::int32_t low, std::int32_t high) { return static_cast<decltype(type)>(random.integer(low, high)); };
    const auto any = [&] { return code(X {}, code_traits<X>::qmin, code_traits<X>::qmax); };
    const bool seven_bits = std::is_same_v<W, std::int8_t>;
    const auto weight = [&] { return code(W {}, seven_bits ? -64 : 0, seven_bits ? 63 : 255); };
    const dims x_shape {batch, in, height, width}, w_shape {out, in / groups, at.kernel_height, at.kernel_width},
        channels = per_channel ? dims {out} : dims {};
    const std::vector<X> x = filled<X>(product(x_shape), any), x_zero {any()}, y_zero {any()};
    const std::vector<W> w = filled<W>(product(w_shape), weight);
    const W one_zero = zero_points ? weight() : static_cast<W>(seven_bits ? 0 : 128);
    const std::vector<std::int32_t> bias = filled<std::int32_t>(out, [&] { return random.integer(-2000, 2000); });
    const std::vector<float> x_scale {0.03125f}, y_scale {random.integer(0, 1) ? 2.0f : 1.9f};
    const std::vector<float> w_scale = filled<float>(product(channels), [&] { return random.integer(0, 1) ? 0.0625f : 0.05f; });
    const std::vector<W> w_zero(w_scale.size(), one_zero);
    const std::vector<std::int32_t> w_zero_32(w_zero.begin(), w_zero.end());
    const std::ptrdiff_t outputs = batch * out * out_height * out_width;
    std::vector<X> y(static_cast<std::size_t>(outputs));
    const onnx::nchw_view<const X> from(x.data(), batch, in, height, width);
    const onnx::nchw_view<const W> weights(w.data(), out, in / groups, at.kernel_height, at.kernel_width);
    must(onnx::qlinear_conv(from, x_scale[0], std::int32_t {x_zero[0]}, weights, span<const float>(w_scale),
        span<const std::int32_t>(w_zero_32), y_scale[0], std::int32_t {y_zero[0]}, span<const std::int32_t>(bias), at, groups,
        onnx::nchw_view<X>(y.data(), batch, out, out_height, out_width)));
    const auto attributes = [&](model& m) {
        m.attribute("strides", {at.stride_height, at.stride_width}).attribute("dilations", {at.dilation_height, at.dilation_width});
        m.attribute("pads", {at.pad_top, at.pad_left, at.pad_bottom, at.pad_right}).attribute("group", groups);
    };
    model m;
    m.input("x", x_shape, x).input("xs", {}, x_scale).input("xz", {}, x_zero).input("w", w_shape, w).input("ws", channels, w_scale);
    m.input("wz", channels, w_zero).input("ys", {}, y_scale).input("yz", {}, y_zero).input("b", {out}, bias);
    attributes(m);
    m.output("y", y).write(folder, "QLinearConv");

    std::vector<std::int32_t> sums(y.size());
    const std::vector<std::int32_t> zero {std::int32_t {one_zero}};
    must(onnx::conv_integer(from, weights, std::int32_t {x_zero[0]}, span<const std::int32_t>(zero), at, groups,
        onnx::nchw_view<std::int32_t>(sums.data(), batch, out, out_height, out_width)));
    model i;
    i.input("x", x_shape, x).input("w", w_shape, w).input("xz", {}, x_zero).input("wz", {}, std::vector<W> {one_zero});
    attributes(i);
    i.output("y", sums).write(folder, "ConvInteger");
}

template <class X, class W>
void all_convolutions(const std::string& folder, test::random& random)
{
    for (const bool per_channel : {false, true})
        for (const bool zero_points : {false, true}) {
            const auto run = [&](std::ptrdiff_t batch, std::ptrdiff_t size, std::ptrdiff_t in, std::ptrdiff_t out, std::ptrdiff_t groups,
                                 const tflite::window& at) {
                convolution<X, W>(folder, random, batch, size, in, out, groups, at, per_channel, zero_points);
            };
            run(2, 7, 16, 24, 1, {});
            run(1, 6, 12, 8, 4, {});
            run(1, 6, 4, 4, 4, {});
            run(1, 9, 3, 17, 1, {3, 3, 2, 2, 1, 1, 0, 1, 1, 0});
            run(2, 8, 20, 33, 1, {3, 2, 1, 1, 1, 2, 1, 1, 1, 1});
            run(1, 8, 12, 8, 2, {3, 3, 1, 1, 2, 2, 2, 2, 2, 2});
            run(1, 12, 40, 64, 1, {5, 5, 1, 1, 1, 1, 2, 2, 2, 2});
            run(2, 9, 67, 67, 67, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1});
            run(1, 7, 6, 18, 6, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1});
            run(1, 10, 16, 16, 16, {5, 3, 2, 1, 1, 2, 0, 2, 3, 1});
        }
}

// The product of small integers with the weights that nibble reads out of the operator's own layout.
template <class Q>
void matmul_nbits(
    const std::string& folder, test::random& random, std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t block, bool zero_points)
{
    constexpr std::ptrdiff_t m = 3;
    const auto sizes = onnx::matmul_nbits_sizes<Q>(n, k, block);
    must(sizes.error());
    const auto byte = [&] { return static_cast<std::uint8_t>(random.bits()); };
    const std::vector<std::uint8_t> b = filled<std::uint8_t>(n * sizes->row_bytes, byte);
    const std::vector<std::uint8_t> packed_zeros = filled<std::uint8_t>(zero_points ? n * sizes->zero_point_row_bytes : 0, byte);
    const std::vector<float> scales = filled<float>(n * sizes->blocks, [&] { return std::ldexp(1.0f, random.integer(-3, 1)); });
    const std::vector<float> a = filled<float>(m * k, [&] { return static_cast<float>(random.integer(-8, 8)); });
    std::vector<Q> codes(static_cast<std::size_t>(n * elements_for<Q>(k)));
    std::vector<std::int32_t> zeros(static_cast<std::size_t>(n * sizes->blocks));
    must(onnx::from_matmul_nbits<Q>(b, packed_zeros, k, block, matrix_view<Q>(codes.data(), n, elements_for<Q>(k)), zeros));
    std::vector<float> w(static_cast<std::size_t>(n * k)), y(static_cast<std::size_t>(m * n));
    must(dequantize(matrix_view<const Q>(codes.data(), n, elements_for<Q>(k)), {granularity::per_group, block, scales, zeros},
        matrix_view<float>(w.data(), n, k)));
    reference::gemm<float, float>({a.data(), m, k}, {w.data(), n, k}, {}, {y.data(), m, n});
    model nbits;
    nbits.input("a", {m, k}, a).input("b", {n, sizes->blocks, sizes->row_bytes / sizes->blocks}, b).input("s", {n * sizes->blocks}, scales);
    if (zero_points)
        nbits.input("z", {n * sizes->zero_point_row_bytes}, packed_zeros);
    nbits.attribute("K", k).attribute("N", n).attribute("bits", 8 / code_traits<Q>::per_element).attribute("block_size", block);
    nbits.output("y", y).write(folder, "MatMulNBits", "com.microsoft");
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "nibble_onnx_cases FOLDER\n");
        return 2;
    }
    const std::string folder = argv[1];
    test::random random(1);
    all_linear<std::int8_t>(folder, random);
    all_linear<std::uint8_t>(folder, random);
    all_linear<int4x2>(folder, random);
    all_linear<uint4x2>(folder, random);
    all_linear<int2x4>(folder, random);
    all_linear<uint2x4>(folder, random);
    all_linear<std::int16_t>(folder, random);
    all_linear<std::uint16_t>(folder, random);
    all_linear<float8_e4m3>(folder, random);
    all_linear<float8_e5m2>(folder, random);
    all_linear<float8_e4m3fnuz>(folder, random);
    all_linear<float8_e5m2fnuz>(folder, random);

    dynamic(folder, {0, 0, 0});
    dynamic(folder, {1, 2, 3});
    dynamic(folder, {-1, -2, -3});
    dynamic(folder, {-1, 0, 1, 0.5f, -0.5f});
    for (int i = 0; i < 40; ++i) {
        const float offset = random.real() * 3.0f;
        dynamic(folder, filled<float>(1 + random.integer(0, 300), [&] { return random.real() + offset; }));
    }

    for (const bool per_column : {false, true}) {
        const auto run = [&](const dims& a, const dims& b, const dims& batch) {
            matmul<std::uint8_t, std::uint8_t>(folder, random, a, b, batch, per_column);
            matmul<std::uint8_t, std::int8_t>(folder, random, a, b, batch, per_column);
            matmul<std::int8_t, std::int8_t>(folder, random, a, b, batch, per_column);
        };
        for (const std::ptrdiff_t n : {1, 5, 33, 64})
            for (const std::ptrdiff_t k : {1, 7, 96, 301})
                run({5, k}, {k, n}, {});
        run({3, 5, 17}, {17, 20}, {3});
        run({5, 17}, {3, 17, 20}, {3});
        run({3, 5, 17}, {3, 17, 20}, {3});
        run({2, 3, 5, 9}, {3, 9, 4}, {2, 3});
        run({2, 1, 5, 9}, {1, 3, 9, 4}, {2, 3});
        run({1, 3, 2, 9}, {2, 3, 9, 33}, {2, 3});
    }

    all_convolutions<std::uint8_t, std::int8_t>(folder, random);
    all_convolutions<std::uint8_t, std::uint8_t>(folder, random);
    all_convolutions<std::int8_t, std::int8_t>(folder, random);

    for (const bool zero_points : {false, true})
        for (const std::ptrdiff_t block : {16, 32, 128})
            for (const std::ptrdiff_t n : {1, 16, 35}) {
                matmul_nbits<uint4x2>(folder, random, n, 2 * block, block, zero_points);
                matmul_nbits<uint4x2>(folder, random, n, 2 * block + 8, block, zero_points);
                matmul_nbits<std::uint8_t>(folder, random, n, 3 * block, block, zero_points);
            }
}
