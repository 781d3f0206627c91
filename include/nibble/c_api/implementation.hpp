// The functions of nibble.h, included by it where NIBBLE_C_IMPLEMENTATION is defined.
#pragma once

#include <new>

#include "../gemm/gemm.hpp"
#include "../nibble.h"
#include "../quantize/convert.hpp"
#include "../quantize/quantize.hpp"

/// Owns the bytes, unless bytes is a view of somebody else's.
struct nibble_weights {
    nibble::packed_weights owned;
    nibble::span<const std::byte> bytes;
    nibble::packed_weights_view view;
};

NIBBLE_BEGIN
namespace c_api {

static_assert(static_cast<int>(status::ok) == NIBBLE_OK && static_cast<int>(activation_function::relu) == NIBBLE_RELU
                  && static_cast<int>(activation_function::gelu) == NIBBLE_GELU
                  && static_cast<int>(activation_function::gelu_tanh) == NIBBLE_GELU_TANH
                  && static_cast<int>(activation_function::silu) == NIBBLE_SILU,
    "nibble.h has the numbers of nibble's enumerations");

struct executor {
    const nibble_threads* threads;

    template <class Function>
    void parallel_for(std::size_t count, Function&& function) const
    {
        using function_type = std::remove_reference_t<Function>;
        if (threads == nullptr || threads->run == nullptr)
            return serial_executor {}.parallel_for(count, function);
        threads->run(
            threads->work, count, [](void* argument, std::size_t i) { (*static_cast<function_type*>(argument))(i); }, &function);
    }
};

inline nibble_status number(status s) noexcept { return static_cast<nibble_status>(s); }

inline nibble_status keep(result<packed_weights> packed, nibble_weights** weights) noexcept
{
    if (!packed)
        return number(packed.error());
    nibble_weights* const made = new (std::nothrow) nibble_weights;
    if (made == nullptr)
        return number(status::out_of_memory);
    made->owned = std::move(*packed);
    made->bytes = made->owned.bytes();
    made->view = made->owned.view();
    *weights = made;
    return NIBBLE_OK;
}

/// The parameters of codes that the caller has: the sizes of the arrays follow from n, k and group_size.
template <class Q>
inline nibble_status pack(const Q* codes, std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t stride, const float* scales,
    const std::int32_t* zero_points, std::ptrdiff_t group_size, nibble_weights** weights) noexcept
{
    if (weights == nullptr)
        return number(status::null_pointer);
    *weights = nullptr;
    if (n < 0 || k < 0)
        return number(status::negative_size);
    if (group_size < 0)
        return number(status::group_size_invalid);
    const matrix_view<const Q> view(codes, n, elements_for<Q>(k), stride);
    if (const status s = check(view); s != status::ok)
        return number(s);
    const granularity kind = group_size == 0 ? granularity::per_channel : granularity::per_group;
    const std::size_t count = static_cast<std::size_t>(params_count(kind, n, k, group_size));
    const span<const std::int32_t> zeros(zero_points, zero_points == nullptr ? 0 : count);
    return keep(packed_weights::make(view, k, {kind, group_size, span<const float>(scales, count), zeros}), weights);
}

/// Rounds to the nearest codes and packs them.
template <class Q>
inline nibble_status quantize_and_pack(matrix_view<const float> w, std::ptrdiff_t group_size, nibble_weights** weights) noexcept
{
    const granularity kind = group_size == 0 ? granularity::per_channel : granularity::per_group;
    if (const status s = check_grouping<Q>(kind, group_size, 1); s != status::ok)
        return number(s);
    const std::ptrdiff_t width = elements_for<Q>(w.cols);
    const std::size_t count = static_cast<std::size_t>(params_count(kind, w.rows, w.cols, group_size));
    const std::size_t scratch = choose_params_scratch(kind, w.rows, w.cols, group_size);
    aligned_buffer memory;
    if (const status s = memory.allocate((checked_size(count) + scratch) * sizeof(float) + checked_size(w.rows) * width + 1);
        s != status::ok)
        return number(s);
    float* const scales = reinterpret_cast<float*>(memory.bytes().data());
    const matrix_view<Q> codes(reinterpret_cast<Q*>(scales + count + scratch), w.rows, width);
    const quant_params_view params {kind, group_size, span<const float>(scales, count)};
    if (const status s
        = choose_params<Q>(w, scheme::symmetric, kind, group_size, span<float>(scales, count), {}, span<float>(scales + count, scratch));
        s != status::ok)
        return number(s);
    if (const status s = quantize(w, params, codes); s != status::ok)
        return number(s);
    return keep(packed_weights::make(matrix_view<const Q>(codes), w.cols, params), weights);
}

template <class Half>
inline nibble_status convert_and_pack(matrix_view<const float> w, nibble_weights** weights) noexcept
{
    aligned_buffer memory;
    if (const status s = memory.allocate(checked_size(w.rows) * w.cols * sizeof(Half) + 1); s != status::ok)
        return number(s);
    const matrix_view<Half> to(reinterpret_cast<Half*>(memory.bytes().data()), w.rows, w.cols);
    for (std::ptrdiff_t r = 0; r < w.rows && w.cols != 0; ++r) {
        const std::size_t cols = static_cast<std::size_t>(w.cols);
        if (const status s = convert(span<const float>(w.row(r), cols), span<Half>(to.row(r), cols)); s != status::ok)
            return number(s);
    }
    return keep(packed_weights::make(matrix_view<const Half>(to)), weights);
}

} // namespace c_api
NIBBLE_END

extern "C" {

NIBBLE_C_API const char* nibble_version(void) { return NIBBLE_VERSION_STRING; }

NIBBLE_C_API const char* nibble_status_text(nibble_status status)
{
    return nibble::to_string(static_cast<nibble::status>(status < 0 || status > 255 ? 255 : status));
}

NIBBLE_C_API const char* nibble_active_backend(void) { return nibble::to_string(nibble::active_backend()); }

NIBBLE_C_API nibble_status nibble_force_backend(const char* name)
{
    return nibble::c_api::number(name == nullptr ? nibble::status::null_pointer : nibble::force_backend(name));
}

NIBBLE_C_API nibble_status nibble_quantize_weights(const float* w, ptrdiff_t n, ptrdiff_t k, ptrdiff_t w_stride,
    nibble_weight_format format, ptrdiff_t group_size, nibble_weights** weights)
{
    using namespace nibble;
    if (weights == nullptr)
        return c_api::number(status::null_pointer);
    *weights = nullptr;
    const matrix_view<const float> view(w, n, k, w_stride);
    if (const status s = check(view); s != status::ok)
        return c_api::number(s);
    switch (format) {
    case NIBBLE_INT8: return c_api::quantize_and_pack<std::int8_t>(view, group_size, weights);
    case NIBBLE_INT4: return c_api::quantize_and_pack<int4x2>(view, group_size, weights);
    case NIBBLE_FLOAT32:
    case NIBBLE_FLOAT16:
    case NIBBLE_BFLOAT16: break;
    default: return c_api::number(status::option_invalid);
    }
    if (group_size != 0)
        return c_api::number(status::granularity_unsupported);
    if (format == NIBBLE_FLOAT32)
        return c_api::keep(packed_weights::make(view), weights);
    return format == NIBBLE_FLOAT16 ? c_api::convert_and_pack<half>(view, weights) : c_api::convert_and_pack<bfloat16>(view, weights);
}

NIBBLE_C_API nibble_status nibble_pack_int8(const int8_t* codes, ptrdiff_t n, ptrdiff_t k, ptrdiff_t codes_stride, const float* scales,
    const int32_t* zero_points, ptrdiff_t group_size, nibble_weights** weights)
{
    return nibble::c_api::pack(codes, n, k, codes_stride, scales, zero_points, group_size, weights);
}

NIBBLE_C_API nibble_status nibble_pack_uint4(const uint8_t* codes, ptrdiff_t n, ptrdiff_t k, ptrdiff_t codes_stride, const float* scales,
    const int32_t* zero_points, ptrdiff_t group_size, nibble_weights** weights)
{
    const auto* const pairs = reinterpret_cast<const nibble::uint4x2*>(codes);
    return nibble::c_api::pack(pairs, n, k, codes_stride, scales, zero_points, group_size, weights);
}

NIBBLE_C_API const void* nibble_weights_bytes(const nibble_weights* weights, size_t* size)
{
    if (size != nullptr)
        *size = weights == nullptr ? 0 : weights->bytes.size();
    return weights == nullptr ? nullptr : weights->bytes.data();
}

NIBBLE_C_API nibble_status nibble_view_weights(const void* bytes, size_t size, nibble_weights** weights)
{
    using namespace nibble;
    if (weights == nullptr)
        return c_api::number(status::null_pointer);
    *weights = nullptr;
    const span<const std::byte> given(static_cast<const std::byte*>(bytes), size);
    const auto view = view_packed(given);
    if (!view)
        return c_api::number(view.error());
    nibble_weights* const made = new (std::nothrow) nibble_weights;
    if (made == nullptr)
        return c_api::number(status::out_of_memory);
    made->bytes = given;
    made->view = *view;
    *weights = made;
    return NIBBLE_OK;
}

NIBBLE_C_API void nibble_free_weights(nibble_weights* weights) { delete weights; }

NIBBLE_C_API size_t nibble_workspace(const nibble_weights* weights, ptrdiff_t m)
{
    return weights == nullptr ? 0 : nibble::gemm_workspace(m, weights->view);
}

NIBBLE_C_API nibble_status nibble_multiply(const nibble_weights* weights, const float* x, ptrdiff_t m, ptrdiff_t k, ptrdiff_t x_stride,
    const float* bias, nibble_function function, float* y, ptrdiff_t n, ptrdiff_t y_stride, void* workspace, size_t workspace_size,
    const nibble_threads* threads)
{
    using namespace nibble;
    if (weights == nullptr)
        return c_api::number(status::null_pointer);
    if (n < 0)
        return c_api::number(status::negative_size);
    if (function < NIBBLE_NONE || function > NIBBLE_SILU)
        return c_api::number(status::option_invalid);
    epilogue e;
    e.bias = {bias, bias == nullptr ? 0 : static_cast<std::size_t>(n)};
    e.function = static_cast<activation_function>(function);
    return c_api::number(gemm(matrix_view<const float>(x, m, k, x_stride), weights->view, e, matrix_view<float>(y, m, n, y_stride),
        span<std::byte>(static_cast<std::byte*>(workspace), workspace_size), c_api::executor {threads}));
}

} // extern "C"
