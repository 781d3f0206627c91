// The kernels of gemm/kernels/pack_activations.inc, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/gemm/pack_activations.kernels.hpp>
