// Activations for the integer products: int8, quantized if they are floats, minus 128 if they are uint8, or bytes of 7 bits where
// reduced_range.inl multiplies these; one row after the other, each group of k padded to a multiple of 8. One pass over each row, after the
// one that finds its scale.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "pack_activations.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// From row to row, in elements: an odd number of cache lines, so that the rows of a tile do not compete for the same lines of the cache.
template <class Stored>
inline std::ptrdiff_t activation_stride(std::ptrdiff_t padded_k) noexcept
{
    constexpr std::ptrdiff_t line = cache_line / static_cast<std::ptrdiff_t>(sizeof(Stored));
    return ((padded_k + line - 1) / line | 1) * line;
}

inline std::int32_t lane_sum(ints v) noexcept
{
#if NIBBLE_ISA == NIBBLE_ISA_SCALAR
    return v.v;
#elif NIBBLE_ISA >= NIBBLE_ISA_NEON
    return vaddvq_s32(v);
#elif NIBBLE_ISA >= NIBBLE_ISA_AVX512
    return _mm512_reduce_add_epi32(v);
#else
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
#endif
}

// A chunk of codes in [-128, 127] as the products read them.
inline void store_activations(const ints (&codes)[chunk_vectors], std::int8_t* out) noexcept
{
    store_codes<8>(codes, reinterpret_cast<std::uint8_t*>(out));
}
#if NIBBLE_ISA == NIBBLE_ISA_AVX512VNNI
inline void store_activations(const ints (&codes)[chunk_vectors], std::uint8_t* out) noexcept
{
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_xor_si256(narrow(codes), _mm256_set1_epi8(-128)));
}
#elif NIBBLE_ISA == NIBBLE_ISA_AVX2 || NIBBLE_ISA == NIBBLE_ISA_AVX512
inline void store_activations(const ints (&codes)[chunk_vectors], std::uint8_t* out) noexcept { store_codes<8>(codes, out); }
// 32 codes, even k first in each quad, see part8.
inline void store_evens_first(__m256i codes, std::int16_t* out) noexcept
{
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    codes = _mm256_shuffle_epi8(codes, _mm256_broadcastsi128_si256(order));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_cvtepi8_epi16(_mm256_castsi256_si128(codes)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out) + 1, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(codes, 1)));
}
inline void store_activations(const ints (&codes)[chunk_vectors], std::int16_t* out) noexcept { store_evens_first(narrow(codes), out); }
#endif

// Where codes come from. load(i, count, codes) gives the chunk at column i, `padding` from `count` on.
template <class Rule>
struct dynamic_source {
    static constexpr bool is_signed = true;
    static constexpr std::int32_t padding = 0;
    const float* x;
    Rule rule;
    NIBBLE_INLINE void load(std::ptrdiff_t i, std::ptrdiff_t count, ints (&codes)[chunk_vectors]) const noexcept
    {
        float part[chunk] = {};
        const float* from = x + i;
        if (count < chunk) {
            std::memcpy(part, from, static_cast<std::size_t>(count) * sizeof(float));
            from = part;
        }
        unroll<chunk_vectors>([&](std::size_t v) NIBBLE_UNROLLED { codes[v] = rule(floats::load_unaligned(from + v * floats::size), 0); });
    }
};
template <class Code>
struct static_source {
    static constexpr bool is_signed = Code(-1) < 0;
    static constexpr std::int32_t padding = activation_offset<false>(is_signed);
    const Code* x;
    NIBBLE_INLINE void load(std::ptrdiff_t i, std::ptrdiff_t count, ints (&codes)[chunk_vectors]) const noexcept
    {
        std::uint8_t part[chunk];
        const std::uint8_t* from = reinterpret_cast<const std::uint8_t*>(x + i);
        if (count < chunk) {
            std::memset(part, padding, sizeof part);
            std::memcpy(part, from, static_cast<std::size_t>(count));
            from = part;
        }
        unroll<chunk_vectors>([&](std::size_t v) NIBBLE_UNROLLED { codes[v] = load_codes<8, is_signed>(from, v); });
    }
};

template <class Stored, bool Reduced = false>
struct row_packer {
    template <class Source>
    static void pack(const pack_activations_args& args, const Source& source, std::ptrdiff_t row) noexcept
    {
        constexpr std::int32_t offset = activation_offset<Reduced>(Source::is_signed);
        Stored* out = reinterpret_cast<Stored*>(args.packed) + row * activation_stride<Stored>(args.padded_k);
        for (std::ptrdiff_t g = 0; g < args.groups; ++g) {
            const std::ptrdiff_t begin = g * args.group_size, end = args.k - begin < args.group_size ? args.k : begin + args.group_size;
            ints sum(0);
            std::ptrdiff_t padded_by = 0;
            const auto take = [&](std::ptrdiff_t i, std::ptrdiff_t count, Stored* to) NIBBLE_UNROLLED {
                ints codes[chunk_vectors];
                source.load(i, count, codes);
                unroll<chunk_vectors>([&](std::size_t v) NIBBLE_UNROLLED {
                    sum = sum + codes[v];
                    if (offset != 0)
                        codes[v] = codes[v] - ints(offset);
                });
                store_activations(codes, to);
            };
            std::ptrdiff_t i = begin;
            for (; i + chunk <= end; i += chunk, out += chunk)
                take(i, chunk, out);
            if (i < end) {
                Stored last[chunk];
                const std::ptrdiff_t padded = padded_codes(end - i);
                take(i, end - i, last);
                padded_by = chunk - (end - i);
                std::memcpy(out, last, static_cast<std::size_t>(padded) * sizeof(Stored));
                out += padded;
            }
            const std::ptrdiff_t not_data = args.zero_point * (end - begin) + Source::padding * padded_by;
            args.group_sums[g * args.rows + row]
                = static_cast<std::int32_t>(static_cast<std::uint32_t>(lane_sum(sum)) - static_cast<std::uint32_t>(not_data));
        }
    }
};

template <class MakeSource>
inline void pack_rows(const pack_activations_args& args, MakeSource make_source) noexcept
{
    for (std::ptrdiff_t row = args.row_begin; row < args.row_end; ++row)
        make_source(row, [&](const auto& source) noexcept {
            if (multiplies_bytes && args.reduced_range)
                row_packer<activation7, multiplies_bytes>::pack(args, source, row);
            else if (args.weight_bits == 8 && args.groups == 1)
                row_packer<group_activation8>::pack(args, source, row);
            else if (args.weight_bits == 8)
                row_packer<activation8>::pack(args, source, row);
            else
                row_packer<std::int8_t>::pack(args, source, row);
        });
}

// Symmetric, per row: scale = max|x| / 127, of reduced range max|x| / 63; 1 if that is below the least normal float, NaN if the row holds a
// NaN or an infinity.
template <class Lazy>
inline void pack_f32(const pack_activations_args& args) noexcept
{
    const float qmax = args.reduced_range ? 63.0f : 127.0f;
    pack_rows(args, [&](std::ptrdiff_t row, auto pack) noexcept {
        const float* x = static_cast<const float*>(args.a) + row * args.a_stride;
        const std::int32_t top = greatest_magnitude(x, args.k);
        const float scale = absmax_scale(top, qmax);
        args.row_scales[row] = scale;
        if (top < infinity_bits)
            pack(dynamic_source<absmax_quantizer> {x, {1.0f / scale}});
        else
            pack(dynamic_source<quantizer> {x, {1.0f, -qmax, qmax, 0}});
    });
}

// Whether all codes are in [-64, 63], or [0, 127]: where they are not, bit 7 of (code + 64), or of the code, is set.
template <class Code>
inline bool fits_reduced_range(const Code* x, std::ptrdiff_t count) noexcept
{
    constexpr std::int32_t add = Code(-1) < 0 ? 64 : 0;
    ints all(0);
    std::ptrdiff_t i = 0;
    for (; i + width <= count; i += width)
        all = all | (load_u8(x + i) + ints(add));
    std::int32_t rest = 0;
    for (; i < count; ++i)
        rest |= x[i] + add;
    return (highest_lane(all & ints(128)) | (rest & 128)) == 0;
}

// A chunk of codes as products with one group of k read them: int8, or uint8 less 128.
template <class Code>
inline void copy_activations(const Code* from, group_activation8* to) noexcept
{
    [[maybe_unused]] constexpr bool is_signed = Code(-1) < 0;
#if NIBBLE_ISA >= NIBBLE_ISA_AVX2 && NIBBLE_ISA < NIBBLE_ISA_NEON
    const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i other = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
#if NIBBLE_ISA == NIBBLE_ISA_AVX512VNNI
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), is_signed ? other : codes);
#else
    store_evens_first(is_signed ? codes : other, to);
#endif
#else
    std::memcpy(to, from, chunk);
    if constexpr (!is_signed)
        for (std::ptrdiff_t i = 0; i < chunk; ++i)
            to[i] = static_cast<group_activation8>(to[i] ^ -128);
#endif
}

// Writes whole chunks.
template <class Code>
inline void copy_row(const Code* from, std::ptrdiff_t count, group_activation8* to) noexcept
{
    for (; count >= chunk; count -= chunk, from += chunk, to += chunk)
        copy_activations(from, to);
    if (count > 0) {
        Code part[chunk] = {};
        std::memcpy(part, from, static_cast<std::size_t>(count));
        copy_activations(part, to);
    }
}
template <class Lazy>
inline void pack_codes(const pack_codes_args& args) noexcept
{
    copy_row(args.a, args.count, reinterpret_cast<group_activation8*>(args.packed));
}

template <class Code>
inline void pack_static(const pack_activations_args& args) noexcept
{
    pack_rows(args, [&](std::ptrdiff_t row, auto pack) noexcept {
        const Code* x = static_cast<const Code*>(args.a) + row * args.a_stride;
        if (args.reduced_range)
            args.row_scales[row] = fits_reduced_range(x, args.k) ? 1.0f : 0.0f;
        if (args.without_sums && args.groups == 1 && args.weight_bits == 8 && !(multiplies_bytes && args.reduced_range))
            copy_row(
                x, args.k, reinterpret_cast<group_activation8*>(args.packed) + row * activation_stride<group_activation8>(args.padded_k));
        else
            pack(static_source<Code> {x});
    });
}
template <class Lazy>
inline void pack_s8(const pack_activations_args& args) noexcept
{
    pack_static<std::int8_t>(args);
}
template <class Lazy>
inline void pack_u8(const pack_activations_args& args) noexcept
{
    pack_static<std::uint8_t>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
