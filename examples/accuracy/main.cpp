// Post-training quantization compared, on a language model, on Fashion-MNIST, on the linear layers of a text recogniser and on synthetic
// activations with outliers. Prints tables and writes report.json, accuracy.svg, layers.svg and recogniser.svg.
// usage: nibble_accuracy [--output FOLDER] [--windows N] [--calibration-windows N] [--seeds N] [--recogniser FOLDER] ... (--help)
#include "evaluate.hpp"
#include "report.hpp"
#include "text.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "../common/options.hpp"

namespace {

[[noreturn]] void fail(const std::string& what)
{
    std::fprintf(stderr, "\nnibble_accuracy: %s\n", what.c_str());
    std::exit(1);
}

template <class T>
T need(nibble::result<T> r, const char* what)
{
    if (!r)
        fail(std::string(what) + ": " + nibble::to_string(r.error()));
    return std::move(*r);
}

void add_gates(report& r)
{
    double worst_int8 = 0, nearest = 0, gptq = 0;
    for (const model_row& row : r.language_model.rows) {
        if (row.errors.format == "INT8, per channel")
            worst_int8 = std::max(worst_int8, row.mean_kl);
        if (row.errors.format == "INT4, per channel" && row.errors.method == name_of(method::nearest))
            nearest = row.mean_kl;
        if (row.errors.format == "INT4, per channel" && row.errors.method == name_of(method::gptq))
            gptq = row.mean_kl;
    }
    r.gates = {nibble::at_most("the greatest mean KL of INT8", worst_int8, 1e-3),
        nibble::at_most("GPTQ's mean KL as a part of round to nearest's, INT4 per channel", gptq / nearest, 0.65)};
}

} // namespace

int main(int argc, char** argv)
{
    std::string output = ".", model_file = NIBBLE_MODEL_FILE, text_file, images = "/usr/share/datasets/fashion-mnist", recogniser;
    std::size_t windows = 64, calibration_count = 64;
    int seeds = 3, threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    CLI::App app("Compares methods of post-training quantization.");
    app.add_option("--output", output, "folder of the report");
    command_line::add_number(
        app, "--windows", windows, 0, 1000000000, "windows of held-out text to test the language model on; 0 leaves it out");
    command_line::add_number(app, "--calibration-windows", calibration_count, 1, 1000000, "windows of the training text to calibrate on");
    app.add_option("--model", model_file, "GGUF file")->check(CLI::ExistingFile);
    app.add_option("--text", text_file, "what to test and calibrate on, instead of the output of the command bible")
        ->check(CLI::ExistingFile);
    app.add_option("--images", images, "folder of Fashion-MNIST")->check(CLI::ExistingDirectory);
    command_line::add_number(app, "--seeds", seeds, 0, 1000, "networks to train on Fashion-MNIST; 0 leaves it out");
    command_line::add_number(app, "--threads", threads, 1, 1024, "threads that train");
    app.add_option("--recogniser", recogniser, "folder that nibble_recogniser_data and recognise.js filled")->check(CLI::ExistingDirectory);
    CLI11_PARSE(app, argc, argv);
    command_line::warn_of_backend("nibble_accuracy");
    if (const std::string wrong = command_line::need_folder(output); !wrong.empty())
        fail(wrong);

    report r;
    if (windows > 0) {
        const std::string text = king_james_text(text_file);
        if (text.empty())
            fail("there is no text: install the packages bible-kjv and bible-kjv-text, or name a file with --text");
        std::string wrong;
        const std::vector<char> model = command_line::read_file(model_file, wrong);
        if (!wrong.empty())
            fail(wrong);
        r.language_model = need(compare_language_model(model, text, windows, calibration_count), model_file.c_str());
        add_gates(r);
    }
    if (seeds > 0)
        r.images = compare_fashion_mnist(images, seeds, threads);
    if (recogniser.empty())
        std::fprintf(stderr, "NOT RUN: the text recogniser; ./go accuracy fetches it\n");
    else if (const nibble::status s = compare_recogniser(recogniser, r.recogniser, r.recogniser_activations); s != nibble::status::ok)
        fail("the text recogniser: " + std::string(nibble::to_string(s)));
    r.outliers = need(compare_outliers(), "synthetic activations");

    print(r);
    if (const std::string failed = write(r, output); !failed.empty())
        fail("cannot write " + failed);
    std::printf("\nThe same numbers: %s/report.json, with pictures beside it\n", output.c_str());
    return command_line::finish("nibble_accuracy", nibble::check_gates(r.gates).outcome == nibble::status::ok ? 0 : 1);
}
