// Observers collect what has been seen of a tensor. range.hpp chooses quantization parameters from it.
//   min_max_observer         the least and the greatest value; one a channel with observe_rows or observe_columns
//   moving_average_observer  of each batch's least and greatest value: low += averaging (low of the batch - low), bit for bit PyTorch's
//                            MovingAverageMinMaxObserver, also where its difference overflows
//   histogram_observer       4096 bins of equal width over [-2^e, 2^e)
//   column_statistics        sums of x, |x| and x^2 without any rounding: mean, magnitude (AWQ) and importance (imatrix, GPTQ's diagonal)
// All but the moving average can be merged. The merged observer equals one that saw all data, bit for bit, however the data was divided and
// in any order. This holds for the histogram too: 2^e is the least power of two above all values, and it grows by merging pairs of bins.
// NaN and infinities are counted and otherwise ignored. A null span holds nothing. An observer belongs to one thread: give each thread its
// own, then merge.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>

#include "../core/fp_mode.hpp"
#include "../core/importance.hpp"
#include "../core/numeric.hpp"
#include "../core/strict_math.hpp"
#include "../core/view.hpp"
#include "exact_sum.hpp"

NIBBLE_BEGIN_TYPES

struct value_range {
    float low = 0, high = 0;
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

struct min_max_observer {
    float low = std::numeric_limits<float>::max(), high = std::numeric_limits<float>::lowest(); ///< as they are while count is 0
    std::uint64_t count = 0;                                                                    ///< finite values
    std::uint64_t nans = 0, infinities = 0;

    void observe(float x) noexcept
    {
        const std::uint32_t magnitude = magnitude_bits(x);
        if (magnitude >= infinity_bits) {
            ++(magnitude == infinity_bits ? infinities : nans);
            return;
        }
        x = magnitude == 0 ? 0.0f : x; // of two zeros either could be the least
        low = smaller(x, low);
        high = larger(x, high);
        ++count;
    }
    void observe(span<const float> x) noexcept
    {
        if (check(x) != status::ok)
            return;
        const default_fp_mode mode;
        for (const float& v : x)
            observe(v);
    }
    void merge(const min_max_observer& other) noexcept
    {
        low = smaller(other.low, low);
        high = larger(other.high, high);
        count += other.count;
        nans += other.nans;
        infinities += other.infinities;
    }
    value_range range() const noexcept { return count == 0 ? value_range {} : value_range {low, high}; }
};

/// An observer for every row of x, or for every column.
template <class Observer>
inline status observe_rows(matrix_view<const float> x, span<Observer> channels) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (channels.size() != static_cast<std::size_t>(x.rows))
        return status::shape_mismatch;
    if (check(channels) != status::ok)
        return status::null_pointer;
    if (x.empty())
        return status::ok;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        channels[static_cast<std::size_t>(r)].observe(span<const float>(x.row(r), static_cast<std::size_t>(x.cols)));
    return status::ok;
}

template <class Observer>
inline status observe_columns(matrix_view<const float> x, span<Observer> channels) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (channels.size() != static_cast<std::size_t>(x.cols))
        return status::shape_mismatch;
    if (check(channels) != status::ok)
        return status::null_pointer;
    if (x.empty())
        return status::ok;
    const default_fp_mode mode;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            channels[static_cast<std::size_t>(c)].observe(x(r, c));
    return status::ok;
}

/// Merges observers of channels one by one.
template <class Observer>
inline status merge(span<Observer> to, span<const Observer> from) noexcept
{
    if (to.size() != from.size())
        return status::shape_mismatch;
    if (check(to) != status::ok || check(from) != status::ok)
        return status::null_pointer;
    for (std::size_t i = 0; i < to.size(); ++i)
        to[i].merge(from[i]);
    return status::ok;
}

struct moving_average_observer {
    float averaging = 0.01f;
    float low = 0, high = 0;
    std::uint64_t batches = 0;

    /// One batch; one without finite values changes nothing.
    void observe(span<const float> x) noexcept
    {
        min_max_observer batch;
        batch.observe(x);
        if (batch.count == 0)
            return;
        const default_fp_mode mode;
        low = batches == 0 ? batch.low : strict_math::moved_average(low, batch.low, averaging);
        high = batches == 0 ? batch.high : strict_math::moved_average(high, batch.high, averaging);
        ++batches;
    }
    status merge(const moving_average_observer&) noexcept { return status::not_mergeable; }
    value_range range() const noexcept { return {low, high}; }
};

class histogram_observer {
public:
    static constexpr std::ptrdiff_t bins = 4096, half = bins / 2;
    static constexpr int least_exponent = -148, greatest_exponent = 128; ///< the least holds 2^-149

    void observe(span<const float> x) noexcept
    {
        min_max_observer seen;
        seen.observe(x);
        if (seen.count != 0) {
            grow(exponent_for(seen));
            const default_fp_mode mode;
            const double scale = std::ldexp(static_cast<double>(half), -exponent_);
            for (const float& v : x)
                if (is_finite(v))
                    ++counts_[half + static_cast<std::ptrdiff_t>(std::floor(static_cast<double>(v) * scale))];
        }
        values_.merge(seen);
    }
    void merge(const histogram_observer& other) noexcept
    {
        histogram_observer same = other;
        grow(other.exponent_);
        same.grow(exponent_);
        for (std::ptrdiff_t i = 0; i < bins; ++i)
            counts_[i] += same.counts_[i];
        values_.merge(other.values_);
    }

    const min_max_observer& values() const noexcept { return values_; }
    /// The values in [2^exponent (i / half - 1), 2^exponent ((i + 1) / half - 1))
    std::uint64_t count(std::ptrdiff_t i) const noexcept { return counts_[i]; }
    int exponent() const noexcept { return exponent_; }
    double bin_width() const noexcept { return std::ldexp(1.0 / static_cast<double>(half), exponent_); }
    double bin_begin(std::ptrdiff_t i) const noexcept { return bin_width() * static_cast<double>(i - half); }

    /// The same in wider bins: [-2^exponent, 2^exponent), if that is more.
    void grow(int exponent) noexcept
    {
        if (exponent <= exponent_)
            return;
        const int shift = smaller(exponent - exponent_, 12);
        std::uint64_t grown[bins] = {};
        for (std::ptrdiff_t i = 0; i < bins; ++i)
            grown[half + ((i - half) >> shift)] += counts_[i];
        std::memcpy(counts_, grown, sizeof grown);
        exponent_ = exponent;
    }

    /// From saved parts; observers_damaged unless they are what observing could have left.
    status restore(const min_max_observer& values, int exponent, const std::uint64_t* counts) noexcept
    {
        if (counts == nullptr)
            return status::null_pointer;
        if (exponent < least_exponent || exponent > greatest_exponent
            || exponent != (values.count == 0 ? least_exponent : exponent_for(values)))
            return status::observers_damaged;
        std::uint64_t sum = 0;
        std::ptrdiff_t first = bins, last = -1;
        for (std::ptrdiff_t i = 0; i < bins; ++i) {
            if (counts[i] > values.count - sum)
                return status::observers_damaged;
            sum += counts[i];
            if (counts[i] != 0) {
                first = first == bins ? i : first;
                last = i;
            }
        }
        const double scale = std::ldexp(static_cast<double>(half), -exponent);
        const auto bin = [&](float v) noexcept { return half + static_cast<std::ptrdiff_t>(std::floor(static_cast<double>(v) * scale)); };
        if (sum != values.count || (sum != 0 && (bin(values.low) != first || bin(values.high) != last)))
            return status::observers_damaged;
        values_ = values;
        exponent_ = exponent;
        std::memcpy(counts_, counts, sizeof counts_);
        return status::ok;
    }

private:
    /// The least exponent with all magnitudes below 2^exponent.
    static int exponent_for(const min_max_observer& v) noexcept
    {
        const std::uint32_t low = magnitude_bits(v.low), high = magnitude_bits(v.high), most = larger(low, high);
        return most == 0 ? least_exponent : exponent_of(float_from_bits(most)) + 1;
    }

    std::uint64_t counts_[bins] = {};
    int exponent_ = least_exponent;
    min_max_observer values_;
};

struct column_statistics {
    min_max_observer values;
    exact_sum sum, absolute, squares;

    void observe(float x) noexcept
    {
        values.observe(x);
        if (!is_finite(x))
            return;
        const double v = static_cast<double>(x);
        sum.add(v);
        absolute.add(std::fabs(v));
        squares.add(v * v);
    }
    void observe(span<const float> x) noexcept
    {
        if (check(x) != status::ok)
            return;
        const default_fp_mode mode;
        for (const float& v : x)
            observe(v);
    }
    void merge(const column_statistics& other) noexcept
    {
        values.merge(other.values);
        sum.merge(other.sum);
        absolute.merge(other.absolute);
        squares.merge(other.squares);
    }
    float mean() const noexcept { return of(sum); }
    float magnitude() const noexcept { return of(absolute); }
    double mean_square() const noexcept
    {
        const default_fp_mode mode;
        return values.count == 0 ? 0.0 : squares.value() / static_cast<double>(values.count);
    }
    /// The mean square as a float. One beyond float's range becomes the nearest float that is above zero and finite; importance_of keeps
    /// the ratios there, too.
    float importance() const noexcept
    {
        const default_fp_mode mode;
        return detail::nearest_importance(mean_square());
    }

private:
    float of(const exact_sum& s) const noexcept
    {
        const default_fp_mode mode;
        return values.count == 0 ? 0.0f : static_cast<float>(s.value() / static_cast<double>(values.count));
    }
};

/// The mean squares of all columns, times the power of two that brings the greatest into [1, 2): 0 for columns that were always 0, and for
/// no other. The same if all that was seen is multiplied by a power of two.
inline status importance_of(span<const column_statistics> columns, span<float> out) noexcept
{
    if (columns.size() != out.size())
        return status::shape_mismatch;
    if (check(columns) != status::ok || check(out) != status::ok)
        return status::null_pointer;
    const default_fp_mode mode;
    detail::importance_of_all([&](std::size_t i) noexcept { return columns[i].mean_square(); }, out);
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
