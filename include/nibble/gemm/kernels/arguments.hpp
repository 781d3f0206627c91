// What the kernels of this folder are given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../blocks/ggml_type.hpp"
#include "../../core/options.hpp"
#include "../../quantize/kernels/arguments.hpp"
#include "../section_layout.hpp"

NIBBLE_BEGIN_TYPES

/// Rows [row_begin, row_end) of the activations into the backend's own order, in blocks of rows; see kernels/pack_activations.inl.
struct pack_activations_args {
    const void* a;
    std::ptrdiff_t a_stride;
    std::ptrdiff_t row_begin, row_end;
    std::ptrdiff_t k, group_size, groups, padded_k;
    int weight_bits;         // 8 or 4: backends keep another order for each
    std::int32_t zero_point; // of static activations
    bool reduced_range;      // 7-bit codes, for gemm_w8_reduced
    std::byte* packed;
    float* row_scales;        // [rows]; pack_f32 writes it; of reduced range, pack_s8 and pack_u8 write 1, or 0 for a row that leaves it
    std::ptrdiff_t rows;      // of the whole product
    std::int32_t* group_sums; // [groups][rows]: the sum of (a - zero_point)
    bool without_sums;        // of static activations: nobody reads the sums
};

/// Codes one after the other, as gemm_w8 reads them where there is one group of k, without their sums. packed: room for `count` rounded up
/// to a multiple of 32, twice as many bytes.
struct pack_codes_args {
    const std::int8_t* a;
    std::ptrdiff_t count;
    std::byte* packed;
};

enum class gemm_output : std::uint8_t { s32, f32, s8, u8 };

/// Bytes of a line of the caches, as far as it matters where data lie.
inline constexpr std::ptrdiff_t cache_line = 64;

/// Rows of activations that share a block of weights before the next block is read: a multiple of the height of every tile, and few enough
/// that their activations and a tile's weights fit the first-level cache together.
inline constexpr std::ptrdiff_t product_rows = 48;

/// Rows [row_begin, row_end) x panels [panel_begin, panel_end) of one product.
struct gemm_args {
    const std::byte* a;      // packed activations, or rows of floats
    std::ptrdiff_t a_stride; // in elements; of packed activations 0: as pack_f32, pack_s8 and pack_u8 place rows, else a multiple of 4
    const float* row_scales;
    const std::int32_t* group_sums; // null: weights have one group, and neither zero points nor minimums
    std::ptrdiff_t rows;            // of the whole product
    std::int32_t zero_point;
    bool signed_activations;
    std::ptrdiff_t row_begin, row_end, panel_begin, panel_end;

    const std::byte* panels;
    std::size_t panel_bytes;
    std::ptrdiff_t n, k, group_size, groups, padded_k;
    section_format section; // its bits are those of the kernel
    ggml_type compact;      // of gemm_blocks_w4 and _w8: the blocks' type
    bool one_row;           // of gemm_blocks_w4 and _w8: one row of float activations, packed as for 4 bits

    void* c;
    std::ptrdiff_t c_stride;
    gemm_output output;
    activation_function function;
    float activation_scale; // of static activations; multiplies row_scales, which may be null (1)
    const float* scale;     // [n] or null
    const float* bias;      // [n] or null
    float clamp_low, clamp_high;
    float output_scale;
    std::int32_t output_zero_point;
    const requantize_params* requantize; // or null: then all above
};

NIBBLE_END_TYPES
