// The kernels of blocks/, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/blocks/blocks.kernels.hpp>
