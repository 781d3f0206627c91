// The primitives of the scalar backend: a vector has one lane. contract.md says what each one does.
NIBBLE_BEGIN
namespace scalar {

inline constexpr std::ptrdiff_t width = 1, chunk = 32;
inline constexpr std::size_t chunk_vectors = 32;
inline constexpr int vector_registers = 16;

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

// Arithmetic

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

inline ints select(bool c, ints a, ints b) noexcept { return c ? a : b; }
inline floats select(bool c, floats a, floats b) noexcept { return floats(strict_math::choose(c, a.v, b.v)); }
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

// Conversions

inline floats to_float(ints a) noexcept { return floats(static_cast<float>(a.v)); }
inline ints as_ints(floats x) noexcept { return ints(static_cast<std::int32_t>(float_bits(x.v))); }
inline floats as_floats(ints x) noexcept { return floats(float_from_bits(static_cast<std::uint32_t>(x.v))); }
inline ints round_to_int(floats x) noexcept { return ints(static_cast<std::int32_t>(strict_math::lrint(x.v))); }
inline ints truncate_to_int(floats x) noexcept { return ints(static_cast<std::int32_t>(x.v)); }
inline ints round_half_away_to_int(floats x) noexcept { return ints(static_cast<std::int32_t>(strict_math::round(x.v))); }
inline floats floor_of(floats x) noexcept { return floats(strict_math::floor(x.v)); }
// A cast of what int32 cannot hold is undefined, hence bounds.
inline floats within_shorts(floats x) noexcept
{
    const floats low(-32768.0f);
    return select(x == x, max(min(x, floats(32767.0f)), low), low);
}

// Memory

inline ints load_s8(const void* p) noexcept { return ints(*static_cast<const std::int8_t*>(p)); }
inline ints load_u8(const void* p) noexcept { return ints(*static_cast<const std::uint8_t*>(p)); }
inline ints load_s16(const std::int16_t* p) noexcept { return ints(*p); }
inline floats load_half(const void* p) noexcept
{
    half h;
    std::memcpy(&h, p, 2);
    return floats(nibble::to_float(h));
}
inline floats load_bfloat16(const void* p) noexcept
{
    bfloat16 h;
    std::memcpy(&h, p, 2);
    return floats(nibble::to_float(h));
}
inline void store_low_bytes(ints v, void* out) noexcept { *static_cast<std::uint8_t*>(out) = static_cast<std::uint8_t>(v.v); }
inline void store_low_shorts(ints v, std::int16_t* out) noexcept { *out = static_cast<std::int16_t>(v.v); }
inline void store_half(floats x, void* p) noexcept
{
    const half h = to_half(x.v);
    std::memcpy(p, &h, 2);
}

// Across lanes

inline float lowest_lane(floats v) noexcept { return v.v; }
inline float highest_lane(floats v) noexcept { return v.v; }
inline std::int32_t highest_lane(ints v) noexcept { return v.v; }
inline ints highest_lanes(const ints (&m)[1]) noexcept { return m[0]; }

// Chunks

struct chunk_bytes {
    std::int8_t v[chunk];
};
struct chunk_shorts {
    std::int16_t v[chunk];
};
inline constexpr bool round_is_exact = false;
inline chunk_bytes narrow(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_bytes b;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        b.v[i] = static_cast<std::int8_t>(static_cast<std::uint8_t>(v[i].v));
    return b;
}
inline chunk_bytes narrow(const chunk_shorts& s) noexcept
{
    chunk_bytes b;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        b.v[i] = static_cast<std::int8_t>(clamped<std::int32_t>(s.v[i], -128, 127));
    return b;
}
inline chunk_shorts round_to_shorts(const floats (&t)[chunk_vectors]) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i) {
        const float below = t[i].v < 32767.0f ? t[i].v : 32767.0f, bounded = below < -32768.0f ? -32768.0f : below;
        // A sum with 1.5 * 2^23 rounds to integers, which stand in its last bits.
        const std::int32_t rounded = static_cast<std::int32_t>(float_bits(bounded + 12582912.0f) - 0x4b400000u);
        s.v[i] = static_cast<std::int16_t>(is_nan(t[i].v) ? -32768 : rounded);
    }
    return s;
}
inline chunk_shorts to_shorts(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        s.v[i] = static_cast<std::int16_t>(clamped(v[i].v, -32768, 32767));
    return s;
}
inline chunk_shorts zero_shorts() noexcept { return {}; }
inline chunk_shorts lowest(const chunk_shorts& a, const chunk_shorts& b) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        s.v[i] = smaller(a.v[i], b.v[i]);
    return s;
}
inline bool any_least(const chunk_shorts& s) noexcept
{
    bool any = false;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        any |= s.v[i] == -32768;
    return any;
}
inline chunk_shorts shifted(const chunk_shorts& a, std::int32_t by) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i) {
        s.v[i] = static_cast<std::int16_t>(clamped(a.v[i] + by, -32768, 32767));
    }
    return s;
}
inline chunk_bytes all_bytes(std::int32_t v) noexcept
{
    chunk_bytes b;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        b.v[i] = static_cast<std::int8_t>(static_cast<std::uint8_t>(v));
    return b;
}
inline chunk_bytes bounded(const chunk_bytes& a, const chunk_bytes& low, const chunk_bytes& high) noexcept
{
    chunk_bytes b;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        b.v[i] = clamped(a.v[i], low.v[i], high.v[i]);
    return b;
}
inline chunk_bytes exclusive_or(const chunk_bytes& a, const chunk_bytes& b) noexcept
{
    chunk_bytes c;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        c.v[i] = static_cast<std::int8_t>(a.v[i] ^ b.v[i]);
    return c;
}
inline chunk_bytes bitwise_and(const chunk_bytes& a, const chunk_bytes& b) noexcept
{
    chunk_bytes c;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        c.v[i] = static_cast<std::int8_t>(a.v[i] & b.v[i]);
    return c;
}
inline chunk_bytes is_negative(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_bytes c;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        c.v[i] = v[i].v < 0 ? -1 : 0;
    return c;
}
template <int FractionBits>
inline chunk_shorts exponent_and_low(const ints (&v)[chunk_vectors]) noexcept
{
    chunk_shorts s;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        s.v[i] = static_cast<std::int16_t>((v[i].v >> 23 << FractionBits) + (v[i].v & 0xffff));
    return s;
}
template <int Bits>
inline void store_bytes(const chunk_bytes& b, std::uint8_t* out) noexcept
{
    constexpr std::ptrdiff_t each = 8 / Bits;
    for (std::ptrdiff_t i = 0; i < chunk; i += each) {
        std::uint32_t byte = 0;
        for (std::ptrdiff_t e = 0; e < each; ++e)
            byte |= (static_cast<std::uint32_t>(b.v[i + e]) & ((1u << Bits) - 1u)) << e * Bits;
        out[i / each] = static_cast<std::uint8_t>(byte);
    }
}
inline bool any_nan(const floats (&v)[chunk_vectors]) noexcept
{
    bool any = false;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        any |= is_nan(v[i].v);
    return any;
}
inline void store_shorts(const ints (&v)[chunk_vectors], std::uint16_t* out) noexcept
{
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        out[i] = static_cast<std::uint16_t>(v[i].v);
}
template <int Bits, bool Signed>
inline ints load_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    constexpr std::size_t each = 8 / Bits;
    constexpr std::uint32_t sign = Signed ? 1u << (Bits - 1) : 0u;
    const std::uint32_t code = static_cast<std::uint32_t>(codes[i / each]) >> i % each * Bits & ((1u << Bits) - 1u);
    return ints(static_cast<std::int32_t>(code ^ sign) - static_cast<std::int32_t>(sign));
}
inline bool any_code_above(const std::uint8_t* codes, std::int32_t limit) noexcept
{
    bool any = false;
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        any |= (codes[i] & 0x7f) > limit;
    return any;
}
inline constexpr bool load_float8_is_exact = true;
template <class F>
inline void load_float8(const std::uint8_t* codes, floats (&x)[chunk_vectors]) noexcept
{
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        x[i] = floats(to_float(F {codes[i]}));
}
inline void load_e2m1(const std::uint8_t* codes, float scale, floats (&x)[chunk_vectors]) noexcept
{
    for (std::ptrdiff_t i = 0; i < chunk; ++i)
        x[i] = floats(to_float(float4_e2m1 {static_cast<std::uint8_t>(codes[i / 2] >> i % 2 * 4 & 15)}) * scale);
}

// Products of int16

struct shorts {
    std::int16_t v[2];
};
inline shorts all_shorts(std::int32_t v) noexcept { return {{static_cast<std::int16_t>(v), static_cast<std::int16_t>(v)}}; }
template <class X>
inline shorts load_shorts(const X* p) noexcept
{
    return {{p[0], p[1]}};
}
struct short_pair {
    shorts first, second;
};
inline short_pair paired(shorts a, shorts b) noexcept { return {a, b}; }
inline void add_products(ints& low, ints& high, short_pair a, short_pair b) noexcept
{
    low = low + ints(a.first.v[0] * b.first.v[0]) + ints(a.second.v[0] * b.second.v[0]);
    high = high + ints(a.first.v[1] * b.first.v[1]) + ints(a.second.v[1] * b.second.v[1]);
}
inline void store_sums(ints low, ints high, std::int32_t* out) noexcept
{
    out[0] = low.v;
    out[1] = high.v;
}

// Bytes

struct vector {
    std::uint8_t v[4];
};
template <class Step>
inline vector of_bytes(Step step) noexcept
{
    vector x;
    for (int i = 0; i < 4; ++i)
        x.v[i] = static_cast<std::uint8_t>(step(i));
    return x;
}
inline vector load_vector(const std::byte* p) noexcept
{
    vector x;
    std::memcpy(x.v, p, 4);
    return x;
}
inline void store_vector(vector x, std::byte* p) noexcept { std::memcpy(p, x.v, 4); }
inline vector or_vector(vector a, vector b) noexcept
{
    return of_bytes([&](int i) { return a.v[i] | b.v[i]; });
}
template <int Count, int Mask>
inline vector bits_of(vector a) noexcept
{
    constexpr int left = Count < 0 ? -Count : 0, right = Count < 0 ? 0 : Count;
    return of_bytes([&](int i) { return a.v[i] << left >> right & Mask; });
}
inline vector add_bytes(vector a, int by) noexcept
{
    return of_bytes([&](int i) { return a.v[i] + by; });
}
inline vector look_up(const std::int8_t (&table)[16], vector codes) noexcept
{
    return of_bytes([&](int i) { return table[codes.v[i]]; });
}

} // namespace scalar
NIBBLE_END
