// Random matrices of ggml's blocks, of every type: quantized, dequantized, packed and multiplied, and multiplied where they lie.
#include "../random_cases.hpp"

#include <cmath>

using namespace nibble;
using test::random_case;
using test::run_cases;

namespace {

const std::vector<ggml_type>& types()
{
    static const std::vector<ggml_type> all = [] {
        std::vector<ggml_type> found;
        for (std::uint32_t id = 0; id < ggml_type_count; ++id)
            if (is_quantizable(static_cast<ggml_type>(id)))
                found.push_back(static_cast<ggml_type>(id));
        return found;
    }();
    return all;
}

// Each type as often as the others.
ggml_type random_type(random_case& c)
{
    return types()[static_cast<std::size_t>(c.size("type", 0, static_cast<std::ptrdiff_t>(types().size()) - 1))];
}

// A row of one kind: about normal, of some outliers, a few values, zeros, all alike, or of any order of magnitude.
void fill_row(random_case& c, float* x, std::ptrdiff_t cols)
{
    const std::ptrdiff_t kind = c.number(0, 11);
    const float factor = kind == 7 ? 0x1p-30f : kind == 8 ? 0x1p-130f : kind == 9 ? 0x1p12f : 1.0f;
    for (std::ptrdiff_t i = 0; i < cols; ++i) {
        const float v = c.real() + c.real() + c.real();
        switch (kind) {
        case 0: x[i] = 0.0f; break;
        case 1: x[i] = c.number(0, 31) == 0 ? v * 1000.0f : v; break;
        case 2: x[i] = static_cast<float>(c.number(-15, 15)) * 0.5f; break; // ties
        case 3: x[i] = c.number(0, 99) == 0 ? v : 0.0f; break;
        case 4: x[i] = i / 32 % 2 == 0 ? 0.0f : v; break;
        case 5: x[i] = std::fabs(v); break;
        case 6: x[i] = -3.0f; break;
        default: x[i] = v * factor; break;
        }
    }
}

void compare_conversions(random_case& c)
{
    const ggml_type type = random_type(c);
    const std::ptrdiff_t block = block_elements(type), rows = c.size("rows", 1, 4);
    // A search takes 1024 columns at a time.
    const std::ptrdiff_t cols = block * (block == 32 && c.flag("long", 4) ? c.size("blocks", 30, 40) : c.size("blocks", 1, 6));
    const std::ptrdiff_t stride = cols + c.number(0, 3), y_stride = cols + c.number(0, 3);
    const bool at_end = c.number(0, 1) != 0, weighted = c.flag("importance");
    const test::guarded<float> x((rows - 1) * stride + cols, at_end), y((rows - 1) * y_stride + cols, at_end);
    for (std::ptrdiff_t r = 0; r < rows; ++r)
        fill_row(c, x.data() + r * stride, cols);
    std::vector<float> importance;
    for (std::ptrdiff_t i = 0; weighted && i < cols; ++i)
        importance.push_back(c.number(0, 15) == 0 ? 0.0f : c.scale(-10, 1));
    const std::ptrdiff_t bytes = *bytes_for(rows, cols, type), row_bytes = bytes / rows;
    const test::guarded<std::byte> blocks(bytes, at_end);
    std::vector<std::byte> expected(blocks.size());
    std::vector<float> back(y.size());
    std::memset(back.data(), 0x5a, back.size() * sizeof(float));
    {
        const default_fp_mode mode;
        detail::with_block(type, [&](auto of_type) {
            using block_type = decltype(of_type);
            for (std::ptrdiff_t r = 0; r < rows; ++r) {
                reference::quantize_row<block_type>(x.data() + r * stride, cols, weighted ? importance.data() : nullptr,
                    expected.data() + r * row_bytes, reference::search_scales);
                reference::dequantize_row<block_type>(expected.data() + r * row_bytes, cols, back.data() + r * y_stride);
            }
        });
    }
    c.on_every_backend([&](test::any_executor) {
        std::memset(blocks.data(), 0x5a, blocks.size());
        c.ok(quantize_blocks(type, {x.data(), rows, cols, stride}, span<std::byte>(blocks.data(), blocks.size()), importance));
        c.same(blocks.data(), expected.data(), expected.size(), "the reference's blocks");
        std::memset(y.data(), 0x5a, y.size() * sizeof(float));
        c.ok(dequantize_blocks(
            type, span<const std::byte>(blocks.data(), blocks.size()), matrix_view<float>(y.data(), rows, cols, y_stride)));
        c.same(y.data(), back.data(), back.size(), "the reference's numbers");
    });
}

// Quantized rows, with random bytes whose scales are finite in some blocks.
std::vector<std::byte> random_blocks(random_case& c, ggml_type type, std::ptrdiff_t n, std::ptrdiff_t k)
{
    std::vector<std::byte> blocks(static_cast<std::size_t>(*bytes_for(n, k, type)));
    std::vector<float> row(static_cast<std::size_t>(k));
    const std::size_t row_bytes = blocks.size() / static_cast<std::size_t>(n), block = static_cast<std::size_t>(block_bytes(type));
    for (std::size_t at = 0; at < blocks.size(); at += row_bytes) {
        for (float& x : row)
            x = c.real();
        c.ok(quantize_blocks(type, {row.data(), 1, k}, span<std::byte>(blocks.data() + at, row_bytes)));
        for (std::size_t b = at; b < at + row_bytes; b += block)
            if (c.number(0, 2) == 0)
                do {
                    for (std::size_t i = 0; i < block; ++i)
                        blocks[b + i] = static_cast<std::byte>(c.bits());
                } while (check_blocks(type, span<const std::byte>(blocks.data() + b, block)) != status::ok);
    }
    return blocks;
}

// A: float, quantized inside; int8 or uint8.
template <class A, class C>
void compare_products(random_case& c)
{
    const ggml_type type = random_type(c);
    constexpr bool dynamic = std::is_same_v<A, float>;
    using code = std::conditional_t<dynamic, std::int8_t, A>;
    const std::ptrdiff_t block = block_elements(type);
    const std::ptrdiff_t k = block * (block == 32 ? c.size("blocks", 1, 9) : c.size("blocks", 1, 3));
    const std::ptrdiff_t m = c.flag("many rows", 8) ? c.size("m", 10, 60) : c.size("m", 1, 7);
    const std::ptrdiff_t n = c.flag("many columns", 10) ? c.size("n", 120, 150) : c.size("n", 1, 20);
    const std::vector<std::byte> blocks = random_blocks(c, type, n, k);
    const auto packed = make_packed_blocks(type, blocks, n, k);
    c.ok(packed.error());
    const std::ptrdiff_t stride = k + c.number(0, 3), c_stride = n + c.number(0, 3);
    const bool at_end = c.number(0, 1) != 0;
    const test::guarded<A> a((m - 1) * stride + k, at_end);
    std::vector<code> codes(static_cast<std::size_t>(m * k));
    std::vector<float> row_scales, scale, bias;
    static_activations how;
    if constexpr (dynamic) {
        for (std::ptrdiff_t i = 0; i < m; ++i) {
            const float factor = c.number(0, 9) == 0 ? 0.0f : c.scale(-3, 3);
            for (std::ptrdiff_t l = 0; l < k; ++l)
                a[static_cast<std::size_t>(i * stride + l)] = c.real() * factor;
            row_scales.push_back(reference::quantize_row(a.data() + i * stride, k, codes.data() + i * k));
        }
    } else {
        c.fill(a, code_traits<A>::qmin, code_traits<A>::qmax);
        for (std::ptrdiff_t i = 0; i < m; ++i)
            std::memcpy(codes.data() + i * k, a.data() + i * stride, static_cast<std::size_t>(k));
        how.scale = c.scale(-6, -3);
        how.zero_point = c.flag("zero point") ? static_cast<std::int32_t>(c.number(code_traits<A>::qmin, code_traits<A>::qmax)) : 0;
    }
    epilogue e;
    if (c.flag("scale", 3))
        for (std::ptrdiff_t j = 0; j < n; ++j)
            scale.push_back(c.scale(-2, 1));
    if (c.flag("bias"))
        for (std::ptrdiff_t j = 0; j < n; ++j)
            bias.push_back(c.real());
    e.scale = scale;
    e.bias = bias;
    e.function = static_cast<activation_function>(c.size("function", 0, 4));
    e.output_scale = c.scale(-3, 0);
    const test::guarded<C> to((m - 1) * c_stride + n, at_end);
    std::vector<C> expected(to.size());
    std::memset(expected.data(), 0x5a, expected.size() * sizeof(C));
    reference::gemm_blocks<code, C>({codes.data(), m, k}, row_scales, how, type, blocks, e, {expected.data(), m, n, c_stride});
    const matrix_view<const A> rows(a.data(), m, k, stride);
    const matrix_view<C> out(to.data(), m, n, c_stride);
    const test::guarded<std::byte> workspace(static_cast<std::ptrdiff_t>(gemm_workspace(m, *packed)), at_end),
        direct(static_cast<std::ptrdiff_t>(*gemm_blocks_workspace(type, m, n, k)), at_end);
    c.on_every_backend([&](test::any_executor executor) {
        const auto compare = [&](status s, const char* what) {
            c.ok(s);
            c.same(to.data(), expected.data(), expected.size(), what);
            std::memset(to.data(), 0x5a, to.size() * sizeof(C));
        };
        std::memset(to.data(), 0x5a, to.size() * sizeof(C));
        const span<std::byte> scratch(workspace.data(), workspace.size());
        if constexpr (dynamic) {
            compare(gemm(rows, *packed, e, out, scratch, executor), "the reference's product of packed blocks");
            compare(gemm_blocks(rows, type, blocks, e, out, span<std::byte>(direct.data(), direct.size())),
                "the reference's product of blocks where they lie");
        } else if (packed->view().type == weight_type::s8) {
            compare(gemm(rows, how, *packed, e, out, scratch, executor), "the reference's product of packed blocks");
        } else {
            c.expect(gemm(rows, how, *packed, e, out, scratch, executor) == status::weight_type_mismatch, "refused");
        }
    });
}

} // namespace

TEST_CASE("random matrices become the reference's blocks, and these its numbers") { run_cases(2000, compare_conversions); }
TEST_CASE("random products with blocks equal the reference")
{
    run_cases(1000, compare_products<float, float>);
    run_cases(200, compare_products<float, std::int8_t>);
    run_cases(400, compare_products<std::int8_t, float>);
    run_cases(400, compare_products<std::uint8_t, float>);
    run_cases(200, compare_products<std::uint8_t, std::uint8_t>);
}
