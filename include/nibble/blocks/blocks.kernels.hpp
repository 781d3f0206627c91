// The kernels of this folder, as functions of namespace kernels (backend/dispatch.hpp).
#pragma once

#include "kernels/dequantize.hpp"
#include "kernels/search.hpp"

#define NIBBLE_KERNEL_LIST "../blocks/kernels/list.inc"
#include "../backend/dispatch.hpp"
