// The weight formats and the ways to them that are compared, each one call of nibble.
#pragma once

#include "model.hpp"

struct weight_setting {
    const char* name;
    int bits;
    std::ptrdiff_t group_size; ///< 0: one scale a channel
    nibble::scheme how;
};

enum class method { nearest, least_squares, hqq, awq, gptq, gptq_least_squares };
inline constexpr std::array<method, 6> all_methods
    = {method::nearest, method::least_squares, method::hqq, method::awq, method::gptq, method::gptq_least_squares};
const char* name_of(method how);

/// Packs w and says in `back` what its codes stand for; inputs: of calibration.
nibble::status quantize_layer(nibble::matrix_view<const float> w, const layer_inputs& inputs, const weight_setting& to_what, method how,
    linear& to, std::vector<float>& back);
