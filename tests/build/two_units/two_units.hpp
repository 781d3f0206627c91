// What each of the two files does on its own copy of nibble's code.
#pragma once

#include <array>
#include <cstdint>

#include <nibble/nibble.hpp>

struct answer {
    nibble::backend active {};
    bool ok = false;
    std::array<std::int8_t, 37> codes {};
};

answer ask_plain();
answer ask_avx2();

/// Internal, so that the program has two copies.
[[maybe_unused]] static answer ask()
{
    std::array<float, 37> values {};
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = 0.37f * static_cast<float>(i) - 5.0f;
    const std::array<float, 1> scale {0.0625f};
    answer a;
    a.active = nibble::active_backend();
    const nibble::matrix_view<const float> from(values.data(), 1, 37);
    const nibble::matrix_view<std::int8_t> to(a.codes.data(), 1, 37);
    const nibble::quant_params_view params {nibble::granularity::per_tensor, 0, scale};
    a.ok = nibble::quantize(from, params, to) == nibble::status::ok;
    return a;
}
