// Random numbers, the same everywhere.
#pragma once

#include <cstdint>

namespace test {

class random {
public:
    explicit random(std::uint64_t seed) : state_(seed * 2 + 1) {}
    std::uint32_t bits()
    {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>(state_ >> 33) ^ static_cast<std::uint32_t>(state_ >> 13);
    }
    float real() { return (static_cast<float>(bits() & 0xffffffu) / 8388608.0f - 1.0f) * 3.0f; }
    std::int32_t integer(std::int32_t low, std::int32_t high)
    {
        return low + static_cast<std::int32_t>(bits() % static_cast<std::uint32_t>(high - low + 1));
    }

private:
    std::uint64_t state_;
};

} // namespace test
