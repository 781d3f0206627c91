// Weights in the layout of onnxruntime's MatMulNBits operator, to and from nibble's codes. For n channels of k weights in blocks of
// block_size (a multiple of the codes in a byte):
//   b             n x blocks x block_size codes, the first of a byte lowest; blocks = ceil(k / block_size), the last one padded
//   scales        n x blocks, the same in nibble: granularity::per_group, group_size = block_size
//   zero points   n rows of `blocks` codes, packed as b is, each row padded to whole bytes; if absent, 2^(bits - 1)
// Q is uint4x2, uint2x4 or uint8. packed_weights (uint4x2) and dequantize take the resulting codes as they are.
#pragma once

#include "../core/codes.hpp"
#include "../quantize/quantize.hpp"

NIBBLE_BEGIN
namespace onnx {

struct nbits_sizes {
    std::ptrdiff_t blocks;    ///< of a channel: n * blocks scales
    std::ptrdiff_t row_bytes; ///< of b
    std::ptrdiff_t zero_point_row_bytes;
};

template <class Q>
inline result<nbits_sizes> matmul_nbits_sizes(std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t block_size) noexcept
{
    constexpr std::ptrdiff_t each = code_traits<Q>::per_element;
    static_assert(code_traits<Q>::qmin == 0, "MatMulNBits has unsigned codes");
    if (n < 0 || k < 0)
        return status::negative_size;
    if (block_size < 1 || block_size % each != 0)
        return status::group_size_invalid;
    if (!(64 * (checked_size(k) + block_size)).fits() || !(8 * shape_extent(n, k + block_size)).fits())
        return status::size_overflow;
    const std::ptrdiff_t blocks = k / block_size + (k % block_size != 0);
    return nbits_sizes {blocks, blocks * block_size / each, elements_for<Q>(blocks)};
}

/// codes: n x elements for k; zero_points: n * blocks. packed_zero_points may be empty: then zero_points are all 2^(bits - 1).
template <class Q>
inline status from_matmul_nbits(span<const std::uint8_t> b, span<const std::uint8_t> packed_zero_points, std::ptrdiff_t k,
    std::ptrdiff_t block_size, matrix_view<Q> codes, span<std::int32_t> zero_points) noexcept
{
    if (const status s = check(codes); s != status::ok)
        return s;
    const auto sizes = matmul_nbits_sizes<Q>(codes.rows, k, block_size);
    if (!sizes)
        return sizes.error();
    const std::size_t n = static_cast<std::size_t>(codes.rows);
    const std::size_t row = static_cast<std::size_t>(sizes->row_bytes), zero_row = static_cast<std::size_t>(sizes->zero_point_row_bytes);
    if (codes.cols != elements_for<Q>(k) || b.size() != n * row
        || (!packed_zero_points.empty() && packed_zero_points.size() != n * zero_row))
        return status::shape_mismatch;
    if (zero_points.size() != n * static_cast<std::size_t>(sizes->blocks))
        return status::params_count_mismatch;
    if (check(b) != status::ok || check(packed_zero_points) != status::ok || check(zero_points) != status::ok)
        return status::null_pointer;
    for (std::size_t i = 0; i < n && k > 0; ++i) {
        Q* const to = codes.row(static_cast<std::ptrdiff_t>(i));
        std::memcpy(static_cast<void*>(to), b.data() + i * row, static_cast<std::size_t>(codes.cols));
        if constexpr (code_traits<Q>::per_element > 1)
            if (const std::ptrdiff_t used = k % code_traits<Q>::per_element; used != 0)
                to[codes.cols - 1].bits &= static_cast<std::uint8_t>((1 << used * 8 / code_traits<Q>::per_element) - 1);
        for (std::ptrdiff_t g = 0; g < sizes->blocks; ++g) {
            std::int32_t zero_point = (code_traits<Q>::qmax + 1) / 2;
            if (!packed_zero_points.empty()) {
                Q packed;
                std::memcpy(static_cast<void*>(&packed),
                    packed_zero_points.data() + i * zero_row + static_cast<std::size_t>(g / code_traits<Q>::per_element), 1);
                zero_point = load_code(&packed, g % code_traits<Q>::per_element);
            }
            zero_points[i * static_cast<std::size_t>(sizes->blocks) + static_cast<std::size_t>(g)] = zero_point;
        }
    }
    return status::ok;
}

/// zero_points: n * blocks. The codes that pad the last block are its zero point, so that they stand for 0.
template <class Q>
inline status to_matmul_nbits(matrix_view<const Q> codes, span<const std::int32_t> zero_points, std::ptrdiff_t k, std::ptrdiff_t block_size,
    span<std::uint8_t> b, span<std::uint8_t> packed_zero_points) noexcept
{
    if (const status s = check(codes); s != status::ok)
        return s;
    const auto sizes = matmul_nbits_sizes<Q>(codes.rows, k, block_size);
    if (!sizes)
        return sizes.error();
    const std::size_t n = static_cast<std::size_t>(codes.rows), blocks = static_cast<std::size_t>(sizes->blocks);
    const std::size_t row = static_cast<std::size_t>(sizes->row_bytes), zero_row = static_cast<std::size_t>(sizes->zero_point_row_bytes);
    if (codes.cols != elements_for<Q>(k) || b.size() != n * row || packed_zero_points.size() != n * zero_row)
        return status::shape_mismatch;
    if (zero_points.size() != n * blocks)
        return status::params_count_mismatch;
    if (check(b) != status::ok || check(packed_zero_points) != status::ok || check(zero_points) != status::ok)
        return status::null_pointer;
    for (const std::int32_t zero_point : zero_points)
        if (zero_point < 0 || zero_point > code_traits<Q>::qmax)
            return status::zero_point_out_of_range;
    const auto byte_of = [](Q packed) noexcept {
        std::uint8_t byte;
        std::memcpy(&byte, &packed, 1);
        return byte;
    };
    for (std::size_t i = 0; i < n && k > 0; ++i) {
        const Q* const from = codes.row(static_cast<std::ptrdiff_t>(i));
        Q packed {};
        for (std::ptrdiff_t c = 0; c < sizes->blocks * block_size; ++c) {
            const std::int32_t padding = zero_points[i * blocks + static_cast<std::size_t>(c / block_size)];
            store_code(&packed, c % code_traits<Q>::per_element, c < k ? load_code(from, c) : padding);
            b[i * row + static_cast<std::size_t>(c / code_traits<Q>::per_element)] = byte_of(packed);
        }
        for (std::ptrdiff_t g = 0; g < sizes->blocks; ++g) {
            store_code(&packed, g % code_traits<Q>::per_element, zero_points[i * blocks + static_cast<std::size_t>(g)]);
            packed_zero_points[i * zero_row + static_cast<std::size_t>(g / code_traits<Q>::per_element)] = byte_of(packed);
        }
    }
    return status::ok;
}

} // namespace onnx
NIBBLE_END
