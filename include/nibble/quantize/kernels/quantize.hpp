// Compiles quantize.inl for every backend.
#pragma once

#include "../../simd/simd.hpp"
#include "arguments.hpp"

#define NIBBLE_KERNEL_FILE "../quantize/kernels/quantize.inl"
#include "../../backend/for_each_backend.hpp"
