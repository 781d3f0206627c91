// int8 products of one group of k in AMX tiles: 16 rows x 64 k of activations, 64 k x 16 columns of a panel as it is packed, 16 x 16 int32
// sums, which wrap as those of the other backends. Fewer than 16 rows and fewer than 64 k run on AVX-512 VNNI. Written in assembly: the
// compilers' intrinsics do not tell them that tiles are read from memory.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

using vnni_product = avx512vnni::integer_product<8>;

inline constexpr std::ptrdiff_t tile_rows = 16, tile_k = 64, tile_bytes = 1024;

#define NIBBLE_TILE_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile : :)
#define NIBBLE_TILE_LOAD(tile, from, stride) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(from), "r"(std::ptrdiff_t {stride}) : "memory")
#define NIBBLE_TILE_STORE(tile, to, stride) \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(to), "r"(std::ptrdiff_t {stride}) : "memory")
// sums += activations (tile 6, unsigned) x weights (tile 7, signed)
#define NIBBLE_TILE_MULTIPLY(sums) __asm__ volatile("tdpbusd %%tmm7, %%tmm6, %%tmm" #sums : :)

// All eight tiles whole, until the scope ends.
class tile_scope {
public:
    tile_scope() noexcept
    {
        struct alignas(64) {
            std::uint8_t palette, start_row, reserved[14];
            std::uint16_t row_bytes[16];
            std::uint8_t rows[16];
        } config {};
        config.palette = 1;
        for (int i = 0; i < 8; ++i) {
            config.row_bytes[i] = 64;
            config.rows[i] = tile_rows;
        }
        __asm__ volatile("ldtilecfg %0" : : "m"(config));
    }
    tile_scope(const tile_scope&) = delete;
    tile_scope& operator=(const tile_scope&) = delete;
    ~tile_scope() { __asm__ volatile("tilerelease" : :); }
};

// The sums (tiles 2 r + p of row tile r and panel p) += the products of 64 k.
template <int RowTiles, int Panels>
NIBBLE_INLINE void multiply_tiles(const std::byte* a, std::ptrdiff_t stride, const std::byte* codes, std::size_t panel_bytes) noexcept
{
    const std::ptrdiff_t down = tile_rows * stride;
    NIBBLE_TILE_LOAD(7, codes, 64);
    NIBBLE_TILE_LOAD(6, a, stride);
    NIBBLE_TILE_MULTIPLY(0);
    if constexpr (RowTiles > 1) {
        NIBBLE_TILE_LOAD(6, a + down, stride);
        NIBBLE_TILE_MULTIPLY(2);
    }
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
        if constexpr (RowTiles > 1) {
            NIBBLE_TILE_MULTIPLY(3);
            NIBBLE_TILE_LOAD(6, a, stride);
        }
        NIBBLE_TILE_MULTIPLY(1);
    }
}

// RowTiles * 16 rows x Panels panels.
template <int RowTiles, int Panels>
inline void run_tiles(const gemm_args& args, std::ptrdiff_t row, std::ptrdiff_t panel) noexcept
{
    constexpr std::ptrdiff_t columns = Panels * panel_columns, sums_stride = columns * 4;
    alignas(64) vnni_product::sum sums[RowTiles * tile_rows * columns];
    const std::byte* const weights = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes;
    const std::byte* codes = avx512vnni::read_group<8>(args, weights).codes;
    const std::ptrdiff_t stride
        = args.a_stride != 0 ? args.a_stride : avx512vnni::activation_stride<avx512vnni::group_activation8>(args.padded_k);
    const std::byte* a = args.a + row * stride;

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
    const auto store = [&](auto r) NIBBLE_UNROLLED {
        constexpr int tile = decltype(r)::value;
        vnni_product::sum* const to = sums + tile * tile_rows * columns;
        if constexpr (tile == 0)
            NIBBLE_TILE_STORE(0, to, sums_stride);
        else if constexpr (tile == 1)
            NIBBLE_TILE_STORE(2, to, sums_stride);
        else
            NIBBLE_TILE_STORE(4, to, sums_stride);
        if constexpr (Panels > 1) {
            if constexpr (tile == 0)
                NIBBLE_TILE_STORE(1, to + panel_columns, sums_stride);
            else if constexpr (tile == 1)
                NIBBLE_TILE_STORE(3, to + panel_columns, sums_stride);
            else
                NIBBLE_TILE_STORE(5, to + panel_columns, sums_stride);
        }
    };
    unroll<RowTiles>(store);
    vnni_product::finish<Panels>(args, {row, row + RowTiles * tile_rows}, panel, sums);
}

#undef NIBBLE_TILE_MULTIPLY
#undef NIBBLE_TILE_STORE
#undef NIBBLE_TILE_LOAD
#undef NIBBLE_TILE_ZERO

template <int RowTiles>
inline void run_row_tiles(const gemm_args& args, std::ptrdiff_t row) noexcept
{
    std::ptrdiff_t panel = args.panel_begin;
    for (; panel + 2 <= args.panel_end; panel += 2)
        run_tiles<RowTiles, 2>(args, row, panel);
    if (panel < args.panel_end)
        run_tiles<RowTiles, 1>(args, row, panel);
}

inline void gemm_w8(const gemm_args& args) noexcept
{
    gemm_args rest = args;
    if (args.groups == 1 && args.padded_k >= tile_k && args.row_end - args.row_begin >= tile_rows) {
        const tile_scope tiles;
        for (;; rest.row_begin += 3 * tile_rows) {
            const std::ptrdiff_t left = (args.row_end - rest.row_begin) / tile_rows;
            if (left >= 3) {
                run_row_tiles<3>(args, rest.row_begin);
                continue;
            }
            if (left == 2)
                run_row_tiles<2>(args, rest.row_begin);
            else if (left == 1)
                run_row_tiles<1>(args, rest.row_begin);
            rest.row_begin += left * tile_rows;
            break;
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
