#pragma once

#include <string>

#include "limits.hpp"

namespace bench {

cache_sizes this_cpu_caches();

/// A line of the context of a run: what Google Benchmark writes at the top of its output.
void add_context(const std::string& name, const std::string& value);
/// CPU, caches, compiler, flags, commit, huge pages.
void add_machine(const cache_sizes& caches);

/// How many CPUs other processes keep busy. Takes a third of a second.
double busy_cpus();

/// Waits until the threads of this process have stopped spinning: pools of peers go on for tens of milliseconds after their work, and on
/// few cores would take the time from whoever is measured next.
void wait_until_quiet();

} // namespace bench
