// c += a * b or c -= a * b in double, for calibration and post-training quantization: every element is one chain of fused
// multiply-adds in ascending k, so tiles and vector width do not show in the result.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "product_f64.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

template <int Rows, int Vectors, bool Subtract>
inline void product_f64_tile(const product_f64_args& args, std::ptrdiff_t row, std::ptrdiff_t column) noexcept
{
    constexpr std::ptrdiff_t lanes = static_cast<std::ptrdiff_t>(doubles::size);
    doubles acc[std::size_t {Rows}][std::size_t {Vectors}];
    double* const c = args.c + row * args.c_stride + column;
    unroll_grid<Rows, Vectors>([&](std::size_t r, std::size_t v) NIBBLE_UNROLLED {
        acc[r][v] = doubles::load_unaligned(c + static_cast<std::ptrdiff_t>(r) * args.c_stride + static_cast<std::ptrdiff_t>(v) * lanes);
    });
    const double *a = args.a + row * args.a_row_stride, *b = args.b + column;
    for (std::ptrdiff_t k = 0; k < args.k; ++k, a += args.a_column_stride, b += args.b_stride) {
        doubles right[std::size_t {Vectors}];
        unroll<Vectors>(
            [&](std::size_t v) NIBBLE_UNROLLED { right[v] = doubles::load_unaligned(b + static_cast<std::ptrdiff_t>(v) * lanes); });
        unroll<Rows>([&](std::size_t r) NIBBLE_UNROLLED {
            const double factor = a[static_cast<std::ptrdiff_t>(r) * args.a_row_stride];
            const doubles left(Subtract ? -factor : factor);
            unroll<Vectors>([&](std::size_t v) NIBBLE_UNROLLED { acc[r][v] = fused(left, right[v], acc[r][v]); });
        });
    }
    unroll_grid<Rows, Vectors>([&](std::size_t r, std::size_t v) NIBBLE_UNROLLED {
        acc[r][v].store_unaligned(c + static_cast<std::ptrdiff_t>(r) * args.c_stride + static_cast<std::ptrdiff_t>(v) * lanes);
    });
}

template <bool Subtract>
inline void product_f64_all(const product_f64_args& args) noexcept
{
    constexpr std::ptrdiff_t lanes = static_cast<std::ptrdiff_t>(doubles::size);
    // Rows x 2 accumulators: twelve of 16 registers, or sixteen of 32. One row alone needs more columns in flight to hide the latency.
    constexpr int rows = vector_registers < 32 ? 6 : 8;
    std::ptrdiff_t column = 0;
    for (; column + 2 * lanes <= args.n; column += 2 * lanes)
        for (std::ptrdiff_t row = 0; row + rows <= args.m; row += rows)
            product_f64_tile<rows, 2, Subtract>(args, row, column);
    for (std::ptrdiff_t row = args.m / rows * rows, wide = 0; row < args.m; ++row, wide = 0) {
        for (; wide + 8 * lanes <= column; wide += 8 * lanes)
            product_f64_tile<1, 8, Subtract>(args, row, wide);
        for (; wide < column; wide += 2 * lanes)
            product_f64_tile<1, 2, Subtract>(args, row, wide);
    }
    for (; column < args.n; ++column)
        for (std::ptrdiff_t row = 0; row < args.m; ++row) {
            double sum = args.c[row * args.c_stride + column];
            for (std::ptrdiff_t k = 0; k < args.k; ++k) {
                const double factor = args.a[row * args.a_row_stride + k * args.a_column_stride];
                sum = strict_math::fma(Subtract ? -factor : factor, args.b[k * args.b_stride + column], sum);
            }
            args.c[row * args.c_stride + column] = sum;
        }
}

template <class Lazy>
inline void product_f64(const product_f64_args& args) noexcept
{
    if (args.subtract)
        product_f64_all<true>(args);
    else
        product_f64_all<false>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
