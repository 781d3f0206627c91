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
};
constexpr tensor_type types[] = {{0, "f32", bench::kind::f32}, {1, "f16", bench::kind::half}, {8, "q8_0", bench::kind::int8_group32},
    {2, "q4_0", bench::kind::q4_0}, {12, "q4_K", bench::kind::q4_K}, {14, "q6_K", bench::kind::q6_K}, {20, "iq4_nl", bench::kind::iq4_nl},
    {39, "mxfp4", bench::kind::mxfp4}};

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

void* new_context(const api& g, std::size_t tensors, std::size_t more)
{
    return g.call<void*>("ggml_init", init_params {tensors * g.call<std::size_t>("ggml_tensor_overhead") + more, nullptr, true});
}

// Copies of weights of one type in one buffer.
struct weights {
    weights(const api& ggml, void* buffers, const tensor_type& type, std::int64_t n, std::int64_t k, std::size_t copies) : g(ggml)
    {
        context = new_context(g, copies, 0);
        for (std::size_t i = 0; i < copies; ++i)
            tensors.push_back(g.call<void*>("ggml_new_tensor_2d", context, type.number, k, n));
        buffer = g.call<void*>("ggml_backend_alloc_ctx_tensors_from_buft", context, buffers);
    }
    ~weights()
    {
        if (buffer != nullptr)
            g.call<void>("ggml_backend_buffer_free", buffer);
        g.call<void>("ggml_free", context);
    }
    weights(const weights&) = delete;
    weights& operator=(const weights&) = delete;

    // Whether this CPU has a repacked layout for the tensors' type: its description then stands in the tensor, after the 64 bytes of its
    // name.
    bool has_layout() const
    {
        const void* description = nullptr;
        if (buffer != nullptr)
            std::memcpy(&description, g.call<const char*>("ggml_get_name", tensors.front()) + 64, sizeof description);
        return description != nullptr;
    }

    const api& g;
    void *context = nullptr, *buffer = nullptr;
    std::vector<void*> tensors;
    std::vector<std::uint8_t> codes; // of one of them, before it is repacked
};

class product : public bench::contender {
public:
    product(const api& g, void* threads, const bench::problem& p, const tensor_type& type, std::string name, void* buffers)
        : g_(g), type_(type), k_(p.w->k), row_bytes_(g.call<std::size_t>("ggml_row_size", type.number, k_)),
          c_(static_cast<std::size_t>(p.m * p.w->n))
    {
        what = type.what;
        kernel = std::move(name);
        if (type.what == bench::kind::half)
            error_bound = 1e-3; // it rounds the activations to halves, too
        backend_ = g.call<void*>("ggml_backend_cpu_init");
        g.call<void>("ggml_backend_cpu_set_threadpool", backend_, threads);
        weight_bytes = row_bytes_ * static_cast<std::size_t>(p.w->n);
        const std::size_t copies = p.copies_of(weight_bytes);
        w_ = p.shared<weights>("ggml " + kernel, [&] {
            auto all = std::make_shared<weights>(g, buffers, type, p.w->n, k_, copies);
            if (bench::block_type(type.what) != 0) {
                all->codes = p.w->blocks(type.what);
            } else {
                all->codes.resize(weight_bytes);
                g.call<std::size_t>("ggml_quantize_chunk", type.number, p.w->f32().data(), static_cast<void*>(all->codes.data()),
                    std::int64_t(0), std::int64_t(p.w->n), k_, static_cast<const float*>(nullptr));
            }
            for (void* w : all->tensors)
                g.call<void>("ggml_backend_tensor_set", w, static_cast<const void*>(all->codes.data()), std::size_t(0), weight_bytes);
            return all;
        });

        // Activations and results in a buffer of their own, a graph for each copy.
        others_ = new_context(g, 1 + copies, copies * g.call<std::size_t>("ggml_graph_overhead"));
        void* const a = g.call<void*>("ggml_new_tensor_2d", others_, 0, k_, std::int64_t(p.m));
        for (void* w : w_->tensors) {
            y_.push_back(g.call<void*>("ggml_mul_mat", others_, w, a));
            graphs_.push_back(g.call<void*>("ggml_new_graph", others_));
            g.call<void>("ggml_build_forward_expand", graphs_.back(), y_.back());
        }
        buffer_ = g.call<void*>("ggml_backend_alloc_ctx_tensors_from_buft", others_, g.call<void*>("ggml_backend_cpu_buffer_type"));
        g.call<void>("ggml_backend_tensor_set", a, static_cast<const void*>(p.a().data()), std::size_t(0), p.a().size() * sizeof(float));
    }
    ~product() override
    {
        g_.call<void>("ggml_backend_buffer_free", buffer_);
        g_.call<void>("ggml_free", others_);
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
        const std::uint8_t* const row = w_->codes.data() + static_cast<std::size_t>(j) * row_bytes_;
        g_.call<void>(symbol.c_str(), static_cast<const void*>(row), out, k_);
        return true;
    }

private:
    const api& g_;
    const tensor_type& type_;
    std::int64_t k_;
    std::size_t row_bytes_, next_ = 0, last_ = 0;
    mutable std::vector<float> c_;
    void *backend_ = nullptr, *others_ = nullptr, *buffer_ = nullptr;
    std::shared_ptr<weights> w_;
    std::vector<void*> y_, graphs_;
};

// Rows of floats to blocks, or back.
class conversion : public bench::contender {
public:
    conversion(const api& g, const tensor_type& type, bool back, const float* x, std::ptrdiff_t rows, std::ptrdiff_t columns)
        : quantize_(
            g.get<std::size_t(int, const float*, void*, std::int64_t, std::int64_t, std::int64_t, const float*)>("ggml_quantize_chunk")),
          dequantize_(g.get<void(const void*, float*, std::int64_t)>((std::string("dequantize_row_") + type.name).c_str())),
          type_(type.number), back_(back), rows_(rows), columns_(columns), x_(x, x + rows * columns),
          blocks_(static_cast<std::size_t>(rows) * g.call<std::size_t>("ggml_row_size", type.number, std::int64_t(columns)))
    {
        kernel = back ? "dequantize" : "quantize";
        quantize_(type_, x_.data(), blocks_.data(), 0, rows_, columns_, nullptr);
    }
    void run(int) override
    {
        if (back_)
            dequantize_(blocks_.data(), x_.data(), rows_ * columns_);
        else
            quantize_(type_, x_.data(), blocks_.data(), 0, rows_, columns_, nullptr);
    }

private:
    std::size_t (*quantize_)(int, const float*, void*, std::int64_t, std::int64_t, std::int64_t, const float*);
    void (*dequantize_)(const void*, float*, std::int64_t);
    int type_;
    bool back_;
    std::int64_t rows_, columns_;
    std::vector<float> x_;
    std::vector<std::uint8_t> blocks_;
};

class ggml : public bench::peer {
public:
    ggml(api g, int threads) : g_(std::move(g))
    {
        pool_params params = g_.call<pool_params>("ggml_threadpool_params_default", threads);
        threads_ = g_.call<void*>("ggml_threadpool_new", &params);
        void* const backend = g_.call<void*>("ggml_backend_cpu_init");
        plain_ = g_.call<void*>("ggml_backend_cpu_buffer_type");
        repacking_ = repacking_buffers(g_, backend);
        g_.call<void>("ggml_backend_free", backend);
    }
    std::string version() const override { return g_.call<const char*>("ggml_version") + (", " + g_.isa + " library"); }
    bool capped() const override { return true; }
    bench::contenders make(const bench::problem& p) override
    {
        bench::contenders all;
        for (const tensor_type& type : types) {
            if (p.w->k % g_.call<std::int64_t>("ggml_blck_size", type.number) != 0)
                continue;
            if (p.wants(type.name, type.what))
                all.push_back(std::make_unique<product>(g_, threads_, p, type, type.name, plain_));
            const std::string name = std::string(type.name) + "_repacked";
            if (type.what > bench::kind::half && repacking_ != nullptr && weights(g_, repacking_, type, p.w->n, p.w->k, 1).has_layout()
                && p.wants(name, type.what))
                all.push_back(std::make_unique<product>(g_, threads_, p, type, name, repacking_));
        }
        return all;
    }
    bench::contenders make(unsigned block_type, const float* x, std::ptrdiff_t rows, std::ptrdiff_t columns) override
    {
        bench::contenders all;
        for (const tensor_type& type : types)
            if (type.number == static_cast<int>(block_type))
                for (const bool back : {false, true})
                    all.push_back(std::make_unique<conversion>(g_, type, back, x, rows, columns));
        return all;
    }

private:
    api g_;
    void *threads_ = nullptr, *plain_ = nullptr, *repacking_ = nullptr;
};

} // namespace

NIBBLE_BENCH_PEER(const std::string& folder, const std::string& cap, int threads, std::string& reason)
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
    return new ggml(best, threads);
}
