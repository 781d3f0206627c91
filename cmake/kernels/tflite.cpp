// The kernels of tflite/, compiled once for a whole program.
#define NIBBLE_DEFINE_KERNELS
#include <nibble/tflite/tflite.kernels.hpp>
