// Tokens and logits of a made-up model with a llama tokenizer, shared keys and no output matrix, against llama.cpp's:
//   oracle_llama_tokens LIBRARIES FOLDER
#include <algorithm>
#include <cmath>
#include <deque>
#include <random>
#include <set>

#include "llama.hpp"
#include "model.hpp"
#include "tokenizer.hpp"

using namespace nibble;

namespace {

const char* const texts[] = {"the other thing", "then they were there, weren't they?", " two  spaces   and three", "", " ", "\n\ttabs\n",
    "caf\xc3\xa9 \xe2\x82\xac 7 \xf0\x9f\x99\x82!", "aaaaaaaaaa", "nothing is whether neither either"};

// Every letter, and some of the parts of words in the texts; equal scores are frequent.
std::vector<std::string> made_pieces(std::mt19937& random)
{
    std::set<std::string> pieces;
    for (char c = 'a'; c <= 'z'; ++c)
        pieces.insert(std::string(1, c));
    pieces.insert("\xe2\x96\x81");
    for (const std::string text : texts)
        for (std::size_t i = 0; i < text.size(); ++i)
            for (std::size_t length = 2; length <= 5 && i + length <= text.size(); ++length) {
                std::string piece;
                for (const char c : text.substr(i, length))
                    piece += c == ' ' ? "\xe2\x96\x81" : std::string(1, c);
                if (std::all_of(text.begin() + static_cast<std::ptrdiff_t>(i), text.begin() + static_cast<std::ptrdiff_t>(i + length),
                        [](char c) { return c == ' ' || (c >= 'a' && c <= 'z'); })
                    && random() % 2 == 0)
                    pieces.insert(piece);
            }
    return {pieces.begin(), pieces.end()};
}

void write_model(const std::string& path)
{
    std::mt19937 random(3);
    std::deque<std::string> pieces;
    std::vector<std::string_view> names;
    std::vector<float> scores;
    std::vector<std::int32_t> types;
    const auto add_token = [&](const std::string& piece, float score, std::int32_t type) {
        names.push_back(pieces.emplace_back(piece));
        scores.push_back(score);
        types.push_back(type);
    };
    add_token("<unk>", 0, 2);
    add_token("<s>", 0, 3);
    add_token("</s>", 0, 3);
    for (int i = 0; i < 256; ++i) {
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(i));
        add_token(name, 0, 6);
    }
    for (const std::string& piece : made_pieces(random))
        add_token(piece, -static_cast<float>(random() % 12u), 1);

    constexpr std::int64_t width = 64, heads = 4, kv_heads = 2, hidden = 96;
    std::deque<std::string> tensor_names;
    std::deque<std::vector<float>> data;
    std::vector<gguf_tensor> tensors;
    const auto add = [&](const char* name, std::int64_t rows) {
        const std::int64_t columns = std::string(name) == "blk.0.ffn_down.weight" ? hidden : width;
        gguf_tensor t;
        tensor_names.emplace_back(name);
        t.name = tensor_names.back();
        t.dimensions = rows == 1 ? 1 : 2;
        t.sizes[0] = columns;
        t.sizes[1] = rows;
        data.emplace_back();
        for (std::int64_t i = 0; i < rows * columns; ++i)
            data.back().push_back(
                static_cast<float>(static_cast<std::int32_t>(random() % 2001u) - 1000) / 4000.0f + (rows == 1 ? 1.0f : 0.0f));
        t.data = {reinterpret_cast<const std::byte*>(data.back().data()), data.back().size() * sizeof(float)};
        tensors.push_back(t);
    };
    add("token_embd.weight", static_cast<std::int64_t>(names.size()));
    for (const char* name : {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"})
        add(name, 1);
    for (const char* name : {"blk.0.attn_q.weight", "blk.0.attn_output.weight", "blk.0.ffn_down.weight"})
        add(name, width);
    for (const char* name : {"blk.0.attn_k.weight", "blk.0.attn_v.weight"})
        add(name, width / heads * kv_heads);
    for (const char* name : {"blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"})
        add(name, hidden);

    const auto u32 = [](auto n) { return static_cast<std::uint32_t>(n); };
    const std::vector<gguf_pair> pairs {{"general.architecture", "llama"}, {"llama.context_length", 64u},
        {"llama.embedding_length", u32(width)}, {"llama.block_count", 1u}, {"llama.feed_forward_length", u32(hidden)},
        {"llama.attention.head_count", u32(heads)}, {"llama.attention.head_count_kv", u32(kv_heads)},
        {"llama.rope.dimension_count", u32(width / heads)}, {"llama.attention.layer_norm_rms_epsilon", 1e-5f},
        {"tokenizer.ggml.model", "llama"}, {"tokenizer.ggml.tokens", span<const std::string_view>(names)},
        {"tokenizer.ggml.scores", span<const float>(scores)}, {"tokenizer.ggml.token_type", span<const std::int32_t>(types)}};
    std::ofstream out(path, std::ios::binary);
    const auto sink = [&](const std::byte* b, std::size_t size) {
        return static_cast<bool>(out.write(reinterpret_cast<const char*>(b), static_cast<std::streamsize>(size)));
    };
    if (write_gguf(pairs, tensors, sink) != status::ok || !out.flush())
        fail("cannot write " + path);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s LIBRARIES FOLDER\n", argv[0]);
        return 2;
    }
    const llama other(argv[1]);
    const std::string path = std::string(argv[2]) + "/tokens.gguf";
    write_model(path);
    const std::string bytes = load(path);
    const auto file = gguf_reader::open(bytes_of(bytes));
    if (!file)
        fail(to_string(file.error()));
    const tokenizer words(*file);
    auto m = model::load(bytes_of(bytes), quantizer_for(format::fp32));
    if (!m)
        fail(to_string(m.error()));

    bool good = true;
    const auto expected = other.tokenize(path, {std::begin(texts), std::end(texts)});
    for (std::size_t i = 0; i < std::size(texts); ++i) {
        const std::vector<std::int32_t> tokens = words.encode(texts[i]);
        std::string back;
        for (const std::int32_t t : tokens)
            back += words.decode(t);
        const bool same = tokens == expected[i] && back == (*texts[i] == '\0' ? "" : " ") + std::string(texts[i]);
        std::printf("%zu tokens, llama.cpp %zu: %s: %s\n", tokens.size(), expected[i].size(), same ? "the same" : "DIFFERENT", texts[i]);
        good = good && same;
    }

    // All at once, and token by token.
    const std::vector<std::int32_t> tokens = words.encode(texts[1]);
    const std::vector<float> theirs = other.run(path, {tokens}, m->vocabulary())[0];
    std::vector<float> ours, one, step;
    if (m->logits(tokens, ours) != status::ok)
        fail("nibble does not run " + path);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::vector<std::int32_t> next {tokens[i]};
        if ((i == 0 ? m->logits(next, one) : m->extend(next, one)) != status::ok)
            fail("nibble does not run " + path);
        step.insert(step.end(), one.begin(), one.end());
    }
    float furthest = 0, greatest = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
        furthest = std::max(furthest, std::fabs(ours[i] - theirs[i]));
        greatest = std::max(greatest, std::fabs(theirs[i]));
    }
    const bool close = ours.size() == theirs.size() && furthest < 2e-3f * greatest, equal = step == ours;
    std::printf("logits: greatest %g, furthest apart %g: %s; token by token: %s\n", static_cast<double>(greatest),
        static_cast<double>(furthest), close ? "good" : "TOO FAR", equal ? "the same" : "DIFFERENT");
    return good && close && equal ? 0 : 1;
}
