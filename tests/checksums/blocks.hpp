// ggml's block types, with and without importance, back to floats, and products with them.
#pragma once

#include "../block_data.hpp"
#include "products.hpp"

namespace {

// Not in the caller's floating-point mode, which a run sets to a hostile one.
std::vector<float> numbers_to_quantize(std::ptrdiff_t rows, std::ptrdiff_t cols)
{
    const default_fp_mode mode;
    return test::block_data(rows, cols);
}
std::vector<float> weights_of_columns(std::ptrdiff_t cols)
{
    const default_fp_mode mode;
    return test::importance_data(cols);
}

void must_quantize(run& r, ggml_type type, matrix_view<const float> x, std::vector<std::byte>& out, span<const float> importance)
{
    if (!r.reference())
        return r.must(quantize_blocks(type, x, out, importance));
    const default_fp_mode mode;
    const std::size_t row = out.size() / static_cast<std::size_t>(x.rows);
    for (std::ptrdiff_t i = 0; i < x.rows; ++i)
        detail::with_block(type, [&](auto block) {
            reference::quantize_row<decltype(block)>(x.row(i), x.cols, importance.empty() ? nullptr : importance.data(),
                out.data() + static_cast<std::size_t>(i) * row, reference::search_scales);
        });
}

// Types that were added later have lines of their own: those of the first do not change.
std::vector<ggml_type> block_types(bool later)
{
    std::vector<ggml_type> types;
    for (std::uint32_t id = 0; id < ggml_type_count; ++id) {
        const ggml_type type = static_cast<ggml_type>(id);
        if (is_quantizable(type) && (type == ggml_type::q1_0 || type == ggml_type::q2_0) == later)
            types.push_back(type);
    }
    return types;
}

template <bool Weighted, bool Later = false>
void quantize_ggml_blocks(run& r)
{
    // 34 groups of 32 and 40 of 16: the last lanes of every backend's vectors stay empty.
    for (const ggml_type type : block_types(Later)) {
        const std::ptrdiff_t rows = 24, cols = block_elements(type) > 64 ? 1280 : 1088;
        const std::vector<float> x = numbers_to_quantize(rows, cols), weights = weights_of_columns(cols);
        std::vector<std::byte> out(static_cast<std::size_t>(*bytes_for(rows, cols, type)));
        must_quantize(r, type, {x.data(), rows, cols}, out, Weighted ? span<const float>(weights) : span<const float>());
        r.output(out);
    }
}

template <bool Later = false>
void dequantize_ggml_blocks(run& r)
{
    for (const ggml_type type : block_types(Later)) {
        const std::ptrdiff_t cols = 1280;
        const std::vector<float> x = numbers_to_quantize(8, cols);
        std::vector<std::byte> blocks(static_cast<std::size_t>(*bytes_for(8, cols, type)));
        r.must(quantize_blocks(type, {x.data(), 8, cols}, blocks));
        std::vector<float> back(x.size());
        if (r.reference())
            detail::with_block(type, [&](auto block) {
                const default_fp_mode mode;
                reference::dequantize_row<decltype(block)>(blocks.data(), 8 * cols, back.data());
            });
        else
            r.must(dequantize_blocks(type, blocks, {back.data(), 8, cols}));
        for (float& f : back)
            f = (float_bits(f) & 0x7fffffffu) > 0x7f800000u ? 0.0f : f; // infinity times 0 has another sign on other CPUs
        r.output(back);
    }
}

// Scales that do not fit a half are no weights: numbers of a few powers of two only. A reduced range is for types that expand to int8.
template <bool Reduced = false, bool Later = false>
void gemm_ggml_blocks(run& r)
{
    for (const ggml_type type : block_types(Later)) {
        const std::uint32_t id = static_cast<std::uint32_t>(type);
        numbers random(id);
        const std::ptrdiff_t m = 7, n = 18, k = 256 * (1 + id % 2);
        const std::vector<float> w = filled<float>(n * k, [&] { return random.real(-6, 1); });
        const std::vector<float> a = filled<float>(m * k, [&] { return random.real(-6, 1); });
        std::vector<std::byte> blocks(static_cast<std::size_t>(*bytes_for(n, k, type)));
        r.must(quantize_blocks(type, {w.data(), n, k}, blocks));
        const auto packed = make_packed_blocks(type, blocks, n, k);
        r.must(packed ? status::ok : packed.error());
        if (Reduced && packed->view().type != weight_type::s8)
            continue;
        const epilogue_data e(random, n, static_cast<int>(id));
        product_output<float>(
            r, m, n, *packed, [&](matrix_view<float> c, span<std::byte> workspace, std::ptrdiff_t first, std::ptrdiff_t count) {
                const matrix_view<const float> rows(a.data() + first * k, count, k);
                if (!r.reference())
                    return r.must(gemm(rows, activations<Reduced>(dynamic_activations {}), *packed, e.e, c, workspace, r.threads()));
                std::vector<std::int8_t> q(static_cast<std::size_t>(count * k));
                std::vector<float> scales(static_cast<std::size_t>(count));
                for (std::ptrdiff_t i = 0; i < count; ++i)
                    scales[static_cast<std::size_t>(i)] = reference::quantize_row(rows.row(i), k, q.data() + i * k, Reduced ? 63 : 127);
                reference::gemm_blocks<std::int8_t, float>({q.data(), count, k}, scales, {}, type, blocks, e.e, c);
            });
        r.output(std::vector<std::byte>(packed->bytes().begin(), packed->bytes().end()));
    }
}

} // namespace
