// Compiles fake_quantize.inl for every backend.
#pragma once

#include "quantize.hpp"

#define NIBBLE_KERNEL_FILE "../quantize/kernels/fake_quantize.inl"
#include "../../backend/for_each_backend.hpp"
