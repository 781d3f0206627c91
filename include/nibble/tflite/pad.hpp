// Puts a border of one code around a tensor of int8 codes. With y's zero point, which is real 0, it is TFLite's PAD; with any code, PADV2.
// Scale and zero point do not change. MIRROR_PAD (REFLECT and SYMMETRIC padding) is not implemented.
#pragma once

#include <cstring>

#include "../core/executor.hpp"
#include "tensor.hpp"

NIBBLE_BEGIN
namespace tflite {

/// Codes before and after a dimension's own.
struct padding {
    std::ptrdiff_t before = 0, after = 0;
};

/// paddings: one a dimension; y: each dimension that much larger. window_invalid for a negative one. y does not overlap x.
template <class Executor = serial_executor>
inline status pad(tensor_view<const std::int8_t> x, span<const padding> paddings, std::int8_t value, tensor_view<std::int8_t> y,
    Executor&& executor = Executor {})
{
    for (const status s : {check(x), check(y)})
        if (s != status::ok)
            return s;
    if (nibble::check(paddings) != status::ok)
        return status::null_pointer;
    const std::size_t rank = x.shape.size();
    if (y.shape.size() != rank || paddings.size() != rank)
        return status::shape_mismatch;
    for (std::size_t i = 0; i < rank; ++i) {
        if (paddings[i].before < 0 || paddings[i].after < 0)
            return status::window_invalid;
        if (paddings[i].before > y.shape[i] - x.shape[i] || paddings[i].after != y.shape[i] - x.shape[i] - paddings[i].before)
            return status::shape_mismatch;
    }
    if (y.size() == 0)
        return status::ok;
    // Inner dimensions without a border are one with what is outside them.
    std::size_t dimensions = rank;
    std::ptrdiff_t unit = 1;
    while (dimensions > 0 && paddings[dimensions - 1].before == 0 && paddings[dimensions - 1].after == 0)
        unit *= x.shape[--dimensions];
    const std::ptrdiff_t inner = dimensions == 0 ? 1 : x.shape[dimensions - 1];
    const padding ends = dimensions == 0 ? padding {} : paddings[dimensions - 1];
    const std::ptrdiff_t run = inner * unit, line = (ends.before + inner + ends.after) * unit, lines = y.size() / line;
    const std::ptrdiff_t together = 65536 / line + 1;
    const auto fill = [value](std::int8_t* to, std::ptrdiff_t count) noexcept { std::memset(to, value, static_cast<std::size_t>(count)); };
    executor.parallel_for(static_cast<std::size_t>((lines + together - 1) / together), [&](std::size_t task) {
        const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(task) * together;
        for (std::ptrdiff_t i = begin; i < lines && i < begin + together; ++i) {
            std::int8_t* const to = y.data + i * line;
            std::ptrdiff_t rest = i, from = 0, stride = run;
            bool inside = true;
            for (std::size_t d = dimensions > 0 ? dimensions - 1 : 0; d-- > 0;) {
                const std::ptrdiff_t at = rest % y.shape[d] - paddings[d].before;
                inside = inside && at >= 0 && at < x.shape[d];
                from += at * stride;
                stride *= x.shape[d];
                rest /= y.shape[d];
            }
            if (!inside || run == 0) {
                fill(to, line);
                continue;
            }
            fill(to, ends.before * unit);
            std::memcpy(to + ends.before * unit, x.data + from, static_cast<std::size_t>(run));
            fill(to + ends.before * unit + run, ends.after * unit);
        }
    });
    return status::ok;
}

} // namespace tflite
NIBBLE_END
