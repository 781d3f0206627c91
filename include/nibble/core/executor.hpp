// Threads belong to the caller. An executor is anything with
//   parallel_for(std::size_t count, Function function)
// which calls function(i) once for every i < count, in any order and on any threads, and returns when all calls have returned. Results
// never depend on it. thread_pool.hpp has one; examples/steps/7_executors.cpp has others.
#pragma once

#include <cstddef>

#include "../core/config.hpp"

NIBBLE_BEGIN_TYPES

struct serial_executor {
    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
        for (std::size_t i = 0; i < count; ++i)
            function(i);
    }
};

NIBBLE_END_TYPES
