// 1. Floats to 8-bit codes and back: parameters from the data, codes, and how far the codes are off.
#include <cstdio>
#include <vector>

#include <nibble/nibble.hpp>

int main()
{
    constexpr std::ptrdiff_t rows = 2, cols = 6;
    const std::vector<float> x {-1.0f, -0.2f, 0.0f, 0.3f, 0.9f, 1.27f, 10.0f, 20.0f, 30.0f, -40.0f, 5.0f, 0.1f};
    const nibble::matrix_view<const float> from(x.data(), rows, cols);

    // One scale a row: rows are channels. Affine parameters would have zero points as well.
    std::vector<float> scales(rows), scratch(nibble::choose_params_scratch(nibble::granularity::per_channel, rows, cols, 0));
    nibble::status s
        = nibble::choose_params<std::int8_t>(from, nibble::scheme::symmetric, nibble::granularity::per_channel, 0, scales, {}, scratch);

    const nibble::quant_params_view params {nibble::granularity::per_channel, 0, scales};
    std::vector<std::int8_t> codes(rows * cols);
    if (s == nibble::status::ok)
        s = nibble::quantize(from, params, nibble::matrix_view<std::int8_t>(codes.data(), rows, cols));

    std::vector<float> back(rows * cols);
    if (s == nibble::status::ok)
        s = nibble::dequantize(
            nibble::matrix_view<const std::int8_t>(codes.data(), rows, cols), params, nibble::matrix_view<float>(back.data(), rows, cols));
    if (s != nibble::status::ok) {
        std::printf("%s\n", nibble::to_string(s)); // every status is a sentence
        return 1;
    }
    for (std::size_t i = 0; i < x.size(); ++i)
        std::printf("%8.3f -> %4d -> %8.3f\n", static_cast<double>(x[i]), codes[i], static_cast<double>(back[i]));
    return codes[5] == 127 && codes[9] == -127 ? 0 : 1;
}
