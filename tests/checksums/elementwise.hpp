// Checksums of number formats, quantization, dequantization and requantization.
#pragma once

#include <algorithm>

#include "run.hpp"

namespace {

void one(float x, half& y) { y = to_half(x); }
void one(float x, bfloat16& y) { y = to_bfloat16(x); }
void one(half x, float& y) { y = to_float(x); }
void one(bfloat16 x, float& y) { y = to_float(x); }
void one(float8_e4m3 x, float& y) { y = to_float(x); }
void one(float8_e5m2 x, float& y) { y = to_float(x); }

// A third of the exponents around the ends of half's range.
std::vector<float> hard_floats()
{
    numbers random(1);
    std::vector<float> x = filled<float>(6000, [&] { return random.integer(0, 2) ? random.bits() : random.real(-27, 17); });
    const std::vector<float> hard = filled<float>(500, [&] { return random.any(); });
    x.insert(x.end(), hard.begin(), hard.end());
    return x;
}

template <class From, class To>
void convert_values(run& r)
{
    std::vector<From> x;
    if constexpr (std::is_same_v<From, float>) {
        x = hard_floats();
    } else {
        std::uint32_t next = 0;
        x = filled<From>(sizeof(From) == 1 ? 256 : 65536, [&] { return next++; });
    }
    for (const std::size_t count : {std::size_t {1}, std::size_t {7}, std::size_t {16}, std::size_t {31}, x.size()}) {
        std::vector<To> y = untouched<To>(static_cast<std::ptrdiff_t>(count));
        if (r.reference())
            for (std::size_t i = 0; i < count; ++i)
                one(x[i], y[i]);
        else
            r.must(convert(span<const From>(x.data(), count), span<To>(y)));
        r.output(y);
    }
}

template <class F>
void convert_to_float8(run& r)
{
    const std::vector<float> x = hard_floats();
    for (const overflow rule : {overflow::saturate, overflow::to_infinity_or_nan})
        for (const std::size_t count : {std::size_t {1}, std::size_t {15}, std::size_t {33}, x.size()}) {
            std::vector<F> y = untouched<F>(static_cast<std::ptrdiff_t>(count));
            if (r.reference())
                for (std::size_t i = 0; i < count; ++i)
                    y[i] = to_minifloat<F>(x[i], rule);
            else
                r.must(convert(span<const float>(x.data(), count), span<F>(y), rule));
            r.output(y);
        }
}

// The conversions of one number, which every backend shares.
template <class F>
void small_float(run& r)
{
    const std::vector<float> x = hard_floats();
    std::vector<F> y(x.size());
    std::vector<float> back(x.size());
    for (const overflow rule : {overflow::saturate, overflow::to_infinity_or_nan})
        for (const ties tie : {ties::to_even, ties::toward_zero}) {
            for (std::size_t i = 0; i < x.size(); ++i) {
                y[i] = to_minifloat<F>(x[i], rule, tie);
                back[i] = to_float(y[i]);
            }
            r.output(y);
            r.output(back);
        }
}

void e8m0(run& r)
{
    const std::vector<float> x = hard_floats();
    std::vector<float8_e8m0> y(x.size());
    for (const e8m0_rounding rounding : {e8m0_rounding::down, e8m0_rounding::up, e8m0_rounding::nearest}) {
        for (std::size_t i = 0; i < x.size(); ++i)
            y[i] = to_float8_e8m0(x[i], rounding);
        r.output(y);
    }
}

void normal_float(run& r)
{
    numbers random(6);
    std::vector<nf4> y;
    for (int i = 0; i < 3000; ++i) {
        float x;
        set_bits(x, random.integer(0, 3) ? random.real(-5, 0) : random.any());
        y.push_back(to_nf4(x));
        set_bits(x, float_bits(nf4_midpoints[i % 15]) + static_cast<std::uint32_t>(i % 3) - 1u);
        y.push_back(to_nf4(x));
    }
    r.output(y);
}

struct layout {
    granularity kind;
    std::ptrdiff_t group;
    std::ptrdiff_t block_rows = 1;
};
constexpr layout layouts[] = {{granularity::per_tensor, 0}, {granularity::per_channel, 0}, {granularity::per_group, 2},
    {granularity::per_group, 32}, {granularity::per_group, 130}};
constexpr layout further_layouts[]
    = {{granularity::per_column, 0}, {granularity::per_block, 1, 2}, {granularity::per_block, 8, 3}, {granularity::per_group, 64}};
constexpr std::ptrdiff_t widths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 129, 301};

template <class Q>
struct parameters {
    std::vector<float> scales;
    std::vector<std::int32_t> zero_points;
    quant_params_view view;

    parameters(numbers& random, layout l, std::ptrdiff_t rows, std::ptrdiff_t cols, bool with_zero_points)
    {
        const std::ptrdiff_t count = params_count(l.kind, rows, cols, l.group, l.block_rows);
        // A power of two makes exact ties; now and then a subnormal, whose reciprocal may be infinite.
        scales = filled<float>(count, [&] {
            const std::int32_t which = random.integer(0, 15);
            return which == 0 ? 0x00012345u : (random.real(-8, -4) & (which < 8 ? 0x7f800000u : 0x7fffffffu));
        });
        if (with_zero_points)
            for (std::ptrdiff_t i = 0; i < count; ++i)
                zero_points.push_back(random.integer(code_traits<Q>::qmin, code_traits<Q>::qmax));
        view = {l.kind, l.group, scales, zero_points, l.block_rows};
    }
};

// each(random, rows, cols, parameters, stride) for many matrices.
template <class Q, class Each>
void for_matrices(Each each)
{
    numbers random(2);
    for (const std::ptrdiff_t cols : widths)
        for (layout l : layouts)
            for (const bool zero_points : {false, true}) {
                const std::ptrdiff_t rows = 1 + random.integer(0, 2);
                l.group = elements_for<Q>(l.group) * code_traits<Q>::per_element;
                each(random, rows, cols, parameters<Q>(random, l, rows, cols, zero_points));
            }
}

template <class Q>
void quantize_codes(run& r)
{
    for_matrices<Q>([&](numbers& random, std::ptrdiff_t rows, std::ptrdiff_t cols, const parameters<Q>& p) {
        const std::ptrdiff_t stride = cols + 3, q_stride = elements_for<Q>(cols) + 1;
        const std::vector<float> x = filled<float>(rows * stride, [&] { return random.any(); });
        std::vector<Q> q = untouched<Q>(rows * q_stride);
        const matrix_view<const float> from(x.data(), rows, cols, stride);
        const matrix_view<Q> to(q.data(), rows, elements_for<Q>(cols), q_stride);
        if (r.reference())
            reference::quantize(from, p.view, to);
        else
            r.must(quantize(from, p.view, to, {}, r.threads()));
        r.output(q);
    });
}

template <class Q>
void dequantize_codes(run& r)
{
    for_matrices<Q>([&](numbers& random, std::ptrdiff_t rows, std::ptrdiff_t cols, const parameters<Q>& p) {
        const std::ptrdiff_t stride = cols + 2, q_stride = elements_for<Q>(cols) + 1;
        const std::vector<Q> q = filled<Q>(rows * q_stride, [&] { return random.bits(); });
        std::vector<float> x = untouched<float>(rows * stride);
        const matrix_view<const Q> from(q.data(), rows, elements_for<Q>(cols), q_stride);
        const matrix_view<float> to(x.data(), rows, cols, stride);
        if (r.reference())
            reference::dequantize(from, p.view, to);
        else
            r.must(dequantize(from, p.view, to, r.threads()));
        r.output(x);
    });
}

template <class Q, scheme How>
void choose(run& r)
{
    numbers random(3);
    for (const std::ptrdiff_t cols : widths)
        for (const layout& l : layouts)
            for (const bool ordinary : {true, false}) {
                const std::ptrdiff_t rows = 1 + random.integer(0, 2);
                std::vector<float> x = filled<float>(rows * cols, [&] { return ordinary ? random.real(-3, 3) : random.finite(); });
                if (random.integer(0, 3) == 0) // a row of zeros and subnormals
                    for (std::ptrdiff_t i = 0; i < cols; ++i)
                        set_bits(x[static_cast<std::size_t>(i)], random.bits() & (i % 2 ? 0x80000000u : 0x8000ffffu));
                const std::ptrdiff_t count = params_count(l.kind, rows, cols, l.group);
                std::vector<float> scales = untouched<float>(count), scratch(choose_params_scratch(l.kind, rows, cols, l.group));
                std::vector<std::int32_t> zero_points
                    = untouched<std::int32_t>(How == scheme::affine || code_traits<Q>::qmin == 0 ? count : 0);
                r.must(choose_params<Q>({x.data(), rows, cols}, How, l.kind, l.group, scales, zero_points, scratch));
                r.output(scales);
                r.output(zero_points);
                set_bits(x[x.size() / 2], 0xffc00001u);
                if (choose_params<Q>({x.data(), rows, cols}, How, l.kind, l.group, scales, zero_points, scratch) != status::not_finite)
                    r.must(status::not_finite);
            }
}

// Codes and what they stand for again. With a stochastic rule a row's number matters, so all rows are quantized at once.
template <class Q>
void quantize_by_rule(run& r, numbers& random, std::ptrdiff_t rows, std::ptrdiff_t cols, layout l, quantize_rule rule)
{
    l.group = elements_for<Q>(l.group) * (l.kind == granularity::per_block && l.group == 1 ? 1 : code_traits<Q>::per_element);
    const parameters<Q> p(random, l, rows, cols, random.integer(0, 3) != 0);
    const std::ptrdiff_t elements = elements_for<Q>(cols);
    const std::vector<float> x = filled<float>(rows * cols, [&] { return random.any(); });
    std::vector<Q> q = untouched<Q>(rows * elements);
    std::vector<float> back = untouched<float>(rows * cols);
    const matrix_view<const float> from(x.data(), rows, cols);
    const matrix_view<Q> to(q.data(), rows, elements);
    const matrix_view<float> again(back.data(), rows, cols);
    if (r.reference()) {
        reference::quantize(from, p.view, to, rule);
        reference::dequantize(matrix_view<const Q>(to), p.view, again);
    } else {
        r.must(quantize(from, p.view, to, rule, r.threads()));
        r.must(dequantize(matrix_view<const Q>(to), p.view, again, r.threads()));
    }
    r.output(q);
    r.output(back);
}

template <rounding Round>
void quantize_rounding(run& r)
{
    numbers random(8);
    int which = 0;
    const auto each = [&](std::ptrdiff_t rows, std::ptrdiff_t cols, layout l) {
        const quantize_rule rule {Round, which % 2 != 0, which / 2 % 2 != 0, static_cast<code_range>(which / 4 % 3), random.bits()};
        ++which;
        quantize_by_rule<std::int8_t>(r, random, rows, cols, l, rule);
        quantize_by_rule<std::uint8_t>(r, random, rows, cols, l, rule);
        quantize_by_rule<int4x2>(r, random, rows, cols, l, rule);
        quantize_by_rule<uint4x2>(r, random, rows, cols, l, rule);
        quantize_by_rule<int2x4>(r, random, rows, cols, l, rule);
        quantize_by_rule<uint2x4>(r, random, rows, cols, l, rule);
    };
    for (const std::ptrdiff_t cols : widths) {
        for (const layout& l : layouts)
            each(1 + random.integer(0, 3), cols, l);
        for (const layout& l : further_layouts)
            each(1 + random.integer(0, 3), cols, l);
    }
    each(140, 1000, {granularity::per_channel, 0}); // more than one task
}

// The scale is NaN where a group is not finite, and the codes are those of scale 1.
template <class Q>
float reference_scale(const float* x, std::ptrdiff_t count)
{
    std::uint32_t top = 0;
    for (std::ptrdiff_t i = 0; i < count; ++i)
        top = std::max(top, float_bits(x[i]) & 0x7fffffffu);
    return top >= 0x7f800000u ? float_from_bits(0x7fc00000u)
                              : params_of_range(0.0f, float_from_bits(top), {scheme::symmetric}, codes_of<Q>(code_range::narrow)).scale;
}

template <class Q>
void quantize_absmax(run& r)
{
    numbers random(9);
    for (const std::ptrdiff_t cols : widths)
        for (const std::ptrdiff_t group : {0, 2, 32, 64}) {
            const std::ptrdiff_t rows = 1 + random.integer(0, 3), elements = elements_for<Q>(cols);
            const granularity kind = group == 0 ? granularity::per_channel : granularity::per_group;
            std::vector<float> x = filled<float>(rows * cols, [&] { return random.real(-6, 2); });
            for (std::ptrdiff_t i = 0; i < rows * cols; ++i)
                if (const std::ptrdiff_t at = i / 32 % 8; at > 4) // zeros and subnormals; huge numbers; infinities and NaN
                    set_bits(x[static_cast<std::size_t>(i)], at == 5   ? random.bits() & 0x8000ffffu
                                                             : at == 6 ? random.finite()
                                                                       : random.any());
            std::vector<Q> q = untouched<Q>(rows * elements);
            std::vector<float> scales = untouched<float>(params_count(kind, rows, cols, group));
            const std::ptrdiff_t groups = static_cast<std::ptrdiff_t>(scales.size()) / rows, size = group == 0 ? cols : group;
            if (r.reference()) {
                const default_fp_mode mode;
                for (std::ptrdiff_t i = 0; i < rows; ++i)
                    for (std::ptrdiff_t g = 0; g < groups; ++g) {
                        const std::ptrdiff_t first = g * size, end = std::min(cols, first + size);
                        const float scale = reference_scale<Q>(x.data() + i * cols + first, end - first);
                        scales[static_cast<std::size_t>(i * groups + g)] = scale;
                        for (std::ptrdiff_t c = first; c < end; ++c)
                            store_code(q.data() + i * elements, c,
                                reference::quantize(x[static_cast<std::size_t>(i * cols + c)], is_positive_finite(scale) ? scale : 1.0f, 0,
                                    {}, codes_of<Q>(code_range::narrow)));
                    }
            } else {
                r.rows(rows, [&](std::ptrdiff_t first, std::ptrdiff_t count) {
                    r.must(quantize_dynamic<Q>({x.data() + first * cols, count, cols}, kind, group,
                        span<float>(scales.data() + first * groups, static_cast<std::size_t>(count * groups)),
                        matrix_view<Q>(q.data() + first * elements, count, elements), r.threads()));
                });
            }
            r.output(scales);
            r.output(q);
        }
}

template <class Q>
void choose_by_formula(run& r, numbers& random, params_rule rule, layout l)
{
    const std::ptrdiff_t rows = 1 + random.integer(0, 4), cols = widths[random.integer(0, 11)];
    const bool ordinary = random.integer(0, 2) != 0;
    l.group = elements_for<Q>(l.group) * (l.kind == granularity::per_block && l.group == 1 ? 1 : code_traits<Q>::per_element);
    const std::vector<float> x = filled<float>(rows * cols, [&] { return ordinary ? random.real(-3, 3) : random.finite(); });
    const std::ptrdiff_t count = params_count(l.kind, rows, cols, l.group, l.block_rows);
    std::vector<float> scales = untouched<float>(count), scratch(choose_params_scratch(l.kind, rows, cols, l.group, l.block_rows));
    std::vector<std::int32_t> zero_points = untouched<std::int32_t>(count);
    r.must(choose_params<Q>({x.data(), rows, cols}, rule, l.kind, l.group, scales, zero_points, scratch, l.block_rows));
    r.output(scales);
    r.output(zero_points);
}

template <params_formula Formula>
void choose_formula(run& r)
{
    numbers random(10);
    for (const scheme how : {scheme::symmetric, scheme::affine})
        for (const code_range range : {code_range::full, code_range::narrow, code_range::reduced})
            for (const bool power : {false, true}) {
                const params_rule rule(how, Formula, range, power);
                const auto each = [&](const layout& l) {
                    choose_by_formula<std::int8_t>(r, random, rule, l);
                    choose_by_formula<std::uint8_t>(r, random, rule, l);
                    choose_by_formula<int4x2>(r, random, rule, l);
                    choose_by_formula<uint2x4>(r, random, rule, l);
                };
                for (const layout& l : layouts)
                    each(l);
                for (const layout& l : further_layouts)
                    each(l);
            }
}

// Blocks of every kind: of one magnitude, tied, zero, subnormal, huge, not finite.
std::vector<float> blocks_of(numbers& random, std::ptrdiff_t rows, std::ptrdiff_t stride, std::ptrdiff_t block)
{
    std::vector<float> x(static_cast<std::size_t>(rows * stride));
    for (std::size_t begin = 0; begin < x.size(); begin += static_cast<std::size_t>(block)) {
        const std::int32_t kind = random.integer(0, 9), top = random.integer(-100, 100);
        for (std::size_t i = begin; i < std::min(x.size(), begin + static_cast<std::size_t>(block)); ++i) {
            std::uint32_t bits = random.real(top - 5, top);
            switch (kind) {
            case 0: bits &= 0x80000000u; break;
            case 1: bits &= 0x807fffffu; break;
            case 2: bits = (bits & 0x80ffffffu) | 0x7e000000u; break;
            case 3:
            case 4:
            case 5: bits &= 0xfff80000u; break;
            case 6: bits = random.integer(0, 15) == 0 ? random.any() : bits; break;
            default: break;
            }
            set_bits(x[i], bits);
        }
    }
    return x;
}

template <class Q>
void quantize_mx_blocks(run& r)
{
    numbers random(11);
    for (const std::ptrdiff_t cols : widths)
        for (const scale_rule rule : {scale_rule::floor, scale_rule::even, scale_rule::ceil})
            for (const element_rounding rounding : {element_rounding::to_even, element_rounding::ggml}) {
                constexpr std::ptrdiff_t each = mx_traits<Q>::per_element;
                const std::ptrdiff_t rows = 1 + random.integer(0, 2), stride = cols + 1, elements = (cols + each - 1) / each,
                                     blocks = (cols + 31) / 32;
                const std::vector<float> x = blocks_of(random, rows, stride, 32);
                std::vector<Q> q = untouched<Q>(rows * (elements + 1));
                std::vector<float8_e8m0> scales = untouched<float8_e8m0>(rows * (blocks + 1));
                r.rows(rows, [&](std::ptrdiff_t first, std::ptrdiff_t count) {
                    const matrix_view<const float> from(x.data() + first * stride, count, cols, stride);
                    const matrix_view<Q> to(q.data() + first * (elements + 1), count, elements, elements + 1);
                    const matrix_view<float8_e8m0> by(scales.data() + first * (blocks + 1), count, blocks, blocks + 1);
                    if (r.reference())
                        reference::quantize_mx(from, to, by, rule, rounding);
                    else
                        r.must(quantize_mx(from, to, by, {rule, rounding}));
                });
                r.output(q);
                r.output(scales);
            }
}

template <class Q>
void dequantize_mx_blocks(run& r)
{
    numbers random(12);
    for (const std::ptrdiff_t cols : widths)
        for (int repeat = 0; repeat < 3; ++repeat) {
            constexpr std::ptrdiff_t each = mx_traits<Q>::per_element;
            const std::ptrdiff_t rows = 1 + random.integer(0, 2), elements = (cols + each - 1) / each, blocks = (cols + 31) / 32;
            const std::vector<Q> q = filled<Q>(rows * elements, [&] { return random.bits(); });
            const std::vector<float8_e8m0> scales = filled<float8_e8m0>(rows * blocks, [&] { return random.bits() >> (repeat * 3); });
            std::vector<float> x = untouched<float>(rows * (cols + 1));
            const matrix_view<const Q> from(q.data(), rows, elements);
            const matrix_view<const float8_e8m0> by(scales.data(), rows, blocks);
            const matrix_view<float> to(x.data(), rows, cols, cols + 1);
            if (r.reference())
                reference::dequantize_mx(from, by, to);
            else
                r.must(dequantize_mx(from, by, to));
            r.output(x);
        }
}

void quantize_nvfp4_blocks(run& r)
{
    numbers random(13);
    for (const std::ptrdiff_t cols : widths)
        for (const element_rounding rounding : {element_rounding::to_even, element_rounding::ggml})
            for (const std::int32_t exponent : {0, -130, -6, 100}) {
                const std::ptrdiff_t rows = 1 + random.integer(0, 2), elements = (cols + 1) / 2, blocks = (cols + 15) / 16;
                const std::vector<float> x = blocks_of(random, rows, cols, 16);
                float tensor_scale = 0.0f;
                set_bits(tensor_scale, exponent == -130 ? 0x00012345u : random.real(exponent, exponent) & 0x7fffffffu);
                std::vector<float4_e2m1x2> q = untouched<float4_e2m1x2>(rows * elements);
                std::vector<float8_e4m3> scales = untouched<float8_e4m3>(rows * blocks);
                const matrix_view<const float> from(x.data(), rows, cols);
                const matrix_view<float4_e2m1x2> to(q.data(), rows, elements);
                const matrix_view<float8_e4m3> by(scales.data(), rows, blocks);
                if (r.reference())
                    reference::quantize_nvfp4(from, tensor_scale, to, by, rounding);
                else
                    r.must(quantize_nvfp4(from, tensor_scale, to, by, rounding));
                r.output(q);
                r.output(scales);
            }
}

void dequantize_nvfp4_blocks(run& r)
{
    numbers random(14);
    for (const std::ptrdiff_t cols : widths)
        for (const std::int32_t exponent : {0, -10, -120, 118}) {
            const std::ptrdiff_t rows = 1 + random.integer(0, 2), elements = (cols + 1) / 2, blocks = (cols + 15) / 16;
            const std::vector<float4_e2m1x2> q = filled<float4_e2m1x2>(rows * elements, [&] { return random.bits(); });
            const std::vector<float8_e4m3> scales = filled<float8_e4m3>(rows * blocks, [&] { return random.bits(); });
            const float tensor_scale = scale_between(random, exponent, exponent);
            std::vector<float> x = untouched<float>(rows * cols);
            const matrix_view<const float4_e2m1x2> from(q.data(), rows, elements);
            const matrix_view<const float8_e4m3> by(scales.data(), rows, blocks);
            if (r.reference())
                reference::dequantize_nvfp4(from, by, tensor_scale, {x.data(), rows, cols});
            else
                r.must(dequantize_nvfp4(from, by, tensor_scale, {x.data(), rows, cols}));
            r.output(x);
        }
}

// How sums of `cols` columns become codes, one scale or multiplier for all of them or one each.
struct requantization_data {
    std::vector<float> scale;
    std::vector<std::int32_t> multiplier, shift, bias;
    requantization r;

    template <class Q>
    requantization_data(numbers& random, requantize_mode mode, std::ptrdiff_t cols, Q)
    {
        const std::ptrdiff_t count = random.integer(0, 1) ? cols : 1;
        scale = filled<float>(count, [&] { return random.real(-20, -1) & 0x7fffffffu; });
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            multiplier.push_back(random.integer(0, 9) == 0 ? 0 : static_cast<std::int32_t>((random.bits() & 0x7fffffffu) | 0x40000000u));
            shift.push_back(random.integer(0, 3) == 0 ? random.integer(-31, 31) : random.integer(-14, 0));
        }
        if (random.integer(0, 1))
            for (std::ptrdiff_t i = 0; i < cols; ++i)
                bias.push_back(random.integer(-1000, 1000));
        r.mode = mode;
        r.scale = scale;
        r.multiplier = multiplier;
        r.shift = shift;
        r.bias = bias;
        r.zero_point = random.integer(code_traits<Q>::qmin, code_traits<Q>::qmax);
        r.zero_point_first = random.integer(0, 1) != 0;
        if (random.integer(0, 2) == 0)
            r.low = r.zero_point;
        if (random.integer(0, 2) == 0)
            r.high = code_traits<Q>::qmax - 1 > r.zero_point ? code_traits<Q>::qmax - 1 : r.high;
    }
};

template <class Q>
void requantize_sums(run& r, numbers& random, requantize_mode mode, std::ptrdiff_t rows, std::ptrdiff_t cols)
{
    static constexpr std::int32_t special[] = {INT32_MIN, INT32_MAX, -INT32_MAX, 0, 1, -1, 1 << 30, -(1 << 30)};
    const std::ptrdiff_t stride = cols + 1;
    std::vector<std::int32_t> x;
    for (std::ptrdiff_t i = 0; i < rows * stride; ++i)
        x.push_back(random.integer(0, 7) == 0   ? special[random.integer(0, 7)]
                    : random.integer(0, 3) == 0 ? static_cast<std::int32_t>(random.bits())
                                                : random.integer(-200000, 200000));
    const requantization_data data(random, mode, cols, Q {});
    std::vector<Q> q = untouched<Q>(rows * stride);
    r.rows(rows, [&](std::ptrdiff_t first, std::ptrdiff_t count) {
        const matrix_view<const std::int32_t> from(x.data() + first * stride, count, cols, stride);
        const matrix_view<Q> to(q.data() + first * stride, count, cols, stride);
        if (r.reference())
            reference::requantize(from, data.r, to);
        else
            r.must(requantize(from, data.r, to, r.threads()));
    });
    r.output(q);
}

template <requantize_mode Mode>
void requantize_mode_of(run& r)
{
    numbers random(15);
    for (const std::ptrdiff_t cols : widths)
        for (int repeat = 0; repeat < 4; ++repeat) {
            requantize_sums<std::int8_t>(r, random, Mode, 1 + random.integer(0, 2), cols);
            requantize_sums<std::uint8_t>(r, random, Mode, 1 + random.integer(0, 2), cols);
        }
    requantize_sums<std::int8_t>(r, random, Mode, 150, 1000); // more than one task
}

// Reals of every exponent that has a multiplier, and the bits next to a power of two.
void multipliers(run& r)
{
    numbers random(16);
    std::vector<std::int32_t> out;
    for (int i = 0; i < 4000; ++i) {
        std::uint64_t bits = static_cast<std::uint64_t>(random.integer(1023 - 40, 1023 + 30)) << 52;
        const std::uint64_t fraction = static_cast<std::uint64_t>(random.bits()) << 20 | (random.bits() & 0xfffffu);
        bits += i % 4 == 0 ? ~(fraction & 0xffffffu) & 0xfffffffffffffu : i % 4 == 1 ? fraction & 0xffffffu : fraction;
        double real = 0;
        std::memcpy(&real, &bits, sizeof real);
        const auto m = encode_multiplier(real);
        r.must(m ? status::ok : m.error());
        out.push_back(m->multiplier);
        out.push_back(m->shift);
    }
    r.output(out);
}

} // namespace
