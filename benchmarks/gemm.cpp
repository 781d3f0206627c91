// Products: gemm, and gemv for one row.
#include <array>
#include <cstring>
#include <set>

#include "support.hpp"
#include "weights.hpp"

namespace bench {
namespace {

struct shape {
    std::ptrdiff_t m, n, k;
    bool from_memory; ///< in an inference engine the product finds its weights in memory
    extent set;
    /// Measured with every kind of weights, on every backend and with all threads; else the kinds that models use, on the newest backend,
    /// with one thread. --all measures all of it everywhere.
    bool thorough = false;
};

// Few rows are decoding, 512 are a prompt.
constexpr shape shapes[] = {
    {1, 4096, 4096, true, extent::quick, true}, // Llama 3 8B: q and o
    {4, 4096, 4096, true, extent::usual},
    {16, 4096, 4096, true, extent::quick, true},
    {512, 4096, 4096, false, extent::usual},
    {1, 1024, 4096, true, extent::all}, // k and v
    {512, 1024, 4096, false, extent::all},
    {1, 14336, 4096, true, extent::usual}, // gate and up
    {16, 14336, 4096, true, extent::all},
    {512, 14336, 4096, false, extent::all},
    {1, 4096, 14336, true, extent::usual}, // down
    {16, 4096, 14336, true, extent::all},
    {512, 4096, 14336, false, extent::all},
    {1, 2048, 2048, true, extent::usual}, // Llama 3.2 1B: q and o
    {512, 2048, 2048, false, extent::usual},
    {1, 8192, 2048, true, extent::usual}, // gate and up
    {512, 8192, 2048, false, extent::all},
    {1, 2048, 8192, true, extent::all}, // down
    {512, 2048, 8192, false, extent::all},
    {1, 768, 2048, true, extent::usual}, // Qwen3 30B-A3B: gate and up of an expert; of 512 tokens 32 come to each of 128
    {32, 768, 2048, false, extent::usual},
    {1, 2048, 768, true, extent::all}, // down
    {32, 2048, 768, false, extent::all},
    {384, 768, 768, false, extent::usual}, // BERT base, 384 tokens
    {384, 3072, 768, false, extent::usual},
    {384, 768, 3072, false, extent::all},
    {256, 256, 256, false, extent::usual}, // squares
    {512, 512, 512, false, extent::all},
    {1024, 1024, 1024, false, extent::quick, true},
    {2048, 2048, 2048, false, extent::all},
    {3, 1023, 1023, false, extent::usual}, // shapes that no tile divides, and a round one beside each
    {4, 1024, 1024, false, extent::usual},
    {7, 1021, 1019, false, extent::usual},
    {8, 1024, 1024, false, extent::usual},
    {127, 1021, 1019, false, extent::usual},
    {128, 1024, 1024, false, extent::usual},
};

bool used_by_models(kind what)
{
    return what == kind::f32 || what == kind::int8 || what == kind::u8s8 || what == kind::int4_group128 || what == kind::int4_group32
           || what == kind::q4_K;
}

class nibble_product : public contender {
public:
    nibble_product(const problem& p, kind k, nibble::backend b)
        : where_(b), p_(p), w_(packed(p, k)), c_(static_cast<std::size_t>(p.m * p.w->n))
    {
        what = k;
        weight_bytes = w_->memory.front().bytes().size();
        if (!workspace_.resize(nibble::gemm_workspace(p.m, w_->views.front())))
            require(nibble::status::out_of_memory);
    }
    void run(int threads) override
    {
        require(nibble::force_backend(where_));
        if (threads == 1) {
            nibble::serial_executor serial;
            multiply(serial);
        } else {
            multiply(pool(threads));
        }
    }
    const void* result() const override { return c_.data(); }

    // The exact sums; or the bits of the definition in the first and last row, at both ends, and the bound of check() for whole rows.
    verdict check_bits() const
    {
        const verdict v = check(*this, p_);
        if (!v.right || integer_result(what))
            return v;
        const std::ptrdiff_t n = p_.w->n, part = std::min<std::ptrdiff_t>(n, 32);
        for (const std::ptrdiff_t row : {std::ptrdiff_t(0), p_.m - 1})
            for (const std::ptrdiff_t begin : {std::ptrdiff_t(0), n - part}) {
                const std::vector<float> expected = defined(p_, what, row, begin, begin + part);
                if (std::memcmp(expected.data(), c_.data() + row * n + begin, expected.size() * sizeof(float)) != 0)
                    return {false, "WRONG: not the bits of the definition in row " + std::to_string(row)};
            }
        return {true, v.text + ", exact bits"};
    }

private:
    template <class A, class C, class Executor>
    void multiply(const A* a, C* c, Executor& executor)
    {
        const nibble::packed_weights_view& w = w_->views[w_->next++ % w_->views.size()];
        const nibble::matrix_view<const A> from(a, p_.m, p_.w->k);
        const nibble::matrix_view<C> to(c, p_.m, p_.w->n);
        const auto multiply_by = [&](auto activations, bool reduced) {
            require(reduced ? nibble::gemm(from, nibble::reduced_range(activations), w, {}, to, workspace_.bytes(), executor)
                            : nibble::gemm(from, activations, w, {}, to, workspace_.bytes(), executor));
        };
        if constexpr (std::is_same_v<A, float>)
            multiply_by(nibble::dynamic_activations {}, what == kind::int8_reduced || what == kind::int8_group32_reduced);
        else
            multiply_by(nibble::static_activations {}, what == kind::u7s8);
    }
    template <class Executor>
    void multiply(Executor& executor)
    {
        if (what == kind::u8s8)
            multiply(p_.a_u8().data(), c_.data(), executor);
        else if (what == kind::u7s8)
            multiply(p_.a_u7().data(), c_.data(), executor);
        else if (what == kind::s8s8)
            multiply(p_.a_s8().data(), c_.data(), executor);
        else
            multiply(p_.a().data(), reinterpret_cast<float*>(c_.data()), executor);
    }

    nibble::backend where_;
    const problem& p_;
    std::shared_ptr<packed_copies> w_;
    std::vector<std::int32_t> c_; // or floats, of the same size
    nibble::aligned_buffer workspace_;
};

// Bytes of weights that one product reads, before any are made.
double bytes_of(kind what, double n, double k)
{
    const double of_one[] = {4, 2, 2, 1, 1, 1 + 2.0 / 32, 1 + 2.0 / 32, 1, 1, 1, 0.5, 0.5 + 4.0 / 128, 0.5 + 4.0 / 32, 0.5 + 2.0 / 32,
        144.0 / 256, 210.0 / 256, 18.0 / 32, 17.0 / 32};
    return n * k * of_one[static_cast<int>(what)];
}

std::string sizes_of(const shape& s) { return "/m:" + std::to_string(s.m) + "/n:" + std::to_string(s.n) + "/k:" + std::to_string(s.k); }

class builder {
public:
    builder(const options& o, const std::vector<loaded_peer>& peers) : o_(o), peers_(peers) {}

    // All products with weights of one kind and size, which share them.
    group build(kind what, const std::vector<shape>& rows)
    {
        const shape& first = rows.front();
        group g;
        g.title = std::string(name_of(what)) + " n:" + std::to_string(first.n) + " k:" + std::to_string(first.k)
                  + (first.from_memory ? " from memory" : "");
        const auto store = std::make_shared<std::map<std::string, std::shared_ptr<void>>>();
        for (const shape& s : rows) {
            const std::shared_ptr<problem> p = make_problem(s.m, s.n, s.k, s.from_memory, memory_bytes(o_.caches), store);
            const auto add = [&](const std::string& who, nibble::backend limit, std::shared_ptr<lazy_contender> work) {
                for (const int t : threads_of(s)) {
                    entry e = named(what, who, s, t);
                    e.work = work;
                    e.peak = [=] { return machine_limits().ops(what, limit, t); };
                    g.entries.push_back(std::move(e));
                }
            };
            std::vector<nibble::backend> backends = o_.backends;
            if (!o_.backends_given && o_.set != extent::all && (o_.set == extent::quick || !s.thorough || !used_by_models(what)))
                backends.resize(1);
            for (const nibble::backend b : backends) {
                if (b == nibble::backend::scalar && double(s.m) * double(s.n) * double(s.k) > 1e8)
                    continue; // minutes for a figure that says nothing
                auto work = std::make_shared<lazy_contender>();
                work->make = [=] { return std::make_unique<nibble_product>(*p, what, b); };
                work->check = [](contender& c) { return static_cast<nibble_product&>(c).check_bits(); };
                add(nibble::to_string(b), b, work);
            }
            for (const loaded_peer& one : peers_) {
                peer* const library = one.library.get();
                std::vector<std::string> kernels;
                p->wants = [&](const std::string& kernel, kind k) {
                    if (k == what)
                        kernels.push_back(kernel);
                    return false;
                };
                (void)library->make(*p);
                for (const std::string& kernel : kernels) {
                    auto work = std::make_shared<lazy_contender>();
                    work->make = [=] {
                        p->wants = [&](const std::string& name, kind k) { return name == kernel && k == what; };
                        return std::move(library->make(*p).front());
                    };
                    work->check = [p](contender& c) { return check(c, *p); };
                    add("peer:" + one.name + "/" + kernel, o_.backends.front(), work);
                }
            }
        }
        if (first.from_memory)
            for (const int t : threads_of(first)) {
                entry e = named(what, "limit:read", first, t);
                e.bytes = double(limits::bytes_a_call);
                e.ops = 0;
                e.work = std::make_shared<lazy_contender>();
                e.work->make = [] { return std::make_unique<plain_work>([](int threads) { machine_limits().read_memory(threads); }); };
                g.entries.push_back(std::move(e));
            }
        return g;
    }

private:
    std::vector<int> threads_of(const shape& s) const
    {
        if (o_.threads_given || o_.set == extent::all || s.thorough || s.m >= 512)
            return o_.threads;
        return {o_.threads.front()};
    }
    entry named(kind what, const std::string& who, const shape& s, int threads) const
    {
        entry e;
        e.name = std::string(s.m == 1 ? "gemv/" : "gemm/") + name_of(what) + "/" + who + sizes_of(s) + "/threads:" + std::to_string(threads)
                 + (s.from_memory ? "/memory" : "");
        e.threads = threads;
        e.ops = 2.0 * double(s.m) * double(s.n) * double(s.k);
        e.bytes = bytes_of(what, double(s.n), double(s.k));
        e.from_memory = s.from_memory;
        e.effort = 0.1 + 2e-11 * e.ops + (s.from_memory ? 0.3 : 0.0);
        return e;
    }

    const options& o_;
    const std::vector<loaded_peer>& peers_;
};

} // namespace

std::vector<group> gemm(const options& o, const std::vector<loaded_peer>& peers)
{
    std::vector<shape> wanted;
    for (const shape& s : shapes)
        if (s.set <= o.set && o.shape.empty())
            wanted.push_back(s);
    for (std::size_t i = 0; i < o.shape.size(); i += 3) {
        const std::ptrdiff_t m = o.shape[i], n = o.shape[i + 1], k = o.shape[i + 2];
        wanted.push_back({m, n, k, m <= 16 && n * k >= 4 << 20, extent::quick, true});
    }
    builder make(o, peers);
    std::vector<group> all;
    std::set<std::array<std::ptrdiff_t, 3>> done;
    for (const shape& first : wanted) {
        if (!done.insert({first.n, first.k, first.from_memory}).second)
            continue;
        for (int i = 0; i < kind_count; ++i) {
            const kind what = static_cast<kind>(i);
            std::vector<shape> rows;
            for (const shape& s : wanted)
                if (s.n == first.n && s.k == first.k && s.from_memory == first.from_memory
                    && (used_by_models(what) || (s.thorough && o.set != extent::quick) || o.set == extent::all))
                    rows.push_back(s);
            const bool whole_blocks
                = block_type(what) == 0 || nibble::bytes_for(1, first.k, static_cast<nibble::ggml_type>(block_type(what)));
            if (!rows.empty() && whole_blocks)
                all.push_back(make.build(what, rows));
        }
    }
    return all;
}

} // namespace bench
