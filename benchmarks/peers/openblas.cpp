// OpenBLAS: the float product. Its weights cannot be packed ahead.
#include "../contender.hpp"

// Debian keeps the header in a folder that depends on the architecture.
extern "C" {
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
    int ldb, float beta, float* c, int ldc);
void cblas_sgemv(
    int order, int transpose, int m, int n, float alpha, const float* a, int lda, const float* x, int incx, float beta, float* y, int incy);
void cblas_dgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, double alpha, const double* a, int lda, const double* b,
    int ldb, double beta, double* c, int ldc);
void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);
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
        weight_bytes = p.w->f32().size() * sizeof(float);
        copies_ = p.copies("f32", p.w->f32().data(), weight_bytes);
    }
    void run(int threads) override
    {
        openblas_set_num_threads(threads);
        const float* const w = static_cast<const float*>((*copies_)[next_++ % copies_->size()]);
        const int m = static_cast<int>(p_.m), n = static_cast<int>(p_.w->n), k = static_cast<int>(p_.w->k);
        constexpr int row_major = 101, as_is = 111, transposed = 112;
        if (m == 1)
            cblas_sgemv(row_major, as_is, n, k, 1, w, k, p_.a().data(), 1, 0, c_.data(), 1);
        else
            cblas_sgemm(row_major, as_is, transposed, m, n, k, 1, p_.a().data(), k, w, k, 0, c_.data(), n);
    }
    const void* result() const override { return c_.data(); }

private:
    const bench::problem& p_;
    std::shared_ptr<const std::vector<const void*>> copies_;
    std::vector<float> c_;
    std::size_t next_ = 0;
};

// The Cholesky factor of a matrix, or the product with it of half as many columns.
class routine : public bench::contender {
public:
    routine(bool factor, std::ptrdiff_t k, const double* a)
        : factor_(factor), k_(static_cast<int>(k)), a_(a, a + k * k), b_(a_), c_(a_.size() / 2)
    {
    }
    void run(int threads) override
    {
        openblas_set_num_threads(threads);
        constexpr int row_major = 101, as_is = 111;
        int info = 0;
        if (factor_) {
            b_ = a_;
            dpotrf_("L", &k_, b_.data(), &k_, &info);
        } else {
            cblas_dgemm(row_major, as_is, as_is, k_, k_ / 2, k_, 1, a_.data(), k_, b_.data(), k_, 0, c_.data(), k_ / 2);
        }
    }

private:
    bool factor_;
    int k_;
    std::vector<double> a_, b_, c_;
};

class openblas : public bench::peer {
public:
    std::string version() const override
    {
        const std::string config = openblas_get_config(), number = config.substr(config.find(' ') + 1);
        return number.substr(0, number.find(' ')) + ", " + openblas_get_corename() + " kernels";
    }
    bool capped() const override { return true; } // OPENBLAS_CORETYPE is set before the module is loaded
    bench::contenders make(const bench::problem& p) override
    {
        bench::contenders all;
        if (p.wants(product::kernel_of(p), bench::kind::f32))
            all.push_back(std::make_unique<product>(p));
        return all;
    }
    std::unique_ptr<bench::contender> make(const std::string& name, std::ptrdiff_t k, const double* a) override
    {
        return std::make_unique<routine>(name == "dpotrf", k, a);
    }
};

} // namespace

NIBBLE_BENCH_PEER(const std::string&, const std::string&, int, std::string&) { return new openblas; }
