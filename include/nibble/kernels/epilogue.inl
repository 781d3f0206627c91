// The last step of every product: scale, bias, activation, clamp, and conversion to the output's type; see gemm/epilogue.hpp.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// `columns` results of one row, from sums[0...] (16 of them readable per panel), to column `column` of row `row`.
inline void finish_row(const gemm_args& args, const float* sums, std::ptrdiff_t row, std::ptrdiff_t column, std::ptrdiff_t columns) noexcept
{
    const float row_scale = args.row_scales ? args.row_scales[row] * args.activation_scale : args.activation_scale;
    for (std::ptrdiff_t j = 0; j < columns; j += width) {
        const std::size_t count = static_cast<std::size_t>(columns - j < width ? columns - j : width);
        const auto per_column = [&](const float* p) noexcept {
            if (count == floats::size)
                return floats::load_unaligned(p + column + j);
            float lanes[floats::size] = {};
            std::memcpy(lanes, p + column + j, count * sizeof(float));
            return floats::load_unaligned(lanes);
        };
        const floats sum = floats::load_unaligned(sums + j);
        const floats scale = args.scale ? per_column(args.scale) * floats(row_scale) : floats(row_scale);
        floats v = args.bias ? fused(sum, scale, per_column(args.bias)) : sum * scale;
        v = apply_activation(args.function, v);
        v = bounded(v, args.clamp_low, args.clamp_high);
        if (args.output == gemm_output::f32) {
            float* c = static_cast<float*>(static_cast<void*>(args.c)) + row * args.c_stride + column + j;
            // The sign and payload of a NaN that an operation makes differ from CPU to CPU.
            v = select(v == v, v, floats(float_from_bits(0x7fc00000u)));
            if (count == floats::size) {
                v.store_unaligned(c);
            } else {
                float lanes[floats::size];
                v.store_unaligned(lanes);
                std::memcpy(c, lanes, count * sizeof(float));
            }
        } else {
            const std::int32_t qmin = args.output == gemm_output::s8 ? -128 : 0;
            const quantizer rule {1.0f / args.output_scale, static_cast<float>(qmin - args.output_zero_point),
                static_cast<float>(qmin + 255 - args.output_zero_point), args.output_zero_point};
            std::uint8_t codes[floats::size];
            store_low_bytes(rule(v, 0), codes);
            std::memcpy(static_cast<std::uint8_t*>(args.c) + row * args.c_stride + column + j, codes, count);
        }
    }
}

// How many of the columns of `panels` panels exist.
inline std::ptrdiff_t columns_left(const gemm_args& args, std::ptrdiff_t panel, std::ptrdiff_t panels) noexcept
{
    const std::ptrdiff_t left = args.n - panel * panel_columns;
    return left < panels * panel_columns ? left : panels * panel_columns;
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
