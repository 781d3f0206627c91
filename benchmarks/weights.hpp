// Weights and activations of products, in every form that somebody multiplies.
#pragma once

#include <memory>

#include <nibble/nibble.hpp>

#include "contender.hpp"

namespace bench {

/// The matrix of this size; the last one is kept, since groups of the same size follow each other.
std::shared_ptr<const weight_matrix> weights(std::ptrdiff_t n, std::ptrdiff_t k);

/// m rows for these weights; nothing is made before it is asked for. store: what the problems of a group share.
std::unique_ptr<problem> make_problem(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, bool from_memory, std::size_t memory_bytes,
    std::shared_ptr<std::map<std::string, std::shared_ptr<void>>> store);

/// Copies of the weights, packed. Backends share them, and each goes on where the one before has stopped, so that none finds in a cache
/// what another has read.
struct packed_copies {
    std::vector<nibble::aligned_buffer> memory;
    std::vector<nibble::packed_weights_view> views;
    std::size_t next = 0;
};
std::shared_ptr<packed_copies> packed(const problem& p, kind what);

/// The definition's result for one row and the columns [begin, end).
std::vector<float> defined(const problem& p, kind what, std::ptrdiff_t row, std::ptrdiff_t begin, std::ptrdiff_t end);

} // namespace bench
