// What AVX2 and AVX-512 share: primitives over others, and those of 32 bytes, a vector of 256 bits on both. contract.md says what each one
// does.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Conversions

// The greatest float below a half, added away from zero, carries from a half on and not below: where the sum is not exact, it rounds to
// the same side.
inline ints round_half_away_to_int(floats x) noexcept
{
    const ints half = (as_ints(x) & ints(INT32_MIN)) | as_ints(floats(0.49999997f));
    return truncate_to_int(opaque(x) + as_floats(half));
}
inline floats within_shorts(floats x) noexcept { return x; }

// Chunks

inline constexpr bool round_is_exact = false;
inline chunk_bytes all_bytes(std::int32_t v) noexcept { return _mm256_set1_epi8(static_cast<char>(static_cast<std::uint8_t>(v))); }
inline chunk_bytes bounded(chunk_bytes a, chunk_bytes low, chunk_bytes high) noexcept
{
    return _mm256_min_epi8(_mm256_max_epi8(a, low), high);
}
inline chunk_bytes exclusive_or(chunk_bytes a, chunk_bytes b) noexcept { return _mm256_xor_si256(a, b); }
inline chunk_bytes bitwise_and(chunk_bytes a, chunk_bytes b) noexcept { return _mm256_and_si256(a, b); }
inline bool any_code_above(const std::uint8_t* codes, std::int32_t limit) noexcept
{
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    return _mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_and_si256(v, all_bytes(0x7f)), all_bytes(limit))) != 0;
}
template <int Bits>
inline void store_bytes(chunk_bytes b, std::uint8_t* out) noexcept
{
    if constexpr (Bits == 8) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), b);
    } else {
        const __m256i codes = _mm256_and_si256(b, _mm256_set1_epi8((1 << Bits) - 1));
        const __m256i pairs = _mm256_maddubs_epi16(codes, _mm256_set1_epi16(Bits == 4 ? 0x1001 : 0x0401));
        if constexpr (Bits == 4) {
            const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(pairs, pairs), 0x08);
            _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(packed));
        } else {
            const __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00100001));
            const __m256i packed = _mm256_packus_epi16(_mm256_packus_epi32(quads, quads), quads);
            _mm_storel_epi64(reinterpret_cast<__m128i*>(out),
                _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 0, 0, 0, 0, 0, 0))));
        }
    }
}
template <int Bits, bool Signed>
inline ints load_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    if constexpr (Bits == 8)
        return Signed ? load_s8(codes + floats::size * i) : load_u8(codes + floats::size * i);
    else if constexpr (Signed)
        return shift_right_arithmetic<32 - Bits>(shift_left_by(repeat_codes<Bits>(codes, i), ints(32 - Bits) - code_positions<Bits>()));
    else
        return codes_in_low_bits<Bits>(codes, i) & ints((1 << Bits) - 1);
}
inline constexpr bool load_float8_is_exact = false;
// A code of 8 bits becomes the half whose exponent and sign are in place; what is left is the difference of the biases. Through halves,
// because subnormal floats make a detour on some CPUs, and halves of these codes become normal floats.
template <class F>
inline void load_float8(const std::uint8_t* codes, floats (&x)[chunk_vectors]) noexcept
{
    constexpr int up = 3 + F::exponent_bits, sign_only = F::exponent_bits == 5 ? 0xffff : 0xbfff; // leaves one copy of the sign
    const floats rebias(F::exponent_bits == 5 ? 1.0f : 256.0f);
    unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
        x[i] = load_as_halves<up, sign_only>(codes + i * floats::size);
        if constexpr (F::exponent_bits != 5)
            x[i] = x[i] * rebias;
    });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
