// Compiles integer_finish.inl for every backend.
#pragma once

#include "epilogue.hpp"
#include "integer_tiles.hpp"

#define NIBBLE_KERNEL_BACKENDS (NIBBLE_OWN_VECTORS | NIBBLE_OWN_DOT_PRODUCTS)
#define NIBBLE_KERNEL_FILE "../gemm/kernels/integer_finish.inl"
#include "../../backend/for_each_backend.hpp"
