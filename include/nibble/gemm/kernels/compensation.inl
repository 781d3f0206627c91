// How the sections of a panel are read (gemm/section_layout.hpp), and what is added to sums of stored codes.
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "compensation.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// Where the parts of a section lie, without its codes: how many there are differs in the last group.
template <int Bits>
NIBBLE_INLINE section_layout section_of(const gemm_args& args) noexcept
{
    section_format format = args.section;
    format.bits = Bits;
    return section_layout(format, 0);
}

// One group of one panel.
struct group_cursor {
    const std::byte *scales, *minimums, *column_sums, *zero_points, *codes;
};

template <int Bits>
NIBBLE_INLINE group_cursor read_group(const gemm_args& args, const std::byte* section) noexcept
{
    const section_layout at = section_of<Bits>(args);
    return {section, section + at.minimums, section + at.sums, section + at.zero_points, section + at.codes};
}

inline ints load_ints(const std::byte* p) noexcept
{
#if NIBBLE_ISA == NIBBLE_ISA_SCALAR
    std::int32_t x;
    std::memcpy(&x, p, 4);
    return ints(x);
#else
    return ints::load_unaligned(reinterpret_cast<const std::int32_t*>(p));
#endif
}

NIBBLE_INLINE floats load_scales(const gemm_args& args, const std::byte* scales, std::size_t lane) noexcept
{
    return args.section.half_scales ? load_half(scales + 2 * lane) : as_floats(load_ints(scales + 4 * lane));
}

// From row to row of packed activations, in elements.
template <class Stored>
inline std::ptrdiff_t packed_stride(const gemm_args& args) noexcept
{
    return args.a_stride != 0 ? args.a_stride : activation_stride<Stored>(args.padded_k);
}

// Whether activations are stored as bytes from 0 to 255 where there is one group of k.
template <int Bits>
inline constexpr bool stores_unsigned = Bits == 8 && !std::is_same_v<group_activation8, activation8>;

// Zero-point compensation: the difference between a sum of stored products and the sum of real ones. With Z = weight zero point and A = sum
// of (a - zero_point) over the group:
//   sum of (a - zero_point) * (w - Z) = sum of stored products - weight_offset * (A - shift * length) - Z * A + shift * column_sum
// where activations are stored as a - zero_point - shift and weights as w + weight_offset.
template <int Bits>
struct compensation {
    std::int32_t shift, weight_offset;
    bool zero_points, minimums;

    // Activations are stored minus `offset`.
    compensation(const gemm_args& args, std::int32_t offset) noexcept
        : shift(offset - args.zero_point), weight_offset(weight_offset8), zero_points(args.section.has_zero_points),
          minimums(args.section.has_minimums)
    {
        if (stores_unsigned<Bits> && args.groups == 1) {
            shift -= 128;
            weight_offset = 0;
        }
    }

    bool has_rows() const noexcept { return zero_points || (Bits == 4 ? !minimums : weight_offset != 0); }
    // The part that is the same for all columns.
    NIBBLE_INLINE ints of_row(std::int32_t row_sum, std::ptrdiff_t length) const noexcept
    {
        if (Bits == 4) // codes from 0: their zero point or minimum is in the panel, or they are int4 + 8
            return zero_points || minimums ? ints(0) : ints(0) - shift_left<3>(ints(row_sum));
        if (weight_offset8 == 0)
            return ints(0);
        const std::uint32_t stored = static_cast<std::uint32_t>(row_sum) - static_cast<std::uint32_t>(shift * length);
        return ints(0) - ints(static_cast<std::int32_t>(stored * static_cast<std::uint32_t>(weight_offset)));
    }
    bool has_columns() const noexcept { return zero_points || (Bits == 8 && shift != 0); }
    // The part that is the same for all rows, and the rest.
    NIBBLE_INLINE ints of_column(const group_cursor& group, std::size_t lane) const noexcept
    {
        return Bits == 8 && shift != 0 ? ints(shift) * load_ints(group.column_sums + 4 * lane) : ints(0);
    }
    NIBBLE_INLINE ints zero_points_of(const group_cursor& group, std::size_t lane) const noexcept
    {
        return Bits == 8 ? load_ints(group.zero_points + 4 * lane) : load_u8(group.zero_points + lane);
    }
};

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
