// The kernels that use integer products, and the table.
#include "dot.inl"
#include "pack_activations.inl"
#include "gemm_integer.inl"
#include "table.inl"
