// The kernels, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/nibble.hpp>
