// The four comparisons. Every figure is of the integer kernels; what is calibrated on is never what is tested on.
#pragma once

#include "methods.hpp"

struct layer_row {
    std::string name;
    double weight_db = 0; ///< SQNR of the weights
    double output_db = 0; ///< SQNR of the layer's output
};

/// One format and method: every layer.
struct layer_errors {
    std::string format, method;
    std::vector<layer_row> layers;
};

struct model_row {
    layer_errors errors; ///< output_db on the calibration inputs: ||X W^T||^2 / ||X (W - Q)^T||^2
    std::size_t bytes = 0;
    double perplexity = 0, mean_kl = 0, top1_agreement = 0;
};

struct language_model_rows {
    std::string calibration, test; ///< which text
    std::vector<model_row> rows;   ///< FP32 first
};

/// The demo's language model. It is tested on at most `windows` of its windows of the part of the text that it was not trained on, and
/// calibrated on `calibration_count` windows of the other part.
nibble::result<language_model_rows> compare_language_model(
    const std::vector<char>& file, const std::string& text, std::size_t windows, std::size_t calibration_count);

struct image_row {
    std::string weights, activations, method;
    std::vector<double> accuracy; ///< per cent of the test images that are classified rightly, for every seed
};

/// Fashion-MNIST: `seeds` networks are trained and quantized.
std::vector<image_row> compare_fashion_mnist(const std::string& folder, int seeds, int threads);

/// The linear layers of a text recogniser, from the folder that prepare.sh fills: weights in several formats with activations quantized
/// row by row, on the test inputs. `activations` gets what schemes of INT8 activations make of them.
nibble::status compare_recogniser(const std::string& folder, std::vector<layer_errors>& weights, std::vector<layer_errors>& activations);

/// Schemes of INT8 activations, each with INT8 weights per channel: how far x w^T is from the product in floats.
struct activation_error {
    std::string scheme;
    nibble::error_statistics output;
};

/// seen: the calibration's inputs, x: the test's, w: n x k.
nibble::result<std::vector<activation_error>> compare_activation_schemes(
    nibble::matrix_view<const float> seen, nibble::matrix_view<const float> x, nibble::matrix_view<const float> w);

struct outlier_row {
    std::string scheme;
    double output_db = 0;   ///< SQNR of the output
    double ordinary_db = 0; ///< the same noise against what the channels without outliers contribute: what a model would lose
};

/// Synthetic inputs, 512 x 512: of every 64 channels one is a hundred times as large as the rest; 256 outputs.
nibble::result<std::vector<outlier_row>> compare_outliers();
