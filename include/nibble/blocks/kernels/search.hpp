// Compiles search.inl for every backend.
#pragma once

#include "../../simd/simd.hpp"
#include "../layout.hpp"
#include "arguments.hpp"

#define NIBBLE_KERNEL_FILE "../blocks/kernels/search.inl"
#include "../../backend/for_each_backend.hpp"
