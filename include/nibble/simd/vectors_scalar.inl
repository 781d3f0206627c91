// The vectors of the scalar backend: one lane, with the few operations of xsimd that the kernels use.
NIBBLE_BEGIN
namespace scalar {

struct ints {
    static constexpr std::size_t size = 1;
    std::int32_t v;
    ints() noexcept = default;
    explicit ints(std::int32_t x) noexcept : v(x) {}
    static ints load_unaligned(const std::int32_t* p) noexcept { return ints(*p); }
    void store_unaligned(std::int32_t* p) const noexcept { *p = v; }
};

struct floats {
    static constexpr std::size_t size = 1;
    float v;
    floats() noexcept = default;
    explicit floats(float x) noexcept : v(x) {}
    static floats load_unaligned(const float* p) noexcept { return floats(*p); }
    void store_unaligned(float* p) const noexcept { *p = v; }
};

struct doubles {
    static constexpr std::size_t size = 1;
    double v;
    doubles() noexcept = default;
    explicit doubles(double x) noexcept : v(x) {}
    static doubles load_unaligned(const double* p) noexcept { return doubles(*p); }
    void store_unaligned(double* p) const noexcept { *p = v; }
};

// int32 arithmetic wraps, as it does in vectors.
inline ints operator+(ints a, ints b) noexcept
{
    return ints(static_cast<std::int32_t>(static_cast<std::uint32_t>(a.v) + static_cast<std::uint32_t>(b.v)));
}
inline ints operator-(ints a, ints b) noexcept
{
    return ints(static_cast<std::int32_t>(static_cast<std::uint32_t>(a.v) - static_cast<std::uint32_t>(b.v)));
}
inline ints operator*(ints a, ints b) noexcept
{
    return ints(static_cast<std::int32_t>(static_cast<std::uint32_t>(a.v) * static_cast<std::uint32_t>(b.v)));
}
inline ints operator&(ints a, ints b) noexcept { return ints(a.v & b.v); }
inline ints operator|(ints a, ints b) noexcept { return ints(a.v | b.v); }
inline ints operator^(ints a, ints b) noexcept { return ints(a.v ^ b.v); }
inline bool operator<(ints a, ints b) noexcept { return a.v < b.v; }
inline bool operator==(ints a, ints b) noexcept { return a.v == b.v; }
inline ints min(ints a, ints b) noexcept { return a.v < b.v ? a : b; }
inline ints max(ints a, ints b) noexcept { return a.v > b.v ? a : b; }
inline ints choose(bool c, ints a, ints b) noexcept { return c ? a : b; }

inline floats operator+(floats a, floats b) noexcept { return floats(a.v + b.v); }
inline floats operator-(floats a, floats b) noexcept { return floats(a.v - b.v); }
inline floats operator*(floats a, floats b) noexcept { return floats(a.v * b.v); }
inline floats quotient(floats a, floats b) noexcept { return floats(a.v / b.v); }
inline bool operator<(floats a, floats b) noexcept { return a.v < b.v; }
inline bool operator==(floats a, floats b) noexcept { return a.v == b.v; }
inline floats min(floats a, floats b) noexcept { return floats(strict_math::choose(a.v < b.v, a.v, b.v)); }
inline floats max(floats a, floats b) noexcept { return floats(strict_math::choose(a.v > b.v, a.v, b.v)); }
inline floats fused(floats a, floats b, floats c) noexcept { return floats(strict_math::fma(a.v, b.v, c.v)); }
inline doubles fused(doubles a, doubles b, doubles c) noexcept { return doubles(strict_math::fma(a.v, b.v, c.v)); }
inline floats opaque(floats x) noexcept { return floats(nibble::opaque(x.v)); }
inline floats select(bool c, floats a, floats b) noexcept { return floats(strict_math::choose(c, a.v, b.v)); }
inline floats to_float(ints a) noexcept { return floats(static_cast<float>(a.v)); }

inline ints as_ints(floats x) noexcept { return ints(static_cast<std::int32_t>(float_bits(x.v))); }
inline floats as_floats(ints x) noexcept { return floats(float_from_bits(static_cast<std::uint32_t>(x.v))); }
inline ints round_to_int(floats x) noexcept { return ints(static_cast<std::int32_t>(strict_math::lrint(x.v))); }
template <int Count>
inline ints shift_left(ints v) noexcept
{
    return ints(static_cast<std::int32_t>(static_cast<std::uint32_t>(v.v) << Count));
}
template <int Count>
inline ints shift_right(ints v) noexcept
{
    return ints(static_cast<std::int32_t>(static_cast<std::uint32_t>(v.v) >> Count));
}
inline void store_low_bytes(ints v, void* out) noexcept { *static_cast<std::uint8_t*>(out) = static_cast<std::uint8_t>(v.v); }
inline ints load_s8(const void* p) noexcept { return ints(*static_cast<const std::int8_t*>(p)); }
inline ints load_s16(const std::int16_t* p) noexcept { return ints(*p); }
inline void store_low_shorts(ints v, std::int16_t* out) noexcept { *out = static_cast<std::int16_t>(v.v); }
inline ints load_u8(const void* p) noexcept { return ints(*static_cast<const std::uint8_t*>(p)); }
template <int Count>
inline ints shift_right_arithmetic(ints v) noexcept
{
    return ints(v.v >> Count);
}
inline ints shift_left_by(ints v, ints n) noexcept { return ints(static_cast<std::int32_t>(static_cast<std::uint32_t>(v.v) << n.v)); }
inline ints shift_right_by(ints v, ints n) noexcept { return ints(v.v >> n.v); }
inline ints rounded_product(ints x, ints m, ints n) noexcept
{
    const std::int64_t product = static_cast<std::int64_t>(x.v) * m.v + (std::int64_t {1} << (30 + n.v));
    return ints(static_cast<std::int32_t>(product >> (31 + n.v)));
}
inline ints rounded_high_product(ints x, ints m) noexcept { return rounded_product(x, m, ints(0)); }
inline floats load_half(const void* p) noexcept
{
    half h;
    std::memcpy(&h, p, 2);
    return floats(nibble::to_float(h));
}
inline void store_half(floats x, void* p) noexcept
{
    const half h = to_half(x.v);
    std::memcpy(p, &h, 2);
}
inline floats load_bfloat16(const void* p) noexcept
{
    bfloat16 h;
    std::memcpy(&h, p, 2);
    return floats(nibble::to_float(h));
}
inline float lowest_lane(floats v) noexcept { return v.v; }
inline float highest_lane(floats v) noexcept { return v.v; }
inline std::int32_t highest_lane(ints v) noexcept { return v.v; }
inline ints highest_lanes(const ints (&m)[1]) noexcept { return m[0]; }

} // namespace scalar
NIBBLE_END
