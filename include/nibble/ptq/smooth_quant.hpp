// Moves the range of activations into the weights, column by column, without changing the function: x w^T = (x / s) (w diag(s))^T.
//   SmoothQuant   s[c] = max|x[:, c]|^alpha / max|w[:, c]|^(1 - alpha)                                  (Xiao et al., 2022)
//                 both maxima at least 1e-5 where powers of two bring the greatest max|x| into [1024, 2048) and the greatest max|w| into
//                 [4096, 8192); 1 where both are 0
// The division may be folded into the layer before: into the weight of a norm, or the rows of another matrix.
#pragma once

#include "../core/math.hpp"
#include "../core/memory.hpp"
#include "../core/progress.hpp"
#include "../core/strict_math.hpp"
#include "../evaluate/error.hpp"
#include "../gemm/gemm.hpp"
#include "../quantize/quantize.hpp"
#include "../quantize/weight_format.hpp"

NIBBLE_BEGIN_TYPES

/// How activations become int8 when the search measures: a scale for every row, or one for all.
enum class activation_scales : std::uint8_t { per_row, per_tensor };

struct smooth_report {
    bool moved = false;                 ///< false: no alpha was better than leaving all as it is, the scales are 1
    double alpha = 0;                   ///< the best
    double error_before = 0, error = 0; ///< mean squared error of the layer's output in int8
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// out[c] = the greatest |x[:, c]|, or what out held before if that is greater; NaN is passed over.
inline status column_max(matrix_view<const float> x, span<float> out) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (out.size() != static_cast<std::size_t>(x.cols))
        return status::shape_mismatch;
    if (check(out) != status::ok)
        return status::null_pointer;
    if (x.empty())
        return status::ok;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const float magnitude = magnitude_of(x(r, c));
            float& most = out[static_cast<std::size_t>(c)];
            most = larger(magnitude, most);
        }
    return status::ok;
}

/// y[:, c] = x[:, c] * factors[c], or / factors[c]; y may be x.
inline status scale_columns(matrix_view<const float> x, span<const float> factors, bool divide, matrix_view<float> y) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = check(y); s != status::ok)
        return s;
    if (factors.size() != static_cast<std::size_t>(x.cols) || y.rows != x.rows || y.cols != x.cols)
        return status::shape_mismatch;
    if (check(factors) != status::ok)
        return status::null_pointer;
    if (x.empty())
        return status::ok;
    const default_fp_mode mode;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
            const float factor = factors[static_cast<std::size_t>(c)];
            y(r, c) = divide ? x(r, c) / factor : x(r, c) * factor;
        }
    return status::ok;
}

namespace detail {

/// The power of two that brings the greatest of these into [2^exponent, 2^(exponent + 1)), as an exponent.
inline int shift_to(int exponent, span<const float> magnitudes) noexcept
{
    float most = 0.0f;
    for (const float& x : magnitudes)
        most = larger(x, most);
    return most == 0.0f ? 0 : exponent - exponent_of(most);
}

inline constexpr int smooth_activation_exponent = 10, smooth_weight_exponent = 12;

/// y = x * 2^shift
inline void shift_exponents(matrix_view<const float> x, int shift, matrix_view<float> y) noexcept
{
    const double factor = two_to_the(shift);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            y(r, c) = static_cast<float>(static_cast<double>(x(r, c)) * factor);
}

/// The scale of one column from its maxima times 2^a_shift and 2^w_shift; the scale itself is multiplied by 2^exponent.
inline float smooth_scale(
    float activation, float weight, int a_shift, int w_shift, double alpha, bool power_of_two, double exponent) noexcept
{
    if (activation == 0.0f && weight == 0.0f)
        return 1.0f;
    const double shifted_a = std::ldexp(static_cast<double>(activation), a_shift), a = shifted_a > 1e-5f ? shifted_a : 1e-5;
    const double shifted_w = std::ldexp(static_cast<double>(weight), w_shift), w = shifted_w > 1e-5f ? shifted_w : 1e-5;
    double log_scale = strict_math::fma(alpha, portable_log(a), (alpha - 1.0) * portable_log(w));
    const double whole = std::floor(exponent), fraction = exponent - whole;
    if (power_of_two)
        return static_cast<float>(
            std::ldexp(1.0, static_cast<int>(std::nearbyint(strict_math::fma(log_scale, 1.4426950408889634, fraction)) + whole)));
    log_scale = strict_math::fma(fraction, 0.6931471805599453, log_scale);
    return static_cast<float>(std::ldexp(portable_exp(log_scale), static_cast<int>(whole)));
}

} // namespace detail

/// The scales of the head of this file from the columns' greatest magnitudes. power_of_two: rounded to the nearest power of two, so that
/// dividing and multiplying change no bit of x and w, and the float function stays what it was to the last bit. Maxima so large or small
/// that all scales would be near the ends of float's range: one power of two for all brings their common factor into [2^-96, 2^96].
inline status smooth_scales(
    span<const float> activation_max, span<const float> weight_max, double alpha, bool power_of_two, span<float> scales) noexcept
{
    if (activation_max.size() != scales.size() || weight_max.size() != scales.size())
        return status::shape_mismatch;
    if (check(activation_max) != status::ok || check(weight_max) != status::ok || check(scales) != status::ok)
        return status::null_pointer;
    if (!(alpha >= 0.0 && alpha <= 1.0))
        return status::option_invalid;
    for (std::size_t c = 0; c < scales.size(); ++c)
        if (float_bits(activation_max[c]) >= infinity_bits || float_bits(weight_max[c]) >= infinity_bits)
            return status::not_finite;
    const default_fp_mode mode;
    const int a_shift = detail::shift_to(detail::smooth_activation_exponent, activation_max),
              w_shift = detail::shift_to(detail::smooth_weight_exponent, weight_max);
    // What the shifts take from a scale's exponent.
    const double taken = (1.0 - alpha) * w_shift - alpha * a_shift;
    const double exponent = taken - (taken > 96.0 ? std::ceil(taken - 96.0) : taken < -96.0 ? std::floor(taken + 96.0) : 0.0);
    for (std::size_t c = 0; c < scales.size(); ++c)
        scales[c] = detail::smooth_scale(activation_max[c], weight_max[c], a_shift, w_shift, alpha, power_of_two, exponent);
    return status::ok;
}

/// Tries alpha = 0, 1 / steps ... 1 and no migration, each with the integer kernels on the sample x, m x k, and w, n x k, quantized per
/// channel. scales: k. They are those of the formula times one factor of 1/sqrt 2 to sqrt 2 for all columns, which changes no code: so x
/// or w times a power of two have the same codes and the same choice, and all scales are multiplied by one power of two.
template <class Executor = serial_executor>
inline status search_smooth_scales(matrix_view<const float> x, matrix_view<const float> w, activation_scales kind, bool power_of_two,
    int steps, span<float> scales, smooth_report* report = nullptr, progress report_progress = {}, Executor&& executor = Executor {})
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = check(w); s != status::ok)
        return s;
    const std::ptrdiff_t m = x.rows, n = w.rows, k = w.cols;
    if (x.cols != k || scales.size() != static_cast<std::size_t>(k))
        return status::shape_mismatch;
    if (check(scales) != status::ok)
        return status::null_pointer;
    if (steps < 1 || steps > 1000)
        return status::option_invalid;
    if (x.empty() || w.empty())
        return status::calibration_missing;
    if (!detail::all_finite(x) || !detail::all_finite(w))
        return status::not_finite;

    // Maxima and two sets of scales; the products; x and w of common reach, so that no product leaves float's range, and scaled; codes.
    aligned_buffer memory;
    const checked_size codes = checked_size(k) * m + checked_size(k) * n;
    const checked_size floats = 4 * checked_size(k) + 2 * checked_size(m) * n + 2 * codes + n + 16;
    if (const status s = memory.allocate(floats * sizeof(float) + codes); s != status::ok)
        return s;
    float* at = reinterpret_cast<float*>(memory.bytes().data());
    const auto take = [&](std::ptrdiff_t count) noexcept { return std::exchange(at, at + count); };
    const span<float> x_max(take(k), static_cast<std::size_t>(k)), w_max(take(k), static_cast<std::size_t>(k)),
        tried(take(k), static_cast<std::size_t>(k)), channel(take(n), static_cast<std::size_t>(n));
    const matrix_view<float> expected(take(m * n), m, n), y(take(m * n), m, n), xs(take(m * k), m, k), ws(take(n * k), n, k);
    const matrix_view<float> shifted_x(take(m * k), m, k), shifted_w(take(n * k), n, k);
    const matrix_view<std::int8_t> x_codes(reinterpret_cast<std::int8_t*>(at), m, k), w_codes(x_codes.data + m * k, n, k);
    std::memset(x_max.data(), 0, static_cast<std::size_t>(2 * k) * sizeof(float));
    (void)column_max(x, x_max);
    (void)column_max(w, w_max);
    const default_fp_mode mode;
    const int x_shift = detail::shift_to(detail::smooth_activation_exponent, {x_max.data(), x_max.size()}),
              w_shift = detail::shift_to(detail::smooth_weight_exponent, {w_max.data(), w_max.size()});
    detail::shift_exponents(x, x_shift, shifted_x);
    detail::shift_exponents(w, w_shift, shifted_w);

    const auto exact = packed_weights::make(matrix_view<const float>(shifted_w));
    if (!exact)
        return exact.error();
    if (const status s = gemm(matrix_view<const float>(shifted_x), *exact, {}, expected, {}, executor); s != status::ok)
        return s;
    aligned_buffer workspace;
    const auto measure = [&](double& error) -> status {
        (void)scale_columns(matrix_view<const float>(shifted_x), tried, true, xs);
        (void)scale_columns(matrix_view<const float>(shifted_w), tried, false, ws);
        if (const status s = quantize_dynamic(matrix_view<const float>(ws), granularity::per_channel, 0, channel, w_codes, executor);
            s != status::ok)
            return s;
        const auto packed = packed_weights::make(
            matrix_view<const std::int8_t>(w_codes), k, {granularity::per_channel, 0, {channel.data(), channel.size()}});
        if (!packed)
            return packed.error();
        if (const status s = workspace.allocate(gemm_workspace(m, *packed)); s != status::ok)
            return s;
        status s = status::ok;
        if (kind == activation_scales::per_row) {
            s = gemm(matrix_view<const float>(xs), *packed, {}, y, workspace.bytes(), executor);
        } else {
            float scale, scratch[2];
            s = choose_params<std::int8_t>(
                matrix_view<const float>(xs), scheme::symmetric, granularity::per_tensor, 0, {&scale, 1}, {}, scratch);
            if (s == status::ok)
                s = quantize(matrix_view<const float>(xs), {granularity::per_tensor, 0, {&scale, 1}}, x_codes, {}, executor);
            if (s == status::ok)
                s = gemm(matrix_view<const std::int8_t>(x_codes), {scale, 0}, *packed, {}, y, workspace.bytes(), executor);
        }
        if (s != status::ok)
            return s;
        const auto compared = compare(expected, y);
        error = compared ? std::ldexp(compared->mean_squared_error(), -2 * (x_shift + w_shift)) : 0.0;
        return compared.error();
    };
    smooth_report done;
    for (std::size_t c = 0; c < scales.size(); ++c)
        scales[c] = tried[c] = 1.0f;
    if (const status s = measure(done.error_before); s != status::ok)
        return s;
    done.error = done.error_before;
    for (int step = 0; step <= steps; ++step) {
        if (!report_progress(static_cast<double>(step) / (steps + 1)))
            return status::cancelled;
        const double alpha = static_cast<double>(step) / steps;
        double error = 0;
        for (std::size_t c = 0; c < scales.size(); ++c)
            tried[c] = detail::smooth_scale(x_max[c], w_max[c], x_shift, w_shift, alpha, power_of_two, 0.0);
        if (const status s = measure(error); s != status::ok)
            return s;
        if (error < done.error) {
            done = {true, alpha, done.error_before, error};
            const double taken = std::nearbyint((1.0 - alpha) * w_shift - alpha * x_shift);
            const int exponent = static_cast<int>(clamped(taken, -96.0, 96.0));
            for (std::size_t c = 0; c < scales.size(); ++c)
                scales[c] = static_cast<float>(std::ldexp(static_cast<double>(tried[c]), exponent));
        }
    }
    if (report != nullptr)
        *report = done;
    (void)report_progress(1);
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
