// What the kernels of this folder are given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../core/formats.hpp"
#include "../../core/minifloat.hpp"
#include "../../core/options.hpp"
#include "../rule.hpp"

NIBBLE_BEGIN_TYPES

/// A matrix of floats against a matrix of codes. The scale of element (r, c) is scales[r / block_rows * row_stride + c / group_size *
/// group_stride], likewise the zero point, where zero_points == nullptr means 0.
struct quantize_args {
    const float* x;
    std::ptrdiff_t x_stride;
    void* q;
    std::ptrdiff_t q_stride; // in elements of the code type: pairs for 4 bits
    std::ptrdiff_t row_begin, row_end, cols, block_rows, group_size;
    const float* scales;
    const std::int32_t* zero_points;
    std::ptrdiff_t row_stride, group_stride;
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
    std::ptrdiff_t row_stride, group_stride;
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

struct requantize_params {
    requantize_mode mode;
    bool zero_point_first;
    std::ptrdiff_t stride; // 0: one scale or multiplier for all columns; 1: one each
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
    std::ptrdiff_t stride; // 0: one multiplier for all columns; 1: one each
    const std::int32_t* multiplier;
    const std::int32_t* shift;
    const std::int64_t* bias; // one a column, or null
    std::int32_t low, high;
    const requantize_params* narrow; // of int32 biases, or null: then all above
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

NIBBLE_END_TYPES
