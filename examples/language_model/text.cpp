#include "text.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>

std::string king_james_text(const std::string& file)
{
    std::string raw;
    if (!file.empty()) {
        std::ifstream in(file, std::ios::binary);
        raw.assign(std::istreambuf_iterator<char>(in), {});
    } else {
        std::FILE* pipe = popen("bible -f gen1:1-rev22:21", "r");
        char buffer[1 << 16];
        for (std::size_t got; pipe != nullptr && (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
            raw.append(buffer, got);
        if (pipe == nullptr || pclose(pipe) != 0)
            raw.clear();
    }
    std::string text;
    for (std::size_t at = 0; at < raw.size();) {
        const std::size_t end = std::min(raw.find('\n', at), raw.size() - 1), space = raw.find(' ', at);
        const std::size_t begin = space != std::string::npos && space < end ? space + 1 : at;
        text.append(raw, begin, end - begin + 1);
        at = end + 1;
    }
    return text;
}

std::string held_out(const std::string& text) { return text.substr(text.size() * 95 / 100); }

std::vector<std::vector<std::uint8_t>> calibration_windows(const std::string& text, std::size_t count, std::size_t size)
{
    const std::size_t trained = text.size() * 95 / 100;
    std::vector<std::vector<std::uint8_t>> windows;
    for (std::size_t i = 0; i < count && trained >= size; ++i) {
        const std::size_t begin = (trained - size) / count * i;
        windows.emplace_back(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(begin + size));
    }
    return windows;
}
