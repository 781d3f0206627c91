// nibble_bench: nibble on every backend of this CPU, its peers and the machine's limits, measured in one run. Within a round everything is
// timed once, so that noise meets all alike; medians and bests of the rounds are reported, and every result is checked.
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../examples/common/options.hpp"
#include "convolutions.hpp"
#include "products.hpp"
#include "report.hpp"
#include "support.hpp"

using namespace bench;

namespace {

constexpr std::array<std::ptrdiff_t, 3> odd_shapes[]
    = {{4, 1024, 1024}, {3, 1023, 1023}, {8, 1024, 1024}, {7, 1021, 1019}, {128, 1024, 1024}, {127, 1021, 1019}};

struct options {
    bool quick = false, list = false;
    int rounds = 0;
    double seconds_a_shape = 0; // rounds beyond the third are left out when they take longer
    std::vector<std::string> backends, peers;
    std::vector<int> threads;
    std::string filter, shapes, output = "build/bench", peers_folder = NIBBLE_BENCH_PEERS, name;
    std::regex wanted;
};

struct shape {
    std::ptrdiff_t m, n, k;
    bool anchor; // measured in all of ggml's blocks, and on older backends against peers held to the same instructions, too

    // Few rows of a large matrix: in an inference engine each product finds its weights in memory.
    bool stream() const { return m <= 16 && n * k >= 4 << 20; }
    std::string name() const { return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k); }
    double operations() const { return 2.0 * double(m) * double(n) * double(k); }
    // What measuring it takes, in no particular unit.
    double effort(int rounds) const { return 10 + 1e-6 * double(n) * double(k) + 1e-8 * operations() * std::min(rounds, 4); }
};

// Layers of a 7B model for one token, a few, and a prompt; squares; and shapes that no tile divides, each beside a round one.
std::vector<shape> shapes(const options& o)
{
    std::vector<shape> all;
    if (!o.shapes.empty()) {
        std::stringstream list(o.shapes);
        for (std::string one; std::getline(list, one, ',');) {
            shape s {0, 0, 0, true};
            std::stringstream sizes(one);
            bool good = std::count(one.begin(), one.end(), 'x') == 2;
            for (std::ptrdiff_t* const size : {&s.m, &s.n, &s.k}) {
                std::string text;
                std::getline(sizes, text, 'x');
                const auto number = command_line::whole_number(text, 1, 1 << 20);
                good = good && number;
                *size = number ? static_cast<std::ptrdiff_t>(*number) : 1;
            }
            if (!good || s.n * s.k > 1 << 28) {
                std::fprintf(stderr, "--shape %s: write m x n x k as 16x4096x4096; n x k is at most 2^28\n", one.c_str());
                std::exit(2);
            }
            all.push_back(s);
        }
        return all;
    }
    if (o.quick)
        return {{1, 4096, 4096, false}, {16, 4096, 4096, false}, {1024, 1024, 1024, false}};
    for (const auto& [n, k] : {std::pair<std::ptrdiff_t, std::ptrdiff_t> {4096, 4096}, {11008, 4096}, {4096, 11008}})
        for (const std::ptrdiff_t m : {1, 2, 4, 8, 16, 128})
            all.push_back({m, n, k, n == k && (m == 1 || m >= 16)});
    for (const std::ptrdiff_t size : {256, 512, 1024, 2048})
        all.push_back({size, size, size, size == 256 || size == 1024});
    for (const auto& [m, n, k] : odd_shapes) {
        all.push_back({m, n, k, false});
    }
    return all;
}

// A part of the run with its own process, because libraries read once what they may use, and because one of them may crash.
struct part {
    std::string cap; // "": no limit
    std::vector<nibble::backend> backends;
    std::vector<shape> shapes;
};

constexpr const char* peer_names[] = {"openblas", "onednn", "eigen", "gemmlowp", "onnxruntime", "ggml", "xnnpack"};

bool named(const std::vector<std::string>& list, const std::string& name)
{
    return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
}

// A sentence if an option names what is not here: a run without it would be another one than was asked for.
std::string unknown_names(const options& o)
{
    std::string here;
    for (int i = 0; i < nibble::backend_count; ++i)
        if (const auto b = static_cast<nibble::backend>(i); nibble::check_backend(b) == nibble::status::ok)
            here += (here.empty() ? "" : ", ") + std::string(nibble::to_string(b));
    for (const std::string& name : o.backends) {
        const auto found = nibble::find_backend(name.c_str());
        const nibble::status s = found ? nibble::check_backend(*found) : found.error();
        if (s != nibble::status::ok)
            return "--backend " + name + ": " + nibble::to_string(s) + "; here are " + here;
    }
    std::string peers;
    for (const char* const name : peer_names)
        peers += std::string(name) + ", ";
    for (const std::string& name : o.peers)
        if (name != "none" && std::find(std::begin(peer_names), std::end(peer_names), name) == std::end(peer_names))
            return "--peer " + name + ": there are " + peers + "and none, for no peer";
    return {};
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

// The whole, and a part for each backend but the newest and scalar, which no library can be held to.
std::vector<part> plan(const options& o)
{
    const std::vector<nibble::backend> backends = runnable(o);
    std::vector<part> parts {{"", backends, shapes(o)}};
    for (const nibble::backend b : backends) {
        if (b == nibble::best_backend() || b == nibble::backend::scalar)
            continue;
        part older {nibble::to_string(b), {b}, {}};
        for (const shape& s : parts.front().shapes)
            if (s.anchor)
                older.shapes.push_back(s);
        if (!older.shapes.empty())
            parts.push_back(older);
    }
    return parts;
}

std::string folder_of_program()
{
    std::string path(4096, '\0');
    const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
    path.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return path.substr(0, path.rfind('/'));
}

struct loaded_peer {
    std::string name; // as options call it
    std::unique_ptr<peer> library;
};

// Loads the peers, and tells which are there.
template <class Tell>
std::vector<loaded_peer> load_peers(const options& o, const std::string& cap, const std::vector<std::string>& crashed, Tell tell)
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
    std::vector<loaded_peer> all;
    for (const std::string name : peer_names) {
        if (!named(o.peers, name) || (!crashed.empty() && named(crashed, name)))
            continue;
        std::string module = name, reason = "not built, because its library was not found; tests/peers installs it";
#if defined(__x86_64__)
        if (name == "eigen")
            module += cap != "avx2" && nibble::check_backend(nibble::backend::avx512) == nibble::status::ok ? "_avx512" : "_avx2";
#endif
        std::unique_ptr<peer> library;
        if (void* const file = dlopen((folder_of_program() + "/libpeer_" + module + ".so").c_str(), RTLD_NOW | RTLD_LOCAL))
            library.reset(reinterpret_cast<make_peer*>(dlsym(file, "nibble_bench_peer"))(o.peers_folder, cap, reason));
        if (library == nullptr) {
            tell(peer_info {name, "", cap, reason});
        } else if (!cap.empty() && !library->capped()) {
            tell(peer_info {library->name(), library->version(), cap, "it cannot be held to an instruction set"});
        } else {
            tell(peer_info {library->name(), library->version(), cap, ""});
            all.push_back({name, std::move(library)});
        }
    }
    return all;
}

// One contender and what was measured.
struct entry {
    contender* product;
    std::string owner; // "nibble", or the peer as options call it
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

// Whether nibble is measured there: on scalar large products take minutes for a figure that says nothing.
bool is_measured(const shape& s, nibble::backend b) { return b != nibble::backend::scalar || s.operations() <= 2e8; }

// What --filter is matched with.
std::string words_of(const std::string& peer, const std::string& kernel, kind what, const std::string& backend, const shape& s)
{
    return peer + " " + kernel + " " + name_of(what) + " " + backend + " " + s.name();
}

// Measures everything at one shape. trying(peer) is called before each step that a peer's code takes part in.
template <class Trying>
std::vector<row> measure(const options& o, const part& in, const shape& s, const cache_sizes& caches,
    std::shared_ptr<const weight_matrix> w, const std::vector<loaded_peer>& peers, thread_pool& pool, Trying trying)
{
    problem p;
    p.m = s.m;
    p.stream_bytes = s.stream() ? streamed_bytes(caches) : 0;
    p.w = w;
    p.every_block_type = s.anchor || o.quick;
    p.a = data(s.m * s.k);
    p.a_u8.resize(p.a.size());
    p.a_s8.resize(p.a.size());
    p.a_u7.resize(p.a.size());
    for (std::size_t i = 0; i < p.a.size(); ++i) {
        p.a_u8[i] = static_cast<std::uint8_t>(std::floor((p.a[i] + 1) * 128));
        p.a_s8[i] = static_cast<std::int8_t>(p.a_u8[i] - 128);
        p.a_u7[i] = p.a_u8[i] / 2;
    }

    std::string peer_name, backend, owner;
    p.wants
        = [&](const std::string& kernel, kind what) { return std::regex_search(words_of(peer_name, kernel, what, backend, s), o.wanted); };
    contenders all;
    std::vector<entry> entries;
    const auto add = [&](std::unique_ptr<contender> c) {
        row r;
        r.peer = peer_name;
        r.kernel = c->kernel;
        r.kind = name_of(c->what);
        r.backend = backend;
        r.cap = in.cap;
        r.m = s.m;
        r.n = s.n;
        r.k = s.k;
        r.stream = s.stream();
        for (const int t : o.threads) {
            r.threads = t;
            entries.push_back({c.get(), owner, r, t, 1, {}});
        }
        all.push_back(std::move(c));
    };
    peer_name = owner = "nibble";
    for (int k = 0; k < kind_count; ++k) {
        if (is_blocks(static_cast<kind>(k)) && (!p.every_block_type || w->blocks[block_index(static_cast<kind>(k))].empty()))
            continue;
        std::shared_ptr<const packed_copies> packed;
        for (const nibble::backend b : in.backends) {
            backend = nibble::to_string(b);
            if (!is_measured(s, b) || !p.wants(kind_names[k], static_cast<kind>(k)))
                continue;
            if (packed == nullptr)
                packed = pack(p, static_cast<kind>(k));
            add(std::make_unique<nibble_product>(p, static_cast<kind>(k), b, packed, pool));
        }
    }
    backend = in.cap;
    for (const loaded_peer& one : peers) {
        owner = one.name;
        peer_name = one.library->name();
        trying(owner);
        for (auto& c : one.library->make(p, *std::max_element(o.threads.begin(), o.threads.end())))
            add(std::move(c));
    }

    // The first run warms up and is checked; the second says how many runs make an interval that the clock resolves.
    constexpr double interval = 3e-3;
    double round_time = 0;
    for (entry& e : entries) {
        trying(e.owner);
        e.product->run(e.threads);
        const auto* own = dynamic_cast<const nibble_product*>(e.product);
        const verdict v = own != nullptr ? own->check_bits() : check(*e.product, p);
        e.result.right = v.right;
        e.result.exact = v.exact;
        e.result.error = v.error;
        e.result.check = v.text;
        const double once = seconds([&] { e.product->run(e.threads); });
        e.repeats = static_cast<int>(std::clamp(std::ceil(interval / once), 1.0, 1000.0));
        round_time += once * (e.repeats + 1);
    }
    const int rounds = std::clamp(static_cast<int>(o.seconds_a_shape / round_time), std::min(3, o.rounds), o.rounds);
    for (int round = 0; round < rounds; ++round)
        for (const int t : o.threads)
            for (entry& e : entries)
                if (e.threads == t) {
                    // Others have had the caches, and some systems take code from memory that was not run for seconds.
                    if (e.repeats > 1)
                        e.product->run(t);
                    e.times.push_back(e.time_once());
                }

    std::vector<row> rows;
    for (entry& e : entries) {
        row& r = e.result;
        r.rounds = rounds;
        r.median = median(e.times);
        r.best = *std::min_element(e.times.begin(), e.times.end());
        r.gops = 1e-9 * s.operations() / r.median;
        r.gbs = 1e-9 * double(e.product->weight_bytes) / r.median;
        rows.push_back(r);
    }
    return rows;
}

// The time left, from the effort that is done and that is still to come.
class progress {
public:
    explicit progress(double effort) : effort_(effort) {}
    void begin(const std::string& what)
    {
        const double gone = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
        std::string left;
        if (done_ > 0) {
            const int seconds_left = static_cast<int>(gone * (effort_ - done_) / done_) + 1;
            left = ", about "
                   + (seconds_left < 100 ? std::to_string(seconds_left) + " s" : std::to_string((seconds_left + 30) / 60) + " min")
                   + " left";
        }
        std::fprintf(
            stderr, isatty(2) ? "\r\033[K[%3.0f %%] %s%s" : "[%3.0f %%] %s%s\n", 100 * done_ / effort_, what.c_str(), left.c_str());
    }
    void done(double effort) { done_ += effort; }
    void end() const { std::fprintf(stderr, isatty(2) ? "\r\033[K" : ""); }

private:
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    double effort_, done_ = 0;
};

// In the child: everything of a part from the given shape on, each finding a line of JSON.
void run_part(
    const options& o, const part& in, std::size_t from, const std::vector<std::string>& crashed, const cache_sizes& caches, int out)
{
    std::FILE* const pipe = fdopen(out, "w");
    const auto tell = [&](const char* what, const nlohmann::json& value) {
        std::fprintf(pipe, "%s\n", nlohmann::json {{what, value}}.dump().c_str());
        std::fflush(pipe);
    };
    const auto peers = load_peers(o, in.cap, crashed, [&](const peer_info& p) { tell("peer", p); });
    thread_pool pool(*std::max_element(o.threads.begin(), o.threads.end()));
    std::shared_ptr<const weight_matrix> w;
    for (std::size_t i = from; i < in.shapes.size(); ++i) {
        const shape& s = in.shapes[i];
        tell("shape", i);
        if (w == nullptr || w->n != s.n || w->k != s.k)
            w = make_weights(s.n, s.k);
        tell("rows", measure(o, in, s, caches, w, peers, pool, [&](const std::string& owner) { tell("trying", owner); }));
    }
    tell("shape", in.shapes.size());
    std::fflush(pipe);
    _exit(0); // libraries' threads and destructors are of no use any more
}

// Runs a part in a child and collects what it finds. A peer that crashes is left out and the part goes on without it.
void run_apart(const options& o, const part& in, report& all, progress& shown)
{
    std::vector<std::string> crashed;
    std::size_t at = 0;
    bool again = true;
    while (again && at < in.shapes.size()) {
        int ends[2];
        if (pipe(ends) != 0)
            return;
        const pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            run_part(o, in, at, crashed, all.cpu.caches, ends[1]);
        }
        close(ends[1]);
        std::string trying;
        std::FILE* const from = fdopen(ends[0], "r");
        char* text = nullptr;
        std::size_t size = 0;
        while (getline(&text, &size, from) > 0) {
            const nlohmann::json line = nlohmann::json::parse(text);
            if (line.contains("peer") && crashed.empty()) {
                all.peers.push_back(line["peer"]);
            } else if (line.contains("trying")) {
                trying = line["trying"];
            } else if (line.contains("shape")) {
                const std::size_t next = line["shape"];
                for (; at < next; ++at)
                    shown.done(in.shapes[at].effort(o.rounds));
                if (at < in.shapes.size())
                    shown.begin(in.shapes[at].name() + (in.cap.empty() ? "" : ", held to " + in.cap));
            } else if (line.contains("rows")) {
                for (const row& r : line["rows"].get<std::vector<row>>())
                    all.rows.push_back(r);
            }
        }
        std::free(text);
        std::fclose(from);
        int ended = 0;
        waitpid(child, &ended, 0);
        again = !WIFEXITED(ended) || WEXITSTATUS(ended) != 0;
        if (again) {
            std::fprintf(stderr, "\n%s crashed at %s; going on without it\n", trying.c_str(), in.shapes[at].name().c_str());
            if (trying == "nibble" || trying.empty() || named(crashed.empty() ? std::vector<std::string> {""} : crashed, trying))
                std::exit(1);
            crashed.push_back(trying);
            all.peers.push_back({trying, "", in.cap, "it crashed at " + in.shapes[at].name()});
        }
    }
}

// The convolutions, in a child as products are; a peer that crashes there takes them all with it.
std::vector<convolution_row> convolutions_apart(const options& o)
{
    int ends[2];
    if (pipe(ends) != 0)
        return {};
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        const auto peers = load_peers(o, "", {}, [](const peer_info&) {});
        std::vector<peer*> all;
        for (const loaded_peer& p : peers)
            all.push_back(p.library.get());
        const nlohmann::json found
            = measure_convolutions(runnable(o), all, o.rounds, [&](const std::string& text) { return std::regex_search(text, o.wanted); });
        std::FILE* const to = fdopen(ends[1], "w");
        std::fprintf(to, "%s\n", found.dump().c_str());
        std::fflush(to);
        _exit(0);
    }
    close(ends[1]);
    std::FILE* const from = fdopen(ends[0], "r");
    char* text = nullptr;
    std::size_t size = 0;
    std::vector<convolution_row> rows;
    if (getline(&text, &size, from) > 0) {
        rows = nlohmann::json::parse(text).get<std::vector<convolution_row>>();
    } else {
        std::fprintf(stderr, "\nno convolutions: a peer crashed there; --peer leaves it out\n");
    }
    std::free(text);
    std::fclose(from);
    waitpid(child, nullptr, 0);
    return rows;
}

// What a run would measure, by asking for it all without making it.
struct offer {
    bool products = false, convolutions = false; // something matches
    std::set<std::string> kernels;
    std::map<std::string, std::string> missing; // peers and why they are left out
};

// In a child. The weights that peers are asked about are small, with rows that the same blocks divide.
offer offered(const options& o, const part& in)
{
    offer all;
    const auto peers = load_peers(o, in.cap, {}, [&](const peer_info& p) {
        if (!p.left_out.empty())
            all.missing[p.name] = p.left_out;
    });
    std::map<std::pair<std::ptrdiff_t, std::ptrdiff_t>, std::shared_ptr<const weight_matrix>> weights;
    for (const shape& s : in.shapes) {
        problem p;
        p.m = 1;
        std::shared_ptr<const weight_matrix>& w = weights[{s.n % 64, s.k % 256}];
        if (w == nullptr)
            w = make_weights(64 + s.n % 64, 256 + s.k % 256);
        p.w = w;
        p.every_block_type = s.anchor || o.quick;
        p.a = data(p.w->k);
        p.a_u8.resize(p.a.size());
        p.a_s8.resize(p.a.size());
        p.a_u7.resize(p.a.size());
        std::string peer_name = "nibble", backend;
        p.wants = [&](const std::string& kernel, kind what) {
            all.products = all.products || std::regex_search(words_of(peer_name, kernel, what, backend, s), o.wanted);
            all.kernels.insert(peer_name + " " + kernel + " " + name_of(what));
            return false;
        };
        for (int k = 0; k < kind_count; ++k)
            for (const nibble::backend b : in.backends)
                if (is_measured(s, b)
                    && (!is_blocks(static_cast<kind>(k))
                        || (p.every_block_type && !w->blocks[block_index(static_cast<kind>(k))].empty()))) {
                    backend = nibble::to_string(b);
                    (void)p.wants(kind_names[k], static_cast<kind>(k));
                }
        backend = in.cap;
        for (const loaded_peer& one : peers) {
            peer_name = one.library->name();
            (void)one.library->make(p, 1);
        }
    }
    if (o.shapes.empty() && in.cap.empty()) {
        std::vector<peer*> libraries;
        for (const loaded_peer& p : peers)
            libraries.push_back(p.library.get());
        (void)measure_convolutions(in.backends, libraries, 1, [&](const std::string& text) {
            all.convolutions = all.convolutions || std::regex_search(text, o.wanted);
            // All of them on all backends would be a hundred lines.
            if (text.rfind("nibble ", 0) != 0 || text.find(" " + std::string(nibble::to_string(in.backends.front())) + " ") != text.npos)
                all.kernels.insert(text.substr(0, text.find(' ', std::min(text.find(" convolution "), text.find(" depthwise ")) + 1)));
            return false;
        });
    }
    return all;
}

// The same of all parts, each in a child of its own. A part whose peers crash counts as one that matches: the run itself finds out who.
offer everything_offered(const options& o, const std::vector<part>& parts)
{
    offer all;
    for (const part& in : parts) {
        int ends[2];
        if (pipe(ends) != 0)
            continue;
        const pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            const offer found = offered(o, in);
            std::FILE* const to = fdopen(ends[1], "w");
            const nlohmann::json line {
                {"products", found.products}, {"convolutions", found.convolutions}, {"kernels", found.kernels}, {"missing", found.missing}};
            std::fprintf(to, "%s\n", line.dump().c_str());
            std::fflush(to);
            _exit(0);
        }
        close(ends[1]);
        std::FILE* const from = fdopen(ends[0], "r");
        char* text = nullptr;
        std::size_t size = 0;
        if (getline(&text, &size, from) > 0) {
            const nlohmann::json line = nlohmann::json::parse(text);
            all.products = all.products || line["products"];
            all.convolutions = all.convolutions || line["convolutions"];
            all.kernels.merge(line["kernels"].get<std::set<std::string>>());
            if (in.cap.empty())
                all.missing = line["missing"].get<std::map<std::string, std::string>>();
        } else {
            all.products = true;
        }
        std::free(text);
        std::fclose(from);
        waitpid(child, nullptr, 0);
    }
    return all;
}

void print(std::FILE* to, const options& o, const offer& all)
{
    for (const std::string& kernel : all.kernels)
        std::fprintf(to, "  %s\n", kernel.c_str());
    std::fprintf(to, "each with a backend of nibble or what a peer is held to, and a shape:\n ");
    for (const nibble::backend b : runnable(o))
        std::fprintf(to, " %s", nibble::to_string(b));
    std::fprintf(to, "\n ");
    for (const shape& s : shapes(o))
        std::fprintf(to, " %s", s.name().c_str());
    std::fprintf(to, "\n");
    for (const auto& [peer, why] : all.missing)
        std::fprintf(to, "not here: %s, %s\n", peer.c_str(), why.c_str());
}

} // namespace

int main(int argc, char** argv)
{
    options o;
    CLI::App app("nibble on every backend of this CPU, its peers, and the machine's limits, in one run");
    app.add_flag("--quick", o.quick, "three shapes, within 90 seconds");
    app.add_option("--filter", o.filter,
        "only what matches this regular expression, as in \"nibble int8 int8 avx2 16x4096x4096\" or \"oneDNN matmul f32 f32\"");
    app.add_option("--shape", o.shapes, "only these shapes, any: 1x4096x4096,7x1000x999");
    app.add_option("--backend", o.backends, "only these backends of nibble: avx2,scalar")->delimiter(',');
    app.add_option("--peer", o.peers, "only these peers: openblas, onednn, eigen, gemmlowp, onnxruntime, ggml, xnnpack; none: no peer")
        ->delimiter(',');
    app.add_option("--threads", o.threads, "numbers of threads (1 and 2, as far as there are cores)")
        ->delimiter(',')
        ->check([](const std::string& text) {
            return command_line::whole_number(text, 1, 1024) ? std::string() : command_line::not_whole_number("each", 1, 1024, text);
        });
    command_line::add_number(
        app, "--rounds", o.rounds, 1, 100000, "rounds, each of which times everything once (9; 5 if quick; long ones fewer)");
    app.add_flag("--list", o.list, "what there is to measure, in the words that --filter is matched with");
    app.add_option("--name", o.name, "what to call this CPU in the report");
    app.add_option("--output", o.output, "folder for report.json, report.md, roofline.svg and peers.svg");
    CLI11_PARSE(app, argc, argv);
    try {
        o.wanted = std::regex(o.filter);
    } catch (const std::regex_error& e) {
        std::fprintf(stderr, "--filter is no regular expression: %s\n", e.what());
        return 2;
    }
    command_line::warn_of_backend("nibble_bench");
    if (const std::string wrong = unknown_names(o); !wrong.empty()) {
        std::fprintf(stderr, "%s\n", wrong.c_str());
        return 2;
    }
    o.seconds_a_shape = o.rounds != 0 ? 1e9 : o.quick ? 5 : 6;
    if (o.rounds == 0)
        o.rounds = o.quick ? 5 : 9;

    report all;
    all.cpu = this_machine();
    if (!o.name.empty())
        all.cpu.name = o.name;
    if (o.threads.empty()) {
        o.threads = {1};
        if (all.cpu.cores > 1)
            o.threads.push_back(2);
    }
    const std::vector<part> parts = plan(o);
    if (o.list) {
        print(stdout, o, everything_offered(o, parts));
        return command_line::finish("nibble_bench", 0);
    }
    if (!o.filter.empty() || !o.shapes.empty() || !o.backends.empty() || !o.peers.empty()) {
        const offer all_there_is = everything_offered(o, parts);
        for (const std::string& name : o.peers)
            if (const auto missing = all_there_is.missing.find(name); missing != all_there_is.missing.end()) {
                std::fprintf(stderr, "--peer %s is not here: %s\n", name.c_str(), missing->second.c_str());
                return 2;
            }
        if (!all_there_is.products) {
            std::fprintf(stderr, "no product matches --filter '%s' with these shapes, backends and peers%s; there are\n", o.filter.c_str(),
                all_there_is.convolutions ? ", and convolutions are measured beside products only" : "");
            print(stderr, o, all_there_is);
            return 2;
        }
    }
    if (const std::string wrong = command_line::need_folder(o.output); !wrong.empty()) {
        std::fprintf(stderr, "%s\n", wrong.c_str());
        return 2;
    }
    const double effort_of_limits = o.quick ? 30 : 60;
    double effort = 2 * effort_of_limits;
    for (const part& p : parts)
        for (const shape& s : p.shapes)
            effort += s.effort(o.rounds);
    progress shown(effort);
    shown.begin("the machine's limits");
    all.limits = measure_limits(all.cpu.caches, o.threads, o.quick);
    shown.done(effort_of_limits);
    for (const part& p : parts)
        run_apart(o, p, all, shown);
    if (o.shapes.empty()) {
        shown.begin("convolutions");
        all.convolutions = convolutions_apart(o);
    }
    shown.begin("the machine's limits again");
    all.limits = greatest(std::move(all.limits), measure_limits(all.cpu.caches, o.threads, o.quick));
    shown.end();

    if (all.rows.empty()) {
        std::fprintf(stderr, "no product matches --filter, --backend and --peer: nothing to report\n");
        return 2;
    }
    complete(all);
    save(all, o.output + "/report.json");
    const std::string text = tables(all);
    if (!command_line::write_file(o.output + "/report.md", text)) {
        std::fprintf(stderr, "%s/report.md cannot be written\n", o.output.c_str());
        return 1;
    }
    draw_roofline(all, o.output + "/roofline.svg");
    draw_peers(all, o.output + "/peers.svg");
    std::fputs(text.c_str(), stdout);
    std::fprintf(stderr, "%s has report.json, report.md, roofline.svg and peers.svg\n", o.output.c_str());
    const bool wrong
        = std::any_of(all.rows.begin(), all.rows.end(), [](const row& r) { return r.peer == "nibble" && !r.exact; })
          || std::any_of(all.convolutions.begin(), all.convolutions.end(), [](const auto& r) { return r.peer == "nibble" && !r.right; });
    if (wrong)
        std::fprintf(stderr, "a result of nibble is WRONG: please report it, with report.json\n");
    return command_line::finish("nibble_bench", wrong ? 1 : 0);
}
