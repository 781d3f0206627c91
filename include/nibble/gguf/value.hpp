// What a GGUF file holds, as views: metadata values of 13 types under string keys, and tensors. Read by gguf_reader, written by write_gguf.
// A value does not own its memory: it refers to the file's bytes, or to the caller's strings and arrays.
#pragma once

#include <cstring>
#include <string_view>

#include "../blocks/ggml_type.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN_TYPES

/// By their number in the file.
enum class gguf_type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// strict: what the format's description demands. lenient: what ggml's reader accepts and can do no harm: keys and names of any characters,
/// strings that are not UTF-8, alignments of 1, 2 and 4.
enum class gguf_rules : std::uint8_t { strict, lenient };

constexpr const char* to_string(gguf_type t) noexcept
{
    constexpr const char* names[] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
    return t <= gguf_type::f64 ? names[static_cast<std::uint32_t>(t)] : "unknown type";
}

/// Bytes of a number or bool; 0 for strings, arrays and types that do not exist.
NIBBLE_INLINE constexpr std::size_t size_of(gguf_type t) noexcept
{
    constexpr std::uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return t <= gguf_type::f64 ? sizes[static_cast<std::uint32_t>(t)] : 0u;
}

/// The type of a C++ number or bool.
template <class T>
NIBBLE_INLINE constexpr gguf_type gguf_type_of() noexcept
{
    static_assert(std::is_arithmetic_v<T> && sizeof(T) <= 8, "GGUF stores bool, integers, float and double");
    if constexpr (std::is_same_v<T, bool>)
        return gguf_type::boolean;
    else if constexpr (std::is_floating_point_v<T>)
        return sizeof(T) == 4 ? gguf_type::f32 : gguf_type::f64;
    else if constexpr (sizeof(T) == 8)
        return std::is_signed_v<T> ? gguf_type::i64 : gguf_type::u64;
    else
        return static_cast<gguf_type>((sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 2 : 4) + (std::is_signed_v<T> ? 1 : 0));
}

struct gguf_tensor {
    std::string_view name;
    ggml_type type = ggml_type::f32;
    std::uint32_t dimensions = 0;
    std::int64_t sizes[4] = {1, 1, 1, 1}; ///< innermost first: columns, rows, ...
    span<const std::byte> data;

    /// Of the matrix with sizes[0] columns that the tensor is when its other dimensions are taken together; PTRDIFF_MAX if they do not fit.
    NIBBLE_INLINE constexpr std::int64_t rows() const noexcept { return (checked_size(sizes[1]) * sizes[2] * sizes[3]).count(); }
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// One metadata value: a number, a bool, a string, or an array of one of these or of arrays.
class gguf_value {
public:
    NIBBLE_INLINE gguf_value() noexcept = default;
    template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
    NIBBLE_INLINE gguf_value(T number) noexcept : type_(gguf_type_of<T>())
    {
        std::memcpy(number_, &number, sizeof number);
    }
    NIBBLE_INLINE gguf_value(std::string_view text) noexcept : type_(gguf_type::string), count_(text.size()), data_(text.data()) {}
    NIBBLE_INLINE gguf_value(const char* text) noexcept : gguf_value(text == nullptr ? std::string_view() : std::string_view(text)) {}
    template <class T>
    NIBBLE_INLINE gguf_value(span<const T> numbers) noexcept
        : type_(gguf_type::array), element_(gguf_type_of<T>()), count_(numbers.size()), data_(numbers.data())
    {
    }
    NIBBLE_INLINE gguf_value(span<const std::string_view> texts) noexcept
        : type_(gguf_type::array), element_(gguf_type::string), count_(texts.size()), data_(texts.data()), views_(true)
    {
    }

    NIBBLE_INLINE gguf_type type() const noexcept { return type_; }
    /// Of an array.
    NIBBLE_INLINE gguf_type element_type() const noexcept { return element_; }
    /// Elements of an array, bytes of a string, else 1.
    NIBBLE_INLINE std::uint64_t size() const noexcept { return type_ == gguf_type::array || type_ == gguf_type::string ? count_ : 1; }

    /// Whether the string or array is null although it is not empty.
    NIBBLE_INLINE bool is_null() const noexcept { return data_ == nullptr && count_ != 0; }

    /// A number, bool or std::string_view of exactly this type.
    template <class T>
    NIBBLE_INLINE result<T> get() const noexcept
    {
        if constexpr (std::is_same_v<T, std::string_view>) {
            if (type_ != gguf_type::string)
                return status::file_type_mismatch;
            return std::string_view(static_cast<const char*>(data_), static_cast<std::size_t>(count_));
        } else {
            if (type_ != gguf_type_of<T>())
                return status::file_type_mismatch;
            T number {};
            std::memcpy(&number, number_, sizeof number);
            return number;
        }
    }

    /// Any integer that is not negative, of whatever type.
    NIBBLE_INLINE result<std::uint64_t> unsigned_integer() const noexcept
    {
        if (type_ == gguf_type::f32 || type_ == gguf_type::f64 || type_ == gguf_type::boolean || size_of(type_) == 0)
            return status::file_type_mismatch;
        std::uint64_t number = 0;
        std::memcpy(&number, number_, size_of(type_));
        const bool is_signed = (static_cast<std::uint32_t>(type_) & 1u) != 0;
        if (is_signed && (number >> (8 * size_of(type_) - 1)) != 0)
            return status::file_type_mismatch;
        return number;
    }

    /// Element i of an array of numbers or bools.
    template <class T>
    NIBBLE_INLINE result<T> at(std::uint64_t i) const noexcept
    {
        if (type_ != gguf_type::array || element_ != gguf_type_of<T>())
            return status::file_type_mismatch;
        if (i >= count_)
            return status::shape_mismatch;
        T number {};
        std::memcpy(&number, static_cast<const std::byte*>(data_) + i * sizeof(T), sizeof number);
        return number;
    }

    /// Goes through the elements of an array in their order:   for (const gguf_value& e : value)
    class iterator {
    public:
        NIBBLE_INLINE iterator(const gguf_value& array, std::uint64_t left) noexcept
            : element_(array.element_), views_(array.views_), left_(left), at_(static_cast<const std::byte*>(array.data_))
        {
        }
        NIBBLE_INLINE gguf_value operator*() const noexcept
        {
            if (views_)
                return gguf_value(*reinterpret_cast<const std::string_view*>(at_));
            return gguf_value::parse(element_, at_);
        }
        iterator& operator++() noexcept
        {
            at_ = views_ ? at_ + sizeof(std::string_view) : gguf_value::end_of(element_, at_);
            --left_;
            return *this;
        }
        NIBBLE_INLINE bool operator!=(const iterator& other) const noexcept { return left_ != other.left_; }

    private:
        gguf_type element_;
        bool views_;
        std::uint64_t left_;
        const std::byte* at_;
    };
    NIBBLE_INLINE iterator begin() const noexcept { return {*this, type_ == gguf_type::array ? count_ : 0}; }
    NIBBLE_INLINE iterator end() const noexcept { return {*this, 0}; }

    /// The value at `at` in a file whose bytes were checked.
    NIBBLE_INLINE static gguf_value parse(gguf_type type, const std::byte* at) noexcept
    {
        gguf_value v;
        v.type_ = type;
        if (type == gguf_type::string) {
            std::memcpy(&v.count_, at, 8);
            v.data_ = at + 8;
        } else if (type == gguf_type::array) {
            std::memcpy(&v.element_, at, 4);
            std::memcpy(&v.count_, at + 4, 8);
            v.data_ = at + 12;
        } else {
            std::memcpy(v.number_, at, size_of(type));
        }
        return v;
    }

    /// The elements of an array of numbers, as bytes.
    NIBBLE_INLINE span<const std::byte> number_bytes() const noexcept
    {
        return {static_cast<const std::byte*>(data_), static_cast<std::size_t>(count_) * size_of(element_)};
    }
    NIBBLE_INLINE span<const unsigned char> scalar_bytes() const noexcept { return {number_, size_of(type_)}; }

private:
    static const std::byte* end_of(gguf_type type, const std::byte* at) noexcept
    {
        if (size_of(type) != 0)
            return at + size_of(type);
        const gguf_value v = parse(type, at);
        at = static_cast<const std::byte*>(v.data_);
        if (type == gguf_type::string || size_of(v.element_) != 0)
            return at + v.count_ * (type == gguf_type::string ? 1 : size_of(v.element_));
        for (std::uint64_t i = 0; i < v.count_; ++i)
            at = end_of(v.element_, at);
        return at;
    }

    gguf_type type_ = gguf_type::u8, element_ = gguf_type::u8;
    std::uint64_t count_ = 0;
    const void* data_ = nullptr;
    unsigned char number_[8] = {};
    bool views_ = false; // an array of string_view, not of the file's strings
};

struct gguf_pair {
    std::string_view key;
    gguf_value value;
};

namespace detail {

/// The elements of a tensor, or file_shape_invalid. A count that does not fit 63 bits is none, nor one that would not without sizes of 0.
NIBBLE_INLINE result<std::uint64_t> tensor_elements(const gguf_tensor& t) noexcept
{
    if (t.dimensions > 4)
        return status::file_shape_invalid;
    std::uint64_t elements = 1;
    bool empty = false;
    for (const std::int64_t size : t.sizes) {
        if (size < 0)
            return status::file_shape_invalid;
        empty = empty || size == 0;
    }
    for (const std::int64_t size : t.sizes) {
        const std::uint64_t n = size == 0 ? 1 : static_cast<std::uint64_t>(size);
        if (elements > static_cast<std::uint64_t>(INT64_MAX) / n)
            return status::file_shape_invalid;
        elements *= n;
    }
    return empty ? std::uint64_t {0} : elements;
}

/// The bytes of a tensor, or which rule its type and sizes break.
NIBBLE_INLINE result<std::uint64_t> tensor_bytes(const gguf_tensor& t) noexcept
{
    if (!is_known(t.type))
        return status::ggml_type_unknown;
    const result<std::uint64_t> elements = tensor_elements(t);
    if (!elements)
        return elements;
    const std::uint64_t block = static_cast<std::uint64_t>(block_elements(t.type)), bytes = static_cast<std::uint64_t>(block_bytes(t.type));
    if (static_cast<std::uint64_t>(t.sizes[0]) % block != 0)
        return status::cols_not_whole_blocks;
    if (*elements / block > static_cast<std::uint64_t>(INT64_MAX) / bytes)
        return status::file_shape_invalid;
    return *elements / block * bytes;
}

/// Well-formed UTF-8: no overlong forms, surrogates or numbers above 0x10ffff.
inline bool is_utf8(std::string_view text) noexcept
{
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = [&](std::size_t at) noexcept { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
        const unsigned first = byte(i);
        const std::size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
        if (length == 0)
            return false;
        for (std::size_t j = 1; j < length; ++j)
            if ((byte(i + j) & 0xc0u) != 0x80)
                return false;
        const unsigned second = byte(i + 1);
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90)
            || (first == 0xf4 && second > 0x8f))
            return false;
        i += length;
    }
    return true;
}

NIBBLE_INLINE bool is_strict_key(std::string_view key) noexcept
{
    if (key.size() > 65535)
        return false;
    for (const char c : key)
        if (c < 0x21 || c > 0x7e)
            return false;
    return true;
}

} // namespace detail
NIBBLE_END
