// Operations on arrays, 16 rows of 4096 floats (256 KiB) in the second-level cache, beside memcpy of the floats.
#pragma once

#include <cstring>

#include "support.hpp"

namespace bench {

inline constexpr std::ptrdiff_t rows = 16, columns = 4096, elements = rows * columns;

/// Memory that an operation keeps. Arrays begin at a cache line, no two of them at the same place in a page: a load that follows a store to
/// the same place in another page waits.
class arena {
public:
    arena()
    {
        if (!memory_.resize(std::size_t(4) << 20))
            require(nibble::status::out_of_memory);
        std::memset(memory_.bytes().data(), 0, memory_.bytes().size());
    }
    template <class T>
    nibble::span<T> take(std::ptrdiff_t count)
    {
        constexpr std::size_t page = 4096, line = 64;
        const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
        at_ = (at_ + page - 1) / page * page + (place_ += 5 * line) % page;
        T* const first = reinterpret_cast<T*>(memory_.bytes().data() + at_);
        at_ += bytes;
        return {first, static_cast<std::size_t>(count)};
    }
    template <class T>
    nibble::span<T> take(std::ptrdiff_t count, T value)
    {
        const nibble::span<T> all = take<T>(count);
        std::fill(all.begin(), all.end(), value);
        return all;
    }
    /// The same floats in [-1, 1) every time.
    nibble::span<float> floats()
    {
        const nibble::span<float> x = take<float>(elements);
        const std::vector<float> numbers = data(elements);
        std::copy(numbers.begin(), numbers.end(), x.begin());
        return x;
    }
    template <class T>
    nibble::matrix_view<T> matrix()
    {
        const std::ptrdiff_t each = nibble::elements_for<T>(columns);
        return {take<T>(rows * each).data(), rows, each};
    }

private:
    nibble::aligned_buffer memory_;
    std::size_t at_ = 0, place_ = 0;
};

/// What runs an operation, and where it puts its result.
struct built {
    std::function<void()> run;
    const void* out;
    std::size_t bytes;
};

/// Adds operations to a group; build(arena) makes the arrays and the operation.
class array_group {
public:
    array_group(const options& o, std::string name) : o_(o), family_(std::move(name)) { made_.title = family_; }
    template <class Build>
    void add(const std::string& name, Build build, double bytes = 4.0 * elements)
    {
        add_operation(made_, o_, family_ + "/" + name, shape_, bytes, 0, [build](nibble::backend b) {
            const auto memory = std::make_shared<arena>();
            const built what = build(*memory);
            return std::make_unique<operation>(
                b, [memory, run = what.run] { run(); }, what.out, what.bytes);
        });
    }
    void add_peer(const std::string& name, const std::string& kernel, std::unique_ptr<contender> what)
    {
        entry e;
        e.name = family_ + "/" + name + "/peer:" + kernel + shape_ + "/threads:1";
        e.bytes = 4.0 * elements;
        e.work = std::make_shared<lazy_contender>();
        e.work->made = std::move(what);
        made_.entries.push_back(std::move(e));
    }
    /// With memcpy of the floats beside them.
    std::vector<group> finish()
    {
        entry e;
        e.name = family_ + "/copy/limit:memcpy" + shape_ + "/threads:1";
        e.bytes = 4.0 * elements;
        e.work = std::make_shared<lazy_contender>();
        e.work->make = [] {
            const auto memory = std::make_shared<arena>();
            const nibble::span<float> x = memory->floats(), y = memory->take<float>(elements);
            return std::make_unique<plain_work>([memory, x, y](int) {
                std::memcpy(y.data(), x.data(), x.size() * sizeof(float));
                __asm__ volatile("" ::"r"(y.data()) : "memory");
            });
        };
        made_.entries.push_back(std::move(e));
        std::vector<group> all;
        all.push_back(std::move(made_));
        return all;
    }

private:
    const options& o_;
    std::string family_, shape_ = "/rows:16/columns:4096";
    group made_;
};

template <class T>
built to_span(nibble::span<T> out, std::function<void()> run)
{
    return {std::move(run), out.data(), out.size() * sizeof(T)};
}
template <class T>
built to_matrix(nibble::matrix_view<T> out, std::function<void()> run)
{
    return {std::move(run), out.data, static_cast<std::size_t>(out.rows * out.cols) * sizeof(T)};
}

} // namespace bench
