// Compiles range.inl for every backend.
#pragma once

#include "../../simd/simd.hpp"
#include "arguments.hpp"

#define NIBBLE_KERNEL_FILE "../quantize/kernels/range.inl"
#include "../../backend/for_each_backend.hpp"
