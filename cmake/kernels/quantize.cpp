// The kernels of quantize/, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/quantize/quantize.kernels.hpp>
