// The formats that weights are stored in, and what they cost: bits per weight and bytes of a matrix, as constants.
#pragma once

#include <cstddef>
#include <cstdint>

#include "checked_size.hpp"
#include "minifloat.hpp"
#include "status.hpp"

NIBBLE_BEGIN_TYPES

enum class storage_format : std::uint8_t {
    f32,
    f16,
    bf16,
    fp8_e4m3,
    fp8_e5m2,
    e8m0,
    fp6_e2m3,
    fp6_e3m2,
    fp4_e2m1,
    int8,
    uint8,
    int4,
    uint4,
    int2,
    uint2,
    nf4,
    mxfp8_e4m3, ///< the mx formats: blocks of 32 columns, an E8M0 scale each
    mxfp8_e5m2,
    mxfp6_e2m3,
    mxfp6_e3m2,
    mxfp4,
    mxint8,
    nvfp4, ///< blocks of 16 columns, an E4M3 scale each; a scale of the tensor, 4 bytes, is not counted
};
inline constexpr int storage_format_count = 23;

constexpr const char* to_string(storage_format f) noexcept
{
    switch (f) {
    case storage_format::f32: return "f32";
    case storage_format::f16: return "f16";
    case storage_format::bf16: return "bf16";
    case storage_format::fp8_e4m3: return "fp8_e4m3";
    case storage_format::fp8_e5m2: return "fp8_e5m2";
    case storage_format::e8m0: return "e8m0";
    case storage_format::fp6_e2m3: return "fp6_e2m3";
    case storage_format::fp6_e3m2: return "fp6_e3m2";
    case storage_format::fp4_e2m1: return "fp4_e2m1";
    case storage_format::int8: return "int8";
    case storage_format::uint8: return "uint8";
    case storage_format::int4: return "int4";
    case storage_format::uint4: return "uint4";
    case storage_format::int2: return "int2";
    case storage_format::uint2: return "uint2";
    case storage_format::nf4: return "nf4";
    case storage_format::mxfp8_e4m3: return "mxfp8_e4m3";
    case storage_format::mxfp8_e5m2: return "mxfp8_e5m2";
    case storage_format::mxfp6_e2m3: return "mxfp6_e2m3";
    case storage_format::mxfp6_e3m2: return "mxfp6_e3m2";
    case storage_format::mxfp4: return "mxfp4";
    case storage_format::mxint8: return "mxint8";
    case storage_format::nvfp4: return "nvfp4";
    }
    return "unknown format";
}

/// Bits of one code, scales not counted.
NIBBLE_INLINE constexpr int code_bits(storage_format f) noexcept
{
    switch (f) {
    case storage_format::f32: return 32;
    case storage_format::f16:
    case storage_format::bf16: return 16;
    case storage_format::fp8_e4m3:
    case storage_format::fp8_e5m2:
    case storage_format::e8m0:
    case storage_format::int8:
    case storage_format::uint8:
    case storage_format::mxfp8_e4m3:
    case storage_format::mxfp8_e5m2:
    case storage_format::mxint8: return 8;
    case storage_format::fp6_e2m3:
    case storage_format::fp6_e3m2:
    case storage_format::mxfp6_e2m3:
    case storage_format::mxfp6_e3m2: return 6;
    case storage_format::fp4_e2m1:
    case storage_format::int4:
    case storage_format::uint4:
    case storage_format::nf4:
    case storage_format::mxfp4:
    case storage_format::nvfp4: return 4;
    case storage_format::int2:
    case storage_format::uint2: return 2;
    }
    return 0;
}

/// Columns that share a scale in a format that says so itself, else 0.
NIBBLE_INLINE constexpr std::ptrdiff_t block_size_of(storage_format f) noexcept
{
    return f == storage_format::nvfp4 ? 16 : f >= storage_format::mxfp8_e4m3 ? 32 : 0;
}

/// Bytes of a row of codes. A row ends with a whole byte, for 6-bit codes with a whole group of 3 bytes; cols >= 0. 0 for a format that
/// does not exist, PTRDIFF_MAX if they do not fit.
NIBBLE_INLINE constexpr std::ptrdiff_t row_bytes(std::ptrdiff_t cols, storage_format f) noexcept
{
    const std::ptrdiff_t bits = code_bits(f);
    if (bits == 0)
        return 0;
    if (bits >= 8)
        return (checked_size(cols) * (bits / 8)).count();
    const std::ptrdiff_t codes = bits == 6 ? 4 : 8 / bits;
    return (cols / codes + (cols % codes != 0)) * (bits == 6 ? 3 : 1);
}

/// Bytes of a rows x cols matrix: its codes, and its scales if it has groups of columns. A group_size of 0 means no scales, except that
/// mx formats and nvfp4 have their own groups and scales. Zero points, if there are any, are stored with each scale.
NIBBLE_INLINE constexpr result<std::ptrdiff_t> bytes_for(std::ptrdiff_t rows, std::ptrdiff_t cols, storage_format f,
    std::ptrdiff_t group_size = 0, storage_format scale = storage_format::f32, int zero_point_bits = 0) noexcept
{
    if (rows < 0 || cols < 0)
        return status::negative_size;
    const std::ptrdiff_t own = block_size_of(f), group = own != 0 ? own : group_size;
    if (group_size < 0)
        return status::group_size_invalid;
    if (zero_point_bits < 0 || zero_point_bits > 32)
        return status::option_invalid;
    // With at most 4 bytes of a code, 4 of a scale and 4 of a zero point per column.
    if (!(16 * shape_extent(rows, cols)).fits())
        return status::size_overflow;
    const std::ptrdiff_t groups = group == 0 ? 0 : cols / group + (cols % group != 0);
    const std::ptrdiff_t scale_bits = own != 0 ? 8 : code_bits(scale);
    // Zero points of fewer than 8 bits are packed along the row.
    const std::ptrdiff_t zero_points = own != 0 ? 0 : (groups / 8) * zero_point_bits + (groups % 8 * zero_point_bits + 7) / 8;
    return rows * (row_bytes(cols, f) + groups / 8 * scale_bits + (groups % 8 * scale_bits + 7) / 8 + zero_points);
}

/// Without the padding of rows and of the last group.
NIBBLE_INLINE constexpr double bits_per_weight(
    storage_format f, std::ptrdiff_t group_size = 0, storage_format scale = storage_format::f32, int zero_point_bits = 0) noexcept
{
    if (const std::ptrdiff_t own = block_size_of(f); own != 0)
        return code_bits(f) + 8.0 / static_cast<double>(own);
    return group_size < 1 ? code_bits(f) : code_bits(f) + (code_bits(scale) + zero_point_bits) / static_cast<double>(group_size);
}

/// The code types of the mx formats: what an element is, how many of them a Q holds. Codes of 8 bits stand alone.
template <class Q>
struct mx_traits;
template <>
struct mx_traits<float8_e4m3> {
    using element = float8_e4m3;
    static constexpr int per_element = 1;
    static constexpr storage_format format = storage_format::mxfp8_e4m3;
};
template <>
struct mx_traits<float8_e5m2> {
    using element = float8_e5m2;
    static constexpr int per_element = 1;
    static constexpr storage_format format = storage_format::mxfp8_e5m2;
};
template <>
struct mx_traits<float6_e2m3x4> {
    using element = float6_e2m3;
    static constexpr int per_element = 4;
    static constexpr storage_format format = storage_format::mxfp6_e2m3;
};
template <>
struct mx_traits<float6_e3m2x4> {
    using element = float6_e3m2;
    static constexpr int per_element = 4;
    static constexpr storage_format format = storage_format::mxfp6_e3m2;
};
template <>
struct mx_traits<float4_e2m1x2> {
    using element = float4_e2m1;
    static constexpr int per_element = 2;
    static constexpr storage_format format = storage_format::mxfp4;
};
/// Elements are q * 2^-6, q in [-127, 127]. Their magnitudes are those of a float with one exponent bit, which spares MXINT8 rules of its
/// own; the sign is stored as two's complement.
template <>
struct mx_traits<std::int8_t> {
    using element = minifloat<1, 6, 1, false, false>;
    static constexpr int per_element = 1;
    static constexpr storage_format format = storage_format::mxint8;
};

// 8.03 billion parameters.
static_assert(*bytes_for(8030, 1000000, storage_format::f32) == 32120000000);
static_assert(*bytes_for(8030, 1000000, storage_format::bf16) == 16060000000);
static_assert(*bytes_for(8030, 1000000, storage_format::int8) == 8030000000);
static_assert(*bytes_for(8030, 1000000, storage_format::int4) == 4015000000);
static_assert(*bytes_for(8030, 1000000, storage_format::uint2) == 2007500000);
static_assert(*bytes_for(8030, 1000000, storage_format::mxfp4) == 4265937500);
static_assert(*bytes_for(3, 33, storage_format::mxfp6_e2m3) == 3 * (27 + 2));
static_assert(*bytes_for(1, 128, storage_format::uint4, 32, storage_format::f16, 4) == 64 + 8 + 2);
static_assert(bytes_for(PTRDIFF_MAX / 8, 3, storage_format::f32).error() == status::size_overflow);
static_assert(bits_per_weight(storage_format::mxfp4) == 4.25 && bits_per_weight(storage_format::nvfp4) == 4.5);
static_assert(bits_per_weight(storage_format::mxfp6_e3m2) == 6.25 && bits_per_weight(storage_format::mxint8) == 8.25);
static_assert(bits_per_weight(storage_format::int4, 32, storage_format::f16) == 4.5);

NIBBLE_END_TYPES
