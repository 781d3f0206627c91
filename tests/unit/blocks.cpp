#include "../block_data.hpp"
#include "../support.hpp"

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
    for (const ggml_type type : {ggml_type::q4_0, ggml_type::q4_1, ggml_type::q8_0, ggml_type::q2_K, ggml_type::q6_K, ggml_type::tq1_0}) {
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
