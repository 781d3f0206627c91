#include "comparisons.hpp"

#include "evaluate.hpp"

#include <fstream>

#include <nlohmann/json.hpp>

#include "../common/command_line.hpp"

namespace {

using nibble::matrix_view;
using nibble::status;

constexpr weight_setting settings[] = {{"INT8, per channel", 8, 0, nibble::scheme::symmetric},
    {"INT4, per channel", 4, 0, nibble::scheme::symmetric}, {"INT4, groups of 32", 4, 32, nibble::scheme::symmetric},
    {"INT3, per channel", 3, 0, nibble::scheme::symmetric}, {"INT3, groups of 32", 3, 32, nibble::scheme::symmetric}};

// A file of rows of `cols` floats.
struct table {
    std::vector<float> values;
    std::ptrdiff_t cols;

    table(const std::string& path, std::ptrdiff_t columns) : cols(columns)
    {
        std::string wrong; // then the table is empty, which the caller finds
        const std::vector<char> bytes = command_line::read_file(path, wrong);
        values.resize(bytes.size() / sizeof(float));
        std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    }
    matrix_view<const float> view() const { return {values.data(), static_cast<std::ptrdiff_t>(values.size()) / cols, cols}; }
};

// Appends to the row of this format and method.
void add(std::vector<layer_errors>& all, const std::string& format, const std::string& method, const layer_row& layer)
{
    for (layer_errors& e : all)
        if (e.format == format && e.method == method)
            return e.layers.push_back(layer);
    all.push_back({format, method, {layer}});
}

status compare_layer(const std::string& name, const table& w, const table& seen, const table& x, std::vector<layer_errors>& weights,
    std::vector<layer_errors>& activations)
{
    auto inputs = layer_inputs::make(w.cols);
    if (!inputs)
        return inputs.error();
    if (const status s = inputs->add(seen.view()); s != status::ok)
        return s;
    const auto floats = nibble::packed_weights::make(w.view());
    if (!floats)
        return floats.error();
    const std::ptrdiff_t m = x.view().rows, n = w.view().rows;
    std::vector<float> expected(static_cast<std::size_t>(m * n)), got(expected.size()), back;
    const matrix_view<float> expected_view(expected.data(), m, n), got_view(got.data(), m, n);
    if (const status s = nibble::gemm(x.view(), *floats, {}, expected_view, {}); s != status::ok)
        return s;
    product_scratch scratch;
    for (const weight_setting& to_what : settings)
        for (const method how : all_methods) {
            linear quantized;
            if (const status s = quantize_layer(w.view(), *inputs, to_what, how, quantized, back); s != status::ok)
                return s;
            if (const status s = multiply(quantized, x.view(), {}, got_view, scratch); s != status::ok)
                return s;
            const auto of_weights = nibble::compare(w.view(), matrix_view<const float>(back.data(), n, w.cols));
            const auto of_output = nibble::compare(expected_view, got_view);
            if (!of_weights || !of_output)
                return of_weights ? of_output.error() : of_weights.error();
            add(weights, to_what.name, name_of(how), {name, of_weights->sqnr_db(), of_output->sqnr_db()});
        }
    const auto schemes = compare_activation_schemes(seen.view(), x.view(), w.view());
    if (!schemes)
        return schemes.error();
    for (const activation_error& e : *schemes)
        add(activations, "INT8, both", e.scheme, {name, 0, e.output.sqnr_db()});
    return status::ok;
}

} // namespace

status compare_recogniser(const std::string& folder, std::vector<layer_errors>& weights, std::vector<layer_errors>& activations)
{
    std::ifstream file(folder + "/layers.json");
    const nlohmann::json layers = nlohmann::json::parse(file, nullptr, false);
    if (!layers.is_array())
        return status::file_damaged;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const std::string at = folder + "/" + std::to_string(i);
        const std::ptrdiff_t k = layers[i]["k"], n = layers[i]["n"];
        const table w(at + ".weights", k), seen(at + ".calibration", k), x(at + ".test", k);
        if (w.view().rows != n || seen.view().empty() || x.view().empty())
            return status::file_truncated;
        const std::string name = std::to_string(i) + ": " + std::to_string(n) + " x " + std::to_string(k);
        if (const status s = compare_layer(name, w, seen, x, weights, activations); s != status::ok)
            return s;
        std::fprintf(stderr, "recogniser, layer %zu of %zu\n", i + 1, layers.size());
    }
    return status::ok;
}
