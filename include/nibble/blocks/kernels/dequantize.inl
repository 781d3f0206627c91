// ggml's blocks to floats; blocks/decode.hpp has what a block holds.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "dequantize.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

template <class Block>
inline void dequantize_ggml_as(const dequantize_ggml_args& args) noexcept
{
    constexpr std::ptrdiff_t elements = block_traits<Block>::elements, group = block_group<Block>;
    const std::byte* from = args.blocks;
    for (std::ptrdiff_t b = 0; b < args.cols; b += elements, from += sizeof(Block)) {
        Block block;
        decoded_block d;
        std::memcpy(static_cast<void*>(&block), from, sizeof block);
        decode(block, d);
        for (std::ptrdiff_t i = 0; i < elements; i += width) {
            floats x = opaque(to_float(load_s8(d.integers + i)) * floats(d.steps[i / group]));
            if constexpr (has_minimum<Block>)
                x = x + floats(d.minimums[i / group]);
            x.store_unaligned(args.x + b + i);
        }
    }
}

template <class Lazy>
inline void dequantize_ggml(const dequantize_ggml_args& args) noexcept
{
    switch (args.type) {
#define NIBBLE_BLOCK(name) \
    case ggml_type::name: return dequantize_ggml_as<block_##name>(args);
        NIBBLE_BLOCKS
#undef NIBBLE_BLOCK
    default: return;
    }
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
