// float32 to and from half, bfloat16 and 8-bit floats; core/numeric.hpp and core/minifloat.hpp have the rules and the conversion of one
// number.
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/minifloat.hpp"
#include "../core/numeric.hpp"
#include "../core/view.hpp"
#include "quantize.kernels.hpp"

NIBBLE_BEGIN

namespace detail {

template <class From, class To>
inline status convert(kernel<convert_args> run, span<From> from, span<To> to, overflow rule = overflow::saturate) noexcept
{
    if (from.size() != to.size())
        return status::shape_mismatch;
    if (check(from) != status::ok || check(to) != status::ok)
        return status::null_pointer;
    const default_fp_mode mode;
    run({from.data(), to.data(), static_cast<std::ptrdiff_t>(from.size()), rule});
    return status::ok;
}

} // namespace detail

template <class Lazy = void>
inline status convert(span<const float> x, span<half> y) noexcept
{
    return detail::convert(kernels::f32_to_half(), x, y);
}
template <class Lazy = void>
inline status convert(span<const half> x, span<float> y) noexcept
{
    return detail::convert(kernels::half_to_f32(), x, y);
}
template <class Lazy = void>
inline status convert(span<const float> x, span<bfloat16> y) noexcept
{
    return detail::convert(kernels::f32_to_bfloat16(), x, y);
}
template <class Lazy = void>
inline status convert(span<const bfloat16> x, span<float> y) noexcept
{
    return detail::convert(kernels::bfloat16_to_f32(), x, y);
}

template <class Lazy = void>
inline status convert(span<const float> x, span<float8_e4m3> y, overflow rule = overflow::saturate) noexcept
{
    return detail::convert(kernels::f32_to_float8_e4m3(), x, y, rule);
}
template <class Lazy = void>
inline status convert(span<const float> x, span<float8_e5m2> y, overflow rule = overflow::saturate) noexcept
{
    return detail::convert(kernels::f32_to_float8_e5m2(), x, y, rule);
}
template <class Lazy = void>
inline status convert(span<const float8_e4m3> x, span<float> y) noexcept
{
    return detail::convert(kernels::float8_e4m3_to_f32(), x, y);
}
template <class Lazy = void>
inline status convert(span<const float8_e5m2> x, span<float> y) noexcept
{
    return detail::convert(kernels::float8_e5m2_to_f32(), x, y);
}

NIBBLE_END
