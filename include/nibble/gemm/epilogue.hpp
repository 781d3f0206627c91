// What happens to a sum before it is stored, in this order; every step is one float operation, see reference/gemm.hpp.
//   v = sum * s, or fma(sum, s, bias)      s = row's activation scale * scale[column]
//   v = function(v)                        relu, gelu (erf), gelu_tanh, silu
//   v = v < clamp_low ? clamp_low : v > clamp_high ? clamp_high : v
//   int8 and uint8 outputs:  q = clamp(round(v * (1 / output_scale)) + output_zero_point), ties to even
// NaN passes through all steps; it becomes the NaN 0x7fc00000 in a float output, output_zero_point in an integer one.
#pragma once

#include <limits>

#include "../core/options.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN_TYPES

struct epilogue {
    span<const float> scale {}; ///< one a column, or empty: 1
    span<const float> bias {};  ///< one a column, or empty: none
    activation_function function = activation_function::none;
    float clamp_low = -std::numeric_limits<float>::infinity();
    float clamp_high = std::numeric_limits<float>::infinity();
    float output_scale = 1.0f;          ///< int8 and uint8 outputs
    std::int32_t output_zero_point = 0; ///< int8 and uint8 outputs
};

NIBBLE_END_TYPES
