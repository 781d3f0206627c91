// Turns int32 sums back into int8 or uint8. x is the sum plus bias, if there is one (modulo 2^32); real = scale of x / scale of the output.
//   float_ties_to_even  q = clamp(even(float(x) * scale) + zero_point)        onnxruntime's QLinearMatMul, XNNPACK, FBGEMM
//                       zero_point_first: q = clamp(even(float(x) * scale + zero_point)), the ONNX reference implementation
//   double_rounding     y = x * 2^max(shift, 0), saturated; h = floor((y * multiplier + 2^30) / 2^31);
//                       q = clamp(h / 2^max(-shift, 0), half away from zero, + zero_point)       gemmlowp, TFLite's default
//   single_rounding     q = clamp(floor((y * multiplier + 2^(30 + right)) / 2^(31 + right)) + zero_point), right = max(-shift, 0)
//                                                                             ruy, TFLite built with single rounding
// where real = multiplier * 2^(shift - 31), multiplier in [2^30, 2^31) or 0, shift in [-31, 31].
#pragma once

#include <cmath>

#include "quantize.hpp"

NIBBLE_BEGIN_TYPES

/// One scale or multiplier for all columns, or one a column (output channel).
struct requantization {
    requantize_mode mode = requantize_mode::float_ties_to_even;
    span<const float> scale {};             ///< float mode: finite, above zero
    span<const std::int32_t> multiplier {}; ///< fixed-point modes
    span<const std::int32_t> shift {};
    span<const std::int32_t> bias {}; ///< one a column, or empty
    std::int32_t zero_point = 0;
    std::int32_t low = INT32_MIN, high = INT32_MAX; ///< bounds of the codes, within the type's: a fused ReLU has low = zero_point
    bool zero_point_first = false;                  ///< float mode only
};

struct fixed_multiplier {
    std::int32_t multiplier, shift;
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// A real in [0, 2^31) as multiplier and shift, to the nearest, half away from zero; below 2^-32 it becomes 0. What would round to 2^31
/// becomes the greatest there is, 2^31 - 1. scale_invalid otherwise.
inline result<fixed_multiplier> encode_multiplier(double real) noexcept
{
    std::uint64_t bits;
    std::memcpy(&bits, &real, sizeof bits);
    if (bits >> 52 >= 0x41e) // 2^31 and above, negative, infinite or NaN
        return status::scale_invalid;
    const std::int32_t exponent = static_cast<std::int32_t>(bits >> 52) - 1022;
    const std::uint64_t fraction
        = (bits & 0xfffffffffffffu) | std::uint64_t {1} << 52; // in [2^52, 2^53): real = fraction / 2^53 * 2^exponent
    fixed_multiplier m {};
    std::uint64_t rounded = (fraction + (std::uint64_t {1} << 21)) >> 22;
    m.shift = exponent;
    if (rounded == std::uint64_t {1} << 31) {
        rounded >>= 1;
        ++m.shift;
    }
    if (bits >> 52 == 0 || m.shift < -31)
        return fixed_multiplier {0, 0};
    if (m.shift > 31)
        return fixed_multiplier {INT32_MAX, 31};
    m.multiplier = static_cast<std::int32_t>(rounded);
    return m;
}

NIBBLE_END
NIBBLE_STRICT_END

NIBBLE_BEGIN

namespace detail {

/// Whether r fits `cols` columns of Q; fills what kernels read.
template <class Q>
inline status check_requantization(const requantization& r, std::ptrdiff_t cols, requantize_params& out) noexcept
{
    const std::size_t columns = static_cast<std::size_t>(cols);
    const auto fits = [&](std::size_t size) noexcept { return size == 1 || size == columns; };
    const bool is_float = r.mode == requantize_mode::float_ties_to_even;
    if (is_float ? !fits(r.scale.size()) : !fits(r.multiplier.size()) || r.shift.size() != r.multiplier.size())
        return status::params_count_mismatch;
    if (!r.bias.empty() && r.bias.size() != columns)
        return status::params_count_mismatch;
    if (check(r.scale) != status::ok || check(r.multiplier) != status::ok || check(r.shift) != status::ok || check(r.bias) != status::ok)
        return status::null_pointer;
    if (is_float) {
        for (const float scale : r.scale)
            if (!is_positive_finite(scale))
                return status::scale_invalid;
    } else {
        for (std::size_t i = 0; i < r.multiplier.size(); ++i)
            if (r.multiplier[i] < 0 || r.shift[i] < -31 || r.shift[i] > 31)
                return status::multiplier_invalid;
    }
    if (r.zero_point < code_traits<Q>::qmin || r.zero_point > code_traits<Q>::qmax)
        return status::zero_point_out_of_range;
    const std::int32_t low = larger(r.low, code_traits<Q>::qmin);
    const std::int32_t high = smaller(r.high, code_traits<Q>::qmax);
    if (low > high)
        return status::invalid_clamp;
    const std::size_t count = is_float ? r.scale.size() : r.multiplier.size();
    out = {r.mode, r.zero_point_first, count == 1 ? 0 : 1, r.scale.data(), r.multiplier.data(), r.shift.data(),
        r.bias.empty() ? nullptr : r.bias.data(), r.zero_point, low, high};
    return status::ok;
}

} // namespace detail

/// x, q: rows x cols. Q: int8 or uint8.
template <class Q, class Executor = serial_executor>
inline status requantize(matrix_view<const std::int32_t> x, const requantization& r, matrix_view<Q> q, Executor&& executor = Executor {})
{
    static_assert(std::is_same_v<Q, std::int8_t> || std::is_same_v<Q, std::uint8_t>, "int8 or uint8");
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_codes(x.rows, x.cols, q); s != status::ok)
        return s;
    requantize_args args {x.data, x.stride, q.data, q.stride, 0, x.rows, x.cols, {}};
    if (const status s = detail::check_requantization<Q>(r, x.cols, args.params); s != status::ok)
        return s;
    if (!x.empty())
        detail::run_rows(kernels::requantize_s32(), args, executor);
    return status::ok;
}

NIBBLE_END
