// Compiles epilogue.inl for every backend.
#pragma once

#include "../../quantize/kernels/quantize.hpp"
#include "../../quantize/kernels/requantize.hpp"
#include "math.hpp"
#include "tiles.hpp"

#define NIBBLE_KERNEL_FILE "../gemm/kernels/epilogue.inl"
#include "../../backend/for_each_backend.hpp"
