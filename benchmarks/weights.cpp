#include "weights.hpp"

#include <cmath>
#include <cstring>
#include <optional>

#include <nibble/reference/gemm.hpp>
#include <nibble/reference/gemm_blocks.hpp>

#include "support.hpp"

namespace bench {
namespace {

template <class Q>
void quantize(const std::vector<float>& w, std::ptrdiff_t n, std::ptrdiff_t group, std::vector<float>& scales, std::vector<Q>& codes)
{
    const std::ptrdiff_t k = static_cast<std::ptrdiff_t>(w.size()) / n, columns = nibble::elements_for<Q>(k);
    const nibble::matrix_view<const float> view(w.data(), n, k);
    const nibble::granularity g = group ? nibble::granularity::per_group : nibble::granularity::per_channel;
    scales.resize(static_cast<std::size_t>(nibble::params_count(g, n, k, group)));
    std::vector<float> scratch(nibble::choose_params_scratch(g, n, k, group));
    require(nibble::choose_params<Q>(view, nibble::scheme::symmetric, g, group, scales, {}, scratch));
    for (float& s : scales)
        s = nibble::to_float(nibble::to_half(s));
    codes.resize(static_cast<std::size_t>(n * columns));
    require(nibble::quantize(view, {g, group, scales}, nibble::matrix_view<Q>(codes.data(), n, columns)));
}

nibble::ggml_type ggml_type_of(kind what) { return static_cast<nibble::ggml_type>(block_type(what)); }

class matrix : public weight_matrix {
public:
    using weight_matrix::weight_matrix;

    const std::vector<float>& f32() const override
    {
        if (f32_.empty())
            f32_ = data(n * k);
        return f32_;
    }
    const std::vector<std::int8_t>& s8() const override
    {
        if (s8_.empty())
            quantize(f32(), n, 0, s8_scales_, s8_);
        return s8_;
    }
    const std::vector<float>& s8_scales() const override
    {
        (void)s8();
        return s8_scales_;
    }
    const int4_codes& int4(kind what) const override
    {
        int4_codes& q = int4_[what];
        if (q.codes.empty()) {
            q.group = what == kind::int4_channel ? 0 : what == kind::int4_group128 ? 128 : 32;
            std::vector<nibble::int4x2> codes;
            quantize(f32(), n, q.group, q.scales, codes);
            q.codes.resize(codes.size());
            std::memcpy(q.codes.data(), codes.data(), codes.size());
        }
        return q;
    }
    const std::vector<std::uint8_t>& blocks(kind what) const override
    {
        std::vector<std::uint8_t>& all = blocks_[block_type(what)];
        const std::ptrdiff_t rows = std::min<std::ptrdiff_t>(n, 64);
        const nibble::result<std::ptrdiff_t> made = nibble::bytes_for(rows, k, ggml_type_of(what));
        if (all.empty() && made) {
            const std::size_t bytes = static_cast<std::size_t>(*made);
            all.resize(bytes / static_cast<std::size_t>(rows) * static_cast<std::size_t>(n));
            require(
                nibble::quantize_blocks(ggml_type_of(what), {f32().data(), rows, k}, {reinterpret_cast<std::byte*>(all.data()), bytes}));
            for (std::size_t i = bytes; i < all.size(); ++i)
                all[i] = all[i - bytes];
        }
        return all;
    }

private:
    mutable std::vector<float> f32_, s8_scales_;
    mutable std::vector<std::int8_t> s8_;
    mutable std::map<kind, int4_codes> int4_;
    mutable std::map<unsigned, std::vector<std::uint8_t>> blocks_;
};

class activations : public problem {
public:
    const std::vector<float>& a() const override
    {
        if (a_.empty())
            a_ = data(m * w->k);
        return a_;
    }
    // 0 to 255, the same divided by 2 or minus 128.
    const std::vector<std::uint8_t>& a_u8() const override
    {
        return codes(u8_, [](int c) { return c; });
    }
    const std::vector<std::uint8_t>& a_u7() const override
    {
        return codes(u7_, [](int c) { return c / 2; });
    }
    const std::vector<std::int8_t>& a_s8() const override
    {
        return codes(s8_, [](int c) { return c - 128; });
    }

    std::shared_ptr<const std::vector<const void*>> copies(const std::string& what, const void* bytes, std::size_t size) const override
    {
        struct kept {
            std::vector<nibble::aligned_buffer> memory;
            std::vector<const void*> pointers;
        };
        const auto all = shared<kept>("raw " + what, [&] {
            auto made = std::make_shared<kept>();
            for (std::size_t i = 0; i < copies_of(size); ++i) {
                made->memory.emplace_back();
                if (!made->memory.back().resize(size))
                    require(nibble::status::out_of_memory);
                std::memcpy(made->memory.back().bytes().data(), bytes, size);
                made->pointers.push_back(made->memory.back().bytes().data());
            }
            return made;
        });
        return {all, &all->pointers};
    }

private:
    template <class T, class Code>
    const std::vector<T>& codes(std::vector<T>& of, Code code) const
    {
        if (of.empty())
            for (const float v : a())
                of.push_back(static_cast<T>(code(static_cast<int>(std::floor((v + 1) * 128)))));
        return of;
    }
    mutable std::vector<float> a_;
    mutable std::vector<std::uint8_t> u8_, u7_;
    mutable std::vector<std::int8_t> s8_;
};

// Rows [begin, end) of the blocks.
nibble::span<const std::byte> blocks_of(const weight_matrix& w, kind what, std::ptrdiff_t begin, std::ptrdiff_t end)
{
    const std::vector<std::uint8_t>& all = w.blocks(what);
    const std::size_t row = all.size() / static_cast<std::size_t>(w.n);
    return {reinterpret_cast<const std::byte*>(all.data()) + row * static_cast<std::size_t>(begin),
        row * static_cast<std::size_t>(end - begin)};
}

nibble::quant_params_view params_of(const int4_codes& q)
{
    return {q.group ? nibble::granularity::per_group : nibble::granularity::per_channel, q.group, q.scales};
}

std::vector<nibble::half> halves(const std::vector<float>& w)
{
    std::vector<nibble::half> h(w.size());
    require(nibble::convert(nibble::span<const float>(w), nibble::span<nibble::half>(h)));
    return h;
}
std::vector<nibble::bfloat16> brains(const std::vector<float>& w)
{
    std::vector<nibble::bfloat16> h(w.size());
    require(nibble::convert(nibble::span<const float>(w), nibble::span<nibble::bfloat16>(h)));
    return h;
}

nibble::packed_weights pack_once(const weight_matrix& w, kind what)
{
    const auto made = [](nibble::result<nibble::packed_weights> packed) {
        require(packed.error());
        return std::move(*packed);
    };
    if (what == kind::f32)
        return made(nibble::packed_weights::make(nibble::matrix_view<const float>(w.f32().data(), w.n, w.k)));
    if (what == kind::half)
        return made(nibble::packed_weights::make(nibble::matrix_view<const nibble::half>(halves(w.f32()).data(), w.n, w.k)));
    if (what == kind::bfloat16)
        return made(nibble::packed_weights::make(nibble::matrix_view<const nibble::bfloat16>(brains(w.f32()).data(), w.n, w.k)));
    if (block_type(what) != 0)
        return made(nibble::make_packed_blocks(ggml_type_of(what), blocks_of(w, what, 0, w.n), w.n, w.k));
    if (what < kind::int4_channel)
        return made(nibble::packed_weights::make(nibble::matrix_view<const std::int8_t>(w.s8().data(), w.n, w.k), w.k,
            {nibble::granularity::per_channel, 0, w.s8_scales()}, {true}));
    const int4_codes& q = w.int4(what);
    std::vector<nibble::int4x2> codes(q.codes.size());
    std::memcpy(codes.data(), q.codes.data(), codes.size());
    return made(nibble::packed_weights::make(
        nibble::matrix_view<const nibble::int4x2>(codes.data(), w.n, nibble::elements_for<nibble::int4x2>(w.k)), w.k, params_of(q),
        {true}));
}

} // namespace

std::shared_ptr<const weight_matrix> weights(std::ptrdiff_t n, std::ptrdiff_t k)
{
    static std::shared_ptr<const weight_matrix> last;
    if (last == nullptr || last->n != n || last->k != k)
        last = std::make_shared<matrix>(n, k);
    return last;
}

std::unique_ptr<problem> make_problem(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, bool from_memory, std::size_t memory_bytes,
    std::shared_ptr<std::map<std::string, std::shared_ptr<void>>> store)
{
    auto p = std::make_unique<activations>();
    p->m = m;
    p->from_memory = from_memory;
    p->memory_bytes = memory_bytes;
    p->w = weights(n, k);
    p->store = std::move(store);
    return p;
}

std::shared_ptr<packed_copies> packed(const problem& p, kind what)
{
    return p.shared<packed_copies>("nibble", [&] {
        const nibble::packed_weights first = pack_once(*p.w, what);
        auto all = std::make_shared<packed_copies>();
        for (std::size_t i = 0; i < p.copies_of(first.bytes().size()); ++i) {
            all->memory.emplace_back();
            if (!all->memory.back().resize(first.bytes().size()))
                require(nibble::status::out_of_memory);
            const nibble::span<std::byte> bytes = all->memory.back().bytes();
            std::memcpy(bytes.data(), first.bytes().data(), bytes.size());
            all->views.push_back(*nibble::view_packed({bytes.data(), bytes.size()}));
        }
        return all;
    });
}

std::vector<float> defined(const problem& p, kind what, std::ptrdiff_t row, std::ptrdiff_t begin, std::ptrdiff_t end)
{
    const weight_matrix& w = *p.w;
    const std::ptrdiff_t n = end - begin;
    std::vector<float> c(static_cast<std::size_t>(n));
    const nibble::matrix_view<float> out(c.data(), 1, n);
    const nibble::matrix_view<const float> a(p.a().data() + row * w.k, 1, w.k);
    const std::vector<float> part(w.f32().begin() + begin * w.k, w.f32().begin() + end * w.k);
    if (what == kind::f32) {
        nibble::reference::gemm(a, nibble::matrix_view<const float>(part.data(), n, w.k), {}, out);
    } else if (what == kind::half) {
        nibble::reference::gemm(a, nibble::matrix_view<const nibble::half>(halves(part).data(), n, w.k), {}, out);
    } else if (what == kind::bfloat16) {
        nibble::reference::gemm(a, nibble::matrix_view<const nibble::bfloat16>(brains(part).data(), n, w.k), {}, out);
    } else {
        std::vector<std::int8_t> q(static_cast<std::size_t>(w.k));
        const bool reduced = what == kind::int8_reduced || what == kind::int8_group32_reduced;
        const std::vector<float> scale {nibble::reference::quantize_row(a.data, w.k, q.data(), reduced ? 63 : 127)};
        const nibble::matrix_view<const std::int8_t> quantized(q.data(), 1, w.k);
        if (block_type(what) != 0) {
            nibble::reference::gemm_blocks(quantized, scale, {}, ggml_type_of(what), blocks_of(w, what, begin, end), {}, out);
        } else if (what < kind::int4_channel) {
            const std::vector<float> scales(w.s8_scales().begin() + begin, w.s8_scales().begin() + end);
            nibble::reference::gemm(quantized, scale, {}, nibble::matrix_view<const std::int8_t>(w.s8().data() + begin * w.k, n, w.k), w.k,
                {nibble::granularity::per_channel, 0, scales}, {}, out);
        } else {
            const int4_codes& all = w.int4(what);
            const std::ptrdiff_t bytes = nibble::elements_for<nibble::int4x2>(w.k);
            const std::ptrdiff_t groups = static_cast<std::ptrdiff_t>(all.scales.size()) / w.n;
            int4_codes q4;
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

} // namespace bench
