// One hash a kernel, of every byte that it writes for many shapes and hard data. The same on every backend, thread count, compiler and
// flag, for every number of rows, and whatever floating-point mode the caller has set; checksums.txt holds the hashes.
//   nibble_checksums [--backend NAME] [--threads N] [--check FILE | --write FILE]
// A new operation is a function that takes a run and a line in `operations`. What a run offers:
//   reference()     whether to compute with the definition in nibble/reference instead, where there is one
//   threads()       an executor for the operations that take one
//   rows(m, f)      f(first, count) for all rows, at once or one by one, where rows do not depend on each other
//   must(status)    ends the program if an operation refuses
//   output(vector)  what is hashed: the end of a case
#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "../../examples/common/command_line.hpp"
#include "blocks.hpp"
#include "images.hpp"
#include "operators.hpp"
#include "ptq.hpp"
#include "tflite_operators.hpp"
#include "tflite_int16.hpp"
#include "training.hpp"

namespace {

struct operation {
    const char* name;
    void (*function)(run&);
    const char* kernels; // those of all_kernels.inc that it runs
};

const operation operations[] = {
    {"convert_f32_f16", convert_values<float, half>, "f32_to_half"},
    {"convert_f16_f32", convert_values<half, float>, "half_to_f32"},
    {"convert_f32_bf16", convert_values<float, bfloat16>, "f32_to_bfloat16"},
    {"convert_bf16_f32", convert_values<bfloat16, float>, "bfloat16_to_f32"},
    {"convert_f32_e4m3", convert_to_float8<float8_e4m3>, "f32_to_float8_e4m3"},
    {"convert_e4m3_f32", convert_values<float8_e4m3, float>, "float8_e4m3_to_f32"},
    {"convert_f32_e5m2", convert_to_float8<float8_e5m2>, "f32_to_float8_e5m2"},
    {"convert_e5m2_f32", convert_values<float8_e5m2, float>, "float8_e5m2_to_f32"},
    {"float6_e2m3", small_float<float6_e2m3>, ""},
    {"float6_e3m2", small_float<float6_e3m2>, ""},
    {"float4_e2m1", small_float<float4_e2m1>, ""},
    {"float8_e8m0", e8m0, ""},
    {"nf4", normal_float, ""},
    {"choose_params_s8_symmetric", choose<std::int8_t, scheme::symmetric>, "range_f32"},
    {"choose_params_s8_affine", choose<std::int8_t, scheme::affine>, "range_f32"},
    {"choose_params_u8_affine", choose<std::uint8_t, scheme::affine>, "range_f32"},
    {"choose_params_s4_symmetric", choose<int4x2, scheme::symmetric>, "range_f32"},
    {"choose_params_u4_symmetric", choose<uint4x2, scheme::symmetric>, "range_f32"},
    {"choose_params_u4_affine", choose<uint4x2, scheme::affine>, "range_f32"},
    {"choose_params_nibble", choose_formula<params_formula::nibble>, "range_f32"},
    {"choose_params_onnx", choose_formula<params_formula::onnx>, "range_f32"},
    {"choose_params_tflite", choose_formula<params_formula::tflite>, "range_f32"},
    {"choose_params_pytorch", choose_formula<params_formula::pytorch>, "range_f32"},
    {"choose_params_fbgemm", choose_formula<params_formula::fbgemm>, "range_f32"},
    {"quantize_s8", quantize_codes<std::int8_t>, "quantize_8"},
    {"quantize_u8", quantize_codes<std::uint8_t>, "quantize_8"},
    {"quantize_s4", quantize_codes<int4x2>, "quantize_4"},
    {"quantize_u4", quantize_codes<uint4x2>, "quantize_4"},
    {"quantize_s2", quantize_codes<int2x4>, "quantize_2"},
    {"quantize_u2", quantize_codes<uint2x4>, "quantize_2"},
    {"quantize_ties_to_even", quantize_rounding<rounding::ties_to_even>, "quantize_8 quantize_4 quantize_2"},
    {"quantize_half_away_from_zero", quantize_rounding<rounding::half_away_from_zero>, "quantize_8 quantize_4 quantize_2"},
    {"quantize_half_up", quantize_rounding<rounding::half_up>, "quantize_8 quantize_4 quantize_2"},
    {"quantize_toward_zero", quantize_rounding<rounding::toward_zero>, "quantize_8 quantize_4 quantize_2"},
    {"quantize_stochastic", quantize_rounding<rounding::stochastic>, "quantize_8 quantize_4 quantize_2"},
    {"quantize_dynamic_s8", quantize_absmax<std::int8_t>, "quantize_absmax_8"},
    {"quantize_dynamic_s4", quantize_absmax<int4x2>, "quantize_absmax_4"},
    {"dequantize_s8", dequantize_codes<std::int8_t>, "dequantize_s8"},
    {"dequantize_u8", dequantize_codes<std::uint8_t>, "dequantize_u8"},
    {"dequantize_s4", dequantize_codes<int4x2>, "dequantize_s4"},
    {"dequantize_u4", dequantize_codes<uint4x2>, "dequantize_u4"},
    {"dequantize_s2", dequantize_codes<int2x4>, "dequantize_s2"},
    {"dequantize_u2", dequantize_codes<uint2x4>, "dequantize_u2"},
    {"quantize_mxfp4", quantize_mx_blocks<float4_e2m1x2>, "quantize_mx"},
    {"quantize_mxfp6_e2m3", quantize_mx_blocks<float6_e2m3x4>, "quantize_mx"},
    {"quantize_mxfp6_e3m2", quantize_mx_blocks<float6_e3m2x4>, "quantize_mx"},
    {"quantize_mxfp8_e4m3", quantize_mx_blocks<float8_e4m3>, "quantize_mx"},
    {"quantize_mxfp8_e5m2", quantize_mx_blocks<float8_e5m2>, "quantize_mx"},
    {"quantize_mxint8", quantize_mx_blocks<std::int8_t>, "quantize_mx"},
    {"quantize_ggml_blocks", quantize_ggml_blocks<false>, "search_symmetric search_descent search_affine search_iq4"},
    {"quantize_ggml_blocks_weighted", quantize_ggml_blocks<true>, "search_symmetric search_affine search_iq4"},
    {"dequantize_ggml_blocks", dequantize_ggml_blocks<>, "dequantize_ggml"},
    {"quantize_q1_0_q2_0", quantize_ggml_blocks<false, true>, ""},
    {"dequantize_q1_0_q2_0", dequantize_ggml_blocks<true>, "dequantize_ggml"},
    {"dequantize_mxfp4", dequantize_mx_blocks<float4_e2m1x2>, "dequantize_mx"},
    {"dequantize_mxfp6_e2m3", dequantize_mx_blocks<float6_e2m3x4>, "dequantize_mx"},
    {"dequantize_mxfp6_e3m2", dequantize_mx_blocks<float6_e3m2x4>, "dequantize_mx"},
    {"dequantize_mxfp8_e4m3", dequantize_mx_blocks<float8_e4m3>, "dequantize_mx"},
    {"dequantize_mxfp8_e5m2", dequantize_mx_blocks<float8_e5m2>, "dequantize_mx"},
    {"dequantize_mxint8", dequantize_mx_blocks<std::int8_t>, "dequantize_mx"},
    {"quantize_nvfp4", quantize_nvfp4_blocks, "quantize_nvfp4"},
    {"dequantize_nvfp4", dequantize_nvfp4_blocks, "dequantize_nvfp4"},
    {"requantize_float", requantize_mode_of<requantize_mode::float_ties_to_even>, "requantize_s32"},
    {"requantize_double_rounding", requantize_mode_of<requantize_mode::double_rounding>, "requantize_s32"},
    {"requantize_single_rounding", requantize_mode_of<requantize_mode::single_rounding>, "requantize_s32"},
    {"encode_multiplier", multipliers, ""},
    {"pack_s8", pack_codes<std::int8_t>, ""},
    {"pack_s4", pack_codes<int4x2>, ""},
    {"pack_u4", pack_codes<uint4x2>, ""},
    {"gemm_f32_s8_f32", gemm_dynamic<std::int8_t, float>, "pack_f32 gemm_w8"},
    {"gemm_f32_s8_s8", gemm_dynamic<std::int8_t, std::int8_t>, "pack_f32 gemm_w8"},
    {"gemm_f32_s8_u8", gemm_dynamic<std::int8_t, std::uint8_t>, "pack_f32 gemm_w8"},
    {"gemm_f32_s8_f32_reduced", gemm_dynamic<std::int8_t, float, true>, "pack_f32 gemm_w8_reduced"},
    {"gemm_ggml_blocks", gemm_ggml_blocks<>, "pack_f32 gemm_blocks_w8 gemm_blocks_w4"},
    {"gemm_ggml_blocks_reduced", gemm_ggml_blocks<true>, "pack_f32 gemm_blocks_w8_reduced"},
    {"gemm_q1_0_q2_0", gemm_ggml_blocks<false, true>, "pack_f32 gemm_blocks_w4"},
    {"gemm_f32_s4_f32", gemm_dynamic<int4x2, float>, "pack_f32 gemm_w4"},
    {"gemm_f32_s4_s8", gemm_dynamic<int4x2, std::int8_t>, "pack_f32 gemm_w4"},
    {"gemm_f32_u4_f32", gemm_dynamic<uint4x2, float>, "pack_f32 gemm_w4"},
    {"gemm_s8_s8_s32", gemm_static<std::int8_t, std::int32_t>, "pack_s8 gemm_w8"},
    {"gemm_s8_s8_f32", gemm_static<std::int8_t, float>, "pack_s8 gemm_w8"},
    {"gemm_s8_s8_s8", gemm_static<std::int8_t, std::int8_t>, "pack_s8 gemm_w8"},
    {"gemm_u8_s8_s32", gemm_static<std::uint8_t, std::int32_t>, "pack_u8 gemm_w8"},
    {"gemm_u8_s8_f32", gemm_static<std::uint8_t, float>, "pack_u8 gemm_w8"},
    {"gemm_u8_s8_u8", gemm_static<std::uint8_t, std::uint8_t>, "pack_u8 gemm_w8"},
    {"gemm_s8_s8_f32_reduced", gemm_static<std::int8_t, float, true>, "pack_s8 gemm_w8_reduced"},
    {"gemm_u8_s8_s32_reduced", gemm_static<std::uint8_t, std::int32_t, true>, "pack_u8 gemm_w8_reduced"},
    {"gemm_requantize_float", gemm_requantize<requantize_mode::float_ties_to_even>, "gemm_w8"},
    {"gemm_requantize_double_rounding", gemm_requantize<requantize_mode::double_rounding>, "gemm_w8"},
    {"gemm_requantize_single_rounding", gemm_requantize<requantize_mode::single_rounding>, "gemm_w8"},
    {"gemm_f32_f32_f32", gemm_float<float, float>, "gemm_f32"},
    {"gemm_f32_f32_s8", gemm_float<float, std::int8_t>, "gemm_f32"},
    {"gemm_f32_f16_f32", gemm_float<half, float>, "gemm_half"},
    {"gemm_f32_bf16_f32", gemm_float<bfloat16, float>, "gemm_bfloat16"},
    {"activation_relu", activate<activation_function::relu>, "gemm_f32"},
    {"activation_gelu", activate<activation_function::gelu>, "gemm_f32"},
    {"activation_gelu_tanh", activate<activation_function::gelu_tanh>, "gemm_f32"},
    {"activation_silu", activate<activation_function::silu>, "gemm_f32"},
    {"product_f64", product_in_double, "product_f64"},
    {"onnx_quantize_linear", onnx_linear<false>, "quantize_8 quantize_4 quantize_2"},
    {"onnx_dequantize_linear", onnx_linear<true>, ""},
    {"onnx_dynamic_quantize_linear", onnx_dynamic, "range_f32 quantize_8"},
    {"onnx_matmul", onnx_matmul, "gemm_w8"},
    {"onnx_matmul_nbits", onnx_nbits, ""},
    {"onnx_quantize_linear_16_bits", onnx_linear_16<false>, ""},
    {"onnx_dequantize_linear_16_bits", onnx_linear_16<true>, ""},
    {"onnx_quantize_linear_floats", onnx_linear_floats<false>, "f32_to_float8_e4m3 f32_to_float8_e5m2"},
    {"onnx_dequantize_linear_floats", onnx_linear_floats<true>, "float8_e4m3_to_f32 float8_e5m2_to_f32"},
    {"onnx_matmul_batches", onnx_matmul_batches, "gemm_w8"},
    {"onnx_conv", onnx_conv, "pack_codes gemm_w8 depthwise_s8"},
    {"tflite_conv2d", convolve<false>, "pack_codes gemm_w8"},
    {"tflite_transpose_conv2d", convolve<true>, "pack_codes gemm_w8"},
    {"tflite_depthwise_conv2d", convolve_depthwise, "depthwise_s8"},
    {"tflite_add", add_images, "add_s8"},
    {"tflite_multiply", multiply_images, "multiply_s8"},
    {"tflite_conv2d_16x8", convolve_16x8<wide_output_stage>, "requantize_16x8"},
    {"tflite_conv2d_16x8_s32", convolve_16x8<narrow_output_stage>, "requantize_16x8"},
    {"tflite_depthwise_conv2d_16x8", convolve_depthwise_16x8<wide_output_stage>, "depthwise_s16"},
    {"tflite_depthwise_conv2d_16x8_s32", convolve_depthwise_16x8<narrow_output_stage>, "depthwise_s16"},
    {"tflite_add_16x8", combine_wide_images<true>, "add_s16"},
    {"tflite_multiply_16x8", combine_wide_images<false>, "multiply_s16"},
    {"tflite_tables", look_up_tables, ""},
    {"tflite_pooling", pool_images, ""},
    {"tflite_softmax", softmax_rows, ""},
    {"tflite_subtract", subtract_images, "add_s8"},
    {"tflite_squared_difference", square_differences_of_images, "requantize_s32"},
    {"tflite_maximum", extremes_of_images<true>, ""},
    {"tflite_minimum", extremes_of_images<false>, ""},
    {"tflite_prelu", prelu_images, ""},
    {"tflite_leaky_relu", leaky_relu_codes, ""},
    {"tflite_elu", elu_codes, ""},
    {"tflite_l2_normalization", l2_normalized_rows, ""},
    {"tflite_log_softmax", log_softmax_rows, ""},
    {"tflite_sum", reduced_sums<false>, "requantize_s32"},
    {"tflite_mean", reduced_sums<true>, "requantize_s32"},
    {"tflite_reduce_max", reduced_extremes<true>, ""},
    {"tflite_reduce_min", reduced_extremes<false>, ""},
    {"tflite_resize_bilinear", resized_images<true>, ""},
    {"tflite_resize_nearest_neighbor", resized_images<false>, ""},
    {"tflite_pad", padded_tensors, ""},
    {"tflite_batch_matmul", batched_products, "gemm_w8"},
    {"tflite_activations_int16", activate_int16, ""},
    {"tflite_interpolation_int16", interpolate_int16, ""},
    {"tflite_softmax_int16", softmax_int16, ""},
    {"tflite_softmax_to_int16", softmax_to_int16, ""},
    {"tflite_quantize_int16", floats_and_int16, ""},
    {"tflite_requantize", requantize_integers, ""},
    {"tflite_int4_filters", int4_filters, "pack_codes gemm_w8"},
    {"fake_quantize", fake_quantize_values, "fake_quantize_f32"},
    {"fake_quantize_backward", fake_quantize_gradients_of, "fake_quantize_backward_f32"},
    {"gptq", gptq_codes, "product_f64"},
    {"awq", awq_codes, "product_f64"},
    {"hqq", hqq_codes, ""},
    {"smooth_quant", smooth_quant_scales, "gemm_w8"},
    {"column_split", column_split_product, "gemm_w8 gemm_f32"},
};

// Every kernel must have a line above.
const char* const all_kernels[] = {
#define NIBBLE_KERNEL(name, args) #name,
#include <nibble/all_kernels.inc>
#undef NIBBLE_KERNEL
};

bool has_checksum(const std::string& kernel)
{
    for (const operation& op : operations)
        if ((std::string(" ") + op.kernels + " ").find(" " + kernel + " ") != std::string::npos)
            return true;
    return false;
}

// The floating-point mode of a caller who flushes subnormals to zero and rounds up.
#if defined(__x86_64__)
using fp_mode = std::uint32_t;
constexpr fp_mode hostile_bits = 0x8040u | 0x4000u, mode_mask = 0xffc0u;
fp_mode get_mode()
{
    fp_mode mode;
    __asm__ volatile("stmxcsr %0" : "=m"(mode)::"memory");
    return mode;
}
void set_mode(fp_mode mode) { __asm__ volatile("ldmxcsr %0" ::"m"(mode) : "memory"); }
#elif defined(__aarch64__)
using fp_mode = std::uint64_t;
constexpr fp_mode hostile_bits = 1u << 24 | 1u << 22, mode_mask = ~fp_mode {0};
fp_mode get_mode()
{
    fp_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode)::"memory");
    return mode;
}
void set_mode(fp_mode mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode) : "memory"); }
#else
using fp_mode = int;
constexpr fp_mode hostile_bits = 0, mode_mask = 0;
fp_mode get_mode() { return 0; }
void set_mode(fp_mode) {}
#endif

int failures = 0;

// Runs one operation in one way and holds it against `expected`, unless that is still empty.
run perform(const operation& op, const variant& how, const std::vector<std::uint64_t>& expected)
{
    run r(how);
    const fp_mode before = get_mode(), mode = how.hostile_mode ? before | hostile_bits : before;
    set_mode(mode);
    op.function(r);
    const fp_mode after = get_mode();
    set_mode(before);
    const char* on = how.reference ? "reference" : to_string(active_backend());
    if ((after & mode_mask) != (mode & mode_mask)) {
        std::printf("DIFFERENT %s on %s: the caller's floating-point mode is not what it was\n", op.name, on);
        ++failures;
    }
    if (!expected.empty() && r.cases != expected) {
        const std::size_t all = std::min(expected.size(), r.cases.size());
        std::size_t first = 0;
        while (first < all && r.cases[first] == expected[first])
            ++first;
        std::printf("DIFFERENT %s on %s, %s: the first of its %zu outputs that differs is number %zu\n", op.name, on, how.name,
            expected.size(), first + 1);
        ++failures;
    }
    return r;
}

std::string line_of(const char* name, std::uint64_t hash)
{
    char line[100];
    std::snprintf(line, sizeof line, "%s %016" PRIx64, name, hash);
    return line;
}

int usage()
{
    std::fprintf(stderr, "nibble_checksums [--backend NAME] [--threads N] [--check FILE | --write FILE]\n");
    return 2;
}

} // namespace

int main(int argc, char** argv)
{
    const char *check_file = nullptr, *write_file = nullptr;
    std::vector<backend> backends;
    int threads = 1;
    for (int i = 1; i < argc; i += 2) {
        const std::string option = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (value == nullptr)
            return usage();
        if (option == "--check") {
            check_file = value;
        } else if (option == "--write") {
            write_file = value;
        } else if (option == "--threads") {
            const auto given = command_line::whole_number(value, 1, 1024);
            if (!given)
                return usage();
            threads = static_cast<int>(*given);
        } else if (option == "--backend") {
            const auto found = find_backend(value);
            const status usable = found ? check_backend(*found) : found.error();
            if (usable != status::ok) {
                std::fprintf(stderr, "%s: %s\n", value, to_string(usable));
                return 2;
            }
            backends.push_back(*found);
        } else {
            return usage();
        }
    }
    if (backends.empty())
        for (int i = 0; i < backend_count; ++i)
            if (check_backend(static_cast<backend>(i)) == status::ok)
                backends.push_back(static_cast<backend>(i));

    const variant first {"the first run", threads, false, false, false};
    const variant others[]
        = {{"1 thread", 1, false, false, false}, {"2 threads", 2, false, false, false}, {"5 threads", 5, false, false, false},
            {"one row at a time", 1, true, false, false}, {"the caller flushes to zero and rounds up", 1, false, true, false}};
    const variant definition {"the definition", 1, false, false, true}, hostile_definition {"in the caller's mode", 1, false, true, true};
    std::map<std::string, std::string> lines;
    std::vector<std::string> order;
    for (const operation& op : operations) {
        std::vector<std::uint64_t> expected;
        for (const backend b : backends) {
            if (force_backend(b) != status::ok)
                return 2;
            const run r = perform(op, first, expected);
            if (expected.empty()) {
                expected = r.cases;
                if (r.has_reference) {
                    perform(op, definition, expected);
                    perform(op, hostile_definition, expected);
                }
            }
            for (const variant& how : others)
                if (how.hostile_mode || (how.single_rows && r.has_rows) || (how.threads != threads && r.has_threads))
                    perform(op, how, expected);
        }
        order.push_back(line_of(op.name, expected.back()));
        if (!lines.emplace(op.name, order.back()).second) {
            std::printf("two operations are called %s\n", op.name);
            ++failures;
        }
        std::printf("%s\n", order.back().c_str());
    }

    for (const char* kernel : all_kernels)
        if (!has_checksum(kernel)) {
            std::printf("DIFFERENT %s: the kernel has no checksum: give it a line in `operations`\n", kernel);
            ++failures;
        }

    std::string on;
    for (const backend b : backends)
        on += std::string(on.empty() ? "" : ", ") + to_string(b);
    if (write_file != nullptr) {
        std::ofstream out(write_file);
        for (const std::string& line : order)
            out << line << '\n';
        if (!out.flush()) {
            std::fprintf(stderr, "cannot write %s\n", write_file);
            return 2;
        }
    }
    if (check_file != nullptr) {
        std::ifstream in(check_file);
        if (!in) {
            std::fprintf(stderr, "cannot read %s\n", check_file);
            return 2;
        }
        for (std::string line; std::getline(in, line);) {
            const std::string name = line.substr(0, line.find(' '));
            const auto found = lines.find(name);
            if (found == lines.end() || found->second != line) {
                std::printf("DIFFERENT %s: %s has %s, this build on %s %s\n", name.c_str(), check_file, line.c_str(), on.c_str(),
                    found == lines.end() ? "has no such kernel" : found->second.c_str());
                ++failures;
            }
            if (found != lines.end())
                lines.erase(found);
        }
        for (const auto& [name, line] : lines) {
            std::printf("DIFFERENT %s: not in %s\n", name.c_str(), check_file);
            ++failures;
        }
    }
    std::printf("%d differences; %zu kernels on %s%s%s\n", failures, order.size(), on.c_str(),
        check_file != nullptr ? ", held against " : "", check_file != nullptr ? check_file : "");
    return failures == 0 ? 0 : 1;
}
