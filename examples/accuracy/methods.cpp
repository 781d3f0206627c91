#include "methods.hpp"

namespace {

using nibble::status;

template <class Q>
status with_awq(nibble::matrix_view<const float> w, const layer_inputs& inputs, const nibble::weight_format& f,
    const nibble::quantized_matrix<Q>& q, linear& to, std::vector<float>& back)
{
    constexpr int steps = 20;
    std::vector<float> scales(static_cast<std::size_t>(w.cols)), scaled(static_cast<std::size_t>(w.rows * w.cols));
    if (const status s = nibble::search_awq_scales<Q>(w, inputs.magnitude(), inputs.products, f, steps, scales); s != status::ok)
        return s;
    const nibble::matrix_view<float> scaled_view(scaled.data(), w.rows, w.cols);
    if (const status s = nibble::scale_columns(w, scales, false, scaled_view); s != status::ok)
        return s;
    to.input_scales.clear();
    for (const float scale : scales)
        to.input_scales.push_back(1.0f / scale);

    auto scaled_inputs = nibble::hessian::make(w.cols);
    if (!scaled_inputs)
        return scaled_inputs.error();
    status s = scaled_inputs->merge(inputs.products);
    if (s == status::ok)
        s = scaled_inputs->scale(to.input_scales);
    if (s == status::ok)
        s = nibble::round_clipped(nibble::matrix_view<const float>(scaled_view), *scaled_inputs, f, q);
    if (s == status::ok)
        s = keep(q, w.cols, f, to, back);
    for (std::size_t i = 0; i < back.size(); ++i)
        back[i] *= to.input_scales[i % to.input_scales.size()];
    return s;
}

template <class Q>
status quantize_to(nibble::matrix_view<const float> w, const layer_inputs& inputs, nibble::weight_format f, method how, linear& to,
    std::vector<float>& back)
{
    const std::ptrdiff_t row_elements = nibble::elements_for<Q>(w.cols);
    std::vector<Q> codes(static_cast<std::size_t>(w.rows * row_elements));
    std::vector<float> scales(static_cast<std::size_t>(nibble::params_count(f.kind, w.rows, w.cols, f.group_size)));
    std::vector<std::int32_t> zero_points(f.how == nibble::scheme::affine ? scales.size() : 0);
    const nibble::quantized_matrix<Q> q {{codes.data(), w.rows, row_elements}, scales, zero_points};
    std::vector<float> importance(static_cast<std::size_t>(w.cols));
    status s = inputs.products.importance(nibble::span<float>(importance));
    if (s != status::ok)
        return s;
    nibble::gptq_options o;
    o.act_order = true;
    switch (how) {
    case method::nearest: s = nibble::round_to_nearest(w, f, q); break;
    case method::hqq: s = nibble::hqq(w, f, q); break;
    case method::awq: return with_awq(w, inputs, f, q, to, back);
    case method::gptq: s = nibble::gptq(w, inputs.products, f, q, o); break;
    case method::least_squares:
        f.search = nibble::range_search::squared_error;
        s = nibble::round_to_nearest(w, f, q, importance);
        break;
    case method::gptq_least_squares:
        f.search = nibble::range_search::squared_error;
        s = nibble::gptq(w, inputs.products, f, q, o);
        break;
    }
    return s != status::ok ? s : keep(q, w.cols, f, to, back);
}

} // namespace

const char* name_of(method how)
{
    constexpr const char* names[] = {"round to nearest", "least squares range", "HQQ", "AWQ, clipped", "GPTQ", "GPTQ, least squares range"};
    return names[static_cast<int>(how)];
}

nibble::status quantize_layer(nibble::matrix_view<const float> w, const layer_inputs& inputs, const weight_setting& to_what, method how,
    linear& to, std::vector<float>& back)
{
    nibble::weight_format f;
    f.kind = to_what.group_size == 0 ? nibble::granularity::per_channel : nibble::granularity::per_group;
    f.group_size = to_what.group_size;
    f.how = to_what.how;
    f.half_scales = true;
    if (to_what.bits == 8)
        return quantize_to<std::int8_t>(w, inputs, f, how, to, back);
    f.bits = to_what.bits; // 3-bit codes are kept in 4 bits
    return f.how == nibble::scheme::affine ? quantize_to<nibble::uint4x2>(w, inputs, f, how, to, back)
                                           : quantize_to<nibble::int4x2>(w, inputs, f, how, to, back);
}
