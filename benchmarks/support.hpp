// What the benchmarks share: entries and groups of Google Benchmark, data, errors, time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nibble/nibble.hpp>
#include <nibble/thread_pool.hpp>

#include "check.hpp"
#include "contender.hpp"
#include "limits.hpp"

namespace bench {

/// How much is measured: sets of cases, each with the ones before.
enum class extent { quick, usual, all };

struct options {
    extent set = extent::usual;
    std::vector<int> threads;              ///< 1 and as many as there are cores
    std::vector<nibble::backend> backends; ///< newest first, without scalar unless it was asked for
    bool backends_given = false, threads_given = false;
    std::vector<std::ptrdiff_t> shape; ///< m, n, k and again; empty: those of the set
    std::string held_to;               ///< "": no limit
    cache_sizes caches;
    int most_threads() const { return *std::max_element(threads.begin(), threads.end()); }
};

/// What is made when it is first run, and checked then. Several entries may share it: one for each number of threads.
struct lazy_contender {
    std::function<std::unique_ptr<contender>()> make;
    std::function<verdict(contender&)> check {}; ///< after a run; null: nothing to check
    std::unique_ptr<contender> made {};
    verdict found {};
    double seconds_once = 0; ///< of one run
};

/// One benchmark: FAMILY/WHAT/WHO/SHAPE/threads:N[/memory]. WHO: a backend of nibble, peer:NAME/KERNEL, or limit:NAME.
struct entry {
    std::string name;
    std::shared_ptr<lazy_contender> work;
    int threads = 1;
    double ops = 0, bytes = 0;       ///< of one call
    std::function<double()> peak {}; ///< operations a second that the machine allows; null: not known
    bool from_memory = false;
    double effort = 0.1; ///< seconds, guessed
};

/// Entries that are run together, in random order, and compared with each other.
struct group {
    std::string title;
    std::vector<entry> entries;
};

struct loaded_peer {
    std::string name;
    std::unique_ptr<peer> library;
};

/// A family registers its groups.
using family = std::vector<group>(const options&, const std::vector<loaded_peer>&);
family gemm, gemv, quantize, convert, blocks, conv, accuracy;

template <class Run>
inline double seconds(Run run)
{
    const auto began = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

inline std::vector<float> data(std::ptrdiff_t count)
{
    std::vector<float> x(static_cast<std::size_t>(count));
    std::uint32_t state = 12345;
    for (float& v : x) {
        state = state * 1664525u + 1013904223u;
        v = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

inline void require(nibble::status s)
{
    if (s == nibble::status::ok)
        return;
    std::fprintf(stderr, "benchmark: %s\n", nibble::to_string(s));
    std::exit(1);
}

/// The pool of so many threads; pools that are not used sleep.
inline nibble::thread_pool& pool(int threads)
{
    static std::map<int, std::unique_ptr<nibble::thread_pool>> all;
    std::unique_ptr<nibble::thread_pool>& one = all[threads];
    if (one == nullptr)
        one = std::make_unique<nibble::thread_pool>(static_cast<std::size_t>(threads));
    return *one;
}

/// An operation of nibble's on a backend, whose output must have the bits that the scalar backend gives.
class operation : public contender {
public:
    operation(nibble::backend b, std::function<void()> run, const void* out = nullptr, std::size_t bytes = 0)
        : where_(b), run_(std::move(run)), out_(static_cast<const unsigned char*>(out)), bytes_(bytes)
    {
    }
    void run(int) override
    {
        require(nibble::force_backend(where_));
        run_();
    }
    verdict check()
    {
        run(1);
        const std::vector<unsigned char> first(out_, out_ + bytes_);
        require(nibble::force_backend(nibble::backend::scalar));
        run_();
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < bytes_; ++i)
            wrong += first[i] != out_[i];
        return {wrong == 0, wrong == 0 ? "scalar's bits" : "WRONG: " + std::to_string(wrong) + " of " + std::to_string(bytes_) + " bytes"};
    }

private:
    nibble::backend where_;
    std::function<void()> run_;
    const unsigned char* out_;
    std::size_t bytes_;
};

/// Anything else that is timed, such as memcpy.
class plain_work : public contender {
public:
    explicit plain_work(std::function<void(int)> run) : run_(std::move(run)) {}
    void run(int threads) override { run_(threads); }

private:
    std::function<void(int)> run_;
};

/// An entry of one thread for each backend. make(): what runs the operation, with what holds its arrays.
void add_operation(group& to, const options& o, const std::string& name, const std::string& shape, double bytes, double ops,
    std::function<std::unique_ptr<operation>(nibble::backend)> make);

} // namespace bench
