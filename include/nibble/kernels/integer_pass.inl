// The kernels that use integer products, and the table.
#include "dot.inl"
#include "reduced_range.inl"
#include "pack_activations.inl"
#if NIBBLE_ISA >= NIBBLE_ISA_NEON_I8MM
#include "neon_i8mm/matrix_products.inl"
#endif
#include "expand_blocks.inl"
#include "gemv_blocks.inl"
#include "gemm_integer.inl"
#include "table.inl"
