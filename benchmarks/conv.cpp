// The convolutions of MobileNetV2 at 224 x 224, one of each size, int8 in and out, a scale a channel, and what else kernels of images do.
#include <cmath>
#include <cstring>

#include "arrays.hpp"

#include <nibble/reference/tflite.hpp>

namespace bench {
namespace {

constexpr struct {
    std::ptrdiff_t size, in, out, kernel, stride;
    bool depthwise, quick;
} shapes[] = {{224, 3, 32, 3, 2, false, true}, {112, 32, 32, 3, 1, true, false}, {112, 32, 16, 1, 1, false, false},
    {112, 16, 96, 1, 1, false, false}, {112, 96, 96, 3, 2, true, false}, {56, 96, 24, 1, 1, false, true}, {56, 24, 144, 1, 1, false, false},
    {56, 144, 144, 3, 1, true, true}, {56, 144, 144, 3, 2, true, false}, {28, 32, 192, 1, 1, false, false},
    {28, 192, 192, 3, 1, true, false}, {14, 64, 384, 1, 1, false, false}, {14, 384, 384, 3, 1, true, false},
    {14, 384, 96, 1, 1, false, false}, {14, 576, 576, 3, 2, true, false}, {7, 160, 960, 1, 1, false, false},
    {7, 960, 960, 3, 1, true, false}, {7, 960, 320, 1, 1, false, false}, {7, 320, 1280, 1, 1, false, true}};

nibble::tflite::window window_of(const convolution& c)
{
    return nibble::tflite::same_padding({c.kernel, c.kernel, c.stride, c.stride}, c.size, c.size);
}

template <class X>
nibble::tflite::images_view<const X> input_of(const convolution& c, const std::vector<X>& x)
{
    return {x.data(), 1, c.size, c.size, c.in};
}
template <class X>
nibble::tflite::images_view<X> output_of(const convolution& c, std::vector<X>& y)
{
    return {y.data(), 1, c.out_size, c.out_size, c.out};
}
nibble::matrix_view<const std::int8_t> weights_of(const convolution& c)
{
    const std::ptrdiff_t taps = c.kernel * c.kernel;
    return c.depthwise ? nibble::matrix_view<const std::int8_t>(c.w.data(), taps, c.out)
                       : nibble::matrix_view<const std::int8_t>(c.w.data(), c.out, taps * c.in);
}

class nibble_convolution : public contender {
public:
    nibble_convolution(const convolution& c, nibble::backend where)
        : c_(c), where_(where), at_(window_of(c)), scales_(c.w_scales.size()), y_(static_cast<std::size_t>(c.out_size * c.out_size * c.out))
    {
        require(nibble::tflite::output_scales(c.x_scale, c.w_scales, c.y_scale, scales_));
        if (!c.depthwise) {
            auto made = nibble::tflite::packed_filter::make(weights_of(c), c.kernel, c.kernel, c.in);
            require(made.error());
            filter_ = std::move(*made);
            workspace_.resize(nibble::tflite::conv2d_workspace(filter_));
        }
    }
    void run(int) override
    {
        require(nibble::force_backend(where_));
        require(
            c_.depthwise
                ? nibble::tflite::depthwise_conv2d(input_of(c_, c_.x), c_.x_zero_point, weights_of(c_), at_, output(), output_of(c_, y_))
                : nibble::tflite::conv2d(input_of(c_, c_.x), c_.x_zero_point, filter_, at_, output(), output_of(c_, y_), workspace_));
    }
    const void* result() const override { return y_.data(); }

    std::vector<std::int8_t> by_definition() const
    {
        std::vector<std::int8_t> codes(y_.size());
        if (c_.depthwise)
            nibble::reference::depthwise_conv2d(input_of(c_, c_.x), c_.x_zero_point, weights_of(c_), at_, output(), output_of(c_, codes));
        else
            nibble::reference::conv2d(input_of(c_, c_.x), c_.x_zero_point, weights_of(c_), 1, at_, output(), output_of(c_, codes));
        return codes;
    }

private:
    nibble::requantization output() const
    {
        nibble::requantization r;
        r.scale = scales_;
        r.bias = c_.bias;
        r.zero_point = c_.y_zero_point;
        return r;
    }

    const convolution& c_;
    nibble::backend where_;
    nibble::tflite::window at_;
    std::vector<float> scales_;
    std::vector<std::int8_t> y_;
    nibble::tflite::packed_filter filter_;
    std::vector<std::byte> workspace_;
};

template <class Q>
std::vector<Q> codes(std::ptrdiff_t count, float greatest)
{
    std::vector<Q> q;
    for (const float v : data(count))
        q.push_back(static_cast<Q>(std::lround(greatest * v)));
    return q;
}

std::shared_ptr<convolution> make_convolution(
    std::ptrdiff_t size, std::ptrdiff_t in, std::ptrdiff_t out, std::ptrdiff_t kernel, std::ptrdiff_t stride, bool depthwise)
{
    const auto c = std::make_shared<convolution>();
    c->size = size;
    c->in = in;
    c->out = out;
    c->kernel = kernel;
    c->stride = stride;
    c->depthwise = depthwise;
    const nibble::tflite::window at = window_of(*c);
    c->out_size = output_height(at, size);
    c->pad_before = at.pad_top;
    c->pad_after = at.pad_bottom;
    const std::ptrdiff_t k = kernel * kernel * (depthwise ? 1 : in);
    c->x = codes<std::int8_t>(size * size * in, 127);
    c->w = codes<std::int8_t>(out * k, 127);
    for (std::ptrdiff_t o = 0; o < out; ++o) {
        c->bias.push_back(static_cast<std::int32_t>(o * 37 % 201) - 100);
        c->w_scales.push_back(1.0f / static_cast<float>(200 + o % 16));
    }
    c->x_scale = 1.0f / 32.0f;
    c->y_scale = c->x_scale * 0.3f * std::sqrt(static_cast<float>(k));
    c->x_zero_point = -5;
    c->y_zero_point = 3;
    return c;
}

double operations_of(const convolution& c)
{
    return 2.0 * double(c.out_size * c.out_size) * double(c.out) * double(c.kernel * c.kernel * (c.depthwise ? 1 : c.in));
}

std::string shape_of(const convolution& c)
{
    return "/size:" + std::to_string(c.size) + "/in:" + std::to_string(c.in) + "/out:" + std::to_string(c.out)
           + "/kernel:" + std::to_string(c.kernel) + "/stride:" + std::to_string(c.stride);
}

group images(const options& o, const std::vector<loaded_peer>& peers, const std::shared_ptr<convolution>& c)
{
    group g;
    g.title = std::string(c->depthwise ? "depthwise convolution" : "convolution") + shape_of(*c);
    const std::string name = std::string("conv/") + (c->depthwise ? "depthwise_conv2d/" : "conv2d/");
    const auto expected = std::make_shared<std::vector<std::int8_t>>();
    const auto add = [&](const std::string& who, auto make) {
        entry e;
        e.name = name + who + shape_of(*c) + "/threads:1";
        e.ops = operations_of(*c);
        e.work = std::make_shared<lazy_contender>();
        e.work->make = make;
        e.work->check = [=](contender& what) {
            if (expected->empty())
                *expected = nibble_convolution(*c, nibble::backend::scalar).by_definition();
            const std::int8_t* const y = static_cast<const std::int8_t*>(what.result());
            std::size_t wrong = 0;
            for (std::size_t i = 0; i < expected->size(); ++i)
                wrong += y[i] != (*expected)[i];
            return verdict {wrong == 0,
                wrong == 0 ? "exact" : "WRONG: " + std::to_string(wrong) + " of " + std::to_string(expected->size()) + " codes"};
        };
        g.entries.push_back(std::move(e));
    };
    std::vector<nibble::backend> backends = o.backends;
    if (!o.backends_given && o.set == extent::quick)
        backends.resize(1);
    for (const nibble::backend b : backends)
        add(nibble::to_string(b), [=] { return std::make_unique<nibble_convolution>(*c, b); });
    for (const loaded_peer& one : peers) {
        peer* const library = one.library.get();
        for (const auto& what : library->make(*c))
            add("peer:" + one.name + "/" + what->kernel, [=] { return std::move(library->make(*c).front()); });
    }
    return g;
}

// 16-bit activations and 8-bit weights.
group wide_images(const options& o)
{
    group g;
    g.title = "16x8 convolutions";
    for (const bool depthwise : {false, true}) {
        const auto c = depthwise ? make_convolution(56, 144, 144, 3, 1, true) : make_convolution(56, 96, 24, 1, 1, false);
        const std::string name = depthwise ? "conv/depthwise_conv2d_16x8" : "conv/conv2d_16x8";
        add_operation(g, o, name, shape_of(*c), 0, operations_of(*c), [=](nibble::backend b) {
            struct state {
                std::vector<std::int16_t> x, y;
                std::vector<std::int32_t> multiplier, shift;
                nibble::tflite::packed_filter filter;
                std::vector<std::byte> workspace;
            };
            const auto s = std::make_shared<state>();
            s->x = codes<std::int16_t>(c->size * c->size * c->in, 32767);
            s->y.resize(static_cast<std::size_t>(c->out_size * c->out_size * c->out));
            s->multiplier.assign(static_cast<std::size_t>(c->out), 1400000000);
            s->shift.assign(static_cast<std::size_t>(c->out), -9);
            if (!depthwise) {
                auto made = nibble::tflite::packed_filter::make(weights_of(*c), c->kernel, c->kernel, c->in);
                require(made.error());
                s->filter = std::move(*made);
                s->workspace.resize(nibble::tflite::conv2d_workspace<std::int16_t>(s->filter));
            }
            const auto run = [c, s, depthwise] {
                nibble::tflite::requantization_16x8 r;
                r.multiplier = s->multiplier;
                r.shift = s->shift;
                require(depthwise
                            ? nibble::tflite::depthwise_conv2d(input_of(*c, s->x), weights_of(*c), window_of(*c), r, output_of(*c, s->y))
                            : nibble::tflite::conv2d(input_of(*c, s->x), s->filter, window_of(*c), r, output_of(*c, s->y), s->workspace));
            };
            return std::make_unique<operation>(b, run, s->y.data(), 2 * s->y.size());
        });
    }
    return g;
}

// Two images of one shape, 56 x 56 x 24.
template <class X>
void elementwise(group& g, const options& o, const std::string& suffix)
{
    constexpr std::ptrdiff_t size = 56, channels = 24, count = size * size * channels;
    for (const bool sum : {true, false})
        add_operation(g, o, std::string(sum ? "conv/add" : "conv/multiply") + suffix, "/size:56/in:24",
            double(count * 2 * std::ptrdiff_t(sizeof(X))), 0, [=](nibble::backend b) {
                const auto memory = std::make_shared<arena>();
                const nibble::span<X> x = memory->template take<X>(count), y = memory->template take<X>(count),
                                      z = memory->template take<X>(count);
                const std::vector<X> numbers = codes<X>(2 * count, sizeof(X) == 1 ? 127.0f : 32767.0f);
                std::copy(numbers.begin(), numbers.begin() + count, x.begin());
                std::copy(numbers.begin() + count, numbers.end(), y.begin());
                const auto run = [=] {
                    const auto view = [](auto of) {
                        return nibble::tflite::images_view<std::remove_reference_t<decltype(*of.data())>>(
                            of.data(), 1, size, size, channels);
                    };
                    (void)memory;
                    const nibble::span<const X> left = x, right = y;
                    const std::int32_t multiplier = 1400000000, shift = -9;
                    nibble::requantization r;
                    r.mode = nibble::requantize_mode::double_rounding;
                    r.multiplier = nibble::span<const std::int32_t>(&multiplier, 1);
                    r.shift = nibble::span<const std::int32_t>(&shift, 1);
                    const auto m = nibble::tflite::add_params<X>(0.01f, 0.02f, 0.03f);
                    require(m.error());
                    if constexpr (sizeof(X) == 1)
                        require(sum ? nibble::tflite::add(view(left), 3, view(right), -4, *m, r, view(z))
                                    : nibble::tflite::multiply(view(left), 3, view(right), -4, r, view(z)));
                    else
                        require(sum ? nibble::tflite::add(view(left), view(right), *m, r, view(z))
                                    : nibble::tflite::multiply(view(left), view(right), r, view(z)));
                };
                return std::make_unique<operation>(b, run, z.data(), z.size() * sizeof(X));
            });
}

} // namespace

std::vector<group> conv(const options& o, const std::vector<loaded_peer>& peers)
{
    std::vector<group> all;
    for (const auto& s : shapes)
        if (s.quick || o.set != extent::quick)
            all.push_back(images(o, peers, make_convolution(s.size, s.in, s.out, s.kernel, s.stride, s.depthwise)));
    all.push_back(wide_images(o));
    group g;
    g.title = "sums and products of images";
    elementwise<std::int8_t>(g, o, "");
    elementwise<std::int16_t>(g, o, "_16x8");
    all.push_back(std::move(g));
    return all;
}

} // namespace bench
