// Views: non-owning, cheap to copy, passed by value. matrix_view is row-major with any distance between rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

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

/// The rules every matrix argument keeps.
template <class T>
NIBBLE_INLINE constexpr status check(matrix_view<T> m) noexcept
{
    if (m.rows < 0 || m.cols < 0)
        return status::negative_size;
    if (m.empty())
        return status::ok;
    if (m.data == nullptr)
        return status::null_pointer;
    if (m.rows > 1 && m.stride < m.cols)
        return status::stride_too_small;
    if (m.cols > PTRDIFF_MAX / m.rows / 8 || (m.rows > 1 && m.stride > PTRDIFF_MAX / m.rows / 8))
        return status::size_overflow;
    return status::ok;
}

template <class T>
NIBBLE_INLINE constexpr status check(span<T> s) noexcept
{
    return s.data() == nullptr && s.size() != 0 ? status::null_pointer : status::ok;
}

NIBBLE_END_TYPES
