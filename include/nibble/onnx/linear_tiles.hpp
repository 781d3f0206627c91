// How QuantizeLinear and DequantizeLinear (linear.hpp) go through a tensor: as matrices for quantize() and dequantize(), or in tiles in
// which each element has a scale and a zero point.
#pragma once

#include "../core/minifloat.hpp"
#include "../quantize/convert.hpp"
#include "../quantize/quantize.hpp"

NIBBLE_BEGIN
namespace onnx {
namespace detail {

/// How many codes an element of Q holds, and whether they are floats.
template <class Q>
struct linear_traits {
    static constexpr int per_element = code_traits<Q>::per_element;
    static constexpr bool is_float = false;
    using check = Q; // whose bounds zero points keep
};
template <int PerElement>
struct float_linear_traits {
    static constexpr int per_element = PerElement;
    static constexpr bool is_float = true;
    using check = std::int8_t;
};
template <>
struct linear_traits<float8_e4m3> : float_linear_traits<1> {
};
template <>
struct linear_traits<float8_e5m2> : float_linear_traits<1> {
};
template <>
struct linear_traits<float8_e4m3fnuz> : float_linear_traits<1> {
};
template <>
struct linear_traits<float8_e5m2fnuz> : float_linear_traits<1> {
};
template <>
struct linear_traits<float4_e2m1x2> : float_linear_traits<2> {
};

/// A tensor seen as outer x length x inner, quantized along `length`.
struct axis_shape {
    std::ptrdiff_t outer = 1, length = 1, inner = 1, count = 0, blocks = 1;
    granularity kind = granularity::per_tensor;
};

inline constexpr std::ptrdiff_t linear_tile = 256; ///< elements, whole bytes of any code

} // namespace detail
} // namespace onnx
NIBBLE_END

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN
namespace onnx {
namespace detail {

inline result<axis_shape> split(
    span<const std::ptrdiff_t> shape, std::ptrdiff_t axis, std::ptrdiff_t block_size, std::size_t scales) noexcept
{
    const std::ptrdiff_t rank = static_cast<std::ptrdiff_t>(shape.size());
    axis_shape s;
    s.count = 1;
    checked_size bytes = 16; // at most, of the element that takes the most with its parameters
    for (const std::ptrdiff_t size : shape) {
        if (size < 0)
            return status::negative_size;
        bytes = bytes * shape_extent(size);
        if (!bytes.fits())
            return status::size_overflow;
        s.count *= size;
    }
    if (block_size < 0)
        return status::group_size_invalid;
    if (block_size == 0 && scales == 1) {
        s.inner = s.count;
        return s;
    }
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank)
        return status::shape_mismatch;
    for (std::ptrdiff_t i = 0; i < axis; ++i)
        s.outer *= shape[static_cast<std::size_t>(i)];
    s.length = shape[static_cast<std::size_t>(axis)];
    for (std::ptrdiff_t i = axis + 1; i < rank; ++i)
        s.inner *= shape[static_cast<std::size_t>(i)];
    s.blocks = block_size == 0 ? s.length : s.length / block_size + (s.length % block_size != 0);
    s.kind = block_size == 0 ? granularity::per_channel : granularity::per_block;
    const std::ptrdiff_t needed = block_size == 0 ? s.length : s.outer * s.blocks * s.inner;
    return scales == static_cast<std::size_t>(needed) ? result<axis_shape>(s) : result<axis_shape>(status::params_count_mismatch);
}

/// run(rows, cols, first element, parameters) for each matrix of the tensor that the parameters fit. run gives a status.
template <class Run>
inline status for_each_matrix(
    const axis_shape& s, std::ptrdiff_t block_size, span<const float> scales, span<const std::int32_t> zero_points, Run run)
{
    if (s.kind == granularity::per_tensor)
        return run(1, s.count, 0, quant_params_view {granularity::per_tensor, 0, scales, zero_points});
    if (s.inner == 1 && s.kind == granularity::per_channel)
        return run(s.outer, s.length, 0, quant_params_view {granularity::per_column, 0, scales, zero_points});
    if (s.inner == 1)
        return run(s.outer, s.length, 0, quant_params_view {granularity::per_group, block_size, scales, zero_points});
    const std::ptrdiff_t per_matrix = s.kind == granularity::per_block ? s.blocks * s.inner : 0;
    for (std::ptrdiff_t o = 0; o < s.outer; ++o) {
        const std::size_t first = static_cast<std::size_t>(o * per_matrix),
                          count = per_matrix ? static_cast<std::size_t>(per_matrix) : scales.size();
        quant_params_view p {s.kind, 1, scales.subspan(first, count), {}, block_size};
        if (!zero_points.empty())
            p.zero_points = zero_points.subspan(first, count);
        if (const status bad = run(s.length, s.inner, o * s.length * s.inner, p); bad != status::ok)
            return bad;
    }
    return status::ok;
}

/// The elements that hold so many codes.
template <class Q>
NIBBLE_INLINE constexpr std::ptrdiff_t stored(std::ptrdiff_t codes) noexcept
{
    constexpr std::ptrdiff_t each = linear_traits<Q>::per_element;
    return codes / each + (codes % each != 0);
}

/// The rules of both directions, before the first write.
template <class Q>
inline result<axis_shape> check_linear(std::size_t reals, std::size_t codes, span<const std::ptrdiff_t> shape, std::ptrdiff_t axis,
    std::ptrdiff_t block_size, span<const float> scales, span<const std::int32_t> zero_points) noexcept
{
    const auto s = split(shape, axis, block_size, scales.size());
    if (!s)
        return s.error();
    if (reals != static_cast<std::size_t>(s->count) || codes != static_cast<std::size_t>(stored<Q>(s->count)))
        return status::shape_mismatch;
    // All parameters at once, as one channel each.
    if (const status bad = check_params<typename linear_traits<Q>::check>(
            {granularity::per_channel, 0, scales, zero_points}, static_cast<std::ptrdiff_t>(scales.size()), 1);
        bad != status::ok)
        return bad;
    if constexpr (linear_traits<Q>::is_float)
        for (const std::int32_t zero_point : zero_points)
            if (zero_point != 0)
                return status::zero_point_out_of_range;
    return s;
}

/// Whether quantize() and dequantize() do it: codes of at most 8 bits, and each matrix row begins at a whole byte.
template <class Q>
NIBBLE_INLINE constexpr bool by_matrices(const axis_shape& s, std::ptrdiff_t block_size) noexcept
{
    constexpr std::ptrdiff_t each = linear_traits<Q>::per_element;
    if (linear_traits<Q>::is_float || sizeof(Q) != 1)
        return false;
    if (each == 1 || s.kind == granularity::per_tensor)
        return true;
    const std::ptrdiff_t row = s.inner == 1 ? s.length : s.inner;
    return row % each == 0 && (s.inner != 1 || s.kind == granularity::per_channel || block_size % each == 0);
}

/// The parameter of element i.
NIBBLE_INLINE constexpr std::size_t param_of(const axis_shape& s, std::ptrdiff_t block_size, std::ptrdiff_t i) noexcept
{
    const std::ptrdiff_t along = i / s.inner % s.length;
    if (s.kind == granularity::per_tensor)
        return 0;
    if (s.kind == granularity::per_channel)
        return static_cast<std::size_t>(along);
    return static_cast<std::size_t>((i / (s.inner * s.length) * s.blocks + along / block_size) * s.inner + i % s.inner);
}

/// run(first, count, scales, zero_points) for tiles of elements with a scale and a zero point each; about 64 K elements a task.
template <class Executor, class Run>
inline void for_each_tile(const axis_shape& s, std::ptrdiff_t block_size, span<const float> scales, span<const std::int32_t> zero_points,
    Executor&& executor, Run run)
{
    constexpr std::ptrdiff_t task = 65536;
    executor.parallel_for(static_cast<std::size_t>(s.count / task + (s.count % task != 0)), [&](std::size_t i) {
        float scale[linear_tile];
        std::int32_t zero_point[linear_tile] = {};
        const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(i) * task, end = s.count - begin < task ? s.count : begin + task;
        const default_fp_mode mode;
        for (std::ptrdiff_t first = begin; first < end; first += linear_tile) {
            const std::ptrdiff_t count = smaller(end - first, linear_tile);
            if (first == begin || s.kind != granularity::per_tensor)
                for (std::ptrdiff_t j = 0; j < count; ++j) {
                    const std::size_t at = param_of(s, block_size, first + j);
                    scale[j] = scales[at];
                    if (!zero_points.empty())
                        zero_point[j] = zero_points[at];
                }
            run(first, count, scale, zero_point);
        }
    });
}

/// The code of x: one of 16 bits.
template <class Q>
NIBBLE_INLINE Q quantize_16(float x, float scale, std::int32_t zero_point) noexcept
{
    const float t = x / scale, low = static_cast<float>(code_traits<Q>::qmin - zero_point),
                high = static_cast<float>(code_traits<Q>::qmax - zero_point);
    const float bounded = strict_math::choose(is_nan(t), 0.0f, strict_math::clamp(t, low, high));
    return static_cast<Q>(static_cast<std::int32_t>(strict_math::nearbyint(bounded)) + zero_point);
}

template <class Q>
inline void to_floats(const Q* codes, std::ptrdiff_t count, float* x) noexcept
{
    if constexpr (std::is_same_v<Q, float8_e4m3>)
        kernels::float8_e4m3_to_f32()({codes, x, count, overflow::saturate});
    else if constexpr (std::is_same_v<Q, float8_e5m2>)
        kernels::float8_e5m2_to_f32()({codes, x, count, overflow::saturate});
    else if constexpr (std::is_same_v<Q, float4_e2m1x2>)
        for (std::ptrdiff_t i = 0; i < count; ++i)
            x[i] = to_float(i % 2 == 0 ? codes[i / 2].first() : codes[i / 2].second());
    else
        for (std::ptrdiff_t i = 0; i < count; ++i)
            x[i] = to_float(codes[i]);
}

template <class Q>
inline void from_floats(const float* x, std::ptrdiff_t count, overflow rule, Q* codes) noexcept
{
    if constexpr (std::is_same_v<Q, float8_e4m3>)
        kernels::f32_to_float8_e4m3()({x, codes, count, rule});
    else if constexpr (std::is_same_v<Q, float8_e5m2>)
        kernels::f32_to_float8_e5m2()({x, codes, count, rule});
    else if constexpr (std::is_same_v<Q, float4_e2m1x2>)
        for (std::ptrdiff_t i = 0; i < count; i += 2) {
            const int low = to_float4_e2m1(x[i]).bits, high = i + 1 < count ? to_float4_e2m1(x[i + 1]).bits : 0;
            codes[i / 2].bits = static_cast<std::uint8_t>(low | high << 4);
        }
    else
        for (std::ptrdiff_t i = 0; i < count; ++i)
            codes[i] = to_fnuz_float<Q>(x[i], rule);
}

/// A tile whose first code is the first of an element.
template <class Q>
inline void quantize_tile(
    const float* x, std::ptrdiff_t count, const float* scale, const std::int32_t* zero_point, overflow rule, Q* y) noexcept
{
    constexpr int each = linear_traits<Q>::per_element;
    if constexpr (linear_traits<Q>::is_float) {
        float t[linear_tile];
        for (std::ptrdiff_t i = 0; i < count; ++i)
            t[i] = x[i] / scale[i];
        from_floats(t, count, rule, y);
    } else if constexpr (each == 1) {
        for (std::ptrdiff_t i = 0; i < count; ++i)
            y[i] = quantize_16<Q>(x[i], scale[i], zero_point[i]);
    } else {
        constexpr unsigned bits = 8 / each, mask = (1u << bits) - 1;
        constexpr code_limits codes = codes_of<Q>(code_range::full);
        std::uint8_t bytes[linear_tile] = {};
        quantize_args args {};
        args.x = x;
        args.q = bytes;
        args.row_end = args.block_rows = args.group_size = args.group_stride = 1;
        args.cols = count;
        args.scales = scale;
        args.zero_points = zero_point;
        args.qmin = codes.qmin;
        args.qmax = codes.qmax;
        args.rule = preset::onnx.rule;
        kernels::quantize_8()(args);
        for (std::ptrdiff_t i = 0; i < count; i += each) {
            unsigned packed = 0;
            for (int j = 0; j < each && i + j < count; ++j)
                packed |= (bytes[i + j] & mask) << bits * static_cast<unsigned>(j);
            y[i / each].bits = static_cast<std::uint8_t>(packed);
        }
    }
}

template <class Q>
inline void dequantize_tile(const Q* x, std::ptrdiff_t count, const float* scale, const std::int32_t* zero_point, float* y) noexcept
{
    constexpr int each = linear_traits<Q>::per_element;
    if constexpr (linear_traits<Q>::is_float) {
        to_floats(x, count, y);
        for (std::ptrdiff_t i = 0; i < count; ++i)
            y[i] = y[i] * scale[i];
    } else {
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            std::int32_t code;
            if constexpr (each == 1) {
                code = x[i];
            } else {
                constexpr std::int32_t bits = 8 / each, mask = (1 << bits) - 1, sign = code_traits<Q>::qmin < 0 ? 1 << (bits - 1) : 0;
                code = ((x[i / each].bits >> i % each * bits & mask) ^ sign) - sign;
            }
            y[i] = static_cast<float>(code - zero_point[i]) * scale[i];
        }
    }
}

} // namespace detail

} // namespace onnx
NIBBLE_END
NIBBLE_STRICT_END
