// int8 products of one group of k in AMX tiles: 16 rows x 64 k of activations, 64 k x 16 columns of a panel as it is packed, 16 x 16 int32
// sums, which wrap as those of the other backends. Fewer than 4 rows and fewer than 64 k run on AVX-512 VNNI. Written in assembly: the
// compilers' intrinsics do not tell them that tiles are read from memory.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

using vnni_product = avx512vnni::integer_product<8>;

inline constexpr std::ptrdiff_t tile_rows = 16, tile_k = 64;
inline constexpr std::size_t tile_bytes = 1024;

#define NIBBLE_TILE_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile : :)
#define NIBBLE_TILE_LOAD(tile, from, stride) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(from), "r"(std::ptrdiff_t {stride}) : "memory")
#define NIBBLE_TILE_STORE(tile, to, stride) \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(to), "r"(std::ptrdiff_t {stride}) : "memory")
// sums += activations (tile 6, unsigned) x weights (tile 7, signed)
#define NIBBLE_TILE_MULTIPLY(sums) __asm__ volatile("tdpbusd %%tmm7, %%tmm6, %%tmm" #sums : :)

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

// The sums += the products of 64 k. Of one row of tiles: tile p of panel p; of more: tile 2 r + p of row r of tiles.
template <int RowTiles, int Panels>
NIBBLE_INLINE void multiply_tiles(const std::byte* a, std::ptrdiff_t stride, const std::byte* codes, std::size_t panel_bytes) noexcept
{
    const std::ptrdiff_t down = tile_rows * stride;
    NIBBLE_TILE_LOAD(6, a, stride);
    NIBBLE_TILE_LOAD(7, codes, 64);
    NIBBLE_TILE_MULTIPLY(0);
    if constexpr (RowTiles == 1) {
        if constexpr (Panels > 1) {
            NIBBLE_TILE_LOAD(7, codes + panel_bytes, 64);
            NIBBLE_TILE_MULTIPLY(1);
        }
        if constexpr (Panels > 2) {
            NIBBLE_TILE_LOAD(7, codes + 2 * panel_bytes, 64);
            NIBBLE_TILE_MULTIPLY(2);
            NIBBLE_TILE_LOAD(7, codes + 3 * panel_bytes, 64);
            NIBBLE_TILE_MULTIPLY(3);
        }
        for (std::size_t p = 0; p < Panels; ++p)
            fetch_tiles_ahead(codes + p * panel_bytes);
    } else {
        NIBBLE_TILE_LOAD(6, a + down, stride);
        NIBBLE_TILE_MULTIPLY(2);
        if constexpr (RowTiles > 2) {
            NIBBLE_TILE_LOAD(6, a + 2 * down, stride);
            NIBBLE_TILE_MULTIPLY(4);
        }
        if constexpr (Panels > 1) {
            NIBBLE_TILE_LOAD(7, codes + panel_bytes, 64);
            if constexpr (RowTiles > 2) {
                NIBBLE_TILE_MULTIPLY(5);
                NIBBLE_TILE_LOAD(6, a + down, stride);
            }
            NIBBLE_TILE_MULTIPLY(3);
            NIBBLE_TILE_LOAD(6, a, stride);
            NIBBLE_TILE_MULTIPLY(1);
        }
    }
}

// rows, RowTiles rows of tiles, x Panels panels.
template <int RowTiles, int Panels>
inline void run_tiles(const gemm_args& args, range rows, std::ptrdiff_t panel) noexcept
{
    constexpr std::ptrdiff_t columns = Panels * panel_columns, sums_stride = columns * 4;
    alignas(64) vnni_product::sum sums[RowTiles * tile_rows * columns];
    const std::byte* const weights = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes;
    const std::byte* codes = avx512vnni::read_group<8>(args, weights).codes;
    const std::ptrdiff_t stride
        = args.a_stride != 0 ? args.a_stride : avx512vnni::activation_stride<avx512vnni::group_activation8>(args.padded_k);
    const std::byte* a = args.a + rows.begin * stride;

    NIBBLE_TILE_ZERO(0);
    NIBBLE_TILE_ZERO(1);
    NIBBLE_TILE_ZERO(2);
    NIBBLE_TILE_ZERO(3);
    NIBBLE_TILE_ZERO(4);
    NIBBLE_TILE_ZERO(5);
    for (std::ptrdiff_t k = args.padded_k / tile_k; k != 0; --k, a += tile_k, codes += tile_bytes)
        multiply_tiles<RowTiles, Panels>(a, stride, codes, args.panel_bytes);
    if (const std::ptrdiff_t left = args.padded_k % tile_k; left != 0) {
        // Activations behind the row are multiplied by zeros; rows end where their stride does, or others and some room follow.
        alignas(64) std::byte last[Panels * tile_bytes] = {};
        for (std::size_t p = 0; p < Panels; ++p)
            std::memcpy(last + p * tile_bytes, codes + p * args.panel_bytes, static_cast<std::size_t>(left * panel_columns));
        multiply_tiles<RowTiles, Panels>(a, stride, last, tile_bytes);
    }
    NIBBLE_TILE_STORE(0, sums, sums_stride);
    if constexpr (Panels > 1)
        NIBBLE_TILE_STORE(1, sums + panel_columns, sums_stride);
    if constexpr (RowTiles == 1 && Panels > 2) {
        NIBBLE_TILE_STORE(2, sums + 2 * panel_columns, sums_stride);
        NIBBLE_TILE_STORE(3, sums + 3 * panel_columns, sums_stride);
    }
    if constexpr (RowTiles > 1) {
        vnni_product::sum* const second = sums + tile_rows * columns;
        NIBBLE_TILE_STORE(2, second, sums_stride);
        if constexpr (Panels > 1)
            NIBBLE_TILE_STORE(3, second + panel_columns, sums_stride);
    }
    if constexpr (RowTiles > 2) {
        vnni_product::sum* const third = sums + 2 * tile_rows * columns;
        NIBBLE_TILE_STORE(4, third, sums_stride);
        if constexpr (Panels > 1)
            NIBBLE_TILE_STORE(5, third + panel_columns, sums_stride);
    }
    vnni_product::finish<Panels>(args, rows, panel, sums);
}

#undef NIBBLE_TILE_MULTIPLY
#undef NIBBLE_TILE_STORE
#undef NIBBLE_TILE_LOAD
#undef NIBBLE_TILE_ZERO

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
        avx512vnni::gemm_w8(rest);
}

// The kernels of avx512vnni but for this one; without multiplications of bytes a reduced range is none.
constexpr kernel_table with_tiles() noexcept
{
    kernel_table t = avx512vnni::table;
    t.name = NIBBLE_STRING(NIBBLE_BACKEND_NAME);
    t.gemm_w8 = gemm_w8;
    t.gemm_w8_reduced = gemm_w8;
    return t;
}
inline constexpr kernel_table table = with_tiles();

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
