// What is there for convenience gives the bytes and bits of the calls that it stands for.
#include "../support.hpp"

#include <algorithm>
#include <thread>

using namespace nibble;

namespace {

constexpr std::ptrdiff_t m = 5, n = 37, k = 70;

std::vector<float> real_numbers(std::ptrdiff_t count, std::uint64_t seed)
{
    test::random random(seed);
    std::vector<float> x(static_cast<std::size_t>(count));
    for (float& v : x)
        v = random.real() * 4.0f - 2.0f;
    return x;
}

const std::vector<float> w = real_numbers(n * k, 1), x = real_numbers(m * k, 2), of_columns = real_numbers(n, 3);
const matrix_view<const float> w_view(w.data(), n, k), x_view(x.data(), m, k);

template <class W>
void compare_quantized(const weight_format& f)
{
    const std::size_t count = static_cast<std::size_t>(params_count(f.kind, n, k, f.group_size));
    std::vector<W> codes(static_cast<std::size_t>(n * elements_for<W>(k)));
    std::vector<float> scales(count);
    std::vector<std::int32_t> zeros(f.how == scheme::affine || code_traits<W>::qmin == 0 ? count : 0);
    const quantized_matrix<W> q {{codes.data(), n, elements_for<W>(k)}, scales, zeros};
    REQUIRE(round_to_nearest(w_view, f, q) == status::ok);
    const auto by_hand = packed_weights::make(matrix_view<const W>(q.codes), k, params_of(f, q));
    const auto at_once = packed_weights::quantize<W>(w_view, f);
    REQUIRE(by_hand);
    REQUIRE(at_once);
    const span<const std::byte> a = by_hand->bytes(), b = at_once->bytes();
    CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
}

std::vector<float> product(const packed_weights& packed, const epilogue& e, scratch memory)
{
    std::vector<float> y(m * n);
    REQUIRE(gemm(x_view, packed, e, matrix_view<float>(y.data(), m, n), memory) == status::ok);
    return y;
}

// Each of its tasks is computed between two products of the same thread, as when a thread that waits for a task takes another program's.
struct interrupting_executor {
    const packed_weights& packed;
    const std::vector<float>& expected;
    bool& same;

    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
        for (std::size_t i = 0; i < count; ++i) {
            same = same && product(packed, {}, {}) == expected;
            function(i);
        }
    }
};

} // namespace

TEST_CASE("packed_weights::quantize packs what round_to_nearest writes")
{
    for (const scheme how : {scheme::symmetric, scheme::affine})
        for (weight_format f : {per_tensor(how), per_channel(how), per_group(32, how), per_group(10, how)}) {
            compare_quantized<std::int8_t>(f);
            compare_quantized<int4x2>(f);
            compare_quantized<uint4x2>(f);
            f.bits = 3;
            f.search = range_search::squared_error;
            compare_quantized<int4x2>(f);
        }
    CHECK(packed_weights::quantize<int4x2>(w_view, per_group(7)).error() == status::group_size_invalid);
    CHECK(packed_weights::quantize<int4x2>(w_view, per_group(0)).error() == status::group_size_invalid);
    CHECK(packed_weights::quantize<int4x2>({w.data(), -1, k}, per_channel()).error() == status::negative_size);
    CHECK(packed_weights::quantize<std::int8_t>({w.data(), 0, k}, per_channel()));
    weight_format unknown;
    unknown.kind = static_cast<granularity>(9);
    CHECK(packed_weights::quantize<int4x2>(w_view, unknown).error() == status::granularity_unsupported);
    const packed_weights moved = *packed_weights::quantize<int4x2>(w_view, per_channel());
    CHECK(moved.view().n == n);
}

TEST_CASE("parameters by name are those of the view")
{
    const float scale = 0.5f;
    const std::int32_t zero_point = 3;
    const quant_params_view tensor = per_tensor(scale, zero_point), channel = per_channel(of_columns), group = per_group(32, of_columns);
    CHECK((tensor.kind == granularity::per_tensor && tensor.scales.size() == 1 && tensor.scales.data() == &scale));
    CHECK((tensor.zero_points.size() == 1 && tensor.zero_points.data() == &zero_point && per_tensor(scale).zero_points.empty()));
    CHECK((channel.kind == granularity::per_channel && channel.scales.data() == of_columns.data() && channel.zero_points.empty()));
    CHECK((group.kind == granularity::per_group && group.group_size == 32 && group.scales.size() == of_columns.size()));
}

TEST_CASE("the steps of an epilogue are its members")
{
    const std::vector<float> other = real_numbers(n, 4);
    const epilogue e = scale(of_columns) | bias(other) | silu | clamp(-1.0f, 2.0f) | to_codes(0.25f, -3);
    CHECK((e.scale.data() == of_columns.data() && e.scale.size() == of_columns.size()));
    CHECK((e.bias.data() == other.data() && e.bias.size() == other.size()));
    CHECK(e.function == silu.value.function);
    CHECK((e.clamp_low == -1.0f && e.clamp_high == 2.0f && e.output_scale == 0.25f && e.output_zero_point == -3));
    const epilogue none {}, part = bias(other) | clamp(0.0f, 6.0f);
    CHECK((part.scale.empty() && part.bias.data() == other.data() && part.function == none.function && part.clamp_high == 6.0f));
    CHECK((part.output_scale == 1.0f && part.output_zero_point == 0));
    const epilogue last = scale(of_columns) | to_codes(2.0f);
    CHECK((last.scale.data() == of_columns.data() && last.bias.empty() && last.clamp_low == none.clamp_low && last.output_scale == 2.0f));
}

TEST_CASE("steps of an epilogue that are put together are kept")
{
    const auto relu6 = relu | clamp(0.0f, 6.0f);
    const epilogue e = bias(of_columns) | relu6, codes = bias(of_columns) | (relu6 | to_codes(0.5f, 1));
    for (const epilogue& of : {e, codes})
        CHECK((of.bias.data() == of_columns.data() && of.function == activation_function::relu && of.clamp_high == 6.0f));
    CHECK((codes.output_scale == 0.5f && codes.output_zero_point == 1));
    const epilogue both = scale(of_columns) | (bias(w) | silu);
    CHECK((both.scale.data() == of_columns.data() && both.bias.data() == w.data() && both.function == activation_function::silu));
    const epilogue& kept = bias(of_columns) | gelu; // of a temporary's member it would refer to nothing
    CHECK((kept.bias.data() == of_columns.data() && kept.function == activation_function::gelu));
}

TEST_CASE("a thread's own scratch memory gives the bits of the caller's")
{
    for (const auto& packed :
        {packed_weights::quantize<int4x2>(w_view, per_group(32)), packed_weights::quantize<std::int8_t>(w_view, per_channel())}) {
        REQUIRE(packed);
        std::vector<std::byte> memory(gemm_workspace(m, *packed));
        const std::vector<float> expected = product(*packed, bias(of_columns) | gelu, memory), plain = product(*packed, {}, memory);
        CHECK(product(*packed, bias(of_columns) | gelu, {}) == expected);
        free_thread_scratch();
        CHECK(product(*packed, bias(of_columns) | gelu, {}) == expected);
        std::thread([&] { CHECK(product(*packed, {}, {}) == plain); }).join();

        bool same = true;
        std::vector<float> y(m * n);
        const interrupting_executor executor {*packed, plain, same};
        REQUIRE(gemm(x_view, *packed, bias(of_columns) | gelu, matrix_view<float>(y.data(), m, n), {}, executor) == status::ok);
        CHECK(same);
        CHECK(y == expected);

        memory.pop_back();
        CHECK(gemm(x_view, *packed, {}, matrix_view<float>(y.data(), m, n), memory) == status::buffer_too_small);
        CHECK(gemm(x_view, *packed, {}, matrix_view<float>(y.data(), m, n), span<std::byte>()) == status::buffer_too_small);
    }
}

TEST_CASE("destructors that run at the end of a thread may multiply")
{
    const auto packed = packed_weights::quantize<std::int8_t>(w_view, per_channel());
    REQUIRE(packed);
    const std::vector<float> expected = product(*packed, {}, {});
    std::vector<float> y(m * n);
    struct last_call {
        const packed_weights* packed = nullptr;
        float* y = nullptr;
        ~last_call()
        {
            if (packed != nullptr && gemm(x_view, *packed, {}, matrix_view<float>(y, m, n)) != status::ok)
                *y = 0.0f;
            free_thread_scratch();
        }
    };
    std::thread([&] {
        static thread_local last_call last; // made before the scratch memory is, so that it ends after that
        last.packed = &*packed;
        last.y = y.data();
        (void)product(*packed, {}, {});
    }).join();
    CHECK(y == expected);
}
