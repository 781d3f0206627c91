// A product of 2 x 64 floats with 16 x 64 weights of type W, all 1: every sum is 64 where scales are 1.
#pragma once

#include <cmath>
#include <vector>

#include <nibble/gemm/gemm.hpp>

namespace budget {

inline bool multiply(const nibble::packed_weights& packed)
{
    const std::vector<float> x(2 * 64, 1.0f);
    float y[2 * 16] = {};
    std::vector<std::byte> workspace(nibble::gemm_workspace(2, packed));
    const auto done
        = nibble::gemm(nibble::matrix_view<const float>(x.data(), 2, 64), packed, {}, nibble::matrix_view<float>(y, 2, 16), workspace);
    return done == nibble::status::ok && std::fabs(y[31] - 64.0f) < 1.0f;
}

// Codes of weights that are 1.
template <class Q>
bool multiply_codes(Q one, std::ptrdiff_t group_size)
{
    const std::ptrdiff_t cols = nibble::elements_for<Q>(64);
    const std::vector<Q> codes(static_cast<std::size_t>(16 * cols), one);
    const bool groups = group_size != 0;
    const std::vector<float> scales(static_cast<std::size_t>(groups ? 16 * 64 / group_size : 16), 1.0f);
    const auto packed = nibble::packed_weights::make(nibble::matrix_view<const Q>(codes.data(), 16, cols), 64,
        {groups ? nibble::granularity::per_group : nibble::granularity::per_channel, group_size, scales});
    return packed && multiply(*packed);
}

template <class W>
bool multiply_floats(W one)
{
    const std::vector<W> weights(16 * 64, one);
    const auto packed = nibble::packed_weights::make(nibble::matrix_view<const W>(weights.data(), 16, 64));
    return packed && multiply(*packed);
}

} // namespace budget
