// The definition of every product: three loops over unpacked weights. Integers are exact; floats are one chain of operations in the order
// written here, so that every backend gives these bits.
#pragma once

#include "../gemm/gemm.hpp"
#include "math.hpp"
#include "quantize.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

/// The epilogue of gemm/epilogue.hpp for the sum of column j.
template <class C>
inline C finish(float sum, float activation_scale, const epilogue& e, std::ptrdiff_t j) noexcept
{
    const std::size_t column = static_cast<std::size_t>(j);
    const float s = e.scale.empty() ? activation_scale : e.scale[column] * activation_scale;
    float v = e.bias.empty() ? sum * s : strict_math::fma(sum, s, e.bias[column]);
    v = apply(e.function, v);
    v = clamp(v, e.clamp_low, e.clamp_high);
    if constexpr (std::is_same_v<C, float>)
        return strict_math::choose(is_nan(v), float_from_bits(0x7fc00000u), v);
    else
        return static_cast<C>(quantize(v, e.output_scale, e.output_zero_point, {}, codes_of<C>(code_range::full)));
}

/// Integer activations x quantized weights, the params those of w's rows. w: n x k codes.
template <class A, class W, class C>
inline void gemm(matrix_view<const A> a, span<const float> row_scales, static_activations s, matrix_view<const W> w, std::ptrdiff_t k,
    quant_params_view p, const epilogue& e, matrix_view<C> c) noexcept
{
    const default_fp_mode mode;
    const params_strides strides = strides_of(p.kind, k, p.group_size);
    for (std::ptrdiff_t i = 0; i < a.rows; ++i)
        for (std::ptrdiff_t j = 0; j < w.rows; ++j) {
            float sum = 0.0f;
            std::int64_t exact = 0;
            for (std::ptrdiff_t begin = 0, g = 0; begin < k; begin += strides.group_size, ++g) {
                const std::size_t at = static_cast<std::size_t>(j * strides.row + g * strides.group);
                const std::int32_t zero_point = p.zero_points.empty() ? 0 : p.zero_points[at];
                const std::ptrdiff_t end = k - begin < strides.group_size ? k : begin + strides.group_size;
                exact = 0;
                for (std::ptrdiff_t l = begin; l < end; ++l)
                    exact += static_cast<std::int64_t>(a(i, l) - s.zero_point) * (load_code(w.row(j), l) - zero_point);
                sum = strict_math::fma(static_cast<float>(static_cast<std::int32_t>(exact)), p.scales[at], sum);
            }
            if constexpr (std::is_same_v<C, std::int32_t>)
                c(i, j) = static_cast<std::int32_t>(exact);
            else
                c(i, j) = finish<C>(sum, row_scales.empty() ? s.scale : row_scales[static_cast<std::size_t>(i)] * s.scale, e, j);
        }
}

/// One row of float activations to int8: scale = max|x| / qmax (63 for reduced range), 1 if that is below the least normal float; a row
/// that holds a NaN or an infinity has the scale NaN.
inline float quantize_row(const float* x, std::ptrdiff_t k, std::int8_t* q, std::int32_t qmax = 127) noexcept
{
    const default_fp_mode mode;
    std::uint32_t top = 0;
    for (std::ptrdiff_t l = 0; l < k; ++l) {
        const std::uint32_t magnitude = float_bits(x[l]) & 0x7fffffffu;
        top = magnitude > top ? magnitude : top;
    }
    const bool finite = top < 0x7f800000u;
    float scale = finite ? float_from_bits(top) / static_cast<float>(qmax) : 1.0f;
    if (scale < 1.17549435e-38f)
        scale = 1.0f;
    for (std::ptrdiff_t l = 0; l < k; ++l)
        q[l] = static_cast<std::int8_t>(quantize(x[l], scale, 0, {}, {-qmax, qmax}));
    return strict_math::choose(finite, scale, float_from_bits(0x7fc00000u));
}

/// Float activations x float, half or bfloat16 weights, n x k.
template <class W, class C>
inline void gemm(matrix_view<const float> a, matrix_view<const W> w, const epilogue& e, matrix_view<C> c) noexcept
{
    const default_fp_mode mode;
    for (std::ptrdiff_t i = 0; i < a.rows; ++i)
        for (std::ptrdiff_t j = 0; j < w.rows; ++j) {
            float sum = 0.0f;
            for (std::ptrdiff_t l = 0; l < a.cols; ++l) {
                if constexpr (std::is_same_v<W, float>)
                    sum = strict_math::fma(a(i, l), w(j, l), sum);
                else
                    sum = strict_math::fma(a(i, l), to_float(w(j, l)), sum);
            }
            c(i, j) = finish<C>(sum, 1.0f, e, j);
        }
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
