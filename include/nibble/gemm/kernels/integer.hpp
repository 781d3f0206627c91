// Compiles integer.inl for every backend.
#pragma once

#include "integer_finish.hpp"

#define NIBBLE_KERNEL_BACKENDS (NIBBLE_OWN_VECTORS | NIBBLE_OWN_DOT_PRODUCTS)
#define NIBBLE_KERNEL_FILE "../gemm/kernels/integer.inl"
#include "../../backend/for_each_backend.hpp"
