// 2. A linear layer with 4-bit weights: quantize, pack once, multiply as often as you like.
#include <cmath>
#include <cstdio>
#include <vector>

#include <nibble/nibble.hpp>

int main()
{
    constexpr std::ptrdiff_t m = 3, n = 40, k = 128;
    std::vector<float> w(n * k), x(m * k), bias(n), y(m * n);
    for (std::size_t i = 0; i < w.size(); ++i)
        w[i] = std::sin(0.37f * static_cast<float>(i));
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = std::cos(0.11f * static_cast<float>(i));
    for (std::size_t j = 0; j < bias.size(); ++j)
        bias[j] = 0.1f * static_cast<float>(j);

    // Rounds to the nearest codes, one scale for every 32 weights, and packs them in the order that the kernels read. The bytes may be
    // written to disk: nibble::view_packed takes them again.
    const auto packed = nibble::packed_weights::quantize<nibble::int4x2>({w.data(), n, k}, nibble::per_group(32));
    if (!packed) {
        std::printf("%s\n", nibble::to_string(packed.error()));
        return 1;
    }
    const nibble::status s = nibble::gemm<float>({x.data(), m, k}, *packed, nibble::bias(bias) | nibble::relu, {y.data(), m, n});

    double error = 0, power = 0;
    for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j) {
            double sum = static_cast<double>(bias[j]);
            for (std::size_t l = 0; l < k; ++l)
                sum += static_cast<double>(x[i * k + l]) * static_cast<double>(w[j * k + l]);
            const double exact = sum > 0 ? sum : 0, off = static_cast<double>(y[i * n + j]) - exact;
            error += off * off;
            power += exact * exact;
        }
    std::printf("%s; the error is %.1f dB below the result; %zu bytes instead of %zu\n", nibble::to_string(s),
        10 * std::log10(power / error), packed->bytes().size(), w.size() * sizeof(float));
    return s == nibble::status::ok && power > 30 * error ? 0 : 1;
}
