// Compiles product_f64.inl for every backend.
#pragma once

#include "../../simd/simd.hpp"
#include "arguments.hpp"

#define NIBBLE_KERNEL_FILE "../ptq/kernels/product_f64.inl"
#include "../../backend/for_each_backend.hpp"
