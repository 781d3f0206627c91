// oracle_interop FOLDER: reads the files of others in FOLDER and says what is in them, one line an array.
//   NAME.npy                                     beside it NAME.again: the elements, of a matrix as nibble writes a .npy file; big-endian
//                                                and column-major ones are copied
//   NAME.cases                                   .npy files one after another, each behind its length: a line for each
//   gptq1|gptq2|awq-BITS-N-K-GROUP.safetensors   a layer; beside it NAME.weights.npy: its weights, n x k
//   NAME.safetensors                             the tensors and a hash of each one's bytes
// interop.py and safetensors.js write the files and judge the answers.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <nibble/nibble.hpp>

using namespace nibble;

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what)
{
    std::printf("FAILED %s\n", what.c_str());
    std::exit(1);
}

void need(status s, const std::string& what)
{
    if (s != status::ok)
        fail(what + ": " + to_string(s));
}

std::vector<std::byte> read_file(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::vector<std::byte> out(bytes.size());
    std::transform(bytes.begin(), bytes.end(), out.begin(), [](char c) { return static_cast<std::byte>(c); });
    return out;
}

void append(std::ofstream& file, span<const std::byte> bytes)
{
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

const char* name_of(element_type t)
{
    static constexpr const char* names[] = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64",
        "F8_E4M3", "F8_E5M2", "F8_E8M0", "C64", "?"};
    return names[static_cast<std::size_t>(t)];
}

void print(const std::string& name, const array& a)
{
    std::printf("%s %s", name.c_str(), name_of(a.type));
    for (std::uint32_t i = 0; i < a.dimensions; ++i)
        std::printf(" %td", a.sizes[i]);
}

template <class T>
bool put_header(const array& a, std::ofstream& file)
{
    if (a.type != element_type_of<T> || a.dimensions != 2)
        return false;
    std::vector<std::byte> header(128);
    const auto size = npy_header<T>(a.sizes[0], a.sizes[1], header);
    append(file, span<const std::byte>(header.data(), *size));
    return true;
}

template <class... T>
void put_array(const array& a, const fs::path& path)
{
    std::ofstream file(path, std::ios::binary);
    (put_header<T>(a, file) || ...);
    append(file, a.data);
}

std::uint64_t hash_of(span<const std::byte> bytes)
{
    std::uint64_t hash = 14695981039346656037u; // FNV-1a
    for (const std::byte b : bytes)
        hash = (hash ^ static_cast<std::uint64_t>(b)) * 1099511628211u;
    return hash;
}

// Whether the view of a file shows the elements of its copy, at the places that its order gives them.
bool same_elements(const array& view, const array& copy)
{
    const std::size_t size = static_cast<std::size_t>(size_of(copy.type)), count = copy.data.size() / size;
    for (std::size_t e = 0; e < count; ++e) {
        std::size_t left = e, place = 0, stride = count;
        for (std::uint32_t d = copy.dimensions; d-- > 0;) {
            const std::size_t side = static_cast<std::size_t>(copy.sizes[d]);
            stride /= side;
            place += left % side * stride;
            left /= side;
        }
        if (std::memcmp(copy.data.data() + e * size, view.data.data() + (view.column_major ? place : e) * size, size) != 0)
            return false;
    }
    return true;
}

result<array> read(const std::string& name, span<const std::byte> bytes, std::vector<std::byte>& memory)
{
    memory.assign(bytes.size(), std::byte {});
    const auto copy = copy_npy(bytes, memory);
    const auto view = read_npy(bytes);
    if (view.error() != copy.error() && (!copy || view.error() != status::file_byte_order))
        fail(name + ": the view says " + to_string(view.error()) + ", the copy " + to_string(copy.error()));
    if (view && !same_elements(*view, *copy))
        fail(name + ": view and copy have other elements");
    if (copy)
        print(name, *copy);
    else
        std::printf("%s refused: %s", name.c_str(), to_string(copy.error()));
    return copy;
}

void npy(const fs::path& path)
{
    const auto bytes = read_file(path);
    std::vector<std::byte> memory;
    const auto a = read(path.filename(), bytes, memory);
    std::printf("\n");
    if (a)
        put_array<bool, std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t, std::uint64_t, std::int64_t,
            half, float, double>(*a, fs::path(path).replace_extension("again"));
}

void npy_cases(const fs::path& path)
{
    const auto all = read_file(path);
    std::vector<std::byte> memory;
    std::size_t number = 0;
    for (std::size_t at = 0; at + 4 <= all.size(); ++number) {
        std::uint32_t length = 0;
        std::memcpy(&length, all.data() + at, 4);
        const std::vector<std::byte> one(
            all.begin() + static_cast<std::ptrdiff_t>(at + 4), all.begin() + static_cast<std::ptrdiff_t>(at + 4 + length));
        const auto a = read("case" + std::to_string(number), one, memory);
        std::printf(a ? " %016llx\n" : "\n", a ? static_cast<unsigned long long>(hash_of(a->data)) : 0ull);
        at += 4 + length;
    }
}

struct layer_shape {
    std::string method;
    std::ptrdiff_t n, k, group;
};

template <class Q>
void unpack_layer(const safetensors_reader& file, const layer_shape& shape, int bits, const fs::path& to)
{
    const std::ptrdiff_t groups = (shape.k + shape.group - 1) / shape.group, cols = elements_for<Q>(shape.k);
    const auto data = [&](const char* name) { return file.find(name) ? file.find(name)->data : span<const std::byte>(); };
    const checkpoint_layer layer {data("layer.qweight"), data("layer.qzeros"), data("layer.scales"), data("layer.g_idx"), bits};
    std::vector<Q> codes(static_cast<std::size_t>(shape.n * cols));
    std::vector<float> scales(static_cast<std::size_t>(shape.n * groups)), sorted(static_cast<std::size_t>(shape.n * shape.k));
    std::vector<std::int32_t> zero_points(scales.size()), order(static_cast<std::size_t>(shape.k));
    const matrix_view<Q> packed(codes.data(), shape.n, cols);
    if constexpr (std::is_same_v<Q, uint4x2>) {
        if (shape.method == "awq") {
            need(from_awq(layer, shape.k, shape.group, packed, scales, zero_points), to.filename());
            for (std::size_t i = 0; i < order.size(); ++i)
                order[i] = static_cast<std::int32_t>(i);
        }
    }
    if (shape.method != "awq") {
        const gptq_version version = shape.method == "gptq1" ? gptq_version::v1 : gptq_version::v2;
        need(from_gptq(layer, version, shape.k, shape.group, packed, scales, zero_points, order), to.filename());
    }
    const quant_params_view params {granularity::per_group, shape.group, scales, zero_points};
    need(dequantize(matrix_view<const Q>(packed), params, matrix_view<float>(sorted.data(), shape.n, shape.k)), to.filename());

    std::vector<float> weights(sorted.size());
    for (std::size_t j = 0; j < static_cast<std::size_t>(shape.n); ++j)
        for (std::size_t i = 0; i < order.size(); ++i)
            weights[j * order.size() + static_cast<std::size_t>(order[i])] = sorted[j * order.size() + i];
    std::vector<std::byte> header(128);
    const auto size = npy_header<float>(shape.n, shape.k, header);
    std::ofstream out(to, std::ios::binary);
    append(out, span<const std::byte>(header.data(), *size));
    append(out, {reinterpret_cast<const std::byte*>(weights.data()), weights.size() * sizeof(float)});
}

void safetensors(const fs::path& path)
{
    const auto bytes = read_file(path);
    const auto file = safetensors_reader::open(bytes);
    if (!file) {
        std::printf("%s refused\n", path.filename().c_str());
        return;
    }
    for (std::size_t i = 0; i < file->tensor_count(); ++i) {
        const safetensors_tensor t = file->tensor(i);
        print(std::string(t.name), t.values);
        std::printf(" %016llx\n", static_cast<unsigned long long>(hash_of(t.values.data)));
    }
    char method[8] = {};
    int bits = 0;
    layer_shape shape {};
    if (std::sscanf(path.stem().c_str(), "%7[a-z12]-%d-%td-%td-%td", method, &bits, &shape.n, &shape.k, &shape.group) != 5)
        return;
    shape.method = method;
    const fs::path to = fs::path(path).replace_extension("weights.npy");
    if (bits == 2)
        unpack_layer<uint2x4>(*file, shape, bits, to);
    else if (bits < 8)
        unpack_layer<uint4x2>(*file, shape, bits, to);
    else
        unpack_layer<std::int8_t>(*file, shape, bits, to);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 2)
        fail("usage: oracle_interop FOLDER");
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(argv[1]))
        paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
        if (path.extension() == ".npy")
            npy(path);
        else if (path.extension() == ".cases")
            npy_cases(path);
        else if (path.extension() == ".safetensors")
            safetensors(path);
    }
}
