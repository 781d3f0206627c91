// The kernels, compiled once for the whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/nibble.hpp>
