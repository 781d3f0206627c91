// Errors are values. A function that can refuse its input returns a status that names the broken rule, and then has written nothing.
#pragma once

#include <cstdint>
#include <utility>

#include "config.hpp"

NIBBLE_BEGIN_TYPES

enum class [[nodiscard]] status : std::uint8_t {
    ok,
    null_pointer,            ///< a pointer is null, and its size above zero
    negative_size,           ///< a number of rows, columns or bytes is below zero
    stride_too_small,        ///< the distance between two rows is less than a row
    shape_mismatch,          ///< two operands do not have the sizes that the operation needs of them
    size_overflow,           ///< the number of bytes does not fit std::ptrdiff_t; core/checked_size.hpp
    element_type_mismatch,   ///< an array holds elements of another type than the one asked for
    layout_unsupported,      ///< the elements of a row do not stand next to each other, in the order of the inputs, in the CPU's memory
    misaligned,              ///< an array's address is not a multiple of its elements' alignment
    group_size_invalid,      ///< a group size is below 1, or odd for 4-bit codes, which are stored in pairs
    granularity_unsupported, ///< this operation does not support this granularity
    params_count_mismatch,   ///< the number of scales, zero points, multipliers, bias values or weights of importance does not fit
    scale_invalid,           ///< a scale is not finite, or not above zero
    scale_not_half,          ///< scales are to be stored as half, and one of them is not exactly a half
    zero_point_out_of_range, ///< a zero point is outside the range of the integer type
    code_limits_invalid,     ///< the least code is not below the greatest, or they do not fit the integer type
    multiplier_invalid,      ///< a fixed-point multiplier is negative, or its shift outside [-31, 31]
    k_too_large,             ///< at this k an int32 accumulator could overflow
    not_finite,              ///< the data holds a NaN or an infinity
    buffer_too_small,        ///< memory is smaller than the size function said, or packed bytes end before their header says
    not_packed_weights,      ///< the bytes do not start with the packed-weights mark
    packed_version,          ///< the weights were packed by a version with another layout
    packed_damaged,          ///< the header of packed weights contradicts itself or its size
    grouped_weights,         ///< exact sums need weights with one scale per channel, not groups or minimums
    activation_out_of_range, ///< activations of reduced range hold a code of more than 7 bits
    weight_type_mismatch,    ///< this operation does not take weights of this type
    weights_missing,         ///< packed weights were never made: an empty view, such as that of a failed make()
    epilogue_unsupported,    ///< int32 output takes no epilogue: no scale, bias, function, clamp or output scale
    invalid_clamp,           ///< the lower clamp is above the upper one, or one is NaN
    backend_unknown,         ///< no backend has this name
    backend_not_compiled,    ///< this build left the backend out
    backend_not_supported,   ///< this CPU, or its operating system, does not run the backend
    out_of_memory,           ///< an allocation failed
    ggml_type_unknown,       ///< ggml has no such tensor type, or has given it up
    ggml_type_unsupported,   ///< nibble knows this tensor type's size only
    cols_not_whole_blocks,   ///< the number of columns is not a multiple of the type's block
    recipe_unknown,          ///< no quantization recipe has this name or number
    file_not_gguf,           ///< the bytes do not start with GGUF
    file_not_npy,            ///< the bytes do not start with the mark of a .npy file
    file_type_unknown,       ///< a tensor in the file has an element type that nibble does not read
    file_version,            ///< a version of the file's format that nibble does not read
    file_byte_order,         ///< a big-endian file
    file_truncated,          ///< the file ends before what its header promises
    file_limit,              ///< a count or length is above the reader's limit
    file_alignment,          ///< general.alignment is no u32, no power of two, or (strict) below 8
    file_name_invalid,       ///< a key or a tensor's name is empty, too long or (strict) not of the allowed characters
    file_text_invalid,       ///< (strict) a string is not UTF-8
    file_value_invalid,      ///< a value has a type that does not exist or cannot stand there, or a bool is neither 0 nor 1
    file_duplicate,          ///< two keys or two tensors have the same name
    file_shape_invalid,      ///< a tensor has more dimensions than the format allows, a negative one, or too many elements
    file_offset_invalid,     ///< a tensor's data is not aligned, overlaps another's, or leaves a gap
    file_damaged,            ///< the file contradicts itself or its format
    file_key_missing,        ///< the file lacks a required metadata key or tensor
    file_type_mismatch,      ///< a metadata value or a tensor does not have the requested type or shape
    file_not_written,        ///< whoever takes the bytes of a file refused some
    bits_invalid,            ///< a number of bits is below 2, or above what the code type holds
    option_invalid,          ///< an option is NaN, negative or outside its documented range
    importance_invalid,      ///< a weight of importance is NaN, infinite or below zero
    group_index_invalid,     ///< g_idx does not give every group its inputs, or is a placeholder
    calibration_missing,     ///< there are no calibration rows
    calibration_too_thin,    ///< the Hessian is not positive definite at the largest damping
    tested_on_calibration,   ///< the same label names the calibration data and the test data
    not_mergeable,           ///< a moving average depends on the order of the data
    not_observers,           ///< the bytes do not start with the mark of saved observers
    observers_version,       ///< the observers were saved by a version with another layout
    observers_damaged,       ///< saved observers contradict themselves or their size
    budget_too_small,        ///< not even the smallest formats fit the size budget
    gate_failed,             ///< a measured value is outside its gate
    window_invalid,          ///< a kernel size, stride or dilation is below 1, a padding negative, or one of them too large
    requantize_mode_invalid, ///< this operation is defined for the fixed-point modes of requantization only
    operand_count_invalid,   ///< the operation has another number of inputs
    operand_type_invalid,    ///< the TFLite specification requires another integer type for this operand
    quantized_axis_invalid,  ///< scales run along another dimension than the TFLite specification allows
    weight_zero_point,       ///< the TFLite specification wants zero points of 0 for weights and biases
    weight_code_invalid,     ///< a weight has the least code, which the TFLite specification leaves out
    bias_too_large,          ///< an int64 bias is beyond 2^46, above which 16x8 sums leave TFLite's 48 bits
    bias_scale_invalid,      ///< a bias' scale is not the input's scale times the weights'
    fixed_params_needed,     ///< the TFLite specification fixes this output's scale and zero point to others
    same_params_needed,      ///< the TFLite specification wants the same scale and zero point for inputs and output
    rank_too_large,          ///< a tensor has more dimensions than this operation takes
    axis_out_of_range,       ///< an axis is no dimension of the tensor
    cancelled,               ///< the progress callback asked to stop
};

/// One sentence a person can act on; never null.
constexpr const char* to_string(status s) noexcept
{
    switch (s) {
    case status::ok: return "ok";
    case status::null_pointer: return "null pointer with a size above zero";
    case status::negative_size: return "a number of rows, columns or bytes is below zero";
    case status::stride_too_small: return "the distance between two rows is less than a row";
    case status::shape_mismatch:
        return "two operands do not fit together: compare their rows, columns or lengths with those in the function's description (a "
               "product takes m x k, n x k and m x n)";
    case status::size_overflow: return "the number of bytes does not fit std::ptrdiff_t";
    case status::element_type_mismatch: return "the array's elements do not have the requested type";
    case status::layout_unsupported:
        return "the elements of a row do not stand next to each other, in order, in the CPU's memory: copy the array, or give the order";
    case status::misaligned: return "the array's address is not a multiple of its elements' alignment: copy it to aligned memory";
    case status::group_size_invalid: return "the size of a group or block is below 1, or odd for 4-bit codes, which are stored in pairs";
    case status::granularity_unsupported: return "this operation does not support this granularity";
    case status::params_count_mismatch:
        return "the number of scales, zero points, multipliers, bias values or weights of importance does not fit shape and granularity: "
               "a bias has one value an output column, importance one a column";
    case status::scale_invalid: return "a scale is not finite, or not above zero";
    case status::scale_not_half: return "scales are to be stored as half, and one of them is not exactly a half: round them first";
    case status::zero_point_out_of_range: return "a zero point is outside the range of the integer type";
    case status::code_limits_invalid: return "the least code is not below the greatest, or they do not fit the integer type";
    case status::multiplier_invalid: return "a fixed-point multiplier is negative, or its shift is outside [-31, 31]";
    case status::k_too_large: return "at this k an int32 accumulator could overflow: split k";
    case status::not_finite: return "the data holds a NaN or an infinity";
    case status::buffer_too_small:
        return "the memory is too small: smaller than the size function says, or, of packed weights, cut off before their end";
    case status::not_packed_weights: return "these bytes are not packed weights";
    case status::packed_version: return "these weights were packed by a version with another layout: pack them again";
    case status::packed_damaged: return "the header of these packed weights contradicts itself or its size";
    case status::grouped_weights:
        return "exact sums, of int32 output or a requantization, need weights with one scale per channel, not groups or minimums";
    case status::activation_out_of_range:
        return "activations of reduced range are in [-64, 63], or [0, 127] if uint8: quantize them with code_range::reduced";
    case status::weight_type_mismatch: return "this operation does not take weights of this type";
    case status::weights_missing: return "these packed weights are empty: was the result of make() checked?";
    case status::epilogue_unsupported:
        return "an int32 output is the exact sum: leave scale, bias, function, clamp and output scale out of the epilogue, or take an "
               "output of float, int8 or uint8";
    case status::invalid_clamp: return "the lower clamp is above the upper one, or one is NaN";
    case status::backend_unknown: return "no backend has this name";
    case status::backend_not_compiled: return "this build left the backend out";
    case status::backend_not_supported: return "this CPU, or its operating system, does not run the backend";
    case status::out_of_memory: return "an allocation failed";
    case status::ggml_type_unknown: return "the tensor type is unknown: ggml has removed it, or it is newer than this version of nibble";
    case status::ggml_type_unsupported: return "nibble knows the size of this tensor type, but cannot quantize or dequantize it";
    case status::cols_not_whole_blocks:
        return "the number of columns is not a multiple of the type's block; the types with blocks of 32 columns are q4_0, q4_1, q5_0, "
               "q5_1, q8_0, "
               "iq4_nl "
               "and mxfp4";
    case status::recipe_unknown:
        return "no quantization recipe has this name; known ones are Q4_K_M, Q4_K_S, Q5_K_M, Q6_K, Q8_0, Q4_0 and others";
    case status::file_not_gguf: return "the file does not start with GGUF";
    case status::file_not_npy: return "the file does not start with the mark of a .npy file";
    case status::file_type_unknown: return "a tensor in the file has an element type that nibble does not read";
    case status::file_version:
        return "nibble does not read this version of the file format (GGUF: 2 and 3, convert older files with a current llama.cpp; .npy: 1 "
               "to 3)";
    case status::file_byte_order: return "the file is big-endian: convert GGUF with gguf_convert_endian.py; copy_npy reads .npy";
    case status::file_truncated: return "the file ends before what its header promises: copy or download it again";
    case status::file_limit: return "a count or length in the file is above the reader's limit";
    case status::file_alignment: return "general.alignment in the file is not a u32, not a power of two, or below 8";
    case status::file_name_invalid:
        return "a key or a tensor's name is empty or too long; or, in strict mode, a key is not printable ASCII or a name is not UTF-8";
    case status::file_text_invalid: return "a string in the file is not UTF-8";
    case status::file_value_invalid:
        return "a metadata value has a type that does not exist or cannot stand there, or is a bool that is neither 0 nor 1";
    case status::file_duplicate: return "two keys or two tensors in the file have the same name";
    case status::file_shape_invalid:
        return "a tensor in the file has more dimensions than its format allows, a negative one, or too many elements";
    case status::file_offset_invalid:
        return "a tensor's data in the file is not aligned, overlaps another's, or leaves a gap where the format has none";
    case status::file_damaged: return "the file contradicts itself or its format";
    case status::file_key_missing: return "the file lacks a required metadata key or tensor";
    case status::file_type_mismatch: return "a metadata value or a tensor does not have the requested type or shape";
    case status::file_not_written: return "the file could not be written: is the disk full?";
    case status::bits_invalid: return "the number of bits is below 2, above what the code type holds, or not one of the format's";
    case status::option_invalid: return "an option is NaN, negative or outside its documented range";
    case status::importance_invalid: return "a weight of importance is NaN, infinite or below zero";
    case status::group_index_invalid:
        return "g_idx does not give every group its inputs: if it is a placeholder, -1 or 0 throughout, leave it out";
    case status::calibration_missing: return "there are no calibration rows: run the model on some data first";
    case status::calibration_too_thin:
        return "the calibration data determines too little: the Hessian is not positive definite even with the largest damping; give more, "
               "and more varied, rows";
    case status::tested_on_calibration: return "the same data calibrates and tests: a measurement on calibration data says nothing";
    case status::not_mergeable: return "a moving average depends on the order of the data and cannot be merged";
    case status::not_observers: return "these bytes are not saved observers";
    case status::observers_version: return "these observers were saved by a version with another layout: calibrate again";
    case status::observers_damaged: return "these saved observers contradict themselves or their size";
    case status::budget_too_small: return "not even the smallest formats fit the size budget";
    case status::gate_failed: return "a measured value is outside its gate";
    case status::window_invalid:
        return "a kernel size, stride or dilation is below 1, a padding is negative, or one of them is too large for this operation";
    case status::requantize_mode_invalid: return "this operation is defined for double_rounding and single_rounding only";
    case status::operand_count_invalid: return "the number of inputs is wrong for this operation";
    case status::operand_type_invalid: return "the TFLite specification requires another integer type for this operand";
    case status::quantized_axis_invalid:
        return "the TFLite specification does not allow scales along this dimension: weights have them along 0, depthwise weights along 3, "
               "all other tensors have one scale";
    case status::weight_zero_point: return "weights and biases have zero points of 0 in the TFLite specification";
    case status::weight_code_invalid: return "weights are in [-127, 127] in the TFLite specification: quantize with code_range::narrow";
    case status::bias_too_large: return "an int64 bias is beyond 2^46: TFLite's 16x8 sums have 48 bits";
    case status::bias_scale_invalid: return "a bias' scale must be the input's scale times the weights'";
    case status::fixed_params_needed:
        return "the TFLite specification fixes the output: 1/256 and -128 for logistic and softmax, 1/128 and 0 for tanh and "
               "l2_normalization, 16/256 and 127 for log_softmax";
    case status::same_params_needed: return "this operation does not requantize: inputs and output must have one scale and zero point";
    case status::rank_too_large: return "a tensor has more than 8 dimensions";
    case status::axis_out_of_range:
        return "an axis is not a dimension of the tensor: dimensions count from 0, or from the end as -1, -2, ...";
    case status::cancelled: return "the progress callback asked to stop";
    }
    return "unknown status";
}

/// A value, or the status that says why there is none. Reading the value of a failed result gives a default-made one.
template <class T>
class [[nodiscard]] result {
public:
    NIBBLE_INLINE constexpr result(status error) noexcept : error_(error) {}
    NIBBLE_INLINE constexpr result(T value) noexcept : value_(std::move(value)), error_(status::ok) {}

    NIBBLE_INLINE constexpr explicit operator bool() const noexcept { return error_ == status::ok; }
    NIBBLE_INLINE constexpr status error() const noexcept { return error_; }
    NIBBLE_INLINE constexpr T& operator*() & noexcept { return value_; }
    NIBBLE_INLINE constexpr const T& operator*() const& noexcept { return value_; }
    NIBBLE_INLINE constexpr T&& operator*() && noexcept { return static_cast<T&&>(value_); }
    NIBBLE_INLINE T* operator->() noexcept { return &value_; }
    NIBBLE_INLINE const T* operator->() const noexcept { return &value_; }

private:
    T value_ {};
    status error_;
};

NIBBLE_END_TYPES
