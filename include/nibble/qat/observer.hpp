// Observes the range of a tensor over many batches, for the parameters of activations:
//   rate in (0, 1]   low += rate * (least - low), high += rate * (greatest - high), bit for bit PyTorch's MovingAverageMinMaxObserver, also
//                    where its difference overflows; the first batch gives both
//   rate 0           the least and the greatest value of all batches
// A frozen observer no longer changes, so the parameters stay still at the end of training.
#pragma once

#include "../core/strict_math.hpp"
#include "../quantize/quantize.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

class range_observer {
public:
    explicit range_observer(float rate = 0.01f) noexcept : rate_(rate) {}

    /// Takes a batch in; nothing if frozen or if x is empty. not_finite, and nothing taken in, if x holds a NaN or an infinity.
    inline status observe(matrix_view<const float> x) noexcept
    {
        if (const status s = check(x); s != status::ok)
            return s;
        if (frozen_ || x.empty())
            return status::ok;
        const default_fp_mode mode;
        float low = 0.0f, high = 0.0f;
        kernels::range_f32()({x.data, x.stride, x.rows, x.cols, x.rows, x.cols, &low, &high});
        if (is_nan(low))
            return status::not_finite;
        if (batches_ == 0) {
            low_ = low;
            high_ = high;
        } else if (rate_ == 0.0f) {
            low_ = smaller(low, low_);
            high_ = larger(high, high_);
        } else {
            low_ = strict_math::moved_average(low_, low, rate_);
            high_ = strict_math::moved_average(high_, high, rate_);
        }
        ++batches_;
        return status::ok;
    }

    void freeze() noexcept { frozen_ = true; }
    bool frozen() const noexcept { return frozen_; }
    std::size_t batches() const noexcept { return batches_; }
    float low() const noexcept { return low_; }
    float high() const noexcept { return high_; }

    /// By the formulas of quantize/params.hpp.
    scale_and_zero_point params(params_rule rule, code_limits codes) const noexcept
    {
        const default_fp_mode mode;
        return params_of_range(low_, high_, rule, codes);
    }

private:
    float rate_, low_ = 0.0f, high_ = 0.0f;
    std::size_t batches_ = 0;
    bool frozen_ = false;
};

NIBBLE_END
NIBBLE_STRICT_END
