// What the kernels of this folder are given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../quantize/kernels/arguments.hpp"

NIBBLE_BEGIN_TYPES

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

NIBBLE_END_TYPES
