// How every product is cut: panels of 16 columns and rows of activations into register tiles, k into blocks that stay in the first cache.
//   for each few panels:  for each block of k:  for each tile of rows:  sums += activations x weights
//                         for each row: the epilogue
// A Product has `sum`, the type kept between blocks of k; tile_rows, the height of the tile that does most of the work; panels(height);
// extent(args) and block(args), k in a unit of its own; offset(args, k), the bytes of a panel before k; plan, what is found out about a
// block of weights before several tiles use it; tile<Rows, Panels>; finish, from sums to output; and expands, whether weights may be
// compact: then expand() writes expanded_k columns of panels out, expanded_bytes each, before tiles use them (expand_blocks.inl).
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "tiles.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::size_t panel_vectors = panel_columns / floats::size;
inline constexpr std::ptrdiff_t most_panels = 4; // that a tile has

// Asks for weights that a panel needs `ahead` bytes later. Where few rows share them they come from memory, and what the hardware fetches
// ahead by itself is not enough: four panels read side by side reach 33 GB/s without and 41 GB/s with this (Zen 5).
inline constexpr std::size_t usual_ahead = 2048;
NIBBLE_INLINE void fetch_ahead([[maybe_unused]] const std::byte* weights, [[maybe_unused]] std::size_t ahead) noexcept
{
#if NIBBLE_ISA >= NIBBLE_ISA_AVX2 && NIBBLE_ISA < NIBBLE_ISA_NEON
    // Perhaps beyond the weights, where no pointer may be made, only an address.
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(weights) + ahead), _MM_HINT_T0);
#endif
}

// The same place in Rows rows. Every third row has a pointer, the next two are reached by adding the stride once or twice, which an
// address on x86 does for nothing: all rows of a tile need few registers.
template <class T, int Rows>
class row_cursor {
public:
    NIBBLE_INLINE row_cursor(const T* first, std::ptrdiff_t stride) noexcept : stride_(stride)
    {
        for (int i = 0; i < bases; ++i)
            base_[i] = first + 3 * i * stride;
    }
    NIBBLE_INLINE const T* operator[](std::size_t r) const noexcept { return base_[r / 3] + static_cast<std::ptrdiff_t>(r % 3) * stride_; }
    NIBBLE_INLINE void advance(std::ptrdiff_t n) noexcept
    {
        for (int i = 0; i < bases; ++i)
            base_[i] += n;
    }

private:
    static constexpr int bases = (Rows + 2) / 3;
    const T* base_[std::size_t {bases}];
    std::ptrdiff_t stride_;
};

struct range {
    std::ptrdiff_t begin, end;
};

// A block of k of some panels: where the first panel's begins, and how far it is to the next one's.
struct weight_block {
    const std::byte* at;
    std::size_t panel_bytes;
};

// Where vector v of panel p of row r lies in a tile's sums.
template <int Panels>
NIBBLE_INLINE constexpr std::size_t sum_at(std::size_t r, std::size_t p, std::size_t v) noexcept
{
    return (r * Panels + p) * std::size_t {panel_columns} + v * ints::size;
}

struct no_plan {
    template <int Panels>
    void make(const gemm_args&, weight_block, range) noexcept
    {
    }
};

// Rows [row, row_end), a multiple of Rows and at most Capacity, x Panels panels.
template <class Product, int Rows, int Panels, int Capacity>
inline void run_strip(const gemm_args& args, std::ptrdiff_t row_begin, std::ptrdiff_t row_end, std::ptrdiff_t panel) noexcept
{
    constexpr std::ptrdiff_t columns = Panels * panel_columns;
    alignas(cache_line) typename Product::sum sums[std::size_t {Capacity * columns}];
    alignas(cache_line) std::byte expanded[Product::expands ? Panels * Product::expanded_bytes : 1];
    const bool single = row_end - row_begin <= Rows;
    const std::byte* const weights = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes;
    const std::size_t unit = Product::offset(args, 1);
    const std::ptrdiff_t extent = Product::extent(args), tail = static_cast<std::ptrdiff_t>((usual_ahead - 1 + unit) / unit);
    for (range k {0, 0}; k.begin == 0 || k.begin < extent; k.begin = k.end) {
        const std::ptrdiff_t left = extent - k.begin;
        weight_block w {expanded, Product::expanded_bytes};
        std::size_t ahead = 0;
        if constexpr (Product::expands) {
            const std::ptrdiff_t step = Product::expanded_k / args.group_size;
            k.end = left < step ? extent : k.begin + step;
            Product::expand(args, panel, Panels, k, expanded);
        } else {
            // A single tile takes k as a whole, but for the end, which fetches what the next panels begin with.
            const std::ptrdiff_t step = !single ? Product::block(args) : left > tail ? left - tail : left;
            k.end = left < step ? extent : k.begin + step;
            const std::size_t offset = Product::offset(args, k.begin);
            w = {weights + offset, args.panel_bytes};
            ahead = single && left <= tail ? static_cast<std::size_t>(Panels) * args.panel_bytes - offset : usual_ahead;
        }
        typename Product::plan plan;
        if (row_end - row_begin > 2 * Rows)
            plan.template make<Panels>(args, w, k);
        for (std::ptrdiff_t row = row_begin; row < row_end; row += Rows)
            Product::template tile<Rows, Panels>(args, row, w, k, plan, sums + (row - row_begin) * columns, ahead);
        if (extent == 0)
            break;
    }
    Product::finish(args, {row_begin, row_end}, panel, Panels, sums);
}

template <class Product, int Rows, int Capacity>
inline void run_rows(const gemm_args& args, range rows, std::ptrdiff_t panel, std::ptrdiff_t panel_end) noexcept
{
    constexpr int many = Product::panels(Rows);
    static_assert(many <= most_panels);
    for (; panel + many <= panel_end; panel += many)
        run_strip<Product, Rows, many, Capacity>(args, rows.begin, rows.end, panel);
    for (; panel < panel_end; ++panel)
        run_strip<Product, Rows, 1, Capacity>(args, rows.begin, rows.end, panel);
}

template <class Product>
inline void run_product(const gemm_args& args) noexcept
{
    constexpr std::ptrdiff_t together = 4; // panels whose weights are still cached when the next few rows want them
    for (std::ptrdiff_t row = args.row_begin, end = row; row < args.row_end; row = end) {
        end = args.row_end - row < product_rows ? args.row_end : row + product_rows;
        const std::ptrdiff_t whole = row + (end - row) / Product::tile_rows * Product::tile_rows;
        if (whole > row)
            run_rows<Product, Product::tile_rows, product_rows>(args, {row, whole}, args.panel_begin, args.panel_end);
        for (std::ptrdiff_t panel = args.panel_begin; panel < args.panel_end && whole < end; panel += together) {
            const std::ptrdiff_t panel_end = args.panel_end - panel < together ? args.panel_end : panel + together;
            std::ptrdiff_t next = whole;
            if constexpr (Product::tile_rows > 4)
                for (; end - next >= 4; next += 4)
                    run_rows<Product, 4, 4>(args, {next, next + 4}, panel, panel_end);
            switch (end - next) {
            case 3: run_rows<Product, 3, 3>(args, {next, end}, panel, panel_end); break;
            case 2: run_rows<Product, 2, 2>(args, {next, end}, panel, panel_end); break;
            case 1: run_rows<Product, 1, 1>(args, {next, end}, panel, panel_end); break;
            default: break;
            }
        }
    }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
