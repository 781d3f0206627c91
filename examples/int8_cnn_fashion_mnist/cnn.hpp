// A convolutional network that trains in floats: convolutions by products of gathered rows, depthwise convolutions, average pooling, and
// fully connected layers, which are 1 x 1 convolutions of an image of one pixel. Images are rows of a matrix, in NHWC.
#pragma once

#include "network.hpp"

namespace cnn {

using perceptron::matrix;
using perceptron::parameter;

enum class kind { convolution, depthwise, average_pool };

struct image_size {
    std::ptrdiff_t height, width, channels;

    std::ptrdiff_t pixels() const { return height * width; }
    std::ptrdiff_t size() const { return height * width * channels; }
};

struct layer {
    kind what;
    nibble::tflite::window at;
    bool relu;
    image_size in, out;
    parameter weights, bias; // convolution: out x (kernel rows, columns, in); depthwise: (kernel rows, columns) x channels
    matrix input, gathered, output;

    std::ptrdiff_t taps() const { return at.kernel_height * at.kernel_width; }
    std::ptrdiff_t k() const { return what == kind::convolution ? taps() * in.channels : taps(); }
    nibble::matrix_view<const float> weight_view() const
    {
        return what == kind::convolution ? nibble::matrix_view<const float>(weights.value.data(), out.channels, k())
                                         : nibble::matrix_view<const float>(weights.value.data(), taps(), out.channels);
    }
    bool in_place() const { return what == kind::convolution && taps() == 1; }
};

// f(output pixel, input pixel, tap) for every tap that falls on the image, of every image.
template <class Each>
void for_taps(const layer& a, std::ptrdiff_t images, Each each)
{
    for (std::ptrdiff_t n = 0; n < images; ++n)
        for (std::ptrdiff_t oy = 0; oy < a.out.height; ++oy)
            for (std::ptrdiff_t ox = 0; ox < a.out.width; ++ox)
                for (std::ptrdiff_t t = 0; t < a.taps(); ++t) {
                    const std::ptrdiff_t iy = oy * a.at.stride_height - a.at.pad_top + t / a.at.kernel_width;
                    const std::ptrdiff_t ix = ox * a.at.stride_width - a.at.pad_left + t % a.at.kernel_width;
                    if (iy >= 0 && iy < a.in.height && ix >= 0 && ix < a.in.width)
                        each((n * a.out.height + oy) * a.out.width + ox, (n * a.in.height + iy) * a.in.width + ix, t);
                }
}

class network {
public:
    explicit network(image_size input) : next_(input) {}

    network& convolution(std::ptrdiff_t channels, nibble::tflite::window at, bool relu)
    {
        return add(kind::convolution, at, relu, channels);
    }
    network& depthwise(nibble::tflite::window at) { return add(kind::depthwise, at, true, next_.channels); }
    network& average_pool(nibble::tflite::window at) { return add(kind::average_pool, at, false, next_.channels); }
    network& fully_connected(std::ptrdiff_t size, bool relu)
    {
        next_ = {1, 1, next_.size()};
        return add(kind::convolution, {}, relu, size);
    }
    void initialize(unsigned seed)
    {
        std::mt19937 random(seed);
        for (layer& a : layers) {
            const float reach = std::sqrt(6.0f / static_cast<float>(a.k()));
            for (float& w : a.weights.value)
                w = (static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f) * reach;
        }
    }

    std::vector<layer> layers;

    // Logits of every row of x.
    const matrix& forward(const matrix& x)
    {
        const matrix* input = &x;
        for (layer& a : layers)
            input = &run(a, *input);
        return *input;
    }

    // One layer's output.
    const matrix& run(layer& a, const matrix& x)
    {
        a.input = x;
        a.output.resize(x.rows, a.out.size());
        switch (a.what) {
        case kind::convolution: convolve(a); break;
        case kind::depthwise: convolve_depthwise(a); break;
        case kind::average_pool: pool(a); break;
        }
        return a.output;
    }

    // From the gradient of the logits to those of all parameters. d is used up.
    void backward(matrix& d)
    {
        for (std::size_t l = layers.size(); l-- > 0;) {
            layer& a = layers[l];
            if (a.relu)
                for (std::size_t i = 0; i < d.data.size(); ++i)
                    d.data[i] = a.output.data[i] > 0.0f ? d.data[i] : 0.0f;
            if (a.what != kind::average_pool) {
                std::fill(a.bias.gradient.begin(), a.bias.gradient.end(), 0.0f);
                for (std::size_t i = 0; i < d.data.size(); i += a.bias.gradient.size())
                    for (std::size_t c = 0; c < a.bias.gradient.size(); ++c)
                        a.bias.gradient[c] += d.data[i + c];
            }
            d_input_.resize(d.rows, a.in.size());
            std::fill(d_input_.data.begin(), d_input_.data.end(), 0.0f);
            switch (a.what) {
            case kind::convolution: convolve_backward(a, d, l == 0); break;
            case kind::depthwise: depthwise_backward(a, d); break;
            case kind::average_pool: pool_backward(a, d); break;
            }
            std::swap(d, d_input_);
        }
    }

    void step(float rate)
    {
        ++steps_;
        for (layer& a : layers) {
            a.weights.step(rate, steps_);
            a.bias.step(rate, steps_);
        }
    }

    void forget() { steps_ = 0; }

    std::ptrdiff_t parameters() const
    {
        std::size_t count = 0;
        for (const layer& a : layers)
            count += a.weights.value.size() + a.bias.value.size();
        return static_cast<std::ptrdiff_t>(count);
    }

private:
    network& add(kind what, nibble::tflite::window at, bool relu, std::ptrdiff_t channels)
    {
        layer a {what, at, relu, next_, {output_height(at, next_.height), output_width(at, next_.width), channels}, parameter(),
            parameter(), {}, {}, {}};
        if (what != kind::average_pool) {
            a.weights = parameter(static_cast<std::size_t>(what == kind::convolution ? channels * a.k() : channels * a.taps()));
            a.bias = parameter(static_cast<std::size_t>(channels));
        }
        next_ = a.out;
        layers.push_back(std::move(a));
        return *this;
    }

    static nibble::matrix_view<float> by_pixel(matrix& m, image_size size)
    {
        return {m.data.data(), m.rows * size.pixels(), size.channels};
    }

    void convolve(layer& a)
    {
        nibble::epilogue e;
        e.bias = a.bias.value;
        e.function = a.relu ? nibble::activation_function::relu : nibble::activation_function::none;
        if (!a.in_place()) {
            a.gathered.resize(a.input.rows * a.out.pixels(), a.k());
            std::fill(a.gathered.data.begin(), a.gathered.data.end(), 0.0f);
            for_taps(a, a.input.rows, [&](std::ptrdiff_t out, std::ptrdiff_t in, std::ptrdiff_t tap) {
                std::copy_n(a.input.data.data() + in * a.in.channels, a.in.channels, a.gathered.row(out) + tap * a.in.channels);
            });
        }
        product_(rows_of(a), a.weight_view(), e, by_pixel(a.output, a.out));
    }
    nibble::matrix_view<const float> rows_of(layer& a)
    {
        return a.in_place() ? nibble::matrix_view<const float>(by_pixel(a.input, a.in)) : a.gathered.view();
    }
    void convolve_backward(layer& a, matrix& d, bool first)
    {
        const nibble::matrix_view<const float> d_output(by_pixel(d, a.out));
        transpose(d_output, left_);
        transpose(rows_of(a), right_);
        product_(left_.view(), right_.view(), {}, {a.weights.gradient.data(), a.out.channels, a.k()});
        if (first)
            return;
        transpose(a.weight_view(), right_);
        if (a.in_place())
            return product_(d_output, right_.view(), {}, by_pixel(d_input_, a.in));
        left_.resize(d_output.rows, a.k());
        product_(d_output, right_.view(), {}, left_.view());
        for_taps(a, d.rows, [&](std::ptrdiff_t out, std::ptrdiff_t in, std::ptrdiff_t tap) {
            const float* const from = left_.row(out) + tap * a.in.channels;
            float* const to = d_input_.data.data() + in * a.in.channels;
            for (std::ptrdiff_t c = 0; c < a.in.channels; ++c)
                to[c] += from[c];
        });
    }

    void convolve_depthwise(layer& a)
    {
        const std::ptrdiff_t channels = a.in.channels;
        for (std::size_t i = 0; i < a.output.data.size(); i += a.bias.value.size())
            std::copy(a.bias.value.begin(), a.bias.value.end(), a.output.data.begin() + static_cast<std::ptrdiff_t>(i));
        for_taps(a, a.input.rows, [&](std::ptrdiff_t out, std::ptrdiff_t in, std::ptrdiff_t tap) {
            float* const y = a.output.data.data() + out * channels;
            const float *x = a.input.data.data() + in * channels, *w = a.weights.value.data() + tap * channels;
            for (std::ptrdiff_t c = 0; c < channels; ++c)
                y[c] += x[c] * w[c];
        });
        for (float& y : a.output.data)
            y = std::max(y, 0.0f);
    }
    void depthwise_backward(layer& a, const matrix& d)
    {
        const std::ptrdiff_t channels = a.in.channels;
        std::fill(a.weights.gradient.begin(), a.weights.gradient.end(), 0.0f);
        for_taps(a, d.rows, [&](std::ptrdiff_t out, std::ptrdiff_t in, std::ptrdiff_t tap) {
            const float *dy = d.data.data() + out * channels, *x = a.input.data.data() + in * channels,
                        *w = a.weights.value.data() + tap * channels;
            float *dx = d_input_.data.data() + in * channels, *dw = a.weights.gradient.data() + tap * channels;
            for (std::ptrdiff_t c = 0; c < channels; ++c) {
                dx[c] += dy[c] * w[c];
                dw[c] += dy[c] * x[c];
            }
        });
    }

    // Windows lie within the image.
    void pool(layer& a)
    {
        std::fill(a.output.data.begin(), a.output.data.end(), 0.0f);
        const float part = 1.0f / static_cast<float>(a.taps());
        for_taps(a, a.input.rows, [&](std::ptrdiff_t out, std::ptrdiff_t in, std::ptrdiff_t) {
            for (std::ptrdiff_t c = 0; c < a.in.channels; ++c)
                a.output.data[static_cast<std::size_t>(out * a.in.channels + c)]
                    += part * a.input.data[static_cast<std::size_t>(in * a.in.channels + c)];
        });
    }
    void pool_backward(layer& a, const matrix& d)
    {
        const float part = 1.0f / static_cast<float>(a.taps());
        for_taps(a, d.rows, [&](std::ptrdiff_t out, std::ptrdiff_t in, std::ptrdiff_t) {
            for (std::ptrdiff_t c = 0; c < a.in.channels; ++c)
                d_input_.data[static_cast<std::size_t>(in * a.in.channels + c)]
                    += part * d.data[static_cast<std::size_t>(out * a.in.channels + c)];
        });
    }

    image_size next_;
    int steps_ = 0;
    matrix left_, right_, d_input_;
    perceptron::product_of_floats product_;
};

} // namespace cnn
