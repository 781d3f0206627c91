// What is timed: one product, convolution or other operation by one implementation, nibble's or a peer's. Peers are modules of their own
// (peers/), loaded while the benchmark runs, so that each keeps its compiler flags and its libraries to itself and any may be missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace bench {

/// What is multiplied: activations, weights, result.
enum class kind {
    f32,                  ///< float, float, float
    half,                 ///< float, half, float
    bfloat16,             ///< float, bfloat16, float
    int8,                 ///< float (quantized inside), int8 with a scale a channel, float
    int8_reduced,         ///< the same, the activations quantized to 7 bits
    int8_group32,         ///< the same as int8, a scale for every 32: ggml's Q8_0
    int8_group32_reduced, ///< the same, the activations quantized to 7 bits
    u8s8,                 ///< uint8, int8, int32
    s8s8,                 ///< int8, int8, int32
    u7s8,                 ///< uint8 in [0, 127], int8, int32
    int4_channel,         ///< float (quantized inside), int4 with a scale a channel, float
    int4_group128,        ///< the same, a scale for every 128
    int4_group32,         ///< the same, a scale for every 32
    q4_0,                 ///< float (quantized inside), ggml's blocks of this type, float; so are those that follow
    q4_K,
    q6_K,
    iq4_nl,
    mxfp4,
};
inline constexpr int kind_count = 18;
inline constexpr const char* kind_names[kind_count]
    = {"float_x_float", "float_x_half", "float_x_bfloat16", "float_x_int8", "float_x_int8_reduced", "float_x_q8_0", "float_x_q8_0_reduced",
        "uint8_x_int8_to_int32", "int8_x_int8_to_int32", "uint7_x_int8_to_int32", "float_x_int4", "float_x_int4_g128", "float_x_int4_g32",
        "float_x_q4_0", "float_x_q4_K", "float_x_q6_K", "float_x_iq4_nl", "float_x_mxfp4"};
inline const char* name_of(kind k) { return kind_names[static_cast<int>(k)]; }
inline bool integer_result(kind k) { return k == kind::u8s8 || k == kind::s8s8 || k == kind::u7s8; }
inline bool quantizes_activations(kind k) { return k >= kind::int8 && !integer_result(k); }
/// The type of ggml's blocks, as ggml numbers them; 0: none.
inline unsigned block_type(kind k)
{
    switch (k) {
    case kind::int8_group32:
    case kind::int8_group32_reduced: return 8;
    case kind::q4_0: return 2;
    case kind::q4_K: return 12;
    case kind::q6_K: return 14;
    case kind::iq4_nl: return 20;
    case kind::mxfp4: return 39;
    default: return 0;
    }
}

/// Codes of 4 bits and their scales, of the weights of a matrix.
struct int4_codes {
    std::ptrdiff_t group = 0;        ///< 0: one scale a channel
    std::vector<std::uint8_t> codes; ///< two's complement, two in a byte, the first in the low half; a row starts at a byte
    std::vector<float> scales;       ///< rows x groups; each is exactly a half
};

/// One n x k matrix of weights (a row an output channel). All forms come from the same floats and are made when they are first asked for.
class weight_matrix {
public:
    weight_matrix(std::ptrdiff_t rows, std::ptrdiff_t columns) : n(rows), k(columns) {}
    virtual ~weight_matrix() = default;
    const std::ptrdiff_t n, k;

    virtual const std::vector<float>& f32() const = 0;
    virtual const std::vector<std::int8_t>& s8() const = 0;
    virtual const std::vector<float>& s8_scales() const = 0; ///< one a channel
    virtual const int4_codes& int4(kind) const = 0;
    /// ggml's blocks; none where k is not whole blocks. Of the first 64 rows, again and again: some types search their scales for long.
    virtual const std::vector<std::uint8_t>& blocks(kind) const = 0;
};

/// One product: c = a w^T, a is m x k.
class problem {
public:
    virtual ~problem() = default;
    std::ptrdiff_t m = 0;
    bool from_memory = false; ///< the weights are copies that fill many caches and are walked in turn; else the same again and again
    std::size_t memory_bytes = 0;
    std::shared_ptr<const weight_matrix> w;

    virtual const std::vector<float>& a() const = 0;
    virtual const std::vector<std::uint8_t>& a_u8() const = 0;
    virtual const std::vector<std::uint8_t>& a_u7() const = 0;
    virtual const std::vector<std::int8_t>& a_s8() const = 0;
    /// Copies of bytes as the peers read them that take weights as they are, on pages like those of nibble's weights.
    virtual std::shared_ptr<const std::vector<const void*>> copies(const std::string& what, const void* bytes, std::size_t size) const = 0;

    /// Whether a contender is wanted, by its kernel and kind: asked before the work of making it.
    std::function<bool(const std::string&, kind)> wants;

    std::size_t copies_of(std::size_t weight_bytes) const { return !from_memory ? 1 : (memory_bytes + weight_bytes - 1) / weight_bytes; }
    /// What the products of other numbers of rows by the same weights share, such as the packed weights themselves.
    template <class T, class Make>
    std::shared_ptr<T> shared(const std::string& what, Make make) const
    {
        std::shared_ptr<void>& found = (*store)[what];
        if (found == nullptr)
            found = make();
        return std::static_pointer_cast<T>(found);
    }
    std::shared_ptr<std::map<std::string, std::shared_ptr<void>>> store;
};

/// One int8 image in NHWC, size x size x in, and a square kernel: y = requantization of (x - x_zero_point) * w + bias, in floats.
struct convolution {
    std::ptrdiff_t size = 0, in = 0, out = 0, kernel = 0, stride = 0, out_size = 0, pad_before = 0, pad_after = 0;
    bool depthwise = false;        // out == in
    std::vector<std::int8_t> x, w; // w: out x kernel x kernel x in; depthwise: kernel x kernel x out
    std::vector<std::int32_t> bias;
    std::vector<float> w_scales; // one an output channel
    float x_scale = 1, y_scale = 1;
    std::int32_t x_zero_point = 0, y_zero_point = 0;
};

class contender {
public:
    virtual ~contender() = default;
    /// Does calls_per_run products, each with the next copy of the weights.
    virtual void run(int threads) = 0;
    /// The last product: m x n of int32 or float, by the kind; of a convolution int8 codes in NHWC.
    virtual const void* result() const { return nullptr; }
    /// Row j of the weights as the contender's format holds them, for the check of float results; false: those of the kind.
    virtual bool weight_row(std::ptrdiff_t, float*) const { return false; }

    kind what = kind::f32;
    std::string kernel;           ///< the peer's name for it
    std::size_t weight_bytes = 0; ///< that one product reads
    double error_bound = 0;       ///< of a float result, as in check.hpp; 0: by the kind
    int calls_per_run = 1;
};

using contenders = std::vector<std::unique_ptr<contender>>;

class peer {
public:
    virtual ~peer() = default;
    /// Version, and the instruction set where it can be asked.
    virtual std::string version() const = 0;
    /// Whether it runs no instructions that the cap forbids.
    virtual bool capped() const = 0;
    /// Everything it can do with this problem and is wanted.
    virtual contenders make(const problem&) { return {}; }
    /// The same of a convolution, which lives as long as they do; one thread.
    virtual contenders make(const convolution&) { return {}; }
    /// Floats to ggml's blocks of this type, and back.
    virtual contenders make(unsigned /* block type */, const float*, std::ptrdiff_t /* rows */, std::ptrdiff_t /* columns */) { return {}; }
    /// A routine of linear algebra in double precision of a k x k matrix, by its name; null if there is none. k is 0 for the question.
    virtual std::unique_ptr<contender> make(const std::string&, std::ptrdiff_t /* k */, const double*) { return nullptr; }
};

/// What a module exports under the name nibble_bench_peer. folder: where tests/peers put what it fetched. cap: "", or the nibble backend
/// whose instructions are the most that may be used. threads: the most that run() will be given. Null and a reason if it cannot run here.
using make_peer = peer*(const std::string& folder, const std::string& cap, int threads, std::string& reason);

} // namespace bench

#define NIBBLE_BENCH_PEER extern "C" __attribute__((visibility("default"))) bench::peer* nibble_bench_peer
