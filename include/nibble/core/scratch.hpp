// Scratch memory of a call: the caller's, or memory that nibble keeps for each thread.
#pragma once

#include "memory.hpp"

NIBBLE_BEGIN

/// An argument that takes memory, such as a std::vector<std::byte> of the size that a size function says, at any alignment; or nothing ({},
/// or left out). Then the call uses memory that nibble keeps for the calling thread: allocated by its first call, grown by
/// calls that need more, freed by free_thread_scratch() or when the thread ends. Without memory for it the call returns out_of_memory.
/// Where an executor suspends a call and lets another thread go on with it, as fibers may, give memory.
class scratch {
public:
    NIBBLE_INLINE scratch() noexcept = default;
    template <class Memory, class = std::enable_if_t<std::is_convertible_v<Memory&&, span<std::byte>>>>
    NIBBLE_INLINE scratch(Memory&& memory) noexcept : given_(memory), is_given_(true)
    {
    }

    NIBBLE_INLINE scratch(std::byte* memory, std::size_t size) noexcept : given_(memory, size), is_given_(true) {}

    NIBBLE_INLINE bool is_given() const noexcept { return is_given_; }
    NIBBLE_INLINE span<std::byte> given() const noexcept { return given_; }

private:
    span<std::byte> given_ {};
    bool is_given_ = false;
};

namespace detail {

/// Whether a call has the memory that is kept for the calling thread, or a thread that ends has freed it. Its flag needs no destructor: a
/// destructor that runs later in the thread's end may still ask it.
template <class Lazy = void>
inline bool& thread_scratch_is_lent() noexcept
{
    static thread_local bool lent = false;
    return lent;
}

template <class Lazy>
struct thread_scratch {
    aligned_buffer memory;
    ~thread_scratch() { thread_scratch_is_lent<Lazy>() = true; } // calls of destructors that run later allocate for themselves
};

/// Only asked for where it is not lent.
template <class Lazy = void>
inline aligned_buffer& scratch_of_thread() noexcept
{
    static thread_local thread_scratch<Lazy> kept;
    return kept.memory;
}

/// The scratch memory of one call, for as long as this lives.
class scratch_lease {
public:
    explicit scratch_lease(scratch s) noexcept : of_(s) {}
    ~scratch_lease()
    {
        if (lent_ != nullptr)
            *lent_ = false;
    }
    scratch_lease(const scratch_lease&) = delete;
    scratch_lease& operator=(const scratch_lease&) = delete;

    /// At least `needed` bytes in bytes(); SIZE_MAX is a size that overflowed. Called once.
    template <class Lazy = void>
    status take(std::size_t needed) noexcept
    {
        if (of_.is_given()) {
            bytes_ = of_.given();
            return check_room(bytes_, needed);
        }
        if (needed == 0 || needed == SIZE_MAX)
            return needed == 0 ? status::ok : status::size_overflow;
        // While a call waits for its tasks, some executors let its thread run another task, and that may be a call of its own.
        if (bool& lent = thread_scratch_is_lent<Lazy>(); !lent) {
            lent_ = &lent;
            lent = true;
        }
        aligned_buffer& from = lent_ != nullptr ? scratch_of_thread<Lazy>() : own_;
        if (!from.resize(needed))
            return status::out_of_memory;
        bytes_ = from.bytes();
        return status::ok;
    }
    span<std::byte> bytes() const noexcept { return bytes_; }

private:
    scratch of_;
    span<std::byte> bytes_ {};
    bool* lent_ = nullptr; // to be set back
    aligned_buffer own_;
};

} // namespace detail

/// Frees the memory that the calling thread's calls without scratch memory keep.
template <class Lazy = void>
inline void free_thread_scratch() noexcept
{
    if (!detail::thread_scratch_is_lent<Lazy>())
        detail::scratch_of_thread<Lazy>() = aligned_buffer();
}

NIBBLE_END
