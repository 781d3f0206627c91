// Turns one number into a code and back by the default rule, for searches that try many parameters. quantize.hpp has matrices.
#pragma once

#include "../core/strict_math.hpp"
#include "params.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// clamp(round(x * (1 / scale)) + zero_point), ties to even; NaN gives zero_point (rule.hpp).
inline std::int32_t quantize_one(float x, scale_and_zero_point p, code_limits codes) noexcept
{
    const float low = static_cast<float>(codes.qmin - p.zero_point), high = static_cast<float>(codes.qmax - p.zero_point);
    const float t = opaque(x * (1.0f / p.scale));
    const float u = strict_math::choose(is_nan(t), 0.0f, t);
    const float bounded = strict_math::clamp(u, low, high);
    return static_cast<std::int32_t>(strict_math::nearbyint(bounded)) + p.zero_point;
}

/// (code - zero_point) * scale
inline float dequantize_one(std::int32_t code, scale_and_zero_point p) noexcept
{
    return static_cast<float>(code - p.zero_point) * p.scale;
}

NIBBLE_END
NIBBLE_STRICT_END
