// The caller's floating-point mode must not change results. Kernels and references run in round-to-nearest and keep subnormals.
#pragma once

#include <cstdint>
#include <type_traits>

#include "../core/config.hpp"

NIBBLE_BEGIN

/// Sets the default floating-point mode for its lifetime, if the caller's is another, and restores the caller's.
class default_fp_mode {
public:
    default_fp_mode(const default_fp_mode&) = delete;
    default_fp_mode& operator=(const default_fp_mode&) = delete;
#if defined(__x86_64__)
    NIBBLE_INLINE default_fp_mode() noexcept
    {
        __asm__ volatile("stmxcsr %0" : "=m"(saved_)::"memory");
        // All but the six sticky exception flags must be as after a reset.
        changed_ = (saved_ & 0xffc0u) != 0x1f80u;
        if (changed_) {
            const std::uint32_t standard = 0x1f80u;
            __asm__ volatile("ldmxcsr %0" ::"m"(standard) : "memory");
        }
    }
    NIBBLE_INLINE ~default_fp_mode()
    {
        if (changed_)
            __asm__ volatile("ldmxcsr %0" ::"m"(saved_) : "memory");
    }

private:
    std::uint32_t saved_ = 0;
    bool changed_ = false;
#elif defined(__aarch64__)
    NIBBLE_INLINE default_fp_mode() noexcept
    {
        __asm__ volatile("mrs %0, fpcr" : "=r"(saved_)::"memory");
        changed_ = saved_ != 0;
        if (changed_)
            __asm__ volatile("msr fpcr, %0" ::"r"(std::uint64_t {0}) : "memory");
    }
    NIBBLE_INLINE ~default_fp_mode()
    {
        if (changed_)
            __asm__ volatile("msr fpcr, %0" ::"r"(saved_) : "memory");
    }

private:
    std::uint64_t saved_ = 0;
    bool changed_ = false;
#else
    NIBBLE_INLINE default_fp_mode() noexcept {}
#endif
};

/// x, computed between what stands above and what stands below. An operation on registers alone could be moved out of the lifetime of a
/// default_fp_mode: both what goes into it and what comes out are pinned. T: a float, a double or an integer.
template <class T>
NIBBLE_INLINE T pinned(T x) noexcept
{
    if constexpr (std::is_floating_point_v<T>) {
#if defined(__x86_64__)
        __asm__ volatile("" : "+x"(x));
#elif defined(__aarch64__)
        __asm__ volatile("" : "+w"(x));
#endif
    } else {
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

NIBBLE_END
