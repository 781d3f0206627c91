// The definition of every result, one number at a time: what nibble's own tests hold the kernels against. nibble.hpp does not include it.
#pragma once

#include "blocks.hpp"
#include "fake_quantize.hpp"
#include "gemm.hpp"
#include "gemm_blocks.hpp"
#include "k_blocks.hpp"
#include "math.hpp"
#include "microscaling.hpp"
#include "onnx.hpp"
#include "quantize.hpp"
#include "requantize.hpp"
#include "scale_search.hpp"
#include "tflite.hpp"
#include "tflite_int16.hpp"
#include "tflite_operators.hpp"
