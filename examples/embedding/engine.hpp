// Somebody else's engine: a Llama-style transformer in plain float loops, one token at a time. It knows nothing of nibble: all its matrix
// products go through one function that the program may replace.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

struct matrix {
    std::size_t rows = 0, columns = 0;
    std::vector<float> values; // row-major
};

struct block {
    std::vector<float> attention_norm, feed_forward_norm;
    matrix q, k, v, output, gate, up, down;
};

struct engine {
    std::size_t context = 0, vocabulary = 0, width = 0, heads = 0;
    float epsilon = 1e-5f, rope_base = 10000.0f;
    matrix embedding, head;
    std::vector<float> final_norm;
    std::vector<block> blocks;

    /// y = w x
    std::function<void(const matrix& w, const float* x, float* y)> multiply;

    /// The logits after one more token at this position, which is less than context.
    const std::vector<float>& next(unsigned token, std::size_t position);

private:
    std::vector<float> x_, normed_, q_, mixed_, gate_, up_, out_, scores_, logits_;
    std::vector<std::vector<float>> keys_, values_; // of each block: context x width
};

/// The loop that engines begin with.
void multiply_plainly(const matrix& w, const float* x, float* y);
