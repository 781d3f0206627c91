// The quantization operators of ONNX, by their names, on contiguous tensors. The bits are those of the operator specification. Where it
// leaves something open they are those of onnxruntime.
//   quantize_linear, dequantize_linear, dynamic_quantize_linear      linear.hpp
//   matmul_integer, qlinear_matmul                                   matmul.hpp
//   conv_integer, qlinear_conv                                       conv.hpp
#pragma once

#include "conv.hpp"
#include "linear.hpp"
#include "matmul.hpp"
