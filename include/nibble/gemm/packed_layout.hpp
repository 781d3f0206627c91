// Packed weights: an n x k weight matrix (one output channel a row) in the order that the kernels walk. The bytes are the same on every
// backend and may be written to disk and mapped back.
//
//   64-byte header     packed_header below
//   panels             ceil(n / 16) panels of 16 channels; channels beyond n are zero, their scales are zero
//   int8, 4 bits       a panel holds one section a group (section_layout.hpp), groups in ascending k
//   float, half, bfloat16   for every k: 16 values
//   compact            ggml's blocks: blocks/compact.hpp
//
// A group's weights are (code - zero point) * scale or, with group minimums, code * scale + minimum: several of ggml's formats have
// these (gemm/pack_blocks.hpp).
#pragma once

#include <cstring>

#include "../backend/backend.hpp"
#include "../core/memory.hpp"
#include "../core/numeric.hpp"
#include "../core/status.hpp"
#include "../core/view.hpp"
#include "block_section.hpp"
#include "kernels/arguments.hpp"

NIBBLE_BEGIN_TYPES

enum class weight_type : std::uint8_t { s8, u4, f32, f16, bf16 };

struct packed_header {
    char mark[8]; // "nibblepw"
    std::uint32_t layout;
    weight_type type;
    std::uint8_t half_scales, has_zero_points, has_minimums;
    std::int64_t n, k, group_size;
    std::uint8_t without_sums;
    std::uint8_t compact; // a ggml_type, or 0
    std::uint8_t unused[22];
};
static_assert(sizeof(packed_header) == 64, "the packed header is 64 bytes");

inline constexpr std::uint32_t packed_layout = 1;
inline constexpr ggml_type not_compact = ggml_type::f32;

struct packing_options {
    bool half_scales = false; ///< keep scales as half: 2 bytes instead of 4 a group; every scale must be exactly a half
};

/// A checked view of packed weights. Made by view_packed or packed_weights; the bytes belong to somebody else.
struct packed_weights_view {
    /// Gives the kernel that multiplies by them. It is known where they are packed, so that a program compiles no products but its own.
    kernel<gemm_args> (*product)(backend) noexcept = nullptr;
    const std::byte* panels = nullptr;
    std::size_t panel_bytes = 0;
    weight_type type = weight_type::f32;
    section_format section {}; ///< of quantized weights
    ggml_type compact = not_compact;
    std::ptrdiff_t n = 0, k = 0, group_size = 1, groups = 0, padded_k = 0;

    NIBBLE_INLINE bool quantized() const noexcept { return type == weight_type::s8 || type == weight_type::u4; }
};

template <class W>
struct weight_traits;
template <>
struct weight_traits<std::int8_t> {
    static constexpr weight_type type = weight_type::s8;
};
template <>
struct weight_traits<int4x2> {
    static constexpr weight_type type = weight_type::u4;
};
template <>
struct weight_traits<uint4x2> {
    static constexpr weight_type type = weight_type::u4;
};
template <>
struct weight_traits<float> {
    static constexpr weight_type type = weight_type::f32;
};
template <>
struct weight_traits<half> {
    static constexpr weight_type type = weight_type::f16;
};
template <>
struct weight_traits<bfloat16> {
    static constexpr weight_type type = weight_type::bf16;
};

NIBBLE_END_TYPES

NIBBLE_BEGIN
namespace detail {

/// What the groups of a type's blocks become.
inline void describe_groups(ggml_type type, packed_weights_view& w) noexcept
{
    with_block(type, [&](auto block) noexcept {
        using block_type = decltype(block);
        w.section = block_section<block_type>;
        w.type = w.section.bits == 8 ? weight_type::s8 : weight_type::u4;
        w.group_size = block_group<block_type>;
    });
}

/// Whether the view says of compact panels what describe_groups() says.
inline bool is_compact(const packed_weights_view& w) noexcept
{
    packed_weights_view of_type;
    describe_groups(w.compact, of_type);
    return compact_section_bytes(w.compact) != 0 && w.section == of_type.section && w.group_size == of_type.group_size && w.k > w.group_size
           && w.k % block_elements(w.compact) == 0;
}

NIBBLE_INLINE std::ptrdiff_t panel_count(std::ptrdiff_t n) noexcept { return n / panel_columns + (n % panel_columns != 0); }

/// Fills the derived fields; the sizes are checked for overflow.
inline status lay_out(packed_weights_view& w) noexcept
{
    if (w.n < 0 || w.k < 0)
        return status::negative_size;
    if (w.group_size < 1)
        return status::group_size_invalid;
    constexpr std::ptrdiff_t limit = PTRDIFF_MAX / 4096;
    if (w.k > limit || w.n > limit || w.group_size > limit)
        return status::size_overflow;
    w.groups = w.k / w.group_size + (w.k % w.group_size != 0);
    const std::ptrdiff_t whole = w.k / w.group_size, last = w.k % w.group_size;
    if (!(4096 * shape_extent(whole, padded_codes(w.group_size))).fits())
        return status::size_overflow;
    w.padded_k = w.quantized() ? whole * padded_codes(w.group_size) + padded_codes(last) : w.k;
    std::ptrdiff_t bytes = 0;
    if (w.compact != not_compact)
        bytes = w.k / block_elements(w.compact) * compact_section_bytes(w.compact);
    else if (w.quantized())
        bytes = w.groups * section_layout(w.section, 0).codes + section_layout::code_bytes(w.section.bits, w.padded_k);
    else
        bytes = w.k * panel_columns * (w.type == weight_type::f32 ? 4 : 2);
    if (!(shape_extent(panel_count(w.n), bytes) + sizeof(packed_header)).fits())
        return status::size_overflow;
    w.panel_bytes = static_cast<std::size_t>(bytes);
    return status::ok;
}

NIBBLE_INLINE std::size_t total_bytes(const packed_weights_view& w) noexcept
{
    return sizeof(packed_header) + static_cast<std::size_t>(panel_count(w.n)) * w.panel_bytes;
}

template <class W>
inline packed_weights_view describe(
    std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t group_size, bool zero_points, packing_options options) noexcept
{
    packed_weights_view w;
    w.type = weight_traits<W>::type;
    w.n = n;
    w.k = k;
    w.group_size = !w.quantized() || group_size == 0 ? (k > 0 ? k : 1) : group_size;
    if (w.quantized())
        w.section = {w.type == weight_type::s8 ? 8 : 4, options.half_scales, false, zero_points, false};
    return w;
}

/// Lays the view out, checks the caller's memory, writes the header and clears the panels.
inline status begin_packed(packed_weights_view& view, span<std::byte> out) noexcept
{
    if (const status s = lay_out(view); s != status::ok)
        return s;
    if (const status s = check_room(out, total_bytes(view)); s != status::ok)
        return s;
    packed_header header {};
    std::memcpy(header.mark, "nibblepw", 8);
    header.layout = packed_layout;
    header.type = view.type;
    header.half_scales = view.section.half_scales;
    header.has_zero_points = view.section.has_zero_points;
    header.has_minimums = view.section.has_minimums;
    header.n = view.n;
    header.k = view.k;
    header.group_size = view.group_size;
    header.without_sums = view.section.without_sums;
    header.compact = static_cast<std::uint8_t>(view.compact);
    std::memcpy(out.data(), &header, sizeof header);
    std::memset(out.data() + sizeof header, 0, total_bytes(view) - sizeof header);
    return status::ok;
}

/// view_packed() without the product.
inline result<packed_weights_view> read_packed(span<const std::byte> bytes) noexcept
{
    if (check(bytes) != status::ok)
        return status::null_pointer;
    if (bytes.size() < sizeof(packed_header))
        return status::buffer_too_small;
    packed_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (std::memcmp(header.mark, "nibblepw", 8) != 0)
        return status::not_packed_weights;
    if (header.layout != packed_layout)
        return status::packed_version;
    if (header.type > weight_type::bf16 || header.half_scales > 1 || header.has_zero_points > 1
        || header.has_minimums + header.has_zero_points > 1 || header.without_sums > 1)
        return status::packed_damaged;
    packed_weights_view w;
    w.type = header.type;
    w.section.half_scales = header.half_scales != 0;
    w.section.has_zero_points = header.has_zero_points != 0;
    w.section.has_minimums = header.has_minimums != 0;
    w.section.without_sums = header.without_sums != 0;
    w.section.bits = !w.quantized() ? 0 : header.type == weight_type::s8 ? 8 : 4;
    w.n = header.n;
    w.k = header.k;
    w.group_size = header.group_size;
    w.compact = static_cast<ggml_type>(header.compact);
    if (w.compact != not_compact && !detail::is_compact(w))
        return status::packed_damaged;
    if (detail::lay_out(w) != status::ok || (w.section.without_sums && w.groups < 2))
        return status::packed_damaged;
    if (bytes.size() < detail::total_bytes(w))
        return status::buffer_too_small;
    w.panels = bytes.data() + sizeof(packed_header);
    return w;
}

} // namespace detail
NIBBLE_END
