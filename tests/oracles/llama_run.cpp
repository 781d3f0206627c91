// llama.cpp runs the files that nibble writes, nibble those that llama.cpp writes, and both give the same perplexity on the same tokens:
//   oracle_llama_run LIBRARIES NIBBLE MODEL FOLDER
// The tokens are drawn from the model itself. What is left between the two is how they round activations: nibble a row of them to int8,
// llama.cpp 32 or 256 of them, and its cache of keys and values to half.
#include <cmath>
#include <deque>

#include "llama.hpp"
#include "model.hpp"
#include "sample.hpp"

using namespace nibble;

namespace {

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

// nibble runs `here`, llama.cpp `there`. The bounds: of the perplexities' relative difference, of the mean KL of the predictions, and of
// the perplexity, which for an untrained model is 256.
bool compare(const llama& other, const char* name, const std::string& here, const std::string& there,
    const std::vector<std::vector<std::int32_t>>& windows, double most_difference, double most_kl, double most_perplexity = 20)
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
    const bool good = std::fabs(difference) <= most_difference && ours_on_text.mean_kl() <= most_kl && a < most_perplexity;
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
    const auto quantize = [&](const std::string& name) {
        if (std::system((tool + " quantize " + original + " " + ours + " --type " + name + " >/dev/null").c_str()) != 0)
            fail(tool + " does not quantize to " + name);
        other.quantize(original, theirs, *find_recipe(name));
    };
    bool good = compare(other, "F32", f32, f32, windows, 1e-4, 1e-5);
    good = compare(other, "F16", original, original, windows, 1e-4, 1e-5) && good;
    for (const char* name : {"Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS"}) {
        quantize(name);
        good = compare(other, name, theirs, ours, windows, 5e-3, 2e-3) && good;
    }
    // One and two bits leave little of the model.
    for (const char* name : {"Q1_0", "Q2_0"}) {
        quantize(name);
        good = compare(other, name, theirs, ours, windows, 5e-3, 5e-3, 128) && good;
    }
    return good ? 0 : 1;
}
