#include "comparisons.hpp"

#include "evaluate.hpp"
#include "text.hpp"

#include <algorithm>

namespace {

using nibble::matrix_view;
using nibble::status;

constexpr weight_setting settings[]
    = {{"INT8, per channel", 8, 0, nibble::scheme::symmetric}, {"INT4, per channel", 4, 0, nibble::scheme::symmetric},
        {"INT4, groups of 32", 4, 32, nibble::scheme::symmetric}, {"UINT4, zero points, groups of 32", 4, 32, nibble::scheme::affine},
        {"INT3, per channel", 3, 0, nibble::scheme::symmetric}, {"INT3, groups of 32", 3, 32, nibble::scheme::symmetric}};

// What a matrix's output becomes, for the calibration's inputs.
nibble::result<double> output_sqnr(matrix_view<const float> w, const std::vector<float>& back, const nibble::hessian& inputs)
{
    const std::vector<float> zeros(back.size());
    const auto noise = nibble::output_error(w, matrix_view<const float>(back.data(), w.rows, w.cols), inputs);
    const auto signal = nibble::output_error(w, matrix_view<const float>(zeros.data(), w.rows, w.cols), inputs);
    if (!noise || !signal)
        return noise ? signal.error() : noise.error();
    return 10 * std::log10(*signal / *noise);
}

} // namespace

nibble::result<language_model_rows> compare_language_model(
    const std::vector<char>& file, const std::string& text, std::size_t windows, std::size_t calibration_count)
{
    const nibble::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(file.data()), file.size());
    auto floats = model::load(bytes, quantizer_for(format::fp32));
    if (!floats)
        return floats.error();
    if (floats->vocabulary() != 256)
        return status::file_type_mismatch;
    const std::string test = held_out(text);
    const std::size_t context = floats->context();
    windows = std::min(windows, test.size() / context);
    if (windows == 0)
        return status::calibration_missing;
    const auto data = calibrate(*floats, calibration_windows(text, calibration_count, context));
    if (!data)
        return data.error();
    const std::string of = " windows of " + std::to_string(context) + " bytes of ";
    language_model_rows all {
        std::to_string(calibration_count) + of + "the training text", std::to_string(windows) + of + "held-out text", {}};
    std::vector<float> reference;
    const auto measure = [&](model& m, layer_errors errors) {
        const auto done = evaluate(m, test, windows, reference, errors.format + ", " + errors.method);
        if (done) {
            const nibble::prediction_statistics& p = done->predictions;
            all.rows.push_back({std::move(errors), m.bytes(), p.perplexity(), p.mean_kl(), p.top1()});
        }
        return done.error();
    };
    if (const status s = measure(*floats, {"FP32", "", {}}); s != status::ok)
        return s;
    for (const weight_setting& to_what : settings)
        for (const method how : all_methods) {
            layer_errors errors {to_what.name, name_of(how), {}};
            auto quantized = model::load(bytes, [&](matrix_view<const float> w, linear& to, std::vector<float>& back) {
                const layer_inputs& inputs = data->at(to.name);
                if (const status s = quantize_layer(w, inputs, to_what, how, to, back); s != status::ok)
                    return s;
                const auto output = output_sqnr(w, back, inputs.products);
                if (output)
                    errors.layers.push_back({to.name, 0, *output});
                return output.error();
            });
            if (!quantized)
                return quantized.error();
            for (std::size_t i = 0; i < errors.layers.size(); ++i)
                errors.layers[i].weight_db = quantized->matrices()[i]->sqnr;
            if (const status s = measure(*quantized, std::move(errors)); s != status::ok)
                return s;
        }
    return all;
}
