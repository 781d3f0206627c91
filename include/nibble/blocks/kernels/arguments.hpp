// What the kernels of this folder are given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../ggml_type.hpp"

NIBBLE_BEGIN_TYPES

/// Of a group whose numbers are all below this no scale is sought: its codes are 0.
inline constexpr float least_scaled_group = 1e-15f;

/// The candidates of an affine search: nudge + step * each more codes than there are, for each = 0 ... last.
struct affine_candidates {
    float nudge, step;
    int last;
    bool absolute; // errors count by their magnitude, not squared
};

/// Scales for `groups` groups of `size` numbers, at most 32; see reference/scale_search.hpp. weights, scales, minimums and codes lie as x
/// does; a search leaves alone what it does not find.
struct block_search_args {
    const float* x;
    const float* weights; // null in search_descent
    std::ptrdiff_t groups, size;
    std::int32_t levels; // affine: the largest code; else codes are in [-levels, levels) and stored with levels added
    affine_candidates candidates;
    float* scales;
    float* minimums;
    std::uint8_t* codes;
};

/// A row of `cols` columns.
struct dequantize_ggml_args {
    ggml_type type;
    const std::byte* blocks;
    std::ptrdiff_t cols;
    float* x;
};

NIBBLE_END_TYPES
