// What a trained network becomes: int8 codes from the image to the logits, TFLite's scheme, requantized in fixed point.
#pragma once

#include "cnn.hpp"

namespace cnn {

using nibble::tflite::images_view;
using nibble::tflite::quantization;
using perceptron::must;

// Layers that stay as they are: the first and the last often lose most.
struct kept_in_float {
    bool first = false, last = false;
};

class int8_network {
public:
    // source: lives as long as this does. samples: images to calibrate with. weights: per_tensor or per_channel.
    int8_network(network& source, const matrix& samples, nibble::granularity weights, kept_in_float kept = {})
        : source_(source), kept_(kept)
    {
        source.forward(samples);
        nibble::min_max_observer seen;
        seen.observe(kept.first ? source.layers.front().output.data : samples.data);
        input_ = nibble::tflite::choose_quantization(seen.range());
        quantization x = input_;
        for (std::size_t i = kept.first; i + kept.last < source.layers.size(); ++i) {
            layers_.emplace_back();
            quantize(source.layers[i], weights, x, layers_.back());
            x = layers_.back().output;
        }
    }

    const matrix& forward(const matrix& images)
    {
        const matrix& x = kept_.first ? source_.run(source_.layers.front(), images) : images;
        const float scale[] = {input_.scale};
        const std::int32_t zero_point[] = {input_.zero_point};
        codes_.resize(x.data.size());
        must(nibble::quantize<std::int8_t>(x.view(), {nibble::granularity::per_tensor, 0, scale, zero_point},
            {codes_.data(), x.rows, x.cols}, nibble::preset::tflite_activations.rule));
        quantization q = input_;
        for (layer_codes& a : layers_) {
            const images_view<const std::int8_t> from(codes_.data(), x.rows, a.in.height, a.in.width, a.in.channels);
            next_.resize(static_cast<std::size_t>(x.rows * a.out.size()));
            const images_view<std::int8_t> to(next_.data(), x.rows, a.out.height, a.out.width, a.out.channels);
            nibble::requantization r;
            r.mode = nibble::requantize_mode::double_rounding;
            r.multiplier = a.multiplier;
            r.shift = a.shift;
            r.bias = a.bias;
            r.zero_point = a.output.zero_point;
            r.low = a.bounds.qmin;
            r.high = a.bounds.qmax;
            switch (a.what) {
            case kind::convolution: must(nibble::tflite::conv2d(from, q.zero_point, a.filter, a.at, r, to, a.workspace)); break;
            case kind::depthwise:
                must(nibble::tflite::depthwise_conv2d(
                    from, q.zero_point, {a.weights.data(), a.at.kernel_height * a.at.kernel_width, a.out.channels}, a.at, r, to));
                break;
            case kind::average_pool: must(nibble::tflite::average_pool2d(from, a.at, to)); break;
            }
            q = a.output;
            std::swap(codes_, next_);
        }
        logits_.resize(x.rows, layers_.back().out.size());
        const float last_scale[] = {q.scale};
        const std::int32_t last_zero_point[] = {q.zero_point};
        must(nibble::dequantize<std::int8_t>({codes_.data(), logits_.rows, logits_.cols},
            {nibble::granularity::per_tensor, 0, last_scale, last_zero_point}, logits_.view()));
        return kept_.last ? source_.run(source_.layers.back(), logits_) : logits_;
    }

    // Bytes of codes, biases, multipliers and shifts, and of float layers.
    std::size_t bytes() const
    {
        const auto floats_of = [](const layer& a) { return 4 * (a.weights.value.size() + a.bias.value.size()); };
        std::size_t all = kept_.first ? floats_of(source_.layers.front()) : 0;
        all += kept_.last ? floats_of(source_.layers.back()) : 0;
        for (const layer_codes& a : layers_)
            all += a.weights.size() + 4 * (a.bias.size() + a.multiplier.size() + a.shift.size());
        return all;
    }

private:
    struct layer_codes {
        kind what;
        nibble::tflite::window at;
        image_size in, out;
        quantization output;
        nibble::code_limits bounds {-128, 127};
        std::vector<std::int8_t> weights;
        std::vector<std::int32_t> bias, multiplier, shift;
        nibble::tflite::packed_filter filter;
        std::vector<std::byte> workspace;
    };

    static void quantize(const layer& a, nibble::granularity weights, quantization x, layer_codes& to)
    {
        to.what = a.what;
        to.at = a.at;
        to.in = a.in;
        to.out = a.out;
        to.output = x;
        if (a.what == kind::average_pool)
            return;
        nibble::min_max_observer seen;
        seen.observe(a.output.data);
        to.output = nibble::tflite::choose_quantization(seen.range());
        const auto bounds = nibble::tflite::bounds_of(
            a.relu ? nibble::tflite::fused_activation::relu : nibble::tflite::fused_activation::none, to.output);
        must(bounds.error());
        to.bounds = *bounds;

        const bool depthwise = a.what == kind::depthwise;
        if (depthwise && weights == nibble::granularity::per_channel)
            weights = nibble::granularity::per_column;
        const nibble::matrix_view<const float> w = a.weight_view();
        std::vector<float> scales(static_cast<std::size_t>(nibble::params_count(weights, w.rows, w.cols)));
        std::vector<float> scratch(nibble::choose_params_scratch(weights, w.rows, w.cols));
        const nibble::quantization_preset how = nibble::preset::tflite_weights;
        must(nibble::choose_params<std::int8_t>(w, how.params, weights, 0, scales, {}, scratch));
        to.weights.resize(a.weights.value.size());
        const nibble::matrix_view<std::int8_t> codes(to.weights.data(), w.rows, w.cols);
        must(nibble::quantize(w, {weights, 0, scales}, codes, how.rule));
        to.bias.resize(a.bias.value.size());
        must(nibble::tflite::quantize_bias(a.bias.value, x.scale, scales, to.bias));
        to.multiplier.resize(scales.size());
        to.shift.resize(scales.size());
        must(nibble::tflite::output_multipliers(x.scale, scales, to.output.scale, to.multiplier, to.shift));
        if (!depthwise) {
            auto filter = nibble::tflite::packed_filter::make(
                nibble::matrix_view<const std::int8_t>(codes), a.at.kernel_height, a.at.kernel_width, a.in.channels);
            must(filter.error());
            to.filter = std::move(*filter);
            to.workspace.resize(nibble::tflite::conv2d_workspace(to.filter));
        }
    }

    network& source_;
    kept_in_float kept_;
    quantization input_;
    std::vector<layer_codes> layers_;
    std::vector<std::int8_t> codes_, next_;
    matrix logits_;
};

} // namespace cnn
