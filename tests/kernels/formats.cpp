#include "../support.hpp"

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <cmath>
#include <limits>
#include <string>

using namespace nibble;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(), not_a_number = std::numeric_limits<float>::quiet_NaN();

// What a magnitude code stands for, by the definition and in double; codes above the largest continue as if there were no end.
template <class F>
double magnitude_of(int code)
{
    const int exponent = code >> F::fraction_bits, fraction = code & ((1 << F::fraction_bits) - 1);
    return exponent == 0 ? std::ldexp(fraction, 1 - F::bias - F::fraction_bits)
                         : std::ldexp(1.0 + std::ldexp(fraction, -F::fraction_bits), exponent - F::bias);
}

// The nearest magnitude code up to one above the largest, by looking at all of them.
template <class F>
int nearest(double magnitude, ties tie)
{
    if (magnitude > magnitude_of<F>(F::max_code + 1)) // else the differences could round
        return F::max_code + 1;
    int best = 0;
    for (int code = 1; code <= F::max_code + 1; ++code) {
        const double to_best = std::fabs(magnitude_of<F>(best) - magnitude), to_code = std::fabs(magnitude_of<F>(code) - magnitude);
        if (to_code < to_best || (to_code == to_best && tie == ties::to_even && code % 2 == 0))
            best = code;
    }
    return best;
}

template <class F>
std::uint8_t expected_code(float x, overflow rule, ties tie)
{
    const int sign = std::signbit(x) ? F::sign_bit : 0;
    if (std::isnan(x))
        return static_cast<std::uint8_t>(F::has_nan ? sign | 0x7f : F::max_code);
    const int code = std::isinf(x) ? F::max_code + 1 : nearest<F>(std::fabs(static_cast<double>(x)), tie);
    const bool saturates = rule == overflow::saturate || !F::has_nan;
    return static_cast<std::uint8_t>(sign | (code > F::max_code && saturates ? F::max_code : code));
}

template <class F>
void check_decode()
{
    for (int code = 0; code < 2 * F::sign_bit; ++code) {
        const int magnitude = code & (F::sign_bit - 1);
        const float x = to_float(F {static_cast<std::uint8_t>(code)});
        CAPTURE(code, x);
        CHECK(std::signbit(x) == (code >= F::sign_bit));
        if (magnitude <= F::max_code) {
            CHECK(std::fabs(static_cast<double>(x)) == magnitude_of<F>(magnitude));
            CHECK(to_minifloat<F>(x).bits == code);
        } else if (F::has_infinity && magnitude == F::max_code + 1) {
            CHECK(std::isinf(x));
        } else {
            CHECK((float_bits(x) & 0x7fffffffu) == 0x7fc00000u);
        }
    }
}

template <class F>
void check_encode()
{
    int wrong = 0;
    const auto compare = [&](float x) {
        for (const overflow rule : {overflow::saturate, overflow::to_infinity_or_nan})
            for (const ties tie : {ties::to_even, ties::toward_zero})
                wrong += to_minifloat<F>(x, rule, tie).bits != expected_code<F>(x, rule, tie);
    };
    for (unsigned bits = 0; bits < 65536; ++bits) {
        compare(to_float(half {static_cast<std::uint16_t>(bits)}));
        compare(to_float(bfloat16 {static_cast<std::uint16_t>(bits)}));
    }
    // Every midpoint and its neighbours, which a conversion by way of a half would round twice.
    for (int code = 0; code <= F::max_code; ++code) {
        const float middle = static_cast<float>((magnitude_of<F>(code) + magnitude_of<F>(code + 1)) / 2);
        for (const float x : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, infinity)}) {
            compare(x);
            compare(-x);
        }
    }
    CHECK(wrong == 0);
}

// Floats of all sizes with every special case.
void fill_wide(float* x, std::size_t count, std::uint64_t seed)
{
    test::random random(seed);
    const float special[] = {0.0f, -0.0f, 464.0f, 464.00003f, 61440.0f, -61440.0f, 61439.996f, 0.0009765625f, -0.0029296875f, 1e-42f,
        7.62939453125e-06f, infinity, -infinity, not_a_number, -not_a_number, 3.4e38f};
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t u = random.bits();
        x[i] = random.integer(0, 7) == 0 ? special[random.integer(0, 15)]
               : random.integer(0, 1)    ? float_from_bits(u)
                                      : float_from_bits((u & 0x80ffffffu) | static_cast<std::uint32_t>(random.integer(0x37, 0x47)) << 24);
    }
}

template <class F>
void check_convert()
{
    for (const backend b : test::usable_backends()) {
        REQUIRE(force_backend(b) == status::ok);
        for (const std::ptrdiff_t count : {1, 3, 7, 8, 9, 15, 16, 17, 33, 100, 70001}) {
            INFO(to_string(b) << " count " << count);
            const bool at_end = count % 2 != 0;
            test::guarded<float> x(count, at_end), back(count, at_end);
            test::guarded<F> codes(count, at_end);
            fill_wide(x.data(), x.size(), static_cast<std::uint64_t>(count));
            std::vector<float> expected_back(x.size());
            std::vector<F> expected(x.size());
            for (const overflow rule : {overflow::saturate, overflow::to_infinity_or_nan}) {
                for (std::size_t i = 0; i < x.size(); ++i) {
                    expected[i] = to_minifloat<F>(x[i], rule);
                    expected_back[i] = to_float(expected[i]);
                }
                REQUIRE(convert(span<const float>(x), span<F>(codes), rule) == status::ok);
                CHECK(test::same_bits(codes.data(), expected.data(), codes.size()));
                REQUIRE(convert(span<const F>(codes), span<float>(back)) == status::ok);
                CHECK(test::same_bits(back.data(), expected_back.data(), back.size()));
            }
        }
        std::vector<F> all(256);
        std::vector<float> decoded(256);
        for (std::size_t i = 0; i < 256; ++i)
            all[i].bits = static_cast<std::uint8_t>(i);
        REQUIRE(convert(span<const F>(all), span<float>(decoded)) == status::ok);
        for (std::size_t i = 0; i < 256; ++i)
            CHECK(float_bits(decoded[i]) == float_bits(to_float(all[i])));
    }
}

// Blocks of every kind: ordinary, tied, zero, subnormal, huge, with a NaN or an infinity.
void fill_blocks(matrix_view<float> x, std::ptrdiff_t block, std::uint64_t seed)
{
    test::random random(seed);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t begin = 0; begin < x.cols; begin += block) {
            const std::ptrdiff_t end = begin + block < x.cols ? begin + block : x.cols;
            const int kind = random.integer(0, 9), shift = random.integer(-20, 20);
            for (std::ptrdiff_t c = begin; c < end; ++c) {
                float v = std::ldexp(random.real(), shift);
                if (kind == 0)
                    v = c % 2 == 0 ? 0.0f : -0.0f;
                else if (kind == 1)
                    v = float_from_bits(random.bits() & 0x80ffffffu);
                else if (kind == 2)
                    v = float_from_bits((random.bits() & 0x80ffffffu) | 0x7e000000u);
                else if (kind <= 5)
                    v = std::ldexp(static_cast<float>(random.integer(-64, 64)), shift);
                x(r, c) = v;
            }
            if (kind == 8)
                x(r, begin + random.integer(0, static_cast<std::int32_t>(end - begin - 1)))
                    = random.integer(0, 1) ? not_a_number : -infinity;
            else if (kind == 9)
                x(r, begin) = std::nextafter(std::ldexp(1.0f, shift), random.integer(0, 1) ? 0.0f : infinity);
        }
}

template <class Q>
matrix_view<const Q> constant(matrix_view<Q> m)
{
    return m;
}

struct mx_sizes {
    std::ptrdiff_t rows, cols, q_cols, scale_cols;
    std::size_t x_count() const { return static_cast<std::size_t>((rows - 1) * (cols + 5) + cols); }
    std::size_t q_count() const { return static_cast<std::size_t>((rows - 1) * (q_cols + 3) + q_cols); }
    std::size_t scale_count() const { return static_cast<std::size_t>((rows - 1) * (scale_cols + 2) + scale_cols); }
    template <class T>
    matrix_view<T> x(T* p) const
    {
        return {p, rows, cols, cols + 5};
    }
    template <class T>
    matrix_view<T> q(T* p) const
    {
        return {p, rows, q_cols, q_cols + 3};
    }
    template <class T>
    matrix_view<T> scales(T* p) const
    {
        return {p, rows, scale_cols, scale_cols + 2};
    }
};

// `run` quantizes and dequantizes with a backend, `define` with the reference: (x, q, scales, y).
template <class Q, class S, class Run, class Define>
void compare_blocks(const mx_sizes& sizes, std::ptrdiff_t block, std::uint64_t seed, Run run, Define define)
{
    const bool at_end = seed % 2 == 0;
    test::guarded<float> x(static_cast<std::ptrdiff_t>(sizes.x_count()), at_end);
    std::memset(x.data(), 0x5a, sizes.x_count() * sizeof(float));
    fill_blocks(sizes.x(x.data()), block, seed);
    std::vector<Q> q_expected(sizes.q_count());
    std::vector<S> s_expected(sizes.scale_count());
    std::vector<float> y_expected(sizes.x_count(), 9.0f);
    std::memset(static_cast<void*>(q_expected.data()), 0xa5, sizes.q_count() * sizeof(Q));
    std::memset(static_cast<void*>(s_expected.data()), 0xa5, sizes.scale_count());
    const std::vector<Q> q_canary = q_expected;
    const std::vector<S> s_canary = s_expected;
    const std::vector<float> y_canary = y_expected;
    const matrix_view<const float> x_view = sizes.x(x.data());
    define(x_view, sizes.q(q_expected.data()), sizes.scales(s_expected.data()), sizes.x(y_expected.data()));
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b) << " rows " << sizes.rows << " cols " << sizes.cols << " seed " << seed);
        REQUIRE(force_backend(b) == status::ok);
        test::guarded<Q> q(static_cast<std::ptrdiff_t>(sizes.q_count()), at_end);
        test::guarded<S> s(static_cast<std::ptrdiff_t>(sizes.scale_count()), at_end);
        test::guarded<float> y(static_cast<std::ptrdiff_t>(sizes.x_count()), at_end);
        std::memcpy(static_cast<void*>(q.data()), q_canary.data(), sizes.q_count() * sizeof(Q));
        std::memcpy(static_cast<void*>(s.data()), s_canary.data(), sizes.scale_count());
        std::memcpy(y.data(), y_canary.data(), sizes.x_count() * sizeof(float));
        run(x_view, sizes.q(q.data()), sizes.scales(s.data()), sizes.x(y.data()));
        CHECK(test::same_bits(s.data(), s_expected.data(), sizes.scale_count()));
        CHECK(test::same_bits(q.data(), q_expected.data(), sizes.q_count()));
        CHECK(test::same_bits(y.data(), y_expected.data(), sizes.x_count()));
    }
}

constexpr std::ptrdiff_t some_cols[] = {1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 47, 64, 65, 97, 130, 256, 259};
constexpr element_rounding roundings[] = {element_rounding::to_even, element_rounding::ggml};
constexpr scale_rule scale_rules[] = {scale_rule::floor, scale_rule::even, scale_rule::ceil};

template <class Q>
void compare_mx()
{
    std::uint64_t seed = 1;
    for (const std::ptrdiff_t cols : some_cols)
        for (const scale_rule rule : scale_rules)
            for (const element_rounding rounding : roundings) {
                const mx_sizes sizes {3, cols, (cols + mx_traits<Q>::per_element - 1) / mx_traits<Q>::per_element, (cols + 31) / 32};
                compare_blocks<Q, float8_e8m0>(
                    sizes, 32, ++seed,
                    [&](auto x, auto q, auto s, auto y) {
                        REQUIRE(quantize_mx(x, q, s, {rule, rounding}) == status::ok);
                        REQUIRE(dequantize_mx(constant(q), constant(s), y) == status::ok);
                    },
                    [&](auto x, auto q, auto s, auto y) {
                        reference::quantize_mx(x, q, s, rule, rounding);
                        reference::dequantize_mx(constant(q), constant(s), y);
                    });
            }
}

// Every scale with every code.
template <class Q>
void decode_all_mx()
{
    constexpr std::ptrdiff_t cols = 256, q_cols = cols / mx_traits<Q>::per_element;
    std::vector<Q> q(static_cast<std::size_t>(q_cols));
    for (std::size_t i = 0; i < q.size() * sizeof(Q); ++i)
        reinterpret_cast<unsigned char*>(q.data())[i] = static_cast<unsigned char>(i * 37 + i / 256);
    std::vector<float8_e8m0> scales(8);
    std::vector<float> expected(cols), y(cols);
    for (unsigned code = 0; code < 256; ++code) {
        for (float8_e8m0& s : scales)
            s.bits = static_cast<std::uint8_t>(code);
        reference::dequantize_mx(matrix_view<const Q>(q.data(), 1, q_cols), matrix_view<const float8_e8m0>(scales.data(), 1, 8),
            matrix_view<float>(expected.data(), 1, cols));
        for (const backend b : test::usable_backends()) {
            INFO(to_string(b) << " scale " << code);
            REQUIRE(force_backend(b) == status::ok);
            REQUIRE(dequantize_mx(matrix_view<const Q>(q.data(), 1, q_cols), matrix_view<const float8_e8m0>(scales.data(), 1, 8),
                        matrix_view<float>(y.data(), 1, cols))
                    == status::ok);
            CHECK(test::same_bits(y.data(), expected.data(), y.size()));
        }
    }
}

// The scale and the codes of one block on every backend, which must agree.
struct block_result {
    int scale;
    std::vector<int> codes;
};

template <class Q>
block_result one_block(const std::vector<float>& x, mx_options options = {})
{
    const std::ptrdiff_t cols = static_cast<std::ptrdiff_t>(x.size());
    std::vector<Q> q(static_cast<std::size_t>((cols + mx_traits<Q>::per_element - 1) / mx_traits<Q>::per_element));
    float8_e8m0 scale;
    block_result first {-1, {}};
    for (const backend b : test::usable_backends()) {
        REQUIRE(force_backend(b) == status::ok);
        REQUIRE(quantize_mx(matrix_view<const float>(x.data(), 1, cols), matrix_view<Q>(q.data(), 1, static_cast<std::ptrdiff_t>(q.size())),
                    matrix_view<float8_e8m0>(&scale, 1, 1), options)
                == status::ok);
        block_result result {scale.bits, {}};
        for (std::size_t i = 0; i < x.size(); ++i) {
            if constexpr (mx_traits<Q>::per_element == 4)
                result.codes.push_back(q[i / 4][static_cast<int>(i % 4)].bits);
            else if constexpr (mx_traits<Q>::per_element == 2)
                result.codes.push_back(i % 2 == 0 ? q[i / 2].first().bits : q[i / 2].second().bits);
            else if constexpr (std::is_same_v<Q, std::int8_t>)
                result.codes.push_back(q[i]);
            else
                result.codes.push_back(q[i].bits);
        }
        if (first.scale >= 0) {
            CHECK(result.scale == first.scale);
            CHECK(result.codes == first.codes);
        }
        first = result;
    }
    return first;
}

} // namespace

TEST_CASE("every minifloat code decodes to its definition, and back")
{
    check_decode<float8_e4m3>();
    check_decode<float8_e5m2>();
    check_decode<float6_e2m3>();
    check_decode<float6_e3m2>();
    check_decode<float4_e2m1>();
    for (int code = 0; code < 255; ++code)
        CHECK(static_cast<double>(to_float(float8_e8m0 {static_cast<std::uint8_t>(code)})) == std::ldexp(1.0, code - 127));
    CHECK(std::isnan(to_float(float8_e8m0 {255})));
}

TEST_CASE("every half and bfloat16 becomes the nearest float8_e4m3") { check_encode<float8_e4m3>(); }
TEST_CASE("every half and bfloat16 becomes the nearest float8_e5m2") { check_encode<float8_e5m2>(); }
TEST_CASE("every half and bfloat16 becomes the nearest float6_e2m3") { check_encode<float6_e2m3>(); }
TEST_CASE("every half and bfloat16 becomes the nearest float6_e3m2") { check_encode<float6_e3m2>(); }
TEST_CASE("every half and bfloat16 becomes the nearest float4_e2m1") { check_encode<float4_e2m1>(); }

TEST_CASE("minifloats have the values of the OCP and ONNX documents")
{
    CHECK(to_float(float8_e4m3 {0x7e}) == 448.0f);
    CHECK(to_float(float8_e4m3 {0x01}) == 0.001953125f);
    CHECK(to_float(float8_e5m2 {0x7b}) == 57344.0f);
    CHECK(to_float(float8_e5m2 {0x01}) == 1.52587890625e-05f);
    CHECK(to_float(float6_e2m3 {0x1f}) == 7.5f);
    CHECK(to_float(float6_e2m3 {0x01}) == 0.125f);
    CHECK(to_float(float6_e3m2 {0x1f}) == 28.0f);
    CHECK(to_float(float6_e3m2 {0x01}) == 0.0625f);
    const float magnitudes[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    for (std::uint8_t i = 0; i < 8; ++i)
        CHECK(to_float(float4_e2m1 {i}) == magnitudes[i]);

    struct row {
        float x;
        int e4m3, e5m2, e4m3_open, e5m2_open;
    };
    // The two tables of ONNX float8.md: saturating, and not.
    const row rows[] = {{0.0f, 0x00, 0x00, 0x00, 0x00}, {-0.0f, 0x80, 0x80, 0x80, 0x80}, {not_a_number, 0x7f, 0x7f, 0x7f, 0x7f},
        {-not_a_number, 0xff, 0xff, 0xff, 0xff}, {infinity, 0x7e, 0x7b, 0x7f, 0x7c}, {-infinity, 0xfe, 0xfb, 0xff, 0xfc},
        {464.0f, 0x7e, 0x5f, 0x7e, 0x5f}, {464.00003f, 0x7e, 0x5f, 0x7f, 0x5f}, {-1e6f, 0xfe, 0xfb, 0xff, 0xfc},
        {61439.996f, 0x7e, 0x7b, 0x7f, 0x7b}, {61440.0f, 0x7e, 0x7b, 0x7f, 0x7c}};
    for (const row& r : rows) {
        CAPTURE(r.x);
        CHECK(to_float8_e4m3(r.x).bits == r.e4m3);
        CHECK(to_float8_e5m2(r.x).bits == r.e5m2);
        CHECK(to_float8_e4m3(r.x, overflow::to_infinity_or_nan).bits == r.e4m3_open);
        CHECK(to_float8_e5m2(r.x, overflow::to_infinity_or_nan).bits == r.e5m2_open);
    }
    CHECK(to_float(to_float6_e2m3(25.0f)) == 7.5f);
    CHECK(to_float(to_float6_e3m2(25.0f)) == 24.0f);
    CHECK(to_float6_e2m3(not_a_number).bits == 0x1f);
    CHECK(to_float4_e2m1(-not_a_number).bits == 0x07);
    CHECK(to_float4_e2m1(-infinity).bits == 0x0f);

    const float tied[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f}, even[] = {0.0f, 1.0f, 1.0f, 2.0f, 2.0f, 4.0f, 4.0f},
                low[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f};
    for (int i = 0; i < 7; ++i) {
        CHECK(to_float(to_float4_e2m1(tied[i])) == even[i]);
        CHECK(to_float(to_minifloat<float4_e2m1>(-tied[i], overflow::saturate, ties::toward_zero)) == -low[i]);
    }
}

TEST_CASE("float8_e8m0 is the power of two below, above, or nearest")
{
    const auto code = [](float x, e8m0_rounding r) { return static_cast<int>(to_float8_e8m0(x, r).bits); };
    for (const e8m0_rounding r : {e8m0_rounding::down, e8m0_rounding::up, e8m0_rounding::nearest}) {
        for (int i = 0; i < 255; ++i)
            CHECK(code(to_float(float8_e8m0 {static_cast<std::uint8_t>(i)}), r) == i);
        CHECK(code(not_a_number, r) == 255);
        CHECK(code(-infinity, r) == 255);
        CHECK(code(0.0f, r) == 0);
        CHECK(code(1e-45f, r) == 0);
        CHECK(code(3.0e38f, r) == 254);
    }
    CHECK(code(-1.25f, e8m0_rounding::down) == 127);
    CHECK(code(-1.25f, e8m0_rounding::up) == 128);
    CHECK(code(1.499f, e8m0_rounding::nearest) == 127);
    CHECK(code(1.5f, e8m0_rounding::nearest) == 128);
    CHECK(code(std::ldexp(1.25f, -127), e8m0_rounding::down) == 0);
    CHECK(code(std::ldexp(1.25f, -127), e8m0_rounding::up) == 1);
}

TEST_CASE("nf4 takes the nearest value of the QLoRA table")
{
    for (std::uint8_t i = 0; i < 16; ++i) {
        CHECK(to_nf4(nf4_values[i]).bits == i);
        CHECK(to_float(nf4 {i}) == nf4_values[i]);
    }
    for (std::uint8_t i = 0; i < 15; ++i) {
        const double mean = (static_cast<double>(nf4_values[i]) + static_cast<double>(nf4_values[i + 1])) / 2;
        CHECK(std::fabs(static_cast<double>(nf4_midpoints[i]) - mean) < 6e-8);
        CHECK(to_nf4(nf4_midpoints[i]).bits == i);
        CHECK(to_nf4(std::nextafter(nf4_midpoints[i], 2.0f)).bits == i + 1);
    }
    CHECK(to_nf4(-infinity).bits == 0);
    CHECK(to_nf4(infinity).bits == 15);
    CHECK(to_nf4(not_a_number).bits == 7);
    CHECK(nf4x2 {0xf7}.first() == nf4 {7});
    CHECK(nf4x2 {0xf7}.second() == nf4 {15});
}

TEST_CASE("codes of 2, 4 and 6 bits stand in their bytes as ONNX says")
{
    const int2x4 s {0b11'10'01'00};
    const uint2x4 u {0b11'10'01'00};
    for (int i = 0; i < 4; ++i) {
        CHECK(s[i] == (i < 2 ? i : i - 4));
        CHECK(u[i] == i);
    }
    CHECK(elements_for<int2x4>(0) == 0);
    CHECK(elements_for<int2x4>(1) == 1);
    CHECK(elements_for<uint2x4>(7) == 2);
    CHECK(elements_for<uint2x4>(8) == 2);
    CHECK(float4_e2m1x2 {0x2f}.first().bits == 15);
    CHECK(float4_e2m1x2 {0x2f}.second().bits == 2);
    // 1, 2, 3, 63 from bit 0 on: 0xfc3081.
    const float6_e3m2x4 f {{0x81, 0x30, 0xfc}};
    CHECK(f[0].bits == 1);
    CHECK(f[1].bits == 2);
    CHECK(f[2].bits == 3);
    CHECK(f[3].bits == 63);
}

TEST_CASE("bytes_for counts codes, scales and padding")
{
    for (int i = 0; i < storage_format_count; ++i) {
        const storage_format f = static_cast<storage_format>(i);
        CHECK(to_string(f) != std::string("unknown format"));
        CHECK(static_cast<double>(*bytes_for(64, 1024, f)) * 8 == bits_per_weight(f) * 64 * 1024);
    }
    CHECK(*bytes_for(2, 5, storage_format::int2) == 4);
    CHECK(*bytes_for(2, 5, storage_format::nf4) == 6);
    CHECK(*bytes_for(2, 5, storage_format::fp6_e2m3) == 12);
    CHECK(*bytes_for(3, 17, storage_format::nvfp4) == 3 * (9 + 2));
    CHECK(*bytes_for(4, 100, storage_format::int8, 32, storage_format::f16) == 4 * (100 + 8));
    CHECK(bytes_for(-1, 1, storage_format::f32).error() == status::negative_size);
    CHECK(bytes_for(1, 1, storage_format::int8, -32).error() == status::group_size_invalid);
    CHECK(bytes_for(PTRDIFF_MAX, 1, storage_format::int2).error() == status::size_overflow);
    CHECK(bytes_for(1, PTRDIFF_MAX, storage_format::int2).error() == status::size_overflow);
    CHECK(row_bytes(8, static_cast<storage_format>(99)) == 0);
}

TEST_CASE("float8_e4m3 conversions equal the definition on every backend") { check_convert<float8_e4m3>(); }
TEST_CASE("float8_e5m2 conversions equal the definition on every backend") { check_convert<float8_e5m2>(); }

TEST_CASE("MXFP4 equals the reference on every backend") { compare_mx<float4_e2m1x2>(); }
TEST_CASE("MXFP6 E2M3 equals the reference on every backend") { compare_mx<float6_e2m3x4>(); }
TEST_CASE("MXFP6 E3M2 equals the reference on every backend") { compare_mx<float6_e3m2x4>(); }
TEST_CASE("MXFP8 E4M3 equals the reference on every backend") { compare_mx<float8_e4m3>(); }
TEST_CASE("MXFP8 E5M2 equals the reference on every backend") { compare_mx<float8_e5m2>(); }
TEST_CASE("MXINT8 equals the reference on every backend") { compare_mx<std::int8_t>(); }

TEST_CASE("every MX code times every scale equals the reference on every backend")
{
    decode_all_mx<float4_e2m1x2>();
    decode_all_mx<float6_e2m3x4>();
    decode_all_mx<float6_e3m2x4>();
    decode_all_mx<float8_e4m3>();
    decode_all_mx<float8_e5m2>();
    decode_all_mx<std::int8_t>();
}

TEST_CASE("NVFP4 equals the reference on every backend")
{
    std::uint64_t seed = 100;
    for (const std::ptrdiff_t cols : some_cols)
        for (const float tensor_scale : {1.0f, 0.0123f, 1e-40f, 1e30f})
            for (const element_rounding rounding : roundings) {
                const mx_sizes sizes {3, cols, (cols + 1) / 2, (cols + 15) / 16};
                compare_blocks<float4_e2m1x2, float8_e4m3>(
                    sizes, 16, ++seed,
                    [&](auto x, auto q, auto s, auto y) {
                        REQUIRE(quantize_nvfp4(x, tensor_scale, q, s, rounding) == status::ok);
                        REQUIRE(dequantize_nvfp4(constant(q), constant(s), tensor_scale, y) == status::ok);
                    },
                    [&](auto x, auto q, auto s, auto y) {
                        reference::quantize_nvfp4(x, tensor_scale, q, s, rounding);
                        reference::dequantize_nvfp4(constant(q), constant(s), tensor_scale, y);
                    });
            }
}

TEST_CASE("MX scales follow their rules")
{
    // 7 is between the largest MXFP4 element and the next power of two: floor saturates it.
    CHECK(one_block<float4_e2m1x2>({7.0f, 1.0f, -0.1f}, {scale_rule::floor}).scale == 127);
    CHECK(one_block<float4_e2m1x2>({7.0f, 1.0f, -0.1f}, {scale_rule::floor}).codes == std::vector<int> {7, 2, 8});
    CHECK(one_block<float4_e2m1x2>({7.0f, 1.0f}, {scale_rule::even}).scale == 128);
    CHECK(one_block<float4_e2m1x2>({7.0f, 1.0f}, {scale_rule::ceil}).scale == 128);
    CHECK(one_block<float4_e2m1x2>({6.5f}, {scale_rule::even}).scale == 127);
    CHECK(one_block<float4_e2m1x2>({6.5f}, {scale_rule::ceil}).scale == 128);
    CHECK(one_block<float4_e2m1x2>({6.0f}, {scale_rule::ceil}).scale == 127);
    CHECK(one_block<float8_e4m3>({448.0f}, {scale_rule::ceil}).scale == 127);
    CHECK(one_block<float8_e4m3>({448.1f}, {scale_rule::ceil}).scale == 128);
    CHECK(one_block<float8_e4m3>({495.9f}, {scale_rule::even}).scale == 127);
    CHECK(one_block<float8_e4m3>({496.0f}, {scale_rule::even}).scale == 128);
    CHECK(one_block<std::int8_t>({1.0f, -1.984375f, 0.0078125f, 0.0234375f}).codes == std::vector<int> {64, -127, 0, 2});
    CHECK(one_block<std::int8_t>({1.999f}).codes == std::vector<int> {127});
    CHECK(one_block<std::int8_t>({1.999f}, {scale_rule::ceil}).codes == std::vector<int> {64});
    // The ends of E8M0.
    CHECK(one_block<float4_e2m1x2>({1e-45f}).scale == 0);
    CHECK(one_block<float4_e2m1x2>({std::ldexp(1.0f, -125)}).scale == 0);
    CHECK(one_block<float4_e2m1x2>({std::ldexp(1.0f, -124)}).scale == 1);
    CHECK(one_block<std::int8_t>({3.4e38f}, {scale_rule::ceil}).scale == 254);
    CHECK(one_block<std::int8_t>({std::ldexp(1.9922f, -127)}, {scale_rule::ceil}).scale == 1);
    CHECK(one_block<std::int8_t>({std::ldexp(1.9843f, -127)}, {scale_rule::ceil}).scale == 0);
    // Blocks without a scale.
    for (const float bad : {not_a_number, -not_a_number, infinity, -infinity}) {
        CHECK(one_block<float8_e5m2>({1.0f, bad, -2.0f}).scale == 255);
        CHECK(one_block<float8_e5m2>({1.0f, bad, -2.0f}).codes == std::vector<int> {0, 0, 0});
    }
    CHECK(one_block<float4_e2m1x2>({0.0f, -0.0f}).scale == 0);
    CHECK(one_block<float4_e2m1x2>({0.0f, -0.0f}).codes == std::vector<int> {0, 0});
}

TEST_CASE("MXFP4 with ggml's rounding is the search that ggml makes")
{
    // Twice the elements; the first of the least errors wins, hence ties to the smaller magnitude and +0.
    const float values[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    test::random random(11);
    for (int round = 0; round < 300; ++round) {
        std::vector<float> x(32);
        for (float& v : x)
            v = round % 2 == 0 ? random.real() : static_cast<float>(random.integer(-64, 64)) / 8.0f;
        float amax = 0.0f;
        for (const float v : x)
            amax = std::fmax(amax, std::fabs(v));
        const int e = std::ilogb(amax) - 2 + 127;
        const float d = std::ldexp(1.0f, e - 128);
        std::vector<int> codes;
        for (const float v : x) {
            int best = 0;
            for (int i = 1; i < 16; ++i)
                if (std::fabs(values[i] * d - v) < std::fabs(values[best] * d - v))
                    best = i;
            codes.push_back(best);
        }
        const block_result result = one_block<float4_e2m1x2>(x, {scale_rule::floor, element_rounding::ggml});
        CHECK(result.scale == e);
        CHECK(result.codes == codes);
    }
}

TEST_CASE("the caller's rounding mode does not change formats")
{
    std::vector<float> x(64);
    fill_blocks({x.data(), 1, 64}, 32, 5);
    std::vector<float8_e4m3> codes(64), mx(64), codes_up(64), mx_up(64);
    std::vector<float8_e8m0> scales(2), scales_up(2);
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        REQUIRE(convert(x, codes) == status::ok);
        REQUIRE(quantize_mx(matrix_view<const float>(x.data(), 1, 64), matrix_view<float8_e4m3>(mx.data(), 1, 64), {scales.data(), 1, 2})
                == status::ok);
        std::fesetround(FE_UPWARD);
        const status s1 = convert(x, codes_up);
        const status s2 = quantize_mx(
            matrix_view<const float>(x.data(), 1, 64), matrix_view<float8_e4m3>(mx_up.data(), 1, 64), {scales_up.data(), 1, 2});
        std::fesetround(FE_TONEAREST);
        REQUIRE(s1 == status::ok);
        REQUIRE(s2 == status::ok);
        CHECK(codes == codes_up);
        CHECK(mx == mx_up);
        CHECK(scales == scales_up);
    }
}

TEST_CASE("formats: bad arguments name the rule and write nothing")
{
    const std::vector<float> x(2 * 40, 1.0f);
    std::vector<float4_e2m1x2> q(2 * 20, float4_e2m1x2 {0x77});
    std::vector<float8_e8m0> scales(2 * 2, float8_e8m0 {77});
    std::vector<float8_e4m3> nv_scales(2 * 3, float8_e4m3 {77});
    std::vector<float> y(2 * 40, 7.0f);
    const auto q_before = q;
    const auto scales_before = scales;
    const auto nv_before = nv_scales;
    const auto y_before = y;
    const matrix_view<const float> in(x.data(), 2, 40);
    const matrix_view<float4_e2m1x2> codes(q.data(), 2, 20);
    const matrix_view<float8_e8m0> s(scales.data(), 2, 2);
    const matrix_view<float8_e4m3> nv(nv_scales.data(), 2, 3);
    const matrix_view<float> out(y.data(), 2, 40);

    CHECK(quantize_mx({nullptr, 2, 40}, codes, s) == status::null_pointer);
    CHECK(quantize_mx(in, matrix_view<float4_e2m1x2>(nullptr, 2, 20), s) == status::null_pointer);
    CHECK(quantize_mx(in, codes, {nullptr, 2, 2}) == status::null_pointer);
    CHECK(quantize_mx({x.data(), -2, 40}, codes, s) == status::negative_size);
    CHECK(quantize_mx({x.data(), 2, 40, 39}, codes, s) == status::stride_too_small);
    CHECK(quantize_mx(in, matrix_view<float4_e2m1x2>(q.data(), 2, 20, 19), s) == status::stride_too_small);
    CHECK(quantize_mx(in, codes, {scales.data(), 2, 2, 1}) == status::stride_too_small);
    CHECK(quantize_mx(in, matrix_view<float4_e2m1x2>(q.data(), 2, 19), s) == status::shape_mismatch);
    CHECK(quantize_mx(in, matrix_view<float4_e2m1x2>(q.data(), 1, 20), s) == status::shape_mismatch);
    CHECK(quantize_mx(in, codes, {scales.data(), 2, 1}) == status::shape_mismatch);
    CHECK(dequantize_mx(constant(codes), constant(s), {y.data(), 2, 41}) == status::shape_mismatch);
    CHECK(dequantize_mx(constant(codes), constant(s), {nullptr, 2, 40}) == status::null_pointer);
    for (const float bad : {0.0f, -1.0f, not_a_number, infinity}) {
        CHECK(quantize_nvfp4(in, bad, codes, nv) == status::scale_invalid);
        CHECK(dequantize_nvfp4(constant(codes), constant(nv), bad, out) == status::scale_invalid);
    }
    CHECK(quantize_nvfp4(in, 1.0f, codes, {nv_scales.data(), 2, 2}) == status::shape_mismatch);
    CHECK(dequantize_nvfp4(constant(codes), {nullptr, 2, 3}, 1.0f, out) == status::null_pointer);
    CHECK(convert(x, span<float8_e4m3>(nv_scales)) == status::shape_mismatch);
    CHECK(quantize_mx({nullptr, 0, 40}, matrix_view<float4_e2m1x2>(nullptr, 0, 20), {nullptr, 0, 2}) == status::ok);
    CHECK(q == q_before);
    CHECK(scales == scales_before);
    CHECK(nv_scales == nv_before);
    CHECK(y == y_before);
}

// Half against F16C, which the AVX2 backend converts with, bfloat16 against the formula, the others against the conversion of one number;
// the reference's own half is compared in the same pass. About a minute on two cores.
TEST_CASE("all floats convert as defined", "[.slow][native]")
{
    constexpr std::uint64_t all = 1ull << 32;
    constexpr std::size_t chunk = 1 << 16;
    const backend hardware = check_backend(backend::avx2) == status::ok ? backend::avx2 : best_backend();
    REQUIRE(force_backend(hardware) == status::ok);
    std::atomic<std::uint64_t> next {0}, wrong_half {0}, wrong_bfloat16 {0}, wrong_e4m3 {0}, wrong_e5m2 {0}, refused {0};
    const auto work = [&] {
        std::vector<float> x(chunk);
        std::vector<half> h(chunk);
        std::vector<bfloat16> f(chunk);
        std::vector<float8_e4m3> e4m3(chunk);
        std::vector<float8_e5m2> e5m2(chunk);
        for (std::uint64_t begin = next.fetch_add(chunk); begin < all; begin = next.fetch_add(chunk)) {
            for (std::size_t i = 0; i < chunk; ++i)
                x[i] = float_from_bits(static_cast<std::uint32_t>(begin + i));
            refused += convert(x, h) != status::ok || convert(x, f) != status::ok;
            refused += convert(x, e4m3, overflow::to_infinity_or_nan) != status::ok;
            refused += convert(x, e5m2, overflow::to_infinity_or_nan) != status::ok;
            std::uint64_t bad_half = 0, bad_bfloat16 = 0, bad_e4m3 = 0, bad_e5m2 = 0;
            for (std::size_t i = 0; i < chunk; ++i) {
                const std::uint32_t u = static_cast<std::uint32_t>(begin + i), upper = u >> 16, lower = u & 0xffffu;
                const bool up = lower > 0x8000u || (lower == 0x8000u && upper % 2 != 0);
                const std::uint32_t rounded = (u & 0x7fffffffu) > 0x7f800000u ? upper | 0x40u : upper + up;
                bad_bfloat16 += f[i].bits != rounded || to_bfloat16(x[i]).bits != rounded;
                bad_half += h[i].bits != to_half(x[i]).bits;
                bad_e4m3 += e4m3[i].bits != to_float8_e4m3(x[i], overflow::to_infinity_or_nan).bits;
                bad_e5m2 += e5m2[i].bits != to_float8_e5m2(x[i], overflow::to_infinity_or_nan).bits;
            }
            wrong_half += bad_half;
            wrong_bfloat16 += bad_bfloat16;
            wrong_e4m3 += bad_e4m3;
            wrong_e5m2 += bad_e5m2;
        }
    };
    thread_pool pool;
    pool.parallel_for(pool.threads(), [&](std::size_t) { work(); });
    CHECK(refused == 0);
    CHECK(wrong_half == 0);
    CHECK(wrong_bfloat16 == 0);
    CHECK(wrong_e4m3 == 0);
    CHECK(wrong_e5m2 == 0);
}

TEST_CASE("every half and bfloat16 that is no signalling NaN comes back as it was")
{
    for (std::uint32_t code = 0; code < 65536; ++code) {
        const half h {static_cast<std::uint16_t>(code)};
        const bfloat16 f {static_cast<std::uint16_t>(code)};
        const bool half_signals = (code & 0x7c00u) == 0x7c00u && (code & 0x3ffu) != 0 && (code & 0x200u) == 0;
        const bool bfloat16_signals = (code & 0x7f80u) == 0x7f80u && (code & 0x7fu) != 0 && (code & 0x40u) == 0;
        if (to_half(to_float(h)).bits != (half_signals ? code | 0x200u : code)
            || to_bfloat16(to_float(f)).bits != (bfloat16_signals ? code | 0x40u : code))
            FAIL("code " << code);
    }
    SUCCEED();
}
