// Numbers to quantize to blocks: plain ones, and rows that are hard on a quantizer. The same everywhere: no function of the C library that
// is not exactly rounded has a part in them.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <nibble/core/strict_math.hpp>

NIBBLE_STRICT_BEGIN
namespace test {

// The sum of twelve numbers, about normal, exact.
inline float normal(std::mt19937& bits)
{
    std::int32_t sum = 0;
    for (int i = 0; i < 12; ++i)
        sum += static_cast<std::int32_t>(bits() & 0xffffu);
    return static_cast<float>(sum - 6 * 0xffff) * 0x1p-16f;
}

// Each row is of one kind; every second one is of ordinary numbers.
inline std::vector<float> block_data(std::ptrdiff_t rows, std::ptrdiff_t cols)
{
    std::vector<float> x(static_cast<std::size_t>(rows * cols));
    std::mt19937 bits(42);
    for (std::ptrdiff_t row = 0; row < rows; ++row) {
        const std::uint32_t kind = row % 2 == 0 ? 0 : static_cast<std::uint32_t>(bits() % 22);
        float* out = x.data() + row * cols;
        for (std::ptrdiff_t i = 0; i < cols; ++i) {
            const float n = normal(bits);
            const std::uint32_t b = static_cast<std::uint32_t>(bits());
            switch (kind) {
            case 1: out[i] = 0.0f; break;
            case 2: out[i] = nibble::float_from_bits(b << 31); break;
            case 3: out[i] = static_cast<float>(static_cast<std::int32_t>(b % 31) - 15) * 0.5f; break; // ties
            case 4: out[i] = b % 64 == 0 ? n * 1000.0f : n; break;                                     // outliers
            case 5: out[i] = b % 200 == 0 ? n : 0.0f; break;                                           // alone
            case 6: out[i] = n * 0x1p-30f; break;
            case 7: out[i] = n * 0x1p-60f; break;
            case 8: out[i] = n * 0x1p-126f; break; // subnormal
            case 9: out[i] = n * 0x1p-145f; break;
            case 10: out[i] = n * 0x1p12f; break;
            case 11: out[i] = n * 0x1p18f; break; // the half scales overflow
            case 20: out[i] = n * 0x1p35f; break; // sums of sixth powers overflow
            case 21: out[i] = n * 0x1p110f; break;
            case 12: out[i] = std::fabs(n); break;
            case 13: out[i] = -1.0f - std::fabs(n); break;
            case 14: out[i] = 3.0f; break;
            case 15: out[i] = b & 1 ? 1.0f : -1.0f; break; // which of two extremes counts
            case 16: out[i] = std::ldexp(1.0f, static_cast<int>(b % 40) - 20) * (b & 1024 ? -1.0f : 1.0f); break;
            case 17: // below a power of two
                out[i] = (1.0f - static_cast<float>(b % 64) * 0x1p-24f) * std::ldexp(1.0f, static_cast<int>(i / 32 % 250) - 125);
                break;
            case 18: out[i] = i / 32 % 2 == 0 ? 0.0f : n; break;
            case 19: out[i] = n * std::ldexp(1.0f, static_cast<int>(i / 16 % 24) - 12); break; // groups of unequal size
            default: out[i] = b % 500 == 0 ? n * 30.0f : n; break;
            }
        }
    }
    return x;
}

inline std::vector<float> importance_data(std::ptrdiff_t cols)
{
    std::vector<float> weights(static_cast<std::size_t>(cols));
    std::mt19937 bits(7);
    for (float& w : weights) {
        const float n = normal(bits);
        w = bits() % 50 == 0 ? 0.0f : std::fabs(n) + 0x1p-10f; // exact: no compiler can make another number of it
    }
    return weights;
}

// FNV-1a.
inline std::uint64_t hash(const void* data, std::size_t size)
{
    std::uint64_t h = 0xcbf29ce484222325u;
    for (std::size_t i = 0; i < size; ++i)
        h = (h ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3u;
    return h;
}

} // namespace test
NIBBLE_STRICT_END
