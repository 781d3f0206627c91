// An executor for nibble: threads that wait for work, spinning for a moment first, as other libraries' pools do.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace bench {

class thread_pool {
public:
    /// The calling thread counts as one.
    explicit thread_pool(int threads)
    {
        for (int i = 1; i < threads; ++i)
            workers_.emplace_back([this] { work(); });
    }
    ~thread_pool()
    {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
            generation_.fetch_add(1);
        }
        wake_.notify_all();
        for (std::thread& t : workers_)
            t.join();
    }
    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;

    template <class Function>
    void parallel_for(std::size_t count, Function&& function)
    {
        if (workers_.empty() || count < 2) {
            for (std::size_t i = 0; i < count; ++i)
                function(i);
            return;
        }
        call_ = [](void* f, std::size_t i) { (*static_cast<std::remove_reference_t<Function>*>(f))(i); };
        function_ = &function;
        count_ = count;
        next_.store(0);
        busy_.store(workers_.size());
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            generation_.fetch_add(1);
        }
        wake_.notify_all();
        take();
        while (busy_.load() != 0)
            pause();
    }

private:
    static void pause()
    {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
    void take()
    {
        for (std::size_t i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1))
            call_(function_, i);
    }
    void work()
    {
        unsigned seen = 0;
        for (;;) {
            for (int spin = 0; spin < 20000 && generation_.load() == seen; ++spin)
                pause();
            if (generation_.load() == seen) {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return generation_.load() != seen; });
            }
            seen = generation_.load();
            if (stop_)
                return;
            take();
            busy_.fetch_sub(1);
        }
    }

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<unsigned> generation_ {0};
    std::atomic<std::size_t> next_ {0}, busy_ {0};
    std::size_t count_ = 0;
    void (*call_)(void*, std::size_t) = nullptr;
    void* function_ = nullptr;
    bool stop_ = false;
};

} // namespace bench
