// Random cases: thousands of small shapes a run, each computed by the reference and on every usable backend. A case draws its sizes and
// options by name; where it fails, their values are printed, and the number that gives the case again.
#pragma once

#include "support.hpp"

#include <initializer_list>
#include <sstream>
#include <string>

namespace test {

/// Calls functions in order, from the last to the first, or on three threads.
struct any_executor {
    std::ptrdiff_t kind = 0;

    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
        if (kind == 0)
            return nibble::serial_executor {}.parallel_for(count, function);
        if (kind == 1)
            return reversed_executor {}.parallel_for(count, function);
        three_threads().parallel_for(count, function);
    }
};

class random_case {
public:
    explicit random_case(std::uint64_t number) : number_(number), random_((number + 1) * 0x9e3779b97f4a7c15u) {}

    /// A number that is printed.
    std::ptrdiff_t size(const char* name, std::ptrdiff_t low, std::ptrdiff_t high) { return said(name, number(low, high)); }
    std::ptrdiff_t one_of(const char* name, std::initializer_list<std::ptrdiff_t> values)
    {
        return said(name, values.begin()[number(0, static_cast<std::ptrdiff_t>(values.size()) - 1)]);
    }
    bool flag(const char* name, std::ptrdiff_t one_in = 2) { return said(name, number(1, one_in) == 1) != 0; }
    /// One of the numbers that divide `whole`.
    std::ptrdiff_t divisor(const char* name, std::ptrdiff_t whole)
    {
        std::ptrdiff_t d = number(1, whole);
        while (whole % d != 0)
            --d;
        return said(name, d);
    }
    std::ptrdiff_t said(const char* name, std::ptrdiff_t value)
    {
        said_.push_back({name, value});
        return value;
    }

    /// Data, and what else need not be printed.
    std::ptrdiff_t number(std::ptrdiff_t low, std::ptrdiff_t high)
    {
        return random_.integer(static_cast<std::int32_t>(low), static_cast<std::int32_t>(high));
    }
    float real() { return random_.real(); }
    std::uint32_t bits() { return random_.bits(); }
    /// Between 2^low and 2^(high + 1).
    float scale(int low, int high)
    {
        return nibble::float_from_bits(static_cast<std::uint32_t>(127 + number(low, high)) << 23 | (random_.bits() & 0x7fffffu));
    }
    any_executor executor() { return {number(0, 15) == 0 ? 2 : number(0, 1)}; }
    /// Codes from low to high; now and then only those two.
    template <class Memory>
    void fill(const Memory& codes, std::int32_t low, std::int32_t high)
    {
        const bool extreme = number(0, 7) == 0;
        for (std::size_t i = 0; i < codes.size(); ++i)
            codes[i]
                = static_cast<std::decay_t<decltype(codes[i])>>(extreme ? (random_.bits() & 8 ? low : high) : random_.integer(low, high));
    }
    template <class T>
    std::vector<T> codes(std::ptrdiff_t count, std::int32_t low, std::int32_t high)
    {
        std::vector<T> made(static_cast<std::size_t>(count));
        fill(span_of(made), low, high);
        return made;
    }

    /// run(executor) with every usable backend.
    template <class Run>
    void on_every_backend(Run run)
    {
        for (const nibble::backend b : backends()) {
            backend_ = to_string(b);
            expect(nibble::force_backend(b) == nibble::status::ok, "can be forced");
            run(executor());
        }
        backend_ = "";
    }
    void expect(bool right, const char* what)
    {
        if (right)
            return;
        ++failures_;
        FAIL_CHECK(text() << (*backend_ ? " on " : "") << backend_ << ": not " << what);
    }
    void ok(nibble::status s) { expect(s == nibble::status::ok, to_string(s)); }
    template <class T>
    void same(const T* found, const T* expected, std::size_t count, const char* what = "the reference's bits")
    {
        expect(same_bits(found, expected, count), what);
    }
    int failures() const { return failures_; }

    std::string text() const
    {
        std::ostringstream to;
        to << "case " << number_;
        for (const auto& [name, value] : said_)
            to << ", " << name << ' ' << value;
        return to.str();
    }

private:
    template <class T>
    static nibble::span<T> span_of(std::vector<T>& of)
    {
        return {of.data(), of.size()};
    }
    static const std::vector<nibble::backend>& backends()
    {
        static const std::vector<nibble::backend> usable = usable_backends();
        return usable;
    }

    struct named {
        const char* name;
        std::ptrdiff_t value;
    };
    std::uint64_t number_;
    random random_;
    std::vector<named> said_;
    const char* backend_ = "";
    int failures_ = 0;
};

/// run(random_case&) so many times, or until some cases have failed.
template <class Run>
void run_cases(std::uint64_t count, Run run)
{
    int failed = 0;
    for (std::uint64_t number = 0; number < count && failed < 5; ++number) {
        random_case c(number);
        run(c);
        failed += c.failures() != 0;
    }
    CHECK(failed == 0);
    REQUIRE(nibble::force_backend(nibble::best_backend()) == nibble::status::ok);
}

} // namespace test
