// ONNX's operators against reference/onnx.hpp: thousands of small tensors of random shapes, on random backends.
#include "../support.hpp"

#include <algorithm>
#include <cmath>
#include <string>

using namespace nibble;

namespace {

template <class T>
std::vector<T> random_codes(test::random& random, std::ptrdiff_t count)
{
    std::vector<T> x(static_cast<std::size_t>(count));
    for (T& code : x)
        code = static_cast<T>(random.bits());
    return x;
}

std::vector<std::int32_t> random_zero_points(test::random& random, std::ptrdiff_t count, std::int32_t low, std::int32_t high)
{
    std::vector<std::int32_t> z(static_cast<std::size_t>(count));
    for (std::int32_t& zero_point : z)
        zero_point = random.integer(low, high);
    return z;
}

template <class T>
std::vector<std::int32_t> zero_points_of(test::random& random, std::ptrdiff_t count)
{
    return random_zero_points(random, count, code_traits<T>::qmin, code_traits<T>::qmax);
}

std::vector<float> random_scales(test::random& random, std::ptrdiff_t count)
{
    std::vector<float> s(static_cast<std::size_t>(count));
    for (float& scale : s)
        scale = std::ldexp(random.integer(0, 1) ? 1.0f : 1.0f + 0.1f * static_cast<float>(random.integer(0, 9)), random.integer(-6, 2));
    return s;
}

// Ties, zeros, subnormals, huge numbers, infinities and NaN among ordinary ones.
float hard_number(test::random& random)
{
    static const float special[] = {
        0.0f, -0.0f, 1e-45f, -1e-40f, 3.4e38f, -3.4e38f, HUGE_VALF, -HUGE_VALF, float_from_bits(0x7fc00000u), float_from_bits(0xffc12345u)};
    switch (random.integer(0, 9)) {
    case 0: return special[random.integer(0, 9)];
    case 1: return random.real() * 20000.0f;
    case 2:
    case 3: return static_cast<float>(random.integer(-600, 600)) * 0.0625f;
    case 4: return std::ldexp(random.real(), random.integer(-20, 4));
    default: return random.real() * 5.0f;
    }
}

void use_some_backend(test::random& random)
{
    static const std::vector<backend> usable = test::usable_backends();
    REQUIRE(force_backend(usable[static_cast<std::size_t>(random.integer(0, static_cast<std::int32_t>(usable.size()) - 1))]) == status::ok);
}

struct every_backend {
    ~every_backend() { (void)force_backend(best_backend()); }
};

std::string text(const std::vector<std::ptrdiff_t>& shape)
{
    std::string s;
    for (const std::ptrdiff_t size : shape)
        s += (s.empty() ? "" : " x ") + std::to_string(size);
    return s;
}

std::ptrdiff_t product(const std::vector<std::ptrdiff_t>& shape)
{
    std::ptrdiff_t n = 1;
    for (const std::ptrdiff_t size : shape)
        n *= size;
    return n;
}

template <class Q>
void linear_case(test::random& random)
{
    constexpr bool is_float = reference::detail::is_linear_float<Q>;
    constexpr std::ptrdiff_t each = onnx::detail::linear_traits<Q>::per_element;
    std::vector<std::ptrdiff_t> shape(static_cast<std::size_t>(random.integer(1, 4)));
    for (std::ptrdiff_t& size : shape)
        size = random.integer(random.integer(0, 30) == 0 ? 0 : 1, 9);
    if (random.integer(0, 9) == 0)
        shape.back() = random.integer(1, 700);
    const std::ptrdiff_t rank = static_cast<std::ptrdiff_t>(shape.size()), axis = random.integer(0, static_cast<std::int32_t>(rank) - 1);
    const int kind = random.integer(0, 2); // the whole tensor, along an axis, in blocks
    const std::ptrdiff_t block = kind == 2 ? random.integer(1, 5) : 0, length = shape[static_cast<std::size_t>(axis)];
    std::ptrdiff_t scales = kind == 0 ? 1 : length;
    if (kind == 2)
        scales = length == 0 ? 0 : product(shape) / length * ((length + block - 1) / block);
    const std::ptrdiff_t count = product(shape), given_axis = random.integer(0, 1) ? axis : axis - rank;
    std::vector<std::int32_t> zeros(static_cast<std::size_t>(random.integer(0, 1) ? scales : 0));
    if constexpr (!is_float)
        for (std::int32_t& zero : zeros)
            zero = random.integer(code_traits<Q>::qmin, code_traits<Q>::qmax);
    const std::vector<float> scale = random_scales(random, scales);
    const overflow rule = random.integer(0, 1) ? overflow::saturate : overflow::to_infinity_or_nan;
    const test::guarded<float> x(count, random.integer(0, 1) != 0), back(count, random.integer(0, 1) != 0);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = hard_number(random);
    const std::ptrdiff_t stored = count / each + (count % each != 0);
    const test::guarded<Q> y(stored, random.integer(0, 1) != 0), codes(stored, random.integer(0, 1) != 0);
    std::vector<Q> expected(static_cast<std::size_t>(stored));
    INFO("shape " << text(shape) << ", axis " << given_axis << ", block " << block << " on " << to_string(active_backend()));
    const span<const float> from(x.data(), x.size());
    REQUIRE(onnx::quantize_linear<Q>(
                from, shape, scale, zeros, span<Q>(y.data(), y.size()), given_axis, block, test::reversed_executor {}, rule)
            == status::ok);
    reference::quantize_linear<Q>(from, shape, scale, zeros, expected.data(), given_axis, block, rule);
    CHECK(test::same_bits(y.data(), expected.data(), expected.size()));

    for (std::size_t i = 0; i < codes.size(); ++i) {
        const std::uint32_t bits = random.bits();
        std::memcpy(static_cast<void*>(codes.data() + i), &bits, sizeof(Q));
    }
    std::vector<float> numbers(static_cast<std::size_t>(count));
    REQUIRE(onnx::dequantize_linear<Q>(span<const Q>(codes.data(), codes.size()), shape, scale, zeros,
                span<float>(back.data(), back.size()), given_axis, block, test::reversed_executor {})
            == status::ok);
    reference::dequantize_linear<Q>(codes.data(), shape, scale, zeros, numbers, given_axis, block);
    CHECK(test::same_bits(back.data(), numbers.data(), numbers.size()));
}

} // namespace

TEST_CASE("ONNX QuantizeLinear and DequantizeLinear of random tensors equal their definition, of every type")
{
    const every_backend after;
    test::random random(41);
    for (int i = 0; i < 500; ++i) {
        use_some_backend(random);
        linear_case<std::int8_t>(random);
        linear_case<std::uint8_t>(random);
        linear_case<std::int16_t>(random);
        linear_case<std::uint16_t>(random);
        linear_case<int4x2>(random);
        linear_case<uint4x2>(random);
        linear_case<int2x4>(random);
        linear_case<uint2x4>(random);
        linear_case<float8_e4m3>(random);
        linear_case<float8_e5m2>(random);
        linear_case<float8_e4m3fnuz>(random);
        linear_case<float8_e5m2fnuz>(random);
        linear_case<float4_e2m1x2>(random);
    }
}

TEST_CASE("ONNX float codes, worked values")
{
    const float inf = HUGE_VALF, nan = float_from_bits(0x7fc00000u);
    const std::vector<float> x {0.0f, -0.0f, 1, -1, 448, 464, 465, -465, 248, inf, -inf, nan, 0x1p-9f, 0x1p-10f, 61440, -2.5f};
    const std::vector<std::ptrdiff_t> shape {16};
    const std::vector<float> one {1.0f};
    const auto codes = [&](auto type, overflow rule) {
        std::vector<decltype(type)> y(16);
        REQUIRE(onnx::quantize_linear<decltype(type)>(x, shape, one, {}, y, 0, 0, serial_executor {}, rule) == status::ok);
        std::vector<int> bits;
        for (const auto& code : y)
            bits.push_back(code.bits);
        return bits;
    };
    using list = std::vector<int>;
    CHECK(codes(float8_e4m3 {}, overflow::saturate)
          == list {0, 0x80, 0x38, 0xb8, 0x7e, 0x7e, 0x7e, 0xfe, 0x78, 0x7e, 0xfe, 0x7f, 1, 0, 0x7e, 0xc2});
    CHECK(codes(float8_e4m3 {}, overflow::to_infinity_or_nan)
          == list {0, 0x80, 0x38, 0xb8, 0x7e, 0x7e, 0x7f, 0xff, 0x78, 0x7f, 0xff, 0x7f, 1, 0, 0x7f, 0xc2});
    CHECK(codes(float8_e5m2 {}, overflow::saturate)
          == list {0, 0x80, 0x3c, 0xbc, 0x5f, 0x5f, 0x5f, 0xdf, 0x5c, 0x7b, 0xfb, 0x7f, 0x18, 0x14, 0x7b, 0xc1});
    CHECK(codes(float8_e5m2 {}, overflow::to_infinity_or_nan)
          == list {0, 0x80, 0x3c, 0xbc, 0x5f, 0x5f, 0x5f, 0xdf, 0x5c, 0x7c, 0xfc, 0x7f, 0x18, 0x14, 0x7c, 0xc1});
    CHECK(codes(float8_e4m3fnuz {}, overflow::saturate)
          == list {0, 0, 0x40, 0xc0, 0x7f, 0x7f, 0x7f, 0xff, 0x7f, 0x7f, 0xff, 0x80, 2, 1, 0x7f, 0xca});
    CHECK(codes(float8_e4m3fnuz {}, overflow::to_infinity_or_nan)
          == list {0, 0, 0x40, 0xc0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2, 1, 0x80, 0xca});
    CHECK(codes(float8_e5m2fnuz {}, overflow::saturate)
          == list {0, 0, 0x40, 0xc0, 0x63, 0x63, 0x63, 0xe3, 0x60, 0x7f, 0xff, 0x80, 0x1c, 0x18, 0x7f, 0xc5});
    CHECK(codes(float8_e5m2fnuz {}, overflow::to_infinity_or_nan)
          == list {0, 0, 0x40, 0xc0, 0x63, 0x63, 0x63, 0xe3, 0x60, 0x80, 0x80, 0x80, 0x1c, 0x18, 0x80, 0xc5});

    // E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6; ties to even, the largest value beyond, NaN as it; the first code of a byte lowest.
    const std::vector<float> small {0.25f, 0.75f, 1.25f, -1.75f, 2.5f, 3.5f, 5.0f, 7.0f, -inf, nan, -0.0f};
    std::vector<float4_e2m1x2> four(6);
    REQUIRE(onnx::quantize_linear<float4_e2m1x2>(small, std::vector<std::ptrdiff_t> {11}, one, {}, four) == status::ok);
    const int expected[] = {0x20, 0xc2, 0x64, 0x76, 0x7f, 0x08};
    for (std::size_t i = 0; i < 6; ++i)
        CHECK(four[i].bits == expected[i]);
    std::vector<float> back(11);
    REQUIRE(
        onnx::dequantize_linear<float4_e2m1x2>(four, std::vector<std::ptrdiff_t> {11}, std::vector<float> {0.5f}, {}, back) == status::ok);
    CHECK(back == std::vector<float> {0, 0.5f, 0.5f, -1, 1, 2, 2, 3, -3, 3, -0.0f});
}

namespace {

template <class T>
void check_fnuz(float least, float greatest)
{
    for (int bits = 0; bits < 256; ++bits) {
        const T code {static_cast<std::uint8_t>(bits)};
        CHECK(to_fnuz_float<T>(to_float(code)) == code);
    }
    CHECK(to_float(T {1}) == least);
    CHECK(to_float(T {0x7f}) == greatest);
    CHECK(float_bits(to_float(T {0x80})) == 0xffc00000u);
    // Nearest, of two as near the one whose code is even.
    test::random random(44);
    for (int i = 0; i < 4000; ++i) {
        const float x = i % 2 == 0
                            ? std::ldexp(random.real(), random.integer(-20, 15))
                            : (to_float(T {static_cast<std::uint8_t>(i % 127)}) + to_float(T {static_cast<std::uint8_t>(i % 127 + 1)}))
                                  * (random.integer(0, 1) ? 0.5f : -0.5f);
        int best = 0;
        for (int bits = 0; bits < 256; ++bits) {
            if (bits == 0x80)
                continue;
            const auto off = [&](int b) {
                return std::fabs(static_cast<double>(to_float(T {static_cast<std::uint8_t>(b)})) - static_cast<double>(x));
            };
            if (off(bits) < off(best) || (off(bits) == off(best) && bits % 2 == 0))
                best = bits;
        }
        CHECK(to_fnuz_float<T>(x).bits == best);
    }
}

} // namespace

TEST_CASE("8-bit floats without a negative zero are the nearest ones")
{
    check_fnuz<float8_e4m3fnuz>(0x1p-10f, 240.0f);
    check_fnuz<float8_e5m2fnuz>(0x1p-17f, 57344.0f);
}

TEST_CASE("ONNX QuantizeLinear refuses what the operator does not have")
{
    const std::vector<float> x(6, 1.0f), one {1.0f}, three {1.0f, 1.0f, 1.0f}, zero_scale {0.0f};
    const std::vector<std::ptrdiff_t> shape {2, 3};
    const std::vector<std::int32_t> five {5}, far {65536}, below {-1};
    std::vector<float8_e4m3> f8(6, float8_e4m3 {9});
    std::vector<std::uint16_t> u16(6, 9);
    std::vector<float4_e2m1x2> f4(2);
    CHECK(onnx::quantize_linear<float8_e4m3>(x, shape, one, five, f8) == status::zero_point_out_of_range);
    CHECK(onnx::quantize_linear<float8_e4m3>(x, shape, zero_scale, {}, f8) == status::scale_invalid);
    CHECK(onnx::quantize_linear<float4_e2m1x2>(x, shape, one, {}, f4) == status::shape_mismatch);
    CHECK(onnx::quantize_linear<std::uint16_t>(x, shape, one, far, u16) == status::zero_point_out_of_range);
    CHECK(onnx::quantize_linear<std::uint16_t>(x, shape, one, below, u16) == status::zero_point_out_of_range);
    CHECK(onnx::quantize_linear<std::uint16_t>(x, shape, three, {}, u16, 0) == status::params_count_mismatch);
    CHECK(onnx::quantize_linear<std::uint16_t>(x, shape, three, {}, u16, 2) == status::shape_mismatch);
    CHECK(onnx::quantize_linear<std::uint16_t>(x, shape, three, {}, u16, 1, -1) == status::group_size_invalid);
    CHECK(onnx::quantize_linear<std::uint16_t>({nullptr, 6}, shape, one, {}, u16) == status::null_pointer);
    CHECK(std::count(u16.begin(), u16.end(), 9) == 6);
    CHECK(std::count(f8.begin(), f8.end(), float8_e4m3 {9}) == 6);
}

namespace {

template <class A, class B>
void matmul_case(test::random& random)
{
    // Batches that broadcast: each dimension is the result's, 1, or not there.
    const int rank = random.integer(0, 3);
    std::vector<std::ptrdiff_t> batch(static_cast<std::size_t>(rank)), a_shape, b_shape;
    std::ptrdiff_t matrices = 1;
    const int a_missing = random.integer(0, rank), b_missing = a_missing == 0 ? random.integer(0, rank) : 0;
    for (int d = 0; d < rank; ++d) {
        const std::ptrdiff_t size = random.integer(random.integer(0, 40) == 0 ? 0 : 1, 3);
        const bool a_has = d >= a_missing, b_has = d >= b_missing, one = random.integer(0, 1) != 0;
        const bool a_one = a_has && b_has && one && random.integer(0, 1), b_one = a_has && b_has && one && !a_one;
        if (a_has)
            a_shape.push_back(a_one ? 1 : size);
        if (b_has)
            b_shape.push_back(b_one ? 1 : size);
        matrices *= size;
    }
    const std::ptrdiff_t m = random.integer(1, 5), k = random.integer(random.integer(0, 40) == 0 ? 0 : 1, 40), n = random.integer(1, 20);
    const std::ptrdiff_t a_matrices = product(a_shape), b_matrices = product(b_shape);
    a_shape.insert(a_shape.end(), {m, k});
    b_shape.insert(b_shape.end(), {k, n});
    const std::vector<A> a = random_codes<A>(random, product(a_shape));
    const std::vector<B> b = random_codes<B>(random, product(b_shape));
    const auto some = [&](std::ptrdiff_t each, std::ptrdiff_t all) {
        const std::ptrdiff_t counts[] = {0, 1, each, all};
        return counts[random.integer(0, 3)];
    };
    const std::vector<std::int32_t> a_zero = zero_points_of<A>(random, some(m, a_matrices * m)),
                                    b_zero = zero_points_of<B>(random, some(n, b_matrices * n));
    INFO(text(a_shape) << " by " << text(b_shape) << ", zero points " << a_zero.size() << " and " << b_zero.size() << " on "
                       << to_string(active_backend()));
    const std::size_t size = static_cast<std::size_t>(matrices * m * n);
    std::vector<std::int32_t> y(size, 7), expected(size);
    REQUIRE(onnx::matmul_integer<A, B>(a, a_shape, a_zero, b, b_shape, b_zero, y, test::reversed_executor {}) == status::ok);
    reference::matmul_integer(a.data(), a_shape, a_zero, b.data(), b_shape, b_zero, matrices, expected.data());
    CHECK(y == expected);

    const std::vector<float> b_scale = random_scales(random, std::max<std::ptrdiff_t>(1, some(n, b_matrices * n)));
    if (b_scale.size() != 1 && b_scale.size() != static_cast<std::size_t>(n) && b_scale.size() != static_cast<std::size_t>(b_matrices * n))
        return;
    const std::int32_t one_zero = a_zero.empty() ? 0 : a_zero[0], y_zero = random.integer(code_traits<A>::qmin, code_traits<A>::qmax);
    const float a_scale = 0.03125f, y_scale = random.integer(0, 1) ? 4.0f : 3.7f;
    std::vector<A> q(size), q_expected(size);
    REQUIRE(onnx::qlinear_matmul<A, B, A>(a, a_shape, a_scale, one_zero, b, b_shape, b_scale, b_zero, y_scale, y_zero, q) == status::ok);
    reference::qlinear_matmul(
        a.data(), a_shape, a_scale, one_zero, b.data(), b_shape, b_scale, b_zero, y_scale, y_zero, matrices, q_expected.data());
    CHECK(q == q_expected);
}

} // namespace

TEST_CASE("ONNX products of random batches equal their definition")
{
    const every_backend after;
    test::random random(42);
    for (int i = 0; i < 1500; ++i) {
        use_some_backend(random);
        matmul_case<std::int8_t, std::int8_t>(random);
        matmul_case<std::uint8_t, std::int8_t>(random);
        matmul_case<std::uint8_t, std::uint8_t>(random);
        matmul_case<std::int8_t, std::uint8_t>(random);
    }
}

TEST_CASE("ONNX products of tensors check their shapes")
{
    using shape = std::vector<std::ptrdiff_t>;
    std::vector<std::int8_t> a(24, 1), b(24, 1);
    std::vector<std::int32_t> y(36, 9);
    const auto run = [&](const shape& as, const shape& bs, std::size_t outputs, const std::vector<std::int32_t>& az = {},
                         const std::vector<std::int32_t>& bz = {}) {
        return onnx::matmul_integer<std::int8_t, std::int8_t>(a, as, az, b, bs, bz, span<std::int32_t>(y.data(), outputs));
    };
    CHECK(run({2, 3, 4}, {3, 4, 2}, 36) == status::shape_mismatch);
    CHECK(run({2, 3, 4}, {2, 6, 2}, 12) == status::shape_mismatch);
    CHECK(run({2, 3, 4}, {2, 4, 3}, 17) == status::shape_mismatch);
    CHECK(run({2, 3, 5}, {2, 5, 3}, 18) == status::shape_mismatch);
    CHECK(run({-2, 3, 4}, {2, 4, 3}, 18) == status::negative_size);
    CHECK(run({}, {2, 4, 3}, 18) == status::shape_mismatch);
    CHECK(run({PTRDIFF_MAX / 8, 3, 4}, {2, 4, 3}, 18) == status::shape_mismatch);
    CHECK(run({PTRDIFF_MAX / 8, 3, 4}, {1, 4, 6}, 18) == status::size_overflow);
    CHECK(run({2, 3, 4}, {2, 4, 3}, 18, {1, 2}) == status::params_count_mismatch);
    CHECK(run({2, 3, 4}, {2, 4, 3}, 18, {}, {1, 2, 128}) == status::zero_point_out_of_range);
    CHECK(std::count(y.begin(), y.end(), 9) == 36);
    // A shape of one dimension is a row on the left, a column on the right, as in numpy.matmul.
    REQUIRE(run({24}, {24}, 1) == status::ok);
    CHECK(y[0] == 24);
    REQUIRE(onnx::matmul_integer<std::int8_t, std::int8_t>(
                span<const std::int8_t>(a.data(), 4), shape {4}, {}, b, shape {2, 4, 3}, {}, span<std::int32_t>(y.data(), 6))
            == status::ok);
    CHECK(std::count(y.begin(), y.end(), 4) == 6);

    // Sums of 255 * 255 a product would not fit int32.
    std::vector<std::int8_t> row(70000, 127), column(70000, 127);
    CHECK(onnx::matmul_integer<std::int8_t, std::int8_t>(row, shape {1, 70000}, std::vector<std::int32_t> {-1}, column, shape {70000, 1},
              std::vector<std::int32_t> {-1}, span<std::int32_t>(y.data(), 1))
          == status::k_too_large);
}

namespace {

template <class X, class W>
void conv_case(test::random& random)
{
    tflite::window at;
    at.kernel_height = random.integer(1, 4);
    at.kernel_width = random.integer(1, 4);
    if (random.integer(0, 3) == 0)
        at.kernel_height = at.kernel_width = 1;
    if (random.integer(0, 2) != 0) {
        at.stride_height = random.integer(1, 3);
        at.stride_width = random.integer(1, 3);
        at.dilation_height = random.integer(1, 2);
        at.dilation_width = random.integer(1, 2);
        at.pad_top = random.integer(0, 3);
        at.pad_left = random.integer(0, 3);
        at.pad_bottom = random.integer(0, 3);
        at.pad_right = random.integer(0, 3);
    }
    const std::ptrdiff_t batch = random.integer(1, 2), height = random.integer(1, 9), width = random.integer(1, 9);
    const std::ptrdiff_t groups = random.integer(1, 4), in = groups * random.integer(1, random.integer(0, 1) ? 1 : 9),
                         out = groups * random.integer(1, 6);
    const std::ptrdiff_t out_height = tflite::output_height(at, height), out_width = tflite::output_width(at, width);
    const std::vector<X> x = random_codes<X>(random, batch * in * height * width);
    const std::vector<W> w = random_codes<W>(random, out * (in / groups) * at.kernel_height * at.kernel_width);
    const std::int32_t x_zero = random.integer(code_traits<X>::qmin, code_traits<X>::qmax);
    std::vector<std::int32_t> w_zero;
    switch (random.integer(0, 4)) {
    case 0: w_zero = zero_points_of<W>(random, 1); break;
    case 1: w_zero = zero_points_of<W>(random, out); break;
    case 2: break;
    default: w_zero.assign(1, std::is_same_v<W, std::uint8_t> ? 128 : 0); break; // as good as none
    }
    const std::size_t size = static_cast<std::size_t>(batch * out * out_height * out_width);
    INFO(batch << " x " << in << " x " << height << " x " << width << " to " << out << ", kernel " << at.kernel_height << " x "
               << at.kernel_width << ", groups " << groups << ", zero points " << w_zero.size() << " on " << to_string(active_backend()));
    const onnx::nchw_view<const X> images(x.data(), batch, in, height, width);
    const onnx::nchw_view<const W> weights(w.data(), out, in / groups, at.kernel_height, at.kernel_width);

    std::vector<std::int32_t> sums(size, 7), expected(size);
    REQUIRE(onnx::conv_integer(images, weights, x_zero, span<const std::int32_t>(w_zero), at, groups,
                onnx::nchw_view<std::int32_t>(sums.data(), batch, out, out_height, out_width))
            == status::ok);
    reference::conv_integer(
        images, x_zero, weights, w_zero, at, groups, onnx::nchw_view<std::int32_t>(expected.data(), batch, out, out_height, out_width));
    CHECK(sums == expected);

    const std::vector<float> w_scale = random_scales(random, random.integer(0, 1) ? out : 1);
    const std::vector<std::int32_t> bias = random_zero_points(random, random.integer(0, 1) ? out : 0, -9000, 9000);
    const float x_scale = 0.03125f, y_scale = random.integer(0, 1) ? 8.0f : 7.9f;
    const std::int32_t y_zero = random.integer(code_traits<X>::qmin, code_traits<X>::qmax);
    std::vector<X> y(size, X {7}), q(size);
    const onnx::nchw_view<X> outputs(y.data(), batch, out, out_height, out_width);
    REQUIRE(onnx::qlinear_conv(images, x_scale, x_zero, weights, span<const float>(w_scale), span<const std::int32_t>(w_zero), y_scale,
                y_zero, span<const std::int32_t>(bias), at, groups, outputs)
            == status::ok);
    reference::qlinear_conv(images, x_scale, x_zero, weights, w_scale, w_zero, y_scale, y_zero, bias, at, groups,
        onnx::nchw_view<X>(q.data(), batch, out, out_height, out_width));
    CHECK(y == q);

    // With weights packed before, scratch memory of exactly the size, on several threads.
    const auto filter = onnx::conv_filter::make(weights, in, groups, w_zero);
    REQUIRE(filter);
    std::fill(y.begin(), y.end(), X {7});
    std::fill(sums.begin(), sums.end(), 7);
    const std::ptrdiff_t threads = random.integer(1, 3);
    const test::guarded<std::byte> scratch(
        static_cast<std::ptrdiff_t>(onnx::qlinear_conv_workspace(*filter, at, batch, height, width, threads)));
    REQUIRE(onnx::qlinear_conv(images, x_scale, x_zero, *filter, span<const float>(w_scale), y_scale, y_zero,
                span<const std::int32_t>(bias), at, outputs, span<std::byte>(scratch.data(), scratch.size()), test::reversed_executor {})
            == status::ok);
    CHECK(y == q);
    const test::guarded<std::byte> wide(
        static_cast<std::ptrdiff_t>(onnx::conv_integer_workspace(*filter, at, batch, height, width, threads)));
    REQUIRE(onnx::conv_integer(images, x_zero, *filter, at, onnx::nchw_view<std::int32_t>(sums.data(), batch, out, out_height, out_width),
                span<std::byte>(wide.data(), wide.size()), test::reversed_executor {})
            == status::ok);
    CHECK(sums == expected);
}

} // namespace

TEST_CASE("ONNX convolutions of random shapes equal their definition")
{
    const every_backend after;
    test::random random(43);
    for (int i = 0; i < 1500; ++i) {
        use_some_backend(random);
        conv_case<std::uint8_t, std::int8_t>(random);
        conv_case<std::uint8_t, std::uint8_t>(random);
        conv_case<std::int8_t, std::int8_t>(random);
    }
}

TEST_CASE("ONNX ConvInteger and QLinearConv, worked values")
{
    // The specification's example: 3 x 3 by ones of 2 x 2, zero point 1; with padding what is outside counts nothing.
    const std::vector<std::uint8_t> x {2, 3, 4, 5, 6, 7, 8, 9, 10}, w {1, 1, 1, 1};
    const std::vector<std::int32_t> none;
    tflite::window at;
    at.kernel_height = at.kernel_width = 2;
    const onnx::nchw_view<const std::uint8_t> images(x.data(), 1, 1, 3, 3), ones(w.data(), 1, 1, 2, 2);
    std::vector<std::int32_t> y(4);
    REQUIRE(onnx::conv_integer(images, ones, 1, span<const std::int32_t>(none), at, 1, onnx::nchw_view<std::int32_t>(y.data(), 1, 1, 2, 2))
            == status::ok);
    CHECK(y == std::vector<std::int32_t> {12, 16, 24, 28});
    at.pad_top = at.pad_left = at.pad_bottom = at.pad_right = 1;
    y.resize(16);
    REQUIRE(onnx::conv_integer(images, ones, 1, span<const std::int32_t>(none), at, 1, onnx::nchw_view<std::int32_t>(y.data(), 1, 1, 4, 4))
            == status::ok);
    CHECK(y == std::vector<std::int32_t> {1, 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9});

    // The specification's example of QLinearConv, its first row: 1 x 1, one weight.
    const std::vector<std::uint8_t> row {255, 174, 162, 25, 203, 168, 58}, weight {0};
    const std::vector<std::int32_t> weight_zero {255};
    const std::vector<float> weight_scale {0.00172794575f};
    std::vector<std::uint8_t> q(7);
    REQUIRE(onnx::qlinear_conv(onnx::nchw_view<const std::uint8_t>(row.data(), 1, 1, 1, 7), 0.00369204697f, 132,
                onnx::nchw_view<const std::uint8_t>(weight.data(), 1, 1, 1, 1), span<const float>(weight_scale),
                span<const std::int32_t>(weight_zero), 0.00162681262f, 123, span<const std::int32_t>(none), {}, 1,
                onnx::nchw_view<std::uint8_t>(q.data(), 1, 1, 1, 7))
            == status::ok);
    CHECK(q == std::vector<std::uint8_t> {0, 81, 93, 230, 52, 87, 197});

    // 5 rows, kernel 2, stride 2: one padded row, after or before.
    tflite::window same;
    same.kernel_height = same.kernel_width = same.stride_height = same.stride_width = 2;
    const tflite::window upper = onnx::auto_pad(same, onnx::auto_padding::same_upper, 5, 4),
                         lower = onnx::auto_pad(same, onnx::auto_padding::same_lower, 5, 4),
                         valid = onnx::auto_pad(upper, onnx::auto_padding::valid, 5, 4);
    CHECK(upper.pad_top == 0);
    CHECK(upper.pad_bottom == 1);
    CHECK(lower.pad_top == 1);
    CHECK(lower.pad_bottom == 0);
    CHECK(upper.pad_left + upper.pad_right + lower.pad_left + lower.pad_right == 0);
    CHECK(valid.pad_bottom == 0);
}

TEST_CASE("ONNX convolutions refuse what does not fit")
{
    const std::vector<std::uint8_t> x(2 * 4 * 3 * 3, 1);
    const std::vector<std::int8_t> w(6 * 2 * 2 * 2, 1);
    const std::vector<float> scale {0.5f}, three(3, 0.5f), bad {-1.0f};
    const std::vector<std::int32_t> none, zeros(6), far {128}, four(4);
    std::vector<std::uint8_t> y(2 * 6 * 2 * 2, 9);
    tflite::window at;
    at.kernel_height = at.kernel_width = 2;
    struct call {
        std::ptrdiff_t channels = 4, groups = 2, out_height = 2;
        std::int32_t x_zero = 0, y_zero = 0;
    };
    const auto run = [&](call c, const tflite::window& window, const std::vector<float>& w_scale, const std::vector<std::int32_t>& w_zero,
                         const std::vector<std::int32_t>& bias) {
        return onnx::qlinear_conv(onnx::nchw_view<const std::uint8_t>(x.data(), 2, c.channels, 3, 3), 0.5f, c.x_zero,
            onnx::nchw_view<const std::int8_t>(w.data(), 6, 2, 2, 2), span<const float>(w_scale), span<const std::int32_t>(w_zero), 0.5f,
            c.y_zero, span<const std::int32_t>(bias), window, c.groups, onnx::nchw_view<std::uint8_t>(y.data(), 2, 6, c.out_height, 2));
    };
    const auto with = [](auto change) {
        call c;
        change(c);
        return c;
    };
    CHECK(run(with([](call& c) { c.channels = 3; }), at, scale, none, none) == status::shape_mismatch);
    CHECK(run(with([](call& c) { c.groups = 4; }), at, scale, none, none) == status::shape_mismatch);
    CHECK(run(with([](call& c) { c.groups = 0; }), at, scale, none, none) == status::shape_mismatch);
    CHECK(run(with([](call& c) { c.out_height = 1; }), at, scale, none, none) == status::shape_mismatch);
    CHECK(run(with([](call& c) { c.x_zero = 256; }), at, scale, none, none) == status::zero_point_out_of_range);
    CHECK(run(with([](call& c) { c.y_zero = -1; }), at, scale, none, none) == status::zero_point_out_of_range);
    CHECK(run({}, at, scale, far, none) == status::zero_point_out_of_range);
    CHECK(run({}, at, scale, four, none) == status::params_count_mismatch);
    CHECK(run({}, at, three, none, none) == status::params_count_mismatch);
    CHECK(run({}, at, scale, none, four) == status::params_count_mismatch);
    CHECK(run({}, at, bad, none, none) == status::scale_invalid);
    tflite::window wrong = at;
    wrong.stride_height = 0;
    CHECK(run({}, wrong, scale, none, none) == status::window_invalid);
    wrong = at;
    wrong.kernel_width = 3;
    CHECK(run({}, wrong, scale, none, none) == status::shape_mismatch);
    const auto filter = onnx::conv_filter::make(onnx::nchw_view<const std::int8_t>(w.data(), 6, 2, 2, 2), 4, 2, {});
    REQUIRE(filter);
    std::vector<std::byte> workspace(onnx::qlinear_conv_workspace(*filter, at, 2, 3, 3));
    CHECK(onnx::qlinear_conv(onnx::nchw_view<const std::uint8_t>(x.data(), 2, 4, 3, 3), 0.5f, 0, *filter, span<const float>(scale), 0.5f, 0,
              span<const std::int32_t>(none), at, onnx::nchw_view<std::uint8_t>(y.data(), 2, 6, 2, 2),
              span<std::byte>(workspace.data(), workspace.size() - 1))
          == status::buffer_too_small);
    CHECK(std::count(y.begin(), y.end(), 9) == static_cast<std::ptrdiff_t>(y.size()));
    CHECK(run({}, at, scale, zeros, none) == status::ok);

    // Nothing to compute: no images, no output channels, a kernel that is larger than the image.
    CHECK(onnx::qlinear_conv(onnx::nchw_view<const std::uint8_t>(nullptr, 0, 4, 3, 3), 0.5f, 0,
              onnx::nchw_view<const std::int8_t>(w.data(), 6, 2, 2, 2), span<const float>(scale), span<const std::int32_t>(none), 0.5f, 0,
              span<const std::int32_t>(none), at, 2, onnx::nchw_view<std::uint8_t>(nullptr, 0, 6, 2, 2))
          == status::ok);
    std::vector<std::int32_t> sums;
    CHECK(onnx::conv_integer(onnx::nchw_view<const std::uint8_t>(x.data(), 2, 4, 3, 3),
              onnx::nchw_view<const std::int8_t>(nullptr, 0, 2, 2, 2), 0, span<const std::int32_t>(none), at, 2,
              onnx::nchw_view<std::int32_t>(sums.data(), 2, 0, 2, 2))
          == status::ok);
    CHECK(onnx::conv_integer(onnx::nchw_view<const std::uint8_t>(x.data(), 2, 4, 1, 3),
              onnx::nchw_view<const std::int8_t>(w.data(), 6, 2, 2, 2), 0, span<const std::int32_t>(none), at, 2,
              onnx::nchw_view<std::int32_t>(sums.data(), 2, 6, 0, 2))
          == status::ok);
}
