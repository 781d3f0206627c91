// nibble_tflite_int16_cases FOLDER: as nibble_tflite_cases, operators of int16 tensors and conversions between integer types, all in the
// integers of TFLite's reference kernels; and int8 RELU and RELU6 where the precision of their multiplier shows. Left out:
//   LOGISTIC, TANH   of scale 2^-12, and 2^-11 for TANH: this interpreter computes those with gemmlowp's fixed point
//   QUANTIZE         of int8 and uint8 to themselves and to each other: XNNPACK computes these; tflite_cases.cpp says how. This interpreter
//                    has none from these to int16; where a product leaves int32, it wraps and nibble saturates
//   int4 weights     this interpreter has none
#include <cmath>
#include <limits>

#include "tflite_operation.hpp"

namespace {

template <class X>
std::vector<X> codes(test::random& random, std::ptrdiff_t count)
{
    constexpr std::int64_t low = std::numeric_limits<X>::min(), high = std::numeric_limits<X>::max();
    std::vector<X> q(static_cast<std::size_t>(count));
    for (X& c : q)
        c = static_cast<X>(random.integer(0, 20) == 0
                               ? (random.integer(0, 1) ? low : high)
                               : low + static_cast<std::int64_t>(random.bits() % static_cast<std::uint64_t>(high - low + 1)));
    return q;
}

std::vector<std::int16_t> every_code()
{
    std::vector<std::int16_t> q;
    for (int code = -32768; code < 32768; ++code)
        q.push_back(static_cast<std::int16_t>(code));
    return q;
}

float some_scale(test::random& random, int low, int high)
{
    return std::ldexp(1.0f + std::fabs(random.real()) / 3.001f, random.integer(low, high));
}

const dims line {1, 65536};

void sigmoids(const std::string& folder, float scale)
{
    const std::vector<std::int16_t> x = every_code();
    std::vector<std::int16_t> y(x.size());
    constexpr quantization to {1.0f / 32768.0f, 0};
    must(tflite::logistic(x, scale, y));
    operation(folder, "LOGISTIC").tensor(line, x, {scale}).write(line, y, to);
    must(tflite::tanh(x, scale, y));
    operation(folder, "TANH").tensor(line, x, {scale}).write(line, y, to);
}

void rectifiers(const std::string& folder, test::random& random, float alpha)
{
    const std::vector<std::int16_t> x = every_code();
    std::vector<std::int16_t> y(x.size());
    const float x_scale = some_scale(random, -16, -9), y_scale = alpha == -0.5f ? x_scale : some_scale(random, -16, -9);
    must(tflite::leaky_relu(x, x_scale, alpha, y, y_scale));
    operation(folder, "LEAKY_RELU").option("alpha", static_cast<double>(alpha)).tensor(line, x, {x_scale}).write(line, y, {y_scale, 0});
    must(tflite::relu(x, x_scale, tflite::fused_activation::relu, y, y_scale));
    operation(folder, "RELU").tensor(line, x, {x_scale}).write(line, y, {y_scale, 0});
    must(tflite::relu(x, x_scale, tflite::fused_activation::relu6, y, y_scale));
    operation(folder, "RELU6").tensor(line, x, {x_scale}).write(line, y, {y_scale, 0});
}

// int8 tables for which a ratio of scales in double gives other codes than one in float.
void telling_rectifier(const std::string& folder, test::random& random, bool six)
{
    const tflite::fused_activation f = six ? tflite::fused_activation::relu6 : tflite::fused_activation::relu;
    std::vector<std::int8_t> x, y(256);
    for (int code = -128; code < 128; ++code)
        x.push_back(static_cast<std::int8_t>(code));
    for (;;) {
        const quantization from {some_scale(random, -6, -4), random.integer(-128, 127)},
            to {some_scale(random, -6, -4), random.integer(-128, 127)};
        const auto table = tflite::requantize_table(from, to, f);
        const auto bounds = tflite::bounds_of(f, to);
        must(table.error());
        must(bounds.error());
        must(tflite::look_up(x, *table, y));
        std::vector<std::int8_t> in_double(256);
        must(tflite::requantize<std::int8_t, std::int8_t>(x, from, in_double, to));
        for (std::int8_t& c : in_double)
            c = static_cast<std::int8_t>(c < bounds->qmin ? bounds->qmin : c > bounds->qmax ? bounds->qmax : c);
        if (in_double != y) {
            const dims shape {1, 256};
            operation(folder, six ? "RELU6" : "RELU").tensor(shape, x, {from.scale}, from.zero_point).write(shape, y, to);
            return;
        }
    }
}

void softmax(const std::string& folder, test::random& random, std::ptrdiff_t rows, std::ptrdiff_t cols)
{
    std::vector<std::int16_t> x = codes<std::int16_t>(random, rows * cols);
    const std::int16_t part = static_cast<std::int16_t>(random.integer(1, 64));
    for (std::int16_t& c : x)
        c = static_cast<std::int16_t>(c / part);
    std::vector<std::int16_t> y(x.size());
    const float scale = some_scale(random, -16, -8), beta = random.integer(0, 1) ? 1.0f : std::fabs(random.real()) + 0.01f;
    const auto s = tflite::softmax_params<std::int16_t>(scale, beta);
    must(s.error());
    must(tflite::softmax({x.data(), rows, cols}, *s, {y.data(), rows, cols}));
    operation op(folder, "SOFTMAX");
    op.option("beta", static_cast<double>(beta)).tensor({rows, cols}, x, {scale}).write({rows, cols}, y, {1.0f / 32768.0f, 0});
}

template <class X, class Y>
void requantize(const std::string& folder, test::random& random, bool zero_points)
{
    // A sixteenth of int32's range: neither differences nor products leave int32.
    constexpr std::int32_t x_part = sizeof(X) == 4 ? 16 : 1, y_part = sizeof(Y) == 4 ? 16 : 1;
    std::vector<X> x = codes<X>(random, 20000);
    for (X& c : x)
        c = static_cast<X>(c / x_part);
    const int wider = 8 * (static_cast<int>(sizeof(Y)) - static_cast<int>(sizeof(X)));
    const quantization from {some_scale(random, -10, -4), zero_points ? codes<X>(random, 1)[0] / x_part : 0},
        to {from.scale * some_scale(random, 2, 6) * std::ldexp(1.0f, -wider), zero_points ? codes<Y>(random, 1)[0] / y_part : 0};
    std::vector<Y> y(x.size());
    must(tflite::requantize<X, Y>(x, from, y, to));
    const dims shape {1, static_cast<std::ptrdiff_t>(x.size())};
    operation(folder, "QUANTIZE").tensor(shape, x, {from.scale}, from.zero_point).write(shape, y, to);
}

void floats(const std::string& folder, test::random& random)
{
    const float scale = some_scale(random, -16, -4);
    std::vector<float> x, back(65536);
    // No quotient is near a half: the reference kernel divides in float, this interpreter in double.
    for (int i = 0; i < 65536; ++i)
        x.push_back(scale * (static_cast<float>(i - 33000) + static_cast<float>(random.integer(-45, 45)) * 0.01f));
    std::vector<std::int16_t> q(x.size());
    must(tflite::quantize(x, scale, q));
    operation(folder, "QUANTIZE").tensor(line, x, {}).write(line, q, {scale, 0});
    q = every_code();
    must(tflite::dequantize(q, scale, back));
    operation(folder, "DEQUANTIZE").tensor(line, q, {scale}).write(line, back, {});
}

void concatenate(const std::string& folder, test::random& random)
{
    const float scale = some_scale(random, -16, -9);
    operation op(folder, "CONCATENATION");
    std::vector<std::vector<std::int16_t>> data;
    std::vector<tflite::concatenation_input_16> inputs;
    std::ptrdiff_t cols = 0;
    for (int i = random.integer(2, 4); i > 0; --i) {
        const std::ptrdiff_t width = random.integer(1, 9);
        data.push_back(codes<std::int16_t>(random, 6 * width));
        inputs.push_back({{data.back().data(), 6, width}, scale});
        op.tensor({2, 3, width}, data.back(), {scale});
        cols += width;
    }
    std::vector<std::int16_t> y(static_cast<std::size_t>(6 * cols));
    must(tflite::concatenate(inputs, scale, {y.data(), 6, cols}));
    op.option("axis", 2).write({2, 3, cols}, y, {scale, 0});
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "nibble_tflite_int16_cases FOLDER\n");
        return 2;
    }
    const std::string folder = argv[1];
    test::random random(1);
    for (const float scale : {1.0f, 2.6f, std::ldexp(1.0f, -13), std::ldexp(1.0f, -16), 1.01f / 4096.0f, 0.99f / 2048.0f})
        sigmoids(folder, scale);
    for (int i = 0; i < 10; ++i)
        sigmoids(folder, some_scale(random, -16, -9));
    for (const float alpha : {0.0f, 0.2f, 1.5f, -0.3f, -0.5f, random.real(), -random.real()})
        rectifiers(folder, random, alpha);
    for (const std::ptrdiff_t cols : {1, 2, 10, 1001, 40000})
        for (int i = 0; i < 12; ++i)
            softmax(folder, random, 40000 / cols < 5 ? 1 : 5, cols);
    for (int i = 0; i < 10; ++i) {
        requantize<std::int16_t, std::int8_t>(folder, random, i % 2);
        requantize<std::int16_t, std::int16_t>(folder, random, false);
        requantize<std::int16_t, std::int32_t>(folder, random, i % 2);
        requantize<std::int32_t, std::int8_t>(folder, random, i % 2);
        requantize<std::int32_t, std::int16_t>(folder, random, i % 2);
        concatenate(folder, random);
        floats(folder, random);
        telling_rectifier(folder, random, i % 2 != 0);
    }
    return 0;
}
