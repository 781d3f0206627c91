// Quantization parameters: real = scale * (q - zero_point).
// Rows of a matrix are channels; groups run along a row. The parameter of element (r, c) stands at
//   per_tensor   [0]
//   per_channel  [r]
//   per_group    [r * groups + c / group_size], groups = ceil(cols / group_size); the last group of a row may be shorter
#pragma once

#include <cstdint>

#include "../core/numeric.hpp"
#include "../core/status.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN_TYPES

enum class granularity : std::uint8_t { per_tensor, per_channel, per_group };

/// symmetric: zero_point = 0 and scale = max|x| / qmax. affine: the range, widened to hold 0, onto [qmin, qmax].
enum class scheme : std::uint8_t { symmetric, affine };

struct quant_params_view {
    granularity kind = granularity::per_tensor;
    std::ptrdiff_t group_size = 0;           ///< per_group only
    span<const float> scales;                ///< finite and above zero
    span<const std::int32_t> zero_points {}; ///< empty: all 0
};

/// How many scales a rows x cols matrix has.
NIBBLE_INLINE constexpr std::ptrdiff_t params_count(
    granularity kind, std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t group_size = 0) noexcept
{
    switch (kind) {
    case granularity::per_tensor: return 1;
    case granularity::per_channel: return rows;
    case granularity::per_group: return group_size < 1 ? 0 : rows * (cols / group_size + (cols % group_size != 0));
    }
    return 0;
}

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// The distances, in parameters, from row to row and from group to group, and the group size as kernels use it.
struct params_steps {
    std::ptrdiff_t row = 0, group = 0, group_size = 1;
};

NIBBLE_INLINE constexpr params_steps steps_of(granularity kind, std::ptrdiff_t cols, std::ptrdiff_t group_size) noexcept
{
    const std::ptrdiff_t whole = cols > 0 ? cols : 1;
    switch (kind) {
    case granularity::per_tensor: return {0, 0, whole};
    case granularity::per_channel: return {1, 0, whole};
    case granularity::per_group: return {cols / group_size + (cols % group_size != 0), 1, group_size};
    }
    return {};
}

/// Whether parameters fit a rows x cols matrix of Q.
template <class Q>
inline status check_params(quant_params_view p, std::ptrdiff_t rows, std::ptrdiff_t cols) noexcept
{
    if (p.kind == granularity::per_group && (p.group_size < 1 || p.group_size % code_traits<Q>::per_element != 0))
        return status::group_size_invalid;
    const std::size_t count = static_cast<std::size_t>(params_count(p.kind, rows, cols, p.group_size));
    if (p.scales.size() != count || (!p.zero_points.empty() && p.zero_points.size() != count))
        return status::params_count_mismatch;
    if ((p.scales.data() == nullptr || (!p.zero_points.empty() && p.zero_points.data() == nullptr)) && count != 0)
        return status::null_pointer;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t bits = float_bits(p.scales[i]);
        if (bits == 0 || bits >= 0x7f800000u)
            return status::scale_invalid;
    }
    for (std::size_t i = 0; i < p.zero_points.size(); ++i)
        if (p.zero_points[i] < code_traits<Q>::qmin || p.zero_points[i] > code_traits<Q>::qmax)
            return status::zero_point_out_of_range;
    return status::ok;
}

NIBBLE_END
