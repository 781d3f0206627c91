// Any bytes, as a safetensors file, as a .npy file and as a layer of a checkpoint: nothing outside them is touched, and what is accepted
// keeps the format's promises.
#include <cstdlib>
#include <vector>

#include <nibble/interop/gptq_awq.hpp>
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
    bool empty = a.type == element_type::unknown;
    for (std::uint32_t i = 0; i < a.dimensions; ++i)
        empty = empty || a.sizes[i] == 0;
    std::ptrdiff_t size = empty ? 0 : size_of(a.type);
    for (std::uint32_t i = 0; i < a.dimensions && !empty; ++i)
        size *= a.sizes[i];
    require(a.type == element_type::unknown || static_cast<std::size_t>(size) == a.data.size());
    require(a.transposed().data.size() == a.data.size());
    volatile unsigned sum = 0;
    for (const std::byte b : a.data)
        sum = sum + static_cast<unsigned>(b);
    return a.data.size();
}

// A layer whose sizes the first bytes give and whose tensors the others are, over and over.
template <class Q>
void checkpoint(const std::uint8_t* data, std::size_t size)
{
    const std::ptrdiff_t n = data[0] % 80, k = data[1] % 80, group = data[2] % 32;
    const int bits = data[3] % 10 - 1;
    const std::ptrdiff_t groups = group == 0 ? 0 : (k + group - 1) / group, b = bits < 1 ? 8 / code_traits<Q>::per_element : bits;
    std::size_t at = 5;
    const auto take = [&](std::ptrdiff_t bytes) {
        std::vector<std::byte> tensor(static_cast<std::size_t>(bytes) + (data[4] == 99 ? 1u : 0u));
        for (std::byte& one : tensor)
            one = static_cast<std::byte>(data[at++ % size]);
        return tensor;
    };
    const auto qweight = take(n * k * b / 8), qzeros = take(groups * n * b / 8), scales = take(groups * n * 2), g_idx = take(k * 4);
    std::vector<Q> codes(static_cast<std::size_t>(n * elements_for<Q>(k)));
    std::vector<float> out(static_cast<std::size_t>(n * groups));
    std::vector<std::int32_t> zero_points(out.size()), order(static_cast<std::size_t>(k));
    checkpoint_layer l {qweight, qzeros, scales, {}, bits};
    if (data[4] % 2 != 0)
        l.g_idx = g_idx;
    const matrix_view<Q> to(codes.data(), n, elements_for<Q>(k));
    if (from_gptq(l, data[4] % 4 < 2 ? gptq_version::v1 : gptq_version::v2, k, group, to, out, zero_points, order) == status::ok) {
        std::vector<bool> seen(order.size());
        for (const std::int32_t i : order) { // every input once
            require(i >= 0 && i < k && !seen[static_cast<std::size_t>(i)]);
            seen[static_cast<std::size_t>(i)] = true;
        }
        const std::int32_t low = b == 8 ? -128 : 0, high = low + (1 << b) - 1;
        for (const std::int32_t z : zero_points)
            require(z >= low && z <= high);
    }
    if constexpr (std::is_same_v<Q, uint4x2>)
        (void)from_awq(l, k, group, to, out, zero_points);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    const auto a = read_npy(bytes);
    std::vector<std::byte> memory(size);
    const auto copy = copy_npy(bytes, memory);
    require(a.error() == copy.error() || (copy && a.error() == status::file_byte_order));
    if (a)
        require(walk(*a) == walk(*copy));
    if (const auto file = safetensors_reader::open(bytes)) {
        std::size_t all = 0;
        for (std::size_t i = 0; i < file->tensor_count(); ++i) {
            const safetensors_tensor t = file->tensor(i);
            all += walk(t.values);
            require(file->find(t.name).error() == t.error);
        }
        std::uint64_t header = 0;
        std::memcpy(&header, data, sizeof header);
        require(all + header + sizeof header == size); // every byte belongs to one tensor
    }
    if (size > 5) {
        const int kind = data[3] / 10 % 3;
        (kind == 0 ? checkpoint<uint2x4> : kind == 1 ? checkpoint<uint4x2> : checkpoint<std::int8_t>)(data, size);
    }
    return 0;
}
