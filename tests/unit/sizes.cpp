// Sizes at the end of std::ptrdiff_t: size functions against arithmetic of 128 bits, and matrices without elements whose other side is
// huge.
#define NIBBLE_C_API [[maybe_unused]] static
#define NIBBLE_C_IMPLEMENTATION
#include <nibble/nibble.h>

#include "../support.hpp"

#include <nibble/blocks/dequantize_codebook.hpp>

using namespace nibble;

namespace {

__extension__ typedef __int128 wide;

constexpr wide most = PTRDIFF_MAX; // itself counts as not fitting

// Small ones, powers of two and their neighbours, and the greatest.
std::ptrdiff_t any_size(test::random& random, std::ptrdiff_t least = 0)
{
    std::ptrdiff_t n = 0;
    switch (random.integer(0, 4)) {
    case 0: n = random.integer(0, 3); break;
    case 1: n = random.integer(0, 100000); break;
    case 2: n = PTRDIFF_MAX - random.integer(0, 40); break;
    default: n = (std::ptrdiff_t(1) << random.integer(2, 62)) + random.integer(-1, 1);
    }
    return n < least ? least : n;
}

// The product, at most `most`.
wide times(wide a, wide b) { return a != 0 && b > most / a ? most : a * b; }
wide ceil_div(wide n, wide d) { return (n + d - 1) / d; }
wide at_least_1(std::ptrdiff_t n) { return n == 0 ? 1 : n; }

std::size_t expected(wide n) { return n < most ? std::size_t(n) : SIZE_MAX; }
std::ptrdiff_t expected_count(wide n) { return n < most ? std::ptrdiff_t(n) : PTRDIFF_MAX; }

wide count_of(granularity kind, wide rows, wide cols, wide group_size, wide block_rows)
{
    switch (kind) {
    case granularity::per_tensor: return 1;
    case granularity::per_channel: return rows;
    case granularity::per_column: return cols;
    case granularity::per_group: return rows * ceil_div(cols, group_size);
    case granularity::per_block: return ceil_div(rows, block_rows) * ceil_div(cols, group_size);
    }
    return 0;
}

} // namespace

TEST_CASE("sums and products of sizes are exact or do not fit")
{
    test::random random(1);
    for (int i = 0; i < 20000; ++i) {
        const std::ptrdiff_t a = any_size(random), b = any_size(random), c = any_size(random);
        REQUIRE((checked_size(a) + b).value() == expected(a == PTRDIFF_MAX || b == PTRDIFF_MAX ? most : wide(a) + b));
        const checked_size product = checked_size(a) * b;
        REQUIRE(product.value() == expected(a == PTRDIFF_MAX || b == PTRDIFF_MAX ? most : wide(a) * b));
        REQUIRE((product * c).fits() == (product.fits() && c != PTRDIFF_MAX && times(wide(product.value()), c) < most));
        const wide pair = times(at_least_1(a), at_least_1(b));
        REQUIRE(shape_extent(a, b, c).fits() == (pair < most && c != PTRDIFF_MAX && times(pair, at_least_1(c)) < most));
    }
    CHECK(checked_size(std::size_t(PTRDIFF_MAX) + 5).value() == SIZE_MAX);
    CHECK((checked_size(-3) + 5).value() == SIZE_MAX);
    aligned_buffer memory;
    CHECK(memory.allocate(checked_size(PTRDIFF_MAX)) == status::size_overflow);
    CHECK(memory.allocate(64) == status::ok);
    std::byte bytes[4] = {};
    CHECK(check_room(span<std::byte>(bytes), 4) == status::ok);
    CHECK(check_room(span<std::byte>(bytes), 5) == status::buffer_too_small);
    CHECK(check_room(span<std::byte>(bytes), SIZE_MAX) == status::size_overflow);
    CHECK(check_room(span<std::byte>(nullptr, 4), 0) == status::null_pointer);
    CHECK(check_room(span<std::byte>(), 0) == status::ok);
}

TEST_CASE("size functions are exact, or say that the size does not fit")
{
    test::random random(2);
    const std::int8_t code[1] = {};
    const auto filter = tflite::packed_filter::make(matrix_view<const std::int8_t>(code, 1, 1), 1, 1, 1);
    REQUIRE(filter);
    const std::size_t one_thread = tflite::conv2d_workspace(*filter) - 64;
    for (int i = 0; i < 20000; ++i) {
        const std::ptrdiff_t rows = any_size(random), cols = any_size(random), group = any_size(random, 1), block = any_size(random, 1);
        const granularity kind = static_cast<granularity>(random.integer(0, 4));
        // A number of blocks that does not fit is not made to fit by no rows of them.
        const bool too_many_groups
            = (kind == granularity::per_group || kind == granularity::per_block)
              && (ceil_div(rows, kind == granularity::per_block ? block : 1) >= most || ceil_div(cols, group) >= most);
        const wide count = too_many_groups ? most : count_of(kind, rows, cols, group, block);
        INFO(rows << " x " << cols << ", groups of " << block << " x " << group << ", granularity " << int(kind));
        REQUIRE(params_count(kind, rows, cols, group, block) == expected_count(count));
        REQUIRE(choose_params_scratch(kind, rows, cols, group, block) == expected(count < most ? 2 * count : most));
        const bool fits = rows != PTRDIFF_MAX && cols != PTRDIFF_MAX && count < most;
        REQUIRE(start_params_scratch(params_start::mse, kind, rows, cols, group, block)
                == (fits && times(rows, cols) < most ? expected(5 * count + wide(rows) * cols) : SIZE_MAX));
        const bool grouped = kind == granularity::per_group || kind == granularity::per_block;
        const std::ptrdiff_t size = kind == granularity::per_column ? 1 : grouped ? group : cols;
        if (rows > 0 && cols > 0)
            REQUIRE(fake_quantize_scratch(kind, rows, cols, group)
                    == (rows == PTRDIFF_MAX ? SIZE_MAX : expected(2 * wide(rows) * ceil_div(cols, size))));

        const auto floats = bytes_for(rows, cols, storage_format::f32);
        REQUIRE(floats.error() == (times(16, times(at_least_1(rows), at_least_1(cols))) < most ? status::ok : status::size_overflow));
        if (floats)
            REQUIRE(wide(*floats) == wide(rows) * cols * 4);
        REQUIRE(row_bytes(cols, storage_format::f32) == expected_count(4 * wide(cols)));
        const std::ptrdiff_t whole = cols / 256 * 256;
        const auto blocks = bytes_for(rows, whole, ggml_type::q6_K);
        REQUIRE(blocks.error()
                == (rows != PTRDIFF_MAX && times(210, times(at_least_1(rows), at_least_1(whole / 256))) < most ? status::ok
                                                                                                               : status::size_overflow));
        if (blocks)
            REQUIRE(wide(*blocks) == wide(rows) * (whole / 256) * 210);

        packed_weights_view w;
        w.type = weight_type::s8;
        w.n = any_size(random) / 4096;
        w.k = w.padded_k = cols / 4096;
        w.groups = any_size(random) / 4096;
        const wide sums = (4 * wide(rows) * w.groups + 63) / 64 * 64;
        const wide workspace = rows == 0 ? 0 : sums + wide(rows) * (2 * wide(w.k) + 132) + 127;
        REQUIRE(gemm_workspace(rows, w) == expected(rows == PTRDIFF_MAX ? most : workspace));
        if (rows > 0)
            REQUIRE(tune_workspace(rows, w)
                    == (rows == PTRDIFF_MAX ? SIZE_MAX : expected(workspace + 4 * wide(rows) * (wide(w.k) + w.n) + 64)));
        REQUIRE(tflite::conv2d_workspace(*filter, rows)
                == (rows == PTRDIFF_MAX ? SIZE_MAX : expected(wide(one_thread) * at_least_1(rows) + 64)));
        const std::size_t batch = tflite::batch_matmul_workspace(rows, cols, 8);
        REQUIRE((batch == SIZE_MAX || wide(batch) >= 8 * (wide(rows) + cols)));
        REQUIRE(saved_size(span<const min_max_observer>(nullptr, std::size_t(rows)), span<const char>(nullptr, std::size_t(cols)))
                == (rows == PTRDIFF_MAX || cols == PTRDIFF_MAX ? SIZE_MAX : expected(32 * wide(rows) + 32 + cols)));

        // No less than 2^51 of anything is refused.
        constexpr wide limit = most / 4096;
        const auto packed = packed_size<std::int8_t>(rows, cols);
        const wide bytes = 64 + ceil_div(rows, 16) * ((cols > 0 ? 128 : 0) + 16 * ceil_div(cols, 8) * 8);
        if (packed)
            REQUIRE(wide(*packed) == bytes);
        else
            REQUIRE((packed.error() == status::size_overflow && times(16, times(at_least_1(rows) + 16, at_least_1(cols) + 16)) >= limit));
        const auto nbits = onnx::matmul_nbits_sizes<uint4x2>(rows, cols, group % 2 == 0 ? group : group - 1 + 2 * (group < 3));
        if (nbits)
            REQUIRE(times(at_least_1(rows), nbits->row_bytes) < most);
        const auto scratch = gemm_blocks_workspace(ggml_type::q4_K, rows, 8, whole);
        REQUIRE((scratch ? *scratch < std::size_t(PTRDIFF_MAX) && wide(*scratch) >= times(rows, 2 * wide(whole))
                         : scratch.error() == status::size_overflow));

        const status s = check(matrix_view<const float>(&nf4_values[0], rows, cols));
        REQUIRE(s
                == (rows != PTRDIFF_MAX && cols != PTRDIFF_MAX && times(8, times(at_least_1(rows), at_least_1(cols))) < most
                        ? status::ok
                        : status::size_overflow));
    }
    CHECK(params_count(granularity::per_channel, -1, 5) == 0);
    CHECK(params_count(granularity::per_column, 5, -1) == 0);
    CHECK(params_count(granularity::per_group, 5, 5, 0) == 0);
    CHECK(gguf_tensor {"", ggml_type::f32, 4, {1, 1 << 30, 1 << 30, 1 << 30}, {}}.rows() == PTRDIFF_MAX);
}

TEST_CASE("matrices without elements and with a huge side give a status at once")
{
    test::random random(3);
    const float scale[] = {1.0f};
    const std::int32_t zero_point[] = {0};
    float f[2] = {};
    std::int32_t integer[2] = {};
    std::byte out[64];
    const quant_params_view per_tensor {granularity::per_tensor, 0, scale};
    weight_format grouped;
    grouped.kind = granularity::per_group;
    grouped.group_size = 2;
    weight_format whole;
    whole.kind = granularity::per_tensor;
    const auto h = hessian::make(0);
    REQUIRE(h);
    const auto small_filter = tflite::packed_filter::make(matrix_view<const std::int8_t>(nullptr, 0, 1), 1, 1, 1);
    REQUIRE(small_filter);
    std::vector<std::byte> workspace(tflite::conv2d_workspace(*small_filter));
    const auto run = [&](std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t stride) {
        INFO(rows << " x " << cols);
        const auto view = [&](auto t, std::ptrdiff_t c) { return matrix_view<decltype(t)>(nullptr, rows, c, stride); };
        const matrix_view<const float> x = view(0.0f, cols);
        const matrix_view<const std::int8_t> codes = view(std::int8_t {}, cols);
        const bool too_large = times(8, times(at_least_1(rows), at_least_1(cols))) >= most;
        const auto expect = [&](status s) {
            INFO(to_string(s));
            REQUIRE((s == status::size_overflow || (!too_large && s == status::ok)));
        };
        expect(quantize(x, per_tensor, view(std::int8_t {}, cols)));
        expect(quantize(x, {granularity::per_block, 2, {}, {}, 2}, view(uint4x2 {}, elements_for<uint4x2>(cols))));
        expect(dequantize(codes, per_tensor, view(0.0f, cols)));
        expect(quantize_dynamic(x, granularity::per_group, 2, {}, view(std::int8_t {}, cols)));
        expect(choose_params<std::int8_t>(
            x, scheme::affine, granularity::per_tensor, 0, span<float>(f, 1), span<std::int32_t>(integer, 1), span<float>(f)));
        expect(requantize(matrix_view<const std::int32_t>(view(std::int32_t {}, cols)), {requantize_mode::float_ties_to_even, scale},
            view(std::int8_t {}, cols)));
        expect(fake_quantize(x, {per_tensor}, view(0.0f, cols)));
        expect(convert<std::int8_t>(x, fake_quantization {per_tensor}).error());
        float mse[5];
        expect(start_params(x, params_start::mse, scheme::affine, {-128, 127}, granularity::per_tensor, 0, span<float>(f, 1),
            span<std::int32_t>(integer, 1), mse));
        expect(range_observer().observe(x));
        expect(quantize_mx(
            x, view(float4_e2m1x2 {}, cols / 2 + cols % 2), matrix_view<float8_e8m0>(nullptr, rows, cols / 32 + (cols % 32 != 0))));
        expect(packed_weights::make(x).error());
        expect(packed_weights::make(codes, cols, per_tensor).error());
        expect(packed_weights::make(codes, cols, {granularity::per_group, 2, {}}).error());
        expect(round_to_nearest(x, grouped, quantized_matrix<int4x2> {view(int4x2 {}, elements_for<int4x2>(cols)), {}}));
        expect(round_to_nearest(x, whole, quantized_matrix<int4x2> {view(int4x2 {}, elements_for<int4x2>(cols)), span<float>(f, 1)}));
        expect(hqq(x, grouped, quantized_matrix<int4x2> {view(int4x2 {}, elements_for<int4x2>(cols)), {}}));
        expect(compare(x, x).error());
        expect(tflite::softmax(codes, *tflite::softmax_params(1.0f), view(std::int8_t {}, cols)) == status::k_too_large
                   ? status::size_overflow
                   : tflite::softmax(codes, *tflite::softmax_params(1.0f), view(std::int8_t {}, cols)));
        const tflite::concatenation_input input[] = {{codes, {}}};
        expect(tflite::concatenate(input, {}, view(std::int8_t {}, cols)));
        const matrix_view<const std::int16_t> words = view(std::int16_t {}, cols);
        const tflite::concatenation_input_16 input_16[] = {{words, 1.0f}};
        expect(tflite::concatenate(input_16, 1.0f, view(std::int16_t {}, cols)));
        const auto expect_narrow = [&](status s) { expect(s == status::k_too_large ? status::size_overflow : s); };
        expect_narrow(tflite::l2_normalization(codes, 0, view(std::int8_t {}, cols)));
        expect_narrow(tflite::log_softmax(codes, *tflite::log_softmax_params(1.0f), view(std::int8_t {}, cols)));
        expect_narrow(tflite::softmax(words, *tflite::softmax_params<std::int16_t>(0.001f), view(std::int16_t {}, cols)));
        const std::ptrdiff_t shape[] = {rows, cols, rows, cols};
        for (const std::ptrdiff_t axis : {0, 1, 2, -1})
            for (const std::size_t dimensions : {2u, 3u, 4u}) {
                const status s = onnx::quantize_linear<std::int8_t>({}, span<const std::ptrdiff_t>(shape, dimensions), {}, {}, {}, axis);
                REQUIRE(
                    (s == status::ok || s == status::size_overflow || s == status::params_count_mismatch || s == status::shape_mismatch));
                expect(onnx::dequantize_linear<uint4x2>({}, span<const std::ptrdiff_t>(shape, dimensions), scale, zero_point, {}));
            }
        const std::ptrdiff_t blocks_cols = cols / 256 * 256;
        const auto of_blocks = [&](status s) { REQUIRE((s == status::size_overflow || s == status::ok)); };
        of_blocks(dequantize_blocks(ggml_type::q4_K, {}, matrix_view<float>(nullptr, rows, blocks_cols)));
        of_blocks(dequantize_codebook_blocks(ggml_type::iq1_s, {}, matrix_view<float>(nullptr, rows, blocks_cols)));
        of_blocks(quantize_blocks(ggml_type::q4_0, matrix_view<const float>(nullptr, rows, blocks_cols), {}));
        of_blocks(pack_blocks(ggml_type::q4_0, {}, rows, blocks_cols, out));
        const status filter = tflite::packed_filter::make(codes, 1, 1, 1).error();
        REQUIRE((filter == status::size_overflow || filter == status::shape_mismatch || (filter == status::ok && cols == 1)));
        const tflite::images_view<const std::int8_t> images(nullptr, rows, 1, cols, 1);
        const tflite::images_view<std::int8_t> images_out(nullptr, rows, 1, cols, 1);
        expect(tflite::average_pool2d(images, {}, images_out));
        expect(tflite::multiply(images, 0, images, 0, {requantize_mode::float_ties_to_even, scale}, images_out));
        if (cols == 0) {
            expect(round_clipped(x, *h, grouped, quantized_matrix<int4x2> {view(int4x2 {}, 0), {}}) == status::calibration_missing
                       ? status::ok
                       : round_clipped(x, *h, grouped, quantized_matrix<int4x2> {view(int4x2 {}, 0), {}}));
            expect(gptq(x, *h, grouped, quantized_matrix<int4x2> {view(int4x2 {}, 0), {}}));
            expect(output_error(x, x, *h).error());
            expect(scale_columns(x, {}, false, view(0.0f, 0)));
            expect(column_max(x, {}));
            expect(observe_columns(x, span<min_max_observer>()));
            hessian seen = std::move(*hessian::make(0));
            for (int i = 0; i < 10; ++i)
                expect(seen.add(x));
            expect(column_split::make<std::int8_t>(x, {}, whole).error());
            if (rows % 8 == 0)
                expect(from_gptq(checkpoint_layer {}, gptq_version::v2, 0, 32, view(uint4x2 {}, 0), {}, {}));
            expect(onnx::from_matmul_nbits({}, {}, 0, 32, view(uint4x2 {}, 0), {}));
            expect(onnx::to_matmul_nbits(matrix_view<const uint4x2>(view(uint4x2 {}, 0)), {}, 0, 32, {}, {}));
            expect(onnx::pack_transposed(codes, {}).error());
        }
        // These allocate for each row or column, even without elements.
        if (too_large || rows + cols < 1 << 16) {
            expect(onnx::pack_transposed(codes, {}).error());
            for (const int format : {NIBBLE_INT8, NIBBLE_INT4, NIBBLE_FLOAT32, NIBBLE_FLOAT16, NIBBLE_BFLOAT16}) {
                nibble_weights* weights = nullptr;
                expect(static_cast<status>(
                    nibble_quantize_weights(nullptr, rows, cols, stride, static_cast<nibble_weight_format>(format), 0, &weights)));
                nibble_free_weights(weights);
            }
        }
        nibble_weights* weights = nullptr;
        expect(static_cast<status>(nibble_quantize_weights(nullptr, rows, cols, stride, NIBBLE_INT4, 2, &weights)));
        nibble_free_weights(weights);
        expect(static_cast<status>(nibble_pack_int8(nullptr, rows, cols, stride, nullptr, nullptr, 2, &weights)));
        nibble_free_weights(weights);
    };
    for (int i = 0; i < 2000; ++i) {
        const std::ptrdiff_t side = any_size(random), stride = any_size(random) - any_size(random);
        run(0, side, stride);
        run(side, 0, stride);
    }
}

TEST_CASE("the C interface: sizes that do not fit")
{
    const std::vector<float> w(4 * 8, 1.0f);
    for (const int format : {NIBBLE_INT8, NIBBLE_INT4, NIBBLE_FLOAT32, NIBBLE_FLOAT16, NIBBLE_BFLOAT16}) {
        nibble_weights* weights = nullptr;
        REQUIRE(nibble_quantize_weights(w.data(), 4, 8, 8, static_cast<nibble_weight_format>(format), 0, &weights) == NIBBLE_OK);
        const bool scratch = format == NIBBLE_INT8 || format == NIBBLE_INT4;
        for (const std::ptrdiff_t m : {PTRDIFF_MAX, PTRDIFF_MAX / 2, PTRDIFF_MAX / 64 + 1}) {
            CHECK(nibble_workspace(weights, m) == (scratch ? SIZE_MAX : 0));
            float y[4] = {5.0f};
            std::byte workspace[64];
            CHECK(nibble_multiply(weights, w.data(), m, 8, 8, nullptr, NIBBLE_NONE, y, 4, 4, workspace, 64, nullptr)
                  == static_cast<int>(status::size_overflow));
            CHECK(y[0] == 5.0f);
        }
        CHECK(nibble_workspace(weights, -1) == 0);
        nibble_free_weights(weights);
        for (const std::ptrdiff_t side : {PTRDIFF_MAX, PTRDIFF_MAX / 2, PTRDIFF_MAX / 8 + 1}) {
            const nibble_weight_format f = static_cast<nibble_weight_format>(format);
            CHECK(nibble_quantize_weights(w.data(), side, 0, 0, f, 0, &weights) == static_cast<int>(status::size_overflow));
            CHECK(nibble_quantize_weights(w.data(), 0, side, side, f, 0, &weights) == static_cast<int>(status::size_overflow));
            CHECK(nibble_quantize_weights(w.data(), 2, side, side, f, 0, &weights) == static_cast<int>(status::size_overflow));
            CHECK(nibble_quantize_weights(w.data(), 2, 8, side, f, 0, &weights) == static_cast<int>(status::size_overflow));
            CHECK(weights == nullptr);
        }
    }
    nibble_weights* weights = nullptr;
    const std::int8_t codes[1] = {};
    const std::uint8_t pairs[1] = {};
    for (const std::ptrdiff_t side : {PTRDIFF_MAX, PTRDIFF_MAX / 2, PTRDIFF_MAX / 4}) {
        CHECK(nibble_pack_int8(codes, side, 0, 0, w.data(), nullptr, 0, &weights) == static_cast<int>(status::size_overflow));
        CHECK(nibble_pack_int8(codes, 0, side, 0, w.data(), nullptr, 1, &weights) == static_cast<int>(status::size_overflow));
        CHECK(nibble_pack_uint4(pairs, 0, side, 0, w.data(), nullptr, 2, &weights) == static_cast<int>(status::size_overflow));
        CHECK(weights == nullptr);
    }
}

TEST_CASE("what is not there is not judged: strides of arrays without elements")
{
    std::int16_t codes[4] = {1, 2, 3, 4};
    const auto filter = tflite::packed_filter::make(matrix_view<const std::int8_t>(nullptr, 0, 4), 1, 1, 4);
    REQUIRE(filter);
    std::vector<std::byte> workspace(tflite::conv2d_workspace<std::int16_t>(*filter));
    const std::int32_t multiplier[] = {1 << 30}, shift[] = {0};
    CHECK(tflite::fully_connected(matrix_view<const std::int16_t>(codes, 1, 4), *filter, {multiplier, shift},
              matrix_view<std::int16_t>(nullptr, 1, 0, 77), workspace)
          == status::ok);
    CHECK(tflite::fully_connected(matrix_view<const std::int16_t>(nullptr, 0, 4, 77), *filter, {multiplier, shift},
              matrix_view<std::int16_t>(nullptr, 0, 0, -3), workspace)
          == status::ok);
    CHECK(tflite::depthwise_conv2d(tflite::images_view<const std::int8_t>(nullptr, 0, 2, 2, 0), 0,
              matrix_view<const std::int8_t>(nullptr, 4, 0, 77), {2, 2},
              {requantize_mode::float_ties_to_even, span<const float>(nf4_values + 15, 1)},
              tflite::images_view<std::int8_t>(nullptr, 0, 1, 1, 0))
          == status::ok);
    CHECK(check(matrix_view<const float>(nullptr, 3, 0, -5)) == status::ok);
    CHECK(check(matrix_view<const float>(nf4_values, 1, 16, -5)) == status::ok);
    CHECK(check(matrix_view<const float>(nf4_values, 2, 4, 3)) == status::stride_too_small);
}
