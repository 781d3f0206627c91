// Matrices from std::mdspan, or from Kokkos' mdspan before C++23: from anything with rank(), extent(i), stride(i) and data_handle(). Spans
// need no header: nibble::span and std::span convert to each other.
#pragma once

#if __cplusplus > 202002L && __has_include(<mdspan>)
#include <mdspan>
#endif

#include "../core/view.hpp"

NIBBLE_BEGIN

/// layout_unsupported where the elements of a row do not stand next to each other; and what check(matrix_view) finds.
template <class Mdspan>
inline result<matrix_view<typename Mdspan::element_type>> to_matrix_view(const Mdspan& m) noexcept
{
    static_assert(Mdspan::rank() == 2, "a matrix has two dimensions");
    const auto rows = static_cast<std::ptrdiff_t>(m.extent(0)), cols = static_cast<std::ptrdiff_t>(m.extent(1));
    if (rows != 0 && cols > 1 && m.stride(1) != 1)
        return status::layout_unsupported;
    const matrix_view<typename Mdspan::element_type> view(m.data_handle(), rows, cols, static_cast<std::ptrdiff_t>(m.stride(0)));
    if (const status s = check(view); s != status::ok)
        return s;
    return view;
}

#if defined(__cpp_lib_mdspan)
template <class T>
inline auto to_mdspan(matrix_view<T> m) noexcept
{
    using extents = std::dextents<std::ptrdiff_t, 2>;
    using mapping = std::layout_stride::mapping<extents>;
    const std::ptrdiff_t no_overlap = m.stride > 0 ? m.stride : 1; // layout_stride wants strides above 0
    return std::mdspan<T, extents, std::layout_stride>(
        m.data, mapping(extents(m.rows, m.cols), std::array<std::ptrdiff_t, 2> {no_overlap, 1}));
}
#endif

NIBBLE_END
