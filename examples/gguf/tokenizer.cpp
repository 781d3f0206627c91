#include "tokenizer.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>

using namespace nibble;

namespace {

constexpr std::string_view space_mark = "\xe2\x96\x81";

std::string replaced(std::string_view text, std::string_view what, std::string_view by)
{
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t found = std::min(text.find(what, at), text.size());
        out += text.substr(at, found - at);
        if (found < text.size())
            out += by;
        at = found + what.size();
    }
    return out;
}

std::size_t utf8_length(char first)
{
    const unsigned char c = static_cast<unsigned char>(first);
    return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

} // namespace

tokenizer::tokenizer(const gguf_reader& file)
{
    const auto kind = file.get<std::string_view>("tokenizer.ggml.model");
    const auto embedding = file.tensor("token_embd.weight");
    if (kind && *kind == "none" && embedding && embedding->sizes[1] == 256) {
        bytes_ = true;
        return;
    }
    if (!kind || *kind != "llama")
        throw std::runtime_error("the tokenizer " + (kind ? '"' + std::string(*kind) + '"' : "")
                                 + " is not supported: `run` needs llama, or none for models whose tokens are bytes");
    const auto pieces = file.find("tokenizer.ggml.tokens"), scores = file.find("tokenizer.ggml.scores"),
               types = file.find("tokenizer.ggml.token_type");
    if (!pieces || !scores || !types || pieces->element_type() != gguf_type::string || scores->element_type() != gguf_type::f32
        || types->element_type() != gguf_type::i32 || scores->size() != pieces->size() || types->size() != pieces->size())
        throw std::runtime_error("the tokenizer's tokens, scores and types are missing or differ in number");
    std::fill(std::begin(byte_tokens_), std::end(byte_tokens_), -1);
    auto score = scores->begin();
    auto type = types->begin();
    for (const gguf_value& v : *pieces) {
        enum { unknown = 2, control = 3, byte = 6 };
        const std::string piece(*v.get<std::string_view>());
        const std::int32_t token = static_cast<std::int32_t>(pieces_.size()), what = *(*type).get<std::int32_t>();
        tokens_.emplace(piece, token);
        scores_.push_back(*(*score).get<float>());
        if (what == byte && piece.size() == 6) {
            const unsigned long value = std::strtoul(piece.c_str() + 3, nullptr, 16);
            byte_tokens_[value & 255] = token;
            pieces_.emplace_back(1, static_cast<char>(value));
        } else {
            pieces_.push_back(what == unknown || what == control ? "" : replaced(piece, space_mark, " "));
        }
        ++score;
        ++type;
    }
    const auto token_of = [&](const char* key, std::uint32_t otherwise) {
        const auto found = file.get<std::uint32_t>(key);
        return static_cast<std::int32_t>(found ? *found : otherwise);
    };
    begin_ = token_of("tokenizer.ggml.bos_token_id", 1);
    end_ = token_of("tokenizer.ggml.eos_token_id", 2);
    const auto add_begin = file.get<bool>("tokenizer.ggml.add_bos_token"), add_space = file.get<bool>("tokenizer.ggml.add_space_prefix");
    add_begin_ = add_begin ? *add_begin : true;
    add_space_ = add_space ? *add_space : true;
}

std::vector<std::int32_t> tokenizer::encode(std::string_view text) const
{
    std::vector<std::int32_t> tokens;
    if (bytes_) {
        for (const char c : text)
            tokens.push_back(static_cast<unsigned char>(c));
        return tokens;
    }
    if (add_begin_)
        tokens.push_back(begin_);
    const std::string marked = replaced((add_space_ && !text.empty() ? " " : "") + std::string(text), " ", space_mark);
    std::vector<std::string> symbols;
    for (std::size_t at = 0; at < marked.size(); at += symbols.back().size())
        symbols.push_back(marked.substr(at, utf8_length(marked[at])));
    for (;;) {
        std::size_t best = symbols.size();
        float best_score = 0;
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            const auto found = tokens_.find(symbols[i] + symbols[i + 1]);
            if (found == tokens_.end())
                continue;
            const float score = scores_[static_cast<std::size_t>(found->second)];
            if (best == symbols.size() || score > best_score) {
                best = i;
                best_score = score;
            }
        }
        if (best == symbols.size())
            break;
        symbols[best] += symbols[best + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    for (const std::string& s : symbols) {
        if (const auto found = tokens_.find(s); found != tokens_.end()) {
            tokens.push_back(found->second);
            continue;
        }
        for (const char c : s)
            if (const std::int32_t token = byte_tokens_[static_cast<unsigned char>(c)]; token >= 0)
                tokens.push_back(token);
    }
    return tokens;
}

std::string tokenizer::decode(std::int32_t token) const
{
    if (bytes_)
        return std::string(1, static_cast<char>(token));
    return static_cast<std::size_t>(token) < pieces_.size() ? pieces_[static_cast<std::size_t>(token)] : std::string();
}
