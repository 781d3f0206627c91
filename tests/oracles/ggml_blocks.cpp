// Quantized bytes and dequantized floats against ggml's own library, bit for bit:
//   oracle_ggml_blocks LIBGGML_BASE [VALUES]     VALUES: how many a type and mode, 4000000 unless given
//   oracle_ggml_blocks LIBGGML_BASE --hashes     prints the table in tests/unit/blocks.cpp from ggml's own bytes
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <dlfcn.h>

#include <nibble/blocks/blocks.hpp>

#include "../block_data.hpp"

using namespace nibble;

namespace {

template <class F>
F* symbol(void* library, const std::string& name)
{
    void* found = dlsym(library, name.c_str());
    if (found == nullptr) {
        std::fprintf(stderr, "%s is missing\n", name.c_str());
        std::exit(2);
    }
    return reinterpret_cast<F*>(found);
}

using chunk_function = std::size_t(int, const float*, void*, std::int64_t, std::int64_t, std::int64_t, const float*);
using row_function = void(const float*, void*, std::int64_t);
using back_function = void(const void*, float*, std::int64_t);

struct verdict {
    long blocks = 0, differing = 0;
};

bool report(const char* what, const char* type, verdict v)
{
    std::printf("%-28s %-7s %9ld blocks, %ld differ\n", what, type, v.blocks, v.differing);
    return v.differing == 0;
}

verdict compare(const std::vector<std::byte>& a, const std::vector<std::byte>& b, std::size_t block, const std::vector<float>& x)
{
    verdict v;
    const std::size_t elements = x.size() / (a.size() / block);
    for (std::size_t at = 0; at < a.size(); at += block, ++v.blocks)
        if (std::memcmp(a.data() + at, b.data() + at, block) != 0 && ++v.differing <= 2) {
            std::printf("  block %ld, ggml / nibble:\n ", v.blocks);
            for (std::size_t i = 0; i < block; ++i)
                std::printf(" %02x", static_cast<unsigned>(a[at + i]));
            std::printf("\n ");
            for (std::size_t i = 0; i < block; ++i)
                std::printf(" %02x", static_cast<unsigned>(b[at + i]));
            std::printf("\n ");
            for (std::size_t i = 0; i < elements && i < 32; ++i)
                std::printf(" %a", static_cast<double>(x[at / block * elements + i]));
            std::printf("\n");
        }
    return v;
}

// One line a type: without importance, with it, and the floats that come back from the first.
void print_hashes(void* library)
{
    const std::ptrdiff_t rows = 64, cols = 512;
    const std::vector<float> x = test::block_data(rows, cols), importance = test::importance_data(cols);
    for (std::uint32_t id = 0; id < ggml_type_count; ++id) {
        const ggml_type type = static_cast<ggml_type>(id);
        if (!is_quantizable(type) || type == ggml_type::q8_1)
            continue;
        const std::string name = to_string(type);
        std::vector<std::byte> plain(static_cast<std::size_t>(*bytes_for(rows, cols, type))), weighted = plain;
        std::vector<float> back(x.size());
        if (type == ggml_type::q8_K) {
            symbol<row_function>(library, "quantize_row_q8_K_ref")(x.data(), plain.data(), rows * cols);
            weighted = plain;
        } else {
            auto* chunk = symbol<chunk_function>(library, "ggml_quantize_chunk");
            chunk(static_cast<int>(id), x.data(), plain.data(), 0, rows, cols, nullptr);
            chunk(static_cast<int>(id), x.data(), weighted.data(), 0, rows, cols, importance.data());
        }
        symbol<back_function>(library, "dequantize_row_" + name)(plain.data(), back.data(), rows * cols);
        for (float& f : back)
            f = is_nan(f) ? 0.0f : f;
        const auto print = [](const void* data, std::size_t size) {
            std::printf(", 0x%016llx", static_cast<unsigned long long>(test::hash(data, size)));
        };
        std::printf("    {ggml_type::%s", name.c_str());
        print(plain.data(), plain.size());
        print(weighted.data(), weighted.size());
        print(back.data(), back.size() * sizeof(float));
        std::printf("},\n");
    }
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s LIBGGML_BASE [VALUES]\n", argv[0]);
        return 2;
    }
    void* library = dlopen(argv[1], RTLD_NOW);
    if (library == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    const default_fp_mode mode; // -ffast-math links code that flushes subnormals in all of the program
    if (argc > 2 && std::strcmp(argv[2], "--hashes") == 0) {
        print_hashes(library);
        return 0;
    }
    const std::ptrdiff_t cols = 1024, rows = (argc > 2 ? std::atol(argv[2]) : 4000000) / cols;
    auto* chunk = symbol<chunk_function>(library, "ggml_quantize_chunk");
    const std::vector<float> x = test::block_data(rows, cols), importance = test::importance_data(cols);
    bool good = true;
    for (std::uint32_t id = 0; id < ggml_type_count; ++id) {
        const ggml_type type = static_cast<ggml_type>(id);
        if (!is_quantizable(type))
            continue;
        const std::string name = to_string(type);
        const std::size_t bytes = static_cast<std::size_t>(*bytes_for(rows, cols, type)),
                          block = static_cast<std::size_t>(block_bytes(type));
        std::vector<std::byte> theirs(bytes), ours(bytes);
        const auto quantize = [&](span<const float> weights) {
            ours.assign(bytes, std::byte {0});
            return quantize_blocks(type, {x.data(), rows, cols}, ours, weights) == status::ok;
        };
        if (type != ggml_type::iq4_nl) { // whose _ref is another algorithm
            theirs.assign(bytes, std::byte {0});
            symbol<row_function>(library, "quantize_row_" + name + "_ref")(x.data(), theirs.data(), rows * cols);
            good = quantize({}) && report("quantize_row_*_ref", to_string(type), compare(theirs, ours, block, x)) && good;
        }
        if (type != ggml_type::q8_1 && type != ggml_type::q8_K) {
            theirs.assign(bytes, std::byte {0});
            chunk(static_cast<int>(id), x.data(), theirs.data(), 0, rows, cols, nullptr);
            good = quantize({}) && report("ggml_quantize_chunk", to_string(type), compare(theirs, ours, block, x)) && good;
            theirs.assign(bytes, std::byte {0});
            chunk(static_cast<int>(id), x.data(), theirs.data(), 0, rows, cols, importance.data());
            good = quantize(importance) && report("the same with importance", to_string(type), compare(theirs, ours, block, x)) && good;
        }
        if (type != ggml_type::q8_1) {
            // Blocks of the data, and random bytes, among which are NaN scales: of those any NaN will do.
            std::vector<std::byte> in = ours;
            std::mt19937 random(id + 1);
            for (std::size_t i = bytes / 2; i < bytes; ++i)
                in[i] = static_cast<std::byte>(random());
            std::vector<float> a(x.size()), b(x.size());
            symbol<back_function>(library, "dequantize_row_" + name)(in.data(), a.data(), rows * cols);
            verdict v;
            v.blocks = static_cast<long>(bytes / block);
            if (dequantize_blocks(type, in, {b.data(), rows, cols}) != status::ok)
                return 1;
            for (std::size_t i = 0; i < a.size(); ++i)
                v.differing += float_bits(a[i]) != float_bits(b[i]) && !(is_nan(a[i]) && is_nan(b[i]));
            good = report("dequantize_row (floats)", to_string(type), v) && good;
        }
    }
    std::printf(good ? "all equal\n" : "DIFFERENT\n");
    return good ? 0 : 1;
}
