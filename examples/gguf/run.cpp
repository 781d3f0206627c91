#include "commands.hpp"
#include "file.hpp"
#include "model.hpp"
#include "quantized_file.hpp"
#include "sample.hpp"
#include "tokenizer.hpp"

#include <chrono>
#include <cstdio>

using namespace nibble;

void run(const run_options& options)
{
    const mapped_file input(options.file);
    const gguf_reader file = open_gguf(input);
    const auto architecture = file.get<std::string_view>("general.architecture");
    if (!architecture || *architecture != "llama")
        throw std::runtime_error(options.file + " does not have the llama architecture, the only one that `run` supports");
    const tokenizer words(file);
    auto loaded = model::load(input.bytes(), quantizer_for(format::fp32));
    if (loaded.error() == status::file_type_mismatch)
        throw std::runtime_error(options.file + " uses scaled positions, biases, experts or other features that `run` does not support");
    require(loaded.error(), options.file);
    model& m = *loaded;

    std::vector<std::int32_t> text = words.encode(options.prompt);
    if (text.empty())
        throw std::runtime_error("the prompt is empty");
    if (text.size() > m.context())
        throw std::runtime_error(
            "the prompt has " + std::to_string(text.size()) + " tokens, the model's context " + std::to_string(m.context()));
    const std::size_t prompt_size = text.size();
    std::fputs(options.prompt.c_str(), stdout);
    std::fflush(stdout);

    std::vector<float> logits;
    std::uint64_t state = options.seed;
    std::size_t first = 0, known = 0; // the model has seen the `known` tokens from `first` on
    const auto began = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < options.tokens; ++i) {
        if (text.size() - first > m.context()) { // go on from the latter half
            first = text.size() - m.context() / 2;
            known = 0;
        }
        const std::vector<std::int32_t> fresh(text.begin() + static_cast<std::ptrdiff_t>(first + known), text.end());
        require(known == 0 ? m.logits(fresh, logits) : m.extend(fresh, logits), options.file);
        known = text.size() - first;
        const span<float> last(logits.data() + (fresh.size() - 1) * m.vocabulary(), m.vocabulary());
        const std::int32_t next = static_cast<std::int32_t>(sample(last, options.temperature, state));
        if (next == words.end())
            break;
        text.push_back(next);
        const std::string piece = words.decode(next);
        std::fwrite(piece.data(), 1, piece.size(), stdout);
        if (std::fflush(stdout) != 0)
            break; // nobody reads on; main() says why
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::printf("\n");
    std::fflush(stdout);
    const std::size_t written = text.size() - prompt_size;
    std::fprintf(stderr, "%zu tokens after a prompt of %zu", written, prompt_size);
    if (written > 0)
        std::fprintf(stderr, ", %.0f per second with the prompt's", static_cast<double>(text.size()) / seconds);
    std::fprintf(stderr, ", weights of %.1f MB, %s\n", static_cast<double>(m.bytes()) * 1e-6, to_string(active_backend()));
}
