// The kernels of kernels/pack_activations.inc, as functions of namespace kernels (backend/dispatch.hpp).
#pragma once

#include "kernels/pack_activations.hpp"

#define NIBBLE_KERNEL_LIST "../gemm/kernels/pack_activations.inc"
#include "../backend/dispatch.hpp"
