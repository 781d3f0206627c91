// Reads a safetensors file from bytes that somebody else owns (a mapped file, a buffer). Everything is checked when the file is opened;
// what follows cannot fail.
//   u64 length, then `length` bytes of JSON, perhaps padded with spaces, then the tensors' bytes
//   {"__metadata__": {"key": "value", ...}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
// The tensors' bytes fill the file without gaps and without overlap, so that each byte belongs to one tensor. Stricter than the
// format: a tensor has these three keys and no other, and its name no escape sequences. Tensors are not aligned: array::matrix() says so.
// Time is bounded by the length of the header (n log n for n tensors), memory by 4 times its length, taken when the tensors are known to
// be there.
#pragma once

#include <algorithm>
#include <new>

#include "../core/memory.hpp"
#include "../gguf/value.hpp"
#include "array.hpp"

NIBBLE_BEGIN_TYPES

struct safetensors_tensor {
    std::string_view name;
    array values;
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

namespace detail {

/// The JSON that a header may hold. A step that does not fit sets error, and every later one does nothing.
struct safetensors_text {
    std::string_view text;
    status error = status::ok;

    bool good() const noexcept { return error == status::ok; }
    void fail(status s) noexcept { error = good() ? s : error; }

    void skip_spaces() noexcept
    {
        while (!text.empty() && (text[0] == ' ' || text[0] == '\n' || text[0] == '\r' || text[0] == '\t'))
            text.remove_prefix(1);
    }
    bool accept(char c) noexcept
    {
        skip_spaces();
        if (!good() || text.empty() || text[0] != c)
            return false;
        text.remove_prefix(1);
        return true;
    }
    void expect(char c) noexcept
    {
        if (!accept(c))
            fail(status::file_damaged);
    }

    /// Between the quotes, escape sequences as they stand.
    std::string_view string() noexcept
    {
        expect('"');
        std::size_t i = 0;
        for (; good() && i < text.size() && text[i] != '"'; ++i) {
            if (static_cast<unsigned char>(text[i]) < 0x20)
                fail(status::file_damaged);
            else if (text[i] == '\\')
                i = escape(i + 1);
        }
        if (i >= text.size())
            fail(status::file_damaged);
        if (!good())
            return {};
        const std::string_view found = text.substr(0, i);
        text.remove_prefix(i + 1);
        if (!is_utf8(found))
            fail(status::file_text_invalid);
        return found;
    }
    /// The place of the last character of the escape sequence that goes on at i.
    std::size_t escape(std::size_t i) noexcept
    {
        constexpr std::string_view single = "\"\\/bfnrt", hexadecimal = "0123456789abcdefABCDEF";
        if (i < text.size() && single.find(text[i]) != std::string_view::npos)
            return i;
        if (i + 4 >= text.size() || text[i] != 'u' || text.substr(i + 1, 4).find_first_not_of(hexadecimal) != std::string_view::npos)
            fail(status::file_damaged);
        return i + 4;
    }

    std::ptrdiff_t number() noexcept
    {
        skip_spaces();
        std::ptrdiff_t n = 0;
        std::size_t digits = 0;
        for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
            if (n > (PTRDIFF_MAX - 9) / 10 || (digits == 1 && n == 0)) // too large, or a leading zero
                fail(status::file_damaged);
            else
                n = 10 * n + (text[digits] - '0');
        }
        if (digits == 0)
            fail(status::file_damaged);
        text.remove_prefix(digits);
        return n;
    }

    /// [a, b, ...]; the number of elements.
    std::uint32_t numbers(std::ptrdiff_t* out, std::uint32_t most) noexcept
    {
        std::uint32_t count = 0;
        expect('[');
        if (accept(']'))
            return 0;
        do {
            const std::ptrdiff_t n = number();
            if (count == most)
                fail(status::file_limit);
            else
                out[count++] = n;
        } while (accept(','));
        expect(']');
        return count;
    }

    void metadata() noexcept
    {
        expect('{');
        if (accept('}'))
            return;
        do {
            (void)string();
            expect(':');
            (void)string();
        } while (accept(','));
        expect('}');
    }

    array tensor(span<const std::byte> data) noexcept
    {
        array a;
        std::string_view dtype;
        std::ptrdiff_t offsets[2] = {};
        unsigned seen = 0;
        expect('{');
        do {
            const std::string_view key = string();
            expect(':');
            const unsigned bit = key == "dtype" ? 1 : key == "shape" ? 2 : key == "data_offsets" ? 4 : 0;
            if (bit == 0 || (seen & bit) != 0)
                fail(status::file_damaged);
            seen |= bit;
            if (bit == 1)
                dtype = string();
            else if (bit == 2)
                a.dimensions = numbers(a.sizes, array::max_dimensions);
            else if (bit == 4 && numbers(offsets, 2) != 2)
                fail(status::file_damaged);
        } while (accept(','));
        expect('}');
        if (seen != 7)
            fail(status::file_damaged);
        if (!good())
            return a;
        a.type = type_of(dtype);
        const auto size = bytes_of(a);
        fail(size.error());
        const std::ptrdiff_t there = static_cast<std::ptrdiff_t>(data.size());
        if (offsets[1] > there)
            fail(status::file_truncated);
        else if (offsets[0] > offsets[1] || offsets[1] - offsets[0] != *size)
            fail(status::file_offset_invalid);
        if (good())
            a.data = data.subspan(static_cast<std::size_t>(offsets[0]), static_cast<std::size_t>(*size));
        return a;
    }

    element_type type_of(std::string_view dtype) noexcept
    {
        struct name {
            std::string_view dtype;
            element_type type;
        };
        constexpr name names[] = {{"F32", element_type::f32}, {"F16", element_type::f16}, {"BF16", element_type::bf16},
            {"I8", element_type::s8}, {"U8", element_type::u8}, {"I32", element_type::s32}, {"U32", element_type::u32},
            {"I64", element_type::s64}, {"U64", element_type::u64}, {"I16", element_type::s16}, {"U16", element_type::u16},
            {"F64", element_type::f64}, {"BOOL", element_type::boolean}, {"F8_E4M3", element_type::e4m3}, {"F8_E5M2", element_type::e5m2},
            {"F8_E8M0", element_type::e8m0}, {"C64", element_type::c64}};
        for (const name& n : names)
            if (n.dtype == dtype)
                return n.type;
        fail(status::file_type_unknown);
        return element_type::u8;
    }
};

} // namespace detail

class safetensors_reader {
public:
    static constexpr std::size_t max_header = 100000000; ///< as in the format's own library

    safetensors_reader() noexcept = default;

    /// The bytes must outlive the reader. file_truncated, file_limit, file_damaged (the JSON), file_text_invalid, file_name_invalid,
    /// file_type_unknown, file_shape_invalid, file_offset_invalid, file_duplicate, out_of_memory.
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
        const std::size_t header = static_cast<std::size_t>(length);
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof length, header);
        const span<const std::byte> data = bytes.subspan(sizeof length + header, bytes.size() - sizeof length - header);
        safetensors_reader r;
        if (const status s = r.read(text, data); s != status::ok)
            return s;
        return result<safetensors_reader>(std::move(r));
    }

    std::size_t tensor_count() const noexcept { return count_; }
    /// In the header's order.
    const safetensors_tensor& tensor(std::size_t i) const noexcept { return tensors()[i]; }

    /// file_key_missing if no tensor has this name.
    result<array> find(std::string_view name) const noexcept
    {
        const std::uint32_t* const order = by_name();
        const safetensors_tensor* const all = tensors();
        const std::uint32_t* const found = std::lower_bound(
            order, order + count_, name, [all](std::uint32_t a, std::string_view b) noexcept { return all[a].name < b; });
        if (found == order + count_ || all[*found].name != name)
            return status::file_key_missing;
        return all[*found].values;
    }

private:
    /// Calls function(name, array) for every tensor; both passes over the header are this one.
    template <class Function>
    static status walk(std::string_view text, span<const std::byte> data, Function function) noexcept
    {
        detail::safetensors_text at {text};
        if (text.empty() || text[0] != '{')
            return status::file_damaged;
        at.expect('{');
        bool metadata = false;
        if (!at.accept('}')) {
            do {
                const std::string_view name = at.string();
                at.expect(':');
                if (name == "__metadata__") {
                    if (metadata)
                        at.fail(status::file_duplicate);
                    metadata = true;
                    at.metadata();
                    continue;
                }
                if (name.find('\\') != std::string_view::npos)
                    at.fail(status::file_name_invalid);
                const array a = at.tensor(data);
                if (at.good())
                    function(name, a);
            } while (at.accept(','));
            at.expect('}');
        }
        at.skip_spaces();
        if (!at.text.empty())
            at.fail(status::file_damaged);
        return at.error;
    }

    status read(std::string_view text, span<const std::byte> data) noexcept
    {
        std::size_t count = 0;
        if (const status s = walk(text, data, [&](std::string_view, const array&) noexcept { ++count; }); s != status::ok)
            return s;
        // A tensor takes at least 50 characters.
        if (!memory_.resize(count * (sizeof(safetensors_tensor) + sizeof(std::uint32_t))))
            return status::out_of_memory;
        (void)walk(text, data, [&](std::string_view name, const array& a) noexcept {
            new (tensors() + count_++) safetensors_tensor {name, a};
        });
        std::uint32_t* const order = by_name();
        for (std::size_t i = 0; i < count_; ++i)
            order[i] = static_cast<std::uint32_t>(i);
        const safetensors_tensor* const all = tensors();
        std::sort(order, order + count_, [all](std::uint32_t a, std::uint32_t b) noexcept {
            const auto& x = all[a].values.data;
            const auto& y = all[b].values.data;
            return x.data() != y.data() ? x.data() < y.data() : x.size() < y.size();
        });
        const std::byte* end = data.data();
        for (std::size_t i = 0; i < count_; ++i) {
            const span<const std::byte> part = all[order[i]].values.data;
            if (part.data() != end)
                return status::file_offset_invalid;
            end += part.size();
        }
        if (end != data.data() + data.size())
            return status::file_offset_invalid;
        std::sort(order, order + count_, [all](std::uint32_t a, std::uint32_t b) noexcept { return all[a].name < all[b].name; });
        for (std::size_t i = 1; i < count_; ++i)
            if (all[order[i - 1]].name == all[order[i]].name)
                return status::file_duplicate;
        return status::ok;
    }

    safetensors_tensor* tensors() const noexcept { return reinterpret_cast<safetensors_tensor*>(memory_.bytes().data()); }
    std::uint32_t* by_name() const noexcept { return reinterpret_cast<std::uint32_t*>(tensors() + count_); }

    aligned_buffer memory_;
    std::size_t count_ = 0;
};

NIBBLE_END
