// Products of 7-bit activations with int8 weights. Where int8 products widen to int16 (AVX2, AVX-512 without VNNI), vpmaddubsw multiplies
// bytes instead: activations are stored from 0 to 127, so a pair of products fits int16, as 2 * 127 * 128 = 32512. Two pairs of one
// column, of neighbouring quads, fit together if neither the positive nor the negative ones of their four weights exceed 258 in sum, as
// 127 * 258 = 32766: then one vpmaddwd widens both. A plan says of a block of weights which quads allow it.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "reduced_range.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

#if NIBBLE_ISA == NIBBLE_ISA_AVX2 || NIBBLE_ISA == NIBBLE_ISA_AVX512
#if NIBBLE_ISA == NIBBLE_ISA_AVX512
#define NIBBLE_MM(operation) _mm512_##operation
#else
#define NIBBLE_MM(operation) _mm256_##operation
#endif

inline constexpr bool multiplies_bytes = true;
using activation7 = std::uint8_t;

// The largest sums of positive and of negative weights, as magnitudes, that two quads have in an int16 lane.
inline vector chain_weight(const std::byte* codes) noexcept
{
    const vector zero = NIBBLE_MM(set1_epi8)(0), one = NIBBLE_MM(set1_epi8)(1);
    const vector w0 = load_vector(codes), w1 = load_vector(codes + 4 * panel_columns);
    const vector all = NIBBLE_MM(add_epi16)(NIBBLE_MM(maddubs_epi16)(one, w0), NIBBLE_MM(maddubs_epi16)(one, w1));
    const vector positive = NIBBLE_MM(add_epi16)(
        NIBBLE_MM(maddubs_epi16)(one, NIBBLE_MM(max_epi8)(w0, zero)), NIBBLE_MM(maddubs_epi16)(one, NIBBLE_MM(max_epi8)(w1, zero)));
    return NIBBLE_MM(max_epi16)(positive, NIBBLE_MM(sub_epi16)(positive, all));
}

// Whether the two quads at codes + p * panel_bytes of every panel p may be chained.
template <int Panels>
inline bool may_chain(const std::byte* codes, std::size_t panel_bytes) noexcept
{
    vector worst = NIBBLE_MM(set1_epi16)(0);
    unroll<Panels * panel_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
        const std::size_t panel = i / panel_vectors, v = i % panel_vectors;
        worst = NIBBLE_MM(max_epi16)(worst, chain_weight(codes + panel * panel_bytes + v * (ints::size * 4)));
    });
    const vector most = NIBBLE_MM(set1_epi16)(258);
#if NIBBLE_ISA == NIBBLE_ISA_AVX512
    return _mm512_cmpgt_epi16_mask(worst, most) == 0;
#else
    const vector over = _mm256_cmpgt_epi16(worst, most);
    return _mm256_testz_si256(over, over) != 0;
#endif
}

// Steps of 8 k in a block: those whose two quads are chained in all columns, and the others. Neither, if hardly any can be: then all k are
// taken in order.
class block_plan {
public:
    // For `padded` k, at most 8 * most_steps, from codes + p * panel_bytes of each panel p on.
    template <int Panels>
    void find(const std::byte* codes, std::size_t panel_bytes, std::ptrdiff_t padded) noexcept
    {
        chained_count_ = single_count_ = 0;
        for (std::ptrdiff_t i = 0; i < padded / 8; ++i, codes += 8 * panel_columns) {
            const bool chained = may_chain<Panels>(codes, panel_bytes);
            chained_[chained_count_] = single_[single_count_] = static_cast<std::uint8_t>(i);
            chained_count_ += chained;
            single_count_ += !chained;
            if (i + 1 == sample_steps && chained_count_ == 0)
                return;
        }
    }

    // acc += the products of `padded` k, from codes + p * panel_bytes of each panel p and the activations at a.
    template <int Rows, int Panels>
    NIBBLE_INLINE void accumulate(ints (&acc)[std::size_t {Rows}][std::size_t {Panels}][panel_vectors], const std::byte* codes,
        std::size_t panel_bytes, const row_cursor<activation7, Rows>& a, std::ptrdiff_t padded, std::size_t ahead) const noexcept
    {
        const vector one = NIBBLE_MM(set1_epi16)(1);
        const auto widen = [&](ints& sum, vector pairs)
                               NIBBLE_UNROLLED { sum = ints(kept(NIBBLE_MM(add_epi32)(sum, NIBBLE_MM(madd_epi16)(pairs, one)))); };
        const auto at = [&](std::ptrdiff_t k, std::size_t p, std::size_t v)
                            NIBBLE_UNROLLED { return load_vector(codes + k * panel_columns + p * panel_bytes + v * (ints::size * 4)); };
        const auto quad = [&](std::ptrdiff_t k) NIBBLE_UNROLLED {
            unroll<Rows>([&](std::size_t r) NIBBLE_UNROLLED {
                const vector x = spread_quad(a[r] + k);
                unroll_grid<Panels, panel_vectors>(
                    [&](std::size_t p, std::size_t v) NIBBLE_UNROLLED { widen(acc[r][p][v], NIBBLE_MM(maddubs_epi16)(x, at(k, p, v))); });
            });
        };
        if (chained_count_ == 0) {
            for (std::ptrdiff_t k = 0; k < padded; k += 4) {
                unroll<Panels>([&](std::size_t p) NIBBLE_UNROLLED { fetch_ahead(codes + k * panel_columns + p * panel_bytes, ahead); });
                quad(k);
            }
            return;
        }
        for (std::ptrdiff_t i = 0; i < chained_count_; ++i) {
            const std::ptrdiff_t k = 8 * chained_[i];
            unroll<Rows>([&](std::size_t r) NIBBLE_UNROLLED {
                const vector first = spread_quad(a[r] + k), second = spread_quad(a[r] + k + 4);
                unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                    const vector pairs = NIBBLE_MM(maddubs_epi16)(first, at(k, p, v));
                    widen(acc[r][p][v], kept(NIBBLE_MM(add_epi16)(pairs, NIBBLE_MM(maddubs_epi16)(second, at(k + 4, p, v)))));
                });
            });
        }
        for (std::ptrdiff_t i = 0; i < single_count_; ++i) {
            quad(8 * single_[i]);
            quad(8 * single_[i] + 4);
        }
    }

private:
    static constexpr std::ptrdiff_t most_steps = 128, sample_steps = 16;
    std::uint8_t chained_[most_steps], single_[most_steps];
    std::ptrdiff_t chained_count_ = 0, single_count_ = 0;
};
#undef NIBBLE_MM

#else

inline constexpr bool multiplies_bytes = false;
using activation7 = activation8;
using block_plan = no_plan;

#endif

// What activations are stored less of: int8; bytes from 0 to 127 if Reduced.
template <bool Reduced>
constexpr std::int32_t activation_offset(bool is_signed) noexcept
{
    return (is_signed ? 0 : 128) - (!Reduced ? 0 : is_signed ? 64 : 128);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
