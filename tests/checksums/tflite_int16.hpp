// Checksums of TFLite's int16 operators, of conversions between integer types and of int4 filters.
#pragma once

#include <limits>

#include "images.hpp"

namespace {

void activate_int16(run& r)
{
    numbers random(27);
    const bool by_reference = r.reference();
    std::vector<std::int16_t> x, y(65536);
    for (int code = -32768; code < 32768; ++code)
        x.push_back(static_cast<std::int16_t>(code));
    for (const float scale : {1.0f / 4096.0f, 1.0f / 2048.0f, scale_between(random, -16, -13), scale_between(random, -12, -9)}) {
        if (by_reference)
            for (std::size_t i = 0; i < x.size(); ++i)
                y[i] = reference::logistic(x[i], scale);
        else
            r.must(tflite::logistic(x, scale, y, r.threads()));
        r.output(y);
        if (by_reference)
            for (std::size_t i = 0; i < x.size(); ++i)
                y[i] = reference::tanh(x[i], scale);
        else
            r.must(tflite::tanh(x, scale, y, r.threads()));
        r.output(y);
        const float y_scale = scale_between(random, -15, -10), alpha = scale_between(random, -4, 0) * (random.integer(0, 1) ? 1.0f : -1.0f);
        if (by_reference) {
            const default_fp_mode mode;
            for (std::size_t i = 0; i < x.size(); ++i)
                y[i] = reference::leaky_relu(x[i], scale, alpha, y_scale);
        } else {
            r.must(tflite::leaky_relu(x, scale, alpha, y, y_scale, r.threads()));
        }
        r.output(y);
        r.must(tflite::relu(x, scale, tflite::fused_activation::relu6, y, y_scale, r.threads()));
        r.output(y);
    }
}

void softmax_int16(run& r)
{
    numbers random(28);
    const bool by_reference = r.reference();
    for (const std::ptrdiff_t cols : {1, 10, 1001})
        for (int i = 0; i < 6; ++i) {
            const auto s = tflite::softmax_params<std::int16_t>(scale_between(random, -16, -8));
            r.must(s.error());
            const std::vector<std::int16_t> x = wide_codes(random, 5 * cols);
            std::vector<std::int16_t> y = untouched<std::int16_t>(5 * cols);
            if (by_reference)
                for (std::ptrdiff_t row = 0; row < 5; ++row)
                    reference::softmax_row(x.data() + row * cols, cols, s->multiplier, y.data() + row * cols);
            else
                r.must(tflite::softmax({x.data(), 5, cols}, *s, {y.data(), 5, cols}, r.threads()));
            r.output(y);
        }
}

void interpolate_int16(run& r)
{
    numbers random(33);
    const bool by_reference = r.reference();
    const std::vector<std::int16_t> x = wide_codes(random, 5000);
    for (int i = 0; i < 6; ++i) {
        const float x_scale = scale_between(random, -15, -11), y_scale = scale_between(random, -14, -11);
        const auto f = [](double v) { return v < 0.0 ? portable_exp(v) - 1.0 : v; };
        std::vector<std::int16_t> y = untouched<std::int16_t>(5000);
        if (by_reference) {
            const default_fp_mode mode;
            for (std::size_t j = 0; j < x.size(); ++j)
                y[j] = reference::interpolate(x[j], f, x_scale, y_scale);
        } else {
            const auto table = tflite::interpolation_table(f, x_scale, y_scale);
            r.must(table.error());
            r.must(tflite::look_up(x, *table, y, r.threads()));
        }
        r.output(y);
    }
}

// int8 rows with an output of int16.
void softmax_to_int16(run& r)
{
    numbers random(31);
    for (const std::ptrdiff_t cols : {1, 10, 1001})
        for (int i = 0; i < 6; ++i) {
            const auto s = tflite::softmax_params(scale_between(random, -8, 1));
            r.must(s.error());
            const std::vector<std::int8_t> x = codes(random, 5 * cols);
            std::vector<std::int16_t> y = untouched<std::int16_t>(5 * cols);
            r.must(tflite::softmax({x.data(), 5, cols}, *s, matrix_view<std::int16_t>(y.data(), 5, cols), r.threads()));
            r.output(y);
        }
}

void floats_and_int16(run& r)
{
    numbers random(32);
    const bool by_reference = r.reference();
    for (int i = 0; i < 10; ++i) {
        const float scale = i == 0 ? 1e-40f : scale_between(random, -16, -6), x_scale = scale_between(random, -16, -9);
        const std::vector<float> x = filled<float>(1000, [&] { return random.finite(); });
        std::vector<std::int16_t> q = untouched<std::int16_t>(1000);
        std::vector<float> back = untouched<float>(1000);
        if (by_reference) {
            const default_fp_mode mode;
            for (std::size_t j = 0; j < x.size(); ++j)
                q[j] = reference::quantize_int16(x[j], scale);
        } else {
            r.must(tflite::quantize(x, scale, q, r.threads()));
        }
        r.output(q);
        r.must(tflite::dequantize(q, scale, back, r.threads()));
        r.output(back);
        const std::vector<float> bias = filled<float>(20, [&] { return random.real(-8, 8); }),
                                 w = filled<float>(20, [&] { return random.real(-12, -4) & 0x7fffffffu; });
        std::vector<std::int64_t> codes(20);
        if (by_reference) {
            const default_fp_mode mode;
            for (std::size_t j = 0; j < bias.size(); ++j)
                codes[j] = reference::bias_of_int16(bias[j], x_scale, w[j]);
        } else {
            r.must(tflite::quantize_bias(bias, x_scale, w, codes));
        }
        std::vector<std::int32_t> halves;
        for (const std::int64_t code : codes) {
            halves.push_back(static_cast<std::int32_t>(code & 0xffff));
            halves.push_back(static_cast<std::int32_t>(code >> 16));
        }
        r.output(halves);
    }
}

template <class X, class Y>
void requantize_codes(run& r, numbers& random)
{
    const bool by_reference = r.reference();
    const auto code_of = [&](auto type) { return static_cast<std::int32_t>(static_cast<decltype(type)>(random.bits())); };
    for (int i = 0; i < 4; ++i) {
        const int wider = 8 * (static_cast<int>(sizeof(Y)) - static_cast<int>(sizeof(X)));
        const tflite::quantization from {scale_between(random, -8, -4), code_of(X {})},
            to {scale_between(random, -8 - wider, -4 - wider), code_of(Y {})};
        const std::vector<X> x = filled<X>(1000, [&] { return random.bits(); });
        std::vector<Y> y = untouched<Y>(1000);
        if (by_reference) {
            const default_fp_mode mode;
            const auto m = encode_multiplier(static_cast<double>(from.scale) / static_cast<double>(to.scale));
            for (std::size_t j = 0; j < x.size(); ++j)
                y[j] = static_cast<Y>(reference::requantize_code(
                    x[j], from.zero_point, *m, to.zero_point, std::numeric_limits<Y>::min(), std::numeric_limits<Y>::max()));
        } else {
            r.must(tflite::requantize<X, Y>(x, from, y, to, r.threads()));
        }
        r.output(y);
    }
}

template <class X>
void requantize_to_all(run& r, numbers& random)
{
    requantize_codes<X, std::int8_t>(r, random);
    requantize_codes<X, std::uint8_t>(r, random);
    requantize_codes<X, std::int16_t>(r, random);
    requantize_codes<X, std::int32_t>(r, random);
}

void requantize_integers(run& r)
{
    numbers random(29);
    requantize_to_all<std::int8_t>(r, random);
    requantize_to_all<std::uint8_t>(r, random);
    requantize_to_all<std::int16_t>(r, random);
    requantize_to_all<std::int32_t>(r, random);
    for (int i = 0; i < 8; ++i) {
        const std::vector<std::int16_t> a = wide_codes(random, 3 * 5), b = wide_codes(random, 3 * 40);
        const float scale = scale_between(random, -12, -10);
        const std::vector<tflite::concatenation_input_16> inputs {
            {{a.data(), 3, 5}, scale}, {{b.data(), 3, 40}, scale_between(random, -12, -10)}};
        std::vector<std::int16_t> y = untouched<std::int16_t>(3 * 50);
        r.must(tflite::concatenate(inputs, scale, {y.data(), 3, 45, 50}));
        r.output(y);
    }
}

void int4_filters(run& r)
{
    numbers random(30);
    const bool by_reference = r.reference();
    for (const std::ptrdiff_t in : {1, 3, 8}) {
        const std::ptrdiff_t out = 7, k = 9 * in;
        const tflite::window at {3, 3};
        const output_stage stage(random, requantize_mode::double_rounding, out);
        const std::vector<int4x2> w = filled<int4x2>((out * k + 1) / 2, [&] { return random.bits(); });
        const std::vector<std::int8_t> x = codes(random, 6 * 5 * in);
        std::vector<std::int8_t> y = untouched<std::int8_t>(4 * 3 * out);
        const tflite::images_view<const std::int8_t> from(x.data(), 1, 6, 5, in);
        const tflite::images_view<std::int8_t> to(y.data(), 1, 4, 3, out);
        if (by_reference) {
            std::vector<std::int8_t> plain;
            for (std::ptrdiff_t i = 0; i < out * k; ++i)
                plain.push_back(reference::int4_code(w.data(), i));
            reference::conv2d<std::int8_t>(from, 3, {plain.data(), out, k}, 1, at, stage.r, to);
        } else {
            const auto filter = tflite::packed_filter::make(w, out, 3, 3, in);
            r.must(filter.error());
            std::vector<std::byte> workspace(tflite::conv2d_workspace(*filter));
            r.must(tflite::conv2d(from, 3, *filter, at, stage.r, to, workspace, r.threads()));
        }
        r.output(y);
    }
}

} // namespace
