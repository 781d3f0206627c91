#include "../support.hpp"

#include <nibble/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <thread>

using namespace nibble;

namespace {

std::atomic<std::size_t> sum_of_tasks {0};
std::size_t add_task(std::size_t i) { return sum_of_tasks += i; }

} // namespace

TEST_CASE("a thread pool calls each task once")
{
    for (const std::size_t threads : {1u, 2u, 3u, 7u}) {
        thread_pool pool(threads);
        CHECK(pool.threads() == threads);
        bool once = true;
        for (std::size_t count = 0; count < 300; ++count) {
            std::vector<std::atomic<int>> calls(count);
            pool.parallel_for(count, [&](std::size_t i) { ++calls[i]; });
            for (const std::atomic<int>& c : calls)
                once = once && c == 1;
        }
        CHECK(once);
    }
}
TEST_CASE("a thread pool works on after it has slept")
{
    thread_pool pool(3);
    std::atomic<int> calls {0};
    for (int i = 0; i < 20; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(i % 4));
        pool.parallel_for(5, [&](std::size_t) { ++calls; });
    }
    CHECK(calls == 100);
}
TEST_CASE("a thread pool's tasks may use it, and several threads at once")
{
    thread_pool pool(3);
    std::atomic<int> calls {0};
    const auto nested = [&] {
        for (int i = 0; i < 200; ++i)
            pool.parallel_for(4, [&](std::size_t) { pool.parallel_for(3, [&](std::size_t) { ++calls; }); });
    };
    std::thread other(nested);
    nested();
    other.join();
    CHECK(calls == 2 * 200 * 4 * 3);
}
TEST_CASE("a thread pool takes functions, constant functors and those that return something")
{
    thread_pool pool(3);
    const auto add = [](std::size_t i) { return add_task(i); };
    pool.parallel_for(10, add_task);
    pool.parallel_for(10, &add_task);
    pool.parallel_for(10, add);
    CHECK(sum_of_tasks == 3 * 45);
}
TEST_CASE("as many threads as the CPU has are the default")
{
    CHECK(thread_pool().threads() == std::max(1u, std::thread::hardware_concurrency()));
}
