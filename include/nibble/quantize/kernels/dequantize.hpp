// Compiles dequantize.inl for every backend.
#pragma once

#include "../../simd/simd.hpp"
#include "arguments.hpp"

#define NIBBLE_KERNEL_FILE "../quantize/kernels/dequantize.inl"
#include "../../backend/for_each_backend.hpp"
