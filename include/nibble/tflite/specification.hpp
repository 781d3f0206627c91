// Checks whether quantized tensors follow the TFLite int8 specification (tensorflow.org/lite/performance/quantization_spec):
//   activations   int8, one scale, zero point in [-128, 127]
//   weights       int8 in [-127, 127] (int4 in [-7, 7]), zero points 0; one scale, or one a channel: dimension 0 of convolutions and fully
//                 connected layers, dimension 3 of depthwise ones
//   bias          int32, as many scales as the weights, each the input's times the weights' to within 2^-20 of it, zero points 0
//   16x8          int16 activations with zero point 0, an int64 bias; weights as above
//   fixed output  logistic, softmax 1/256, -128; tanh, l2_normalization 1/128, 0; log_softmax 16/256, 127
//                 (int16: logistic, softmax 1/32768, 0; tanh likewise)
//   same params   of inputs and output: pooling, concatenation, reshape, resizing, padding, maximum, minimum, of two tensors or reduced,
//                 slices and others that move codes only
// The result is the first broken rule.
#pragma once

#include "tables.hpp"

NIBBLE_BEGIN
namespace tflite {

enum class operation : std::uint8_t {
    conv_2d,           ///< inputs: activations, weights, bias (may be left out)
    depthwise_conv_2d, ///< the same
    transpose_conv_2d, ///< the same
    fully_connected,   ///< the same
    add,               ///< two inputs, as all up to batch_matmul
    sub,
    mul,
    squared_difference,
    prelu,         ///< x, slopes
    batch_matmul,  ///< both of activations
    concatenation, ///< one input or more, same params
    maximum,       ///< two inputs, same params, as the next two
    minimum,
    pad_v2,          ///< x, what it is padded with
    average_pool_2d, ///< one input, same params, as all up to the blank line
    max_pool_2d,
    reduce_max,
    reduce_min,
    reshape,
    resize_bilinear,
    resize_nearest_neighbor,
    pad,
    slice,
    transpose,
    gather,
    space_to_depth,

    mean, ///< one input, as all that follow
    sum,
    quantize,
    relu,
    relu6,
    hard_swish,
    leaky_relu,
    elu,
    logistic, ///< fixed output, as all that follow
    softmax,
    tanh,
    l2_normalization,
    log_softmax,
};

enum class integer_type : std::uint8_t { s4, s8, s16, s32, s64 };

/// What is known of a tensor.
struct quantized_tensor {
    integer_type type = integer_type::s8;
    span<const float> scales {};
    span<const std::int32_t> zero_points {}; ///< as many as scales, or empty: all 0
    std::ptrdiff_t axis = 0;                 ///< along which more than one scale run
    std::ptrdiff_t channels = 1;             ///< the tensor's size along that axis
    span<const std::int8_t> codes {};        ///< int8 weights, whose values are to be checked
};

} // namespace tflite
NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace tflite {

namespace detail {

inline status check_scales(const quantized_tensor& t) noexcept
{
    if (nibble::check(t.scales) != status::ok || nibble::check(t.zero_points) != status::ok)
        return status::null_pointer;
    if (t.scales.empty() || (!t.zero_points.empty() && t.zero_points.size() != t.scales.size()))
        return status::params_count_mismatch;
    for (const float& scale : t.scales)
        if (!is_positive_finite(scale))
            return status::scale_invalid;
    return status::ok;
}

inline std::int32_t zero_point_of(const quantized_tensor& t) noexcept { return t.zero_points.empty() ? 0 : t.zero_points[0]; }

inline status check_activations(const quantized_tensor& t) noexcept
{
    if (const status s = check_scales(t); s != status::ok)
        return s;
    if (t.type != integer_type::s8 && t.type != integer_type::s16)
        return status::operand_type_invalid;
    if (t.scales.size() != 1)
        return status::granularity_unsupported;
    const bool wide = t.type == integer_type::s16;
    const std::int32_t zero_point = zero_point_of(t);
    return zero_point < (wide ? 0 : -128) || zero_point > (wide ? 0 : 127) ? status::zero_point_out_of_range : status::ok;
}

inline status check_zeros(const quantized_tensor& t) noexcept
{
    for (const std::int32_t zero_point : t.zero_points)
        if (zero_point != 0)
            return status::weight_zero_point;
    return status::ok;
}

inline status check_weights(operation op, const quantized_tensor& w) noexcept
{
    if (const status s = check_scales(w); s != status::ok)
        return s;
    if (w.type != integer_type::s8 && w.type != integer_type::s4)
        return status::operand_type_invalid;
    if (w.scales.size() != 1) {
        if (w.axis != (op == operation::depthwise_conv_2d ? 3 : 0))
            return status::quantized_axis_invalid;
        if (w.scales.size() != static_cast<std::size_t>(w.channels))
            return status::params_count_mismatch;
    }
    if (const status s = check_zeros(w); s != status::ok)
        return s;
    if (nibble::check(w.codes) != status::ok)
        return status::null_pointer;
    const std::int32_t limit = w.type == integer_type::s8 ? 127 : 7;
    for (const std::int8_t code : w.codes)
        if (code < -limit || code > limit)
            return status::weight_code_invalid;
    return status::ok;
}

inline status check_bias(const quantized_tensor& x, const quantized_tensor& w, const quantized_tensor& bias) noexcept
{
    if (const status s = check_scales(bias); s != status::ok)
        return s;
    if (bias.type != integer_type::s32 && !(bias.type == integer_type::s64 && x.type == integer_type::s16))
        return status::operand_type_invalid;
    if (bias.scales.size() != w.scales.size())
        return status::params_count_mismatch;
    const default_fp_mode mode;
    for (std::size_t i = 0; i < bias.scales.size(); ++i) {
        const double wanted = static_cast<double>(x.scales[0]) * static_cast<double>(w.scales[i]);
        const double apart = static_cast<double>(bias.scales[i]) - wanted;
        if (apart > wanted / 1048576.0 || apart < wanted / -1048576.0)
            return status::bias_scale_invalid;
    }
    return check_zeros(bias);
}

inline bool same_params(const quantized_tensor& a, const quantized_tensor& b) noexcept
{
    return float_bits(a.scales[0]) == float_bits(b.scales[0]) && zero_point_of(a) == zero_point_of(b);
}

/// The fixed output of an operation, or scale 0.
inline quantization fixed_output(operation op, integer_type type) noexcept
{
    const bool wide = type == integer_type::s16;
    switch (op) {
    case operation::logistic: return wide ? quantization {1.0f / 32768.0f, 0} : logistic_output;
    case operation::softmax: return wide ? quantization {1.0f / 32768.0f, 0} : softmax_output;
    case operation::tanh: return wide ? quantization {1.0f / 32768.0f, 0} : tanh_output;
    case operation::l2_normalization: return l2_normalization_output;
    case operation::log_softmax: return log_softmax_output;
    default: return {0.0f, 0};
    }
}

} // namespace detail

/// The inputs in the operation's order; ok, or the first broken rule.
inline status check(operation op, span<const quantized_tensor> inputs, const quantized_tensor& output) noexcept
{
    if (nibble::check(inputs) != status::ok)
        return status::null_pointer;
    const bool weighted = op <= operation::fully_connected, two = op >= operation::add && op <= operation::batch_matmul;
    const bool pairs = two || (op >= operation::maximum && op <= operation::pad_v2);
    const std::size_t count = inputs.size();
    if (weighted ? count != 2 && count != 3 : pairs ? count != 2 : op == operation::concatenation ? count == 0 : count != 1)
        return status::operand_count_invalid;
    for (std::size_t i = 0; i < (weighted ? 1 : count); ++i) {
        if (const status s = detail::check_activations(inputs[i]); s != status::ok)
            return s;
        if (inputs[i].type != output.type && op != operation::quantize) // which also goes from int8 to int16 and back
            return status::operand_type_invalid;
    }
    if (const status s = detail::check_activations(output); s != status::ok)
        return s;
    if (weighted) {
        if (const status s = detail::check_weights(op, inputs[1]); s != status::ok)
            return s;
        if (count == 3)
            return detail::check_bias(inputs[0], inputs[1], inputs[2]);
        return status::ok;
    }
    if (op >= operation::concatenation && op <= operation::space_to_depth)
        for (const quantized_tensor& input : inputs)
            if (!detail::same_params(input, output))
                return status::same_params_needed;
    if (const quantization fixed = detail::fixed_output(op, output.type); fixed.scale != 0.0f)
        if (float_bits(output.scales[0]) != float_bits(fixed.scale) || detail::zero_point_of(output) != fixed.zero_point)
            return status::fixed_params_needed;
    return status::ok;
}

} // namespace tflite
NIBBLE_END
NIBBLE_STRICT_END
