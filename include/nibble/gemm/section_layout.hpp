// A section of a packed panel: one group of k of 16 channels. Its parts, in this order:
//   scales        16 floats, or halves
//   minimums      as many, stored as the scales are; only where a weight is code * scale + minimum
//   sums          16 int32, of the codes of each channel; int8 only, and not there if the format says so
//   zero points   16 int32 (int8) or uint8 (4 bits); only where there are any
//   codes         k padded with zeros to a multiple of 8
//                   int8     for every 4 k: 16 channels x 4 codes
//                   4 bits   for every 8 k: 16 channels x 4 bytes, k ... k + 3 in the low halves, k + 4 ... k + 7 in the high ones; stored
//                            as code - qmin, so int4 as q + 8 with zero point 8 unless zero points or minimums are given
// Packing and the kernels take every size and place from here; docs/layouts.md has those of the usual formats.
#pragma once

#include <cstddef>

#include "../core/config.hpp"

NIBBLE_BEGIN_TYPES

/// Output channels (rows of weights, columns of a product) that are packed side by side.
inline constexpr std::ptrdiff_t panel_columns = 16;

/// 4 bytes of codes of each channel.
inline constexpr std::ptrdiff_t quad_bytes = 4 * panel_columns;

/// k as the codes of a group are padded with zeros: kernels take 8 at a time.
NIBBLE_INLINE constexpr std::ptrdiff_t padded_codes(std::ptrdiff_t k) noexcept { return (k + 7) / 8 * 8; }

/// Which parts a section has.
struct section_format {
    int bits;          // of a code: 8 or 4
    bool half_scales;  // scales and minimums are half, not float
    bool has_minimums; // a weight is code * scale + minimum
    bool has_zero_points;
    bool without_sums; // of the codes; those of 4 bits have none in any case
};
NIBBLE_INLINE constexpr bool operator==(const section_format& a, const section_format& b) noexcept
{
    return a.bits == b.bits && a.half_scales == b.half_scales && a.has_minimums == b.has_minimums && a.has_zero_points == b.has_zero_points
           && a.without_sums == b.without_sums;
}

/// Offsets in bytes from the start of a section, where its scales lie. An absent part takes no bytes.
struct section_layout {
    std::ptrdiff_t scale_bytes, zero_point_bytes; // of one channel
    std::ptrdiff_t minimums, sums, zero_points, codes;
    std::ptrdiff_t bytes; // of all

    NIBBLE_INLINE constexpr section_layout(const section_format& f, std::ptrdiff_t group_size) noexcept
        : scale_bytes(f.half_scales ? 2 : 4), zero_point_bytes(f.bits == 8 ? 4 : 1), minimums(panel_columns * scale_bytes),
          sums(minimums + (f.has_minimums ? panel_columns * scale_bytes : 0)),
          zero_points(sums + (f.bits == 8 && !f.without_sums ? panel_columns * 4 : 0)),
          codes(zero_points + (f.has_zero_points ? panel_columns * zero_point_bytes : 0)),
          bytes(codes + code_bytes(f.bits, padded_codes(group_size)))
    {
    }

    /// Bytes of the codes of k columns.
    NIBBLE_INLINE static constexpr std::ptrdiff_t code_bytes(int bits, std::ptrdiff_t k) noexcept { return k * panel_columns * bits / 8; }

    /// The byte of code i of channel c, from the first code on. Of 4 bits it holds code i + 4 as well, in its high half, where i % 8 < 4.
    NIBBLE_INLINE static constexpr std::ptrdiff_t code_at(int bits, std::ptrdiff_t i, std::ptrdiff_t c) noexcept
    {
        return i * bits / 32 * quad_bytes + c * 4 + i % 4;
    }
};

NIBBLE_END_TYPES
