// Fake quantization against PyTorch's own (libtorch; Debian: libtorch-dev): values and the gradients of values bit for bit, those of
// learned scales and zero points within the rounding of PyTorch's sums.
#include <cmath>
#include <cstdio>
#include <vector>

#include <torch/torch.h>

#include <nibble/nibble.hpp>

namespace {

int failures = 0;

void expect(bool right, const char* what, int bits, bool per_channel)
{
    if (right)
        return;
    std::printf("DIFFERENT %s, %d bits, per %s\n", what, bits, per_channel ? "channel" : "tensor");
    ++failures;
}

bool same_bits(const std::vector<float>& ours, const torch::Tensor& theirs)
{
    const torch::Tensor flat = theirs.contiguous();
    bool same = static_cast<std::size_t>(flat.numel()) == ours.size();
    for (std::size_t i = 0; same && i < ours.size(); ++i) // a sum with 0: PyTorch multiplies by masks, which leaves zeros of both signs
        same = nibble::float_bits(ours[i] + 0.0f) == nibble::float_bits(flat.data_ptr<float>()[i] + 0.0f);
    return same;
}

bool close(const std::vector<float>& ours, const torch::Tensor& theirs, float tolerance)
{
    const torch::Tensor flat = theirs.contiguous();
    bool same = static_cast<std::size_t>(flat.numel()) == ours.size();
    for (std::size_t i = 0; same && i < ours.size(); ++i)
        same = std::fabs(ours[i] - flat.data_ptr<float>()[i]) <= tolerance;
    return same;
}

void compare(int bits, bool is_signed, bool per_channel, bool zero_points)
{
    const std::ptrdiff_t rows = 7, cols = 333, count = per_channel ? rows : 1;
    const nibble::code_limits codes = nibble::codes_of_bits(bits, is_signed);
    const torch::Tensor x = (torch::randn({rows, cols}) * 3).requires_grad_(true), dy = torch::randn({rows, cols});
    const torch::Tensor scale = ((torch::rand({count}) + 0.2f) * (6.0f / static_cast<float>(codes.qmax - codes.qmin))).requires_grad_(true);
    // Not below 0: one learned zero point of a tensor is rounded by PyTorch as trunc(zero_point + 0.5), which makes -3 a -2.
    const torch::Tensor zero = zero_points ? torch::randint(0, codes.qmax + 1, {count}) : torch::zeros({count});
    const torch::Tensor zero_point = zero.to(torch::kFloat32).requires_grad_(true);

    const std::vector<float> scales(scale.data_ptr<float>(), scale.data_ptr<float>() + count);
    std::vector<std::int32_t> zeros;
    for (std::ptrdiff_t i = 0; i < count; ++i)
        zeros.push_back(static_cast<std::int32_t>(zero_point.data_ptr<float>()[i]));
    const nibble::granularity kind = per_channel ? nibble::granularity::per_channel : nibble::granularity::per_tensor;
    const nibble::fake_quantization f {{kind, 0, scales, zeros}, codes, {}};
    std::vector<float> y(static_cast<std::size_t>(rows * cols)), dx(y.size()), d_scale(scales.size()), d_zero(scales.size());
    std::vector<float> scratch(nibble::fake_quantize_scratch(kind, rows, cols));
    const nibble::matrix_view<const float> from(x.data_ptr<float>(), rows, cols), dy_view(dy.data_ptr<float>(), rows, cols);
    const nibble::gradient_rule how {nibble::clip_test::code, nibble::scale_gradient::lsq, 0.25f};
    if (nibble::fake_quantize(from, f, {y.data(), rows, cols}) != nibble::status::ok
        || nibble::fake_quantize_backward(from, dy_view, f, {{dx.data(), rows, cols}, d_scale, d_zero}, scratch, how)
               != nibble::status::ok) {
        std::printf("refused\n");
        std::exit(1);
    }

    const torch::Tensor integers = zero_point.detach().to(torch::kInt32);
    torch::Tensor theirs
        = per_channel ? torch::fake_quantize_per_channel_affine(x, scale.detach(), integers, 0, codes.qmin, codes.qmax)
                      : torch::fake_quantize_per_tensor_affine(x, static_cast<double>(scales[0]), zeros[0], codes.qmin, codes.qmax);
    expect(same_bits(y, theirs.detach()), "values", bits, per_channel);
    theirs.backward(dy);
    expect(same_bits(dx, x.grad()), "gradients of values", bits, per_channel);

    x.mutable_grad() = torch::Tensor();
    theirs = per_channel ? torch::_fake_quantize_learnable_per_channel_affine(x, scale, zero_point, 0, codes.qmin, codes.qmax, 0.25)
                         : torch::_fake_quantize_learnable_per_tensor_affine(x, scale, zero_point, codes.qmin, codes.qmax, 0.25);
    theirs.backward(dy);
    // Sums of up to rows * cols terms, none above the greatest distance of a code from the zero point.
    const float size = static_cast<float>(rows * cols) * static_cast<float>(codes.qmax - codes.qmin);
    expect(close(dx, x.grad(), 0.0f), "learned: gradients of values", bits, per_channel);
    expect(close(d_scale, scale.grad(), 2e-7f * size), "gradients of scales", bits, per_channel);
    expect(close(d_zero, zero_point.grad(), 2e-7f * size), "gradients of zero points", bits, per_channel);
}

} // namespace

int main()
{
    torch::manual_seed(1);
    int cases = 0;
    for (int bits = 2; bits <= 8; ++bits)
        for (const bool is_signed : {false, true})
            for (const bool per_channel : {false, true})
                for (const bool zero_points : {false, true}) {
                    compare(bits, is_signed, per_channel, zero_points);
                    ++cases;
                }
    std::printf("%d differences from PyTorch in %d cases on %s\n", failures, cases, nibble::to_string(nibble::active_backend()));
    return failures == 0 ? 0 : 1;
}
