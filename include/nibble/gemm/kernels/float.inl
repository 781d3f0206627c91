// Products of float rows with packed float, half or bfloat16 weights: per column one chain of fused multiply-adds in ascending k.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "float.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

struct float_weight {
    static constexpr std::ptrdiff_t bytes = 4;
    static floats load(const std::byte* p) noexcept
    {
#if NIBBLE_ISA == NIBBLE_ISA_SCALAR
        float x;
        std::memcpy(&x, p, 4);
        return floats(x);
#else
        return floats::load_unaligned(reinterpret_cast<const float*>(p));
#endif
    }
};
struct half_weight {
    static constexpr std::ptrdiff_t bytes = 2;
    static floats load(const std::byte* p) noexcept { return load_half(p); }
};
struct bfloat16_weight {
    static constexpr std::ptrdiff_t bytes = 2;
    static floats load(const std::byte* p) noexcept { return load_bfloat16(p); }
};

template <class Weight>
struct float_product {
    using sum = float;
    using plan = no_plan;
    static constexpr bool expands = false;
    static constexpr std::size_t expanded_bytes = 0;
    // A fused multiply-add takes 4 cycles and two start in each, so 8 sums at least. The highest tile fills the registers:
    //             rows x panels x vectors   weights   activations   registers
    //   AVX2         6 x 1 x 2 = 12 sums     2         1             16
    //   AVX-512     12 x 2 x 1 = 24 sums     2         1             32
    //   NEON         4 x 1 x 4 = 16 sums     4         1             32
    static constexpr int tile_rows = NIBBLE_ISA == NIBBLE_ISA_AVX2                                     ? 6
                                     : NIBBLE_ISA >= NIBBLE_ISA_AVX512 && NIBBLE_ISA < NIBBLE_ISA_NEON ? 12
                                                                                                       : 4;
    static constexpr int panels(int height) noexcept
    {
        if (NIBBLE_ISA == NIBBLE_ISA_SCALAR)
            return 1;
        if (NIBBLE_ISA >= NIBBLE_ISA_NEON)
            return height == 1 ? 2 : 1;
        if (NIBBLE_ISA >= NIBBLE_ISA_AVX512)
            return height >= 8 ? 2 : 4;
        // Of weights of 16 bits, which take a register each, two panels and 3 rows need more registers than there are.
        return height >= (Weight::bytes == 2 ? 3 : 4) ? 1 : height >= 2 ? 2 : 4;
    }
    static std::ptrdiff_t extent(const gemm_args& args) noexcept { return args.k; }
    static std::ptrdiff_t block(const gemm_args&) noexcept { return 256; }
    static std::size_t offset(const gemm_args&, std::ptrdiff_t k) noexcept
    {
        return static_cast<std::size_t>(k) * (panel_columns * Weight::bytes);
    }

    template <int Rows, int Panels>
    static void tile(const gemm_args& args, std::ptrdiff_t row, weight_block w, range k, no_plan, float* sums, std::size_t ahead) noexcept
    {
        floats acc[std::size_t {Rows}][std::size_t {Panels}][panel_vectors];
        if (k.begin == 0)
            unroll_grid<Rows, Panels, panel_vectors>(
                [&](std::size_t r, std::size_t p, std::size_t v) NIBBLE_UNROLLED { acc[r][p][v] = floats(0.0f); });
        else
            unroll_grid<Rows, Panels, panel_vectors>([&](std::size_t r, std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                acc[r][p][v] = floats::load_unaligned(sums + sum_at<Panels>(r, p, v));
            });
        row_cursor<float, Rows> a(reinterpret_cast<const float*>(args.a) + row * args.a_stride + k.begin, args.a_stride);
        for (std::ptrdiff_t i = k.begin; i < k.end; ++i, w.at += panel_columns * Weight::bytes, a.advance(1)) {
            unroll<Panels>([&](std::size_t p) NIBBLE_UNROLLED { fetch_ahead(w.at + p * w.panel_bytes, ahead); });
            floats weight[std::size_t {Panels}][panel_vectors];
            unroll_grid<Panels, panel_vectors>([&](std::size_t p, std::size_t v) NIBBLE_UNROLLED {
                weight[p][v] = Weight::load(w.at + p * w.panel_bytes + v * static_cast<std::size_t>(width * Weight::bytes));
            });
            unroll<Rows>([&](std::size_t r) NIBBLE_UNROLLED {
                const floats x(*a[r]);
                unroll_grid<Panels, panel_vectors>(
                    [&](std::size_t p, std::size_t v) NIBBLE_UNROLLED { acc[r][p][v] = fused(x, weight[p][v], acc[r][p][v]); });
            });
        }
        unroll_grid<Rows, Panels, panel_vectors>([&](std::size_t r, std::size_t p, std::size_t v)
                                                     NIBBLE_UNROLLED { acc[r][p][v].store_unaligned(sums + sum_at<Panels>(r, p, v)); });
    }

    static void finish(const gemm_args& args, range rows, std::ptrdiff_t panel, std::ptrdiff_t panels, const float* sums) noexcept
    {
        finish_floats(args, rows, panel, panels, sums);
    }
};

template <class Lazy>
inline void gemm_f32(const gemm_args& args) noexcept
{
    run_product<float_product<float_weight>>(args);
}
template <class Lazy>
inline void gemm_half(const gemm_args& args) noexcept
{
    run_product<float_product<half_weight>>(args);
}
template <class Lazy>
inline void gemm_bfloat16(const gemm_args& args) noexcept
{
    run_product<float_product<bfloat16_weight>>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
