// The context of a run: which machine, which build, and how busy it is.
#include "context.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <unistd.h>

#include <nibble/core/config.hpp>

#if defined(NIBBLE_WITH_CPUINFO)
#include <cpuinfo.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace bench {
namespace {

std::string family_and_model()
{
    char text[64] = "unknown";
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        const unsigned base = a >> 8 & 15, family = base == 15 ? base + (a >> 20 & 255) : base;
        __get_cpuid(0, &c, &b, &d, &d);
        const bool zen5 = b == signature_AMD_ebx && family == 26; // newer than Debian's cpuinfo
        std::snprintf(text, sizeof text, "%sfamily %u, model %u", zen5 ? "Zen 5, " : "", family, (a >> 4 & 15) | (a >> 12 & 240));
    }
#endif
    return text;
}

#if defined(NIBBLE_WITH_CPUINFO)
std::string name_of(cpuinfo_uarch u)
{
    const struct {
        cpuinfo_uarch number;
        const char* name;
    } names[] = {{cpuinfo_uarch_haswell, "Haswell"}, {cpuinfo_uarch_broadwell, "Broadwell"}, {cpuinfo_uarch_sky_lake, "Skylake"},
        {cpuinfo_uarch_palm_cove, "Palm Cove"}, {cpuinfo_uarch_sunny_cove, "Sunny Cove"}, {cpuinfo_uarch_zen, "Zen"},
        {cpuinfo_uarch_zen2, "Zen 2"}, {cpuinfo_uarch_zen3, "Zen 3"}, {cpuinfo_uarch_cortex_a53, "Cortex-A53"},
        {cpuinfo_uarch_cortex_a55, "Cortex-A55"}, {cpuinfo_uarch_cortex_a72, "Cortex-A72"}, {cpuinfo_uarch_cortex_a76, "Cortex-A76"},
        {cpuinfo_uarch_neoverse_n1, "Neoverse N1"}};
    for (const auto& known : names)
        if (known.number == u)
            return known.name;
    return {};
}
#endif

std::string first_line(const char* path, const std::string& begin = {})
{
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        if (line.compare(0, begin.size(), begin) == 0)
            return line;
    return {};
}

std::string size_of(std::size_t bytes)
{
    return bytes == 0 ? "unknown" : bytes < (1 << 20) ? std::to_string(bytes >> 10) + " KiB" : std::to_string(bytes >> 20) + " MiB";
}

// Seconds that all CPUs together have worked, and that this process has.
double worked()
{
    std::istringstream line(first_line("/proc/stat", "cpu "));
    std::string word;
    double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0;
    line >> word >> user >> nice >> system >> idle >> wait >> irq >> soft >> steal;
    return (user + nice + system + irq + soft + steal) / static_cast<double>(sysconf(_SC_CLK_TCK));
}
double worked_here()
{
    rusage r {};
    getrusage(RUSAGE_SELF, &r);
    const auto of = [](const timeval& t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
    return of(r.ru_utime) + of(r.ru_stime);
}

} // namespace

cache_sizes this_cpu_caches()
{
    const auto size = [](int name) { return static_cast<std::size_t>(std::max(0L, sysconf(name))); };
    cache_sizes caches {size(_SC_LEVEL1_DCACHE_SIZE), size(_SC_LEVEL2_CACHE_SIZE), size(_SC_LEVEL3_CACHE_SIZE)};
#if defined(NIBBLE_WITH_CPUINFO)
    if (cpuinfo_initialize()) {
        const auto set = [](std::size_t& to, const cpuinfo_cache* cache) {
            if (cache != nullptr && cache->size != 0)
                to = cache->size;
        };
        set(caches.l1, cpuinfo_get_l1d_cache(0));
        set(caches.l2, cpuinfo_get_l2_cache(0));
        set(caches.l3, cpuinfo_get_l3_cache(0));
    }
#endif
    return caches;
}

void add_context(const std::string& name, const std::string& value) { benchmark::AddCustomContext(name, value); }

void add_machine(const cache_sizes& caches)
{
    std::string name = first_line("/proc/cpuinfo", "model name"), microarchitecture;
    name = name.substr(std::min(name.size(), name.find(':') + 2));
#if defined(NIBBLE_WITH_CPUINFO)
    if (cpuinfo_initialize()) {
        if (name.empty() && cpuinfo_get_packages_count() > 0)
            name = cpuinfo_get_package(0)->name;
        microarchitecture = name_of(cpuinfo_get_core(0)->uarch);
    }
#endif
    add_context("cpu", name.empty() ? "unknown" : name);
    add_context("microarchitecture", microarchitecture.empty() ? family_and_model() : microarchitecture);
    add_context("cores", std::to_string(std::thread::hardware_concurrency()));
    add_context("cache_L1d", size_of(caches.l1));
    add_context("cache_L2", size_of(caches.l2));
    add_context("cache_L3", size_of(caches.l3));
    add_context("memory_copies", size_of(memory_bytes(caches)));
#if defined(__clang__)
    add_context("compiler", __VERSION__);
#else
    add_context("compiler", std::string("g++ ") + __VERSION__);
#endif
    add_context("flags", NIBBLE_BENCH_FLAGS);
    add_context("nibble",
        std::to_string(NIBBLE_VERSION_MAJOR) + "." + std::to_string(NIBBLE_VERSION_MINOR) + "." + std::to_string(NIBBLE_VERSION_PATCH));
    const char* const commit = std::getenv("NIBBLE_BENCH_COMMIT"); // ./go bench asks git
    add_context("commit", commit == nullptr ? "unknown" : commit);
    const std::string pages = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
    const std::size_t open = pages.find('['), close = pages.find(']');
    add_context("huge_pages", open == std::string::npos ? "unknown" : pages.substr(open + 1, close - open - 1));
}

double busy_cpus()
{
    const double all = worked(), here = worked_here();
    constexpr double interval = 0.3;
    std::this_thread::sleep_for(std::chrono::duration<double>(interval));
    return std::max(0.0, worked() - all - (worked_here() - here)) / interval;
}

void wait_until_quiet()
{
    const auto now = [] {
        timespec t {};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
    };
    for (int i = 0; i < 150; ++i) {
        const double before = now();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (now() - before < 2e-4)
            return;
    }
}

} // namespace bench
