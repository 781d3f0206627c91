// Linear layers of GPTQ and AWQ checkpoints, as their tensors stand in a safetensors file: weight = scale * (code - zero point). All three
// tensors are k x n, inputs by outputs, where nibble's weights are n x k; 32 / bits codes share an int32, the first lowest.
//
//   GPTQ    qweight   [k * bits / 32, n]        one int32 holds consecutive inputs of one output
//           qzeros    [groups, n * bits / 32]   consecutive outputs; version 1 stores zero point - 1, version 2 the zero point
//           scales    [groups, n] of half
//           g_idx     [k]                       the group of each input; missing: input / group_size
//   AWQ     qweight   [k, n / 8]                4 bits; the codes of an int32 are of outputs 0, 2, 4, 6, 1, 3, 5, 7
//           qzeros    [groups, n / 8]           in the same order, the zero points themselves
//           scales    [groups, n] of half
//
// A checkpoint whose config says "gptq" and nothing of a version ("checkpoint_format") is version 1. There a stored 15 (255 at 8 bits) is
// the zero point 16, or damage that subtracting 1 from 0 did to the whole int32: zero_point_out_of_range, since neither can be a code.
//
// What comes out goes into packed_weights::make as granularity::per_group. With g_idx out of order ("desc_act") the inputs are sorted by
// group: column i of the codes then multiplies input order[i], which the caller applies to the activations. A g_idx of -1 or 0 throughout
// is a placeholder for one in order, and is to be left out.
#pragma once

#include "../core/memory.hpp"
#include "../quantize/params.hpp"
#include "../reference/quantize.hpp"

NIBBLE_BEGIN_TYPES

enum class gptq_version : std::uint8_t { v1, v2 };

/// A layer's tensors as they lie in the file, of any alignment.
struct checkpoint_layer {
    span<const std::byte> qweight, qzeros, scales;
    span<const std::byte> g_idx {}; ///< GPTQ only; int32; may be empty
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

/// 4 bits stay what they are; 8 bits become int8, which is what packed weights hold: 128 less, codes and zero points alike.
template <class Q>
struct checkpoint_codes {
    static_assert(std::is_same_v<Q, uint4x2> || std::is_same_v<Q, std::int8_t>, "uint4x2 for 4 bits, int8 for 8 bits");
    static constexpr std::ptrdiff_t bits = 8 / code_traits<Q>::per_element, in_int = 32 / bits;
    static constexpr std::int32_t offset = bits == 8 ? 128 : 0, greatest = (1 << bits) - 1;

    static NIBBLE_INLINE std::int32_t at(span<const std::byte> ints, std::ptrdiff_t i, std::ptrdiff_t lane) noexcept
    {
        return static_cast<std::int32_t>(load_from<std::uint32_t>(ints, i) >> (bits * lane)) & greatest;
    }
};

template <class Q>
inline status check_checkpoint(const checkpoint_layer& l, std::ptrdiff_t k, std::ptrdiff_t group_size, bool along_k, matrix_view<Q> codes,
    span<float> scales, span<std::int32_t> zero_points) noexcept
{
    constexpr std::ptrdiff_t in_int = checkpoint_codes<Q>::in_int;
    if (const status s = check(codes); s != status::ok)
        return s;
    if (k < 0)
        return status::negative_size;
    const std::ptrdiff_t n = codes.rows;
    if (codes.cols != elements_for<Q>(k) || n % in_int != 0 || (along_k && k % in_int != 0))
        return status::shape_mismatch;
    if (group_size < 1 || group_size % code_traits<Q>::per_element != 0)
        return status::group_size_invalid;
    const std::size_t groups = static_cast<std::size_t>(k / group_size + (k % group_size != 0)), outputs = static_cast<std::size_t>(n);
    if (k > INT32_MAX || !(8 * shape_extent(n, k)).fits())
        return status::size_overflow;
    if (l.qweight.size() != outputs * static_cast<std::size_t>(k) * 4 / static_cast<std::size_t>(in_int)
        || l.qzeros.size() != groups * outputs * 4 / static_cast<std::size_t>(in_int) || l.scales.size() != groups * outputs * 2)
        return status::shape_mismatch;
    if (scales.size() != groups * outputs || zero_points.size() != groups * outputs)
        return status::params_count_mismatch;
    if (check(l.qweight) != status::ok || check(l.qzeros) != status::ok || check(l.scales) != status::ok || check(scales) != status::ok
        || check(zero_points) != status::ok)
        return status::null_pointer;
    for (std::size_t i = 0; i < groups * outputs; ++i)
        if (!valid_scale(float_bits(to_float(load_from<half>(l.scales, static_cast<std::ptrdiff_t>(i))))))
            return status::scale_invalid;
    return status::ok;
}

/// code(l, j), zero_point(g, j): of input l, group g, output j, as unsigned numbers.
template <class Q, class Code, class ZeroPoint>
inline void fill_checkpoint(const checkpoint_layer& l, std::ptrdiff_t k, std::ptrdiff_t group_size, matrix_view<Q> codes,
    span<float> scales, span<std::int32_t> zero_points, Code code, ZeroPoint zero_point) noexcept
{
    constexpr std::int32_t offset = checkpoint_codes<Q>::offset;
    const std::ptrdiff_t n = codes.rows, groups = k / group_size + (k % group_size != 0);
    for (std::ptrdiff_t j = 0; j < n && k > 0; ++j) {
        if constexpr (code_traits<Q>::per_element == 2)
            if (k % 2 != 0)
                codes(j, codes.cols - 1) = Q {};
        for (std::ptrdiff_t i = 0; i < k; ++i)
            reference::store_code(codes.row(j), i, code(i, j) - offset);
        for (std::ptrdiff_t g = 0; g < groups; ++g) {
            const std::size_t to = static_cast<std::size_t>(j * groups + g);
            scales[to] = to_float(load_from<half>(l.scales, g * n + j));
            zero_points[to] = zero_point(g, j) - offset;
        }
    }
}

} // namespace detail

/// codes: n x elements for k. scales, zero_points: n * groups. order: k elements, or empty, which refuses a g_idx that is out of order with
/// layout_unsupported. group_index_invalid: a g_idx that does not give every group its inputs. Allocates where g_idx is out of order.
template <class Q>
inline status from_gptq(const checkpoint_layer& l, gptq_version version, std::ptrdiff_t k, std::ptrdiff_t group_size, matrix_view<Q> codes,
    span<float> scales, span<std::int32_t> zero_points, span<std::int32_t> order = {}) noexcept
{
    using format = detail::checkpoint_codes<Q>;
    if (const status s = detail::check_checkpoint(l, k, group_size, true, codes, scales, zero_points); s != status::ok)
        return s;
    if ((!l.g_idx.empty() && l.g_idx.size() != static_cast<std::size_t>(k) * 4)
        || (!order.empty() && order.size() != static_cast<std::size_t>(k)))
        return status::shape_mismatch;
    if (check(l.g_idx) != status::ok || check(order) != status::ok)
        return status::null_pointer;
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
            const std::ptrdiff_t wanted = k - g * group_size < group_size ? k - g * group_size : group_size;
            if (next[g] != wanted)
                return status::group_index_invalid;
            next[g] = static_cast<std::int32_t>(g * group_size);
        }
        if (order.empty())
            return status::layout_unsupported;
    }
    const std::int32_t added = version == gptq_version::v1 ? 1 : 0;
    const auto zero_point = [&](std::ptrdiff_t g, std::ptrdiff_t j) noexcept {
        return format::at(l.qzeros, g * (n / format::in_int) + j / format::in_int, j % format::in_int) + added;
    };
    for (std::ptrdiff_t g = 0; g < groups; ++g)
        for (std::ptrdiff_t j = 0; j < n; ++j)
            if (zero_point(g, j) > format::greatest)
                return status::zero_point_out_of_range;

    for (std::size_t i = 0; i < order.size(); ++i)
        order[sorted ? i : static_cast<std::size_t>(next[group_of(static_cast<std::ptrdiff_t>(i))]++)] = static_cast<std::int32_t>(i);
    const auto code = [&](std::ptrdiff_t i, std::ptrdiff_t j) noexcept {
        const std::ptrdiff_t input = order.empty() ? i : order[static_cast<std::size_t>(i)];
        return format::at(l.qweight, input / format::in_int * n + j, input % format::in_int);
    };
    detail::fill_checkpoint(l, k, group_size, codes, scales, zero_points, code, zero_point);
    return status::ok;
}

/// codes: n x ceil(k / 2). scales, zero_points: n * groups.
inline status from_awq(const checkpoint_layer& l, std::ptrdiff_t k, std::ptrdiff_t group_size, matrix_view<uint4x2> codes,
    span<float> scales, span<std::int32_t> zero_points) noexcept
{
    using format = detail::checkpoint_codes<uint4x2>;
    if (const status s = detail::check_checkpoint(l, k, group_size, false, codes, scales, zero_points); s != status::ok)
        return s;
    const std::ptrdiff_t ints = codes.rows / format::in_int;
    static constexpr std::ptrdiff_t lane_of[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    const auto of = [&](span<const std::byte> tensor) noexcept {
        return [tensor, ints](std::ptrdiff_t row, std::ptrdiff_t j) noexcept {
            return format::at(tensor, row * ints + j / format::in_int, lane_of[j % format::in_int]);
        };
    };
    detail::fill_checkpoint(l, k, group_size, codes, scales, zero_points, of(l.qweight), of(l.qzeros));
    return status::ok;
}

NIBBLE_END
