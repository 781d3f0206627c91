// The kernels of this folder, as functions of namespace kernels (backend/dispatch.hpp).
#pragma once

#include "kernels/absmax.hpp"
#include "kernels/convert.hpp"
#include "kernels/dequantize.hpp"
#include "kernels/fake_quantize.hpp"
#include "kernels/microscaling.hpp"
#include "kernels/minifloat.hpp"
#include "kernels/quantize.hpp"
#include "kernels/range.hpp"
#include "kernels/requantize.hpp"

#define NIBBLE_KERNEL_LIST "../quantize/kernels/list.inc"
#include "../backend/dispatch.hpp"
