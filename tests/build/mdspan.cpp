// std::mdspan to nibble's matrix and back.
#include <array>
#include <cstdio>
#include <mdspan>
#include <type_traits>

#include <nibble/interop/mdspan.hpp>

int main()
{
    float data[12];
    for (int i = 0; i < 12; ++i)
        data[i] = static_cast<float>(i);
    int failures = 0;
    const auto expect = [&](bool good, const char* what) {
        if (!good)
            std::printf("FAILED: %s\n", what);
        failures += !good;
    };

    const auto m = nibble::to_matrix_view(std::mdspan(data, 3, 4));
    expect(m && m->rows == 3 && m->cols == 4 && m->stride == 4 && (*m)(2, 1) == 9.0f, "rows without gaps");
    const auto fixed = nibble::to_matrix_view(std::mdspan<const float, std::extents<int, 3, 4>>(data));
    expect(fixed && (*fixed)(1, 3) == 7.0f && std::is_same_v<decltype((*fixed)(0, 0)), const float&>, "constant elements, fixed sizes");
    const auto columns = nibble::to_matrix_view(std::mdspan<float, std::dextents<int, 2>, std::layout_left>(data, 3, 4));
    expect(columns.error() == nibble::status::layout_unsupported, "columns are refused");

    const nibble::matrix_view<float> part(data + 1, 3, 2, 4); // of a wider matrix
    const auto s = nibble::to_mdspan(part);
    expect(s.extent(0) == 3 && s.extent(1) == 2 && s.stride(0) == 4 && s.data_handle() == data + 1, "to mdspan");
    expect(s[std::array {2, 1}] == 10.0f, "its elements");
    const auto back = nibble::to_matrix_view(s);
    expect(back && back->data == part.data && back->stride == 4, "and back");
    expect(nibble::to_mdspan(nibble::matrix_view<float>()).size() == 0, "an empty one");
    return failures == 0 ? 0 : 1;
}
