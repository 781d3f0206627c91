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

constexpr const char* title = "matmul";

class product : public bench::contender {
public:
    product(const bench::problem& p, bench::kind k, type a, type w, type c, const void* activations, const void* weights)
        : c_({{p.m, p.w->n}, c, layout::ab}, engine())
    {
        what = k;
        kernel = title;
        a_ = memory({{p.m, p.w->k}, a, layout::ab}, engine(), const_cast<void*>(activations));
        omp_set_num_threads(1);
        const memory::desc any({p.w->k, p.w->n}, w, layout::any);
        const memory::desc packed = dnnl::matmul::primitive_desc({a_.get_desc(), any, c_.get_desc()}, engine()).weights_desc();
        memory plain({{p.w->k, p.w->n}, w, layout::ba}, engine(), const_cast<void*>(weights));
        weight_bytes = packed.get_size();
        // The layout may depend on the number of rows.
        w_ = p.shared<std::vector<memory>>("onednn" + std::string(bench::name_of(k)) + std::to_string(p.m), [&] {
            auto all = std::make_shared<std::vector<memory>>();
            for (std::size_t i = 0; i < p.copies_of(weight_bytes); ++i) {
                all->emplace_back(packed, engine());
                dnnl::reorder(plain, all->back()).execute(stream(), plain, all->back());
            }
            stream().wait();
            return all;
        });
    }
    void run(int threads) override
    {
        omp_set_num_threads(threads);
        // The number of threads is part of a primitive; all of them are made for the layout that the one for one thread chose.
        auto found = matmul_.find(threads);
        if (found == matmul_.end()) {
            const dnnl::matmul::primitive_desc made({a_.get_desc(), w_->front().get_desc(), c_.get_desc()}, engine());
            found = matmul_.emplace(threads, dnnl::matmul(made)).first;
        }
        found->second.execute(stream(), {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, (*w_)[next_++ % w_->size()]}, {DNNL_ARG_DST, c_}});
        stream().wait();
    }
    const void* result() const override { return c_.get_data_handle(); }

private:
    memory a_, c_;
    std::shared_ptr<std::vector<memory>> w_;
    std::map<int, dnnl::matmul> matmul_;
    std::size_t next_ = 0;
};

class onednn : public bench::peer {
public:
    std::string version() const override
    {
        const dnnl_version_t* v = dnnl_version();
        return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
    }
    bool capped() const override { return true; } // ONEDNN_MAX_CPU_ISA is set before the module is loaded
    bench::contenders make(const bench::problem& p) override
    {
        bench::contenders all;
        const bench::weight_matrix& w = *p.w;
        const auto add = [&](bench::kind k, type a, type b, type c, auto activations, auto weights) {
            if (p.wants(title, k))
                all.push_back(std::make_unique<product>(p, k, a, b, c, (p.*activations)().data(), (w.*weights)().data()));
        };
        using problem = bench::problem;
        using weights = bench::weight_matrix;
        add(bench::kind::f32, type::f32, type::f32, type::f32, &problem::a, &weights::f32);
        add(bench::kind::u8s8, type::u8, type::s8, type::s32, &problem::a_u8, &weights::s8);
        add(bench::kind::u7s8, type::u8, type::s8, type::s32, &problem::a_u7, &weights::s8);
        add(bench::kind::s8s8, type::s8, type::s8, type::s32, &problem::a_s8, &weights::s8);
        return all;
    }
};

} // namespace

NIBBLE_BENCH_PEER(const std::string&, const std::string&, int, std::string&) { return new onednn; }
