// nibble_compare A.json B.json ...: reports of ./go bench from several machines, side by side in one table and one picture.
#include <cstdio>

#include "../examples/common/options.hpp"
#include "report.hpp"

int main(int argc, char** argv)
{
    std::vector<std::string> files;
    std::string output = "build/bench";
    CLI::App app("Reports of ./go bench from several machines, side by side");
    app.add_option("reports", files, "report.json of each machine")->required();
    app.add_option("--output", output, "folder for comparison.md and comparison.svg");
    CLI11_PARSE(app, argc, argv);

    if (const std::string wrong = command_line::need_folder(output); !wrong.empty()) {
        std::fprintf(stderr, "%s\n", wrong.c_str());
        return 2;
    }
    std::vector<bench::report> all;
    for (const std::string& file : files)
        all.push_back(bench::load(file));
    const std::string text = bench::comparison(all);
    std::fputs(text.c_str(), stdout);
    if (!command_line::write_file(output + "/comparison.md", text)) {
        std::fprintf(stderr, "%s/comparison.md cannot be written\n", output.c_str());
        return 1;
    }
    bench::draw_comparison(all, output + "/comparison.svg");
    std::fprintf(stderr, "the table is in %s/comparison.md, the picture in %s/comparison.svg\n", output.c_str(), output.c_str());
    return command_line::finish("nibble_compare", 0);
}
