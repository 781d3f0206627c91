// nibble inspect FILE                                  prints what a GGUF file holds
// nibble quantize IN OUT --type Q4_K_M [--imatrix F]   quantizes a file of f16, bf16 or f32 tensors, as llama.cpp would, byte for byte
// nibble compare A B                                   how far B's tensors are from A's
// nibble run FILE --prompt TEXT                        lets a model of the Llama architecture write
#include "commands.hpp"
#include "file.hpp"
#include "metadata.hpp"
#include "quantized_file.hpp"

#include <cstdio>
#include <thread>

#include <CLI/CLI.hpp>

#include <nibble/nibble.hpp>

#include "../common/options.hpp"

using namespace nibble;

void inspect(const std::string& path, bool strict)
{
    const mapped_file input(path);
    gguf_options options;
    options.rules = strict ? gguf_rules::strict : gguf_rules::lenient;
    options.data_may_be_missing = true;
    const gguf_reader file = open_gguf(input, options);
    std::printf("GGUF version %u, alignment %zu, data from byte %zu%s%s\n", file.version(), file.alignment(), file.data_offset(),
        file.is_complete() ? "" : "; the file ends before the tensors do",
        file.has_odd_alignment() ? "; the format does not allow this alignment" : "");
    for (std::size_t i = 0; i < file.pair_count(); ++i) {
        const gguf_pair p = file.pair(i);
        std::printf("  %-44s %-7s %s\n", printable(p.key).c_str(), to_string(p.value.type()), shown(p.value).c_str());
    }
    double bytes = 0.0, elements = 0.0;
    for (std::size_t i = 0; i < file.tensor_count(); ++i) {
        const gguf_tensor t = file.tensor(i);
        std::printf("  %-44s %-7s %s\n", printable(t.name).c_str(), to_string(t.type), sizes_of(t).c_str());
        elements += static_cast<double>(t.sizes[0]) * static_cast<double>(t.rows());
        bytes += static_cast<double>(*detail::tensor_bytes(t));
    }
    std::printf("%zu tensors, %.3f million numbers, %.3f MB, %.3f bits each\n", file.tensor_count(), elements * 1e-6, bytes * 1e-6,
        elements > 0.0 ? 8.0 * bytes / elements : 0.0);
}

int main(int argc, char** argv)
{
    CLI::App app {"Reads, quantizes, compares and runs GGUF files.", "nibble"};
    app.require_subcommand(1);
    app.set_version_flag("--version", "nibble " NIBBLE_VERSION_STRING);
    std::string path;
    bool strict = false;
    CLI::App* look = app.add_subcommand("inspect", "print what a file holds");
    look->add_option("file", path, "a GGUF file")->required();
    look->add_flag("--strict", strict, "refuse everything that the format does not allow");
    quantize_options options;
    options.threads = std::max(1u, std::thread::hardware_concurrency());
    std::string names;
    for (const recipe_entry& e : recipes)
        names += (names.empty() ? "" : ", ") + std::string(e.name);
    CLI::App* make = app.add_subcommand("quantize", "quantize a file");
    make->add_option("input", options.input, "a GGUF file with f16, bf16 or f32 tensors")->required();
    make->add_option("output", options.output, "where the quantized file goes")->required();
    make->add_option("--type", options.recipe, "one of " + names + ", in capitals or not")->required();
    make->add_option("--imatrix", options.imatrix, "importance of columns, .dat or .gguf");
    command_line::add_number(*make, "--threads", options.threads, 1, 1024, "number of threads");
    std::string reference, actual;
    CLI::App* hold = app.add_subcommand("compare", "signal to noise and errors of each tensor");
    hold->add_option("reference", reference, "a GGUF file")->required();
    hold->add_option("actual", actual, "a GGUF file of the same model")->required();
    run_options write;
    CLI::App* go = app.add_subcommand("run", "continue a text with a model of the Llama architecture");
    go->add_option("file", write.file, "a GGUF file")->required();
    go->add_option("--prompt", write.prompt, "what the text begins with")->required();
    command_line::add_number(*go, "--tokens", write.tokens, 0, 1000000000, "how many tokens to write (default 200)");
    go->add_option("--temperature", write.temperature, "0 always takes the most probable token; otherwise 0.01 to 10 (default 0.7)")
        ->check([](const std::string& text) {
            const bool good = command_line::real_number(text, 0.01, 10) || command_line::real_number(text, 0, 0);
            return good ? std::string() : "it is 0, or from 0.01 to 10, not " + text;
        });
    command_line::add_number(*go, "--seed", write.seed, 0, INT64_MAX, "start of the random choices: the same seed gives the same text");
    CLI11_PARSE(app, argc, argv);
    command_line::warn_of_backend("nibble");
    bool good = true;
    try {
        if (look->parsed())
            inspect(path, strict);
        else if (make->parsed())
            quantize(options);
        else if (hold->parsed())
            good = compare_files(reference, actual);
        else
            run(write);
    } catch (const std::exception& e) {
        std::fflush(stdout);
        std::fprintf(stderr, "nibble: %s\n", e.what());
        return 1;
    }
    return command_line::finish("nibble", good ? 0 : 1);
}
