// The kernels of ptq/, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/ptq/ptq.kernels.hpp>
