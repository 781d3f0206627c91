// What a run of the benchmark found: build/bench/report.json, the tables and the pictures made from it.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "limits.hpp"
#include "machine.hpp"

namespace bench {

/// One implementation of one product, measured.
struct row {
    std::string peer;    ///< "nibble", or whose it is
    std::string kernel;  ///< nibble: the kind; else the peer's name for it
    std::string kind;    ///< what is multiplied, as in kind_names
    std::string backend; ///< nibble's; a peer's cap, "" if it may use all that the CPU has
    std::string cap;     ///< the most that anybody in this comparison may use; "": no limit
    std::ptrdiff_t m = 0, n = 0, k = 0;
    bool stream = false; ///< weights come from memory each time
    int threads = 1, rounds = 0;
    double median = 0, best = 0;      ///< seconds
    double gops = 0, gbs = 0;         ///< of the median: 2 m n k operations, bytes of weights
    double limit = 0, fraction = 0;   ///< GOP/s that the machine's limits allow, and how much of it is reached; 0: not known
    bool right = true, exact = false; ///< checked; exact: the exact sums, or the bits of nibble's definition
    double error = 0;                 ///< float results: relative root mean square
    std::string check;                ///< in words
    std::string best_peer;            ///< nibble: the fastest peer of the same kind, shape and threads in the same rounds
    double ratio = 0;                 ///< nibble: that peer's median time / this one's; 0: no peer
    double ratio_exact = 0;           ///< the same against the fastest peer whose result is right
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(row, peer, kernel, kind, backend, cap, m, n, k, stream, threads, rounds, median, best, gops, gbs, limit,
    fraction, right, exact, error, check, best_peer, ratio, ratio_exact)

/// One implementation of one convolution, measured with one thread.
struct convolution_row {
    std::string shape, peer, kernel, backend; ///< peer, kernel and backend as of a row
    double median = 0, gops = 0;              ///< seconds; 2 operations a product
    bool right = false;                       ///< the reference's codes
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(convolution_row, shape, peer, kernel, backend, median, gops, right)

/// A library that was compared, or the reason why not.
struct peer_info {
    std::string name, version, cap, left_out;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(peer_info, name, version, cap, left_out)

struct report {
    machine cpu;
    std::vector<peer_info> peers;
    machine_limits limits;
    std::vector<row> rows;
    std::vector<convolution_row> convolutions;
};
// With defaults: reports of versions that measured no convolutions are read, too.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(report, cpu, peers, limits, rows, convolutions)

std::string shape_of(const row& r);

/// Fills in what follows from all rows together: the limits and how much of them is reached, and the ratios of nibble's rows.
void complete(report& r);

/// nibble's newest backend in the report.
std::string newest_backend(const report& r);

/// Reads a report; exits with a message if the file is none.
report load(const std::string& path);
void save(const report& r, const std::string& path);

/// The tables, as Markdown whose columns are aligned: one text for the terminal and for files.
std::string tables(const report& r);
/// The same figures of several machines beside each other.
std::string comparison(const std::vector<report>& all);

/// A roofline: what the machine allows, and where nibble's products of the newest backend stand, one thread.
void draw_roofline(const report& r, const std::string& path);
/// nibble beside its peers, one thread.
void draw_peers(const report& r, const std::string& path);
/// Several machines, one thread.
void draw_comparison(const std::vector<report>& all, const std::string& path);

} // namespace bench
