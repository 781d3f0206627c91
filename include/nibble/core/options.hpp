// Options that public functions offer and kernels implement.
#pragma once

#include <cstddef>
#include <cstdint>

#include "config.hpp"

NIBBLE_BEGIN_TYPES

/// Which elements count as clipped by fake quantization, for their gradients.
enum class clip_test : std::uint8_t {
    value, ///< those with x / scale + zero_point at or beyond qmin or qmax, as in the papers on LSQ and LSQ+
    code,  ///< those whose rounded code is beyond qmin or qmax, as in PyTorch
};

/// What the scale's gradient holds of elements that are not clipped.
enum class scale_gradient : std::uint8_t {
    lsq,  ///< their rounding error
    pact, ///< nothing
};

/// How the scale of a microscaling block follows from the greatest magnitude in it, amax. 2^emax is the greatest power of two that the
/// element type holds.
enum class scale_rule : std::uint8_t {
    floor, ///< 2^(floor(log2 amax) - emax), as OCP MX 1.0; the greatest elements may saturate
    even,  ///< the same of amax rounded to the element's fraction bits, halves up
    ceil,  ///< the least power of two with amax / scale not above the element's largest value
};

/// How microscaling elements are rounded; all saturate.
enum class element_rounding : std::uint8_t {
    to_even, ///< to nearest, ties to even; the sign of what rounds to zero is kept
    ggml,    ///< to nearest, ties to the smaller magnitude; what rounds to zero is +0
};

/// How int32 becomes int8 or uint8; quantize/requantize.hpp states the modes.
enum class requantize_mode : std::uint8_t { float_ties_to_even, double_rounding, single_rounding };

enum class activation_function : std::uint8_t { none, relu, gelu, gelu_tanh, silu };

NIBBLE_END_TYPES
