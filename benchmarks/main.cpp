// nibble_bench: nibble on every backend of this CPU, its peers and the machine's limits, by Google Benchmark. Benchmarks that are compared
// with each other form a group. A group is registered, run in random order and freed before the next one, since its weights can take
// gigabytes.
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <regex>
#include <sstream>

#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <unistd.h>

#include "../examples/common/options.hpp"
#include "context.hpp"
#include "kernels.hpp"
#include "support.hpp"

using namespace bench;

namespace {

std::string now_running = "nothing";

// Passes on what groups report, as if they were one run.
class one_run : public benchmark::BenchmarkReporter {
public:
    // brief: of repetitions only the median is shown.
    one_run(benchmark::BenchmarkReporter& to, std::size_t name_width, bool brief) : to_(to), name_width_(name_width), brief_(brief) {}

    bool ReportContext(const Context& context) override
    {
        Context of_all = context;
        of_all.name_field_width = name_width_;
        if (!std::exchange(began_, true))
            to_.ReportContext(of_all);
        return true;
    }
    void ReportRuns(const std::vector<Run>& runs) override
    {
        std::vector<Run> shown;
        for (Run r : runs) {
            next_family_ = std::max(next_family_, first_family_ + r.family_index + 1);
            r.family_index += first_family_;
            const bool repeated = r.repetitions > 1 && !(r.error_occurred && r.repetition_index == 0);
            if (!brief_ || !repeated || r.aggregate_name == "median")
                shown.push_back(r);
        }
        if (brief_ && isatty(2))
            std::fprintf(stderr, "\r\033[K"); // the line of progress
        if (!shown.empty())
            to_.ReportRuns(shown);
        to_.GetOutputStream().flush();
    }
    void Finalize() override { first_family_ = next_family_; }
    void end()
    {
        if (began_)
            to_.Finalize();
        to_.GetOutputStream().flush();
    }

private:
    benchmark::BenchmarkReporter& to_;
    std::size_t name_width_;
    bool brief_, began_ = false;
    std::int64_t first_family_ = 0, next_family_ = 0;
};

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

void run(benchmark::State& state, const entry& e)
{
    lazy_contender& work = *e.work;
    now_running = e.name;
    if (work.made == nullptr && work.found.right) {
        work.made = work.make();
        work.made->run(e.threads);
        if (work.check)
            work.found = work.check(*work.made);
        if (!work.found.right)
            work.made.reset();
    }
    if (!work.found.right)
        return state.SkipWithError(work.found.text.c_str());
    contender& c = *work.made;
    wait_until_quiet();
    if (work.seconds_once < 0.05)
        c.run(e.threads); // others have had the caches, and threads have gone to sleep
    const double time = seconds([&] {
        while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(c.calls_per_run)))
            c.run(e.threads);
    });
    work.seconds_once = time * c.calls_per_run / double(state.iterations());
    const double calls = double(state.iterations()), bytes = c.weight_bytes != 0 ? double(c.weight_bytes) : e.bytes;
    state.SetLabel(work.found.text);
    if (e.ops != 0)
        state.counters["ops"] = benchmark::Counter(e.ops * calls, benchmark::Counter::kIsRate);
    if (bytes != 0)
        state.counters["bytes"] = benchmark::Counter(bytes * calls, benchmark::Counter::kIsRate);
    if (const double peak = e.peak ? e.peak() : 0; peak != 0)
        state.counters["of_peak"] = e.ops * calls / time / peak;
    if (e.from_memory) {
        if (e.name.find("/limit:") != std::string::npos)
            machine_limits().saw_read(e.threads, bytes * calls / time);
        state.counters["of_read"] = bytes * calls / time / machine_limits().read("memory", e.threads);
    }
}

std::string folder_of_program()
{
    std::string path(4096, '\0');
    const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
    path.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return path.substr(0, path.rfind('/'));
}

constexpr const char* peer_names[] = {"openblas", "onednn", "eigen", "gemmlowp", "onnxruntime", "ggml", "xnnpack"};

// The peers of these names that are here; the context tells of each.
std::vector<loaded_peer> load_peers(const options& o, const std::vector<std::string>& names, const std::string& folder)
{
    // An environment that tunes a library would falsify its figures.
    unsetenv("OPENBLAS_CORETYPE");
    unsetenv("OPENBLAS_L2_SIZE");
    unsetenv("ONEDNN_MAX_CPU_ISA");
    setenv("OPENBLAS_THREAD_TIMEOUT", "16", 1);
    setenv("GOMP_SPINCOUNT", "20000", 1);
    if (o.held_to == "avx2") {
        setenv("OPENBLAS_CORETYPE", "Haswell", 1);
        setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    } else if (o.held_to == "avx512") {
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
        setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE", 1);
    }
    std::vector<loaded_peer> all;
    for (const std::string name : peer_names) {
        if (std::find(names.begin(), names.end(), name) == names.end())
            continue;
        std::string module = name, reason = "not built, because its library was not found; tests/peers installs it";
#if defined(__x86_64__)
        if (name == "eigen")
            module += o.held_to != "avx2" && nibble::check_backend(nibble::backend::avx512) == nibble::status::ok ? "_avx512" : "_avx2";
#endif
        std::unique_ptr<peer> library;
        if (void* const file = dlopen((folder_of_program() + "/libpeer_" + module + ".so").c_str(), RTLD_NOW | RTLD_LOCAL))
            library.reset(reinterpret_cast<make_peer*>(dlsym(file, "nibble_bench_peer"))(folder, o.held_to, o.most_threads(), reason));
        if (library != nullptr && !o.held_to.empty() && !library->capped()) {
            library.reset();
            reason = "it cannot be held to an instruction set";
        }
        add_context("peer " + name, library != nullptr ? library->version() : "left out: " + reason);
        if (library != nullptr)
            all.push_back({name, std::move(library)});
        else
            std::fprintf(stderr, "nibble_bench: without %s: %s\n", name.c_str(), reason.c_str());
    }
    return all;
}

// As Google Benchmark takes --benchmark_filter: an extended regular expression; what it matches is left out if it begins with a dash.
class name_filter {
public:
    explicit name_filter(std::string text) : negative_(!text.empty() && text[0] == '-')
    {
        if (!text.empty() && text != "all")
            words_.assign(negative_ ? text.substr(1) : text, std::regex::extended);
        else
            words_.assign(".", std::regex::extended);
    }
    bool operator()(const std::string& name) const { return std::regex_search(name, words_) != negative_; }

private:
    bool negative_;
    std::regex words_;
};

void crashed(int signal)
{
    const std::string words = "\nnibble_bench: crashed in " + now_running + "; --peers or --benchmark_filter=-... leaves it out\n";
    (void)!write(2, words.data(), words.size());
    _exit(128 + signal);
}

// Google Benchmark truncates the file of --benchmark_out for every group, so that it gets none and a reporter of its own kind writes it.
std::string take_option(std::vector<char*>& arguments, const std::string& name)
{
    std::string value;
    for (auto it = arguments.begin(); it != arguments.end();)
        if (std::strncmp(*it, (name + "=").c_str(), name.size() + 1) == 0) {
            value = *it + name.size() + 1;
            it = arguments.erase(it);
        } else {
            ++it;
        }
    return value;
}
bool has_option(const std::vector<char*>& arguments, const std::string& name)
{
    return std::any_of(arguments.begin(), arguments.end(), [&](const char* a) { return std::strncmp(a, name.c_str(), name.size()) == 0; });
}

std::string wrong_shape(const std::string& text, std::vector<std::ptrdiff_t>& into)
{
    static const std::regex form("([1-9][0-9]{0,6})x([1-9][0-9]{0,6})x([1-9][0-9]{0,6})");
    std::stringstream list(text);
    for (std::string one; std::getline(list, one, ',');) {
        std::smatch sizes;
        const bool good = std::regex_match(one, sizes, form);
        for (std::size_t i = 1; good && i <= 3; ++i)
            into.push_back(std::stol(sizes[i]));
        if (!good || into.end()[-1] * into.end()[-2] > 1 << 28 || into.end()[-3] > 1 << 20)
            return "--shape " + one + ": write m x n x k as 16x4096x4096; m is at most 2^20, n x k at most 2^28";
    }
    return {};
}

std::string joined(const std::vector<std::string>& words)
{
    std::string all;
    for (const std::string& word : words)
        all += (all.empty() ? "" : ", ") + word;
    return all;
}

// A sentence if an option names what is not here: a run without it would be another one than was asked for.
std::string choose_backends(options& o, const std::vector<std::string>& names)
{
    std::vector<std::string> here;
    std::optional<nibble::backend> most;
    for (int i = nibble::backend_count - 1; i >= 0; --i)
        if (const auto b = static_cast<nibble::backend>(i); nibble::check_backend(b) == nibble::status::ok) {
            here.push_back(nibble::to_string(b));
            if (here.back() == o.held_to)
                most = b;
            const bool named = std::find(names.begin(), names.end(), here.back()) != names.end();
            if ((names.empty() ? b != nibble::backend::scalar : named) && (o.held_to.empty() || most))
                o.backends.push_back(b);
        }
    if (o.backends.empty() && names.empty())
        o.backends.push_back(nibble::backend::scalar);
    std::reverse(here.begin(), here.end());
    for (const std::string& name : names)
        if (std::find(here.begin(), here.end(), name) == here.end()) {
            const auto found = nibble::find_backend(name.c_str());
            return "--backends " + name + ": " + nibble::to_string(found ? nibble::check_backend(*found) : found.error()) + "; here are "
                   + joined(here);
        }
    if (!o.held_to.empty() && !most)
        return "--held-to " + o.held_to + ": here are " + joined(here);
    o.backends_given = !names.empty();
    return o.backends.empty() ? "no backend is left by --backends and --held-to" : "";
}

CLI::App* own_options = nullptr;
void print_help()
{
    std::cout << own_options->help() << '\n';
    benchmark::PrintDefaultHelp();
}

} // namespace

namespace bench {

limits& machine_limits()
{
    static limits all(this_cpu_caches(), {1});
    return all;
}

void add_operation(group& to, const options& o, const std::string& name, const std::string& shape, double bytes, double ops,
    std::function<std::unique_ptr<operation>(nibble::backend)> make)
{
    std::vector<nibble::backend> backends = o.backends;
    if (!o.backends_given && o.set == extent::quick)
        backends.resize(1);
    for (const nibble::backend b : backends) {
        entry e;
        e.name = name + "/" + nibble::to_string(b) + shape + "/threads:1";
        e.bytes = bytes;
        e.ops = ops;
        e.work = std::make_shared<lazy_contender>();
        e.work->make = [=] { return make(b); };
        e.work->check = [](contender& c) { return static_cast<operation&>(c).check(); };
        to.entries.push_back(std::move(e));
    }
}

} // namespace bench

int main(int argc, char** argv)
{
    options o;
    std::vector<std::string> backends, peers(std::begin(peer_names), std::end(peer_names)), left_out;
    bool quick = false, all = false, list = false;
    std::string shapes, peers_folder = std::getenv("NIBBLE_PEERS") != nullptr ? std::getenv("NIBBLE_PEERS") : NIBBLE_BENCH_PEERS;
    CLI::App app("nibble on every backend of this CPU, its peers and the machine's limits; options of Google Benchmark below");
    own_options = &app;
    app.add_flag("--quick", quick, "three sizes of products and some of the rest, within three minutes");
    app.add_flag("--all", all, "every kind of weights and every backend at every size, an hour or two");
    app.add_option("--shape", shapes, "products of these sizes instead: 1x4096x4096,7x1000x999");
    app.add_option("--backends", backends, "only these backends of nibble: avx2,scalar")->delimiter(',');
    app.add_option("--peers", peers, "only these: " + joined(peers) + "; none: no peer")->delimiter(',');
    app.add_option("--without", left_out, "all peers but these")->delimiter(',');
    app.add_option("--held-to", o.held_to, "nobody may use more than this backend's instructions: avx2, avx512");
    app.add_option("--threads", o.threads, "numbers of threads (1 and as many as there are cores)")
        ->delimiter(',')
        ->check([](const std::string& text) {
            return command_line::whole_number(text, 1, 1024) ? std::string() : command_line::not_whole_number("each", 1, 1024, text);
        });

    // What Google Benchmark is given, unless it is said otherwise: enough for medians, and no more than a quarter of an hour.
    std::vector<char*> arguments(argv, argv + argc);
    std::vector<std::string> defaults {
        "--benchmark_repetitions=7", "--benchmark_min_time=0.02", "--benchmark_enable_random_interleaving=true"};
    for (std::string& text : defaults)
        if (!has_option(arguments, text.substr(0, text.find('=') + 1)))
            arguments.push_back(text.data());
    const bool brief = !has_option(arguments, "--benchmark_format") && !has_option(arguments, "--benchmark_display_aggregates_only")
                       && !has_option(arguments, "--benchmark_report_aggregates_only");
    const std::string out = take_option(arguments, "--benchmark_out");
    const std::string file_format = take_option(arguments, "--benchmark_out_format");
    unsetenv("BENCHMARK_OUT");
    std::string no_file = "--benchmark_out=/dev/null";
    if (!out.empty())
        arguments.push_back(no_file.data());
    list = has_option(arguments, "--benchmark_list_tests") && !has_option(arguments, "--benchmark_list_tests=false");
    int count = static_cast<int>(arguments.size());
    benchmark::Initialize(&count, arguments.data(), print_help);
    CLI11_PARSE(app, count, arguments.data());
    command_line::warn_of_backend("nibble_bench");

    const auto refuse = [](const std::string& why) {
        std::fprintf(stderr, "%s\n", why.c_str());
        return 2;
    };
    o.set = all ? extent::all : quick ? extent::quick : extent::usual;
    o.threads_given = !o.threads.empty();
    if (!o.threads_given) {
        o.threads = {1};
        if (const int cores = static_cast<int>(std::thread::hardware_concurrency()); cores > 1)
            o.threads.push_back(cores);
    }
    if (const std::string wrong = choose_backends(o, backends); !wrong.empty())
        return refuse(wrong);
    if (const std::string wrong = wrong_shape(shapes, o.shape); !wrong.empty())
        return refuse(wrong);
    if (peers == std::vector<std::string> {"none"})
        peers.clear();
    for (const std::vector<std::string>& names : {peers, left_out})
        for (const std::string& name : names)
            if (std::find(std::begin(peer_names), std::end(peer_names), name) == std::end(peer_names))
                return refuse("no peer is called " + name + "; there are " + joined({std::begin(peer_names), std::end(peer_names)})
                              + ", and --peers none");
    for (const std::string& name : left_out)
        peers.erase(std::remove(peers.begin(), peers.end(), name), peers.end());
    std::optional<name_filter> wanted;
    try {
        wanted.emplace(benchmark::GetBenchmarkFilter());
    } catch (const std::regex_error& e) {
        return refuse("--benchmark_filter is no regular expression: " + std::string(e.what()));
    }
    std::ofstream file;
    std::unique_ptr<benchmark::BenchmarkReporter> file_reporter;
    if (!out.empty() && !list) {
        file.open(out);
        if (!file)
            return refuse(out + " cannot be written: " + std::strerror(errno));
        if (!file_format.empty() && file_format != "json")
            return refuse("--benchmark_out_format: json is what there is");
        file_reporter = std::make_unique<benchmark::JSONReporter>();
        file_reporter->SetOutputStream(&file);
    }

    o.caches = this_cpu_caches();
    for (const int signal : {SIGSEGV, SIGILL, SIGBUS, SIGFPE, SIGABRT})
        std::signal(signal, crashed);
    if (!list)
        std::fprintf(stderr, "nibble_bench: loading peers\n");
    const std::vector<loaded_peer> loaded = load_peers(o, peers, peers_folder);
    std::vector<group> groups;
    std::size_t name_width = 10;
    double effort = 0;
    std::vector<family*> families {gemm, quantize, convert, blocks, conv, accuracy};
    if (!o.shape.empty())
        families.resize(1);
    for (family* const one : families)
        for (group& g : one(o, loaded)) {
            g.entries.erase(
                std::remove_if(g.entries.begin(), g.entries.end(), [&](const entry& e) { return !(*wanted)(e.name + "/real_time"); }),
                g.entries.end());
            for (const entry& e : g.entries) {
                name_width = std::max(name_width, e.name.size() + 20);
                effort += e.effort;
            }
            if (!g.entries.empty())
                groups.push_back(std::move(g));
        }
    if (groups.empty())
        return refuse("Failed to match any benchmarks against regex: " + benchmark::GetBenchmarkFilter()
                      + "\n--benchmark_list_tests lists them; --all has more, --quick less");

    const auto add = [](const entry& e) {
        benchmark::RegisterBenchmark(e.name.c_str(), [&e](benchmark::State& state) { run(state, e); })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
    };
    if (list) {
        for (const group& g : groups)
            for (const entry& e : g.entries)
                add(e);
        benchmark::RunSpecifiedBenchmarks();
        return command_line::finish("nibble_bench", 0);
    }

    progress shown(effort + 1);
    shown.begin("the machine's limits");
    add_machine(o.caches);
    const double busy = busy_cpus();
    std::ostringstream busy_words;
    busy_words << busy;
    add_context("busy_cpus", busy_words.str());
    constexpr double too_busy = 0.2;
    if (busy > too_busy)
        std::fprintf(stderr, "nibble_bench: other processes keep %.1f CPUs busy: these figures are worth little\n", busy);
    machine_limits() = limits(o.caches, o.threads);
    machine_limits().measure(10);
    for (const auto& [name, value] : machine_limits().all()) {
        std::ostringstream words;
        words << value;
        add_context(name, words.str());
    }
    if (!o.held_to.empty())
        add_context("held_to", o.held_to);
    shown.done(1);

    one_run display(*benchmark::CreateDefaultDisplayReporter(), name_width, brief);
    std::optional<one_run> saved;
    if (file_reporter)
        saved.emplace(*file_reporter, name_width, false);
    for (group& g : groups) {
        shown.begin(g.title);
        machine_limits().measure_compute(2);
        for (const entry& e : g.entries)
            add(e);
        benchmark::RunSpecifiedBenchmarks(&display, saved ? &*saved : nullptr);
        benchmark::ClearRegisteredBenchmarks();
        for (const entry& e : g.entries)
            shown.done(e.effort);
        g.entries.clear();
    }
    shown.end();
    display.end();
    if (saved)
        saved->end();
    file.close();
    if (!out.empty() && !file)
        return refuse(out + " could not be written: is the disk full?");
    if (const double later = busy_cpus(); later > too_busy)
        std::fprintf(stderr, "nibble_bench: other processes keep %.1f CPUs busy at the end: these figures are worth little\n", later);
    return command_line::finish("nibble_bench", 0);
}
