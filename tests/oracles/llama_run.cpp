// llama.cpp runs the files that nibble writes, nibble those that llama.cpp writes, and both give the same perplexity on the same tokens:
//   oracle_llama_run LIBRARIES NIBBLE MODEL FOLDER
// The tokens are drawn from the model itself. What is left between the two is how they round activations: nibble a row of them to int8,
// llama.cpp 32 or 256 of them, and its cache of keys and values to half.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <dlfcn.h>

#include "model.hpp"
#include "sample.hpp"

using namespace nibble;

namespace {

// llama.cpp's structs, passed by value: as much of them as is used, and more room than they take.
struct any_params {
    std::uint32_t first[3]; // of a context: tokens, those of a call, those computed at once
    std::uint32_t rest[253];
};
struct quantize_params {
    std::int32_t threads, file_type;
    char rest[504];
};
struct batch {
    std::int32_t count;
    std::int32_t* tokens;
    float* embeddings;
    std::int32_t *positions, *sequence_counts, **sequences;
    std::int8_t* wanted;
};

[[noreturn]] void fail(const std::string& what)
{
    std::fprintf(stderr, "oracle_llama_run: %s\n", what.c_str());
    std::exit(1);
}

std::string load(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

span<const std::byte> bytes_of(const std::string& s) { return {reinterpret_cast<const std::byte*>(s.data()), s.size()}; }

class llama {
public:
    explicit llama(const std::string& folder)
    {
        library_ = open(folder + "/libllama.v0.5.0.so");
        function<void(const char*)>(open(folder + "/libggml.v0.5.0.so"), "ggml_backend_load_all_from_path")(folder.c_str());
        function<void(void (*)(int, const char*, void*), void*)>("llama_log_set")(
            [](int level, const char* text, void*) { level == 4 ? (void)std::fputs(text, stderr) : (void)0; }, nullptr);
        function<void()>("llama_backend_init")();
    }

    void quantize(const std::string& from, const std::string& to, recipe wanted) const
    {
        quantize_params params = function<quantize_params()>("llama_model_quantize_default_params")();
        params.threads = 2;
        params.file_type = static_cast<std::int32_t>(wanted);
        if (function<std::uint32_t(const char*, const char*, const quantize_params*)>("llama_model_quantize")(
                from.c_str(), to.c_str(), &params)
            != 0)
            fail("llama.cpp does not quantize to " + to);
    }

    // The logits of every position of every window.
    std::vector<std::vector<float>> run(
        const std::string& path, const std::vector<std::vector<std::int32_t>>& windows, std::size_t vocabulary) const
    {
        void* loaded = function<void*(const char*, any_params)>("llama_model_load_from_file")(
            path.c_str(), function<any_params()>("llama_model_default_params")());
        if (loaded == nullptr)
            fail("llama.cpp does not load " + path);
        any_params params = function<any_params()>("llama_context_default_params")();
        const std::size_t length = windows[0].size();
        for (std::uint32_t& n : params.first)
            n = static_cast<std::uint32_t>(length);
        void* context = function<void*(void*, any_params)>("llama_init_from_model")(loaded, params);
        if (context == nullptr)
            fail("llama.cpp makes no context for " + path);
        std::vector<std::vector<float>> all;
        for (const std::vector<std::int32_t>& w : windows) {
            function<void(void*, bool)>("llama_memory_clear")(function<void*(void*)>("llama_get_memory")(context), true);
            const batch b
                = function<batch(std::int32_t, std::int32_t, std::int32_t)>("llama_batch_init")(static_cast<std::int32_t>(length), 0, 1);
            batch filled = b;
            filled.count = static_cast<std::int32_t>(length);
            for (std::size_t i = 0; i < length; ++i) {
                filled.tokens[i] = w[i];
                filled.positions[i] = static_cast<std::int32_t>(i);
                filled.sequence_counts[i] = 1;
                filled.sequences[i][0] = 0;
                filled.wanted[i] = 1;
            }
            if (function<std::int32_t(void*, batch)>("llama_decode")(context, filled) != 0)
                fail("llama.cpp does not run " + path);
            const float* z = function<float*(void*)>("llama_get_logits")(context);
            all.emplace_back(z, z + length * vocabulary);
            function<void(batch)>("llama_batch_free")(b);
        }
        function<void(void*)>("llama_free")(context);
        function<void(void*)>("llama_model_free")(loaded);
        return all;
    }

private:
    void* library_;

    static void* open(const std::string& path)
    {
        void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
        if (library == nullptr)
            fail(dlerror());
        return library;
    }
    template <class Signature>
    static Signature* function(void* library, const char* name)
    {
        void* found = dlsym(library, name);
        if (found == nullptr)
            fail(std::string("llama.cpp has no ") + name);
        return reinterpret_cast<Signature*>(found);
    }
    template <class Signature>
    Signature* function(const char* name) const
    {
        return function<Signature>(library_, name);
    }
};

model loaded(const std::string& bytes, const std::string& name)
{
    auto m = model::load(bytes_of(bytes), quantizer_for(format::fp32));
    if (!m)
        fail("nibble does not load " + name + ": " + to_string(m.error()));
    return std::move(*m);
}

std::vector<std::vector<std::int32_t>> drawn_windows(model& m, std::size_t count)
{
    std::vector<std::vector<std::int32_t>> windows;
    std::vector<float> z;
    std::uint64_t state = 1;
    for (std::size_t i = 0; i < count; ++i) {
        std::vector<std::int32_t> w {'\n'};
        for (status s = m.logits(w, z); w.size() < m.context(); s = m.extend({w.back()}, z)) {
            if (s != status::ok)
                fail(to_string(s));
            w.push_back(static_cast<std::int32_t>(sample({z.data(), m.vocabulary()}, 1.0f, state)));
        }
        windows.push_back(w);
    }
    return windows;
}

// All matrices as floats, by nibble's writer.
void write_f32(const std::string& bytes, const std::string& path)
{
    const auto file = gguf_reader::open(bytes_of(bytes));
    if (!file)
        fail(to_string(file.error()));
    std::vector<gguf_pair> pairs;
    std::vector<gguf_tensor> tensors;
    std::deque<std::vector<float>> data;
    for (std::size_t i = 0; i < file->pair_count(); ++i)
        pairs.push_back(file->pair(i).key == "general.file_type" ? gguf_pair {"general.file_type", std::uint32_t {0}} : file->pair(i));
    for (std::size_t i = 0; i < file->tensor_count(); ++i) {
        gguf_tensor t = file->tensor(i);
        data.emplace_back(static_cast<std::size_t>(t.rows() * t.sizes[0]));
        if (dequantize_blocks(t.type, t.data, {data.back().data(), t.rows(), t.sizes[0]}) != status::ok)
            fail("a tensor is no array of floats");
        t.type = ggml_type::f32;
        t.data = {reinterpret_cast<const std::byte*>(data.back().data()), data.back().size() * sizeof(float)};
        tensors.push_back(t);
    }
    std::ofstream out(path, std::ios::binary);
    const auto sink = [&](const std::byte* b, std::size_t count) {
        return static_cast<bool>(out.write(reinterpret_cast<const char*>(b), static_cast<std::streamsize>(count)));
    };
    if (write_gguf(pairs, tensors, sink) != status::ok || !out.flush())
        fail("cannot write " + path);
}

// nibble runs `here`, llama.cpp `there`. The bounds: of the perplexities' relative difference, and of the mean KL of the predictions.
bool compare(const llama& other, const char* name, const std::string& here, const std::string& there,
    const std::vector<std::vector<std::int32_t>>& windows, double most_difference, double most_kl)
{
    model m = loaded(load(here), here);
    const std::vector<std::vector<float>> theirs = other.run(there, windows, m.vocabulary());
    prediction_statistics ours_on_text, theirs_on_text;
    std::vector<float> z;
    for (std::size_t w = 0; w < windows.size(); ++w) {
        if (const status s = m.logits(windows[w], z); s != status::ok)
            fail(to_string(s));
        for (std::size_t t = 0; t + 1 < windows[w].size(); ++t) {
            const span<const float> ours(z.data() + t * m.vocabulary(), m.vocabulary()),
                reference(theirs[w].data() + t * m.vocabulary(), m.vocabulary());
            const std::size_t target = static_cast<std::size_t>(windows[w][t + 1]);
            if (ours_on_text.add(reference, ours) != status::ok || ours_on_text.add_target(ours, target) != status::ok
                || theirs_on_text.add_target(reference, target) != status::ok)
                fail("logits of another size");
        }
    }
    const double a = ours_on_text.perplexity(), b = theirs_on_text.perplexity(), difference = a / b - 1;
    const bool good = std::fabs(difference) <= most_difference && ours_on_text.mean_kl() <= most_kl && a < 20; // of an untrained model: 256
    std::printf("%-8s perplexity %.5f, llama.cpp's %.5f, %+.4f %% (at most %.2f %%), mean KL %.6f (at most %.6f), top-1 %.2f %%: %s\n",
        name, a, b, 100 * difference, 100 * most_difference, ours_on_text.mean_kl(), most_kl, 100 * ours_on_text.top1(),
        good ? "good" : "TOO FAR");
    return good;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 5) {
        std::fprintf(stderr, "usage: %s LIBRARIES NIBBLE MODEL FOLDER\n", argv[0]);
        return 2;
    }
    const llama other(argv[1]);
    const std::string tool = argv[2], original = argv[3], folder = argv[4], bytes = load(original);
    model m = loaded(bytes, original);
    const std::vector<std::vector<std::int32_t>> windows = drawn_windows(m, 8);
    const std::string f32 = folder + "/run-f32.gguf", ours = folder + "/run-ours.gguf", theirs = folder + "/run-theirs.gguf";
    write_f32(bytes, f32);
    bool good = compare(other, "F32", f32, f32, windows, 1e-4, 1e-5);
    good = compare(other, "F16", original, original, windows, 1e-4, 1e-5) && good;
    for (const char* name : {"Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS"}) {
        if (std::system((tool + " quantize " + original + " " + ours + " --type " + name + " >/dev/null").c_str()) != 0)
            fail(tool + " does not quantize to " + name);
        other.quantize(original, theirs, *find_recipe(name));
        good = compare(other, name, theirs, ours, windows, 5e-3, 2e-3) && good;
    }
    return good ? 0 : 1;
}
