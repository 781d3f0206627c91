// What the programs share: numbers from the command line, reports in a folder, and a word on the environment.
#pragma once

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <unistd.h>

#include <nibble/backend/backend.hpp>

namespace command_line {

/// The whole text as a decimal integer in [least, most]; nothing else, no "-5" that wraps around, no "12abc".
inline std::optional<std::int64_t> whole_number(std::string_view text, std::int64_t least, std::int64_t most)
{
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
        return std::nullopt;
    return number;
}

/// The whole text as a number in [least, most]: no NaN, no "12abc".
inline std::optional<double> real_number(const std::string& text, double least, double most)
{
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (text.empty() || end != text.c_str() + text.size() || !(number >= least && number <= most))
        return std::nullopt;
    return number;
}

/// "--tokens takes a whole number from 0 to 100, not -5"
inline std::string not_whole_number(const std::string& option, std::int64_t least, std::int64_t most, const std::string& text)
{
    return option + " takes a whole number from " + std::to_string(least) + " to " + std::to_string(most) + ", not "
           + (text.empty() ? "nothing" : text);
}

/// Warns on stderr if NIBBLE_BACKEND names a backend that cannot run. For the beginning of main().
inline void warn_of_backend(const char* program)
{
    const nibble::status s = nibble::environment_status();
    if (s == nibble::status::ok)
        return;
    std::string known;
    for (int i = 0; i < nibble::backend_count; ++i)
        if (nibble::check_backend(static_cast<nibble::backend>(i)) == nibble::status::ok)
            known += (known.empty() ? "" : ", ") + std::string(nibble::to_string(static_cast<nibble::backend>(i)));
    std::fprintf(stderr, "%s: NIBBLE_BACKEND=%s is ignored: %s; available: %s; using %s\n", program, std::getenv("NIBBLE_BACKEND"),
        nibble::to_string(s), known.c_str(), nibble::to_string(nibble::active_backend()));
}

/// Makes the folder if it does not exist. Empty if files can be written to it, else the reason. Call it before the work, not after.
inline std::string need_folder(const std::string& folder)
{
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (!std::filesystem::is_directory(folder))
        return folder + (error ? ": " + error.message() : "") + ": not a folder";
    if (access(folder.c_str(), W_OK | X_OK) != 0)
        return "no file can be written to " + folder + ": " + std::error_code(errno, std::generic_category()).message();
    return {};
}

/// The whole of a file or a pipe. If it cannot be read, or is empty, `wrong` becomes a sentence about it.
inline std::vector<char> read_file(const std::string& path, std::string& wrong)
{
    std::vector<char> bytes;
    std::FILE* const file = std::fopen(path.c_str(), "rb");
    if (file != nullptr) {
        for (std::size_t got = 1; got > 0;) {
            const std::size_t before = bytes.size();
            bytes.resize(before + (1 << 16));
            got = std::fread(bytes.data() + before, 1, 1 << 16, file);
            bytes.resize(before + got);
        }
    }
    if (file == nullptr || std::ferror(file) != 0)
        wrong = "cannot read " + path + ": " + std::error_code(errno, std::generic_category()).message();
    else if (bytes.empty())
        wrong = path + " is empty";
    if (file != nullptr)
        std::fclose(file);
    return bytes;
}

/// For the end of main(): `code`, or 1 and a sentence if what was printed did not arrive.
inline int finish(const char* program, int code)
{
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0)
        return code;
    std::fprintf(stderr, "%s: standard output could not be written: is the disk full?\n", program);
    return 1;
}

/// False if not all of it was written: no such folder, a full disk.
inline bool write_file(const std::string& path, std::string_view bytes)
{
    std::ofstream file(path, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    return !file.fail();
}

} // namespace command_line
