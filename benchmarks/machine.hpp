// Which machine and which build this is.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "limits.hpp"

namespace bench {

struct machine {
    std::string name;              ///< the CPU's, as the system calls it
    std::string microarchitecture; ///< as cpuinfo knows it; else family and model
    unsigned cores = 0;
    cache_sizes caches;
    std::string compiler, flags, nibble;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(machine, name, microarchitecture, cores, caches, compiler, flags, nibble)

machine this_machine();

} // namespace bench
