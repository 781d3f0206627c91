// What quantization does to a model's predictions, from its logits alone. With p = softmax(reference), q = softmax(actual):
//   perplexity   exp(mean over positions of -log q[target])
//   mean_kl      mean of sum over i of p[i] (log p[i] - log q[i]), in nats
//   top1         the share of positions where both have their maximum, the first of equal ones, at the same place
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/math.hpp"
#include "../core/status.hpp"
#include "../core/strict_math.hpp"
#include "../core/view.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// log sum over i of exp(z[i]), and where the maximum is; NaN if a logit is NaN or +infinity, -infinity if there are none.
struct log_sum_exp {
    double value = 0;
    std::size_t top = 0;

    explicit log_sum_exp(span<const float> z) noexcept
    {
        if (z.empty() || z.data() == nullptr) {
            value = -HUGE_VAL;
            return;
        }
        for (std::size_t i = 1; i < z.size(); ++i)
            top = z[i] > z[top] ? i : top;
        double sum = 0;
        for (const float& x : z)
            sum += portable_exp(static_cast<double>(x) - static_cast<double>(z[top]));
        value = static_cast<double>(z[top]) + portable_log(sum);
    }
};

/// Means over positions of one text, or of several when their statistics are added.
struct prediction_statistics {
    double loss = 0, kl = 0; ///< sums over positions
    std::size_t targets = 0, positions = 0, agreements = 0;

    /// One position against the reference model; both have the same vocabulary.
    status add(span<const float> reference, span<const float> actual) noexcept
    {
        if (reference.size() != actual.size() || actual.empty())
            return status::shape_mismatch;
        if (check(reference) != status::ok || check(actual) != status::ok)
            return status::null_pointer;
        const default_fp_mode mode;
        const log_sum_exp p(reference), q(actual);
        double sum = 0;
        for (std::size_t i = 0; i < actual.size(); ++i) {
            const double log_p = static_cast<double>(reference[i]) - p.value, log_q = static_cast<double>(actual[i]) - q.value;
            const double weight = portable_exp(log_p);
            sum = weight == 0.0 ? sum : strict_math::fma(weight, log_p - log_q, sum);
        }
        kl += sum;
        agreements += p.top == q.top;
        ++positions;
        return status::ok;
    }
    /// What the model says of the token that follows.
    status add_target(span<const float> actual, std::size_t target) noexcept
    {
        if (target >= actual.size())
            return status::shape_mismatch;
        if (check(actual) != status::ok)
            return status::null_pointer;
        const default_fp_mode mode;
        loss += log_sum_exp(actual).value - static_cast<double>(actual[target]);
        ++targets;
        return status::ok;
    }
    void add(const prediction_statistics& other) noexcept
    {
        loss += other.loss;
        kl += other.kl;
        targets += other.targets;
        positions += other.positions;
        agreements += other.agreements;
    }

    double perplexity() const noexcept
    {
        const default_fp_mode mode;
        return portable_exp(targets == 0 ? 0.0 : loss / static_cast<double>(targets));
    }
    double mean_kl() const noexcept
    {
        const default_fp_mode mode;
        return positions == 0 ? 0.0 : kl / static_cast<double>(positions);
    }
    double top1() const noexcept
    {
        const default_fp_mode mode;
        return positions == 0 ? 1.0 : static_cast<double>(agreements) / static_cast<double>(positions);
    }
};

NIBBLE_END
NIBBLE_STRICT_END
