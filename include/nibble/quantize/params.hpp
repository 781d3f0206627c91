// Quantization parameters: real = scale * (q - zero_point).
// The parameter of element (r, c) of a rows x cols matrix is at index
//   per_tensor   [0]
//   per_channel  [r]                                   rows are channels, as in weights
//   per_column   [c]
//   per_group    [r * groups + c / group_size]         groups = ceil(cols / group_size); the last group of a row may be shorter
//   per_block    [r / block_rows * groups + c / group_size]
// A tensor of more dimensions, quantized along one axis, is a number of matrices of axis x inner, each per_channel. onnx/linear.hpp does
// that.
//
// The parameters that map a range [lo, hi], widened to hold 0, to codes [qmin, qmax]. They depend on params_formula. The affine ones come
// first, symmetric ones in brackets, with middle = 0, or 128 for uint8, and reach = max(-lo, hi):
//   nibble   double: scale = (hi - lo) / (qmax - qmin), rounded to float;  zero_point = even(qmin - lo / scale)   [reach / (qmax - middle)]
//   onnx     float:  scale = (hi - lo) / (qmax - qmin);  zero_point = even(qmin - lo / scale)                     [2 reach / (qmax - qmin)]
//   tflite   double: as nibble, the zero point with the double scale, from lo or from hi, whichever sum of magnitudes is less, half away
//   pytorch  float:  as onnx, zero_point = qmin - even(lo / scale); scale at least 2^-23                [reach / ((qmax - qmin) / 2)]
//   fbgemm   double: as tflite, but from the scale rounded to float, and ties to even; a scale below 6.1e-5 becomes that, and lo and hi
//            grow with it
// Zero points are clamped to [qmin, qmax]. A range without extent, or a scale below the least normal float, gives scale 1 (pytorch 2^-23;
// fbgemm 0.1 without extent or with one whose reciprocal is infinite). If hi - lo or 2 reach overflows float, it is computed in double.
#pragma once

#include <cmath>
#include <cstdint>

#include "../core/numeric.hpp"
#include "../core/status.hpp"
#include "../core/strict_math.hpp"
#include "../core/view.hpp"
#include "rule.hpp"

NIBBLE_BEGIN_TYPES

enum class granularity : std::uint8_t { per_tensor, per_channel, per_group, per_column, per_block };

struct quant_params_view {
    granularity kind = granularity::per_tensor;
    std::ptrdiff_t group_size = 0;           ///< columns of a group or block
    span<const float> scales;                ///< finite and above zero
    span<const std::int32_t> zero_points {}; ///< empty: all 0
    std::ptrdiff_t block_rows = 1;           ///< per_block only
};

/// Parameters by name: one scale for the whole matrix, one a row, or one for every `size` columns of a row. They refer to the caller's
/// numbers.
NIBBLE_INLINE constexpr quant_params_view per_tensor(const float& scale) noexcept { return {granularity::per_tensor, 0, {&scale, 1}}; }
NIBBLE_INLINE constexpr quant_params_view per_tensor(const float& scale, const std::int32_t& zero_point) noexcept
{
    return {granularity::per_tensor, 0, {&scale, 1}, {&zero_point, 1}};
}
quant_params_view per_tensor(const float&&) = delete; // the view would outlive the number
quant_params_view per_tensor(const float&&, const std::int32_t&) = delete;
quant_params_view per_tensor(const float&, const std::int32_t&&) = delete;
quant_params_view per_tensor(const float&&, const std::int32_t&&) = delete;
NIBBLE_INLINE constexpr quant_params_view per_channel(span<const float> scales, span<const std::int32_t> zero_points = {}) noexcept
{
    return {granularity::per_channel, 0, scales, zero_points};
}
NIBBLE_INLINE constexpr quant_params_view per_group(
    std::ptrdiff_t size, span<const float> scales, span<const std::int32_t> zero_points = {}) noexcept
{
    return {granularity::per_group, size, scales, zero_points};
}

/// How many scales a rows x cols matrix has; 0 for sizes that are not valid, PTRDIFF_MAX if there are more.
NIBBLE_INLINE constexpr std::ptrdiff_t params_count(
    granularity kind, std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t group_size = 0, std::ptrdiff_t block_rows = 1) noexcept
{
    if (rows < 0 || cols < 0)
        return 0;
    switch (kind) {
    case granularity::per_tensor: return 1;
    case granularity::per_channel: return rows;
    case granularity::per_column: return cols;
    case granularity::per_group: block_rows = 1; break;
    case granularity::per_block: break;
    default: return 0;
    }
    if (group_size < 1 || block_rows < 1)
        return 0;
    const checked_size blocks = rows / block_rows + (rows % block_rows != 0), groups = cols / group_size + (cols % group_size != 0);
    return (blocks * groups).count();
}

struct code_limits {
    std::int32_t qmin, qmax;
};

/// The codes of `bits` bits, 2 to 8. {-1, 0, 1}, ternary, is 2 bits, signed, narrow.
NIBBLE_INLINE constexpr code_limits codes_of_bits(int bits, bool is_signed, code_range range = code_range::full) noexcept
{
    const std::int32_t qmin = is_signed ? -(1 << (bits - 1)) : 0, qmax = qmin + (1 << bits) - 1;
    return range == code_range::narrow    ? code_limits {qmin + 1, qmax}
           : range == code_range::reduced ? code_limits {qmin / 2, qmax / 2}
                                          : code_limits {qmin, qmax};
}

/// The codes of Q that a range allows.
template <class Q>
NIBBLE_INLINE constexpr code_limits codes_of(code_range range) noexcept
{
    return codes_of_bits(static_cast<int>(8 * sizeof(Q)) / code_traits<Q>::per_element, code_traits<Q>::qmin < 0, range);
}

struct scale_and_zero_point {
    float scale;
    std::int32_t zero_point;
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// The distances, in parameters, from block to block of rows and from group to group, and their sizes as kernels use them, which are at
/// least 1.
struct params_strides {
    std::ptrdiff_t row = 0, group = 0, group_size = 1, block_rows = 1;
};

/// Groups or blocks of a size below 1, which check_grouping refuses, have no parameters: both distances are 0.
NIBBLE_INLINE constexpr params_strides strides_of(
    granularity kind, std::ptrdiff_t cols, std::ptrdiff_t group_size, std::ptrdiff_t block_rows = 1) noexcept
{
    if ((kind == granularity::per_group || kind == granularity::per_block) && (group_size < 1 || block_rows < 1))
        return {};
    const std::ptrdiff_t whole = cols > 0 ? cols : 1;
    switch (kind) {
    case granularity::per_tensor: return {0, 0, whole, 1};
    case granularity::per_channel: return {1, 0, whole, 1};
    case granularity::per_column: return {0, 1, 1, 1};
    case granularity::per_group: return {cols / group_size + (cols % group_size != 0), 1, group_size, 1};
    case granularity::per_block: return {cols / group_size + (cols % group_size != 0), 1, group_size, block_rows};
    }
    return {};
}

/// Whether the granularity is one of the enum's, and groups and blocks have sizes that codes of Q can be stored in.
template <class Q>
inline status check_grouping(granularity kind, std::ptrdiff_t group_size, std::ptrdiff_t block_rows) noexcept
{
    if (kind > granularity::per_block)
        return status::granularity_unsupported;
    if (kind != granularity::per_group && kind != granularity::per_block)
        return status::ok;
    const bool whole_bytes = group_size % code_traits<Q>::per_element == 0 || (kind == granularity::per_block && group_size == 1);
    return group_size < 1 || !whole_bytes || block_rows < 1 ? status::group_size_invalid : status::ok;
}

/// Whether parameters fit a rows x cols matrix of Q.
template <class Q>
inline status check_params(quant_params_view p, std::ptrdiff_t rows, std::ptrdiff_t cols) noexcept
{
    if (const status s = check_grouping<Q>(p.kind, p.group_size, p.block_rows); s != status::ok)
        return s;
    const std::size_t count = static_cast<std::size_t>(params_count(p.kind, rows, cols, p.group_size, p.block_rows));
    if (p.scales.size() != count || (!p.zero_points.empty() && p.zero_points.size() != count))
        return status::params_count_mismatch;
    if (check(p.scales) != status::ok || check(p.zero_points) != status::ok)
        return status::null_pointer;
    // Groups have many parameters: sign bits are collected, so that compilers may use vectors.
    constexpr std::uint32_t qmin = static_cast<std::uint32_t>(code_traits<Q>::qmin),
                            qmax = static_cast<std::uint32_t>(code_traits<Q>::qmax);
    std::uint32_t wrong = 0;
    for (std::size_t i = 0; i < count; ++i)
        wrong |= (float_bits(p.scales[i]) - 1u) | (0x7f7fffffu - float_bits(p.scales[i]));
    if (wrong >> 31)
        return status::scale_invalid;
    for (std::size_t i = 0; i < p.zero_points.size(); ++i)
        wrong |= (static_cast<std::uint32_t>(p.zero_points[i]) - qmin) | (qmax - static_cast<std::uint32_t>(p.zero_points[i]));
    if (wrong >> 31)
        return status::zero_point_out_of_range;
    return status::ok;
}

NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

namespace detail {

inline std::int32_t clamp_zero_point(double at, code_limits codes) noexcept
{
    return static_cast<std::int32_t>(clamped(at, codes.qmin, codes.qmax));
}

/// The zero point of TFLite and FBGEMM: from the end of the range whose two terms are smaller.
inline double nearer_zero_point(double lo, double hi, double scale, code_limits codes) noexcept
{
    const double low = lo / scale, high = hi / scale;
    const double low_error = std::abs(static_cast<double>(codes.qmin)) + std::abs(low);
    const double high_error = std::abs(static_cast<double>(codes.qmax)) + std::abs(high);
    return low_error < high_error ? codes.qmin - low : codes.qmax - high;
}

inline float next_power_of_two(float scale) noexcept
{
    const std::uint32_t bits = (float_bits(scale) + 0x7fffffu) & infinity_bits;
    return float_from_bits(smaller(bits, 0x7f000000u));
}

/// The bound is reached by a range from -FLT_MAX to FLT_MAX of two codes.
inline float normal_or_one(double scale) noexcept
{
    const float rounded = scale < 3.4028234663852886e+38 ? static_cast<float>(scale) : 3.40282347e+38f;
    return rounded < 1.17549435e-38f ? 1.0f : rounded;
}

/// (hi - lo) / codes in float, or in double where the difference is beyond float's range.
inline double float_quotient(float lo, float hi, float codes) noexcept
{
    const double exact = static_cast<double>(hi) - static_cast<double>(lo);
    return exact < 0x1.ffffffp+127 ? static_cast<double>((hi - lo) / codes) : exact / static_cast<double>(codes);
}

} // namespace detail

/// The parameters of one range; the head of this file has the formulas. lo and hi are finite. The caller's floating-point mode is the
/// default one.
inline scale_and_zero_point params_of_range(float lo, float hi, params_rule rule, code_limits codes) noexcept
{
    lo = smaller(lo, 0.0f);
    hi = larger(hi, 0.0f);
    const double qmin = codes.qmin, qmax = codes.qmax;
    const float span_of_codes = static_cast<float>(codes.qmax - codes.qmin);
    const auto finished = [&](float scale) noexcept { return rule.power_of_two ? detail::next_power_of_two(scale) : scale; };
    if (rule.how == scheme::symmetric) {
        const std::int32_t middle = codes.qmin < 0 ? 0 : (codes.qmax + 1) / 2;
        const float reach = larger(hi, -lo);
        float scale = 0.0f;
        switch (rule.formula) {
        case params_formula::onnx: scale = detail::normal_or_one(detail::float_quotient(-reach, reach, span_of_codes)); break;
        case params_formula::pytorch: {
            const float exact = reach / (span_of_codes / 2.0f);
            scale = larger(exact, 0x1p-23f);
            break;
        }
        case params_formula::nibble:
        case params_formula::tflite:
        case params_formula::fbgemm: scale = detail::normal_or_one(static_cast<double>(reach) / (codes.qmax - middle)); break;
        }
        return {finished(scale), middle};
    }
    switch (rule.formula) {
    case params_formula::nibble: break;
    case params_formula::onnx: {
        const float scale = finished(detail::normal_or_one(detail::float_quotient(lo, hi, span_of_codes)));
        const float at = static_cast<float>(codes.qmin) - lo / scale;
        return {scale, detail::clamp_zero_point(static_cast<double>(strict_math::nearbyint(at)), codes)};
    }
    case params_formula::pytorch: {
        const float exact = detail::normal_or_one(detail::float_quotient(lo, hi, span_of_codes));
        const float scale = finished(lo == hi ? 0x1p-23f : larger(0x1p-23f, exact));
        return {scale, detail::clamp_zero_point(qmin - static_cast<double>(strict_math::nearbyint(lo / scale)), codes)};
    }
    case params_formula::tflite: {
        const double exact = (static_cast<double>(hi) - static_cast<double>(lo)) / (qmax - qmin);
        if (lo == hi || static_cast<float>(exact) < 1.17549435e-38f)
            return {1.0f, larger(codes.qmin, 0)};
        const double scale = rule.power_of_two ? static_cast<double>(finished(detail::normal_or_one(exact))) : exact;
        return {detail::normal_or_one(scale),
            detail::clamp_zero_point(
                std::round(detail::nearer_zero_point(static_cast<double>(lo), static_cast<double>(hi), scale, codes)), codes)};
    }
    case params_formula::fbgemm: {
        const double exact = (static_cast<double>(hi) - static_cast<double>(lo)) / (qmax - qmin);
        const float rounded = exact < 3.4028234663852886e+38 ? static_cast<float>(exact) : 3.40282347e+38f;
        float scale = finished(float_bits(rounded) <= 0x200000u ? 0.1f : rounded); // up to 2^-128, 1 / scale is infinite
        constexpr float least = 6.1e-5f;
        if (scale < least) {
            const float all = least * span_of_codes, grow = least / scale;
            const bool from_zero = lo == 0.0f, to_zero = hi == 0.0f;
            hi = from_zero ? all : hi * grow;
            lo = to_zero ? -all : lo * grow;
            scale = least;
        }
        return {scale, detail::clamp_zero_point(std::nearbyint(detail::nearer_zero_point(
                                                    static_cast<double>(lo), static_cast<double>(hi), static_cast<double>(scale), codes)),
                           codes)};
    }
    }
    const float scale = finished(detail::normal_or_one((static_cast<double>(hi) - static_cast<double>(lo)) / (qmax - qmin)));
    return {scale, detail::clamp_zero_point(std::nearbyint(qmin - static_cast<double>(lo) / static_cast<double>(scale)), codes)};
}

NIBBLE_END
NIBBLE_STRICT_END
