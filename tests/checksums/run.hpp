// The data that the checksums are made from, and how an operation is run: what is hashed, with how many threads, in which way.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <type_traits>
#include <vector>

#include <nibble/nibble.hpp>
#include <nibble/reference/reference.hpp>
#include <nibble/thread_pool.hpp>

using namespace nibble;

namespace {

// Data. Integers and bits only: a float that is computed could depend on flags.

class numbers {
public:
    explicit numbers(std::uint64_t seed) : state_(seed * 2 + 1) {}

    std::uint32_t bits()
    {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>(state_ >> 33) ^ static_cast<std::uint32_t>(state_ >> 13);
    }
    std::int32_t integer(std::int32_t low, std::int32_t high)
    {
        return low + static_cast<std::int32_t>(bits() % static_cast<std::uint32_t>(high - low + 1));
    }
    // +-[2^low, 2^(high + 1))
    std::uint32_t real(std::int32_t low, std::int32_t high)
    {
        const std::uint32_t exponent = static_cast<std::uint32_t>(127 + integer(low, high)) << 23;
        return (bits() & 0x807fffffu) | exponent;
    }
    // Mostly ordinary; ties of quantization, both zeros, subnormals and the greatest numbers among them.
    std::uint32_t finite()
    {
        static constexpr std::uint32_t special[]
            = {0x00000000u, 0x80000000u, 0x3f000000u, 0xbf000000u, 0x3fc00000u, 0x40200000u, 0xc0200000u, 0x00000001u, 0x80000001u,
                0x000adb45u, 0x807fffffu, 0x00800000u, 0x42fd0000u, 0xc3008000u, 0x7149f2cau, 0xff7fffffu};
        return integer(0, 7) == 0 ? special[integer(0, 15)] : real(-9, 1);
    }
    std::uint32_t any()
    {
        static constexpr std::uint32_t special[] = {0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc12345u};
        return integer(0, 15) == 0 ? special[integer(0, 3)] : finite();
    }

private:
    std::uint64_t state_;
};

template <class T>
void set_bits(T& x, std::uint32_t bits)
{
    std::memcpy(static_cast<void*>(&x), &bits, sizeof x);
}

template <class T, class Next>
std::vector<T> filled(std::ptrdiff_t count, Next next)
{
    std::vector<T> x(static_cast<std::size_t>(count));
    for (T& e : x)
        set_bits(e, next());
    return x;
}

// What outputs are before they are written: bytes between rows are hashed too, and must stay as they were.
template <class T>
std::vector<T> untouched(std::ptrdiff_t count)
{
    return filled<T>(count, [] { return 0xa5a5a5a5u; });
}

float scale_between(numbers& random, std::int32_t low, std::int32_t high)
{
    float s;
    set_bits(s, random.real(low, high) & 0x7fffffffu);
    return s;
}

// Runs.

// As they are, or of 7 bits.
template <bool Reduced, class Activations>
auto activations(Activations of)
{
    if constexpr (Reduced)
        return reduced_range(of);
    else
        return of;
}

struct variant {
    const char* name;
    int threads;
    bool single_rows, hostile_mode, reference;
};

class run {
public:
    explicit run(const variant& how) : how_(how) {}

    bool reference()
    {
        has_reference = true;
        return how_.reference;
    }
    nibble::thread_pool& threads()
    {
        // Started once: emulators keep memory for every thread that ever ran.
        static std::map<int, nibble::thread_pool> pools;
        has_threads = true;
        return pools.try_emplace(how_.threads, static_cast<std::size_t>(how_.threads)).first->second;
    }
    template <class Function>
    void rows(std::ptrdiff_t m, Function function)
    {
        has_rows = true;
        const std::ptrdiff_t step = how_.single_rows ? 1 : m;
        for (std::ptrdiff_t i = 0; i < m; i += step)
            function(i, step);
    }
    void must(status s) const
    {
        if (s != status::ok) {
            std::printf("refused: %s\n", to_string(s));
            std::exit(1);
        }
    }
    template <class T>
    void output(const std::vector<T>& out)
    {
        static_assert(sizeof(T) <= 4 || std::is_same_v<T, double>, "no padding is hashed");
        std::uint64_t hash = cases.empty() ? 0xcbf29ce484222325u : cases.back();
        const unsigned char* bytes = reinterpret_cast<const unsigned char*>(out.data());
        for (std::size_t i = 0; i < out.size() * sizeof(T); ++i)
            hash = (hash ^ bytes[i]) * 0x100000001b3u;
        cases.push_back(hash);
    }

    bool has_reference = false, has_threads = false, has_rows = false;
    std::vector<std::uint64_t> cases; // the hash after each case

private:
    const variant& how_;
};

} // namespace
