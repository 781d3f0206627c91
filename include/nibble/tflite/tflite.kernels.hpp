// The kernels of this folder, as functions of namespace kernels (backend/dispatch.hpp).
#pragma once

#include "kernels/depthwise.hpp"
#include "kernels/elementwise.hpp"

#define NIBBLE_KERNEL_LIST "../tflite/kernels/list.inc"
#include "../backend/dispatch.hpp"
