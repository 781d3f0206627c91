// 3. Integers from end to end, as static quantization has them: uint8 activations, int8 weights, the exact int32 sums, uint8 results.
#include <cstdio>
#include <vector>

#include <nibble/nibble.hpp>

int main()
{
    constexpr std::ptrdiff_t m = 1, n = 2, k = 4;
    const std::vector<std::uint8_t> x {255, 255, 128, 130}; // 0.02 * (x - 128)
    const std::vector<std::int8_t> w {127, 127, 1, 1, -128, 5, 0, 7};
    const std::vector<float> w_scales {0.01f, 0.03f};
    const nibble::static_activations activations {0.02f, 128};

    const auto packed
        = nibble::packed_weights::make(nibble::matrix_view<const std::int8_t>(w.data(), n, k), k, nibble::per_channel(w_scales));
    if (!packed)
        return 1;
    std::vector<std::byte> workspace(nibble::gemm_workspace(m, *packed));
    const nibble::matrix_view<const std::uint8_t> from(x.data(), m, k);

    std::vector<std::int32_t> sums(n);
    nibble::status s = nibble::gemm(from, activations, *packed, {}, nibble::matrix_view<std::int32_t>(sums.data(), m, n), workspace);
    std::printf("exact sums: %d %d\n", sums[0], sums[1]); // 127 * 127 * 2 + 2, -127 * 128 + 127 * 5 + 14

    std::vector<std::uint8_t> y(n);
    if (s == nibble::status::ok)
        s = nibble::gemm(
            from, activations, *packed, nibble::to_codes(0.5f, 100), nibble::matrix_view<std::uint8_t>(y.data(), m, n), workspace);
    std::printf("%s: %d %d\n", nibble::to_string(s), y[0], y[1]);
    return s == nibble::status::ok && sums[0] == 32260 && sums[1] == -15607 && y[0] == 113 && y[1] == 81 ? 0 : 1;
}
