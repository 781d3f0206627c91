// One product with each type of weights.
#include "product.hpp"

int main()
{
    const bool ok = budget::multiply_codes<std::int8_t>(1, 0) && budget::multiply_codes(nibble::int4x2 {0x11}, 32)
                    && budget::multiply_floats(1.0f) && budget::multiply_floats(nibble::to_half(1.0f))
                    && budget::multiply_floats(nibble::to_bfloat16(1.0f));
    return ok ? 0 : 1;
}
