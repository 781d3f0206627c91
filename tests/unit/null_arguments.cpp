// Every public function that takes spans or views, called once for each of them with that one null although its size is above zero: the
// answer is null_pointer, and nothing is written. A new function gets a line in calls().
#define NIBBLE_C_API [[maybe_unused]] static
#define NIBBLE_C_IMPLEMENTATION
#include <nibble/nibble.h>

#include "../support.hpp"

#include <nibble/blocks/dequantize_codebook.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <string>

using namespace nibble;

namespace {

// Makes a call's arguments. The one whose turn it is has its size, but no memory.
class arguments {
public:
    explicit arguments(int turn) : turn_(turn) {}

    // Inputs hold `value`, outputs a pattern that must survive a refused call.
    template <class T>
    span<const T> in(std::size_t count, T value = T {})
    {
        return {next() ? nullptr : memory<T>(count, &value), count};
    }
    template <class T>
    span<T> out(std::size_t count)
    {
        return {next() ? nullptr : memory<T>(count, nullptr), count};
    }
    template <class T>
    matrix_view<const T> in_matrix(std::ptrdiff_t rows, std::ptrdiff_t cols, T value = T {})
    {
        return {in<T>(std::size_t(rows * cols), value).data(), rows, cols};
    }
    template <class T>
    matrix_view<T> out_matrix(std::ptrdiff_t rows, std::ptrdiff_t cols)
    {
        return {out<T>(std::size_t(rows * cols)).data(), rows, cols};
    }
    template <class T>
    tflite::images_view<const T> in_images(std::ptrdiff_t n, std::ptrdiff_t h, std::ptrdiff_t w, std::ptrdiff_t c)
    {
        return {in<T>(std::size_t(n * h * w * c)).data(), n, h, w, c};
    }
    template <class T>
    tflite::images_view<T> out_images(std::ptrdiff_t n, std::ptrdiff_t h, std::ptrdiff_t w, std::ptrdiff_t c)
    {
        return {out<T>(std::size_t(n * h * w * c)).data(), n, h, w, c};
    }
    // Given contents, as an input.
    template <class T>
    span<const T> of(std::vector<T> values)
    {
        auto kept = std::make_shared<std::vector<T>>(std::move(values));
        kept_.push_back(kept);
        return {next() ? nullptr : kept->data(), kept->size()};
    }

    int count() const { return count_; }
    bool untouched() const
    {
        for (const auto& bytes : outputs_)
            for (const unsigned char byte : bytes)
                if (byte != 0x33)
                    return false;
        return true;
    }

private:
    bool next() { return count_++ == turn_; }
    // Of 64-byte alignment.
    template <class T>
    T* memory(std::size_t count, const T* value)
    {
        auto& kept = value == nullptr ? outputs_ : inputs_;
        kept.emplace_back(count * sizeof(T) + 64, static_cast<unsigned char>(0x33));
        unsigned char* at = kept.back().data();
        at += (64 - reinterpret_cast<std::uintptr_t>(at) % 64) % 64;
        for (std::size_t i = 0; i < count && value != nullptr; ++i)
            std::memcpy(at + i * sizeof(T), static_cast<const void*>(value), sizeof(T));
        return reinterpret_cast<T*>(at);
    }

    int turn_, count_ = 0;
    std::deque<std::vector<unsigned char>> inputs_, outputs_;
    std::vector<std::shared_ptr<const void>> kept_;
};

struct call {
    const char* name;
    std::function<status(arguments&)> run;
};

hessian seen(std::ptrdiff_t k)
{
    auto h = hessian::make(k);
    std::vector<float> x(std::size_t(k * k));
    for (std::ptrdiff_t i = 0; i < k; ++i)
        x[std::size_t(i * k + i)] = 1.0f;
    REQUIRE(h->add(matrix_view<const float>(x.data(), k, k)) == status::ok);
    return std::move(*h);
}

packed_weights int8_weights()
{
    static const std::vector<std::int8_t> codes(4 * 8, 1);
    static const float scale[] = {1.0f};
    auto w = packed_weights::make(matrix_view<const std::int8_t>(codes.data(), 4, 8), 8, {granularity::per_tensor, 0, scale});
    REQUIRE(w);
    return std::move(*w);
}

template <class T>
tflite::packed_filter filter()
{
    const std::vector<std::int8_t> codes(16, 1);
    auto f = tflite::packed_filter::make(matrix_view<const std::int8_t>(codes.data(), 4, 4), 1, 1, 4);
    REQUIRE(f);
    return std::move(*f);
}

template <class Q>
quantized_matrix<Q> out_quantized(arguments& a)
{
    quantized_matrix<Q> q;
    q.codes = a.out_matrix<Q>(2, elements_for<Q>(4));
    q.scales = a.out<float>(2);
    q.zero_points = a.out<std::int32_t>(2);
    return q;
}

requantization one_scale(arguments& a, std::size_t columns = 1)
{
    requantization r;
    r.scale = a.in<float>(columns, 0.5f);
    r.multiplier = a.in<std::int32_t>(columns, 1 << 30);
    r.shift = a.in<std::int32_t>(columns);
    return r;
}
requantization float_mode(arguments& a, std::size_t columns)
{
    requantization r = one_scale(a, columns);
    r.bias = a.in<std::int32_t>(columns);
    return r;
}
tflite::requantization_16x8 wide_mode(arguments& a, std::size_t columns)
{
    tflite::requantization_16x8 r;
    r.multiplier = a.in<std::int32_t>(columns, 1 << 30);
    r.shift = a.in<std::int32_t>(columns);
    r.bias = a.in<std::int64_t>(columns);
    return r;
}

struct dlpack_tensor {
    void* data;
    struct {
        int device_type, device_id;
    } device;
    int ndim;
    struct {
        std::uint8_t code, bits;
        std::uint16_t lanes;
    } dtype;
    std::int64_t *shape, *strides;
    std::uint64_t byte_offset;
};
struct own_mdspan {
    using element_type = float;
    static constexpr std::size_t rank() { return 2; }
    float* data;
    int extent(std::size_t) const { return 2; }
    int stride(std::size_t i) const { return i == 0 ? 2 : 1; }
    float* data_handle() const { return data; }
};

status of_c(nibble_status s) { return static_cast<status>(s); }

void add_blocks(std::vector<call>& calls)
{
    const auto blocks = [](ggml_type type, std::ptrdiff_t rows) { return std::size_t(*bytes_for(rows, 256, type)); };
    calls.push_back({"quantize_blocks", [=](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 256, 1.0f);
                         const auto out = a.out<std::byte>(blocks(ggml_type::q4_K, 2));
                         return quantize_blocks(ggml_type::q4_K, x, out, a.in<float>(256, 1.0f));
                     }});
    calls.push_back({"dequantize_blocks", [=](arguments& a) {
                         const auto from = a.in<std::byte>(blocks(ggml_type::q4_K, 2));
                         return dequantize_blocks(ggml_type::q4_K, from, a.out_matrix<float>(2, 256));
                     }});
    calls.push_back({"dequantize_codebook_blocks", [=](arguments& a) {
                         const auto from = a.in<std::byte>(blocks(ggml_type::iq2_xs, 2));
                         return dequantize_codebook_blocks(ggml_type::iq2_xs, from, a.out_matrix<float>(2, 256));
                     }});
    calls.push_back(
        {"check_blocks", [=](arguments& a) { return check_blocks(ggml_type::q4_K, a.in<std::byte>(blocks(ggml_type::q4_K, 2))); }});
    calls.push_back({"bytes_within",
        [=](arguments& a) { return bytes_within(a.in<std::byte>(blocks(ggml_type::q4_K, 2)), 2, 256, ggml_type::q4_K).error(); }});
    calls.push_back({"pack_blocks", [=](arguments& a) {
                         const auto from = a.in<std::byte>(blocks(ggml_type::q4_K, 2));
                         return pack_blocks(ggml_type::q4_K, from, 2, 256, a.out<std::byte>(*packed_size(ggml_type::q4_K, 2, 256)));
                     }});
    calls.push_back({"make_packed_blocks",
        [=](arguments& a) { return make_packed_blocks(ggml_type::q4_K, a.in<std::byte>(blocks(ggml_type::q4_K, 2)), 2, 256).error(); }});
    calls.push_back({"gemm_blocks", [=](arguments& a) {
                         const auto x = a.in_matrix<float>(1, 256, 1.0f);
                         const auto from = a.in<std::byte>(blocks(ggml_type::q4_K, 2));
                         epilogue e;
                         e.scale = a.in<float>(2, 1.0f);
                         e.bias = a.in<float>(2, 1.0f);
                         const auto c = a.out_matrix<float>(1, 2);
                         return gemm_blocks(
                             x, ggml_type::q4_K, from, e, c, a.out<std::byte>(*gemm_blocks_workspace(ggml_type::q4_K, 1, 2, 256)));
                     }});
}

void add_calibrate(std::vector<call>& calls)
{
    calls.push_back({"observe_rows", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 3, 1.0f);
                         return observe_rows(x, a.out<min_max_observer>(2));
                     }});
    calls.push_back({"observe_columns", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 3, 1.0f);
                         return observe_columns(x, a.out<column_statistics>(3));
                     }});
    calls.push_back({"merge", [](arguments& a) {
                         const auto to = a.out<min_max_observer>(2);
                         return merge(to, a.in<min_max_observer>(2));
                     }});
    calls.push_back({"save", [](arguments& a) {
                         const auto observers = a.in<min_max_observer>(2);
                         const auto label = a.in<char>(3, 'x');
                         return save(observers, label, a.out<std::byte>(saved_size(observers, label)));
                     }});
    std::vector<std::byte> saved(saved_size(span<const min_max_observer>(nullptr, 2), {}));
    const min_max_observer two[2];
    REQUIRE(save(span<const min_max_observer>(two), {}, saved) == status::ok);
    calls.push_back({"open_observers", [=](arguments& a) { return open_observers<min_max_observer>(a.of(saved)).error(); }});
    calls.push_back({"load", [=](arguments& a) {
                         const auto from = a.of(saved);
                         return load(from, a.out<min_max_observer>(2));
                     }});
    calls.push_back({"find_drift", [](arguments& a) {
                         layer_observers layer;
                         layer.channels = a.in<min_max_observer>(2);
                         const auto calibration = a.in<layer_observers>(1, layer);
                         layer.channels = a.in<min_max_observer>(2);
                         const auto deployment = a.in<layer_observers>(1, layer);
                         return find_drift(calibration, deployment, a.out<drift_finding>(1)).error();
                     }});
    calls.push_back({"range_observer", [](arguments& a) { return range_observer().observe(a.in_matrix<float>(2, 2, 1.0f)); }});
}

void add_evaluate(std::vector<call>& calls)
{
    calls.push_back({"compare", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 3, 1.0f), y = a.in_matrix<float>(2, 3, 1.0f);
                         return compare(x, y, a.out<error_statistics>(2)).error();
                     }});
    calls.push_back({"output_error", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f), y = a.in_matrix<float>(2, 4, 1.0f);
                         return output_error(x, y, seen(4), a.out<double>(2)).error();
                     }});
    calls.push_back({"check_gates", [](arguments& a) { return check_gates(a.in<gate>(1, at_most("x", 0, 1))).outcome; }});
    calls.push_back({"prediction_statistics::add", [](arguments& a) {
                         const auto reference = a.in<float>(3, 1.0f);
                         return prediction_statistics().add(reference, a.in<float>(3, 1.0f));
                     }});
    calls.push_back(
        {"prediction_statistics::add_target", [](arguments& a) { return prediction_statistics().add_target(a.in<float>(3, 1.0f), 1); }});
}

void add_gemm(std::vector<call>& calls)
{
    calls.push_back({"gemm", [](arguments& a) {
                         const auto w = int8_weights();
                         const auto x = a.in_matrix<float>(2, 8, 1.0f);
                         epilogue e;
                         e.scale = a.in<float>(4, 1.0f);
                         e.bias = a.in<float>(4, 1.0f);
                         const auto c = a.out_matrix<float>(2, 4);
                         return gemm(x, w, e, c, a.out<std::byte>(gemm_workspace(2, w)));
                     }});
    calls.push_back({"gemm of static activations", [](arguments& a) {
                         const auto w = int8_weights();
                         const auto x = a.in_matrix<std::int8_t>(2, 8, 1);
                         const auto c = a.out_matrix<std::int32_t>(2, 4);
                         return gemm(x, static_activations {}, w, {}, c, a.out<std::byte>(gemm_workspace(2, w)));
                     }});
    calls.push_back({"gemm with a requantization", [](arguments& a) {
                         const auto w = int8_weights();
                         const auto x = a.in_matrix<std::uint8_t>(2, 8, 1);
                         const auto r = float_mode(a, 4);
                         const auto c = a.out_matrix<std::int8_t>(2, 4);
                         return gemm(x, 0, w, r, c, a.out<std::byte>(gemm_workspace(2, w)));
                     }});
    calls.push_back({"gemv", [](arguments& a) {
                         const auto w = int8_weights();
                         const auto x = a.in<float>(8, 1.0f);
                         const auto y = a.out<float>(4);
                         return gemv(x, w, {}, y, a.out<std::byte>(gemm_workspace(1, w)));
                     }});
    calls.push_back({"tune", [](arguments& a) {
                         const auto w = int8_weights();
                         return tune(w, 1, a.out<std::byte>(tune_workspace(1, w)), 0).error();
                     }});
    calls.push_back(
        {"pack", [](arguments& a) {
             const auto w = a.in_matrix<uint4x2>(2, 4);
             const auto scales = a.in<float>(2, 1.0f);
             const auto zero_points = a.in<std::int32_t>(2);
             return pack(w, 8, {granularity::per_channel, 0, scales, zero_points}, a.out<std::byte>(*packed_size<uint4x2>(2, 8, 0, true)));
         }});
    calls.push_back({"pack of floats", [](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4);
                         return pack(w, a.out<std::byte>(*packed_size<float>(2, 4)));
                     }});
    calls.push_back({"packed_weights::make", [](arguments& a) {
                         const auto w = a.in_matrix<std::int8_t>(2, 4);
                         const auto scales = a.in<float>(2, 1.0f);
                         const auto zero_points = a.in<std::int32_t>(2);
                         return packed_weights::make(w, 4, {granularity::per_channel, 0, scales, zero_points}).error();
                     }});
    calls.push_back({"packed_weights::make of halves", [](arguments& a) { return packed_weights::make(a.in_matrix<half>(2, 4)).error(); }});
    const auto w = int8_weights();
    const std::vector<std::byte> packed(w.bytes().begin(), w.bytes().end());
    calls.push_back({"view_packed", [=](arguments& a) { return view_packed(a.of(packed)).error(); }});
}

void add_gguf(std::vector<call>& calls)
{
    std::vector<std::byte> file(4096);
    gguf_memory memory {file};
    REQUIRE(write_gguf({}, {}, memory) == status::ok);
    file.resize(std::size_t(memory.written));
    calls.push_back({"gguf_reader::open", [=](arguments& a) { return gguf_reader::open(a.of(file)).error(); }});
    calls.push_back({"imatrix_reader::open", [=](arguments& a) { return imatrix_reader::open(a.of(file)).error(); }});
    const auto tensors = [](arguments& a) {
        gguf_tensor t;
        t.name = {a.in<char>(4, 'x').data(), 4};
        t.sizes[0] = 4;
        t.data = a.in<std::byte>(16);
        return a.in<gguf_tensor>(1, t);
    };
    const auto pairs = [](arguments& a) {
        gguf_pair p;
        p.key = {a.in<char>(3, 'k').data(), 3};
        const std::string_view text(a.in<char>(3, 'v').data(), 3);
        p.value = gguf_value(a.in<std::string_view>(1, text));
        gguf_pair number {"number", gguf_value(a.in<float>(2))}, string {"string", std::string_view(a.in<char>(2, 's').data(), 2)};
        return a.of(std::vector<gguf_pair> {p, number, string});
    };
    calls.push_back({"write_gguf", [=](arguments& a) {
                         const auto p = pairs(a);
                         const auto t = tensors(a);
                         return write_gguf(p, t, [](const std::byte*, std::size_t) { return true; });
                     }});
    calls.push_back({"write_gguf_header", [=](arguments& a) {
                         const auto p = pairs(a);
                         return write_gguf_header(p, {}, [](const std::byte*, std::size_t) { return true; });
                     }});
    calls.push_back({"gguf_file_size", [=](arguments& a) {
                         const auto p = pairs(a);
                         return gguf_file_size(p, a.in<gguf_tensor>(1, {"x", ggml_type::f32, 1, {4, 1, 1, 1}, {}})).error();
                     }});
    calls.push_back({"gguf_alignment", [](arguments& a) {
                         return gguf_alignment(a.in<gguf_pair>(1, {"general.alignment", std::uint32_t(32)})).error();
                     }});
    calls.push_back({"choose_types", [](arguments& a) {
                         const auto t = a.in<gguf_tensor>(1);
                         const auto types = a.out<ggml_type>(1);
                         return choose_types(recipe::q8_0, {}, t, false, types, a.out<ggml_type>(1));
                     }});
    calls.push_back({"tensor_data_size", [](arguments& a) {
                         const auto t = a.in<gguf_tensor>(1);
                         return tensor_data_size(t, a.in<ggml_type>(1, ggml_type::f32)).error();
                     }});
}

void add_interop(std::vector<call>& calls)
{
    const auto layer = [](arguments& a, std::size_t group_bytes) {
        std::uint16_t one = 0x3c00;
        const auto scales = a.in<std::uint16_t>(8, one);
        checkpoint_layer l;
        l.qweight = a.in<std::byte>(8 * 4);
        l.qzeros = a.in<std::byte>(4);
        l.scales = {reinterpret_cast<const std::byte*>(scales.data()), 16};
        if (group_bytes != 0)
            l.g_idx = a.in<std::byte>(group_bytes);
        return l;
    };
    calls.push_back({"from_gptq", [=](arguments& a) {
                         const auto l = layer(a, 32);
                         const auto codes = a.out_matrix<uint4x2>(8, 4);
                         const auto scales = a.out<float>(8);
                         const auto zero_points = a.out<std::int32_t>(8);
                         return from_gptq(l, gptq_version::v2, 8, 8, codes, scales, zero_points, a.out<std::int32_t>(8));
                     }});
    calls.push_back({"from_awq", [=](arguments& a) {
                         const auto l = layer(a, 0);
                         const auto codes = a.out_matrix<uint4x2>(8, 4);
                         const auto scales = a.out<float>(8);
                         return from_awq(l, 8, 8, codes, scales, a.out<std::int32_t>(8));
                     }});
    std::vector<std::byte> npy(128 + 16);
    REQUIRE(npy_header<float>(2, 2, npy));
    calls.push_back({"read_npy", [=](arguments& a) { return read_npy(a.of(npy)).error(); }});
    calls.push_back({"copy_npy", [=](arguments& a) {
                         const auto from = a.of(npy);
                         return copy_npy(from, a.out<std::byte>(16)).error();
                     }});
    calls.push_back({"npy_header", [](arguments& a) { return npy_header<float>(2, 2, a.out<std::byte>(128)).error(); }});
    std::vector<std::byte> safetensors(10);
    std::memcpy(safetensors.data(), "\x02\0\0\0\0\0\0\0{}", 10);
    calls.push_back({"safetensors_reader::open", [=](arguments& a) { return safetensors_reader::open(a.of(safetensors)).error(); }});
    calls.push_back({"array::matrix", [](arguments& a) {
                         array x;
                         x.dimensions = 1;
                         x.sizes[0] = 4;
                         x.data = {a.in<std::byte>(16).data(), 16};
                         return x.matrix<float>().error();
                     }});
    calls.push_back({"from_dlpack", [](arguments& a) {
                         float* const data = const_cast<float*>(a.in<float>(4).data());
                         std::int64_t* const shape = const_cast<std::int64_t*>(a.in<std::int64_t>(2, 2).data());
                         return from_dlpack<float>(dlpack_tensor {data, {1, 0}, 2, {2, 32, 1}, shape, nullptr, 0}).error();
                     }});
    calls.push_back(
        {"to_matrix_view", [](arguments& a) { return to_matrix_view(own_mdspan {const_cast<float*>(a.in<float>(4).data())}).error(); }});
}

void add_onnx(std::vector<call>& calls)
{
    calls.push_back({"onnx::quantize_linear", [](arguments& a) {
                         const auto x = a.in<float>(4, 1.0f);
                         const auto shape = a.in<std::ptrdiff_t>(2, 2);
                         const auto scales = a.in<float>(2, 1.0f);
                         const auto zero_points = a.in<std::int32_t>(2);
                         return onnx::quantize_linear(x, shape, scales, zero_points, a.out<std::int8_t>(4));
                     }});
    calls.push_back({"onnx::dequantize_linear", [](arguments& a) {
                         const auto x = a.in<std::int8_t>(4, 1);
                         const auto shape = a.in<std::ptrdiff_t>(2, 2);
                         const auto scales = a.in<float>(2, 1.0f);
                         const auto zero_points = a.in<std::int32_t>(2);
                         return onnx::dequantize_linear(x, shape, scales, zero_points, a.out<float>(4));
                     }});
    calls.push_back({"onnx::dynamic_quantize_linear", [](arguments& a) {
                         float scale = 0;
                         std::uint8_t zero_point = 0;
                         const auto x = a.in<float>(4, 1.0f);
                         return onnx::dynamic_quantize_linear(x, a.out<std::uint8_t>(4), scale, zero_point);
                     }});
    calls.push_back({"onnx::pack_transposed", [](arguments& a) {
                         const auto b = a.in_matrix<std::uint8_t>(4, 2);
                         return onnx::pack_transposed(b, a.in<std::int32_t>(2)).error();
                     }});
    calls.push_back({"onnx::matmul_integer", [](arguments& a) {
                         const auto x = a.in_matrix<std::uint8_t>(2, 4);
                         const auto x_zero_points = a.in<std::int32_t>(2);
                         const auto b = a.in_matrix<std::int8_t>(4, 2);
                         const auto b_zero_points = a.in<std::int32_t>(2);
                         return onnx::matmul_integer(x, x_zero_points, b, b_zero_points, a.out_matrix<std::int32_t>(2, 2));
                     }});
    calls.push_back({"onnx::qlinear_matmul", [](arguments& a) {
                         const auto x = a.in_matrix<std::uint8_t>(2, 4);
                         const auto b = a.in_matrix<std::int8_t>(4, 2);
                         const auto scales = a.in<float>(2, 1.0f);
                         const auto b_zero_points = a.in<std::int32_t>(2);
                         return onnx::qlinear_matmul(x, 1.0f, 0, b, scales, b_zero_points, 1.0f, 0, a.out_matrix<std::int8_t>(2, 2));
                     }});
    calls.push_back({"onnx::from_matmul_nbits", [](arguments& a) {
                         const auto b = a.in<std::uint8_t>(2 * 8), packed_zero_points = a.in<std::uint8_t>(2);
                         const auto codes = a.out_matrix<uint4x2>(2, 8);
                         return onnx::from_matmul_nbits(b, packed_zero_points, 16, 16, codes, a.out<std::int32_t>(2));
                     }});
    calls.push_back({"onnx::to_matmul_nbits", [](arguments& a) {
                         const auto codes = a.in_matrix<uint4x2>(2, 8);
                         const auto zero_points = a.in<std::int32_t>(2);
                         const auto b = a.out<std::uint8_t>(2 * 8);
                         return onnx::to_matmul_nbits(codes, zero_points, 16, 16, b, a.out<std::uint8_t>(2));
                     }});
}

void add_ptq(std::vector<call>& calls)
{
    calls.push_back({"round_to_nearest", [](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4, 1.0f);
                         const auto q = out_quantized<std::int8_t>(a);
                         return round_to_nearest(w, {}, q, a.in<float>(4, 1.0f));
                     }});
    calls.push_back({"gptq", [](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4, 1.0f);
                         return gptq(w, seen(4), {}, out_quantized<uint4x2>(a));
                     }});
    calls.push_back({"hqq", [](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4, 1.0f);
                         return hqq(w, {}, out_quantized<int4x2>(a));
                     }});
    calls.push_back({"round_clipped", [](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4, 1.0f);
                         return round_clipped(w, seen(4), {}, out_quantized<int4x2>(a), 2);
                     }});
    calls.push_back({"search_awq_scales", [](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4, 1.0f);
                         const auto magnitude = a.in<float>(4, 1.0f);
                         return search_awq_scales<int4x2>(w, magnitude, seen(4), {}, 2, a.out<float>(4));
                     }});
    calls.push_back({"hessian::add", [](arguments& a) { return hessian::make(4)->add(a.in_matrix<float>(2, 4, 1.0f)); }});
    calls.push_back({"hessian::scale", [](arguments& a) { return hessian::make(4)->scale(a.in<float>(4, 1.0f)); }});
    calls.push_back({"correct_bias", [](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4, 1.0f), q = a.in_matrix<float>(2, 4, 1.0f);
                         const auto mean = a.in<float>(4, 1.0f);
                         return correct_bias(w, q, mean, a.out<float>(2));
                     }});
    calls.push_back({"choose_formats", [](arguments& a) {
                         const auto errors = a.in<double>(4, 1.0);
                         const auto bytes = a.in<std::uint64_t>(4, 1);
                         return choose_formats(errors, bytes, 2, 10, a.out<std::uint32_t>(2));
                     }});
    calls.push_back({"column_max", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f);
                         return column_max(x, a.out<float>(4));
                     }});
    calls.push_back({"scale_columns", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f);
                         const auto factors = a.in<float>(4, 1.0f);
                         return scale_columns(x, factors, false, a.out_matrix<float>(2, 4));
                     }});
    calls.push_back({"smooth_scales", [](arguments& a) {
                         const auto x = a.in<float>(4, 1.0f), w = a.in<float>(4, 1.0f);
                         return smooth_scales(x, w, 0.5, false, a.out<float>(4));
                     }});
    calls.push_back({"search_smooth_scales", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f), w = a.in_matrix<float>(3, 4, 1.0f);
                         return search_smooth_scales(x, w, activation_scales::per_row, false, 2, a.out<float>(4));
                     }});
    calls.push_back({"find_outlier_columns", [](arguments& a) {
                         const auto most = a.in<float>(4, 1.0f);
                         return find_outlier_columns(most, 3.0f, a.out<std::int32_t>(4)).error();
                     }});
    calls.push_back({"split_outlier_weights", [](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4, 1.0f);
                         const auto importance = a.in<float>(4, 1.0f);
                         const auto dense = a.out_matrix<float>(2, 4);
                         const auto row_begin = a.out<std::int32_t>(3);
                         const auto columns = a.out<std::int32_t>(2);
                         return split_outlier_weights(w, importance, dense, row_begin, columns, a.out<float>(2));
                     }});
    calls.push_back({"column_split::make", [](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4, 1.0f);
                         return column_split::make<std::int8_t>(w, a.in<std::int32_t>(1, 2), {}).error();
                     }});
    calls.push_back({"gemm of a column split", [](arguments& a) {
                         const std::vector<float> w(8, 1.0f);
                         const std::int32_t outlier[] = {1};
                         const auto split = column_split::make<std::int8_t>({w.data(), 2, 4}, outlier, {});
                         REQUIRE(split);
                         const auto x = a.in_matrix<float>(2, 4, 1.0f);
                         epilogue e;
                         e.scale = a.in<float>(2, 1.0f);
                         e.bias = a.in<float>(2, 1.0f);
                         const auto c = a.out_matrix<float>(2, 2);
                         return gemm(x, *split, e, c, a.out<std::byte>(gemm_workspace(2, *split)));
                     }});
    calls.push_back({"gemm of dense and sparse weights", [](arguments& a) {
                         const auto w = int8_weights();
                         const auto x = a.in_matrix<float>(2, 8, 1.0f);
                         sparse_view sparse;
                         sparse.row_begin = a.of(std::vector<std::int32_t> {0, 1, 1, 1, 1});
                         sparse.columns = a.in<std::int32_t>(1);
                         sparse.values = a.in<float>(1, 1.0f);
                         epilogue e;
                         e.bias = a.in<float>(4, 1.0f);
                         const auto c = a.out_matrix<float>(2, 4);
                         return gemm(x, w, sparse, e, c, a.out<std::byte>(gemm_workspace(2, w)));
                     }});
}

void add_qat_and_quantize(std::vector<call>& calls)
{
    const auto params = [](arguments& a) {
        quant_params_view p {granularity::per_channel, 0, a.in<float>(2, 1.0f)};
        p.zero_points = a.in<std::int32_t>(2);
        return p;
    };
    calls.push_back({"quantize", [=](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f);
                         const auto p = params(a);
                         return quantize(x, p, a.out_matrix<int2x4>(2, 1));
                     }});
    calls.push_back({"dequantize", [=](arguments& a) {
                         const auto q = a.in_matrix<uint4x2>(2, 2);
                         const auto p = params(a);
                         return dequantize(q, p, a.out_matrix<float>(2, 4));
                     }});
    calls.push_back({"quantize_dynamic", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f);
                         const auto scales = a.out<float>(2);
                         return quantize_dynamic(x, granularity::per_channel, 0, scales, a.out_matrix<std::int8_t>(2, 4));
                     }});
    calls.push_back({"choose_params", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f);
                         const auto scales = a.out<float>(2);
                         const auto zero_points = a.out<std::int32_t>(2);
                         return choose_params<std::uint8_t>(
                             x, scheme::affine, granularity::per_channel, 0, scales, zero_points, a.out<float>(4));
                     }});
    calls.push_back({"requantize", [](arguments& a) {
                         const auto x = a.in_matrix<std::int32_t>(2, 4);
                         const auto r = float_mode(a, 4);
                         return requantize(x, r, a.out_matrix<std::uint8_t>(2, 4));
                     }});
    calls.push_back({"fake_quantize", [=](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f);
                         const fake_quantization f {params(a)};
                         return fake_quantize(x, f, a.out_matrix<float>(2, 4));
                     }});
    calls.push_back({"fake_quantized_codes", [=](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f);
                         const fake_quantization f {params(a)};
                         return fake_quantized_codes(x, f, a.out_matrix<std::int8_t>(2, 4));
                     }});
    calls.push_back({"fake_quantize_backward", [=](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f), dy = a.in_matrix<float>(2, 4, 1.0f);
                         const fake_quantization f {params(a)};
                         fake_quantize_gradients out;
                         out.x = a.out_matrix<float>(2, 4);
                         out.scale = a.out<float>(2);
                         out.zero_point = a.out<float>(2);
                         return fake_quantize_backward(x, dy, f, out, a.out<float>(fake_quantize_scratch(granularity::per_channel, 2, 4)));
                     }});
    calls.push_back({"fake_quantize_backward without parameters' gradients", [=](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f), dy = a.in_matrix<float>(2, 4, 1.0f);
                         const fake_quantization f {params(a)};
                         const fake_quantize_gradients out {a.out_matrix<float>(2, 4)};
                         return fake_quantize_backward(x, dy, f, out, a.out<float>(1));
                     }});
    calls.push_back({"qat convert", [=](arguments& a) {
                         const auto w = a.in_matrix<float>(2, 4, 1.0f);
                         return convert<std::int8_t>(w, fake_quantization {params(a)}).error();
                     }});
    calls.push_back({"start_params", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 4, 1.0f);
                         const auto scales = a.out<float>(2);
                         const auto zero_points = a.out<std::int32_t>(2);
                         const auto scratch = a.out<float>(start_params_scratch(params_start::mse, granularity::per_channel, 2, 4));
                         return start_params(
                             x, params_start::mse, scheme::affine, {-128, 127}, granularity::per_channel, 0, scales, zero_points, scratch);
                     }});
    calls.push_back({"round_zero_points", [](arguments& a) {
                         const auto learned = a.in<float>(2, 1.0f);
                         return round_zero_points(learned, {-128, 127}, a.out<std::int32_t>(2));
                     }});
    const auto converted = [&](const char* name, auto from, auto to) {
        using F = decltype(from);
        using T = decltype(to);
        calls.push_back({name, [](arguments& a) {
                             const auto x = a.in<F>(4);
                             return convert(x, a.out<T>(4));
                         }});
    };
    converted("convert float half", float {}, half {});
    converted("convert half float", half {}, float {});
    converted("convert float bfloat16", float {}, bfloat16 {});
    converted("convert bfloat16 float", bfloat16 {}, float {});
    converted("convert float float8_e4m3", float {}, float8_e4m3 {});
    converted("convert float float8_e5m2", float {}, float8_e5m2 {});
    converted("convert float8_e4m3 float", float8_e4m3 {}, float {});
    converted("convert float8_e5m2 float", float8_e5m2 {}, float {});
    calls.push_back({"quantize_mx", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 32, 1.0f);
                         const auto q = a.out_matrix<float4_e2m1x2>(2, 16);
                         return quantize_mx(x, q, a.out_matrix<float8_e8m0>(2, 1));
                     }});
    calls.push_back({"dequantize_mx", [](arguments& a) {
                         const auto q = a.in_matrix<std::int8_t>(2, 32);
                         const auto scales = a.in_matrix<float8_e8m0>(2, 1);
                         return dequantize_mx(q, scales, a.out_matrix<float>(2, 32));
                     }});
    calls.push_back({"quantize_nvfp4", [](arguments& a) {
                         const auto x = a.in_matrix<float>(2, 16, 1.0f);
                         const auto q = a.out_matrix<float4_e2m1x2>(2, 8);
                         return quantize_nvfp4(x, 1.0f, q, a.out_matrix<float8_e4m3>(2, 1));
                     }});
    calls.push_back({"dequantize_nvfp4", [](arguments& a) {
                         const auto q = a.in_matrix<float4_e2m1x2>(2, 8);
                         const auto scales = a.in_matrix<float8_e4m3>(2, 1);
                         return dequantize_nvfp4(q, scales, 1.0f, a.out_matrix<float>(2, 16));
                     }});
}

void add_tflite(std::vector<call>& calls)
{
    calls.push_back({"tflite::conv2d", [](arguments& a) {
                         const auto w = filter<std::int8_t>();
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4);
                         const auto r = float_mode(a, 4);
                         const auto y = a.out_images<std::int8_t>(1, 2, 2, 4);
                         return tflite::conv2d(x, 0, w, {}, r, y, a.out<std::byte>(tflite::conv2d_workspace(w)));
                     }});
    calls.push_back({"tflite::conv2d 16x8", [](arguments& a) {
                         const auto w = filter<std::int16_t>();
                         const auto x = a.in_images<std::int16_t>(1, 2, 2, 4);
                         const auto r = wide_mode(a, 4);
                         const auto y = a.out_images<std::int16_t>(1, 2, 2, 4);
                         return tflite::conv2d(x, w, {}, r, y, a.out<std::byte>(tflite::conv2d_workspace<std::int16_t>(w)));
                     }});
    calls.push_back({"tflite::transpose_conv2d", [](arguments& a) {
                         const auto w = filter<std::int8_t>();
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4);
                         const auto r = float_mode(a, 4);
                         const auto y = a.out_images<std::int8_t>(1, 2, 2, 4);
                         return tflite::transpose_conv2d(x, 0, w, {}, r, y, a.out<std::byte>(tflite::conv2d_workspace(w)));
                     }});
    calls.push_back({"tflite::transpose_conv2d 16x8", [](arguments& a) {
                         const auto w = filter<std::int16_t>();
                         const auto x = a.in_images<std::int16_t>(1, 2, 2, 4);
                         const auto r = wide_mode(a, 4);
                         const auto y = a.out_images<std::int16_t>(1, 2, 2, 4);
                         return tflite::transpose_conv2d(x, w, {}, r, y, a.out<std::byte>(tflite::conv2d_workspace<std::int16_t>(w)));
                     }});
    calls.push_back({"tflite::fully_connected", [](arguments& a) {
                         const auto w = filter<std::int16_t>();
                         const auto x = a.in_matrix<std::int16_t>(2, 4);
                         const auto r = wide_mode(a, 4);
                         const auto y = a.out_matrix<std::int16_t>(2, 4);
                         return tflite::fully_connected(x, w, r, y, a.out<std::byte>(tflite::conv2d_workspace<std::int16_t>(w)));
                     }});
    calls.push_back({"tflite::depthwise_conv2d", [](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4);
                         const auto w = a.in_matrix<std::int8_t>(1, 4);
                         const auto r = float_mode(a, 4);
                         return tflite::depthwise_conv2d(x, 0, w, {}, r, a.out_images<std::int8_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::depthwise_conv2d 16x8", [](arguments& a) {
                         const auto x = a.in_images<std::int16_t>(1, 2, 2, 4);
                         const auto w = a.in_matrix<std::int8_t>(1, 4);
                         const auto r = wide_mode(a, 4);
                         return tflite::depthwise_conv2d(x, w, {}, r, a.out_images<std::int16_t>(1, 2, 2, 4));
                     }});
    // int16 by int8 with the requantization of an int32 bias.
    const auto narrow = [](arguments& a) {
        requantization r = float_mode(a, 4);
        r.mode = requantize_mode::double_rounding;
        return r;
    };
    calls.push_back({"tflite::conv2d 16x8, int32 bias", [=](arguments& a) {
                         const auto w = filter<std::int16_t>();
                         const auto x = a.in_images<std::int16_t>(1, 2, 2, 4);
                         const auto r = narrow(a);
                         const auto y = a.out_images<std::int16_t>(1, 2, 2, 4);
                         return tflite::conv2d(x, w, {}, r, y, a.out<std::byte>(tflite::conv2d_workspace<std::int16_t>(w)));
                     }});
    calls.push_back({"tflite::transpose_conv2d 16x8, int32 bias", [=](arguments& a) {
                         const auto w = filter<std::int16_t>();
                         const auto x = a.in_images<std::int16_t>(1, 2, 2, 4);
                         const auto r = narrow(a);
                         const auto y = a.out_images<std::int16_t>(1, 2, 2, 4);
                         return tflite::transpose_conv2d(x, w, {}, r, y, a.out<std::byte>(tflite::conv2d_workspace<std::int16_t>(w)));
                     }});
    calls.push_back({"tflite::fully_connected, int32 bias", [=](arguments& a) {
                         const auto w = filter<std::int16_t>();
                         const auto x = a.in_matrix<std::int16_t>(2, 4);
                         const auto r = narrow(a);
                         const auto y = a.out_matrix<std::int16_t>(2, 4);
                         return tflite::fully_connected(x, w, r, y, a.out<std::byte>(tflite::conv2d_workspace<std::int16_t>(w)));
                     }});
    calls.push_back({"tflite::depthwise_conv2d 16x8, int32 bias", [=](arguments& a) {
                         const auto x = a.in_images<std::int16_t>(1, 2, 2, 4);
                         const auto w = a.in_matrix<std::int8_t>(1, 4);
                         const auto r = narrow(a);
                         return tflite::depthwise_conv2d(x, w, {}, r, a.out_images<std::int16_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::fully_connected_multipliers", [](arguments& a) {
                         const auto scales = a.in<float>(2, 1.0f);
                         const auto multiplier = a.out<std::int32_t>(2);
                         return tflite::fully_connected_multipliers(1.0f, scales, 1.0f, multiplier, a.out<std::int32_t>(2));
                     }});
    const auto sums = *tflite::add_params(1.0f, 1.0f, 1.0f);
    calls.push_back({"tflite::add", [=](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4), b = a.in_images<std::int8_t>(1, 1, 1, 4);
                         requantization r;
                         r.scale = a.in<float>(1, 1.0f);
                         r.mode = requantize_mode::double_rounding;
                         return tflite::add(x, 0, b, 0, sums, r, a.out_images<std::int8_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::add of spans", [=](arguments& a) {
                         const auto x = a.in<std::int8_t>(4), b = a.in<std::int8_t>(4);
                         requantization r;
                         r.mode = requantize_mode::double_rounding;
                         return tflite::add(x, 0, b, 0, sums, r, a.out<std::int8_t>(4));
                     }});
    const auto wide_sums = *tflite::add_params<std::int16_t>(1.0f, 1.0f, 1.0f);
    calls.push_back({"tflite::add of int16", [=](arguments& a) {
                         const auto x = a.in_images<std::int16_t>(1, 2, 2, 4), b = a.in_images<std::int16_t>(1, 1, 1, 4);
                         requantization r;
                         r.mode = requantize_mode::double_rounding;
                         return tflite::add(x, b, wide_sums, r, a.out_images<std::int16_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::multiply", [](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4), b = a.in_images<std::int8_t>(1, 1, 1, 1);
                         const auto r = one_scale(a);
                         return tflite::multiply(x, 0, b, 0, r, a.out_images<std::int8_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::multiply of spans", [](arguments& a) {
                         const auto x = a.in<std::int8_t>(4), b = a.in<std::int8_t>(4);
                         const auto r = one_scale(a);
                         return tflite::multiply(x, 0, b, 0, r, a.out<std::int8_t>(4));
                     }});
    calls.push_back({"tflite::multiply of int16", [](arguments& a) {
                         const auto x = a.in_images<std::int16_t>(1, 2, 2, 4), b = a.in_images<std::int16_t>(1, 2, 2, 4);
                         const auto r = one_scale(a);
                         return tflite::multiply(x, b, r, a.out_images<std::int16_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::packed_filter::make",
        [](arguments& a) { return tflite::packed_filter::make(a.in_matrix<int4x2>(4, 2), 1, 1, 4).error(); }});
    calls.push_back({"tflite::average_pool2d", [](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4);
                         return tflite::average_pool2d(x, {}, a.out_images<std::int8_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::max_pool2d", [](arguments& a) {
                         const auto x = a.in_images<std::int16_t>(1, 2, 2, 4);
                         return tflite::max_pool2d<std::int16_t>(x, {}, a.out_images<std::int16_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::mean", [](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(2, 2, 2, 4);
                         return tflite::mean(x, {}, {}, a.out_matrix<std::int8_t>(2, 4));
                     }});
    calls.push_back({"tflite::quantize_bias", [](arguments& a) {
                         const auto bias = a.in<float>(2, 1.0f), scales = a.in<float>(2, 1.0f);
                         return tflite::quantize_bias(bias, 1.0f, scales, a.out<std::int32_t>(2));
                     }});
    calls.push_back({"tflite::output_multipliers", [](arguments& a) {
                         const auto scales = a.in<float>(2, 1.0f);
                         const auto multiplier = a.out<std::int32_t>(2);
                         return tflite::output_multipliers(1.0f, scales, 1.0f, multiplier, a.out<std::int32_t>(2));
                     }});
    calls.push_back({"tflite::output_scales", [](arguments& a) {
                         const auto scales = a.in<float>(2, 1.0f);
                         return tflite::output_scales(1.0f, scales, 1.0f, a.out<float>(2));
                     }});
    calls.push_back({"tflite::softmax", [](arguments& a) {
                         const auto x = a.in_matrix<std::int8_t>(2, 4);
                         return tflite::softmax(x, *tflite::softmax_params(0.1f), a.out_matrix<std::int8_t>(2, 4));
                     }});
    calls.push_back({"tflite::look_up", [](arguments& a) {
                         const auto x = a.in<std::int8_t>(4);
                         return tflite::look_up(x, *tflite::requantize_table({}, {}), a.out<std::int8_t>(4));
                     }});
    calls.push_back({"tflite::concatenate", [](arguments& a) {
                         const tflite::concatenation_input one {a.in_matrix<std::int8_t>(2, 3), {}};
                         const auto inputs = a.in<tflite::concatenation_input>(1, one);
                         return tflite::concatenate(inputs, {}, a.out_matrix<std::int8_t>(2, 3));
                     }});
    calls.push_back({"tflite::check of a specification", [](arguments& a) {
                         const auto tensor = [&](tflite::integer_type type) {
                             tflite::quantized_tensor t;
                             t.type = type;
                             t.scales = a.in<float>(1, 1.0f);
                             t.zero_points = a.in<std::int32_t>(1);
                             return t;
                         };
                         const tflite::quantized_tensor x = tensor(tflite::integer_type::s8), y = tensor(tflite::integer_type::s8),
                                                        bias = tensor(tflite::integer_type::s32);
                         tflite::quantized_tensor w = tensor(tflite::integer_type::s8);
                         w.codes = a.in<std::int8_t>(4, 1);
                         return tflite::check(tflite::operation::conv_2d, a.of(std::vector<tflite::quantized_tensor> {x, w, bias}), y);
                     }});
}

const std::ptrdiff_t shape_of_8[] = {2, 4}, shape_of_4[] = {2, 2};

template <class T>
tflite::tensor_view<T> out_tensor(arguments& a, span<const std::ptrdiff_t> shape, std::size_t count)
{
    T* const data = a.out<T>(count).data();
    return {data, a.of(std::vector<std::ptrdiff_t>(shape.begin(), shape.end()))};
}
tflite::tensor_view<const std::int8_t> in_tensor(arguments& a, span<const std::ptrdiff_t> shape, std::size_t count)
{
    const std::int8_t* const data = a.in<std::int8_t>(count).data();
    return {data, a.of(std::vector<std::ptrdiff_t>(shape.begin(), shape.end()))};
}

void add_tflite_operators(std::vector<call>& calls)
{
    const auto sums = *tflite::add_params(1.0f, 1.0f, 1.0f);
    const auto squares = *tflite::squared_difference_params(1.0f, 1.0f, 1.0f);
    const auto fixed = [](arguments& a) {
        requantization r;
        r.scale = a.in<float>(1, 1.0f);
        r.mode = requantize_mode::double_rounding;
        return r;
    };
    calls.push_back({"tflite::subtract", [=](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4), b = a.in_images<std::int8_t>(1, 1, 1, 4);
                         return tflite::subtract(x, 0, b, 0, sums, fixed(a), a.out_images<std::int8_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::squared_difference", [=](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4), b = a.in_images<std::int8_t>(1, 1, 1, 4);
                         return tflite::squared_difference(x, 0, b, 0, squares, fixed(a), a.out_images<std::int8_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::maximum", [](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4), b = a.in_images<std::int8_t>(1, 1, 1, 4);
                         return tflite::maximum(x, b, a.out_images<std::int8_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::minimum", [](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4), b = a.in_images<std::int8_t>(1, 1, 1, 4);
                         return tflite::minimum(x, b, a.out_images<std::int8_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::unpack_int4", [](arguments& a) {
                         const auto packed = a.in<int4x2>(2);
                         return tflite::unpack_int4(packed, a.out<std::int8_t>(4));
                     }});
    calls.push_back({"tflite::l2_normalization", [](arguments& a) {
                         const auto x = a.in_matrix<std::int8_t>(2, 4);
                         return tflite::l2_normalization(x, 0, a.out_matrix<std::int8_t>(2, 4));
                     }});
    calls.push_back({"tflite::log_softmax", [](arguments& a) {
                         const auto x = a.in_matrix<std::int8_t>(2, 4);
                         return tflite::log_softmax(x, *tflite::log_softmax_params(0.1f), a.out_matrix<std::int8_t>(2, 4));
                     }});
    calls.push_back({"tflite::softmax of int16", [](arguments& a) {
                         const auto x = a.in_matrix<std::int16_t>(2, 4);
                         return tflite::softmax(x, *tflite::softmax_params<std::int16_t>(0.001f), a.out_matrix<std::int16_t>(2, 4));
                     }});
    calls.push_back({"tflite::pad", [](arguments& a) {
                         const auto x = in_tensor(a, shape_of_4, 4);
                         const auto paddings = a.of(std::vector<tflite::padding> {{0, 0}, {1, 1}});
                         return tflite::pad(x, paddings, 0, out_tensor<std::int8_t>(a, shape_of_8, 8));
                     }});
    calls.push_back({"tflite::sum", [](arguments& a) {
                         const auto x = in_tensor(a, shape_of_8, 8);
                         const auto axes = a.in<std::ptrdiff_t>(1, 1);
                         return tflite::sum(x, axes, {}, {}, a.out<std::int8_t>(2));
                     }});
    calls.push_back({"tflite::mean of a tensor", [](arguments& a) {
                         const auto x = in_tensor(a, shape_of_8, 8);
                         const auto axes = a.in<std::ptrdiff_t>(1, 1);
                         return tflite::mean(x, axes, {}, {}, a.out<std::int8_t>(2));
                     }});
    calls.push_back({"tflite::reduce_max", [](arguments& a) {
                         const auto x = in_tensor(a, shape_of_8, 8);
                         const auto axes = a.in<std::ptrdiff_t>(1, 1);
                         return tflite::reduce_max(x, axes, a.out<std::int8_t>(2));
                     }});
    calls.push_back({"tflite::reduce_min", [](arguments& a) {
                         const auto x = in_tensor(a, shape_of_8, 8);
                         const auto axes = a.in<std::ptrdiff_t>(1, 1);
                         return tflite::reduce_min(x, axes, a.out<std::int8_t>(2));
                     }});
    calls.push_back({"tflite::resize_bilinear", [](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4);
                         return tflite::resize_bilinear(x, a.out_images<std::int8_t>(1, 3, 3, 4));
                     }});
    calls.push_back({"tflite::resize_nearest_neighbor", [](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4);
                         return tflite::resize_nearest_neighbor(x, a.out_images<std::int8_t>(1, 3, 3, 4));
                     }});
    calls.push_back({"tflite::requantize", [](arguments& a) {
                         const auto x = a.in<std::int8_t>(4);
                         return tflite::requantize(x, {}, a.out<std::int16_t>(4), {});
                     }});
    calls.push_back({"tflite::concatenate of int16", [](arguments& a) {
                         const tflite::concatenation_input_16 one {a.in_matrix<std::int16_t>(2, 3), 1.0f};
                         const auto inputs = a.in<tflite::concatenation_input_16>(1, one);
                         return tflite::concatenate(inputs, 1.0f, a.out_matrix<std::int16_t>(2, 3));
                     }});
    calls.push_back({"tflite::prelu", [](arguments& a) {
                         const auto x = a.in_images<std::int8_t>(1, 2, 2, 4), alpha = a.in_images<std::int8_t>(1, 1, 1, 4);
                         return tflite::prelu(
                             x, 0, alpha, 0, *tflite::prelu_params(1.0f, 1.0f, 1.0f), 0, a.out_images<std::int8_t>(1, 2, 2, 4));
                     }});
    calls.push_back({"tflite::relu of int16", [](arguments& a) {
                         const auto x = a.in<std::int16_t>(4);
                         return tflite::relu(x, 1.0f, tflite::fused_activation::relu, a.out<std::int16_t>(4), 1.0f);
                     }});
    calls.push_back({"tflite::leaky_relu of int16", [](arguments& a) {
                         const auto x = a.in<std::int16_t>(4);
                         return tflite::leaky_relu(x, 1.0f, 0.1f, a.out<std::int16_t>(4), 1.0f);
                     }});
    calls.push_back(
        {"tflite::batch_matmul", [](arguments& a) {
             const auto x = in_tensor(a, shape_of_8, 8);
             const auto b = in_tensor(a, shape_of_8, 8);
             const auto r = one_scale(a);
             const auto y = out_tensor<std::int8_t>(a, shape_of_4, 4);
             return tflite::batch_matmul(x, 0, b, 0, {false, true}, r, y, a.out<std::byte>(tflite::batch_matmul_workspace(2, 2, 4)));
         }});
    calls.push_back({"tflite::logistic of int16", [](arguments& a) {
                         const auto x = a.in<std::int16_t>(4);
                         return tflite::logistic(x, 0.001f, a.out<std::int16_t>(4));
                     }});
    calls.push_back({"tflite::tanh of int16", [](arguments& a) {
                         const auto x = a.in<std::int16_t>(4);
                         return tflite::tanh(x, 0.001f, a.out<std::int16_t>(4));
                     }});
    calls.push_back({"tflite::quantize_bias of int16 layers", [](arguments& a) {
                         const auto bias = a.in<float>(2, 1.0f), scales = a.in<float>(2, 1.0f);
                         return tflite::quantize_bias(bias, 1.0f, scales, a.out<std::int64_t>(2));
                     }});
    calls.push_back({"tflite::quantize of int16", [](arguments& a) {
                         const auto x = a.in<float>(4, 1.0f);
                         return tflite::quantize(x, 1.0f, a.out<std::int16_t>(4));
                     }});
    calls.push_back({"tflite::dequantize of int16", [](arguments& a) {
                         const auto q = a.in<std::int16_t>(4);
                         return tflite::dequantize(q, 1.0f, a.out<float>(4));
                     }});
}

void add_c(std::vector<call>& calls)
{
    for (const int format : {NIBBLE_INT8, NIBBLE_INT4, NIBBLE_FLOAT32, NIBBLE_FLOAT16, NIBBLE_BFLOAT16})
        calls.push_back({"nibble_quantize_weights", [=](arguments& a) {
                             nibble_weights* weights = nullptr;
                             const nibble_status s = nibble_quantize_weights(
                                 a.in<float>(8, 1.0f).data(), 2, 4, 4, static_cast<nibble_weight_format>(format), 0, &weights);
                             nibble_free_weights(weights);
                             return of_c(s);
                         }});
    calls.push_back({"nibble_pack_int8", [](arguments& a) {
                         nibble_weights* weights = nullptr;
                         const auto codes = a.in<std::int8_t>(8);
                         const nibble_status s = nibble_pack_int8(codes.data(), 2, 4, 4, a.in<float>(2, 1.0f).data(), nullptr, 0, &weights);
                         nibble_free_weights(weights);
                         return of_c(s);
                     }});
    calls.push_back({"nibble_pack_uint4", [](arguments& a) {
                         nibble_weights* weights = nullptr;
                         const auto codes = a.in<std::uint8_t>(8);
                         const nibble_status s
                             = nibble_pack_uint4(codes.data(), 2, 8, 4, a.in<float>(2, 1.0f).data(), nullptr, 0, &weights);
                         nibble_free_weights(weights);
                         return of_c(s);
                     }});
    const auto w = int8_weights();
    const std::vector<std::byte> packed(w.bytes().begin(), w.bytes().end());
    calls.push_back({"nibble_view_weights", [=](arguments& a) {
                         nibble_weights* weights = nullptr;
                         const auto bytes = a.of(packed);
                         const nibble_status s = nibble_view_weights(bytes.data(), bytes.size(), &weights);
                         nibble_free_weights(weights);
                         return of_c(s);
                     }});
    calls.push_back({"nibble_multiply", [=](arguments& a) {
                         nibble_weights* weights = nullptr;
                         REQUIRE(nibble_view_weights(packed.data(), packed.size(), &weights) == NIBBLE_OK);
                         const std::size_t size = nibble_workspace(weights, 2);
                         const auto x = a.in<float>(16, 1.0f);
                         const auto y = a.out<float>(8);
                         const nibble_status s = nibble_multiply(weights, x.data(), 2, 8, 8, nullptr, NIBBLE_NONE, y.data(), 4, 4,
                             a.out<std::byte>(size).data(), size, nullptr);
                         nibble_free_weights(weights);
                         return of_c(s);
                     }});
}

} // namespace

TEST_CASE("a null span or view whose size is above zero is refused by every function, before anything is written")
{
    std::vector<call> calls;
    add_blocks(calls);
    add_calibrate(calls);
    add_evaluate(calls);
    add_gemm(calls);
    add_gguf(calls);
    add_interop(calls);
    add_onnx(calls);
    add_ptq(calls);
    add_qat_and_quantize(calls);
    add_tflite(calls);
    add_tflite_operators(calls);
    add_c(calls);
    const backend active = active_backend();
    for (const call& c : calls) {
        INFO(c.name);
        arguments good(-1);
        const status s = c.run(good);
        INFO(to_string(s));
        REQUIRE(s == status::ok);
        REQUIRE(good.count() > 0);
        for (int turn = 0; turn < good.count(); ++turn) {
            INFO("argument " << turn);
            arguments a(turn);
            const status refused = c.run(a);
            INFO(to_string(refused));
            CHECK(refused == status::null_pointer);
            CHECK(a.untouched());
        }
    }
    REQUIRE(force_backend(active) == status::ok); // forgets what tune() chose
}

TEST_CASE("functions without a status take a null span as one that holds nothing")
{
    const span<const float> null(nullptr, 3);
    min_max_observer range;
    range.observe(null);
    CHECK(range.count == 0);
    moving_average_observer average;
    average.observe(null);
    CHECK(average.batches == 0);
    histogram_observer histogram;
    histogram.observe(null);
    CHECK(histogram.values().count == 0);
    CHECK(histogram.restore(range, histogram_observer::least_exponent, nullptr) == status::null_pointer);
    column_statistics statistics;
    statistics.observe(null);
    CHECK(statistics.values.count == 0);
    bound_scales(span<float>(nullptr, 3));
    CHECK(log_sum_exp(null).top == 0);
    CHECK(log_sum_exp({}).top == 0);
    CHECK_FALSE(cholesky(matrix_view<double>(nullptr, 3, 3)));
    double oblong[2] = {1.0, 1.0};
    CHECK_FALSE(cholesky(matrix_view<double>(oblong, 1, 2)));
    const std::byte three[3] = {};
    CHECK_FALSE(gguf_memory {span<std::byte>(nullptr, 3)}(three, 3));

    const std::vector<float> w(8, 1.0f);
    const std::int32_t outlier[] = {1};
    const auto split = column_split::make<std::int8_t>({w.data(), 2, 4}, outlier, {});
    REQUIRE(split);
    std::vector<float> inliers(6, 7.0f), outliers(2, 7.0f);
    split->gather({w.data(), 2, 4}, {inliers.data(), 2, 3}, {nullptr, 2, 1});
    split->gather({nullptr, 2, 4}, {inliers.data(), 2, 3}, {outliers.data(), 2, 1});
    split->gather({w.data(), 2, 4}, {inliers.data(), 2, 2}, {outliers.data(), 2, 1});
    CHECK((inliers == std::vector<float>(6, 7.0f) && outliers == std::vector<float>(2, 7.0f)));
    split->gather({w.data(), 2, 4}, {inliers.data(), 2, 3}, {outliers.data(), 2, 1});
    CHECK((inliers == std::vector<float>(6, 1.0f) && outliers == std::vector<float>(2, 1.0f)));
}
