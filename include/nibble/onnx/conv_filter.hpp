// The arguments of ONNX's convolutions: images in ONNX's layout, padding by its attribute auto_pad, and weights that are packed once.
#pragma once

#include "../tflite/images.hpp"
#include "../tflite/packed_filter.hpp"
#include "matmul.hpp"

NIBBLE_BEGIN
namespace onnx {

/// Contiguous: element (n, c, y, x) is data[((n * channels + c) * height + y) * width + x].
template <class T>
struct nchw_view {
    T* data = nullptr;
    std::ptrdiff_t batch = 0, channels = 0, height = 0, width = 0;

    NIBBLE_INLINE constexpr nchw_view() noexcept = default;
    NIBBLE_INLINE constexpr nchw_view(T* d, std::ptrdiff_t n, std::ptrdiff_t c, std::ptrdiff_t h, std::ptrdiff_t w) noexcept
        : data(d), batch(n), channels(c), height(h), width(w)
    {
    }
    /// A view of constants from a view of variables.
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
    NIBBLE_INLINE constexpr nchw_view(nchw_view<U> other) noexcept
        : nchw_view(other.data, other.batch, other.channels, other.height, other.width)
    {
    }

    NIBBLE_INLINE constexpr std::ptrdiff_t size() const noexcept { return batch * channels * height * width; }
    NIBBLE_INLINE constexpr T& operator()(std::ptrdiff_t n, std::ptrdiff_t c, std::ptrdiff_t y, std::ptrdiff_t x) const noexcept
    {
        return data[((n * channels + c) * height + y) * width + x];
    }
};

template <class T>
NIBBLE_INLINE constexpr status check(nchw_view<T> v) noexcept
{
    return tflite::check(tflite::images_view<T>(v.data, v.batch, v.height, v.width, v.channels));
}

/// ONNX's attribute auto_pad.
enum class auto_padding : std::uint8_t {
    valid,      ///< none
    same_upper, ///< ceil(size / stride) outputs; of an odd number of padded rows or columns the greater half comes after
    same_lower, ///< the same, the greater half before
};

/// w with the padding of `how` for inputs of height x width.
NIBBLE_INLINE constexpr tflite::window auto_pad(tflite::window w, auto_padding how, std::ptrdiff_t height, std::ptrdiff_t width) noexcept
{
    w.pad_top = w.pad_bottom = w.pad_left = w.pad_right = 0;
    if (how == auto_padding::valid)
        return w;
    w = tflite::same_padding(w, height, width);
    if (how == auto_padding::same_lower) {
        const tflite::window upper = w;
        w.pad_top = upper.pad_bottom;
        w.pad_bottom = upper.pad_top;
        w.pad_left = upper.pad_right;
        w.pad_right = upper.pad_left;
    }
    return w;
}

/// The weights of a convolution, packed for its products.
class conv_filter {
public:
    conv_filter() noexcept = default;

    /// w: output channels x in_channels / groups x kernel height x kernel width; zero_points: none, one, or one an output channel.
    template <class W>
    static result<conv_filter> make(
        nchw_view<const W> w, std::ptrdiff_t in_channels, std::ptrdiff_t groups, span<const std::int32_t> zero_points = {}) noexcept
    {
        static_assert(std::is_same_v<W, std::int8_t> || std::is_same_v<W, std::uint8_t>, "int8 or uint8");
        if (const status s = check(w); s != status::ok)
            return s;
        constexpr std::ptrdiff_t limit = tflite::window_limit;
        if (w.height < 1 || w.width < 1 || w.height > limit || w.width > limit)
            return status::window_invalid;
        if (groups < 1 || in_channels < 1 || in_channels > limit || in_channels % groups != 0 || w.channels != in_channels / groups
            || w.batch % groups != 0)
            return status::shape_mismatch;
        if (const status s = detail::check_zero_points<W>(zero_points, {static_cast<std::size_t>(w.batch)}); s != status::ok)
            return s;
        conv_filter made;
        made.taps_ = w.height * w.width;
        made.k_ = made.taps_ * w.channels;
        made.kernel_height_ = w.height;
        made.kernel_width_ = w.width;
        made.in_channels_ = in_channels;
        made.out_channels_ = w.batch;
        made.groups_ = groups;
        made.has_zero_points_ = detail::any_zero_point<W>(zero_points);
        const std::size_t rows = static_cast<std::size_t>(w.batch), codes = rows * static_cast<std::size_t>(made.k_);
        aligned_buffer scratch;
        if (!scratch.resize(8 * rows + codes + 1))
            return status::out_of_memory;
        float* const scales = reinterpret_cast<float*>(scratch.bytes().data());
        std::int32_t* const zeros = reinterpret_cast<std::int32_t*>(scales + rows);
        std::int8_t* const ordered = reinterpret_cast<std::int8_t*>(zeros + rows);
        for (std::size_t o = 0; o < rows; ++o) {
            scales[o] = 1.0f;
            zeros[o] = (zero_points.empty() ? 0 : zero_points[zero_points.size() == 1 ? 0 : o]) - detail::code_offset<W>;
            const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(o) * made.k_;
            for (std::ptrdiff_t i = 0; i < w.channels; ++i)
                for (std::ptrdiff_t tap = 0; tap < made.taps_; ++tap)
                    ordered[first + tap * w.channels + i]
                        = static_cast<std::int8_t>(w.data[first + i * made.taps_ + tap] - detail::code_offset<W>);
        }
        const status s = made.is_depthwise()      ? made.keep_taps(ordered, zeros)
                         : !made.has_zero_points_ ? made.pack_without(ordered)
                                                  : made.pack_with_zero_points(ordered, scales, zeros);
        return s == status::ok ? result<conv_filter>(std::move(made)) : result<conv_filter>(s);
    }

    /// Of more than one input channel; without its product.
    packed_weights_view group(std::ptrdiff_t g) const noexcept
    {
        if (!has_zero_points_)
            return plain_.group(g);
        const std::size_t bytes = buffer_.bytes().size() / static_cast<std::size_t>(groups_);
        return *nibble::detail::read_packed({buffer_.bytes().data() + static_cast<std::size_t>(g) * bytes, bytes});
    }
    /// The same for tflite::conv2d, where there are no zero points.
    const tflite::packed_filter& plain() const noexcept { return plain_; }
    /// Groups of one input channel: kernel positions x output channels, weights less zero points.
    matrix_view<const std::int16_t> taps() const noexcept
    {
        return {reinterpret_cast<const std::int16_t*>(buffer_.bytes().data()), taps_, out_channels_};
    }
    /// The same for tflite::depthwise_conv2d, where there are no zero points.
    matrix_view<const std::int8_t> plain_taps() const noexcept
    {
        return {reinterpret_cast<const std::int8_t*>(taps().data + taps_ * out_channels_), taps_, out_channels_};
    }
    bool is_depthwise() const noexcept { return groups_ == in_channels_; } ///< a group has one input channel
    bool has_zero_points() const noexcept { return has_zero_points_; }
    std::ptrdiff_t kernel_height() const noexcept { return kernel_height_; }
    std::ptrdiff_t kernel_width() const noexcept { return kernel_width_; }
    std::ptrdiff_t in_channels() const noexcept { return in_channels_; }
    std::ptrdiff_t out_channels() const noexcept { return out_channels_; }
    std::ptrdiff_t groups() const noexcept { return groups_; }
    std::ptrdiff_t k() const noexcept { return k_; } ///< codes of one filter

private:
    status pack_with_zero_points(const std::int8_t* ordered, const float* scales, const std::int32_t* zeros) noexcept
    {
        const std::ptrdiff_t n = out_channels_ / groups_;
        const auto bytes = packed_size<std::int8_t>(n, k_, 0, true);
        if (!bytes)
            return bytes.error();
        const std::size_t each = (*bytes + 63) / 64 * 64, columns = static_cast<std::size_t>(n);
        if (static_cast<std::size_t>(groups_) > SIZE_MAX / 2 / each)
            return status::size_overflow;
        if (!buffer_.resize(each * static_cast<std::size_t>(groups_)))
            return status::out_of_memory;
        for (std::ptrdiff_t g = 0; g < groups_; ++g) {
            const quant_params_view params {
                granularity::per_channel, 0, span<const float>(scales + g * n, columns), span<const std::int32_t>(zeros + g * n, columns)};
            const span<std::byte> to = buffer_.bytes().subspan(static_cast<std::size_t>(g) * each, each);
            if (const status s = pack(matrix_view<const std::int8_t>(ordered + g * n * k_, n, k_), k_, params, to); s != status::ok)
                return s;
        }
        return status::ok;
    }
    status pack_without(const std::int8_t* ordered) noexcept
    {
        auto packed = tflite::packed_filter::make(
            matrix_view<const std::int8_t>(ordered, out_channels_, k_), kernel_height_, kernel_width_, in_channels_, groups_);
        if (!packed)
            return packed.error();
        plain_ = std::move(*packed);
        return status::ok;
    }
    status keep_taps(const std::int8_t* ordered, const std::int32_t* zeros) noexcept
    {
        if (!buffer_.resize(3 * static_cast<std::size_t>(taps_ * out_channels_) + 1))
            return status::out_of_memory;
        std::int16_t* const wide = reinterpret_cast<std::int16_t*>(buffer_.bytes().data());
        std::int8_t* const plain = reinterpret_cast<std::int8_t*>(wide + taps_ * out_channels_);
        for (std::ptrdiff_t o = 0; o < out_channels_; ++o)
            for (std::ptrdiff_t tap = 0; tap < taps_; ++tap) {
                plain[tap * out_channels_ + o] = ordered[o * k_ + tap];
                wide[tap * out_channels_ + o] = static_cast<std::int16_t>(ordered[o * k_ + tap] - zeros[o]);
            }
        return status::ok;
    }

    tflite::packed_filter plain_;
    aligned_buffer buffer_; // groups with zero points, or taps and plain taps
    bool has_zero_points_ = false;
    movable_value<std::ptrdiff_t> in_channels_; // 0: there are no filters
    std::ptrdiff_t kernel_height_ = 0, kernel_width_ = 0, out_channels_ = 0, groups_ = 1, taps_ = 0, k_ = 0;
};

} // namespace onnx
NIBBLE_END
