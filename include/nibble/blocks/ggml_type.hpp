// The tensor types of ggml and of GGUF files: their numbers, names and sizes, as constants.
//   bytes of a row = columns / block_elements * block_bytes
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/status.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN_TYPES

/// By their number in a GGUF file. What nibble quantizes and dequantizes is marked; of the others it knows the size.
enum class ggml_type : std::uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2, ///< here and below: quantized by nibble
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q8_1 = 9,
    q2_K = 10,
    q3_K = 11,
    q4_K = 12,
    q5_K = 13,
    q6_K = 14,
    q8_K = 15,
    iq2_xxs = 16, ///< the codebook types iq1 ... iq3: dequantized in dequantize_codebook.hpp
    iq2_xs = 17,
    iq3_xxs = 18,
    iq1_s = 19,
    iq4_nl = 20, ///< quantized by nibble
    iq3_s = 21,
    iq2_s = 22,
    iq4_xs = 23, ///< quantized by nibble
    i8 = 24,
    i16 = 25,
    i32 = 26,
    i64 = 27,
    f64 = 28,
    iq1_m = 29,
    bf16 = 30,
    tq1_0 = 34, ///< quantized by nibble
    tq2_0 = 35, ///< quantized by nibble
    mxfp4 = 39, ///< quantized by nibble
    nvfp4 = 40, ///< quantized by nibble
    q1_0 = 41,  ///< quantized by nibble
    q2_0 = 42,  ///< quantized by nibble
};
inline constexpr std::uint32_t ggml_type_count = 43;

struct ggml_type_layout {
    const char* name;
    std::uint16_t block_elements; // 0: no such type
    std::uint16_t block_bytes;
};

/// Of every number below ggml_type_count; numbers that ggml has given up (4, 5, 31 ... 33, 36 ... 38) keep their old names.
inline constexpr ggml_type_layout ggml_type_layouts[ggml_type_count] = {{"f32", 1, 4}, {"f16", 1, 2}, {"q4_0", 32, 18}, {"q4_1", 32, 20},
    {"q4_2 (removed)", 0, 0}, {"q4_3 (removed)", 0, 0}, {"q5_0", 32, 22}, {"q5_1", 32, 24}, {"q8_0", 32, 34}, {"q8_1", 32, 36},
    {"q2_K", 256, 84}, {"q3_K", 256, 110}, {"q4_K", 256, 144}, {"q5_K", 256, 176}, {"q6_K", 256, 210}, {"q8_K", 256, 292},
    {"iq2_xxs", 256, 66}, {"iq2_xs", 256, 74}, {"iq3_xxs", 256, 98}, {"iq1_s", 256, 50}, {"iq4_nl", 32, 18}, {"iq3_s", 256, 110},
    {"iq2_s", 256, 82}, {"iq4_xs", 256, 136}, {"i8", 1, 1}, {"i16", 1, 2}, {"i32", 1, 4}, {"i64", 1, 8}, {"f64", 1, 8}, {"iq1_m", 256, 56},
    {"bf16", 1, 2}, {"q4_0_4_4 (removed)", 0, 0}, {"q4_0_4_8 (removed)", 0, 0}, {"q4_0_8_8 (removed)", 0, 0}, {"tq1_0", 256, 54},
    {"tq2_0", 256, 66}, {"iq4_nl_4_4 (removed)", 0, 0}, {"iq4_nl_4_8 (removed)", 0, 0}, {"iq4_nl_8_8 (removed)", 0, 0}, {"mxfp4", 32, 17},
    {"nvfp4", 64, 36}, {"q1_0", 128, 18}, {"q2_0", 64, 18}};

NIBBLE_INLINE constexpr bool is_known(ggml_type t) noexcept
{
    return static_cast<std::uint32_t>(t) < ggml_type_count && ggml_type_layouts[static_cast<std::uint32_t>(t)].block_elements != 0;
}

constexpr const char* to_string(ggml_type t) noexcept
{
    return static_cast<std::uint32_t>(t) < ggml_type_count ? ggml_type_layouts[static_cast<std::uint32_t>(t)].name : "unknown type";
}

/// Columns that a block holds; 0 for a type that does not exist.
NIBBLE_INLINE constexpr std::ptrdiff_t block_elements(ggml_type t) noexcept
{
    return is_known(t) ? ggml_type_layouts[static_cast<std::uint32_t>(t)].block_elements : 0;
}

NIBBLE_INLINE constexpr std::ptrdiff_t block_bytes(ggml_type t) noexcept
{
    return is_known(t) ? ggml_type_layouts[static_cast<std::uint32_t>(t)].block_bytes : 0;
}

/// Whether the type stores codes with scales, as opposed to plain numbers.
NIBBLE_INLINE constexpr bool is_quantized(ggml_type t) noexcept { return block_elements(t) > 1; }

/// Whether nibble quantizes to this type and back.
NIBBLE_INLINE constexpr bool is_quantizable(ggml_type t) noexcept
{
    switch (t) {
    case ggml_type::q4_0:
    case ggml_type::q4_1:
    case ggml_type::q5_0:
    case ggml_type::q5_1:
    case ggml_type::q8_0:
    case ggml_type::q8_1:
    case ggml_type::q2_K:
    case ggml_type::q3_K:
    case ggml_type::q4_K:
    case ggml_type::q5_K:
    case ggml_type::q6_K:
    case ggml_type::q8_K:
    case ggml_type::iq4_nl:
    case ggml_type::iq4_xs:
    case ggml_type::tq1_0:
    case ggml_type::tq2_0:
    case ggml_type::mxfp4:
    case ggml_type::nvfp4:
    case ggml_type::q1_0:
    case ggml_type::q2_0: return true;
    default: return false;
    }
}

/// Bytes of `rows` rows of `cols` columns. Blocks do not cross rows: cols must be a multiple of block_elements. Where it is not a multiple
/// of 256, the types with blocks of 32 may fit: q4_0, q4_1, q5_0, q5_1, q8_0, iq4_nl, mxfp4.
NIBBLE_INLINE constexpr result<std::ptrdiff_t> bytes_for(std::ptrdiff_t rows, std::ptrdiff_t cols, ggml_type t) noexcept
{
    if (!is_known(t))
        return status::ggml_type_unknown;
    if (rows < 0 || cols < 0)
        return status::negative_size;
    if (cols % block_elements(t) != 0)
        return status::cols_not_whole_blocks;
    const std::ptrdiff_t blocks = cols / block_elements(t), bytes = block_bytes(t);
    return shape_extent(rows, blocks, bytes).fits() ? result<std::ptrdiff_t>(rows * blocks * bytes) : status::size_overflow;
}

/// bytes_for(), of which `blocks` holds at least as many.
NIBBLE_INLINE constexpr result<std::ptrdiff_t> bytes_within(
    span<const std::byte> blocks, std::ptrdiff_t rows, std::ptrdiff_t cols, ggml_type t) noexcept
{
    const result<std::ptrdiff_t> bytes = bytes_for(rows, cols, t);
    if (!bytes)
        return bytes;
    const status s = check_room(blocks, static_cast<std::size_t>(*bytes));
    return s == status::ok ? bytes : s;
}

static_assert(*bytes_for(4096, 4096, ggml_type::q4_K) == 4096 * 16 * 144);
static_assert(bytes_for(1, 48, ggml_type::q4_0).error() == status::cols_not_whole_blocks);
static_assert(bytes_for(INT64_MAX / 64, 256, ggml_type::q6_K).error() == status::size_overflow);

NIBBLE_END_TYPES
