// A model of the Llama architecture: RMSNorm, rotary positions, attention (heads may share keys), SwiGLU; all matrix products by nibble.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nibble/nibble.hpp>

/// int4 rounds to the nearest code, int4_gptq chooses the codes by GPTQ; both have a scale for every 32 weights.
enum class format { fp32, fp16, int8, int4, int4_gptq };
inline constexpr std::array<format, 5> all_formats = {format::fp32, format::fp16, format::int8, format::int4, format::int4_gptq};
const char* name_of(format f);

/// One matrix in one format.
struct linear {
    std::string name;
    nibble::packed_weights weights;
    std::vector<float> input_scales; ///< what each input is multiplied by first; empty: 1
    double sqnr = 0;                 ///< of the weights against the file's, in dB; infinite if they are equal
};

struct product_scratch {
    std::vector<float> scaled;
    std::vector<std::byte> workspace;
};

/// y = epilogue(x w^T), x: m x k, y: m x n; the integer kernels quantize x row by row.
nibble::status multiply(
    const linear& w, nibble::matrix_view<const float> x, const nibble::epilogue& e, nibble::matrix_view<float> y, product_scratch& scratch);

/// What the inputs of a matrix looked like.
struct layer_inputs {
    nibble::hessian products;
    std::vector<double> absolute; ///< sums of |x[:, c]|

    static nibble::result<layer_inputs> make(std::ptrdiff_t k);
    nibble::status add(nibble::matrix_view<const float> x);
    std::vector<float> magnitude() const; ///< means of |x[:, c]|
};

/// By the matrix's name.
using calibration = std::map<std::string, layer_inputs>;

/// Packs a matrix into `to` and says in `back` what its codes stand for.
using quantizer = std::function<nibble::status(nibble::matrix_view<const float> w, linear& to, std::vector<float>& back)>;

/// The quantizer of a format. int4_gptq needs the calibration, which must outlive it.
quantizer quantizer_for(format f, const calibration* data = nullptr);

/// Codes and scales to packed weights and to the floats they stand for.
template <class Q>
nibble::status keep(
    const nibble::quantized_matrix<Q>& q, std::ptrdiff_t k, const nibble::weight_format& f, linear& to, std::vector<float>& back)
{
    const nibble::quant_params_view params = nibble::params_of(f, q);
    const nibble::matrix_view<const Q> codes = q.codes;
    back.resize(static_cast<std::size_t>(codes.rows * k));
    if (const nibble::status s = nibble::dequantize(codes, params, nibble::matrix_view<float>(back.data(), codes.rows, k));
        s != nibble::status::ok)
        return s;
    auto packed = nibble::packed_weights::make(codes, k, params, {f.half_scales});
    if (packed)
        to.weights = std::move(*packed);
    return packed.error();
}

struct layer {
    std::vector<float> attention_norm, feed_forward_norm;
    linear q, k, v, output, gate, up, down;
    std::vector<float> keys, values; ///< of the positions so far
};

class model {
public:
    /// Loads a GGUF file, whose bytes are only read here. Float matrices are quantized, ggml's blocks kept; sqnr is against the matrices of
    /// `original`, another file of the same model, or of the file itself. file_type_mismatch: it has what this class does not know.
    static nibble::result<model> load(
        nibble::span<const std::byte> file, const quantizer& quantize, nibble::span<const std::byte> original = {});

    /// Runs texts of at most context() tokens and gathers the inputs of every matrix; done(i) is called after each.
    nibble::result<calibration> calibrate(
        const std::vector<std::vector<std::int32_t>>& texts, const std::function<void(std::size_t)>& done = {});

    /// The logits [tokens.size()][vocabulary] of every position of a text of at most context() tokens.
    nibble::status logits(const std::vector<std::int32_t>& tokens, std::vector<float>& out)
    {
        position_ = 0;
        return extend(tokens, out);
    }
    /// The same for tokens that follow those of all calls since logits().
    nibble::status extend(const std::vector<std::int32_t>& tokens, std::vector<float>& out);

    std::size_t context() const { return context_; }
    std::size_t vocabulary() const { return vocabulary_; }
    std::size_t bytes() const { return bytes_; }
    std::vector<const linear*> matrices() const;

private:
    nibble::status product(const linear& w, const std::vector<float>& x, std::size_t rows, std::vector<float>& y,
        nibble::activation_function f = nibble::activation_function::none);
    nibble::status attend(std::size_t rows, layer& l);

    std::size_t context_ = 0, vocabulary_ = 0, width_ = 0, heads_ = 0, kv_heads_ = 0, hidden_ = 0, bytes_ = 0, position_ = 0;
    float epsilon_ = 0, rope_base_ = 0;
    std::vector<float> embedding_, final_norm_, cosines_, sines_;
    std::vector<layer> layers_;
    linear head_;

    std::vector<float> x_, normed_, q_, k_, v_, mixed_, gate_, up_;
    product_scratch scratch_;
    calibration* observed_ = nullptr;
};
