// How much a layer's outputs change when its weights are quantized, computed from the Hessian of its inputs.
#pragma once

#include "hessian.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

/// ||X (W - Q)^T||^2 over the rows that h has seen; quantized: what Q's codes stand for, n x k. channels, if not empty: that of each row.
template <class Executor = serial_executor>
inline result<double> output_error(matrix_view<const float> w, matrix_view<const float> quantized, const hessian& h,
    span<double> channels = {}, Executor&& executor = Executor {})
{
    if (const status s = check(w); s != status::ok)
        return s;
    if (const status s = check(quantized); s != status::ok)
        return s;
    if (w.rows != quantized.rows || w.cols != quantized.cols || w.cols != h.size()
        || (!channels.empty() && channels.size() != static_cast<std::size_t>(w.rows)))
        return status::shape_mismatch;
    if (check(channels) != status::ok)
        return status::null_pointer;
    if (w.empty()) {
        for (double& channel : channels)
            channel = 0.0;
        return 0.0;
    }
    aligned_buffer memory;
    if (channels.empty()) {
        if (const status s = memory.allocate(checked_size(w.rows) * sizeof(double)); s != status::ok)
            return s;
        channels = {reinterpret_cast<double*>(memory.bytes().data()), static_cast<std::size_t>(w.rows)};
    }
    const auto difference
        = [&](std::ptrdiff_t r, std::ptrdiff_t c) noexcept { return static_cast<double>(w(r, c)) - static_cast<double>(quantized(r, c)); };
    if (const status s = detail::row_errors(h, 0, w.cols, w.rows, difference, channels, executor); s != status::ok)
        return s;
    const default_fp_mode mode;
    double sum = 0;
    for (std::ptrdiff_t r = 0; r < w.rows; ++r)
        sum += channels[static_cast<std::size_t>(r)];
    return sum;
}

NIBBLE_END
NIBBLE_STRICT_END
