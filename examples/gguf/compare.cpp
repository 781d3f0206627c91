#include "commands.hpp"
#include "file.hpp"
#include "metadata.hpp"
#include "quantized_file.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <nibble/blocks/dequantize_codebook.hpp>

using namespace nibble;

namespace {

// Some rows at a time, so that memory does not grow with the tensor.
error_statistics difference(const gguf_tensor& a, const gguf_tensor& b)
{
    error_statistics sum;
    const std::int64_t columns = a.sizes[0], portion = std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, columns));
    for (std::int64_t first = 0; first < a.rows(); first += portion) {
        const std::int64_t count = std::min(portion, a.rows() - first);
        const auto floats = [&](const gguf_tensor& t) {
            std::vector<float> x(static_cast<std::size_t>(count * columns));
            const std::size_t row = static_cast<std::size_t>(*bytes_for(1, columns, t.type));
            const span<const std::byte> from = t.data.subspan(static_cast<std::size_t>(first) * row, static_cast<std::size_t>(count) * row);
            status done = dequantize_blocks(t.type, from, {x.data(), count, columns});
            if (done == status::ggml_type_unsupported)
                done = dequantize_codebook_blocks(t.type, from, {x.data(), count, columns});
            require(done, printable(t.name));
            return x;
        };
        const std::vector<float> x = floats(a), y = floats(b);
        const auto part = compare(matrix_view<const float>(x.data(), count, columns), matrix_view<const float>(y.data(), count, columns));
        require(part.error(), printable(a.name));
        sum.add(*part);
    }
    return sum;
}

void print(const std::string& name, const std::string& types, const error_statistics& e)
{
    std::printf("%-44s %-16s ", name.c_str(), types.c_str());
    if (std::isinf(e.sqnr_db()))
        std::printf("%9s %12s %12s\n", "equal", "0", "0");
    else
        std::printf("%9.2f %12.3g %12.3g\n", e.sqnr_db(), e.max_error, e.mean_error());
}

// What a file says of itself, not of the model: it differs between a file and the one that was quantized from it.
bool is_about_the_file(std::string_view key)
{
    return key == "general.file_type" || key == "general.quantization_version" || key == "general.alignment" || key.substr(0, 6) == "split."
           || key.substr(0, 17) == "quantize.imatrix.";
}

// "tokenizer.ggml.tokens: 2 of 32000 elements differ, the first is element 17: "a" and "b""
std::string difference(const gguf_pair& a, const gguf_value& b)
{
    const std::string key = printable(a.key);
    if (a.value.type() != gguf_type::array || b.type() != gguf_type::array || a.value.element_type() != b.element_type()
        || a.value.size() != b.size())
        return key + ": " + shown(a.value) + " and " + shown(b);
    std::uint64_t at = 0, count = 0;
    std::string first;
    auto other = b.begin();
    for (const gguf_value& e : a.value) {
        if (!equal(e, *other) && count++ == 0)
            first = std::to_string(at) + ": " + shown(e) + " and " + shown(*other);
        ++other;
        ++at;
    }
    return key + ": " + std::to_string(count) + " of " + std::to_string(at) + " elements differ, the first is element " + first;
}

// How the metadata differ; of keys "general." the descriptions of a model that may still be the same.
bool same_metadata(const gguf_reader& a, const gguf_reader& b, const std::string& a_name, const std::string& b_name)
{
    bool same = true;
    const auto tell = [&](std::string_view key, const std::string& line) {
        std::printf("%s\n", line.c_str());
        same = same && key.substr(0, 8) == "general." && key != "general.architecture";
    };
    for (std::size_t i = 0; i < a.pair_count(); ++i) {
        const gguf_pair p = a.pair(i);
        const auto other = b.find(p.key);
        if (is_about_the_file(p.key))
            continue;
        if (!other)
            tell(p.key, printable(p.key) + " is not in " + b_name);
        else if (!equal(p.value, *other))
            tell(p.key, difference(p, *other));
    }
    for (std::size_t i = 0; i < b.pair_count(); ++i)
        if (const std::string_view key = b.pair(i).key; !is_about_the_file(key) && !a.find(key))
            tell(key, printable(key) + " is not in " + a_name);
    return same;
}

} // namespace

bool compare_files(const std::string& reference, const std::string& actual)
{
    const mapped_file a_bytes(reference), b_bytes(actual);
    const gguf_reader a = open_gguf(a_bytes), b = open_gguf(b_bytes);
    const bool same = same_metadata(a, b, reference, actual);
    std::vector<std::string> missing;
    error_statistics all;
    std::printf("%-44s %-16s %9s %12s %12s\n", "tensor", "types", "SQNR, dB", "max error", "mean error");
    for (std::size_t i = 0; i < a.tensor_count(); ++i) {
        const gguf_tensor t = a.tensor(i);
        const auto other = b.tensor(t.name);
        if (!other || !std::equal(t.sizes, t.sizes + 4, other->sizes)) {
            missing.push_back(
                printable(t.name) + (other ? ": " + sizes_of(t) + ", but " + sizes_of(*other) + " in " + actual : " is not in " + actual));
            continue;
        }
        const error_statistics e = difference(t, *other);
        print(printable(t.name), std::string(to_string(t.type)) + ", " + to_string(other->type), e);
        all.add(e);
    }
    for (std::size_t i = 0; i < b.tensor_count(); ++i)
        if (const std::string_view name = b.tensor(i).name; !a.tensor(name))
            missing.push_back(printable(name) + " is not in " + reference);
    if (missing.size() < a.tensor_count())
        print("all", "", all);
    for (const std::string& line : missing)
        std::printf("%s\n", line.c_str());
    return same && missing.empty();
}
