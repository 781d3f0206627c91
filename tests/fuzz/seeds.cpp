// seeds FOLDER: writes files for the fuzzers to start from: one for each rule of GGUF, a safetensors file and a .npy file.
#include <cstdio>
#include <fstream>

#include "../gguf_cases.hpp"

int main(int argc, char** argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    std::vector<test::gguf_case> cases = test::gguf_cases();
    const std::string header = "{\"__metadata__\":{\"a\":\"b\"},\"x\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}";
    cases.emplace_back();
    cases.back().bytes = test::gguf_bytes().text(header).number(1.0f).bytes; // the length of the header is a u64, as of GGUF's strings
    const std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }\n";
    cases.emplace_back();
    cases.back().bytes
        = test::gguf_bytes().raw("\x93NUMPY\1").raw({'\0', static_cast<char>(dictionary.size()), '\0'}).raw(dictionary).number(1.0f).bytes;
    int i = 0;
    for (const test::gguf_case& c : cases) {
        const std::string path = std::string(argv[1]) + "/" + std::to_string(i++);
        std::ofstream file(path, std::ios::binary);
        file.write(reinterpret_cast<const char*>(c.bytes.data()), static_cast<std::streamsize>(c.bytes.size()));
        if (!file.flush()) {
            std::fprintf(stderr, "cannot write %s\n", path.c_str());
            return 1;
        }
    }
}
