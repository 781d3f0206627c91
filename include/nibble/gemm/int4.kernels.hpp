// The kernels of kernels/int4.inc, as functions of namespace kernels (backend/dispatch.hpp).
#pragma once

#include "kernels/blocks.hpp"

#define NIBBLE_KERNEL_LIST "../gemm/kernels/int4.inc"
#include "../backend/dispatch.hpp"
