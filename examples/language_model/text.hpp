// The King James text, one verse a line without the reference in front of it, and its parts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// From the command `bible`, or from a file; empty if there is none.
std::string king_james_text(const std::string& file = {});

/// The last 5 %, which the model was not trained on.
std::string held_out(const std::string& text);

/// Text as tokens of a model whose tokens are bytes.
std::vector<std::int32_t> tokens_of(std::string_view text);

/// `count` windows of `size` tokens of what the model was trained on, evenly spread. Calibration uses them: never what is tested on.
std::vector<std::vector<std::int32_t>> calibration_windows(const std::string& text, std::size_t count, std::size_t size);
