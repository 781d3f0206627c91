#define NIBBLE_C_IMPLEMENTATION
#include <nibble/nibble.h>
