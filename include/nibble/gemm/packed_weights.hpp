// Packed weights as products take them: a view of bytes that pack() wrote, or weights that own their memory. packed_layout.hpp has the
// bytes, pack.hpp writes them.
#pragma once

#include "gemm.kernels.hpp"
#include "pack.hpp"

NIBBLE_BEGIN
namespace detail {

/// packed_weights_view::product of weights that were packed from W.
template <class W>
inline kernel<gemm_args> product_of(backend b) noexcept
{
    if constexpr (weight_traits<W>::type == weight_type::s8)
        return kernels::gemm_w8(b);
    else if constexpr (weight_traits<W>::type == weight_type::u4)
        return kernels::gemm_w4(b);
    else if constexpr (weight_traits<W>::type == weight_type::f32)
        return kernels::gemm_f32(b);
    else if constexpr (weight_traits<W>::type == weight_type::f16)
        return kernels::gemm_half(b);
    else
        return kernels::gemm_bfloat16(b);
}
template <class Lazy = void>
inline kernel<gemm_args> product_of_blocks_w8(backend b) noexcept
{
    return kernels::gemm_blocks_w8(b);
}
template <class Lazy = void>
inline kernel<gemm_args> product_of_blocks_w4(backend b) noexcept
{
    return kernels::gemm_blocks_w4(b);
}

/// The same of integers whose width and form only the view tells: those of ggml's blocks.
template <class Lazy = void>
inline void find_block_product(packed_weights_view& w) noexcept
{
    const bool compact = w.compact != not_compact;
    if (w.type == weight_type::s8)
        w.product = compact ? &product_of_blocks_w8<Lazy> : &product_of<std::int8_t>;
    else
        w.product = compact ? &product_of_blocks_w4<Lazy> : &product_of<int4x2>;
}
/// The same of any weights: all products are compiled.
template <class Lazy = void>
inline void find_product(packed_weights_view& w) noexcept
{
    switch (w.type) {
    case weight_type::f32: w.product = &product_of<float>; break;
    case weight_type::f16: w.product = &product_of<half>; break;
    case weight_type::bf16: w.product = &product_of<bfloat16>; break;
    default: find_block_product<Lazy>(w);
    }
}

} // namespace detail

/// Checks bytes that pack() wrote, perhaps in another process. They may be of any type of weights, so that a program compiles all products.
template <class Lazy = void>
inline result<packed_weights_view> view_packed(span<const std::byte> bytes) noexcept
{
    result<packed_weights_view> w = detail::read_packed(bytes);
    if (w)
        detail::find_product<Lazy>(*w);
    return w;
}

/// Packed weights that own their memory.
class packed_weights {
public:
    packed_weights() noexcept = default;

    template <class W>
    static result<packed_weights> make(
        matrix_view<const W> w, std::ptrdiff_t k, quant_params_view params, packing_options options = {}) noexcept
    {
        const bool zero_points = !params.zero_points.empty() || std::is_same_v<W, uint4x2>;
        return filled(
            packed_size<W>(w.rows, k, params.kind == granularity::per_group ? params.group_size : 0, zero_points, options),
            [&](span<std::byte> out) { return pack(w, k, params, out, options); },
            [](packed_weights_view& view) { view.product = &detail::product_of<W>; });
    }
    template <class W>
    static result<packed_weights> make(matrix_view<const W> w) noexcept
    {
        return filled(
            packed_size<W>(w.rows, w.cols), [&](span<std::byte> out) { return pack(w, out); },
            [](packed_weights_view& view) { view.product = &detail::product_of<W>; });
    }

    /// Of `size` bytes, which fill(span of bytes) writes as pack() does; find_product(view) sets view.product.
    template <class Fill, class FindProduct>
    static result<packed_weights> filled(result<std::size_t> size, Fill fill, FindProduct find_product) noexcept
    {
        if (!size)
            return size.error();
        packed_weights made;
        if (const status s = made.buffer_.allocate(*size); s != status::ok)
            return s;
        if (const status s = fill(made.buffer_.bytes()); s != status::ok)
            return s;
        packed_weights_view view = *detail::read_packed(made.bytes());
        find_product(view);
        made.view_ = view;
        return result<packed_weights>(std::move(made));
    }

    const packed_weights_view& view() const noexcept { return view_; }
    operator packed_weights_view() const noexcept { return view_; }
    span<const std::byte> bytes() const noexcept { return {buffer_.bytes().data(), buffer_.bytes().size()}; }

private:
    aligned_buffer buffer_;
    movable_value<packed_weights_view> view_;
};

NIBBLE_END
