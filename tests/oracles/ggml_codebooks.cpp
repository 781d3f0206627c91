// The types with codebooks against ggml's own library, bit for bit:
//   oracle_ggml_codebooks LIBGGML_BASE             random blocks
//   oracle_ggml_codebooks LIBGGML_BASE --tables    prints the tables in blocks/codebooks.hpp, found out by what ggml makes of each index
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <dlfcn.h>

#include <nibble/blocks/dequantize_codebook.hpp>

using namespace nibble;

namespace {

using row_function = void(const void*, float*, std::int64_t);

void* library;

std::vector<float> theirs(ggml_type type, const std::vector<std::byte>& blocks)
{
    void* found = dlsym(library, (std::string("dequantize_row_") + to_string(type)).c_str());
    std::vector<float> x(blocks.size() / static_cast<std::size_t>(block_bytes(type)) * 256);
    if (found == nullptr) {
        std::fprintf(stderr, "%s: %s\n", to_string(type), dlerror());
        std::exit(2);
    }
    reinterpret_cast<row_function*>(found)(blocks.data(), x.data(), static_cast<std::int64_t>(x.size()));
    return x;
}

// A table's entries: what the first `values` numbers of a block are, from the low bits up, as numbers in `digits`. The block has the scale
// 1 and the index where set() puts it.
void print_table(const char* name, ggml_type type, std::size_t size, std::size_t values, std::size_t bits, float unit, float delta,
    const std::vector<int>& digits, const std::function<void(std::byte*, unsigned)>& set)
{
    std::printf("inline constexpr std::uint16_t %s[%zu] = {", name, size);
    for (std::size_t i = 0; i < size; ++i) {
        std::vector<std::byte> block(static_cast<std::size_t>(block_bytes(type)));
        block[1] = std::byte {0x3c};
        set(block.data(), static_cast<unsigned>(i));
        const std::vector<float> x = theirs(type, block);
        unsigned entry = 0;
        for (std::size_t j = 0; j < values; ++j) {
            std::size_t digit = 0;
            while (digit < digits.size() && static_cast<float>(digits[digit]) != (x[j] - delta) * unit)
                ++digit;
            if (digit == digits.size()) {
                std::fprintf(stderr, "%s, entry %zu: %g is no value of the table\n", name, i, static_cast<double>(x[j]));
                std::exit(1);
            }
            entry |= static_cast<unsigned>(digit) << (bits * j);
        }
        std::printf("%s%u", i == 0 ? "" : ", ", entry);
    }
    std::printf("};\n");
}

void print_tables()
{
    const auto byte = [](unsigned i) { return static_cast<std::byte>(i); };
    const std::vector<int> iq2 {8, 25, 43};
    print_table("iq2_xxs_codebook", ggml_type::iq2_xxs, 256, 8, 2, 8, 0, iq2, [&](std::byte* b, unsigned i) { b[2] = byte(i); });
    print_table("iq2_xs_codebook", ggml_type::iq2_xs, 512, 8, 2, 8, 0, iq2, [&](std::byte* b, unsigned i) {
        b[2] = byte(i);
        b[3] = byte(i >> 8);
    });
    print_table("iq2_s_codebook", ggml_type::iq2_s, 1024, 8, 2, 8, 0, iq2, [&](std::byte* b, unsigned i) {
        b[2] = byte(i);
        b[66] = byte(i >> 8);
    });
    print_table("iq3_xxs_codebook", ggml_type::iq3_xxs, 256, 4, 3, 4, 0, {4, 12, 20, 28, 36, 44, 52, 62},
        [&](std::byte* b, unsigned i) { b[2] = byte(i); });
    print_table("iq3_s_codebook", ggml_type::iq3_s, 512, 4, 3, 1, 0, {1, 3, 5, 7, 9, 11, 13, 15}, [&](std::byte* b, unsigned i) {
        b[2] = byte(i);
        b[66] = byte(i >> 8);
    });
    print_table("iq1_codebook", ggml_type::iq1_s, 2048, 8, 2, 1, 0.125f, {-1, 0, 1}, [&](std::byte* b, unsigned i) {
        b[2] = byte(i);
        b[34] = byte(i >> 8);
    });
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 2 || (library = dlopen(argv[1], RTLD_NOW)) == nullptr) {
        std::fprintf(stderr, "usage: %s LIBGGML_BASE [--tables]\n%s\n", argv[0], argc < 2 ? "" : dlerror());
        return 2;
    }
    if (argc > 2 && std::strcmp(argv[2], "--tables") == 0) {
        print_tables();
        return 0;
    }
    bool good = true;
    for (const ggml_type type : {ggml_type::iq1_s, ggml_type::iq1_m, ggml_type::iq2_xxs, ggml_type::iq2_xs, ggml_type::iq2_s,
             ggml_type::iq3_xxs, ggml_type::iq3_s}) {
        const std::ptrdiff_t count = 20000;
        std::mt19937 random(static_cast<std::uint32_t>(type));
        std::vector<std::byte> blocks(static_cast<std::size_t>(count * block_bytes(type)));
        for (std::byte& b : blocks)
            b = static_cast<std::byte>(random());
        const std::vector<float> expected = theirs(type, blocks);
        std::vector<float> x(expected.size());
        if (dequantize_codebook_blocks(type, blocks, {x.data(), 4, count / 4 * 256}) != status::ok)
            return 1;
        long differing = 0;
        for (std::size_t i = 0; i < x.size(); ++i) // of NaN scales any NaN will do
            differing += float_bits(x[i]) != float_bits(expected[i]) && !(x[i] != x[i] && expected[i] != expected[i]);
        std::printf("%-8s %zu numbers, %ld differ\n", to_string(type), x.size(), differing);
        good = good && differing == 0;
    }
    return good ? 0 : 1;
}
