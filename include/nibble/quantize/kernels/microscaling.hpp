// Compiles microscaling.inl for every backend.
#pragma once

#include "minifloat.hpp"
#include "absmax.hpp"

#define NIBBLE_KERNEL_FILE "../quantize/kernels/microscaling.inl"
#include "../../backend/for_each_backend.hpp"
