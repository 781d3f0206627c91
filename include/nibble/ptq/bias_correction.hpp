// Bias correction (Nagel et al., 2019) adds to the bias what quantization takes from each output on average:
//     bias[j] += sum over c of mean[c] (w[j, c] - q[j, c])        mean[c] = the mean of input c
#pragma once

#include <cmath>

#include "../core/fp_mode.hpp"
#include "../core/strict_math.hpp"
#include "../core/view.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// w, quantized (what the codes stand for): n x k; mean: k; bias: n, changed.
inline status correct_bias(
    matrix_view<const float> w, matrix_view<const float> quantized, span<const float> mean, span<float> bias) noexcept
{
    if (const status s = check(w); s != status::ok)
        return s;
    if (const status s = check(quantized); s != status::ok)
        return s;
    if (w.rows != quantized.rows || w.cols != quantized.cols || mean.size() != static_cast<std::size_t>(w.cols)
        || bias.size() != static_cast<std::size_t>(w.rows))
        return status::shape_mismatch;
    if (check(mean) != status::ok || check(bias) != status::ok)
        return status::null_pointer;
    if (w.empty())
        return status::ok;
    const default_fp_mode mode;
    for (std::ptrdiff_t j = 0; j < w.rows; ++j) {
        double sum = static_cast<double>(bias[static_cast<std::size_t>(j)]);
        for (std::ptrdiff_t c = 0; c < w.cols; ++c)
            sum = strict_math::fma(static_cast<double>(mean[static_cast<std::size_t>(c)]),
                static_cast<double>(w(j, c)) - static_cast<double>(quantized(j, c)), sum);
        bias[static_cast<std::size_t>(j)] = static_cast<float>(sum);
    }
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
