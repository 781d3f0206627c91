// Compiles absmax.inl for every backend.
#pragma once

#include "quantize.hpp"

#define NIBBLE_KERNEL_FILE "../quantize/kernels/absmax.inl"
#include "../../backend/for_each_backend.hpp"
