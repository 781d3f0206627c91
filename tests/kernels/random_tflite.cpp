// Random shapes of everything in tflite/, against reference/ or, where that has none, against loops in 64 bits.
#include "../random_cases.hpp"

#include <algorithm>
#include <cmath>

using namespace nibble;
using test::random_case;
using test::run_cases;
using tflite::images_view;

namespace {

// The mode, multipliers, biases and bounds of sums of k products, spread over the codes of X.
template <class X>
struct output_stage {
    std::vector<float> scale;
    std::vector<std::int32_t> multiplier, shift, bias;
    std::vector<std::int64_t> wide_bias;
    requantization r;
    tflite::requantization_16x8 wide; // of int16

    output_stage(random_case& c, std::ptrdiff_t channels, std::ptrdiff_t k)
    {
        const bool each = c.flag("per channel"), with_bias = c.flag("bias", 4) == false;
        const float spread = (sizeof(X) == 1 ? 0x1p-7f : 0x1p-8f) / std::sqrt(static_cast<float>(k < 1 ? 1 : k));
        for (std::ptrdiff_t i = 0; i < (each ? channels : 1); ++i) {
            scale.push_back(c.scale(-1, 1) * spread);
            const auto m = encode_multiplier(static_cast<double>(scale.back()));
            multiplier.push_back(c.number(0, 15) == 0 ? INT32_MAX : m->multiplier);
            shift.push_back(m->shift);
        }
        for (std::ptrdiff_t i = 0; with_bias && i < channels; ++i) {
            const std::ptrdiff_t drawn = c.number(-3000, 3000);
            bias.push_back(static_cast<std::int32_t>(drawn * (sizeof(X) == 1 ? 1 : c.number(0, 7) == 0 ? 700000 : 256)));
            wide_bias.push_back(static_cast<std::int64_t>(drawn) * (c.number(0, 7) == 0 ? std::int64_t {1} << 34 : 256));
        }
        r.mode = static_cast<requantize_mode>(c.size("mode", 0, 2));
        r.scale = scale;
        r.multiplier = multiplier;
        r.shift = shift;
        r.bias = bias;
        r.zero_point = sizeof(X) == 1 ? static_cast<std::int32_t>(c.number(-128, 127)) : 0;
        r.zero_point_first = c.number(0, 3) == 0;
        // A fused activation's bounds.
        const tflite::quantization y {c.scale(-6, -4), r.zero_point};
        const auto bounds = tflite::bounds_of<X>(static_cast<tflite::fused_activation>(c.size("activation", 0, 3)), y);
        r.low = bounds->qmin;
        r.high = bounds->qmax;
        wide = {multiplier, shift, wide_bias, r.low, r.high};
    }
};

tflite::window random_window(random_case& c)
{
    tflite::window at;
    // Half of all windows are those that shortcuts may be for.
    if (c.flag("plain"))
        return at;
    at.kernel_height = c.size("kernel height", 1, 4);
    at.kernel_width = c.size("kernel width", 1, 4);
    at.stride_height = c.size("stride height", 1, 3);
    at.stride_width = c.size("stride width", 1, 3);
    at.dilation_height = c.size("dilation height", 1, 2);
    at.dilation_width = c.size("dilation width", 1, 2);
    at.pad_top = c.size("pad top", 0, 2);
    at.pad_left = c.size("pad left", 0, 2);
    at.pad_bottom = c.size("pad bottom", 0, 2);
    at.pad_right = c.size("pad right", 0, 2);
    return at;
}

// The same sizes, other memory.
template <class X, class Y>
images_view<Y> like(images_view<X> of, Y* data)
{
    return {data, of.batch, of.height, of.width, of.channels};
}

template <class X>
void compare_conv(random_case& c)
{
    constexpr bool wide = sizeof(X) == 2;
    const bool transposed = c.flag("transposed", 4), narrow_bias = wide && c.flag("int32 bias"), int4 = c.flag("int4 filter", 6);
    const tflite::window at = random_window(c);
    const std::ptrdiff_t batch = c.size("batch", 1, 2), height = c.size("height", 1, 7), width = c.size("width", 1, 7);
    const std::ptrdiff_t in = c.flag("wide input", 8) ? c.size("channels", 10, 40) : c.size("channels", 1, 9);
    const std::ptrdiff_t groups = c.flag("one group") ? 1 : c.divisor("groups", in);
    const std::ptrdiff_t out = groups * (c.flag("wide output", 8) ? c.size("outputs a group", 10, 35) : c.size("outputs a group", 1, 5));
    const std::ptrdiff_t out_height = output_height(at, height), out_width = output_width(at, width);
    images_view<const X> x(nullptr, batch, height, width, in);
    images_view<X> y(nullptr, batch, out_height, out_width, out);
    if (transposed) {
        std::swap(x.height, y.height);
        std::swap(x.width, y.width);
    }
    const std::ptrdiff_t k = at.kernel_height * at.kernel_width * in / groups, w_stride = k + c.number(0, 3);
    const test::guarded<X> from(x.size(), c.number(0, 1) != 0), to(y.size(), c.number(0, 1) != 0);
    c.fill(from, code_traits<X>::qmin, code_traits<X>::qmax);
    x.data = from.data();
    y.data = to.data();
    const std::vector<std::int8_t> w = c.codes<std::int8_t>(out * w_stride, int4 ? -8 : -128, int4 ? 7 : 127);
    const matrix_view<const std::int8_t> weights(w.data(), out, k, w_stride);
    result<tflite::packed_filter> filter = status::ok;
    if (int4) {
        const std::ptrdiff_t pairs = elements_for<int4x2>(k);
        std::vector<int4x2> packed(static_cast<std::size_t>(out * pairs));
        for (std::ptrdiff_t o = 0; o < out; ++o)
            for (std::ptrdiff_t i = 0; i < k; ++i)
                store_code(packed.data() + o * pairs, i, weights(o, i));
        filter = tflite::packed_filter::make(
            matrix_view<const int4x2>(packed.data(), out, pairs), at.kernel_height, at.kernel_width, in, groups);
    } else {
        filter = tflite::packed_filter::make(weights, at.kernel_height, at.kernel_width, in, groups);
    }
    c.ok(filter.error());
    const output_stage<X> stage(c, out, k);
    const std::int32_t zero_point = wide ? 0 : static_cast<std::int32_t>(c.number(-128, 127));
    std::vector<X> expected(to.size());
    const images_view<X> want = like(y, expected.data());
    const auto reference_of = [&](const auto& r) {
        transposed ? reference::transpose_conv2d(x, zero_point, weights, groups, at, r, want)
                   : reference::conv2d(x, zero_point, weights, groups, at, r, want);
    };
    if (!wide || narrow_bias)
        reference_of(stage.r);
    else
        reference_of(stage.wide);
    const std::ptrdiff_t threads = c.size("threads", 1, 4);
    const test::guarded<std::byte> workspace(
        static_cast<std::ptrdiff_t>(tflite::conv2d_workspace<X>(*filter, threads)) - c.number(0, threads == 1 ? 0 : 64));
    const span<std::byte> scratch(workspace.data(), workspace.size());
    c.on_every_backend([&](test::any_executor executor) {
        std::memset(to.data(), 0x5a, to.size() * sizeof(X));
        const auto run = [&](const auto& r) {
            if constexpr (wide)
                return transposed ? tflite::transpose_conv2d(x, *filter, at, r, y, scratch, executor)
                                  : tflite::conv2d(x, *filter, at, r, y, scratch, executor);
            else
                return transposed ? tflite::transpose_conv2d(x, zero_point, *filter, at, r, y, scratch, executor)
                                  : tflite::conv2d(x, zero_point, *filter, at, r, y, scratch, executor);
        };
        if constexpr (wide)
            c.ok(narrow_bias ? run(stage.r) : run(stage.wide));
        else
            c.ok(run(stage.r));
        c.same(to.data(), expected.data(), to.size());
    });
}

void compare_fully_connected(random_case& c)
{
    const bool narrow_bias = c.flag("int32 bias");
    const std::ptrdiff_t m = c.size("m", 1, 60), n = c.size("n", 1, 40), k = c.size("k", 1, 700);
    const std::vector<std::int16_t> x = c.codes<std::int16_t>(m * k, -32768, 32767);
    const std::vector<std::int8_t> w = c.codes<std::int8_t>(n * k, -128, 127);
    const matrix_view<const std::int8_t> weights(w.data(), n, k);
    const auto filter = tflite::packed_filter::make(weights, 1, 1, k);
    c.ok(filter.error());
    const output_stage<std::int16_t> stage(c, n, k);
    std::vector<std::int16_t> expected(static_cast<std::size_t>(m * n));
    const images_view<const std::int16_t> from(x.data(), m, 1, 1, k);
    const images_view<std::int16_t> want(expected.data(), m, 1, 1, n);
    if (narrow_bias)
        reference::conv2d(from, 0, weights, 1, {}, stage.r, want);
    else
        reference::conv2d(from, 0, weights, 1, {}, stage.wide, want);
    std::vector<std::byte> workspace(tflite::conv2d_workspace<std::int16_t>(*filter, c.size("threads", 1, 3)));
    c.on_every_backend([&](test::any_executor executor) {
        std::vector<std::int16_t> y(expected.size());
        const matrix_view<std::int16_t> to(y.data(), m, n);
        c.ok(narrow_bias ? tflite::fully_connected({x.data(), m, k}, *filter, stage.r, to, workspace, executor)
                         : tflite::fully_connected({x.data(), m, k}, *filter, stage.wide, to, workspace, executor));
        c.same(y.data(), expected.data(), y.size());
    });
}

template <class X>
void compare_depthwise(random_case& c)
{
    constexpr bool wide = sizeof(X) == 2;
    const bool narrow_bias = wide && c.flag("int32 bias");
    tflite::window at = random_window(c);
    if (c.flag("large kernel", 10))
        at.kernel_height = at.kernel_width = 9; // more taps than are multiplied two by two
    const std::ptrdiff_t batch = c.size("batch", 1, 2), height = c.size("height", 1, 8), width = c.size("width", 1, 8);
    const std::ptrdiff_t channels = c.flag("many channels", 6) ? c.size("channels", 10, 100) : c.size("channels", 1, 9);
    const std::ptrdiff_t multiplier = c.flag("multiplied") ? c.size("multiplier", 1, 4) : 1, out = channels * multiplier;
    const std::ptrdiff_t taps = at.kernel_height * at.kernel_width;
    images_view<const X> x(nullptr, batch, height, width, channels);
    images_view<X> y(nullptr, batch, output_height(at, height), output_width(at, width), out);
    const bool at_end = c.number(0, 1) != 0;
    const test::guarded<X> from(x.size(), at_end), to(y.size(), at_end);
    const test::guarded<std::int8_t> w(taps * out, at_end);
    c.fill(from, code_traits<X>::qmin, code_traits<X>::qmax);
    c.fill(w, -128, 127);
    x.data = from.data();
    y.data = to.data();
    const output_stage<X> stage(c, out, taps);
    const std::int32_t zero_point = wide ? 0 : static_cast<std::int32_t>(c.number(-128, 127));
    const matrix_view<const std::int8_t> weights(w.data(), taps, out);
    std::vector<X> expected(to.size());
    const images_view<X> want = like(y, expected.data());
    if (!wide || narrow_bias)
        reference::depthwise_conv2d(x, zero_point, weights, at, stage.r, want);
    else
        reference::depthwise_conv2d(x, zero_point, weights, at, stage.wide, want);
    c.on_every_backend([&](test::any_executor executor) {
        std::memset(to.data(), 0x5a, to.size() * sizeof(X));
        if constexpr (wide)
            c.ok(narrow_bias ? tflite::depthwise_conv2d(x, weights, at, stage.r, y, executor)
                             : tflite::depthwise_conv2d(x, weights, at, stage.wide, y, executor));
        else
            c.ok(tflite::depthwise_conv2d(x, zero_point, weights, at, stage.r, y, executor));
        c.same(to.data(), expected.data(), to.size());
    });
}

template <class X>
void compare_pooling(random_case& c)
{
    tflite::window at = random_window(c);
    at.dilation_height = at.dilation_width = 1;
    at.pad_top = std::min(at.pad_top, at.kernel_height - 1);
    at.pad_bottom = std::min(at.pad_bottom, at.kernel_height - 1);
    at.pad_left = std::min(at.pad_left, at.kernel_width - 1);
    at.pad_right = std::min(at.pad_right, at.kernel_width - 1);
    const std::ptrdiff_t batch = c.size("batch", 1, 3), height = c.size("height", 1, 8), width = c.size("width", 1, 8);
    const std::ptrdiff_t channels = c.flag("many channels", 6) ? c.size("channels", 60, 130) : c.size("channels", 1, 9);
    const images_view<const X> shape(nullptr, batch, height, width, channels);
    const std::vector<X> x = c.codes<X>(shape.size(), code_traits<X>::qmin, code_traits<X>::qmax);
    const images_view<const X> from = like(shape, x.data());
    images_view<X> to(nullptr, batch, output_height(at, height), output_width(at, width), channels);
    std::vector<X> average(static_cast<std::size_t>(to.size())), greatest = average, expected = average, top = average;
    code_limits bounds {code_traits<X>::qmin, code_traits<X>::qmax};
    if (c.flag("bounds"))
        bounds = {static_cast<std::int32_t>(c.number(bounds.qmin, 0)), static_cast<std::int32_t>(c.number(0, bounds.qmax))};
    for (std::ptrdiff_t n = 0; n < batch; ++n)
        for (std::ptrdiff_t oy = 0; oy < to.height; ++oy)
            for (std::ptrdiff_t ox = 0; ox < to.width; ++ox)
                for (std::ptrdiff_t i = 0; i < channels; ++i) {
                    std::int64_t sum = 0, count = 0, most = code_traits<X>::qmin;
                    reference::detail::for_taps(from, at, oy, ox, [&](std::ptrdiff_t, std::ptrdiff_t iy, std::ptrdiff_t ix) {
                        sum += from(n, iy, ix, i);
                        most = std::max<std::int64_t>(most, from(n, iy, ix, i));
                        ++count;
                    });
                    const std::int64_t half_away = (2 * sum + (sum > 0 ? count : -count)) / (2 * count);
                    const auto clamped
                        = [&](std::int64_t q) { return static_cast<X>(std::clamp<std::int64_t>(q, bounds.qmin, bounds.qmax)); };
                    like(to, expected.data())(n, oy, ox, i) = clamped(half_away);
                    like(to, top.data())(n, oy, ox, i) = clamped(most);
                }
    c.ok(tflite::average_pool2d(from, at, like(to, average.data()), bounds, c.executor()));
    c.ok(tflite::max_pool2d(from, at, like(to, greatest.data()), bounds, c.executor()));
    c.same(average.data(), expected.data(), average.size(), "the averages");
    c.same(greatest.data(), top.data(), greatest.size(), "the maxima");
}

// TFLite's: the multiplier of the quotient in double, divided by the count with as many bits as fit; or XNNPACK's float one.
template <class X>
void compare_mean(random_case& c)
{
    const std::ptrdiff_t batch = c.size("batch", 1, 3), height = c.size("height", 1, 9), width = c.size("width", 1, 9);
    const std::ptrdiff_t channels = c.size("channels", 1, 9), count = height * width, stride = channels + c.number(0, 2);
    const std::vector<X> x = c.codes<X>(batch * count * channels, code_traits<X>::qmin, code_traits<X>::qmax);
    const auto any = [&] {
        return tflite::quantization {c.scale(-9, -3), sizeof(X) == 1 ? static_cast<std::int32_t>(c.number(-128, 127)) : 0};
    };
    const tflite::quantization from = any(), to = any();
    std::vector<X> y(static_cast<std::size_t>(batch * stride));
    const requantize_mode mode = static_cast<requantize_mode>(c.size("mode", 0, 2));
    c.ok(tflite::mean({x.data(), batch, height, width, channels}, from, to, matrix_view<X>(y.data(), batch, channels, stride), mode));
    const auto m = encode_multiplier(static_cast<double>(from.scale) / static_cast<double>(to.scale));
    std::int32_t up = 0;
    while (up < 31 + m->shift && std::ptrdiff_t {2} << up <= count)
        ++up;
    const std::vector<std::int32_t> multiplier {static_cast<std::int32_t>((std::int64_t {m->multiplier} << up) / count)},
        shift {m->shift - up};
    const std::vector<float> scale {from.scale / (to.scale * static_cast<float>(count))};
    requantization r;
    r.mode = mode;
    r.scale = scale;
    r.multiplier = multiplier;
    r.shift = shift;
    r.zero_point = to.zero_point;
    for (std::ptrdiff_t n = 0; n < batch; ++n)
        for (std::ptrdiff_t i = 0; i < channels; ++i) {
            std::int64_t sum = 0;
            for (std::ptrdiff_t p = 0; p < count; ++p)
                sum += x[static_cast<std::size_t>((n * count + p) * channels + i)] - from.zero_point;
            const std::int32_t expected = reference::requantize(static_cast<std::int32_t>(sum), r, 0, codes_of<X>(code_range::full));
            c.expect(y[static_cast<std::size_t>(n * stride + i)] == expected, "the mean");
        }
}

template <class X>
void compare_elementwise(random_case& c)
{
    std::ptrdiff_t a_shape[4], b_shape[4], y_shape[4];
    static constexpr const char* names[] = {"batch", "height", "width", "channels"};
    for (int i = 0; i < 4; ++i) {
        y_shape[i] = i == 3 && c.number(0, 3) == 0 ? c.size(names[i], 1, 90) : c.size(names[i], 1, 5);
        a_shape[i] = c.flag("a repeated", 3) ? 1 : y_shape[i];
        b_shape[i] = c.flag("b repeated", 3) ? 1 : y_shape[i];
        y_shape[i] = std::max(a_shape[i], b_shape[i]);
    }
    const auto view = [](const std::ptrdiff_t(&of)[4], auto* data) {
        return images_view<std::remove_pointer_t<decltype(data)>>(data, of[0], of[1], of[2], of[3]);
    };
    const images_view<X> y_view = view(y_shape, static_cast<X*>(nullptr));
    const auto size = [](const std::ptrdiff_t(&of)[4]) { return of[0] * of[1] * of[2] * of[3]; };
    const test::guarded<X> a(size(a_shape), c.number(0, 1) != 0), b(size(b_shape), c.number(0, 1) != 0), y(size(y_shape));
    c.fill(a, code_traits<X>::qmin, code_traits<X>::qmax);
    c.fill(b, code_traits<X>::qmin, code_traits<X>::qmax);
    const images_view<const X> from_a = view(a_shape, static_cast<const X*>(a.data())),
                               from_b = view(b_shape, static_cast<const X*>(b.data()));
    const images_view<X> to = like(y_view, y.data());
    const auto zero_point = [&] { return sizeof(X) == 1 ? static_cast<std::int32_t>(c.number(-128, 127)) : 0; };
    const std::int32_t a_zero = zero_point(), b_zero = zero_point();
    output_stage<X> stage(c, 1, sizeof(X) == 1 ? 4000 : 40000);
    stage.r.bias = {};
    const float a_scale = c.scale(-6, 0), b_scale = c.scale(-6, 0), y_scale = c.scale(-4, 1);
    const auto m = tflite::add_params<X>(a_scale, b_scale, y_scale);
    c.ok(m.error());
    requantization sum = stage.r;
    sum.mode = c.flag("double rounding") ? requantize_mode::double_rounding : requantize_mode::single_rounding;
    requantization of_sum = sum;
    of_sum.multiplier = span<const std::int32_t>(&m->sum.multiplier, 1);
    of_sum.shift = span<const std::int32_t>(&m->sum.shift, 1);
    std::vector<X> product(y.size()), added(y.size());
    std::size_t at = 0;
    for (std::ptrdiff_t i = 0; i < y_shape[0]; ++i)
        for (std::ptrdiff_t j = 0; j < y_shape[1]; ++j)
            for (std::ptrdiff_t k = 0; k < y_shape[2]; ++k)
                for (std::ptrdiff_t l = 0; l < y_shape[3]; ++l, ++at) {
                    const auto element = [&](const auto& of) {
                        return of(of.batch == 1 ? 0 : i, of.height == 1 ? 0 : j, of.width == 1 ? 0 : k, of.channels == 1 ? 0 : l);
                    };
                    const X left = element(from_a), right = element(from_b);
                    added[at] = reference::add(left, a_zero, right, b_zero, *m, of_sum);
                    product[at] = static_cast<X>(
                        reference::requantize((left - a_zero) * (right - b_zero), stage.r, 0, codes_of<X>(code_range::full)));
                }
    c.on_every_backend([&](test::any_executor executor) {
        if constexpr (sizeof(X) == 1)
            c.ok(tflite::add(from_a, a_zero, from_b, b_zero, *m, sum, to, executor));
        else
            c.ok(tflite::add(from_a, from_b, *m, sum, to, executor));
        c.same(y.data(), added.data(), y.size(), "the sums");
        if constexpr (sizeof(X) == 1)
            c.ok(tflite::multiply(from_a, a_zero, from_b, b_zero, stage.r, to, executor));
        else
            c.ok(tflite::multiply(from_a, from_b, stage.r, to, executor));
        c.same(y.data(), product.data(), y.size(), "the products");
    });
}

// TFLite's arithmetic written out: QUANTIZE divides the scales in double, RELU and its kin in float.
std::int8_t requantized(std::int32_t code, tflite::quantization x, tflite::quantization y, tflite::fused_activation f)
{
    const float in_float = x.scale / y.scale;
    const double real
        = f == tflite::fused_activation::none ? static_cast<double>(x.scale) / static_cast<double>(y.scale) : static_cast<double>(in_float);
    int shift = 0;
    const double fraction = std::frexp(real, &shift);
    std::int64_t multiplier = static_cast<std::int64_t>(std::round(fraction * 0x1p31));
    if (multiplier == std::int64_t {1} << 31) {
        multiplier /= 2;
        ++shift;
    }
    const std::int32_t q = reference::multiply_double_rounding(code - x.zero_point, static_cast<std::int32_t>(multiplier), shift);
    const auto bound = [&](float of) { return static_cast<std::int32_t>(std::round(of / y.scale)) + y.zero_point; };
    std::int32_t low = -128, high = 127;
    if (f == tflite::fused_activation::relu || f == tflite::fused_activation::relu6)
        low = std::max(low, bound(0.0f));
    if (f == tflite::fused_activation::relu6)
        high = std::min(high, bound(6.0f));
    if (f == tflite::fused_activation::relu_n1_to_1) {
        low = std::max(low, bound(-1.0f));
        high = std::min(high, bound(1.0f));
    }
    return static_cast<std::int8_t>(std::min(std::max(q + y.zero_point, low), high));
}

tflite::quantization any_quantization(random_case& c, int low, int high)
{
    return {c.scale(low, high), static_cast<std::int32_t>(c.number(-128, 127))};
}

} // namespace

TEST_CASE("random convolutions of int8 equal the reference") { run_cases(3000, compare_conv<std::int8_t>); }
TEST_CASE("random convolutions of int16 equal the reference") { run_cases(3000, compare_conv<std::int16_t>); }
TEST_CASE("random fully connected layers of int16 equal the reference") { run_cases(150, compare_fully_connected); }
TEST_CASE("random depthwise convolutions of int8 equal the reference") { run_cases(2500, compare_depthwise<std::int8_t>); }
TEST_CASE("random depthwise convolutions of int16 equal the reference") { run_cases(2500, compare_depthwise<std::int16_t>); }
TEST_CASE("random pooling is the average and the maximum of what a window sees")
{
    run_cases(1000, compare_pooling<std::int8_t>);
    run_cases(1000, compare_pooling<std::int16_t>);
}
TEST_CASE("random means are sums times TFLite's multiplier")
{
    run_cases(1500, compare_mean<std::int8_t>);
    run_cases(1500, compare_mean<std::int16_t>);
}
TEST_CASE("random sums and products, broadcast, equal the reference")
{
    run_cases(2000, compare_elementwise<std::int8_t>);
    run_cases(2000, compare_elementwise<std::int16_t>);
}

TEST_CASE("random requantizing tables are TFLite's QUANTIZE, RELU, RELU6 and RELU_N1_TO_1")
{
    std::ptrdiff_t float_quotients_that_matter = 0;
    run_cases(20000, [&](random_case& c) {
        const tflite::fused_activation f = static_cast<tflite::fused_activation>(c.size("activation", 0, 3));
        tflite::quantization x = any_quantization(c, -12, 0), y = any_quantization(c, -10, -2);
        if (c.flag("near ties")) // a code's image is as near to a half as the scales allow: roundings of their quotient show
            x.scale = (static_cast<float>(c.number(0, 127)) + 0.5f) / static_cast<float>(c.number(1, 255)) * y.scale;
        const auto table = tflite::requantize_table(x, y, f);
        c.ok(table.error());
        std::int8_t expected[256];
        for (std::int32_t code = -128; code < 128; ++code)
            expected[code + 128] = requantized(code, x, y, f);
        c.same(table->at, expected, 256, "TFLite's table");
        const auto in_double = tflite::requantize_table(x, y);
        for (std::size_t i = 0; i < 256 && f == tflite::fused_activation::relu; ++i)
            float_quotients_that_matter += in_double->at[i] != table->at[i] && in_double->at[i] >= y.zero_point;
    });
    CHECK(float_quotients_that_matter > 0);
}

TEST_CASE("random tables of functions are the real ones, rounded; they are looked up and joined")
{
    run_cases(500, [](random_case& c) {
        const tflite::quantization x = any_quantization(c, -9, -2), y = any_quantization(c, -8, -4);
        const tflite::table_function f = static_cast<tflite::table_function>(c.size("function", 0, 2));
        const auto table = tflite::function_table(f, x, y);
        c.ok(table.error());
        for (int code = -128; code < 128; ++code) {
            const double v = static_cast<double>(x.scale) * (code - x.zero_point);
            const double image = f == tflite::table_function::logistic ? 1.0 / (1.0 + std::exp(-v))
                                 : f == tflite::table_function::tanh   ? std::tanh(v)
                                                                       : v * std::clamp(v + 3.0, 0.0, 6.0) / 6.0;
            const double exact = image / static_cast<double>(y.scale) + y.zero_point;
            c.expect(std::fabs(table->at[code + 128] - std::clamp(exact, -128.0, 127.0)) < 0.501, "within half a code");
        }
        const std::ptrdiff_t count = c.flag("long", 20) ? c.size("count", 65530, 140000) : c.size("count", 0, 300);
        const std::vector<std::int8_t> codes = c.codes<std::int8_t>(count, -128, 127);
        std::vector<std::int8_t> found(codes.size()), expected(codes.size());
        for (std::size_t i = 0; i < codes.size(); ++i)
            expected[i] = table->at[codes[i] + 128];
        c.ok(tflite::look_up(codes, *table, found, c.executor()));
        c.same(found.data(), expected.data(), found.size(), "the codes of the table");
    });
    run_cases(1000, [](random_case& c) {
        const std::ptrdiff_t inputs = c.size("inputs", 1, 4), rows = c.size("rows", 1, 5);
        const tflite::quantization y = any_quantization(c, -8, -4);
        std::vector<std::vector<std::int8_t>> codes;
        std::vector<tflite::concatenation_input> parts;
        std::ptrdiff_t cols = 0;
        for (std::ptrdiff_t i = 0; i < inputs; ++i) {
            const std::ptrdiff_t n = c.size("columns", 0, 9), stride = n + c.number(0, 2);
            codes.push_back(c.codes<std::int8_t>(rows * stride + 1, -128, 127));
            parts.push_back({{codes.back().data(), rows, n, stride}, c.flag("same") ? y : any_quantization(c, -8, -4)});
            cols += n;
        }
        const std::ptrdiff_t stride = cols + c.number(0, 2);
        std::vector<std::int8_t> found(static_cast<std::size_t>(rows * stride + 1), 0x5a), expected = found;
        std::ptrdiff_t column = 0;
        for (const tflite::concatenation_input& part : parts) {
            for (std::ptrdiff_t r = 0; r < rows; ++r)
                for (std::ptrdiff_t i = 0; i < part.x.cols; ++i)
                    expected[static_cast<std::size_t>(r * stride + column + i)]
                        = requantized(part.x(r, i), part.params, y, tflite::fused_activation::none);
            column += part.x.cols;
        }
        c.ok(tflite::concatenate({parts.data(), parts.size()}, y, matrix_view<std::int8_t>(found.data(), rows, cols, stride)));
        c.same(found.data(), expected.data(), found.size(), "the inputs side by side");
    });
}

TEST_CASE("random softmax is the real one to within a code, whatever the strides")
{
    run_cases(1000, [](random_case& c) {
        const std::ptrdiff_t rows = c.size("rows", 1, 4), cols = c.flag("long", 10) ? c.size("cols", 40, 400) : c.size("cols", 1, 12);
        const std::ptrdiff_t x_stride = cols + c.number(0, 3), y_stride = cols + c.number(0, 3);
        const float scale = c.scale(-9, 1), beta = c.flag("beta") ? c.scale(-2, 1) : 1.0f;
        const auto params = tflite::softmax_params(scale, beta);
        c.ok(params.error());
        const std::vector<std::int8_t> x = c.codes<std::int8_t>(rows * x_stride, -128, 127);
        std::vector<std::int8_t> y(static_cast<std::size_t>(rows * y_stride), 0x5a);
        c.ok(tflite::softmax(
            {x.data(), rows, cols, x_stride}, *params, matrix_view<std::int8_t>(y.data(), rows, cols, y_stride), c.executor()));
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            const double step = static_cast<double>(scale) * static_cast<double>(beta);
            const std::int8_t* const row = x.data() + r * x_stride;
            const std::int8_t top = *std::max_element(row, row + cols);
            double sum = 0;
            for (std::ptrdiff_t i = 0; i < cols; ++i)
                sum += std::exp(step * (row[i] - top));
            for (std::ptrdiff_t i = 0; i < y_stride; ++i) {
                const std::int8_t found = y[static_cast<std::size_t>(r * y_stride + i)];
                if (i >= cols) {
                    c.expect(found == 0x5a, "left alone between rows");
                    continue;
                }
                const double exact = std::exp(step * (row[i] - top)) / sum * 256.0 - 128.0;
                c.expect(std::fabs(std::min(exact, 127.0) - found) < 0.6, "within a code");
            }
        }
    });
}

// Every number a caller can give, those that are no window among them.
TEST_CASE("random windows have as many outputs as places, and padding same gives ceil(size / stride)")
{
    run_cases(20000, [](random_case& c) {
        const std::ptrdiff_t size = c.size("size", -1, 12), kernel = c.size("kernel", -1, 5), stride = c.size("stride", -1, 4);
        const std::ptrdiff_t dilation = c.size("dilation", -1, 3), before = c.size("before", -1, 3), after = c.size("after", -1, 3);
        const bool valid = kernel >= 1 && stride >= 1 && dilation >= 1, padded = before >= 0 && after >= 0;
        std::ptrdiff_t places = 0;
        if (valid && padded && size >= 0)
            while (places * stride + (kernel - 1) * dilation < size + before + after)
                ++places;
        tflite::window at;
        at.kernel_height = at.kernel_width = kernel;
        at.stride_height = at.stride_width = stride;
        at.dilation_height = at.dilation_width = dilation;
        at.pad_top = at.pad_left = before;
        at.pad_bottom = at.pad_right = after;
        c.expect((check(at) == status::ok) == (valid && padded), "what check says");
        c.expect(output_height(at, size) == places && output_width(at, size) == places, "as many outputs");
        if (padded)
            c.expect(tflite::output_size(size, kernel, stride, dilation, before + after) == places, "as many outputs of a dimension");
        const tflite::window same = tflite::same_padding(at, size, size);
        if (!valid || size < 0) {
            c.expect(same.pad_top == 0 && same.pad_bottom == 0 && same.pad_left == 0 && same.pad_right == 0, "without padding");
        } else {
            c.expect(check(same) == status::ok && same.pad_bottom - same.pad_top >= 0 && same.pad_bottom - same.pad_top <= 1
                         && same.pad_left == same.pad_top && same.pad_right == same.pad_bottom,
                "padded alike on both sides");
            c.expect(output_height(same, size) == (size + stride - 1) / stride, "as many outputs as strides");
        }
    });
}

TEST_CASE("random multipliers and biases of a layer are TFLite's")
{
    run_cases(5000, [](random_case& c) {
        const std::ptrdiff_t channels = c.size("channels", 1, 6), scales = c.flag("per channel") ? channels : 1;
        const float x_scale = c.scale(-9, 2), y_scale = c.scale(-9, 2);
        std::vector<float> w_scale, bias, in_float(static_cast<std::size_t>(scales));
        for (std::ptrdiff_t i = 0; i < scales; ++i)
            w_scale.push_back(c.scale(-12, 0));
        for (std::ptrdiff_t i = 0; i < channels; ++i)
            bias.push_back(c.real() * c.scale(-4, 20));
        std::vector<std::int32_t> multiplier(w_scale.size()), shift(w_scale.size()), codes(bias.size());
        const auto expect_encoded = [&](std::size_t i, double real) {
            const double found = std::ldexp(static_cast<double>(multiplier[i]), shift[i] - 31);
            int exponent = 0;
            const double fraction = std::frexp(real, &exponent);
            c.expect(found == std::ldexp(std::round(fraction * 0x1p31), exponent - 31), "the multiplier");
        };
        c.ok(tflite::output_multipliers(x_scale, w_scale, y_scale, multiplier, shift));
        for (std::size_t i = 0; i < w_scale.size(); ++i)
            expect_encoded(i, static_cast<double>(x_scale) * static_cast<double>(w_scale[i]) / static_cast<double>(y_scale));
        c.ok(tflite::fully_connected_multipliers(x_scale, w_scale, y_scale, multiplier, shift));
        for (std::size_t i = 0; i < w_scale.size(); ++i) {
            const float product = x_scale * w_scale[i];
            expect_encoded(i, (scales == 1 ? static_cast<double>(product) : static_cast<double>(x_scale) * static_cast<double>(w_scale[i]))
                                  / static_cast<double>(y_scale));
        }
        c.ok(tflite::output_scales(x_scale, w_scale, y_scale, in_float));
        c.ok(tflite::quantize_bias(bias, x_scale, w_scale, codes));
        for (std::size_t i = 0; i < bias.size(); ++i) {
            const float w = w_scale[scales == 1 ? 0 : i], product = x_scale * w;
            const double steps = std::round(static_cast<double>(bias[i]) / static_cast<double>(product));
            c.expect(codes[i] == std::clamp(steps, -0x1p31, 0x1p31 - 1), "the bias");
            c.expect(in_float[scales == 1 ? 0 : i] == product / y_scale, "the scale");
        }
    });
}
