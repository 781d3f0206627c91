// What has been moved from is empty: it describes no memory that it has lost.
#include "../support.hpp"

using namespace nibble;

TEST_CASE("packed weights that have been moved from are empty")
{
    const std::vector<float> w(16 * 32, 1.0f), x(32, 1.0f);
    auto a = packed_weights::make(matrix_view<const float>(w.data(), 16, 32));
    REQUIRE(a);
    packed_weights b = std::move(*a);
    CHECK(a->view().panels == nullptr);
    CHECK(a->view().n == 0);
    CHECK(b.view().panels == b.bytes().data() + sizeof(packed_header));
    *a = std::move(b);
    CHECK(b.view().panels == nullptr);
    CHECK(a->view().panels == a->bytes().data() + sizeof(packed_header));
    std::vector<float> y(16);
    CHECK(gemv<float>(x, b, {}, y, {}) == status::weights_missing);
    CHECK(gemv<float>(x, *a, {}, y, {}) == status::ok);
    CHECK(y[15] == 32.0f);
}

TEST_CASE("filters and column splits that have been moved from are refused")
{
    const std::vector<std::int8_t> w(8, 1), x(4, 1);
    auto filter = tflite::packed_filter::make(matrix_view<const std::int8_t>(w.data(), 2, 4), 1, 1, 4);
    REQUIRE(filter);
    std::vector<std::byte> workspace(tflite::conv2d_workspace(*filter));
    const tflite::packed_filter kept = std::move(*filter);
    const std::vector<float> one {1.0f};
    requantization r;
    r.scale = one;
    std::vector<std::int8_t> y(2);
    const auto convolve = [&](const tflite::packed_filter& f) {
        return tflite::conv2d({x.data(), 1, 1, 1, 4}, 0, f, {}, r, {y.data(), 1, 1, 1, 2}, workspace);
    };
    CHECK(convolve(*filter) == status::shape_mismatch);
    CHECK(convolve(kept) == status::ok);
    CHECK(y[1] == 4);

    const std::vector<float> dense(2 * 8, 1.0f);
    const std::vector<std::int32_t> outliers {3};
    auto split = column_split::make<std::int8_t>({dense.data(), 2, 8}, outliers, {});
    REQUIRE(split);
    const column_split held = std::move(*split);
    CHECK(split->k() == 0);
    CHECK(held.k() == 8);
}

TEST_CASE("a Hessian that has been moved from has no columns")
{
    auto h = hessian::make(3);
    REQUIRE(h);
    const hessian kept = std::move(*h);
    CHECK(h->size() == 0);
    CHECK(kept.size() == 3);
}
