// Compiles expand_blocks.inl for every backend.
#pragma once

#include "../block_section.hpp"
#include "dot.hpp"

#define NIBBLE_KERNEL_BACKENDS (NIBBLE_OWN_VECTORS | NIBBLE_OWN_DOT_PRODUCTS)
#define NIBBLE_KERNEL_FILE "../gemm/kernels/expand_blocks.inl"
#include "../../backend/for_each_backend.hpp"
