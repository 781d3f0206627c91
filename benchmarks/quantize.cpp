// Floats to codes and back, fake quantization, and sums to codes.
#include "arrays.hpp"

namespace bench {
namespace {

using nibble::granularity;

nibble::matrix_view<const float> matrix_of(nibble::span<float> x) { return {x.data(), rows, columns}; }

std::ptrdiff_t params(granularity kind, std::ptrdiff_t group) { return nibble::params_count(kind, rows, columns, group); }

template <class Q>
void quantize_to(array_group& to, const std::string& name, granularity kind, std::ptrdiff_t group, nibble::quantize_rule rule = {})
{
    to.add(name, [=](arena& memory) {
        const auto x = matrix_of(memory.floats());
        const nibble::span<const float> scales = memory.take(params(kind, group), 0.01f);
        const auto q = memory.matrix<Q>();
        return to_matrix(q, [=] { require(nibble::quantize(x, {kind, group, scales}, q, rule)); });
    });
}

template <class Q>
void quantize_absmax(array_group& to, const std::string& name, granularity kind, std::ptrdiff_t group)
{
    to.add(name, [=](arena& memory) {
        const auto x = matrix_of(memory.floats());
        const nibble::span<float> scales = memory.take<float>(params(kind, group));
        const auto q = memory.matrix<Q>();
        return to_matrix(q, [=] { require(nibble::quantize_dynamic(x, kind, group, scales, q)); });
    });
}

template <class Q>
void dequantize_from(array_group& to, const std::string& name, granularity kind, std::ptrdiff_t group, std::int32_t zero_point = 0)
{
    to.add(name, [=](arena& memory) {
        const auto x = matrix_of(memory.floats());
        const nibble::span<const float> scales = memory.take(params(kind, group), 0.01f);
        const nibble::span<const std::int32_t> zero_points = memory.take(zero_point == 0 ? 0 : params(kind, group), zero_point);
        const auto q = memory.matrix<Q>();
        require(nibble::quantize(x, {kind, group, scales, zero_points}, q));
        const nibble::span<float> back = memory.take<float>(elements);
        return to_span(back, [=] {
            require(nibble::dequantize(nibble::matrix_view<const Q>(q), {kind, group, scales, zero_points},
                nibble::matrix_view<float>(back.data(), rows, columns)));
        });
    });
}

void microscaling(array_group& to)
{
    using mx = nibble::float4_e2m1x2;
    const auto mxfp4 = [](arena& memory, bool back) {
        const auto x = matrix_of(memory.floats());
        const nibble::matrix_view<mx> q(memory.take<mx>(elements / 2).data(), rows, columns / 2);
        const nibble::matrix_view<nibble::float8_e8m0> scales(memory.take<nibble::float8_e8m0>(elements / 32).data(), rows, columns / 32);
        const nibble::span<float> y = memory.take<float>(elements);
        require(nibble::quantize_mx(x, q, scales));
        if (!back)
            return to_matrix(q, [=] { require(nibble::quantize_mx(x, q, scales)); });
        return to_span(y, [=] {
            require(nibble::dequantize_mx(nibble::matrix_view<const mx>(q), nibble::matrix_view<const nibble::float8_e8m0>(scales),
                nibble::matrix_view<float>(y.data(), rows, columns)));
        });
    };
    const auto nvfp4 = [](arena& memory, bool back) {
        constexpr float tensor_scale = 1.0f / (6 * 448);
        const auto x = matrix_of(memory.floats());
        const nibble::matrix_view<mx> q(memory.take<mx>(elements / 2).data(), rows, columns / 2);
        const nibble::matrix_view<nibble::float8_e4m3> scales(memory.take<nibble::float8_e4m3>(elements / 16).data(), rows, columns / 16);
        const nibble::span<float> y = memory.take<float>(elements);
        require(nibble::quantize_nvfp4(x, tensor_scale, q, scales));
        if (!back)
            return to_matrix(q, [=] { require(nibble::quantize_nvfp4(x, tensor_scale, q, scales)); });
        return to_span(y, [=] {
            require(nibble::dequantize_nvfp4(nibble::matrix_view<const mx>(q), nibble::matrix_view<const nibble::float8_e4m3>(scales),
                tensor_scale, nibble::matrix_view<float>(y.data(), rows, columns)));
        });
    };
    to.add("float_to_mxfp4", [=](arena& memory) { return mxfp4(memory, false); });
    to.add("mxfp4_to_float", [=](arena& memory) { return mxfp4(memory, true); });
    to.add("float_to_nvfp4", [=](arena& memory) { return nvfp4(memory, false); });
    to.add("nvfp4_to_float", [=](arena& memory) { return nvfp4(memory, true); });
}

void training(array_group& to)
{
    struct scheme {
        nibble::matrix_view<const float> x;
        nibble::fake_quantization f;
    };
    const auto scheme_of = [](arena& memory) {
        const auto x = matrix_of(memory.floats());
        const nibble::span<const float> scales = memory.take(params(granularity::per_channel, 0), 0.01f);
        return scheme {x, {{granularity::per_channel, 0, scales}}};
    };
    to.add("fake_quantize", [=](arena& memory) {
        const scheme s = scheme_of(memory);
        const nibble::span<float> y = memory.take<float>(elements);
        return to_span(y, [=] { require(nibble::fake_quantize(s.x, s.f, nibble::matrix_view<float>(y.data(), rows, columns))); });
    });
    to.add("fake_quantize_backward", [=](arena& memory) {
        const scheme s = scheme_of(memory);
        const nibble::span<float> dx = memory.take<float>(elements), scale = memory.take<float>(rows),
                                  scratch = memory.take<float>(
                                      static_cast<std::ptrdiff_t>(nibble::fake_quantize_scratch(granularity::per_channel, rows, columns)));
        const nibble::fake_quantize_gradients to_x {{dx.data(), rows, columns}, scale};
        return to_span(dx, [=] { require(nibble::fake_quantize_backward(s.x, s.x, s.f, to_x, scratch)); });
    });
}

void requantize_to(array_group& to, const std::string& name, nibble::requantize_mode mode)
{
    to.add(name, [=](arena& memory) {
        const nibble::span<const float> scale = memory.take(columns, 0.001f);
        const nibble::span<const std::int32_t> multiplier = memory.take(columns, 1400000000), shift = memory.take(columns, -9);
        const nibble::span<std::int32_t> sums = memory.take<std::int32_t>(elements);
        const std::vector<float> numbers = data(elements);
        std::transform(numbers.begin(), numbers.end(), sums.begin(), [](float v) { return static_cast<std::int32_t>(v * 100000.0f); });
        nibble::requantization r;
        r.mode = mode;
        r.scale = scale;
        r.multiplier = multiplier;
        r.shift = shift;
        const auto q = memory.matrix<std::int8_t>();
        return to_matrix(
            q, [=] { require(nibble::requantize(nibble::matrix_view<const std::int32_t>(sums.data(), rows, columns), r, q)); });
    });
}

} // namespace

std::vector<group> quantize(const options& o, const std::vector<loaded_peer>&)
{
    constexpr granularity tensor = granularity::per_tensor, channel = granularity::per_channel, grouped = granularity::per_group;
    nibble::quantize_rule away, random;
    away.round = nibble::rounding::half_away_from_zero;
    random.round = nibble::rounding::stochastic;
    array_group all(o, "quantize");
    quantize_to<std::int8_t>(all, "float_to_int8", tensor, 0);
    quantize_to<std::int8_t>(all, "float_to_int8_half_away", tensor, 0, away);
    quantize_to<std::int8_t>(all, "float_to_int8_stochastic", tensor, 0, random);
    quantize_absmax<std::int8_t>(all, "float_to_int8_absmax_of_rows", channel, 0);
    quantize_absmax<std::int8_t>(all, "float_to_int8_absmax_g32", grouped, 32);
    quantize_absmax<nibble::int4x2>(all, "float_to_int4_absmax_g32", grouped, 32);
    quantize_to<nibble::int4x2>(all, "float_to_int4_g32", grouped, 32);
    quantize_to<nibble::int2x4>(all, "float_to_int2_g32", grouped, 32);
    dequantize_from<std::int8_t>(all, "int8_to_float", tensor, 0);
    dequantize_from<std::int8_t>(all, "int8_to_float_g32", grouped, 32);
    dequantize_from<std::uint8_t>(all, "uint8_to_float", tensor, 0, 128);
    dequantize_from<nibble::int4x2>(all, "int4_to_float_g32", grouped, 32);
    dequantize_from<nibble::uint4x2>(all, "uint4_to_float_g32", grouped, 32, 3);
    dequantize_from<nibble::int2x4>(all, "int2_to_float_g32", grouped, 32);
    dequantize_from<nibble::uint2x4>(all, "uint2_to_float_g32", grouped, 32, 1);
    microscaling(all);
    all.add("range_of_rows", [=](arena& memory) {
        const auto x = matrix_of(memory.floats());
        const nibble::span<float> scales
            = memory.take<float>(rows),
            scratch = memory.take<float>(static_cast<std::ptrdiff_t>(nibble::choose_params_scratch(channel, rows, columns, 0)));
        return to_span(
            scales, [=] { require(nibble::choose_params<std::int8_t>(x, nibble::scheme::symmetric, channel, 0, scales, {}, scratch)); });
    });
    training(all);
    requantize_to(all, "int32_to_int8", nibble::requantize_mode::float_ties_to_even);
    requantize_to(all, "int32_to_int8_double_rounding", nibble::requantize_mode::double_rounding);
    return all.finish();
}

} // namespace bench
