// aligned_buffer: the memory that convenience types own. Kernels never allocate.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "config.hpp"
#include "view.hpp"

NIBBLE_BEGIN_TYPES

/// Move-only bytes, aligned to 64 and left uninitialised. From 4 MiB on, Linux is asked for pages of 2 MiB: one row times weights from
/// memory reads these up to a fifth faster (docs/kernels-design.md).
class aligned_buffer {
public:
    NIBBLE_INLINE aligned_buffer() noexcept = default;
    NIBBLE_INLINE aligned_buffer(aligned_buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0))
    {
    }
    NIBBLE_INLINE aligned_buffer& operator=(aligned_buffer&& other) noexcept
    {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    NIBBLE_INLINE ~aligned_buffer() { std::free(data_); }

    /// At least `size` bytes; what was in it is lost. False, with the old memory kept, if there is no memory.
    NIBBLE_INLINE bool resize(std::size_t size) noexcept
    {
        if (size <= size_)
            return true;
        constexpr std::size_t huge_page = std::size_t {2} << 20;
        const bool large = size >= 2 * huge_page;
        const std::size_t alignment = large ? huge_page : 64, rounded = (size + (alignment - 1)) / alignment * alignment;
        void* fresh = rounded < size ? nullptr : std::aligned_alloc(alignment, rounded);
        if (fresh == nullptr)
            return false;
#if defined(MADV_HUGEPAGE)
        if (large) // whole pages: the last one would be larger than what is in it
            (void)::madvise(fresh, size / huge_page * huge_page, MADV_HUGEPAGE);
#endif
        std::free(data_);
        data_ = static_cast<std::byte*>(fresh);
        size_ = size;
        return true;
    }

    /// resize() to a size that follows from a caller's numbers: ok, size_overflow or out_of_memory.
    NIBBLE_INLINE status allocate(checked_size size) noexcept
    {
        return !size.fits() ? status::size_overflow : !resize(size.value()) ? status::out_of_memory : status::ok;
    }

    NIBBLE_INLINE span<std::byte> bytes() const noexcept { return {data_, size_}; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// A size or a view of memory that a neighbouring aligned_buffer owns: it moves with the memory and leaves T {} behind, so that an object
/// that has been moved from is empty instead of describing memory that it has lost.
template <class T>
class movable_value {
public:
    NIBBLE_INLINE movable_value() noexcept = default;
    NIBBLE_INLINE movable_value(T value) noexcept : value_(value) {}
    NIBBLE_INLINE movable_value(movable_value&& other) noexcept : value_(std::exchange(other.value_, T {})) {}
    NIBBLE_INLINE movable_value& operator=(movable_value&& other) noexcept
    {
        std::swap(value_, other.value_); // as aligned_buffer does
        return *this;
    }
    NIBBLE_INLINE ~movable_value() = default;

    NIBBLE_INLINE operator T&() noexcept { return value_; }
    NIBBLE_INLINE operator const T&() const noexcept { return value_; }
    NIBBLE_INLINE const T* operator->() const noexcept { return &value_; }

private:
    T value_ {};
};

NIBBLE_END_TYPES
