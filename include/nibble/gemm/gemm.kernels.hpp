// The kernels of this folder, as functions of namespace kernels (backend/dispatch.hpp).
#pragma once

#include "kernels/amx.hpp"
#include "kernels/float.hpp"
#include "kernels/integer.hpp"

#define NIBBLE_KERNEL_LIST "../gemm/kernels/list.inc"
#include "../backend/dispatch.hpp"
