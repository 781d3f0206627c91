// Any bytes, as a GGUF file and as an importance matrix: nothing outside them is touched, and what can be read can be written and is then
// read the same.
#include <cstdlib>
#include <vector>

#include <nibble/gguf/imatrix.hpp>
#include <nibble/gguf/reader.hpp>
#include <nibble/gguf/writer.hpp>

using namespace nibble;

namespace {

void require(bool good)
{
    if (!good)
        std::abort();
}

unsigned walk(const gguf_value& v)
{
    unsigned sum = static_cast<unsigned>(v.size());
    if (v.type() == gguf_type::string)
        for (const char c : *v.get<std::string_view>())
            sum += static_cast<unsigned char>(c);
    for (const gguf_value& e : v)
        sum += walk(e);
    return sum + static_cast<unsigned>(v.unsigned_integer().error() == status::ok);
}

void walk(const gguf_reader& file)
{
    volatile unsigned sum = 0;
    std::vector<gguf_pair> pairs;
    std::vector<gguf_tensor> tensors;
    for (std::size_t i = 0; i < file.pair_count(); ++i) {
        pairs.push_back(file.pair(i));
        sum = sum + walk(pairs.back().value);
        require(file.find(pairs.back().key).error() == status::ok);
    }
    for (std::size_t i = 0; i < file.tensor_count(); ++i) {
        tensors.push_back(file.tensor(i));
        for (const std::byte b : tensors.back().data)
            sum = sum + static_cast<unsigned>(b);
        const status named = file.tensor(tensors.back().name).error();
        require(is_known(tensors.back().type) ? named == status::ok || (named == status::file_truncated && !file.is_complete())
                                              : named == status::ggml_type_unknown);
    }
    if (!file.is_complete())
        return;
    const auto size = gguf_file_size(pairs, tensors, gguf_rules::lenient);
    if (!size || *size > 1u << 24)
        return;
    std::vector<std::byte> bytes(static_cast<std::size_t>(*size));
    gguf_memory memory {bytes};
    require(write_gguf(pairs, tensors, memory, gguf_rules::lenient) == status::ok && memory.written == bytes.size());
    const auto again = gguf_reader::open(bytes);
    require(again.error() == status::ok && again->pair_count() == pairs.size() && again->tensor_count() == tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const gguf_tensor t = again->tensor(i);
        require(t.name == tensors[i].name && t.type == tensors[i].type && t.data.size() == tensors[i].data.size());
        require(t.data.empty() || std::memcmp(t.data.data(), tensors[i].data.data(), t.data.size()) == 0);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    gguf_options options;
    const auto lenient = gguf_reader::open(bytes, options);
    if (lenient)
        walk(*lenient);
    options.rules = gguf_rules::strict;
    const auto strict = gguf_reader::open(bytes, options);
    require(!strict || lenient); // strict accepts nothing more
    options.data_may_be_missing = true;
    const auto partial = gguf_reader::open(bytes, options);
    require(partial || !strict);
    if (partial)
        walk(*partial);
    if (const auto importance = imatrix_reader::open(bytes))
        for (std::size_t count = 1; count <= 12; ++count)
            for (const std::string_view name : {"", "x", "blk.0"}) {
                std::vector<float> weights(count, -7.0f);
                const status s = importance->weights(name, count % 3 == 0 ? count / 3 : count, count % 3 == 0 ? 3 : 1, weights);
                for (const float w : weights) {
                    std::uint32_t w_bits = 0;
                    std::memcpy(&w_bits, &w, sizeof w);
                    require(s == status::ok ? (w_bits & 0x7f800000u) != 0x7f800000u : w == -7.0f);
                }
            }
    return 0;
}
