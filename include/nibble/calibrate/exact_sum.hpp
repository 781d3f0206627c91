// exact_sum: a sum without rounding. It does not depend on the order of the terms or on how the work is divided.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "../core/config.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// A sum of floats and of products of two floats without rounding: a fixed-point number of 768 bits, the lowest 2^-384.
class exact_sum {
public:
    static constexpr int limbs = 24;

    /// x: finite; either a float, or the product of two, which a double holds exactly.
    void add(double x) noexcept
    {
        std::uint64_t bits;
        std::memcpy(&bits, &x, 8);
        const int field = static_cast<int>(bits >> 52 & 0x7ff);
        if (field == 0)
            return;
        const std::uint64_t mantissa = (bits & 0x000fffffffffffffu) | 0x0010000000000000u;
        const int position = field - 1075 + 384, at = position >> 5, shift = position & 31;
        const std::uint64_t low = (mantissa & 0xffffffffu) << shift, high = (mantissa >> 32) << shift;
        const std::int64_t sign = bits >> 63 ? -1 : 1;
        limb_[at] += sign * static_cast<std::int64_t>(low & 0xffffffffu);
        limb_[at + 1] += sign * static_cast<std::int64_t>((low >> 32) + (high & 0xffffffffu));
        limb_[at + 2] += sign * static_cast<std::int64_t>(high >> 32);
        // A limb grows by less than 2^33 each time.
        if (++pending_ == 1u << 28)
            normalize();
    }
    void merge(exact_sum other) noexcept
    {
        other.normalize();
        normalize();
        for (int i = 0; i < limbs; ++i)
            limb_[i] += other.limb_[i];
        normalize();
    }
    /// All limbs but the last in [0, 2^32): then one sum has one form.
    void normalize() noexcept
    {
        for (int i = 0; i + 1 < limbs; ++i) {
            const std::int64_t low = limb_[i] & 0xffffffff;
            limb_[i + 1] += (limb_[i] - low) / (std::int64_t {1} << 32);
            limb_[i] = low;
        }
        pending_ = 0;
    }
    /// To double, within 3 units in the last place; the same for equal sums.
    double value() const noexcept
    {
        exact_sum magnitude = *this;
        magnitude.normalize();
        const bool negative = magnitude.limb_[limbs - 1] < 0;
        if (negative) {
            for (std::int64_t& limb : magnitude.limb_)
                limb = -limb;
            magnitude.normalize();
        }
        double sum = 0;
        for (int i = limbs - 1; i >= 0; --i)
            sum += std::ldexp(static_cast<double>(magnitude.limb_[i]), 32 * i - 384);
        return negative ? -sum : sum;
    }
    std::int64_t* data() noexcept { return limb_; }
    const std::int64_t* data() const noexcept { return limb_; }

private:
    std::int64_t limb_[limbs] = {};
    std::uint32_t pending_ = 0;
};

NIBBLE_END
NIBBLE_STRICT_END
