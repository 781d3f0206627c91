// The kernels of gemm/kernels/int4.inc, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/gemm/int4.kernels.hpp>
