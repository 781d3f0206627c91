// Puts nibble's INT8 and INT4 layers under somebody else's engine: what is replaced is the engine's one matrix-vector product. The engine
// writes a text with its own float loops; then each kind of layer follows the same text, and speed and logits are compared.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>

#include <nibble/nibble.hpp>

#include "../common/command_line.hpp"
#include "engine.hpp"

namespace {

// This is all that embedding takes: pack every matrix once, multiply with what was packed.
struct nibble_layers {
    std::map<const matrix*, nibble::packed_weights> packed;

    template <class Q>
    nibble::status add(const matrix& m)
    {
        auto made = nibble::packed_weights::quantize<Q>(
            {m.values.data(), static_cast<std::ptrdiff_t>(m.rows), static_cast<std::ptrdiff_t>(m.columns)}, nibble::per_group(32));
        if (made)
            packed[&m] = std::move(*made);
        return made.error();
    }

    nibble::status multiply(const matrix& m, const float* x, float* y) const
    {
        return nibble::gemv(nibble::span<const float>(x, m.columns), packed.at(&m), {}, nibble::span<float>(y, m.rows));
    }

    std::size_t bytes() const
    {
        std::size_t sum = 0;
        for (const auto& [m, p] : packed)
            sum += p.bytes().size();
        return sum;
    }
};

std::vector<const matrix*> matrices_of(const engine& e)
{
    std::vector<const matrix*> all {&e.head};
    for (const block& b : e.blocks)
        all.insert(all.end(), {&b.q, &b.k, &b.v, &b.output, &b.gate, &b.up, &b.down});
    return all;
}

nibble::status load(nibble::span<const std::byte> bytes, engine& e)
{
    const auto file = nibble::gguf_reader::open(bytes);
    if (!file)
        return file.error();
    nibble::status error = nibble::status::ok;
    const auto number = [&](const char* key) {
        const auto found = file->get<std::uint32_t>(key);
        if (!found || *found == 0 || *found > 65536)
            error = nibble::status::file_key_missing;
        return error == nibble::status::ok ? std::size_t(*found) : std::size_t(1);
    };
    const auto tensor = [&](const std::string& name, std::size_t rows, std::size_t columns) {
        matrix m {rows, columns, std::vector<float>(rows * columns)};
        const auto t = file->tensor(name.c_str());
        if (!t || t->sizes[0] != static_cast<std::int64_t>(columns) || t->sizes[1] != static_cast<std::int64_t>(rows))
            error = nibble::status::file_key_missing;
        else if (t->type == nibble::ggml_type::f32)
            std::memcpy(m.values.data(), t->data.data(), t->data.size());
        else if (t->type == nibble::ggml_type::f16)
            error = nibble::convert(nibble::span<const nibble::half>(reinterpret_cast<const nibble::half*>(t->data.data()), rows * columns),
                nibble::span<float>(m.values));
        else
            error = nibble::status::file_type_mismatch;
        return m;
    };
    e.context = number("llama.context_length");
    e.vocabulary = number("llama.vocab_size");
    e.width = number("llama.embedding_length");
    e.heads = number("llama.attention.head_count");
    const std::size_t hidden = number("llama.feed_forward_length"), blocks = number("llama.block_count");
    if (const auto base = file->get<float>("llama.rope.freq_base"))
        e.rope_base = *base;
    if (const auto epsilon = file->get<float>("llama.attention.layer_norm_rms_epsilon"))
        e.epsilon = *epsilon;
    if (error == nibble::status::ok && (e.vocabulary != 256 || e.width % (2 * e.heads) != 0)) // tokens are bytes here
        error = nibble::status::file_type_mismatch;
    if (error != nibble::status::ok)
        return error;
    e.embedding = tensor("token_embd.weight", e.vocabulary, e.width);
    e.head = tensor("output.weight", e.vocabulary, e.width);
    e.final_norm = tensor("output_norm.weight", 1, e.width).values;
    for (std::size_t i = 0; i < blocks && error == nibble::status::ok; ++i) {
        const std::string b = "blk." + std::to_string(i) + ".";
        e.blocks.push_back({tensor(b + "attn_norm.weight", 1, e.width).values, tensor(b + "ffn_norm.weight", 1, e.width).values,
            tensor(b + "attn_q.weight", e.width, e.width), tensor(b + "attn_k.weight", e.width, e.width),
            tensor(b + "attn_v.weight", e.width, e.width), tensor(b + "attn_output.weight", e.width, e.width),
            tensor(b + "ffn_gate.weight", hidden, e.width), tensor(b + "ffn_up.weight", hidden, e.width),
            tensor(b + "ffn_down.weight", e.width, hidden)});
    }
    return error;
}

struct run {
    std::vector<unsigned> tokens;
    std::vector<float> logits;
    double product_seconds = 0, seconds = 0;
};

/// Follows `text`, or, where it is empty, writes `count` tokens: the likeliest ones.
run follow(engine& e, const std::vector<unsigned>& text, std::size_t count)
{
    using clock = std::chrono::steady_clock;
    run r;
    const auto product = e.multiply;
    e.multiply = [&](const matrix& w, const float* x, float* y) {
        const auto begin = clock::now();
        product(w, x, y);
        r.product_seconds += std::chrono::duration<double>(clock::now() - begin).count();
    };
    unsigned token = 'A';
    const auto begin = clock::now();
    for (std::size_t i = 0; i < count; ++i) {
        r.tokens.push_back(token = text.empty() ? token : text[i]);
        const std::vector<float>& z = e.next(token, i);
        r.logits.insert(r.logits.end(), z.begin(), z.end());
        token = static_cast<unsigned>(std::max_element(z.begin(), z.end()) - z.begin());
    }
    r.seconds = std::chrono::duration<double>(clock::now() - begin).count();
    e.multiply = product;
    return r;
}

} // namespace

int main(int argc, char** argv)
{
    const char* const path = argc > 1 ? argv[1] : NIBBLE_MODEL_FILE;
    command_line::warn_of_backend("nibble_embedding");
    std::string wrong;
    const std::vector<char> file = command_line::read_file(path, wrong);
    engine e;
    if (const nibble::status s = load({reinterpret_cast<const std::byte*>(file.data()), file.size()}, e); s != nibble::status::ok) {
        std::fprintf(
            stderr, "nibble_embedding: %s\n", wrong.empty() ? (std::string(path) + ": " + nibble::to_string(s)).c_str() : wrong.c_str());
        return 1;
    }
    std::size_t weights = 0;
    for (const matrix* m : matrices_of(e))
        weights += m->values.size() * sizeof(float);
    e.multiply = multiply_plainly;
    const run plain = follow(e, {}, e.context);
    std::printf("the engine writes: ");
    for (std::size_t i = 0; i < std::min<std::size_t>(60, plain.tokens.size()); ++i)
        std::putchar(static_cast<int>(plain.tokens[i]));
    std::printf("...\n\n%-22s %9s %12s %12s %10s %8s\n", nibble::to_string(nibble::active_backend()), "weights", "products", "all",
        "KL, nats", "top-1");
    const auto row = [&](const char* name, std::size_t bytes, const run& r, double kl, double same) {
        std::printf("%-22s %6.2f MB %7.1f us/t %7.1f us/t %10.5f %6.1f %%\n", name, static_cast<double>(bytes) / 1e6,
            1e6 * r.product_seconds / static_cast<double>(e.context), 1e6 * r.seconds / static_cast<double>(e.context), kl, 100 * same);
    };
    row("the engine's loops", weights, plain, 0, 1);

    for (const bool four_bits : {false, true}) {
        nibble_layers layers;
        nibble::status s = nibble::status::ok;
        for (const matrix* m : matrices_of(e))
            if (s == nibble::status::ok)
                s = four_bits ? layers.add<nibble::int4x2>(*m) : layers.add<std::int8_t>(*m);
        e.multiply = [&](const matrix& w, const float* x, float* y) {
            if (s == nibble::status::ok)
                s = layers.multiply(w, x, y);
        };
        const run r = follow(e, plain.tokens, e.context);
        nibble::prediction_statistics compared;
        for (std::size_t t = 0; t < e.context && s == nibble::status::ok; ++t)
            s = compared.add({plain.logits.data() + t * e.vocabulary, e.vocabulary}, {r.logits.data() + t * e.vocabulary, e.vocabulary});
        if (s != nibble::status::ok) {
            std::fprintf(stderr, "nibble: %s\n", nibble::to_string(s));
            return 1;
        }
        row(four_bits ? "nibble, INT4, group 32" : "nibble, INT8, group 32", layers.bytes(), r, compared.mean_kl(), compared.top1());
        // Gates far from what is measured (INT8 0.0004 nats and 99 %, INT4 0.013 and 95 %), so that a broken layer fails.
        if (compared.mean_kl() > (four_bits ? 0.2 : 0.005) || compared.top1() < (four_bits ? 0.85 : 0.97)) {
            std::fprintf(stderr, "the layer and the engine disagree\n");
            return 1;
        }
    }
    return command_line::finish("nibble_embedding", 0);
}
