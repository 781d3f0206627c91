// Products with ggml's blocks: a matrix of blocks as packed weights, which gemm() and gemv() take. gemm_blocks.hpp multiplies by blocks
// that stay where they are.
//   w[j, l] = integer * step (+ minimum)     blocks/decode.hpp has these numbers; none is rounded when it is packed
// A product adds, group by group, the exact sum of integers times the step, then the sum of the activations times the minimum: a minimum is
// not rounded into each weight, as dequantize_blocks does it. reference/gemm_blocks.hpp is the definition.
//
// What the types become, and bits a weight, packed and in the file:
//   as blocks/compact.hpp says  q2_K 3.13 (2.63)   q3_K 3.56 (3.44)   q4_K 4.63 (4.5)   q5_K 5.63 (5.5)   q6_K 6.56 (6.56)
//                               q5_0 5.5 (5.5)   q5_1 6 (6)   iq4_nl 4.5 (4.5)   iq4_xs 4.31 (4.25)   mxfp4 4.5 (4.25)
//                               nvfp4 5 (4.5)   tq1_0, tq2_0 2.06 (1.69, 2.06)   q1_0 1.13 (1.13)   q2_0 2.25 (2.25)
//   4 bits, half scales         q4_0 4.5 (4.5)   q4_1 5 (5)
//   int8, half scales           q8_0 8.5 (8.5)   q8_1 8.5 (9);   float scales   q8_K 8.13 (9.13)
// A matrix of a single group (k of 32, 64, 128 or 256) has plain panels whatever its type.
#pragma once

#include "packed_weights.hpp"
#include "../blocks/blocks.hpp"
#include "../blocks/compact.hpp"

NIBBLE_BEGIN
namespace detail {

inline result<packed_weights_view> describe_blocks(ggml_type type, std::ptrdiff_t n, std::ptrdiff_t k, bool plain = false) noexcept
{
    if (const status s = check_block_type(type); s != status::ok)
        return s;
    if (const result<std::ptrdiff_t> bytes = bytes_for(n, k, type); !bytes)
        return bytes.error();
    packed_weights_view w;
    w.n = n;
    w.k = k;
    describe_groups(type, w);
    w.section.without_sums = k > w.group_size;
    if (!plain && k > w.group_size && compact_section_bytes(type) != 0)
        w.compact = type;
    if (const status s = lay_out(w); s != status::ok)
        return s;
    return w;
}

template <class Block>
inline void pack_plain_row(const packed_weights_view& w, const std::byte* blocks, std::byte* section, std::ptrdiff_t c) noexcept
{
    constexpr int bits = block_section<Block>.bits;
    constexpr std::int32_t bias = bits == 8 || has_minimum<Block> ? 0 : 8;
    constexpr std::ptrdiff_t elements = block_traits<Block>::elements, group = block_group<Block>;
    static_assert(group == padded_codes(group), "a group's codes have no padding");
    const section_layout layout(w.section, group);
    for (std::ptrdiff_t b = 0; b < w.k; b += elements, blocks += sizeof(Block)) {
        Block block;
        decoded_block d;
        std::memcpy(static_cast<void*>(&block), blocks, sizeof block);
        decode(block, d);
        for (std::ptrdiff_t g = 0; g < elements / group; ++g, section += layout.bytes) {
            store_scale(layout, section, c, d.steps[g]);
            if constexpr (has_minimum<Block>)
                store_scale(layout, section + layout.minimums, c, d.minimums[g]);
            const std::uint32_t sum = store_codes<bits>(section + layout.codes, c, group,
                [&](std::ptrdiff_t i) noexcept { return std::int32_t {d.integers[g * group + i]} + bias; });
            if (bits == 8 && !w.section.without_sums)
                std::memcpy(section + layout.sums + 4 * c, &sum, 4);
        }
    }
}

template <class Block>
inline void pack_compact_row(const packed_weights_view& w, const std::byte* blocks, std::byte* at, std::ptrdiff_t c) noexcept
{
    for (std::ptrdiff_t b = 0; b < w.k; b += block_traits<Block>::elements, blocks += sizeof(Block)) {
        Block block;
        std::memcpy(static_cast<void*>(&block), blocks, sizeof block);
        store_compact(block, at, c);
        at += compact_section<Block>::bytes;
    }
}

template <class Block>
inline void pack_block_rows(const packed_weights_view& w, const std::byte* blocks, std::byte* panels) noexcept
{
    const std::ptrdiff_t row_bytes = w.k / block_traits<Block>::elements * static_cast<std::ptrdiff_t>(sizeof(Block));
    for (std::ptrdiff_t row = 0; row < w.n; ++row, blocks += row_bytes) {
        std::byte* const at = panels + static_cast<std::size_t>(row / panel_columns) * w.panel_bytes;
        if constexpr (compact_bits<Block> != 0)
            if (w.compact != not_compact) {
                pack_compact_row<Block>(w, blocks, at, row % panel_columns);
                continue;
            }
        pack_plain_row<Block>(w, blocks, at, row % panel_columns);
    }
}

} // namespace detail

/// The bytes that pack_blocks() writes for an n x k matrix; k whole blocks.
inline result<std::size_t> packed_size(ggml_type type, std::ptrdiff_t n, std::ptrdiff_t k) noexcept
{
    const result<packed_weights_view> w = detail::describe_blocks(type, n, k);
    if (!w)
        return w.error();
    return detail::total_bytes(*w);
}

/// blocks: n rows of k columns, at least bytes_for(n, k, type) bytes of any alignment, as a GGUF file has them; out: packed_size(type, n,
/// k) bytes for view_packed(). not_finite if a scale among them is NaN or infinite; cols_not_whole_blocks names the types with blocks
/// of 32.
inline status pack_blocks(ggml_type type, span<const std::byte> blocks, std::ptrdiff_t n, std::ptrdiff_t k, span<std::byte> out) noexcept
{
    const result<packed_weights_view> described = detail::describe_blocks(type, n, k);
    if (!described)
        return described.error();
    packed_weights_view w = *described;
    const std::size_t bytes = static_cast<std::size_t>(*bytes_for(n, k, type));
    if (const status s = check_room(blocks, bytes); s != status::ok)
        return s;
    if (check(out) != status::ok)
        return status::null_pointer;
    const default_fp_mode mode;
    if (const status s = check_blocks(type, blocks.subspan(0, bytes)); s != status::ok)
        return s;
    if (const status s = detail::begin_packed(w, out); s != status::ok)
        return s;
    if (bytes == 0)
        return status::ok;
    detail::with_block(
        type, [&](auto block) noexcept { detail::pack_block_rows<decltype(block)>(w, blocks.data(), out.data() + sizeof(packed_header)); });
    return status::ok;
}

/// The same, in memory of its own.
template <class Lazy = void>
inline result<packed_weights> make_packed_blocks(ggml_type type, span<const std::byte> blocks, std::ptrdiff_t n, std::ptrdiff_t k) noexcept
{
    return packed_weights::filled(
        packed_size(type, n, k), [&](span<std::byte> out) { return pack_blocks(type, blocks, n, k, out); },
        [](packed_weights_view& view) { detail::find_block_product<Lazy>(view); });
}

NIBBLE_END
