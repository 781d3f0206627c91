// Reads a GGUF file, version 2 or 3, from bytes that somebody else owns (a mapped file, a buffer). Nothing is copied or allocated; every
// length is checked against the bytes that are there before it is used, so that the cost is bounded by the file's size.
//   header   "GGUF", u32 version, u64 tensors, u64 pairs; the pairs: key, u32 type, value; the tensors: name, u32 dimensions, u64 sizes
//            (innermost first), u32 type, u64 offset; then padding to general.alignment (32 unless given), then the data
#pragma once

#include <cstring>

#include "../core/numeric.hpp"
#include "../core/status.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN_TYPES

enum class gguf_type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// Tensor types that this reader knows the size of, by their number in the file.
enum class gguf_tensor_type : std::uint32_t { f32 = 0, f16 = 1, q8_0 = 8, bf16 = 30 };

struct gguf_tensor {
    gguf_tensor_type type = gguf_tensor_type::f32;
    std::uint32_t dimensions = 0;
    std::int64_t sizes[4] = {1, 1, 1, 1}; ///< innermost first
    span<const std::byte> data;
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

class gguf_reader {
public:
    gguf_reader() noexcept = default;

    /// Checks the whole header; tensors' data must lie inside the bytes.
    static result<gguf_reader> open(span<const std::byte> bytes) noexcept
    {
        if (check(bytes) != status::ok)
            return status::null_pointer;
        gguf_reader r;
        r.bytes_ = bytes;
        cursor at {bytes, 0};
        char mark[4] = {};
        if (!at.take(mark))
            return status::file_truncated;
        if (std::memcmp(mark, "GGUF", 4) != 0)
            return status::file_not_gguf;
        std::uint32_t version = 0;
        if (!at.take(version))
            return status::file_truncated;
        if (version != 2 && version != 3)
            return status::file_version;
        if (!at.take(r.tensors_) || !at.take(r.pairs_))
            return status::file_truncated;
        // A pair takes at least 13 bytes and a tensor at least 24.
        if (r.pairs_ > bytes.size() / 13 || r.tensors_ > bytes.size() / 24)
            return status::file_truncated;

        r.first_pair_ = at.position;
        for (std::uint64_t i = 0; i < r.pairs_; ++i) {
            text key;
            std::uint32_t type = 0;
            if (!at.take(key) || !at.take(type))
                return status::file_truncated;
            if (key.size() == 0)
                return status::file_damaged;
            const std::size_t value = at.position;
            if (const status s = at.skip(type, 0); s != status::ok)
                return s;
            if (key == "general.alignment") {
                std::uint32_t alignment = 0;
                cursor again {bytes, value};
                if (type != static_cast<std::uint32_t>(gguf_type::u32) || !again.take(alignment))
                    return status::file_damaged;
                if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > 1u << 20)
                    return status::file_damaged;
                r.alignment_ = alignment;
            }
        }
        r.first_tensor_ = at.position;
        for (std::uint64_t i = 0; i < r.tensors_; ++i) {
            text name;
            gguf_tensor tensor;
            std::uint64_t offset = 0;
            if (const status s = at.tensor(name, tensor, offset); s != status::ok)
                return s;
        }
        const std::size_t padding = (r.alignment_ - at.position % r.alignment_) % r.alignment_;
        r.data_ = at.position + padding;
        if (r.tensors_ != 0 && r.data_ > bytes.size())
            return status::file_truncated;
        // Now that the data's beginning is known: every tensor of a known type must lie inside.
        cursor again {bytes, r.first_tensor_};
        for (std::uint64_t i = 0; i < r.tensors_; ++i) {
            text name;
            gguf_tensor tensor;
            std::uint64_t offset = 0;
            (void)again.tensor(name, tensor, offset);
            if (const status s = r.place(tensor, offset); s != status::ok)
                return s;
        }
        return r;
    }

    std::uint64_t tensor_count() const noexcept { return tensors_; }
    std::uint64_t pair_count() const noexcept { return pairs_; }

    result<std::uint32_t> u32(const char* key) const noexcept { return value<std::uint32_t>(key, gguf_type::u32); }
    result<float> f32(const char* key) const noexcept { return value<float>(key, gguf_type::f32); }

    /// A string's bytes, not terminated.
    result<span<const char>> string(const char* key) const noexcept
    {
        cursor at {bytes_, 0};
        if (const status s = find(key, gguf_type::string, at); s != status::ok)
            return s;
        text found;
        (void)at.take(found);
        return span<const char>(reinterpret_cast<const char*>(found.data()), found.size());
    }

    /// A tensor by its name.
    result<gguf_tensor> tensor(const char* wanted) const noexcept
    {
        cursor at {bytes_, first_tensor_};
        for (std::uint64_t i = 0; i < tensors_; ++i) {
            text name;
            gguf_tensor found;
            std::uint64_t offset = 0;
            if (const status s = at.tensor(name, found, offset); s != status::ok)
                return s;
            if (name == wanted) {
                if (const status s = place(found, offset); s != status::ok)
                    return s;
                return found;
            }
        }
        return status::file_key_missing;
    }

private:
    struct text {
        span<const std::byte> bytes;
        const std::byte* data() const noexcept { return bytes.data(); }
        std::size_t size() const noexcept { return bytes.size(); }
        bool operator==(const char* other) const noexcept
        {
            const std::size_t length = std::strlen(other);
            return length == bytes.size() && (length == 0 || std::memcmp(bytes.data(), other, length) == 0);
        }
    };

    struct cursor {
        span<const std::byte> bytes;
        std::size_t position;

        std::size_t left() const noexcept { return bytes.size() - position; }

        template <class T>
        bool take(T& out) noexcept
        {
            if constexpr (std::is_same_v<T, text>) {
                std::uint64_t length = 0;
                if (!take(length) || length > left())
                    return false;
                out.bytes = bytes.subspan(position, static_cast<std::size_t>(length));
                position += static_cast<std::size_t>(length);
            } else {
                if (left() < sizeof(T))
                    return false;
                std::memcpy(&out, bytes.data() + position, sizeof(T));
                position += sizeof(T);
            }
            return true;
        }

        /// Steps over a value. Nested arrays are followed to a small depth, since each level costs a stack frame.
        status skip(std::uint32_t type, int depth) noexcept
        {
            static constexpr std::uint8_t size_of[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
            if (type > static_cast<std::uint32_t>(gguf_type::f64))
                return status::file_damaged;
            if (type == static_cast<std::uint32_t>(gguf_type::string)) {
                text ignored;
                return take(ignored) ? status::ok : status::file_truncated;
            }
            if (type == static_cast<std::uint32_t>(gguf_type::array)) {
                std::uint32_t element = 0;
                std::uint64_t count = 0;
                if (depth == 4)
                    return status::file_limit;
                if (!take(element) || !take(count))
                    return status::file_truncated;
                if (element > static_cast<std::uint32_t>(gguf_type::f64))
                    return status::file_damaged;
                const std::uint8_t size = size_of[element];
                if (size == 0) { // every string takes 8 bytes at least, every array 12
                    if (count > left() / 8)
                        return status::file_truncated;
                    for (std::uint64_t i = 0; i < count; ++i)
                        if (const status s = skip(element, depth + 1); s != status::ok)
                            return s;
                    return status::ok;
                }
                if (count > left() / size)
                    return status::file_truncated;
                position += static_cast<std::size_t>(count) * size;
                return status::ok;
            }
            if (left() < size_of[type])
                return status::file_truncated;
            if (type == static_cast<std::uint32_t>(gguf_type::boolean) && static_cast<unsigned>(bytes[position]) > 1)
                return status::file_damaged;
            position += size_of[type];
            return status::ok;
        }

        status tensor(text& name, gguf_tensor& out, std::uint64_t& offset) noexcept
        {
            std::uint32_t type = 0;
            if (!take(name) || !take(out.dimensions))
                return status::file_truncated;
            if (name.size() == 0 || name.size() > 64 || out.dimensions > 4)
                return status::file_damaged;
            std::int64_t elements = 1;
            for (std::uint32_t i = 0; i < out.dimensions; ++i) {
                if (!take(out.sizes[i]))
                    return status::file_truncated;
                if (out.sizes[i] < 0 || (out.sizes[i] != 0 && elements > INT64_MAX / 16 / out.sizes[i]))
                    return status::file_damaged;
                elements *= out.sizes[i];
            }
            if (!take(type) || !take(offset))
                return status::file_truncated;
            out.type = static_cast<gguf_tensor_type>(type);
            return status::ok;
        }
    };

    /// The bytes of a tensor; types whose size this reader does not know have none.
    status place(gguf_tensor& t, std::uint64_t offset) const noexcept
    {
        std::uint64_t block = 1, block_bytes = 0;
        switch (t.type) {
        case gguf_tensor_type::f32: block_bytes = 4; break;
        case gguf_tensor_type::f16:
        case gguf_tensor_type::bf16: block_bytes = 2; break;
        case gguf_tensor_type::q8_0:
            block = 32;
            block_bytes = 34;
            break;
        }
        if (offset % alignment_ != 0)
            return status::file_damaged;
        if (offset > bytes_.size() - data_)
            return status::file_truncated;
        if (block_bytes == 0)
            return status::ok;
        if (static_cast<std::uint64_t>(t.sizes[0]) % block != 0)
            return status::file_damaged;
        std::uint64_t elements = 1; // the product was checked when it was read
        for (const std::int64_t size : t.sizes)
            elements *= static_cast<std::uint64_t>(size);
        const std::uint64_t needed = elements / block * block_bytes;
        if (needed > bytes_.size() - data_ - offset)
            return status::file_truncated;
        t.data = bytes_.subspan(data_ + static_cast<std::size_t>(offset), static_cast<std::size_t>(needed));
        return status::ok;
    }

    status find(const char* wanted, gguf_type type, cursor& at) const noexcept
    {
        at.position = first_pair_;
        for (std::uint64_t i = 0; i < pairs_; ++i) {
            text key;
            std::uint32_t found = 0;
            if (!at.take(key) || !at.take(found))
                return status::file_truncated;
            if (key == wanted)
                return found == static_cast<std::uint32_t>(type) ? status::ok : status::file_type_mismatch;
            if (const status s = at.skip(found, 0); s != status::ok)
                return s;
        }
        return status::file_key_missing;
    }

    template <class T>
    result<T> value(const char* key, gguf_type type) const noexcept
    {
        cursor at {bytes_, 0};
        if (const status s = find(key, type, at); s != status::ok)
            return s;
        T found {};
        (void)at.take(found);
        return found;
    }

    span<const std::byte> bytes_;
    std::uint64_t tensors_ = 0, pairs_ = 0;
    std::size_t first_pair_ = 0, first_tensor_ = 0, data_ = 0, alignment_ = 32;
};

NIBBLE_END
