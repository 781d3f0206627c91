// What the snippets in README.md and docs take as given.
#pragma once

#include <vector>

#include <nibble/nibble.hpp>

extern std::ptrdiff_t m, n, k;
extern nibble::matrix_view<const float> w, x;
extern nibble::matrix_view<float> y;
extern std::vector<std::byte> bytes;
