// The one file of the test program that compiles the kernels.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/nibble.hpp>
