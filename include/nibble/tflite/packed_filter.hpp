// The weights of a convolution, packed for the products of gemm/packed_weights.hpp. Each group has one packed matrix of output channels x
// (kernel_height * kernel_width * input channels of the group). The matrices follow one another.
#pragma once

#include "../core/memory.hpp"
#include "../gemm/packed_weights.hpp"
#include "int4.hpp"

NIBBLE_BEGIN
namespace tflite {

class packed_filter {
public:
    packed_filter() noexcept = default;

    /// w: out_channels x (kernel_height * kernel_width * in_channels / groups) codes, each row one filter in the order kernel_height,
    /// kernel_width, channel, which is TFLite's OHWI. int4 codes (rows of ceil(k / 2) pairs) are kept as int8.
    template <class W>
    static result<packed_filter> make(matrix_view<const W> w, std::ptrdiff_t kernel_height, std::ptrdiff_t kernel_width,
        std::ptrdiff_t in_channels, std::ptrdiff_t groups = 1) noexcept
    {
        static_assert(std::is_same_v<W, std::int8_t> || std::is_same_v<W, int4x2>, "int8 or int4x2");
        if (const status s = check(w); s != status::ok)
            return s;
        packed_filter made;
        if (const status s = made.set_shape(w.rows, kernel_height, kernel_width, in_channels, groups); s != status::ok)
            return s;
        if (w.cols != elements_for<W>(made.k_))
            return status::shape_mismatch;
        const auto bytes = packed_size<std::int8_t>(w.rows / groups, made.k_);
        if (!bytes)
            return bytes.error();
        made.group_bytes_ = (*bytes + 63) / 64 * 64;
        if (const status s = made.buffer_.allocate(groups * checked_size(made.group_bytes_)); s != status::ok)
            return s;
        for (std::ptrdiff_t g = 0; g < groups; ++g)
            if (const status s = made.pack_group(w, g); s != status::ok)
                return s;
        return result<packed_filter>(std::move(made));
    }

    /// w: the whole of a TFLite int4 tensor, as unpack_int4 takes it; the codes are kept as int8.
    static result<packed_filter> make(span<const int4x2> w, std::ptrdiff_t out_channels, std::ptrdiff_t kernel_height,
        std::ptrdiff_t kernel_width, std::ptrdiff_t in_channels, std::ptrdiff_t groups = 1) noexcept
    {
        packed_filter shape;
        if (const status s = shape.set_shape(out_channels, kernel_height, kernel_width, in_channels, groups); s != status::ok)
            return s;
        const std::ptrdiff_t k = shape.k_;
        if (!(8 * checked_size(out_channels) * k).fits())
            return status::size_overflow;
        if (w.size() != static_cast<std::size_t>(elements_for<int4x2>(k * out_channels)))
            return status::shape_mismatch;
        aligned_buffer wide;
        if (const status s = wide.allocate(checked_size(k) * out_channels); s != status::ok)
            return s;
        std::int8_t* const codes = reinterpret_cast<std::int8_t*>(wide.bytes().data());
        if (const status s = unpack_int4(w, {codes, static_cast<std::size_t>(k * out_channels)}); s != status::ok)
            return s;
        return make(matrix_view<const std::int8_t>(codes, out_channels, k), kernel_height, kernel_width, in_channels, groups);
    }

    packed_weights_view group(std::ptrdiff_t g) const noexcept
    {
        return *nibble::detail::read_packed({buffer_.bytes().data() + static_cast<std::size_t>(g) * group_bytes_, group_bytes_});
    }
    std::ptrdiff_t kernel_height() const noexcept { return kernel_height_; }
    std::ptrdiff_t kernel_width() const noexcept { return kernel_width_; }
    std::ptrdiff_t in_channels() const noexcept { return in_channels_; }
    std::ptrdiff_t out_channels() const noexcept { return out_channels_; }
    std::ptrdiff_t groups() const noexcept { return groups_; }
    std::ptrdiff_t k() const noexcept { return k_; } ///< codes of one filter

private:
    status set_shape(std::ptrdiff_t out_channels, std::ptrdiff_t kernel_height, std::ptrdiff_t kernel_width, std::ptrdiff_t in_channels,
        std::ptrdiff_t groups) noexcept
    {
        constexpr std::ptrdiff_t limit = 1 << 20;
        if (out_channels < 0)
            return status::negative_size;
        if (kernel_height < 1 || kernel_width < 1 || kernel_height > limit || kernel_width > limit)
            return status::window_invalid;
        if (groups < 1 || in_channels < 1 || in_channels > limit || in_channels % groups != 0 || out_channels % groups != 0)
            return status::shape_mismatch;
        const std::ptrdiff_t taps = kernel_height * kernel_width, per_group = in_channels / groups;
        if (!(4096 * checked_size(taps) * per_group).fits())
            return status::size_overflow;
        k_ = taps * per_group;
        kernel_height_ = kernel_height;
        kernel_width_ = kernel_width;
        in_channels_ = in_channels;
        groups_ = groups;
        out_channels_ = out_channels;
        return status::ok;
    }

    // The sums are requantized by requantization, which applies no scale of the weights.
    template <class W>
    status pack_group(matrix_view<const W> w, std::ptrdiff_t g) noexcept
    {
        static constexpr float one = 1.0f;
        const quant_params_view params {granularity::per_tensor, 0, span<const float>(&one, 1)};
        const std::ptrdiff_t n = out_channels_ / groups_;
        const span<std::byte> to = buffer_.bytes().subspan(static_cast<std::size_t>(g) * group_bytes_, group_bytes_);
        const W* const from = w.row(g * n);
        if constexpr (std::is_same_v<W, std::int8_t>) {
            return pack(matrix_view<const std::int8_t>(from, n, k_, w.stride), k_, params, to);
        } else {
            aligned_buffer wide;
            if (const status s = wide.allocate(checked_size(n) * k_); s != status::ok)
                return s;
            std::int8_t* const codes = reinterpret_cast<std::int8_t*>(wide.bytes().data());
            for (std::ptrdiff_t r = 0; r < n; ++r)
                for (std::ptrdiff_t i = 0; i < k_; ++i) {
                    const W pair = from[r * w.stride + i / 2];
                    codes[r * k_ + i] = static_cast<std::int8_t>(i % 2 == 0 ? pair.first() : pair.second());
                }
            return pack(matrix_view<const std::int8_t>(codes, n, k_), k_, params, to);
        }
    }

    aligned_buffer buffer_;
    std::size_t group_bytes_ = 0;
    movable_value<std::ptrdiff_t> in_channels_; // 0: there are no filters
    std::ptrdiff_t kernel_height_ = 0, kernel_width_ = 0, out_channels_ = 0, groups_ = 0, k_ = 0;
};

} // namespace tflite
NIBBLE_END
