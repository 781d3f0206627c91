// ggml's blocks: floats to blocks, whose scales some types search for, and back.
#include "arrays.hpp"

namespace bench {

std::vector<group> blocks(const options& o, const std::vector<loaded_peer>& peers)
{
    using nibble::ggml_type;
    constexpr struct {
        ggml_type type;
        const char* name;
    } types[] = {{ggml_type::q8_0, "q8_0"}, {ggml_type::q4_0, "q4_0"}, {ggml_type::q3_K, "q3_K"}, {ggml_type::q4_K, "q4_K"},
        {ggml_type::q6_K, "q6_K"}, {ggml_type::iq4_nl, "iq4_nl"}, {ggml_type::mxfp4, "mxfp4"}};
    array_group all(o, "blocks");
    for (const auto& each : types) {
        const ggml_type type = each.type;
        const auto make = [type](arena& memory, bool back) {
            const nibble::matrix_view<const float> x(memory.floats().data(), rows, columns);
            const nibble::span<std::byte> bytes = memory.take<std::byte>(*nibble::bytes_for(rows, columns, type));
            const nibble::span<float> y = memory.take<float>(elements);
            if (!back)
                return to_span(bytes, [=] { require(nibble::quantize_blocks(type, x, bytes)); });
            require(nibble::quantize_blocks(type, x, bytes));
            return to_span(
                y, [=] { require(nibble::dequantize_blocks(type, bytes, nibble::matrix_view<float>(y.data(), rows, columns))); });
        };
        all.add("float_to_" + std::string(each.name), [make](arena& memory) { return make(memory, false); });
        all.add(std::string(each.name) + "_to_float", [make](arena& memory) { return make(memory, true); });
        for (const loaded_peer& one : peers)
            for (auto& what : one.library->make(static_cast<unsigned>(type), data(elements).data(), rows, columns)) {
                const std::string name
                    = what->kernel == "quantize" ? "float_to_" + std::string(each.name) : each.name + std::string("_to_float");
                const std::string kernel = one.name + "/" + what->kernel;
                all.add_peer(name, kernel, std::move(what));
            }
    }
    return all.finish();
}

} // namespace bench
