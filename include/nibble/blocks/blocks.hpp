// Matrices of floats to and from ggml's quantized types, as GGUF files store them.
//   quantize_blocks     floats -> blocks, with or without an importance for each column (an "imatrix")
//   dequantize_blocks   blocks -> floats; also reads f32, f16 and bf16
//   check_blocks        whether scales in blocks from elsewhere are finite
// Types: q4_0, q4_1, q5_0, q5_1, q8_0, q8_1, q2_K, q3_K, q4_K, q5_K, q6_K, q8_K, iq4_nl, iq4_xs, mxfp4, nvfp4, tq1_0, tq2_0, q1_0, q2_0.
// The bytes are ggml's; reference/blocks.hpp defines them. A row's blocks depend on that row alone, so rows may be quantized in any
// portions and by any number of threads.
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/importance.hpp"
#include "../core/view.hpp"
#include "blocks.kernels.hpp"
#include "encode.hpp"

NIBBLE_BEGIN
namespace detail {

inline status check_block_type(ggml_type type) noexcept
{
    return !is_known(type) ? status::ggml_type_unknown : !is_quantizable(type) ? status::ggml_type_unsupported : status::ok;
}

inline bool all_finite(const float* x, std::ptrdiff_t n) noexcept
{
    std::uint32_t top = 0;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const std::uint32_t magnitude = magnitude_bits(x[i]);
        top = larger(magnitude, top);
    }
    return top < infinity_bits;
}

/// 1, or the power of two that brings the greatest importance to about 1: the search's sums of floats must not leave their range.
inline float importance_unit(span<const float> importance) noexcept
{
    float most = 0.0f;
    for (const float& x : importance)
        most = larger(x, most);
    const int exponent = exponent_of(most);
    return exponent >= -30 && exponent <= 30 ? 1.0f : static_cast<float>(two_to_the(exponent < -127 ? 127 : -exponent));
}

/// f32, f16 and bf16.
inline void widen_row(ggml_type type, const std::byte* in, std::ptrdiff_t n, float* x) noexcept
{
    if (type == ggml_type::f32) {
        std::memcpy(x, in, static_cast<std::size_t>(n) * sizeof(float));
        return;
    }
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, in + 2 * i, 2);
        x[i] = type == ggml_type::f16 ? to_float(half {bits}) : to_float(bfloat16 {bits});
    }
}

} // namespace detail

/// x: rows x cols, cols a multiple of block_elements(type); out: at least bytes_for(rows, cols, type) bytes, rows one after the other;
/// importance: empty, or cols weights as check_importance wants them (mean squares of the column's activations, for example), which the
/// types q8_0, q8_1, q8_K, mxfp4, nvfp4, tq1_0, tq2_0, q1_0 and q2_0 do not use. Where the greatest is outside [2^-30, 2^31), all are
/// multiplied by a power of two first, since ggml's sums could overflow or vanish. Values are finite. A value far above the others can
/// still give an infinite scale: halves end at 65504; check_blocks finds that.
template <class Lazy = void>
inline status quantize_blocks(ggml_type type, matrix_view<const float> x, span<std::byte> out, span<const float> importance = {}) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    if (const status s = detail::check_block_type(type); s != status::ok)
        return s;
    const result<std::ptrdiff_t> bytes = bytes_for(x.rows, x.cols, type);
    if (!bytes)
        return bytes.error();
    if (check(importance) != status::ok)
        return status::null_pointer;
    if (const status s = check_room(out, static_cast<std::size_t>(*bytes)); s != status::ok)
        return s;
    if (!importance.empty() && importance.size() != static_cast<std::size_t>(x.cols))
        return status::params_count_mismatch;
    if (const status s = check_importance(importance); s != status::ok)
        return s;
    if (x.empty())
        return status::ok;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        if (!detail::all_finite(x.row(r), x.cols))
            return status::not_finite;
    const default_fp_mode mode;
    const std::size_t row_bytes = static_cast<std::size_t>(*bytes / x.rows);
    const float unit = detail::importance_unit(importance);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        detail::with_block(type, [&](auto block) noexcept {
            detail::encode_row<Lazy, decltype(block)>(x.row(r), x.cols, importance.empty() ? nullptr : importance.data(),
                out.data() + static_cast<std::size_t>(r) * row_bytes, unit);
        });
    return status::ok;
}

/// blocks: at least bytes_for(x.rows, x.cols, type) bytes, of any alignment; x: rows x cols.
template <class Lazy = void>
inline status dequantize_blocks(ggml_type type, span<const std::byte> blocks, matrix_view<float> x) noexcept
{
    if (const status s = check(x); s != status::ok)
        return s;
    const bool plain = type == ggml_type::f32 || type == ggml_type::f16 || type == ggml_type::bf16;
    if (const status s = detail::check_block_type(type); s != status::ok && !plain)
        return s;
    const result<std::ptrdiff_t> bytes = bytes_within(blocks, x.rows, x.cols, type);
    if (!bytes)
        return bytes.error();
    if (x.empty())
        return status::ok;
    const default_fp_mode mode;
    const std::size_t row_bytes = static_cast<std::size_t>(*bytes / x.rows);
    for (std::ptrdiff_t r = 0; r < x.rows; ++r) {
        const std::byte* from = blocks.data() + static_cast<std::size_t>(r) * row_bytes;
        if (plain)
            detail::widen_row(type, from, x.cols, x.row(r));
        else
            kernels::dequantize_ggml()({type, from, x.cols, x.row(r)});
    }
    return status::ok;
}

/// not_finite if a scale among the blocks is NaN or infinite, cols_not_whole_blocks if the bytes are no whole number of blocks.
inline status check_blocks(ggml_type type, span<const std::byte> blocks) noexcept
{
    if (const status s = detail::check_block_type(type); s != status::ok)
        return s;
    if (check(blocks) != status::ok)
        return status::null_pointer;
    if (blocks.size() % static_cast<std::size_t>(block_bytes(type)) != 0)
        return status::cols_not_whole_blocks;
    bool finite = true;
    detail::with_block(type, [&](auto block) noexcept {
        for (std::size_t at = 0; at < blocks.size(); at += sizeof block) {
            std::memcpy(static_cast<void*>(&block), blocks.data() + at, sizeof block);
            decoded_block d;
            detail::decode_steps(block, d);
            constexpr int groups = block_traits<decltype(block)>::elements / block_group<decltype(block)>;
            finite = finite && detail::all_finite(d.steps, groups);
            if constexpr (has_minimum<decltype(block)>)
                finite = finite && detail::all_finite(d.minimums, groups);
        }
    });
    return finite ? status::ok : status::not_finite;
}

NIBBLE_END
