// The kernels of this folder, as functions of namespace kernels (backend/dispatch.hpp).
#pragma once

#include "kernels/product_f64.hpp"

#define NIBBLE_KERNEL_LIST "../ptq/kernels/list.inc"
#include "../backend/dispatch.hpp"
