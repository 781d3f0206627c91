#include "../block_data.hpp"
#include "../support.hpp"

#include <nibble/blocks/dequantize_codebook.hpp>

#include <algorithm>
#include <cmath>
#include <string>

using namespace nibble;

namespace {

// Of ggml's bytes for the same numbers; printed by oracle_ggml_blocks --hashes.
struct golden {
    ggml_type type;
    std::uint64_t plain, weighted, dequantized;
};
constexpr golden goldens[] = {
    {ggml_type::q4_0, 0xa1ee0508e2309101, 0x121f8f0ab9403c47, 0xbd1861b0386c6810},
    {ggml_type::q4_1, 0xfb0b6d459328e706, 0xea87f8bae0297073, 0x0fc93408f78a4303},
    {ggml_type::q5_0, 0x39859e77dd61c5c1, 0x1a5843bf07b0a04c, 0x0e936fbe22425f66},
    {ggml_type::q5_1, 0xa985f7b522f58574, 0x2e1d18b60cfd5ef2, 0xcce80ecc57379baa},
    {ggml_type::q8_0, 0x6dd881426c3f499c, 0x6dd881426c3f499c, 0x3c263fbc3a38d28b},
    {ggml_type::q2_K, 0xdb6a57e1faa7681c, 0xa39dda254192fd06, 0xe8dbea00b22ade7f},
    {ggml_type::q3_K, 0xcbe147b8385d1831, 0xb8ab805a130c49c2, 0x50551dcb238741db},
    {ggml_type::q4_K, 0x1b3d3f61cf058993, 0xa8b2429b99aa8271, 0x36d34c05d8e8d9bc},
    {ggml_type::q5_K, 0x828164db53e9ffce, 0xe707e8ac0320202d, 0x5aafeab33d577e55},
    {ggml_type::q6_K, 0x31410da7e516c59a, 0x1428989c1399b23b, 0xcd5e5a5ec7972a6a},
    {ggml_type::q8_K, 0xa4077037cfaee5f6, 0xa4077037cfaee5f6, 0x602ae93d8ed277b8},
    {ggml_type::iq4_nl, 0xe1e9138022d92990, 0xc8b5fd3054ebec0d, 0x994f7b5683b9dc30},
    {ggml_type::iq4_xs, 0x50b75d52b89abb91, 0x9df5ac59652e0c9f, 0x7324e57966afa2a1},
    {ggml_type::tq1_0, 0xe2a55e380b9b8250, 0xe2a55e380b9b8250, 0x787ed9bd3e829221},
    {ggml_type::tq2_0, 0x0cfb474e5ca79901, 0x0cfb474e5ca79901, 0x787ed9bd3e829221},
    {ggml_type::mxfp4, 0x895865c38c7d3b86, 0x895865c38c7d3b86, 0x2ccb92463e4f58f0},
    {ggml_type::nvfp4, 0x5bf8422574e4983b, 0x5bf8422574e4983b, 0xa712c59cbd5f25d3},
    {ggml_type::q1_0, 0xe3e86f8088842cd4, 0xe3e86f8088842cd4, 0x618baf4b8bea9ea5},
    {ggml_type::q2_0, 0x07ba8ff497c73359, 0x07ba8ff497c73359, 0x6748e7cddfe31613},
};

std::vector<ggml_type> quantizable_types()
{
    std::vector<ggml_type> types;
    for (std::uint32_t id = 0; id < ggml_type_count; ++id)
        if (is_quantizable(static_cast<ggml_type>(id)))
            types.push_back(static_cast<ggml_type>(id));
    return types;
}

std::vector<std::byte> quantized(ggml_type type, const std::vector<float>& x, std::ptrdiff_t rows, span<const float> importance = {})
{
    const std::ptrdiff_t cols = static_cast<std::ptrdiff_t>(x.size()) / rows;
    std::vector<std::byte> bytes(static_cast<std::size_t>(*bytes_for(rows, cols, type)));
    REQUIRE(quantize_blocks(type, {x.data(), rows, cols}, bytes, importance) == status::ok);
    return bytes;
}

} // namespace

TEST_CASE("blocks have ggml's bytes")
{
    const std::ptrdiff_t rows = 64, cols = 512;
    const std::vector<float> x = test::block_data(rows, cols), importance = test::importance_data(cols);
    for (const golden& g : goldens) {
        INFO(to_string(g.type));
        const std::vector<std::byte> plain = quantized(g.type, x, rows), weighted = quantized(g.type, x, rows, importance);
        CHECK(test::hash(plain.data(), plain.size()) == g.plain);
        CHECK(test::hash(weighted.data(), weighted.size()) == g.weighted);
        std::vector<float> back(x.size());
        REQUIRE(dequantize_blocks(g.type, plain, {back.data(), rows, cols}) == status::ok);
        for (float& f : back)
            f = (float_bits(f) & 0x7fffffffu) > 0x7f800000u ? 0.0f : f; // any NaN will do
        CHECK(test::hash(back.data(), back.size() * sizeof(float)) == g.dequantized);
    }
}

TEST_CASE("blocks of one and of two bits, worked by hand")
{
    // Q1_0: the sum of magnitudes is 128 + 64, so d = 1.5, half 0x3e00; zeros of both signs count as positive.
    std::vector<float> x(128, 1.0f), back(128);
    for (std::size_t i = 0; i < 64; ++i)
        x[i] = i % 8 < 3 ? 2.0f : -2.0f;
    x[64] = -1.0f;
    x[65] = -0.0f;
    x[66] = 0.0f;
    x[67] = -3.0f;
    std::vector<std::byte> bits = quantized(ggml_type::q1_0, x, 1);
    std::vector<std::uint8_t> expected {0x00, 0x3e, 7, 7, 7, 7, 7, 7, 7, 7, 0xf6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    REQUIRE(bits.size() == expected.size());
    CHECK(test::same_bits(reinterpret_cast<const std::uint8_t*>(bits.data()), expected.data(), expected.size()));
    REQUIRE(dequantize_blocks(ggml_type::q1_0, bits, {back.data(), 1, 128}) == status::ok);
    for (std::size_t i = 0; i < 128; ++i)
        CHECK(back[i] == ((expected[2 + i / 8] >> i % 8 & 1) != 0 ? 1.5f : -1.5f));

    // Q2_0: the greatest magnitude, 4, is d, half 0x4400. Codes 0, 1 and 2 are -4, 0 and 4, halves away from zero; the first lowest.
    std::vector<float> y(64, 0.0f);
    const float first[] = {-4.0f, -2.0f, -1.99f, 0.0f, 1.99f, 2.0f, 4.0f, 3.0f};
    std::copy(std::begin(first), std::end(first), y.begin());
    bits = quantized(ggml_type::q2_0, y, 1);
    expected.assign({0x00, 0x44, 0x50, 0xa9});
    expected.resize(18, 0x55);
    CHECK(test::same_bits(reinterpret_cast<const std::uint8_t*>(bits.data()), expected.data(), expected.size()));
    bits[2] = std::byte {0xff}; // code 3 is read as 2
    REQUIRE(dequantize_blocks(ggml_type::q2_0, bits, {back.data(), 1, 64}) == status::ok);
    const float read[] = {8, 8, 8, 8, 0, 4, 4, 4};
    for (std::size_t i = 0; i < 8; ++i)
        CHECK(back[i] == read[i]);

    // The inverse of this magnitude is infinite.
    std::fill(y.begin(), y.end(), 0x1p-140f);
    bits = quantized(ggml_type::q2_0, y, 1);
    CHECK(std::count(bits.begin(), bits.end(), std::byte {0}) == 18);
}

TEST_CASE("the more bits a type has, the nearer its numbers")
{
    const std::ptrdiff_t rows = 8, cols = 1024;
    std::vector<float> x(rows * cols);
    std::mt19937 bits(3);
    for (float& f : x)
        f = test::normal(bits);
    double last = 0.0;
    for (const ggml_type type : {ggml_type::q8_0, ggml_type::q6_K, ggml_type::q5_K, ggml_type::q4_K, ggml_type::q4_0, ggml_type::q3_K,
             ggml_type::q2_K, ggml_type::tq2_0}) {
        INFO(to_string(type));
        std::vector<float> back(x.size());
        REQUIRE(dequantize_blocks(type, quantized(type, x, rows), {back.data(), rows, cols}) == status::ok);
        double error = 0.0;
        for (std::size_t i = 0; i < x.size(); ++i)
            error += std::pow(static_cast<double>(x[i]) - static_cast<double>(back[i]), 2.0);
        CHECK(error > last);
        last = error;
    }
    CHECK(last < rows * cols); // better than zeros
}

TEST_CASE("a row's blocks depend on that row alone")
{
    const std::vector<float> x = test::block_data(6, 256), importance = test::importance_data(256);
    for (const ggml_type type : quantizable_types()) {
        INFO(to_string(type));
        const std::vector<std::byte> all = quantized(type, x, 6, importance);
        const std::size_t row = all.size() / 6;
        for (std::size_t r = 0; r < 6; ++r) {
            const std::vector<float> one(
                x.begin() + static_cast<std::ptrdiff_t>(r) * 256, x.begin() + static_cast<std::ptrdiff_t>(r + 1) * 256);
            const std::vector<std::byte> alone = quantized(type, one, 1, importance);
            CHECK(test::same_bits(alone.data(), all.data() + r * row, row));
        }
    }
}

TEST_CASE("blocks are read and written to the byte, strides kept")
{
    for (const ggml_type type : quantizable_types()) {
        INFO(to_string(type));
        const std::ptrdiff_t cols = 2 * block_elements(type);
        const std::size_t bytes = static_cast<std::size_t>(*bytes_for(3, cols, type)), n = static_cast<std::size_t>(cols);
        for (const bool at_end : {true, false}) {
            const test::guarded<float> x(3 * cols + 2 * 5, at_end), weights(cols, at_end);
            const test::guarded<std::byte> out(static_cast<std::ptrdiff_t>(bytes), at_end);
            for (std::size_t i = 0; i < x.size(); ++i)
                x[i] = static_cast<float>(i % 17) - 8.0f;
            for (std::size_t i = 0; i < n; ++i)
                weights[i] = 1.0f;
            REQUIRE(quantize_blocks(type, {x.data(), 3, cols, cols + 5}, span<std::byte>(out.data(), bytes)) == status::ok);
            REQUIRE(quantize_blocks(
                        type, {x.data(), 3, cols, cols + 5}, span<std::byte>(out.data(), bytes), span<const float>(weights.data(), n))
                    == status::ok);
            for (std::size_t i = 0; i < x.size(); ++i)
                x[i] = -77.0f;
            REQUIRE(dequantize_blocks(type, span<const std::byte>(out.data(), bytes), {x.data(), 3, cols, cols + 5}) == status::ok);
            for (std::size_t r = 0; r < 2; ++r)
                for (std::size_t i = 0; i < 5; ++i)
                    CHECK(x[r * (n + 5) + n + i] == -77.0f);
            CHECK(check_blocks(type, span<const std::byte>(out.data(), bytes)) == status::ok);
        }
    }
}

TEST_CASE("quantizing to blocks refuses what it cannot do")
{
    std::vector<float> x(512, 1.0f);
    std::vector<std::byte> out(2048, std::byte {0x55});
    const std::vector<std::byte> untouched = out;
    const auto quantize = [&](ggml_type type, std::ptrdiff_t cols, span<const float> importance = {}) {
        return quantize_blocks(type, {x.data(), 1, cols}, out, importance);
    };
    CHECK(quantize(static_cast<ggml_type>(4), 256) == status::ggml_type_unknown);
    CHECK(quantize(static_cast<ggml_type>(43), 256) == status::ggml_type_unknown);
    CHECK(quantize(ggml_type::iq2_xs, 256) == status::ggml_type_unsupported);
    CHECK(quantize(ggml_type::f32, 256) == status::ggml_type_unsupported);
    CHECK(quantize(ggml_type::q4_K, 288) == status::cols_not_whole_blocks);
    CHECK(quantize(ggml_type::q4_0, 33) == status::cols_not_whole_blocks);
    CHECK(quantize(ggml_type::q4_0, 256, std::vector<float>(255, 1.0f)) == status::params_count_mismatch);
    CHECK(quantize(ggml_type::q4_0, 256, std::vector<float>(256, HUGE_VALF)) == status::not_finite);
    CHECK(quantize_blocks(ggml_type::q8_0, {x.data(), 1, 256}, span<std::byte>(out.data(), 271)) == status::buffer_too_small);
    CHECK(quantize_blocks(ggml_type::q8_0, {nullptr, 1, 256}, out) == status::null_pointer);
    CHECK(dequantize_blocks(ggml_type::q8_0, span<const std::byte>(out.data(), 271), {x.data(), 1, 256}) == status::buffer_too_small);
    CHECK(dequantize_blocks(ggml_type::i32, out, {x.data(), 1, 256}) == status::ggml_type_unsupported);
    x[200] = NAN;
    CHECK(quantize(ggml_type::q4_0, 256) == status::not_finite);
    CHECK(out == untouched);
}

TEST_CASE("scales that are not finite are found")
{
    std::vector<float> x(256, 1.0f);
    x[100] = 1e9f; // the half scale overflows
    for (const ggml_type type : {ggml_type::q4_0, ggml_type::q4_1, ggml_type::q8_0, ggml_type::q2_K, ggml_type::q6_K, ggml_type::tq1_0,
             ggml_type::q1_0, ggml_type::q2_0}) {
        INFO(to_string(type));
        std::vector<std::byte> blocks = quantized(type, x, 1);
        CHECK(check_blocks(type, blocks) == status::not_finite);
        CHECK(check_blocks(type, span<const std::byte>(blocks.data(), blocks.size() - 1)) == status::cols_not_whole_blocks);
    }
}

TEST_CASE("the caller's rounding mode does not reach the blocks")
{
    const std::vector<float> x = test::block_data(4, 256);
#if defined(__x86_64__)
    const unsigned saved = __builtin_ia32_stmxcsr();
#endif
    for (const ggml_type type : quantizable_types()) {
        INFO(to_string(type));
        const std::vector<std::byte> expected = quantized(type, x, 4);
#if defined(__x86_64__)
        __builtin_ia32_ldmxcsr(saved | 0xe040u); // toward zero, subnormals flushed
#endif
        std::vector<std::byte> bytes(expected.size());
        const status done = quantize_blocks(type, {x.data(), 4, 256}, bytes);
#if defined(__x86_64__)
        __builtin_ia32_ldmxcsr(saved);
#endif
        CHECK(done == status::ok);
        CHECK(bytes == expected);
    }
}

namespace {

// Quantized numbers in every second block, random bytes with finite scales in the others.
std::vector<std::byte> mixed_blocks(ggml_type type, std::ptrdiff_t n, std::ptrdiff_t k)
{
    std::vector<float> x(static_cast<std::size_t>(n * k));
    std::mt19937 bits(static_cast<std::uint32_t>(type));
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = test::normal(bits) * (i / 16 % 5 == 0 ? 0.0f : i / 16 % 5 == 1 ? 20.0f : 1.0f);
    std::vector<std::byte> bytes = quantized(type, x, n);
    const std::size_t block = static_cast<std::size_t>(block_bytes(type));
    for (std::size_t at = block; at + block <= bytes.size(); at += 2 * block)
        do {
            for (std::size_t i = 0; i < block; ++i)
                bytes[at + i] = static_cast<std::byte>(bits());
        } while (check_blocks(type, span<const std::byte>(bytes.data() + at, block)) != status::ok);
    return bytes;
}

struct quantized_rows {
    std::vector<std::int8_t> codes;
    std::vector<float> scales;
};

quantized_rows rows_of(const std::vector<float>& a, std::ptrdiff_t m, std::ptrdiff_t k)
{
    quantized_rows q {std::vector<std::int8_t>(a.size()), std::vector<float>(static_cast<std::size_t>(m))};
    for (std::ptrdiff_t i = 0; i < m; ++i)
        q.scales[static_cast<std::size_t>(i)] = reference::quantize_row(a.data() + i * k, k, q.codes.data() + i * k);
    return q;
}

std::vector<float> activations(std::ptrdiff_t m, std::ptrdiff_t k)
{
    std::vector<float> a(static_cast<std::size_t>(m * k));
    std::mt19937 bits(9);
    for (float& x : a)
        x = test::normal(bits);
    return a;
}

} // namespace

TEST_CASE("products with blocks equal the reference on every backend")
{
    for (const ggml_type type : quantizable_types())
        for (const std::ptrdiff_t k : {block_elements(type), 2 * block_elements(type), std::ptrdiff_t {768}})
            for (const std::ptrdiff_t n : {1, 16, 17, 150}) {
                const std::vector<std::byte> blocks = mixed_blocks(type, n, k);
                const auto packed = make_packed_blocks(type, blocks, n, k);
                REQUIRE(packed);
                for (const std::ptrdiff_t m : {1, 2, 3, 5, 17}) {
                    const std::vector<float> a = activations(m, k);
                    const quantized_rows q = rows_of(a, m, k);
                    std::vector<float> bias(static_cast<std::size_t>(n)), expected(static_cast<std::size_t>(m * n));
                    epilogue e;
                    if (n > 16) {
                        for (std::size_t j = 0; j < bias.size(); ++j)
                            bias[j] = static_cast<float>(j) * 0.03125f - 2.0f;
                        e.bias = bias;
                        e.function = activation_function::silu;
                    }
                    reference::gemm_blocks<std::int8_t, float>(
                        {q.codes.data(), m, k}, q.scales, {}, type, blocks, e, {expected.data(), m, n});
                    for (const backend b : test::usable_backends()) {
                        INFO(to_string(type) << " on " << to_string(b) << ", " << m << " x " << n << " x " << k);
                        REQUIRE(force_backend(b) == status::ok);
                        std::vector<float> c(expected.size());
                        const test::guarded<std::byte> workspace(static_cast<std::ptrdiff_t>(gemm_workspace(m, *packed)));
                        REQUIRE(gemm(matrix_view<const float>(a.data(), m, k), *packed, e, matrix_view<float>(c.data(), m, n),
                                    span<std::byte>(workspace.data(), workspace.size()))
                                == status::ok);
                        CHECK(test::same_bits(c.data(), expected.data(), c.size()));

                        std::fill(c.begin(), c.end(), 9.0f);
                        const test::guarded<std::byte> direct(static_cast<std::ptrdiff_t>(*gemm_blocks_workspace(type, m, n, k)));
                        REQUIRE(gemm_blocks(matrix_view<const float>(a.data(), m, k), type, blocks, e, matrix_view<float>(c.data(), m, n),
                                    span<std::byte>(direct.data(), direct.size()))
                                == status::ok);
                        CHECK(test::same_bits(c.data(), expected.data(), c.size()));
                    }
                }
            }
    REQUIRE(force_backend(best_backend()) == status::ok);
}

TEST_CASE("products with any number of small blocks equal the reference on every backend")
{
    test::random random(31);
    for (int round = 0; round < 400; ++round) {
        std::vector<ggml_type> types = quantizable_types();
        types.erase(std::remove_if(types.begin(), types.end(), [](ggml_type t) { return block_elements(t) > 128; }), types.end());
        const ggml_type type = types[static_cast<std::size_t>(random.integer(0, static_cast<std::int32_t>(types.size()) - 1))];
        const std::ptrdiff_t k = random.integer(1, 11) * block_elements(type), n = random.integer(1, 40), m = random.integer(1, 9);
        const std::vector<std::byte> blocks = mixed_blocks(type, n, k);
        const auto packed = make_packed_blocks(type, blocks, n, k);
        REQUIRE(packed);
        const std::vector<float> a = activations(m, k);
        const quantized_rows q = rows_of(a, m, k);
        std::vector<float> expected(static_cast<std::size_t>(m * n));
        reference::gemm_blocks<std::int8_t, float>({q.codes.data(), m, k}, q.scales, {}, type, blocks, {}, {expected.data(), m, n});
        for (const backend b : test::usable_backends()) {
            INFO(to_string(type) << " on " << to_string(b) << ", " << m << " x " << n << " x " << k);
            REQUIRE(force_backend(b) == status::ok);
            std::vector<float> c(expected.size());
            const test::guarded<std::byte> workspace(static_cast<std::ptrdiff_t>(gemm_workspace(m, *packed)));
            REQUIRE(gemm(matrix_view<const float>(a.data(), m, k), *packed, {}, matrix_view<float>(c.data(), m, n),
                        span<std::byte>(workspace.data(), workspace.size()))
                    == status::ok);
            CHECK(test::same_bits(c.data(), expected.data(), c.size()));
        }
    }
    REQUIRE(force_backend(best_backend()) == status::ok);
}

TEST_CASE("products with blocks in memory check what they are given, and read no further")
{
    const std::ptrdiff_t m = 2, n = 130, k = 256;
    const std::vector<std::byte> blocks = mixed_blocks(ggml_type::q4_K, n, k);
    const std::vector<float> a = activations(m, k);
    const test::guarded<std::byte> in(static_cast<std::ptrdiff_t>(blocks.size()));
    std::memcpy(in.data(), blocks.data(), in.size());
    std::vector<float> wide(m * (n + 3), 7.0f), c(m * n);
    std::vector<std::byte> workspace(*gemm_blocks_workspace(ggml_type::q4_K, m, n, k));
    const auto run = [&](ggml_type type, std::ptrdiff_t columns, span<const std::byte> w, std::size_t scratch) {
        return gemm_blocks(matrix_view<const float>(a.data(), m, columns), type, w, {}, matrix_view<float>(wide.data(), m, n, n + 3),
            span<std::byte>(workspace.data(), scratch));
    };
    const span<const std::byte> whole(in.data(), in.size());
    CHECK(run(ggml_type::q4_K, 250, whole, workspace.size()) == status::cols_not_whole_blocks);
    // Packed with float scales they would be too large, though the file, and compact panels, would not.
    CHECK(gemm_blocks_workspace(ggml_type::q6_K, 1, PTRDIFF_MAX / 16000, 16384).error() == status::size_overflow);
    CHECK(run(ggml_type::f16, k, whole, workspace.size()) == status::ggml_type_unsupported);
    CHECK(run(ggml_type::q4_K, k, whole.subspan(0, in.size() - 1), workspace.size()) == status::buffer_too_small);
    CHECK(run(ggml_type::q4_K, k, whole, workspace.size() - 1) == status::buffer_too_small);
    CHECK(run(ggml_type::q4_K, k, {nullptr, in.size()}, workspace.size()) == status::null_pointer);
    in.data()[in.size() - 144] = std::byte {0};
    in.data()[in.size() - 143] = std::byte {0x7c}; // the last block's scale is infinite
    CHECK(run(ggml_type::q4_K, k, whole, workspace.size()) == status::not_finite);
    CHECK(std::count(wide.begin(), wide.end(), 7.0f) == static_cast<std::ptrdiff_t>(wide.size()));

    std::memcpy(in.data(), blocks.data(), in.size());
    REQUIRE(run(ggml_type::q4_K, k, whole, workspace.size()) == status::ok);
    const auto packed = make_packed_blocks(ggml_type::q4_K, blocks, n, k);
    REQUIRE(packed);
    std::vector<std::byte> scratch(gemm_workspace(m, *packed));
    REQUIRE(gemm(matrix_view<const float>(a.data(), m, k), *packed, {}, matrix_view<float>(c.data(), m, n), scratch) == status::ok);
    for (std::ptrdiff_t i = 0; i < m; ++i) {
        CHECK(test::same_bits(wide.data() + i * (n + 3), c.data() + i * n, static_cast<std::size_t>(n)));
        CHECK(wide[static_cast<std::size_t>(i * (n + 3) + n)] == 7.0f);
    }
}

TEST_CASE("static activations with a zero point, too")
{
    const std::ptrdiff_t m = 3, n = 18, k = 256;
    std::vector<std::uint8_t> a(m * k);
    std::mt19937 bits(4);
    for (std::uint8_t& x : a)
        x = static_cast<std::uint8_t>(bits());
    for (const ggml_type type : {ggml_type::q8_0, ggml_type::q5_1, ggml_type::q5_K, ggml_type::q6_K, ggml_type::mxfp4}) {
        const std::vector<std::byte> blocks = mixed_blocks(type, n, k);
        const auto packed = make_packed_blocks(type, blocks, n, k);
        REQUIRE(packed);
        std::vector<float> expected(m * n), c(m * n);
        const static_activations s {0.03f, 131};
        reference::gemm_blocks<std::uint8_t, float>({a.data(), m, k}, {}, s, type, blocks, {}, {expected.data(), m, n});
        std::vector<std::byte> workspace(gemm_workspace(m, *packed));
        for (const backend b : test::usable_backends()) {
            INFO(to_string(type) << " on " << to_string(b));
            REQUIRE(force_backend(b) == status::ok);
            REQUIRE(gemm(matrix_view<const std::uint8_t>(a.data(), m, k), s, *packed, {}, matrix_view<float>(c.data(), m, n), workspace)
                    == status::ok);
            CHECK(test::same_bits(c.data(), expected.data(), c.size()));
        }
    }
    REQUIRE(force_backend(best_backend()) == status::ok);
}

// Of dequantized weights, in double: what is left is the rounding of sums, and in types with a minimum of each weight.
TEST_CASE("products with blocks are products with the numbers the blocks stand for")
{
    const std::ptrdiff_t n = 20, k = 1024;
    const std::vector<float> a = activations(1, k);
    const quantized_rows q = rows_of(a, 1, k);
    std::vector<float> x(static_cast<std::size_t>(n * k));
    std::mt19937 bits(12);
    for (float& w : x)
        w = test::normal(bits);
    for (const ggml_type type : quantizable_types()) {
        INFO(to_string(type));
        const std::vector<std::byte> blocks = quantized(type, x, n);
        std::vector<float> w(x.size()), c(static_cast<std::size_t>(n));
        REQUIRE(dequantize_blocks(type, blocks, {w.data(), n, k}) == status::ok);
        const auto packed = make_packed_blocks(type, blocks, n, k);
        REQUIRE(packed);
        std::vector<std::byte> workspace(gemm_workspace(1, *packed));
        REQUIRE(gemv(span<const float>(a), *packed, {}, span<float>(c), workspace) == status::ok);
        for (std::ptrdiff_t j = 0; j < n; ++j) {
            double sum = 0, magnitude = 0;
            for (std::ptrdiff_t l = 0; l < k; ++l) {
                const double product = static_cast<double>(q.codes[static_cast<std::size_t>(l)]) * w[static_cast<std::size_t>(j * k + l)];
                sum += product;
                magnitude += std::fabs(product);
            }
            const double scale = q.scales[0];
            CHECK(std::fabs(c[static_cast<std::size_t>(j)] - sum * scale) < 1e-5 * magnitude * scale);
        }
    }
}

TEST_CASE("packing reads the blocks and writes the panels to the byte")
{
    for (const ggml_type type : quantizable_types()) {
        INFO(to_string(type));
        const std::ptrdiff_t n = 19, k = 2 * block_elements(type);
        const std::vector<std::byte> blocks = mixed_blocks(type, n, k);
        const auto expected = make_packed_blocks(type, blocks, n, k);
        REQUIRE(expected);
        for (const bool at_end : {true, false}) {
            const test::guarded<std::byte> in(static_cast<std::ptrdiff_t>(blocks.size()), at_end);
            const test::guarded<std::byte> out(static_cast<std::ptrdiff_t>(*packed_size(type, n, k)), at_end);
            std::memcpy(in.data(), blocks.data(), in.size());
            std::memset(out.data(), 0x77, out.size());
            REQUIRE(pack_blocks(type, span<const std::byte>(in.data(), in.size()), n, k, span<std::byte>(out.data(), out.size()))
                    == status::ok);
            REQUIRE(out.size() == expected->bytes().size());
            CHECK(test::same_bits(out.data(), expected->bytes().data(), out.size()));
            CHECK(view_packed(span<const std::byte>(out.data(), out.size())));
        }
    }
}

TEST_CASE("packed blocks take as many bits as the header says")
{
    const struct {
        ggml_type type;
        double bits;
    } rows[] = {{ggml_type::q4_0, 4.5}, {ggml_type::q4_1, 5}, {ggml_type::q5_0, 5.5}, {ggml_type::q5_1, 6}, {ggml_type::q8_0, 8.5},
        {ggml_type::q8_1, 8.5}, {ggml_type::q2_K, 3.125}, {ggml_type::q3_K, 3.5625}, {ggml_type::q4_K, 4.625}, {ggml_type::q5_K, 5.625},
        {ggml_type::q6_K, 6.5625}, {ggml_type::q8_K, 8.125}, {ggml_type::iq4_nl, 4.5}, {ggml_type::iq4_xs, 4.3125}, {ggml_type::mxfp4, 4.5},
        {ggml_type::nvfp4, 5}, {ggml_type::tq1_0, 2.0625}, {ggml_type::tq2_0, 2.0625}, {ggml_type::q1_0, 1.125}, {ggml_type::q2_0, 2.25}};
    CHECK(sizeof rows / sizeof *rows == quantizable_types().size());
    for (const auto& r : rows) {
        INFO(to_string(r.type));
        CHECK(static_cast<double>(*packed_size(r.type, 64, 1024) - sizeof(packed_header)) * 8 / (64 * 1024) == r.bits);
    }
}

TEST_CASE("packing blocks refuses what it cannot do")
{
    std::vector<std::byte> blocks(4096), out(65536, std::byte {0x55});
    const std::vector<std::byte> untouched = out;
    CHECK(packed_size(ggml_type::q4_K, 2, 288).error() == status::cols_not_whole_blocks);
    CHECK(std::string(to_string(status::cols_not_whole_blocks)).find("q4_0") != std::string::npos);
    CHECK(packed_size(ggml_type::q4_0, -1, 32).error() == status::negative_size);
    CHECK(packed_size(ggml_type::q4_0, PTRDIFF_MAX / 4, 32).error() == status::size_overflow);
    CHECK(packed_size(ggml_type::f16, 2, 32).error() == status::ggml_type_unsupported);
    CHECK(packed_size(static_cast<ggml_type>(5), 2, 32).error() == status::ggml_type_unknown);
    CHECK(pack_blocks(ggml_type::q4_K, blocks, 2, 288, out) == status::cols_not_whole_blocks);
    CHECK(pack_blocks(ggml_type::q4_0, span<const std::byte>(blocks.data(), 35), 2, 32, out) == status::buffer_too_small);
    CHECK(pack_blocks(ggml_type::q4_0, blocks, 2, 32, span<std::byte>(out.data(), *packed_size(ggml_type::q4_0, 2, 32) - 1))
          == status::buffer_too_small);
    CHECK(pack_blocks(ggml_type::q4_0, {nullptr, 36}, 2, 32, out) == status::null_pointer);
    blocks[18] = std::byte {0xff}; // the second row's scale
    blocks[19] = std::byte {0x7f};
    CHECK(pack_blocks(ggml_type::q4_0, blocks, 2, 32, out) == status::not_finite);
    CHECK(out == untouched);

    // One group: still no int32 sums, since the minimum is part of the product.
    const std::vector<std::byte> one = mixed_blocks(ggml_type::q5_1, 2, 32);
    const auto packed = make_packed_blocks(ggml_type::q5_1, one, 2, 32);
    REQUIRE(packed);
    const std::vector<std::int8_t> a(32, 1);
    std::int32_t c[2] = {7, 7};
    std::vector<std::byte> workspace(gemm_workspace(1, *packed));
    CHECK(gemm(matrix_view<const std::int8_t>(a.data(), 1, 32), {}, *packed, {}, matrix_view<std::int32_t>(c, 1, 2), workspace)
          == status::grouped_weights);
    CHECK(c[0] == 7);
    std::vector<std::byte> damaged(packed->bytes().begin(), packed->bytes().end());
    packed_header header;
    std::memcpy(&header, damaged.data(), sizeof header);
    header.has_zero_points = 1;
    std::memcpy(damaged.data(), &header, sizeof header);
    CHECK(view_packed(damaged).error() == status::packed_damaged);
}

TEST_CASE("a damaged header of compact panels is found")
{
    const auto packed = make_packed_blocks(ggml_type::q6_K, mixed_blocks(ggml_type::q6_K, 3, 512), 3, 512);
    REQUIRE(packed);
    packed_header header;
    std::memcpy(&header, packed->bytes().data(), sizeof header);
    CHECK(header.compact == static_cast<std::uint8_t>(ggml_type::q6_K));
    const auto with = [&](auto change) {
        std::vector<std::byte> bytes(packed->bytes().begin(), packed->bytes().end());
        packed_header changed = header;
        change(changed);
        std::memcpy(bytes.data(), &changed, sizeof changed);
        return view_packed(bytes).error();
    };
    CHECK(with([](packed_header&) {}) == status::ok);
    for (const ggml_type other : {ggml_type::q4_K, ggml_type::q5_K, ggml_type::q4_0, ggml_type::q8_0, ggml_type::iq2_xxs})
        CHECK(with([&](packed_header& h) { h.compact = static_cast<std::uint8_t>(other); }) == status::packed_damaged);
    CHECK(with([](packed_header& h) { h.compact = 255; }) == status::packed_damaged);
    CHECK(with([](packed_header& h) { h.k = 511; }) == status::packed_damaged);
    CHECK(with([](packed_header& h) { h.k = 0; }) == status::packed_damaged);
    CHECK(with([](packed_header& h) { h.k = 768; }) == status::buffer_too_small);
    CHECK(with([](packed_header& h) { h.without_sums = 0; }) == status::packed_damaged);
    CHECK(with([](packed_header& h) { h.without_sums = 2; }) == status::packed_damaged);
    CHECK(with([](packed_header& h) { h.has_zero_points = 1; }) == status::packed_damaged);
    CHECK(with([](packed_header& h) { h.half_scales = 1; }) == status::packed_damaged);
    CHECK(with([](packed_header& h) { h.group_size = 32; }) == status::packed_damaged);
    CHECK(with([](packed_header& h) { h.type = weight_type::u4; }) == status::packed_damaged);
}

TEST_CASE("codebook types become ggml's floats")
{
    // Hashes of what ggml makes of the same bytes.
    const struct {
        ggml_type type;
        std::uint64_t hash;
    } rows[] = {{ggml_type::iq1_s, 0xa6dec0246a7071d2}, {ggml_type::iq1_m, 0x67ee92c7490e71dd}, {ggml_type::iq2_xxs, 0x0e7fa41248d1f392},
        {ggml_type::iq2_xs, 0xc482c8ff12e07dfa}, {ggml_type::iq2_s, 0xc9e41362f2283d3c}, {ggml_type::iq3_xxs, 0x9764bfb372d921ea},
        {ggml_type::iq3_s, 0xd06d3328b1701971}};
    for (const auto& r : rows) {
        INFO(to_string(r.type));
        const std::ptrdiff_t n = 300, k = 512;
        const test::guarded<std::byte> in(*bytes_for(n, k, r.type));
        std::mt19937 bits(7);
        for (std::size_t i = 0; i < in.size(); ++i)
            in.data()[i] = static_cast<std::byte>(bits());
        // No infinite or NaN scales: the half's highest exponent bit is cleared, wherever it is.
        for (std::size_t at = 0; at < in.size(); at += static_cast<std::size_t>(block_bytes(r.type)))
            in.data()[at + (r.type == ggml_type::iq1_m ? 55 : 1)] &= std::byte {0xbf};
        const test::guarded<float> x(n * k);
        REQUIRE(dequantize_codebook_blocks(r.type, span<const std::byte>(in.data(), in.size()), {x.data(), n, k}) == status::ok);
        CHECK(test::hash(x.data(), x.size() * sizeof(float)) == r.hash);
    }
    std::vector<std::byte> blocks(98);
    std::vector<float> x(256, 3.0f);
    CHECK(dequantize_codebook_blocks(ggml_type::iq3_xxs, blocks, {x.data(), 1, 128}) == status::cols_not_whole_blocks);
    CHECK(dequantize_codebook_blocks(ggml_type::iq3_s, blocks, {x.data(), 1, 256}) == status::buffer_too_small);
    CHECK(dequantize_codebook_blocks(ggml_type::iq3_xxs, {nullptr, 98}, {x.data(), 1, 256}) == status::null_pointer);
    CHECK(dequantize_codebook_blocks(ggml_type::q4_0, blocks, {x.data(), 1, 32}) == status::ggml_type_unsupported);
    CHECK(dequantize_codebook_blocks(static_cast<ggml_type>(5), blocks, {x.data(), 1, 32}) == status::ggml_type_unknown);
    CHECK(x == std::vector<float>(256, 3.0f));
}
