// Compiles integer_tiles.inl for every backend.
#pragma once

#include "accumulate.hpp"
#include "compensation.hpp"

#define NIBBLE_KERNEL_BACKENDS (NIBBLE_OWN_VECTORS | NIBBLE_OWN_DOT_PRODUCTS)
#define NIBBLE_KERNEL_FILE "../gemm/kernels/integer_tiles.inl"
#include "../../backend/for_each_backend.hpp"
