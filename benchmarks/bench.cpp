// nibble_bench: nibble on every backend of this CPU, its peers and the machine's limits, measured in one run. Within a round everything is
// timed once, so that noise meets all alike; medians and bests of the rounds are reported, and every result is checked.
#include <cmath>
#include <map>
#include <regex>

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "products.hpp"
#include "report.hpp"
#include "support.hpp"

using namespace bench;

namespace {

struct options {
    bool quick = false;
    int rounds = 7;
    std::vector<std::string> backends, peers, threads;
    std::string filter = ".*", output = "build/bench", peers_folder = NIBBLE_BENCH_PEERS;
    std::regex wanted;
};

struct shape {
    std::ptrdiff_t m, n, k;
    bool stream; // weights from memory
    bool anchor; // measured on lower backends against capped peers, too
    std::string name() const { return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k); }
    double operations() const { return 2.0 * double(m) * double(n) * double(k); }
};

// Layers of a 7B model for one token, a few, and a prompt; squares; and shapes that no tile divides, each beside a round one.
std::vector<shape> shapes(const options& o)
{
    if (o.quick)
        return {{1, 4096, 4096, true, false}, {16, 4096, 4096, true, false}, {1024, 1024, 1024, false, false}};
    std::vector<shape> all;
    for (const auto& [n, k] : {std::pair<std::ptrdiff_t, std::ptrdiff_t> {4096, 4096}, {11008, 4096}, {4096, 11008}})
        for (const std::ptrdiff_t m : {1, 2, 4, 16, 128})
            all.push_back({m, n, k, m <= 16, n == k && m != 2});
    for (const std::ptrdiff_t size : {256, 512, 1024, 2048})
        all.push_back({size, size, size, false, size == 256 || size == 1024});
    for (const auto& [m, n, k] : {std::array<std::ptrdiff_t, 3> {4, 1024, 1024}, {3, 1023, 1023}, {8, 1024, 1024}, {7, 1021, 1019},
             {128, 1024, 1024}, {127, 1021, 1019}})
        all.push_back({m, n, k, false, false});
    return all;
}

// A part of the run with its own process, because libraries read once what they may use.
struct pass {
    std::string cap; // "": no limit
    std::vector<nibble::backend> backends;
    std::vector<shape> shapes;
};

constexpr const char* peer_names[] = {"openblas", "onednn", "eigen", "gemmlowp", "onnxruntime", "ggml"};

bool named(const std::vector<std::string>& list, const std::string& name)
{
    return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
}

std::vector<nibble::backend> runnable(const options& o)
{
    std::vector<nibble::backend> all;
    for (int i = nibble::backend_count - 1; i >= 0; --i)
        if (const auto b = static_cast<nibble::backend>(i);
            nibble::check_backend(b) == nibble::status::ok && named(o.backends, nibble::to_string(b)))
            all.push_back(b);
    return all;
}

std::string folder_of_program()
{
    std::string path(4096, '\0');
    const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
    path.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return path.substr(0, path.rfind('/'));
}

// Loads the peers; what cannot be loaded is said.
std::vector<std::unique_ptr<peer>> load_peers(const options& o, const std::string& cap)
{
    // An environment that tunes a library would falsify its figures. Threads of all pools stop spinning soon after their work, since on
    // few cores they would take time from whoever is measured next.
    unsetenv("OPENBLAS_CORETYPE");
    unsetenv("OPENBLAS_L2_SIZE");
    unsetenv("ONEDNN_MAX_CPU_ISA");
    setenv("OPENBLAS_THREAD_TIMEOUT", "16", 1);
    setenv("GOMP_SPINCOUNT", "20000", 1);
    if (cap == "avx2") {
        setenv("OPENBLAS_CORETYPE", "Haswell", 1);
        setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    } else if (cap == "avx512") {
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
        setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE", 1);
    }
    std::vector<std::unique_ptr<peer>> all;
    for (const std::string name : peer_names) {
        if (!named(o.peers, name))
            continue;
        std::string module = name, reason = "not built: " + name + " was not found when nibble was configured";
#if defined(__x86_64__)
        if (name == "eigen")
            module += cap != "avx2" && nibble::check_backend(nibble::backend::avx512) == nibble::status::ok ? "_avx512" : "_avx2";
#endif
        peer* loaded = nullptr;
        if (void* const library = dlopen((folder_of_program() + "/libpeer_" + module + ".so").c_str(), RTLD_NOW | RTLD_LOCAL))
            loaded = reinterpret_cast<make_peer*>(dlsym(library, "nibble_bench_peer"))(o.peers_folder, cap, reason);
        if (loaded == nullptr) {
            std::fprintf(stderr, "left out: %s (%s)\n", name.c_str(), reason.c_str());
            continue;
        }
        all.emplace_back(loaded);
        if (!cap.empty() && !loaded->capped()) {
            std::fprintf(stderr, "left out: %s (cannot be held to %s)\n", name.c_str(), cap.c_str());
            all.pop_back();
            continue;
        }
        std::fprintf(stderr, "%s %s\n", loaded->name().c_str(), loaded->version().c_str());
    }
    return all;
}

// One contender and what was measured.
struct entry {
    contender* product;
    row result;
    int threads = 1, repeats = 1;
    std::vector<double> times;

    double time_once() const
    {
        return seconds([&] {
            for (int i = 0; i < repeats; ++i)
                product->run(threads);
        }) / repeats
               / product->calls_per_run;
    }
};

std::vector<row> measure(const options& o, const pass& part, const shape& s, std::shared_ptr<const weight_matrix> w,
    const std::vector<std::unique_ptr<peer>>& peers, const std::vector<int>& threads, thread_pool& pool)
{
    problem p;
    p.m = s.m;
    p.stream_bytes = s.stream ? std::size_t(128) << 20 : 0;
    p.w = w;
    p.a = data(s.m * s.k);
    p.a_u8.resize(p.a.size());
    p.a_s8.resize(p.a.size());
    for (std::size_t i = 0; i < p.a.size(); ++i) {
        p.a_u8[i] = static_cast<std::uint8_t>(std::floor((p.a[i] + 1) * 128));
        p.a_s8[i] = static_cast<std::int8_t>(p.a_u8[i] - 128);
    }

    contenders all;
    std::vector<entry> entries;
    const auto add = [&](std::unique_ptr<contender> c, const std::string& peer_name, const std::string& backend) {
        row r;
        r.peer = peer_name;
        r.kernel = c->kernel;
        r.kind = name_of(c->what);
        r.backend = backend;
        r.cap = part.cap;
        r.m = s.m;
        r.n = s.n;
        r.k = s.k;
        r.stream = s.stream;
        const std::string label = r.peer + " " + r.kernel + " " + r.kind + " " + r.backend + " " + s.name();
        if (!std::regex_search(label, o.wanted))
            return;
        for (const int t : threads) {
            r.threads = t;
            entries.push_back({c.get(), r, t, 1, {}});
        }
        all.push_back(std::move(c));
    };
    for (const auto& one : peers)
        for (auto& c : one->make(p, *std::max_element(threads.begin(), threads.end())))
            add(std::move(c), one->name(), part.cap);
    for (int k = 0; k < kind_count; ++k) {
        std::shared_ptr<const packed_copies> packed;
        for (const nibble::backend b : part.backends) {
            if (b == nibble::backend::scalar && s.operations() > 5e8)
                continue; // minutes for a figure that says nothing
            if (packed == nullptr)
                packed = pack(p, static_cast<kind>(k));
            add(std::make_unique<nibble_product>(p, static_cast<kind>(k), b, packed, pool), "nibble", nibble::to_string(b));
        }
    }

    // The first run warms up, is checked, and says how many runs make an interval that the clock resolves.
    constexpr double interval = 3e-3;
    for (entry& e : entries) {
        const double once = seconds([&] { e.product->run(e.threads); });
        e.repeats = static_cast<int>(std::min(1000.0, std::ceil(interval / once)));
        const auto* own = dynamic_cast<const nibble_product*>(e.product);
        const verdict v = own != nullptr ? own->check_bits() : check(*e.product, p);
        e.result.right = v.right;
        e.result.exact = v.exact;
        e.result.error = v.error;
        e.result.check = v.text;
    }
    for (int round = 0; round < o.rounds; ++round)
        for (const int t : threads)
            for (entry& e : entries)
                if (e.threads == t) {
                    if (!s.stream && e.repeats > 1)
                        e.product->run(t); // others have had the caches
                    e.times.push_back(e.time_once());
                }

    std::vector<row> rows;
    for (entry& e : entries) {
        row& r = e.result;
        r.rounds = static_cast<int>(e.times.size());
        r.median = median(e.times);
        r.best = *std::min_element(e.times.begin(), e.times.end());
        r.gops = 1e-9 * s.operations() / r.median;
        r.gbs = 1e-9 * double(e.product->weight_bytes) / r.median;
        rows.push_back(r);
    }
    return rows;
}

void print(std::vector<row> rows)
{
    compare_with_peers(rows);
    for (const row& r : rows)
        std::printf("%-14s %-30s %-14s %-11s %d thread%s %9.1f GOP/s (best %7.1f) %6.1f GB/s  %-12s %s %.2f\n", r.peer.c_str(),
            r.kernel.c_str(), r.kind.c_str(), r.backend.c_str(), r.threads, r.threads == 1 ? " " : "s", r.gops,
            1e-9 * 2.0 * double(r.m) * double(r.n) * double(r.k) / r.best, r.gbs, r.check.c_str(), r.best_peer.c_str(), r.ratio);
}

} // namespace

int main(int argc, char** argv)
{
    options o;
    CLI::App app("nibble on every backend of this CPU against its peers and the machine's limits");
    app.add_flag("--quick", o.quick, "a few shapes, within 90 seconds");
    app.add_option("--filter", o.filter, "only rows whose \"peer kernel kind backend MxNxK\" match this regular expression");
    app.add_option("--backend", o.backends, "only these backends of nibble")->delimiter(',');
    app.add_option("--peer", o.peers, "only these peers (none: no peer)")->delimiter(',');
    app.add_option("--threads", o.threads, "numbers of threads")->delimiter(',');
    app.add_option("--rounds", o.rounds, "rounds, each of which times everything once")->check(CLI::PositiveNumber);
    app.add_option("--output", o.output, "folder of the report");
    CLI11_PARSE(app, argc, argv);
    o.wanted = std::regex(o.filter);
    std::vector<int> threads;
    for (const std::string& t : o.threads)
        threads.push_back(std::max(1, std::atoi(t.c_str())));
    if (threads.empty())
        threads = {1, 2};
    pass whole {"", runnable(o), shapes(o)};
    const auto peers = load_peers(o, "");
    thread_pool pool(*std::max_element(threads.begin(), threads.end()));
    for (const shape& s : whole.shapes) {
        std::printf("\n%s\n", s.name().c_str());
        print(measure(o, whole, s, make_weights(s.n, s.k), peers, threads, pool));
    }
}
