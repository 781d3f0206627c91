// Tensors of up to 8 dimensions, for operators that reduce, pad or broadcast along any of them.
#pragma once

#include "../core/view.hpp"

NIBBLE_BEGIN
namespace tflite {

inline constexpr std::size_t max_rank = 8;

/// Contiguous, the last dimension's elements next to each other. Data and shape are the caller's; an empty shape is one element.
template <class T>
struct tensor_view {
    T* data = nullptr;
    span<const std::ptrdiff_t> shape {};

    NIBBLE_INLINE constexpr tensor_view() noexcept = default;
    NIBBLE_INLINE constexpr tensor_view(T* d, span<const std::ptrdiff_t> s) noexcept : data(d), shape(s) {}
    /// A view of constants from a view of variables.
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
    NIBBLE_INLINE constexpr tensor_view(tensor_view<U> other) noexcept : tensor_view(other.data, other.shape)
    {
    }

    NIBBLE_INLINE constexpr std::ptrdiff_t size() const noexcept
    {
        std::ptrdiff_t all = 1;
        for (const std::ptrdiff_t each : shape)
            all *= each;
        return all;
    }
};

template <class T>
NIBBLE_INLINE constexpr status check(tensor_view<T> t) noexcept
{
    if (t.shape.size() > max_rank)
        return status::rank_too_large;
    if (nibble::check(t.shape) != status::ok)
        return status::null_pointer;
    checked_size bytes = 16; // of an element and its parameters, at most
    for (const std::ptrdiff_t each : t.shape) {
        if (each < 0)
            return status::negative_size;
        bytes = bytes * shape_extent(each);
        if (!bytes.fits())
            return status::size_overflow;
    }
    return t.size() != 0 && t.data == nullptr ? status::null_pointer : status::ok;
}

namespace detail {

/// Dimensions as sizes and as steps in memory, the innermost first.
struct strided_dimensions {
    std::ptrdiff_t count = 0, size = 1; // dimensions, elements
    std::ptrdiff_t sizes[max_rank] {}, strides[max_rank] {};

    void add(std::ptrdiff_t of_size, std::ptrdiff_t stride) noexcept
    {
        sizes[count] = of_size;
        strides[count++] = stride;
        size *= of_size;
    }
    void widen_last(std::ptrdiff_t by) noexcept
    {
        sizes[count - 1] *= by;
        size *= by;
    }
    std::ptrdiff_t offset_of(std::ptrdiff_t index) const noexcept
    {
        std::ptrdiff_t offset = 0;
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            offset += index % sizes[i] * strides[i];
            index /= sizes[i];
        }
        return offset;
    }
};

} // namespace detail
} // namespace tflite
NIBBLE_END
