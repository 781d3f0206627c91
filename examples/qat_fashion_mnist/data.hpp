// Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, MIT licence): 60000 + 10000 grey images of 28 x 28 in ten classes, IDX files under gzip.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <zlib.h>

struct images {
    std::ptrdiff_t count = 0;
    std::vector<std::uint8_t> pixels, labels; // 784 a image, one a image
};

inline std::vector<std::uint8_t> read_idx(const std::string& path, std::size_t header, std::size_t bytes)
{
    std::vector<std::uint8_t> data(header + bytes + 1);
    gzFile file = gzopen(path.c_str(), "rb");
    const int got = file == nullptr ? -1 : gzread(file, data.data(), static_cast<unsigned>(data.size()));
    if (file != nullptr)
        gzclose(file);
    if (got != static_cast<int>(header + bytes)) {
        std::fprintf(stderr,
            "%s is missing or is not Fashion-MNIST: install the Debian package dataset-fashion-mnist, or name its "
            "folder with --data\n",
            path.c_str());
        std::exit(1);
    }
    data.pop_back();
    data.erase(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(header));
    return data;
}

inline images read_images(const std::string& folder, const std::string& part, std::size_t count)
{
    images all;
    all.count = static_cast<std::ptrdiff_t>(count);
    all.pixels = read_idx(folder + "/" + part + "-images-idx3-ubyte.gz", 16, count * 784);
    all.labels = read_idx(folder + "/" + part + "-labels-idx1-ubyte.gz", 8, count);
    for (const std::uint8_t label : all.labels)
        if (label > 9) {
            std::fprintf(stderr, "%s has a label that is not one of the ten classes\n", part.c_str());
            std::exit(1);
        }
    return all;
}
