// Linear layers of GPTQ and AWQ checkpoints, as a safetensors file stores them: weight = scale * (code - zero point). All three tensors are
// k x n, inputs by outputs, while nibble's weights are n x k. Codes fill the bits of int32s from the lowest on. With 3 bits, 32 codes fill
// three int32s, and two of the codes are split between two int32s.
//
//   GPTQ    qweight   [k * bits / 32, n]        2, 3, 4 or 8 bits; int32s below each other hold consecutive inputs of one output
//           qzeros    [groups, n * bits / 32]   consecutive outputs; version 1 stores zero point - 1, version 2 the zero point
//           scales    [groups, n] of half
//           g_idx     [k]                       the group of each input; missing: input / group_size
//   AWQ     qweight   [k, n / 8]                4 bits; the codes of an int32 are of outputs 0, 2, 4, 6, 1, 3, 5, 7
//           qzeros    [groups, n / 8]           in the same order, the zero points themselves
//           scales    [groups, n] of half
//
// A checkpoint whose config says "gptq" without a version ("checkpoint_format") is version 1. There a stored 15 (3, 7 or 255 at other bits)
// means the zero point 16, or the whole int32 was damaged by subtracting 1 from 0. Neither can be a code, so the status is
// zero_point_out_of_range.
//
// The result goes into packed_weights::make as granularity::per_group, which takes 2 and 3 bits in uint4x2. If g_idx is out of order
// ("desc_act"), the inputs are sorted by group: column i of the codes then multiplies input order[i], and the caller permutes the
// activations. A g_idx of -1 or 0 throughout is a placeholder for one in order: leave it out.
#pragma once

#include "../core/codes.hpp"
#include "../core/memory.hpp"
#include "../quantize/params.hpp"

NIBBLE_BEGIN_TYPES

enum class gptq_version : std::uint8_t { v1, v2 };

/// A layer's tensors as they lie in the file, of any alignment.
struct checkpoint_layer {
    span<const std::byte> qweight, qzeros, scales;
    span<const std::byte> g_idx {}; ///< GPTQ only; int32; may be empty
    int bits = 0;                   ///< of a code in the file; 0: as many as the codes have that it becomes
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

namespace detail {

template <class Int>
NIBBLE_INLINE Int load_from(span<const std::byte> bytes, std::ptrdiff_t i) noexcept
{
    Int value;
    std::memcpy(&value, bytes.data() + i * static_cast<std::ptrdiff_t>(sizeof(Int)), sizeof(Int));
    return value;
}

/// How codes lie in int32s. 8 bits become int8, which is what packed weights hold: 128 less, codes and zero points alike.
struct checkpoint_codes {
    std::ptrdiff_t bits, whole, ints; // `whole` codes fill `ints` int32s
    std::int32_t offset, greatest;

    explicit checkpoint_codes(int of_code) noexcept
        : bits(of_code), whole(bits == 3 ? 32 : 32 / bits), ints(bits == 3 ? 3 : 1), offset(bits == 8 ? 128 : 0),
          greatest((1 << of_code) - 1)
    {
    }

    std::ptrdiff_t ints_of(std::ptrdiff_t codes) const noexcept { return codes / whole * ints; }

    /// Code i of int32s that begin at `first` and are `stride` apart.
    NIBBLE_INLINE std::int32_t at(
        span<const std::byte> tensor, std::ptrdiff_t first, std::ptrdiff_t stride, std::ptrdiff_t i) const noexcept
    {
        const std::ptrdiff_t bit = i * bits, shift = bit % 32, here = first + bit / 32 * stride;
        std::uint32_t code = load_from<std::uint32_t>(tensor, here) >> shift;
        if (shift + bits > 32)
            code |= load_from<std::uint32_t>(tensor, here + stride) << (32 - shift);
        return static_cast<std::int32_t>(code) & greatest;
    }
};

/// The bits of a code; bits_invalid if Q does not hold them.
template <class Q>
inline result<int> checkpoint_bits(const checkpoint_layer& l) noexcept
{
    static_assert(std::is_same_v<Q, uint2x4> || std::is_same_v<Q, uint4x2> || std::is_same_v<Q, std::int8_t>,
        "uint2x4 for 2 bits, uint4x2 for 3 and 4 bits, int8 for 8 bits");
    constexpr int most = 8 / code_traits<Q>::per_element;
    const int bits = l.bits == 0 ? most : l.bits;
    return bits > most || (bits != 2 && bits != 3 && bits != 4 && bits != 8) ? result<int>(status::bits_invalid) : result<int>(bits);
}

template <class Q>
inline status check_checkpoint(const checkpoint_layer& l, checkpoint_codes format, std::ptrdiff_t k, std::ptrdiff_t group_size,
    bool along_k, matrix_view<Q> codes, span<float> scales, span<std::int32_t> zero_points) noexcept
{
    if (const status s = check(codes); s != status::ok)
        return s;
    if (k < 0)
        return status::negative_size;
    const std::ptrdiff_t n = codes.rows;
    if (codes.cols != elements_for<Q>(k) || n % format.whole != 0 || (along_k && k % format.whole != 0))
        return status::shape_mismatch;
    if (group_size < 1 || group_size % code_traits<Q>::per_element != 0)
        return status::group_size_invalid;
    const std::size_t groups = static_cast<std::size_t>(k / group_size + (k % group_size != 0)), outputs = static_cast<std::size_t>(n);
    if (k > INT32_MAX || !(8 * shape_extent(n, k)).fits())
        return status::size_overflow;
    const std::ptrdiff_t weights = along_k ? format.ints_of(k) * n : k * format.ints_of(n);
    if (l.qweight.size() != static_cast<std::size_t>(weights) * 4
        || l.qzeros.size() != groups * static_cast<std::size_t>(format.ints_of(n)) * 4 || l.scales.size() != groups * outputs * 2)
        return status::shape_mismatch;
    if (scales.size() != groups * outputs || zero_points.size() != groups * outputs)
        return status::params_count_mismatch;
    if (check(l.qweight) != status::ok || check(l.qzeros) != status::ok || check(l.scales) != status::ok || check(scales) != status::ok
        || check(zero_points) != status::ok)
        return status::null_pointer;
    return status::ok;
}

inline status check_scales(span<const std::byte> scales) noexcept
{
    for (std::size_t i = 0; i < scales.size() / 2; ++i)
        if (!is_positive_finite(to_float(load_from<half>(scales, static_cast<std::ptrdiff_t>(i)))))
            return status::scale_invalid;
    return status::ok;
}

/// code(l, j), zero_point(g, j): of input l, group g, output j, as unsigned numbers.
template <class Q, class Code, class ZeroPoint>
inline void fill_checkpoint(const checkpoint_layer& l, std::int32_t offset, std::ptrdiff_t k, std::ptrdiff_t group_size,
    matrix_view<Q> codes, span<float> scales, span<std::int32_t> zero_points, Code code, ZeroPoint zero_point) noexcept
{
    if (k == 0) // without inputs there may be any number of outputs
        return;
    const std::ptrdiff_t n = codes.rows, groups = k / group_size + (k % group_size != 0);
    for (std::ptrdiff_t j = 0; j < n; ++j) {
        if constexpr (code_traits<Q>::per_element == 2)
            if (k % 2 != 0)
                codes(j, codes.cols - 1) = Q {};
        for (std::ptrdiff_t i = 0; i < k; ++i)
            store_code(codes.row(j), i, code(i, j) - offset);
        for (std::ptrdiff_t g = 0; g < groups; ++g) {
            const std::size_t to = static_cast<std::size_t>(j * groups + g);
            scales[to] = to_float(load_from<half>(l.scales, g * n + j));
            zero_points[to] = zero_point(g, j) - offset;
        }
    }
}

} // namespace detail

/// codes: n x elements for k; uint2x4 holds 2 bits, uint4x2 up to 4, int8 up to 8, and what the file has fewer of are bits of 0. scales,
/// zero_points: n * groups. order: k elements, or empty, which refuses a g_idx that is out of order with layout_unsupported. bits_invalid;
/// shape_mismatch, also if k or n codes do not fill whole int32s; group_index_invalid: a g_idx that does not give every group its inputs.
/// Allocates where g_idx is out of order.
template <class Q>
inline status from_gptq(const checkpoint_layer& l, gptq_version version, std::ptrdiff_t k, std::ptrdiff_t group_size, matrix_view<Q> codes,
    span<float> scales, span<std::int32_t> zero_points, span<std::int32_t> order = {}) noexcept
{
    const result<int> bits = detail::checkpoint_bits<Q>(l);
    if (!bits)
        return bits.error();
    const detail::checkpoint_codes format(*bits);
    if (const status s = detail::check_checkpoint(l, format, k, group_size, true, codes, scales, zero_points); s != status::ok)
        return s;
    if ((!l.g_idx.empty() && l.g_idx.size() != static_cast<std::size_t>(k) * 4)
        || (!order.empty() && order.size() != static_cast<std::size_t>(k)))
        return status::shape_mismatch;
    if (check(l.g_idx) != status::ok || check(order) != status::ok)
        return status::null_pointer;
    if (const status s = detail::check_scales(l.scales); s != status::ok)
        return s;
    const std::ptrdiff_t n = codes.rows, groups = k / group_size + (k % group_size != 0);
    const auto group_of = [&](std::ptrdiff_t i) noexcept {
        return l.g_idx.empty() ? static_cast<std::int32_t>(i / group_size) : detail::load_from<std::int32_t>(l.g_idx, i);
    };
    bool sorted = true;
    for (std::ptrdiff_t i = 0; i < k; ++i) {
        if (group_of(i) < 0 || group_of(i) >= groups)
            return status::group_index_invalid;
        sorted = sorted && group_of(i) == i / group_size;
    }
    aligned_buffer memory; // where the next input of each group goes
    std::int32_t* next = nullptr;
    if (!sorted) {
        if (const status s = memory.allocate(checked_size(groups) * sizeof(std::int32_t)); s != status::ok)
            return s;
        next = reinterpret_cast<std::int32_t*>(memory.bytes().data());
        for (std::ptrdiff_t g = 0; g < groups; ++g)
            next[g] = 0;
        for (std::ptrdiff_t i = 0; i < k; ++i)
            ++next[group_of(i)];
        for (std::ptrdiff_t g = 0; g < groups; ++g) {
            const std::ptrdiff_t wanted = smaller(k - g * group_size, group_size);
            if (next[g] != wanted)
                return status::group_index_invalid;
            next[g] = static_cast<std::int32_t>(g * group_size);
        }
        if (order.empty())
            return status::layout_unsupported;
    }
    const std::int32_t added = version == gptq_version::v1 ? 1 : 0;
    const auto zero_point
        = [&](std::ptrdiff_t g, std::ptrdiff_t j) noexcept { return format.at(l.qzeros, g * format.ints_of(n), 1, j) + added; };
    for (std::ptrdiff_t g = 0; g < groups; ++g)
        for (std::ptrdiff_t j = 0; j < n; ++j)
            if (zero_point(g, j) > format.greatest)
                return status::zero_point_out_of_range;

    for (std::size_t i = 0; i < order.size(); ++i)
        order[sorted ? i : static_cast<std::size_t>(next[group_of(static_cast<std::ptrdiff_t>(i))]++)] = static_cast<std::int32_t>(i);
    const auto code = [&](std::ptrdiff_t i, std::ptrdiff_t j) noexcept {
        const std::ptrdiff_t input = order.empty() ? i : order[static_cast<std::size_t>(i)];
        return format.at(l.qweight, j, n, input);
    };
    detail::fill_checkpoint(l, format.offset, k, group_size, codes, scales, zero_points, code, zero_point);
    return status::ok;
}

/// codes: n x ceil(k / 2). scales, zero_points: n * groups. bits_invalid for other bits than 4.
inline status from_awq(const checkpoint_layer& l, std::ptrdiff_t k, std::ptrdiff_t group_size, matrix_view<uint4x2> codes,
    span<float> scales, span<std::int32_t> zero_points) noexcept
{
    const detail::checkpoint_codes format(4);
    if (l.bits != 0 && l.bits != format.bits)
        return status::bits_invalid;
    if (const status s = detail::check_checkpoint(l, format, k, group_size, false, codes, scales, zero_points); s != status::ok)
        return s;
    if (const status s = detail::check_scales(l.scales); s != status::ok)
        return s;
    const std::ptrdiff_t ints = format.ints_of(codes.rows);
    static constexpr std::ptrdiff_t lane_of[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    const auto of = [&](span<const std::byte> tensor) noexcept {
        return [tensor, ints, format](
                   std::ptrdiff_t row, std::ptrdiff_t j) noexcept { return format.at(tensor, row * ints, 1, j / 8 * 8 + lane_of[j % 8]); };
    };
    detail::fill_checkpoint(l, format.offset, k, group_size, codes, scales, zero_points, of(l.qweight), of(l.qzeros));
    return status::ok;
}

NIBBLE_END
