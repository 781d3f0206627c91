// Metadata and shapes in words.
#pragma once

#include <string>

#include <nibble/gguf/reader.hpp>

/// On one line; long strings and arrays are cut.
std::string shown(const nibble::gguf_value& value);

/// "256 x 64"
std::string sizes_of(const nibble::gguf_tensor& tensor);

bool equal(const nibble::gguf_value& a, const nibble::gguf_value& b);
