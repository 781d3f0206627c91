// What quantization after training costs: a square layer, one thread, INT4 in groups of 32. Beside what GPTQ must do as OpenBLAS does it:
// the Cholesky factor (dpotrf of k x k) and the products of errors with it (dgemm of k x k by k x k/2, which are as many operations).
#include "support.hpp"

namespace bench {
namespace {

// Weights, and inputs that depend on each other.
struct layer {
    explicit layer(std::ptrdiff_t size) : k(size), w(data(k * k)), x(data(2 * k * k)), codes(static_cast<std::size_t>(k * k / 2))
    {
        for (std::ptrdiff_t r = 0; r < 2 * k; ++r)
            for (std::ptrdiff_t c = 1; c < k; ++c)
                x[static_cast<std::size_t>(r * k + c)] += 0.5f * x[static_cast<std::size_t>(r * k + c % 16)];
        format.kind = nibble::granularity::per_group;
        format.group_size = 32;
        scales.resize(static_cast<std::size_t>(nibble::params_count(format.kind, k, k, 32)));
        auto made = nibble::hessian::make(k);
        require(made.error());
        h = std::move(*made);
        require(h.add(inputs()));
        most.resize(static_cast<std::size_t>(k));
        factors.resize(most.size());
        require(nibble::column_max(inputs(), most));
        for (std::ptrdiff_t i = 0; i < k; ++i)
            for (std::ptrdiff_t j = 0; j < k; ++j)
                square.push_back(h(i, j) + (i == j ? 0.01 * h(i, i) : 0.0));
        factor = square;
    }
    nibble::matrix_view<const float> weights() const { return {w.data(), k, k}; }
    nibble::matrix_view<const float> inputs() const { return {x.data(), 2 * k, k}; }
    nibble::quantized_matrix<nibble::int4x2> output() { return {{codes.data(), k, k / 2}, scales}; }

    std::ptrdiff_t k;
    std::vector<float> w, x, scales, most, factors;
    std::vector<nibble::int4x2> codes;
    std::vector<double> square, factor;
    nibble::weight_format format;
    nibble::hessian h;
};

} // namespace

std::vector<group> accuracy(const options& o, const std::vector<loaded_peer>& peers)
{
    std::vector<group> all;
    for (const std::ptrdiff_t k : {256, 1024}) {
        if (k != (o.set == extent::quick ? 256 : 1024) && o.set != extent::all)
            continue;
        group g;
        const std::string shape = "/n:" + std::to_string(k) + "/k:" + std::to_string(k);
        g.title = "quantization after training, " + std::to_string(k) + " x " + std::to_string(k);
        const auto made = std::make_shared<std::shared_ptr<layer>>();
        const auto of = [made, k] {
            if (*made == nullptr)
                *made = std::make_shared<layer>(k);
            return *made;
        };
        const double cube = double(k) * double(k) * double(k);
        const auto add = [&](const std::string& name, double ops, auto run) {
            options here = o;
            if (!o.backends_given)
                here.backends.resize(1);
            add_operation(g, here, "accuracy/" + name, shape, 0, ops, [=](nibble::backend b) {
                const auto l = of();
                return std::make_unique<operation>(
                    b, [l, run] { run(*l); }, l->codes.data(), l->codes.size());
            });
            g.entries.back().effort = 0.1 + 10 * (name == "hqq" || name == "awq_scales" ? 2e-9 * cube : 1e-10 * cube);
        };
        add("hessian", 2 * cube, [](layer& l) {
            auto h = nibble::hessian::make(l.k);
            require(h.error());
            require(h->add(l.inputs()));
        });
        add("cholesky", cube / 3, [](layer& l) {
            l.factor = l.square;
            if (!nibble::cholesky(nibble::matrix_view<double>(l.factor.data(), l.k, l.k)))
                require(nibble::status::not_finite);
        });
        add("gptq", 0, [](layer& l) { require(nibble::gptq(l.weights(), l.h, l.format, l.output())); });
        add("awq_clip", 0, [](layer& l) { require(nibble::round_clipped(l.weights(), l.h, l.format, l.output(), 4)); });
        add("hqq", 0, [](layer& l) { require(nibble::hqq(l.weights(), l.format, l.output(), {0.7, 10, 1.01, 3})); });
        add("smooth_quant", 0, [](layer& l) {
            require(nibble::search_smooth_scales(l.inputs(), l.weights(), nibble::activation_scales::per_row, false, 2, l.factors));
        });
        for (const loaded_peer& one : peers) {
            peer* const library = one.library.get();
            for (const char* const routine : {"dpotrf", "dgemm"}) {
                if (library->make(routine, 0, nullptr) == nullptr)
                    continue;
                entry e;
                e.name = std::string("accuracy/") + (routine[1] == 'p' ? "cholesky" : "gptq") + "/peer:" + one.name + "/" + routine + shape
                         + "/threads:1";
                e.ops = routine[1] == 'p' ? cube / 3 : cube;
                e.work = std::make_shared<lazy_contender>();
                e.work->make = [=] {
                    const auto l = of();
                    return library->make(routine, k, l->square.data());
                };
                g.entries.push_back(std::move(e));
            }
        }
        all.push_back(std::move(g));
    }
    return all;
}

} // namespace bench
