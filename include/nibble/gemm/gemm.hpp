// c[i, j] = epilogue(sum over k of (a[i, k] - a_zero_point) * (w[j, k] - w_zero_point[j]))
//
// a: m x k, row-major, any stride. w: packed weights, n x k. c: m x n, any stride. m = 1 is the matrix-vector product; a row's result does
// not depend on how many rows are computed with it, nor on threads or backend; reference/gemm.hpp is the definition.
//
//   float a x int8 or 4-bit w              a is quantized inside, per row: symmetric int8, scale = max|a| / 127; a row with a NaN or an
//                                          infinity gives NaN. int8 w, reduced range: scale = max|a| / 63, 7 bits
//   int8 or uint8 a x int8 w               c of int32: the exact sum. c of float, int8, uint8: scaled by the activations' and the
//                                          weights' scales. With a requantization: the exact sum requantized, in floats or fixed point
//   float a x float, half or bfloat16 w    one fused multiply-add per k, ascending
//
// Scratch memory is the caller's, of gemm_workspace() bytes, and nothing is allocated. Where none is given, nibble keeps some for the
// calling thread (core/scratch.hpp).
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/executor.hpp"
#include "../core/memory.hpp"
#include "../core/scratch.hpp"
#include "../quantize/requantize.hpp"
#include "epilogue.hpp"
#include "gemm.kernels.hpp"
#include "packed_weights.hpp"

NIBBLE_BEGIN

/// Float activations, which are quantized inside.
struct dynamic_activations {};

/// Static activations: real = scale * (a - zero_point).
struct static_activations {
    float scale = 1.0f;
    std::int32_t zero_point = 0;
};

/// Activations of 7 bits, for int8 weights. CPUs without an instruction for dot products of bytes multiply these faster; each value is half
/// as exact. Float activations are quantized to [-63, 63]. Codes of static ones are in [-64, 63], or [0, 127] if uint8, as
/// code_range::reduced quantizes: that is checked in every product.
template <class Activations>
struct reduced_range {
    Activations of;
    NIBBLE_INLINE constexpr explicit reduced_range(Activations activations) noexcept : of(activations) {}
};

/// The greatest k whose exact sum fits int32 for any data: |a - za| <= 255 and |w - zw| <= 255 with zero points, 255 * 128 or 128 * 128
/// without.
NIBBLE_INLINE constexpr std::ptrdiff_t max_k(bool unsigned_activations, bool activation_zero_point, bool weight_zero_points) noexcept
{
    const std::ptrdiff_t a = unsigned_activations || activation_zero_point ? 255 : 128;
    return INT32_MAX / (a * (weight_zero_points ? 255 : 128));
}

namespace detail {

/// Bytes up to the first multiple of a line of the cache.
NIBBLE_INLINE std::size_t bytes_to_line(const std::byte* p) noexcept
{
    return (cache_line - reinterpret_cast<std::uintptr_t>(p) % cache_line) % cache_line;
}

/// Where the parts of a product's scratch memory lie, counted from the first multiple of 64 in it.
struct gemm_plan {
    checked_size group_sums = 0; ///< int32 [groups][m]
    checked_size packed = 0;     ///< m rows of packed activations, at most int16, an odd number of cache lines apart
    checked_size row_scales = 0; ///< float [m]
    checked_size end = 0;
    checked_size bytes = 0; ///< of all, wherever the memory begins
};

inline gemm_plan plan_gemm(std::ptrdiff_t m, const packed_weights_view& w) noexcept
{
    gemm_plan plan;
    if (!w.quantized() || m <= 0)
        return plan;
    const checked_size sums = m * checked_size(w.groups) * sizeof(std::int32_t);
    plan.packed = sums + (cache_line - sums.value() % cache_line) % cache_line;
    plan.row_scales = plan.packed + m * (2 * checked_size(w.padded_k) + 2 * cache_line);
    plan.end = plan.row_scales + m * checked_size(sizeof(float));
    plan.bytes = plan.end + (cache_line - 1) + cache_line; // up to the first multiple of 64; kernels read up to 63 bytes past the last row
    return plan;
}

} // namespace detail

/// Scratch bytes for m rows of activations; 0 for float weights, SIZE_MAX if they do not fit std::ptrdiff_t.
inline std::size_t gemm_workspace(std::ptrdiff_t m, packed_weights_view w) noexcept { return detail::plan_gemm(m, w).bytes.value(); }

namespace detail {

NIBBLE_INLINE std::size_t product_class(weight_type type, std::ptrdiff_t m) noexcept
{
    return static_cast<std::size_t>(type) * 3 + (m <= 1 ? 0 : m <= 16 ? 1 : 2);
}

/// The active backend, or the one that tune() chose for such products.
inline backend product_backend(weight_type type, std::ptrdiff_t m) noexcept
{
    const int tuned = tuned_products[product_class(type, m)].load(std::memory_order_relaxed);
    return tuned == 0 ? active_backend() : static_cast<backend>(tuned - 1);
}

/// The kernel of a product with int8 weights whose activations have 7 bits.
template <class Lazy = void>
inline kernel<gemm_args> reduced_product(const packed_weights_view& w, backend b) noexcept
{
    return w.compact != not_compact ? kernels::gemm_blocks_w8_reduced(b) : kernels::gemm_w8_reduced(b);
}

template <class C>
inline constexpr gemm_output output_of = std::is_same_v<C, std::int32_t>  ? gemm_output::s32
                                         : std::is_same_v<C, float>       ? gemm_output::f32
                                         : std::is_same_v<C, std::int8_t> ? gemm_output::s8
                                                                          : gemm_output::u8;

template <bool Reduced = false, class A, class C>
inline status check_gemm(
    matrix_view<const A> a, const packed_weights_view& w, const epilogue& e, static_activations s, matrix_view<C> c) noexcept
{
    constexpr bool float_a = std::is_same_v<A, float>;
    if (const status bad = check(a); bad != status::ok)
        return bad;
    if (const status bad = check(c); bad != status::ok)
        return bad;
    if ((w.panels == nullptr || w.product == nullptr) && w.n != 0)
        return status::null_pointer;
    if (w.panels == nullptr && (a.cols != w.k || c.cols != w.n))
        return status::weights_missing;
    if (a.cols != w.k || c.cols != w.n || a.rows != c.rows)
        return status::shape_mismatch;
    if ((!float_a || Reduced) && w.type != weight_type::s8)
        return status::weight_type_mismatch;
    if (std::is_same_v<C, std::int32_t>) {
        if (w.groups > 1 || w.section.has_minimums)
            return status::grouped_weights;
        constexpr std::uint32_t one = 0x3f800000u;
        if (!e.bias.empty() || !e.scale.empty() || e.function != activation_function::none || float_bits(e.clamp_high) != infinity_bits
            || float_bits(e.clamp_low) != (1u << 31 | infinity_bits) || float_bits(e.output_scale) != one || e.output_zero_point != 0)
            return status::epilogue_unsupported;
    }
    if ((!e.bias.empty() && e.bias.size() != static_cast<std::size_t>(w.n))
        || (!e.scale.empty() && e.scale.size() != static_cast<std::size_t>(w.n)))
        return status::params_count_mismatch;
    if (check(e.bias) != status::ok || check(e.scale) != status::ok)
        return status::null_pointer;
    // As integers: neither the caller's flags nor the caller's mode can change the answer.
    const auto order = [](const float& x) {
        const std::int32_t magnitude = static_cast<std::int32_t>(magnitude_bits(x));
        return float_bits(x) >> 31 ? -magnitude : magnitude;
    };
    if (is_nan(e.clamp_low) || is_nan(e.clamp_high) || order(e.clamp_low) > order(e.clamp_high))
        return status::invalid_clamp;
    if (!float_a || (!std::is_same_v<C, float> && !std::is_same_v<C, std::int32_t>)) {
        if (!is_positive_finite(e.output_scale) || !is_positive_finite(s.scale))
            return status::scale_invalid;
    }
    if constexpr (std::is_same_v<C, std::int8_t> || std::is_same_v<C, std::uint8_t>)
        if (e.output_zero_point < code_traits<C>::qmin || e.output_zero_point > code_traits<C>::qmax)
            return status::zero_point_out_of_range;
    if constexpr (!float_a)
        if (s.zero_point < code_traits<A>::qmin || s.zero_point > code_traits<A>::qmax)
            return status::zero_point_out_of_range;
    if (w.quantized()) {
        const std::ptrdiff_t in_a_sum = smaller(w.k, w.group_size);
        if (in_a_sum > max_k(std::is_same_v<A, std::uint8_t>, s.zero_point != 0, w.section.has_zero_points))
            return status::k_too_large;
    }
    return status::ok;
}

/// What a kernel is told of the weights, the output and the epilogue.
template <class C>
inline gemm_args describe_product(
    const packed_weights_view& w, const epilogue& e, static_activations s, matrix_view<C> c, const requantize_params* requantize) noexcept
{
    gemm_args args {};
    args.panels = w.panels;
    args.panel_bytes = w.panel_bytes;
    args.n = w.n;
    args.k = w.k;
    args.group_size = w.group_size;
    args.groups = w.groups;
    args.padded_k = w.padded_k;
    args.section = w.section;
    args.compact = w.compact;
    args.c = c.data;
    args.c_stride = c.stride;
    args.output = output_of<C>;
    args.function = e.function;
    args.activation_scale = s.scale;
    args.scale = e.scale.empty() ? nullptr : e.scale.data();
    args.bias = e.bias.empty() ? nullptr : e.bias.data();
    args.clamp_low = e.clamp_low;
    args.clamp_high = e.clamp_high;
    args.output_scale = e.output_scale;
    args.output_zero_point = e.output_zero_point;
    args.zero_point = s.zero_point;
    args.requantize = requantize;
    return args;
}

/// The kernel that packs activations of type A.
template <class A>
inline kernel<pack_activations_args> packing_kernel(backend b) noexcept
{
    if constexpr (std::is_same_v<A, float>)
        return kernels::pack_f32(b);
    else if constexpr (std::is_same_v<A, std::int8_t>)
        return kernels::pack_s8(b);
    else
        return kernels::pack_u8(b);
}

/// Packs all rows of a into the workspace, and tells `args` where they are. activation_out_of_range if one leaves a reduced range.
template <bool Reduced, class A, class Executor>
inline status pack_activations(
    matrix_view<const A> a, const packed_weights_view& w, span<std::byte> workspace, backend b, gemm_args& args, Executor&& executor)
{
    constexpr bool float_a = std::is_same_v<A, float>;
    constexpr std::ptrdiff_t task_rows = 16;
    const std::ptrdiff_t m = a.rows;
    const gemm_plan plan = plan_gemm(m, w);
    std::byte* const first = workspace.data() + bytes_to_line(workspace.data());
    args.rows = m;
    args.signed_activations = !std::is_same_v<A, std::uint8_t>;
    args.one_row = float_a && w.compact != not_compact && m == 1 && !Reduced;
    pack_activations_args pack {};
    pack.a = a.data;
    pack.a_stride = a.stride;
    pack.k = w.k;
    pack.group_size = w.group_size;
    pack.groups = w.groups;
    pack.padded_k = w.padded_k;
    pack.weight_bits = w.type == weight_type::s8 && !args.one_row ? 8 : 4;
    pack.zero_point = args.zero_point;
    pack.reduced_range = Reduced;
    pack.packed = first + plan.packed.value();
    pack.row_scales = reinterpret_cast<float*>(first + plan.row_scales.value());
    pack.rows = m;
    pack.group_sums = reinterpret_cast<std::int32_t*>(first + plan.group_sums.value());
    pack.without_sums = !w.section.has_zero_points && !w.section.has_minimums;
    const kernel<pack_activations_args> run = packing_kernel<A>(b);
    executor.parallel_for(static_cast<std::size_t>((m + task_rows - 1) / task_rows), [&](std::size_t i) {
        pack_activations_args part = pack;
        part.row_begin = static_cast<std::ptrdiff_t>(i) * task_rows;
        part.row_end = smaller(m, part.row_begin + task_rows);
        const default_fp_mode mode;
        run(part);
    });
    if (!float_a && Reduced)
        for (std::ptrdiff_t i = 0; i < m; ++i)
            if (float_bits(pack.row_scales[i]) == 0)
                return status::activation_out_of_range;
    args.a = pack.packed;
    args.row_scales = float_a ? pack.row_scales : nullptr;
    args.group_sums = pack.group_sums;
    return status::ok;
}

/// run(args) for all rows and panels, in tasks of at most product_rows rows by 8 panels. Where the weights do not fit a second-level cache,
/// three tasks in a row share their panels, since reading weights is what bounds the fastest kernels (docs/kernels-design.md).
template <class Executor>
inline void run_tasks(kernel<gemm_args> run, const gemm_args& args, std::ptrdiff_t m, Executor&& executor)
{
    constexpr std::ptrdiff_t task_panels = 8;
    constexpr std::size_t second_level_cache = std::size_t {2} << 20;
    const std::ptrdiff_t panels = (args.n + panel_columns - 1) / panel_columns;
    const std::ptrdiff_t together = static_cast<std::size_t>(panels) * args.panel_bytes > second_level_cache ? 3 : 1;
    const std::ptrdiff_t row_tasks = (m + product_rows - 1) / product_rows, panel_tasks = (panels + task_panels - 1) / task_panels;
    executor.parallel_for(static_cast<std::size_t>(row_tasks * panel_tasks), [&](std::size_t i) {
        const std::ptrdiff_t task = static_cast<std::ptrdiff_t>(i), first = task / (together * panel_tasks) * together;
        const std::ptrdiff_t rows = smaller(row_tasks - first, together), at = task - first * panel_tasks;
        gemm_args part = args;
        part.row_begin = (first + at % rows) * product_rows;
        part.row_end = smaller(m, part.row_begin + product_rows);
        part.panel_begin = at / rows * task_panels;
        part.panel_end = smaller(panels, part.panel_begin + task_panels);
        const default_fp_mode mode;
        run(part);
    });
}

template <bool Reduced, class A, class C, class Executor>
inline status run_gemm(matrix_view<const A> a, const packed_weights_view& w, const epilogue& e, static_activations s, matrix_view<C> c,
    scratch memory, Executor&& executor, const requantize_params* requantize = nullptr)
{
    if (const status bad = check_gemm<Reduced>(a, w, e, s, c); bad != status::ok)
        return bad;
    scratch_lease lease(memory);
    if (const status bad = lease.take(gemm_workspace(a.rows, w)); bad != status::ok)
        return bad;
    if (c.empty())
        return status::ok;
    const backend b = product_backend(w.type, a.rows);
    gemm_args args = describe_product(w, e, s, c, requantize);
    if (w.quantized()) {
        if (const status bad = pack_activations<Reduced>(a, w, lease.bytes(), b, args, executor); bad != status::ok)
            return bad;
    } else {
        args.a = reinterpret_cast<const std::byte*>(a.data);
        args.a_stride = a.stride;
    }
    if constexpr (Reduced)
        run_tasks(reduced_product(w, b), args, a.rows, executor);
    else
        run_tasks(w.product(b), args, a.rows, executor);
    return status::ok;
}

} // namespace detail

/// Float activations. c: float, int8 or uint8.
template <class C, class Executor = serial_executor>
inline status gemm(matrix_view<const float> a, dynamic_activations, packed_weights_view w, const epilogue& e, matrix_view<C> c,
    scratch memory = {}, Executor&& executor = Executor {})
{
    static_assert(!std::is_same_v<C, std::int32_t>, "int32 output needs int8 or uint8 activations");
    return detail::run_gemm<false>(a, w, e, static_activations {}, c, memory, executor);
}
template <class C, class Executor = serial_executor>
inline status gemm(matrix_view<const float> a, reduced_range<dynamic_activations>, packed_weights_view w, const epilogue& e,
    matrix_view<C> c, scratch memory = {}, Executor&& executor = Executor {})
{
    static_assert(!std::is_same_v<C, std::int32_t>, "int32 output needs int8 or uint8 activations");
    return detail::run_gemm<true>(a, w, e, static_activations {}, c, memory, executor);
}
template <class C, class Executor = serial_executor>
inline status gemm(matrix_view<const float> a, packed_weights_view w, const epilogue& e, matrix_view<C> c, scratch memory = {},
    Executor&& executor = Executor {})
{
    return gemm(a, dynamic_activations {}, w, e, c, memory, executor);
}

/// int8 or uint8 activations. c: int32 (the exact sums; the epilogue must be empty, else epilogue_unsupported), float, int8 or uint8.
template <class A, class C, class Executor = serial_executor>
inline status gemm(matrix_view<const A> a, static_activations s, packed_weights_view w, const epilogue& e, matrix_view<C> c,
    scratch memory = {}, Executor&& executor = Executor {})
{
    static_assert(std::is_same_v<A, std::int8_t> || std::is_same_v<A, std::uint8_t>, "activations are int8 or uint8");
    return detail::run_gemm<false>(a, w, e, s, c, memory, executor);
}
template <class A, class C, class Executor = serial_executor>
inline status gemm(matrix_view<const A> a, reduced_range<static_activations> s, packed_weights_view w, const epilogue& e, matrix_view<C> c,
    scratch memory = {}, Executor&& executor = Executor {})
{
    static_assert(std::is_same_v<A, std::int8_t> || std::is_same_v<A, std::uint8_t>, "activations are int8 or uint8");
    return detail::run_gemm<true>(a, w, e, s.of, c, memory, executor);
}

/// int8 or uint8 activations, the exact sums requantized to int8 or uint8. r holds what the sums are scaled by: neither the weights' own
/// scales nor a scale of the activations is applied.
template <class A, class C, class Executor = serial_executor,
    class = std::enable_if_t<std::is_same_v<C, std::int8_t> || std::is_same_v<C, std::uint8_t>>>
inline status gemm(matrix_view<const A> a, std::int32_t a_zero_point, packed_weights_view w, const requantization& r, matrix_view<C> c,
    scratch memory = {}, Executor&& executor = Executor {})
{
    static_assert(std::is_same_v<A, std::int8_t> || std::is_same_v<A, std::uint8_t>, "activations are int8 or uint8");
    if (w.groups > 1 || w.section.has_minimums)
        return status::grouped_weights;
    requantize_params params {};
    if (const status s = detail::check_requantization<C>(r, w.n, params); s != status::ok)
        return s;
    return detail::run_gemm<false>(a, w, epilogue {}, static_activations {1.0f, a_zero_point}, c, memory, executor, &params);
}

/// One row: y = epilogue(w x).
template <class C, class Executor = serial_executor>
inline status gemv(
    span<const float> x, packed_weights_view w, const epilogue& e, span<C> y, scratch memory = {}, Executor&& executor = Executor {})
{
    return gemm(matrix_view<const float>(x.data(), 1, static_cast<std::ptrdiff_t>(x.size())), w, e,
        matrix_view<C>(y.data(), 1, static_cast<std::ptrdiff_t>(y.size())), memory, executor);
}

NIBBLE_END
