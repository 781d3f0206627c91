// Where kernels run: list the backends, ask which one is active and why, cap or force one.
// nibble chooses once, on first use. It takes the newest backend that is compiled in and that the CPU runs, unless the environment variable
// NIBBLE_BACKEND or force_backend() names another. A name that cannot be used gives a status and changes nothing.
#pragma once

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "../core/status.hpp"
#include "cpu.hpp"
#include "region.hpp"

NIBBLE_BEGIN_TYPES

inline constexpr const char* backend_names[backend_count]
    = {"scalar", "avx2", "avx512", "avx512vnni", "avx512amx", "neon", "neon_dotprod", "neon_i8mm"};

/// The program's choice: -1 before it is made.
inline std::atomic<int> chosen_backend {-1};

/// What tune() chose for each class of products, as backend + 1; 0: nothing, they run where everything runs.
inline constexpr std::size_t product_classes = 15; // 5 types of weights, 3 ranges of rows
inline std::atomic<unsigned char> tuned_products[product_classes] {};

NIBBLE_END_TYPES

NIBBLE_BEGIN

inline const char* to_string(backend b) noexcept { return backend_names[static_cast<int>(b)]; }

/// A kernel: a plain function, so that no vector type leaves the region that it is compiled in.
template <class Args>
using kernel = void (*)(const Args&) noexcept;

/// The variant of backend b, or of the newest older one that was compiled: another file of the program, built with other macros, may have
/// chosen a backend that this file leaves out. The scalar variant is always there.
template <class Args>
inline kernel<Args> nearest_variant(const kernel<Args> (&variants)[backend_count], backend b) noexcept
{
    int i = static_cast<int>(b);
    while (variants[i] == nullptr)
        --i;
    return variants[i];
}

/// is_compiled: whether this build compiles kernels of this backend. is_optimized: whether it compiles them with optimization. Where
/// kernels are declared only, the files that define them answer, for they may have seen other macros.
#if !NIBBLE_HAVE_KERNELS
bool is_compiled(backend b) noexcept;
bool is_optimized() noexcept;
#else
#if defined(NIBBLE_DEFINE_KERNELS)
#define NIBBLE_FOR_OTHER_FILES __attribute__((used))
#else
#define NIBBLE_FOR_OTHER_FILES
#endif
NIBBLE_FOR_OTHER_FILES inline bool is_compiled(backend b) noexcept
{
    constexpr bool compiled[backend_count] = {true, NIBBLE_COMPILE_X86, NIBBLE_COMPILE_AVX512, NIBBLE_COMPILE_AVX512,
        NIBBLE_COMPILE_AVX512AMX, NIBBLE_COMPILE_NEON, NIBBLE_COMPILE_NEON_DOTPROD, NIBBLE_COMPILE_NEON_DOTPROD};
    return compiled[static_cast<int>(b)];
}
NIBBLE_FOR_OTHER_FILES inline bool is_optimized() noexcept
{
#if defined(__OPTIMIZE__)
    return true;
#else
    return false;
#endif
}
#undef NIBBLE_FOR_OTHER_FILES
#endif

/// Whether kernels of this backend can run here, or why not.
inline status check_backend(backend b) noexcept
{
    if (static_cast<int>(b) >= backend_count)
        return status::backend_unknown;
    if (!is_compiled(b))
        return status::backend_not_compiled;
    static const backend_set runnable = runnable_backends();
    return runnable.has(b) ? status::ok : status::backend_not_supported;
}

inline result<backend> find_backend(const char* name) noexcept
{
    for (int i = 0; name != nullptr && i < backend_count; ++i)
        if (std::strcmp(name, backend_names[i]) == 0)
            return static_cast<backend>(i);
    return status::backend_unknown;
}

/// The newest backend that can run here, at most `cap` in the order of the enum.
inline backend best_backend(backend cap = backend::neon_i8mm) noexcept
{
    for (int i = static_cast<int>(cap); i > 0; --i)
        if (check_backend(static_cast<backend>(i)) == status::ok)
            return static_cast<backend>(i);
    return backend::scalar;
}

/// What NIBBLE_BACKEND asks for: ok if it is unset or names a usable backend.
inline status environment_status() noexcept
{
    const char* name = std::getenv("NIBBLE_BACKEND");
    if (name == nullptr || *name == '\0')
        return status::ok;
    const result<backend> found = find_backend(name);
    return found ? check_backend(*found) : found.error();
}

/// The backend that kernels run on from now on.
inline backend active_backend() noexcept
{
    int choice = chosen_backend.load(std::memory_order_relaxed);
    if (choice < 0) {
        const char* name = std::getenv("NIBBLE_BACKEND");
        const bool named = name != nullptr && *name != '\0' && environment_status() == status::ok;
        int expected = -1;
        choice = static_cast<int>(named ? *find_backend(name) : best_backend());
        if (!chosen_backend.compare_exchange_strong(expected, choice))
            choice = expected;
    }
    return static_cast<backend>(choice);
}

namespace detail {

inline void choose_backend(backend b) noexcept
{
    for (std::atomic<unsigned char>& tuned : tuned_products)
        tuned.store(0);
    chosen_backend.store(static_cast<int>(b));
}

} // namespace detail

/// Run on this backend from now on, in the whole program; forgets what tune() chose. Do not call while kernels run.
inline status force_backend(backend b) noexcept
{
    const status usable = check_backend(b);
    if (usable == status::ok)
        detail::choose_backend(b);
    return usable;
}

inline status force_backend(const char* name) noexcept
{
    const result<backend> found = find_backend(name);
    return found ? force_backend(*found) : found.error();
}

/// Run on the newest usable backend that is not newer than this one; forgets what tune() chose.
inline backend cap_backend(backend b) noexcept
{
    detail::choose_backend(best_backend(b));
    return active_backend();
}

/// One line: which backend runs, and what decided it.
inline const char* explain() noexcept
{
    const backend active = active_backend();
    const char* name = std::getenv("NIBBLE_BACKEND");
    if (name != nullptr && *name != '\0') {
        if (environment_status() != status::ok)
            return "NIBBLE_BACKEND names a backend that cannot be used here; it was ignored";
        if (std::strcmp(name, to_string(active)) == 0)
            return "chosen by NIBBLE_BACKEND";
    }
    if (active != best_backend())
        return "forced or capped by the program";
    if (!is_optimized())
        return "the newest backend that this CPU runs, compiled without optimization and up to 350 times slower: use -O2";
    if (active == backend::scalar) {
        bool only = true;
        for (int i = 1; i < backend_count; ++i)
            only = only && !is_compiled(static_cast<backend>(i));
        return only ? "this build has no other backend: xsimd was not found (Debian: libxsimd-dev), or it was told to leave the others out"
                    : "this CPU, or its operating system, runs none of this build's other backends";
    }
#if defined(NIBBLE_WITH_CPUINFO)
    return "the newest backend that this build has and that cpuinfo says this CPU runs";
#else
    return "the newest backend that this build has and that this CPU says it runs";
#endif
}

NIBBLE_END
