// NumPy's .npy files, versions 1 to 3: read from bytes that somebody else owns; the header of one to be written.
//   "\x93NUMPY", u8 major, u8 minor, u16 length (from version 2 on u32), then `length` characters:
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, spaces, '\n'; the data begins at a multiple of 64
// bfloat16 has no descr of its own; NumPy's users save it as uint16.
#pragma once

#include <iterator>
#include <string_view>

#include "array.hpp"

NIBBLE_BEGIN

namespace detail {

/// The Python dictionary of the header, in the form that NumPy writes; a step that does not fit makes good false.
struct npy_text {
    std::string_view text;
    bool good = true;

    void skip_spaces() noexcept
    {
        while (!text.empty() && (text[0] == ' ' || text[0] == '\n'))
            text.remove_prefix(1);
    }
    bool accept(std::string_view token) noexcept
    {
        skip_spaces();
        if (text.substr(0, token.size()) != token)
            return false;
        text.remove_prefix(token.size());
        return true;
    }
    void expect(std::string_view token) noexcept { good = accept(token) && good; }

    std::string_view quoted() noexcept
    {
        expect("'");
        const std::size_t end = text.find('\'');
        good = good && end != std::string_view::npos;
        const std::string_view found = good ? text.substr(0, end) : std::string_view();
        text.remove_prefix(good ? end + 1 : 0);
        return found;
    }
    std::ptrdiff_t size() noexcept
    {
        skip_spaces();
        std::ptrdiff_t n = 0;
        std::size_t digits = 0;
        for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && n < PTRDIFF_MAX / 10; ++digits)
            n = 10 * n + (text[digits] - '0');
        good = good && digits > 0;
        text.remove_prefix(digits);
        return n;
    }
};

struct npy_name {
    std::string_view descr;
    element_type type;
};
inline constexpr npy_name npy_names[] = {{"|b1", element_type::boolean}, {"|u1", element_type::u8}, {"|i1", element_type::s8},
    {"<u2", element_type::u16}, {"<i2", element_type::s16}, {"<u4", element_type::u32}, {"<i4", element_type::s32},
    {"<u8", element_type::u64}, {"<i8", element_type::s64}, {"<f2", element_type::f16}, {"<f4", element_type::f32},
    {"<f8", element_type::f64}, {"<c8", element_type::c64}};

} // namespace detail

/// file_not_npy, file_version, file_truncated, file_damaged (the dictionary), file_type_unknown (other byte orders, strings, objects),
/// file_limit (more than 8 dimensions), file_shape_invalid. layout_unsupported: in Fortran's order, with more than one dimension.
inline result<array> read_npy(span<const std::byte> bytes) noexcept
{
    if (check(bytes) != status::ok)
        return status::null_pointer;
    if (bytes.size() < 10)
        return status::file_truncated;
    if (std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0)
        return status::file_not_npy;
    const unsigned major = static_cast<unsigned>(bytes[6]);
    if (major < 1 || major > 3)
        return status::file_version;
    const std::size_t start = major == 1 ? 10 : 12;
    if (bytes.size() < start)
        return status::file_truncated;
    std::size_t length = 0;
    std::memcpy(&length, bytes.data() + 8, start - 8);
    if (length > bytes.size() - start)
        return status::file_truncated;

    detail::npy_text at {{reinterpret_cast<const char*>(bytes.data() + start), length}};
    array a;
    std::string_view descr;
    bool fortran = false;
    unsigned seen = 0;
    at.expect("{");
    while (at.good && !at.accept("}")) {
        const std::string_view key = at.quoted();
        at.expect(":");
        const unsigned bit = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 8;
        at.good = at.good && bit != 8 && (seen & bit) == 0;
        seen |= bit;
        if (bit == 1)
            descr = at.accept("[") ? std::string_view("[") : at.quoted();
        else if (bit == 2 && !(fortran = at.accept("True")))
            at.expect("False");
        else if (bit == 4) {
            at.expect("(");
            while (at.good && !at.accept(")")) {
                if (a.dimensions == array::max_dimensions)
                    return status::file_limit;
                a.sizes[a.dimensions++] = at.size();
                if (!at.accept(",")) {
                    at.expect(")");
                    break;
                }
            }
        }
        if (descr == "[") // a record of fields
            return status::file_type_unknown;
        if (!at.accept(",")) {
            at.expect("}");
            break;
        }
    }
    at.skip_spaces();
    if (!at.good || seen != 7 || !at.text.empty())
        return status::file_damaged;
    const detail::npy_name* name = detail::npy_names;
    while (name != std::end(detail::npy_names) && name->descr != descr)
        ++name;
    if (name == std::end(detail::npy_names))
        return status::file_type_unknown;
    a.type = name->type;
    if (fortran && a.dimensions > 1)
        return status::layout_unsupported;
    const auto size = detail::bytes_of(a);
    if (!size)
        return size.error();
    if (static_cast<std::size_t>(*size) > bytes.size() - start - length)
        return status::file_truncated;
    a.data = bytes.subspan(start + length, static_cast<std::size_t>(*size));
    return a;
}

/// What a .npy file of a rows x cols matrix of T begins with; the rows follow.
template <class T>
inline result<std::size_t> npy_header(std::ptrdiff_t rows, std::ptrdiff_t cols, span<std::byte> out) noexcept
{
    constexpr std::size_t size = 128;
    if (rows < 0 || cols < 0)
        return status::negative_size;
    if (out.data() == nullptr)
        return status::null_pointer;
    if (out.size() < size)
        return status::buffer_too_small;
    std::size_t used = 0;
    const auto put = [&](std::string_view text) noexcept {
        std::memcpy(out.data() + used, text.data(), text.size());
        used += text.size();
    };
    const auto put_number = [&](std::ptrdiff_t n) noexcept {
        char digits[20];
        std::size_t at = sizeof digits;
        do
            digits[--at] = static_cast<char>('0' + n % 10);
        while ((n /= 10) != 0);
        put({digits + at, sizeof digits - at});
    };
    put({"\x93NUMPY\x01\x00\x76\x00{'descr': '", 21}); // 0x76: 118 characters
    for (const detail::npy_name& name : detail::npy_names)
        if (name.type == element_type_of<T>)
            put(name.descr);
    static_assert(element_type_of<T> <= element_type::f64 && element_type_of<T> != element_type::bf16, "NumPy has no such type");
    put("', 'fortran_order': False, 'shape': (");
    put_number(rows);
    put(", ");
    put_number(cols);
    put("), }");
    std::memset(out.data() + used, ' ', size - 1 - used);
    out[size - 1] = static_cast<std::byte>('\n');
    return std::size_t(size);
}

NIBBLE_END
