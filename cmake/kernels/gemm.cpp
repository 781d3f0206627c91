// The kernels of gemm/, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/gemm/gemm.kernels.hpp>
