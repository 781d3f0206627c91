// Compiles accumulate.inl for every backend.
#pragma once

#include "reduced_range.hpp"

#define NIBBLE_KERNEL_BACKENDS (NIBBLE_OWN_VECTORS | NIBBLE_OWN_DOT_PRODUCTS)
#define NIBBLE_KERNEL_FILE "../gemm/kernels/accumulate.inl"
#include "../../backend/for_each_backend.hpp"
