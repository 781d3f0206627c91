// Reads and checks the JSON of a safetensors header, from left to right. safetensors_reader uses it. It accepts the same JSON and the same
// combinations of numbers as the format's own library, whose parser is serde_json.
#pragma once

#include <iterator>
#include <string_view>

#include "../core/bits.hpp"
#include "../gguf/value.hpp"
#include "array.hpp"

NIBBLE_BEGIN_TYPES

struct safetensors_tensor {
    std::string_view name; ///< without escape sequences
    array values;
    std::string_view dtype; ///< as it stands in the file
    /// file_type_unknown: the type of values is unknown. file_limit: more dimensions than an array can have; type and sizes are missing.
    status error = status::ok;
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

namespace detail {

struct safetensors_type {
    std::string_view dtype;
    std::uint8_t bits;
    element_type type;
};
inline constexpr safetensors_type safetensors_types[] = {{"F32", 32, element_type::f32}, {"F16", 16, element_type::f16},
    {"BF16", 16, element_type::bf16}, {"I8", 8, element_type::s8}, {"U8", 8, element_type::u8}, {"I32", 32, element_type::s32},
    {"U32", 32, element_type::u32}, {"I64", 64, element_type::s64}, {"U64", 64, element_type::u64}, {"I16", 16, element_type::s16},
    {"U16", 16, element_type::u16}, {"F64", 64, element_type::f64}, {"BOOL", 8, element_type::boolean}, {"F8_E4M3", 8, element_type::e4m3},
    {"F8_E5M2", 8, element_type::e5m2}, {"F8_E8M0", 8, element_type::e8m0}, {"C64", 64, element_type::c64},
    {"F8_E4M3FNUZ", 8, element_type::unknown}, {"F8_E5M2FNUZ", 8, element_type::unknown}, {"F4", 4, element_type::unknown},
    {"F6_E2M3", 6, element_type::unknown}, {"F6_E3M2", 6, element_type::unknown}};

/// The characters of a JSON string whose escape sequences are well-formed, as UTF-8, at most as many as it has. out: where they go, or
/// null, which only counts them. The count is -1 for half of a surrogate pair, which UTF-8 cannot write.
inline std::ptrdiff_t unescape(std::string_view raw, char* out) noexcept
{
    std::ptrdiff_t count = 0;
    const auto put = [&](std::uint32_t c) noexcept {
        if (out != nullptr)
            out[count] = static_cast<char>(c);
        ++count;
    };
    const auto number = [&](std::size_t at) noexcept { // of \uXXXX at `at`; 0 if something else stands there
        std::uint32_t value = 0;
        if (raw.substr(at, 2) == "\\u")
            for (const char digit : raw.substr(at + 2, 4)) {
                const auto c = static_cast<std::uint32_t>(digit);
                value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20u) - 'a' + 10);
            }
        return value;
    };
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (raw[i] != '\\') {
            put(static_cast<unsigned char>(raw[i]));
            continue;
        }
        constexpr std::string_view names = "bfnrt", meant = "\b\f\n\r\t";
        if (raw[i + 1] != 'u') {
            const std::size_t named = names.find(raw[++i]);
            put(static_cast<unsigned char>(named < names.size() ? meant[named] : raw[i]));
            continue;
        }
        std::uint32_t c = number(i);
        i += 5;
        if (c >= 0xd800 && c < 0xe000) {
            const std::uint32_t second = i + 1 < raw.size() ? number(i + 1) : 0;
            if (c >= 0xdc00 || second < 0xdc00 || second >= 0xe000)
                return -1;
            c = 0x10000 + ((c - 0xd800) << 10) + (second - 0xdc00);
            i += 6;
        }
        if (c < 0x80) {
            put(c);
            continue;
        }
        if (c >= 0x10000)
            put(0xf0 | c >> 18);
        if (c >= 0x800)
            put(c >= 0x10000 ? 0x80 | (c >> 12 & 63) : 0xe0 | c >> 12);
        put(c >= 0x800 ? 0x80 | (c >> 6 & 63) : 0xc0 | c >> 6);
        put(0x80 | (c & 63));
    }
    return count;
}

/// Whether a JSON string, given as it stands, is `word`.
inline bool spells(std::string_view raw, std::string_view word) noexcept
{
    char text[6 * 16]; // an escape sequence has up to 6 characters
    if (raw.find('\\') == std::string_view::npos || raw.size() > sizeof text)
        return raw == word;
    const std::ptrdiff_t count = unescape(raw, text);
    return count >= 0 && std::string_view(text, static_cast<std::size_t>(count)) == word;
}

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
        if (!is_utf8(found) || unescape(found, nullptr) < 0)
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

    std::uint64_t number() noexcept
    {
        skip_spaces();
        std::uint64_t n = 0;
        std::size_t digits = 0;
        for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
            const std::uint64_t digit = static_cast<std::uint64_t>(text[digits] - '0');
            if (n > (UINT64_MAX - digit) / 10 || (digits == 1 && n == 0)) // too large, or a leading zero
                fail(status::file_damaged);
            else
                n = 10 * n + digit;
        }
        if (digits == 0)
            fail(status::file_damaged);
        text.remove_prefix(digits);
        return n;
    }

    /// [a, b, ...] to out(i, number); the number of elements.
    template <class Out>
    std::uint32_t numbers(Out out) noexcept
    {
        std::uint32_t count = 0;
        expect('[');
        if (accept(']'))
            return 0;
        do
            out(count++, number());
        while (accept(','));
        expect(']');
        return count;
    }

    void digits() noexcept
    {
        const std::size_t end = text.find_first_not_of("0123456789");
        if (end == 0 || text.empty())
            fail(status::file_damaged);
        text.remove_prefix(smaller(end, text.size()));
    }
    /// A number, true, false or null.
    void skip_word() noexcept
    {
        for (const std::string_view word : {"true", "false", "null"})
            if (text.substr(0, word.size()) == word)
                return text.remove_prefix(word.size());
        if (!text.empty() && text[0] == '-')
            text.remove_prefix(1);
        if (!text.empty() && text[0] == '0')
            text.remove_prefix(1);
        else
            digits();
        if (good() && !text.empty() && text[0] == '.') {
            text.remove_prefix(1);
            digits();
        }
        if (good() && !text.empty() && (text[0] == 'e' || text[0] == 'E')) {
            text.remove_prefix(1);
            if (!text.empty() && (text[0] == '-' || text[0] == '+'))
                text.remove_prefix(1);
            digits();
        }
    }
    /// Any value. file_limit if arrays and objects are nested deeper than the format's own library reads, inside the header and a tensor.
    void skip_value() noexcept
    {
        constexpr std::size_t most = 125;
        bool objects[most] = {};
        std::size_t depth = 0;
        do {
            const bool object = accept('{'), array = !object && accept('[');
            if (object || array) {
                if (depth == most)
                    return fail(status::file_limit);
                objects[depth++] = object;
                if (!accept(object ? '}' : ']')) {
                    skip_key(object);
                    continue;
                }
                --depth;
            } else {
                skip_spaces();
                if (!text.empty() && text[0] == '"')
                    (void)string();
                else
                    skip_word();
            }
            while (depth != 0 && !accept(',')) {
                expect(objects[--depth] ? '}' : ']');
                if (!good())
                    return;
            }
            if (depth != 0)
                skip_key(objects[depth - 1]);
        } while (depth != 0 && good());
    }
    void skip_key(bool object) noexcept
    {
        if (!object)
            return;
        (void)string();
        expect(':');
    }

    void metadata() noexcept
    {
        skip_spaces();
        if (text.substr(0, 4) == "null")
            return text.remove_prefix(4);
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

    struct place {
        std::uint64_t begin = 0, end = 0;
        status fault = status::ok; // what is wrong with the numbers
    };

    /// What stands behind a tensor's name.
    place tensor(safetensors_tensor& t) noexcept
    {
        place p;
        array& a = t.values;
        a.type = element_type::unknown;
        unsigned seen = 0;
        bool overflow = false;
        std::uint32_t ends = 0;
        std::uint64_t elements = 1;
        expect('{');
        do {
            const std::string_view key = string();
            expect(':');
            const unsigned bit = spells(key, "dtype") ? 1 : spells(key, "shape") ? 2 : spells(key, "data_offsets") ? 4 : 0;
            if ((seen & bit) != 0)
                fail(status::file_duplicate);
            seen |= bit;
            if (!good())
                return p;
            if (bit == 1)
                t.dtype = string();
            else if (bit == 2)
                a.dimensions = numbers([&](std::uint32_t i, std::uint64_t n) noexcept {
                    if (i < array::max_dimensions)
                        a.sizes[i] = static_cast<std::ptrdiff_t>(n);
                    overflow = overflow || n > PTRDIFF_MAX || (elements != 0 && n > UINT64_MAX / elements);
                    elements *= n;
                });
            else if (bit == 4)
                ends = numbers([&](std::uint32_t i, std::uint64_t n) noexcept { (i == 0 ? p.begin : p.end) = n; });
            else
                skip_value();
        } while (accept(','));
        expect('}');
        if (seen != 7 || ends < 2)
            fail(status::file_damaged);
        else if (ends > 2)
            fail(status::file_limit);
        if (!good())
            return p;

        const safetensors_type* type = safetensors_types;
        while (type != std::end(safetensors_types) && !spells(t.dtype, type->dtype))
            ++type;
        const bool known = type != std::end(safetensors_types);
        a.type = known ? type->type : element_type::unknown;
        if (a.type == element_type::unknown)
            t.error = status::file_type_unknown;
        if (a.dimensions > array::max_dimensions) {
            a.type = element_type::unknown;
            a.dimensions = 0;
            t.error = status::file_limit;
        }
        const std::uint64_t bits = known ? type->bits : 1u;
        if (overflow || elements > UINT64_MAX / bits || (known && elements * bits % 8 != 0)) // a tensor ends where a byte does
            p.fault = status::file_shape_invalid;
        else if (p.begin > p.end || (known && p.end - p.begin != elements * bits / 8))
            p.fault = status::file_offset_invalid;
        return p;
    }
};

} // namespace detail

NIBBLE_END
