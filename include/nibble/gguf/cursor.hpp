// Reads the header of a GGUF file from front to back and checks everything that it passes. gguf_reader uses it.
#pragma once

#include "value.hpp"

NIBBLE_BEGIN_TYPES

/// Counts and lengths above these are refused with file_limit. The file's size is a bound anyway.
struct gguf_limits {
    std::uint64_t pairs = 1u << 20, tensors = 1u << 20;
    std::uint64_t string_bytes = 1u << 30, array_elements = 1u << 30;
    std::uint32_t nesting = 4; ///< arrays in arrays; each level costs a stack frame
    std::uint32_t alignment = 1u << 20;
};

struct gguf_options {
    gguf_rules rules = gguf_rules::lenient;
    /// Accept a file that ends before its tensors' data: the first megabytes of a download, say. Incomplete tensors have no
    /// data.
    bool data_may_be_missing = false;
    gguf_limits limits;
};

NIBBLE_END_TYPES

NIBBLE_BEGIN
namespace detail {

struct gguf_cursor {
    span<const std::byte> bytes;
    std::size_t position;
    const gguf_options& options;

    std::size_t left() const noexcept { return bytes.size() - position; }

    template <class T>
    bool take(T& out) noexcept
    {
        if (left() < sizeof(T))
            return false;
        std::memcpy(&out, bytes.data() + position, sizeof(T));
        position += sizeof(T);
        return true;
    }

    status take(std::string_view& out) noexcept
    {
        std::uint64_t length = 0;
        if (!take<std::uint64_t>(length) || length > left())
            return status::file_truncated;
        if (length > options.limits.string_bytes)
            return status::file_limit;
        out = {reinterpret_cast<const char*>(bytes.data() + position), std::size_t {length}};
        position += std::size_t {length};
        return status::ok;
    }

    status skip_bools(std::uint64_t count) noexcept
    {
        for (; count > 0; --count, ++position)
            if (static_cast<unsigned>(bytes[position]) > 1)
                return status::file_value_invalid;
        return status::ok;
    }

    /// Steps over a value and checks it.
    status skip(gguf_type type, std::uint32_t depth) noexcept
    {
        if (type > gguf_type::f64)
            return status::file_value_invalid;
        if (type == gguf_type::string) {
            std::string_view text;
            if (const status s = take(text); s != status::ok)
                return s;
            return options.rules == gguf_rules::strict && !is_utf8(text) ? status::file_text_invalid : status::ok;
        }
        std::uint64_t count = 1;
        std::uint32_t element = static_cast<std::uint32_t>(type);
        if (type == gguf_type::array) {
            if (depth == options.limits.nesting)
                return status::file_limit;
            if (!take(element) || !take(count))
                return status::file_truncated;
            if (element > static_cast<std::uint32_t>(gguf_type::f64))
                return status::file_value_invalid;
        }
        type = static_cast<gguf_type>(element);
        // A string takes 8 bytes at least, an array 12.
        const std::size_t size = type == gguf_type::string ? 8 : type == gguf_type::array ? 12 : size_of(type);
        if (count > left() / size)
            return status::file_truncated;
        if (count > options.limits.array_elements)
            return status::file_limit;
        if (type == gguf_type::boolean)
            return skip_bools(count);
        if (size_of(type) != 0) {
            position += std::size_t {count} * size;
            return status::ok;
        }
        for (; count > 0; --count)
            if (const status s = skip(type, depth + 1); s != status::ok)
                return s;
        return status::ok;
    }

    /// What stands behind a tensor's name. `fault`, unless it is one: what is wrong with the type and the sizes. A type that does not exist
    /// is not: it may be newer than nibble.
    status skip_tensor(status& fault) noexcept
    {
        gguf_tensor t;
        std::uint32_t type = 0;
        std::uint64_t offset = 0;
        if (!take(t.dimensions))
            return status::file_truncated;
        if (t.dimensions > 4)
            return status::file_shape_invalid;
        for (std::uint32_t i = 0; i < t.dimensions; ++i)
            if (!take(t.sizes[i]))
                return status::file_truncated;
        if (!take(type) || !take(offset))
            return status::file_truncated;
        t.type = static_cast<ggml_type>(type);
        if (fault == status::ok)
            fault = is_known(t.type) ? tensor_bytes(t).error() : tensor_elements(t).error();
        return status::ok;
    }
};

} // namespace detail
NIBBLE_END
