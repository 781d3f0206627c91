// The definition of products with ggml's blocks: for each group of columns, in ascending order,
//   sum = fma(float(exact sum of a * integer), step, sum)
//   sum = fma(float(exact sum of a), minimum, sum)             in types with a minimum
#pragma once

#include "../gemm/pack_blocks.hpp"
#include "gemm.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

/// Integer activations, m x k, x n rows of blocks.
template <class A, class C>
inline void gemm_blocks(matrix_view<const A> a, span<const float> row_scales, static_activations s, ggml_type type,
    span<const std::byte> blocks, const epilogue& e, matrix_view<C> c) noexcept
{
    const default_fp_mode mode;
    nibble::detail::with_block(type, [&](auto block) noexcept {
        constexpr std::ptrdiff_t elements = block_traits<decltype(block)>::elements, group = block_group<decltype(block)>;
        for (std::ptrdiff_t i = 0; i < a.rows; ++i) {
            const std::byte* from = blocks.data();
            for (std::ptrdiff_t j = 0; j < c.cols; ++j) {
                float sum = 0.0f;
                for (std::ptrdiff_t b = 0; b < a.cols; b += elements, from += sizeof block) {
                    decoded_block d;
                    std::memcpy(static_cast<void*>(&block), from, sizeof block);
                    decode(block, d);
                    for (std::ptrdiff_t g = 0; g < elements / group; ++g) {
                        std::int32_t products = 0, activations = 0;
                        for (std::ptrdiff_t l = g * group; l < (g + 1) * group; ++l) {
                            products += (a(i, b + l) - s.zero_point) * d.integers[l];
                            activations += a(i, b + l) - s.zero_point;
                        }
                        sum = strict_math::fma(static_cast<float>(products), d.steps[g], sum);
                        if constexpr (has_minimum<decltype(block)>)
                            sum = strict_math::fma(static_cast<float>(activations), d.minimums[g], sum);
                    }
                }
                c(i, j) = finish<C>(sum, row_scales.empty() ? s.scale : row_scales[static_cast<std::size_t>(i)] * s.scale, e, j);
            }
        }
    });
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
