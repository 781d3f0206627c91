// Number formats against ggml's own library, opened at run time: NIBBLE_GGML names libggml-base.so.
#include "../support.hpp"

#include <cmath>
#include <cstdlib>

#include <dlfcn.h>

using namespace nibble;

namespace {

void* library()
{
    static void* const handle = [] {
        const char* path = std::getenv("NIBBLE_GGML");
        void* const opened = path != nullptr ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : nullptr;
        if (opened == nullptr)
            FAIL("NIBBLE_GGML names no library that can be opened: `tests/peers ggml` fetches it");
        return opened;
    }();
    return handle;
}

template <class Function>
Function symbol(const char* name)
{
    void* const found = dlsym(library(), name);
    if (found == nullptr)
        FAIL("this ggml has no " << name);
    Function function;
    std::memcpy(&function, &found, sizeof function);
    return function;
}

// ggml's blocks, as its files have them.
struct their_q8_0 {
    std::uint16_t d;
    std::int8_t qs[32];
};
struct their_mxfp4 {
    std::uint8_t e, qs[16];
};
struct their_nvfp4 {
    std::uint8_t d[4], qs[32];
};
static_assert(sizeof(their_q8_0) == 34 && sizeof(their_mxfp4) == 17 && sizeof(their_nvfp4) == 36);

// Numbers of one magnitude a block, a third of them small multiples of a power of two, which gives ties.
std::vector<float> blocks(std::size_t count, std::size_t block, std::uint64_t seed)
{
    test::random random(seed);
    std::vector<float> x(count);
    for (std::size_t begin = 0; begin < count; begin += block) {
        const int shift = random.integer(-12, 6), kind = random.integer(0, 5);
        for (std::size_t i = begin; i < begin + block; ++i)
            x[i] = kind < 2 ? std::ldexp(static_cast<float>(random.integer(-48, 48)), shift) : std::ldexp(random.real(), shift);
    }
    for (std::size_t i = 0; i < block; ++i)
        x[i] = i % 2 ? 0.0f : -0.0f;
    return x;
}

} // namespace

TEST_CASE("half and bfloat16 are ggml's: every code, and sixteen million floats")
{
    const auto to_fp16 = symbol<std::uint16_t (*)(float)>("ggml_fp32_to_fp16");
    const auto from_fp16 = symbol<float (*)(std::uint16_t)>("ggml_fp16_to_fp32");
    const auto to_bf16 = symbol<void (*)(const float*, std::uint16_t*, std::int64_t)>("ggml_fp32_to_bf16_row_ref");
    const auto from_bf16 = symbol<void (*)(const std::uint16_t*, float*, std::int64_t)>("ggml_bf16_to_fp32_row");
    std::size_t wrong = 0;
    for (std::uint32_t code = 0; code < 65536; ++code) {
        const std::uint16_t bits = static_cast<std::uint16_t>(code);
        const float h = to_float(half {bits}), f = to_float(bfloat16 {bits});
        float other = 0.0f;
        from_bf16(&bits, &other, 1);
        // The payload of a NaN is left open by ggml's own converters, which differ from each other.
        wrong += float_bits(h) != float_bits(from_fp16(bits)) && h == h;
        wrong += float_bits(f) != float_bits(other) && f == f;
    }
    CHECK(wrong == 0);
    std::size_t wrong_half = 0, wrong_bfloat16 = 0;
    for (std::uint64_t u = 0; u < 1ull << 32; u += 257) {
        const float x = float_from_bits(static_cast<std::uint32_t>(u));
        std::uint16_t other = 0;
        to_bf16(&x, &other, 1);
        wrong_bfloat16 += to_bfloat16(x).bits != other;
        wrong_half += to_half(x).bits != to_fp16(x) && x == x;
    }
    CHECK(wrong_half == 0);
    CHECK(wrong_bfloat16 == 0);
}

TEST_CASE("preset::ggml_q8_0 gives the codes and scales of ggml's Q8_0, on every backend")
{
    const auto quantize_ref = symbol<void (*)(const float*, void*, std::int64_t)>("quantize_row_q8_0_ref");
    const std::size_t count = 32 * 40000;
    const std::vector<float> x = blocks(count, 32, 1);
    std::vector<their_q8_0> theirs(count / 32);
    quantize_ref(x.data(), theirs.data(), static_cast<std::int64_t>(count));
    const matrix_view<const float> view(x.data(), 1, static_cast<std::ptrdiff_t>(count));
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        std::vector<float> scales(count / 32), scratch(2 * scales.size());
        std::vector<std::int8_t> q(count);
        REQUIRE(choose_params<std::int8_t>(view, preset::ggml_q8_0.params, granularity::per_group, 32, scales, {}, scratch) == status::ok);
        REQUIRE(quantize<std::int8_t>(
                    view, {granularity::per_group, 32, scales}, {q.data(), 1, static_cast<std::ptrdiff_t>(count)}, preset::ggml_q8_0.rule)
                == status::ok);
        std::size_t wrong_codes = 0, wrong_scales = 0;
        for (std::size_t i = 0; i < count; ++i)
            wrong_codes += q[i] != theirs[i / 32].qs[i % 32];
        for (std::size_t g = 1; g < scales.size(); ++g) // ggml's scale of a block of zeros is 0, nibble's 1
            wrong_scales += to_half(scales[g]).bits != theirs[g].d && theirs[g].d != 0;
        CHECK(wrong_codes == 0);
        CHECK(wrong_scales == 0);
    }
}

TEST_CASE("MXFP4 with ggml's rounding gives the scales and codes of ggml's MXFP4, on every backend")
{
    const auto quantize_ref = symbol<void (*)(const float*, void*, std::int64_t)>("quantize_row_mxfp4_ref");
    const std::size_t count = 32 * 40000;
    const std::vector<float> x = blocks(count, 32, 2);
    std::vector<their_mxfp4> theirs(count / 32);
    quantize_ref(x.data(), theirs.data(), static_cast<std::int64_t>(count));
    const std::ptrdiff_t cols = static_cast<std::ptrdiff_t>(count);
    for (const backend b : test::usable_backends()) {
        INFO(to_string(b));
        REQUIRE(force_backend(b) == status::ok);
        std::vector<float4_e2m1x2> q(count / 2);
        std::vector<float8_e8m0> scales(count / 32);
        REQUIRE(quantize_mx(matrix_view<const float>(x.data(), 1, cols), matrix_view<float4_e2m1x2>(q.data(), 1, cols / 2),
                    matrix_view<float8_e8m0>(scales.data(), 1, cols / 32), {scale_rule::floor, element_rounding::ggml})
                == status::ok);
        std::size_t wrong_scales = 0, wrong_codes = 0;
        for (std::size_t g = 0; g < scales.size(); ++g)
            wrong_scales += scales[g].bits != theirs[g].e;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t at = i % 32;
            const int ours = i % 2 ? q[i / 2].second().bits : q[i / 2].first().bits;
            wrong_codes += ours != (theirs[i / 32].qs[at % 16] >> (at < 16 ? 0 : 4) & 15);
        }
        CHECK(wrong_scales == 0);
        CHECK(wrong_codes == 0);
    }
}

// ggml rounds the scale in a way of its own and stores half of it, in unsigned E4M3; a block whose scales agree must have equal codes.
TEST_CASE("NVFP4 with ggml's rounding gives the codes of ggml's NVFP4 where the scales agree")
{
    const auto quantize_ref = symbol<void (*)(const float*, void*, std::int64_t)>("quantize_row_nvfp4_ref");
    const auto dequantize = symbol<void (*)(const void*, float*, std::int64_t)>("dequantize_row_nvfp4");
    const std::size_t count = 64 * 20000;
    const std::vector<float> x = blocks(count, 16, 3);
    const std::ptrdiff_t cols = static_cast<std::ptrdiff_t>(count);
    std::vector<their_nvfp4> theirs(count / 64);
    quantize_ref(x.data(), theirs.data(), cols);
    std::vector<float> back(count), ours(count);
    dequantize(theirs.data(), back.data(), cols);
    std::vector<float4_e2m1x2> q(count / 2);
    std::vector<float8_e4m3> scales(count / 16);
    REQUIRE(quantize_nvfp4(matrix_view<const float>(x.data(), 1, cols), 1.0f, matrix_view<float4_e2m1x2>(q.data(), 1, cols / 2),
                matrix_view<float8_e4m3>(scales.data(), 1, cols / 16), element_rounding::ggml)
            == status::ok);
    REQUIRE(dequantize_nvfp4(matrix_view<const float4_e2m1x2>(q.data(), 1, cols / 2),
                matrix_view<const float8_e4m3>(scales.data(), 1, cols / 16), 1.0f, matrix_view<float>(ours.data(), 1, cols))
            == status::ok);
    std::size_t wrong = 0, compared = 0;
    for (std::size_t g = 0; g < scales.size(); ++g) {
        if (scales[g].bits != theirs[g / 4].d[g % 4])
            continue;
        compared += 16;
        for (std::size_t i = 16 * g; i < 16 * g + 16; ++i)
            wrong += ours[i] != back[i];
    }
    CHECK(compared > count / 2);
    CHECK(wrong == 0);
}
