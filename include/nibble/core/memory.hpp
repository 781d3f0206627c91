// aligned_buffer: memory owned by the convenience types. Kernels never allocate.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <utility>

#include "config.hpp"
#include "view.hpp"

NIBBLE_BEGIN_TYPES

/// Move-only bytes, aligned to 64 and left uninitialised.
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
        const std::size_t rounded = (size + 63) / 64 * 64;
        void* fresh = rounded < size ? nullptr : std::aligned_alloc(64, rounded);
        if (fresh == nullptr)
            return false;
        std::free(data_);
        data_ = static_cast<std::byte*>(fresh);
        size_ = size;
        return true;
    }

    NIBBLE_INLINE span<std::byte> bytes() const noexcept { return {data_, size_}; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

NIBBLE_END_TYPES
