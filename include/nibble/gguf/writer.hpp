// Writes GGUF files, version 3, byte for byte as ggml's gguf_write_to_file does for the same content: pairs and tensors in the given order,
// trailing dimensions of 1 left out, data contiguous and padded with zeros to general.alignment (32 unless a pair says otherwise).
//   write_gguf          a whole file, from tensors that have their data
//   write_gguf_header   all but the data. The caller writes that after it: each tensor's bytes, then gguf_padding(bytes) zeros
// Everything is checked before the first byte is written. Bytes go to a sink, which is anything that can be called as
//   bool sink(const std::byte* bytes, std::size_t count)
// and returns false if it could not take them. gguf_memory is a sink.
#pragma once

#include "../core/bits.hpp"
#include "value.hpp"

NIBBLE_BEGIN_TYPES

/// A sink that fills the caller's memory; `written` counts on when the memory is full, so that an empty one measures.
struct gguf_memory {
    span<std::byte> out;
    std::uint64_t written = 0;

    NIBBLE_INLINE bool operator()(const std::byte* bytes, std::size_t count) noexcept
    {
        const bool fits = check(out) == status::ok && written <= out.size() && count <= out.size() - written;
        if (fits && count != 0)
            std::memcpy(out.data() + written, bytes, count);
        written += count;
        return fits;
    }
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// Zeros between `bytes` bytes of data and what follows; none if the alignment is 0.
NIBBLE_INLINE constexpr std::uint64_t gguf_padding(std::uint64_t bytes, std::uint64_t alignment) noexcept
{
    return alignment == 0 ? 0 : (alignment - bytes % alignment) % alignment;
}

/// The alignment that the pairs ask for: 32 unless general.alignment says otherwise.
inline result<std::uint32_t> gguf_alignment(span<const gguf_pair> pairs) noexcept
{
    if (check(pairs) != status::ok)
        return status::null_pointer;
    for (const gguf_pair& p : pairs)
        if (p.key == "general.alignment") {
            const result<std::uint32_t> a = p.value.get<std::uint32_t>();
            return a && *a >= 8 && (*a & (*a - 1)) == 0 ? a : result<std::uint32_t>(status::file_alignment);
        }
    return std::uint32_t {32};
}

namespace detail {

inline status check_text(std::string_view text) noexcept { return check(span<const char>(text.data(), text.size())); }

inline status check_gguf_value(const gguf_value& v, gguf_rules rules) noexcept
{
    if (v.is_null())
        return status::null_pointer;
    if (v.type() == gguf_type::string)
        return rules == gguf_rules::lenient || is_utf8(*v.get<std::string_view>()) ? status::ok : status::file_text_invalid;
    if (v.type() != gguf_type::array)
        return size_of(v.type()) != 0 ? status::ok : status::file_value_invalid;
    if (v.element_type() == gguf_type::array || v.element_type() > gguf_type::f64)
        return status::file_value_invalid; // ggml reads no arrays of arrays
    if (v.element_type() == gguf_type::string)
        for (const gguf_value& e : v) {
            if (e.is_null())
                return status::null_pointer;
            if (rules == gguf_rules::strict && !is_utf8(*e.get<std::string_view>()))
                return status::file_text_invalid;
        }
    return status::ok;
}

inline status check_gguf(span<const gguf_pair> pairs, span<const gguf_tensor> tensors, gguf_rules rules) noexcept
{
    if (check(pairs) != status::ok || check(tensors) != status::ok)
        return status::null_pointer;
    for (const gguf_pair& p : pairs)
        if (check_text(p.key) != status::ok)
            return status::null_pointer;
    for (const gguf_tensor& t : tensors)
        if (check_text(t.name) != status::ok)
            return status::null_pointer;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        if (pairs[i].key.empty() || (rules == gguf_rules::strict && !is_strict_key(pairs[i].key)))
            return status::file_name_invalid;
        for (std::size_t j = 0; j < i; ++j)
            if (pairs[i].key == pairs[j].key)
                return status::file_duplicate;
        if (const status s = check_gguf_value(pairs[i].value, rules); s != status::ok)
            return s;
    }
    const result<std::uint32_t> alignment = gguf_alignment(pairs);
    if (!alignment)
        return alignment.error();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        // ggml reads names of up to 63 bytes.
        if (tensors[i].name.empty() || tensors[i].name.size() > 63 || !is_utf8(tensors[i].name))
            return status::file_name_invalid;
        for (std::size_t j = 0; j < i; ++j)
            if (tensors[i].name == tensors[j].name)
                return status::file_duplicate;
    }
    std::uint64_t total = 0;
    for (const gguf_tensor& t : tensors) {
        const result<std::uint64_t> bytes = tensor_bytes(t);
        if (!bytes)
            return bytes.error();
        total += *bytes + *alignment;
        if (*bytes > INT64_MAX - UINT32_MAX || total > INT64_MAX)
            return status::size_overflow;
    }
    return status::ok;
}

template <class Sink>
struct gguf_stream {
    Sink& sink;
    std::uint64_t written = 0;
    bool good = true;

    void bytes(const void* data, std::size_t count) noexcept
    {
        good = good && sink(static_cast<const std::byte*>(data), count);
        written += count;
    }
    template <class T>
    void number(T value) noexcept
    {
        bytes(&value, sizeof value);
    }
    void text(std::string_view t) noexcept
    {
        number(std::uint64_t {t.size()});
        bytes(t.data(), t.size());
    }
    void zeros(std::uint64_t count) noexcept
    {
        static constexpr std::byte none[64] = {};
        for (; count > 0; count -= smaller(count, std::size_t {64}))
            bytes(none, smaller(count, std::size_t {64}));
    }
    void value(const gguf_value& v) noexcept
    {
        number(v.type());
        if (v.type() == gguf_type::string) {
            text(*v.get<std::string_view>());
        } else if (v.type() == gguf_type::array) {
            number(v.element_type());
            number(v.size());
            if (v.element_type() == gguf_type::string)
                for (const gguf_value& e : v)
                    text(*e.get<std::string_view>());
            else
                bytes(v.number_bytes().data(), v.number_bytes().size());
        } else {
            bytes(v.scalar_bytes().data(), v.scalar_bytes().size());
        }
    }
};

} // namespace detail

/// Everything before the data. The tensors' data is not looked at. Costs a comparison for every two names.
template <class Sink>
inline status write_gguf_header(
    span<const gguf_pair> pairs, span<const gguf_tensor> tensors, Sink&& sink, gguf_rules rules = gguf_rules::strict) noexcept
{
    if (const status s = detail::check_gguf(pairs, tensors, rules); s != status::ok)
        return s;
    const std::uint32_t alignment = *gguf_alignment(pairs);
    detail::gguf_stream<std::remove_reference_t<Sink>> out {sink};
    out.bytes("GGUF", 4);
    out.number(std::uint32_t {3});
    out.number(std::uint64_t {tensors.size()});
    out.number(std::uint64_t {pairs.size()});
    for (const gguf_pair& p : pairs) {
        out.text(p.key);
        out.value(p.value);
    }
    std::uint64_t offset = 0;
    for (const gguf_tensor& t : tensors) {
        std::uint32_t dimensions = 4;
        while (dimensions > 1 && t.sizes[dimensions - 1] == 1)
            --dimensions;
        out.text(t.name);
        out.number(dimensions);
        for (std::uint32_t i = 0; i < dimensions; ++i)
            out.number(t.sizes[i]);
        out.number(t.type);
        out.number(offset);
        const std::uint64_t bytes = *detail::tensor_bytes(t);
        offset += bytes + gguf_padding(bytes, alignment);
    }
    out.zeros(gguf_padding(out.written, alignment));
    return out.good ? status::ok : status::file_not_written;
}

/// shape_mismatch if a tensor's data is not as long as its type and sizes say.
template <class Sink>
inline status write_gguf(
    span<const gguf_pair> pairs, span<const gguf_tensor> tensors, Sink&& sink, gguf_rules rules = gguf_rules::strict) noexcept
{
    if (const status s = detail::check_gguf(pairs, tensors, rules); s != status::ok)
        return s;
    for (const gguf_tensor& t : tensors) {
        if (check(t.data) != status::ok)
            return status::null_pointer;
        if (t.data.size() != *detail::tensor_bytes(t))
            return status::shape_mismatch;
    }
    if (const status s = write_gguf_header(pairs, tensors, sink, rules); s != status::ok)
        return s;
    detail::gguf_stream<std::remove_reference_t<Sink>> out {sink};
    for (const gguf_tensor& t : tensors) {
        out.bytes(t.data.data(), t.data.size());
        out.zeros(gguf_padding(t.data.size(), *gguf_alignment(pairs)));
    }
    return out.good ? status::ok : status::file_not_written;
}

/// Bytes of the whole file.
inline result<std::uint64_t> gguf_file_size(
    span<const gguf_pair> pairs, span<const gguf_tensor> tensors, gguf_rules rules = gguf_rules::strict) noexcept
{
    std::uint64_t size = 0;
    const auto count = [&size](const std::byte*, std::size_t bytes) noexcept {
        size += bytes;
        return true;
    };
    if (const status s = write_gguf_header(pairs, tensors, count, rules); s != status::ok)
        return s;
    for (const gguf_tensor& t : tensors)
        size += *detail::tensor_bytes(t) + gguf_padding(*detail::tensor_bytes(t), *gguf_alignment(pairs));
    return size;
}

NIBBLE_END
