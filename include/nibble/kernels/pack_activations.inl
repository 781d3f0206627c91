// Activations for the integer products: quantized if they are floats, in blocks of 4, 2 or 1 rows, inside a block quad after quad of k and
// row after row in a quad. Each group of k is padded with zeros to a multiple of 8.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr std::ptrdiff_t code_chunk = 256;

// One row's codes [begin, begin + count) as bytes, from one of the three sources.
struct dynamic_source {
    const float* x;
    quantizer rule;
    void codes(std::ptrdiff_t begin, std::ptrdiff_t count, std::uint8_t* out) const noexcept
    {
        quantize_bytes(x + begin, out, count, rule);
    }
};
struct static_source {
    const std::uint8_t* x;
    void codes(std::ptrdiff_t begin, std::ptrdiff_t count, std::uint8_t* out) const noexcept
    {
        std::memcpy(out, x + begin, static_cast<std::size_t>(count));
    }
};

// Code: int8 or uint8, what the bytes are. Stored: the type kept for these weights.
template <class Code, class Stored, class Source>
inline void pack_row(const pack_activations_args& args, const Source& source, std::ptrdiff_t row, Stored* block, std::ptrdiff_t rows,
    const int (&order)[4], std::int32_t offset) noexcept
{
    std::ptrdiff_t at = 0; // quad in the block
    for (std::ptrdiff_t g = 0; g < args.groups; ++g) {
        const std::ptrdiff_t begin = g * args.group_size, end = args.k - begin < args.group_size ? args.k : begin + args.group_size;
        std::uint32_t sum = 0;
        for (std::ptrdiff_t i = begin; i < end; i += code_chunk) {
            std::uint8_t bytes[code_chunk] = {};
            const std::ptrdiff_t count = end - i < code_chunk ? end - i : code_chunk, padded = (count + 7) / 8 * 8;
            source.codes(i, count, bytes);
            std::int32_t part = 0;
            for (std::ptrdiff_t j = 0; j < count; ++j)
                part += static_cast<Code>(bytes[j]);
            sum += static_cast<std::uint32_t>(part);
            for (std::ptrdiff_t j = 0; j < padded; j += 4, ++at) {
                Stored* quad = block + at * rows * 4;
                for (int e = 0; e < 4; ++e) {
                    const std::ptrdiff_t from = j + order[e];
                    // Padding stays zero: the weights there are zero too, and 0 is a value of every stored type.
                    quad[e] = from < count ? static_cast<Stored>(static_cast<Code>(bytes[from]) - offset) : Stored {0};
                }
            }
        }
        args.group_sums[row * args.groups + g]
            = static_cast<std::int32_t>(sum - static_cast<std::uint32_t>(args.zero_point) * static_cast<std::uint32_t>(end - begin));
    }
}

template <class Code, class MakeSource>
inline void pack_rows(const pack_activations_args& args, MakeSource make_source) noexcept
{
    static constexpr int plain_order[4] = {0, 1, 2, 3};
    std::ptrdiff_t size = 0;
    for (std::ptrdiff_t row = args.row_begin; row < args.row_end; row += size) {
        size = block_rows(args.row_end - row);
        for (std::ptrdiff_t r = 0; r < size; ++r) {
            const auto source = make_source(row + r);
            if (args.weight_bits == 8) {
                activation8* block = reinterpret_cast<activation8*>(args.packed) + row * args.padded_k;
                pack_row<Code>(args, source, row + r, block + r * 4, size, quad_order, activation_offset(Code(-1) < 0));
            } else {
                std::int8_t* block = reinterpret_cast<std::int8_t*>(args.packed) + row * args.padded_k;
                pack_row<Code>(args, source, row + r, block + r * 4, size, plain_order, Code(-1) < 0 ? 0 : 128);
            }
        }
    }
}

// Symmetric, per row: scale = max|x| / 127, 1 if that is below the least normal float, NaN if the row holds a NaN or an infinity.
inline void pack_f32(const pack_activations_args& args) noexcept
{
    pack_rows<std::int8_t>(args, [&](std::ptrdiff_t row) noexcept {
        const float* x = static_cast<const float*>(args.a) + row * args.a_stride;
        const std::int32_t top = greatest_magnitude(x, args.k);
        const float scale = absmax_scale(top, 127.0f);
        args.row_scales[row] = scale;
        return dynamic_source {x, quantizer {top < 0x7f800000 ? 1.0f / scale : 1.0f, -127.0f, 127.0f, 0}};
    });
}
inline void pack_s8(const pack_activations_args& args) noexcept
{
    pack_rows<std::int8_t>(
        args, [&](std::ptrdiff_t row) noexcept { return static_source {static_cast<const std::uint8_t*>(args.a) + row * args.a_stride}; });
}
inline void pack_u8(const pack_activations_args& args) noexcept
{
    pack_rows<std::uint8_t>(
        args, [&](std::ptrdiff_t row) noexcept { return static_source {static_cast<const std::uint8_t*>(args.a) + row * args.a_stride}; });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
