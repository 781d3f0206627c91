#include "machine.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <thread>

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

} // namespace

machine this_machine()
{
    machine m;
    m.cores = std::max(1u, std::thread::hardware_concurrency());
    const auto size = [](int name) { return static_cast<std::size_t>(std::max(0L, sysconf(name))); };
    m.caches = {size(_SC_LEVEL1_DCACHE_SIZE), size(_SC_LEVEL2_CACHE_SIZE), size(_SC_LEVEL3_CACHE_SIZE)};
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; m.name.empty() && std::getline(file, line);)
        if (line.compare(0, 10, "model name") == 0)
            m.name = line.substr(std::min(line.size(), line.find(':') + 2));
#if defined(NIBBLE_WITH_CPUINFO)
    if (cpuinfo_initialize()) {
        if (m.name.empty() && cpuinfo_get_packages_count() > 0)
            m.name = cpuinfo_get_package(0)->name;
        m.microarchitecture = name_of(cpuinfo_get_core(0)->uarch);
        const auto set = [](std::size_t& to, const cpuinfo_cache* cache) {
            if (cache != nullptr && cache->size != 0)
                to = cache->size;
        };
        set(m.caches.l1, cpuinfo_get_l1d_cache(0));
        set(m.caches.l2, cpuinfo_get_l2_cache(0));
        set(m.caches.l3, cpuinfo_get_l3_cache(0));
    }
#endif
    if (m.name.empty())
        m.name = "unknown CPU";
    if (m.microarchitecture.empty())
        m.microarchitecture = family_and_model();
#if defined(__clang__)
    m.compiler = __VERSION__;
#else
    m.compiler = std::string("g++ ") + __VERSION__;
#endif
    m.flags = NIBBLE_BENCH_FLAGS;
    m.nibble
        = std::to_string(NIBBLE_VERSION_MAJOR) + "." + std::to_string(NIBBLE_VERSION_MINOR) + "." + std::to_string(NIBBLE_VERSION_PATCH);
    return m;
}

} // namespace bench
