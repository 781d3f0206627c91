// What 16x8 layers share: int16 activations with zero points of 0, int8 (or int4) weights, exact sums. As in TFLite, the type of the bias
// says how sums become codes:
//   int64, or none  requantization_16x8: y = clamp(floor((sum * m + 2^(14 - shift)) / 2^(15 - shift))),
//                   m = min(half_up(multiplier / 2^16), 32767): TFLite's own arithmetic for sums of 48 bits
//   int32           requantization (quantize/requantize.hpp) with zero point 0, by its mode. single_rounding is the arithmetic of ruy,
//                   which TFLite calls for convolutions of one group and fully connected layers. double_rounding is that of its
//                   reference kernels, which it takes for grouped and transposed convolutions
// The sum, its bias included, is exact. With an int32 bias it saturates to int32, where TFLite's own accumulators would overflow.
// multiplier and shift are those of tflite/quantize.hpp. bounds_of<std::int16_t> has the bounds of a fused ReLU or ReLU6.
#pragma once

#include "../gemm/gemm.hpp"

NIBBLE_BEGIN
namespace tflite {

/// Of an int64 bias, or none. One multiplier and shift for all output channels, or one each.
struct requantization_16x8 {
    span<const std::int32_t> multiplier {};
    span<const std::int32_t> shift {};       ///< in [-31, 7]
    span<const std::int64_t> bias {};        ///< one a channel, or empty; within [-2^46, 2^46]
    std::int32_t low = -32768, high = 32767; ///< bounds of the codes
};

namespace detail {

/// Whether r fits so many channels of X; fills what kernels read: narrow of int8, wide of int16. wide may point to narrow.
template <class X>
inline status check_output(
    const requantization& r, std::ptrdiff_t channels, requantize_params& narrow, requantize_16x8_params& wide) noexcept
{
    if (sizeof(X) == 2 && r.zero_point != 0)
        return status::zero_point_out_of_range;
    wide.narrow = &narrow;
    return nibble::detail::check_requantization<X>(r, channels, narrow);
}
template <class X>
inline status check_output(const requantization_16x8& r, std::ptrdiff_t channels, requantize_params&, requantize_16x8_params& wide) noexcept
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
    const std::int32_t low = larger(r.low, -32768), high = smaller(r.high, 32767);
    if (low > high)
        return status::invalid_clamp;
    wide = {r.multiplier.size() == 1 ? 0 : 1, r.multiplier.data(), r.shift.data(), r.bias.empty() ? nullptr : r.bias.data(), low, high,
        nullptr};
    return status::ok;
}

} // namespace detail

} // namespace tflite
NIBBLE_END
