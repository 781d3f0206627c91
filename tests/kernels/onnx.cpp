#include "../support.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace nibble;

// The worked examples of the ONNX operator specification.

TEST_CASE("ONNX QuantizeLinear and DequantizeLinear, the operators' examples")
{
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        const std::vector<float> x {0, 2, 3, 1000, -254, -1000}, two {2};
        const std::vector<std::int32_t> zero {128};
        const std::vector<std::ptrdiff_t> shape {6};
        std::vector<std::uint8_t> y(6);
        REQUIRE(onnx::quantize_linear<std::uint8_t>(x, shape, two, zero, y) == status::ok);
        CHECK(y == std::vector<std::uint8_t> {128, 129, 130, 255, 1, 0});
        std::vector<float> back(6);
        REQUIRE(onnx::dequantize_linear<std::uint8_t>(y, shape, two, zero, back) == status::ok);
        CHECK(back == std::vector<float> {0, 2, 4, 254, -254, -256});

        const std::vector<float> axis_x {-162, 10, -100, 232, -20, -50, -76, 0, 0, 252, 32, -44, 245, -485, -960, -270, -375, -470};
        const std::vector<float> axis_scale {2, 4, 5};
        const std::vector<std::int32_t> axis_zero {84, 24, 196};
        const std::vector<std::ptrdiff_t> axis_shape {1, 3, 3, 2};
        std::vector<std::uint8_t> axis_y(18);
        REQUIRE(onnx::quantize_linear<std::uint8_t>(axis_x, axis_shape, axis_scale, axis_zero, axis_y, 1) == status::ok);
        CHECK(axis_y == std::vector<std::uint8_t> {3, 89, 34, 200, 74, 59, 5, 24, 24, 87, 32, 13, 245, 99, 4, 142, 121, 102});
    }
}

TEST_CASE("ONNX scales along any axis and in blocks are those of the formula, one element at a time")
{
    const std::vector<std::ptrdiff_t> shape {2, 6, 3, 4};
    test::random random(9);
    std::vector<float> x(144);
    for (float& v : x)
        v = random.real();
    const auto compare = [&](auto code, std::ptrdiff_t axis, std::ptrdiff_t block, const std::vector<std::ptrdiff_t>& dims) {
        using Q = decltype(code);
        std::ptrdiff_t count = 1, inner = 1, length = 1, scales = 1;
        for (std::size_t i = 0; i < dims.size(); ++i) {
            count *= dims[i];
            const bool is_axis = static_cast<std::ptrdiff_t>(i) == axis;
            length = is_axis ? dims[i] : length;
            inner *= static_cast<std::ptrdiff_t>(i) > axis ? dims[i] : 1;
            scales *= is_axis ? (block ? (dims[i] + block - 1) / block : dims[i]) : block ? dims[i] : 1;
        }
        std::vector<float> scale(static_cast<std::size_t>(scales));
        std::vector<std::int32_t> zero(scale.size());
        for (std::size_t i = 0; i < scale.size(); ++i) {
            scale[i] = 0.1f + 0.01f * static_cast<float>(i);
            zero[i] = random.integer(code_traits<Q>::qmin, code_traits<Q>::qmax);
        }
        const span<const float> from(x.data(), static_cast<std::size_t>(count));
        std::vector<Q> expected(static_cast<std::size_t>(elements_for<Q>(count)));
        std::vector<float> back(static_cast<std::size_t>(count));
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            const std::ptrdiff_t along = i / inner % length;
            const std::size_t at = static_cast<std::size_t>(
                block ? (i / (inner * length) * ((length + block - 1) / block) + along / block) * inner + i % inner : along);
            const double t = static_cast<double>(x[static_cast<std::size_t>(i)] / scale[at]);
            const double q = std::min<double>(code_traits<Q>::qmax, std::max<double>(code_traits<Q>::qmin, std::nearbyint(t) + zero[at]));
            store_code(expected.data(), i, static_cast<std::int32_t>(q));
            back[static_cast<std::size_t>(i)] = static_cast<float>(q - zero[at]) * scale[at];
        }
        for (const backend b : test::usable_backends()) {
            INFO(to_string(b) << " axis " << axis << " block " << block << " count " << count);
            REQUIRE(force_backend(b) == status::ok);
            std::vector<Q> y(expected.size());
            std::vector<float> z(back.size());
            REQUIRE(onnx::quantize_linear<Q>(from, dims, scale, zero, y, axis, block) == status::ok);
            CHECK(test::same_bits(y.data(), expected.data(), y.size()));
            REQUIRE(onnx::dequantize_linear<Q>(y, dims, scale, zero, z, axis, block) == status::ok);
            CHECK(z == back);
        }
    };
    for (const std::ptrdiff_t axis : {0, 1, 2, 3})
        for (const std::ptrdiff_t block : {0, 1, 2, 4}) {
            compare(std::int8_t {}, axis, block, shape);
            compare(std::uint8_t {}, axis, block, shape);
            compare(int4x2 {}, axis, block, shape);
            compare(uint2x4 {}, axis, block, shape);
            compare(uint4x2 {}, axis % 3, block, {3, 3, 5});
        }
}

TEST_CASE("ONNX DynamicQuantizeLinear, the operator's examples")
{
    struct example {
        std::vector<float> x;
        float scale;
        std::uint8_t zero_point;
        std::vector<std::uint8_t> y;
    };
    const example examples[] = {{{0, 2, -3, -2.5f, 1.34f, 0.5f}, 0.0196078438f, 153, {153, 255, 0, 26, 221, 179}},
        {{-1.0f, -2.1f, -1.3f, -2.5f, -3.34f, -4.0f}, 0.0156862754f, 255, {191, 121, 172, 96, 42, 0}},
        {{1, 2.1f, 1.3f, 2.5f, 3.34f, 4, 1.5f, 2.6f, 3.9f, 4, 3, 2.345f}, 0.0156862754f, 0,
            {64, 134, 83, 159, 213, 255, 96, 166, 249, 255, 191, 149}},
        {{0, 0, 0}, 1.0f, 0, {0, 0, 0}}};
    for (const backend b : test::usable_backends())
        for (const example& e : examples) {
            REQUIRE(force_backend(b) == status::ok);
            std::vector<std::uint8_t> y(e.x.size());
            float scale = 0;
            std::uint8_t zero_point = 7;
            REQUIRE(onnx::dynamic_quantize_linear(e.x, y, scale, zero_point) == status::ok);
            CHECK(scale == e.scale);
            CHECK(zero_point == e.zero_point);
            CHECK(y == e.y);
        }
    const std::vector<float> bad {1, std::numeric_limits<float>::infinity()};
    std::vector<std::uint8_t> y(2);
    float scale = 0;
    std::uint8_t zero_point = 0;
    CHECK(onnx::dynamic_quantize_linear(bad, y, scale, zero_point) == status::not_finite);
}

TEST_CASE("ONNX MatMulInteger and QLinearMatMul, the operators' examples")
{
    const std::vector<std::uint8_t> a {11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0}, b {1, 4, 2, 5, 3, 6};
    const std::vector<std::int32_t> twelve {12}, none {0}, rows {12, 0, 3, 255};
    const std::vector<std::uint8_t> p {208, 236, 0, 238, 3, 214, 255, 29}, q {152, 51, 244, 60, 26, 255, 0, 127, 246, 127, 254, 247};
    const std::vector<float> q_scale {0.00705f};
    const std::vector<std::int32_t> q_zero {114};
    for (const backend on : test::usable_backends()) {
        INFO(to_string(on));
        REQUIRE(force_backend(on) == status::ok);
        std::vector<std::int32_t> y(8);
        const matrix_view<std::int32_t> out(y.data(), 4, 2);
        REQUIRE(onnx::matmul_integer<std::uint8_t, std::uint8_t>({a.data(), 4, 3}, twelve, {b.data(), 3, 2}, none, out) == status::ok);
        CHECK(y == std::vector<std::int32_t> {-38, -83, -44, -98, -50, -113, -56, -128});
        REQUIRE(onnx::matmul_integer<std::uint8_t, std::uint8_t>({a.data(), 4, 3}, rows, {b.data(), 3, 2}, {}, out) == status::ok);
        CHECK(y == std::vector<std::int32_t> {-38, -83, 28, 82, 4, 22, -1514, -3773});
        std::vector<std::uint8_t> z(6);
        REQUIRE(onnx::qlinear_matmul<std::uint8_t, std::uint8_t, std::uint8_t>(
                    {p.data(), 2, 4}, 0.0066f, 113, {q.data(), 4, 3}, q_scale, q_zero, 0.0107f, 118, {z.data(), 2, 3})
                == status::ok);
        CHECK(z == std::vector<std::uint8_t> {168, 115, 255, 1, 66, 151});
    }
    std::vector<std::int32_t> y(8, 5);
    const std::vector<std::int32_t> far {256}, three {1, 2, 3};
    CHECK(onnx::matmul_integer<std::uint8_t, std::uint8_t>({a.data(), 4, 3}, far, {b.data(), 3, 2}, {}, {y.data(), 4, 2})
          == status::zero_point_out_of_range);
    CHECK(onnx::matmul_integer<std::uint8_t, std::uint8_t>({a.data(), 4, 3}, three, {b.data(), 3, 2}, {}, {y.data(), 4, 2})
          == status::params_count_mismatch);
    CHECK(onnx::matmul_integer<std::uint8_t, std::uint8_t>({a.data(), 4, 3}, {}, {b.data(), 2, 2}, {}, {y.data(), 4, 2})
          == status::shape_mismatch);
    CHECK(y == std::vector<std::int32_t>(8, 5));
}

TEST_CASE("MatMulNBits weights survive the way in and out, and unpack as the operator's documentation says")
{
    // Two channels of five weights in blocks of four: 1 2 3 4 | 5 and 6 7 8 9 | 10, zero points 3 4 and 5 6.
    const std::vector<std::uint8_t> b {0x21, 0x43, 0x05, 0x00, 0x76, 0x98, 0x0a, 0x00}, zeros {0x43, 0x65};
    std::vector<uint4x2> codes(6);
    std::vector<std::int32_t> zero_points(4);
    REQUIRE(onnx::from_matmul_nbits<uint4x2>(b, zeros, 5, 4, {codes.data(), 2, 3}, zero_points) == status::ok);
    CHECK(zero_points == std::vector<std::int32_t> {3, 4, 5, 6});
    for (std::ptrdiff_t i = 0; i < 5; ++i) {
        CHECK(load_code(codes.data(), i) == 1 + i);
        CHECK(load_code(codes.data() + 3, i) == 6 + i);
    }
    std::vector<std::uint8_t> again(8), zeros_again(2);
    REQUIRE(onnx::to_matmul_nbits<uint4x2>({codes.data(), 2, 3}, zero_points, 5, 4, again, zeros_again) == status::ok);
    CHECK(again == std::vector<std::uint8_t> {0x21, 0x43, 0x45, 0x44, 0x76, 0x98, 0x6a, 0x66});
    CHECK(zeros_again == zeros);
    REQUIRE(onnx::from_matmul_nbits<uint4x2>(b, {}, 5, 4, {codes.data(), 2, 3}, zero_points) == status::ok);
    CHECK(zero_points == std::vector<std::int32_t> {8, 8, 8, 8});
    CHECK(onnx::from_matmul_nbits<uint4x2>(b, {}, 5, 3, {codes.data(), 2, 3}, zero_points) == status::group_size_invalid);
    CHECK(onnx::from_matmul_nbits<uint4x2>(b, {}, 7, 4, {codes.data(), 2, 3}, zero_points) == status::shape_mismatch);
}
