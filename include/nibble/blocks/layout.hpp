// The blocks of ggml's quantized types as GGUF files store them: fields in their order, without padding, little-endian. Codes are the form
// between a block and plain numbers: one byte each, in the order of the columns.
//   pack(codes, block)     stores codes; the quantizer stores the scales
//   unpack(block, codes)   the inverse
// reference/blocks.hpp and reference/k_blocks.hpp define what a code means. Scales of two parts have their own functions below.
#pragma once

#include <cstdint>
#include <cstring>

#include "../core/numeric.hpp"
#include "ggml_type.hpp"

NIBBLE_BEGIN_TYPES

// Blocks of 32: the low nibbles of qs hold codes 0 ... 15, the high ones 16 ... 31.
struct block_q4_0 {
    half d;
    std::uint8_t qs[16];
};
struct block_q4_1 {
    half d, m;
    std::uint8_t qs[16];
};
struct block_q5_0 {
    half d;
    std::uint8_t qh[4]; // bit i: the fifth bit of code i
    std::uint8_t qs[16];
};
struct block_q5_1 {
    half d, m;
    std::uint8_t qh[4];
    std::uint8_t qs[16];
};
struct block_q8_0 {
    half d;
    std::int8_t qs[32];
};
struct block_q8_1 {
    half d, s; // s: d times the sum of the codes
    std::int8_t qs[32];
};
struct block_iq4_nl {
    half d;
    std::uint8_t qs[16];
};
struct block_mxfp4 {
    std::uint8_t e;
    std::uint8_t qs[16];
};
/// Four times 16 columns.
struct block_nvfp4 {
    std::uint8_t d[4];
    std::uint8_t qs[32];
};

// Blocks of 256.
struct block_q2_K {
    std::uint8_t scales[16]; // of 16 columns: scale in the low, minimum in the high nibble
    std::uint8_t qs[64];
    half d, dmin;
};
struct block_q3_K {
    std::uint8_t hmask[32];
    std::uint8_t qs[64];
    std::uint8_t scales[12];
    half d;
};
struct block_q4_K {
    half d, dmin;
    std::uint8_t scales[12];
    std::uint8_t qs[128];
};
struct block_q5_K {
    half d, dmin;
    std::uint8_t scales[12];
    std::uint8_t qh[32];
    std::uint8_t qs[128];
};
struct block_q6_K {
    std::uint8_t ql[128];
    std::uint8_t qh[64];
    std::int8_t scales[16];
    half d;
};
struct block_q8_K {
    float d;
    std::int8_t qs[256];
    std::int16_t bsums[16]; // of 16 codes each
};
struct block_iq4_xs {
    half d;
    std::uint16_t scales_h;
    std::uint8_t scales_l[4];
    std::uint8_t qs[128];
};
struct block_tq1_0 {
    std::uint8_t qs[48]; // 5 codes a byte
    std::uint8_t qh[4];  // 4 codes a byte
    half d;
};
struct block_tq2_0 {
    std::uint8_t qs[64];
    half d;
};

// Blocks of 128 and of 64.
struct block_q1_0 {
    half d;
    std::uint8_t qs[16]; // 8 codes a byte, the first lowest
};
struct block_q2_0 {
    half d;
    std::uint8_t qs[16]; // 4 codes a byte, the first lowest
};

/// Every block type: NIBBLE_BLOCK(name).
// clang-format off
#define NIBBLE_BLOCKS \
    NIBBLE_BLOCK(q4_0) NIBBLE_BLOCK(q4_1) NIBBLE_BLOCK(q5_0) NIBBLE_BLOCK(q5_1) NIBBLE_BLOCK(q8_0) NIBBLE_BLOCK(q8_1) \
    NIBBLE_BLOCK(q2_K) NIBBLE_BLOCK(q3_K) NIBBLE_BLOCK(q4_K) NIBBLE_BLOCK(q5_K) NIBBLE_BLOCK(q6_K) NIBBLE_BLOCK(q8_K) \
    NIBBLE_BLOCK(iq4_nl) NIBBLE_BLOCK(iq4_xs) NIBBLE_BLOCK(mxfp4) NIBBLE_BLOCK(nvfp4) NIBBLE_BLOCK(tq1_0) NIBBLE_BLOCK(tq2_0) \
    NIBBLE_BLOCK(q1_0) NIBBLE_BLOCK(q2_0)
// clang-format on

template <class Block>
struct block_traits;
#define NIBBLE_BLOCK(name)                                                      \
    template <>                                                                 \
    struct block_traits<block_##name> {                                         \
        static constexpr ggml_type type = ggml_type::name;                      \
        static constexpr int elements = static_cast<int>(block_elements(type)); \
        static_assert(sizeof(block_##name) == std::size_t(block_bytes(type)));  \
    };
NIBBLE_BLOCKS
#undef NIBBLE_BLOCK

/// The values of IQ4_NL's and IQ4_XS's codes.
inline constexpr std::int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/// Twice the values of MXFP4's and NVFP4's codes; code 8 (negative zero) is never written.
inline constexpr std::int8_t fp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

NIBBLE_END_TYPES

NIBBLE_BEGIN
namespace detail {

/// f(block type {}) for the type's block.
template <class F>
inline void with_block(ggml_type type, F f) noexcept
{
    switch (type) {
#define NIBBLE_BLOCK(name) \
    case ggml_type::name: return f(block_##name {});
        NIBBLE_BLOCKS
#undef NIBBLE_BLOCK
    default: return;
    }
}

// Codes i and i + Distance share a byte, in spans of 2 * Distance codes; more than 4 bits of a code are cut off.
template <int Distance, int Codes>
NIBBLE_INLINE void pack_nibbles(const std::uint8_t* codes, std::uint8_t* bytes) noexcept
{
    for (int i = 0; i < Codes; i += 2 * Distance)
        for (int j = 0; j < Distance; ++j)
            bytes[i / 2 + j] = static_cast<std::uint8_t>((codes[i + j] & 15) | codes[i + Distance + j] << 4);
}
template <int Distance, int Codes>
NIBBLE_INLINE void unpack_nibbles(const std::uint8_t* bytes, std::uint8_t* codes) noexcept
{
    for (int i = 0; i < Codes; i += 2 * Distance)
        for (int j = 0; j < Distance; ++j) {
            codes[i + j] = bytes[i / 2 + j] & 15;
            codes[i + Distance + j] = bytes[i / 2 + j] >> 4;
        }
}

// Bits [Shift, Shift + Bits) of 256 codes: codes i, i + 32, i + 64, ... share a byte, the first lowest.
template <int Bits, int Shift>
NIBBLE_INLINE void pack_planes(const std::uint8_t* codes, std::uint8_t* bytes) noexcept
{
    for (int i = 0; i < 256; i += 256 / Bits)
        for (int j = 0; j < 32; ++j) {
            int byte = 0;
            for (int s = 0; s < 8 / Bits; ++s)
                byte |= (codes[i + 32 * s + j] >> Shift & ((1 << Bits) - 1)) << Bits * s;
            bytes[i * Bits / 8 + j] = static_cast<std::uint8_t>(byte);
        }
}
// Adds the bits to codes.
template <int Bits, int Shift>
NIBBLE_INLINE void unpack_planes(const std::uint8_t* bytes, std::uint8_t* codes) noexcept
{
    for (int i = 0; i < 256; i += 256 / Bits)
        for (int s = 0; s < 8 / Bits; ++s)
            for (int j = 0; j < 32; ++j) {
                const int bits = bytes[i * Bits / 8 + j] >> Bits * s & ((1 << Bits) - 1);
                codes[i + 32 * s + j] = static_cast<std::uint8_t>(codes[i + 32 * s + j] | bits << Shift);
            }
}

// Codes of `Bits` bits one after the other, the first in the lowest bits of the first byte.
template <int Bits, int Codes>
NIBBLE_INLINE void pack_in_order(const std::uint8_t* codes, std::uint8_t* bytes) noexcept
{
    for (int i = 0; i < Codes; i += 8 / Bits) {
        int byte = 0;
        for (int j = 0; j < 8 / Bits; ++j)
            byte |= (codes[i + j] & ((1 << Bits) - 1)) << Bits * j;
        bytes[i * Bits / 8] = static_cast<std::uint8_t>(byte);
    }
}
template <int Bits, int Codes>
NIBBLE_INLINE void unpack_in_order(const std::uint8_t* bytes, std::uint8_t* codes) noexcept
{
    for (int i = 0; i < Codes; ++i)
        codes[i] = static_cast<std::uint8_t>(bytes[i * Bits / 8] >> i * Bits % 8 & ((1 << Bits) - 1));
}

NIBBLE_INLINE void pack_fifth_bits(const std::uint8_t* codes, std::uint8_t (&qh)[4]) noexcept
{
    for (int i = 0; i < 4; ++i) {
        int byte = 0;
        for (int j = 0; j < 8; ++j)
            byte |= (codes[8 * i + j] >> 4 & 1) << j;
        qh[i] = static_cast<std::uint8_t>(byte);
    }
}
NIBBLE_INLINE void unpack_fifth_bits(const std::uint8_t (&qh)[4], std::uint8_t* codes) noexcept
{
    for (int i = 0; i < 32; ++i)
        codes[i] = static_cast<std::uint8_t>(codes[i] | (qh[i / 8] >> i % 8 & 1) << 4);
}

// Base 3, `digits` of them, the first the most significant, as a fraction of 256 rounded up, so that a product with a power of three
// brings the next digit to the top.
NIBBLE_INLINE void pack_base_3(const std::uint8_t* codes, int distance, int digits, std::uint8_t* bytes) noexcept
{
    for (int j = 0; j < distance; ++j) {
        int number = 0;
        for (int n = 0; n < 5; ++n)
            number = number * 3 + (n < digits ? codes[n * distance + j] : 0);
        bytes[j] = static_cast<std::uint8_t>((number * 256 + 242) / 243);
    }
}
NIBBLE_INLINE void unpack_base_3(const std::uint8_t* bytes, int distance, int digits, std::uint8_t* codes) noexcept
{
    for (int j = 0; j < distance; ++j) {
        int fraction = bytes[j];
        for (int n = 0; n < digits; ++n) {
            codes[n * distance + j] = static_cast<std::uint8_t>(fraction * 3 >> 8);
            fraction = fraction * 3 & 255;
        }
    }
}

} // namespace detail

// clang-format off
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q4_0& b) noexcept { detail::pack_nibbles<16, 32>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q4_1& b) noexcept { detail::pack_nibbles<16, 32>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_iq4_nl& b) noexcept { detail::pack_nibbles<16, 32>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_mxfp4& b) noexcept { detail::pack_nibbles<16, 32>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_nvfp4& b) noexcept { detail::pack_nibbles<8, 64>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_iq4_xs& b) noexcept { detail::pack_nibbles<16, 256>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q2_K& b) noexcept { detail::pack_planes<2, 0>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_tq2_0& b) noexcept { detail::pack_planes<2, 0>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q4_K& b) noexcept { detail::pack_nibbles<32, 256>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q1_0& b) noexcept { detail::pack_in_order<1, 128>(codes, b.qs); }
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q2_0& b) noexcept { detail::pack_in_order<2, 64>(codes, b.qs); }
NIBBLE_INLINE void unpack(const block_q4_0& b, std::uint8_t* codes) noexcept { detail::unpack_nibbles<16, 32>(b.qs, codes); }
NIBBLE_INLINE void unpack(const block_q4_1& b, std::uint8_t* codes) noexcept { detail::unpack_nibbles<16, 32>(b.qs, codes); }
NIBBLE_INLINE void unpack(const block_iq4_nl& b, std::uint8_t* codes) noexcept { detail::unpack_nibbles<16, 32>(b.qs, codes); }
NIBBLE_INLINE void unpack(const block_mxfp4& b, std::uint8_t* codes) noexcept { detail::unpack_nibbles<16, 32>(b.qs, codes); }
NIBBLE_INLINE void unpack(const block_nvfp4& b, std::uint8_t* codes) noexcept { detail::unpack_nibbles<8, 64>(b.qs, codes); }
NIBBLE_INLINE void unpack(const block_iq4_xs& b, std::uint8_t* codes) noexcept { detail::unpack_nibbles<16, 256>(b.qs, codes); }
NIBBLE_INLINE void unpack(const block_q4_K& b, std::uint8_t* codes) noexcept { detail::unpack_nibbles<32, 256>(b.qs, codes); }
NIBBLE_INLINE void unpack(const block_q1_0& b, std::uint8_t* codes) noexcept { detail::unpack_in_order<1, 128>(b.qs, codes); }
NIBBLE_INLINE void unpack(const block_q2_0& b, std::uint8_t* codes) noexcept { detail::unpack_in_order<2, 64>(b.qs, codes); }
// clang-format on

NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q5_0& b) noexcept
{
    detail::pack_nibbles<16, 32>(codes, b.qs);
    detail::pack_fifth_bits(codes, b.qh);
}
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q5_1& b) noexcept
{
    detail::pack_nibbles<16, 32>(codes, b.qs);
    detail::pack_fifth_bits(codes, b.qh);
}
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q3_K& b) noexcept
{
    detail::pack_planes<2, 0>(codes, b.qs);
    detail::pack_planes<1, 2>(codes, b.hmask);
}
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q5_K& b) noexcept
{
    detail::pack_nibbles<32, 256>(codes, b.qs);
    detail::pack_planes<1, 4>(codes, b.qh);
}
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_q6_K& b) noexcept
{
    detail::pack_nibbles<64, 256>(codes, b.ql);
    detail::pack_planes<2, 4>(codes, b.qh);
}
NIBBLE_INLINE void pack(const std::uint8_t* codes, block_tq1_0& b) noexcept
{
    detail::pack_base_3(codes, 32, 5, b.qs);
    detail::pack_base_3(codes + 160, 16, 5, b.qs + 32);
    detail::pack_base_3(codes + 240, 4, 4, b.qh);
}

NIBBLE_INLINE void unpack(const block_q5_0& b, std::uint8_t* codes) noexcept
{
    detail::unpack_nibbles<16, 32>(b.qs, codes);
    detail::unpack_fifth_bits(b.qh, codes);
}
NIBBLE_INLINE void unpack(const block_q5_1& b, std::uint8_t* codes) noexcept
{
    detail::unpack_nibbles<16, 32>(b.qs, codes);
    detail::unpack_fifth_bits(b.qh, codes);
}
NIBBLE_INLINE void unpack(const block_q2_K& b, std::uint8_t* codes) noexcept
{
    std::memset(codes, 0, 256);
    detail::unpack_planes<2, 0>(b.qs, codes);
}
NIBBLE_INLINE void unpack(const block_tq2_0& b, std::uint8_t* codes) noexcept
{
    std::memset(codes, 0, 256);
    detail::unpack_planes<2, 0>(b.qs, codes);
}
NIBBLE_INLINE void unpack(const block_q3_K& b, std::uint8_t* codes) noexcept
{
    std::memset(codes, 0, 256);
    detail::unpack_planes<2, 0>(b.qs, codes);
    detail::unpack_planes<1, 2>(b.hmask, codes);
}
NIBBLE_INLINE void unpack(const block_q5_K& b, std::uint8_t* codes) noexcept
{
    detail::unpack_nibbles<32, 256>(b.qs, codes);
    detail::unpack_planes<1, 4>(b.qh, codes);
}
NIBBLE_INLINE void unpack(const block_q6_K& b, std::uint8_t* codes) noexcept
{
    detail::unpack_nibbles<64, 256>(b.ql, codes);
    detail::unpack_planes<2, 4>(b.qh, codes);
}
NIBBLE_INLINE void unpack(const block_tq1_0& b, std::uint8_t* codes) noexcept
{
    detail::unpack_base_3(b.qs, 32, 5, codes);
    detail::unpack_base_3(b.qs + 32, 16, 5, codes + 160);
    detail::unpack_base_3(b.qh, 4, 4, codes + 240);
}

/// The 6-bit scales and minimums of Q4_K and Q5_K, 8 each: those of the first four groups in the low 6 bits of bytes 0 ... 3 and 4 ... 7,
/// the others in the nibbles of bytes 8 ... 11 and the two bits left over. Scales above 63 spill into their neighbours.
NIBBLE_INLINE void pack_scales(const std::uint8_t (&scale)[8], const std::uint8_t (&minimum)[8], std::uint8_t (&bytes)[12]) noexcept
{
    for (int j = 0; j < 4; ++j) {
        bytes[j] = static_cast<std::uint8_t>(scale[j] | scale[j + 4] >> 4 << 6);
        bytes[j + 4] = static_cast<std::uint8_t>(minimum[j] | minimum[j + 4] >> 4 << 6);
        bytes[j + 8] = static_cast<std::uint8_t>((scale[j + 4] & 15) | minimum[j + 4] << 4);
    }
}
NIBBLE_INLINE void unpack_scales(const std::uint8_t (&bytes)[12], std::uint8_t (&scale)[8], std::uint8_t (&minimum)[8]) noexcept
{
    for (int j = 0; j < 4; ++j) {
        scale[j] = bytes[j] & 63;
        minimum[j] = bytes[j + 4] & 63;
        scale[j + 4] = static_cast<std::uint8_t>((bytes[j + 8] & 15) | bytes[j] >> 6 << 4);
        minimum[j + 4] = static_cast<std::uint8_t>(bytes[j + 8] >> 4 | bytes[j + 4] >> 6 << 4);
    }
}

/// The 16 scales of Q3_K, stored with 32 added: low nibbles of 0 ... 7 and 8 ... 15 in bytes 0 ... 7, two bits of j in byte 8 + j % 4.
NIBBLE_INLINE void pack_scales(const std::uint8_t (&scale)[16], std::uint8_t (&bytes)[12]) noexcept
{
    for (int j = 0; j < 8; ++j)
        bytes[j] = static_cast<std::uint8_t>((scale[j] & 15) | scale[j + 8] << 4);
    for (int j = 0; j < 4; ++j)
        bytes[j + 8] = static_cast<std::uint8_t>(scale[j] >> 4 | scale[j + 4] >> 4 << 2 | scale[j + 8] >> 4 << 4 | scale[j + 12] >> 4 << 6);
}
NIBBLE_INLINE void unpack_scales(const std::uint8_t (&bytes)[12], std::uint8_t (&scale)[16]) noexcept
{
    for (int j = 0; j < 16; ++j) {
        const int low = j < 8 ? bytes[j] & 15 : bytes[j - 8] >> 4;
        scale[j] = static_cast<std::uint8_t>(low | (bytes[8 + j % 4] >> 2 * (j / 4) & 3) << 4);
    }
}

/// The scale of group j of IQ4_XS, 32 added.
NIBBLE_INLINE int scale_of(const block_iq4_xs& b, int j) noexcept
{
    return (b.scales_l[j / 2] >> 4 * (j % 2) & 15) | (b.scales_h >> 2 * j & 3) << 4;
}

NIBBLE_END
