// Long operations report their progress and can be stopped.
#pragma once

#include "config.hpp"

NIBBLE_BEGIN_TYPES

/// call(user, done) is called from the calling thread with done rising from 0 to 1; false stops the work, which then returns
/// status::cancelled and leaves its outputs unfinished. Null: nothing is called.
struct progress {
    bool (*call)(void* user, double done) = nullptr;
    void* user = nullptr;

    NIBBLE_INLINE bool operator()(double done) const { return call == nullptr || call(user, done); }
};

NIBBLE_END_TYPES
