// Compiles dequantize.inl for every backend.
#pragma once

#include "../../simd/simd.hpp"
#include "../decode.hpp"
#include "arguments.hpp"

#define NIBBLE_KERNEL_FILE "../blocks/kernels/dequantize.inl"
#include "../../backend/for_each_backend.hpp"
