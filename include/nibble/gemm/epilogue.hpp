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

/// Steps of an epilogue, written in the order in which they are computed: bias(b) | silu, or scale(s) | clamp(0.0f, 6.0f) |
/// to_codes(0.1f, 3). Another order does not compile. `Step` is the place of the last step.
template <int Step>
struct epilogue_steps {
    epilogue value;
    NIBBLE_INLINE constexpr operator const epilogue&() const noexcept { return value; }
};

/// Multiplies column j by scale[j].
NIBBLE_INLINE constexpr epilogue_steps<0> scale(span<const float> of_columns) noexcept
{
    epilogue_steps<0> s {};
    s.value.scale = of_columns;
    return s;
}
/// Adds bias[j] to column j.
NIBBLE_INLINE constexpr epilogue_steps<1> bias(span<const float> of_columns) noexcept
{
    epilogue_steps<1> s {};
    s.value.bias = of_columns;
    return s;
}
NIBBLE_INLINE constexpr epilogue_steps<2> apply(activation_function function) noexcept
{
    epilogue_steps<2> s {};
    s.value.function = function;
    return s;
}
inline constexpr epilogue_steps<2> relu = apply(activation_function::relu), gelu = apply(activation_function::gelu),
                                   silu = apply(activation_function::silu);
NIBBLE_INLINE constexpr epilogue_steps<3> clamp(float low, float high) noexcept
{
    epilogue_steps<3> s {};
    s.value.clamp_low = low;
    s.value.clamp_high = high;
    return s;
}
/// The scale and zero point of int8 and uint8 outputs.
NIBBLE_INLINE constexpr epilogue_steps<4> to_codes(float scale, std::int32_t zero_point = 0) noexcept
{
    epilogue_steps<4> s {};
    s.value.output_scale = scale;
    s.value.output_zero_point = zero_point;
    return s;
}

template <int First, int Second>
NIBBLE_INLINE constexpr epilogue_steps<Second> operator|(epilogue_steps<First> first, epilogue_steps<Second> second) noexcept
{
    static_assert(First < Second, "the steps of an epilogue are computed in this order: scale, bias, function, clamp, to_codes");
    if (Second > 0)
        second.value.scale = first.value.scale;
    if (Second > 1)
        second.value.bias = first.value.bias;
    if (Second > 2)
        second.value.function = first.value.function;
    if (Second > 3) {
        second.value.clamp_low = first.value.clamp_low;
        second.value.clamp_high = first.value.clamp_high;
    }
    return second;
}

NIBBLE_END_TYPES
