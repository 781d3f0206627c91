// Every kernel of every family in one file.
#define NIBBLE_EXTERN_KERNELS
#define NIBBLE_DEFINE_KERNELS
#include <nibble/nibble.hpp>

int main() {}
