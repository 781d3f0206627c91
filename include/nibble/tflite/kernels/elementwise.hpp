// Compiles elementwise.inl for every backend.
#pragma once

#include "../../quantize/kernels/requantize.hpp"
#include "arguments.hpp"

#define NIBBLE_KERNEL_FILE "../tflite/kernels/elementwise.inl"
#include "../../backend/for_each_backend.hpp"
