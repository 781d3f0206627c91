// A multilayer perceptron that trains in floats or in fake quantization, and what it becomes afterwards: integer kernels only.
//   forward    x^ = fake_quantize(x), w^ = fake_quantize(w), y = x^ w^T + bias, ReLU but for the last layer
//   backward   dw^ = dy^T x^, dx^ = dy w^, and through fake_quantize to w, x and their scales (LSQ)
//   step       Adam; a scale moves by a fraction of where it started
// The products are nibble's. Everything is computed in one fixed order: the same seed gives the same network.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include <nibble/nibble.hpp>

namespace perceptron {

inline void must(nibble::status s)
{
    if (s == nibble::status::ok)
        return;
    std::fprintf(stderr, "\nnibble: %s\n", nibble::to_string(s));
    std::exit(1);
}

struct matrix {
    std::ptrdiff_t rows = 0, cols = 0;
    std::vector<float> data;

    void resize(std::ptrdiff_t r, std::ptrdiff_t c)
    {
        rows = r;
        cols = c;
        data.resize(static_cast<std::size_t>(r * c));
    }
    float* row(std::ptrdiff_t r) { return data.data() + r * cols; }
    const float* row(std::ptrdiff_t r) const { return data.data() + r * cols; }
    nibble::matrix_view<float> view() { return {data.data(), rows, cols}; }
    nibble::matrix_view<const float> view() const { return {data.data(), rows, cols}; }
};

inline void transpose(nibble::matrix_view<const float> from, matrix& to)
{
    constexpr std::ptrdiff_t tile = 16;
    to.resize(from.cols, from.rows);
    for (std::ptrdiff_t r = 0; r < from.rows; r += tile)
        for (std::ptrdiff_t c = 0; c < from.cols; c += tile)
            for (std::ptrdiff_t i = r; i < std::min(r + tile, from.rows); ++i)
                for (std::ptrdiff_t j = c; j < std::min(c + tile, from.cols); ++j)
                    to.row(j)[i] = from(i, j);
}

// c = epilogue(a w^T); the memory of packed weights is kept.
class product_of_floats {
public:
    void operator()(
        nibble::matrix_view<const float> a, nibble::matrix_view<const float> w, const nibble::epilogue& e, nibble::matrix_view<float> c)
    {
        const auto size = nibble::packed_size<float>(w.rows, w.cols);
        must(size.error());
        packed_.resize(std::max(packed_.size(), *size));
        must(nibble::pack(w, packed_));
        const auto packed = nibble::view_packed(nibble::span<const std::byte>(packed_.data(), packed_.size()));
        must(packed.error());
        must(nibble::gemm(a, *packed, e, c, {}));
    }

private:
    std::vector<std::byte> packed_;
};

// Numbers that are trained, and Adam's averages of their gradients.
struct parameter {
    std::vector<float> value, gradient, mean, square;

    explicit parameter(std::size_t size = 0) : value(size), gradient(size), mean(size), square(size) {}

    void step(float rate, int t)
    {
        const float mean_part = 1.0f - std::pow(0.9f, static_cast<float>(t)), square_part = 1.0f - std::pow(0.999f, static_cast<float>(t));
        for (std::size_t i = 0; i < value.size(); ++i) {
            mean[i] = 0.9f * mean[i] + 0.1f * gradient[i];
            square[i] = 0.999f * square[i] + 0.001f * gradient[i] * gradient[i];
            value[i] -= rate * (mean[i] / mean_part) / (std::sqrt(square[i] / square_part) + 1e-8f);
        }
    }
};

// Weights of one scale a channel, activations of one scale a layer, from 0.
struct precision {
    nibble::code_limits weights {0, 0}, activations {0, 0}; // {0, 0}: floats

    bool quantized() const { return weights.qmax != 0; }
};

struct layer {
    std::ptrdiff_t in = 0, out = 0;
    parameter weights, bias, weight_scales, input_scale {1}; // weights: out x in
    matrix input, rounded_input, rounded_weights, output;    // kept for the backward pass
    float weight_scale_step = 0, input_scale_step = 0;
};

class network {
public:
    // sizes: of the input, the hidden layers, the output.
    network(const std::vector<std::ptrdiff_t>& sizes, unsigned seed)
    {
        std::mt19937 random(seed);
        for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
            layer a;
            a.in = sizes[l];
            a.out = sizes[l + 1];
            a.weights = parameter(static_cast<std::size_t>(a.in * a.out));
            a.bias = parameter(static_cast<std::size_t>(a.out));
            a.weight_scales = parameter(static_cast<std::size_t>(a.out));
            const float reach = std::sqrt(6.0f / static_cast<float>(a.in));
            for (float& w : a.weights.value)
                w = (static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f) * reach;
            layers.push_back(std::move(a));
        }
    }

    std::vector<layer> layers;
    precision bits;

    nibble::fake_quantization weight_quantization(const layer& a) const
    {
        return {{nibble::granularity::per_channel, 0, a.weight_scales.value}, bits.weights, {}};
    }
    nibble::fake_quantization input_quantization(const layer& a) const
    {
        return {{nibble::granularity::per_tensor, 0, a.input_scale.value}, bits.activations, {}};
    }

    // Post-training quantization, from which quantization-aware training starts: scales of the weights as `from` says, of the
    // activations from their range over `samples`, whose own scale is known: they are in [0, 1].
    void quantize(precision p, nibble::params_start from, const matrix& samples)
    {
        bits = {};
        forward(samples);
        bits = p;
        for (std::size_t l = 0; l < layers.size(); ++l) {
            layer& a = layers[l];
            std::vector<float> scratch(nibble::start_params_scratch(from, nibble::granularity::per_channel, a.out, a.in));
            must(nibble::start_params(weight_view(a), from, nibble::scheme::symmetric, p.weights, nibble::granularity::per_channel, 0,
                a.weight_scales.value, {}, scratch));
            nibble::range_observer observer(0);
            must(observer.observe(a.input.view()));
            const float high = l == 0 ? 1.0f : observer.high();
            a.input_scale.value[0] = high > 0.0f ? high / static_cast<float>(p.activations.qmax) : 1.0f;
            a.input_scale_step = l == 0 ? 0.0f : a.input_scale.value[0];
            a.weight_scale_step = 0.0f;
            for (const float scale : a.weight_scales.value)
                a.weight_scale_step += scale / static_cast<float>(a.out);
        }
    }

    // Post-training quantization by GPTQ, after quantize(): layer by layer, each for the inputs that the quantized layers before it give.
    void gptq(const matrix& samples)
    {
        nibble::weight_format format;
        for (format.bits = 2; (1 << format.bits) <= bits.weights.qmax - bits.weights.qmin;)
            ++format.bits;
        format.range = bits.weights.qmin == -bits.weights.qmax ? nibble::code_range::narrow : nibble::code_range::full;
        format.search = nibble::range_search::squared_error;
        nibble::gptq_options options;
        options.act_order = true;
        for (layer& a : layers) {
            forward(samples);
            auto seen = nibble::hessian::make(a.in);
            must(seen.error());
            must(seen->add(a.rounded_input.view()));
            std::vector<std::int8_t> codes(a.weights.value.size());
            const nibble::quantized_matrix<std::int8_t> q {{codes.data(), a.out, a.in}, a.weight_scales.value};
            must(nibble::gptq(weight_view(a), *seen, format, q, options));
            must(nibble::dequantize(nibble::matrix_view<const std::int8_t>(q.codes), nibble::params_of(format, q),
                nibble::matrix_view<float>(a.weights.value.data(), a.out, a.in)));
        }
    }

    // Logits of every row of x.
    const matrix& forward(const matrix& x)
    {
        const matrix* input = &x;
        for (std::size_t l = 0; l < layers.size(); ++l) {
            layer& a = layers[l];
            a.input = *input;
            if (bits.quantized()) {
                a.rounded_input.resize(a.input.rows, a.input.cols);
                must(nibble::fake_quantize(a.input.view(), input_quantization(a), a.rounded_input.view()));
                a.rounded_weights.resize(a.out, a.in);
                must(nibble::fake_quantize(weight_view(a), weight_quantization(a), a.rounded_weights.view()));
            }
            nibble::epilogue e;
            e.bias = a.bias.value;
            e.function = l + 1 < layers.size() ? nibble::activation_function::relu : nibble::activation_function::none;
            a.output.resize(x.rows, a.out);
            product_(seen_input(a), seen_weights(a), e, a.output.view());
            input = &a.output;
        }
        return *input;
    }

    // From the gradient of the logits to those of all parameters. d is used up.
    void backward(matrix& d)
    {
        for (std::size_t l = layers.size(); l-- > 0;) {
            layer& a = layers[l];
            std::fill(a.bias.gradient.begin(), a.bias.gradient.end(), 0.0f);
            for (std::ptrdiff_t r = 0; r < d.rows; ++r)
                for (std::ptrdiff_t c = 0; c < d.cols; ++c)
                    a.bias.gradient[static_cast<std::size_t>(c)] += d.row(r)[c];
            const nibble::matrix_view<float> d_weights(a.weights.gradient.data(), a.out, a.in);
            transpose(d.view(), left_);
            transpose(seen_input(a), right_);
            product_(left_.view(), right_.view(), {}, d_weights);
            if (bits.quantized())
                through_quantization(weight_view(a), weight_quantization(a), a.in, d_weights, a.weight_scales.gradient);
            if (l == 0)
                return;
            transpose(seen_weights(a), right_);
            d_input_.resize(d.rows, a.in);
            product_(d.view(), right_.view(), {}, d_input_.view());
            if (bits.quantized())
                through_quantization(
                    a.input.view(), input_quantization(a), a.input.rows * a.input.cols, d_input_.view(), a.input_scale.gradient);
            for (std::size_t i = 0; i < d_input_.data.size(); ++i)
                d_input_.data[i] = a.input.data[i] > 0.0f ? d_input_.data[i] : 0.0f;
            std::swap(d, d_input_);
        }
    }

    void step(float rate)
    {
        ++steps_;
        for (layer& a : layers) {
            a.weights.step(rate, steps_);
            a.bias.step(rate, steps_);
            if (!bits.quantized())
                continue;
            a.weight_scales.step(rate * a.weight_scale_step, steps_);
            a.input_scale.step(rate * a.input_scale_step, steps_);
            nibble::bound_scales(a.weight_scales.value, 1e-3f * a.weight_scale_step);
            nibble::bound_scales(a.input_scale.value, 1e-3f * a.input_scale_step);
        }
    }

    // Adam's averages start anew: for another phase of training.
    void forget()
    {
        steps_ = 0;
        for (layer& a : layers)
            for (parameter* p : {&a.weights, &a.bias, &a.weight_scales, &a.input_scale}) {
                std::fill(p->mean.begin(), p->mean.end(), 0.0f);
                std::fill(p->square.begin(), p->square.end(), 0.0f);
            }
    }

    static nibble::matrix_view<const float> weight_view(const layer& a) { return {a.weights.value.data(), a.out, a.in}; }

private:
    nibble::matrix_view<const float> seen_input(const layer& a) const { return bits.quantized() ? a.rounded_input.view() : a.input.view(); }
    nibble::matrix_view<const float> seen_weights(const layer& a) const
    {
        return bits.quantized() ? a.rounded_weights.view() : weight_view(a);
    }

    // The gradient of rounded values to that of values, in place, and of their scales; `sharing`: how many elements share a scale.
    void through_quantization(nibble::matrix_view<const float> x, const nibble::fake_quantization& f, std::ptrdiff_t sharing,
        nibble::matrix_view<float> d, nibble::span<float> d_scales)
    {
        scratch_.resize(std::max(scratch_.size(), nibble::fake_quantize_scratch(f.params.kind, x.rows, x.cols)));
        nibble::gradient_rule how;
        how.factor = nibble::lsq_gradient_factor(sharing, f.codes.qmax);
        must(nibble::fake_quantize_backward(x, d, f, {d, d_scales}, scratch_, how));
    }

    int steps_ = 0;
    matrix left_, right_, d_input_;
    product_of_floats product_;
    std::vector<float> scratch_;
};

// Mean cross-entropy of softmax(logits), and its gradient.
inline double cross_entropy(const matrix& logits, const std::uint8_t* labels, matrix& d)
{
    double loss = 0;
    d.resize(logits.rows, logits.cols);
    for (std::ptrdiff_t r = 0; r < logits.rows; ++r) {
        const float* z = logits.row(r);
        const float top = *std::max_element(z, z + logits.cols);
        float sum = 0;
        for (std::ptrdiff_t c = 0; c < logits.cols; ++c)
            sum += d.row(r)[c] = std::exp(z[c] - top);
        loss += static_cast<double>(std::log(sum) + top - z[labels[r]]);
        for (std::ptrdiff_t c = 0; c < logits.cols; ++c)
            d.row(r)[c] = (d.row(r)[c] / sum - (c == labels[r] ? 1.0f : 0.0f)) / static_cast<float>(logits.rows);
    }
    return loss / static_cast<double>(logits.rows);
}

inline std::ptrdiff_t count_correct(const matrix& logits, const std::uint8_t* labels)
{
    std::ptrdiff_t correct = 0;
    for (std::ptrdiff_t r = 0; r < logits.rows; ++r)
        correct += std::max_element(logits.row(r), logits.row(r) + logits.cols) - logits.row(r) == labels[r];
    return correct;
}

// What a quantized network becomes: packed int8 codes with the trained scales; activations are codes from the first layer to the logits.
class integer_network {
public:
    explicit integer_network(const network& n) : source_(n)
    {
        for (const layer& a : n.layers) {
            auto packed = nibble::convert<std::int8_t>(network::weight_view(a), n.weight_quantization(a));
            must(packed.error());
            weights_.push_back(std::move(*packed));
        }
    }

    const matrix& forward(const matrix& x)
    {
        codes_.resize(static_cast<std::size_t>(x.rows * x.cols));
        must(nibble::fake_quantized_codes(
            x.view(), source_.input_quantization(source_.layers[0]), nibble::matrix_view<std::uint8_t>(codes_.data(), x.rows, x.cols)));
        for (std::size_t l = 0; l < weights_.size(); ++l) {
            const layer& a = source_.layers[l];
            const nibble::packed_weights_view w = weights_[l];
            workspace_.resize(std::max(workspace_.size(), nibble::gemm_workspace(x.rows, w)));
            const nibble::matrix_view<const std::uint8_t> from(codes_.data(), x.rows, w.k);
            const nibble::static_activations scale {a.input_scale.value[0], 0};
            nibble::epilogue e;
            e.bias = a.bias.value;
            if (l + 1 == weights_.size()) {
                logits_.resize(x.rows, w.n);
                must(nibble::gemm(from, scale, w, e, logits_.view(), workspace_));
                break;
            }
            // The codes of the next layer's activations; the clamps are ReLU and the greatest of those codes.
            e.function = nibble::activation_function::relu;
            e.output_scale = source_.layers[l + 1].input_scale.value[0];
            e.clamp_high = e.output_scale * static_cast<float>(source_.bits.activations.qmax);
            next_.resize(static_cast<std::size_t>(x.rows * w.n));
            must(nibble::gemm(from, scale, w, e, nibble::matrix_view<std::uint8_t>(next_.data(), x.rows, w.n), workspace_));
            std::swap(codes_, next_);
        }
        return logits_;
    }

private:
    const network& source_;
    std::vector<nibble::packed_weights> weights_;
    std::vector<std::uint8_t> codes_, next_;
    std::vector<std::byte> workspace_;
    matrix logits_;
};

} // namespace perceptron
