// Every primitive of simd/contract.md and of gemm/kernels/dot.inl, lane by lane against its contract, written for one number. A primitive
// that a backend lacks does not compile.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "primitives.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

template <class T>
using lanes_of = std::conditional_t<std::is_same_v<T, float>, floats, std::conditional_t<std::is_same_v<T, double>, doubles, ints>>;

// Bits count, but for those of NaN.
template <class T>
inline void expect(const primitives_test& t, const char* name, std::ptrdiff_t at, T got, T wanted) noexcept
{
    bool same = std::memcmp(&got, &wanted, sizeof(T)) == 0;
    if constexpr (std::is_same_v<T, float>)
        same = same || (is_nan(got) && is_nan(wanted));
    if (!same)
        t.failed(name, at, got, wanted);
}

// The lambdas that get vectors are inlined, and begin with [&]: one without a capture can become a pointer to a function, and that function
// would be compiled outside the region.

// step(operands) has the lanes plain(operands).
template <class Step, class Plain, class... T>
inline void lanes(const primitives_test& t, const char* name, Step step, Plain plain, const T*... from) noexcept
{
    using result = decltype(plain(*from...));
    constexpr std::size_t size = lanes_of<result>::size;
    for (std::ptrdiff_t i = 0; i < t.count; i += static_cast<std::ptrdiff_t>(size)) {
        result got[size];
        step(lanes_of<T>::load_unaligned(from + i)...).store_unaligned(got);
        for (std::size_t lane = 0; lane < size; ++lane) {
            const std::ptrdiff_t at = i + static_cast<std::ptrdiff_t>(lane);
            expect(t, name, at, got[lane], plain(from[at]...));
        }
    }
}

// load(from + i) has the lanes plain(from + each).
template <class Load, class Plain, class T>
inline void loads(const primitives_test& t, const char* name, Load load, Plain plain, const T* from) noexcept
{
    using result = decltype(plain(*from));
    for (std::ptrdiff_t i = 0; i < t.count; i += width) {
        result got[floats::size];
        load(from + i).store_unaligned(got);
        for (std::ptrdiff_t lane = 0; lane < width; ++lane)
            expect(t, name, i + lane, got[lane], plain(from[i + lane]));
    }
}

// store(v, to) writes plain(lane) and not a byte more.
template <class To, class Store, class Plain, class T>
inline void stores(const primitives_test& t, const char* name, Store store, Plain plain, const T* from) noexcept
{
    To* const to = reinterpret_cast<To*>(t.room + 256 - width * static_cast<std::ptrdiff_t>(sizeof(To)));
    for (std::ptrdiff_t i = 0; i < t.count; i += width) {
        to[-1] = To(77);
        store(lanes_of<T>::load_unaligned(from + i), to);
        expect(t, name, i, to[-1], To(77));
        for (std::ptrdiff_t lane = 0; lane < width; ++lane)
            expect(t, name, i + lane, to[lane], plain(from[i + lane]));
    }
}

template <class T>
inline void load_chunk(const T* from, lanes_of<T> (&v)[chunk_vectors]) noexcept
{
    for (std::size_t i = 0; i < chunk_vectors; ++i)
        v[i] = lanes_of<T>::load_unaligned(from + static_cast<std::ptrdiff_t>(i) * width);
}

// step(vectors) gives the bytes plain(operand) of every chunk.
template <class Step, class Plain, class T>
inline void chunks(const primitives_test& t, const char* name, Step step, Plain plain, const T* from) noexcept
{
    for (std::ptrdiff_t i = 0; i < t.count; i += chunk) {
        lanes_of<T> v[chunk_vectors];
        load_chunk(from + i, v);
        std::uint8_t got[chunk];
        store_bytes<8>(step(v), got);
        for (std::ptrdiff_t j = 0; j < chunk; ++j)
            expect(t, name, i + j, got[j], static_cast<std::uint8_t>(plain(from[i + j])));
    }
}

inline std::int32_t to_short(std::int32_t x) noexcept { return clamped(x, -32768, 32767); }
inline std::int32_t wrapped(std::int64_t x) noexcept { return static_cast<std::int32_t>(static_cast<std::uint32_t>(x)); }
inline std::int32_t bits_of_float(float x) noexcept { return static_cast<std::int32_t>(float_bits(x)); }
// Bits of a code in a row of them.
template <int Bits>
inline std::int32_t code_at(const std::uint8_t* codes, std::ptrdiff_t i) noexcept
{
    return codes[i * Bits / 8] >> i * Bits % 8 & ((1 << Bits) - 1);
}

// a bits b, an operator or a function of that name on both sides.
#define NIBBLE_TEST_SAME(type, vectors, name, expression, ...) \
    lanes(                                                     \
        t, name, [&](vectors a, vectors b) NIBBLE_UNROLLED { return expression; }, [](type a, type b) { return __VA_ARGS__; }, x, y)

template <class Lazy>
inline void test_arithmetic(const primitives_test& t) noexcept
{
    {
        const float *x = t.any[0], *y = t.any[1], *z = t.any[2];
        NIBBLE_TEST_SAME(float, floats, "floats +", a + b, a + b);
        NIBBLE_TEST_SAME(float, floats, "floats -", a - b, a - b);
        NIBBLE_TEST_SAME(float, floats, "floats *", a* b, a* b);
        NIBBLE_TEST_SAME(float, floats, "quotient", quotient(a, b), a / b);
        NIBBLE_TEST_SAME(float, floats, "floats <, select", select(a < b, a, b), strict_math::choose(a < b, a, b));
        NIBBLE_TEST_SAME(float, floats, "floats ==, select", select(a == b, b, floats(1.0f)), strict_math::choose(a == b, b, 1.0f));
        lanes(
            t, "fused", [&](floats a, floats b, floats c) NIBBLE_UNROLLED { return fused(a, b, c); },
            [](float a, float b, float c) { return strict_math::fma(a, b, c); }, x, y, z);
        // A fused product and sum would have one rounding.
        lanes(
            t, "opaque", [&](floats a, floats b, floats c) NIBBLE_UNROLLED { return opaque(a * b) + c; },
            [](float a, float b, float c) { return nibble::opaque(a * b) + c; }, x, y, z);
        lanes(
            t, "as_ints", [&](floats a) NIBBLE_UNROLLED { return as_ints(a); }, [](float a) { return bits_of_float(a); }, x);
        lanes(
            t, "floor_of", [&](floats a) NIBBLE_UNROLLED { return floor_of(a); }, [](float a) { return strict_math::floor(a); }, x);
        lanes(
            t, "fused of doubles", [&](doubles a, doubles b, doubles c) NIBBLE_UNROLLED { return fused(a, b, c); },
            [](double a, double b, double c) { return strict_math::fma(a, b, c); }, t.doubles[0], t.doubles[1], t.doubles[2]);
    }
    {
        // Adding 0 makes one zero of two: which of them min and max return is left open.
        const float *x = t.numbers[0], *y = t.numbers[1];
        NIBBLE_TEST_SAME(float, floats, "floats min", min(a, b) + floats(0.0f), strict_math::choose(a < b, a, b) + 0.0f);
        NIBBLE_TEST_SAME(float, floats, "floats max", max(a, b) + floats(0.0f), strict_math::choose(a > b, a, b) + 0.0f);
    }
    {
        const std::int32_t *x = t.ints[0], *y = t.ints[1];
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints +", a + b, wrapped(std::int64_t {a} + b));
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints -", a - b, wrapped(std::int64_t {a} - b));
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints *", a * b, wrapped(std::int64_t {a} * b));
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints &", a & b, a & b);
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints |", a | b, a | b);
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints ^", a ^ b, a ^ b);
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints min", min(a, b), a < b ? a : b);
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints max", max(a, b), a > b ? a : b);
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints <, select", select(a < b, a, ints(5)), a < b ? a : 5);
        NIBBLE_TEST_SAME(std::int32_t, ints, "ints ==, select", select(a == b, a, ints(5)), a == b ? a : 5);
        NIBBLE_TEST_SAME(std::int32_t, ints, "shift_left", shift_left<7>(a) ^ shift_left<31>(b),
            wrapped(std::int64_t {a} * 128) ^ static_cast<std::int32_t>(static_cast<std::uint32_t>(b) << 31));
        NIBBLE_TEST_SAME(std::int32_t, ints, "shift_right", shift_right<7>(a) ^ shift_right<31>(b),
            static_cast<std::int32_t>(static_cast<std::uint32_t>(a) >> 7 ^ static_cast<std::uint32_t>(b) >> 31));
        NIBBLE_TEST_SAME(std::int32_t, ints, "shift_right_arithmetic", shift_right_arithmetic<7>(a) ^ shift_right_arithmetic<31>(b),
            (a >> 7) ^ (b >> 31));
        lanes(
            t, "to_float", [&](ints a) NIBBLE_UNROLLED { return to_float(a); }, [](std::int32_t a) { return static_cast<float>(a); }, x);
        lanes(
            t, "as_floats", [&](ints a) NIBBLE_UNROLLED { return as_floats(a); },
            [](std::int32_t a) { return float_from_bits(static_cast<std::uint32_t>(a)); }, x);
    }
    {
        const std::int32_t *x = t.ints[0], *y = t.shifts;
        NIBBLE_TEST_SAME(std::int32_t, ints, "shift_left_by", shift_left_by(a, b), wrapped(std::int64_t {a} * (std::int64_t {1} << b)));
        NIBBLE_TEST_SAME(std::int32_t, ints, "shift_right_by", shift_right_by(a, b), a >> b);
    }
    {
        const std::int32_t *x = t.ints[0], *y = t.not_negative;
        NIBBLE_TEST_SAME(std::int32_t, ints, "rounded_high_product", rounded_high_product(a, b),
            static_cast<std::int32_t>((std::int64_t {a} * b + (std::int64_t {1} << 30)) >> 31));
        lanes(
            t, "rounded_product", [&](ints a, ints b, ints c) NIBBLE_UNROLLED { return rounded_product(a, b, c); },
            [](std::int32_t a, std::int32_t b, std::int32_t c) {
                return static_cast<std::int32_t>((std::int64_t {a} * b + (std::int64_t {1} << (30 + c))) >> (31 + c));
            },
            x, y, t.shifts);
    }
    const float* x = t.in_int32;
    lanes(
        t, "round_to_int", [&](floats a) NIBBLE_UNROLLED { return round_to_int(a); },
        [](float a) { return static_cast<std::int32_t>(strict_math::lrint(a)); }, x);
    lanes(
        t, "truncate_to_int", [&](floats a) NIBBLE_UNROLLED { return truncate_to_int(a); },
        [](float a) { return static_cast<std::int32_t>(a); }, x);
    lanes(
        t, "round_half_away_to_int", [&](floats a) NIBBLE_UNROLLED { return round_half_away_to_int(a); },
        [](float a) { return static_cast<std::int32_t>(strict_math::round(a)); }, x);

    for (std::ptrdiff_t i = 0; i < t.count; i += width) {
        float low = t.numbers[0][i], high = low;
        std::int32_t top = t.ints[0][i];
        for (std::ptrdiff_t lane = i; lane < i + width; ++lane) {
            const float number = t.numbers[0][lane];
            low = strict_math::choose(number < low, number, low);
            high = strict_math::choose(number > high, number, high);
            top = t.ints[0][lane] > top ? t.ints[0][lane] : top;
        }
        const floats v = floats::load_unaligned(t.numbers[0] + i);
        expect(t, "lowest_lane", i, lowest_lane(v) + 0.0f, low + 0.0f);
        expect(t, "highest_lane", i, highest_lane(v) + 0.0f, high + 0.0f);
        expect(t, "highest_lane of ints", i, highest_lane(ints::load_unaligned(t.ints[0] + i)), top);
    }
    for (std::ptrdiff_t i = 0; i + width * width <= t.count; i += width) {
        ints v[ints::size];
        for (std::size_t j = 0; j < ints::size; ++j)
            v[j] = ints::load_unaligned(t.ints[0] + i + static_cast<std::ptrdiff_t>(j) * width);
        std::int32_t got[ints::size];
        highest_lanes(v).store_unaligned(got);
        for (std::size_t j = 0; j < ints::size; ++j)
            expect(t, "highest_lanes", i + static_cast<std::ptrdiff_t>(j), got[j], highest_lane(v[j]));
    }
}
#undef NIBBLE_TEST_SAME

template <class Lazy>
inline void test_memory(const primitives_test& t) noexcept
{
    loads(
        t, "load_unaligned", [&](const float* p) NIBBLE_UNROLLED { return floats::load_unaligned(p); }, [](float a) { return a; },
        t.any[0]);
    loads(
        t, "broadcast", [&](const std::int32_t*) NIBBLE_UNROLLED { return ints(-77); }, [](std::int32_t) { return -77; }, t.ints[0]);
    loads(
        t, "load_s8", [&](const std::int8_t* p) NIBBLE_UNROLLED { return load_s8(p); }, [](std::int8_t a) { return std::int32_t {a}; },
        t.odd);
    loads(
        t, "load_u8", [&](const std::uint8_t* p) NIBBLE_UNROLLED { return load_u8(p); }, [](std::uint8_t a) { return std::int32_t {a}; },
        t.codes);
    loads(
        t, "load_s16", [&](const std::int16_t* p) NIBBLE_UNROLLED { return load_s16(p); }, [](std::int16_t a) { return std::int32_t {a}; },
        t.shorts[0]);
    loads(
        t, "load_half", [&](const std::uint16_t* p) NIBBLE_UNROLLED { return as_ints(load_half(p)); },
        [](std::uint16_t a) { return bits_of_float(nibble::to_float(half {a})); }, t.halves);
    loads(
        t, "load_bfloat16", [&](const std::uint16_t* p) NIBBLE_UNROLLED { return as_ints(load_bfloat16(p)); },
        [](std::uint16_t a) { return static_cast<std::int32_t>(std::uint32_t {a} << 16); }, t.halves);

    stores<std::uint8_t>(
        t, "store_low_bytes", [&](ints v, std::uint8_t* to) NIBBLE_UNROLLED { store_low_bytes(v, to); },
        [](std::int32_t a) { return static_cast<std::uint8_t>(a); }, t.ints[0]);
    stores<std::int16_t>(
        t, "store_low_shorts", [&](ints v, std::int16_t* to) NIBBLE_UNROLLED { store_low_shorts(v, to); },
        [](std::int32_t a) { return static_cast<std::int16_t>(a); }, t.bytes);
    stores<std::uint16_t>(
        t, "store_half", [&](floats v, std::uint16_t* to) NIBBLE_UNROLLED { store_half(v, to); }, [](float a) { return to_half(a).bits; },
        t.any[0]);

    // Parts of vectors at the end of memory, and what stands before and after what is stored.
    for (std::ptrdiff_t n = 0; n <= width; ++n) {
        std::int32_t whole[ints::size];
        float real[floats::size];
        load_part(t.ints[0] + t.count - n, n).store_unaligned(whole);
        load_part(t.any[0] + t.count - n, n).store_unaligned(real);
        for (std::ptrdiff_t lane = 0; lane < width; ++lane) {
            expect(t, "load_part", lane, whole[lane], lane < n ? t.ints[0][t.count - n + lane] : 0);
            expect(t, "load_part of floats", lane, real[lane], lane < n ? t.any[0][t.count - n + lane] : 0.0f);
        }
        const ints v = ints::load_unaligned(t.ints[0]), in_byte = ints::load_unaligned(t.bytes);
        const auto check = [&](const char* name, auto* end, auto store, auto plain) noexcept {
            auto* const to = end - n;
            to[-1] = 77;
            store(to);
            for (std::ptrdiff_t lane = 0; lane < n; ++lane)
                expect(t, name, lane, to[lane], plain(lane));
            if (to[-1] != 77)
                t.failed(name, -1, 0, 0);
        };
        check(
            "store_part", reinterpret_cast<std::int32_t*>(t.room + 256), [&](std::int32_t* to) NIBBLE_UNROLLED { store_part(v, to, n); },
            [&](std::ptrdiff_t lane) { return t.ints[0][lane]; });
        check(
            "store_part of floats", reinterpret_cast<float*>(t.room + 256),
            [&](float* to) NIBBLE_UNROLLED { store_part(as_floats(v), to, n); },
            [&](std::ptrdiff_t lane) { return float_from_bits(static_cast<std::uint32_t>(t.ints[0][lane])); });
        check(
            "store_codes_part", reinterpret_cast<std::uint8_t*>(t.room + 256),
            [&](std::uint8_t* to) NIBBLE_UNROLLED { store_codes_part(in_byte, to, n); },
            [&](std::ptrdiff_t lane) { return static_cast<std::uint8_t>(t.bytes[lane]); });
        check(
            "store_codes_part of int16", reinterpret_cast<std::int16_t*>(t.room + 256),
            [&](std::int16_t* to) NIBBLE_UNROLLED { store_codes_part(in_byte, to, n); },
            [&](std::ptrdiff_t lane) { return static_cast<std::int16_t>(t.bytes[lane]); });
    }
}

// Codes of `Bits` bits in and out.
template <int Bits>
inline void test_codes(const primitives_test& t) noexcept
{
    std::uint8_t* const out = reinterpret_cast<std::uint8_t*>(t.room + 256 - 4 * Bits);
    for (std::ptrdiff_t i = 0; i < t.count; i += chunk) {
        const std::uint8_t* const codes = t.codes + i / 8 * Bits;
        for (std::size_t v = 0; v < chunk_vectors; ++v) {
            std::int32_t plain[ints::size], with_sign[ints::size];
            load_codes<Bits, false>(codes, v).store_unaligned(plain);
            load_codes<Bits, true>(codes, v).store_unaligned(with_sign);
            for (std::ptrdiff_t lane = 0; lane < width; ++lane) {
                const std::int32_t code = code_at<Bits>(codes, static_cast<std::ptrdiff_t>(v) * width + lane);
                expect(t, "load_codes", i, plain[lane], code);
                expect(t, "load_codes, signed", i, with_sign[lane], code >> (Bits - 1) != 0 ? code - (1 << Bits) : code);
            }
        }
        ints v[chunk_vectors];
        load_chunk(t.bytes + i, v);
        out[-1] = 77;
        store_codes<Bits>(v, out);
        expect(t, "store_codes", i, out[-1], std::uint8_t {77});
        for (std::ptrdiff_t j = 0; j < chunk; ++j)
            expect(t, "store_codes", i + j, code_at<Bits>(out, j), t.bytes[i + j] & ((1 << Bits) - 1));
    }
}

template <class F>
inline void test_float8(const primitives_test& t) noexcept
{
    for (std::ptrdiff_t i = 0; i < t.count; i += chunk) {
        floats v[chunk_vectors];
        load_float8<F>(t.codes + i, v);
        for (std::ptrdiff_t j = 0; j < chunk; ++j) {
            float got[floats::size];
            v[j / width].store_unaligned(got);
            const float wanted = nibble::to_float(F {t.codes[i + j]});
            if (load_float8_is_exact || !is_nan(wanted))
                expect(t, "load_float8", i + j, got[j % width], wanted);
        }
    }
}

// Called by its full name: neon_dotprod has chunk_shorts from neon, whose own function would be as good a match.
// The int16 of a chunk in order: how far each reaches into every window of 255 numbers, as an int8, and the sum of that.
inline void read_shorts(const chunk_shorts& s, std::int32_t (&out)[chunk]) noexcept
{
    for (std::int32_t& x : out)
        x = -32768;
    for (std::int32_t base = -32640; base <= 32640; base += 255) {
        std::uint8_t got[chunk];
        store_bytes<8>(narrow(shifted(s, -base)), got);
        for (std::ptrdiff_t j = 0; j < chunk; ++j)
            out[j] += static_cast<std::int8_t>(got[j]) + 128;
    }
}

template <int FractionBits>
inline void test_exponents(const primitives_test& t) noexcept
{
    for (std::ptrdiff_t i = 0; i < 1024; i += chunk) {
        std::int32_t from[chunk], got[chunk];
        for (std::ptrdiff_t j = 0; j < chunk; ++j)
            from[j] = t.codes[i + j] << 23 | clamped<std::int32_t>(t.codes[i + j + 1024], 0, (255 - t.codes[i + j]) << FractionBits);
        ints v[chunk_vectors];
        load_chunk(from, v);
        NIBBLE_BACKEND_NAME::read_shorts(exponent_and_low<FractionBits>(v), got);
        for (std::ptrdiff_t j = 0; j < chunk; ++j)
            expect(t, "exponent_and_low", i + j, got[j], (from[j] >> 23 << FractionBits) + (from[j] & 255));
    }
}

// What one of the conversions to int16 may give for x, rounded to `exact`: the nearest int16; NaN is 0. Or else the least int16, if lanes
// may be wrong and int32 does not hold x, or x is NaN.
inline bool may_be_short(float x, double exact, std::int32_t got) noexcept
{
    if (is_nan(x))
        return got == (round_is_exact ? 0 : -32768);
    const std::int32_t nearest = exact < -32768.0 ? -32768 : exact > 32767.0 ? 32767 : static_cast<std::int32_t>(exact);
    const bool beyond = exact >= 2147483648.0 || exact < -2147483648.0;
    return got == nearest || (!round_is_exact && beyond && got == -32768);
}

template <class Lazy>
inline void test_chunks(const primitives_test& t) noexcept
{
    test_codes<8>(t);
    test_codes<4>(t);
    test_codes<2>(t);
    test_float8<float8_e4m3>(t);
    test_float8<float8_e5m2>(t);
    test_exponents<2>(t);
    test_exponents<3>(t);
    chunks(
        t, "narrow", [&](const ints(&v)[chunk_vectors]) NIBBLE_UNROLLED { return narrow(v); }, [](std::int32_t a) { return a; }, t.bytes);
    chunks(
        t, "is_negative", [&](const ints(&v)[chunk_vectors]) NIBBLE_UNROLLED { return is_negative(v); },
        [](std::int32_t a) { return a < 0 ? -1 : 0; }, t.ints[0]);
    chunks(
        t, "bounded, all_bytes",
        [&](const ints(&v)[chunk_vectors]) NIBBLE_UNROLLED { return bounded(narrow(v), all_bytes(-100), all_bytes(17)); },
        [](std::int32_t a) { return clamped<std::int32_t>(static_cast<std::int8_t>(a), -100, 17); }, t.bytes);
    chunks(
        t, "exclusive_or", [&](const ints(&v)[chunk_vectors]) NIBBLE_UNROLLED { return exclusive_or(narrow(v), all_bytes(0xa5)); },
        [](std::int32_t a) { return a ^ 0xa5; }, t.bytes);
    chunks(
        t, "bitwise_and", [&](const ints(&v)[chunk_vectors]) NIBBLE_UNROLLED { return bitwise_and(narrow(v), all_bytes(0xa5)); },
        [](std::int32_t a) { return a & 0xa5; }, t.bytes);
    chunks(
        t, "zero_shorts", [&](const ints(&)[chunk_vectors]) NIBBLE_UNROLLED { return narrow(zero_shorts()); },
        [](std::int32_t) { return 0; }, t.bytes);

    // One lane alone.
    for (std::ptrdiff_t j = 0; j < chunk; ++j) {
        std::int32_t whole[chunk] = {};
        float real[chunk] = {};
        std::uint8_t codes[chunk] = {};
        whole[j] = -40000;
        real[j] = float_from_bits(0xff800001u);
        codes[j] = 0x84;
        ints v[chunk_vectors];
        floats x[chunk_vectors];
        load_chunk(whole, v);
        load_chunk(real, x);
        expect(t, "any_least of one", j, any_least(lowest(zero_shorts(), to_shorts(v))), true);
        expect(t, "any_least of none", j, any_least(shifted(to_shorts(v), 1)), false);
        expect(t, "any_nan of one", j, any_nan(x), true);
        expect(t, "any_code_above of one", j, any_code_above(codes, 3), true);
        expect(t, "any_code_above of none", j, any_code_above(codes, 4), false);
    }

    for (std::ptrdiff_t i = 0; i < t.count; i += chunk) {
        floats x[chunk_vectors];
        load_chunk(t.any[0] + i, x);
        bool nan = false, above = false, least = false;
        const std::int32_t limit = t.codes[i] & 0x7f;
        for (std::ptrdiff_t j = i; j < i + chunk; ++j) {
            nan |= is_nan(t.any[0][j]);
            above |= (t.codes[j] & 0x7f) > limit;
            least |= t.ints[0][j] <= -32768 || t.ints[1][j] <= -32768;
        }
        expect(t, "any_nan", i, any_nan(x), nan);
        expect(t, "any_code_above", i, any_code_above(t.codes + i, limit), above);
        expect(t, "any_code_above its own", i, any_code_above(t.codes + i, 127), false);
        ints v[chunk_vectors], w[chunk_vectors];
        load_chunk(t.ints[0] + i, v);
        load_chunk(t.ints[1] + i, w);
        expect(t, "lowest, any_least", i, any_least(lowest(to_shorts(v), to_shorts(w))), least);
        std::uint8_t low[chunk];
        load_chunk(t.bytes + i, v);
        load_chunk(t.words + i, w);
        store_bytes<8>(narrow(lowest(to_shorts(v), to_shorts(w))), low);
        for (std::ptrdiff_t j = 0; j < chunk; ++j) {
            const std::int32_t a = t.bytes[i + j], b = to_short(t.words[i + j]);
            expect(t, "lowest", i + j, low[j], static_cast<std::uint8_t>(clamped(a < b ? a : b, -128, 127)));
        }
        expect(t, "any_least of others", i, any_least(to_shorts(v)), false);

        std::uint16_t* const out = reinterpret_cast<std::uint16_t*>(t.room + 256 - 2 * chunk);
        load_chunk(t.words + i, v);
        store_shorts(v, out);
        for (std::ptrdiff_t j = 0; j < chunk; ++j)
            expect(t, "store_shorts", i + j, std::int32_t {out[j]}, t.words[i + j]);

        const float scale = strict_math::choose(i % 64 == 0, 0.37f, 0x1p-140f);
        load_e2m1(t.codes + i / 2, scale, x);
        for (std::ptrdiff_t j = 0; j < chunk; ++j) {
            float got[floats::size];
            x[j / width].store_unaligned(got);
            const float value = nibble::to_float(float4_e2m1 {static_cast<std::uint8_t>(code_at<4>(t.codes + i / 2, j))});
            expect(t, "load_e2m1", i + j, got[j % width], value * scale);
        }
    }

    for (std::ptrdiff_t i = 0; i < t.count; i += 4 * chunk) {
        ints v[chunk_vectors];
        load_chunk(t.ints[0] + i, v);
        const std::int32_t by = to_short(t.ints[1][i]);
        std::int32_t as_they_are[chunk], moved[chunk];
        NIBBLE_BACKEND_NAME::read_shorts(to_shorts(v), as_they_are);
        NIBBLE_BACKEND_NAME::read_shorts(shifted(to_shorts(v), by), moved);
        for (std::ptrdiff_t j = 0; j < chunk; ++j) {
            expect(t, "to_shorts", i + j, as_they_are[j], to_short(t.ints[0][i + j]));
            expect(t, "shifted", i + j, moved[j], to_short(to_short(t.ints[0][i + j]) + by));
        }
    }

    // Floats to int16.
    for (std::ptrdiff_t i = 0; i < t.count; i += 4 * chunk) {
        floats x[chunk_vectors];
        load_chunk(t.any[1] + i, x);
        std::int32_t rounded[chunk], truncated[chunk], away[chunk], to_even[chunk];
        NIBBLE_BACKEND_NAME::read_shorts(round_to_shorts(x), rounded);
        ints down[chunk_vectors], up[chunk_vectors], even[chunk_vectors];
        for (std::size_t v = 0; v < chunk_vectors; ++v) {
            const floats y = within_shorts(x[v]);
            down[v] = truncate_to_int(y);
            up[v] = round_half_away_to_int(y);
            even[v] = round_to_int(y);
        }
        NIBBLE_BACKEND_NAME::read_shorts(to_shorts(down), truncated);
        NIBBLE_BACKEND_NAME::read_shorts(to_shorts(up), away);
        NIBBLE_BACKEND_NAME::read_shorts(to_shorts(even), to_even);
        for (std::ptrdiff_t j = 0; j < chunk; ++j) {
            const float number = t.any[1][i + j];
            const double nearest = static_cast<double>(strict_math::nearbyint(number));
            const auto check = [&](const char* name, std::int32_t got, double exact) noexcept {
                if (!may_be_short(number, exact, got))
                    t.failed(name, i + j, got, exact);
            };
            check("round_to_shorts", rounded[j], nearest);
            check("within_shorts, round_to_int", to_even[j], nearest);
            check("within_shorts, truncate_to_int", truncated[j], static_cast<double>(strict_math::trunc(number)));
            check("within_shorts, round_half_away_to_int", away[j], static_cast<double>(strict_math::round(number)));
        }
    }
}

// Bytes of one vector, each of two operands.
template <class Step, class Plain>
inline void vectors(const primitives_test& t, const char* name, Step step, Plain plain) noexcept
{
    constexpr std::ptrdiff_t bytes = static_cast<std::ptrdiff_t>(sizeof(vector));
    std::byte* const out = t.room + 256 - bytes;
    for (std::ptrdiff_t i = 0; i + bytes <= t.count; i += bytes) {
        const std::byte *a = reinterpret_cast<const std::byte*>(t.codes + i), *b = reinterpret_cast<const std::byte*>(t.odd + i);
        out[-1] = std::byte {77};
        store_vector(step(load_vector(a), load_vector(b)), out);
        expect(t, name, i, static_cast<std::uint8_t>(out[-1]), std::uint8_t {77});
        for (std::ptrdiff_t j = 0; j < bytes; ++j)
            expect(t, name, i + j, static_cast<std::uint8_t>(out[j]), static_cast<std::uint8_t>(plain(t.codes[i + j], t.odd[i + j])));
    }
}

// Sums of products of int16 with int8.
template <class X>
inline void test_add_products(const primitives_test& t, const X* a, const X* b) noexcept
{
    std::int32_t* const out = reinterpret_cast<std::int32_t*>(t.room + 256) - short_lanes;
    for (std::ptrdiff_t i = 0; i + short_lanes <= t.count; i += short_lanes) {
        const std::int8_t *w = t.odd + i, *u = t.small[0] + i;
        ints low(1000), high(1000);
        add_products(low, high, paired(load_shorts(a + i), load_shorts(b + i)), paired(load_shorts(w), load_shorts(u)));
        add_products(low, high, paired(all_shorts(-300), all_shorts(7)), paired(load_shorts(u), load_shorts(w)));
        store_sums(low, high, out);
        for (std::ptrdiff_t j = 0; j < short_lanes; ++j)
            expect(t, "add_products", i + j, out[j], 1000 + a[i + j] * w[j] + b[i + j] * u[j] - 300 * u[j] + 7 * w[j]);
    }
    // Reads `count`, not one more: the rest is zeros.
    for (std::ptrdiff_t n = 0; n <= short_lanes + 1; ++n) {
        ints low(0), high(0);
        const std::ptrdiff_t first = t.count - n;
        add_products(low, high, paired(load_some_shorts(a + first, n), all_shorts(0)), paired(all_shorts(3), all_shorts(0)));
        store_sums(low, high, out);
        for (std::ptrdiff_t j = 0; j < short_lanes; ++j)
            expect(t, "load_some_shorts", j, out[j], j < n ? 3 * a[first + j] : 0);
    }
}

// One quad of stored activations times stored weights of ints::size columns, in parts.
template <bool OneGroup, class Activation>
inline ints multiply_quad(ints sum, const Activation* a, const std::byte* w) noexcept
{
    const auto weights = OneGroup ? load8_of_group(w, true) : load8(w);
    unroll<quad_parts>([&](auto part) NIBBLE_UNROLLED {
        constexpr std::size_t p = decltype(part)::value;
        const auto x = spread8<p>(reinterpret_cast<const activation8*>(a));
        sum = OneGroup ? dot8_of_group(sum, x, part8<p>(weights)) : dot8(sum, x, part8<p>(weights));
    });
    return sum;
}

template <bool OneGroup>
inline void test_quads(const primitives_test& t) noexcept
{
    using stored = std::conditional_t<OneGroup, group_activation8, activation8>;
    constexpr std::int32_t plus = std::is_same_v<stored, std::uint8_t> ? 128 : 0, weight_plus = OneGroup && plus != 0 ? 0 : weight_offset8;
    for (std::ptrdiff_t i = 0; i + 4 * width <= t.count; i += 4 * width) {
        const std::int8_t* a = t.odd + t.count - 4 - i;
        stored quad[4];
        for (std::size_t k = 0; k < 4; ++k) // the even k first where a quad is multiplied in two parts
            quad[quad_parts == 2 ? k % 2 * 2 + k / 2 : k] = static_cast<stored>(a[k] + plus);
        std::int32_t got[ints::size];
        multiply_quad<OneGroup>(ints(-5), quad, reinterpret_cast<const std::byte*>(t.odd + i)).store_unaligned(got);
        for (std::ptrdiff_t column = 0; column < width; ++column) {
            std::int32_t wanted = -5;
            for (std::ptrdiff_t k = 0; k < 4; ++k)
                wanted += (a[k] + plus) * (t.odd[i + 4 * column + k] + weight_plus);
            expect(t, OneGroup ? "dot8_of_group" : "dot8", i + column, got[column], wanted);
        }
    }
}

template <class Lazy>
inline void test_products(const primitives_test& t) noexcept
{
    vectors(
        t, "load_vector, store_vector", [&](vector a, vector) NIBBLE_UNROLLED { return a; }, [](int a, int) { return a; });
    vectors(
        t, "or_vector", [&](vector a, vector b) NIBBLE_UNROLLED { return or_vector(a, b); }, [](int a, int b) { return a | b; });
    vectors(
        t, "bits_of<0>", [&](vector a, vector) NIBBLE_UNROLLED { return bits_of<0, 15>(a); }, [](int a, int) { return a & 15; });
    vectors(
        t, "bits_of<3>", [&](vector a, vector) NIBBLE_UNROLLED { return bits_of<3, 31>(a); }, [](int a, int) { return a >> 3 & 31; });
    vectors(
        t, "bits_of<6>", [&](vector a, vector) NIBBLE_UNROLLED { return bits_of<6, 1>(a); }, [](int a, int) { return a >> 6 & 1; });
    vectors(
        t, "bits_of<-2>", [&](vector a, vector) NIBBLE_UNROLLED { return bits_of<-2, 0xfc>(a); }, [](int a, int) { return a << 2 & 0xfc; });
    vectors(
        t, "add_bytes", [&](vector a, vector) NIBBLE_UNROLLED { return add_bytes(a, -77); }, [](int a, int) { return a - 77; });
    static constexpr std::int8_t table[16] = {-128, 127, 0, 1, -1, 5, 17, 99, -99, 64, 32, -2, 8, -8, 100, 3};
    vectors(
        t, "look_up", [&](vector a, vector) NIBBLE_UNROLLED { return look_up(table, bits_of<4, 15>(a)); },
        [](int a, int) { return table[a >> 4]; });

    test_add_products(t, t.shorts[0], t.shorts[1]);
    test_add_products(t, t.odd, t.small[1]);

    test_quads<false>(t);
    test_quads<true>(t);
    // The longest chain of 4-bit weights, at its ends too, and weights that fill a byte.
    for (std::ptrdiff_t i = 0; i + 16 * width * (chain_quads / 2) <= t.count; i += 4 * width) {
        const std::int8_t* const a = t.odd + i % 512;
        chain4 chain = begin_chain(ints(11));
        for (std::ptrdiff_t q = 0; q < chain_quads; q += 2) {
            weights4 low, high;
            load4(reinterpret_cast<const std::byte*>(t.codes + i + 2 * q * width), low, high);
            chain = dot4(dot4(chain, spread_quad(a + 4 * q), low), spread_quad(a + 4 * q + 4), high);
        }
        std::int32_t got[ints::size], wide[ints::size];
        end_chain(ints(11), chain).store_unaligned(got);
        std::int8_t stored[4 * ints::size];
        for (std::ptrdiff_t j = 0; j < 4 * width; ++j)
            stored[j] = static_cast<std::int8_t>(static_cast<std::uint8_t>(t.small[0][i + j] + weight_offset8));
        dot_wide(ints(-3), spread_quad(t.small[1] + i), load_vector(reinterpret_cast<const std::byte*>(stored))).store_unaligned(wide);
        for (std::ptrdiff_t column = 0; column < width; ++column) {
            std::int32_t wanted = 11, wanted_wide = -3;
            for (std::ptrdiff_t q = 0; q < chain_quads; ++q)
                for (std::ptrdiff_t k = 0; k < 4; ++k) {
                    const std::int32_t pair = t.codes[i + q / 2 * 4 * width + 4 * column + k];
                    wanted += a[4 * q + k] * (q % 2 == 0 ? pair & 15 : pair >> 4);
                }
            for (std::ptrdiff_t k = 0; k < 4; ++k)
                wanted_wide += t.small[1][i + k] * (t.small[0][i + 4 * column + k] + weight_offset8);
            expect(t, "dot4", i + column, got[column], wanted);
            expect(t, "dot_wide", i + column, wide[column], wanted_wide);
        }
    }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
