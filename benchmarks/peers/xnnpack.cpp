// XNNPACK's int8 convolutions with a scale a channel.
#include "../contender.hpp"

#include <xnnpack.h>

namespace {

class product : public bench::contender {
public:
    explicit product(const bench::convolution& c)
        : padded_x_(c.x.begin(), c.x.end()), y_(static_cast<std::size_t>(c.out_size * c.out_size * c.out))
    {
        kernel = "qc8";
        padded_x_.resize(padded_x_.size() + XNN_EXTRA_BYTES); // it reads beyond the end
        const auto u = [](std::ptrdiff_t v) { return static_cast<std::uint32_t>(v); };
        const auto n = [](std::ptrdiff_t v) { return static_cast<std::size_t>(v); };
        const std::uint32_t before = u(c.pad_before), after = u(c.pad_after), kernel_size = u(c.kernel), stride = u(c.stride);
        ready_ = xnn_create_convolution2d_nhwc_qc8(before, after, after, before, kernel_size, kernel_size, stride, stride, 1, 1,
                     c.depthwise ? u(c.in) : 1, c.depthwise ? 1 : n(c.in), c.depthwise ? 1 : n(c.out), n(c.in), n(c.out),
                     static_cast<std::int8_t>(c.x_zero_point), c.x_scale, c.w_scales.data(), c.w.data(), c.bias.data(),
                     static_cast<std::int8_t>(c.y_zero_point), c.y_scale, -128, 127, c.depthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0,
                     &operator_)
                     == xnn_status_success
                 && xnn_setup_convolution2d_nhwc_qc8(operator_, 1, n(c.size), n(c.size), padded_x_.data(), y_.data(), nullptr)
                        == xnn_status_success;
    }
    ~product() override { xnn_delete_operator(operator_); }
    product(const product&) = delete;
    product& operator=(const product&) = delete;

    bool ready() const { return ready_; }
    void run(int) override { xnn_run_operator(operator_, nullptr); }
    const void* result() const override { return y_.data(); }

private:
    std::vector<std::int8_t> padded_x_, y_;
    xnn_operator_t operator_ = nullptr;
    bool ready_ = false;
};

class xnnpack : public bench::peer {
public:
    std::string version() const override { return "Debian's"; }
    bool capped() const override { return false; }
    bench::contenders make(const bench::convolution& c) override
    {
        bench::contenders all;
        if (auto one = std::make_unique<product>(c); one->ready())
            all.push_back(std::move(one));
        return all;
    }
};

} // namespace

NIBBLE_BENCH_PEER(const std::string&, const std::string&, int, std::string& reason)
{
    if (xnn_initialize(nullptr) != xnn_status_success) {
        reason = "XNNPACK does not know this CPU";
        return nullptr;
    }
    return new xnnpack;
}
