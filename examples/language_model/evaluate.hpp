// How a model is measured, with a line that shows how far it is.
#pragma once

#include "model.hpp"

struct evaluation {
    nibble::prediction_statistics predictions;
    double seconds = 0;
};

/// A bar on a terminal; elsewhere a line at the end.
void show_progress(const std::string& what, std::size_t done, std::size_t all, double tokens_per_second);

/// On the text's first windows of m.context() bytes, which are the tokens of the models here. `reference` holds the logits to compare with,
/// and is filled if it is empty.
nibble::result<evaluation> evaluate(
    model& m, const std::string& text, std::size_t windows, std::vector<float>& reference, const std::string& name);

/// model::calibrate with a bar.
nibble::result<calibration> calibrate(model& m, const std::vector<std::vector<std::int32_t>>& texts);
