// Compiles amx.inl for every backend.
#pragma once

#include "integer.hpp"

#define NIBBLE_KERNEL_BACKENDS NIBBLE_OWN_TILES
#define NIBBLE_KERNEL_FILE "../gemm/kernels/amx.inl"
#include "../../backend/for_each_backend.hpp"
