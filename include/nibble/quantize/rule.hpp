// How a real number becomes a code. With t = x * (1 / scale), or x / scale, each operation rounded once to float:
//   zero_point_first = false   q = clamp(round(t) + zero_point)
//   zero_point_first = true    q = clamp(round(t + zero_point))          the two differ on ties where zero_point is odd
// round:
//   ties_to_even               IEEE, ONNX, PyTorch
//   half_away_from_zero        std::round: TFLite, ggml's Q8_0
//   half_up                    floor(t + 0.5f), one float sum; with zero_point_first floor(t + (zero_point + 0.5f)): ggml's 4- and 5-bit
//                              blocks
//   toward_zero                drops the fraction
//   stochastic                 up with the probability of the fraction, from seed, row and column alone
// NaN gives zero_point, an infinity gives the end of the range. Presets have the rules of other systems.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/config.hpp"

NIBBLE_BEGIN_TYPES

enum class rounding : std::uint8_t { ties_to_even, half_away_from_zero, half_up, toward_zero, stochastic };

/// full: all codes. narrow: without the lowest, [-127, 127] for int8. reduced: half of them, [-64, 63] or [0, 127], so that products of
/// uint8 x int8 pairs fit int16.
enum class code_range : std::uint8_t { full, narrow, reduced };

struct quantize_rule {
    rounding round = rounding::ties_to_even;
    bool divide = false; ///< x / scale, not x * (1 / scale)
    bool zero_point_first = false;
    code_range range = code_range::full;
    std::uint64_t seed = 0; ///< stochastic only
};

/// symmetric: zero_point = 0 and scale = max|x| / qmax. affine: the range, widened to hold 0, onto [qmin, qmax].
enum class scheme : std::uint8_t { symmetric, affine };

/// Which formula gives the scale and the zero point of a range [lo, hi] that holds 0; params.hpp states them.
enum class params_formula : std::uint8_t { nibble, onnx, tflite, pytorch, fbgemm };

struct params_rule {
    scheme how = scheme::symmetric;
    params_formula formula = params_formula::nibble;
    code_range range = code_range::full;
    bool power_of_two = false; ///< the scale, rounded up to a power of two

    NIBBLE_INLINE constexpr params_rule() noexcept = default;
    NIBBLE_INLINE constexpr params_rule(
        scheme s, params_formula f = params_formula::nibble, code_range r = code_range::full, bool power = false) noexcept
        : how(s), formula(f), range(r), power_of_two(power)
    {
    }
};

/// What a system does: how it chooses parameters, and how it quantizes with them.
struct quantization_preset {
    params_rule params;
    quantize_rule rule;
};

namespace preset {

// clang-format off
/// ONNX DynamicQuantizeLinear's parameters, QuantizeLinear's codes, as onnxruntime computes them.
inline constexpr quantization_preset onnx {{scheme::affine, params_formula::onnx},
    {rounding::ties_to_even, true, false, code_range::full, 0}};
/// TFLite, int8 activations: ChooseQuantizationParams, and the QUANTIZE operator's reference.
inline constexpr quantization_preset tflite_activations {{scheme::affine, params_formula::tflite},
    {rounding::half_away_from_zero, true, false, code_range::full, 0}};
/// TFLite, int8 weights per channel, as its converter writes them.
inline constexpr quantization_preset tflite_weights {{scheme::symmetric, params_formula::tflite, code_range::narrow},
    {rounding::half_away_from_zero, false, false, code_range::narrow, 0}};
/// PyTorch: MinMaxObserver, torch.quantize_per_tensor.
inline constexpr quantization_preset pytorch {{scheme::affine, params_formula::pytorch},
    {rounding::ties_to_even, false, false, code_range::full, 0}};
/// FBGEMM: ChooseQuantizationParams, and Quantize with its default (legacy) order, not fused as its AVX2 version is.
inline constexpr quantization_preset fbgemm {{scheme::affine, params_formula::fbgemm},
    {rounding::ties_to_even, false, true, code_range::full, 0}};
/// The codes of ggml's Q8_0, from the scale before ggml stores it as half: symmetric, groups of 32.
inline constexpr quantization_preset ggml_q8_0 {{scheme::symmetric, params_formula::nibble, code_range::narrow},
    {rounding::half_away_from_zero, false, false, code_range::narrow, 0}};
// clang-format on

} // namespace preset

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// What stochastic rounding adds to the column number of a row's elements: the finaliser of splitmix64 over seed and row.
struct stochastic_keys {
    std::uint32_t first, second;
    NIBBLE_INLINE stochastic_keys(std::uint64_t seed, std::ptrdiff_t row) noexcept
    {
        std::uint64_t z = seed + (static_cast<std::uint64_t>(row) + 1) * 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z = z ^ z >> 31;
        first = static_cast<std::uint32_t>(z);
        second = static_cast<std::uint32_t>(z >> 32);
    }
};

NIBBLE_END
