#include "../support.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "../gguf_cases.hpp"

using namespace nibble;

namespace {

struct bad_importance {
    float value;
    status expected;
};

const bad_importance all_bad[] = {{-1.0f, status::importance_invalid}, {-0x1p-149f, status::importance_invalid},
    {-std::numeric_limits<float>::max(), status::importance_invalid}, {std::numeric_limits<float>::quiet_NaN(), status::not_finite},
    {-std::numeric_limits<float>::quiet_NaN(), status::not_finite}, {std::numeric_limits<float>::infinity(), status::not_finite},
    {-std::numeric_limits<float>::infinity(), status::not_finite}};

} // namespace

TEST_CASE("an importance that is NaN, infinite or below zero gets one status everywhere, before the first write")
{
    const std::ptrdiff_t k = 256;
    std::vector<float> w(static_cast<std::size_t>(k));
    test::random random(1);
    for (float& v : w)
        v = random.real();
    auto h = hessian::make(k);
    REQUIRE(h->add({w.data(), 1, k}) == status::ok);
    const matrix_view<const float> view(w.data(), 1, k);
    for (const bad_importance& bad : all_bad)
        for (const std::size_t at : {std::size_t {0}, std::size_t {100}, std::size_t {255}})
            for (const bool alone : {true, false}) {
                INFO(bad.value);
                std::vector<float> importance(static_cast<std::size_t>(k), alone ? 1.0f : bad.value);
                importance[at] = bad.value;
                CHECK(check_importance(importance) == bad.expected);

                for (int t = 0; t < 64; ++t) {
                    const ggml_type type = static_cast<ggml_type>(t);
                    if (!is_known(type) || !is_quantizable(type))
                        continue;
                    std::vector<std::byte> blocks(std::size_t(*bytes_for(1, k, type)), std::byte {0x55}), untouched = blocks;
                    CHECK(quantize_blocks(type, view, blocks, importance) == bad.expected);
                    CHECK(blocks == untouched);
                }
                std::vector<std::int8_t> codes(static_cast<std::size_t>(k), 77);
                float scale[1] = {-5.0f};
                CHECK(round_to_nearest(view, weight_format {}, quantized_matrix<std::int8_t> {{codes.data(), 1, k}, scale}, importance)
                      == bad.expected);
                CHECK((codes == std::vector<std::int8_t>(static_cast<std::size_t>(k), 77) && scale[0] == -5.0f));

                std::vector<float> dense(w.size(), -5.0f), values(3), scales(w.size(), -5.0f);
                std::vector<std::int32_t> begin(2, 77), columns(3, 77);
                CHECK(split_outlier_weights(view, importance, {dense.data(), 1, k}, begin, columns, values) == bad.expected);
                CHECK((dense[0] == -5.0f && begin[0] == 77 && columns[0] == 77));
                CHECK(search_awq_scales<std::int8_t>(view, importance, *h, weight_format {}, 3, scales) == bad.expected);
                CHECK(scales[0] == -5.0f);
            }
}

TEST_CASE("importance files: a value that is NaN, infinite or below zero, and a count that is")
{
    for (const bad_importance& bad : all_bad) {
        INFO(bad.value);
        float out[2] = {-5.0f, -5.0f};
        const auto dat = test::gguf_bytes().number(1).number(1).raw("x").number(4).number(2).number(3.0f).number(bad.value).bytes;
        const auto legacy = imatrix_reader::open(dat);
        REQUIRE(legacy);
        CHECK(legacy->weights("x", 2, 1, out) == bad.expected);
        CHECK((out[0] == -5.0f && out[1] == -5.0f));

        for (const bool is_count : {false, true}) {
            const float sums[] = {3.0f, is_count ? 1.0f : bad.value}, counts[] = {is_count ? bad.value : 2.0f};
            std::vector<gguf_tensor> tensors(2);
            tensors[0].name = "x.in_sum2";
            tensors[0].sizes[0] = 2;
            tensors[0].data = span<const std::byte>(reinterpret_cast<const std::byte*>(sums), sizeof sums);
            tensors[1].name = "x.counts";
            tensors[1].data = span<const std::byte>(reinterpret_cast<const std::byte*>(counts), sizeof counts);
            std::vector<std::byte> bytes(static_cast<std::size_t>(*gguf_file_size({}, tensors)));
            gguf_memory memory {bytes};
            REQUIRE(write_gguf({}, tensors, memory) == status::ok);
            const auto modern = imatrix_reader::open(bytes);
            REQUIRE(modern);
            CHECK(modern->weights("x", 2, 1, out) == (is_count ? status::file_damaged : bad.expected));
            CHECK((out[0] == -5.0f && out[1] == -5.0f));
        }
    }
    // A quotient beyond float's range.
    const auto wide = test::gguf_bytes().mark(3, 2, 0).tensor("x.in_sum2", {1}, 0, 0).tensor("x.counts", {1}, 0, 32).data(0);
    auto bytes = test::gguf_bytes(wide).number(3e38f).data(0).number(0x1p-100f).bytes;
    float out[1] = {-5.0f};
    const auto reader = imatrix_reader::open(bytes);
    REQUIRE(reader);
    CHECK(reader->weights("x", 1, 1, out) == status::not_finite);
    CHECK(out[0] == -5.0f);
}

TEST_CASE("importance of zero, of -0 and of any finite size is taken")
{
    const std::ptrdiff_t k = 256;
    std::vector<float> w(static_cast<std::size_t>(k)), importance(w.size());
    test::random random(2);
    for (std::size_t i = 0; i < w.size(); ++i) {
        w[i] = random.real();
        importance[i] = random.integer(0, 2) == 0 ? -0.0f : std::fabs(random.real());
    }
    importance[7] = std::numeric_limits<float>::max();
    importance[8] = 0x1p-149f;
    std::vector<std::byte> blocks(std::size_t(*bytes_for(1, k, ggml_type::q4_K)));
    std::vector<std::int8_t> codes(w.size());
    float scale[1];
    CHECK(check_importance(importance) == status::ok);
    CHECK(check_importance({}) == status::ok);
    CHECK(check_importance(span<const float>(nullptr, 3)) == status::null_pointer);
    CHECK(quantize_blocks(ggml_type::q4_K, {w.data(), 1, k}, blocks, importance) == status::ok);
    CHECK(round_to_nearest({w.data(), 1, k}, weight_format {}, quantized_matrix<std::int8_t> {{codes.data(), 1, k}, scale}, importance)
          == status::ok);

    // Where nothing important has any extent, all columns count.
    const float row[] = {0.0f, 0.5f, -1.0f}, first_only[] = {1.0f, 0.0f, 0.0f}, none[] = {0.0f, 0.0f, 0.0f};
    for (const float* weights : {first_only, none}) {
        REQUIRE(round_to_nearest({row, 1, 3}, weight_format {}, quantized_matrix<std::int8_t> {{codes.data(), 1, 3}, scale},
                    span<const float>(weights, 3))
                == status::ok);
        CHECK(scale[0] == 1.0f / 127.0f);
        CHECK((codes[0] == 0 && codes[1] == 64 && codes[2] == -127));
    }
}

TEST_CASE("importance times powers of two gives the same blocks")
{
    test::random random(3);
    int compared = 0;
    for (int t = 0; t < 64; ++t) {
        const ggml_type type = static_cast<ggml_type>(t);
        if (!is_known(type) || !is_quantizable(type))
            continue;
        for (int i = 0; i < 60; ++i) {
            const std::ptrdiff_t k = 256;
            std::vector<float> x(2 * static_cast<std::size_t>(k)), importance(static_cast<std::size_t>(k));
            for (float& v : x)
                v = random.real() * (random.integer(0, 20) == 0 ? 10.0f : 1.0f);
            for (float& v : importance)
                v = random.integer(0, 20) == 0 ? 0.0f : std::fabs(random.real());
            std::vector<std::byte> expected(std::size_t(*bytes_for(2, k, type))), blocks(expected.size());
            REQUIRE(quantize_blocks(type, {x.data(), 2, k}, expected, importance) == status::ok);
            const int power = i < 2 ? (i == 0 ? -124 : 125) : random.integer(-120, 120);
            for (float& v : importance)
                v = std::ldexp(v, power);
            REQUIRE(quantize_blocks(type, {x.data(), 2, k}, blocks, importance) == status::ok);
            compared += std::fabs(power) > 30;
            INFO(to_string(type) << " 2^" << power);
            REQUIRE(blocks == expected);
        }
    }
    CHECK(compared > 500);
}
