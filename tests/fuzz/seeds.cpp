// seeds FOLDER: writes files for the fuzzers to start from: one for each rule of GGUF, safetensors files and .npy files.
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
    const auto add = [&](const test::gguf_bytes& file) {
        cases.emplace_back();
        cases.back().bytes = file.bytes;
    };
    const std::string f32 = "\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":";
    for (const std::string& header : {"{\"__metadata__\":{\"a\":\"b\"},\"x\":{" + f32 + "[0,4]}}",
             "{\"x\\u00e9\\ud83d\\ude00\":{\"m\":[1,{\"a\":null}]," + f32 + "[0,4]}}",
             std::string(" {\"x\":{\"dtype\":\"F4\",\"shape\":[8,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}} "),
             "{\"x\":{" + f32 + "[0,4]},\"x\":{" + f32 + "[0,4]}}"})
        add(test::gguf_bytes().text(header).number(1.0f)); // the length of the header is a u64, as of GGUF's strings
    for (const std::string& dictionary : {std::string("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }\n"),
             std::string("{\"descr\":\">i1\",\"fortran_order\":True,\"shape\":(2L,2)}"),
             std::string("{'shape':(),u'fortran_order':False,'descr':'>u4'}")})
        add(test::gguf_bytes().raw("\x93NUMPY\1").raw({'\0', static_cast<char>(dictionary.size()), '\0'}).raw(dictionary).number(1.0f));
    add(test::gguf_bytes()
            .number(2)
            .number(1)
            .raw("x")
            .number(3)
            .number(2)
            .number(1.0f)
            .number(2.0f)
            .number(5)
            .raw("blk.0")
            .number(0)
            .number(1)
            .number(4.0f));
    add(test::gguf_bytes().mark(3, 2, 0).tensor("x.in_sum2", {4}, 0, 0).tensor("x.counts", {1}, 0, 32).data(36));
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
