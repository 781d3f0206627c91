// Activation functions, in one order of operations on every backend; reference/math.hpp states the same formulas for one number.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "math.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline floats bounded(floats x, float low, float high) noexcept
{
    return select(x < floats(low), floats(low), select(floats(high) < x, floats(high), x));
}

// e^x for x in [-87, 88]; NaN in, garbage out.
inline floats exp_bounded(floats x) noexcept
{
    const ints n = round_to_int(x * floats(1.44269504f));
    const floats nf = to_float(n);
    floats r = fused(nf, floats(-0.693145752f), x);
    r = fused(nf, floats(-1.42860677e-6f), r);
    floats p = fused(r, floats(1.98756915e-4f), floats(1.39819995e-3f));
    p = fused(p, r, floats(8.33345190e-3f));
    p = fused(p, r, floats(4.16657959e-2f));
    p = fused(p, r, floats(1.66666657e-1f));
    p = fused(p, r, floats(0.5f));
    p = fused(p, r * r, r) + floats(1.0f);
    return as_floats(as_ints(p) + shift_left<23>(n));
}

// x / (1 + e^-y)
inline floats times_sigmoid(floats x, floats y) noexcept
{
    const floats minus = floats(0.0f) - bounded(y, -88.0f, 87.0f);
    return quotient(x, floats(1.0f) + exp_bounded(select(y == y, minus, floats(0.0f))));
}

inline floats gelu_erf(floats x) noexcept
{
    const floats z = bounded(x, -13.0f, 13.0f) * floats(0.707106781f);
    const floats a = select(z < floats(0.0f), floats(0.0f) - z, z);
    const floats finite = select(a == a, a, floats(0.0f));
    const floats t = quotient(floats(1.0f), fused(finite, floats(0.3275911f), floats(1.0f)));
    floats p = fused(t, floats(1.061405429f), floats(-1.453152027f));
    p = fused(p, t, floats(1.421413741f));
    p = fused(p, t, floats(-0.284496736f));
    p = fused(p, t, floats(0.254829592f));
    // erfc(|z|) = pt * e
    const floats pt = p * t, e = exp_bounded((floats(0.0f) - finite) * finite), half_x = x * floats(0.5f);
    return select(z < floats(0.0f), half_x * (pt * e), half_x * fused(floats(0.0f) - pt, e, floats(2.0f)));
}

inline floats apply_activation(activation_function f, floats x) noexcept
{
    switch (f) {
    case activation_function::none: return x;
    case activation_function::relu: return select(x < floats(0.0f), floats(0.0f), x);
    case activation_function::gelu: return gelu_erf(x);
    case activation_function::gelu_tanh: {
        const floats cube = x * x * x;
        return times_sigmoid(x, floats(1.59576912f) * fused(cube, floats(0.044715f), x));
    }
    case activation_function::silu: return times_sigmoid(x, x);
    }
    return x;
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
