// A status names the rule that was broken, in a sentence about just that.
#include "../support.hpp"

#include <string>

using namespace nibble;

namespace {

bool says(status s, const char* words) { return std::string(to_string(s)).find(words) != std::string::npos; }

struct dlpack_tensor {
    void* data;
    struct {
        int device_type, device_id;
    } device;
    int ndim;
    struct {
        std::uint8_t code, bits;
        std::uint16_t lanes;
    } dtype;
    std::int64_t *shape, *strides;
    std::uint64_t byte_offset;
};

} // namespace

TEST_CASE("every status has a sentence of its own")
{
    std::vector<std::string> seen;
    for (int i = 0; i <= static_cast<int>(status::cancelled); ++i) {
        const std::string text = to_string(static_cast<status>(i));
        CHECK(text != "unknown status");
        for (const std::string& other : seen)
            CHECK(text != other);
        seen.push_back(text);
    }
    CHECK(std::string(to_string(static_cast<status>(255))) == "unknown status");
}

TEST_CASE("an int32 output takes no epilogue at all, and says so")
{
    const std::vector<std::int8_t> codes(2 * 8, 3);
    const float scale[] = {1.0f, 1.0f};
    const auto w = packed_weights::make(matrix_view<const std::int8_t>(codes.data(), 2, 8), 8, {granularity::per_channel, 0, scale});
    REQUIRE(w);
    const std::vector<std::int8_t> a(8, 2);
    std::vector<std::byte> workspace(gemm_workspace(1, *w));
    std::int32_t c[2] = {7, 7};
    const auto product = [&](const epilogue& e) {
        return gemm(
            matrix_view<const std::int8_t>(a.data(), 1, 8), static_activations {}, *w, e, matrix_view<std::int32_t>(c, 1, 2), workspace);
    };
    std::vector<epilogue> refused(9);
    refused[0].bias = scale;
    refused[1].scale = scale;
    refused[2].function = activation_function::relu;
    refused[3].clamp_low = 0.0f;
    refused[4].clamp_high = 6.0f;
    refused[5].clamp_low = -1.0f;
    refused[5].clamp_high = 1.0f;
    refused[6].output_scale = 0.5f;
    refused[7].output_zero_point = 3;
    refused[8].clamp_low = float_from_bits(0x7fc00000u);
    for (const epilogue& e : refused) {
        CHECK(product(e) == status::epilogue_unsupported);
        CHECK((c[0] == 7 && c[1] == 7));
    }
    CHECK(says(status::epilogue_unsupported, "int32"));
    CHECK(product({}) == status::ok);
    CHECK((c[0] == 48 && c[1] == 48));
}

TEST_CASE("weights that were never made are named as such")
{
    const float x[4] = {};
    float y[2] = {5.0f, 5.0f};
    const result<packed_weights> failed = status::out_of_memory;
    CHECK(gemm(matrix_view<const float>(x, 1, 4), *failed, {}, matrix_view<float>(y, 1, 2), {}) == status::weights_missing);
    CHECK(gemv(span<const float>(x), packed_weights_view {}, {}, span<float>(y), {}) == status::weights_missing);
    CHECK(tune(packed_weights_view {}, 1, span<std::byte>()).error() != status::ok);
    CHECK(y[0] == 5.0f);
    const auto none = packed_weights::make(matrix_view<const float>(x, 0, 4));
    REQUIRE(none);
    CHECK(gemm(matrix_view<const float>(x, 1, 4), *none, {}, matrix_view<float>(nullptr, 1, 0), {}) == status::ok);
    CHECK(gemm(matrix_view<const float>(x, 1, 3), *none, {}, matrix_view<float>(nullptr, 1, 0), {}) == status::shape_mismatch);
}

TEST_CASE("products with blocks: memory that is too small is not called null")
{
    const std::vector<std::byte> blocks(18 * 2);
    const std::vector<float> x(32);
    float y[2] = {5.0f, 5.0f};
    const auto product = [&](span<const std::byte> from, span<std::byte> workspace) {
        return gemm_blocks(matrix_view<const float>(x.data(), 1, 32), ggml_type::q4_0, from, {}, matrix_view<float>(y, 1, 2), workspace);
    };
    std::vector<std::byte> workspace(*gemm_blocks_workspace(ggml_type::q4_0, 1, 2, 32));
    CHECK(product(blocks, {}) == status::buffer_too_small);
    CHECK(product({}, workspace) == status::buffer_too_small);
    CHECK(product(blocks, {nullptr, workspace.size()}) == status::null_pointer);
    CHECK(product({nullptr, 36}, workspace) == status::null_pointer);
    CHECK(y[0] == 5.0f);
    CHECK(product(blocks, workspace) == status::ok);
}

TEST_CASE("a g_idx that is a placeholder, and importance that is none, have their own statuses")
{
    const std::vector<std::byte> qweight(8 * 8 * 4), qzeros(2 * 4);
    std::vector<std::byte> scales(2 * 8 * 2, std::byte {0x3c}); // 1.0586
    std::vector<uint4x2> codes(8 * 32);
    std::vector<float> out(16, 7.0f);
    std::vector<std::int32_t> zero_points(16), order(64, 9);
    const auto read = [&](std::int32_t index, span<std::int32_t> to) {
        const std::vector<std::int32_t> g_idx(64, index);
        const checkpoint_layer l {qweight, qzeros, scales, {reinterpret_cast<const std::byte*>(g_idx.data()), 256}};
        return from_gptq(l, gptq_version::v2, 64, 32, matrix_view<uint4x2>(codes.data(), 8, 32), out, zero_points, to);
    };
    for (const std::int32_t index : {-1, 0, 1, 2}) {
        CHECK(read(index, {}) == status::group_index_invalid);
        CHECK(read(index, order) == status::group_index_invalid);
    }
    CHECK((out[0] == 7.0f && order[0] == 9));
    CHECK(says(status::group_index_invalid, "g_idx"));
    CHECK(says(status::group_index_invalid, "placeholder"));

    const float w[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    std::int8_t q[4] = {};
    float scale[1] = {};
    const quantized_matrix<std::int8_t> to {{q, 1, 4}, scale};
    const float negative[] = {1.0f, -1.0f, 1.0f, 1.0f}, minus_zero[] = {1.0f, -0.0f, 1.0f, 1.0f};
    CHECK(round_to_nearest(matrix_view<const float>(w, 1, 4), {}, to, negative) == status::importance_invalid);
    CHECK(round_to_nearest(matrix_view<const float>(w, 1, 4), {}, to, minus_zero) == status::ok);
    CHECK(says(status::importance_invalid, "importance"));
}

TEST_CASE("a DLPack tensor without elements is empty, whatever else it says")
{
    std::int64_t shape[2] = {0, 5}, strides[2] = {1, 3};
    dlpack_tensor t {nullptr, {1, 0}, 2, {2, 32, 1}, shape, strides, 0};
    const auto empty = [&](std::int64_t rows, std::int64_t cols) {
        shape[0] = rows;
        shape[1] = cols;
        const auto m = from_dlpack<const float>(t);
        return m && m->rows == rows && m->cols == cols && check(*m) == status::ok;
    };
    test::random random(4);
    for (int i = 0; i < 2000; ++i) {
        for (std::int64_t& stride : strides)
            stride = random.integer(-3, 3) * (std::int64_t(1) << random.integer(0, 61));
        t.strides = random.integer(0, 3) == 0 ? nullptr : strides;
        t.byte_offset = random.bits();
        REQUIRE(empty(0, random.integer(0, 9)));
        REQUIRE(empty(random.integer(0, 9), 0));
    }
    strides[1] = 3;
    t.strides = strides;
    t.ndim = 1;
    shape[0] = 0;
    REQUIRE(from_dlpack<const float>(t));
    CHECK((from_dlpack<const float>(t)->rows == 1 && from_dlpack<const float>(t)->cols == 0));
    t.ndim = 2;
    shape[0] = 0;
    shape[1] = std::int64_t(1) << 62;
    CHECK(from_dlpack<const float>(t).error() == status::size_overflow);
    shape[1] = -1;
    CHECK(from_dlpack<const float>(t).error() == status::negative_size);
    // Of one row or one column, the stride along it is not judged either.
    float x[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    t.data = x;
    t.byte_offset = 0;
    shape[0] = 4;
    shape[1] = 1;
    strides[0] = 1;
    REQUIRE(from_dlpack<const float>(t));
    CHECK((*from_dlpack<const float>(t))(3, 0) == 4.0f);
    shape[0] = 1;
    shape[1] = 4;
    strides[0] = -9;
    strides[1] = 1;
    REQUIRE(from_dlpack<const float>(t));
    CHECK((*from_dlpack<const float>(t))(0, 3) == 4.0f);
}
