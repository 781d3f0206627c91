// llama.cpp's library, by its C interface.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <dlfcn.h>

#include <nibble/gguf/recipe.hpp>

namespace {

// llama.cpp's structs, passed by value: as much of them as is used, and more room than they take.
struct any_params {
    std::uint32_t first[3]; // of a context: tokens, those of a call, those computed at once
    std::uint32_t rest[253];
};
struct quantize_params {
    std::int32_t threads, file_type;
    char rest[504];
};
struct batch {
    std::int32_t count;
    std::int32_t* tokens;
    float* embeddings;
    std::int32_t *positions, *sequence_counts, **sequences;
    std::int8_t* wanted;
};

[[noreturn]] void fail(const std::string& what)
{
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

std::string load(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

nibble::span<const std::byte> bytes_of(const std::string& s) { return {reinterpret_cast<const std::byte*>(s.data()), s.size()}; }

class llama {
public:
    explicit llama(const std::string& folder)
    {
        library_ = open(folder + "/libllama.v0.5.0.so");
        function<void(const char*)>(open(folder + "/libggml.v0.5.0.so"), "ggml_backend_load_all_from_path")(folder.c_str());
        function<void(void (*)(int, const char*, void*), void*)>("llama_log_set")(
            [](int level, const char* text, void*) { level == 4 ? (void)std::fputs(text, stderr) : (void)0; }, nullptr);
        function<void()>("llama_backend_init")();
    }

    void quantize(const std::string& from, const std::string& to, nibble::recipe wanted) const
    {
        quantize_params params = function<quantize_params()>("llama_model_quantize_default_params")();
        params.threads = 2;
        params.file_type = static_cast<std::int32_t>(wanted);
        if (function<std::uint32_t(const char*, const char*, const quantize_params*)>("llama_model_quantize")(
                from.c_str(), to.c_str(), &params)
            != 0)
            fail("llama.cpp does not quantize to " + to);
    }

    // With what the vocabulary puts in front, and no special tokens in the text.
    std::vector<std::vector<std::int32_t>> tokenize(const std::string& path, const std::vector<std::string>& texts) const
    {
        void* loaded = load_model(path);
        const void* vocabulary = function<const void*(void*)>("llama_model_get_vocab")(loaded);
        std::vector<std::vector<std::int32_t>> all;
        for (const std::string& text : texts) {
            std::vector<std::int32_t> tokens(4 * text.size() + 8);
            const std::int32_t count
                = function<std::int32_t(const void*, const char*, std::int32_t, std::int32_t*, std::int32_t, bool, bool)>("llama_tokenize")(
                    vocabulary, text.data(), static_cast<std::int32_t>(text.size()), tokens.data(),
                    static_cast<std::int32_t>(tokens.size()), true, false);
            if (count < 0)
                fail("llama.cpp does not tokenize " + text);
            tokens.resize(static_cast<std::size_t>(count));
            all.push_back(tokens);
        }
        function<void(void*)>("llama_model_free")(loaded);
        return all;
    }

    // The logits of every position of every window.
    std::vector<std::vector<float>> run(
        const std::string& path, const std::vector<std::vector<std::int32_t>>& windows, std::size_t vocabulary) const
    {
        void* loaded = load_model(path);
        any_params params = function<any_params()>("llama_context_default_params")();
        const std::size_t length = windows[0].size();
        for (std::uint32_t& n : params.first)
            n = static_cast<std::uint32_t>(length);
        void* context = function<void*(void*, any_params)>("llama_init_from_model")(loaded, params);
        if (context == nullptr)
            fail("llama.cpp makes no context for " + path);
        std::vector<std::vector<float>> all;
        for (const std::vector<std::int32_t>& w : windows) {
            function<void(void*, bool)>("llama_memory_clear")(function<void*(void*)>("llama_get_memory")(context), true);
            const batch b
                = function<batch(std::int32_t, std::int32_t, std::int32_t)>("llama_batch_init")(static_cast<std::int32_t>(length), 0, 1);
            batch filled = b;
            filled.count = static_cast<std::int32_t>(length);
            for (std::size_t i = 0; i < length; ++i) {
                filled.tokens[i] = w[i];
                filled.positions[i] = static_cast<std::int32_t>(i);
                filled.sequence_counts[i] = 1;
                filled.sequences[i][0] = 0;
                filled.wanted[i] = 1;
            }
            if (function<std::int32_t(void*, batch)>("llama_decode")(context, filled) != 0)
                fail("llama.cpp does not run " + path);
            const float* z = function<float*(void*)>("llama_get_logits")(context);
            all.emplace_back(z, z + length * vocabulary);
            function<void(batch)>("llama_batch_free")(b);
        }
        function<void(void*)>("llama_free")(context);
        function<void(void*)>("llama_model_free")(loaded);
        return all;
    }

private:
    void* library_;

    static void* open(const std::string& path)
    {
        void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
        if (library == nullptr)
            fail(dlerror());
        return library;
    }
    void* load_model(const std::string& path) const
    {
        void* loaded = function<void*(const char*, any_params)>("llama_model_load_from_file")(
            path.c_str(), function<any_params()>("llama_model_default_params")());
        if (loaded == nullptr)
            fail("llama.cpp does not load " + path);
        return loaded;
    }
    template <class Signature>
    static Signature* function(void* library, const char* name)
    {
        void* found = dlsym(library, name);
        if (found == nullptr)
            fail(std::string("llama.cpp has no ") + name);
        return reinterpret_cast<Signature*>(found);
    }
    template <class Signature>
    Signature* function(const char* name) const
    {
        return function<Signature>(library_, name);
    }
};

} // namespace
