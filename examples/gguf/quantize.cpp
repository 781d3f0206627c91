#include "commands.hpp"
#include "file.hpp"
#include "progress_bar.hpp"
#include "quantized_file.hpp"

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>

using namespace nibble;

namespace {

std::string in_words(std::uint64_t bytes)
{
    char text[32];
    const double n = static_cast<double>(bytes);
    std::snprintf(text, sizeof text, n < 1e6 ? "%.1f kB" : n < 1e9 ? "%.1f MB" : "%.2f GB", n / (n < 1e6 ? 1e3 : n < 1e9 ? 1e6 : 1e9));
    return text;
}

double bits_each(const std::vector<quantized_file::change>& changes, gguf_tensor quantized_file::change::*which)
{
    double bits = 0, elements = 0;
    for (const quantized_file::change& c : changes) {
        bits += 8.0 * static_cast<double>(*detail::tensor_bytes(c.*which));
        elements += static_cast<double>(c.before.sizes[0]) * static_cast<double>(c.before.rows());
    }
    return elements > 0 ? bits / elements : 0;
}

imatrix_reader open_imatrix(const mapped_file& file)
{
    const bool is_gguf = file.bytes().size() >= 4 && std::memcmp(file.bytes().data(), "GGUF", 4) == 0;
    auto opened = imatrix_reader::open(file.bytes());
    if (!opened && !is_gguf)
        throw std::runtime_error(file.path() + " is not an importance matrix, or is cut short: llama-imatrix writes them as .gguf or .dat");
    require(opened.error(), file.path());
    if (opened->size() == 0)
        throw std::runtime_error(file.path() + " contains no importance (no tensor NAME.in_sum2): is it a model?");
    return std::move(*opened);
}

// After the work, so that it reports only what has happened.
void tell(const quantize_options& options, const quantized_file& made, std::uint64_t bytes, double seconds)
{
    using change = quantized_file::change;
    std::fprintf(stderr, "%s, %s, %.2f bits a weight -> %s, %s, %.2f bits a weight; %.*f s\n", options.input.c_str(),
        in_words(bytes).c_str(), bits_each(made.changes(), &change::before), options.output.c_str(), in_words(made.size()).c_str(),
        bits_each(made.changes(), &change::after), seconds < 10 ? 2 : 0, seconds);
    std::map<ggml_type, std::size_t> types;
    std::map<std::pair<ggml_type, ggml_type>, std::vector<std::string>> stand_ins;
    std::size_t important = 0;
    for (const change& c : made.changes()) {
        ++types[c.after.type];
        important += c.has_importance;
        if (c.wanted != c.after.type)
            stand_ins[{c.wanted, c.after.type}].push_back(printable(c.before.name));
    }
    std::string list;
    for (const auto& [type, count] : types)
        list += (list.empty() ? "" : ", ") + std::to_string(count) + " " + to_string(type);
    std::fprintf(stderr, "tensors: %s%s\n", list.c_str(),
        options.imatrix.empty() ? "" : ("; with importance: " + std::to_string(important)).c_str());
    for (const auto& [pair, names] : stand_ins)
        std::fprintf(stderr, "%s instead of %s, whose blocks of %td do not divide the rows: %zu (%s%s)\n", to_string(pair.second),
            to_string(pair.first), block_elements(pair.first), names.size(), names.front().c_str(), names.size() > 1 ? ", ..." : "");
}

} // namespace

void quantize(const quantize_options& options)
{
    const auto began = std::chrono::steady_clock::now();
    const auto wanted = find_recipe(options.recipe);
    if (!wanted) {
        std::string names;
        for (const recipe_entry& e : recipes)
            names += (names.empty() ? "" : ", ") + std::string(e.name);
        throw std::runtime_error("--type " + options.recipe + " is unknown; known types: " + names);
    }
    const mapped_file input(options.input);
    const gguf_reader file = open_gguf(input);
    if (same_file(options.input, options.output))
        throw std::runtime_error(options.output + " is the input itself: name another file");

    imatrix_reader importance;
    std::unique_ptr<mapped_file> importance_file;
    if (!options.imatrix.empty()) {
        if (same_file(options.imatrix, options.output))
            throw std::runtime_error(options.output + " is the importance matrix itself: name another file");
        importance_file = std::make_unique<mapped_file>(options.imatrix);
        importance = open_imatrix(*importance_file);
    }
    const quantized_file made(file, *wanted, importance, options.input);
    new_file output(options.output, made.size());
    {
        progress_bar bar(input.bytes().size());
        made.write([&](const std::byte* bytes, std::size_t count) { output.write(bytes, count); }, options.threads,
            [&](std::uint64_t bytes, std::string_view name) { bar.advance(bytes, printable(name)); });
        output.commit();
    }
    tell(options, made, input.bytes().size(), std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
}
