// Eigen: the float product, compiled once for each instruction set (NIBBLE_BENCH_EIGEN_ISA) and chosen when it is loaded.
#include "../contender.hpp"

#include <Eigen/Dense>

namespace {

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr const char* title = "product";

class product : public bench::contender {
public:
    explicit product(const bench::problem& p) : a_(Eigen::Map<const matrix>(p.a().data(), p.m, p.w->k)), c_(p.m, p.w->n)
    {
        kernel = title;
        weight_bytes = p.w->f32().size() * sizeof(float);
        copies_ = p.copies("f32", p.w->f32().data(), weight_bytes);
    }
    void run(int threads) override
    {
        Eigen::setNbThreads(threads);
        const Eigen::Map<const matrix> w(static_cast<const float*>((*copies_)[next_++ % copies_->size()]), c_.cols(), a_.cols());
        if (a_.rows() == 1)
            c_.row(0).transpose().noalias() = w * a_.row(0).transpose();
        else
            c_.noalias() = a_ * w.transpose();
    }
    const void* result() const override { return c_.data(); }

private:
    matrix a_;
    std::shared_ptr<const std::vector<const void*>> copies_;
    matrix c_;
    std::size_t next_ = 0;
};

class eigen : public bench::peer {
public:
    std::string version() const override
    {
        return std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." + std::to_string(EIGEN_MINOR_VERSION)
               + ", " + NIBBLE_BENCH_EIGEN_ISA;
    }
    bool capped() const override { return true; }
    bench::contenders make(const bench::problem& p) override
    {
        bench::contenders all;
        if (p.wants(title, bench::kind::f32))
            all.push_back(std::make_unique<product>(p));
        return all;
    }
};

} // namespace

NIBBLE_BENCH_PEER(const std::string&, const std::string&, int, std::string&) { return new eigen; }
