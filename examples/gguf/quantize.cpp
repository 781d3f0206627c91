#include "commands.hpp"
#include "file.hpp"
#include "progress_bar.hpp"
#include "quantized_file.hpp"

#include <cstdio>
#include <filesystem>
#include <memory>

using namespace nibble;

void quantize(const quantize_options& options)
{
    const auto wanted = find_recipe(options.recipe);
    require(wanted.error(), options.recipe);
    const mapped_file input(options.input);
    const auto file = gguf_reader::open(input.bytes());
    require(file.error(), options.input);
    std::error_code none;
    if (std::filesystem::equivalent(options.input, options.output, none))
        throw std::runtime_error(options.output + " is the input itself: name another file");

    imatrix_reader importance;
    std::unique_ptr<mapped_file> importance_file;
    if (!options.imatrix.empty()) {
        importance_file = std::make_unique<mapped_file>(options.imatrix);
        auto opened = imatrix_reader::open(importance_file->bytes());
        require(opened.error(), options.imatrix);
        importance = std::move(*opened);
    }
    const quantized_file made(*file, *wanted, importance);
    std::printf("%s: %.1f MB -> %.1f MB\n", options.input.c_str(), static_cast<double>(input.bytes().size()) * 1e-6,
        static_cast<double>(made.size()) * 1e-6);
    new_file output(options.output);
    progress_bar bar(input.bytes().size());
    made.write([&](const std::byte* bytes, std::size_t count) { output.write(bytes, count); }, options.threads,
        [&](std::uint64_t bytes, std::string_view name) { bar.advance(bytes, name); });
    output.commit();
}
