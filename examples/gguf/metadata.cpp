#include "metadata.hpp"
#include "quantized_file.hpp"

using namespace nibble;

std::string shown(const gguf_value& v)
{
    constexpr std::size_t most = 60;
    switch (v.type()) {
    case gguf_type::string: {
        const std::string_view text = *v.get<std::string_view>();
        std::size_t length = std::min(most, text.size());
        while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0u) == 0x80)
            --length; // no part of a character
        return '"' + printable(text.substr(0, length)) + (length < text.size() ? "...\"" : "\"");
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

std::string sizes_of(const gguf_tensor& t)
{
    std::string sizes;
    for (std::uint32_t d = 0; d < t.dimensions; ++d)
        sizes += (d == 0 ? "" : " x ") + std::to_string(t.sizes[d]);
    return sizes;
}

bool equal(const gguf_value& a, const gguf_value& b)
{
    if (a.type() != b.type() || a.size() != b.size())
        return false;
    if (a.type() == gguf_type::string)
        return *a.get<std::string_view>() == *b.get<std::string_view>();
    if (a.type() != gguf_type::array)
        return std::equal(a.scalar_bytes().begin(), a.scalar_bytes().end(), b.scalar_bytes().begin());
    if (a.element_type() != b.element_type())
        return false;
    auto other = b.begin();
    for (const gguf_value& e : a) {
        if (!equal(e, *other))
            return false;
        ++other;
    }
    return true;
}
