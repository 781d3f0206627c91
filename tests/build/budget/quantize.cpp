// Quantizes ten floats, with one header.
#include <nibble/quantize/quantize.hpp>

int main()
{
    const float x[10] = {1.0f}, scale[1] = {0.5f};
    std::int8_t q[10];
    const auto done = nibble::quantize<std::int8_t>({x, 2, 5}, {nibble::granularity::per_tensor, 0, scale}, {q, 2, 5});
    return done == nibble::status::ok && q[0] == 2 ? 0 : 1;
}
