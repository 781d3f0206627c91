// Checksums of products, their epilogues and packed weights.
#pragma once

#include "elementwise.hpp"

namespace {

// each(random, m, n, k, which) for the edges of tiles and for enough rows and columns to be several tasks.
template <class Each>
void for_products(Each each)
{
    static constexpr std::ptrdiff_t depths[] = {1, 33, 8, 7, 100, 31, 64, 2, 130};
    numbers random(4);
    int which = 0;
    for (const std::ptrdiff_t m : {1, 2, 3, 5, 17})
        for (const std::ptrdiff_t n : {1, 15, 16, 17, 66}) {
            each(random, m, n, depths[which % 9], which);
            ++which;
        }
    each(random, 70, 260, 24, which);
}

struct epilogue_data {
    std::vector<float> scale, bias;
    epilogue e;

    epilogue_data(numbers& random, std::ptrdiff_t n, int which)
    {
        static constexpr activation_function functions[] = {activation_function::none, activation_function::silu, activation_function::relu,
            activation_function::gelu, activation_function::gelu_tanh};
        e.function = functions[which % 5];
        if (which % 3 != 0) {
            scale = filled<float>(n, [&] { return random.real(-2, 1); });
            e.scale = scale;
        }
        if (which % 2 != 0) {
            bias = filled<float>(n, [&] { return random.finite(); });
            e.bias = bias;
        }
        if (which % 4 == 3) {
            const default_fp_mode mode; // not in the caller's
            e.clamp_low = scale_between(random, -3, 0) - 4.0f;
            e.clamp_high = scale_between(random, 0, 2);
        }
        e.output_scale = scale_between(random, -7, -3);
        e.output_zero_point = random.integer(0, 100);
    }
};

// compute(rows of c, workspace, first, count) fills a frame of c, all rows at once or one by one.
template <class C, class Compute>
void product_output(run& r, std::ptrdiff_t m, std::ptrdiff_t n, packed_weights_view w, Compute compute)
{
    const std::ptrdiff_t stride = n + 2;
    std::vector<C> c = untouched<C>(m * stride);
    std::vector<std::byte> workspace(gemm_workspace(m, w));
    r.rows(m, [&](std::ptrdiff_t first, std::ptrdiff_t count) {
        compute(matrix_view<C>(c.data() + first * stride, count, n, stride), span<std::byte>(workspace), first, count);
    });
    r.output(c);
}

template <class W>
parameters<W> weight_parameters(numbers& random, std::ptrdiff_t n, std::ptrdiff_t k, int which, packing_options& options)
{
    static constexpr std::ptrdiff_t groups[] = {0, 32, 6, 0, 64, 10, 128};
    const std::ptrdiff_t group = groups[which % 7];
    parameters<W> p(random, {group ? granularity::per_group : granularity::per_channel, group}, n, k, which % 3 == 1);
    options.half_scales = which % 2 == 0;
    if (options.half_scales)
        for (float& s : p.scales)
            s = to_float(half {static_cast<std::uint16_t>(random.integer(0x1400, 0x2bff))});
    return p;
}

// An int8 code, of 8 bits in some products and of 7 in others: of these, 7-bit activations make longer chains.
std::uint32_t fewer_bits(numbers& random, int which)
{
    return static_cast<std::uint32_t>(static_cast<std::int8_t>(random.bits()) >> which % 2);
}

// Float activations, quantized row by row: zeros, subnormals, infinities in whole rows, NaN.
template <class W, class C, bool Reduced = false>
void gemm_dynamic(run& r)
{
    for_products([&](numbers& random, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, int which) {
        const std::ptrdiff_t stride = k + 1, elements = elements_for<W>(k);
        std::vector<float> a = filled<float>(m * stride, [&] { return random.real(-6, 1); });
        for (std::ptrdiff_t i = 0; i < m * stride; ++i)
            if (const std::ptrdiff_t row = i / stride % 8; row == 1 || row == 3)
                set_bits(a[static_cast<std::size_t>(i)], row == 1 ? random.bits() & 0x800fffffu : random.finite());
            else if (row == 4 && i % 7 == 0)
                set_bits(a[static_cast<std::size_t>(i)], random.any());
        const std::vector<W> codes = filled<W>(n * elements, [&] { return Reduced ? fewer_bits(random, which) : random.bits(); });
        packing_options options;
        const parameters<W> p = weight_parameters<W>(random, n, k, which, options);
        const matrix_view<const W> w(codes.data(), n, elements);
        const epilogue_data e(random, n, which);
        const auto packed = packed_weights::make(w, k, p.view, options);
        r.must(packed ? status::ok : packed.error());
        product_output<C>(r, m, n, *packed, [&](matrix_view<C> c, span<std::byte> workspace, std::ptrdiff_t first, std::ptrdiff_t count) {
            const matrix_view<const float> rows(a.data() + first * stride, count, k, stride);
            if (!r.reference())
                return r.must(gemm(rows, activations<Reduced>(dynamic_activations {}), *packed, e.e, c, workspace, r.threads()));
            std::vector<std::int8_t> q(static_cast<std::size_t>(count * k));
            std::vector<float> scales(static_cast<std::size_t>(count));
            for (std::ptrdiff_t i = 0; i < count; ++i)
                scales[static_cast<std::size_t>(i)] = reference::quantize_row(rows.row(i), k, q.data() + i * k, Reduced ? 63 : 127);
            reference::gemm<std::int8_t, W, C>({q.data(), count, k}, scales, {}, w, k, p.view, e.e, c);
        });
    });
}

template <class A, class C, bool Reduced = false>
void gemm_static(run& r)
{
    for_products([&](numbers& random, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, int which) {
        const std::ptrdiff_t stride = k + 1;
        const std::vector<A> a = filled<A>(m * stride, [&] {
            if (Reduced)
                return (which % 5 == 0 ? 0x7fu * (random.bits() & 1u) : random.bits() & 0x7fu)
                       - (std::is_same_v<A, std::int8_t> ? 64u : 0u);
            return which % 5 == 0 ? 0x80u * (random.bits() & 1u) : random.bits();
        });
        const std::vector<std::int8_t> codes = filled<std::int8_t>(n * k, [&] {
            return which % 5 == 1 ? 0x80u : Reduced ? fewer_bits(random, which) : random.bits();
        });
        packing_options options;
        const parameters<std::int8_t> p
            = weight_parameters<std::int8_t>(random, n, k, std::is_same_v<C, std::int32_t> ? which % 3 * 7 : which, options);
        const matrix_view<const std::int8_t> w(codes.data(), n, k);
        epilogue_data e(random, n, which);
        if (std::is_same_v<C, std::int32_t>)
            e.e = {};
        const static_activations s {
            scale_between(random, -8, -4), which % 2 ? random.integer(code_traits<A>::qmin, code_traits<A>::qmax) : 0};
        const auto packed = packed_weights::make(w, k, p.view, options);
        r.must(packed ? status::ok : packed.error());
        product_output<C>(r, m, n, *packed, [&](matrix_view<C> c, span<std::byte> workspace, std::ptrdiff_t first, std::ptrdiff_t count) {
            const matrix_view<const A> rows(a.data() + first * stride, count, k, stride);
            if (r.reference())
                reference::gemm<A, std::int8_t, C>(rows, {}, s, w, k, p.view, e.e, c);
            else
                r.must(gemm(rows, activations<Reduced>(s), *packed, e.e, c, workspace, r.threads()));
        });
    });
}

template <class W, class C>
void gemm_float(run& r)
{
    for_products([&](numbers& random, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, int which) {
        const std::ptrdiff_t stride = k + 1;
        const auto number = [&] { return random.integer(0, 255) == 0 ? random.any() : random.real(-6, 1); };
        const std::vector<float> a = filled<float>(m * stride, number);
        const std::vector<W> weights = filled<W>(n * k, [&] {
            const std::uint32_t bits = number();
            float x;
            set_bits(x, bits);
            return std::is_same_v<W, float> ? bits : std::is_same_v<W, half> ? std::uint32_t {to_half(x).bits} : bits >> 16;
        });
        const matrix_view<const W> w(weights.data(), n, k);
        const epilogue_data e(random, n, which);
        const auto packed = packed_weights::make(w);
        r.must(packed ? status::ok : packed.error());
        product_output<C>(r, m, n, *packed, [&](matrix_view<C> c, span<std::byte> workspace, std::ptrdiff_t first, std::ptrdiff_t count) {
            const matrix_view<const float> rows(a.data() + first * stride, count, k, stride);
            if (r.reference())
                reference::gemm<W, C>(rows, w, e.e, c);
            else
                r.must(gemm(rows, *packed, e.e, c, workspace, r.threads()));
        });
    });
}

// Through a product with one weight a column and the activation 1: what the function makes of every kind of number.
template <activation_function F>
void activate(run& r)
{
    numbers random(5);
    const std::vector<float> x = filled<float>(3001, [&] { return random.integer(0, 2) ? random.real(-12, 6) : random.any(); });
    const std::vector<float> one {1.0f};
    const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(x.size());
    const matrix_view<const float> w(x.data(), n, 1);
    epilogue e;
    e.function = F;
    const auto packed = packed_weights::make(w);
    r.must(packed ? status::ok : packed.error());
    std::vector<float> y = untouched<float>(n);
    if (r.reference())
        reference::gemm<float, float>({one.data(), 1, 1}, w, e, {y.data(), 1, n});
    else
        r.must(gemv(span<const float>(one), *packed, e, span<float>(y), {}, r.threads()));
    r.output(y);
}

template <class W>
void pack_codes(run& r)
{
    for_products([&](numbers& random, std::ptrdiff_t, std::ptrdiff_t n, std::ptrdiff_t k, int which) {
        const std::vector<W> codes = filled<W>(n * elements_for<W>(k), [&] { return random.bits(); });
        packing_options options;
        const parameters<W> p = weight_parameters<W>(random, n, k, which, options);
        const auto packed = packed_weights::make(matrix_view<const W>(codes.data(), n, elements_for<W>(k)), k, p.view, options);
        r.must(packed ? status::ok : packed.error());
        r.output(std::vector<std::byte>(packed->bytes().begin(), packed->bytes().end()));
    });
}

// The sums of a product, requantized in it.
template <class A, class C>
void gemm_requantized(run& r, requantize_mode mode)
{
    for_products([&](numbers& random, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, int which) {
        const std::vector<A> a = filled<A>(m * k, [&] { return random.bits(); });
        const std::vector<std::int8_t> codes = filled<std::int8_t>(n * k, [&] { return random.bits(); });
        packing_options options;
        const parameters<std::int8_t> p = weight_parameters<std::int8_t>(random, n, k, which % 3 * 7, options);
        const std::int32_t zero_point = which % 2 ? random.integer(code_traits<A>::qmin, code_traits<A>::qmax) : 0;
        const requantization_data data(random, mode, n, C {});
        const matrix_view<const std::int8_t> w(codes.data(), n, k);
        const auto packed = packed_weights::make(w, k, p.view, options);
        r.must(packed ? status::ok : packed.error());
        product_output<C>(r, m, n, *packed, [&](matrix_view<C> c, span<std::byte> workspace, std::ptrdiff_t first, std::ptrdiff_t count) {
            const matrix_view<const A> rows(a.data() + first * k, count, k);
            if (!r.reference())
                return r.must(gemm(rows, zero_point, *packed, data.r, c, workspace, r.threads()));
            std::vector<std::int32_t> sums(static_cast<std::size_t>(count * n));
            const matrix_view<std::int32_t> sum(sums.data(), count, n);
            reference::gemm<A, std::int8_t, std::int32_t>(rows, {}, {1.0f, zero_point}, w, k, p.view, {}, sum);
            reference::requantize(matrix_view<const std::int32_t>(sum), data.r, c);
        });
    });
}

template <requantize_mode Mode>
void gemm_requantize(run& r)
{
    gemm_requantized<std::int8_t, std::int8_t>(r, Mode);
    gemm_requantized<std::uint8_t, std::uint8_t>(r, Mode);
}

// Sums of products in double, and the factor of a matrix that is computed from them: a diagonal that outweighs its rows keeps it positive.
void product_in_double(run& r)
{
    numbers random(20);
    const auto real = [&] {
        std::uint64_t bits = static_cast<std::uint64_t>(random.integer(1023 - 6, 1023 + 1)) << 52;
        bits |= static_cast<std::uint64_t>(random.bits()) << 32 & 0x800fffff00000000u;
        bits |= random.bits();
        double x = 0;
        std::memcpy(&x, &bits, sizeof x);
        return x;
    };
    const auto reals = [&](std::ptrdiff_t count) {
        std::vector<double> x(static_cast<std::size_t>(count));
        for (double& e : x)
            e = real();
        return x;
    };
    for (const std::ptrdiff_t m : {1, 5, 6, 8, 17})
        for (const std::ptrdiff_t n : {1, 3, 8, 16, 33, 70})
            for (const bool subtract : {false, true}) {
                const std::ptrdiff_t k = random.integer(0, 20);
                const std::vector<double> a = reals(m * k), b = reals(k * n);
                std::vector<double> c = reals(m * (n + 1));
                const default_fp_mode mode;
                kernels::product_f64()({a.data(), k, 1, b.data(), n, c.data(), n + 1, m, n, k, subtract});
                r.output(c);
            }
    for (const std::ptrdiff_t size : {1, 7, 64, 100}) {
        std::vector<double> a = reals(size * size);
        for (std::ptrdiff_t i = 0; i < size; ++i)
            a[static_cast<std::size_t>(i * size + i)] = 1024.0;
        if (!cholesky({a.data(), size, size}, r.threads()))
            r.must(status::not_finite);
        r.output(a);
    }
}

} // namespace
