// Packed weights: an n x k weight matrix (one output channel a row) in the order that the kernels walk. The bytes are the same on every
// backend and may be written to disk and mapped back.
//
//   64-byte header     packed_header below
//   panels             ceil(n / 16) panels of 16 channels; channels beyond n are zero, their scales are zero
//   int8, 4 bits       a panel holds one section a group, groups in ascending k:
//                        16 scales (float, or half); with offsets: 16 of them, stored as the scales are; int8 only, unless the header
//                        says that there are none: 16 int32 sums of the codes; with zero points: 16 of int32 (int8) or uint8 (4 bits);
//                        then the codes, k padded with zeros to a multiple of 8:
//                        int8    for every 4 k: 16 channels x 4 codes
//                        4 bits  for every 8 k: 16 channels x 4 bytes, k ... k + 3 in the low halves, k + 4 ... k + 7 in the high ones;
//                                stored as code - qmin, so int4 as q + 8 with zero point 8 unless zero points or offsets are given
//   float, half, bfloat16   for every k: 16 values
//   compact            ggml's blocks: blocks/compact.hpp
//
// A group's weights are (code - zero point) * scale or, with offsets, code * scale + offset: formats that store a group's minimum have
// these (gemm/pack_blocks.hpp).
#pragma once

#include <cstring>

#include "../blocks/compact.hpp"
#include "../core/memory.hpp"
#include "../core/numeric.hpp"
#include "../core/status.hpp"
#include "../core/view.hpp"
#include "../quantize/params.hpp"
#include "gemm.kernels.hpp"

NIBBLE_BEGIN_TYPES

enum class weight_type : std::uint8_t { s8, u4, f32, f16, bf16 };

struct packed_header {
    char mark[8]; // "nibblepw"
    std::uint32_t layout;
    weight_type type;
    std::uint8_t half_scales, has_zero_points, has_offsets;
    std::int64_t n, k, group_size;
    std::uint8_t without_sums;
    std::uint8_t compact; // a ggml_type, or 0
    std::uint8_t unused[22];
};
static_assert(sizeof(packed_header) == 64, "the packed header is 64 bytes");

inline constexpr std::uint32_t packed_layout = 1;
inline constexpr std::ptrdiff_t packed_panel = 16;
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
    bool half_scales = false, has_zero_points = false, has_offsets = false;
    bool without_sums = false; // of int8 codes
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
        w.type = has_4_bit_integers<block_type> ? weight_type::u4 : weight_type::s8;
        w.half_scales = has_half_steps<block_type>;
        w.has_offsets = has_offset<block_type>;
        w.group_size = block_group<block_type>;
    });
}

/// Whether the view says of compact panels what describe_groups() says.
inline bool is_compact(const packed_weights_view& w) noexcept
{
    packed_weights_view of_type;
    describe_groups(w.compact, of_type);
    return compact_section_bytes(w.compact) != 0 && w.type == of_type.type && w.half_scales == of_type.half_scales
           && w.has_offsets == of_type.has_offsets && w.group_size == of_type.group_size && w.k > w.group_size
           && w.k % block_elements(w.compact) == 0 && !w.has_zero_points && w.without_sums;
}

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
    const std::ptrdiff_t padded_group = (w.group_size + 7) / 8 * 8;
    if (!(4096 * shape_extent(whole, padded_group)).fits())
        return status::size_overflow;
    w.padded_k = w.quantized() ? whole * padded_group + (last + 7) / 8 * 8 : w.k;
    std::ptrdiff_t bytes = 0;
    if (w.compact != not_compact) {
        bytes = w.k / block_elements(w.compact) * compact_section_bytes(w.compact);
    } else if (w.quantized()) {
        const std::ptrdiff_t section = (w.half_scales ? 2 : 4) * (w.has_offsets ? 32 : 16)
                                       + (w.type == weight_type::s8 && !w.without_sums ? 64 : 0)
                                       + (w.has_zero_points ? (w.type == weight_type::s8 ? 64 : 16) : 0);
        bytes = w.groups * section + w.padded_k * (w.type == weight_type::s8 ? 16 : 8);
    } else {
        bytes = w.k * (w.type == weight_type::f32 ? 64 : 32);
    }
    const std::ptrdiff_t panels = w.n / 16 + (w.n % 16 != 0);
    if (!(shape_extent(panels, bytes) + sizeof(packed_header)).fits())
        return status::size_overflow;
    w.panel_bytes = static_cast<std::size_t>(bytes);
    return status::ok;
}

NIBBLE_INLINE std::size_t total_bytes(const packed_weights_view& w) noexcept
{
    return sizeof(packed_header) + static_cast<std::size_t>(w.n / 16 + (w.n % 16 != 0)) * w.panel_bytes;
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
    w.half_scales = w.quantized() && options.half_scales;
    w.has_zero_points = w.quantized() && zero_points;
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
    header.half_scales = view.half_scales;
    header.has_zero_points = view.has_zero_points;
    header.has_offsets = view.has_offsets;
    header.n = view.n;
    header.k = view.k;
    header.group_size = view.group_size;
    header.without_sums = view.without_sums;
    header.compact = static_cast<std::uint8_t>(view.compact);
    std::memcpy(out.data(), &header, sizeof header);
    std::memset(out.data() + sizeof header, 0, total_bytes(view) - sizeof header);
    return status::ok;
}

/// Where the parts of a group's section are. Parts that the view says are not there have no bytes.
struct packed_section {
    std::byte *scales, *offsets, *sums, *zero_points, *codes;
};
NIBBLE_INLINE packed_section section_at(const packed_weights_view& w, std::byte* at) noexcept
{
    const bool wide = w.type == weight_type::s8;
    const std::ptrdiff_t scales = (w.half_scales ? 2 : 4) * packed_panel;
    packed_section s {};
    s.scales = at;
    s.offsets = s.scales + scales;
    s.sums = s.offsets + (w.has_offsets ? scales : 0);
    s.zero_points = s.sums + (wide && !w.without_sums ? 4 * packed_panel : 0);
    s.codes = s.zero_points + (w.has_zero_points ? (wide ? 4 : 1) * packed_panel : 0);
    return s;
}

/// A scale or an offset of channel c.
NIBBLE_INLINE void store_packed(const packed_weights_view& w, std::byte* to, std::ptrdiff_t c, float value) noexcept
{
    if (w.half_scales) {
        const half h = to_half(value);
        std::memcpy(to + 2 * c, &h, 2);
    } else {
        std::memcpy(to + 4 * c, &value, 4);
    }
}

/// The codes of channel c; returns their sum. code(i): as it is stored; the section's bytes are zero before.
template <bool Wide, class Code>
NIBBLE_INLINE std::uint32_t store_packed_codes(const packed_section& to, std::ptrdiff_t c, std::ptrdiff_t length, Code code) noexcept
{
    std::uint32_t sum = 0;
    for (std::ptrdiff_t i = 0; i < length; ++i) {
        const std::int32_t q = code(i);
        sum += static_cast<std::uint32_t>(q);
        if constexpr (Wide)
            to.codes[i / 4 * 64 + c * 4 + i % 4] = static_cast<std::byte>(q);
        else
            to.codes[i / 8 * 64 + c * 4 + i % 4] |= static_cast<std::byte>(i % 8 < 4 ? q : q << 4);
    }
    return sum;
}

template <class W>
NIBBLE_INLINE std::int32_t code_at(const W* row, std::ptrdiff_t k) noexcept
{
    if constexpr (std::is_same_v<W, std::int8_t>)
        return row[k];
    else
        return (k % 2 == 0 ? row[k / 2].first() : row[k / 2].second()) - code_traits<W>::qmin;
}

} // namespace detail

/// The bytes that pack() writes for an n x k matrix of W; group_size 0 means one scale a channel.
template <class W>
inline result<std::size_t> packed_size(
    std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t group_size = 0, bool zero_points = false, packing_options options = {}) noexcept
{
    packed_weights_view w = detail::describe<W>(n, k, group_size, zero_points, options);
    if (const status s = detail::lay_out(w); s != status::ok)
        return s;
    return detail::total_bytes(w);
}

namespace detail {

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
        || header.has_offsets + header.has_zero_points > 1 || header.without_sums > 1)
        return status::packed_damaged;
    packed_weights_view w;
    w.type = header.type;
    w.half_scales = header.half_scales != 0;
    w.has_zero_points = header.has_zero_points != 0;
    w.has_offsets = header.has_offsets != 0;
    w.n = header.n;
    w.k = header.k;
    w.group_size = header.group_size;
    w.without_sums = header.without_sums != 0;
    w.compact = static_cast<ggml_type>(header.compact);
    if (w.compact != not_compact && !detail::is_compact(w))
        return status::packed_damaged;
    if (detail::lay_out(w) != status::ok || (w.without_sums && w.groups < 2))
        return status::packed_damaged;
    if (bytes.size() < detail::total_bytes(w))
        return status::buffer_too_small;
    w.panels = bytes.data() + sizeof(packed_header);
    return w;
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

/// Packs quantized weights. w: n x k (n x ceil(k / 2) pairs for 4 bits), k given since pairs do not tell it; params: of the rows of w.
template <class W>
inline status pack(
    matrix_view<const W> w, std::ptrdiff_t k, quant_params_view params, span<std::byte> out, packing_options options = {}) noexcept
{
    static_assert(std::is_same_v<W, std::int8_t> || code_traits<W>::per_element == 2, "int8, int4x2 or uint4x2");
    if (const status s = check(w); s != status::ok)
        return s;
    if (k < 0)
        return status::negative_size;
    if (w.cols != elements_for<W>(k))
        return status::shape_mismatch;
    if (params.kind == granularity::per_column || params.kind == granularity::per_block)
        return status::granularity_unsupported;
    if (const status s = check_params<W>(params, w.rows, k); s != status::ok)
        return s;
    const std::ptrdiff_t n = w.rows;
    const bool store_zero_points = !params.zero_points.empty() || std::is_same_v<W, uint4x2>;
    packed_weights_view view
        = detail::describe<W>(n, k, params.kind == granularity::per_group ? params.group_size : 0, store_zero_points, options);
    if (options.half_scales)
        for (const float scale : params.scales)
            if (const float kept = to_float(to_half(scale)); float_bits(kept) != float_bits(scale))
                return status::scale_not_half;
    if (const status s = detail::begin_packed(view, out); s != status::ok)
        return s;
    if (w.empty())
        return status::ok;
    std::byte* at = out.data() + sizeof(packed_header);

    constexpr bool wide = std::is_same_v<W, std::int8_t>;
    const params_strides strides = strides_of(params.kind, k, params.group_size);
    for (std::ptrdiff_t panel = 0; panel < n; panel += packed_panel) {
        const std::ptrdiff_t channels = n - panel < packed_panel ? n - panel : packed_panel;
        for (std::ptrdiff_t g = 0; g < view.groups; ++g) {
            const std::ptrdiff_t begin = g * view.group_size, length = k - begin < view.group_size ? k - begin : view.group_size;
            const detail::packed_section to = detail::section_at(view, at);
            for (std::ptrdiff_t c = 0; c < channels; ++c) {
                const std::size_t param = static_cast<std::size_t>((panel + c) * strides.row + g * strides.group);
                detail::store_packed(view, to.scales, c, params.scales[param]);
                if (view.has_zero_points) {
                    const std::int32_t zero_point = params.zero_points.empty() ? 0 : params.zero_points[param];
                    if constexpr (wide)
                        std::memcpy(to.zero_points + 4 * c, &zero_point, 4);
                    else
                        to.zero_points[c] = static_cast<std::byte>(zero_point - code_traits<W>::qmin);
                }
                const std::uint32_t sum = detail::store_packed_codes<wide>(
                    to, c, length, [&](std::ptrdiff_t i) noexcept { return detail::code_at(w.row(panel + c), begin + i); });
                if (wide)
                    std::memcpy(to.sums + 4 * c, &sum, 4);
            }
            at = to.codes + (length + 7) / 8 * 8 * (wide ? 16 : 8);
        }
    }
    return status::ok;
}

/// Packs float, half or bfloat16 weights, n x k.
template <class W>
inline status pack(matrix_view<const W> w, span<std::byte> out) noexcept
{
    if (const status s = check(w); s != status::ok)
        return s;
    packed_weights_view view = detail::describe<W>(w.rows, w.cols, 0, false, {});
    if (const status s = detail::begin_packed(view, out); s != status::ok)
        return s;
    if (w.empty())
        return status::ok;
    std::byte* at = out.data() + sizeof(packed_header);
    for (std::ptrdiff_t panel = 0; panel < w.rows; panel += packed_panel, at += view.panel_bytes)
        for (std::ptrdiff_t c = 0; c < packed_panel && panel + c < w.rows; ++c)
            for (std::ptrdiff_t i = 0; i < w.cols; ++i)
                std::memcpy(at + (i * packed_panel + c) * static_cast<std::ptrdiff_t>(sizeof(W)), w.row(panel + c) + i, sizeof(W));
    return status::ok;
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
