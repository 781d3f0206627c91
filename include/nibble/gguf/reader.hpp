// Reads a GGUF file, version 2 or 3, from bytes that the caller owns (a mapped file, a buffer). Everything is checked when the file is
// opened: every length against the remaining bytes before it is used, every sum and product for overflow. After that only a tensor of an
// unknown type, or without its data, can fail.
//   header   "GGUF", u32 version, u64 tensors, u64 pairs; the pairs: key, u32 type, value; the tensors: name, u32 dimensions, u64 sizes
//            (innermost first), u32 type, u64 offset; then padding to general.alignment (32 unless given), then the data
//   string   u64 length, bytes      array   u32 type, u64 count, elements
// Time is bounded by the size of the header (n log n for n names). Memory is 24 bytes for each name, allocated when the names have been
// found.
#pragma once

#include <algorithm>
#include <new>

#include "../core/bits.hpp"
#include "../core/memory.hpp"
#include "cursor.hpp"

NIBBLE_BEGIN

class gguf_reader {
public:
    gguf_reader() noexcept = default;

    /// The bytes must outlive the reader. Besides statuses that begin with file_: cols_not_whole_blocks for a row that ends inside a block,
    /// out_of_memory. The first cause is named: what stands first in the header; then names that are there twice, tensors' sizes, their
    /// places, and what the file lacks. A tensor of a type that nibble does not know says so when it is asked for.
    static result<gguf_reader> open(span<const std::byte> bytes, const gguf_options& options = {}) noexcept
    {
        if (check(bytes) != status::ok)
            return status::null_pointer;
        gguf_reader r;
        r.bytes_ = bytes;
        if (const status s = r.read(options); s != status::ok)
            return s;
        return result<gguf_reader>(std::move(r));
    }

    std::uint32_t version() const noexcept { return version_; }
    std::size_t alignment() const noexcept { return alignment_; }
    /// Where the tensors' data begins.
    std::size_t data_offset() const noexcept { return data_; }
    /// Whether every tensor's data lies inside the bytes; of a tensor of an unknown type, whether it begins there.
    bool is_complete() const noexcept { return complete_; }
    /// Whether the alignment is one that the format does not allow: 1, 2 or 4.
    bool has_odd_alignment() const noexcept { return alignment_ < 8; }

    std::size_t pair_count() const noexcept { return pairs_; }
    std::size_t tensor_count() const noexcept { return tensors_; }

    /// In the file's order.
    gguf_pair pair(std::size_t i) const noexcept
    {
        gguf_pair p;
        std::uint32_t type = 0;
        const std::byte* at = text_at(entries()[i].position, p.key);
        std::memcpy(&type, at, 4);
        p.value = gguf_value::parse(static_cast<gguf_type>(type), at + 4);
        return p;
    }

    /// In the file's order. Without data if the data is incomplete or the type is unknown.
    gguf_tensor tensor(std::size_t i) const noexcept { return tensor_at(entries()[pairs_ + i].position); }

    result<gguf_value> find(std::string_view key) const noexcept
    {
        const std::size_t i = search(0, pairs_, key);
        return i == pairs_ ? result<gguf_value>(status::file_key_missing) : pair(i).value;
    }

    /// A value of exactly this type: get<std::uint32_t>("llama.block_count"), get<std::string_view>("general.architecture").
    template <class T>
    result<T> get(std::string_view key) const noexcept
    {
        const result<gguf_value> found = find(key);
        return found ? found->template get<T>() : result<T>(found.error());
    }

    /// A tensor by its name; ggml_type_unknown if its type does not exist (any more, or not yet), file_truncated if its data is not all
    /// there.
    result<gguf_tensor> tensor(std::string_view name) const noexcept
    {
        const std::size_t i = search(pairs_, tensors_, name);
        if (i == tensors_)
            return status::file_key_missing;
        const gguf_tensor found = tensor(i);
        const result<std::uint64_t> size = detail::tensor_bytes(found);
        if (!size)
            return size.error();
        return found.data.size() == *size ? result<gguf_tensor>(found) : result<gguf_tensor>(status::file_truncated);
    }
    result<gguf_tensor> tensor(const char* name) const noexcept { return tensor(std::string_view(name)); }

private:
    // Pairs first, then tensors, each in the file's order; by_name puts each of the two in the order of names.
    struct entry {
        std::uint64_t position;
        std::uint64_t data; // a tensor's: where it begins, counted from data_
    };

    status read(const gguf_options& options) noexcept
    {
        detail::gguf_cursor at {bytes_, 0, options};
        const std::size_t marked = smaller(bytes_.size(), std::size_t {4});
        if (marked != 0 && std::memcmp(bytes_.data(), "GGUF", marked) != 0)
            return status::file_not_gguf;
        char mark[4] = {};
        if (!at.take(mark))
            return status::file_truncated;
        std::uint64_t tensors = 0, pairs = 0;
        if (!at.take(version_))
            return status::file_truncated;
        if (version_ != 0 && (version_ & 0xffffu) == 0)
            return status::file_byte_order;
        if (version_ != 2 && version_ != 3)
            return status::file_version;
        if (!at.take(tensors) || !at.take(pairs))
            return status::file_truncated;
        // A pair takes at least 13 bytes and a tensor at least 24.
        if (pairs > at.left() / 13 || tensors > at.left() / 24)
            return status::file_truncated;
        if (pairs > options.limits.pairs || tensors > options.limits.tensors)
            return status::file_limit;
        pairs_ = std::size_t {pairs};
        tensors_ = std::size_t {tensors};
        const std::size_t names = pairs_ + tensors_;
        if (!memory_.resize(names * (sizeof(entry) + sizeof(std::size_t))))
            return status::out_of_memory;

        std::size_t named = 0; // of the pairs, later of the tensors, those whose name can be read
        status s = status::ok;
        for (std::size_t i = 0; i < pairs_ && s == status::ok; ++i) {
            new (entries() + i) entry {at.position, 0};
            s = read_pair(at, named);
        }
        if (!sort_names(0, named))
            return status::file_duplicate;
        if (s != status::ok)
            return s;
        named = 0;
        status fault = status::ok;
        for (std::size_t i = pairs_; i < names && s == status::ok; ++i) {
            new (entries() + i) entry {at.position, 0};
            s = read_tensor(at, named, fault, entries()[i].data);
        }
        if (!sort_names(pairs_, named))
            return status::file_duplicate;
        if (s != status::ok || fault != status::ok)
            return s != status::ok ? s : fault;
        data_ = at.position;
        if (tensors_ != 0) {
            const std::size_t padding = (alignment_ - at.position % alignment_) % alignment_;
            complete_ = padding <= at.left();
            data_ += complete_ ? padding : at.left();
        }
        if (const status placed = place_tensors(); placed != status::ok)
            return placed;
        (void)sort_names(pairs_, tensors_);
        return complete_ || options.data_may_be_missing ? status::ok : status::file_truncated;
    }

    status read_pair(detail::gguf_cursor& at, std::size_t& named) noexcept
    {
        std::string_view key;
        std::uint32_t type = 0;
        if (const status s = at.take(key); s != status::ok)
            return s;
        if (key.empty() || (at.options.rules == gguf_rules::strict && !detail::is_strict_key(key)))
            return status::file_name_invalid;
        ++named;
        if (!at.take(type))
            return status::file_truncated;
        const std::size_t value = at.position;
        if (const status s = at.skip(static_cast<gguf_type>(type), 0); s != status::ok)
            return s;
        if (key == "general.alignment") {
            if (type != static_cast<std::uint32_t>(gguf_type::u32))
                return status::file_alignment;
            std::uint32_t alignment = 0;
            std::memcpy(&alignment, bytes_.data() + value, 4);
            if (alignment == 0 || (alignment & (alignment - 1)) != 0 || (at.options.rules == gguf_rules::strict && alignment < 8))
                return status::file_alignment;
            if (alignment > at.options.limits.alignment)
                return status::file_limit;
            alignment_ = alignment;
        }
        return status::ok;
    }

    status read_tensor(detail::gguf_cursor& at, std::size_t& named, status& fault, std::uint64_t& data) noexcept
    {
        const bool strict = at.options.rules == gguf_rules::strict;
        std::string_view name;
        if (const status s = at.take(name); s != status::ok)
            return s;
        if (name.size() > 64 || (strict && (name.empty() || !detail::is_utf8(name))))
            return status::file_name_invalid;
        ++named;
        if (const status s = at.skip_tensor(fault); s != status::ok)
            return s;
        std::memcpy(&data, bytes_.data() + at.position - 8, 8);
        return status::ok;
    }

    /// Whether offsets are aligned and the tensors' data apart; complete_ says whether it is there. Sorts by_name() by offset.
    status place_tensors() noexcept
    {
        std::size_t* order = by_name() + pairs_;
        for (std::size_t i = 0; i < tensors_; ++i)
            order[i] = pairs_ + i;
        const entry* all = entries();
        std::sort(order, order + tensors_,
            [all](std::size_t a, std::size_t b) noexcept { return all[a].data != all[b].data ? all[a].data < all[b].data : a < b; });
        std::uint64_t end = 0;
        const std::uint64_t there = bytes_.size() - data_;
        for (std::size_t i = 0; i < tensors_; ++i) {
            const entry& e = all[order[i]];
            const gguf_tensor t = tensor_at(e.position);
            // A tensor of an unknown type has a byte at least, unless it has no elements.
            const std::uint64_t size = is_known(t.type) ? *detail::tensor_bytes(t) : *detail::tensor_elements(t) != 0 ? 1u : 0u;
            if (e.data % alignment_ != 0 || (size != 0 && e.data < end))
                return status::file_offset_invalid;
            if (size == 0)
                continue;
            complete_ = complete_ && e.data <= there && size <= there - e.data;
            end = size <= UINT64_MAX - e.data ? e.data + size : UINT64_MAX;
        }
        return status::ok;
    }

    std::string_view name(std::size_t i) const noexcept
    {
        std::string_view text;
        (void)text_at(entries()[i].position, text);
        return text;
    }

    /// False if two are equal.
    bool sort_names(std::size_t first, std::size_t count) noexcept
    {
        std::size_t* order = by_name() + first;
        for (std::size_t i = 0; i < count; ++i)
            order[i] = first + i;
        std::sort(order, order + count, [this](std::size_t a, std::size_t b) noexcept { return name(a) < name(b); });
        for (std::size_t i = 1; i < count; ++i)
            if (name(order[i - 1]) == name(order[i]))
                return false;
        return true;
    }

    /// The number of an entry, counted from `first`, or `count`.
    std::size_t search(std::size_t first, std::size_t count, std::string_view wanted) const noexcept
    {
        if (count == 0)
            return count;
        const std::size_t* order = by_name() + first;
        const std::size_t* found
            = std::lower_bound(order, order + count, wanted, [this](std::size_t a, std::string_view b) noexcept { return name(a) < b; });
        return found != order + count && name(*found) == wanted ? *found - first : count;
    }

    const std::byte* text_at(std::uint64_t position, std::string_view& text) const noexcept
    {
        const std::byte* at = bytes_.data() + position;
        std::uint64_t length = 0;
        std::memcpy(&length, at, 8);
        text = {reinterpret_cast<const char*>(at + 8), std::size_t {length}};
        return at + 8 + length;
    }

    gguf_tensor tensor_at(std::uint64_t position) const noexcept
    {
        gguf_tensor t;
        std::uint32_t type = 0;
        std::uint64_t offset = 0;
        const std::byte* at = text_at(position, t.name);
        std::memcpy(&t.dimensions, at, 4);
        std::memcpy(t.sizes, at + 4, 8 * t.dimensions);
        at += 4 + 8 * t.dimensions;
        std::memcpy(&type, at, 4);
        std::memcpy(&offset, at + 4, 8);
        t.type = static_cast<ggml_type>(type);
        const result<std::uint64_t> size = detail::tensor_bytes(t);
        const std::uint64_t there = bytes_.size() - data_;
        if (size && offset <= there && *size <= there - offset)
            t.data = bytes_.subspan(data_ + std::size_t {offset}, static_cast<std::size_t>(*size));
        return t;
    }

    entry* entries() const noexcept { return reinterpret_cast<entry*>(memory_.bytes().data()); }
    std::size_t* by_name() const noexcept { return reinterpret_cast<std::size_t*>(entries() + pairs_ + tensors_); }

    span<const std::byte> bytes_;
    aligned_buffer memory_;
    movable_value<std::size_t> pairs_, tensors_; // of what memory_ holds
    std::size_t data_ = 0, alignment_ = 32;
    std::uint32_t version_ = 0;
    bool complete_ = true;
};

NIBBLE_END
