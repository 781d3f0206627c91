// float <-> half and bfloat16.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

template <class From, class To, class Step>
inline void convert(const convert_args& args, Step step) noexcept
{
    const From* from = static_cast<const From*>(args.from);
    To* to = static_cast<To*>(args.to);
    std::ptrdiff_t i = 0;
    for (; i + chunk <= args.count; i += chunk)
        unroll<chunk_vectors>([&](auto v) {
            const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(std::size_t {v}) * width;
            step(from + i + lane, to + i + lane);
        });
    for (; i + width <= args.count; i += width)
        step(from + i, to + i);
    if (i < args.count) {
        From in[floats::size] = {};
        To out[floats::size];
        const std::size_t rest = static_cast<std::size_t>(args.count - i);
        std::memcpy(in, from + i, rest * sizeof(From));
        step(in, out);
        std::memcpy(to + i, out, rest * sizeof(To));
    }
}

inline void f32_to_half(const convert_args& args) noexcept
{
    convert<float, std::uint16_t>(args, [](const float* x, std::uint16_t* h) { store_half(floats::load_unaligned(x), h); });
}
inline void half_to_f32(const convert_args& args) noexcept
{
    convert<std::uint16_t, float>(args, [](const std::uint16_t* h, float* x) { load_half(h).store_unaligned(x); });
}
inline void f32_to_bfloat16(const convert_args& args) noexcept
{
    convert<float, std::uint16_t>(args, [](const float* x, std::uint16_t* h) { store_bfloat16(floats::load_unaligned(x), h); });
}
inline void bfloat16_to_f32(const convert_args& args) noexcept
{
    convert<std::uint16_t, float>(args, [](const std::uint16_t* h, float* x) { load_bfloat16(h).store_unaligned(x); });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
