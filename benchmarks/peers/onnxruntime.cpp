// ONNX Runtime through its C interface, whose functions stand in a table at places that never change. Each product is a model of one
// operator a copy, written here in ONNX's protocol-buffer encoding; one run does all copies.
#include "../contender.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include <dlfcn.h>

namespace {

// Places in the table of functions.
enum place : std::size_t {
    get_error_message = 2,
    create_environment = 3,
    create_session_from_array = 8,
    run_session = 9,
    create_session_options = 10,
    set_optimization = 23,
    set_threads = 24,
    create_tensor = 49,
    create_cpu_memory_info = 69,
    release_session = 95,
    release_value = 96,
    release_session_options = 100,
};
void* const* table = nullptr;
void* environment = nullptr;

template <class Result, class... Arguments>
Result call(place at, Arguments... arguments)
{
    return reinterpret_cast<Result (*)(Arguments...)>(table[at])(arguments...);
}
template <class... Arguments>
void check(place at, Arguments... arguments)
{
    if (void* const status = call<void*>(at, arguments...)) {
        std::fprintf(stderr, "benchmark: ONNX Runtime: %s\n", call<const char*>(get_error_message, static_cast<const void*>(status)));
        std::exit(1);
    }
}

// Protocol buffers: fields of numbers and of bytes.
struct message {
    std::string bytes;
    void number(std::uint64_t n)
    {
        for (; n > 127; n >>= 7)
            bytes += static_cast<char>(n | 128);
        bytes += static_cast<char>(n);
    }
    message& field(unsigned id, std::uint64_t n)
    {
        number(id << 3);
        number(n);
        return *this;
    }
    message& field(unsigned id, const std::string& s)
    {
        number(id << 3 | 2);
        number(s.size());
        bytes += s;
        return *this;
    }
    message& field(unsigned id, const message& m) { return field(id, m.bytes); }
};

enum element : std::uint64_t { f32 = 1, u8 = 2, s8 = 3, s32 = 6 };
using dimensions = std::vector<std::int64_t>;

template <class T>
message tensor(const std::string& name, element type, const dimensions& shape, const std::vector<T>& data)
{
    message m;
    for (const std::int64_t d : shape)
        m.field(1, static_cast<std::uint64_t>(d));
    m.field(2, type).field(8, name);
    return m.field(9, std::string(reinterpret_cast<const char*>(data.data()), data.size() * sizeof(T)));
}
message value(const std::string& name, element type, std::int64_t columns)
{
    message dims;
    dims.field(1, message().field(2, name + " rows")).field(1, message().field(1, static_cast<std::uint64_t>(columns)));
    return message().field(1, name).field(2, message().field(1, message().field(1, type).field(2, dims)));
}
message attribute(const std::string& name, const dimensions& values)
{
    message m;
    m.field(1, name);
    for (const std::int64_t v : values)
        m.field(8, static_cast<std::uint64_t>(v));
    return m.field(20, std::uint64_t(7));
}
message attribute(const std::string& name, std::int64_t v)
{
    return message().field(1, name).field(3, static_cast<std::uint64_t>(v)).field(20, std::uint64_t(2));
}

// One operator, a copy for each matrix of weights, and a session for each number of threads, made when it is first needed. The rows of
// activations are left open. Equal initializers would be kept once, so inputs() must give other weights for each copy.
struct model {
    model(const std::string& type, bool microsoft, element in, element out, std::int64_t k, std::int64_t n, int copies,
        const std::vector<message>& attributes,
        const std::function<std::vector<std::pair<std::string, message>>(const std::string&)>& inputs)
    {
        message graph;
        for (int i = 0; i < copies; ++i) {
            const std::string copy = std::to_string(i);
            names.push_back("c" + copy);
            message node;
            node.field(1, std::string("a"));
            for (const auto& [name, initializer] : inputs(copy)) {
                node.field(1, name);
                graph.field(5, initializer);
            }
            node.field(2, names.back()).field(4, type);
            for (const message& m : attributes)
                node.field(5, m);
            if (microsoft)
                node.field(7, std::string("com.microsoft"));
            graph.field(1, node);
        }
        graph.field(2, std::string("g")).field(11, value("a", in, k));
        for (const std::string& name : names)
            graph.field(12, value(name, out, n));
        file.field(1, std::uint64_t(8)).field(7, graph).field(8, message().field(1, std::string()).field(2, std::uint64_t(17)));
        if (microsoft)
            file.field(8, message().field(1, std::string("com.microsoft")).field(2, std::uint64_t(1)));
    }
    ~model()
    {
        for (const auto& [threads, session] : sessions)
            call<void>(release_session, session);
    }
    model(const model&) = delete;
    model& operator=(const model&) = delete;

    void* session(int threads)
    {
        void*& made = sessions[threads];
        if (made == nullptr) {
            void* options = nullptr;
            check(create_session_options, &options);
            check(set_threads, options, threads);
            check(set_optimization, options, 99);
            check(create_session_from_array, environment, static_cast<const void*>(file.bytes.data()), file.bytes.size(), options, &made);
            call<void>(release_session_options, options);
        }
        return made;
    }

    message file;
    std::vector<std::string> names; // of the results
    std::map<int, void*> sessions;
};

class product : public bench::contender {
public:
    product(const bench::problem& p, bench::kind k, const std::string& title, element in, element out, const void* a, std::size_t bytes,
        std::shared_ptr<model> m)
        : c_(static_cast<std::size_t>(p.m * p.w->n)), other_(c_.size()), model_(std::move(m))
    {
        what = k;
        kernel = title;
        weight_bytes = bytes;
        calls_per_run = static_cast<int>(model_->names.size());
        void* memory = nullptr;
        check(create_cpu_memory_info, 0, 0, &memory);
        const std::int64_t a_shape[] = {p.m, p.w->k}, c_shape[] = {p.m, p.w->n};
        const std::size_t a_bytes = static_cast<std::size_t>(p.m * p.w->k) * (in == f32 ? 4 : 1);
        check(create_tensor, static_cast<const void*>(memory), const_cast<void*>(a), a_bytes, &a_shape[0], std::size_t(2), int(in), &a_);
        for (const std::string& name : model_->names) {
            outputs_.push_back(nullptr);
            void* const to = &name == &model_->names.front() ? c_.data() : other_.data(); // of the weights as they are
            check(create_tensor, static_cast<const void*>(memory), to, c_.size() * 4, &c_shape[0], std::size_t(2), int(out),
                &outputs_.back());
            output_names_.push_back(name.c_str());
        }
    }
    ~product() override
    {
        for (void* output : outputs_)
            call<void>(release_value, output);
        call<void>(release_value, a_);
    }
    void run(int threads) override
    {
        const char* const input = "a";
        check(run_session, model_->session(threads), static_cast<const void*>(nullptr), &input, static_cast<const void* const*>(&a_),
            std::size_t(1), static_cast<const char* const*>(output_names_.data()), output_names_.size(), outputs_.data());
    }
    const void* result() const override { return c_.data(); }

private:
    std::vector<std::int32_t> c_, other_; // or floats, of the same size
    std::shared_ptr<model> model_;
    std::vector<const char*> output_names_;
    std::vector<void*> outputs_;
    void* a_ = nullptr;
};

// QLinearConv of images in NHWC, which is what ONNX Runtime itself makes of convolutions.
class convolution : public bench::contender {
public:
    explicit convolution(const bench::convolution& c) : y_(static_cast<std::size_t>(c.out_size * c.out_size * c.out))
    {
        kernel = "QLinearConv";
        const std::int64_t in = c.depthwise ? 1 : c.in, taps = c.kernel * c.kernel;
        std::vector<std::int8_t> w(c.w.size()); // out x in x kernel x kernel
        for (std::int64_t o = 0; o < c.out; ++o)
            for (std::int64_t t = 0; t < taps; ++t)
                for (std::int64_t i = 0; i < in; ++i)
                    w[static_cast<std::size_t>((o * in + i) * taps + t)]
                        = c.w[static_cast<std::size_t>(c.depthwise ? t * c.out + o : (o * taps + t) * in + i)];
        const std::vector<float> x_scale {c.x_scale}, y_scale {c.y_scale};
        const std::vector<std::int8_t> x_zero {static_cast<std::int8_t>(c.x_zero_point)}, y_zero {static_cast<std::int8_t>(c.y_zero_point)},
            w_zero(static_cast<std::size_t>(c.out));
        message node, graph;
        node.field(1, std::string("x"));
        for (const auto& [name, initializer] :
            {std::pair {"x_scale", tensor("x_scale", f32, {}, x_scale)}, {"x_zero", tensor("x_zero", s8, {}, x_zero)},
                {"w", tensor("w", s8, {c.out, in, c.kernel, c.kernel}, w)}, {"w_scale", tensor("w_scale", f32, {c.out}, c.w_scales)},
                {"w_zero", tensor("w_zero", s8, {c.out}, w_zero)}, {"y_scale", tensor("y_scale", f32, {}, y_scale)},
                {"y_zero", tensor("y_zero", s8, {}, y_zero)}, {"bias", tensor("bias", s32, {c.out}, c.bias)}}) {
            node.field(1, std::string(name));
            graph.field(5, initializer);
        }
        node.field(2, std::string("y")).field(4, std::string("QLinearConv")).field(7, std::string("com.microsoft"));
        node.field(5, attribute("channels_last", 1)).field(5, attribute("group", c.depthwise ? c.in : 1));
        node.field(5, attribute("kernel_shape", dimensions {c.kernel, c.kernel}));
        node.field(5, attribute("strides", dimensions {c.stride, c.stride}));
        node.field(5, attribute("pads", dimensions {c.pad_before, c.pad_before, c.pad_after, c.pad_after}));
        const auto image = [](const std::string& name, const dimensions& shape) {
            message dims;
            for (const std::int64_t d : shape)
                dims.field(1, message().field(1, static_cast<std::uint64_t>(d)));
            return message().field(1, name).field(2, message().field(1, message().field(1, s8).field(2, dims)));
        };
        const dimensions x_shape {1, c.size, c.size, c.in}, y_shape {1, c.out_size, c.out_size, c.out};
        graph.field(1, node).field(2, std::string("g")).field(11, image("x", x_shape)).field(12, image("y", y_shape));
        message all;
        all.field(1, std::uint64_t(8)).field(7, graph).field(8, message().field(1, std::string()).field(2, std::uint64_t(17)));
        all.field(8, message().field(1, std::string("com.microsoft")).field(2, std::uint64_t(1)));
        void *options = nullptr, *memory = nullptr;
        check(create_session_options, &options);
        check(set_threads, options, 1);
        check(set_optimization, options, 99);
        check(create_session_from_array, environment, static_cast<const void*>(all.bytes.data()), all.bytes.size(), options, &session_);
        call<void>(release_session_options, options);
        check(create_cpu_memory_info, 0, 0, &memory);
        check(create_tensor, static_cast<const void*>(memory), static_cast<void*>(const_cast<std::int8_t*>(c.x.data())), c.x.size(),
            x_shape.data(), x_shape.size(), int(s8), &x_);
        check(create_tensor, static_cast<const void*>(memory), static_cast<void*>(y_.data()), y_.size(), y_shape.data(), y_shape.size(),
            int(s8), &output_);
    }
    ~convolution() override
    {
        call<void>(release_value, output_);
        call<void>(release_value, x_);
        call<void>(release_session, session_);
    }
    convolution(const convolution&) = delete;
    convolution& operator=(const convolution&) = delete;

    void run(int) override
    {
        const char *const input = "x", *const output = "y";
        check(run_session, session_, static_cast<const void*>(nullptr), &input, static_cast<const void* const*>(&x_), std::size_t(1),
            &output, std::size_t(1), &output_);
    }
    const void* result() const override { return y_.data(); }

private:
    std::vector<std::int8_t> y_;
    void *session_ = nullptr, *x_ = nullptr, *output_ = nullptr;
};

template <class T>
std::vector<T> transposed(const std::vector<T>& w, std::ptrdiff_t n, std::ptrdiff_t k)
{
    std::vector<T> t(w.size());
    constexpr std::ptrdiff_t block = 64;
    for (std::ptrdiff_t j = 0; j < n; j += block)
        for (std::ptrdiff_t i = 0; i < k; ++i)
            for (std::ptrdiff_t l = j; l < std::min(n, j + block); ++l)
                t[static_cast<std::size_t>(i * n + l)] = w[static_cast<std::size_t>(l * k + i)];
    return t;
}

class onnxruntime : public bench::peer {
public:
    explicit onnxruntime(std::string version) : version_(std::move(version)) {}
    std::string version() const override { return version_; }
    bool capped() const override { return false; }
    bench::contenders make(const bench::problem& p) override
    {
        using named = std::vector<std::pair<std::string, message>>;
        bench::contenders all;
        const std::int64_t n = p.w->n, k = p.w->k;
        const std::size_t int8_bytes = static_cast<std::size_t>(n * k);
        const auto add = [&](bench::kind what, const std::string& title, const std::string& type, bool microsoft, element in, element out,
                             auto activations, std::size_t bytes, const std::vector<message>& attributes, auto inputs) {
            if (!p.wants(title, what))
                return;
            auto made = p.shared<model>("onnxruntime " + title + bench::name_of(what), [&] {
                return std::make_shared<model>(type, microsoft, in, out, k, n, static_cast<int>(p.copies_of(bytes)), attributes, inputs);
            });
            all.push_back(std::make_unique<product>(p, what, title, in, out, (p.*activations)().data(), bytes, std::move(made)));
        };
        // k x n, and other in one code for each copy but the first, which is the one that is checked.
        const auto int8 = [&](const std::string& copy) {
            const auto plain = p.shared<std::vector<std::int8_t>>(
                "onnxruntime w", [&] { return std::make_shared<std::vector<std::int8_t>>(transposed(p.w->s8(), n, k)); });
            std::vector<std::int8_t> w = *plain;
            const std::size_t number = static_cast<std::size_t>(std::stoi(copy));
            w[number % w.size()] = static_cast<std::int8_t>(w[number % w.size()] ^ (number == 0 ? 0 : 1 + number / w.size()));
            return w;
        };

        const std::vector<message> none;
        const auto signed_weights = [&](const std::string& copy) {
            return named {{"w" + copy, tensor("w" + copy, s8, {k, n}, int8(copy))}};
        };
        using problem = bench::problem;
        const char* const u8s8 = "MatMulInteger_u8_x_s8";
        add(bench::kind::u8s8, u8s8, "MatMulInteger", false, u8, s32, &problem::a_u8, int8_bytes, none, signed_weights);
        add(bench::kind::u7s8, u8s8, "MatMulInteger", false, u8, s32, &problem::a_u7, int8_bytes, none, signed_weights);
        add(bench::kind::s8s8, "MatMulInteger_s8_x_s8", "MatMulInteger", false, s8, s32, &problem::a_s8, int8_bytes, none, signed_weights);
        add(bench::kind::u8s8, "MatMulInteger_u8_x_u8", "MatMulInteger", false, u8, s32, &problem::a_u8, int8_bytes, none,
            [&](const std::string& copy) {
                std::vector<std::uint8_t> shifted;
                for (const std::int8_t code : int8(copy))
                    shifted.push_back(static_cast<std::uint8_t>(code + 128));
                const std::vector<std::uint8_t> no_offset {0}, offset {128};
                return named {{"w" + copy, tensor("w" + copy, u8, {k, n}, shifted)}, {"x" + copy, tensor("x" + copy, u8, {}, no_offset)},
                    {"z" + copy, tensor("z" + copy, u8, {}, offset)}};
            });
        add(bench::kind::int8, "DynamicQuantizeMatMul", "DynamicQuantizeMatMul", true, f32, f32, &problem::a, int8_bytes, none,
            [&](const std::string& copy) {
                return named {
                    {"w" + copy, tensor("w" + copy, s8, {k, n}, int8(copy))}, {"s" + copy, tensor("s" + copy, f32, {n}, p.w->s8_scales())}};
            });
        for (const bench::kind what : {bench::kind::int4_group32, bench::kind::int4_group128}) {
            const std::int64_t group = what == bench::kind::int4_group32 ? 32 : 128, blocks = k / group;
            if (k % group != 0)
                continue;
            constexpr std::int64_t by_int8_products = 4;
            add(what, "MatMulNBits", "MatMulNBits", true, f32, f32, &problem::a,
                int8_bytes / 2 + static_cast<std::size_t>(n * blocks) * sizeof(float),
                {attribute("K", k), attribute("N", n), attribute("bits", 4), attribute("block_size", group),
                    attribute("accuracy_level", by_int8_products)},
                [&, what, group, blocks](const std::string& copy) {
                    // Codes q + 8, which is what it takes for a missing zero point; copies differ as above.
                    std::vector<std::uint8_t> codes = p.w->int4(what).codes;
                    for (std::uint8_t& c : codes)
                        c ^= 0x88;
                    const std::size_t number = static_cast<std::size_t>(std::stoi(copy));
                    codes[number % codes.size()] = static_cast<std::uint8_t>(codes[number % codes.size()] ^ (number == 0 ? 0 : 1));
                    std::vector<float> scales = p.w->int4(what).scales;
                    if (number != 0)
                        scales[number % scales.size()] *= 1.00001f;
                    return named {{"w" + copy, tensor("w" + copy, u8, {n, blocks, group / 2}, codes)},
                        {"s" + copy, tensor("s" + copy, f32, {n * blocks}, scales)}};
                });
        }
        return all;
    }

    bench::contenders make(const bench::convolution& c) override
    {
        bench::contenders all;
        all.push_back(std::make_unique<convolution>(c));
        return all;
    }

private:
    std::string version_;
};

} // namespace

NIBBLE_BENCH_PEER(const std::string& folder, const std::string&, int, std::string& reason)
{
#if defined(__x86_64__)
    const std::string file = folder + "/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1";
#else
    const std::string file = folder + "/node_modules/onnxruntime-node/bin/napi-v6/linux/arm64/libonnxruntime.so.1";
#endif
    void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        reason = "not installed: tests/peers fetches it";
        return nullptr;
    }
    struct base {
        void* const* (*functions)(std::uint32_t version);
        const char* (*version)();
    };
    const base* const b = reinterpret_cast<const base* (*)()>(dlsym(library, "OrtGetApiBase"))();
    table = b->functions(14);
    constexpr int errors_only = 3;
    check(create_environment, errors_only, "nibble", &environment);
    return new onnxruntime(b->version());
}
