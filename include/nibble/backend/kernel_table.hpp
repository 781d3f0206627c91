// What a kernel is given, and the table of one backend's kernels. No vector type crosses this border.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/config.hpp"

NIBBLE_BEGIN_TYPES

/// A matrix of floats against a matrix of codes. Column c of a row belongs to group c / group_size; the scale of (row, group) is
/// scales[row * row_step + group * group_step], likewise the zero point, where zero_points == nullptr means 0.
struct quantize_args {
    const float* x;
    std::ptrdiff_t x_stride;
    void* q;
    std::ptrdiff_t q_stride; // in elements of the code type: pairs for 4 bits
    std::ptrdiff_t rows, cols, group_size;
    const float* scales;
    const std::int32_t* zero_points;
    std::ptrdiff_t row_step, group_step;
    std::int32_t qmin, qmax;
};

struct dequantize_args {
    const void* q;
    std::ptrdiff_t q_stride;
    float* x;
    std::ptrdiff_t x_stride;
    std::ptrdiff_t rows, cols, group_size;
    const float* scales;
    const std::int32_t* zero_points;
    std::ptrdiff_t row_step, group_step;
};

/// The least and the greatest value of each (row, group), at [row * groups + group]; both NaN if the group holds a NaN or infinity.
struct range_args {
    const float* x;
    std::ptrdiff_t x_stride;
    std::ptrdiff_t rows, cols, group_size;
    float* low;
    float* high;
};

struct convert_args {
    const void* from;
    void* to;
    std::ptrdiff_t count;
};

/// Rows [row_begin, row_end) of the activations into the backend's own order, in blocks of rows; see kernels/pack_activations.inl.
struct pack_activations_args {
    const void* a;
    std::ptrdiff_t a_stride;
    std::ptrdiff_t row_begin, row_end;
    std::ptrdiff_t k, group_size, groups, padded_k;
    int weight_bits;         // 8 or 4: backends keep another order for each
    std::int32_t zero_point; // of static activations
    std::byte* packed;
    float* row_scales;        // [rows]; pack_f32 writes it
    std::int32_t* group_sums; // [rows][groups]: the sum of (a - zero_point)
};

enum class gemm_output : std::uint8_t { s32, f32, s8, u8 };
enum class activation : std::uint8_t { none, relu, gelu, gelu_tanh, silu };

/// Rows [row_begin, row_end) x panels [panel_begin, panel_end) of one product.
struct gemm_args {
    const std::byte* a; // packed activations, or rows of floats
    std::ptrdiff_t a_stride;
    const float* row_scales;
    const std::int32_t* group_sums;
    std::int32_t zero_point;
    bool signed_activations;
    std::ptrdiff_t row_begin, row_end, panel_begin, panel_end;

    const std::byte* panels;
    std::size_t panel_bytes;
    std::ptrdiff_t n, k, group_size, groups, padded_k;
    bool half_scales, has_zero_points;

    void* c;
    std::ptrdiff_t c_stride;
    gemm_output output;
    activation function;
    float activation_scale; // of static activations; multiplies row_scales, which may be null (1)
    const float* scale;     // [n] or null
    const float* bias;      // [n] or null
    float clamp_low, clamp_high;
    float output_scale;
    std::int32_t output_zero_point;
};

struct kernel_table {
    const char* name;
#define NIBBLE_KERNEL(name, args) void (*name)(const args&) noexcept;
#include "../kernels/kernels.inc"
#undef NIBBLE_KERNEL
};

NIBBLE_END_TYPES
