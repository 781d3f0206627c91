// oneDNN: matmul with weights in the layout that it asks for.
#include "../contender.hpp"

#include <cstring>

#include <dnnl.hpp>
#include <omp.h>

namespace {

using dnnl::memory;
using type = memory::data_type;
using layout = memory::format_tag;

dnnl::engine& engine()
{
    static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
}
dnnl::stream& stream()
{
    static dnnl::stream s(engine());
    return s;
}

class product : public bench::contender {
public:
    static std::string kernel_of(bench::kind k) { return std::string("matmul ") + bench::name_of(k); }
    product(const bench::problem& p, bench::kind k, type a, type w, type c, const void* activations, const void* weights, int most_threads)
        : c_({{p.m, p.w->n}, c, layout::ab}, engine())
    {
        what = k;
        kernel = kernel_of(k);
        a_ = memory({{p.m, p.w->k}, a, layout::ab}, engine(), const_cast<void*>(activations));
        const memory::desc any({p.w->k, p.w->n}, w, layout::any);
        // The number of threads is part of a primitive; all of them are made for the layout that the first one chose.
        memory::desc packed = any;
        for (int threads = 1; threads <= most_threads; ++threads) {
            omp_set_num_threads(threads);
            const dnnl::matmul::primitive_desc made({a_.get_desc(), packed, c_.get_desc()}, engine());
            packed = made.weights_desc();
            matmul_.emplace_back(made);
        }
        memory plain({{p.w->k, p.w->n}, w, layout::ba}, engine(), const_cast<void*>(weights));
        weight_bytes = packed.get_size();
        for (std::size_t i = 0; i < p.copies(weight_bytes); ++i) {
            w_.emplace_back(packed, engine());
            dnnl::reorder(plain, w_.back()).execute(stream(), plain, w_.back());
        }
        stream().wait();
    }
    void run(int threads) override
    {
        omp_set_num_threads(threads);
        matmul_[static_cast<std::size_t>(threads - 1)].execute(
            stream(), {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, w_[next_++ % w_.size()]}, {DNNL_ARG_DST, c_}});
        stream().wait();
    }
    const void* result() const override { return c_.get_data_handle(); }

private:
    memory a_, c_;
    std::vector<memory> w_;
    std::vector<dnnl::matmul> matmul_;
    std::size_t next_ = 0;
};

class onednn : public bench::peer {
public:
    std::string name() const override { return "oneDNN"; }
    std::string version() const override
    {
        const dnnl_version_t* v = dnnl_version();
        return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
    }
    bool capped() const override { return true; } // ONEDNN_MAX_CPU_ISA is set before the module is loaded
    bench::contenders make(const bench::problem& p, int most_threads) override
    {
        bench::contenders all;
        const bench::weight_matrix& w = *p.w;
        const auto add = [&](bench::kind k, type a, type b, type c, const void* activations, const void* weights) {
            if (p.wants(product::kernel_of(k), k))
                all.push_back(std::make_unique<product>(p, k, a, b, c, activations, weights, most_threads));
        };
        add(bench::kind::f32, type::f32, type::f32, type::f32, p.a.data(), w.f32.data());
        add(bench::kind::u8s8, type::u8, type::s8, type::s32, p.a_u8.data(), w.s8.data());
        add(bench::kind::u7s8, type::u8, type::s8, type::s32, p.a_u7.data(), w.s8.data());
        add(bench::kind::s8s8, type::s8, type::s8, type::s32, p.a_s8.data(), w.s8.data());
        return all;
    }
};

} // namespace

NIBBLE_BENCH_PEER(const std::string&, const std::string&, std::string&) { return new onednn; }
