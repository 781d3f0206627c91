// What a group of ggml's blocks becomes in a plain panel.
#pragma once

#include "../blocks/compact.hpp"
#include "section_layout.hpp"

NIBBLE_BEGIN_TYPES

/// Without sums: products with several groups compute those that they need, and there is one group only where k is one group.
template <class Block>
inline constexpr section_format block_section {has_4_bit_integers<Block> ? 4 : 8, has_half_steps<Block>, has_minimum<Block>, false, true};

NIBBLE_END_TYPES
