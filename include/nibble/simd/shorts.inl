// Vectors of int16, 2 * width lanes: products of pairs of them, summed in int32. Nothing saturates: |a b + c d| <= 2 * 2^15 * 2^7 where a
// and c are int16, b and d int8.
// - load_shorts, load_some_shorts: 2 * width codes; `count` of them, not a byte more, and zeros
// - paired: what add_products takes; x86 interleaves the two, since its products lie side by side
// - add_products: low and high, the two halves of the channels, in an order of their own, + a.first * b.first + a.second * b.second
// - store_sums: the lanes of low and high in the order of the channels
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::ptrdiff_t short_lanes = 2 * width;

#if NIBBLE_ISA == NIBBLE_ISA_SCALAR

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

#elif NIBBLE_ISA >= NIBBLE_ISA_NEON

using shorts = int16x8_t;
inline shorts all_shorts(std::int32_t v) noexcept { return vdupq_n_s16(static_cast<std::int16_t>(v)); }
inline shorts load_shorts(const std::int8_t* p) noexcept { return vmovl_s8(vld1_s8(p)); }
inline shorts load_shorts(const std::int16_t* p) noexcept { return vld1q_s16(p); }

struct short_pair {
    shorts first, second;
};
inline short_pair paired(shorts a, shorts b) noexcept { return {a, b}; }
inline void add_products(ints& low, ints& high, short_pair a, short_pair b) noexcept
{
    const int32x4_t first = vmlal_s16(low, vget_low_s16(a.first), vget_low_s16(b.first));
    low = ints(vmlal_s16(first, vget_low_s16(a.second), vget_low_s16(b.second)));
    high = ints(vmlal_high_s16(vmlal_high_s16(high, a.first, b.first), a.second, b.second));
}
inline void store_sums(ints low, ints high, std::int32_t* out) noexcept
{
    low.store_unaligned(out);
    high.store_unaligned(out + width);
}

#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512

using shorts = __m512i;
inline shorts all_shorts(std::int32_t v) noexcept { return _mm512_set1_epi16(static_cast<short>(v)); }
inline shorts load_shorts(const std::int8_t* p) noexcept
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline shorts load_shorts(const std::int16_t* p) noexcept { return _mm512_loadu_si512(p); }

struct short_pair {
    __m512i first, second;
};
inline short_pair paired(shorts a, shorts b) noexcept { return {_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)}; }
inline void add_products(ints& low, ints& high, short_pair a, short_pair b) noexcept
{
    low = ints(_mm512_add_epi32(low, _mm512_madd_epi16(a.first, b.first)));
    high = ints(_mm512_add_epi32(high, _mm512_madd_epi16(a.second, b.second)));
}
inline void store_sums(ints low, ints high, std::int32_t* out) noexcept
{
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    _mm512_storeu_si512(out, _mm512_permutex2var_epi64(low, first, high));
    _mm512_storeu_si512(out + width, _mm512_permutex2var_epi64(low, second, high));
}

#else

using shorts = __m256i;
inline shorts all_shorts(std::int32_t v) noexcept { return _mm256_set1_epi16(static_cast<short>(v)); }
inline shorts load_shorts(const std::int8_t* p) noexcept
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline shorts load_shorts(const std::int16_t* p) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

struct short_pair {
    __m256i first, second;
};
inline short_pair paired(shorts a, shorts b) noexcept { return {_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)}; }
inline void add_products(ints& low, ints& high, short_pair a, short_pair b) noexcept
{
    low = ints(_mm256_add_epi32(low, _mm256_madd_epi16(a.first, b.first)));
    high = ints(_mm256_add_epi32(high, _mm256_madd_epi16(a.second, b.second)));
}
inline void store_sums(ints low, ints high, std::int32_t* out) noexcept
{
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + width), _mm256_permute2x128_si256(low, high, 0x31));
}

#endif

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
