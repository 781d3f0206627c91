#include "products.hpp"

#include <cstring>

#include <nibble/reference/gemm.hpp>
#include <nibble/reference/gemm_blocks.hpp>

#include "support.hpp"

namespace bench {
namespace {

template <class Q>
void quantize(const weight_matrix& w, std::ptrdiff_t group, std::vector<float>& scales, std::vector<Q>& codes)
{
    const nibble::matrix_view<const float> view(w.f32.data(), w.n, w.k);
    const nibble::granularity g = group ? nibble::granularity::per_group : nibble::granularity::per_channel;
    scales.resize(static_cast<std::size_t>(nibble::params_count(g, w.n, w.k, group)));
    std::vector<float> scratch(nibble::choose_params_scratch(g, w.n, w.k, group));
    require(nibble::choose_params<Q>(view, nibble::scheme::symmetric, g, group, scales, {}, scratch));
    for (float& s : scales)
        s = nibble::to_float(nibble::to_half(s));
    codes.resize(static_cast<std::size_t>(w.n * nibble::elements_for<Q>(w.k)));
    require(nibble::quantize(view, {g, group, scales}, nibble::matrix_view<Q>(codes.data(), w.n, nibble::elements_for<Q>(w.k))));
}

weight_matrix::int4 quantize_int4(const weight_matrix& w, std::ptrdiff_t group)
{
    weight_matrix::int4 q;
    q.group = group;
    std::vector<nibble::int4x2> codes;
    quantize(w, group, q.scales, codes);
    q.codes.resize(codes.size());
    std::memcpy(q.codes.data(), codes.data(), codes.size());
    return q;
}

nibble::ggml_type block_type(kind what) { return static_cast<nibble::ggml_type>(block_types[block_index(what)]); }

std::vector<std::uint8_t> quantize_blocks(const weight_matrix& w, kind what)
{
    const std::ptrdiff_t rows = std::min<std::ptrdiff_t>(w.n, 64);
    const nibble::result<std::ptrdiff_t> bytes = nibble::bytes_for(rows, w.k, block_type(what));
    if (!bytes)
        return {};
    std::vector<std::uint8_t> blocks(static_cast<std::size_t>(*bytes / rows * w.n));
    require(nibble::quantize_blocks(
        block_type(what), {w.f32.data(), rows, w.k}, {reinterpret_cast<std::byte*>(blocks.data()), static_cast<std::size_t>(*bytes)}));
    for (std::size_t i = static_cast<std::size_t>(*bytes); i < blocks.size(); ++i)
        blocks[i] = blocks[i - static_cast<std::size_t>(*bytes)];
    return blocks;
}

// Rows [begin, end) of the blocks.
nibble::span<const std::byte> blocks_of(const weight_matrix& w, kind what, std::ptrdiff_t begin, std::ptrdiff_t end)
{
    const std::vector<std::uint8_t>& all = w.blocks[block_index(what)];
    const std::size_t row = all.size() / static_cast<std::size_t>(w.n);
    return {reinterpret_cast<const std::byte*>(all.data()) + row * static_cast<std::size_t>(begin),
        row * static_cast<std::size_t>(end - begin)};
}

const weight_matrix::int4& int4_of(const weight_matrix& w, kind what)
{
    return what == kind::int4_channel ? w.channel : what == kind::int4_group128 ? w.group128 : w.group32;
}

nibble::quant_params_view params_of(const weight_matrix::int4& q)
{
    return {q.group ? nibble::granularity::per_group : nibble::granularity::per_channel, q.group, q.scales};
}

template <class H>
std::vector<H> converted(const std::vector<float>& w)
{
    std::vector<H> h;
    for (const float v : w)
        if constexpr (std::is_same_v<H, nibble::half>)
            h.push_back(nibble::to_half(v));
        else
            h.push_back(nibble::to_bfloat16(v));
    return h;
}

nibble::packed_weights pack_once(const weight_matrix& w, kind what)
{
    const auto made = [](nibble::result<nibble::packed_weights> packed) {
        require(packed.error());
        return std::move(*packed);
    };
    switch (what) {
    case kind::f32: return made(nibble::packed_weights::make(nibble::matrix_view<const float>(w.f32.data(), w.n, w.k)));
    case kind::half: {
        const std::vector<nibble::half> h = converted<nibble::half>(w.f32);
        return made(nibble::packed_weights::make(nibble::matrix_view<const nibble::half>(h.data(), w.n, w.k)));
    }
    case kind::bfloat16: {
        const std::vector<nibble::bfloat16> h = converted<nibble::bfloat16>(w.f32);
        return made(nibble::packed_weights::make(nibble::matrix_view<const nibble::bfloat16>(h.data(), w.n, w.k)));
    }
    case kind::int8:
    case kind::int8_reduced:
    case kind::u8s8:
    case kind::s8s8:
    case kind::u7s8:
        return made(nibble::packed_weights::make(nibble::matrix_view<const std::int8_t>(w.s8.data(), w.n, w.k), w.k,
            {nibble::granularity::per_channel, 0, w.s8_scales}, {true}));
    case kind::int4_channel:
    case kind::int4_group128:
    case kind::int4_group32: break;
    case kind::q8_0:
    case kind::q4_0:
    case kind::q4_K:
    case kind::q6_K:
    case kind::iq4_nl:
    case kind::mxfp4: return made(nibble::make_packed_blocks(block_type(what), blocks_of(w, what, 0, w.n), w.n, w.k));
    }
    const weight_matrix::int4& q = int4_of(w, what);
    std::vector<nibble::int4x2> codes(q.codes.size());
    std::memcpy(codes.data(), q.codes.data(), codes.size());
    return made(nibble::packed_weights::make(
        nibble::matrix_view<const nibble::int4x2>(codes.data(), w.n, nibble::elements_for<nibble::int4x2>(w.k)), w.k, params_of(q),
        {true}));
}

// The definition's result for rows [row, row + 1) and columns [begin, end).
std::vector<float> defined(const problem& p, kind what, std::ptrdiff_t row, std::ptrdiff_t begin, std::ptrdiff_t end)
{
    const weight_matrix& w = *p.w;
    const std::ptrdiff_t n = end - begin;
    std::vector<float> c(static_cast<std::size_t>(n));
    const nibble::matrix_view<float> out(c.data(), 1, n);
    const nibble::matrix_view<const float> a(p.a.data() + row * w.k, 1, w.k);
    const std::vector<float> part(w.f32.begin() + begin * w.k, w.f32.begin() + end * w.k);
    if (what == kind::f32) {
        nibble::reference::gemm(a, nibble::matrix_view<const float>(part.data(), n, w.k), {}, out);
    } else if (what == kind::half) {
        nibble::reference::gemm(a, nibble::matrix_view<const nibble::half>(converted<nibble::half>(part).data(), n, w.k), {}, out);
    } else if (what == kind::bfloat16) {
        nibble::reference::gemm(a, nibble::matrix_view<const nibble::bfloat16>(converted<nibble::bfloat16>(part).data(), n, w.k), {}, out);
    } else {
        std::vector<std::int8_t> q(static_cast<std::size_t>(w.k));
        const std::vector<float> scale {nibble::reference::quantize_row(a.data, w.k, q.data(), what == kind::int8_reduced ? 63 : 127)};
        const nibble::matrix_view<const std::int8_t> quantized(q.data(), 1, w.k);
        if (what == kind::int8 || what == kind::int8_reduced) {
            const std::vector<float> scales(w.s8_scales.begin() + begin, w.s8_scales.begin() + end);
            nibble::reference::gemm(quantized, scale, {}, nibble::matrix_view<const std::int8_t>(w.s8.data() + begin * w.k, n, w.k), w.k,
                {nibble::granularity::per_channel, 0, scales}, {}, out);
        } else if (is_blocks(what)) {
            nibble::reference::gemm_blocks(quantized, scale, {}, block_type(what), blocks_of(w, what, begin, end), {}, out);
        } else {
            const weight_matrix::int4& all = int4_of(w, what);
            const std::ptrdiff_t bytes = nibble::elements_for<nibble::int4x2>(w.k);
            const std::ptrdiff_t groups = static_cast<std::ptrdiff_t>(all.scales.size()) / w.n;
            weight_matrix::int4 q4;
            q4.group = all.group;
            q4.scales.assign(all.scales.begin() + begin * groups, all.scales.begin() + end * groups);
            std::vector<nibble::int4x2> codes(static_cast<std::size_t>(n * bytes));
            std::memcpy(codes.data(), all.codes.data() + begin * bytes, codes.size());
            nibble::reference::gemm(
                quantized, scale, {}, nibble::matrix_view<const nibble::int4x2>(codes.data(), n, bytes), w.k, params_of(q4), {}, out);
        }
    }
    return c;
}

} // namespace

std::shared_ptr<const weight_matrix> make_weights(std::ptrdiff_t n, std::ptrdiff_t k)
{
    auto w = std::make_shared<weight_matrix>();
    w->n = n;
    w->k = k;
    w->f32 = data(n * k);
    quantize(*w, 0, w->s8_scales, w->s8);
    w->channel = quantize_int4(*w, 0);
    w->group128 = quantize_int4(*w, 128);
    w->group32 = quantize_int4(*w, 32);
    for (int i = 0; i < block_kind_count; ++i)
        w->blocks[i] = quantize_blocks(*w, static_cast<kind>(static_cast<int>(kind::q8_0) + i));
    return w;
}

std::shared_ptr<const packed_copies> pack(const problem& p, kind what)
{
    const nibble::packed_weights first = pack_once(*p.w, what);
    auto all = std::make_shared<packed_copies>();
    for (std::size_t i = 0; i < p.copies(first.bytes().size()); ++i) {
        all->memory.emplace_back();
        if (!all->memory.back().resize(first.bytes().size()))
            require(nibble::status::out_of_memory);
        const nibble::span<std::byte> bytes = all->memory.back().bytes();
        std::memcpy(bytes.data(), first.bytes().data(), bytes.size());
        all->views.push_back(*nibble::view_packed({bytes.data(), bytes.size()}));
    }
    return all;
}

nibble_product::nibble_product(const problem& p, kind k, nibble::backend b, std::shared_ptr<const packed_copies> w, thread_pool& threads)
    : where(b), p_(p), w_(std::move(w)), threads_(threads), c_(static_cast<std::size_t>(p.m * p.w->n))
{
    what = k;
    kernel = name_of(k);
    weight_bytes = w_->memory.front().bytes().size();
    if (!workspace_.resize(nibble::gemm_workspace(p.m, w_->views.front())))
        require(nibble::status::out_of_memory);
}

template <class A, class C, class Executor>
void nibble_product::multiply(const A* a, C* c, Executor& executor)
{
    const nibble::packed_weights_view& w = w_->views[w_->next++ % w_->views.size()];
    const nibble::matrix_view<const A> from(a, p_.m, p_.w->k);
    const nibble::matrix_view<C> to(c, p_.m, p_.w->n);
    [[maybe_unused]] const auto multiply_by = [&](auto activations, bool reduced) {
        require(reduced ? nibble::gemm(from, nibble::reduced_range(activations), w, {}, to, workspace_.bytes(), executor)
                        : nibble::gemm(from, activations, w, {}, to, workspace_.bytes(), executor));
    };
    if constexpr (std::is_same_v<A, float>)
        multiply_by(nibble::dynamic_activations {}, what == kind::int8_reduced);
    else
        multiply_by(nibble::static_activations {}, what == kind::u7s8);
}

template <class Executor>
void nibble_product::multiply(Executor& executor)
{
    if (what == kind::u8s8)
        multiply(p_.a_u8.data(), c_.data(), executor);
    else if (what == kind::u7s8)
        multiply(p_.a_u7.data(), c_.data(), executor);
    else if (what == kind::s8s8)
        multiply(p_.a_s8.data(), c_.data(), executor);
    else
        multiply(p_.a.data(), reinterpret_cast<float*>(c_.data()), executor);
}

void nibble_product::run(int threads)
{
    require(nibble::force_backend(where));
    if (threads == 1) {
        nibble::serial_executor serial;
        multiply(serial);
    } else {
        multiply(threads_);
    }
}

verdict nibble_product::check_bits() const
{
    verdict v = check(*this, p_);
    if (!v.right || integer_result(what))
        return v;
    const std::ptrdiff_t n = p_.w->n, part = std::min<std::ptrdiff_t>(n, 32);
    for (const std::ptrdiff_t row : {std::ptrdiff_t(0), p_.m - 1})
        for (const std::ptrdiff_t begin : {std::ptrdiff_t(0), n - part}) {
            const std::vector<float> expected = defined(p_, what, row, begin, begin + part);
            if (std::memcmp(expected.data(), c_.data() + row * n + begin, expected.size() * sizeof(float)) != 0)
                return {false, false, v.error, "WRONG: not the bits of the definition in row " + std::to_string(row)};
        }
    v.exact = true;
    v.text = "exact bits";
    return v;
}

} // namespace bench
