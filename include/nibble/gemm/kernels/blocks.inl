// Products of packed activations with compact panels of ggml's blocks (blocks/compact.hpp). Their tiles are those of plain panels.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "blocks.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Product (integer.inl) of panels that are written out as plain ones before tiles use them.
template <class Product, int Bits>
struct expanded : Product {
    static constexpr bool expands = true;
    static constexpr std::ptrdiff_t expanded_k = expanded_columns;
    static constexpr std::size_t expanded_bytes = expanded_panel_bytes;
    static void expand(const gemm_args& args, std::ptrdiff_t panel, std::ptrdiff_t panels, range k, std::byte* to) noexcept
    {
        expand_panels<Bits == 4>(args, panel, panels, k.begin, k.end, to);
    }
};

template <int Bits>
inline void multiply_blocks(const gemm_args& args) noexcept
{
    using product = integer_product<Bits>;
    if (args.one_row)
        multiply_row<product, Bits == 4>(args);
    else
        run_product<expanded<product, Bits>>(args);
}

template <class Lazy>
inline void gemm_blocks_w4(const gemm_args& args) noexcept
{
    multiply_blocks<4>(args);
}
template <class Lazy>
inline void gemm_blocks_w8(const gemm_args& args) noexcept
{
    multiply_blocks<8>(args);
}
template <class Lazy>
inline void gemm_blocks_w8_reduced(const gemm_args& args) noexcept
{
    run_product<expanded<integer_product<8, multiplies_bytes>, 8>>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
