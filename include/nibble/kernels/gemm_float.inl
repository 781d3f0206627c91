// Products of float rows with packed float, half or bfloat16 weights: per column one chain of fused multiply-adds in ascending k.
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
struct float_gemm {
    template <int Rows, int Panels>
    struct tile {
        static void run(const gemm_args& args, std::ptrdiff_t row, std::ptrdiff_t panel) noexcept
        {
            constexpr std::size_t vectors = panel_columns / width;
            floats acc[Rows][Panels][vectors];
            unroll<Rows>([&](auto r) { unroll<Panels>([&](auto p) { unroll<vectors>([&](auto v) { acc[r][p][v] = floats(0.0f); }); }); });
            const float* a = reinterpret_cast<const float*>(args.a) + row * args.a_stride;
            const std::byte* w = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes;
            for (std::ptrdiff_t k = 0; k < args.k; ++k) {
                unroll<Panels>([&](auto p) {
                    unroll<vectors>([&](auto v) {
                        const floats weight = Weight::load(w + p * args.panel_bytes + v * static_cast<std::size_t>(width * Weight::bytes));
                        unroll<Rows>([&](auto r) {
                            acc[r][p][v]
                                = fused(floats(a[static_cast<std::ptrdiff_t>(std::size_t(r)) * args.a_stride + k]), weight, acc[r][p][v]);
                        });
                    });
                });
                w += panel_columns * Weight::bytes;
            }
            float sums[Panels * panel_columns];
            for (int r = 0; r < Rows; ++r) {
                for (int p = 0; p < Panels; ++p)
                    for (std::size_t v = 0; v < vectors; ++v)
                        acc[r][p][v].store_unaligned(sums + p * panel_columns + static_cast<std::ptrdiff_t>(v) * width);
                const std::ptrdiff_t column = panel * panel_columns, left = args.n - column;
                finish_row(args, sums, row + r, column, left < Panels * panel_columns ? left : Panels * panel_columns);
            }
        }
    };
};

inline void gemm_f32(const gemm_args& args) noexcept { for_each_tile<float_gemm<float_weight>::tile>(args); }
inline void gemm_half(const gemm_args& args) noexcept { for_each_tile<float_gemm<half_weight>::tile>(args); }
inline void gemm_bfloat16(const gemm_args& args) noexcept { for_each_tile<float_gemm<bfloat16_weight>::tile>(args); }

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
