// How many lanes a vector has, loops over vectors, and codes of 8, 4 or 2 bits in and out of them, a chunk of 32 at a time.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::ptrdiff_t width = static_cast<std::ptrdiff_t>(floats::size);

// The elements that element-wise kernels take at once: whole vectors on every backend, whole bytes of every code size.
inline constexpr std::ptrdiff_t chunk = 32;
inline constexpr std::size_t chunk_vectors = static_cast<std::size_t>(chunk / width);

#if NIBBLE_ISA == NIBBLE_ISA_SCALAR

template <int Bits>
inline void store_codes(const words (&v)[chunk_vectors], std::uint8_t* out) noexcept
{
    constexpr std::size_t each = 8 / Bits;
    for (std::size_t i = 0; i < chunk_vectors; i += each) {
        std::uint32_t byte = 0;
        for (std::size_t e = 0; e < each; ++e)
            byte |= (static_cast<std::uint32_t>(v[i + e].v) & ((1u << Bits) - 1u)) << e * Bits;
        out[i / each] = static_cast<std::uint8_t>(byte);
    }
}

template <int Bits, bool Signed>
inline words load_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    constexpr std::size_t each = 8 / Bits;
    constexpr std::uint32_t sign = Signed ? 1u << (Bits - 1) : 0u;
    const std::uint32_t code = static_cast<std::uint32_t>(codes[i / each]) >> i % each * Bits & ((1u << Bits) - 1u);
    return words(static_cast<std::int32_t>(code ^ sign) - static_cast<std::int32_t>(sign));
}

inline words truncate_to_int(floats x) noexcept { return words(static_cast<std::int32_t>(x.v)); }

#elif NIBBLE_ISA >= NIBBLE_ISA_NEON

inline uint8x16_t narrow(words a, words b, words c, words d) noexcept
{
    const int16x8_t low = vcombine_s16(vmovn_s32(a), vmovn_s32(b)), high = vcombine_s16(vmovn_s32(c), vmovn_s32(d));
    return vreinterpretq_u8_s8(vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}

// The low Bits bits of each lane, 32 * Bits / 8 bytes, the first code lowest.
template <int Bits>
inline void store_codes(const words (&v)[chunk_vectors], std::uint8_t* out) noexcept
{
    const uint8x16_t first = narrow(v[0], v[1], v[2], v[3]), second = narrow(v[4], v[5], v[6], v[7]);
    if constexpr (Bits == 8) {
        vst1q_u8(out, first);
        vst1q_u8(out + 16, second);
    } else {
        const uint8x16_t pairs = vsliq_n_u8(vuzp1q_u8(first, second), vuzp2q_u8(first, second), Bits);
        if constexpr (Bits == 4)
            vst1q_u8(out, pairs);
        else
            vst1_u8(out, vget_low_u8(vsliq_n_u8(vuzp1q_u8(pairs, pairs), vuzp2q_u8(pairs, pairs), 4)));
    }
}

// Lanes i * width ... of the chunk whose codes are given.
template <int Bits, bool Signed>
inline words load_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    if constexpr (Bits == 8) {
        return Signed ? load_s8(codes + 4 * i) : load_u8(codes + 4 * i);
    } else {
        std::uint16_t lanes = 0;
        std::memcpy(&lanes, codes + i * Bits / 2, Bits / 2);
        static constexpr std::int32_t up[4] = {32 - Bits, 32 - 2 * Bits, 32 - 3 * Bits, 32 - 4 * Bits};
        const uint32x4_t at_top = vshlq_u32(vdupq_n_u32(lanes), vld1q_s32(up));
        if constexpr (Signed)
            return words(vshrq_n_s32(vreinterpretq_s32_u32(at_top), 32 - Bits));
        else
            return words(vreinterpretq_s32_u32(vshrq_n_u32(at_top, 32 - Bits)));
    }
}

inline words truncate_to_int(floats x) noexcept { return words(vcvtq_s32_f32(x)); }

#else

inline __m256i narrow(const words (&v)[chunk_vectors]) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm512_cvtepi32_epi8(v[0])), _mm512_cvtepi32_epi8(v[1]), 1);
#else
    const __m256i low = _mm256_set1_epi16(0x00ff);
    const __m256i a = _mm256_and_si256(_mm256_packs_epi32(v[0], v[1]), low), b = _mm256_and_si256(_mm256_packs_epi32(v[2], v[3]), low);
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
#endif
}

// The low Bits bits of each lane, 32 * Bits / 8 bytes, the first code lowest. Lanes are in [-128, 255].
template <int Bits>
inline void store_codes(const words (&v)[chunk_vectors], std::uint8_t* out) noexcept
{
    const __m256i bytes = narrow(v);
    if constexpr (Bits == 8) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
    } else {
        const __m256i codes = _mm256_and_si256(bytes, _mm256_set1_epi8((1 << Bits) - 1));
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

// Lanes i * width ... of the chunk whose codes are given.
template <int Bits, bool Signed>
inline words load_codes(const std::uint8_t* codes, std::size_t i) noexcept
{
    if constexpr (Bits == 8) {
        return Signed ? load_s8(codes + floats::size * i) : load_u8(codes + floats::size * i);
    } else {
        constexpr std::size_t bytes = floats::size * Bits / 8;
        std::uint64_t lanes = 0;
        std::memcpy(&lanes, codes + bytes * i, bytes);
        constexpr int top = 32 - Bits;
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
        __m512i each = _mm512_set1_epi32(static_cast<int>(lanes));
        __m512i up = _mm512_setr_epi32(top, top - 2, top - 4, top - 6, top - 8, top - 10, top - 12, top - 14, top - 16, top - 18, top - 20,
            top - 22, top - 24, top - 26, top - 28, top - 30);
        if constexpr (Bits == 4) {
            each = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
                _mm512_castsi128_si512(_mm_cvtsi64_si128(static_cast<long long>(lanes))));
            up = _mm512_setr_epi32(28, 24, 20, 16, 12, 8, 4, 0, 28, 24, 20, 16, 12, 8, 4, 0);
        }
        const __m512i at_top = _mm512_sllv_epi32(each, up);
        return words(Signed ? _mm512_srai_epi32(at_top, top) : _mm512_srli_epi32(at_top, top));
#else
        const __m256i up = _mm256_setr_epi32(
            top, top - Bits, top - 2 * Bits, top - 3 * Bits, top - 4 * Bits, top - 5 * Bits, top - 6 * Bits, top - 7 * Bits);
        const __m256i at_top = _mm256_sllv_epi32(_mm256_set1_epi32(static_cast<int>(lanes)), up);
        return words(Signed ? _mm256_srai_epi32(at_top, top) : _mm256_srli_epi32(at_top, top));
#endif
    }
}

inline words truncate_to_int(floats x) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return words(_mm512_cvttps_epi32(x));
#else
    return words(_mm256_cvttps_epi32(x));
#endif
}

#endif

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
