// The kernels of kernels/float.inc, as functions of namespace kernels (backend/dispatch.hpp).
#pragma once

#include "kernels/float.hpp"

#define NIBBLE_KERNEL_LIST "../gemm/kernels/float.inc"
#include "../backend/dispatch.hpp"
