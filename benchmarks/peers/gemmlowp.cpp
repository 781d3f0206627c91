// gemmlowp: unsigned weights with an offset, packed anew in each product (it has no other way).
#include "../contender.hpp"

#include <tuple>

#include <gemmlowp/public/gemmlowp.h>

namespace {

constexpr const char* title = "u8_x_u8";

class product : public bench::contender {
public:
    explicit product(const bench::problem& p) : p_(p), c_(static_cast<std::size_t>(p.m * p.w->n))
    {
        what = bench::kind::u8s8;
        kernel = title;
        std::vector<std::uint8_t> w;
        for (const std::int8_t code : p.w->s8())
            w.push_back(static_cast<std::uint8_t>(code + 128));
        weight_bytes = w.size();
        copies_ = p.copies("u8", w.data(), weight_bytes);
    }
    void run(int threads) override
    {
        using namespace gemmlowp;
        context_.set_max_num_threads(threads);
        const int m = static_cast<int>(p_.m), n = static_cast<int>(p_.w->n), k = static_cast<int>(p_.w->k);
        const MatrixMap<const std::uint8_t, MapOrder::RowMajor> w(
            static_cast<const std::uint8_t*>((*copies_)[next_++ % copies_->size()]), n, k, k);
        const MatrixMap<const std::uint8_t, MapOrder::ColMajor> a(p_.a_u8().data(), k, m, k);
        MatrixMap<std::int32_t, MapOrder::ColMajor> c(c_.data(), n, m, n);
        GemmWithOutputPipeline<std::uint8_t, std::int32_t, DefaultL8R8BitDepthParams>(&context_, w, a, &c, -128, 0, std::tuple<> {});
    }
    const void* result() const override { return c_.data(); }

private:
    const bench::problem& p_;
    std::shared_ptr<const std::vector<const void*>> copies_;
    std::vector<std::int32_t> c_;
    gemmlowp::GemmContext context_;
    std::size_t next_ = 0;
};

class lowp : public bench::peer {
public:
    std::string version() const override { return "Debian's"; }
    bool capped() const override { return true; }
    bench::contenders make(const bench::problem& p) override
    {
        bench::contenders all;
        if (p.wants(title, bench::kind::u8s8))
            all.push_back(std::make_unique<product>(p));
        return all;
    }
};

} // namespace

NIBBLE_BENCH_PEER(const std::string&, const std::string&, int, std::string&) { return new lowp; }
