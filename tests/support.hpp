// Shared by the tests: Catch2 of either version, random data, every usable backend, memory whose edges are guarded.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <cstdint>
#include <cstring>
#include <vector>

#include <nibble/nibble.hpp>
#include <nibble/reference/reference.hpp>
#include <nibble/thread_pool.hpp>

#include "random.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace test {

inline std::vector<nibble::backend> usable_backends()
{
    std::vector<nibble::backend> usable;
    for (int i = 0; i < nibble::backend_count; ++i)
        if (nibble::check_backend(static_cast<nibble::backend>(i)) == nibble::status::ok)
            usable.push_back(static_cast<nibble::backend>(i));
    return usable;
}

// `count` elements that end where an unreadable page begins, or begin where one ends: one byte outside on that side faults.
template <class T>
class guarded {
public:
    explicit guarded(std::ptrdiff_t count, bool at_end = true) : size_(count)
    {
        const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), bytes = static_cast<std::size_t>(count) * sizeof(T);
        body_ = (bytes + page - 1) / page * page;
        base_ = static_cast<std::byte*>(mmap(nullptr, body_ + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        REQUIRE(mprotect(base_, page, PROT_NONE) == 0);
        REQUIRE(mprotect(base_ + page + body_, page, PROT_NONE) == 0);
        mapped_ = body_ + 2 * page;
        data_ = reinterpret_cast<T*>(base_ + page + (at_end ? body_ - bytes : 0));
    }
    guarded(const guarded&) = delete;
    guarded& operator=(const guarded&) = delete;
    ~guarded() { munmap(base_, mapped_); }

    T* data() const { return data_; }
    std::size_t size() const { return static_cast<std::size_t>(size_); }
    T& operator[](std::size_t i) const { return data_[i]; }

private:
    std::byte* base_ = nullptr;
    std::size_t body_ = 0, mapped_ = 0;
    T* data_ = nullptr;
    std::ptrdiff_t size_;
};

// Started once: emulators keep memory for every thread that ever ran.
inline nibble::thread_pool& three_threads()
{
    static nibble::thread_pool pool(3);
    return pool;
}

// The last task first: results must not depend on the order.
struct reversed_executor {
    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
        while (count-- > 0)
            function(count);
    }
};

template <class T>
bool same_bits(const T* a, const T* b, std::size_t count)
{
    return count == 0 || std::memcmp(a, b, count * sizeof(T)) == 0;
}

} // namespace test
