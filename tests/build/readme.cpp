#include <cstdio>
#include <vector>

#include <nibble/nibble.hpp>
using namespace nibble;

int main() // y = silu(x * transposed w + b)
{
    constexpr std::ptrdiff_t m = 2, n = 64, k = 128;
    std::vector<float> x(m * k, 0.5f), w(n * k, 0.25f), b(n, -15.0f), y(m * n);
    const auto layer = packed_weights::quantize<int4x2>({w.data(), n, k}, per_group(32));
    if (!layer)
        return 1;
    const status s = gemm<float>({x.data(), m, k}, *layer, bias(b) | silu, {y.data(), m, n});
    std::printf("%s on %s: y[0] is %g\n", to_string(s), to_string(active_backend()), y[0]);
    return y[0] > 0.72f && y[0] < 0.74f ? 0 : 1; // silu(16 - 15)
}
