// Primitives over others, the same for all instruction sets. An instruction set that has an instruction for one of these templates defines
// a plain function of its name in its own file: overload resolution takes that. contract.md says what each one does.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

static_assert(width == static_cast<std::ptrdiff_t>(floats::size) && width == static_cast<std::ptrdiff_t>(ints::size),
    "this xsimd was not compiled for this backend");
static_assert(chunk == 32 && chunk_vectors == static_cast<std::size_t>(chunk / width));

inline constexpr std::ptrdiff_t short_lanes = 2 * width;

// Parts of vectors

template <class Vector, class T>
inline Vector load_lanes(const T* p, std::ptrdiff_t count) noexcept
{
    T lanes[Vector::size] = {};
    std::memcpy(lanes, p, static_cast<std::size_t>(count) * sizeof *p);
    return Vector::load_unaligned(lanes);
}
template <class T>
inline std::conditional_t<std::is_same_v<T, float>, floats, ints> load_part(const T* p, std::ptrdiff_t count) noexcept
{
    return load_lanes<std::conditional_t<std::is_same_v<T, float>, floats, ints>>(p, count);
}
template <class Vector, class T>
inline void store_part(Vector v, T* p, std::ptrdiff_t count) noexcept
{
    T lanes[Vector::size];
    v.store_unaligned(lanes);
    std::memcpy(p, lanes, static_cast<std::size_t>(count) * sizeof *p);
}
template <class Q>
inline void store_codes_part(ints v, Q* p, std::ptrdiff_t count) noexcept
{
    Q lanes[ints::size];
    if constexpr (sizeof(Q) == 1)
        store_low_bytes(v, lanes);
    else
        store_low_shorts(v, lanes);
    for (std::ptrdiff_t i = 0; i < count; ++i)
        p[i] = lanes[i];
}

// Chunks

template <int Bits>
inline void store_codes(const ints (&v)[chunk_vectors], std::uint8_t* out) noexcept
{
    store_bytes<Bits>(narrow(v), out);
}

// Products of int16

template <class X>
inline shorts load_some_shorts(const X* p, std::ptrdiff_t count) noexcept
{
    X lanes[short_lanes] = {};
    for (std::ptrdiff_t i = 0; i < count && i < short_lanes; ++i)
        lanes[i] = p[i];
    return load_shorts(lanes);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
