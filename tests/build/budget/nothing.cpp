#include <nibble/nibble.hpp>

int main() {}
