// What 16x8 layers share: int16 activations with zero points of 0, int8 (or int4) weights, exact sums, an int64 bias.
//   y = clamp(floor((sum * m + 2^(14 - shift)) / 2^(15 - shift))), m = min(half_up(multiplier / 2^16), 32767)
// where sum, its bias included, is exact and multiplier and shift are output_multipliers' ones: TFLite's own arithmetic for sums of 48
// bits. bounds_of<std::int16_t> has the bounds of a fused ReLU or ReLU6.
#pragma once

#include "../gemm/gemm.hpp"

NIBBLE_BEGIN
namespace tflite {

/// One multiplier and shift for all output channels, or one each.
struct requantization_16x8 {
    span<const std::int32_t> multiplier {};
    span<const std::int32_t> shift {};       ///< in [-31, 7]
    span<const std::int64_t> bias {};        ///< one a channel, or empty; within [-2^46, 2^46]
    std::int32_t low = -32768, high = 32767; ///< bounds of the codes
};

namespace detail {

/// Whether r fits so many channels; fills what kernels read.
inline status check_output(const requantization& r, std::ptrdiff_t channels, requantize_params& out) noexcept
{
    return nibble::detail::check_requantization<std::int8_t>(r, channels, out);
}
inline status check_output(const requantization_16x8& r, std::ptrdiff_t channels, requantize_16x8_params& out) noexcept
{
    const std::size_t columns = static_cast<std::size_t>(channels);
    if ((r.multiplier.size() != 1 && r.multiplier.size() != columns) || r.shift.size() != r.multiplier.size()
        || (!r.bias.empty() && r.bias.size() != columns))
        return status::params_count_mismatch;
    if (check(r.multiplier) != status::ok || check(r.shift) != status::ok || check(r.bias) != status::ok)
        return status::null_pointer;
    for (std::size_t i = 0; i < r.multiplier.size(); ++i)
        if (r.multiplier[i] < 0 || r.shift[i] < -31 || r.shift[i] > 7)
            return status::multiplier_invalid;
    constexpr std::int64_t largest = std::int64_t {1} << 46;
    for (const std::int64_t bias : r.bias)
        if (bias < -largest || bias > largest)
            return status::bias_too_large;
    const std::int32_t low = r.low < -32768 ? -32768 : r.low, high = r.high > 32767 ? 32767 : r.high;
    if (low > high)
        return status::invalid_clamp;
    out = {r.multiplier.size() == 1 ? 0 : 1, r.multiplier.data(), r.shift.data(), r.bias.empty() ? nullptr : r.bias.data(), low, high};
    return status::ok;
}

} // namespace detail

} // namespace tflite
NIBBLE_END
