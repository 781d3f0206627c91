// Blocks of the types whose codes are entries of a codebook, back to floats. nibble does not quantize to them. The tables take 9 KB, so
// nibble.hpp does not include this header.
//   x = d * scale * entry[j] * sign          iq2_xxs, iq2_xs, iq2_s (8 numbers an entry, of 8, 25 and 43), iq3_xxs, iq3_s (4)
//   x = d * scale * (entry[j] +- 1/8)        iq1_s, iq1_m (8, of -1, 0 and 1)
// No product is rounded, because a half's 11 bits, 5 of a scale and 6 of an entry fit a float. So the floats are ggml's.
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/numeric.hpp"
#include "../core/view.hpp"
#include "codebooks.hpp"
#include "ggml_type.hpp"

NIBBLE_BEGIN
namespace detail {

// A block's fields, wherever they are.
struct codebook_bytes {
    const std::byte* at;

    NIBBLE_INLINE std::uint32_t u8(int i) const noexcept { return static_cast<std::uint32_t>(at[i]); }
    NIBBLE_INLINE std::uint32_t u16(int i) const noexcept { return u8(i) | u8(i + 1) << 8; }
    NIBBLE_INLINE std::uint32_t u32(int i) const noexcept { return u16(i) | u16(i + 2) << 16; }
    NIBBLE_INLINE float scale(int i) const noexcept { return to_float(half {static_cast<std::uint16_t>(u16(i))}); }
};

/// Seven signs are stored; the eighth makes their number even.
NIBBLE_INLINE std::uint32_t eight_signs(std::uint32_t seven) noexcept
{
    std::uint32_t parity = seven ^ seven >> 4;
    parity ^= parity >> 2;
    return seven | ((parity ^ parity >> 1) & 1u) << 7;
}

/// Bit j of signs: number j is negative.
NIBBLE_INLINE void put_iq2(float scale, std::uint32_t entry, std::uint32_t signs, float* x) noexcept
{
    constexpr float values[] = {8.0f, 25.0f, 43.0f, 0.0f};
    for (int j = 0; j < 8; ++j)
        x[j] = (signs >> j & 1u) != 0 ? -(scale * values[entry >> 2 * j & 3u]) : scale * values[entry >> 2 * j & 3u];
}
NIBBLE_INLINE void put_iq3(float scale, std::uint32_t entry, std::uint32_t signs, const float (&values)[8], float* x) noexcept
{
    for (int j = 0; j < 4; ++j)
        x[j] = (signs >> j & 1u) != 0 ? -(scale * values[entry >> 3 * j & 7u]) : scale * values[entry >> 3 * j & 7u];
}
NIBBLE_INLINE void put_iq1(float scale, std::uint32_t entry, bool below, float* x) noexcept
{
    for (int j = 0; j < 8; ++j)
        x[j] = scale * (static_cast<float>(static_cast<std::int32_t>(entry >> 2 * j & 3u) - 1) + (below ? -0.125f : 0.125f));
}

/// 256 numbers, 32 at a time.
NIBBLE_INLINE void dequantize_codebook_block(ggml_type type, codebook_bytes b, float* x) noexcept
{
    constexpr float odd[] = {1.0f, 3.0f, 5.0f, 7.0f, 9.0f, 11.0f, 13.0f, 15.0f};
    constexpr float iq3[] = {4.0f, 12.0f, 20.0f, 28.0f, 36.0f, 44.0f, 52.0f, 62.0f};
    const auto number = [](std::uint32_t n) noexcept { return static_cast<float>(n); };
    for (int g = 0; g < 8; ++g, x += 32)
        switch (type) {
        case ggml_type::iq2_xxs: { // d, 8 x (4 entries, 4 x 7 signs and a scale)
            const std::uint32_t signs = b.u32(2 + 8 * g + 4);
            const float scale = b.scale(0) * (0.5f + number(signs >> 28)) * 0.25f;
            for (int l = 0; l < 4; ++l)
                put_iq2(scale, iq2_xxs_codebook[b.u8(2 + 8 * g + l)], eight_signs(signs >> 7 * l & 127u), x + 8 * l);
            break;
        }
        case ggml_type::iq2_xs: // d, 32 x (9 bits of an entry, 7 signs), 8 x 2 scales
            for (int l = 0; l < 4; ++l) {
                const std::uint32_t code = b.u16(2 + 8 * g + 2 * l), scale = b.u8(66 + g) >> 4 * (l / 2) & 15u;
                put_iq2(b.scale(0) * (0.5f + number(scale)) * 0.25f, iq2_xs_codebook[code & 511u], eight_signs(code >> 9), x + 8 * l);
            }
            break;
        case ggml_type::iq2_s: // d, 32 entries' low bytes, 32 x 8 signs, 8 x (4 entries' high bits), 8 x 2 scales
            for (int l = 0; l < 4; ++l) {
                const std::uint32_t entry = b.u8(2 + 4 * g + l) | (b.u8(66 + g) >> 2 * l & 3u) << 8,
                                    scale = b.u8(74 + g) >> 4 * (l / 2) & 15u;
                put_iq2(b.scale(0) * (0.5f + number(scale)) * 0.25f, iq2_s_codebook[entry], b.u8(34 + 4 * g + l), x + 8 * l);
            }
            break;
        case ggml_type::iq3_xxs: { // d, 64 entries, 8 x (4 x 7 signs and a scale)
            const std::uint32_t signs = b.u32(66 + 4 * g);
            const float scale = b.scale(0) * (0.5f + number(signs >> 28)) * 0.5f;
            for (int l = 0; l < 8; ++l)
                put_iq3(
                    scale, iq3_xxs_codebook[b.u8(2 + 8 * g + l)], eight_signs(signs >> 7 * (l / 2) & 127u) >> 4 * (l % 2), iq3, x + 4 * l);
            break;
        }
        case ggml_type::iq3_s: { // d, 64 entries' low bytes, 8 x (8 entries' high bits), 32 x 8 signs, 4 x 2 scales
            const float scale = b.scale(0) * number(1u + 2u * (b.u8(106 + g / 2) >> 4 * (g % 2) & 15u));
            for (int l = 0; l < 8; ++l) {
                const std::uint32_t entry = b.u8(2 + 8 * g + l) | (b.u8(66 + g) >> l & 1u) << 8;
                put_iq3(scale, iq3_s_codebook[entry], b.u8(74 + 4 * g + l / 2) >> 4 * (l % 2), odd, x + 4 * l);
            }
            break;
        }
        case ggml_type::iq1_s: { // d, 32 entries' low bytes, 8 x (4 entries' high bits, a scale, which side of the eighth)
            const std::uint32_t high = b.u16(34 + 2 * g);
            const float scale = b.scale(0) * number(2u * (high >> 12 & 7u) + 1u);
            for (int l = 0; l < 4; ++l)
                put_iq1(scale, iq1_codebook[b.u8(2 + 4 * g + l) | (high >> 3 * l & 7u) << 8], high >> 15 != 0, x + 8 * l);
            break;
        }
        default: { // iq1_m: 32 entries' low bytes, 32 x (high bits, side), 4 x (4 scales of 3 bits and 4 bits of d)
            const std::uint32_t d = b.u16(48) >> 12 | (b.u16(50) >> 12) << 4 | (b.u16(52) >> 12) << 8 | (b.u16(54) >> 12) << 12;
            for (int l = 0; l < 4; ++l) {
                const std::uint32_t high = b.u8(32 + 2 * g + l / 2) >> 4 * (l % 2) & 15u;
                const std::uint32_t scale = b.u16(48 + g / 2 * 2) >> (6 * (g % 2) + 3 * (l / 2)) & 7u;
                put_iq1(to_float(half {static_cast<std::uint16_t>(d)}) * number(2u * scale + 1u),
                    iq1_codebook[b.u8(4 * g + l) | (high & 7u) << 8], high >> 3 != 0, x + 8 * l);
            }
        }
        }
}

} // namespace detail

/// As dequantize_blocks(), for iq1_s, iq1_m, iq2_xxs, iq2_xs, iq2_s, iq3_xxs and iq3_s; others are ggml_type_unsupported.
inline status dequantize_codebook_blocks(ggml_type type, span<const std::byte> blocks, matrix_view<float> x) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    switch (type) {
    case ggml_type::iq1_s:
    case ggml_type::iq1_m:
    case ggml_type::iq2_xxs:
    case ggml_type::iq2_xs:
    case ggml_type::iq2_s:
    case ggml_type::iq3_xxs:
    case ggml_type::iq3_s: break;
    default: return is_known(type) ? status::ggml_type_unsupported : status::ggml_type_unknown;
    }
    if (const auto bytes = bytes_within(blocks, x.rows, x.cols, type); !bytes)
        return bytes.error();
    if (x.empty())
        return status::ok;
    const std::byte* from = blocks.data();
    const default_fp_mode mode;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; c += 256, from += block_bytes(type))
            detail::dequantize_codebook_block(type, {from}, x.row(r) + c);
    return status::ok;
}

NIBBLE_END
