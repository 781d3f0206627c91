// Any bytes, as a safetensors file and as a .npy file: nothing outside them is touched, and what is accepted keeps the format's promises.
#include <cstdlib>

#include <nibble/interop/npy.hpp>
#include <nibble/interop/safetensors.hpp>

using namespace nibble;

namespace {

void require(bool good)
{
    if (!good)
        std::abort();
}

std::size_t walk(const array& a)
{
    std::ptrdiff_t size = size_of(a.type);
    for (std::uint32_t i = 0; i < a.dimensions; ++i)
        size *= a.sizes[i];
    require(static_cast<std::size_t>(size) == a.data.size());
    volatile unsigned sum = 0;
    for (const std::byte b : a.data)
        sum = sum + static_cast<unsigned>(b);
    return a.data.size();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    if (const auto a = read_npy(bytes))
        walk(*a);
    if (const auto file = safetensors_reader::open(bytes)) {
        std::size_t all = 0;
        for (std::size_t i = 0; i < file->tensor_count(); ++i) {
            all += walk(file->tensor(i).values);
            require(file->find(file->tensor(i).name).error() == status::ok);
        }
        std::uint64_t header = 0;
        std::memcpy(&header, data, sizeof header);
        require(all + header + sizeof header == size); // every byte belongs to one tensor
    }
    return 0;
}
