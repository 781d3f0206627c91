// Views do not own memory. They are cheap to copy and passed by value. matrix_view is row-major with any stride between rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "checked_size.hpp"
#include "config.hpp"
#include "status.hpp"

NIBBLE_BEGIN_TYPES

/// Contiguous elements. Converts from anything with data() and size(): std::vector, std::array, std::span, and from C arrays.
template <class T>
class span {
public:
    NIBBLE_INLINE constexpr span() noexcept = default;
    NIBBLE_INLINE constexpr span(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N>
    NIBBLE_INLINE constexpr span(T (&array)[N]) noexcept : data_(array), size_(N)
    {
    }
    template <class Range,
        class = std::enable_if_t<std::is_convertible_v<std::remove_pointer_t<decltype(std::declval<Range&>().data())> (*)[], T (*)[]>>,
        class = decltype(std::declval<Range&>().size())>
    NIBBLE_INLINE constexpr span(Range&& range) noexcept : data_(range.data()), size_(range.size())
    {
    }

    NIBBLE_INLINE constexpr T* data() const noexcept { return data_; }
    NIBBLE_INLINE constexpr std::size_t size() const noexcept { return size_; }
    NIBBLE_INLINE constexpr bool empty() const noexcept { return size_ == 0; }
    NIBBLE_INLINE constexpr T& operator[](std::size_t i) const noexcept { return data_[i]; }
    NIBBLE_INLINE constexpr T* begin() const noexcept { return data_; }
    NIBBLE_INLINE constexpr T* end() const noexcept { return data_ + size_; }
    NIBBLE_INLINE constexpr span subspan(std::size_t offset, std::size_t count) const noexcept { return {data_ + offset, count}; }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

/// rows x cols elements; element (r, c) is data[r * stride + c], the stride counts elements.
template <class T>
struct matrix_view {
    T* data = nullptr;
    std::ptrdiff_t rows = 0;
    std::ptrdiff_t cols = 0;
    std::ptrdiff_t stride = 0;

    NIBBLE_INLINE constexpr matrix_view() noexcept = default;
    NIBBLE_INLINE constexpr matrix_view(T* d, std::ptrdiff_t r, std::ptrdiff_t c) noexcept : data(d), rows(r), cols(c), stride(c) {}
    NIBBLE_INLINE constexpr matrix_view(T* d, std::ptrdiff_t r, std::ptrdiff_t c, std::ptrdiff_t s) noexcept
        : data(d), rows(r), cols(c), stride(s)
    {
    }
    /// A view of constants from a view of variables.
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
    NIBBLE_INLINE constexpr matrix_view(matrix_view<U> other) noexcept
        : data(other.data), rows(other.rows), cols(other.cols), stride(other.stride)
    {
    }

    NIBBLE_INLINE constexpr T* row(std::ptrdiff_t r) const noexcept { return data + r * stride; }
    NIBBLE_INLINE constexpr T& operator()(std::ptrdiff_t r, std::ptrdiff_t c) const noexcept { return data[r * stride + c]; }
    NIBBLE_INLINE constexpr bool empty() const noexcept { return rows == 0 || cols == 0; }
};

/// The rules every matrix argument keeps. The sides of a matrix without elements are checked as well, as if the 0 were 1; its stride and
/// pointer are not.
template <class T>
NIBBLE_INLINE constexpr status check(matrix_view<T> m) noexcept
{
    if (m.rows < 0 || m.cols < 0)
        return status::negative_size;
    if (!m.empty() && m.data == nullptr)
        return status::null_pointer;
    const bool has_stride = !m.empty() && m.rows > 1;
    if (has_stride && m.stride < m.cols)
        return status::stride_too_small;
    // No element is larger than 8 bytes.
    const checked_size bytes = 8 * (has_stride ? checked_size(m.rows) * m.stride : shape_extent(m.rows, m.cols));
    return bytes.fits() ? status::ok : status::size_overflow;
}

template <class T>
NIBBLE_INLINE constexpr status check(span<T> s) noexcept
{
    return s.data() == nullptr && s.size() != 0 ? status::null_pointer : status::ok;
}

/// Whether memory of the caller's has room for what a size function asks for; SIZE_MAX is its answer to sizes that overflow.
template <class T>
NIBBLE_INLINE constexpr status check_room(span<T> memory, std::size_t needed) noexcept
{
    if (const status s = check(memory); s != status::ok)
        return s;
    return needed == SIZE_MAX ? status::size_overflow : memory.size() < needed ? status::buffer_too_small : status::ok;
}

NIBBLE_END_TYPES
