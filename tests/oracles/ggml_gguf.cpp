// GGUF files against ggml's own reader and writer:   oracle_ggml_gguf LIBGGML_BASE FOLDER
// Each case of gguf_cases.hpp is read by both; where they differ on purpose the case is listed here. A file written by both from the same
// content has the same bytes, and ggml reads nibble's.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <dlfcn.h>

#include <nibble/gguf/writer.hpp>

#include "../gguf_cases.hpp"

using namespace nibble;

namespace {

// Cases that ggml reads and nibble does not, and the other way round. Of data cut off ggml takes no notice while it reads no data.
const char* const only_ggml[]
    = {"bool of 2", "bool of 2 in an array", "alignment 2^31", "elements wrap: 2^62 x 4", "elements wrap: 2^31 x 2^31 x 4",
        "elements wrap: 2^32 x 2^32", "elements wrap: 2^63-1 x 2 of i8", "elements wrap around a 0", "data cut off"};
const char* const only_nibble[] = {"tensor name of 64 bytes", "nested array", "gap", "out of order", "removed type q4_2",
    "removed type q4_0_4_4", "type 43", "type 2^32 - 1", "type 43 between others", "type 43 without elements"};

template <std::size_t N>
bool listed(const std::string& name, const char* const (&list)[N])
{
    for (const char* l : list)
        if (name == l)
            return true;
    return false;
}

void* library = nullptr;

template <class F>
F* symbol(const char* name)
{
    void* found = dlsym(library, name);
    if (found == nullptr) {
        std::fprintf(stderr, "%s is missing\n", name);
        std::exit(2);
    }
    return reinterpret_cast<F*>(found);
}

struct init_params {
    bool no_alloc;
    void** context;
};
struct context_params {
    std::size_t bytes;
    void* memory;
    bool no_alloc;
};

void store(const std::string& path, const std::vector<std::byte>& bytes)
{
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

std::vector<std::byte> load(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    const std::string s {std::istreambuf_iterator<char>(file), {}};
    std::vector<std::byte> bytes(s.size());
    std::memcpy(bytes.data(), s.data(), s.size());
    return bytes;
}

bool compare_readers(const std::string& folder)
{
    bool good = true;
    auto* open = symbol<void*(const char*, init_params)>("gguf_init_from_file");
    auto* close = symbol<void(void*)>("gguf_free");
    for (const test::gguf_case& c : test::gguf_cases()) {
        store(folder + "/case.gguf", c.bytes);
        void* file = open((folder + "/case.gguf").c_str(), {true, nullptr});
        const bool theirs = file != nullptr, ours = c.lenient == status::ok;
        if (file != nullptr)
            close(file);
        const bool expected = listed(c.name, only_ggml) ? theirs && !ours : listed(c.name, only_nibble) ? ours && !theirs : theirs == ours;
        if (!expected)
            std::printf("%s: ggml %s it, nibble says %s\n", c.name.c_str(), theirs ? "reads" : "refuses", to_string(c.lenient));
        good = good && expected;
    }
    return good;
}

bool compare_writers(const std::string& folder, std::uint32_t alignment)
{
    const std::vector<std::string_view> texts {"", "a", "\xc3\xa4\n"};
    const char* text_pointers[] = {"", "a", "\xc3\xa4\n"};
    const std::vector<float> floats {1.0f, -0.0f, 0.5f};
    std::vector<gguf_pair> pairs {{"general.architecture", "test"}, {"u8", std::uint8_t(200)}, {"i8", std::int8_t(-3)},
        {"u16", std::uint16_t(60000)}, {"i16", std::int16_t(-3)}, {"u32", 4000000000u}, {"i32", -5}, {"f32", 1.5f}, {"bool", true},
        {"u64", ~0ull}, {"i64", INT64_MIN}, {"f64", 0.1}, {"texts", span<const std::string_view>(texts)},
        {"floats", span<const float>(floats)}};
    void* file = symbol<void*()>("gguf_init_empty")();
    symbol<void(void*, const char*, const char*)>("gguf_set_val_str")(file, "general.architecture", "test");
    symbol<void(void*, const char*, std::uint8_t)>("gguf_set_val_u8")(file, "u8", 200);
    symbol<void(void*, const char*, std::int8_t)>("gguf_set_val_i8")(file, "i8", -3);
    symbol<void(void*, const char*, std::uint16_t)>("gguf_set_val_u16")(file, "u16", 60000);
    symbol<void(void*, const char*, std::int16_t)>("gguf_set_val_i16")(file, "i16", -3);
    symbol<void(void*, const char*, std::uint32_t)>("gguf_set_val_u32")(file, "u32", 4000000000u);
    symbol<void(void*, const char*, std::int32_t)>("gguf_set_val_i32")(file, "i32", -5);
    symbol<void(void*, const char*, float)>("gguf_set_val_f32")(file, "f32", 1.5f);
    symbol<void(void*, const char*, bool)>("gguf_set_val_bool")(file, "bool", true);
    symbol<void(void*, const char*, std::uint64_t)>("gguf_set_val_u64")(file, "u64", ~0ull);
    symbol<void(void*, const char*, std::int64_t)>("gguf_set_val_i64")(file, "i64", INT64_MIN);
    symbol<void(void*, const char*, double)>("gguf_set_val_f64")(file, "f64", 0.1);
    symbol<void(void*, const char*, const char**, std::size_t)>("gguf_set_arr_str")(file, "texts", text_pointers, 3);
    symbol<void(void*, const char*, int, const void*, std::size_t)>("gguf_set_arr_data")(file, "floats", 6, floats.data(), 3);
    if (alignment != 0) {
        pairs.push_back({"general.alignment", alignment});
        symbol<void(void*, const char*, std::uint32_t)>("gguf_set_val_u32")(file, "general.alignment", alignment);
    }

    struct shape {
        const char* name;
        ggml_type type;
        std::int64_t sizes[4];
    };
    const shape shapes[] = {{"embedding", ggml_type::q4_K, {512, 3, 1, 1}}, {"norm", ggml_type::f32, {5, 1, 1, 1}},
        {"experts", ggml_type::q8_0, {32, 2, 3, 1}}, {"four", ggml_type::f16, {3, 1, 1, 2}}, {"bytes", ggml_type::i8, {7, 1, 1, 1}},
        {"nv", ggml_type::nvfp4, {64, 1, 1, 1}}};
    void* context = symbol<void*(context_params)>("ggml_init")({1u << 20, nullptr, false});
    std::vector<gguf_tensor> tensors;
    std::vector<std::vector<std::byte>> data;
    for (const shape& s : shapes) {
        gguf_tensor t;
        t.name = s.name;
        t.type = s.type;
        t.dimensions = 4;
        std::memcpy(t.sizes, s.sizes, sizeof t.sizes);
        data.emplace_back(static_cast<std::size_t>(*detail::tensor_bytes(t)));
        for (std::size_t i = 0; i < data.back().size(); ++i)
            data.back()[i] = static_cast<std::byte>(i * 37 + data.size());
        void* tensor
            = symbol<void*(void*, int, int, const std::int64_t*)>("ggml_new_tensor")(context, static_cast<int>(s.type), 4, s.sizes);
        symbol<void*(void*, const char*)>("ggml_set_name")(tensor, s.name);
        std::memcpy(symbol<void*(const void*)>("ggml_get_data")(tensor), data.back().data(), data.back().size());
        symbol<void(void*, const void*)>("gguf_add_tensor")(file, tensor);
        tensors.push_back(t);
    }
    for (std::size_t i = 0; i < tensors.size(); ++i)
        tensors[i].data = data[i];

    const std::string path = folder + "/written.gguf";
    if (!symbol<bool(const void*, const char*, bool)>("gguf_write_to_file")(file, path.c_str(), false))
        return false;
    const std::vector<std::byte> theirs = load(path);
    std::vector<std::byte> ours(static_cast<std::size_t>(*gguf_file_size(pairs, tensors)));
    gguf_memory memory {ours};
    // Another alignment than 32 ggml's writer states, but does not keep.
    if (write_gguf(pairs, tensors, memory) != status::ok || (alignment == 0 && ours != theirs)) {
        std::printf("alignment %u: the written bytes differ\n", alignment);
        return false;
    }
    const auto read = gguf_reader::open(alignment == 0 ? theirs : ours);
    void* tensors_context = nullptr;
    store(path, ours);
    void* again = symbol<void*(const char*, init_params)>("gguf_init_from_file")(path.c_str(), {false, &tensors_context});
    return read && read->tensor_count() == tensors.size() && again != nullptr
           && symbol<std::int64_t(const void*)>("gguf_get_n_tensors")(again) == static_cast<std::int64_t>(tensors.size())
           && symbol<std::int64_t(const void*, const char*)>("gguf_find_key")(again, "floats") >= 0;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s LIBGGML_BASE FOLDER\n", argv[0]);
        return 2;
    }
    library = dlopen(argv[1], RTLD_NOW);
    if (library == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    symbol<void(void (*)(int, const char*, void*), void*)>("ggml_log_set")([](int, const char*, void*) {}, nullptr);
    const bool readers = compare_readers(argv[2]), writers = compare_writers(argv[2], 0) && compare_writers(argv[2], 128);
    std::printf("readers %s, writers %s\n", readers ? "agree" : "DIFFER", writers ? "agree" : "DIFFER");
    return readers && writers ? 0 : 1;
}
