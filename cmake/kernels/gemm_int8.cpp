// The kernels of gemm/kernels/int8.inc, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/gemm/int8.kernels.hpp>
