// What calibration data make of weights: GPTQ, AWQ, HQQ, SmoothQuant and the column split.
#pragma once

#include <utility>

#include "run.hpp"

namespace {

// A layer and inputs that depend on each other. Sums of small integers, which are exact.
struct ptq_layer {
    std::ptrdiff_t m, n, k;
    std::vector<float> x, w;

    ptq_layer(std::uint64_t seed, std::ptrdiff_t rows, std::ptrdiff_t outputs, std::ptrdiff_t inputs) : m(rows), n(outputs), k(inputs)
    {
        numbers random(seed);
        for (std::ptrdiff_t r = 0; r < m; ++r) {
            const std::int32_t shared[] = {random.integer(-40, 40), random.integer(-25, 25), random.integer(-9, 9)};
            for (std::ptrdiff_t c = 0; c < k; ++c)
                x.push_back(static_cast<float>(c == 5 ? 0 : random.integer(-20, 20) + shared[c % 3] + (c % 11 == 4 ? shared[0] * 30 : 0)));
        }
        for (std::ptrdiff_t i = 0; i < n * k; ++i)
            w.push_back(static_cast<float>(random.integer(-900, 900) + (random.integer(0, 30) == 0 ? random.integer(-4000, 4000) : 0)));
    }
    matrix_view<const float> inputs() const { return {x.data(), m, k}; }
    matrix_view<const float> weights() const { return {w.data(), n, k}; }
    hessian products(run& r) const
    {
        auto h = hessian::make(k);
        r.must(h ? status::ok : h.error());
        r.must(h->add(inputs(), r.threads()));
        return std::move(*h);
    }
    std::vector<float> magnitude() const
    {
        std::vector<column_statistics> columns(static_cast<std::size_t>(k));
        (void)observe_columns(inputs(), span<column_statistics>(columns));
        std::vector<float> means;
        for (const column_statistics& c : columns)
            means.push_back(c.magnitude());
        return means;
    }
};

weight_format ptq_format(std::ptrdiff_t group, scheme how, int bits, bool search)
{
    weight_format f;
    f.kind = group == 0 ? granularity::per_channel : granularity::per_group;
    f.group_size = group;
    f.how = how;
    f.bits = bits;
    f.half_scales = search;
    f.search = search ? range_search::squared_error : range_search::min_max;
    f.range_steps = 6;
    return f;
}

// Codes and parameters that quantize(q) fills.
template <class Q, class Quantize>
void ptq_output(run& r, const ptq_layer& l, const weight_format& f, Quantize quantize)
{
    std::vector<Q> codes(static_cast<std::size_t>(l.n * elements_for<Q>(l.k)));
    std::vector<float> scales(static_cast<std::size_t>(params_count(f.kind, l.n, l.k, f.group_size)));
    std::vector<std::int32_t> zero_points(scales.size());
    r.must(quantize(quantized_matrix<Q> {{codes.data(), l.n, elements_for<Q>(l.k)}, scales, zero_points}));
    r.output(codes);
    r.output(scales);
    r.output(zero_points);
}

template <class Q>
void gptq_of(run& r, const ptq_layer& l, const weight_format& f, const gptq_options& o)
{
    gptq_report report;
    ptq_output<Q>(
        r, l, f, [&](const quantized_matrix<Q>& q) { return gptq(l.weights(), l.products(r), f, q, o, &report, {}, r.threads()); });
    r.output(std::vector<double> {report.error, report.damping, static_cast<double>(report.nearest_rows)});
}

void gptq_codes(run& r)
{
    const ptq_layer l(30, 100, 70, 75), thin(31, 20, 3, 40);
    gptq_options o;
    gptq_of<int4x2>(r, l, ptq_format(0, scheme::symmetric, 0, false), o);
    gptq_of<int4x2>(r, l, ptq_format(32, scheme::symmetric, 3, true), o);
    gptq_of<uint4x2>(r, l, ptq_format(24, scheme::affine, 2, false), o);
    o.act_order = true;
    gptq_of<std::int8_t>(r, l, ptq_format(32, scheme::symmetric, 4, false), o);
    o.damping = 0;
    gptq_of<int2x4>(r, thin, ptq_format(0, scheme::symmetric, 0, false), o);
}

void awq_codes(run& r)
{
    const ptq_layer l(32, 60, 20, 70);
    const hessian h = l.products(r);
    const std::vector<float> magnitude = l.magnitude();
    for (const std::ptrdiff_t group : {0, 32}) {
        const weight_format f = ptq_format(group, scheme::symmetric, 0, false);
        std::vector<float> scales(static_cast<std::size_t>(l.k));
        awq_report report;
        r.must(search_awq_scales<int4x2>(l.weights(), magnitude, h, f, 6, scales, &report, {}, r.threads()));
        r.output(scales);
        r.output(std::vector<double> {report.ratio, report.error_before, report.error});
        ptq_output<int4x2>(
            r, l, f, [&](const quantized_matrix<int4x2>& q) { return round_clipped(l.weights(), h, f, q, 8, 0.5, {}, r.threads()); });
    }
}

void hqq_codes(run& r)
{
    const ptq_layer l(33, 1, 9, 70);
    for (const scheme how : {scheme::symmetric, scheme::affine})
        for (const std::ptrdiff_t group : {0, 32}) {
            const weight_format f = ptq_format(group, how, 3, false);
            ptq_output<uint4x2>(r, l, f, [&](const quantized_matrix<uint4x2>& q) {
                return hqq(l.weights(), f, q, {0.7, 10, 1.01, 5}, {}, r.threads());
            });
        }
}

void smooth_quant_scales(run& r)
{
    const ptq_layer l(34, 20, 17, 48);
    for (const bool power_of_two : {false, true}) {
        std::vector<float> scales(static_cast<std::size_t>(l.k));
        smooth_report report;
        r.must(search_smooth_scales(
            l.inputs(), l.weights(), activation_scales::per_tensor, power_of_two, 4, scales, &report, {}, r.threads()));
        r.output(scales);
        r.output(std::vector<double> {report.alpha, report.error_before, report.error});
    }
}

void column_split_product(run& r)
{
    const ptq_layer l(35, 20, 17, 48);
    std::vector<float> most(static_cast<std::size_t>(l.k));
    std::vector<std::int32_t> columns(most.size());
    r.must(column_max(l.inputs(), most));
    const auto found = find_outlier_columns(most, 4.0f, columns);
    r.must(found ? status::ok : found.error());
    columns.resize(static_cast<std::size_t>(found->outliers));
    r.output(columns);
    const auto split = column_split::make<std::int8_t>(l.weights(), columns, ptq_format(0, scheme::symmetric, 0, false));
    r.must(split ? status::ok : split.error());
    std::vector<float> y = untouched<float>(l.m * l.n);
    std::vector<std::byte> workspace(gemm_workspace(l.m, *split));
    r.must(gemm(l.inputs(), *split, {}, matrix_view<float>(y.data(), l.m, l.n), workspace, r.threads()));
    r.output(y);
}

} // namespace
