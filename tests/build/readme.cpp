#include <cstdio>
#include <vector>

#include <nibble/nibble.hpp>
using namespace nibble;

int main() // y = x * transposed w
{
    constexpr std::ptrdiff_t m = 2, n = 64, k = 128, group = 32;
    std::vector<float> x(m * k, 0.5f), w(n * k, 0.25f), y(m * n), scales(n * k / group);
    std::vector<int4x2> pairs(n * k / 2); // two codes in each
    const matrix_view<int4x2> codes(pairs.data(), n, k / 2);
    status s = quantize_dynamic<int4x2>({w.data(), n, k}, granularity::per_group, group, scales, codes);
    const auto packed = packed_weights::make<int4x2>(codes, k, {granularity::per_group, group, scales});
    std::vector<std::byte> workspace(gemm_workspace(m, *packed));
    if (s == status::ok && packed)
        s = gemm<float>({x.data(), m, k}, *packed, {}, {y.data(), m, n}, workspace);
    std::printf("%s on %s: y[0] is %g\n", to_string(s), to_string(active_backend()), y[0]);
    return y[0] > 15.9f && y[0] < 16.1f ? 0 : 1;
}
