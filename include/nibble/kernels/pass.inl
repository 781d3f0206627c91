// All kernels of one backend.
#include "lanes.inl"
#include "math.inl"
#include "quantize.inl"
#include "requantize.inl"
#include "convert.inl"
#include "epilogue.inl"
#include "gemm_float.inl"
#include "integer_pass.inl"
