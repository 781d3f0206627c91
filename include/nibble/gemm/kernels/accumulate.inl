// The inner loops of integer products: a tile's sums += stored activations x stored codes, over some k of one group. There are three, for 8
// bits, for 4 bits, and for 8 bits times activations of 7 bits (reduced_range.inl), and i8mm.inl, which takes rows in pairs.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "accumulate.hpp"
#if NIBBLE_ISA == NIBBLE_ISA_NEON_I8MM
#include "i8mm.inl"
#endif

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Bytes of weights that one vector of sums takes from four k.
inline constexpr std::size_t vector_bytes = 4 * ints::size;

// Of a tile of Rows rows x Panels panels. (Members, since arguments of a type that a backend takes from the one that it extends would make
// that one's functions of the same name as good.)
template <int Rows, int Panels>
class accumulation {
public:
    // The sums of a tile. Loops over them are unrolled, which makes each vector a register.
    using sums = ints[std::size_t {Rows}][std::size_t {Panels}][panel_vectors];

    // acc += the products of `padded` k, a multiple of 8, from codes + p * panel_bytes of each panel p and the activations at a, which move
    // on. OneGroup: activations are stored as group_activation8. The plan is a block_plan where activations have 7 bits.
    template <int Bits, bool Reduced, bool OneGroup, class Stored, class Plan>
    NIBBLE_INLINE static void run(sums& acc, const std::byte* codes, std::size_t panel_bytes, row_cursor<Stored, Rows>& a,
        std::ptrdiff_t padded, [[maybe_unused]] const Plan& plan, std::size_t ahead) noexcept
    {
#if NIBBLE_ISA >= NIBBLE_ISA_NEON_I8MM
        if constexpr (Rows % 2 == 0 && Panels == 1)
            return accumulate_pairs<Bits, Rows>(acc, codes, a, padded);
#endif
        if constexpr (Reduced) {
            plan.template accumulate<Rows, Panels>(acc, codes, panel_bytes, a, padded, ahead);
            a.advance(padded);
        } else if constexpr (Bits == 8) {
            run_8<OneGroup>(acc, codes, panel_bytes, a, padded, ahead);
        } else {
            run_4(acc, codes, panel_bytes, a, padded, ahead);
        }
    }

private:
    using activations8 = row_cursor<activation8, Rows>;
    using activations4 = row_cursor<std::int8_t, Rows>;
    using weight_vectors8 = decltype(load8(nullptr))[std::size_t {Panels}][panel_vectors];
    using chains = chain4[std::size_t {Rows}][std::size_t {Panels}][panel_vectors];

    // 8 bits: four k a step.
    template <bool OneGroup>
    NIBBLE_INLINE static void run_8(
        sums& acc, const std::byte* codes, std::size_t panel_bytes, activations8& a, std::ptrdiff_t padded, std::size_t ahead) noexcept
    {
        for (const std::byte* end = codes + padded * panel_columns; codes != end; codes += quad_bytes, a.advance(4)) {
            unroll<Panels>([&](std::size_t p) NIBBLE_UNROLLED { fetch_ahead(codes + p * panel_bytes, ahead); });
            weight_vectors8 loaded;
            unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                const std::byte* const at = codes + p * panel_bytes + v * vector_bytes;
                if constexpr (OneGroup)
                    loaded[p][v] = load8_of_group(at, Rows > 1);
                else
                    loaded[p][v] = load8(at);
            });
            multiply_8<0, OneGroup>(acc, loaded, a);
            if constexpr (quad_parts == 2)
                multiply_8<1, OneGroup>(acc, loaded, a);
        }
    }

    // One of the quad_parts of four k. Weights are widened once and serve all rows; of the activations one vector is live at a time. The
    // second part takes the rows backwards: with both in one order GCC 12 copies sums from register to register, and AVX2 has too few
    // (6 x 16 columns are 3 % slower; AVX-512, 12 x 32 columns: a step of 137 instructions instead of 147 to 155).
    template <std::size_t Part, bool OneGroup>
    NIBBLE_INLINE static void multiply_8(sums& acc, const weight_vectors8& loaded, const activations8& a) noexcept
    {
        decltype(part8<Part>(loaded[0][0])) weights[std::size_t {Panels}][panel_vectors];
        unroll_grid<Panels, panel_vectors>(
            [&](std::size_t p, std::size_t v) NIBBLE_UNROLLED { weights[p][v] = part8<Part>(loaded[p][v]); });
        unroll<Rows>([&](std::size_t i) NIBBLE_UNROLLED {
            const std::size_t r = Part == 0 ? i : Rows - 1 - i;
            const auto x = spread8<Part>(a[r]);
            unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                if constexpr (OneGroup)
                    acc[r][p][v] = dot8_of_group(acc[r][p][v], x, weights[p][v]);
                else
                    acc[r][p][v] = dot8(acc[r][p][v], x, weights[p][v]);
            });
        });
    }

    // 4 bits: 8 k a step, and as many steps as fit int16 (dot.inl) in a chain, which is then added to the sums.
    NIBBLE_INLINE static void run_4(
        sums& acc, const std::byte* codes, std::size_t panel_bytes, activations4& a, std::ptrdiff_t padded, std::size_t ahead) noexcept
    {
        while (padded != 0) {
            chains chain;
            unroll_grid<Rows, Panels, panel_vectors>(
                [&](std::size_t r, std::size_t p, std::size_t v) NIBBLE_UNROLLED { chain[r][p][v] = begin_chain(acc[r][p][v]); });
            if (padded >= 4 * chain_quads) {
                padded -= 4 * chain_quads;
                unroll<chain_quads / 2>([&](std::size_t) NIBBLE_UNROLLED { multiply_4(chain, codes, panel_bytes, a, ahead); });
            } else {
                for (; padded != 0; padded -= 8)
                    multiply_4(chain, codes, panel_bytes, a, ahead);
            }
            unroll_grid<Rows, Panels, panel_vectors>([&](std::size_t r, std::size_t p, std::size_t v)
                                                         NIBBLE_UNROLLED { acc[r][p][v] = end_chain(acc[r][p][v], chain[r][p][v]); });
        }
    }

    // 8 k: the low halves of the bytes with the first four activations, the high halves with the others.
    NIBBLE_INLINE static void multiply_4(
        chains& chain, const std::byte*& codes, std::size_t panel_bytes, activations4& a, std::size_t ahead) noexcept
    {
        unroll<Panels>([&](std::size_t p) NIBBLE_UNROLLED { fetch_ahead(codes + p * panel_bytes, ahead); });
        weights4 low[std::size_t {Panels}][panel_vectors], high[std::size_t {Panels}][panel_vectors];
        unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
            load4(codes + p * panel_bytes + v * vector_bytes, low[p][v], high[p][v]);
        });
        unroll<Rows>([&](std::size_t r) NIBBLE_UNROLLED {
            const auto first = spread_quad(a[r]), second = spread_quad(a[r] + 4);
            unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                chain[r][p][v] = dot4(dot4(chain[r][p][v], first, low[p][v]), second, high[p][v]);
            });
        });
        codes += quad_bytes;
        a.advance(8);
    }
};

// The sums of the codes of `padded` k of each panel, where the section has none: products with activations of 1.
template <int Panels>
inline void sum_columns(const std::byte* codes, std::size_t panel_bytes, std::ptrdiff_t padded, std::int32_t* sums) noexcept
{
    activation8 ones[4];
    for (activation8& one : ones)
        one = 1;
    for (std::size_t p = 0; p < Panels; ++p)
        for (std::size_t v = 0; v < panel_vectors; ++v) {
            ints sum(static_cast<std::int32_t>(-weight_offset8 * padded)); // load8 adds it to each code
            for (std::ptrdiff_t k = 0; k < padded; k += 4) {
                const auto w = load8(codes + p * panel_bytes + k * panel_columns + v * vector_bytes);
                unroll<quad_parts>([&](auto part) NIBBLE_UNROLLED {
                    constexpr std::size_t half = decltype(part)::value;
                    sum = dot8(sum, spread8<half>(ones), part8<half>(w));
                });
            }
            sum.store_unaligned(sums + p * std::size_t {panel_columns} + v * ints::size);
        }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
