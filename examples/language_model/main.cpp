// Loads a language model, quantizes it, and measures on held-out text what each format costs and gives, on every backend of this CPU.
// usage: nibble_language_model [--output FOLDER] [--windows N] [--model FILE] [--text FILE]
#include "evaluate.hpp"
#include "quantized_file.hpp"
#include "report.hpp"
#include "sample.hpp"
#include "text.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "../common/command_line.hpp"

namespace {

constexpr std::size_t calibration_count = 64; // windows, of text the model was trained on

struct options {
    std::string output = ".", model = NIBBLE_MODEL_FILE, text;
    std::size_t windows = 16;
};

struct contender {
    std::string name;
    model m;
};

[[noreturn]] void fail(const std::string& what)
{
    std::fprintf(stderr, "\nnibble_language_model: %s\n", what.c_str());
    std::exit(1);
}

options parse(int argc, char** argv)
{
    constexpr std::int64_t most_windows = 1000000000;
    const char* const known = "options: --output FOLDER, --windows N, --model FILE, --text FILE";
    options o;
    for (int i = 1; i < argc; i += 2) {
        const std::string flag = argv[i];
        if (flag == "--help") {
            std::printf("Quantizes a language model and measures size, speed and quality of each format.\n%s\n", known);
            std::exit(0);
        }
        if (i + 1 == argc)
            fail(flag + " is unknown or lacks its value; " + known);
        if (flag == "--output")
            o.output = argv[i + 1];
        else if (flag == "--model")
            o.model = argv[i + 1];
        else if (flag == "--text")
            o.text = argv[i + 1];
        else if (flag == "--windows" && command_line::whole_number(argv[i + 1], 1, most_windows))
            o.windows = static_cast<std::size_t>(*command_line::whole_number(argv[i + 1], 1, most_windows));
        else if (flag == "--windows")
            fail(command_line::not_whole_number(flag, 1, most_windows, argv[i + 1]));
        else
            fail(flag + " is unknown; " + known);
    }
    return o;
}

// One format on the backend in use; `reference` holds FP32's logits and is filled by the first call.
row measure(model& m, const std::string& name, const std::string& text, std::size_t windows, std::vector<float>& reference)
{
    row r;
    r.format = name;
    r.backend = nibble::to_string(nibble::active_backend());
    r.bytes = m.bytes();
    for (const linear* w : m.matrices())
        r.sqnr.emplace_back(w->name, w->sqnr);
    const auto done = evaluate(m, text, windows, reference, r.format + " on " + r.backend);
    if (!done)
        fail(nibble::to_string(done.error()));
    r.tokens_per_second = double(windows * m.context()) / done->seconds;
    r.perplexity = done->predictions.perplexity();
    r.mean_kl = done->predictions.mean_kl();
    r.top1_agreement = done->predictions.top1();
    return r;
}

// The text and what the model adds to it, sampled at temperature 0.7 by a fixed sequence, so that formats can be compared.
std::string generate(model& m, std::string text, std::size_t count)
{
    std::uint64_t state = 1611;
    std::vector<float> z;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t begin = text.size() > m.context() ? text.size() - m.context() : 0;
        const std::vector<std::int32_t> tokens = tokens_of(std::string_view(text).substr(begin));
        if (m.logits(tokens, z) != nibble::status::ok)
            break;
        const std::size_t next = sample({z.data() + (tokens.size() - 1) * m.vocabulary(), m.vocabulary()}, 0.7f, state);
        text += static_cast<char>(next);
    }
    return text;
}

// The model by a recipe of llama.cpp's, as if from the file that llama.cpp would write.
model by_recipe(const char* name, nibble::span<const std::byte> file)
{
    std::vector<std::byte> made;
    try {
        const auto wanted = nibble::find_recipe(name);
        const auto reader = nibble::gguf_reader::open(file);
        require(wanted ? reader.error() : wanted.error(), name);
        quantized_file(*reader, *wanted, {}, name)
            .write([&](const std::byte* bytes, std::size_t count) { made.insert(made.end(), bytes, bytes + count); }, 1);
        auto loaded = model::load(made, quantizer_for(format::fp32), file);
        require(loaded.error(), name);
        return std::move(*loaded);
    } catch (const std::exception& e) {
        fail(e.what());
    }
}

} // namespace

int main(int argc, char** argv)
{
    const options o = parse(argc, argv);
    command_line::warn_of_backend("nibble_language_model");
    if (const std::string no = command_line::need_folder(o.output); !no.empty())
        fail(no);
    const std::string whole = king_james_text(o.text), text = held_out(whole);
    if (whole.empty())
        fail("there is no text" + (o.text.empty() ? "" : " in " + o.text)
             + ": install the packages bible-kjv and bible-kjv-text, or name a file with --text");
    std::string wrong;
    const std::vector<char> file = command_line::read_file(o.model, wrong);
    if (!wrong.empty())
        fail(wrong);
    const nibble::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(file.data()), file.size());

    std::vector<contender> models;
    calibration data;
    for (const format f : all_formats) {
        if (f == format::int4_gptq) {
            auto gathered = calibrate(models[0].m, calibration_windows(whole, calibration_count, models[0].m.context()));
            if (!gathered)
                fail(std::string("calibration: ") + nibble::to_string(gathered.error()));
            data = std::move(*gathered);
        }
        auto loaded = model::load(bytes, quantizer_for(f, &data));
        if (!loaded)
            fail(o.model + ": " + nibble::to_string(loaded.error()));
        if (loaded->vocabulary() != 256)
            fail(o.model + " has " + std::to_string(loaded->vocabulary()) + " tokens; here tokens are bytes, of which there are 256");
        models.push_back({name_of(f), std::move(*loaded)});
    }
    for (const char* name : {"Q8_0", "Q4_0", "Q4_K_M"})
        models.push_back({name, by_recipe(name, bytes)});
    const std::size_t windows = std::min(o.windows, text.size() / models[0].m.context());
    if (windows == 0)
        fail("the held-out text is shorter than one window of the model");
    std::printf("%s: %zu windows of %zu bytes of held-out text; backend by default: %s (%s)\n", "nibble " NIBBLE_VERSION_STRING, windows,
        models[0].m.context(), nibble::to_string(nibble::active_backend()), nibble::explain());

    std::vector<row> rows;
    std::vector<float> reference;
    for (int b = nibble::backend_count - 1; b >= 0; --b) {
        if (nibble::force_backend(static_cast<nibble::backend>(b)) != nibble::status::ok)
            continue;
        for (contender& c : models)
            rows.push_back(measure(c.m, c.name, text, windows, reference));
    }
    print_table(rows);
    for (const row& r : rows)
        for (const row& other : rows)
            if (r.format == other.format && r.perplexity != other.perplexity)
                fail(r.format + " differs between " + r.backend + " and " + other.backend + ": please report this");
    std::printf("\nEvery format gives the same perplexity, to the last bit, on all backends above.\n");
    const auto percent = [&](std::size_t i) { return 100 * (rows[i].perplexity / rows[0].perplexity - 1); };
    std::printf(
        "Against FP32, perplexity changes by %+.3f %% in INT8, by %+.3f %% in INT4 rounded to nearest, by %+.3f %% in INT4 by GPTQ\n"
        "(calibrated on %zu windows of the training text; the mean KL is %.2f of that of rounding to nearest).\n",
        percent(2), percent(3), percent(4), calibration_count, rows[4].mean_kl / rows[3].mean_kl);

    (void)nibble::force_backend(nibble::best_backend());
    const std::string prompt = "And the LORD said unto ";
    for (const std::size_t i : {std::size_t(0), std::size_t(3)})
        std::printf("\n%s writes:\n%s\n", models[i].name.c_str(), generate(models[i].m, prompt, 220).c_str());
    print_costs();

    if (!write_json(o.output + "/report.json", rows) || !write_svg(o.output + "/report.svg", rows))
        fail("cannot write to " + o.output);
    std::printf("\nThe same numbers: %s/report.json, as a picture: %s/report.svg\n", o.output.c_str(), o.output.c_str());
    return command_line::finish("nibble_language_model", 0);
}
