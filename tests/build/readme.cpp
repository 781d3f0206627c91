#include <cstdio>
#include <vector>

#include <nibble/nibble.hpp>

int main()
{
    const std::vector<float> x {-1.0f, -0.5f, 0.0f, 0.25f, 0.5f, 0.75f, 1.0f, 1.27f};
    const std::vector<float> scale {0.01f};
    std::vector<std::int8_t> q(x.size());

    const nibble::status done
        = nibble::quantize<std::int8_t>({x.data(), 2, 4}, {nibble::granularity::per_tensor, 0, scale}, {q.data(), 2, 4});
    std::printf("%s on %s: 1.27 is %d\n", nibble::to_string(done), nibble::to_string(nibble::active_backend()), q[7]);
    return done == nibble::status::ok && q[7] == 127 ? 0 : 1;
}
