// What a kernel is given, and the table of one backend's kernels. No vector type crosses this border.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../blocks/ggml_type.hpp"
#include "../core/config.hpp"
#include "../core/formats.hpp"
#include "../core/minifloat.hpp"
#include "../quantize/rule.hpp"

NIBBLE_BEGIN_TYPES

/// A matrix of floats against a matrix of codes. The scale of element (r, c) is scales[r / block_rows * row_step + c / group_size *
/// group_step], likewise the zero point, where zero_points == nullptr means 0.
struct quantize_args {
    const float* x;
    std::ptrdiff_t x_stride;
    void* q;
    std::ptrdiff_t q_stride; // in elements of the code type: pairs for 4 bits
    std::ptrdiff_t row_begin, row_end, cols, block_rows, group_size;
    const float* scales;
    const std::int32_t* zero_points;
    std::ptrdiff_t row_step, group_step;
    std::int32_t qmin, qmax;
    quantize_rule rule;
    float* scales_out; // where quantize_absmax_8 and _4 write the scales they choose: [row * groups + group]
};

struct dequantize_args {
    const void* q;
    std::ptrdiff_t q_stride;
    float* x;
    std::ptrdiff_t x_stride;
    std::ptrdiff_t row_begin, row_end, cols, block_rows, group_size;
    const float* scales;
    const std::int32_t* zero_points;
    std::ptrdiff_t row_step, group_step;
};

/// Which elements count as clipped by fake quantization, for their gradients.
enum class clip_test : std::uint8_t {
    value, ///< those with x / scale + zero_point at or beyond qmin or qmax, as in the papers on LSQ and LSQ+
    code,  ///< those whose rounded code is beyond qmin or qmax, as in PyTorch
};

/// What the scale's gradient holds of elements that are not clipped.
enum class scale_gradient : std::uint8_t {
    lsq,  ///< their rounding error
    pact, ///< nothing
};

/// The gradients of fake quantization; q is not used. scale_sums[row * groups + group] and zero_point_sums, or both null, receive what
/// reference::gradient_sums defines.
struct fake_quantize_backward_args : quantize_args {
    const float* dy;
    std::ptrdiff_t dy_stride;
    float* dx;
    std::ptrdiff_t dx_stride;
    std::ptrdiff_t groups;
    float* scale_sums;
    float* zero_point_sums;
    clip_test test;
    scale_gradient gradient;
};

/// The least and the greatest value of each block of block_rows x group_size, at [block * groups + group]; both NaN if the block holds a
/// NaN or an infinity.
struct range_args {
    const float* x;
    std::ptrdiff_t x_stride;
    std::ptrdiff_t rows, cols, block_rows, group_size;
    float* low;
    float* high;
};

struct convert_args {
    const void* from;
    void* to;
    std::ptrdiff_t count;
    overflow rule; // of 8-bit floats
};

/// How the scale of a microscaling block follows from the greatest magnitude in it, amax. 2^emax is the greatest power of two that the
/// element type holds.
enum class scale_rule : std::uint8_t {
    floor, ///< 2^(floor(log2 amax) - emax), as OCP MX 1.0; the greatest elements may saturate
    even,  ///< the same of amax rounded to the element's fraction bits, halves up
    ceil,  ///< the least power of two with amax / scale not above the element's largest value
};

/// How microscaling elements are rounded; all saturate.
enum class element_rounding : std::uint8_t {
    to_even, ///< to nearest, ties to even; the sign of what rounds to zero is kept
    ggml,    ///< to nearest, ties to the smaller magnitude; what rounds to zero is +0
};

/// A matrix of floats and one of codes in blocks of columns, a scale byte for each: E8M0 per 32 columns, or E4M3 per 16 for nvfp4.
struct quantize_blocks_args {
    const float* x;
    std::ptrdiff_t x_stride;
    std::uint8_t* q;
    std::ptrdiff_t q_stride; // in bytes
    std::uint8_t* scales;
    std::ptrdiff_t scale_stride;
    std::ptrdiff_t rows, cols;
    storage_format format;
    scale_rule rule;
    element_rounding rounding;
    float tensor_scale; // nvfp4
};

struct dequantize_blocks_args {
    const std::uint8_t* q;
    std::ptrdiff_t q_stride; // in bytes
    const std::uint8_t* scales;
    std::ptrdiff_t scale_stride;
    float* x;
    std::ptrdiff_t x_stride;
    std::ptrdiff_t rows, cols;
    storage_format format;
    float tensor_scale; // nvfp4
};

/// Of a group whose numbers are all below this no scale is sought: its codes are 0.
inline constexpr float least_scaled_group = 1e-15f;

/// The candidates of an affine search: nudge + step * each more codes than there are, for each = 0 ... last.
struct affine_candidates {
    float nudge, step;
    int last;
    bool absolute; // errors count by their magnitude, not squared
};

/// Scales for `groups` groups of `size` numbers, at most 32; see reference/scale_search.hpp. weights, scales, minimums and codes lie as x
/// does; a search leaves alone what it does not find.
struct block_search_args {
    const float* x;
    const float* weights; // null in search_descent
    std::ptrdiff_t groups, size;
    std::int32_t levels; // affine: the largest code; else codes are in [-levels, levels) and stored with levels added
    affine_candidates candidates;
    float* scales;
    float* minimums;
    std::uint8_t* codes;
};

/// A row of `cols` columns.
struct dequantize_ggml_args {
    ggml_type type;
    const std::byte* blocks;
    std::ptrdiff_t cols;
    float* x;
};

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

/// How int32 becomes int8 or uint8; quantize/requantize.hpp states the modes.
enum class requantize_mode : std::uint8_t { float_ties_to_even, double_rounding, single_rounding };

struct requantize_params {
    requantize_mode mode;
    bool zero_point_first;
    std::ptrdiff_t step; // 0: one scale or multiplier for all columns; 1: one each
    const float* scale;
    const std::int32_t* multiplier;
    const std::int32_t* shift;
    const std::int32_t* bias; // one a column, or null
    std::int32_t zero_point, low, high;
};

struct requantize_args {
    const std::int32_t* x;
    std::ptrdiff_t x_stride;
    void* q;
    std::ptrdiff_t q_stride;
    std::ptrdiff_t row_begin, row_end, cols;
    requantize_params params;
};

/// How the sums of int16 x int8 become int16; tflite/int16.hpp.
struct requantize_16x8_params {
    std::ptrdiff_t step; // 0: one multiplier for all columns; 1: one each
    const std::int32_t* multiplier;
    const std::int32_t* shift;
    const std::int64_t* bias; // one a column, or null
    std::int32_t low, high;
};

/// Sums 256 * high + low, or low alone where high is null; the first column is `column` of the parameters.
struct requantize_16x8_args {
    const std::int32_t* high;
    const std::int32_t* low;
    std::ptrdiff_t stride, rows, column, columns;
    std::int16_t* y;
    std::ptrdiff_t y_stride;
    requantize_16x8_params params;
};

/// Output rows [row_begin, row_end), counted over the whole batch, of a depthwise convolution in NHWC; tflite/depthwise_conv2d.hpp.
struct depthwise_args {
    const void* x;
    std::ptrdiff_t height, width, channels; // of one input image
    std::int32_t x_zero_point;
    const std::int8_t* w; // [kernel_height][kernel_width][channels * multiplier]
    std::ptrdiff_t multiplier;
    std::ptrdiff_t kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width, pad_top, pad_left;
    void* y;
    std::ptrdiff_t out_height, out_width;
    std::ptrdiff_t row_begin, row_end;
    requantize_params requantize; // of depthwise_s8
    requantize_16x8_params wide;  // of depthwise_s16
};

/// Codes less their zero points are multiplied by 2^20 (int16: 2^15) before they are added, as TFLite does.
template <class X>
inline constexpr int add_headroom = sizeof(X) == 1 ? 20 : 15;

/// Elements [begin, end) of two int8 or int16 tensors; tflite/elementwise.hpp. Multipliers and shifts are read by add_s8 and add_s16 only.
struct elementwise_args {
    const void* a;
    const void* b;
    void* y;
    bool a_repeated, b_repeated; // the one element for all
    std::ptrdiff_t begin, end;
    std::int32_t a_zero_point, b_zero_point;
    std::int32_t a_multiplier, a_shift, b_multiplier, b_shift;
    requantize_params requantize; // one scale or multiplier, no bias
};

enum class gemm_output : std::uint8_t { s32, f32, s8, u8 };
enum class activation : std::uint8_t { none, relu, gelu, gelu_tanh, silu };

/// Rows [row_begin, row_end) x panels [panel_begin, panel_end) of one product.
struct gemm_args {
    const std::byte* a;      // packed activations, or rows of floats
    std::ptrdiff_t a_stride; // in elements; of packed activations 0: as pack_f32, pack_s8 and pack_u8 place rows, else a multiple of 4
    const float* row_scales;
    const std::int32_t* group_sums; // null: weights have one group, and neither zero points nor offsets
    std::ptrdiff_t rows;            // of the whole product
    std::int32_t zero_point;
    bool signed_activations;
    std::ptrdiff_t row_begin, row_end, panel_begin, panel_end;

    const std::byte* panels;
    std::size_t panel_bytes;
    std::ptrdiff_t n, k, group_size, groups, padded_k;
    bool half_scales, has_zero_points, has_offsets, without_sums;
    ggml_type compact; // f32: not
    bool one_row;      // of float activations, with compact weights; packed as for 4 bits

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
    const requantize_params* requantize; // or null: then all above
};

/// c (m x n) += a b, or -= a b. Element (i, k) of a is a[i * a_row_step + k * a_column_step]; b is k x n.
struct product_f64_args {
    const double* a;
    std::ptrdiff_t a_row_step, a_column_step;
    const double* b;
    std::ptrdiff_t b_stride;
    double* c;
    std::ptrdiff_t c_stride;
    std::ptrdiff_t m, n, k;
    bool subtract;
};

struct kernel_table {
    const char* name;
#define NIBBLE_KERNEL(name, args) void (*name)(const args&) noexcept;
#include "../kernels/kernels.inc"
#undef NIBBLE_KERNEL
};

NIBBLE_END_TYPES
