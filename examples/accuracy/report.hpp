// What was measured, as tables, as JSON and as pictures.
#pragma once

#include "comparisons.hpp"

struct report {
    language_model_rows language_model;
    std::vector<image_row> images;
    std::vector<layer_errors> recogniser, recogniser_activations;
    std::vector<outlier_row> outliers;
    std::vector<nibble::gate> gates;
};

/// Markdown; parts that are empty are left out.
void print(const report& r);

/// report.json, accuracy.svg, layers.svg and recogniser.svg in a folder; returns which cannot be written, or an empty name.
std::string write(const report& r, const std::string& folder);
