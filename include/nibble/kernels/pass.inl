// All kernels of one backend.
#include "math.inl"
#include "quantize.inl"
#include "convert.inl"
#include "minifloat.inl"
#include "microscaling.inl"
#include "epilogue.inl"
#include "gemm_float.inl"
#include "integer_pass.inl"
