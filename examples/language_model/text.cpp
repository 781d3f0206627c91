#include "text.hpp"

#include <algorithm>
#include <cstdio>

#include "../common/command_line.hpp"

std::string king_james_text(const std::string& file)
{
    std::string raw;
    if (!file.empty()) {
        std::string wrong;
        const std::vector<char> bytes = command_line::read_file(file, wrong);
        raw.assign(bytes.begin(), bytes.end());
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

std::vector<std::int32_t> tokens_of(std::string_view text)
{
    std::vector<std::int32_t> tokens;
    for (const char c : text)
        tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
}

std::vector<std::vector<std::int32_t>> calibration_windows(const std::string& text, std::size_t count, std::size_t size)
{
    const std::size_t trained = text.size() * 95 / 100;
    std::vector<std::vector<std::int32_t>> windows;
    for (std::size_t i = 0; i < count && trained >= size; ++i) {
        windows.push_back(tokens_of(std::string_view(text).substr((trained - size) / count * i, size)));
    }
    return windows;
}
