// Importance says how much an error in a column matters, with one float for each column. It is the mean square of what the column is
// multiplied with (llama.cpp's imatrix, the diagonal of GPTQ's H), or any other weight. Only ratios matter.
#pragma once

#include <cmath>

#include "numeric.hpp"
#include "view.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// What every function that takes importance, or mean magnitudes, asks of them: null_pointer; not_finite if one is NaN or infinite;
/// importance_invalid if one is below zero. -0 is 0.
inline status check_importance(span<const float> importance) noexcept
{
    if (const status s = check(importance); s != status::ok)
        return s;
    bool negative = false;
    for (const float& x : importance) {
        if (!is_finite(x))
            return status::not_finite;
        negative = negative || float_bits(x) > 0x80000000u;
    }
    return negative ? status::importance_invalid : status::ok;
}

namespace detail {

/// To float; what is not 0 stays above 0 and finite.
inline float nearest_importance(double mean_square) noexcept
{
    if (mean_square > 3.4028234663852886e+38)
        return 3.40282347e+38f;
    const float rounded = static_cast<float>(mean_square);
    return rounded == 0.0f && mean_square > 0.0 ? 0x1p-149f : rounded;
}

/// out[i] = mean_square(i), times the power of two that brings the greatest into [1, 2).
template <class MeanSquare>
inline void importance_of_all(const MeanSquare& mean_square, span<float> out) noexcept
{
    double most = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const double x = mean_square(i);
        most = larger(x, most);
    }
    int exponent = 1;
    (void)std::frexp(most, &exponent);
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = nearest_importance(std::ldexp(mean_square(i), 1 - exponent));
}

} // namespace detail

NIBBLE_END
NIBBLE_STRICT_END
