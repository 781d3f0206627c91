// Checksums of the TFLite int8 scheme.
#pragma once

#include "run.hpp"

namespace {

constexpr requantize_mode all_modes[]
    = {requantize_mode::float_ties_to_even, requantize_mode::double_rounding, requantize_mode::single_rounding};

// Multipliers and scales, one a channel, biases and bounds.
struct output_stage {
    std::vector<float> scale;
    std::vector<std::int32_t> multiplier, shift, bias;
    requantization r;

    output_stage(numbers& random, requantize_mode mode, std::ptrdiff_t channels, bool with_bias = true)
    {
        for (std::ptrdiff_t i = 0; i < channels; ++i) {
            scale.push_back(scale_between(random, -10, -5));
            multiplier.push_back(random.integer(1 << 30, INT32_MAX));
            shift.push_back(random.integer(-9, -5));
            bias.push_back(random.integer(-3000, 3000));
        }
        r.mode = mode;
        r.scale = scale;
        r.multiplier = multiplier;
        r.shift = shift;
        if (with_bias)
            r.bias = bias;
        r.zero_point = random.integer(-128, 127);
        r.high = random.integer(0, 127);
    }
};

std::vector<std::int8_t> codes(numbers& random, std::ptrdiff_t count)
{
    return filled<std::int8_t>(count, [&] { return random.bits(); });
}

// f(random, window, groups, input channels, output channels)
template <class Each>
void for_windows(Each each)
{
    numbers random(21);
    const tflite::window windows[] = {{}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, {3, 2, 2, 1, 1, 2, 0, 1, 1, 2}, {2, 5, 1, 3, 2, 1, 1, 0, 0, 4}};
    for (const tflite::window& at : windows)
        for (const std::ptrdiff_t groups : {1, 3})
            for (const std::ptrdiff_t per_group : {1, 6, 19})
                each(random, at, groups, groups * per_group, groups * (per_group + 2));
}

template <bool Transposed>
void convolve(run& r)
{
    const bool by_reference = r.reference();
    for_windows([&](numbers& random, const tflite::window& at, std::ptrdiff_t groups, std::ptrdiff_t in, std::ptrdiff_t out) {
        std::ptrdiff_t height = 10, width = 9, out_height = output_height(at, height), out_width = output_width(at, width);
        if (Transposed) {
            std::swap(height, out_height);
            std::swap(width, out_width);
        }
        const std::ptrdiff_t k = at.kernel_height * at.kernel_width * in / groups;
        const std::vector<std::int8_t> x = codes(random, 2 * height * width * in), w = codes(random, out * k);
        const matrix_view<const std::int8_t> weights(w.data(), out, k);
        const std::int32_t zero_point = random.integer(-128, 127);
        for (const requantize_mode mode : all_modes) {
            const output_stage stage(random, mode, out);
            std::vector<std::int8_t> y = untouched<std::int8_t>(2 * out_height * out_width * out);
            const tflite::images_view<const std::int8_t> from(x.data(), 2, height, width, in);
            const tflite::images_view<std::int8_t> to(y.data(), 2, out_height, out_width, out);
            if (by_reference) {
                if constexpr (Transposed)
                    reference::transpose_conv2d(from, zero_point, weights, groups, at, stage.r, to);
                else
                    reference::conv2d(from, zero_point, weights, groups, at, stage.r, to);
            } else {
                const auto filter = tflite::packed_filter::make(weights, at.kernel_height, at.kernel_width, in, groups);
                r.must(filter.error());
                std::vector<std::byte> workspace(tflite::conv2d_workspace(*filter, 2));
                r.must(Transposed ? tflite::transpose_conv2d(from, zero_point, *filter, at, stage.r, to, workspace, r.threads())
                                  : tflite::conv2d(from, zero_point, *filter, at, stage.r, to, workspace, r.threads()));
            }
            r.output(y);
        }
    });
}

void convolve_depthwise(run& r)
{
    const bool by_reference = r.reference();
    for_windows([&](numbers& random, const tflite::window& at, std::ptrdiff_t multiplier, std::ptrdiff_t in, std::ptrdiff_t) {
        const std::ptrdiff_t height = 10, width = 9, out = in * multiplier, taps = at.kernel_height * at.kernel_width;
        const std::ptrdiff_t out_height = output_height(at, height), out_width = output_width(at, width);
        const std::vector<std::int8_t> x = codes(random, 2 * height * width * in), w = codes(random, taps * out);
        const std::int32_t zero_point = random.integer(-128, 127);
        for (const requantize_mode mode : all_modes) {
            const output_stage stage(random, mode, out);
            std::vector<std::int8_t> y = untouched<std::int8_t>(2 * out_height * out_width * out);
            const tflite::images_view<const std::int8_t> from(x.data(), 2, height, width, in);
            const tflite::images_view<std::int8_t> to(y.data(), 2, out_height, out_width, out);
            if (by_reference)
                reference::depthwise_conv2d(from, zero_point, {w.data(), taps, out}, at, stage.r, to);
            else
                r.must(tflite::depthwise_conv2d(from, zero_point, {w.data(), taps, out}, at, stage.r, to, r.threads()));
            r.output(y);
        }
    });
}

// Multipliers, one a channel, and biases of 16x8: of int64, and of int32.
struct wide_output_stage {
    std::vector<std::int32_t> multiplier, shift;
    std::vector<std::int64_t> bias;
    tflite::requantization_16x8 r;

    wide_output_stage(numbers& random, std::ptrdiff_t channels)
    {
        for (std::ptrdiff_t i = 0; i < channels; ++i) {
            multiplier.push_back(random.integer(1 << 30, INT32_MAX));
            shift.push_back(random.integer(-9, -5));
            bias.push_back(std::int64_t {1000} * random.integer(-3000, 3000));
        }
        r = {multiplier, shift, bias, random.integer(-32768, 0), 32000};
    }
};

struct narrow_output_stage : output_stage {
    narrow_output_stage(numbers& random, std::ptrdiff_t channels) : output_stage(random, all_modes[random.integer(0, 2)], channels)
    {
        for (std::int32_t& b : bias)
            b *= 1000;
        for (float& s : scale)
            s *= 0x1p-8f;
        r.zero_point = 0;
        r.high = 32000;
    }
};

std::vector<std::int16_t> wide_codes(numbers& random, std::ptrdiff_t count)
{
    return filled<std::int16_t>(count, [&] { return random.bits(); });
}

template <class Stage>
void convolve_16x8(run& r)
{
    const bool by_reference = r.reference();
    for_windows([&](numbers& random, const tflite::window& at, std::ptrdiff_t groups, std::ptrdiff_t in, std::ptrdiff_t out) {
        const std::ptrdiff_t height = 7, width = 6, k = at.kernel_height * at.kernel_width * in / groups;
        const std::ptrdiff_t out_height = output_height(at, height), out_width = output_width(at, width);
        const std::vector<std::int16_t> x = wide_codes(random, 2 * height * width * in);
        const std::vector<std::int8_t> w = codes(random, out * k);
        const matrix_view<const std::int8_t> weights(w.data(), out, k);
        const Stage stage(random, out);
        std::vector<std::int16_t> y = untouched<std::int16_t>(2 * out_height * out_width * out);
        const tflite::images_view<const std::int16_t> from(x.data(), 2, height, width, in);
        const tflite::images_view<std::int16_t> to(y.data(), 2, out_height, out_width, out);
        if (by_reference) {
            reference::conv2d(from, 0, weights, groups, at, stage.r, to);
        } else {
            const auto filter = tflite::packed_filter::make(weights, at.kernel_height, at.kernel_width, in, groups);
            r.must(filter.error());
            std::vector<std::byte> workspace(tflite::conv2d_workspace<std::int16_t>(*filter, 2));
            r.must(tflite::conv2d(from, *filter, at, stage.r, to, workspace, r.threads()));
        }
        r.output(y);
    });
}

template <class Stage>
void convolve_depthwise_16x8(run& r)
{
    const bool by_reference = r.reference();
    for_windows([&](numbers& random, const tflite::window& at, std::ptrdiff_t multiplier, std::ptrdiff_t in, std::ptrdiff_t) {
        const std::ptrdiff_t height = 7, width = 6, out = in * multiplier, taps = at.kernel_height * at.kernel_width;
        const std::ptrdiff_t out_height = output_height(at, height), out_width = output_width(at, width);
        const std::vector<std::int16_t> x = wide_codes(random, 2 * height * width * in);
        const std::vector<std::int8_t> w = codes(random, taps * out);
        const Stage stage(random, out);
        std::vector<std::int16_t> y = untouched<std::int16_t>(2 * out_height * out_width * out);
        const tflite::images_view<const std::int16_t> from(x.data(), 2, height, width, in);
        const tflite::images_view<std::int16_t> to(y.data(), 2, out_height, out_width, out);
        if (by_reference)
            reference::depthwise_conv2d(from, 0, {w.data(), taps, out}, at, stage.r, to);
        else
            r.must(tflite::depthwise_conv2d(from, {w.data(), taps, out}, at, stage.r, to, r.threads()));
        r.output(y);
    });
}

// A tensor and a vector of channels.
template <bool Sum>
void combine_wide_images(run& r)
{
    numbers random(25);
    for (const std::ptrdiff_t channels : {1, 5, 64, 300}) {
        const std::vector<std::int16_t> a = wide_codes(random, 11 * channels), b = wide_codes(random, channels);
        output_stage stage(random, requantize_mode::double_rounding, 1, false);
        stage.r.zero_point = 0;
        stage.r.high = INT32_MAX;
        const float a_scale = scale_between(random, -14, -12), b_scale = scale_between(random, -14, -12);
        const auto m = tflite::add_params<std::int16_t>(a_scale, b_scale, scale_between(random, -13, -12));
        r.must(m.error());
        std::vector<std::int16_t> y = untouched<std::int16_t>(11 * channels);
        const tflite::images_view<const std::int16_t> from(a.data(), 1, 1, 11, channels), vector(b.data(), 1, 1, 1, channels);
        const tflite::images_view<std::int16_t> to(y.data(), 1, 1, 11, channels);
        r.must(Sum ? tflite::add(from, vector, *m, stage.r, to, r.threads()) : tflite::multiply(from, vector, stage.r, to, r.threads()));
        r.output(y);
    }
}

void add_images(run& r)
{
    numbers random(22);
    for (const std::ptrdiff_t count : {1, 63, 64, 1000, 70000})
        for (const requantize_mode mode : {requantize_mode::double_rounding, requantize_mode::single_rounding}) {
            const std::vector<std::int8_t> a = codes(random, count), b = codes(random, count);
            const output_stage stage(random, mode, 1, false);
            const float a_scale = scale_between(random, -6, -4), b_scale = scale_between(random, -6, -4);
            const auto m = tflite::add_params(a_scale, b_scale, scale_between(random, -5, -4));
            r.must(m.error());
            std::vector<std::int8_t> y = untouched<std::int8_t>(count);
            const std::int32_t b_zero_point = random.integer(-128, 127), a_zero_point = random.integer(-128, 127);
            r.must(tflite::add(a, a_zero_point, b, b_zero_point, *m, stage.r, y, r.threads()));
            r.output(y);
        }
}

void multiply_images(run& r)
{
    numbers random(23);
    for (const std::ptrdiff_t count : {1, 63, 64, 1000, 70000})
        for (const requantize_mode mode : all_modes) {
            const std::vector<std::int8_t> a = codes(random, count), b = codes(random, count);
            const output_stage stage(random, mode, 1, false);
            std::vector<std::int8_t> y = untouched<std::int8_t>(count);
            const std::int32_t b_zero_point = random.integer(-128, 127), a_zero_point = random.integer(-128, 127);
            r.must(tflite::multiply(a, a_zero_point, b, b_zero_point, stage.r, y, r.threads()));
            r.output(y);
        }
}

void look_up_tables(run& r)
{
    numbers random(24);
    for (int i = 0; i < 50; ++i) {
        const tflite::quantization x {scale_between(random, -8, 0), random.integer(-128, 127)},
            y {scale_between(random, -8, -4), random.integer(-128, 127)};
        for (const tflite::table_function f :
            {tflite::table_function::logistic, tflite::table_function::tanh, tflite::table_function::hard_swish}) {
            const auto table = tflite::function_table(f, x, y);
            r.must(table.error());
            r.output(std::vector<std::int8_t>(table->at, table->at + 256));
        }
        const auto table = tflite::requantize_table(x, y, tflite::fused_activation::relu6);
        r.must(table.error());
        const std::vector<std::int8_t> from = codes(random, 1000);
        std::vector<std::int8_t> to = untouched<std::int8_t>(1000);
        r.must(tflite::look_up(from, *table, to, r.threads()));
        r.output(to);
    }
}

void pool_images(run& r)
{
    numbers random(25);
    const std::vector<std::int8_t> x = codes(random, 2 * 9 * 8 * 70);
    const tflite::images_view<const std::int8_t> from(x.data(), 2, 9, 8, 70);
    for (const tflite::window& at : {tflite::window {2, 2, 2, 2}, {3, 5, 1, 2, 1, 1, 2, 1, 1, 3}}) {
        const std::ptrdiff_t height = output_height(at, 9), width = output_width(at, 8);
        std::vector<std::int8_t> average = untouched<std::int8_t>(2 * height * width * 70), most = average;
        r.must(tflite::average_pool2d(from, at, {average.data(), 2, height, width, 70}, {-100, 100}, r.threads()));
        r.must(tflite::max_pool2d(from, at, {most.data(), 2, height, width, 70}, {-100, 100}, r.threads()));
        r.output(average);
        r.output(most);
    }
    for (const requantize_mode mode : all_modes) {
        std::vector<std::int8_t> y = untouched<std::int8_t>(2 * 70);
        const tflite::quantization a {scale_between(random, -6, -4), 5}, b {scale_between(random, -6, -4), -70};
        r.must(tflite::mean(from, a, b, {y.data(), 2, 70}, mode));
        r.output(y);
    }
}

void softmax_rows(run& r)
{
    numbers random(26);
    for (const std::ptrdiff_t cols : {1, 10, 1001})
        for (int i = 0; i < 6; ++i) {
            const auto s = tflite::softmax_params(scale_between(random, -8, 1));
            r.must(s.error());
            const std::vector<std::int8_t> x = codes(random, 5 * cols);
            std::vector<std::int8_t> y = untouched<std::int8_t>(5 * cols);
            r.must(tflite::softmax({x.data(), 5, cols}, *s, {y.data(), 5, cols}, r.threads()));
            r.output(y);
        }
}

} // namespace
