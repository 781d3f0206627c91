// Compiles reduced_range.inl for every backend.
#pragma once

#include "dot.hpp"

#define NIBBLE_KERNEL_BACKENDS (NIBBLE_OWN_VECTORS | NIBBLE_OWN_DOT_PRODUCTS)
#define NIBBLE_KERNEL_FILE "../gemm/kernels/reduced_range.inl"
#include "../../backend/for_each_backend.hpp"
