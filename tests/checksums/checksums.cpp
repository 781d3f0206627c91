// One hash a kernel, of every byte that it writes for many shapes and hard data. The same on every backend, thread count, compiler and
// flag, for every number of rows, and whatever floating-point mode the caller has set; checksums.txt holds the hashes.
//   nibble_checksums [--backend NAME] [--threads N] [--check FILE | --write FILE]
// A new operation is a function that takes a run and a line in `operations`. What a run offers:
//   reference()     whether to compute with the definition in nibble/reference instead, where there is one
//   threads()       an executor for the operations that take one
//   rows(m, f)      f(first, count) for all rows, at once or one by one, where rows do not depend on each other
//   must(status)    ends the program if an operation refuses
//   output(vector)  what is hashed: the end of a case
#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <nibble/nibble.hpp>

using namespace nibble;

namespace {

// Data. Integers and bits only: a float that is computed could depend on flags.

class numbers {
public:
    explicit numbers(std::uint64_t seed) : state_(seed * 2 + 1) {}

    std::uint32_t bits()
    {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>(state_ >> 33) ^ static_cast<std::uint32_t>(state_ >> 13);
    }
    std::int32_t integer(std::int32_t low, std::int32_t high)
    {
        return low + static_cast<std::int32_t>(bits() % static_cast<std::uint32_t>(high - low + 1));
    }
    // +-[2^low, 2^(high + 1))
    std::uint32_t real(std::int32_t low, std::int32_t high)
    {
        const std::uint32_t exponent = static_cast<std::uint32_t>(127 + integer(low, high)) << 23;
        return (bits() & 0x807fffffu) | exponent;
    }
    // Mostly ordinary; ties of quantization, both zeros, subnormals and the greatest numbers among them.
    std::uint32_t finite()
    {
        static constexpr std::uint32_t special[]
            = {0x00000000u, 0x80000000u, 0x3f000000u, 0xbf000000u, 0x3fc00000u, 0x40200000u, 0xc0200000u, 0x00000001u, 0x80000001u,
                0x000adb45u, 0x807fffffu, 0x00800000u, 0x42fd0000u, 0xc3008000u, 0x7149f2cau, 0xff7fffffu};
        return integer(0, 7) == 0 ? special[integer(0, 15)] : real(-9, 1);
    }
    std::uint32_t any()
    {
        static constexpr std::uint32_t special[] = {0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc12345u};
        return integer(0, 15) == 0 ? special[integer(0, 3)] : finite();
    }

private:
    std::uint64_t state_;
};

template <class T>
void set_bits(T& x, std::uint32_t bits)
{
    std::memcpy(static_cast<void*>(&x), &bits, sizeof x);
}

template <class T, class Next>
std::vector<T> filled(std::ptrdiff_t count, Next next)
{
    std::vector<T> x(static_cast<std::size_t>(count));
    for (T& e : x)
        set_bits(e, next());
    return x;
}

// What outputs are before they are written: bytes between rows are hashed too, and must stay as they were.
template <class T>
std::vector<T> untouched(std::ptrdiff_t count)
{
    return filled<T>(count, [] { return 0xa5a5a5a5u; });
}

float scale_between(numbers& random, std::int32_t low, std::int32_t high)
{
    float s;
    set_bits(s, random.real(low, high) & 0x7fffffffu);
    return s;
}

// Runs.

struct variant {
    const char* name;
    int threads;
    bool single_rows, hostile_mode, reference;
};

struct executor {
    int threads;

    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
        std::atomic<std::size_t> next {0};
        const auto work = [&] {
            for (std::size_t i = next++; i < count; i = next++)
                function(i);
        };
        std::vector<std::thread> others;
        for (std::size_t t = 1; t < static_cast<std::size_t>(threads) && t < count; ++t)
            others.emplace_back(work);
        work();
        for (std::thread& other : others)
            other.join();
    }
};

class run {
public:
    explicit run(const variant& how) : how_(how) {}

    bool reference()
    {
        has_reference = true;
        return how_.reference;
    }
    executor threads()
    {
        has_threads = true;
        return {how_.threads};
    }
    template <class Function>
    void rows(std::ptrdiff_t m, Function function)
    {
        has_rows = true;
        const std::ptrdiff_t step = how_.single_rows ? 1 : m;
        for (std::ptrdiff_t i = 0; i < m; i += step)
            function(i, step);
    }
    void must(status s) const
    {
        if (s != status::ok) {
            std::printf("refused: %s\n", to_string(s));
            std::exit(1);
        }
    }
    template <class T>
    void output(const std::vector<T>& out)
    {
        static_assert(sizeof(T) <= 4, "no padding is hashed");
        std::uint64_t hash = cases.empty() ? 0xcbf29ce484222325u : cases.back();
        const unsigned char* bytes = reinterpret_cast<const unsigned char*>(out.data());
        for (std::size_t i = 0; i < out.size() * sizeof(T); ++i)
            hash = (hash ^ bytes[i]) * 0x100000001b3u;
        cases.push_back(hash);
    }

    bool has_reference = false, has_threads = false, has_rows = false;
    std::vector<std::uint64_t> cases; // the hash after each case

private:
    const variant& how_;
};

// Operations.

void one(float x, half& y) { y = to_half(x); }
void one(float x, bfloat16& y) { y = to_bfloat16(x); }
void one(half x, float& y) { y = to_float(x); }
void one(bfloat16 x, float& y) { y = to_float(x); }

template <class From, class To>
void convert_values(run& r)
{
    numbers random(1);
    std::vector<From> x;
    if constexpr (std::is_same_v<From, float>) {
        // A third of the exponents around the ends of half's range.
        x = filled<float>(6000, [&] { return random.integer(0, 2) ? random.bits() : random.real(-27, 17); });
        const std::vector<float> hard = filled<float>(500, [&] { return random.any(); });
        x.insert(x.end(), hard.begin(), hard.end());
    } else {
        std::uint32_t next = 0;
        x = filled<From>(65536, [&] { return next++; });
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

struct layout {
    granularity kind;
    std::ptrdiff_t group;
};
constexpr layout layouts[] = {{granularity::per_tensor, 0}, {granularity::per_channel, 0}, {granularity::per_group, 2},
    {granularity::per_group, 32}, {granularity::per_group, 130}};
constexpr std::ptrdiff_t widths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 129, 301};

template <class Q>
struct parameters {
    std::vector<float> scales;
    std::vector<std::int32_t> zero_points;
    quant_params_view view;

    parameters(numbers& random, layout l, std::ptrdiff_t rows, std::ptrdiff_t cols, bool with_zero_points)
    {
        const std::ptrdiff_t count = params_count(l.kind, rows, cols, l.group);
        // A power of two makes exact ties; now and then a subnormal, whose reciprocal may be infinite.
        scales = filled<float>(count, [&] {
            const std::int32_t which = random.integer(0, 15);
            return which == 0 ? 0x00012345u : (random.real(-8, -4) & (which < 8 ? 0x7f800000u : 0x7fffffffu));
        });
        if (with_zero_points)
            for (std::ptrdiff_t i = 0; i < count; ++i)
                zero_points.push_back(random.integer(code_traits<Q>::qmin, code_traits<Q>::qmax));
        view = {l.kind, l.group, scales, zero_points};
    }
};

// each(random, rows, cols, parameters, stride) for many matrices.
template <class Q, class Each>
void for_matrices(Each each)
{
    numbers random(2);
    for (const std::ptrdiff_t cols : widths)
        for (const layout& l : layouts)
            for (const bool zero_points : {false, true}) {
                const std::ptrdiff_t rows = 1 + random.integer(0, 2);
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
            r.must(quantize(from, p.view, to));
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
            r.must(dequantize(from, p.view, to));
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
                std::vector<std::int32_t> zero_points = untouched<std::int32_t>(How == scheme::affine || code_traits<Q>::qmin == 0 ? count : 0);
                r.must(choose_params<Q>({x.data(), rows, cols}, How, l.kind, l.group, scales, zero_points, scratch));
                r.output(scales);
                r.output(zero_points);
                set_bits(x[x.size() / 2], 0xffc00001u);
                if (choose_params<Q>({x.data(), rows, cols}, How, l.kind, l.group, scales, zero_points, scratch) != status::not_finite)
                    r.must(status::not_finite);
            }
}

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
        static constexpr activation functions[]
            = {activation::none, activation::silu, activation::relu, activation::gelu, activation::gelu_tanh};
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

// Float activations, quantized row by row: zeros, subnormals, infinities in whole rows, NaN.
template <class W, class C>
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
        const std::vector<W> codes = filled<W>(n * elements, [&] { return random.bits(); });
        packing_options options;
        const parameters<W> p = weight_parameters<W>(random, n, k, which, options);
        const matrix_view<const W> w(codes.data(), n, elements);
        const epilogue_data e(random, n, which);
        const auto packed = packed_weights::make(w, k, p.view, options);
        r.must(packed ? status::ok : packed.error());
        product_output<C>(r, m, n, *packed, [&](matrix_view<C> c, span<std::byte> workspace, std::ptrdiff_t first, std::ptrdiff_t count) {
            const matrix_view<const float> rows(a.data() + first * stride, count, k, stride);
            if (!r.reference())
                return r.must(gemm(rows, *packed, e.e, c, workspace, r.threads()));
            std::vector<std::int8_t> q(static_cast<std::size_t>(count * k));
            std::vector<float> scales(static_cast<std::size_t>(count));
            for (std::ptrdiff_t i = 0; i < count; ++i)
                scales[static_cast<std::size_t>(i)] = reference::quantize_row(rows.row(i), k, q.data() + i * k);
            reference::gemm<std::int8_t, W, C>({q.data(), count, k}, scales, {}, w, k, p.view, e.e, c);
        });
    });
}

template <class A, class C>
void gemm_static(run& r)
{
    for_products([&](numbers& random, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, int which) {
        const std::ptrdiff_t stride = k + 1;
        const std::vector<A> a = filled<A>(m * stride, [&] { return which % 5 == 0 ? 0x80u * (random.bits() & 1u) : random.bits(); });
        const std::vector<std::int8_t> codes = filled<std::int8_t>(n * k, [&] { return which % 5 == 1 ? 0x80u : random.bits(); });
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
                r.must(gemm(rows, s, *packed, e.e, c, workspace, r.threads()));
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
template <activation F>
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

struct operation {
    const char* name;
    void (*function)(run&);
};

const operation operations[] = {
    {"convert_f32_f16", convert_values<float, half>},
    {"convert_f16_f32", convert_values<half, float>},
    {"convert_f32_bf16", convert_values<float, bfloat16>},
    {"convert_bf16_f32", convert_values<bfloat16, float>},
    {"choose_params_s8_symmetric", choose<std::int8_t, scheme::symmetric>},
    {"choose_params_s8_affine", choose<std::int8_t, scheme::affine>},
    {"choose_params_u8_affine", choose<std::uint8_t, scheme::affine>},
    {"choose_params_s4_symmetric", choose<int4x2, scheme::symmetric>},
    {"choose_params_u4_symmetric", choose<uint4x2, scheme::symmetric>},
    {"choose_params_u4_affine", choose<uint4x2, scheme::affine>},
    {"quantize_s8", quantize_codes<std::int8_t>},
    {"quantize_u8", quantize_codes<std::uint8_t>},
    {"quantize_s4", quantize_codes<int4x2>},
    {"quantize_u4", quantize_codes<uint4x2>},
    {"dequantize_s8", dequantize_codes<std::int8_t>},
    {"dequantize_u8", dequantize_codes<std::uint8_t>},
    {"dequantize_s4", dequantize_codes<int4x2>},
    {"dequantize_u4", dequantize_codes<uint4x2>},
    {"pack_s8", pack_codes<std::int8_t>},
    {"pack_s4", pack_codes<int4x2>},
    {"pack_u4", pack_codes<uint4x2>},
    {"gemm_f32_s8_f32", gemm_dynamic<std::int8_t, float>},
    {"gemm_f32_s8_s8", gemm_dynamic<std::int8_t, std::int8_t>},
    {"gemm_f32_s8_u8", gemm_dynamic<std::int8_t, std::uint8_t>},
    {"gemm_f32_s4_f32", gemm_dynamic<int4x2, float>},
    {"gemm_f32_s4_s8", gemm_dynamic<int4x2, std::int8_t>},
    {"gemm_f32_u4_f32", gemm_dynamic<uint4x2, float>},
    {"gemm_s8_s8_s32", gemm_static<std::int8_t, std::int32_t>},
    {"gemm_s8_s8_f32", gemm_static<std::int8_t, float>},
    {"gemm_s8_s8_s8", gemm_static<std::int8_t, std::int8_t>},
    {"gemm_u8_s8_s32", gemm_static<std::uint8_t, std::int32_t>},
    {"gemm_u8_s8_f32", gemm_static<std::uint8_t, float>},
    {"gemm_u8_s8_u8", gemm_static<std::uint8_t, std::uint8_t>},
    {"gemm_f32_f32_f32", gemm_float<float, float>},
    {"gemm_f32_f32_s8", gemm_float<float, std::int8_t>},
    {"gemm_f32_f16_f32", gemm_float<half, float>},
    {"gemm_f32_bf16_f32", gemm_float<bfloat16, float>},
    {"activation_relu", activate<activation::relu>},
    {"activation_gelu", activate<activation::gelu>},
    {"activation_gelu_tanh", activate<activation::gelu_tanh>},
    {"activation_silu", activate<activation::silu>},
};

// The floating-point mode of a caller who flushes subnormals to zero and rounds up.
#if defined(__x86_64__)
using fp_mode = std::uint32_t;
constexpr fp_mode hostile_bits = 0x8040u | 0x4000u, mode_mask = 0xffc0u;
fp_mode get_mode()
{
    fp_mode mode;
    __asm__ volatile("stmxcsr %0" : "=m"(mode)::"memory");
    return mode;
}
void set_mode(fp_mode mode) { __asm__ volatile("ldmxcsr %0" ::"m"(mode) : "memory"); }
#elif defined(__aarch64__)
using fp_mode = std::uint64_t;
constexpr fp_mode hostile_bits = 1u << 24 | 1u << 22, mode_mask = ~fp_mode {0};
fp_mode get_mode()
{
    fp_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode)::"memory");
    return mode;
}
void set_mode(fp_mode mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode) : "memory"); }
#else
using fp_mode = int;
constexpr fp_mode hostile_bits = 0, mode_mask = 0;
fp_mode get_mode() { return 0; }
void set_mode(fp_mode) {}
#endif

int failures = 0;

// Runs one operation in one way and holds it against `expected`, unless that is still empty.
run perform(const operation& op, const variant& how, const std::vector<std::uint64_t>& expected)
{
    run r(how);
    const fp_mode before = get_mode(), mode = how.hostile_mode ? before | hostile_bits : before;
    set_mode(mode);
    op.function(r);
    const fp_mode after = get_mode();
    set_mode(before);
    const char* on = how.reference ? "reference" : to_string(active_backend());
    if ((after & mode_mask) != (mode & mode_mask)) {
        std::printf("DIFFERENT %s on %s: the caller's floating-point mode is not what it was\n", op.name, on);
        ++failures;
    }
    if (!expected.empty() && r.cases != expected) {
        const std::size_t all = std::min(expected.size(), r.cases.size());
        std::size_t first = 0;
        while (first < all && r.cases[first] == expected[first])
            ++first;
        std::printf("DIFFERENT %s on %s, %s: the first of its %zu outputs that differs is number %zu\n", op.name, on, how.name,
            expected.size(), first + 1);
        ++failures;
    }
    return r;
}

std::string line_of(const char* name, std::uint64_t hash)
{
    char line[100];
    std::snprintf(line, sizeof line, "%s %016" PRIx64, name, hash);
    return line;
}

int usage()
{
    std::fprintf(stderr, "nibble_checksums [--backend NAME] [--threads N] [--check FILE | --write FILE]\n");
    return 2;
}

} // namespace

int main(int argc, char** argv)
{
    const char *check_file = nullptr, *write_file = nullptr;
    std::vector<backend> backends;
    int threads = 1;
    for (int i = 1; i < argc; i += 2) {
        const std::string option = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (value == nullptr)
            return usage();
        if (option == "--check") {
            check_file = value;
        } else if (option == "--write") {
            write_file = value;
        } else if (option == "--threads") {
            threads = std::atoi(value);
        } else if (option == "--backend") {
            const auto found = find_backend(value);
            const status usable = found ? check_backend(*found) : found.error();
            if (usable != status::ok) {
                std::fprintf(stderr, "%s: %s\n", value, to_string(usable));
                return 2;
            }
            backends.push_back(*found);
        } else {
            return usage();
        }
    }
    if (backends.empty())
        for (int i = 0; i < backend_count; ++i)
            if (check_backend(static_cast<backend>(i)) == status::ok)
                backends.push_back(static_cast<backend>(i));

    const variant first {"the first run", threads, false, false, false};
    const variant others[]
        = {{"1 thread", 1, false, false, false}, {"2 threads", 2, false, false, false}, {"5 threads", 5, false, false, false},
            {"one row at a time", 1, true, false, false}, {"the caller flushes to zero and rounds up", 1, false, true, false}};
    const variant definition {"the definition", 1, false, false, true}, hostile_definition {"in the caller's mode", 1, false, true, true};
    std::map<std::string, std::string> lines;
    std::vector<std::string> order;
    for (const operation& op : operations) {
        std::vector<std::uint64_t> expected;
        for (const backend b : backends) {
            if (force_backend(b) != status::ok)
                return 2;
            const run r = perform(op, first, expected);
            if (expected.empty()) {
                expected = r.cases;
                if (r.has_reference) {
                    perform(op, definition, expected);
                    perform(op, hostile_definition, expected);
                }
            }
            for (const variant& how : others)
                if (how.hostile_mode || (how.single_rows && r.has_rows) || (how.threads != threads && r.has_threads))
                    perform(op, how, expected);
        }
        order.push_back(line_of(op.name, expected.back()));
        if (!lines.emplace(op.name, order.back()).second) {
            std::printf("two operations are called %s\n", op.name);
            ++failures;
        }
        std::printf("%s\n", order.back().c_str());
    }

    std::string on;
    for (const backend b : backends)
        on += std::string(on.empty() ? "" : ", ") + to_string(b);
    if (write_file != nullptr) {
        std::ofstream out(write_file);
        for (const std::string& line : order)
            out << line << '\n';
        if (!out.flush()) {
            std::fprintf(stderr, "cannot write %s\n", write_file);
            return 2;
        }
    }
    if (check_file != nullptr) {
        std::ifstream in(check_file);
        if (!in) {
            std::fprintf(stderr, "cannot read %s\n", check_file);
            return 2;
        }
        for (std::string line; std::getline(in, line);) {
            const std::string name = line.substr(0, line.find(' '));
            const auto found = lines.find(name);
            if (found == lines.end() || found->second != line) {
                std::printf("DIFFERENT %s: %s has %s, this build on %s %s\n", name.c_str(), check_file, line.c_str(), on.c_str(),
                    found == lines.end() ? "has no such kernel" : found->second.c_str());
                ++failures;
            }
            if (found != lines.end())
                lines.erase(found);
        }
        for (const auto& [name, line] : lines) {
            std::printf("DIFFERENT %s: not in %s\n", name.c_str(), check_file);
            ++failures;
        }
    }
    std::printf("%d differences; %zu kernels on %s%s%s\n", failures, order.size(), on.c_str(),
        check_file != nullptr ? ", held against " : "", check_file != nullptr ? check_file : "");
    return failures == 0 ? 0 : 1;
}
