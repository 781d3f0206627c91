// float <-> half and bfloat16.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "convert.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// body(from, to) takes a chunk.
template <class From, class To, class Body>
inline void convert_chunks(const convert_args& args, Body body) noexcept
{
    const From* from = static_cast<const From*>(args.from);
    To* to = static_cast<To*>(args.to);
    std::ptrdiff_t i = 0;
    for (; i + chunk <= args.count; i += chunk)
        body(from + i, to + i);
    if (i < args.count) {
        From in[chunk] = {};
        To out[chunk];
        const std::size_t rest = static_cast<std::size_t>(args.count - i);
        std::memcpy(in, from + i, rest * sizeof(From));
        body(in, out);
        std::memcpy(to + i, out, rest * sizeof(To));
    }
}

// body(from, to) takes a vector.
template <class From, class To, class Body>
inline void convert(const convert_args& args, Body body) noexcept
{
    convert_chunks<From, To>(args, [&](const From* from, To* to) noexcept {
        unroll<chunk_vectors>([&](std::size_t v) NIBBLE_UNROLLED {
            const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(v) * width;
            body(from + lane, to + lane);
        });
    });
}

template <class Lazy>
inline void f32_to_half(const convert_args& args) noexcept
{
    convert<float, std::uint16_t>(args, [](const float* x, std::uint16_t* h) { store_half(floats::load_unaligned(x), h); });
}
template <class Lazy>
inline void half_to_f32(const convert_args& args) noexcept
{
    convert<std::uint16_t, float>(args, [](const std::uint16_t* h, float* x) { load_half(h).store_unaligned(x); });
}

// The hardware's own bfloat16 conversions flush subnormals, hence integer arithmetic.
template <class Lazy>
inline void f32_to_bfloat16(const convert_args& args) noexcept
{
    convert_chunks<float, std::uint16_t>(args, [](const float* from, std::uint16_t* to) noexcept {
        floats x[chunk_vectors];
        ints rounded[chunk_vectors];
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
            x[i] = floats::load_unaligned(from + static_cast<std::ptrdiff_t>(i) * width);
            const ints u = as_ints(x[i]);
            rounded[i] = shift_right<16>(u + (shift_right<16>(u) & ints(1)) + ints(0x7fff));
        });
        if (any_nan(x))
            unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
                const ints u = as_ints(x[i]);
                rounded[i] = select(ints(infinity_bits) < (u & ints(magnitude_mask)), shift_right<16>(u) | ints(0x40), rounded[i]);
            });
        store_shorts(rounded, to);
    });
}
template <class Lazy>
inline void bfloat16_to_f32(const convert_args& args) noexcept
{
    convert<std::uint16_t, float>(args, [](const std::uint16_t* h, float* x) { load_bfloat16(h).store_unaligned(x); });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
