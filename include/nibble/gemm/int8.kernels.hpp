// The kernels of kernels/int8.inc, as functions of namespace kernels (backend/dispatch.hpp).
#pragma once

#include "kernels/amx.hpp"
#include "kernels/blocks.hpp"

#define NIBBLE_KERNEL_LIST "../gemm/kernels/int8.inc"
#include "../backend/dispatch.hpp"
