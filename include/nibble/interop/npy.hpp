// NumPy's .npy files, versions 1.0, 2.0 and 3.0. Files are read from bytes that the caller owns. For writing, npy_header makes the header.
//   "\x93NUMPY", u8 major, u8 minor, u16 length (from version 2 on u32), then `length` characters:
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, spaces, '\n'; the data begins at a multiple of 64
// The dictionary may be any that Python's writers make: either kind of quotes, keys in any order, 2L for 2. bfloat16 has no descr of its
// own; NumPy's users save it as uint16.
#pragma once

#include <cstring>
#include <iterator>
#include <string_view>

#include "../core/bits.hpp"
#include "array.hpp"

NIBBLE_BEGIN

namespace detail {

/// The Python dictionary of the header; a step that does not fit makes good false.
struct npy_text {
    std::string_view text;
    bool python2; // integers may end in L
    bool good = true;

    void skip_spaces() noexcept
    {
        const std::size_t spaces = text.find_first_not_of(" \t\n\r\f");
        text.remove_prefix(smaller(spaces, text.size()));
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

    /// Without escape sequences, which no key and no type needs.
    std::string_view quoted() noexcept
    {
        skip_spaces();
        if (!text.empty() && (text[0] == 'u' || text[0] == 'U'))
            text.remove_prefix(1);
        const char quote = text.empty() ? '\0' : text[0];
        const std::size_t end = quote == '"' || quote == '\'' ? text.find(quote, 1) : std::string_view::npos;
        good = good && end != std::string_view::npos;
        const std::string_view found = good ? text.substr(1, end - 1) : std::string_view();
        text.remove_prefix(good ? end + 1 : 0);
        good = good && found.find_first_of("\\\n\r") == std::string_view::npos;
        return found;
    }
    /// -1 for a number that is too large.
    std::ptrdiff_t size() noexcept
    {
        skip_spaces();
        std::ptrdiff_t n = 0;
        std::size_t digits = 0;
        for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
            good = good && (n != 0 || digits == 0 || text[digits] == '0'); // 02 is no number, 00 is
            n = n < 0 || n > (PTRDIFF_MAX - 9) / 10 ? -1 : 10 * n + (text[digits] - '0');
        }
        good = good && digits > 0;
        text.remove_prefix(digits);
        if (python2)
            (void)accept("L");
        return n;
    }
    /// A tuple: (), (2,), (2, 3). (2) is an integer.
    status shape(array& a) noexcept
    {
        bool comma = true;
        expect("(");
        while (good && !accept(")")) {
            if (a.dimensions == array::max_dimensions)
                return status::file_limit;
            good = good && comma;
            a.sizes[a.dimensions++] = size();
            comma = accept(",");
        }
        good = good && (comma || a.dimensions > 1);
        return status::ok;
    }
};

/// The product of the sizes and `each`, which is above 0. file_shape_invalid if a size is negative, or if the product without the sizes
/// that are 0 overflows, as in NumPy: whoever steps through such an array computes with it.
inline result<std::ptrdiff_t> product_of(const array& a, std::ptrdiff_t each) noexcept
{
    bool empty = false;
    for (std::uint32_t i = 0; i < a.dimensions; ++i) {
        if (a.sizes[i] < 0)
            return status::file_shape_invalid;
        empty = empty || a.sizes[i] == 0;
        const std::ptrdiff_t size = a.sizes[i] == 0 ? 1 : a.sizes[i];
        if (each > PTRDIFF_MAX / size)
            return status::file_shape_invalid;
        each *= size;
    }
    return empty ? std::ptrdiff_t(0) : each;
}

struct npy_name {
    std::string_view sized; // behind the byte order
    char code;              // likewise
    std::string_view name;
    element_type type;
};
inline constexpr npy_name npy_names[] = {{"b1", '?', "bool", element_type::boolean}, {"u1", 'B', "uint8", element_type::u8},
    {"i1", 'b', "int8", element_type::s8}, {"u2", 'H', "uint16", element_type::u16}, {"i2", 'h', "int16", element_type::s16},
    {"u4", 'I', "uint32", element_type::u32}, {"i4", 'i', "int32", element_type::s32}, {"u8", 'Q', "uint64", element_type::u64},
    {"i8", 'q', "int64", element_type::s64}, {"f2", 'e', "float16", element_type::f16}, {"f4", 'f', "float32", element_type::f32},
    {"f8", 'd', "float64", element_type::f64}, {"c8", 'F', "complex64", element_type::c64}};

struct npy_file {
    array values;
    bool swapped = false; // most significant bytes first
};

inline element_type npy_type(std::string_view descr, bool& swapped) noexcept
{
    const bool with_order = !descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string_view::npos;
    const std::string_view plain = descr.substr(with_order ? 1 : 0);
    for (const npy_name& n : npy_names)
        if (plain == n.sized || plain == std::string_view(&n.code, 1) || descr == n.name) {
            swapped = descr[0] == '>' && size_of(n.type) > 1;
            return n.type;
        }
    return element_type::unknown;
}

inline result<npy_file> parse_npy(span<const std::byte> bytes) noexcept
{
    static constexpr char mark[] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};
    if (check(bytes) != status::ok)
        return status::null_pointer;
    const std::size_t marked = smaller(bytes.size(), sizeof mark);
    if (marked != 0 && std::memcmp(bytes.data(), mark, marked) != 0)
        return status::file_not_npy;
    if (bytes.size() < 8)
        return status::file_truncated;
    const unsigned major = static_cast<unsigned>(bytes[6]), minor = static_cast<unsigned>(bytes[7]);
    if (major < 1 || major > 3 || minor != 0)
        return status::file_version;
    const std::size_t start = major == 1 ? 10 : 12;
    if (bytes.size() < start)
        return status::file_truncated;
    std::size_t length = 0;
    std::memcpy(&length, bytes.data() + 8, start - 8);
    if (length > bytes.size() - start)
        return status::file_truncated;

    npy_text at {{reinterpret_cast<const char*>(bytes.data() + start), length}, major < 3};
    npy_file file;
    array& a = file.values;
    bool fortran = false;
    unsigned seen = 0;
    at.expect("{");
    while (at.good && !at.accept("}")) {
        const std::string_view key = at.quoted();
        at.expect(":");
        const unsigned bit = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 8;
        at.good = at.good && bit != 8 && (seen & bit) == 0;
        seen |= bit;
        if (!at.good)
            break;
        if (bit == 1) {
            if (at.accept("[") || at.accept("(")) // a record of fields, or an array in each element
                return status::file_type_unknown;
            a.type = npy_type(at.quoted(), file.swapped);
        } else if (bit == 2) {
            fortran = at.accept("True");
            if (!fortran)
                at.expect("False");
        } else if (const status s = at.shape(a); s != status::ok) {
            return s;
        }
        if (!at.accept(",")) {
            at.expect("}");
            break;
        }
    }
    at.skip_spaces();
    if (!at.good || seen != 7 || !at.text.empty())
        return status::file_damaged;
    if (a.type == element_type::unknown)
        return status::file_type_unknown;
    const auto size = product_of(a, size_of(a.type));
    if (!size)
        return size.error();
    if (static_cast<std::size_t>(*size) > bytes.size() - start - length)
        return status::file_truncated;
    a.column_major = fortran && a.orders_differ();
    a.data = bytes.subspan(start + length, static_cast<std::size_t>(*size));
    return file;
}

/// The elements in row-major order and in the CPU's order of bytes.
inline void copy_elements(const npy_file& file, std::byte* to) noexcept
{
    const array& a = file.values;
    const std::size_t size = static_cast<std::size_t>(size_of(a.type)), count = a.data.size() / size;
    // The number of a byte in an element of 2^n bytes, counted from the other end, is its complement.
    const std::size_t turned = !file.swapped ? 0 : (a.type == element_type::c64 ? size / 2 : size) - 1;
    if (turned == 0 && !a.column_major && count != 0) {
        std::memcpy(to, a.data.data(), a.data.size());
        return;
    }
    std::size_t index[array::max_dimensions] = {}, from = 0;
    for (std::size_t e = 0; e < count; ++e, to += size) {
        for (std::size_t i = 0; i < size; ++i)
            to[i] = a.data[from * size + (i ^ turned)];
        if (!a.column_major) {
            ++from;
            continue;
        }
        std::size_t stride = count;
        for (std::uint32_t d = a.dimensions; d-- > 0;) {
            const std::size_t side = static_cast<std::size_t>(a.sizes[d]);
            stride /= side;
            from += stride;
            if (++index[d] < side)
                break;
            from -= stride * side;
            index[d] = 0;
        }
    }
}

} // namespace detail

/// A view of the file's elements: column-major if `fortran_order` says so and it matters. file_not_npy, file_version, file_truncated,
/// file_damaged (the dictionary), file_type_unknown (records, arrays in elements, strings, objects, numbers that nibble does not have),
/// file_limit (more than 64 dimensions), file_shape_invalid. file_byte_order: big-endian, which only copy_npy reads.
inline result<array> read_npy(span<const std::byte> bytes) noexcept
{
    const result<detail::npy_file> file = detail::parse_npy(bytes);
    if (!file)
        return file.error();
    if (file->swapped)
        return status::file_byte_order;
    return file->values;
}

/// The file's elements copied into `memory`, which the array refers to: row-major and in the CPU's order of bytes, whatever they are in the
/// file. memory: as many bytes as the file has are enough, else buffer_too_small; nowhere inside `bytes`.
inline result<array> copy_npy(span<const std::byte> bytes, span<std::byte> memory) noexcept
{
    result<detail::npy_file> file = detail::parse_npy(bytes);
    if (!file)
        return file.error();
    if (check(memory) != status::ok)
        return status::null_pointer;
    array& a = file->values;
    if (memory.size() < a.data.size())
        return status::buffer_too_small;
    detail::copy_elements(*file, memory.data());
    a.column_major = false;
    a.data = {memory.data(), a.data.size()};
    return a;
}

/// What a .npy file of a rows x cols matrix of T begins with; the rows follow.
template <class T>
inline result<std::size_t> npy_header(std::ptrdiff_t rows, std::ptrdiff_t cols, span<std::byte> out) noexcept
{
    constexpr std::size_t size = 128;
    if (rows < 0 || cols < 0)
        return status::negative_size;
    if (check(out) != status::ok)
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
    put(sizeof(T) == 1 ? "|" : "<");
    for (const detail::npy_name& name : detail::npy_names)
        if (name.type == element_type_of<T>)
            put(name.sized);
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
