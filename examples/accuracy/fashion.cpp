#include "comparisons.hpp"

#include "training.hpp"

namespace {

using nibble::status;
using perceptron::matrix;
using perceptron::must;
using perceptron::network;

constexpr std::ptrdiff_t calibration_images = 2048;
constexpr int epochs = 10;

constexpr weight_setting settings[] = {{"INT8, per channel", 8, 0, nibble::scheme::symmetric},
    {"INT4, per channel", 4, 0, nibble::scheme::symmetric}, {"INT4, groups of 32", 4, 32, nibble::scheme::symmetric},
    {"INT3, per channel", 3, 0, nibble::scheme::symmetric}, {"INT3, groups of 32", 3, 32, nibble::scheme::symmetric},
    {"INT2, per channel", 2, 0, nibble::scheme::symmetric}, {"INT2, groups of 32", 2, 32, nibble::scheme::symmetric}};

// The range of activations that ReLU has made from what each way makes of the calibration's.
struct observation {
    const char* name;
    nibble::result<nibble::value_range> (*range)(const matrix& seen, const nibble::histogram_observer& histogram);
};
constexpr nibble::code_limits activation_codes = nibble::codes_of_bits(8, false);

const observation observations[] = {
    {"min-max", [](const matrix&, const nibble::histogram_observer& h) { return nibble::result(h.values().range()); }},
    {"moving average over batches of 128",
        [](const matrix& seen, const nibble::histogram_observer&) {
            nibble::moving_average_observer observer;
            for (std::ptrdiff_t r = 0; r + perceptron::batch <= seen.rows; r += perceptron::batch)
                observer.observe({seen.row(r), static_cast<std::size_t>(perceptron::batch * seen.cols)});
            return nibble::result(observer.range());
        }},
    {"99.99th percentile", [](const matrix&, const nibble::histogram_observer& h) { return nibble::percentile_range(h, 99.99, false); }},
    {"99.9th percentile", [](const matrix&, const nibble::histogram_observer& h) { return nibble::percentile_range(h, 99.9, false); }},
    {"squared error of codes",
        [](const matrix&, const nibble::histogram_observer& h) {
            return nibble::squared_error_range(h, nibble::params_rule(nibble::scheme::affine), activation_codes);
        }},
    {"squared error of bins", [](const matrix&, const nibble::histogram_observer& h) { return nibble::least_squares_range(h); }},
    {"entropy", [](const matrix&, const nibble::histogram_observer& h) { return nibble::entropy_range(h); }},
};

// The network with one matrix for each layer, in any format; activations are quantized inside the products, row by row.
class dynamic_network {
public:
    dynamic_network(const network& source, const std::vector<layer_inputs>& inputs, const weight_setting& to_what, method how)
        : source_(source)
    {
        std::vector<float> back;
        for (std::size_t l = 0; l < source.layers.size(); ++l) {
            layers_.emplace_back();
            must(quantize_layer(network::weight_view(source.layers[l]), inputs[l], to_what, how, layers_.back(), back));
        }
    }

    const matrix& forward(const matrix& x)
    {
        const matrix* input = &x;
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            nibble::epilogue e;
            e.bias = source_.layers[l].bias.value;
            e.function = l + 1 < layers_.size() ? nibble::activation_function::relu : nibble::activation_function::none;
            matrix& output = outputs_[l % 2];
            output.resize(x.rows, layers_[l].weights.view().n);
            must(multiply(layers_[l], input->view(), e, output.view(), scratch_));
            input = &output;
        }
        return *input;
    }

private:
    const network& source_;
    std::vector<linear> layers_;
    matrix outputs_[2];
    product_scratch scratch_;
};

// One trained network in every format: its figures in the order of the table.
class measurement {
public:
    measurement(network& net, const matrix& samples, const images& test) : net_(net), samples_(samples), test_(test)
    {
        net_.bits = {};
        add("FP32", "FP32", "", net_);
        std::vector<layer_inputs> inputs;
        net_.forward(samples_);
        for (const perceptron::layer& l : net_.layers) {
            auto seen = layer_inputs::make(l.in);
            must(seen.error());
            must(seen->add(l.input.view()));
            inputs.push_back(std::move(*seen));
        }
        with_static_activations();
        for (const weight_setting& to_what : settings)
            for (const method how : all_methods) {
                dynamic_network quantized(net_, inputs, to_what, how);
                add(to_what.name, "INT8, dynamic", name_of(how), quantized);
            }
    }

    std::vector<image_row> rows;

private:
    network& net_;
    const matrix& samples_;
    const images& test_;

    template <class Network>
    void add(const char* weights, const char* activations, const char* how, Network& n)
    {
        rows.push_back({weights, activations, how, {perceptron::accuracy(n, test_)}});
    }

    void with_static_activations()
    {
        network net = net_;
        net.quantize({nibble::codes_of_bits(8, true), activation_codes}, nibble::params_start::max_abs, samples_);
        for (const observation& way : observations) {
            for (std::size_t l = 1; l < net.layers.size(); ++l) {
                const matrix& seen = net_.layers[l].input;
                nibble::histogram_observer histogram;
                histogram.observe({seen.data.data(), seen.data.size()});
                const auto range = way.range(seen, histogram);
                must(range.error());
                net.layers[l].input_scale.value[0] = range->high / static_cast<float>(activation_codes.qmax);
            }
            perceptron::integer_network quantized(net);
            add("INT8, per channel", "INT8, static", way.name, quantized);
        }
    }
};

} // namespace

std::vector<image_row> compare_fashion_mnist(const std::string& folder, int seeds, int threads)
{
    const images training = read_images(folder, "train", 60000), test = read_images(folder, "t10k", 10000);
    const matrix samples = perceptron::first_images(training, calibration_images);
    perceptron::progress shown;
    shown.start(static_cast<std::size_t>(seeds * epochs * (training.count / perceptron::batch)));
    std::vector<std::vector<image_row>> of_seeds(static_cast<std::size_t>(seeds));
    nibble::thread_pool(static_cast<std::size_t>(threads)).parallel_for(of_seeds.size(), [&](std::size_t s) {
        network net({perceptron::pixels, 256, 128, 10}, static_cast<unsigned>(s + 1));
        train(net, training, epochs, perceptron::float_rate, static_cast<unsigned>(s + 100), shown);
        of_seeds[s] = measurement(net, samples, test).rows;
        const std::string line = "Fashion-MNIST, seed " + std::to_string(s + 1) + ": trained and measured";
        shown.say(line.c_str());
    });
    std::vector<image_row> rows = std::move(of_seeds[0]);
    for (std::size_t s = 1; s < of_seeds.size(); ++s)
        for (std::size_t i = 0; i < rows.size(); ++i)
            rows[i].accuracy.push_back(of_seeds[s][i].accuracy[0]);
    return rows;
}
