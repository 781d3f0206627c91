// 5. Which kernels run, why, and how to choose others.
#include <cstdio>

#include <nibble/nibble.hpp>

int main()
{
    std::printf("%s: %s\n", nibble::to_string(nibble::active_backend()), nibble::explain());
    if (const nibble::status asked = nibble::environment_status(); asked != nibble::status::ok)
        std::fprintf(stderr, "NIBBLE_BACKEND is ignored: %s\n", nibble::to_string(asked));
    for (int i = 0; i < nibble::backend_count; ++i) {
        const auto backend = static_cast<nibble::backend>(i);
        std::printf("  %-13s %s\n", nibble::to_string(backend), nibble::to_string(nibble::check_backend(backend)));
    }
    // One choice for the whole program. NIBBLE_BACKEND=scalar in the environment does the same.
    const nibble::status s = nibble::force_backend("scalar");
    std::printf("forced: %s: %s\n", nibble::to_string(nibble::active_backend()), nibble::explain());
    return s == nibble::status::ok && nibble::active_backend() == nibble::backend::scalar ? 0 : 1;
}
