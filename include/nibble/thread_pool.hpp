// A thread pool for programs that have none. nibble never starts a thread by itself: a pool is passed as the last argument, as any executor
// is (core/executor.hpp), and results have the same bits with it and without. nibble.hpp does not include this header.
//
//   nibble::thread_pool pool;                             // as many threads as the CPU has
//   nibble::gemm(x, weights, {}, y, scratch, pool);
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "core/config.hpp"

NIBBLE_BEGIN

/// Threads that wait for work: after a call they spin, on x86 for some 20 to 50 microseconds, so that the next layer finds them awake, then
/// they sleep. They are not pinned to CPUs. Calls do not allocate.
///
/// One call runs at a time. A call made while another runs, by another thread or by a task itself, is computed by its caller alone: it
/// neither waits nor deadlocks. The destructor waits for the threads to end; no call may run then.
///
/// A child of fork() has none of the threads. Its calls are computed by their callers, but the destructor would wait forever, as that of a
/// static pool in exit(): such a child ends with _exit() or exec(), or the pool is never destroyed.
class thread_pool {
public:
    /// `threads` counts the caller's, so that one fewer is started; 0 means as many as the CPU has. Where the system gives fewer, the pool
    /// goes on with these (without exceptions in the program, std::thread ends it).
    explicit thread_pool(std::size_t threads = 0)
    {
        if (threads == 0)
            threads = std::thread::hardware_concurrency();
#if defined(__cpp_exceptions)
        try {
            start(threads);
        } catch (...) {
        }
#else
        start(threads);
#endif
    }
    ~thread_pool()
    {
        stop_.store(true);
        wake(workers_.size());
        for (std::thread& worker : workers_)
            worker.join();
    }
    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;

    /// Threads that compute, the caller's among them.
    std::size_t threads() const noexcept { return workers_.size() + 1; }

    /// Calls function(i) once for every i < count, and returns when all calls have. The function must not throw.
    template <class Function>
    void parallel_for(std::size_t count, Function&& function)
    {
        if (workers_.empty() || count < 2 || running_.exchange(true)) {
            for (std::size_t i = 0; i < count; ++i)
                function(i);
            return;
        }
        const auto task = [&function](std::size_t i) { function(i); };
        call_ = [](const void* of, std::size_t i) { (*static_cast<decltype(&task)>(of))(i); };
        task_ = &task;
        count_ = count;
        next_.store(0, std::memory_order_relaxed);
        state_.store((state_.load() | below_call) + 1 + is_open); // the next call's number, nobody in it, open
        if (asleep_.load() != 0)
            wake(count - 1);
        take();
        state_.fetch_and(~is_open);
        for (int spins = 0; (state_.load() & below_call) != 0; ++spins)
            spins < spins_awake ? pause() : std::this_thread::yield();
        running_.store(false);
    }

private:
    // state_ holds the number of the call from bit 32, the count of workers in it from bit 1, and in bit 0 whether others may enter. What a
    // call consists of (call_, task_, count_, next_) changes only while it is closed and no worker is in it.
    static constexpr std::uint64_t is_open = 1, one_worker = 2, below_call = 0xffffffffu;
    static constexpr int spins_awake = 1000;

    static void pause() noexcept
    {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
    static bool may_enter(std::uint64_t state, std::uint64_t last) noexcept { return (state & is_open) != 0 && state >> 32 != last; }

    void start(std::size_t threads)
    {
        for (std::size_t i = 1; i < threads; ++i)
            workers_.emplace_back([this] { work(); });
    }
    void take()
    {
        for (std::size_t i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1))
            call_(task_, i);
    }
    void wake(std::size_t useful)
    {
        // A worker checks for work and falls asleep with the lock held, so that it is either awake or notified.
        {
            const std::lock_guard<std::mutex> lock(sleeping_);
        }
        if (useful >= workers_.size())
            woken_.notify_all();
        else
            for (std::size_t i = 0; i < useful; ++i)
                woken_.notify_one();
    }
    void work()
    {
        std::uint64_t last = 0; // the call that this worker was in
        for (int spins = 0; !stop_.load();) {
            std::uint64_t state = state_.load();
            if (may_enter(state, last)) {
                if (state_.compare_exchange_weak(state, state + one_worker)) {
                    last = state >> 32;
                    take();
                    state_.fetch_sub(one_worker);
                    spins = 0;
                }
            } else if (spins < spins_awake) {
                ++spins;
                pause();
            } else {
                std::unique_lock<std::mutex> lock(sleeping_);
                asleep_.fetch_add(1);
                woken_.wait(lock, [&] { return stop_.load() || may_enter(state_.load(), last); });
                asleep_.fetch_sub(1);
                spins = 0;
            }
        }
    }

    std::vector<std::thread> workers_;
    std::mutex sleeping_;
    std::condition_variable woken_;
    std::atomic<std::uint64_t> state_ {0};
    std::atomic<std::size_t> next_ {0};
    std::atomic<int> asleep_ {0};
    std::atomic<bool> running_ {false}, stop_ {false};
    std::size_t count_ = 0;
    void (*call_)(const void*, std::size_t) = nullptr;
    const void* task_ = nullptr;
};

NIBBLE_END
