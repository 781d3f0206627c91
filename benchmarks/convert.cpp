// Conversions between floats and shorter floats.
#include "arrays.hpp"

namespace bench {
namespace {

template <class T>
void both_ways(array_group& to, const std::string& name)
{
    to.add("float_to_" + name, [](arena& memory) {
        const nibble::span<const float> x = memory.floats();
        const nibble::span<T> y = memory.take<T>(elements);
        return to_span(y, [=] { require(nibble::convert(x, y)); });
    });
    to.add(name + "_to_float", [](arena& memory) {
        const nibble::span<const float> x = memory.floats();
        const nibble::span<T> y = memory.take<T>(elements);
        require(nibble::convert(x, y));
        const nibble::span<float> back = memory.take<float>(elements);
        return to_span(back, [=] { require(nibble::convert(nibble::span<const T>(y), back)); });
    });
}

} // namespace

std::vector<group> convert(const options& o, const std::vector<loaded_peer>&)
{
    array_group all(o, "convert");
    both_ways<nibble::half>(all, "half");
    both_ways<nibble::bfloat16>(all, "bfloat16");
    both_ways<nibble::float8_e4m3>(all, "float8_e4m3");
    both_ways<nibble::float8_e5m2>(all, "float8_e5m2");
    return all.finish();
}

} // namespace bench
