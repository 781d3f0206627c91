// Makes a function of namespace kernels for each kernel of one list: NAME(b) is the kernel as compiled for backend b, or for the newest
// older one if this build left b out; NAME() is the active backend's. Before including this file, compile the kernels
// (for_each_backend.hpp) and define
//   NIBBLE_KERNEL_LIST  the list, as "../FAMILY/kernels/list.inc"
// It is undefined afterwards. The tables of variants are constants, so no code of a backend runs before the CPU has been identified.
//
// A kernel is a template whose parameter has no meaning, and so are NAME and its table. A template is compiled only where it is used. So a
// program pays only for the kernels that it calls, and every public function that calls a kernel is a template as well.

#include "backend.hpp"

#if NIBBLE_COMPILE_AVX512AMX
#define NIBBLE_X86_VARIANTS(name) &avx2::name<Lazy>, &avx512::name<Lazy>, &avx512vnni::name<Lazy>, &avx512amx::name<Lazy>
#elif NIBBLE_COMPILE_AVX512
#define NIBBLE_X86_VARIANTS(name) &avx2::name<Lazy>, &avx512::name<Lazy>, &avx512vnni::name<Lazy>, nullptr
#elif NIBBLE_COMPILE_X86
#define NIBBLE_X86_VARIANTS(name) &avx2::name<Lazy>, nullptr, nullptr, nullptr
#else
#define NIBBLE_X86_VARIANTS(name) nullptr, nullptr, nullptr, nullptr
#endif
#if NIBBLE_COMPILE_NEON_DOTPROD
#define NIBBLE_ARM_VARIANTS(name) &neon::name<Lazy>, &neon_dotprod::name<Lazy>, &neon_i8mm::name<Lazy>
#elif NIBBLE_COMPILE_NEON
#define NIBBLE_ARM_VARIANTS(name) &neon::name<Lazy>, nullptr, nullptr
#else
#define NIBBLE_ARM_VARIANTS(name) nullptr, nullptr, nullptr
#endif

NIBBLE_BEGIN
namespace kernels {

#if !NIBBLE_HAVE_KERNELS
#define NIBBLE_KERNEL(name, args)          \
    kernel<args> name(backend b) noexcept; \
    inline kernel<args> name() noexcept { return name(active_backend()); }
#else
#define NIBBLE_KERNEL(name, args)                                \
    template <class Lazy>                                        \
    inline constexpr kernel<args> name##_variants[backend_count] \
        = {&scalar::name<Lazy>, NIBBLE_X86_VARIANTS(name), NIBBLE_ARM_VARIANTS(name)};
#include NIBBLE_KERNEL_LIST
#undef NIBBLE_KERNEL
#if defined(NIBBLE_DEFINE_KERNELS)
#define NIBBLE_KERNEL(name, args)                                                                     \
    kernel<args> name(backend b) noexcept { return nearest_variant<args>(name##_variants<void>, b); } \
    inline kernel<args> name() noexcept { return name(active_backend()); }
#else
#define NIBBLE_KERNEL(name, args)                               \
    template <class Lazy = void>                                \
    inline kernel<args> name(backend b) noexcept                \
    {                                                           \
        return nearest_variant<args>(name##_variants<Lazy>, b); \
    }                                                           \
    template <class Lazy = void>                                \
    inline kernel<args> name() noexcept                         \
    {                                                           \
        return name<Lazy>(active_backend());                    \
    }
#endif
#endif
#include NIBBLE_KERNEL_LIST
#undef NIBBLE_KERNEL

} // namespace kernels
NIBBLE_END

#undef NIBBLE_X86_VARIANTS
#undef NIBBLE_ARM_VARIANTS
#undef NIBBLE_KERNEL_LIST
