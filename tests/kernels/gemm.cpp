#include "../support.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace nibble;

namespace {

struct weights {
    std::vector<float> scales;
    std::vector<std::int32_t> zeros;
    quant_params_view params;
};

template <class W>
weights make_params(std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t group, bool zero_points)
{
    weights w;
    const granularity kind = group ? granularity::per_group : granularity::per_channel;
    const std::size_t count = static_cast<std::size_t>(params_count(kind, n, k, group));
    test::random random(11);
    w.scales.resize(count);
    for (float& s : w.scales)
        s = to_float(to_half(0.001f + std::fabs(random.real()) * 0.01f));
    w.zeros.resize(zero_points ? count : 0);
    for (std::int32_t& z : w.zeros)
        z = random.integer(code_traits<W>::qmin, code_traits<W>::qmax);
    w.params = {kind, group, w.scales, w.zeros};
    return w;
}

// The result of `run` must equal `expected` on every backend, serially and threaded, with nothing written outside.
template <class C, class Run>
void check_everywhere(const std::vector<C>& expected, std::ptrdiff_t m, std::ptrdiff_t n, std::size_t workspace_size, Run run)
{
    const std::ptrdiff_t stride = n + 5;
    for (const backend b : test::usable_backends())
        for (const bool threaded : {false, true}) {
            INFO(to_string(b) << " m " << m << " n " << n << " threaded " << threaded);
            REQUIRE(force_backend(b) == status::ok);
            test::guarded<C> c((m - 1) * stride + n, threaded);
            std::memset(c.data(), 0x5a, c.size() * sizeof(C));
            std::vector<C> framed(c.size());
            std::memcpy(framed.data(), c.data(), c.size() * sizeof(C));
            for (std::ptrdiff_t i = 0; i < m; ++i)
                std::memcpy(framed.data() + i * stride, expected.data() + i * n, static_cast<std::size_t>(n) * sizeof(C));
            test::guarded<std::byte> workspace(static_cast<std::ptrdiff_t>(workspace_size), threaded);
            REQUIRE(
                run(matrix_view<C>(c.data(), m, n, stride), span<std::byte>(workspace.data(), workspace.size()), threaded) == status::ok);
            CHECK(test::same_bits(c.data(), framed.data(), framed.size()));
        }
}

template <class W>
std::vector<W> random_codes(std::size_t count, std::uint64_t seed)
{
    std::vector<W> codes(count);
    test::random random(seed);
    for (W& w : codes) {
        const std::uint8_t byte = static_cast<std::uint8_t>(random.bits());
        std::memcpy(&w, &byte, 1);
    }
    return codes;
}

packed_weights_view copy_to_guarded(const packed_weights& packed, test::guarded<std::byte>& memory)
{
    std::memcpy(memory.data(), packed.bytes().data(), memory.size());
    const auto view = view_packed(span<const std::byte>(memory.data(), memory.size()));
    REQUIRE(view);
    return *view;
}

// Weights of 8 bits in some steps of 8 k, of fewer in others: with 7-bit activations some products are chained in int16 and some are not.
std::vector<std::int8_t> mixed_weights(std::ptrdiff_t n, std::ptrdiff_t k, std::uint64_t seed)
{
    std::vector<std::int8_t> codes = random_codes<std::int8_t>(static_cast<std::size_t>(n * k), seed);
    for (std::ptrdiff_t i = 0; i < n * k; ++i) {
        std::int8_t& code = codes[static_cast<std::size_t>(i)];
        code = static_cast<std::int8_t>(code >> i % k / 8 % 3);
    }
    return codes;
}

template <class W, class C>
void compare_dynamic(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t group, bool zero_points, const epilogue& e,
    packing_options options = {}, bool poison = false, bool reduced = false)
{
    const std::ptrdiff_t a_stride = k + 1, elements = elements_for<W>(k);
    test::guarded<float> a((m - 1) * a_stride + k, n % 2 == 0);
    test::random random(5);
    for (std::size_t i = 0; i < a.size(); ++i)
        a[i] = random.real();
    if (poison)
        a[0] = std::numeric_limits<float>::infinity();
    if (m > 2)
        for (std::ptrdiff_t l = 0; l < k; ++l)
            a[static_cast<std::size_t>(2 * a_stride + l)] = 0.0f;
    auto codes = random_codes<W>(static_cast<std::size_t>(n * elements), 17);
    if constexpr (std::is_same_v<W, std::int8_t>)
        if (reduced)
            codes = mixed_weights(n, k, 17);
    const weights w = make_params<W>(n, k, group, zero_points);
    const matrix_view<const W> view(codes.data(), n, elements);
    const auto packed = packed_weights::make(view, k, w.params, options);
    REQUIRE(packed);
    test::guarded<std::byte> memory(static_cast<std::ptrdiff_t>(packed->bytes().size()), m % 2 == 0);
    const packed_weights_view placed = copy_to_guarded(*packed, memory);

    std::vector<std::int8_t> q(static_cast<std::size_t>(m * k));
    std::vector<float> row_scales(static_cast<std::size_t>(m));
    for (std::ptrdiff_t i = 0; i < m; ++i)
        row_scales[static_cast<std::size_t>(i)] = reference::quantize_row(a.data() + i * a_stride, k, q.data() + i * k, reduced ? 63 : 127);
    std::vector<C> expected(static_cast<std::size_t>(m * n));
    reference::gemm<std::int8_t, W, C>({q.data(), m, k}, row_scales, {}, view, k, w.params, e, matrix_view<C>(expected.data(), m, n));
    check_everywhere<C>(expected, m, n, gemm_workspace(m, placed), [&](matrix_view<C> c, span<std::byte> workspace, bool threaded) {
        const matrix_view<const float> rows(a.data(), m, k, a_stride);
        const auto product = [&](auto activations) {
            return threaded ? gemm(rows, activations, placed, e, c, workspace, test::three_threads())
                            : gemm(rows, activations, placed, e, c, workspace);
        };
        return reduced    ? product(reduced_range(dynamic_activations {}))
               : threaded ? product(dynamic_activations {})
                          : gemm(rows, placed, e, c, workspace);
    });
}

template <class A, class C>
void compare_static(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, std::int32_t zero_point, bool weight_zeros, const epilogue& e,
    bool reduced = false)
{
    test::guarded<A> a(m * k, n % 2 == 0);
    auto codes = random_codes<A>(a.size(), 23);
    if (reduced)
        for (A& code : codes)
            code = static_cast<A>((code & 127) - (std::is_same_v<A, std::int8_t> ? 64 : 0));
    std::memcpy(a.data(), codes.data(), a.size());
    const auto w_codes = reduced ? mixed_weights(n, k, 29) : random_codes<std::int8_t>(static_cast<std::size_t>(n * k), 29);
    const weights w = make_params<std::int8_t>(n, k, 0, weight_zeros);
    const matrix_view<const std::int8_t> view(w_codes.data(), n, k);
    const auto packed = packed_weights::make(view, k, w.params);
    REQUIRE(packed);
    const static_activations s {0.02f, zero_point};
    std::vector<C> expected(static_cast<std::size_t>(m * n));
    reference::gemm<A, std::int8_t, C>({a.data(), m, k}, {}, s, view, k, w.params, e, matrix_view<C>(expected.data(), m, n));
    check_everywhere<C>(expected, m, n, gemm_workspace(m, *packed), [&](matrix_view<C> c, span<std::byte> workspace, bool threaded) {
        const matrix_view<const A> rows(a.data(), m, k);
        const auto product = [&](auto activations) {
            return threaded ? gemm(rows, activations, *packed, e, c, workspace, test::three_threads())
                            : gemm(rows, activations, *packed, e, c, workspace);
        };
        return reduced ? product(reduced_range(s)) : product(s);
    });
}

template <class W>
void compare_float(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, const epilogue& e)
{
    test::guarded<float> a(m * k, n % 2 == 0);
    test::random random(31);
    for (std::size_t i = 0; i < a.size(); ++i)
        a[i] = random.real();
    std::vector<W> w(static_cast<std::size_t>(n * k));
    for (W& x : w) {
        if constexpr (std::is_same_v<W, float>)
            x = random.real();
        else if constexpr (std::is_same_v<W, half>)
            x = to_half(random.real());
        else
            x = to_bfloat16(random.real());
    }
    const matrix_view<const W> view(w.data(), n, k);
    const auto packed = packed_weights::make(view);
    REQUIRE(packed);
    test::guarded<std::byte> memory(static_cast<std::ptrdiff_t>(packed->bytes().size()), m % 2 == 0);
    const packed_weights_view placed = copy_to_guarded(*packed, memory);
    std::vector<float> expected(static_cast<std::size_t>(m * n));
    reference::gemm<W, float>({a.data(), m, k}, view, e, matrix_view<float>(expected.data(), m, n));
    check_everywhere<float>(expected, m, n, 0, [&](matrix_view<float> c, span<std::byte> workspace, bool threaded) {
        const matrix_view<const float> rows(a.data(), m, k);
        return threaded ? gemm(rows, placed, e, c, workspace, test::three_threads()) : gemm(rows, placed, e, c, workspace);
    });
}

} // namespace

TEST_CASE("float x int8 and int4 equal the reference on every backend, for every tail")
{
    for (const std::ptrdiff_t m : {1, 2, 3, 4, 5, 7, 17})
        for (const std::ptrdiff_t n : {1, 15, 16, 17, 70})
            for (const std::ptrdiff_t k : {1, 4, 7, 8, 31, 33, 100}) {
                compare_dynamic<std::int8_t, float>(m, n, k, 0, k % 2 == 0, {});
                compare_dynamic<int4x2, float>(m, n, k, 0, k % 2 != 0, {});
                compare_dynamic<uint4x2, float>(m, n, k, 32, m % 2 == 0, {});
            }
}

// One row more than each height of a tile, heights together, and more than a block or a task.
TEST_CASE("rows that tiles of 12, 8, 6 and 4 and blocks of 48 leave over")
{
    for (const std::ptrdiff_t m : {7, 11, 13, 23, 25, 53})
        for (const std::ptrdiff_t n : {16, 33}) {
            compare_dynamic<std::int8_t, float>(m, n, 36, 0, true, {});
            compare_dynamic<int4x2, float>(m, n, 36, 0, false, {});
            compare_dynamic<int4x2, float>(m, n, 100, 32, false, {});
            compare_static<std::uint8_t, std::int32_t>(m, n, 36, 3, true, {});
            compare_float<float>(m, n, 36, {});
        }
    // k in several blocks.
    compare_dynamic<std::int8_t, float>(25, 33, 2100, 0, false, {});
    compare_dynamic<int4x2, float>(25, 33, 2100, 128, false, {});
    compare_float<half>(25, 33, 600, {});
    // Tiles of 16 rows x 64 k, one to three together and what is left over.
    for (const std::ptrdiff_t m : {5, 20, 39, 53})
        for (const std::ptrdiff_t n : {33, 70}) {
            compare_dynamic<std::int8_t, float>(m, n, 150, 0, false, {});
            compare_static<std::uint8_t, std::int32_t>(m, n, 128, 3, m == 39, {});
        }
}

TEST_CASE("weights that no second-level cache holds: tasks that share panels cover every row and column")
{
    const std::ptrdiff_t m = 5 * 48 + 7, n = 4001, k = 132, part = 48;
    test::random random(37);
    std::vector<float> a(static_cast<std::size_t>(m * k)), w(static_cast<std::size_t>(n * k));
    for (std::vector<float>* x : {&a, &w})
        for (float& v : *x)
            v = random.real();
    const auto packed = packed_weights::make(matrix_view<const float>(w.data(), n, k));
    REQUIRE(packed);
    std::vector<float> whole(static_cast<std::size_t>(m * n), -1.0e9f), parts = whole;
    REQUIRE(gemm(matrix_view<const float>(a.data(), m, k), *packed, {}, matrix_view<float>(whole.data(), m, n), {}) == status::ok);
    for (std::ptrdiff_t row = 0; row < m; row += part) {
        const std::ptrdiff_t rows = m - row < part ? m - row : part;
        REQUIRE(gemm(matrix_view<const float>(a.data() + row * k, rows, k), *packed, {},
                    matrix_view<float>(parts.data() + row * n, rows, n), {})
                == status::ok);
    }
    CHECK(test::same_bits(whole.data(), parts.data(), whole.size()));
}

TEST_CASE("groups of every size, and k that is no multiple of them")
{
    for (const std::ptrdiff_t group : {2, 6, 10, 32, 64, 128})
        for (const std::ptrdiff_t k : {2, 31, 64, 130, 300}) {
            compare_dynamic<int4x2, float>(3, 20, k, group, false, {});
            compare_dynamic<int4x2, float>(1, 66, k, group, true, {}, {true});
            compare_dynamic<std::int8_t, float>(5, 20, k, group, true, {}, {true});
        }
    compare_dynamic<int4x2, float>(70, 300, 256, 32, false, {}, {true});
}

TEST_CASE("int8 and uint8 x int8: the exact sum, zero points included")
{
    for (const std::ptrdiff_t m : {1, 2, 6, 9})
        for (const std::ptrdiff_t n : {1, 16, 37, 130})
            for (const std::ptrdiff_t k : {1, 5, 64, 301})
                for (const bool weight_zeros : {false, true}) {
                    compare_static<std::int8_t, std::int32_t>(m, n, k, 0, weight_zeros, {});
                    compare_static<std::int8_t, std::int32_t>(m, n, k, -128, weight_zeros, {});
                    compare_static<std::uint8_t, std::int32_t>(m, n, k, 0, weight_zeros, {});
                    compare_static<std::uint8_t, std::int32_t>(m, n, k, 131, weight_zeros, {});
                }
}

TEST_CASE("u8{255, 255} . s8{127, 127} is 64770, where a saturating product gives 32767")
{
    const std::uint8_t a[2] = {255, 255};
    const std::int8_t w[2] = {127, 127};
    const float scale[1] = {1.0f};
    const auto packed = packed_weights::make(matrix_view<const std::int8_t>(w, 1, 2), 2, {granularity::per_channel, 0, scale});
    REQUIRE(packed);
    std::vector<std::byte> workspace(gemm_workspace(1, *packed));
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        std::int32_t c = 0;
        REQUIRE(
            gemm(matrix_view<const std::uint8_t>(a, 1, 2), {}, *packed, {}, matrix_view<std::int32_t>(&c, 1, 1), workspace) == status::ok);
        CHECK(c == 64770);
    }
}

TEST_CASE("7-bit activations: every tail, k in blocks, groups, epilogues")
{
    for (const std::ptrdiff_t m : {1, 2, 3, 7, 13, 19, 29, 53})
        for (const std::ptrdiff_t n : {1, 33})
            for (const std::ptrdiff_t k : {1, 7, 36, 100}) {
                compare_dynamic<std::int8_t, float>(m, n, k, 0, k % 2 == 0, {}, {}, false, true);
                compare_static<std::uint8_t, std::int32_t>(m, n, k, 3, m % 2 == 0, {}, true);
                compare_static<std::int8_t, std::int32_t>(m, n, k, -5, m % 2 != 0, {}, true);
            }
    compare_static<std::uint8_t, std::int32_t>(29, 70, 2100, 0, false, {}, true);
    compare_dynamic<std::int8_t, float>(29, 20, 130, 32, true, {}, {true}, false, true);
    epilogue e;
    e.function = activation_function::relu;
    e.output_scale = 0.013f;
    e.output_zero_point = 3;
    compare_dynamic<std::int8_t, std::int8_t>(29, 37, 64, 0, false, e, {}, true, true);
    compare_static<std::uint8_t, std::uint8_t>(29, 37, 64, 12, false, e, true);
}

// The greatest activation in each place, four weights of a column whose sum is just what an int16 lane takes, and one more.
TEST_CASE("7-bit activations: int16 chains at their limits")
{
    static constexpr int limits[][4] = {{127, 127, 4, 0}, {127, 127, 5, 0}, {-128, -128, -2, 0}, {-128, -128, -3, 0}, {127, 127, 127, 127},
        {-128, -128, -128, -128}, {127, -128, 127, -128}, {65, 65, 64, 64}, {-65, -65, -64, -64}};
    constexpr std::ptrdiff_t patterns = 9, m = 40, n = 32, k = 8 * patterns;
    std::vector<float> scales(static_cast<std::size_t>(n), 1.0f);
    for (std::ptrdiff_t shape = 0; shape < 2 * patterns; ++shape) {
        // One pattern in all columns, so that a step may be chained; then one in a single lane among zeros.
        std::vector<std::int8_t> w(static_cast<std::size_t>(n * k));
        for (std::ptrdiff_t j = shape < patterns ? 0 : n - 3; j < (shape < patterns ? n : n - 2); ++j)
            for (std::ptrdiff_t step = 0; step < patterns; ++step)
                for (std::ptrdiff_t i = 0; i < 4; ++i)
                    for (std::ptrdiff_t half = 0; half < (shape < patterns ? 2 : 1); ++half)
                        w[static_cast<std::size_t>(j * k + 8 * step + i / 2 * 4 + 2 * half + i % 2)]
                            = static_cast<std::int8_t>(limits[(step + shape) % patterns][i]);
        const auto packed = packed_weights::make(matrix_view<const std::int8_t>(w.data(), n, k), k, {granularity::per_channel, 0, scales});
        REQUIRE(packed);
        const std::vector<std::uint8_t> a(static_cast<std::size_t>(m * k), 127);
        std::vector<std::int32_t> expected;
        for (std::ptrdiff_t i = 0; i < m * n; ++i) {
            std::int32_t sum = 0;
            for (std::ptrdiff_t l = 0; l < k; ++l)
                sum += 127 * w[static_cast<std::size_t>(i % n * k + l)];
            expected.push_back(sum);
        }
        check_everywhere<std::int32_t>(
            expected, m, n, gemm_workspace(m, *packed), [&](matrix_view<std::int32_t> c, span<std::byte> workspace, bool) {
                return gemm(
                    matrix_view<const std::uint8_t>(a.data(), m, k), reduced_range(static_activations {}), *packed, {}, c, workspace);
            });
    }
}

TEST_CASE("7-bit activations: the row 1, -0.4, 0.25 is 63, -25, 16 times 1 / 63")
{
    const float a[3] = {1.0f, -0.4f, 0.25f}, scales[3] = {1.0f, 1.0f, 1.0f};
    const std::int8_t w[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    const auto packed = packed_weights::make(matrix_view<const std::int8_t>(w, 3, 3), 3, {granularity::per_channel, 0, scales});
    REQUIRE(packed);
    const std::vector<float> expected {63.0f * (1.0f / 63.0f), -25.0f * (1.0f / 63.0f), 16.0f * (1.0f / 63.0f)};
    check_everywhere<float>(expected, 1, 3, gemm_workspace(1, *packed), [&](matrix_view<float> c, span<std::byte> workspace, bool) {
        return gemm(matrix_view<const float>(a, 1, 3), reduced_range(dynamic_activations {}), *packed, {}, c, workspace);
    });
}

TEST_CASE("7-bit activations: codes beyond the range are refused before anything is written")
{
    const std::ptrdiff_t m = 3, k = 37;
    const std::vector<std::int8_t> w(static_cast<std::size_t>(k), 1);
    const std::vector<int4x2> w4(19);
    const float scale[1] = {1.0f};
    const auto packed = packed_weights::make(matrix_view<const std::int8_t>(w.data(), 1, k), k, {granularity::per_channel, 0, scale});
    const auto packed4 = packed_weights::make(matrix_view<const int4x2>(w4.data(), 1, 19), k, {granularity::per_channel, 0, scale});
    REQUIRE(packed);
    REQUIRE(packed4);
    std::vector<std::byte> workspace(gemm_workspace(m, *packed));
    const std::vector<float> floats(static_cast<std::size_t>(m * k), 1.0f);
    float y[m];
    CHECK(gemm(matrix_view<const float>(floats.data(), m, k), reduced_range(dynamic_activations {}), *packed4, {},
              matrix_view<float>(y, m, 1), workspace)
          == status::weight_type_mismatch);
    const auto product = [&](auto code, std::ptrdiff_t at) {
        std::vector<decltype(code)> a(static_cast<std::size_t>(m * k));
        a[static_cast<std::size_t>(at)] = code;
        std::int32_t c[m] = {7, 7, 7};
        const status s = gemm(matrix_view<const decltype(code)>(a.data(), m, k), reduced_range(static_activations {}), *packed, {},
            matrix_view<std::int32_t>(c, m, 1), workspace);
        CHECK((s == status::ok) == (c[0] != 7));
        return s;
    };
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        for (const std::ptrdiff_t at : {0, 36, 40, 110}) {
            CHECK(product(std::int8_t {63}, at) == status::ok);
            CHECK(product(std::int8_t {-64}, at) == status::ok);
            CHECK(product(std::uint8_t {127}, at) == status::ok);
            CHECK(product(std::int8_t {64}, at) == status::activation_out_of_range);
            CHECK(product(std::int8_t {-65}, at) == status::activation_out_of_range);
            CHECK(product(std::int8_t {-128}, at) == status::activation_out_of_range);
            CHECK(product(std::uint8_t {128}, at) == status::activation_out_of_range);
            CHECK(product(std::uint8_t {255}, at) == status::activation_out_of_range);
        }
    }
}

TEST_CASE("float weights of three formats")
{
    for (const std::ptrdiff_t m : {1, 2, 3, 5})
        for (const std::ptrdiff_t n : {1, 16, 33, 70})
            for (const std::ptrdiff_t k : {1, 9, 200}) {
                compare_float<float>(m, n, k, {});
                compare_float<half>(m, n, k, {});
                compare_float<bfloat16>(m, n, k, {});
            }
}

TEST_CASE("tune() chooses a usable backend for its class of products until one is forced; results stay", "[native]")
{
    const std::ptrdiff_t m = 3, n = 40, k = 70;
    const auto codes = random_codes<std::int8_t>(static_cast<std::size_t>(n * k), 5);
    const weights w = make_params<std::int8_t>(n, k, 0, false);
    const auto packed = packed_weights::make(matrix_view<const std::int8_t>(codes.data(), n, k), k, w.params);
    REQUIRE(packed);
    std::vector<float> a(static_cast<std::size_t>(m * k));
    test::random random(3);
    for (float& x : a)
        x = random.real();
    std::vector<std::byte> workspace(tune_workspace(m, *packed));
    const auto product = [&] {
        std::vector<float> c(static_cast<std::size_t>(m * n));
        REQUIRE(gemm(matrix_view<const float>(a.data(), m, k), *packed, {}, matrix_view<float>(c.data(), m, n), workspace) == status::ok);
        return c;
    };
    const std::size_t of_class = detail::product_class(weight_type::s8, m);
    for (const backend newest : test::usable_backends()) {
        REQUIRE(force_backend(newest) == status::ok);
        const std::vector<float> before = product();
        CHECK(tune(*packed, m, span<std::byte>(workspace.data(), workspace.size() - 1)).error() == status::buffer_too_small);
        CHECK(tune(*packed, -1, workspace).error() == status::negative_size);
        CHECK(tuned_products[of_class].load() == 0);
        const auto chosen = tune(*packed, m, workspace);
        REQUIRE(chosen);
        CHECK(*chosen <= newest);
        CHECK(check_backend(*chosen) == status::ok);
        CHECK(detail::product_backend(weight_type::s8, m) == *chosen);
        CHECK(detail::product_backend(weight_type::s8, 1) == newest);
        CHECK(detail::product_backend(weight_type::u4, m) == newest);
        CHECK(test::same_bits(product().data(), before.data(), before.size()));
        REQUIRE(force_backend(newest) == status::ok);
        CHECK(tuned_products[of_class].load() == 0);
    }
    REQUIRE(force_backend(best_backend()) == status::ok);
}

TEST_CASE("every epilogue, and what becomes of infinities and zero rows")
{
    std::vector<float> bias(37), scale(37);
    for (std::size_t i = 0; i < bias.size(); ++i) {
        bias[i] = static_cast<float>(i) * 0.3f - 4.0f;
        scale[i] = 0.5f + static_cast<float>(i % 5);
    }
    for (const activation_function f : {activation_function::none, activation_function::relu, activation_function::gelu,
             activation_function::gelu_tanh, activation_function::silu})
        for (const bool poison : {false, true}) {
            epilogue e;
            e.function = f;
            compare_dynamic<int4x2, float>(5, 37, 64, 32, false, e, {}, poison);
            e.bias = bias;
            e.scale = scale;
            compare_dynamic<std::int8_t, float>(5, 37, 64, 0, false, e, {}, poison);
            compare_float<float>(5, 37, 64, e);
            e.clamp_low = -1.0f;
            e.clamp_high = 2.0f;
            e.output_scale = 0.013f;
            e.output_zero_point = 3;
            compare_dynamic<std::int8_t, std::int8_t>(5, 37, 64, 0, false, e, {}, poison);
            compare_static<std::uint8_t, std::uint8_t>(5, 37, 64, 120, false, e);
            compare_static<std::int8_t, float>(5, 37, 64, 3, true, e);
        }
}

TEST_CASE("activation functions are close to the real ones")
{
    for (float x = -20.0f; x < 20.0f; x += 0.037f) {
        const double d = x;
        CHECK(std::fabs(reference::apply(activation_function::silu, x) - d / (1 + std::exp(-d))) < 3e-7 * (1 + std::fabs(d)));
        CHECK(std::fabs(reference::apply(activation_function::gelu, x) - d * 0.5 * (1 + std::erf(d / std::sqrt(2.0))))
              < 4e-7 * (1 + std::fabs(d)));
        const double tanh_form = d * 0.5 * (1 + std::tanh(std::sqrt(2 / 3.14159265358979) * (d + 0.044715 * d * d * d)));
        CHECK(std::fabs(reference::apply(activation_function::gelu_tanh, x) - tanh_form) < 4e-7 * (1 + std::fabs(d)));
    }
}

TEST_CASE("bad arguments of products name the rule and write nothing")
{
    const std::vector<std::int8_t> codes(32, 1);
    const std::vector<float> scales(2, 1.0f);
    const auto packed
        = packed_weights::make(matrix_view<const std::int8_t>(codes.data(), 2, 16), 16, {granularity::per_channel, 0, scales});
    REQUIRE(packed);
    const std::vector<float> a(16, 1.0f);
    std::vector<float> c(2, 5.0f);
    std::vector<std::byte> workspace(gemm_workspace(1, *packed));
    const matrix_view<const float> row(a.data(), 1, 16);
    const matrix_view<float> out(c.data(), 1, 2);
    CHECK(gemm(matrix_view<const float>(a.data(), 1, 15), *packed, {}, out, workspace) == status::shape_mismatch);
    CHECK(gemm(row, *packed, {}, out, span<std::byte>(workspace.data(), workspace.size() - 1)) == status::buffer_too_small);
    CHECK(gemm(row, *packed, {}, matrix_view<float>(nullptr, 1, 2), workspace) == status::null_pointer);
    epilogue e;
    e.clamp_low = 1.0f;
    e.clamp_high = 0.0f;
    CHECK(gemm(row, *packed, e, out, workspace) == status::invalid_clamp);
    e = {};
    e.bias = span<const float>(a.data(), 1);
    CHECK(gemm(row, *packed, e, out, workspace) == status::params_count_mismatch);
    CHECK(c == std::vector<float>(2, 5.0f));

    std::vector<std::byte> bytes(packed->bytes().begin(), packed->bytes().end());
    CHECK(view_packed(span<const std::byte>(bytes.data(), bytes.size() - 1)).error() == status::buffer_too_small);
    bytes[8] = std::byte {9};
    CHECK(view_packed(bytes).error() == status::packed_version);
    bytes[0] = std::byte {0};
    CHECK(view_packed(bytes).error() == status::not_packed_weights);
    CHECK(packed_size<int4x2>(PTRDIFF_MAX / 2, PTRDIFF_MAX / 2).error() == status::size_overflow);

    const std::ptrdiff_t long_k = max_k(true, false, false) + 1;
    const std::vector<std::int8_t> long_codes(static_cast<std::size_t>(long_k), 1);
    const auto long_packed = packed_weights::make(matrix_view<const std::int8_t>(long_codes.data(), 1, long_k), long_k,
        {granularity::per_channel, 0, span<const float>(scales.data(), 1)});
    REQUIRE(long_packed);
    const std::vector<std::uint8_t> long_a(static_cast<std::size_t>(long_k), 1);
    std::vector<std::byte> long_workspace(gemm_workspace(1, *long_packed));
    std::int32_t sum = 5;
    CHECK(gemm(matrix_view<const std::uint8_t>(long_a.data(), 1, long_k), {}, *long_packed, {}, matrix_view<std::int32_t>(&sum, 1, 1),
              long_workspace)
          == status::k_too_large);
    CHECK(sum == 5);
}

TEST_CASE("a product's workspace: what is planned is what is used")
{
    test::random random(77);
    const auto up_to = [&](std::uint32_t most) { return static_cast<std::ptrdiff_t>(1 + random.bits() % most); };
    std::vector<std::byte> memory;
    for (int i = 0; i < 100000; ++i) {
        const std::ptrdiff_t m = up_to(20), k = up_to(70), group_size = i % 2 == 0 ? up_to(40) : 0;
        const std::ptrdiff_t groups = group_size == 0 ? 1 : (k + group_size - 1) / group_size;
        const std::vector<std::int8_t> codes(static_cast<std::size_t>(k), 1);
        const std::vector<float> scales(static_cast<std::size_t>(groups), 1.0f), a(static_cast<std::size_t>(m * k), 2.0f);
        const auto packed = packed_weights::make(matrix_view<const std::int8_t>(codes.data(), 1, k), k,
            {group_size == 0 ? granularity::per_channel : granularity::per_group, group_size, scales});
        REQUIRE(packed);
        const detail::gemm_plan plan = detail::plan_gemm(m, *packed);
        // 64 bytes more than asked for, at a random place.
        memory.assign(plan.bytes.value() + 64, std::byte {0xa5});
        const std::size_t offset = random.bits() % 64;
        std::byte* const given = memory.data() + offset;
        const std::size_t first = (64 - reinterpret_cast<std::uintptr_t>(given) % 64) % 64, end = offset + first + plan.end.value();
        std::vector<float> c(static_cast<std::size_t>(m));
        const status s = gemm(matrix_view<const float>(a.data(), m, k), *packed, {}, matrix_view<float>(c.data(), m, 1),
            span<std::byte>(given, plan.bytes.value()));
        const auto untouched = [](std::byte b) { return b == std::byte {0xa5}; };
        const auto at = [&](std::size_t place) { return memory.begin() + static_cast<std::ptrdiff_t>(place); };
        const bool before = std::all_of(memory.begin(), at(offset + first), untouched),
                   behind = std::all_of(at(end), memory.end(), untouched);
        const bool sums_fit = plan.packed.value() >= 4 * static_cast<std::size_t>(m * groups) && plan.packed.value() % 64 == 0;
        float last = 0;
        std::memcpy(&last, &memory[end - 4], 4);
        if (s != status::ok || !before || !behind || !sums_fit || last != 2.0f / 127.0f) {
            CAPTURE(m, k, group_size);
            FAIL(to_string(s));
        }
    }
}
