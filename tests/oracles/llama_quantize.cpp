// The example program's files against those of llama.cpp's own quantization, byte for byte, with and without an importance matrix:
//   oracle_llama_quantize LIBLLAMA NIBBLE MODEL FOLDER
// Besides MODEL, models of random numbers are made in FOLDER: one with grouped heads and no output matrix, one whose columns are no whole
// blocks of 256, one with 8 experts, one with rows that no block divides.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <dlfcn.h>

#include <nibble/core/numeric.hpp>
#include <nibble/gguf/recipe.hpp>

using namespace nibble;

namespace {

// The beginning of llama.cpp's struct, whose other members keep their defaults but for the importance.
struct quantize_params {
    std::int32_t threads;
    std::int32_t file_type;
    std::int32_t output_type, embedding_type;
    bool flags[8];
    const void* importance;
    char rest[480];
};
struct importance_entry {
    const char* name;
    const float* data;
    std::size_t size;
};

std::string load(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct shape {
    std::int64_t layers, width, hidden, kv_width, experts;
    bool tied;
};

// A llama file of f16 matrices and f32 vectors.
std::string made_model(const std::string& path, const shape& m)
{
    std::deque<std::string> names;
    std::deque<std::vector<std::byte>> data;
    std::vector<gguf_tensor> tensors;
    std::mt19937 random(5);
    const auto add = [&](const std::string& name, std::int64_t columns, std::int64_t rows, std::int64_t matrices = 1) {
        gguf_tensor t;
        names.push_back(name);
        t.name = names.back();
        t.type = rows == 1 ? ggml_type::f32 : ggml_type::f16;
        t.dimensions = 3;
        t.sizes[0] = columns;
        t.sizes[1] = rows;
        t.sizes[2] = matrices;
        data.emplace_back(static_cast<std::size_t>(*detail::tensor_bytes(t)));
        for (std::size_t i = 0; i + 1 < data.back().size(); i += 2) {
            const half h = to_half(static_cast<float>(static_cast<std::int32_t>(random() % 2001u) - 1000) / 997.0f);
            std::memcpy(data.back().data() + i, &h, 2);
        }
        t.data = data.back();
        tensors.push_back(t);
    };
    add("token_embd.weight", m.width, 96);
    for (std::int64_t i = 0; i < m.layers; ++i) {
        const std::string layer = "blk." + std::to_string(i) + ".";
        add(layer + "attn_norm.weight", m.width, 1);
        add(layer + "attn_q.weight", m.width, m.width);
        add(layer + "attn_k.weight", m.width, m.kv_width);
        add(layer + "attn_v.weight", m.width, m.kv_width);
        add(layer + "attn_output.weight", m.width, m.width);
        add(layer + "ffn_norm.weight", m.width, 1);
        const std::string experts = m.experts > 0 ? "_exps" : "";
        const std::int64_t matrices = m.experts > 0 ? m.experts : 1;
        if (m.experts > 0)
            add(layer + "ffn_gate_inp.weight", m.width, m.experts);
        add(layer + "ffn_gate" + experts + ".weight", m.width, m.hidden, matrices);
        add(layer + "ffn_up" + experts + ".weight", m.width, m.hidden, matrices);
        add(layer + "ffn_down" + experts + ".weight", m.hidden, m.width, matrices);
    }
    add("output_norm.weight", m.width, 1);
    if (!m.tied)
        add("output.weight", m.width, 96);
    const auto u32 = [](std::int64_t n) { return static_cast<std::uint32_t>(n); };
    std::vector<gguf_pair> pairs {{"general.architecture", "llama"}, {"general.file_type", 1u}, {"llama.context_length", 64u},
        {"llama.embedding_length", u32(m.width)}, {"llama.block_count", u32(m.layers)}, {"llama.feed_forward_length", u32(m.hidden)},
        {"llama.attention.head_count", 8u}, {"llama.attention.head_count_kv", u32(8 * m.kv_width / m.width)},
        {"llama.rope.dimension_count", u32(m.width / 8)}, {"llama.vocab_size", 96u}, {"llama.attention.layer_norm_rms_epsilon", 1e-5f},
        {"tokenizer.ggml.model", "none"}};
    if (m.experts > 0) {
        pairs.push_back({"llama.expert_count", u32(m.experts)});
        pairs.push_back({"llama.expert_used_count", 2u});
    }
    std::ofstream file(path, std::ios::binary);
    const auto sink = [&](const std::byte* bytes, std::size_t count) {
        return static_cast<bool>(file.write(reinterpret_cast<const char*>(bytes), static_cast<std::streamsize>(count)));
    };
    return write_gguf(pairs, tensors, sink) == status::ok ? path : std::string();
}

bool compare(void* library, const std::string& tool, const std::string& model, const std::string& folder, bool has_fallbacks)
{
    const auto defaults = reinterpret_cast<quantize_params (*)()>(dlsym(library, "llama_model_quantize_default_params"));
    const auto quantize
        = reinterpret_cast<std::uint32_t (*)(const char*, const char*, const quantize_params*)>(dlsym(library, "llama_model_quantize"));
    if (defaults == nullptr || quantize == nullptr)
        return false;
    // Weights for every matrix but the embedding.
    const std::string bytes = load(model);
    const auto file = gguf_reader::open({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()});
    if (!file)
        return false;
    std::deque<std::string> names;
    std::deque<std::vector<float>> weights;
    std::vector<importance_entry> entries;
    std::ofstream dat(folder + "/imatrix.dat", std::ios::binary);
    const auto number = [&](auto n) { dat.write(reinterpret_cast<const char*>(&n), sizeof n); };
    std::int32_t count = 0;
    for (std::size_t i = 0; i < file->tensor_count(); ++i)
        count += file->tensor(i).sizes[1] > 1 && file->tensor(i).name != "token_embd.weight";
    number(count);
    for (std::size_t i = 0; i < file->tensor_count(); ++i) {
        const gguf_tensor t = file->tensor(i);
        if (t.sizes[1] == 1 || t.name == "token_embd.weight")
            continue;
        names.emplace_back(t.name);
        weights.emplace_back(static_cast<std::size_t>(t.sizes[0] * t.sizes[2]));
        number(static_cast<std::int32_t>(t.name.size()));
        dat.write(t.name.data(), static_cast<std::streamsize>(t.name.size()));
        number(std::int32_t {4});
        number(static_cast<std::int32_t>(t.sizes[0] * t.sizes[2]));
        for (std::size_t j = 0; j < weights.back().size(); ++j) {
            weights.back()[j] = static_cast<float>((j * 37 + i * 11) % 101) / 8.0f;
            number(weights.back()[j] * 4.0f);
        }
        entries.push_back({names.back().c_str(), weights.back().data(), weights.back().size()});
    }
    entries.push_back({nullptr, nullptr, 0});
    dat.close();

    bool good = true;
    std::string plain;
    for (const recipe_entry& r : recipes)
        for (const bool importance : {false, true}) {
            quantize_params params = defaults();
            params.threads = 2;
            params.file_type = static_cast<std::int32_t>(r.which);
            if (importance)
                params.importance = entries.data();
            const std::string theirs = folder + "/theirs.gguf", ours = folder + "/ours.gguf";
            const std::string command = tool + " quantize " + model + " " + ours + " --type " + r.name
                                        + (importance ? " --imatrix " + folder + "/imatrix.dat" : "") + " 2>/dev/null";
            const bool by_them = quantize(model.c_str(), theirs.c_str(), &params) == 0, by_us = std::system(command.c_str()) == 0;
            if (r.which == recipe::q1_0 && has_fallbacks) { // llama.cpp has nothing that could stand in for q1_0
                good = good && !by_them && by_us;
                std::printf("%-16s %-7s refused by llama.cpp%s\n", model.substr(model.rfind('/') + 1).c_str(), r.name,
                    !by_them && by_us ? "" : ": DIFFERENT");
                continue;
            }
            const bool done = by_them && by_us;
            const std::string a = done ? load(theirs) : "", b = done ? load(ours) : "";
            // A file made without importance must be another, or the weights were not used; these and plain numbers have no use for them.
            const bool unused
                = r.which == recipe::q8_0 || r.which == recipe::q1_0 || r.which == recipe::q2_0 || !is_quantized(r.type) || has_fallbacks;
            const bool same = done && !a.empty() && a == b && (!importance || b != plain || unused);
            plain = b;
            std::printf("%-16s %-7s %-16s %zu bytes: %s\n", model.substr(model.rfind('/') + 1).c_str(), r.name,
                importance ? "with importance" : "", b.size(), same ? "the same" : "DIFFERENT");
            good = good && same;
        }
    return good;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 5) {
        std::fprintf(stderr, "usage: %s LIBLLAMA NIBBLE MODEL FOLDER\n", argv[0]);
        return 2;
    }
    void* library = dlopen(argv[1], RTLD_NOW);
    if (library == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    if (void* log = dlsym(library, "llama_log_set"))
        reinterpret_cast<void (*)(void (*)(int, const char*, void*), void*)>(log)(
            [](int level, const char* text, void*) { level == 4 ? (void)std::fputs(text, stderr) : (void)0; }, nullptr);
    const std::string folder = argv[4];
    bool good = compare(library, argv[2], argv[3], folder, false);
    const shape shapes[]
        = {{16, 256, 256, 64, 0, true}, {9, 288, 288, 288, 0, false}, {3, 256, 256, 128, 8, false}, {2, 256, 40, 256, 0, false}};
    for (const shape& m : shapes)
        good = compare(library, argv[2],
                   made_model(folder + "/made-" + std::to_string(m.width) + "x" + std::to_string(m.layers) + ".gguf", m), folder,
                   m.width % 256 != 0 || m.hidden % 256 != 0)
               && good;
    return good ? 0 : 1;
}
