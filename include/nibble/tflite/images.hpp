// Batches of images in NHWC, and the windows that convolutions and pooling slide over them.
//   output size = (size + padding before and after - ((kernel - 1) * dilation + 1)) / stride + 1, rounded down
//   same_padding  gives ceil(size / stride) outputs; if the number of padded rows or columns is odd, the greater half comes after, as in
//                 TFLite
// These never divide by zero or overflow: a window that check() refuses has no outputs and no padding.
#pragma once

#include "../core/bits.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN
namespace tflite {

/// Contiguous: element (n, y, x, c) is data[((n * height + y) * width + x) * channels + c].
template <class T>
struct images_view {
    T* data = nullptr;
    std::ptrdiff_t batch = 0, height = 0, width = 0, channels = 0;

    NIBBLE_INLINE constexpr images_view() noexcept = default;
    NIBBLE_INLINE constexpr images_view(T* d, std::ptrdiff_t n, std::ptrdiff_t h, std::ptrdiff_t w, std::ptrdiff_t c) noexcept
        : data(d), batch(n), height(h), width(w), channels(c)
    {
    }
    /// A view of constants from a view of variables.
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
    NIBBLE_INLINE constexpr images_view(images_view<U> other) noexcept
        : images_view(other.data, other.batch, other.height, other.width, other.channels)
    {
    }

    NIBBLE_INLINE constexpr std::ptrdiff_t size() const noexcept { return batch * height * width * channels; }
    NIBBLE_INLINE constexpr T& operator()(std::ptrdiff_t n, std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t c) const noexcept
    {
        return data[((n * height + y) * width + x) * channels + c];
    }
};

template <class T>
NIBBLE_INLINE constexpr status check(images_view<T> v) noexcept
{
    for (const std::ptrdiff_t each : {v.batch, v.height, v.width, v.channels})
        if (each < 0)
            return status::negative_size;
    if (!(16 * shape_extent(v.batch, v.height, v.width, v.channels)).fits())
        return status::size_overflow;
    return v.size() != 0 && v.data == nullptr ? status::null_pointer : status::ok;
}

struct window {
    std::ptrdiff_t kernel_height = 1, kernel_width = 1;
    std::ptrdiff_t stride_height = 1, stride_width = 1;
    std::ptrdiff_t dilation_height = 1, dilation_width = 1;
    std::ptrdiff_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
};

/// The greatest kernel size, stride, dilation and padding: products of two of them cannot overflow.
inline constexpr std::ptrdiff_t window_limit = 1 << 20;

namespace detail {

/// Whether a window of these sizes can slide over an input of `size` rows or columns.
NIBBLE_INLINE constexpr bool can_slide(std::ptrdiff_t size, std::ptrdiff_t kernel, std::ptrdiff_t stride, std::ptrdiff_t dilation) noexcept
{
    return size >= 0 && size <= PTRDIFF_MAX / 16 && kernel >= 1 && kernel <= window_limit && stride >= 1 && stride <= window_limit
           && dilation >= 1 && dilation <= window_limit;
}

} // namespace detail

/// window_invalid for a kernel size, stride or dilation below 1, a padding below 0, and any of them above window_limit.
NIBBLE_INLINE constexpr status check(const window& w) noexcept
{
    if (!detail::can_slide(0, w.kernel_height, w.stride_height, w.dilation_height)
        || !detail::can_slide(0, w.kernel_width, w.stride_width, w.dilation_width))
        return status::window_invalid;
    for (const std::ptrdiff_t each : {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right})
        if (each < 0 || each > window_limit)
            return status::window_invalid;
    return status::ok;
}

/// How many outputs one dimension has. padding: before and after together. 0 where the kernel is larger than the padded input, and where
/// an argument is outside its range: a stride of 0, for example.
NIBBLE_INLINE constexpr std::ptrdiff_t output_size(
    std::ptrdiff_t size, std::ptrdiff_t kernel, std::ptrdiff_t stride, std::ptrdiff_t dilation, std::ptrdiff_t padding) noexcept
{
    if (!detail::can_slide(size, kernel, stride, dilation) || padding < 0 || padding > 2 * window_limit)
        return 0;
    const std::ptrdiff_t room = size + padding - ((kernel - 1) * dilation + 1);
    return room < 0 ? 0 : room / stride + 1;
}
/// 0 for a window that check() refuses, as output_width.
NIBBLE_INLINE constexpr std::ptrdiff_t output_height(const window& w, std::ptrdiff_t height) noexcept
{
    return check(w) != status::ok ? 0 : output_size(height, w.kernel_height, w.stride_height, w.dilation_height, w.pad_top + w.pad_bottom);
}
NIBBLE_INLINE constexpr std::ptrdiff_t output_width(const window& w, std::ptrdiff_t width) noexcept
{
    return check(w) != status::ok ? 0 : output_size(width, w.kernel_width, w.stride_width, w.dilation_width, w.pad_left + w.pad_right);
}

/// w with TFLite's padding "same" for inputs of height x width. Without padding if a size is negative or a kernel size, stride or dilation
/// is outside its range: what takes the window then answers window_invalid.
NIBBLE_INLINE constexpr window same_padding(window w, std::ptrdiff_t height, std::ptrdiff_t width) noexcept
{
    w.pad_top = w.pad_bottom = w.pad_left = w.pad_right = 0;
    if (!detail::can_slide(height, w.kernel_height, w.stride_height, w.dilation_height)
        || !detail::can_slide(width, w.kernel_width, w.stride_width, w.dilation_width))
        return w;
    const auto padding = [](std::ptrdiff_t size, std::ptrdiff_t kernel, std::ptrdiff_t stride, std::ptrdiff_t dilation) {
        const std::ptrdiff_t outputs = (size + stride - 1) / stride, needed = (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size;
        return larger(needed, 0);
    };
    const std::ptrdiff_t vertical = padding(height, w.kernel_height, w.stride_height, w.dilation_height);
    const std::ptrdiff_t horizontal = padding(width, w.kernel_width, w.stride_width, w.dilation_width);
    w.pad_top = vertical / 2;
    w.pad_bottom = vertical - w.pad_top;
    w.pad_left = horizontal / 2;
    w.pad_right = horizontal - w.pad_left;
    return w;
}

} // namespace tflite
NIBBLE_END
