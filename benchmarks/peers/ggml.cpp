// ggml, as llama.cpp's npm package ships it: a library for each instruction set. Everything is called by name; nothing is declared beyond
// what is used here. Weights in their own blocks, and repacked where ggml has a layout for the CPU.
#include "../contender.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <dirent.h>
#include <dlfcn.h>

namespace {

// Names and layouts of ggml's C interface.
struct init_params {
    std::size_t bytes;
    void* buffer;
    bool no_alloc;
};
struct pool_params {
    bool cores[512];
    int threads, priority;
    std::uint32_t poll;
    bool strict, paused;
};
struct tensor_type {
    int number;
    const char* name;
    bench::kind what;
    bool compared = true; // with others than itself
};
constexpr tensor_type types[] = {{0, "f32", bench::kind::f32}, {1, "f16", bench::kind::half}, {8, "q8_0", bench::kind::q8_0},
    {2, "q4_0", bench::kind::q4_0}, {12, "q4_K", bench::kind::q4_K}, {14, "q6_K", bench::kind::q6_K, false},
    {20, "iq4_nl", bench::kind::iq4_nl, false}, {39, "mxfp4", bench::kind::mxfp4, false}};

struct api {
    void* library = nullptr;
    std::string isa, number;

    template <class Function>
    Function* get(const char* symbol) const
    {
        return reinterpret_cast<Function*>(dlsym(library, symbol));
    }
    template <class Result, class... Arguments>
    Result call(const char* symbol, Arguments... arguments) const
    {
        return get<Result(Arguments...)>(symbol)(arguments...);
    }
};

// The buffer type whose tensors are repacked for this CPU, or null.
void* repacking_buffers(const api& g, void* backend)
{
    void* const device = g.call<void*>("ggml_backend_get_device", backend);
    void* const registry = g.call<void*>("ggml_backend_dev_backend_reg", device);
    void* const found = g.call<void*>("ggml_backend_reg_get_proc_address", registry, "ggml_backend_dev_get_extra_bufts");
    if (found == nullptr)
        return nullptr;
    for (void** type = reinterpret_cast<void** (*)(void*)>(found)(device); type != nullptr && *type != nullptr; ++type)
        if (std::strstr(g.call<const char*>("ggml_backend_buft_name", *type), "REPACK") != nullptr)
            return *type;
    return nullptr;
}

class product : public bench::contender {
public:
    static std::string kernel_of(const tensor_type& type, bool repacked) { return std::string(type.name) + (repacked ? " repacked" : ""); }
    product(const api& g, void* threads, const bench::problem& p, const tensor_type& type, bool repacked)
        : g_(g), type_(type), k_(p.w->k), c_(static_cast<std::size_t>(p.m * p.w->n))
    {
        what = type.what;
        kernel = kernel_of(type, repacked);
        if (type.what == bench::kind::half)
            error_bound = 1e-3; // it rounds the activations to halves, too
        backend_ = g.call<void*>("ggml_backend_cpu_init");
        g.call<void>("ggml_backend_cpu_set_threadpool", backend_, threads);
        void* buffers = g.call<void*>("ggml_backend_cpu_buffer_type");
        if (repacked && (buffers = repacking_buffers(g, backend_)) == nullptr)
            return;

        // Tensors of weights in one buffer, activations and results in another; a graph for each copy.
        const auto context = [&](std::size_t tensors, std::size_t more) {
            return g.call<void*>("ggml_init", init_params {tensors * g.call<std::size_t>("ggml_tensor_overhead") + more, nullptr, true});
        };
        row_bytes_ = g.call<std::size_t>("ggml_row_size", type.number, k_);
        weight_bytes = row_bytes_ * static_cast<std::size_t>(p.w->n);
        const std::size_t copies = p.copies(weight_bytes);
        weights_ = context(copies, 0);
        others_ = context(1 + copies, copies * g.call<std::size_t>("ggml_graph_overhead"));
        for (std::size_t i = 0; i < copies; ++i)
            w_.push_back(g.call<void*>("ggml_new_tensor_2d", weights_, type.number, k_, std::int64_t(p.w->n)));
        weight_buffer_ = g.call<void*>("ggml_backend_alloc_ctx_tensors_from_buft", weights_, buffers);
        if (weight_buffer_ == nullptr || (repacked && !has_layout(w_.front())))
            return;
        if (bench::is_blocks(type.what)) {
            codes_ = p.w->blocks[bench::block_index(type.what)];
        } else {
            codes_.resize(weight_bytes);
            g.call<std::size_t>("ggml_quantize_chunk", type.number, p.w->f32.data(), static_cast<void*>(codes_.data()), std::int64_t(0),
                std::int64_t(p.w->n), k_, static_cast<const float*>(nullptr));
        }
        for (void* w : w_)
            g.call<void>("ggml_backend_tensor_set", w, static_cast<const void*>(codes_.data()), std::size_t(0), weight_bytes);

        void* const a = g.call<void*>("ggml_new_tensor_2d", others_, 0, k_, std::int64_t(p.m));
        for (void* w : w_) {
            y_.push_back(g.call<void*>("ggml_mul_mat", others_, w, a));
            graphs_.push_back(g.call<void*>("ggml_new_graph", others_));
            g.call<void>("ggml_build_forward_expand", graphs_.back(), y_.back());
        }
        other_buffer_ = g.call<void*>("ggml_backend_alloc_ctx_tensors_from_buft", others_, g.call<void*>("ggml_backend_cpu_buffer_type"));
        g.call<void>("ggml_backend_tensor_set", a, static_cast<const void*>(p.a.data()), std::size_t(0), p.a.size() * sizeof(float));
        ready = true;
    }
    ~product() override
    {
        for (void* buffer : {weight_buffer_, other_buffer_})
            if (buffer != nullptr)
                g_.call<void>("ggml_backend_buffer_free", buffer);
        for (void* context : {weights_, others_})
            if (context != nullptr)
                g_.call<void>("ggml_free", context);
        g_.call<void>("ggml_backend_free", backend_);
    }
    void run(int threads) override
    {
        g_.call<void>("ggml_backend_cpu_set_n_threads", backend_, threads);
        last_ = next_++ % graphs_.size();
        g_.call<int>("ggml_backend_graph_compute", backend_, graphs_[last_]);
    }
    const void* result() const override
    {
        g_.call<void>("ggml_backend_tensor_get", y_[last_], static_cast<void*>(c_.data()), std::size_t(0), c_.size() * sizeof(float));
        return c_.data();
    }
    bool weight_row(std::ptrdiff_t j, float* out) const override
    {
        if (type_.number == 0)
            return false;
        const std::string symbol = type_.number == 1 ? "ggml_fp16_to_fp32_row" : std::string("dequantize_row_") + type_.name;
        g_.call<void>(symbol.c_str(), static_cast<const void*>(row(j)), out, k_);
        return true;
    }
    bool ready = false;

private:
    // Whether this CPU has a repacked layout for the tensor's type: its description then stands in the tensor, after the 64 bytes of its
    // name.
    bool has_layout(const void* tensor) const
    {
        const void* description = nullptr;
        std::memcpy(&description, g_.call<const char*>("ggml_get_name", tensor) + 64, sizeof description);
        return description != nullptr;
    }
    const std::uint8_t* row(std::ptrdiff_t j) const { return codes_.data() + static_cast<std::size_t>(j) * row_bytes_; }

    const api& g_;
    const tensor_type& type_;
    std::int64_t k_;
    std::size_t row_bytes_ = 0, next_ = 0, last_ = 0;
    std::vector<std::uint8_t> codes_;
    mutable std::vector<float> c_;
    void *backend_ = nullptr, *weights_ = nullptr, *others_ = nullptr, *weight_buffer_ = nullptr, *other_buffer_ = nullptr;
    std::vector<void*> w_, y_, graphs_;
};

class ggml : public bench::peer {
public:
    explicit ggml(api g) : g_(std::move(g)) {}
    std::string name() const override { return "ggml"; }
    std::string version() const override { return g_.call<const char*>("ggml_version") + (", " + g_.isa + " library"); }
    bool capped() const override { return true; }
    bench::contenders make(const bench::problem& p, int most_threads) override
    {
        if (threads_ == nullptr) {
            pool_params params = g_.call<pool_params>("ggml_threadpool_params_default", most_threads);
            threads_ = g_.call<void*>("ggml_threadpool_new", &params);
        }
        bench::contenders all;
        for (const tensor_type& type : types) {
            if ((!type.compared && !p.every_block_type) || p.w->k % g_.call<std::int64_t>("ggml_blck_size", type.number) != 0)
                continue;
            for (const bool repacked : {false, true}) {
                if ((repacked && type.what <= bench::kind::half) || !p.wants(product::kernel_of(type, repacked), type.what))
                    continue;
                auto made = std::make_unique<product>(g_, threads_, p, type, repacked);
                if (made->ready)
                    all.push_back(std::move(made));
            }
        }
        return all;
    }

private:
    api g_;
    void* threads_ = nullptr;
};

} // namespace

NIBBLE_BENCH_PEER(const std::string& folder, const std::string& cap, std::string& reason)
{
#if defined(__x86_64__)
    const std::string package = folder + "/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/";
#else
    const std::string package = folder + "/node_modules/@node-llama-cpp/linux-arm64/bins/linux-arm64/";
#endif
    DIR* const entries = opendir(package.c_str());
    if (entries == nullptr) {
        reason = "not installed: tests/peers fetches it";
        return nullptr;
    }
    const std::string wanted = cap == "avx2" ? "haswell" : cap == "avx512" ? "skylakex" : cap == "avx512vnni" ? "icelake" : "";
    api best;
    int best_score = 0;
    const std::string prefix = "libggml-cpu-", suffix = ".so";
    while (const dirent* entry = readdir(entries)) {
        const std::string file = entry->d_name;
        if (file.compare(0, prefix.size(), prefix) != 0)
            continue;
        api g;
        g.isa = file.substr(prefix.size(), file.size() - prefix.size() - suffix.size());
        if ((!wanted.empty() && g.isa != wanted) || (g.library = dlopen((package + file).c_str(), RTLD_NOW | RTLD_LOCAL)) == nullptr)
            continue;
        const auto score = g.get<int()>("ggml_backend_score");
        const int here = score == nullptr ? 0 : score();
        if (here > best_score) {
            best_score = here;
            best = g;
        }
    }
    closedir(entries);
    if (best.library == nullptr) {
        reason = "none of its libraries runs on this CPU" + (cap.empty() ? "" : " within " + cap);
        return nullptr;
    }
    best.call<void>("ggml_cpu_init");
    void (*const silent)(int, const char*, void*) = [](int, const char*, void*) {};
    best.call<void>("ggml_log_set", silent, static_cast<void*>(nullptr));
    return new ggml(best);
}
