// Random shapes of gemm and gemv: every type of activations, weights and outputs, every granularity and epilogue.
#include "../random_cases.hpp"

#include <cmath>
#include <limits>

using namespace nibble;
using test::random_case;
using test::run_cases;

namespace {

struct sizes {
    std::ptrdiff_t m, n, k;
};

// Small, and now and then more than a tile, a panel or a block.
sizes random_sizes(random_case& c)
{
    sizes s;
    s.m = c.flag("many rows", 10) ? c.size("m", 10, 60) : c.size("m", 1, 9);
    s.n = c.flag("many columns", 6) ? c.size("n", 20, 150) : c.size("n", 1, 19);
    s.k = c.flag("long", 6) ? c.size("k", 40, 300) : c.size("k", 1, 40);
    return s;
}

template <class W>
struct weights {
    std::vector<W> codes;
    std::vector<float> scales;
    std::vector<std::int32_t> zeros;
    matrix_view<const W> view;
    quant_params_view params;
    packing_options options;
    result<packed_weights> packed = status::ok;

    weights(random_case& c, const sizes& s, bool one_group)
    {
        constexpr int each = code_traits<W>::per_element;
        const std::ptrdiff_t elements = elements_for<W>(s.k), stride = elements + c.number(0, 2);
        codes.resize(static_cast<std::size_t>(s.n * stride));
        const bool small = c.flag("small weights", 4); // some products chain in int16
        for (W& w : codes) {
            std::uint8_t bits = static_cast<std::uint8_t>(c.bits());
            if (small && each == 1)
                bits = static_cast<std::uint8_t>(static_cast<std::int8_t>(bits) / 4);
            std::memcpy(static_cast<void*>(&w), &bits, 1);
        }
        view = matrix_view<const W>(codes.data(), s.n, elements, stride);
        static constexpr granularity kinds[] = {granularity::per_tensor, granularity::per_channel, granularity::per_group};
        params.kind = kinds[c.size("granularity", 0, one_group ? 1 : 2)];
        if (params.kind == granularity::per_group)
            params.group_size = each * (c.flag("common group") ? c.one_of("group", {8, 16, 32, 64}) : c.size("group", 1, 40));
        const std::size_t count = static_cast<std::size_t>(params_count(params.kind, s.n, s.k, params.group_size));
        options.half_scales = c.flag("half scales", 3);
        for (std::size_t i = 0; i < count; ++i)
            scales.push_back(options.half_scales ? to_float(to_half(c.scale(-9, -4))) : c.scale(-9, -4));
        if (c.flag("weight zero points"))
            for (std::size_t i = 0; i < count; ++i)
                zeros.push_back(static_cast<std::int32_t>(c.number(code_traits<W>::qmin, code_traits<W>::qmax)));
        params.scales = scales;
        params.zero_points = zeros;
        packed = packed_weights::make(view, s.k, params, options);
        c.ok(packed.error());
    }
};

// Scales, biases, a function, clamps, and what integer outputs need.
template <class C>
struct random_epilogue {
    std::vector<float> scale, bias;
    epilogue e;

    random_epilogue(random_case& c, std::ptrdiff_t n)
    {
        if (std::is_same_v<C, std::int32_t>)
            return;
        if (c.flag("scale", 3))
            for (std::ptrdiff_t j = 0; j < n; ++j)
                scale.push_back(c.scale(-2, 1));
        if (c.flag("bias"))
            for (std::ptrdiff_t j = 0; j < n; ++j)
                bias.push_back(c.real());
        e.scale = scale;
        e.bias = bias;
        e.function = static_cast<activation_function>(c.size("function", 0, 4));
        if (c.flag("clamp", 3)) {
            e.clamp_low = -c.scale(-3, 1);
            e.clamp_high = c.scale(-3, 1);
        }
        if constexpr (sizeof(C) == 1) {
            e.output_scale = c.scale(-6, -3);
            e.output_zero_point = static_cast<std::int32_t>(c.number(code_traits<C>::qmin, code_traits<C>::qmax));
        }
    }
};

// What run(c, workspace, executor) leaves in memory of strided rows between guard pages, on every backend.
template <class C, class Run>
void compare(random_case& c, const sizes& s, const std::vector<C>& expected, std::size_t workspace_size, Run run)
{
    const std::ptrdiff_t stride = s.n + c.number(0, 3);
    const bool at_end = c.number(0, 1) != 0;
    const test::guarded<C> to((s.m - 1) * stride + s.n, at_end);
    const test::guarded<std::byte> workspace(static_cast<std::ptrdiff_t>(workspace_size), at_end);
    std::vector<C> framed(to.size());
    std::memset(framed.data(), 0x5a, framed.size() * sizeof(C));
    for (std::ptrdiff_t i = 0; i < s.m; ++i)
        std::memcpy(framed.data() + i * stride, expected.data() + i * s.n, static_cast<std::size_t>(s.n) * sizeof(C));
    c.on_every_backend([&](test::any_executor executor) {
        std::memset(to.data(), 0x5a, to.size() * sizeof(C));
        c.ok(run(matrix_view<C>(to.data(), s.m, s.n, stride), span<std::byte>(workspace.data(), workspace.size()), executor));
        c.same(to.data(), framed.data(), framed.size());
    });
}

// Rows of floats, some of them zeros, very large or not finite.
void fill_rows(random_case& c, const sizes& s, float* a, std::ptrdiff_t stride)
{
    for (std::ptrdiff_t i = 0; i < s.m; ++i) {
        const std::ptrdiff_t kind = c.number(0, 15);
        const float factor = kind == 0 ? 0.0f : kind == 1 ? 0x1p100f : kind == 2 ? 0x1p-140f : 1.0f;
        for (std::ptrdiff_t l = 0; l < s.k; ++l)
            a[i * stride + l] = c.real() * factor;
        if (kind == 3)
            a[i * stride + c.number(0, s.k - 1)] = c.number(0, 1) ? std::numeric_limits<float>::infinity() : std::nanf("");
    }
}

template <class W, class C>
void compare_dynamic(random_case& c)
{
    const sizes s = random_sizes(c);
    const bool reduced = std::is_same_v<W, std::int8_t> && c.flag("reduced range", 3);
    const weights<W> w(c, s, false);
    const random_epilogue<C> with(c, s.n);
    const std::ptrdiff_t stride = s.k + c.number(0, 3);
    const test::guarded<float> a((s.m - 1) * stride + s.k, c.number(0, 1) != 0);
    fill_rows(c, s, a.data(), stride);
    std::vector<std::int8_t> q(static_cast<std::size_t>(s.m * s.k));
    std::vector<float> row_scales;
    for (std::ptrdiff_t i = 0; i < s.m; ++i)
        row_scales.push_back(reference::quantize_row(a.data() + i * stride, s.k, q.data() + i * s.k, reduced ? 63 : 127));
    std::vector<C> expected(static_cast<std::size_t>(s.m * s.n));
    reference::gemm<std::int8_t, W, C>(
        {q.data(), s.m, s.k}, row_scales, {}, w.view, s.k, w.params, with.e, matrix_view<C>(expected.data(), s.m, s.n));
    compare<C>(
        c, s, expected, gemm_workspace(s.m, *w.packed), [&](matrix_view<C> to, span<std::byte> workspace, test::any_executor executor) {
            if (s.m == 1 && !reduced)
                return gemv(span<const float>(a.data(), a.size()), *w.packed, with.e, span<C>(to.data, static_cast<std::size_t>(s.n)),
                    workspace, executor);
            const matrix_view<const float> rows(a.data(), s.m, s.k, stride);
            return reduced ? gemm(rows, reduced_range(dynamic_activations {}), *w.packed, with.e, to, workspace, executor)
                           : gemm(rows, *w.packed, with.e, to, workspace, executor);
        });
}

template <class A, class C>
void compare_static(random_case& c)
{
    const sizes s = random_sizes(c);
    const bool reduced = c.flag("reduced range", 3);
    const weights<std::int8_t> w(c, s, std::is_same_v<C, std::int32_t>);
    const random_epilogue<C> with(c, s.n);
    const std::ptrdiff_t stride = s.k + c.number(0, 3);
    const test::guarded<A> a((s.m - 1) * stride + s.k, c.number(0, 1) != 0);
    constexpr bool is_signed = std::is_signed_v<A>;
    c.fill(a, reduced ? (is_signed ? -64 : 0) : code_traits<A>::qmin, reduced ? (is_signed ? 63 : 127) : code_traits<A>::qmax);
    const static_activations how {
        c.scale(-6, -4), c.flag("zero point") ? static_cast<std::int32_t>(c.number(code_traits<A>::qmin, code_traits<A>::qmax)) : 0};
    const matrix_view<const A> rows(a.data(), s.m, s.k, stride);
    std::vector<C> expected(static_cast<std::size_t>(s.m * s.n));
    reference::gemm<A, std::int8_t, C>(rows, {}, how, w.view, s.k, w.params, with.e, matrix_view<C>(expected.data(), s.m, s.n));
    compare<C>(
        c, s, expected, gemm_workspace(s.m, *w.packed), [&](matrix_view<C> to, span<std::byte> workspace, test::any_executor executor) {
            return reduced ? gemm(rows, reduced_range(how), *w.packed, with.e, to, workspace, executor)
                           : gemm(rows, how, *w.packed, with.e, to, workspace, executor);
        });
}

// The exact sums, requantized.
template <class A, class C>
void compare_requantized(random_case& c)
{
    const sizes s = random_sizes(c);
    const weights<std::int8_t> w(c, s, true);
    const std::ptrdiff_t stride = s.k + c.number(0, 3);
    const test::guarded<A> a((s.m - 1) * stride + s.k, c.number(0, 1) != 0);
    c.fill(a, code_traits<A>::qmin, code_traits<A>::qmax);
    const matrix_view<const A> rows(a.data(), s.m, s.k, stride);
    const std::int32_t zero_point
        = c.flag("zero point") ? static_cast<std::int32_t>(c.number(code_traits<A>::qmin, code_traits<A>::qmax)) : 0;
    const bool each = c.flag("per channel");
    std::vector<float> scale;
    std::vector<std::int32_t> multiplier, shift, bias, sums(static_cast<std::size_t>(s.m * s.n));
    for (std::ptrdiff_t j = 0; j < (each ? s.n : 1); ++j) {
        scale.push_back(c.scale(-8, -5) / std::sqrt(static_cast<float>(s.k)));
        multiplier.push_back(static_cast<std::int32_t>(c.number(1 << 30, INT32_MAX)));
        shift.push_back(static_cast<std::int32_t>(c.number(0, 7) == 0 ? c.number(-31, 31) : c.number(-12, -5)));
    }
    if (c.flag("bias"))
        for (std::ptrdiff_t j = 0; j < s.n; ++j)
            bias.push_back(static_cast<std::int32_t>(c.number(-30000, 30000)));
    requantization r;
    r.mode = static_cast<requantize_mode>(c.size("mode", 0, 2));
    r.scale = scale;
    r.multiplier = multiplier;
    r.shift = shift;
    r.bias = bias;
    r.zero_point = static_cast<std::int32_t>(c.number(code_traits<C>::qmin, code_traits<C>::qmax));
    r.zero_point_first = c.flag("zero point first");
    if (c.flag("fused relu"))
        r.low = r.zero_point;
    reference::gemm<A, std::int8_t, std::int32_t>(
        rows, {}, {1.0f, zero_point}, w.view, s.k, w.params, {}, matrix_view<std::int32_t>(sums.data(), s.m, s.n));
    std::vector<C> expected(sums.size());
    const matrix_view<const std::int32_t> exact(sums.data(), s.m, s.n);
    reference::requantize<C>(exact, r, matrix_view<C>(expected.data(), s.m, s.n));
    compare<C>(
        c, s, expected, gemm_workspace(s.m, *w.packed), [&](matrix_view<C> to, span<std::byte> workspace, test::any_executor executor) {
            return gemm(rows, zero_point, *w.packed, r, to, workspace, executor);
        });
    compare<C>(c, s, expected, 0,
        [&](matrix_view<C> to, span<std::byte>, test::any_executor executor) { return requantize(exact, r, to, executor); });
}

template <class W>
void compare_float(random_case& c)
{
    const sizes s = random_sizes(c);
    const random_epilogue<float> with(c, s.n);
    const std::ptrdiff_t stride = s.k + c.number(0, 3), w_stride = s.k + c.number(0, 3);
    const test::guarded<float> a((s.m - 1) * stride + s.k, c.number(0, 1) != 0);
    fill_rows(c, s, a.data(), stride);
    std::vector<W> codes(static_cast<std::size_t>(s.n * w_stride));
    for (W& x : codes) {
        if constexpr (std::is_same_v<W, float>)
            x = c.real();
        else if constexpr (std::is_same_v<W, half>)
            x = to_half(c.real());
        else
            x = to_bfloat16(c.real());
    }
    const matrix_view<const W> w(codes.data(), s.n, s.k, w_stride);
    const auto packed = packed_weights::make(w);
    c.ok(packed.error());
    const matrix_view<const float> rows(a.data(), s.m, s.k, stride);
    std::vector<float> expected(static_cast<std::size_t>(s.m * s.n));
    reference::gemm<W, float>(rows, w, with.e, matrix_view<float>(expected.data(), s.m, s.n));
    compare<float>(c, s, expected, 0, [&](matrix_view<float> to, span<std::byte> workspace, test::any_executor executor) {
        return gemm(rows, *packed, with.e, to, workspace, executor);
    });
}

} // namespace

TEST_CASE("random products of floats and int8 equal the reference")
{
    run_cases(1200, compare_dynamic<std::int8_t, float>);
    run_cases(600, compare_dynamic<std::int8_t, std::int8_t>);
    run_cases(600, compare_dynamic<std::int8_t, std::uint8_t>);
}
TEST_CASE("random products of floats and 4-bit weights equal the reference")
{
    run_cases(1200, compare_dynamic<int4x2, float>);
    run_cases(1200, compare_dynamic<uint4x2, float>);
    run_cases(400, compare_dynamic<int4x2, std::int8_t>);
    run_cases(400, compare_dynamic<uint4x2, std::uint8_t>);
}
TEST_CASE("random products of integers equal the reference")
{
    run_cases(800, compare_static<std::int8_t, std::int32_t>);
    run_cases(800, compare_static<std::uint8_t, std::int32_t>);
    run_cases(600, compare_static<std::int8_t, float>);
    run_cases(600, compare_static<std::uint8_t, float>);
    run_cases(400, compare_static<std::int8_t, std::int8_t>);
    run_cases(400, compare_static<std::uint8_t, std::uint8_t>);
    run_cases(400, compare_static<std::uint8_t, std::int8_t>);
}
TEST_CASE("random products, requantized, equal the reference")
{
    run_cases(600, compare_requantized<std::int8_t, std::int8_t>);
    run_cases(600, compare_requantized<std::uint8_t, std::uint8_t>);
    run_cases(600, compare_requantized<std::uint8_t, std::int8_t>);
}
TEST_CASE("random products of floats equal the reference")
{
    run_cases(600, compare_float<float>);
    run_cases(600, compare_float<half>);
    run_cases(600, compare_float<bfloat16>);
}
