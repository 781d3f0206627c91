// From training to the integer kernels: packs trained weights, n x k, with their trained scales. The codes are those that fake_quantize
// rounds to, so the integer products compute what training simulated. With x^ and w^ fake-quantized they equal
//   sum over k of (x^ / s_x) (w^ / s_w), exact, then the epilogue       bit for bit
//   sum over k of x^ w^ in floats of unit roundoff u = 2^-24            within (k + groups + 8) u (sum of |x^| |w^| + |bias|)
// In the second case codes of the next layer's activations differ only where that bound reaches a tie. reference::fake_quantized_linear
// computes the first.
#pragma once

#include "../gemm/packed_weights.hpp"
#include "../quantize/fake_quantize.hpp"

NIBBLE_BEGIN

/// W: int8, int4x2 or uint4x2, wide enough for the codes. f.params: per tensor, channel or group.
template <class W>
inline result<packed_weights> convert(matrix_view<const float> w, const fake_quantization& f, packing_options options = {}) noexcept
{
    if (const status s = check(w); s != status::ok)
        return s;
    const std::ptrdiff_t elements = elements_for<W>(w.cols);
    aligned_buffer buffer;
    if (const status s = buffer.allocate(checked_size(w.rows) * elements); s != status::ok)
        return s;
    const matrix_view<W> codes(reinterpret_cast<W*>(buffer.bytes().data()), w.rows, elements);
    if (const status s = fake_quantized_codes(w, f, codes); s != status::ok)
        return s;
    return packed_weights::make(matrix_view<const W>(codes), w.cols, f.params, options);
}

NIBBLE_END
