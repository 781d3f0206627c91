// Products with fixed-point multipliers, for the operators that are plain C++. quantize/requantize.hpp defines the modes.
#pragma once

#include "elementwise.hpp"
#include "softmax.hpp"

NIBBLE_BEGIN
namespace tflite {
namespace detail {

/// x * m.multiplier * 2^(m.shift - 31), one of the fixed-point modes. A negative multiplier is the product's sign: ties still round up
/// before the shift to the right.
NIBBLE_INLINE std::int32_t rescaled(requantize_mode mode, std::int32_t x, fixed_multiplier m) noexcept
{
    const std::int32_t up = shifted_up(x, m.shift > 0 ? m.shift : 0), right = m.shift < 0 ? -m.shift : 0;
    if (mode == requantize_mode::single_rounding)
        return static_cast<std::int32_t>(
            (static_cast<std::int64_t>(up) * m.multiplier + (std::int64_t {1} << (30 + right))) >> (31 + right));
    const std::int32_t high = fixed_product(up, m.multiplier);
    return right == 0 ? high : divided(high, right);
}

NIBBLE_INLINE constexpr bool valid(fixed_multiplier m) noexcept { return m.multiplier >= 0 && m.shift >= -31 && m.shift <= 31; }

NIBBLE_INLINE std::int8_t to_s8(std::int32_t q) noexcept { return static_cast<std::int8_t>(q < -128 ? -128 : q > 127 ? 127 : q); }

/// The zero point, then within the codes: what follows a product that fits 32 bits.
NIBBLE_INLINE std::int8_t with_zero_point(std::int32_t product, std::int32_t zero_point) noexcept
{
    return to_s8(product < -1000 ? -128 : product > 1000 ? 127 : product + zero_point);
}

/// A few sums that stand together, by the kernel of requantize(). A template, as all that calls kernels (backend/dispatch.hpp).
template <class Lazy = void>
inline void requantize_few(const std::int32_t* sums, std::ptrdiff_t count, const requantize_params& r, std::int8_t* codes) noexcept
{
    kernels::requantize_s32()({sums, count, codes, count, 0, 1, count, r});
}

} // namespace detail
} // namespace tflite
NIBBLE_END
