// Packed weights as products take them: a view of bytes that pack() wrote, or weights that own their memory. packed_layout.hpp has the
// bytes, pack.hpp writes them.
#pragma once

#include "../quantize/weight_format.hpp"
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

    /// Rounds float weights, n x k, to the nearest codes of W (int8, int4x2 or uint4x2) and packs them; formats as per_channel() or
    /// per_group(32). uint4x2 and affine formats have zero points. options.half_scales needs f.half_scales as well.
    template <class W>
    static result<packed_weights> quantize(matrix_view<const float> w, const weight_format& f, packing_options options = {}) noexcept
    {
        if (const status s = check(w); s != status::ok)
            return s;
        const checked_size count = params_count(f.kind, w.rows, w.cols, f.group_size);
        const std::ptrdiff_t codes_in_row = elements_for<W>(w.cols);
        const bool zero_points = f.how != scheme::symmetric || code_traits<W>::qmin == 0;
        aligned_buffer codes, scales, zeros;
        for (const status s : {codes.allocate(w.rows * checked_size(codes_in_row) * sizeof(W)), scales.allocate(count * sizeof(float)),
                 zeros.allocate(zero_points ? count * sizeof(std::int32_t) : 0)})
            if (s != status::ok)
                return s;
        const auto values = [&](auto type, const aligned_buffer& memory, std::size_t size) {
            return span<decltype(type)>(reinterpret_cast<decltype(type)*>(memory.bytes().data()), size);
        };
        const std::size_t params = count.value();
        const quantized_matrix<W> q {{reinterpret_cast<W*>(codes.bytes().data()), w.rows, codes_in_row}, values(float {}, scales, params),
            values(std::int32_t {}, zeros, zero_points ? params : 0)};
        if (const status s = round_to_nearest(w, f, q); s != status::ok)
            return s;
        return make(matrix_view<const W>(q.codes), w.cols, params_of(f, q), options);
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
