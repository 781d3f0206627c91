#define NIBBLE_DEFINE_KERNELS
#include <nibble/nibble.hpp>
