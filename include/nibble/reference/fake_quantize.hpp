// The definition of fake quantization, its gradients and their sums, one number at a time.
#pragma once

#include "../core/strict_math.hpp"
#include "../quantize/fake_quantize.hpp"
#include "gemm.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

inline void fake_quantize(matrix_view<const float> x, const fake_quantization& f, matrix_view<float> y) noexcept
{
    const default_fp_mode mode;
    const params_strides strides = strides_of(f.params.kind, x.cols, f.params.group_size, f.params.block_rows);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::size_t at = static_cast<std::size_t>(r / strides.block_rows * strides.row + c / strides.group_size * strides.group);
            const std::int32_t zero_point = f.params.zero_points.empty() ? 0 : f.params.zero_points[at];
            y(r, c)
                = dequantize(quantize(x(r, c), f.params.scales[at], zero_point, f.rule, f.codes, r, c), f.params.scales[at], zero_point);
        }
}

/// One element's dy/dscale, and whether it is clipped, in which case dy/dzero_point is -scale.
struct fake_quantize_derivative {
    bool clipped;
    float scale;
};

inline fake_quantize_derivative derive(float x, float scale, std::int32_t zero_point, const fake_quantization& f, gradient_rule how,
    std::ptrdiff_t row, std::ptrdiff_t column) noexcept
{
    float v = opaque(f.rule.divide ? x / scale : x * (1.0f / scale));
    if ((float_bits(v) & 0x7fffffffu) > 0x7f800000u)
        v = 0.0f;
    const std::int32_t wide = quantize(x, scale, zero_point, f.rule, {f.codes.qmin - 1, f.codes.qmax + 1}, row, column);
    const bool clipped = how.test == clip_test::code
                             ? wide < f.codes.qmin || wide > f.codes.qmax
                             : v <= static_cast<float>(f.codes.qmin - zero_point) || v >= static_cast<float>(f.codes.qmax - zero_point);
    const std::int32_t code = wide < f.codes.qmin ? f.codes.qmin : wide > f.codes.qmax ? f.codes.qmax : wide;
    const float distance = static_cast<float>(code - zero_point);
    return {clipped, strict_math::choose(clipped, distance, strict_math::choose(how.scale == scale_gradient::lsq, distance - v, 0.0f))};
}

/// The sums of one row's group of columns: 32 partial ones, element i of the group in number i % 32, each a chain of fused multiply-adds
/// (of sums, for zero points); number i then takes number i + 16, and so on in halves.
struct gradient_sums {
    float scale, zero_point;
};

inline gradient_sums sum_gradients(const float* dy, const fake_quantize_derivative* each, std::ptrdiff_t count) noexcept
{
    float scale[32] = {}, zero_point[32] = {};
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        scale[i % 32] = strict_math::fma(dy[i], each[i].scale, scale[i % 32]);
        zero_point[i % 32] = zero_point[i % 32] + strict_math::choose(each[i].clipped, dy[i], 0.0f);
    }
    for (std::ptrdiff_t half = 16; half > 0; half /= 2)
        for (std::ptrdiff_t i = 0; i < half; ++i) {
            scale[i] = scale[i] + scale[i + half];
            zero_point[i] = zero_point[i] + zero_point[i + half];
        }
    return {scale[0] + 0.0f, zero_point[0] + 0.0f};
}

/// scratch: fake_quantize_scratch floats; terms: one derivative for every column.
inline void fake_quantize_backward(matrix_view<const float> x, matrix_view<const float> dy, const fake_quantization& f,
    fake_quantize_gradients out, span<float> scratch, span<fake_quantize_derivative> terms, gradient_rule how = {}) noexcept
{
    const default_fp_mode mode;
    const params_strides strides = strides_of(f.params.kind, x.cols, f.params.group_size, f.params.block_rows);
    const std::ptrdiff_t groups = x.cols / strides.group_size + (x.cols % strides.group_size != 0);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r) {
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const std::size_t at = static_cast<std::size_t>(r / strides.block_rows * strides.row + c / strides.group_size * strides.group);
            const std::int32_t zero_point = f.params.zero_points.empty() ? 0 : f.params.zero_points[at];
            terms[static_cast<std::size_t>(c)] = derive(x(r, c), f.params.scales[at], zero_point, f, how, r, c);
        }
        for (std::ptrdiff_t g = 0; g < groups; ++g) {
            const std::ptrdiff_t begin = g * strides.group_size, left = x.cols - begin;
            const gradient_sums sums
                = sum_gradients(dy.row(r) + begin, terms.data() + begin, left < strides.group_size ? left : strides.group_size);
            scratch[static_cast<std::size_t>(r * groups + g)] = sums.scale;
            scratch[static_cast<std::size_t>((x.rows + r) * groups + g)] = sums.zero_point;
        }
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            out.x(r, c) = strict_math::choose(terms[static_cast<std::size_t>(c)].clipped, 0.0f, dy(r, c));
    }
    const bool all_rows = f.params.kind == granularity::per_tensor || f.params.kind == granularity::per_column;
    const std::ptrdiff_t block_rows = all_rows ? x.rows : strides.block_rows;
    if (x.rows == 0 || x.cols == 0)
        return;
    // Parameter i is that of column group i % groups in the i / groups-th block of rows.
    const auto gradient_of = [&](std::size_t i, const float* sums, double sign_and_scale) {
        const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(i) / groups, group = static_cast<std::ptrdiff_t>(i) % groups;
        double total = 0.0;
        for (std::ptrdiff_t first = block * block_rows, r = first; r < x.rows && r - first < block_rows; ++r)
            total += static_cast<double>(sums[r * groups + group]);
        const float gradient = static_cast<float>(total * static_cast<double>(how.factor) * sign_and_scale);
        return strict_math::choose(is_nan(gradient), quiet_nan(), gradient);
    };
    for (std::size_t i = 0; i < out.scale.size(); ++i)
        out.scale[i] = gradient_of(i, scratch.data(), 1.0);
    for (std::size_t i = 0; i < out.zero_point.size(); ++i)
        out.zero_point[i] = gradient_of(i, scratch.data() + x.rows * groups, -static_cast<double>(f.params.scales[i]));
}

/// A linear layer in fake quantization whose sums are exact: x and w are values that fake_quantize gave, fx (one scale) and fw (of the rows
/// of w) what it was given. Codes come back from values as the nearest integer to value / scale, for scales not below 2^-126. The epilogue
/// is gemm's, and so is the result, bit for bit, of codes and packed weights. C: int32, float, int8 or uint8.
template <class C>
inline void fake_quantized_linear(matrix_view<const float> x, const fake_quantization& fx, matrix_view<const float> w,
    const fake_quantization& fw, const epilogue& e, matrix_view<C> c) noexcept
{
    const default_fp_mode mode;
    const params_strides strides = strides_of(fw.params.kind, w.cols, fw.params.group_size);
    const float x_scale = fx.params.scales[0];
    for (std::ptrdiff_t i = 0; i < x.rows; ++i)
        for (std::ptrdiff_t j = 0; j < w.rows; ++j) {
            float sum = 0.0f;
            std::int64_t exact = 0;
            for (std::ptrdiff_t begin = 0, g = 0; begin < w.cols; begin += strides.group_size, ++g) {
                const float w_scale = fw.params.scales[static_cast<std::size_t>(j * strides.row + g * strides.group)];
                const std::ptrdiff_t end = w.cols - begin < strides.group_size ? w.cols : begin + strides.group_size;
                exact = 0;
                for (std::ptrdiff_t l = begin; l < end; ++l)
                    exact += static_cast<std::int64_t>(std::nearbyint(x(i, l) / x_scale))
                             * static_cast<std::int64_t>(std::nearbyint(w(j, l) / w_scale));
                sum = strict_math::fma(static_cast<float>(static_cast<std::int32_t>(exact)), w_scale, sum);
            }
            if constexpr (std::is_same_v<C, std::int32_t>)
                c(i, j) = static_cast<std::int32_t>(exact);
            else
                c(i, j) = finish<C>(sum, x_scale, e, j);
        }
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
