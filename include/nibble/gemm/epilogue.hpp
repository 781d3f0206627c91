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
/// to_codes(0.1f, 3). Steps may be put together before they are used: relu6 = relu | clamp(0.0f, 6.0f), then bias(b) | relu6. Another order
/// does not compile. `First` and `Last` are the places of the first and the last step. Steps refer to the caller's numbers.
template <int First, int Last = First>
struct epilogue_steps {
    epilogue value;
    /// By value, so that a reference to an epilogue may be set to steps.
    NIBBLE_INLINE constexpr operator epilogue() const noexcept { return value; }
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

template <int First, int Before, int After, int Last>
NIBBLE_INLINE constexpr epilogue_steps<First, Last> operator|(
    epilogue_steps<First, Before> first, epilogue_steps<After, Last> second) noexcept
{
    static_assert(Before < After, "the steps of an epilogue are computed in this order: scale, bias, function, clamp, to_codes");
    epilogue_steps<First, Last> both {second.value};
    if (After > 0)
        both.value.scale = first.value.scale;
    if (After > 1)
        both.value.bias = first.value.bias;
    if (After > 2)
        both.value.function = first.value.function;
    if (After > 3) {
        both.value.clamp_low = first.value.clamp_low;
        both.value.clamp_high = first.value.clamp_high;
    }
    return both;
}

NIBBLE_END_TYPES
