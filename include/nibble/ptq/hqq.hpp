// HQQ (Badri and Shaji, 2023), half-quadratic quantization, needs no data. In every group it alternates two steps: take the largest errors
// out of the weights, then fit the parameters to the rest. With r = w - dequantized(w):
//     e = sign(r) max(|r| - |r|^(p - 1) / beta, 0)          t = w - e
//     zero_point = mean(q - t / scale), rounded             scale = sum (q - zero_point) t / sum (q - zero_point)^2
// and beta grows by kappa. The paper keeps the scale and has a real zero point. Here zero points are integers, so the scale moves as well.
// The parameters with the least sum of |r|^p are kept, so the result is never worse than rounding to nearest in that measure. r is counted
// in units of the power of two above the group's greatest magnitude, so weights times a power of two have the same codes.
#pragma once

#include "../core/math.hpp"
#include "../core/progress.hpp"
#include "../core/strict_math.hpp"
#include "../core/executor.hpp"
#include "../quantize/weight_format.hpp"

NIBBLE_BEGIN_TYPES

struct hqq_options {
    double p = 0.7, beta = 10, kappa = 1.01;
    int iterations = 20;
};

NIBBLE_END_TYPES

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

namespace detail {

inline double shrink(double r, const hqq_options& o, double beta) noexcept
{
    const double magnitude = std::fabs(r);
    const double left = magnitude == 0.0 ? 0.0 : magnitude - portable_pow(magnitude, o.p - 1.0) / beta;
    return left <= 0.0 ? 0.0 : r < 0.0 ? -left : left;
}

/// unit: the power of two that |r| is multiplied with first.
inline double distance(matrix_view<const float> w, const weight_grid& grid, scale_and_zero_point p, double power, double unit) noexcept
{
    double sum = 0;
    for (std::ptrdiff_t r = 0; r < w.rows; ++r)
        for (std::ptrdiff_t c = 0; c < w.cols; ++c) {
            const float back = dequantize_one(grid.code(w(r, c), p), p);
            sum += portable_pow(std::fabs(static_cast<double>(w(r, c)) - static_cast<double>(back)) * unit, power);
        }
    return sum;
}

inline scale_and_zero_point half_quadratic(
    matrix_view<const float> w, const weight_format& f, const weight_grid& grid, const hqq_options& o) noexcept
{
    float most = 0.0f;
    for (std::ptrdiff_t r = 0; r < w.rows; ++r)
        for (std::ptrdiff_t c = 0; c < w.cols; ++c) {
            const float magnitude = magnitude_of(w(r, c));
            most = larger(magnitude, most);
        }
    const double unit = two_to_the(-exponent_of(most) - 1);
    scale_and_zero_point p = grid.best(w, nullptr, f), found = p;
    double least = distance(w, grid, p, o.p, unit), beta = o.beta;
    for (int i = 0; i < o.iterations; ++i, beta *= o.kappa) {
        double offset = 0, product = 0, square = 0;
        for (std::ptrdiff_t r = 0; r < w.rows; ++r)
            for (std::ptrdiff_t c = 0; c < w.cols; ++c) {
                const double x = static_cast<double>(w(r, c));
                const std::int32_t code = grid.code(w(r, c), p);
                const double error = x - static_cast<double>(dequantize_one(code, p));
                const double target = x - shrink(error * unit, o, beta) / unit, q = code - p.zero_point;
                offset += static_cast<double>(code) - target / static_cast<double>(p.scale);
                product = strict_math::fma(q, target, product);
                square = strict_math::fma(q, q, square);
            }
        scale_and_zero_point next = p;
        if (square > 0.0 && product > 0.0)
            next.scale = grid.stored_scale(finite_float(product / square));
        if (f.how == scheme::affine)
            next.zero_point = clamp_zero_point(std::nearbyint(offset / static_cast<double>(w.rows * w.cols)), grid.codes);
        if (next.scale == p.scale && next.zero_point == p.zero_point)
            break;
        p = next;
        if (const double d = distance(w, grid, p, o.p, unit); d < least) {
            least = d;
            found = p;
        }
    }
    return found;
}

} // namespace detail

/// w: n x k. Channels and groups are independent; rows are shared out to the executor.
template <class Q, class Executor = serial_executor>
inline status hqq(matrix_view<const float> w, const weight_format& f, const quantized_matrix<Q>& q, const hqq_options& o = {},
    progress report_progress = {}, Executor&& executor = Executor {})
{
    if (const status s = detail::check_weights(w, f, q); s != status::ok)
        return s;
    if (!(o.p > 0.0 && o.p <= 2.0) || !(o.beta > 0.0) || !(o.kappa >= 1.0) || o.iterations < 0)
        return status::option_invalid;
    if (f.kind == granularity::per_tensor)
        return status::granularity_unsupported;
    if (w.empty())
        return round_to_nearest(w, f, q);
    const params_strides strides = strides_of(f.kind, w.cols, f.group_size);
    const detail::weight_grid grid = detail::grid_of<Q>(f);
    constexpr std::ptrdiff_t task_rows = 16, wave = 64;
    for (std::ptrdiff_t first = 0; first < w.rows; first += task_rows * wave) {
        if (!report_progress(static_cast<double>(first) / static_cast<double>(w.rows)))
            return status::cancelled;
        const std::ptrdiff_t rows = smaller(w.rows - first, task_rows * wave);
        executor.parallel_for(static_cast<std::size_t>((rows + task_rows - 1) / task_rows), [&](std::size_t task) {
            const default_fp_mode mode;
            const std::ptrdiff_t begin = first + static_cast<std::ptrdiff_t>(task) * task_rows;
            const std::ptrdiff_t end = first + rows - begin < task_rows ? first + rows : begin + task_rows;
            for (std::ptrdiff_t r = begin; r < end; ++r)
                for (std::ptrdiff_t c = 0; c < w.cols;) {
                    const matrix_view<const float> part = detail::sharing_a_scale(w, f, r, c);
                    const scale_and_zero_point p = detail::half_quadratic(part, f, grid, o);
                    const std::size_t at = static_cast<std::size_t>(r * strides.row + c / strides.group_size * strides.group);
                    q.scales[at] = p.scale;
                    if (!q.zero_points.empty())
                        q.zero_points[at] = p.zero_point;
                    for (std::ptrdiff_t end_column = c + part.cols; c < end_column; ++c)
                        store_code(q.codes.row(r), c, grid.code(w(r, c), p));
                }
        });
    }
    (void)report_progress(1);
    return status::ok;
}

NIBBLE_END
NIBBLE_STRICT_END
