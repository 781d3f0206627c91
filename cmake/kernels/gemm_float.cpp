// The kernels of gemm/kernels/float.inc, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/gemm/float.kernels.hpp>
