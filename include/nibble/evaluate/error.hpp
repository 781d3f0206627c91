// How far numbers are from a reference. With d = actual - reference:
//   sqnr_db    10 log10(sum reference^2 / sum d^2); infinite if they are equal
//   max_error, mean_error   the greatest and the mean |d|
//   cosine     sum reference actual / sqrt(sum reference^2 sum actual^2); 1 if both are zero
// Sums are in double, by fused multiply-adds in the order of the elements. The errors of two parts can be added to give that of the whole.
// A NaN on either side makes all of them NaN.
#pragma once

#include <cmath>
#include <limits>

#include "../core/fp_mode.hpp"
#include "../core/math.hpp"
#include "../core/strict_math.hpp"
#include "../core/view.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

struct error_statistics {
    double signal = 0, actual = 0, noise = 0, product = 0, absolute = 0, max_error = 0; ///< the sums behind the figures
    std::size_t count = 0;

    void add(double reference, double value) noexcept
    {
        const double d = value - reference, magnitude = std::fabs(d);
        signal = strict_math::fma(reference, reference, signal);
        actual = strict_math::fma(value, value, actual);
        noise = strict_math::fma(d, d, noise);
        product = strict_math::fma(reference, value, product);
        absolute += magnitude;
        max_error = magnitude > max_error || magnitude != magnitude ? magnitude : max_error;
        ++count;
    }
    void add(const error_statistics& other) noexcept
    {
        signal += other.signal;
        actual += other.actual;
        noise += other.noise;
        product += other.product;
        absolute += other.absolute;
        max_error = other.max_error > max_error || other.max_error != other.max_error ? other.max_error : max_error;
        count += other.count;
    }

    double sqnr_db() const noexcept
    {
        if (noise == 0.0)
            return std::numeric_limits<double>::infinity();
        const default_fp_mode mode;
        return 4.342944819032518 * portable_log(signal / noise);
    }
    double mean_error() const noexcept { return mean(absolute); }
    double mean_squared_error() const noexcept { return mean(noise); }
    double cosine() const noexcept
    {
        const default_fp_mode mode;
        return signal == 0.0 && actual == 0.0 ? 1.0 : product / (std::sqrt(signal) * std::sqrt(actual));
    }

private:
    double mean(double sum) const noexcept
    {
        const default_fp_mode mode;
        return count == 0 ? 0.0 : sum / static_cast<double>(count);
    }
};

/// The error of a matrix; channels, if not empty, gets that of every row.
inline result<error_statistics> compare(
    matrix_view<const float> reference, matrix_view<const float> actual, span<error_statistics> channels = {}) noexcept
{
    if (const status s = check(reference); s != status::ok)
        return s;
    if (const status s = check(actual); s != status::ok)
        return s;
    if (reference.rows != actual.rows || reference.cols != actual.cols
        || (!channels.empty() && channels.size() != static_cast<std::size_t>(reference.rows)))
        return status::shape_mismatch;
    if (check(channels) != status::ok)
        return status::null_pointer;
    if (reference.empty() && channels.empty())
        return error_statistics {};
    const default_fp_mode mode;
    error_statistics whole;
    for (std::ptrdiff_t r = 0; r < reference.rows; ++r) {
        error_statistics row;
        for (std::ptrdiff_t c = 0; c < reference.cols; ++c)
            row.add(static_cast<double>(reference(r, c)), static_cast<double>(actual(r, c)));
        whole.add(row);
        if (!channels.empty())
            channels[static_cast<std::size_t>(r)] = row;
    }
    return whole;
}

NIBBLE_END
NIBBLE_STRICT_END
