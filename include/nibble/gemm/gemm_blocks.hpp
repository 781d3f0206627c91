// Products with ggml's blocks where they lie, in a mapped file for example:
//   c[i, j] = epilogue(sum over k of a[i, k] * w[j, k])
// The bits are those of gemm() with pack_blocks()' weights, which is faster wherever a matrix is used again: here a few rows at a time are
// packed into the workspace, for each product anew.
#pragma once

#include "gemm.hpp"
#include "pack_blocks.hpp"

NIBBLE_BEGIN
namespace detail {

inline constexpr std::ptrdiff_t block_rows_at_once = 128;

} // namespace detail

/// Scratch bytes of gemm_blocks for m rows of activations and n x k weights; at any alignment.
inline result<std::size_t> gemm_blocks_workspace(ggml_type type, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) noexcept
{
    if (const result<packed_weights_view> whole = detail::describe_blocks(type, n, k, true); !whole)
        return whole.error();
    const result<packed_weights_view> w = detail::describe_blocks(type, smaller(n, detail::block_rows_at_once), k, true);
    const checked_size bytes = cache_line + checked_size(detail::total_bytes(*w)) + gemm_workspace(m, *w);
    return bytes.fits() ? result<std::size_t>(bytes.value()) : status::size_overflow;
}

/// a: m x k, quantized inside per row as gemm() does it; blocks: n rows of k columns, as for pack_blocks(); c: m x n of float, int8 or
/// uint8. Columns of c do not depend on each other, so that threads may share them out: each calls this with some of the blocks' rows, and
/// with a workspace of its own.
template <class C>
inline status gemm_blocks(matrix_view<const float> a, ggml_type type, span<const std::byte> blocks, const epilogue& e, matrix_view<C> c,
    scratch memory = {}) noexcept
{
    static_assert(!std::is_same_v<C, std::int32_t>, "int32 output needs int8 or uint8 activations");
    const std::ptrdiff_t n = c.cols, k = a.cols;
    const result<std::size_t> needed = gemm_blocks_workspace(type, a.rows, n, k);
    if (!needed)
        return needed.error();
    packed_weights_view w = *detail::describe_blocks(type, n, k, true);
    w.panels = reinterpret_cast<const std::byte*>(&w); // check_gemm asks whether there are any; they are packed below
    w.product = w.type == weight_type::s8 ? &detail::product_of<std::int8_t> : &detail::product_of<int4x2>;
    if (const status s = detail::check_gemm(a, w, e, static_activations {}, c); s != status::ok)
        return s;
    const std::size_t bytes = static_cast<std::size_t>(*bytes_for(n, k, type));
    detail::scratch_lease lease(memory);
    for (const status s : {check_room(blocks, bytes), lease.take(*needed)})
        if (s != status::ok)
            return s;
    const span<std::byte> workspace = lease.bytes();
    const default_fp_mode mode;
    if (const status s = check_blocks(type, blocks.subspan(0, bytes)); s != status::ok)
        return s;

    const std::size_t skipped = detail::bytes_to_line(workspace.data());
    const span<std::byte> aligned = workspace.subspan(skipped, workspace.size() - skipped);
    for (std::ptrdiff_t j = 0; j < n; j += detail::block_rows_at_once) {
        const std::ptrdiff_t columns = smaller(n - j, detail::block_rows_at_once);
        const auto part = [&](span<const float> all) noexcept {
            return all.empty() ? all : all.subspan(static_cast<std::size_t>(j), static_cast<std::size_t>(columns));
        };
        const auto product = w.product;
        w = *detail::describe_blocks(type, columns, k, true);
        w.product = product;
        const std::size_t packed = detail::total_bytes(w);
        if (const status s = detail::begin_packed(w, aligned.subspan(0, packed)); s != status::ok)
            return s;
        std::byte* const panels = aligned.data() + sizeof(packed_header);
        detail::with_block(type, [&](auto block) noexcept {
            detail::pack_block_rows<decltype(block)>(
                w, blocks.data() + bytes / static_cast<std::size_t>(n) * static_cast<std::size_t>(j), panels);
        });
        w.panels = panels;
        epilogue of_columns = e;
        of_columns.scale = part(e.scale);
        of_columns.bias = part(e.bias);
        if (const status s = gemm(
                a, w, of_columns, matrix_view<C>(c.data + j, c.rows, columns, c.stride), aligned.subspan(packed, aligned.size() - packed));
            s != status::ok)
            return s;
    }
    return status::ok;
}

NIBBLE_END
