// A small model of the Llama architecture over bytes: RMSNorm, rotary positions, attention, SwiGLU; all matrix products by nibble.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <nibble/nibble.hpp>

enum class format { fp32, fp16, int8, int4 };
inline constexpr std::array<format, 4> all_formats = {format::fp32, format::fp16, format::int8, format::int4};
const char* name_of(format f);

/// One matrix in one format.
struct linear {
    std::string name;
    nibble::packed_weights weights;
    double sqnr = 0; ///< of the weights against the file's, in dB; infinite if they are equal
};

struct layer {
    std::vector<float> attention_norm, feed_forward_norm;
    linear q, k, v, output, gate, up, down;
};

class model {
public:
    /// Loads the file's weights and quantizes them. The bytes are only read here.
    static nibble::result<model> load(nibble::span<const std::byte> file, format f);

    /// The logits [tokens.size()][vocabulary] of every position of a text of at most context() bytes.
    nibble::status logits(const std::vector<std::uint8_t>& tokens, std::vector<float>& out);

    std::size_t context() const { return context_; }
    std::size_t vocabulary() const { return vocabulary_; }
    std::size_t bytes() const { return bytes_; }
    std::vector<const linear*> matrices() const;

private:
    nibble::status product(const linear& w, const std::vector<float>& x, std::size_t rows, std::vector<float>& y,
        nibble::activation f = nibble::activation::none);
    nibble::status attend(std::size_t rows);

    std::size_t context_ = 0, vocabulary_ = 0, width_ = 0, heads_ = 0, hidden_ = 0, bytes_ = 0;
    float epsilon_ = 0, rope_base_ = 0;
    std::vector<float> embedding_, final_norm_, cosines_, sines_;
    std::vector<layer> layers_;
    linear head_;

    std::vector<float> x_, normed_, q_, k_, v_, mixed_, gate_, up_;
    std::vector<std::byte> workspace_;
};
