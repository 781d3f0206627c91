// A program of two libraries that embed nibble, compiled for different CPUs. The choice of a backend is one for the program, and both
// compute the same.
#include <cstdio>

#include "two_units.hpp"

int main()
{
    const answer plain = ask_plain();
    if (!plain.ok || plain.codes[0] != -80) {
        std::puts("the baseline library computes something else");
        return 1;
    }
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return 0;
#endif
    // The program forces a backend, and both libraries must see it.
    for (int i = 0; i < nibble::backend_count; ++i) {
        const auto backend = static_cast<nibble::backend>(i);
        if (nibble::force_backend(backend) != nibble::status::ok)
            continue;
        const answer other = ask_avx2();
        if (!other.ok || other.active != backend || other.codes != plain.codes) {
            std::printf("on %s the two libraries differ\n", nibble::to_string(backend));
            return 1;
        }
    }
    return 0;
}
