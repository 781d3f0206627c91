#include "convolutions.hpp"

#include <cmath>

#include <nibble/reference/tflite.hpp>

#include "support.hpp"

namespace bench {
namespace {

constexpr struct {
    std::ptrdiff_t size, in, out, kernel, stride;
    bool depthwise;
} shapes[] = {{224, 3, 32, 3, 2, false}, {112, 32, 32, 3, 1, true}, {112, 32, 16, 1, 1, false}, {112, 16, 96, 1, 1, false},
    {112, 96, 96, 3, 2, true}, {56, 96, 24, 1, 1, false}, {56, 24, 144, 1, 1, false}, {56, 144, 144, 3, 1, true},
    {56, 144, 144, 3, 2, true}, {28, 32, 192, 1, 1, false}, {28, 192, 192, 3, 1, true}, {14, 64, 384, 1, 1, false},
    {14, 384, 384, 3, 1, true}, {14, 384, 96, 1, 1, false}, {14, 576, 576, 3, 2, true}, {7, 160, 960, 1, 1, false},
    {7, 960, 960, 3, 1, true}, {7, 960, 320, 1, 1, false}, {7, 320, 1280, 1, 1, false}};

nibble::tflite::window window_of(const convolution& c)
{
    return nibble::tflite::same_padding({c.kernel, c.kernel, c.stride, c.stride}, c.size, c.size);
}

class nibble_convolution : public contender {
public:
    nibble_convolution(const convolution& c, nibble::backend where)
        : c_(c), where_(where), at_(window_of(c)), scales_(c.w_scales.size()), y_(static_cast<std::size_t>(c.out_size * c.out_size * c.out))
    {
        kernel = c.depthwise ? "depthwise_conv2d" : "conv2d";
        require(nibble::tflite::output_scales(c.x_scale, c.w_scales, c.y_scale, scales_));
        if (!c.depthwise) {
            auto made = nibble::tflite::packed_filter::make(weights(), c.kernel, c.kernel, c.in);
            require(made.error());
            filter_ = std::move(*made);
            workspace_.resize(nibble::tflite::conv2d_workspace(filter_));
        }
    }
    void run(int) override
    {
        require(nibble::force_backend(where_));
        const nibble::tflite::images_view<std::int8_t> y(y_.data(), 1, c_.out_size, c_.out_size, c_.out);
        require(c_.depthwise ? nibble::tflite::depthwise_conv2d(x(), c_.x_zero_point, weights(), at_, output(), y)
                             : nibble::tflite::conv2d(x(), c_.x_zero_point, filter_, at_, output(), y, workspace_));
    }
    const void* result() const override { return y_.data(); }

    std::vector<std::int8_t> by_definition() const
    {
        std::vector<std::int8_t> codes(y_.size());
        const nibble::tflite::images_view<std::int8_t> y(codes.data(), 1, c_.out_size, c_.out_size, c_.out);
        if (c_.depthwise)
            nibble::reference::depthwise_conv2d(x(), c_.x_zero_point, weights(), at_, output(), y);
        else
            nibble::reference::conv2d(x(), c_.x_zero_point, weights(), 1, at_, output(), y);
        return codes;
    }

private:
    nibble::tflite::images_view<const std::int8_t> x() const { return {c_.x.data(), 1, c_.size, c_.size, c_.in}; }
    nibble::matrix_view<const std::int8_t> weights() const
    {
        const std::ptrdiff_t taps = c_.kernel * c_.kernel;
        return c_.depthwise ? nibble::matrix_view<const std::int8_t>(c_.w.data(), taps, c_.out)
                            : nibble::matrix_view<const std::int8_t>(c_.w.data(), c_.out, taps * c_.in);
    }
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

} // namespace

std::vector<convolution_row> measure_convolutions(const std::vector<nibble::backend>& backends, const std::vector<peer*>& peers, int rounds,
    const std::function<bool(const std::string&)>& wanted)
{
    std::vector<convolution_row> all;
    for (const auto& s : shapes) {
        convolution c;
        c.size = s.size;
        c.in = s.in;
        c.out = s.out;
        c.kernel = s.kernel;
        c.stride = s.stride;
        c.depthwise = s.depthwise;
        const nibble::tflite::window at = window_of(c);
        c.out_size = output_height(at, c.size);
        c.pad_before = at.pad_top;
        c.pad_after = at.pad_bottom;
        const std::ptrdiff_t k = c.kernel * c.kernel * (c.depthwise ? 1 : c.in);
        const auto codes = [](std::ptrdiff_t count) {
            std::vector<std::int8_t> q;
            for (const float v : data(count))
                q.push_back(static_cast<std::int8_t>(std::lround(127 * v)));
            return q;
        };
        c.x = codes(c.size * c.size * c.in);
        c.w = codes(c.out * k);
        for (std::ptrdiff_t o = 0; o < c.out; ++o) {
            c.bias.push_back(static_cast<std::int32_t>(o * 37 % 201) - 100);
            c.w_scales.push_back(1.0f / static_cast<float>(200 + o % 16));
        }
        c.x_scale = 1.0f / 32.0f;
        c.y_scale = c.x_scale * 0.3f * std::sqrt(static_cast<float>(k));
        c.x_zero_point = -5;
        c.y_zero_point = 3;

        char name[60];
        std::snprintf(name, sizeof name, "%s %td x %td / %td, %td x %td x %td -> %td", c.depthwise ? "depthwise" : "convolution", c.kernel,
            c.kernel, c.stride, c.size, c.size, c.in, c.out);
        struct entry {
            std::unique_ptr<contender> what;
            convolution_row result;
            int repeats;
            std::vector<double> times;
        };
        std::vector<entry> entries;
        const auto add = [&](std::unique_ptr<contender> what, const std::string& whose, const std::string& backend) {
            convolution_row r;
            r.shape = name;
            r.peer = whose;
            r.kernel = what->kernel;
            r.backend = backend;
            if (wanted(whose + " " + r.kernel + " " + backend + " " + r.shape))
                entries.push_back({std::move(what), r, 1, {}});
        };
        for (const nibble::backend b : backends)
            if (b != nibble::backend::scalar)
                add(std::make_unique<nibble_convolution>(c, b), "nibble", nibble::to_string(b));
        for (peer* const other : peers)
            for (auto& what : other->make(c))
                add(std::move(what), other->name(), "");
        if (entries.empty())
            continue;
        const std::vector<std::int8_t> expected = nibble_convolution(c, nibble::backend::scalar).by_definition();
        for (entry& e : entries) {
            constexpr double interval = 1e-3;
            e.what->run(1);
            e.result.right = std::memcmp(e.what->result(), expected.data(), expected.size()) == 0;
            const double once = seconds([&] { e.what->run(1); });
            e.repeats = static_cast<int>(std::clamp(std::ceil(interval / once), 1.0, 1000.0));
        }
        for (int round = 0; round < rounds; ++round)
            for (entry& e : entries) {
                e.what->run(1); // others have had the caches
                e.times.push_back(seconds([&] {
                    for (int i = 0; i < e.repeats; ++i)
                        e.what->run(1);
                }) / e.repeats);
            }
        const double operations = 2.0 * double(c.out_size * c.out_size) * double(c.out) * double(k);
        for (entry& e : entries) {
            e.result.median = median(e.times);
            e.result.gops = 1e-9 * operations / e.result.median;
            all.push_back(e.result);
        }
    }
    return all;
}

} // namespace bench
