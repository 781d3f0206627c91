// What the kernel of this folder is given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../core/config.hpp"

NIBBLE_BEGIN_TYPES

/// c (m x n) += a b, or -= a b. Element (i, k) of a is a[i * a_row_stride + k * a_column_stride]; b is k x n.
struct product_f64_args {
    const double* a;
    std::ptrdiff_t a_row_stride, a_column_stride;
    const double* b;
    std::ptrdiff_t b_stride;
    double* c;
    std::ptrdiff_t c_stride;
    std::ptrdiff_t m, n, k;
    bool subtract;
};

NIBBLE_END_TYPES
