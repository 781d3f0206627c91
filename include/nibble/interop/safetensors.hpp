// Reads a safetensors file from bytes that the caller owns (a mapped file, a buffer). Everything is checked when the file is opened. After
// that only a tensor whose element type nibble does not have can fail.
//   u64 length, then `length` bytes of JSON, perhaps padded with spaces, then the tensors' bytes
//   {"__metadata__": {"key": "value", ...}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
// The tensors' bytes fill the file without gaps and without overlap, so each byte belongs to one tensor. Like the format's own library, the
// reader ignores other keys of a tensor. Unlike it, it refuses duplicate names. Tensors may be unaligned; array::matrix() then says so.
// Time is bounded by the length of the header (n log n for n tensors), memory by twice its length, allocated when the tensors have been
// found.
#pragma once

#include <algorithm>
#include <new>

#include "../core/memory.hpp"
#include "safetensors_text.hpp"

NIBBLE_BEGIN

class safetensors_reader {
public:
    static constexpr std::size_t max_header = 100000000; ///< as in the format's own library

    safetensors_reader() noexcept = default;

    /// The bytes must outlive the reader. file_truncated, file_limit, file_damaged (the JSON), file_text_invalid, file_shape_invalid,
    /// file_offset_invalid, file_duplicate, out_of_memory. The first cause is named: names that are there twice, then what is wrong in a
    /// tensor's own numbers, between tensors, and what the file lacks.
    static result<safetensors_reader> open(span<const std::byte> bytes) noexcept
    {
        if (check(bytes) != status::ok)
            return status::null_pointer;
        std::uint64_t length = 0;
        if (bytes.size() < sizeof length)
            return status::file_truncated;
        std::memcpy(&length, bytes.data(), sizeof length);
        if (length > max_header)
            return status::file_limit;
        if (length > bytes.size() - sizeof length)
            return status::file_truncated;
        const std::size_t header = std::size_t {length};
        safetensors_reader r;
        r.text_ = {reinterpret_cast<const char*>(bytes.data()) + sizeof length, header};
        r.data_ = bytes.subspan(sizeof length + header, bytes.size() - sizeof length - header);
        if (const status s = r.read(); s != status::ok)
            return s;
        return result<safetensors_reader>(std::move(r));
    }

    std::size_t tensor_count() const noexcept { return count_; }

    /// In the header's order. Its error says whether the elements can be read.
    safetensors_tensor tensor(std::size_t i) const noexcept
    {
        const entry& e = entries()[i];
        safetensors_tensor t;
        t.name = e.name;
        detail::safetensors_text at {text_.substr(e.values)};
        (void)at.tensor(t);
        t.values.data = data_.subspan(std::size_t {e.begin}, std::size_t {e.end - e.begin});
        return t;
    }

    /// file_key_missing if no tensor has this name; file_type_unknown if nibble does not read its elements, file_limit if it has more than
    /// 64 dimensions.
    result<array> find(std::string_view name) const noexcept
    {
        const std::uint32_t* const order = by_name();
        const entry* const all = entries();
        const std::uint32_t* const found = std::lower_bound(
            order, order + count_, name, [all](std::uint32_t a, std::string_view b) noexcept { return all[a].name < b; });
        if (found == order + count_ || all[*found].name != name)
            return status::file_key_missing;
        const safetensors_tensor t = tensor(*found);
        return t.error == status::ok ? result<array>(t.values) : result<array>(t.error);
    }

private:
    // In the header's order. Behind them by_name, then the names that have escape sequences, without these.
    struct entry {
        std::string_view name;
        std::size_t values; // where they stand in the header
        std::uint64_t begin, end;
    };

    /// Calls function(name, text behind its colon) for every tensor whose name can be read, up to the first error.
    template <class Function>
    status walk(Function function) const noexcept
    {
        detail::safetensors_text at {text_};
        bool metadata = false;
        at.expect('{');
        if (!at.accept('}')) {
            do {
                const std::string_view name = at.string();
                if (!at.good())
                    break;
                at.expect(':');
                if (!detail::spells(name, "__metadata__")) {
                    function(name, at);
                    continue;
                }
                if (metadata)
                    at.fail(status::file_duplicate);
                metadata = true;
                at.metadata();
            } while (at.accept(','));
            at.expect('}');
        }
        at.skip_spaces();
        if (!at.text.empty())
            at.fail(status::file_damaged);
        return at.error;
    }

    status read() noexcept
    {
        std::size_t count = 0, characters = 0;
        status fault = status::ok;
        const status header = walk([&](std::string_view name, detail::safetensors_text& at) noexcept {
            safetensors_tensor t;
            ++count;
            if (name.find('\\') != std::string_view::npos)
                characters += name.size();
            const status s = at.tensor(t).fault;
            fault = fault == status::ok ? s : fault;
        });
        fault = header == status::ok ? fault : header;
        // A tensor takes at least 46 characters.
        if (!memory_.resize(count * (sizeof(entry) + sizeof(std::uint32_t)) + characters))
            return status::out_of_memory;
        char* free = reinterpret_cast<char*>(memory_.bytes().data() + count * (sizeof(entry) + sizeof(std::uint32_t)));
        (void)walk([&](std::string_view name, detail::safetensors_text& at) noexcept {
            safetensors_tensor t;
            const std::size_t values = text_.size() - at.text.size();
            const auto p = at.tensor(t);
            if (name.find('\\') != std::string_view::npos) {
                name = {free, static_cast<std::size_t>(detail::unescape(name, free))};
                free += name.size();
            }
            new (entries() + count_++) entry {name, values, p.begin, p.end};
        });
        std::uint32_t* const order = reinterpret_cast<std::uint32_t*>(entries() + count_);
        for (std::size_t i = 0; i < count_; ++i)
            order[i] = static_cast<std::uint32_t>(i);
        if (fault == status::ok)
            fault = check_places(order);
        const entry* const all = entries();
        std::sort(order, order + count_, [all](std::uint32_t a, std::uint32_t b) noexcept { return all[a].name < all[b].name; });
        for (std::size_t i = 1; i < count_; ++i)
            if (all[order[i - 1]].name == all[order[i]].name)
                return status::file_duplicate;
        return fault;
    }

    /// Whether the tensors fill the data. Sorts `order` by their places.
    status check_places(std::uint32_t* order) const noexcept
    {
        const entry* const all = entries();
        std::sort(order, order + count_, [all](std::uint32_t a, std::uint32_t b) noexcept {
            return all[a].begin != all[b].begin ? all[a].begin < all[b].begin : all[a].end < all[b].end;
        });
        std::uint64_t end = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            if (all[order[i]].begin != end)
                return status::file_offset_invalid;
            end = all[order[i]].end;
        }
        return end > data_.size() ? status::file_truncated : end < data_.size() ? status::file_offset_invalid : status::ok;
    }

    entry* entries() const noexcept { return reinterpret_cast<entry*>(memory_.bytes().data()); }
    const std::uint32_t* by_name() const noexcept { return reinterpret_cast<const std::uint32_t*>(entries() + count_); }

    std::string_view text_;
    span<const std::byte> data_;
    aligned_buffer memory_;
    movable_value<std::size_t> count_;
};

NIBBLE_END
