// What the program does; each throws std::runtime_error with a sentence for the user.
#pragma once

#include <string>

struct quantize_options {
    std::string input, output, recipe, imatrix;
    unsigned threads = 1;
};

void inspect(const std::string& path, bool strict);
void quantize(const quantize_options& options);
