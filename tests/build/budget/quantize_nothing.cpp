#include <nibble/quantize/quantize.hpp>

int main() {}
