// nibble: quantized tensor kernels. This header includes all others.
#pragma once

#include "backend/backend.hpp"
#include "core/formats.hpp"
#include "core/minifloat.hpp"
#include "gemm/gemm.hpp"
#include "gguf/reader.hpp"
#include "onnx/matmul_nbits.hpp"
#include "onnx/operators.hpp"
#include "quantize/convert.hpp"
#include "quantize/microscaling.hpp"
#include "quantize/quantize.hpp"
#include "quantize/requantize.hpp"
#include "reference/gemm.hpp"
#include "reference/microscaling.hpp"
#include "reference/quantize.hpp"
#include "reference/requantize.hpp"
