// How ggml chooses the scale of a group of numbers: least squares over a few candidates, each step rounded to float and nothing fused, sums
// in ascending order. What a candidate costs is weighted; the best is kept. The names of ggml's functions are given.
//   symmetric_search   make_qx_quants   x ~ scale * (code - bias)
//   descent_search     make_q3_quants   the same, then codes are moved one at a time while that lessens the error
//   affine_search      make_qkx2_quants and make_qkx3_quants   x ~ scale * code - minimum, minimum not below zero
//   iq4_search         in quantize_row_iq4_nl_impl   x ~ scale * one of iq4_values
//   positive_search    make_qp_quants   x ~ scale * code; for the scales of groups
#pragma once

#include <cmath>

#include "../blocks/kernels/arguments.hpp"
#include "../blocks/layout.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace reference {

/// A product that no compiler fuses with a sum.
NIBBLE_INLINE float product(float a, float b) noexcept { return opaque(a * b); }

/// In double, since clang under -ffast-math estimates roots of floats, whatever the pragmas say. Rounded twice it is still the nearest
/// float.
NIBBLE_INLINE float square_root(float x) noexcept { return static_cast<float>(__builtin_sqrt(static_cast<double>(opaque(x)))); }

/// The nearest integer, ties to even, for |x| up to 2^22; what ggml's nearest_int gives for others and for NaN.
NIBBLE_INLINE int nearest_int(float x) noexcept { return static_cast<int>(float_bits(opaque(x) + 12582912.0f) & 0x7fffffu) - 0x400000; }

NIBBLE_INLINE int bounded(int q, int low, int high) noexcept { return q < low ? low : q > high ? high : q; }

/// The first number of the greatest magnitude.
inline float signed_extreme(const float* x, int n) noexcept
{
    float amax = 0.0f, extreme = 0.0f;
    for (int i = 0; i < n; ++i)
        if (std::fabs(x[i]) > amax) {
            amax = std::fabs(x[i]);
            extreme = x[i];
        }
    return extreme;
}

/// Codes are in [0, 2 * bias), the bias added.
inline float symmetric_search(const float* x, const float* weights, int n, int bias, std::uint8_t* codes) noexcept
{
    const float extreme = signed_extreme(x, n);
    if (std::fabs(extreme) < least_scaled_group) {
        std::memset(codes, 0, static_cast<std::size_t>(n));
        return 0.0f;
    }
    float scale = 0.0f, best = 0.0f;
    for (int step = 0; step < 19; ++step) {
        // The extreme itself first, then 0.9, 0.8 ... 0.1 codes less and 0.1 ... 0.9 more.
        const int tenths = step == 0 ? 0 : step < 10 ? step - 10 : step - 9;
        const float nudged = static_cast<float>(bias) + product(0.1f, static_cast<float>(tenths));
        const float inverse = -nudged / extreme;
        float sum_lx = 0.0f, sum_l2 = 0.0f;
        for (int i = 0; i < n; ++i) {
            const float l = static_cast<float>(bounded(nearest_int(inverse * x[i]), -bias, bias - 1));
            sum_lx += product(weights[i] * x[i], l);
            sum_l2 += product(weights[i] * l, l);
        }
        const bool better = step == 0 || (sum_l2 > 0.0f && sum_lx * sum_lx > best * sum_l2);
        if (!better)
            continue;
        for (int i = 0; i < n; ++i)
            codes[i] = static_cast<std::uint8_t>(bounded(nearest_int(inverse * x[i]), -bias, bias - 1) + bias);
        scale = sum_l2 != 0.0f ? sum_lx / sum_l2 : 0.0f;
        best = scale * sum_lx;
    }
    return scale;
}

/// Weights are the squares.
inline float descent_search(const float* x, int n, int bias, std::uint8_t* codes) noexcept
{
    const float extreme = signed_extreme(x, n);
    if (std::fabs(extreme) < least_scaled_group) {
        std::memset(codes, 0, static_cast<std::size_t>(n));
        return 0.0f;
    }
    const float inverse = static_cast<float>(-bias) / extreme;
    float sum_lx = 0.0f, sum_l2 = 0.0f;
    for (int i = 0; i < n; ++i) {
        const int l = bounded(nearest_int(inverse * x[i]), -bias, bias - 1);
        codes[i] = static_cast<std::uint8_t>(l + bias);
        const float w = x[i] * x[i], f = static_cast<float>(l);
        sum_lx += product(w * x[i], f);
        sum_l2 += product(w * f, f);
    }
    bool changed = true;
    for (int round = 0; round < 5 && changed; ++round) {
        changed = false;
        for (int i = 0; i < n; ++i) {
            const float w = x[i] * x[i], old = static_cast<float>(codes[i] - bias);
            float lx = sum_lx - product(w * x[i], old), l2 = sum_l2 - product(w * old, old);
            if (!(lx > 0.0f))
                continue;
            const int l = bounded(nearest_int(x[i] * l2 / lx), -bias, bias - 1);
            if (l == codes[i] - bias)
                continue;
            const float f = static_cast<float>(l);
            lx += product(w * x[i], f);
            l2 += product(w * f, f);
            if (l2 > 0.0f && lx * lx * sum_l2 > sum_lx * sum_lx * l2) {
                codes[i] = static_cast<std::uint8_t>(l + bias);
                sum_lx = lx;
                sum_l2 = l2;
                changed = true;
            }
        }
    }
    return sum_l2 > 0.0f ? sum_lx / sum_l2 : 0.0f;
}

struct affine_scale {
    float scale, minimum;
};

inline affine_scale affine_search(
    const float* x, const float* weights, int n, int max_code, affine_candidates candidates, std::uint8_t* codes) noexcept
{
    float low = x[0], high = x[0], sum_w = weights[0], sum_x = product(sum_w, x[0]);
    for (int i = 1; i < n; ++i) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sum_w += weights[i];
        sum_x += product(weights[i], x[i]);
    }
    if (low > 0.0f)
        low = 0.0f;
    if (!(high > low)) {
        std::memset(codes, 0, static_cast<std::size_t>(n));
        return {0.0f, -low};
    }
    std::uint8_t tried[32];
    const auto error = [&](const std::uint8_t* l, float scale, float minimum) noexcept {
        float sum = 0.0f;
        for (int i = 0; i < n; ++i) {
            const float off = product(scale, static_cast<float>(l[i])) + minimum - x[i];
            sum += product(weights[i], candidates.absolute ? std::fabs(off) : off * off);
        }
        return sum;
    };
    const auto encode = [&](float inverse, std::uint8_t* l) noexcept {
        for (int i = 0; i < n; ++i)
            l[i] = static_cast<std::uint8_t>(bounded(nearest_int(inverse * (x[i] - low)), 0, max_code));
    };
    float inverse = static_cast<float>(max_code) / (high - low), scale = 1.0f / inverse;
    encode(inverse, codes);
    float best = error(codes, scale, low);
    for (int each = 0; each <= candidates.last; ++each) {
        inverse = (candidates.nudge + product(candidates.step, static_cast<float>(each)) + static_cast<float>(max_code)) / (high - low);
        encode(inverse, tried);
        float sum_l = 0.0f, sum_l2 = 0.0f, sum_xl = 0.0f;
        for (int i = 0; i < n; ++i) {
            const float l = static_cast<float>(tried[i]), wl = product(weights[i], l);
            sum_l += wl;
            sum_l2 += product(wl, l);
            sum_xl += product(wl, x[i]);
        }
        const float determinant = product(sum_w, sum_l2) - product(sum_l, sum_l);
        if (!(determinant > 0.0f))
            continue;
        float this_scale = (product(sum_w, sum_xl) - product(sum_x, sum_l)) / determinant;
        float this_low = (product(sum_l2, sum_x) - product(sum_l, sum_xl)) / determinant;
        if (this_low > 0.0f) {
            this_low = 0.0f;
            this_scale = sum_xl / sum_l2;
        }
        const float this_error = error(tried, this_scale, this_low);
        if (this_error < best) {
            std::memcpy(codes, tried, static_cast<std::size_t>(n));
            best = this_error;
            scale = this_scale;
            low = this_low; // the next candidates count from here
        }
    }
    return {scale, -low};
}

/// Codes in [0, max_code]; a code below zero, which only a negative x gives, wraps.
inline float positive_search(const float* x, const float* weights, int n, int max_code, std::uint8_t* codes) noexcept
{
    float high = 0.0f;
    for (int i = 0; i < n; ++i)
        high = high > x[i] ? high : x[i];
    if (high < least_scaled_group) {
        std::memset(codes, 0, static_cast<std::size_t>(n));
        return 0.0f;
    }
    float inverse = static_cast<float>(max_code) / high, scale = 1.0f / inverse, best = 0.0f;
    for (int i = 0; i < n; ++i) {
        const float off = x[i] - product(scale, static_cast<float>(static_cast<std::uint8_t>(nearest_int(inverse * x[i]))));
        best += product(weights[i] * off, off);
    }
    for (int tenths = -4; tenths <= 4; ++tenths) {
        if (tenths == 0)
            continue;
        const float this_inverse = (product(0.1f, static_cast<float>(tenths)) + static_cast<float>(max_code)) / high;
        const float this_scale = 1.0f / this_inverse;
        float error = 0.0f;
        for (int i = 0; i < n; ++i) {
            const int l = nearest_int(this_inverse * x[i]);
            const float off = x[i] - product(this_scale, static_cast<float>(l < max_code ? l : max_code));
            error += product(weights[i] * off, off);
        }
        if (error < best) {
            best = error;
            inverse = this_inverse;
        }
    }
    float sum_lx = 0.0f, sum_l2 = 0.0f;
    for (int i = 0; i < n; ++i) {
        const int near = nearest_int(inverse * x[i]), l = near < max_code ? near : max_code;
        const float f = static_cast<float>(l);
        codes[i] = static_cast<std::uint8_t>(l);
        sum_lx += product(weights[i] * x[i], f);
        sum_l2 += product(weights[i] * f, f);
    }
    bool changed = true;
    for (int round = 0; round < 5 && changed; ++round) {
        changed = false;
        for (int i = 0; i < n; ++i) {
            const float w = weights[i], old = static_cast<float>(codes[i]);
            float lx = sum_lx - product(w * x[i], old), l2 = sum_l2 - product(w * old, old);
            if (!(lx > 0.0f && l2 > 0.0f))
                continue;
            const int near = nearest_int(x[i] * l2 / lx), l = near < max_code ? near : max_code;
            if (l == codes[i])
                continue;
            const float f = static_cast<float>(l);
            lx += product(w * x[i], f);
            l2 += product(w * f, f);
            if (lx * lx * sum_l2 > sum_lx * sum_lx * l2) {
                codes[i] = static_cast<std::uint8_t>(l);
                sum_lx = lx;
                sum_l2 = l2;
                changed = true;
            }
        }
    }
    return sum_l2 > 0.0f ? sum_lx / sum_l2 : 0.0f;
}

/// The nearest of iq4_values, the greater of two; 15 for NaN.
inline std::uint8_t iq4_code(float x) noexcept
{
    int code = 0;
    while (code < 15 && !(x + x < static_cast<float>(iq4_values[code] + iq4_values[code + 1])))
        ++code;
    return static_cast<std::uint8_t>(code);
}

/// The scale of 32 numbers: x ~ scale * value of a code.
inline float iq4_search(const float* x, const float* weights) noexcept
{
    const float extreme = signed_extreme(x, 32);
    if (std::fabs(extreme) < least_scaled_group)
        return 0.0f;
    float scale = 0.0f, best = 0.0f;
    for (int each = -8; each <= 7; ++each) {
        const float inverse
            = each == -8 ? 1.0f / (-extreme / static_cast<float>(iq4_values[0])) : static_cast<float>(each + iq4_values[0]) / extreme;
        float sum_qx = 0.0f, sum_q2 = 0.0f;
        for (int i = 0; i < 32; ++i) {
            const float q = static_cast<float>(iq4_values[iq4_code(inverse * x[i])]);
            sum_qx += product(weights[i] * q, x[i]);
            sum_q2 += product(weights[i] * q, q);
        }
        if (each == -8 || (sum_q2 > 0.0f && sum_qx * sum_qx > best * sum_q2)) {
            scale = sum_q2 > 0.0f ? sum_qx / sum_q2 : 0.0f;
            best = scale * sum_qx;
        }
    }
    return scale;
}

} // namespace reference
NIBBLE_END
NIBBLE_STRICT_END
