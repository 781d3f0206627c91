// Every primitive on every backend that this CPU runs, on special values and random ones, against simd/contract.md.
#undef NIBBLE_EXTERN_KERNELS // the kernels tested here are in no library
#include "primitives.hpp"

#include "../support.hpp"

#define NIBBLE_KERNEL_LIST "kernels/primitives.inc"
#include <nibble/backend/dispatch.hpp>

#include <string>

using namespace nibble;

namespace {

constexpr std::ptrdiff_t count = 16384;

std::string failures;
int failed = 0;

void note(const char* primitive, std::ptrdiff_t at, double got, double wanted)
{
    if (++failed <= 5)
        failures
            += std::string(primitive) + " at " + std::to_string(at) + ": " + std::to_string(got) + ", not " + std::to_string(wanted) + "\n";
}

// Zeros, infinities, NaNs, ends of types, halves of what is rounded, and their neighbours.
std::vector<float> special_floats()
{
    std::vector<float> specials;
    for (const std::uint32_t bits : {0x00000000u, 0x00000001u, 0x007fffffu, 0x00800000u, 0x00800001u, 0x7f7fffffu, 0x7f800000u, 0x7f800001u,
             0x7fc00000u, 0x7fffffffu, 0x3effffffu, 0x3f000000u, 0x3f000001u, 0x3f800000u, 0x3fc00000u, 0x40200000u, 0x4afffffdu,
             0x4affffffu, 0x4b000000u, 0x4b400000u, 0x4b800000u, 0x46fffc00u, 0x46fffe00u, 0x46ffff00u, 0x47000000u, 0x47000080u,
             0x47000100u, 0x4effffffu, 0x4f000000u, 0x4f000001u, 0x4f800000u, 0x42fd0000u, 0x42fe0000u, 0x42ff0000u, 0x43000000u,
             0x477fe000u, 0x477fefffu, 0x477ff000u, 0x33000000u, 0x33000001u, 0x33800000u, 0x387fc000u, 0x38800000u})
        for (const std::uint32_t sign : {0u, 0x80000000u})
            specials.push_back(float_from_bits(bits | sign));
    return specials;
}

std::vector<std::int32_t> special_ints()
{
    std::vector<std::int32_t> specials {INT32_MIN, INT32_MIN + 1, INT32_MAX, INT32_MAX - 1, 0, 1, -1, 2, 1 << 30, -(1 << 30)};
    for (const std::int32_t end : {128, 256, 32768, 65536, 16777216})
        for (std::int32_t i = -1; i <= 1; ++i) {
            specials.push_back(end + i);
            specials.push_back(-end + i);
        }
    return specials;
}

template <class T>
class operands {
public:
    template <class Next>
    explicit operands(Next next) : memory_(count)
    {
        for (std::ptrdiff_t i = 0; i < count; ++i)
            memory_.data()[i] = next(i);
    }
    operator const T*() const { return memory_.data(); }

private:
    test::guarded<T> memory_;
};

} // namespace

TEST_CASE("every primitive does what its contract says, on every backend")
{
    const std::vector<float> floats = special_floats();
    const std::vector<std::int32_t> ints = special_ints();
    test::random random(1);
    // All pairs of special values, then random ones, of all sizes.
    const auto pairs = [](const auto& specials, auto other) {
        return [=](int which) {
            return [=](std::ptrdiff_t i) {
                const std::size_t n = specials.size(), at = static_cast<std::size_t>(i);
                return which == 2 && i % 2 == 0 ? specials[at / 2 % n]
                       : at >= n * n            ? other()
                       : which == 0             ? specials[at / n]
                                                : specials[at % n];
            };
        };
    };
    const auto any_float = [&] {
        const float x = float_from_bits(random.bits());
        return random.bits() % 2 == 0 ? x : static_cast<float>(random.integer(-400000, 400000)) / 8.0f;
    };
    const auto number = [&] {
        const float x = any_float();
        return is_nan(x) ? 3.0f : x;
    };
    const auto any_int = [&] { return static_cast<std::int32_t>(random.bits()) >> random.integer(0, 31); };
    const auto any_above = [&](std::ptrdiff_t i) { return i % 8 == 0 ? INT32_MAX : any_int() & INT32_MAX; };
    std::vector<float> numbers, small_floats;
    for (const float x : floats) {
        if (!is_nan(x))
            numbers.push_back(x);
        if (!is_nan(x) && x >= -2147483648.0f && x < 2147483648.0f)
            small_floats.push_back(x);
    }
    const auto in_int32
        = [&] { return static_cast<float>(random.integer(-1000000, 1000000)) / static_cast<float>(1 << random.integer(0, 20)); };

    const auto f = pairs(floats, any_float);
    const auto n = pairs(numbers, number);
    const auto s = pairs(small_floats, in_int32);
    const auto z = pairs(ints, any_int);
    const auto real = [&](std::ptrdiff_t) { return static_cast<double>(random.real()) * static_cast<double>(random.real()); };
    const auto between = [&]([[maybe_unused]] auto type, std::int32_t low, std::int32_t high) {
        return [&random, low, high](std::ptrdiff_t) {
            const std::int32_t end = random.integer(0, 7);
            return static_cast<decltype(type)>(end == 0 ? low : end == 1 ? high : random.integer(low, high));
        };
    };
    const operands<float> any0(f(0)), any1(f(1)), any2(f(2)), number0(n(0)), number1(n(1)), moderate(s(1));
    const operands<double> double0(real), double1(real), double2(real);
    const operands<std::int32_t> int0(z(0)), int1(z(1)), int2(z(2)), not_negative(any_above), shifts(between(1, 0, 31)),
        bytes(between(1, -128, 255)), words(between(1, 0, 65535));
    const operands<std::uint8_t> codes(between(std::uint8_t {}, 0, 255));
    const operands<std::int16_t> short0(between(std::int16_t {}, -32768, 32767)), short1(between(std::int16_t {}, -32768, 32767));
    const operands<std::int8_t> small0(between(std::int8_t {}, -127, 127)), small1(between(std::int8_t {}, -127, 127)),
        odd(between(std::int8_t {}, -128, 127));
    test::guarded<std::byte> room(256);

    for (const backend b : test::usable_backends()) {
        failures.clear();
        failed = 0;
        for (std::uint32_t quarter = 0; quarter < 4; ++quarter) {
            const operands<std::uint16_t> halves(
                [&](std::ptrdiff_t i) { return static_cast<std::uint16_t>(quarter * 16384u + static_cast<std::uint32_t>(i)); });
            const primitives_test t {count, {any0, any1, any2}, {number0, number1}, moderate, {double0, double1, double2},
                {int0, int1, int2}, not_negative, shifts, bytes, words, codes, halves, {short0, short1}, {small0, small1}, odd, room.data(),
                note};
            kernels::test_memory(b)(t);
            if (quarter == 0) {
                kernels::test_arithmetic(b)(t);
                kernels::test_chunks(b)(t);
                kernels::test_products(b)(t);
            }
        }
        INFO(to_string(b) << ", " << failed << " failures\n" << failures);
        CHECK(failed == 0);
    }
}
