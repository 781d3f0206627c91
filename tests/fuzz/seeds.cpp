// seeds FOLDER: writes one file for each rule of GGUF, for the fuzzer to start from.
#include <cstdio>
#include <fstream>

#include "../gguf_cases.hpp"

int main(int argc, char** argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    int i = 0;
    for (const test::gguf_case& c : test::gguf_cases()) {
        const std::string path = std::string(argv[1]) + "/" + std::to_string(i++);
        std::ofstream file(path, std::ios::binary);
        file.write(reinterpret_cast<const char*>(c.bytes.data()), static_cast<std::streamsize>(c.bytes.size()));
        if (!file.flush()) {
            std::fprintf(stderr, "cannot write %s\n", path.c_str());
            return 1;
        }
    }
}
