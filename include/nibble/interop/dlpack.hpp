// Matrices to and from DLPack's DLTensor. This header includes no dlpack.h: the struct is the program's own, of any version. All results
// are views, so the owner of the memory does not change.
//   element (r, c) at   byte_offset + (r * strides[0] + c * strides[1]) * (bits / 8);  no strides: row-major without gaps
#pragma once

#include "array.hpp"

NIBBLE_BEGIN

namespace detail {

// kDLInt 0, kDLUInt 1, kDLFloat 2, kDLBfloat 4, kDLBool 6; kDLCPU 1.
template <class T>
inline constexpr unsigned dlpack_code = std::is_same_v<T, bool>                                                            ? 6
                                        : std::is_same_v<T, bfloat16>                                                      ? 4
                                        : std::is_same_v<T, half> || std::is_same_v<T, float> || std::is_same_v<T, double> ? 2
                                        : std::is_unsigned_v<T>                                                            ? 1
                                                                                                                           : 0;
template <class T>
inline constexpr bool in_dlpack = element_type_of<T> <= element_type::f64;

} // namespace detail

/// A matrix of T from a tensor of one dimension (one row) or two in the CPU's memory. element_type_mismatch if it does not hold T's;
/// layout_unsupported on another device, or where the elements of a row do not stand next to each other; shape_mismatch for other
/// numbers of dimensions; misaligned; and what check(matrix_view) finds. A tensor without elements is an empty matrix whatever its data,
/// strides and offset are.
template <class T, class DLTensor>
inline result<matrix_view<T>> from_dlpack(const DLTensor& tensor) noexcept
{
    using element = std::remove_const_t<T>;
    static_assert(detail::in_dlpack<element>, "DLPack has no such type");
    if (static_cast<int>(tensor.device.device_type) != 1)
        return status::layout_unsupported;
    if (tensor.dtype.code != detail::dlpack_code<element> || tensor.dtype.bits != 8 * sizeof(T) || tensor.dtype.lanes != 1)
        return status::element_type_mismatch;
    if (tensor.ndim != 1 && tensor.ndim != 2)
        return status::shape_mismatch;
    if (tensor.shape == nullptr)
        return status::null_pointer;
    const int last = tensor.ndim - 1;
    matrix_view<T> m;
    m.rows = last == 0 ? 1 : static_cast<std::ptrdiff_t>(tensor.shape[0]);
    m.cols = static_cast<std::ptrdiff_t>(tensor.shape[last]);
    m.stride = m.cols;
    if (m.empty() || m.rows < 0 || m.cols < 0) {
        const status s = check(m);
        return s == status::ok ? result<matrix_view<T>>(m) : s;
    }
    if (tensor.strides != nullptr && m.cols > 1 && tensor.strides[last] != 1)
        return status::layout_unsupported;
    if (tensor.strides != nullptr && m.rows > 1)
        m.stride = static_cast<std::ptrdiff_t>(tensor.strides[0]);
    if (tensor.data == nullptr)
        return status::null_pointer;
    m.data = reinterpret_cast<T*>(static_cast<std::byte*>(tensor.data) + tensor.byte_offset);
    if (reinterpret_cast<std::uintptr_t>(m.data) % alignof(T) != 0)
        return status::misaligned;
    if (const status s = check(m); s != status::ok)
        return s;
    return m;
}

/// A DLTensor of a matrix; it points into shape and strides, which must outlive it. DLPack has no constants: do not write through
/// the tensor of a matrix of them.
template <class DLTensor, class T>
inline DLTensor to_dlpack(matrix_view<T> m, std::int64_t (&shape)[2], std::int64_t (&strides)[2]) noexcept
{
    using element = std::remove_const_t<T>;
    static_assert(detail::in_dlpack<element>, "DLPack has no such type");
    shape[0] = m.rows;
    shape[1] = m.cols;
    strides[0] = m.stride;
    strides[1] = 1;
    DLTensor tensor {};
    tensor.data = const_cast<element*>(m.data);
    tensor.device.device_type = static_cast<decltype(tensor.device.device_type)>(1);
    tensor.ndim = 2;
    tensor.dtype.code = static_cast<decltype(tensor.dtype.code)>(detail::dlpack_code<element>);
    tensor.dtype.bits = static_cast<decltype(tensor.dtype.bits)>(8 * sizeof(T));
    tensor.dtype.lanes = 1;
    tensor.shape = shape;
    tensor.strides = strides;
    return tensor;
}

NIBBLE_END
