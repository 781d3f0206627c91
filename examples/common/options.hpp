// Numbers for CLI11, which takes -5 for 2^64 - 5 and 010 for 8.
#pragma once

#include "command_line.hpp"

#include <CLI/CLI.hpp>

namespace command_line {

template <class T>
CLI::Option* add_number(CLI::App& app, const std::string& name, T& variable, std::int64_t least, std::int64_t most, const std::string& what)
{
    const auto take = [name, &variable, least, most](const std::string& text) {
        const auto number = whole_number(text, least, most);
        if (!number)
            throw CLI::ValidationError(not_whole_number(name, least, most, text));
        variable = static_cast<T>(*number);
    };
    return app.add_option_function<std::string>(name, take, what)->type_name("N");
}

} // namespace command_line
