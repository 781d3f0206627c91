// Compiles minifloat.inl for every backend.
#pragma once

#include "convert.hpp"

#define NIBBLE_KERNEL_FILE "../quantize/kernels/minifloat.inl"
#include "../../backend/for_each_backend.hpp"
