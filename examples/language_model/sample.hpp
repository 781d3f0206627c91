// The next token of a text, drawn from a fixed sequence of numbers, so that formats can be compared.
#pragma once

#include <cstdint>

#include <nibble/nibble.hpp>

/// Softmax of logits / temperature; the greatest if the temperature is 0. `state` is the sequence's and moves on.
inline std::size_t sample(nibble::span<float> logits, float temperature, std::uint64_t& state)
{
    std::size_t next = 0;
    if (temperature == 0) {
        for (std::size_t j = 1; j < logits.size(); ++j)
            next = logits[j] > logits[next] ? j : next;
        return next;
    }
    for (float& x : logits)
        x /= temperature;
    const double all = nibble::log_sum_exp(logits).value;
    state = state * 6364136223846793005u + 1442695040888963407u;
    double left = double(state >> 11) / 9007199254740992.0;
    for (; next + 1 < logits.size(); ++next)
        if ((left -= nibble::portable_exp(double(logits[next]) - all)) < 0)
            break;
    return next;
}
