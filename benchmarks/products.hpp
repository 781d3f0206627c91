// nibble's side of the benchmark: every product on every backend.
#pragma once

#include <map>

#include <nibble/nibble.hpp>

#include "check.hpp"
#include "contender.hpp"
#include "thread_pool.hpp"

namespace bench {

std::shared_ptr<const weight_matrix> make_weights(std::ptrdiff_t n, std::ptrdiff_t k);

/// Copies of the weights of one kind, packed; backends share them, and each goes on where the one before has stopped, so that none finds
/// in a cache what another has read.
struct packed_copies {
    std::vector<nibble::aligned_buffer> memory;
    std::vector<nibble::packed_weights_view> views;
    mutable std::size_t next = 0;
};
std::shared_ptr<const packed_copies> pack(const problem& p, kind what);

class nibble_product : public contender {
public:
    nibble_product(const problem& p, kind what, nibble::backend b, std::shared_ptr<const packed_copies> w, thread_pool& threads);
    void run(int threads) override;
    const void* result() const override { return c_.data(); }

    /// The exact sums; or the bits of the definition in the first and last row, at both ends, and the bound of check() for whole rows.
    verdict check_bits() const;

    const nibble::backend where;

private:
    template <class A, class C, class Executor>
    void multiply(const A* a, C* c, Executor& executor);
    template <class Executor>
    void multiply(Executor& executor);

    const problem& p_;
    std::shared_ptr<const packed_copies> w_;
    thread_pool& threads_;
    std::vector<std::int32_t> c_; // or floats, of the same size
    nibble::aligned_buffer workspace_;
};

} // namespace bench
