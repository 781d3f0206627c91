// array: a tensor as a file or another library describes it. The readers of .npy, safetensors and DLPack return it.
#pragma once

#include "../core/minifloat.hpp"
#include "../core/numeric.hpp"
#include "../core/status.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN_TYPES

/// unknown: a type that nibble does not read.
enum class element_type : std::uint8_t {
    boolean,
    u8,
    s8,
    u16,
    s16,
    u32,
    s32,
    u64,
    s64,
    f16,
    bf16,
    f32,
    f64,
    e4m3,
    e5m2,
    e8m0,
    c64,
    unknown
};

/// Bytes of an element; 0 if the type is unknown.
NIBBLE_INLINE constexpr std::ptrdiff_t size_of(element_type t) noexcept
{
    switch (t) {
    case element_type::boolean:
    case element_type::u8:
    case element_type::s8:
    case element_type::e4m3:
    case element_type::e5m2:
    case element_type::e8m0: return 1;
    case element_type::u16:
    case element_type::s16:
    case element_type::f16:
    case element_type::bf16: return 2;
    case element_type::u32:
    case element_type::s32:
    case element_type::f32: return 4;
    case element_type::u64:
    case element_type::s64:
    case element_type::f64:
    case element_type::c64: return 8;
    case element_type::unknown: break;
    }
    return 0;
}

/// element_type_of<T>: what a T is called in files.
template <class T>
inline constexpr element_type element_type_of = T::no_such_element_type;
template <>
inline constexpr element_type element_type_of<bool> = element_type::boolean;
template <>
inline constexpr element_type element_type_of<std::uint8_t> = element_type::u8;
template <>
inline constexpr element_type element_type_of<std::int8_t> = element_type::s8;
template <>
inline constexpr element_type element_type_of<std::uint16_t> = element_type::u16;
template <>
inline constexpr element_type element_type_of<std::int16_t> = element_type::s16;
template <>
inline constexpr element_type element_type_of<std::uint32_t> = element_type::u32;
template <>
inline constexpr element_type element_type_of<std::int32_t> = element_type::s32;
template <>
inline constexpr element_type element_type_of<std::uint64_t> = element_type::u64;
template <>
inline constexpr element_type element_type_of<std::int64_t> = element_type::s64;
template <>
inline constexpr element_type element_type_of<half> = element_type::f16;
template <>
inline constexpr element_type element_type_of<bfloat16> = element_type::bf16;
template <>
inline constexpr element_type element_type_of<float> = element_type::f32;
template <>
inline constexpr element_type element_type_of<double> = element_type::f64;
template <>
inline constexpr element_type element_type_of<float8_e4m3> = element_type::e4m3;
template <>
inline constexpr element_type element_type_of<float8_e5m2> = element_type::e5m2;

/// Elements without gaps, perhaps not aligned. Whoever made the array checked that data has exactly the bytes of its sizes, but for
/// elements of an unknown type.
struct array {
    static constexpr std::uint32_t max_dimensions = 64; ///< as in NumPy

    element_type type = element_type::f32;
    std::uint32_t dimensions = 0;
    std::ptrdiff_t sizes[max_dimensions] = {}; ///< outermost first
    span<const std::byte> data;
    bool column_major = false; ///< Fortran's order: the first index changes fastest. False: row-major, the last one does

    /// A matrix of the array's rows; an array of one dimension is one row. element_type_mismatch if the elements are no T, shape_mismatch
    /// for more than two dimensions or none, layout_unsupported for a column-major matrix (its transpose is a matrix), misaligned if the
    /// address is not a multiple of T's alignment, file_value_invalid if a bool is neither 0 nor 1; and what check(matrix_view) finds.
    template <class T>
    NIBBLE_INLINE result<matrix_view<const T>> matrix() const noexcept
    {
        if (type != element_type_of<T>)
            return status::element_type_mismatch;
        if (dimensions != 1 && dimensions != 2)
            return status::shape_mismatch;
        if (column_major)
            return status::layout_unsupported;
        if (reinterpret_cast<std::uintptr_t>(data.data()) % alignof(T) != 0)
            return status::misaligned;
        if constexpr (std::is_same_v<T, bool>)
            for (const std::byte b : data)
                if (static_cast<unsigned>(b) > 1)
                    return status::file_value_invalid;
        const std::ptrdiff_t rows = dimensions == 2 ? sizes[0] : 1;
        const matrix_view<const T> view(reinterpret_cast<const T*>(data.data()), rows, sizes[dimensions - 1]);
        const status s = check(view);
        return s == status::ok ? result<matrix_view<const T>>(view) : result<matrix_view<const T>>(s);
    }

    /// The same bytes with the dimensions in reverse: row-major if this array is column-major. element (i, j) is (j, i) here.
    NIBBLE_INLINE array transposed() const noexcept
    {
        array t = *this;
        for (std::uint32_t i = 0; i < dimensions; ++i)
            t.sizes[i] = sizes[dimensions - 1 - i];
        t.column_major = !column_major && orders_differ();
        return t;
    }

    /// Whether row-major and column-major elements stand in different places: where two sizes are above 1, and none is 0.
    NIBBLE_INLINE constexpr bool orders_differ() const noexcept
    {
        std::uint32_t long_sides = 0;
        for (std::uint32_t i = 0; i < dimensions; ++i) {
            if (sizes[i] == 0)
                return false;
            long_sides += sizes[i] > 1;
        }
        return long_sides > 1;
    }
};

NIBBLE_END_TYPES
