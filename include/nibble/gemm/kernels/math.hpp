// Compiles math.inl for every backend.
#pragma once

#include "../../simd/simd.hpp"
#include "arguments.hpp"

#define NIBBLE_KERNEL_FILE "../gemm/kernels/math.inl"
#include "../../backend/for_each_backend.hpp"
