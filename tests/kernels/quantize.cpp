#include "../support.hpp"

#include <cmath>
#include <limits>

using namespace nibble;

namespace {

// Random numbers with the hard cases mixed in: ties, zeros, infinities, NaN, subnormals, huge.
void fill(float* x, std::size_t count, std::uint64_t seed)
{
    test::random random(seed);
    const float special[] = {0.0f, -0.0f, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 1e30f, -1e30f, 1e-42f, std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 126.5f, 127.5f, -128.5f};
    for (std::size_t i = 0; i < count; ++i)
        x[i] = random.integer(0, 7) == 0 ? special[random.integer(0, 15)] : random.real();
}

template <class Q>
void compare(granularity kind, std::ptrdiff_t group, bool zero_points, std::ptrdiff_t rows, std::ptrdiff_t cols)
{
    const std::ptrdiff_t stride = cols + 3, elements = elements_for<Q>(cols), q_stride = elements + 2;
    test::guarded<float> x((rows - 1) * stride + cols, !zero_points);
    fill(x.data(), x.size(), static_cast<std::uint64_t>(cols * 31 + rows));
    const std::size_t count = static_cast<std::size_t>(params_count(kind, rows, cols, group));
    std::vector<float> scales(count);
    std::vector<std::int32_t> zeros(zero_points ? count : 0);
    test::random random(7);
    for (float& s : scales)
        s = 0.01f + std::fabs(random.real()) * 0.02f;
    for (std::int32_t& z : zeros)
        z = random.integer(code_traits<Q>::qmin, code_traits<Q>::qmax);
    const quant_params_view params {kind, group, scales, zeros};
    const matrix_view<const float> view(x.data(), rows, cols, stride);

    const std::size_t q_count = static_cast<std::size_t>((rows - 1) * q_stride + elements);
    std::vector<Q> expected(q_count);
    std::memset(static_cast<void*>(expected.data()), 0xa5, q_count * sizeof(Q));
    const std::vector<Q> canary = expected;
    reference::quantize(view, params, matrix_view<Q>(expected.data(), rows, elements, q_stride));
    std::vector<float> back(static_cast<std::size_t>((rows - 1) * stride + cols), 9.0f);
    const std::vector<float> back_canary = back;
    reference::dequantize(
        matrix_view<const Q>(expected.data(), rows, elements, q_stride), params, matrix_view<float>(back.data(), rows, cols, stride));

    for (const backend b : test::usable_backends()) {
        INFO(to_string(b) << " rows " << rows << " cols " << cols << " group " << group);
        REQUIRE(force_backend(b) == status::ok);
        test::guarded<Q> q(static_cast<std::ptrdiff_t>(q_count), zero_points);
        std::memcpy(static_cast<void*>(q.data()), canary.data(), q_count * sizeof(Q));
        REQUIRE(quantize(view, params, matrix_view<Q>(q.data(), rows, elements, q_stride)) == status::ok);
        CHECK(test::same_bits(q.data(), expected.data(), q_count));
        test::guarded<float> y(static_cast<std::ptrdiff_t>(back.size()), zero_points);
        std::memcpy(y.data(), back_canary.data(), back.size() * sizeof(float));
        REQUIRE(
            dequantize(matrix_view<const Q>(q.data(), rows, elements, q_stride), params, matrix_view<float>(y.data(), rows, cols, stride))
            == status::ok);
        CHECK(test::same_bits(y.data(), back.data(), back.size()));
    }
}

template <class Q>
void compare_all()
{
    for (const std::ptrdiff_t cols : {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 127, 129, 200, 300})
        for (const bool zero_points : {false, true}) {
            compare<Q>(granularity::per_tensor, 0, zero_points, 2, cols);
            compare<Q>(granularity::per_channel, 0, zero_points, 3, cols);
            for (const std::ptrdiff_t group : {2, 6, 32, 64, 128})
                compare<Q>(granularity::per_group, group, zero_points, 2, cols);
        }
}

} // namespace

TEST_CASE("quantize and dequantize int8 equal the reference on every backend") { compare_all<std::int8_t>(); }
TEST_CASE("quantize and dequantize uint8 equal the reference on every backend") { compare_all<std::uint8_t>(); }
TEST_CASE("quantize and dequantize int4 equal the reference on every backend") { compare_all<int4x2>(); }
TEST_CASE("quantize and dequantize uint4 equal the reference on every backend") { compare_all<uint4x2>(); }

TEST_CASE("half and bfloat16 conversions equal the definition on every backend")
{
    std::vector<half> halves(65536);
    std::vector<bfloat16> brains(65536);
    for (std::size_t i = 0; i < 65536; ++i) {
        halves[i].bits = static_cast<std::uint16_t>(i);
        brains[i].bits = static_cast<std::uint16_t>(i);
    }
    std::vector<float> floats(200003);
    test::random random(3);
    for (std::size_t i = 0; i < floats.size(); ++i) {
        const std::uint32_t exponents[] = {0x38u, 0x33u, 0x47u, 0x7fu, 0x00u, 0x3fu};
        const std::uint32_t u = random.bits();
        floats[i] = float_from_bits(random.integer(0, 1) ? u : (u & 0x80ffffffu) | exponents[random.integer(0, 5)] << 24);
    }
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        std::vector<float> out(65536), expected(65536);
        REQUIRE(convert(span<const half>(halves), span<float>(out)) == status::ok);
        for (std::size_t i = 0; i < 65536; ++i)
            expected[i] = to_float(halves[i]);
        CHECK(test::same_bits(out.data(), expected.data(), out.size()));
        REQUIRE(convert(span<const bfloat16>(brains), span<float>(out)) == status::ok);
        for (std::size_t i = 0; i < 65536; ++i)
            expected[i] = to_float(brains[i]);
        CHECK(test::same_bits(out.data(), expected.data(), out.size()));
        std::vector<half> h(floats.size()), h_expected(floats.size());
        std::vector<bfloat16> f(floats.size()), f_expected(floats.size());
        for (std::size_t i = 0; i < floats.size(); ++i) {
            h_expected[i] = to_half(floats[i]);
            f_expected[i] = to_bfloat16(floats[i]);
        }
        REQUIRE(convert(span<const float>(floats), span<half>(h)) == status::ok);
        CHECK(test::same_bits(h.data(), h_expected.data(), h.size()));
        REQUIRE(convert(span<const float>(floats), span<bfloat16>(f)) == status::ok);
        CHECK(test::same_bits(f.data(), f_expected.data(), f.size()));
    }
}

TEST_CASE("choose_params covers the range, and refuses what is not finite")
{
    std::vector<float> x = {-1.0f, 0.5f, 2.0f, 0.25f, 0, 0, 0, 0};
    for (const backend b : test::usable_backends()) {
        REQUIRE(force_backend(b) == status::ok);
        std::vector<float> scales(2), scratch(4);
        std::vector<std::int32_t> zeros(2);
        const matrix_view<const float> view(x.data(), 2, 4);
        REQUIRE(choose_params<std::int8_t>(view, scheme::symmetric, granularity::per_channel, 0, scales, {}, scratch) == status::ok);
        CHECK(scales[0] == static_cast<float>(2.0 / 127));
        CHECK(scales[1] == 1.0f);
        REQUIRE(choose_params<std::uint8_t>(view, scheme::affine, granularity::per_channel, 0, scales, zeros, scratch) == status::ok);
        CHECK(scales[0] == static_cast<float>(3.0 / 255));
        CHECK(zeros[0] == 85);
        std::vector<float> bad = x;
        bad[5] = std::numeric_limits<float>::quiet_NaN();
        CHECK(choose_params<std::int8_t>({bad.data(), 2, 4}, scheme::symmetric, granularity::per_channel, 0, scales, {}, scratch)
              == status::not_finite);
    }
}

TEST_CASE("bad arguments name the rule and write nothing")
{
    const std::vector<float> x(8, 1.0f);
    std::vector<std::int8_t> q(8, 77);
    const std::vector<std::int8_t> before = q;
    std::vector<float> one(1, 0.5f), two(2, 0.5f), negative(1, -1.0f);
    std::vector<std::int32_t> far(1, 300);
    const matrix_view<const float> view(x.data(), 2, 4);
    const matrix_view<std::int8_t> out(q.data(), 2, 4);
    CHECK(quantize(view, {granularity::per_tensor, 0, two}, out) == status::params_count_mismatch);
    CHECK(quantize(view, {granularity::per_tensor, 0, negative}, out) == status::scale_invalid);
    CHECK(quantize(view, {granularity::per_tensor, 0, one, far}, out) == status::zero_point_out_of_range);
    CHECK(quantize(view, {granularity::per_group, 0, one}, out) == status::group_size_invalid);
    CHECK(quantize(view, {granularity::per_tensor, 0, one}, matrix_view<std::int8_t>(q.data(), 2, 3)) == status::shape_mismatch);
    CHECK(quantize(view, {granularity::per_tensor, 0, one}, matrix_view<std::int8_t>(nullptr, 2, 4)) == status::null_pointer);
    CHECK(quantize({x.data(), 2, 4, 3}, {granularity::per_tensor, 0, one}, out) == status::stride_too_small);
    CHECK(quantize({x.data(), -2, 4}, {granularity::per_tensor, 0, one}, out) == status::negative_size);
    CHECK(q == before);
}
