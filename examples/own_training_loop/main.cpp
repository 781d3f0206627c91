// Your own training loop: a linear layer with 3-bit weights learns to do what float weights do, then runs on the integer kernels.
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include <nibble/nibble.hpp>

int main()
{
    constexpr std::size_t m = 256, n = 8, k = 32;
    std::mt19937 random(1);
    std::vector<std::uint8_t> x_codes(m * k); // activations: 8 bits, x = code / 256
    std::vector<float> target(n * k), w_hat(n * k), dw(n * k), scales(n), d_scales(n), y(m * n);
    for (std::uint8_t& code : x_codes)
        code = static_cast<std::uint8_t>(random() >> 24);
    for (float& t : target)
        t = static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f;
    std::vector<float> w = target; // training starts where post-training quantization ends
    const auto x = [&](std::size_t i, std::size_t l) { return static_cast<float>(x_codes[i * k + l]) / 256.0f; };

    constexpr nibble::granularity per_channel = nibble::granularity::per_channel;
    const nibble::matrix_view<const float> w_view(w.data(), n, k);
    const nibble::matrix_view<float> w_hat_view(w_hat.data(), n, k), dw_view(dw.data(), n, k);
    const nibble::fake_quantization quantizer {{per_channel, 0, scales}, nibble::codes_of_bits(3, true), {}};
    std::vector<float> scratch(nibble::start_params_scratch(nibble::params_start::mse, per_channel, n, k));
    nibble::status s = nibble::start_params(
        w_view, nibble::params_start::mse, nibble::scheme::symmetric, quantizer.codes, per_channel, 0, scales, {}, scratch);

    for (int step = 0; step <= 2000 && s == nibble::status::ok; ++step) {
        s = nibble::fake_quantize(w_view, quantizer, w_hat_view); // forward
        float loss = 0.0f;
        std::fill(dw.begin(), dw.end(), 0.0f);
        for (std::size_t i = 0; i < m; ++i) // your model, your loss, your gradients
            for (std::size_t j = 0; j < n; ++j) {
                float off = 0.0f;
                for (std::size_t l = 0; l < k; ++l)
                    off += x(i, l) * (w_hat[j * k + l] - target[j * k + l]);
                loss += off * off / (m * n);
                for (std::size_t l = 0; l < k; ++l)
                    dw[j * k + l] += 2.0f * off * x(i, l) / m;
            }
        if (step % 500 == 0)
            std::printf("step %4d  loss %.6f\n", step, static_cast<double>(loss));
        if (s == nibble::status::ok) // backward, in place: from the gradient of w_hat to those of w and the scales
            s = nibble::fake_quantize_backward(w_view, dw_view, quantizer, {dw_view, d_scales}, scratch);
        const float rate = 0.004f * (1.0f - static_cast<float>(step) / 2000.0f);
        for (std::size_t i = 0; i < n * k; ++i)
            w[i] -= rate * dw[i];
        for (std::size_t j = 0; j < n; ++j)
            scales[j] -= 0.01f * rate * d_scales[j];
        nibble::bound_scales(scales);
    }
    const auto packed = nibble::convert<std::int8_t>(w_view, quantizer); // the trained scales go along
    std::vector<std::byte> workspace(packed ? nibble::gemm_workspace(m, *packed) : 0);
    if (s == nibble::status::ok && (s = packed.error()) == nibble::status::ok)
        s = nibble::gemm<std::uint8_t, float>({x_codes.data(), m, k}, {1.0f / 256.0f, 0}, *packed, {}, {y.data(), m, n}, workspace);
    std::printf("integer kernels: %s, y[0] = %.4f\n", nibble::to_string(s), static_cast<double>(y[0]));
    return s == nibble::status::ok ? 0 : 1;
}
