// int8 products of one group of k in AMX tiles: 16 rows x 64 k of activations, 64 k x 16 columns of a panel as it is packed, 16 x 16 int32
// sums, which wrap as those of the other backends. Fewer than 4 rows and fewer than 64 k run on AVX-512 VNNI. Written in assembly: the
// compilers' intrinsics do not tell them that tiles are read from memory.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "amx.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

using vnni_product = avx512vnni::integer_product<8>;

inline constexpr std::ptrdiff_t tile_rows = 16, tile_k = 64;
inline constexpr std::size_t tile_bytes = 1024;

template <int Tile>
inline void zero_tile() noexcept
{
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(Tile));
}
template <int Tile>
inline void load_tile(const std::byte* from, std::ptrdiff_t stride) noexcept
{
    __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(Tile), "r"(from), "r"(stride) : "memory");
}
template <int Tile>
inline void store_tile(void* to, std::ptrdiff_t stride) noexcept
{
    __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(Tile), "r"(to), "r"(stride) : "memory");
}
// sums += activations (tile 6, unsigned) x weights (tile 7, signed)
template <int Sums>
inline void multiply_tile() noexcept
{
    __asm__ volatile("tdpbusd %%tmm7, %%tmm6, %%tmm%c0" : : "i"(Sums));
}

// Seven tiles of `rows` rows of 64 bytes, the last, of weights, of 16, until the scope ends.
class tile_scope {
public:
    explicit tile_scope(std::ptrdiff_t rows) noexcept
    {
        struct alignas(64) {
            std::uint8_t palette, start_row, reserved[14];
            std::uint16_t row_bytes[16];
            std::uint8_t rows[16];
        } config {};
        config.palette = 1;
        for (int i = 0; i < 8; ++i) {
            config.row_bytes[i] = 64;
            config.rows[i] = static_cast<std::uint8_t>(i < 7 ? rows : tile_rows);
        }
        __asm__ volatile("ldtilecfg %0" : : "m"(config));
    }
    tile_scope(const tile_scope&) = delete;
    tile_scope& operator=(const tile_scope&) = delete;
    ~tile_scope() { __asm__ volatile("tilerelease" : :); }
};

// Weights of a panel's next steps: where one row of tiles shares them, they come from memory.
inline void fetch_tiles_ahead(const std::byte* codes) noexcept
{
    for (std::size_t line = 0; line < tile_bytes; line += 64)
        fetch_ahead(codes + line, usual_ahead);
}

// The sums, tile r * Panels + p of row r of tiles and panel p, += the products of 64 k. Every second panel takes the rows backwards, so
// that the activations of the last one serve again.
template <int RowTiles, int Panels>
NIBBLE_INLINE void multiply_tiles(const std::byte* a, std::ptrdiff_t stride, const std::byte* codes, std::size_t panel_bytes) noexcept
{
    unroll<Panels>([&](auto p) NIBBLE_UNROLLED {
        load_tile<7>(codes + p * panel_bytes, 64);
        unroll<RowTiles>([&](auto i) NIBBLE_UNROLLED {
            constexpr int panel = decltype(p)::value, step = decltype(i)::value, row = panel % 2 == 0 ? step : RowTiles - 1 - step;
            if constexpr (panel == 0 || step != 0)
                load_tile<6>(a + row * tile_rows * stride, stride);
            multiply_tile<row * Panels + panel>();
        });
    });
    if constexpr (RowTiles == 1)
        for (std::size_t p = 0; p < Panels; ++p)
            fetch_tiles_ahead(codes + p * panel_bytes);
}

// rows, RowTiles rows of tiles, x Panels panels.
template <int RowTiles, int Panels>
inline void run_tiles(const gemm_args& args, range rows, std::ptrdiff_t panel) noexcept
{
    constexpr std::ptrdiff_t columns = Panels * panel_columns, sums_stride = columns * 4;
    alignas(64) vnni_product::sum sums[std::size_t {RowTiles * tile_rows * columns}];
    const std::byte* const weights = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes;
    const std::byte* codes = avx512vnni::read_group<8>(args, weights).codes;
    const std::ptrdiff_t stride = avx512vnni::packed_stride<avx512vnni::group_activation8>(args);
    const std::byte* a = args.a + rows.begin * stride;

    unroll<RowTiles * Panels>([](auto t) NIBBLE_UNROLLED { zero_tile<decltype(t)::value>(); });
    for (std::ptrdiff_t k = args.padded_k / tile_k; k != 0; --k, a += tile_k, codes += tile_bytes)
        multiply_tiles<RowTiles, Panels>(a, stride, codes, args.panel_bytes);
    if (const std::ptrdiff_t left = args.padded_k % tile_k; left != 0) {
        // Activations behind the row are multiplied by zeros; rows end where their stride does, or others and some room follow.
        alignas(64) std::byte last[Panels * tile_bytes] = {};
        for (std::size_t p = 0; p < Panels; ++p)
            std::memcpy(last + p * tile_bytes, codes + p * args.panel_bytes, static_cast<std::size_t>(left * panel_columns));
        multiply_tiles<RowTiles, Panels>(a, stride, last, tile_bytes);
    }
    unroll<RowTiles>([&](auto r) NIBBLE_UNROLLED {
        unroll<Panels>([&](auto p) NIBBLE_UNROLLED {
            constexpr int row = decltype(r)::value, at = decltype(p)::value;
            store_tile<row * Panels + at>(sums + row * tile_rows * columns + at * panel_columns, sums_stride);
        });
    });
    vnni_product::finish(args, rows, panel, Panels, sums);
}

template <int RowTiles>
inline void run_row_tiles(const gemm_args& args, range rows) noexcept
{
    constexpr int together = RowTiles == 1 ? 4 : 2;
    std::ptrdiff_t panel = args.panel_begin;
    for (; panel + together <= args.panel_end; panel += together)
        run_tiles<RowTiles, together>(args, rows, panel);
    for (; panel < args.panel_end; ++panel)
        run_tiles<RowTiles, 1>(args, rows, panel);
}

template <class Lazy>
inline void gemm_w8(const gemm_args& args) noexcept
{
    constexpr std::ptrdiff_t fewest = 4; // rows that tiles are faster for
    gemm_args rest = args;
    if (args.groups == 1 && args.padded_k >= tile_k) {
        std::ptrdiff_t& row = rest.row_begin;
        if (args.row_end - row >= tile_rows) {
            const tile_scope tiles(tile_rows);
            for (; args.row_end - row >= 3 * tile_rows; row += 3 * tile_rows)
                run_row_tiles<3>(args, {row, row + 3 * tile_rows});
            if (args.row_end - row >= 2 * tile_rows) {
                run_row_tiles<2>(args, {row, row + 2 * tile_rows});
                row += 2 * tile_rows;
            } else if (args.row_end - row >= tile_rows) {
                run_row_tiles<1>(args, {row, row + tile_rows});
                row += tile_rows;
            }
        }
        if (args.row_end - row >= fewest) {
            const tile_scope tiles(args.row_end - row);
            run_row_tiles<1>(args, {row, args.row_end});
            return;
        }
    }
    if (rest.row_begin < rest.row_end)
        avx512vnni::gemm_w8<Lazy>(rest);
}

// On VNNI a reduced range gains nothing.
template <class Lazy>
inline void gemm_w8_reduced(const gemm_args& args) noexcept
{
    gemm_w8<Lazy>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
