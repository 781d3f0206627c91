// OpenBLAS: the float product. Its weights cannot be packed ahead.
#include "../contender.hpp"

// Debian keeps the header in a folder that depends on the architecture.
extern "C" {
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
    int ldb, float beta, float* c, int ldc);
void cblas_sgemv(
    int order, int transpose, int m, int n, float alpha, const float* a, int lda, const float* x, int incx, float beta, float* y, int incy);
void openblas_set_num_threads(int count);
char* openblas_get_config();
char* openblas_get_corename();
}

namespace {

class product : public bench::contender {
public:
    static const char* kernel_of(const bench::problem& p) { return p.m == 1 ? "sgemv" : "sgemm"; }
    explicit product(const bench::problem& p) : p_(p), c_(static_cast<std::size_t>(p.m * p.w->n))
    {
        kernel = kernel_of(p);
        weight_bytes = p.w->f32.size() * sizeof(float);
        copies_.assign(p.copies(weight_bytes), p.w->f32);
    }
    void run(int threads) override
    {
        openblas_set_num_threads(threads);
        const std::vector<float>& w = copies_[next_++ % copies_.size()];
        const int m = static_cast<int>(p_.m), n = static_cast<int>(p_.w->n), k = static_cast<int>(p_.w->k);
        constexpr int row_major = 101, as_is = 111, transposed = 112;
        if (m == 1)
            cblas_sgemv(row_major, as_is, n, k, 1, w.data(), k, p_.a.data(), 1, 0, c_.data(), 1);
        else
            cblas_sgemm(row_major, as_is, transposed, m, n, k, 1, p_.a.data(), k, w.data(), k, 0, c_.data(), n);
    }
    const void* result() const override { return c_.data(); }

private:
    const bench::problem& p_;
    std::vector<std::vector<float>> copies_;
    std::vector<float> c_;
    std::size_t next_ = 0;
};

class openblas : public bench::peer {
public:
    std::string name() const override { return "OpenBLAS"; }
    std::string version() const override
    {
        const std::string config = openblas_get_config(), number = config.substr(config.find(' ') + 1);
        return number.substr(0, number.find(' ')) + ", " + openblas_get_corename() + " kernels";
    }
    bool capped() const override { return true; } // OPENBLAS_CORETYPE is set before the module is loaded
    bench::contenders make(const bench::problem& p, int) override
    {
        bench::contenders all;
        if (p.wants(product::kernel_of(p), bench::kind::f32))
            all.push_back(std::make_unique<product>(p));
        return all;
    }
};

} // namespace

NIBBLE_BENCH_PEER(const std::string&, const std::string&, std::string&) { return new openblas; }
