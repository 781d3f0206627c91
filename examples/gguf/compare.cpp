#include "commands.hpp"
#include "file.hpp"
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
            require(done, std::string(t.name));
            return x;
        };
        const std::vector<float> x = floats(a), y = floats(b);
        const auto part = compare(matrix_view<const float>(x.data(), count, columns), matrix_view<const float>(y.data(), count, columns));
        require(part.error(), std::string(a.name));
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

} // namespace

bool compare_files(const std::string& reference, const std::string& actual)
{
    const mapped_file a_bytes(reference), b_bytes(actual);
    const auto a = gguf_reader::open(a_bytes.bytes()), b = gguf_reader::open(b_bytes.bytes());
    require(a.error(), reference);
    require(b.error(), actual);
    std::vector<std::string> missing;
    error_statistics all;
    std::printf("%-44s %-16s %9s %12s %12s\n", "tensor", "types", "SQNR, dB", "max error", "mean error");
    for (std::size_t i = 0; i < a->tensor_count(); ++i) {
        const gguf_tensor t = a->tensor(i);
        const auto other = b->tensor(t.name);
        if (!other || !std::equal(t.sizes, t.sizes + 4, other->sizes)) {
            missing.push_back(std::string(t.name) + (other ? " has another shape in " : " is not in ") + actual);
            continue;
        }
        const error_statistics e = difference(t, *other);
        print(std::string(t.name), std::string(to_string(t.type)) + ", " + to_string(other->type), e);
        all.add(e);
    }
    for (std::size_t i = 0; i < b->tensor_count(); ++i)
        if (const std::string name(b->tensor(i).name); !a->tensor(std::string_view(name)))
            missing.push_back(name + " is not in " + reference);
    print("all", "", all);
    for (const std::string& line : missing)
        std::printf("%s\n", line.c_str());
    return missing.empty();
}
