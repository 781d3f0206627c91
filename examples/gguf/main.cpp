// nibble inspect FILE                                  prints what a GGUF file holds
// nibble quantize IN OUT --type Q4_K_M [--imatrix F]   quantizes a file of f16, bf16 or f32 tensors, as llama.cpp would, byte for byte
// nibble compare A B                                   how far B's tensors are from A's
// nibble run FILE --prompt TEXT                        lets a model of the Llama architecture write
#include "commands.hpp"
#include "file.hpp"

#include <cstdio>
#include <thread>

#include <CLI/CLI.hpp>

#include <nibble/nibble.hpp>

using namespace nibble;

namespace {

std::string shown(const gguf_value& v)
{
    constexpr std::size_t most = 60;
    switch (v.type()) {
    case gguf_type::string: {
        std::string text;
        for (const char c : v.get<std::string_view>()->substr(0, most))
            text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
        return '"' + text + (v.size() > most ? "..." : "") + '"';
    }
    case gguf_type::array: {
        std::string text = "[";
        std::size_t count = 0;
        for (const gguf_value& e : v) {
            if (count++ == 4)
                return text + ", ...] of " + std::to_string(v.size());
            text += (count > 1 ? ", " : "") + shown(e);
        }
        return text + "]";
    }
    case gguf_type::boolean: return *v.get<bool>() ? "true" : "false";
    case gguf_type::f32: return std::to_string(*v.get<float>());
    case gguf_type::f64: return std::to_string(*v.get<double>());
    case gguf_type::i8: return std::to_string(*v.get<std::int8_t>());
    case gguf_type::i16: return std::to_string(*v.get<std::int16_t>());
    case gguf_type::i32: return std::to_string(*v.get<std::int32_t>());
    case gguf_type::i64: return std::to_string(*v.get<std::int64_t>());
    default: return std::to_string(*v.unsigned_integer());
    }
}

} // namespace

void inspect(const std::string& path, bool strict)
{
    const mapped_file input(path);
    gguf_options options;
    options.rules = strict ? gguf_rules::strict : gguf_rules::lenient;
    options.data_may_be_missing = true;
    const auto file = gguf_reader::open(input.bytes(), options);
    if (!file)
        throw std::runtime_error(path + ": " + to_string(file.error()));
    std::printf("GGUF version %u, alignment %zu, data from byte %zu%s%s\n", file->version(), file->alignment(), file->data_offset(),
        file->is_complete() ? "" : "; the data is not all there",
        file->has_odd_alignment() ? "; the format does not allow this alignment" : "");
    for (std::size_t i = 0; i < file->pair_count(); ++i) {
        const gguf_pair p = file->pair(i);
        std::printf("  %-44.*s %-7s %s\n", static_cast<int>(p.key.size()), p.key.data(), to_string(p.value.type()), shown(p.value).c_str());
    }
    double bytes = 0.0, elements = 0.0;
    for (std::size_t i = 0; i < file->tensor_count(); ++i) {
        const gguf_tensor t = file->tensor(i);
        std::string sizes;
        for (std::uint32_t d = 0; d < t.dimensions; ++d)
            sizes += (d == 0 ? "" : " x ") + std::to_string(t.sizes[d]);
        std::printf("  %-44.*s %-7s %s\n", static_cast<int>(t.name.size()), t.name.data(), to_string(t.type), sizes.c_str());
        elements += static_cast<double>(t.sizes[0]) * static_cast<double>(t.rows());
        bytes += static_cast<double>(*detail::tensor_bytes(t));
    }
    std::printf("%zu tensors, %.3f million numbers, %.3f MB, %.3f bits each\n", file->tensor_count(), elements * 1e-6, bytes * 1e-6,
        elements > 0.0 ? 8.0 * bytes / elements : 0.0);
}

int main(int argc, char** argv)
{
    CLI::App app {"Reads, quantizes, compares and runs GGUF files.", "nibble"};
    app.require_subcommand(1);
    std::string path;
    bool strict = false;
    CLI::App* look = app.add_subcommand("inspect", "print what a file holds");
    look->add_option("file", path, "a GGUF file")->required();
    look->add_flag("--strict", strict, "refuse what the format's description does not allow");
    quantize_options options;
    options.threads = std::max(1u, std::thread::hardware_concurrency());
    std::string names;
    for (const recipe_entry& e : recipes)
        names += (names.empty() ? "" : ", ") + std::string(e.name);
    CLI::App* make = app.add_subcommand("quantize", "quantize a file");
    make->add_option("input", options.input, "a GGUF file with f16, bf16 or f32 tensors")->required();
    make->add_option("output", options.output, "where the quantized file goes")->required();
    make->add_option("--type", options.recipe, "one of " + names)->required();
    make->add_option("--imatrix", options.imatrix, "importance of columns, .dat or .gguf");
    make->add_option("--threads", options.threads, "how many")->check(CLI::Range(1u, 1024u));
    std::string reference, actual;
    CLI::App* hold = app.add_subcommand("compare", "signal to noise and errors of each tensor, as floats");
    hold->add_option("reference", reference, "a GGUF file")->required();
    hold->add_option("actual", actual, "another of the same model")->required();
    run_options write;
    CLI::App* go = app.add_subcommand("run", "let a model of the Llama architecture write");
    go->add_option("file", write.file, "a GGUF file")->required();
    go->add_option("--prompt", write.prompt, "what the text begins with")->required();
    go->add_option("--tokens", write.tokens, "how many follow (200)");
    go->add_option("--temperature", write.temperature, "0: always the most probable token (0.7)")->check(CLI::Range(0.0, 10.0));
    go->add_option("--seed", write.seed, "another gives another text");
    CLI11_PARSE(app, argc, argv);
    try {
        if (look->parsed())
            inspect(path, strict);
        else if (make->parsed())
            quantize(options);
        else if (hold->parsed())
            return compare_files(reference, actual) ? 0 : 1;
        else
            run(write);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "nibble: %s\n", e.what());
        return 1;
    }
}
