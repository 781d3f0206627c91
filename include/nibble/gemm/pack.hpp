// Packs weights into the caller's memory; packed_layout.hpp has the bytes.
#pragma once

#include "../quantize/params.hpp"
#include "packed_layout.hpp"

NIBBLE_BEGIN
namespace detail {

/// A scale or a minimum of channel c.
NIBBLE_INLINE void store_scale(const section_layout& at, std::byte* scales, std::ptrdiff_t c, float value) noexcept
{
    if (at.scale_bytes == 2) {
        const half h = to_half(value);
        std::memcpy(scales + 2 * c, &h, 2);
    } else {
        std::memcpy(scales + 4 * c, &value, 4);
    }
}

/// The codes of channel c; returns their sum. code(i): as it is stored; the section's bytes are zero before.
template <int Bits, class Code>
NIBBLE_INLINE std::uint32_t store_codes(std::byte* codes, std::ptrdiff_t c, std::ptrdiff_t length, Code code) noexcept
{
    std::uint32_t sum = 0;
    for (std::ptrdiff_t i = 0; i < length; ++i) {
        const std::int32_t q = code(i);
        sum += static_cast<std::uint32_t>(q);
        std::byte& at = codes[section_layout::code_at(Bits, i, c)];
        if constexpr (Bits == 8)
            at = static_cast<std::byte>(q);
        else
            at |= static_cast<std::byte>(i % 8 < 4 ? q : q << 4);
    }
    return sum;
}

/// What is taken from codes and zero points: those of 4 bits are stored from 0 on.
template <class W>
inline constexpr std::int32_t first_code = std::is_same_v<W, std::int8_t> ? 0 : code_traits<W>::qmin;

template <class W>
NIBBLE_INLINE std::int32_t stored_code(const W* row, std::ptrdiff_t k) noexcept
{
    if constexpr (std::is_same_v<W, std::int8_t>)
        return row[k];
    else
        return (k % 2 == 0 ? row[k / 2].first() : row[k / 2].second()) - first_code<W>;
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
    constexpr int bits = std::is_same_v<W, std::int8_t> ? 8 : 4;
    const section_layout layout(view.section, view.group_size);
    const params_strides strides = strides_of(params.kind, k, params.group_size);
    std::byte* panel = out.data() + sizeof(packed_header);
    for (std::ptrdiff_t first = 0; first < n; first += panel_columns, panel += view.panel_bytes) {
        const std::ptrdiff_t channels = smaller(n - first, panel_columns);
        std::byte* section = panel;
        for (std::ptrdiff_t g = 0; g < view.groups; ++g, section += layout.bytes) {
            const std::ptrdiff_t begin = g * view.group_size, length = smaller(k - begin, view.group_size);
            for (std::ptrdiff_t c = 0; c < channels; ++c) {
                const std::size_t param = static_cast<std::size_t>((first + c) * strides.row + g * strides.group);
                detail::store_scale(layout, section, c, params.scales[param]);
                if (view.section.has_zero_points) {
                    const std::int32_t zero_point = (params.zero_points.empty() ? 0 : params.zero_points[param]) - detail::first_code<W>;
                    std::memcpy(section + layout.zero_points + layout.zero_point_bytes * c, &zero_point, bits == 8 ? 4 : 1);
                }
                const std::uint32_t sum = detail::store_codes<bits>(section + layout.codes, c, length,
                    [&](std::ptrdiff_t i) noexcept { return detail::stored_code(w.row(first + c), begin + i); });
                if (bits == 8)
                    std::memcpy(section + layout.sums + 4 * c, &sum, 4);
            }
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
    for (std::ptrdiff_t panel = 0; panel < w.rows; panel += panel_columns, at += view.panel_bytes)
        for (std::ptrdiff_t c = 0; c < panel_columns && panel + c < w.rows; ++c)
            for (std::ptrdiff_t i = 0; i < w.cols; ++i)
                std::memcpy(at + (i * panel_columns + c) * static_cast<std::ptrdiff_t>(sizeof(W)), w.row(panel + c) + i, sizeof(W));
    return status::ok;
}

NIBBLE_END
