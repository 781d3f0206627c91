// Which benchmark runs each kernel: the beginning of its name. A kernel without a line here does not compile; tests/benchmarks asks the
// program for benchmarks of these names.
#pragma once

#include <string_view>

namespace bench {

struct kernel_benchmark {
    std::string_view kernel, benchmark;
};

inline constexpr kernel_benchmark kernel_benchmarks[] = {
    {"quantize_8", "quantize/float_to_int8/"},
    {"quantize_4", "quantize/float_to_int4_g32/"},
    {"quantize_2", "quantize/float_to_int2_g32/"},
    {"quantize_absmax_8", "quantize/float_to_int8_absmax_g32/"},
    {"quantize_absmax_4", "quantize/float_to_int4_absmax_g32/"},
    {"dequantize_s8", "quantize/int8_to_float/"},
    {"dequantize_u8", "quantize/uint8_to_float/"},
    {"dequantize_s4", "quantize/int4_to_float_g32/"},
    {"dequantize_u4", "quantize/uint4_to_float_g32/"},
    {"dequantize_s2", "quantize/int2_to_float_g32/"},
    {"dequantize_u2", "quantize/uint2_to_float_g32/"},
    {"range_f32", "quantize/range_of_rows/"},
    {"fake_quantize_f32", "quantize/fake_quantize/"},
    {"fake_quantize_backward_f32", "quantize/fake_quantize_backward/"},
    {"requantize_s32", "quantize/int32_to_int8/"},
    {"requantize_16x8", "conv/conv2d_16x8/"},
    {"f32_to_half", "convert/float_to_half/"},
    {"half_to_f32", "convert/half_to_float/"},
    {"f32_to_bfloat16", "convert/float_to_bfloat16/"},
    {"bfloat16_to_f32", "convert/bfloat16_to_float/"},
    {"f32_to_float8_e4m3", "convert/float_to_float8_e4m3/"},
    {"float8_e4m3_to_f32", "convert/float8_e4m3_to_float/"},
    {"f32_to_float8_e5m2", "convert/float_to_float8_e5m2/"},
    {"float8_e5m2_to_f32", "convert/float8_e5m2_to_float/"},
    {"quantize_mx", "quantize/float_to_mxfp4/"},
    {"dequantize_mx", "quantize/mxfp4_to_float/"},
    {"quantize_nvfp4", "quantize/float_to_nvfp4/"},
    {"dequantize_nvfp4", "quantize/nvfp4_to_float/"},
    {"search_symmetric", "blocks/float_to_q6_K/"},
    {"search_descent", "blocks/float_to_q3_K/"},
    {"search_affine", "blocks/float_to_q4_K/"},
    {"search_iq4", "blocks/float_to_iq4_nl/"},
    {"dequantize_ggml", "blocks/q4_K_to_float/"},
    {"depthwise_s8", "conv/depthwise_conv2d/"},
    {"depthwise_s16", "conv/depthwise_conv2d_16x8/"},
    {"add_s8", "conv/add/"},
    {"add_s16", "conv/add_16x8/"},
    {"multiply_s8", "conv/multiply/"},
    {"multiply_s16", "conv/multiply_16x8/"},
    {"product_f64", "accuracy/hessian/"},
    {"pack_f32", "gemm/float_x_int8/"},
    {"pack_s8", "gemm/int8_x_int8_to_int32/"},
    {"pack_u8", "gemm/uint8_x_int8_to_int32/"},
    {"pack_codes", "conv/conv2d/"},
    {"gemm_w8", "gemm/float_x_int8/"},
    {"gemm_w8_reduced", "gemm/float_x_int8_reduced/"},
    {"gemm_blocks_w8", "gemm/float_x_q8_0/"},
    {"gemm_blocks_w8_reduced", "gemm/float_x_q8_0_reduced/"},
    {"gemm_w4", "gemm/float_x_int4_g32/"},
    {"gemm_blocks_w4", "gemm/float_x_q4_0/"},
    {"gemm_f32", "gemm/float_x_float/"},
    {"gemm_half", "gemm/float_x_half/"},
    {"gemm_bfloat16", "gemm/float_x_bfloat16/"},
};

constexpr bool has_benchmark(std::string_view kernel)
{
    for (const kernel_benchmark& each : kernel_benchmarks)
        if (each.kernel == kernel)
            return true;
    return false;
}

#define NIBBLE_KERNEL(name, args) static_assert(has_benchmark(#name), "this kernel has no benchmark: see benchmarks/kernels.hpp");
#include <nibble/all_kernels.inc>
#undef NIBBLE_KERNEL

} // namespace bench
