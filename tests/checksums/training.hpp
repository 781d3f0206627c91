// Fake quantization and its gradients.
#pragma once

#include "elementwise.hpp"

namespace {

// each(x, fake quantization, rule of gradients) for every granularity, rounding and some code limits.
template <class Each>
void for_fake_quantizations(Each each)
{
    numbers random(6);
    int which = 0;
    for (const std::ptrdiff_t cols : widths)
        for (const layout& l :
            {layout {granularity::per_tensor, 0}, layout {granularity::per_channel, 0}, layout {granularity::per_column, 0},
                layout {granularity::per_group, 5}, layout {granularity::per_group, 64}, layout {granularity::per_block, 16}})
            for (int i = 0; i < 5; ++i, ++which) {
                const std::ptrdiff_t rows = cols == 301 && i == 0 ? 300 : 1 + random.integer(0, 4);
                const std::ptrdiff_t count = params_count(l.kind, rows, cols, l.group, 2);
                const code_limits codes
                    = codes_of_bits(2 + which % 7, which % 2 == 0, which % 3 == 0 ? code_range::narrow : code_range::full);
                const std::vector<float> scales
                    = filled<float>(count, [&] { return random.real(-6, -1) & (which % 4 == 0 ? 0x7f800000u : 0x7fffffffu); });
                std::vector<std::int32_t> zero_points;
                for (std::ptrdiff_t z = 0; z < (which % 3 == 1 ? count : 0); ++z)
                    zero_points.push_back(random.integer(codes.qmin, codes.qmax));
                const quantize_rule rule {
                    static_cast<rounding>(which % 5), which % 7 == 3, which % 4 == 1, code_range::full, random.bits()};
                const gradient_rule how {static_cast<clip_test>(which % 2), static_cast<scale_gradient>(which % 6 == 5), 0.7f};
                const std::vector<float> x = filled<float>(rows * (cols + 3), [&] { return random.any(); });
                each(random, matrix_view<const float>(x.data(), rows, cols, cols + 3),
                    fake_quantization {{l.kind, l.group, scales, zero_points, 2}, codes, rule}, how);
            }
}

void fake_quantize_values(run& r)
{
    for_fake_quantizations([&](numbers&, matrix_view<const float> x, const fake_quantization& f, gradient_rule) {
        std::vector<float> y = untouched<float>(x.rows * x.stride);
        const matrix_view<float> to(y.data(), x.rows, x.cols, x.stride);
        if (r.reference())
            reference::fake_quantize(x, f, to);
        else
            r.must(fake_quantize(x, f, to, r.threads()));
        r.output(y);
    });
}

void fake_quantize_gradients_of(run& r)
{
    for_fake_quantizations([&](numbers& random, matrix_view<const float> x, const fake_quantization& f, gradient_rule how) {
        const std::vector<float> dy = filled<float>(x.rows * x.stride, [&] { return random.finite(); });
        std::vector<float> dx = untouched<float>(x.rows * x.stride), scale(f.params.scales.size()), zero_point(scale.size());
        std::vector<float> scratch(fake_quantize_scratch(f.params.kind, x.rows, x.cols, f.params.group_size));
        const matrix_view<const float> from(dy.data(), x.rows, x.cols, x.stride);
        const fake_quantize_gradients to {{dx.data(), x.rows, x.cols, x.stride}, scale, zero_point};
        std::vector<reference::fake_quantize_derivative> terms(static_cast<std::size_t>(x.cols));
        if (r.reference())
            reference::fake_quantize_backward(x, from, f, to, scratch, terms, how);
        else
            r.must(fake_quantize_backward(x, from, f, to, scratch, how, r.threads()));
        r.output(dx);
        r.output(scale);
        r.output(zero_point);
    });
}

} // namespace
