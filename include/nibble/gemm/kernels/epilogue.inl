// The last step of every product: scale, bias, activation, clamp, and conversion to the output's type; see gemm/epilogue.hpp.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "epilogue.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// A vector of columns: what they share over all rows is loaded once.
class epilogue_columns {
public:
    epilogue_columns(const gemm_args& args, std::ptrdiff_t column) noexcept
        : args_(args), column_(column), count_(smaller(args.n - column, width)), scale_(1.0f), bias_(0.0f)
    {
        if (args.scale)
            scale_ = load_columns(args.scale + column, count_, true);
        if (args.bias)
            bias_ = load_columns(args.bias + column, count_, true);
        bounded_ = float_bits(args.clamp_low) != (1u << 31 | infinity_bits) || float_bits(args.clamp_high) != infinity_bits;
    }

    NIBBLE_INLINE void operator()(floats sum, std::ptrdiff_t row) const noexcept
    {
        const floats row_scale(args_.row_scales ? args_.row_scales[row] * args_.activation_scale : args_.activation_scale);
        const floats scale = args_.scale ? scale_ * row_scale : row_scale;
        floats v = args_.bias ? fused(sum, scale, bias_) : sum * scale;
        if (args_.function != activation_function::none)
            v = apply_activation(args_.function, v);
        if (bounded_)
            v = bounded(v, args_.clamp_low, args_.clamp_high);
        if (args_.output == gemm_output::f32) {
            float* c = static_cast<float*>(args_.c) + row * args_.c_stride + column_;
            // The sign and payload of a NaN that an operation makes differ from CPU to CPU.
            v = select(v == v, v, floats(quiet_nan()));
            if (count_ == width)
                v.store_unaligned(c);
            else
                store_part(v, c, count_);
        } else {
            const std::int32_t qmin = args_.output == gemm_output::s8 ? -128 : 0;
            const quantizer rule {1.0f / args_.output_scale, static_cast<float>(qmin - args_.output_zero_point),
                static_cast<float>(qmin + 255 - args_.output_zero_point), args_.output_zero_point};
            std::uint8_t* const c = static_cast<std::uint8_t*>(args_.c) + row * args_.c_stride + column_;
            if (count_ == width)
                store_low_bytes(rule(v, 0), c);
            else
                store_codes_part(rule(v, 0), c, count_);
        }
    }

private:
    const gemm_args& args_;
    std::ptrdiff_t column_, count_;
    floats scale_, bias_;
    bool bounded_;
};

// How many of the columns of `panels` panels exist.
inline std::ptrdiff_t columns_left(const gemm_args& args, std::ptrdiff_t panel, std::ptrdiff_t panels) noexcept
{
    const std::ptrdiff_t left = args.n - panel * panel_columns;
    return smaller(left, panels * panel_columns);
}

// Calls step(lane, column) for each vector of the columns of `panels` panels that holds one that exists.
template <class Step>
NIBBLE_INLINE void for_columns(const gemm_args& args, std::ptrdiff_t panel, std::ptrdiff_t panels, Step step) noexcept
{
    for (std::ptrdiff_t lane = 0, columns = columns_left(args, panel, panels); lane < columns; lane += width)
        step(lane, panel * panel_columns + lane);
}

// The epilogue of sums that are floats, [rows][panels * 16] of them.
inline void finish_floats(const gemm_args& args, range rows, std::ptrdiff_t panel, std::ptrdiff_t panels, const float* sums) noexcept
{
    const std::ptrdiff_t stride = panels * panel_columns;
    for_columns(args, panel, panels, [&](std::ptrdiff_t lane, std::ptrdiff_t column) noexcept {
        const epilogue_columns finish_one(args, column);
        const float* at = sums + lane;
        for (std::ptrdiff_t row = rows.begin; row < rows.end; ++row, at += stride)
            finish_one(floats::load_unaligned(at), row);
    });
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
