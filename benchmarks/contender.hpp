// What is timed: one product of one shape by one implementation, nibble's or a peer's. Peers are modules of their own (peers/), loaded
// while the benchmark runs, so that each keeps its compiler flags and its libraries to itself and any of them may be missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bench {

/// What is multiplied: activations, weights, result.
enum class kind {
    f32,           ///< float, float, float
    half,          ///< float, half, float
    bfloat16,      ///< float, bfloat16, float
    int8,          ///< float (quantized inside), int8 with a scale a channel, float
    int8_reduced,  ///< the same, the activations quantized to 7 bits
    u8s8,          ///< uint8, int8, int32
    s8s8,          ///< int8, int8, int32
    u7s8,          ///< uint8 in [0, 127], int8, int32
    int4_channel,  ///< float (quantized inside), int4 with a scale a channel, float
    int4_group128, ///< the same, a scale for every 128
    int4_group32,  ///< the same, a scale for every 32
    q8_0,          ///< float (quantized inside), ggml's blocks of this type, float; so are those that follow
    q4_0,
    q4_K,
    q6_K,
    iq4_nl,
    mxfp4,
};
inline constexpr int kind_count = 17;
inline constexpr const char* kind_names[kind_count] = {"f32", "half", "bfloat16", "int8", "int8_reduced", "u8s8s32", "s8s8s32", "u7s8s32",
    "int4_channel", "int4_group128", "int4_group32", "q8_0", "q4_0", "q4_K", "q6_K", "iq4_nl", "mxfp4"};
inline constexpr unsigned block_types[] = {8, 2, 12, 14, 20, 39}; ///< q8_0 and the others, as ggml numbers them
inline constexpr int block_kind_count = 6;
inline const char* name_of(kind k) { return kind_names[static_cast<int>(k)]; }
inline bool integer_result(kind k) { return k == kind::u8s8 || k == kind::s8s8 || k == kind::u7s8; }
inline bool is_blocks(kind k) { return k >= kind::q8_0; }
inline int block_index(kind k) { return static_cast<int>(k) - static_cast<int>(kind::q8_0); }
inline bool quantizes_activations(kind k) { return k >= kind::int8 && !integer_result(k); }

/// One n x k matrix of weights (a row an output channel) in every form that somebody multiplies. All forms come from the same floats.
struct weight_matrix {
    std::ptrdiff_t n = 0, k = 0;
    std::vector<float> f32;
    std::vector<std::int8_t> s8;
    std::vector<float> s8_scales; // one a channel
    struct int4 {
        std::ptrdiff_t group = 0;        // 0: one scale a channel
        std::vector<std::uint8_t> codes; // two's complement, two in a byte, the first in the low half; a row starts at a byte
        std::vector<float> scales;       // rows x groups; each is exactly a half
    } channel, group128, group32;
    /// ggml's blocks, by block_index(); none where k is not whole blocks. Of the first 64 rows, again and again, since some types search
    /// their scales for long.
    std::vector<std::uint8_t> blocks[block_kind_count];
};

/// One product: c = a w^T, a is m x k.
struct problem {
    std::ptrdiff_t m = 0;
    std::size_t stream_bytes = 0; // 0: the same weights again and again; else equal copies fill this and are walked in turn
    std::shared_ptr<const weight_matrix> w;
    std::vector<float> a;
    std::vector<std::uint8_t> a_u8, a_u7;
    std::vector<std::int8_t> a_s8;
    bool every_block_type = false; ///< also those that are compared with themselves alone
    /// Whether a contender is wanted, by its kernel and kind: asked before the work of making it.
    std::function<bool(const std::string&, kind)> wants;

    std::size_t copies(std::size_t weight_bytes) const { return stream_bytes == 0 ? 1 : (stream_bytes + weight_bytes - 1) / weight_bytes; }
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
    virtual const void* result() const = 0;
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
    virtual std::string name() const = 0;
    /// Version, and the instruction set where it can be asked.
    virtual std::string version() const = 0;
    /// Whether it runs no instructions that the cap forbids.
    virtual bool capped() const = 0;
    /// Everything it can do with this problem; `most_threads` is the greatest number that run() will be given.
    virtual contenders make(const problem& p, int most_threads) = 0;
    /// The same of a convolution, which lives as long as they do; one thread.
    virtual contenders make(const convolution&) { return {}; }
};

/// What a module exports under the name nibble_bench_peer. folder: where tests/peers put what it fetched. cap: "", or the nibble backend
/// whose instructions are the most that may be used. Null and a reason if the peer cannot run here.
using make_peer = peer*(const std::string& folder, const std::string& cap, std::string& reason);

} // namespace bench

#define NIBBLE_BENCH_PEER extern "C" __attribute__((visibility("default"))) bench::peer* nibble_bench_peer
