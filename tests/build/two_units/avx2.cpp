// On x86 compiled with -mavx2 -mfma -mf16c.
#include "two_units.hpp"

answer ask_avx2() { return ask(); }
