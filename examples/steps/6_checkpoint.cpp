// 6. A GPTQ checkpoint: its tensors from a safetensors file to packed weights. The file is made here; yours is mapped or read.
#include <cstdio>
#include <string>
#include <vector>

#include <nibble/nibble.hpp>

// 8 inputs, 8 outputs, one group: every code 12, every stored zero point 7, every scale 0.5.
static std::vector<std::byte> make_file()
{
    std::string json = R"({"l.qweight":{"dtype":"I32","shape":[1,8],"data_offsets":[0,32]},)"
                       R"("l.qzeros":{"dtype":"I32","shape":[1,1],"data_offsets":[32,36]},)"
                       R"("l.scales":{"dtype":"F16","shape":[1,8],"data_offsets":[36,52]}})";
    std::vector<std::byte> file(8 + json.size() + 52, std::byte(0xcc));
    const std::uint64_t length = json.size();
    std::memcpy(file.data(), &length, 8);
    std::memcpy(file.data() + 8, json.data(), json.size());
    std::byte* const data = file.data() + 8 + json.size();
    std::memset(data + 32, 0x77, 4);
    for (int i = 0; i < 8; ++i)
        std::memcpy(data + 36 + 2 * i, "\x00\x38", 2);
    return file;
}

int main()
{
    constexpr std::ptrdiff_t n = 8, k = 8, group = 8;
    const std::vector<std::byte> bytes = make_file();
    const auto file = nibble::safetensors_reader::open(bytes); // checks everything: a file may be hostile
    if (!file) {
        std::printf("%s\n", nibble::to_string(file.error()));
        return 1;
    }
    const auto data = [&](const char* name) { return file->find(name)->data; };
    std::vector<nibble::uint4x2> codes(n * k / 2);
    std::vector<float> scales(n);
    std::vector<std::int32_t> zero_points(n);
    const nibble::matrix_view<nibble::uint4x2> to(codes.data(), n, k / 2);
    const nibble::status s = nibble::from_gptq(
        {data("l.qweight"), data("l.qzeros"), data("l.scales")}, nibble::gptq_version::v1, k, group, to, scales, zero_points);
    if (s != nibble::status::ok) {
        std::printf("%s\n", nibble::to_string(s));
        return 1;
    }
    const auto packed = nibble::packed_weights::make(
        nibble::matrix_view<const nibble::uint4x2>(to), k, {nibble::granularity::per_group, group, scales, zero_points});
    std::printf("weight = %.1f * (%d - %d); packed: %s\n", static_cast<double>(scales[0]), codes[0].first(), zero_points[0],
        nibble::to_string(packed.error()));
    return packed && codes[0].first() == 12 && zero_points[0] == 8 ? 0 : 1; // version 1 stores a zero point less one
}
