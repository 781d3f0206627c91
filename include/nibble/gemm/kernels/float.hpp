// Compiles float.inl for every backend.
#pragma once

#include "epilogue.hpp"

#define NIBBLE_KERNEL_FILE "../gemm/kernels/float.inl"
#include "../../backend/for_each_backend.hpp"
