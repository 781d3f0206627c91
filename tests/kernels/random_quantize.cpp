// Random shapes of quantize, dequantize and their kin: every type of codes, granularity, rule and stride.
#include "../random_cases.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace nibble;
using test::random_case;
using test::run_cases;

namespace {

// Strided rows beside a guard page.
template <class T>
struct rows_of {
    rows_of(random_case& c, std::ptrdiff_t rows, std::ptrdiff_t cols)
        : stride(cols + c.number(0, 3)), memory((rows - 1) * stride + cols, c.number(0, 1) != 0), view(memory.data(), rows, cols, stride)
    {
        blank();
    }
    void blank() { std::memset(static_cast<void*>(memory.data()), 0xa5, memory.size() * sizeof(T)); }
    matrix_view<const T> constant() const { return view; }

    std::ptrdiff_t stride;
    test::guarded<T> memory;
    matrix_view<T> view;
};

// A matrix of the same sizes and strides, with what is between rows, for the reference.
template <class T>
struct twin {
    explicit twin(const rows_of<T>& of) : memory(of.memory.size()), view(memory.data(), of.view.rows, of.view.cols, of.stride)
    {
        std::memcpy(static_cast<void*>(memory.data()), of.memory.data(), memory.size() * sizeof(T));
    }
    matrix_view<const T> constant() const { return view; }

    std::vector<T> memory;
    matrix_view<T> view;
};

template <class T>
void same(random_case& c, const rows_of<T>& found, const twin<T>& expected, const char* what)
{
    c.same(found.memory.data(), expected.memory.data(), expected.memory.size(), what);
}

void fill(random_case& c, matrix_view<float> x, bool finite = false)
{
    static const float special[] = {0.0f, -0.0f, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 126.5f, 127.5f, -128.5f, 1e30f, -1e30f, 1e-42f,
        std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
    const bool zeros = c.number(0, 15) == 0;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t i = 0; i < x.cols; ++i)
            x(r, i) = zeros ? 0.0f : c.number(0, 7) == 0 ? special[c.number(0, finite ? 12 : 15)] : c.real();
}

struct shape {
    std::ptrdiff_t rows, cols;
};
shape random_shape(random_case& c)
{
    shape s;
    s.rows = c.size("rows", 1, 6);
    s.cols = c.flag("long", 5) ? c.size("cols", 40, 300) : c.size("cols", 1, 40);
    return s;
}

template <class Q>
struct random_params {
    std::vector<float> scales;
    std::vector<std::int32_t> zeros;
    quant_params_view view;

    random_params(random_case& c, const shape& s, std::int32_t qmin, std::int32_t qmax)
    {
        constexpr std::ptrdiff_t each = code_traits<Q>::per_element;
        view.kind = static_cast<granularity>(c.size("granularity", 0, 4));
        if (view.kind == granularity::per_group || view.kind == granularity::per_block)
            view.group_size = each * (c.flag("common group", 3) ? c.one_of("group", {8, 16, 32, 64}) : c.size("group", 1, 24));
        if (view.kind == granularity::per_block) {
            view.block_rows = c.size("block rows", 1, 4);
            if (c.flag("columns", 3))
                view.group_size = c.said("group", 1);
        }
        const std::size_t count = static_cast<std::size_t>(params_count(view.kind, s.rows, s.cols, view.group_size, view.block_rows));
        const bool extreme = c.flag("extreme scales", 10);
        for (std::size_t i = 0; i < count; ++i)
            scales.push_back(extreme ? float_from_bits(static_cast<std::uint32_t>(1 + c.bits() % 0x7f7fffffu)) : c.scale(-7, 0));
        if (c.flag("zero points"))
            for (std::size_t i = 0; i < count; ++i)
                zeros.push_back(static_cast<std::int32_t>(c.number(qmin, qmax)));
        view.scales = scales;
        view.zero_points = zeros;
    }
};

quantize_rule random_rule(random_case& c)
{
    quantize_rule rule;
    rule.round = static_cast<rounding>(c.size("rounding", 0, 4));
    rule.divide = c.flag("divide");
    rule.zero_point_first = c.flag("zero point first");
    rule.range = static_cast<code_range>(c.size("range", 0, 2));
    rule.seed = c.bits();
    return rule;
}

template <class Q>
void compare_quantize(random_case& c)
{
    const shape s = random_shape(c);
    const random_params<Q> p(c, s, code_traits<Q>::qmin, code_traits<Q>::qmax);
    const quantize_rule rule = random_rule(c);
    rows_of<float> x(c, s.rows, s.cols), y(c, s.rows, s.cols);
    fill(c, x.view);
    rows_of<Q> q(c, s.rows, elements_for<Q>(s.cols));
    twin<Q> expected(q);
    twin<float> back(y);
    reference::quantize(x.constant(), p.view, expected.view, rule);
    reference::dequantize(expected.constant(), p.view, back.view);
    c.on_every_backend([&](test::any_executor executor) {
        q.blank();
        c.ok(quantize(x.constant(), p.view, q.view, rule, executor));
        same(c, q, expected, "the reference's codes");
        y.blank();
        c.ok(dequantize(q.constant(), p.view, y.view, executor));
        same(c, y, back, "the reference's numbers");
    });
}

void compare_fake_quantize(random_case& c)
{
    const shape s = random_shape(c);
    fake_quantization f;
    const bool is_signed = c.flag("signed");
    const int bits = static_cast<int>(c.size("bits", 2, 8));
    f.codes = codes_of_bits(bits, is_signed);
    const random_params<std::int8_t> p(c, s, f.codes.qmin, f.codes.qmax);
    f.params = p.view;
    f.rule = random_rule(c);
    rows_of<float> x(c, s.rows, s.cols), y(c, s.rows, s.cols), dy(c, s.rows, s.cols), dx(c, s.rows, s.cols);
    fill(c, x.view);
    for (std::ptrdiff_t r = 0; r < s.rows; ++r)
        for (std::ptrdiff_t i = 0; i < s.cols; ++i)
            dy.view(r, i) = c.real();
    twin<float> expected(y), gradient(dx);
    reference::fake_quantize(x.constant(), f, expected.view);
    const gradient_rule how {
        static_cast<clip_test>(c.size("clip test", 0, 1)), static_cast<scale_gradient>(c.size("scale gradient", 0, 1)), c.scale(-3, 0)};
    std::vector<float> scratch(fake_quantize_scratch(p.view.kind, s.rows, s.cols, p.view.group_size)), of_scales = p.scales,
                                                                                                       of_zeros = p.scales;
    std::vector<reference::fake_quantize_derivative> terms(static_cast<std::size_t>(s.cols));
    reference::fake_quantize_backward(
        x.constant(), dy.constant(), f, {gradient.view, span<float>(of_scales), span<float>(of_zeros)}, scratch, terms, how);
    std::vector<float> scales(of_scales.size()), zeros(of_zeros.size());
    c.on_every_backend([&](test::any_executor executor) {
        y.blank();
        c.ok(fake_quantize(x.constant(), f, y.view, executor));
        same(c, y, expected, "the reference's numbers");
        dx.blank();
        c.ok(fake_quantize_backward(x.constant(), dy.constant(), f, {dx.view, scales, zeros}, scratch, how, executor));
        same(c, dx, gradient, "the reference's gradients");
        c.same(scales.data(), of_scales.data(), scales.size(), "the reference's gradients of scales");
        c.same(zeros.data(), of_zeros.data(), zeros.size(), "the reference's gradients of zero points");
    });
}

// Parameters from the data against the least and the greatest of each group, then quantize_dynamic, which is both in one.
template <class Q>
void compare_chosen(random_case& c)
{
    const shape s = random_shape(c);
    rows_of<float> x(c, s.rows, s.cols);
    fill(c, x.view, true);
    quant_params_view p;
    constexpr std::ptrdiff_t each = code_traits<Q>::per_element;
    p.kind = static_cast<granularity>(c.size("granularity", 0, 4));
    if (p.kind == granularity::per_group || p.kind == granularity::per_block)
        p.group_size = each * c.size("group", 1, 40);
    if (p.kind == granularity::per_block)
        p.block_rows = c.size("block rows", 1, 4);
    const std::size_t count = static_cast<std::size_t>(params_count(p.kind, s.rows, s.cols, p.group_size, p.block_rows));
    const params_rule how(static_cast<scheme>(c.size("scheme", 0, 1)), static_cast<params_formula>(c.size("formula", 0, 4)),
        static_cast<code_range>(c.size("range", 0, 2)), c.flag("power of two", 4));
    std::vector<float> low(count, HUGE_VALF), high(count, -HUGE_VALF), scales(count), scratch(2 * count);
    std::vector<std::int32_t> zeros(count);
    const params_strides strides = strides_of(p.kind, s.cols, p.group_size, p.block_rows);
    for (std::ptrdiff_t r = 0; r < s.rows; ++r)
        for (std::ptrdiff_t i = 0; i < s.cols; ++i) {
            const std::size_t at = static_cast<std::size_t>(r / strides.block_rows * strides.row + i / strides.group_size * strides.group);
            low[at] = std::min(low[at], x.view(r, i));
            high[at] = std::max(high[at], x.view(r, i));
        }
    const bool dynamic = each <= 2 && code_traits<Q>::qmin < 0 && (p.kind == granularity::per_channel || p.kind == granularity::per_group);
    rows_of<Q> q(c, s.rows, elements_for<Q>(s.cols));
    twin<Q> codes(q);
    std::vector<float> narrow(count);
    quantize_rule rule;
    rule.range = code_range::narrow;
    if (dynamic) {
        const params_rule symmetric(scheme::symmetric, params_formula::nibble, code_range::narrow);
        c.ok(choose_params<Q>(x.constant(), symmetric, p.kind, p.group_size, narrow, {}, scratch));
        p.scales = narrow;
        reference::quantize(x.constant(), p, codes.view, rule);
    }
    c.on_every_backend([&](test::any_executor executor) {
        c.ok(choose_params<Q>(x.constant(), how, p.kind, p.group_size, scales, zeros, scratch, p.block_rows));
        for (std::size_t i = 0; i < count; ++i) {
            const scale_and_zero_point one = params_of_range(low[i], high[i], how, codes_of<Q>(how.range));
            c.expect(float_bits(scales[i]) == float_bits(one.scale) && zeros[i] == one.zero_point, "the parameters of the range");
        }
        if constexpr (each <= 2 && code_traits<Q>::qmin < 0)
            if (dynamic) {
                q.blank();
                c.ok(quantize_dynamic<Q>(x.constant(), p.kind, p.group_size, scales, q.view, executor));
                c.same(scales.data(), narrow.data(), count, "the chosen scales");
                same(c, q, codes, "the codes of the chosen scales");
            }
    });
}

template <class Q>
void compare_mx(random_case& c)
{
    const shape s = random_shape(c);
    constexpr std::ptrdiff_t each = mx_traits<Q>::per_element;
    rows_of<float> x(c, s.rows, s.cols), y(c, s.rows, s.cols);
    fill(c, x.view, !c.flag("not finite", 8));
    rows_of<Q> q(c, s.rows, (s.cols + each - 1) / each);
    rows_of<float8_e8m0> scales(c, s.rows, (s.cols + 31) / 32);
    twin<Q> codes(q);
    twin<float8_e8m0> chosen(scales);
    twin<float> back(y);
    const mx_options options {static_cast<scale_rule>(c.size("scale rule", 0, 2)), static_cast<element_rounding>(c.size("rounding", 0, 1))};
    reference::quantize_mx(x.constant(), codes.view, chosen.view, options.scale, options.rounding);
    reference::dequantize_mx(codes.constant(), chosen.constant(), back.view);
    c.on_every_backend([&](test::any_executor) {
        q.blank();
        scales.blank();
        y.blank();
        c.ok(quantize_mx(x.constant(), q.view, scales.view, options));
        same(c, scales, chosen, "the reference's scales");
        same(c, q, codes, "the reference's codes");
        c.ok(dequantize_mx(q.constant(), scales.constant(), y.view));
        same(c, y, back, "the reference's numbers");
    });
}

void compare_nvfp4(random_case& c)
{
    const shape s = random_shape(c);
    rows_of<float> x(c, s.rows, s.cols), y(c, s.rows, s.cols);
    fill(c, x.view, !c.flag("not finite", 8));
    rows_of<float4_e2m1x2> q(c, s.rows, (s.cols + 1) / 2);
    rows_of<float8_e4m3> scales(c, s.rows, (s.cols + 15) / 16);
    twin<float4_e2m1x2> codes(q);
    twin<float8_e4m3> chosen(scales);
    twin<float> back(y);
    const float tensor_scale = c.scale(-14, 4);
    const element_rounding rounding = static_cast<element_rounding>(c.size("rounding", 0, 1));
    reference::quantize_nvfp4(x.constant(), tensor_scale, codes.view, chosen.view, rounding);
    reference::dequantize_nvfp4(codes.constant(), chosen.constant(), tensor_scale, back.view);
    c.on_every_backend([&](test::any_executor) {
        q.blank();
        scales.blank();
        y.blank();
        c.ok(quantize_nvfp4(x.constant(), tensor_scale, q.view, scales.view, rounding));
        same(c, scales, chosen, "the reference's scales");
        same(c, q, codes, "the reference's codes");
        c.ok(dequantize_nvfp4(q.constant(), scales.constant(), tensor_scale, y.view));
        same(c, y, back, "the reference's numbers");
    });
}

} // namespace

TEST_CASE("random matrices quantize and dequantize as the reference does")
{
    run_cases(1000, compare_quantize<std::int8_t>);
    run_cases(1000, compare_quantize<std::uint8_t>);
    run_cases(1000, compare_quantize<int4x2>);
    run_cases(1000, compare_quantize<uint4x2>);
    run_cases(1000, compare_quantize<int2x4>);
    run_cases(1000, compare_quantize<uint2x4>);
}
TEST_CASE("random matrices are fake quantized, forwards and backwards, as the reference does") { run_cases(1500, compare_fake_quantize); }
TEST_CASE("random matrices choose the parameters of their ranges, and quantize_dynamic the codes of these")
{
    run_cases(1500, compare_chosen<std::int8_t>);
    run_cases(1000, compare_chosen<std::uint8_t>);
    run_cases(1500, compare_chosen<int4x2>);
    run_cases(1000, compare_chosen<uint4x2>);
}
TEST_CASE("random matrices become MX and NVFP4 as the reference's")
{
    run_cases(300, compare_mx<float4_e2m1x2>);
    run_cases(300, compare_mx<float6_e2m3x4>);
    run_cases(300, compare_mx<float6_e3m2x4>);
    run_cases(300, compare_mx<float8_e4m3>);
    run_cases(300, compare_mx<float8_e5m2>);
    run_cases(300, compare_mx<std::int8_t>);
    run_cases(600, compare_nvfp4);
}
