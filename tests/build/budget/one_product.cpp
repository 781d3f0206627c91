#include "product.hpp"

int main() { return budget::multiply_codes<std::int8_t>(1, 0) ? 0 : 1; }
