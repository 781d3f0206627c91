// Text to tokens and back, for two of the tokenizers that GGUF files name:
//   none    a model of 256 tokens: bytes
//   llama   pieces with scores: of all neighbours that are a piece together, those with the greatest score are joined first, the left ones
//           among equals; what is not a piece becomes bytes. A space is U+2581; one is put in front.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include <nibble/nibble.hpp>

class tokenizer {
public:
    /// Throws std::runtime_error.
    explicit tokenizer(const nibble::gguf_reader& file);

    std::vector<std::int32_t> encode(std::string_view text) const;
    std::string decode(std::int32_t token) const;
    /// The token that ends a text, or -1.
    std::int32_t end() const { return end_; }

private:
    bool bytes_ = false, add_begin_ = false, add_space_ = true;
    std::int32_t begin_ = -1, end_ = -1;
    std::vector<std::string> pieces_; // as they are printed
    std::vector<float> scores_;
    std::unordered_map<std::string, std::int32_t> tokens_;
    std::int32_t byte_tokens_[256];
};
