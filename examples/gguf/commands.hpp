// What the program does; each throws std::runtime_error with a sentence for the user.
#pragma once

#include <cstdint>
#include <string>

struct quantize_options {
    std::string input, output, recipe, imatrix;
    unsigned threads = 1;
};

struct run_options {
    std::string file, prompt;
    std::size_t tokens = 200;
    float temperature = 0.7f;
    std::uint64_t seed = 1611;
};

void inspect(const std::string& path, bool strict);
void quantize(const quantize_options& options);
/// False if the two have other tensors, or metadata that make another model of them.
bool compare_files(const std::string& reference, const std::string& actual);
void run(const run_options& options);
