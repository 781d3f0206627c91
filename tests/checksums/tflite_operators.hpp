// Checksums of the TFLite int8 scheme's operators that are no convolutions.
#pragma once

#include <algorithm>

#include "images.hpp"

namespace {

using dims = std::vector<std::ptrdiff_t>;

// f(random, a, b, y): images, a second operand that is broadcast to them, and outputs.
template <class Each>
void for_operands(Each each)
{
    numbers random(31);
    const std::ptrdiff_t shapes[][4] = {{2, 3, 4, 5}, {1, 1, 1, 67}, {2, 1, 4, 1}, {1, 1, 1, 1}, {1, 3, 4, 1}};
    for (const std::ptrdiff_t channels : {5, 67, 200})
        for (const auto& s : shapes) {
            const std::ptrdiff_t inner = s[3] == 1 ? 1 : channels;
            const std::vector<std::int8_t> a = codes(random, 2 * 3 * 4 * channels), b = codes(random, s[0] * s[1] * s[2] * inner);
            std::vector<std::int8_t> y = untouched<std::int8_t>(2 * 3 * 4 * channels);
            each(random, tflite::images_view<const std::int8_t>(a.data(), 2, 3, 4, channels),
                tflite::images_view<const std::int8_t>(b.data(), s[0], s[1], s[2], inner),
                tflite::images_view<std::int8_t>(y.data(), 2, 3, 4, channels), y);
        }
}

// The fields of a requantization but its multiplier.
requantization output_of(numbers& random, int i)
{
    requantization r;
    r.mode = i % 2 == 0 ? requantize_mode::double_rounding : requantize_mode::single_rounding;
    r.zero_point = random.integer(-128, 127);
    r.low = random.integer(0, 1) ? r.zero_point : -128;
    r.high = 127;
    return r;
}

void subtract_images(run& r)
{
    const bool by_reference = r.reference();
    int i = 0;
    for_operands([&](numbers& random, auto a, auto b, auto y, std::vector<std::int8_t>& out) {
        const float a_scale = scale_between(random, -6, -4), b_scale = scale_between(random, -6, -4);
        const auto m = tflite::add_params(a_scale, b_scale, scale_between(random, -6, -4));
        r.must(m.error());
        const requantization how = output_of(random, i++);
        const std::int32_t a_zero = random.integer(-128, 127), b_zero = random.integer(-128, 127);
        if (by_reference)
            reference::for_pairs(
                a, b, y, [&](std::int8_t left, std::int8_t right) { return reference::subtract(left, a_zero, right, b_zero, *m, how); });
        else
            r.must(tflite::subtract(a, a_zero, b, b_zero, *m, how, y, r.threads()));
        r.output(out);
    });
}

void square_differences_of_images(run& r)
{
    const bool by_reference = r.reference();
    int i = 0;
    for_operands([&](numbers& random, auto a, auto b, auto y, std::vector<std::int8_t>& out) {
        const float a_scale = scale_between(random, -6, -4), b_scale = scale_between(random, -6, -4);
        const auto m = tflite::squared_difference_params(a_scale, b_scale, scale_between(random, -5, -1));
        r.must(m.error());
        const requantization how = output_of(random, i++);
        const std::int32_t a_zero = random.integer(-128, 127), b_zero = random.integer(-128, 127);
        if (by_reference)
            reference::for_pairs(a, b, y,
                [&](std::int8_t left, std::int8_t right) { return reference::squared_difference(left, a_zero, right, b_zero, *m, how); });
        else
            r.must(tflite::squared_difference(a, a_zero, b, b_zero, *m, how, y, r.threads()));
        r.output(out);
    });
}

template <bool Greatest>
void extremes_of_images(run& r)
{
    const bool by_reference = r.reference();
    for_operands([&](numbers&, auto a, auto b, auto y, std::vector<std::int8_t>& out) {
        if (by_reference)
            reference::for_pairs(
                a, b, y, [](std::int8_t left, std::int8_t right) { return Greatest ? std::max(left, right) : std::min(left, right); });
        else
            r.must(Greatest ? tflite::maximum(a, b, y, r.threads()) : tflite::minimum(a, b, y, r.threads()));
        r.output(out);
    });
}

void prelu_images(run& r)
{
    const bool by_reference = r.reference();
    for_operands([&](numbers& random, auto x, auto alpha, auto y, std::vector<std::int8_t>& out) {
        const float x_scale = scale_between(random, -6, -4), alpha_scale = scale_between(random, -7, -5);
        const auto m = tflite::prelu_params(x_scale, alpha_scale, scale_between(random, -6, -4));
        r.must(m.error());
        const std::int32_t x_zero = random.integer(-128, 127), alpha_zero = random.integer(-128, 127), y_zero = random.integer(-128, 127);
        if (by_reference)
            reference::for_pairs(x, alpha, y,
                [&](std::int8_t left, std::int8_t right) { return reference::prelu(left, x_zero, right, alpha_zero, *m, y_zero); });
        else
            r.must(tflite::prelu(x, x_zero, alpha, alpha_zero, *m, y_zero, y, r.threads()));
        r.output(out);
    });
}

// The codes of a table, by table(random, x, y) or definition(code, x, y).
template <class Make>
void table_codes(run& r, Make make)
{
    const bool by_reference = r.reference();
    numbers random(32);
    for (int i = 0; i < 100; ++i) {
        const tflite::quantization x {scale_between(random, -8, 0), random.integer(-128, 127)},
            y {scale_between(random, -8, 0), random.integer(-128, 127)};
        r.output(make(random, x, y, by_reference));
    }
}
template <class Definition>
std::vector<std::int8_t> codes_of_table(run& r, const result<tflite::code_table>& table, bool by_reference, Definition definition)
{
    r.must(table.error());
    std::vector<std::int8_t> found(table->at, table->at + 256);
    for (std::int32_t code = -128; code < 128 && by_reference; ++code)
        found[static_cast<std::size_t>(code + 128)] = definition(code);
    return found;
}

void leaky_relu_codes(run& r)
{
    table_codes(r, [&r](numbers& random, tflite::quantization x, tflite::quantization y, bool by_reference) {
        float alpha;
        set_bits(alpha, random.real(-6, 0));
        return codes_of_table(r, tflite::leaky_relu_table(x, y, alpha), by_reference,
            [&](std::int32_t code) { return reference::leaky_relu(code, x, y, alpha); });
    });
}

void elu_codes(run& r)
{
    table_codes(r, [&r](numbers&, tflite::quantization x, tflite::quantization y, bool by_reference) {
        return codes_of_table(r, tflite::elu_table(x, y), by_reference, [&](std::int32_t code) { return reference::elu(code, x, y); });
    });
}

void l2_normalized_rows(run& r)
{
    const bool by_reference = r.reference();
    numbers random(33);
    for (const std::ptrdiff_t cols : {1, 2, 10, 300, 20000})
        for (int i = 0; i < 4; ++i) {
            std::vector<std::int8_t> x = codes(random, 5 * cols), y = untouched<std::int8_t>(5 * cols);
            const std::int32_t zero_point = i == 0 ? x[0] : random.integer(-128, 127);
            if (by_reference)
                reference::l2_normalization({x.data(), 5, cols}, zero_point, {y.data(), 5, cols});
            else
                r.must(tflite::l2_normalization({x.data(), 5, cols}, zero_point, {y.data(), 5, cols}, r.threads()));
            r.output(y);
        }
}

void log_softmax_rows(run& r)
{
    const bool by_reference = r.reference();
    numbers random(34);
    for (const std::ptrdiff_t cols : {1, 2, 10, 1001, 4095})
        for (int i = 0; i < 6; ++i) {
            const float scale = scale_between(random, -9, 1);
            const std::vector<std::int8_t> x = codes(random, 5 * cols);
            std::vector<std::int8_t> y = untouched<std::int8_t>(5 * cols);
            const auto s = tflite::log_softmax_params(scale);
            r.must(s.error());
            if (by_reference)
                reference::log_softmax({x.data(), 5, cols}, scale, {y.data(), 5, cols});
            else
                r.must(tflite::log_softmax({x.data(), 5, cols}, *s, {y.data(), 5, cols}, r.threads()));
            r.output(y);
        }
}

// f(random, x, axes, y)
template <class Each>
void for_reductions(Each each)
{
    numbers random(35);
    const dims shape {3, 4, 5, 20};
    const std::vector<std::int8_t> x = codes(random, 3 * 4 * 5 * 20);
    for (int which = 0; which < 16; ++which) {
        dims axes;
        std::ptrdiff_t left = 1;
        for (std::ptrdiff_t d = 0; d < 4; ++d)
            if (which >> d & 1)
                axes.push_back(which % 3 == 0 ? d - 4 : d);
            else
                left *= shape[static_cast<std::size_t>(d)];
        std::vector<std::int8_t> y = untouched<std::int8_t>(left);
        each(random, tflite::tensor_view<const std::int8_t>(x.data(), shape), span<const std::ptrdiff_t>(axes), y);
    }
}

template <bool Mean>
void reduced_sums(run& r)
{
    const bool by_reference = r.reference();
    for_reductions([&](numbers& random, tflite::tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes,
                       const std::vector<std::int8_t>& untouched_y) {
        for (const requantize_mode mode : all_modes) {
            std::vector<std::int8_t> y = untouched_y;
            const tflite::quantization from {scale_between(random, -6, -4), random.integer(-128, 127)},
                to {scale_between(random, Mean ? -6 : -2, Mean ? -4 : 2), random.integer(-128, 127)};
            if (by_reference)
                for (std::size_t i = 0; i < y.size(); ++i)
                    y[i] = reference::reduced_sum(x, axes, static_cast<std::ptrdiff_t>(i), from, to, Mean, mode);
            else
                r.must(Mean ? tflite::mean(x, axes, from, to, y, mode, r.threads()) : tflite::sum(x, axes, from, to, y, mode, r.threads()));
            r.output(y);
        }
    });
}

template <bool Greatest>
void reduced_extremes(run& r)
{
    const bool by_reference = r.reference();
    for_reductions([&](numbers&, tflite::tensor_view<const std::int8_t> x, span<const std::ptrdiff_t> axes, std::vector<std::int8_t>& y) {
        if (by_reference)
            for (std::size_t i = 0; i < y.size(); ++i)
                y[i] = reference::reduced_extreme(x, axes, static_cast<std::ptrdiff_t>(i), Greatest);
        else
            r.must(Greatest ? tflite::reduce_max(x, axes, y, r.threads()) : tflite::reduce_min(x, axes, y, r.threads()));
        r.output(y);
    });
}

template <bool Bilinear>
void resized_images(run& r)
{
    const bool by_reference = r.reference();
    numbers random(36);
    const std::vector<std::int8_t> x = codes(random, 2 * 7 * 9 * 5);
    const tflite::images_view<const std::int8_t> from(x.data(), 2, 7, 9, 5);
    for (const std::ptrdiff_t height : {1, 3, 7, 14, 33})
        for (const std::ptrdiff_t width : {1, 4, 9, 100})
            for (const tflite::resize_options how : {tflite::resize_options {}, {true, false}, {false, true}}) {
                std::vector<std::int8_t> y = untouched<std::int8_t>(2 * height * width * 5);
                const tflite::images_view<std::int8_t> to(y.data(), 2, height, width, 5);
                if (by_reference)
                    Bilinear ? reference::resize_bilinear(from, to, how) : reference::resize_nearest_neighbor(from, to, how);
                else
                    r.must(Bilinear ? tflite::resize_bilinear(from, to, how, r.threads())
                                    : tflite::resize_nearest_neighbor(from, to, how, r.threads()));
                r.output(y);
            }
}

void padded_tensors(run& r)
{
    const bool by_reference = r.reference();
    numbers random(37);
    for (int i = 0; i < 60; ++i) {
        dims shape, to;
        std::vector<tflite::padding> paddings;
        std::ptrdiff_t x_size = 1, y_size = 1;
        for (std::int32_t rank = random.integer(0, 5), d = 0; d < rank; ++d) {
            shape.push_back(random.integer(1, 6));
            paddings.push_back({random.integer(0, 2), random.integer(0, 2)});
            to.push_back(shape.back() + paddings.back().before + paddings.back().after);
            x_size *= shape.back();
            y_size *= to.back();
        }
        const std::vector<std::int8_t> x = codes(random, x_size);
        std::vector<std::int8_t> y = untouched<std::int8_t>(y_size);
        const std::int8_t value = static_cast<std::int8_t>(random.integer(-128, 127));
        const tflite::tensor_view<const std::int8_t> from(x.data(), shape);
        const tflite::tensor_view<std::int8_t> into(y.data(), to);
        if (by_reference)
            reference::pad(from, paddings, value, into);
        else
            r.must(tflite::pad(from, paddings, value, into, r.threads()));
        r.output(y);
    }
}

void batched_products(run& r)
{
    const bool by_reference = r.reference();
    numbers random(38);
    for (const std::ptrdiff_t m : {1, 5, 60})
        for (const std::ptrdiff_t n : {1, 17, 40})
            for (const std::ptrdiff_t k : {1, 33, 200}) {
                const tflite::batch_matmul_options how {random.integer(0, 1) != 0, random.integer(0, 1) != 0};
                const std::ptrdiff_t a_batch = random.integer(0, 1) ? 1 : 2, b_batch = random.integer(0, 1) ? 1 : 3;
                const dims a_shape {1, a_batch, how.adj_x ? k : m, how.adj_x ? m : k},
                    b_shape {b_batch, 1, how.adj_y ? n : k, how.adj_y ? k : n}, y_shape {b_batch, a_batch, m, n};
                const std::vector<std::int8_t> a = codes(random, a_batch * m * k), b = codes(random, b_batch * k * n);
                const std::int32_t a_zero = random.integer(-128, 127), b_zero = random.integer(0, 1) ? 0 : random.integer(-128, 127);
                for (const requantize_mode mode : all_modes) {
                    const output_stage stage(random, mode, n);
                    std::vector<std::int8_t> y = untouched<std::int8_t>(a_batch * b_batch * m * n);
                    const tflite::tensor_view<const std::int8_t> left(a.data(), a_shape), right(b.data(), b_shape);
                    const tflite::tensor_view<std::int8_t> to(y.data(), y_shape);
                    std::vector<std::byte> workspace(tflite::batch_matmul_workspace(m, n, k));
                    if (by_reference)
                        reference::batch_matmul(left, a_zero, right, b_zero, how, stage.r, to);
                    else
                        r.must(tflite::batch_matmul(left, a_zero, right, b_zero, how, stage.r, to, workspace, r.threads()));
                    r.output(y);
                }
            }
}

} // namespace
