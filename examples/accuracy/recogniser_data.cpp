// Gets ready what examples/accuracy needs of a text recogniser in ONNX: pictures of lines of text, the weights of its linear layers, and
// the model with these layers' inputs as outputs, for recognise.js.
// usage: nibble_recogniser_data MODEL.onnx FOLDER [--fonts FOLDER] [--lines N]
//   FOLDER/tapped.onnx, layers.json [{name, k, n, input}], I.weights (n x k floats), calibration.pictures, test.pictures ([3][48][640]
//   each)
#include "text.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include <ft2build.h>
#include FT_FREETYPE_H

#include <nlohmann/json.hpp>
#include <onnx/onnx_pb.h>

#include "../common/options.hpp"

namespace {

constexpr std::size_t width = 640, height = 48;

[[noreturn]] void fail(const std::string& what)
{
    std::fprintf(stderr, "nibble_recogniser_data: %s\n", what.c_str());
    std::exit(1);
}

void write(const std::string& path, const std::string& bytes)
{
    std::ofstream file(path, std::ios::binary);
    file << bytes;
    if (!file.flush())
        fail("cannot write " + path);
}

template <class T>
std::string bytes_of(const std::vector<T>& values)
{
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// Constants by name, as initializers or as nodes, if they are matrices of floats.
std::map<std::string, const onnx::TensorProto*> constant_matrices(const onnx::GraphProto& graph)
{
    std::map<std::string, const onnx::TensorProto*> found;
    const auto add = [&](const std::string& name, const onnx::TensorProto& t) {
        if (t.data_type() == onnx::TensorProto::FLOAT && t.dims_size() == 2)
            found[name] = &t;
    };
    for (const onnx::TensorProto& t : graph.initializer())
        add(t.name(), t);
    for (const onnx::NodeProto& node : graph.node())
        for (const onnx::AttributeProto& a : node.attribute())
            if (node.op_type() == "Constant" && a.name() == "value")
                add(node.output(0), a.t());
    return found;
}

// k x n, as ONNX has it, to n x k.
std::vector<float> transposed(const onnx::TensorProto& t)
{
    const std::size_t k = static_cast<std::size_t>(t.dims(0)), n = static_cast<std::size_t>(t.dims(1));
    std::vector<float> values(t.float_data().begin(), t.float_data().end()), turned(k * n);
    if (values.empty()) {
        values.resize(t.raw_data().size() / sizeof(float));
        std::memcpy(values.data(), t.raw_data().data(), values.size() * sizeof(float));
    }
    if (values.size() != k * n)
        fail("the weights " + t.name() + " are incomplete");
    for (std::size_t i = 0; i < k; ++i)
        for (std::size_t j = 0; j < n; ++j)
            turned[j * k + i] = values[i * n + j];
    return turned;
}

void write_layers(onnx::ModelProto& model, const std::string& folder)
{
    const auto constants = constant_matrices(model.graph());
    nlohmann::json layers = nlohmann::json::array();
    std::vector<std::string> inputs;
    for (const onnx::NodeProto& node : model.graph().node()) {
        if (node.op_type() != "MatMul" || constants.count(node.input(1)) == 0)
            continue;
        const onnx::TensorProto& weights = *constants.at(node.input(1));
        write(folder + "/" + std::to_string(layers.size()) + ".weights", bytes_of(transposed(weights)));
        layers.push_back({{"name", node.input(1)}, {"k", weights.dims(0)}, {"n", weights.dims(1)}, {"input", node.input(0)}});
        inputs.push_back(node.input(0));
    }
    if (layers.empty())
        fail("the model has no linear layers");
    for (const std::string& input : inputs)
        model.mutable_graph()->add_output()->set_name(input);
    write(folder + "/tapped.onnx", model.SerializeAsString());
    write(folder + "/layers.json", layers.dump(1));
}

class painter {
public:
    explicit painter(const std::string& folder)
    {
        if (FT_Init_FreeType(&library_) != 0)
            fail("FreeType does not start");
        for (std::size_t i = 0; i < faces_.size(); ++i) {
            const std::string path = folder + "/DejaVu" + names[i] + ".ttf";
            if (FT_New_Face(library_, path.c_str(), 0, &faces_[i]) != 0)
                fail("cannot read " + path + ": install the package fonts-dejavu-core, or name its folder with --fonts");
        }
    }
    painter(const painter&) = delete;
    ~painter() { FT_Done_FreeType(library_); }

    // Dark text on a light ground, with noise; [3][height][width] numbers of [-1, 1], the same three times.
    std::vector<float> picture(const std::string& text)
    {
        const double ground = 255.0 - double(number(40)), ink = double(number(90)), noise = std::array {4.0, 10.0, 18.0, 26.0}[number(4)];
        const FT_Face face = faces_[number(faces_.size())];
        FT_Set_Pixel_Sizes(face, 0, static_cast<unsigned>(18 + 2 * number(5)));
        std::vector<double> grey(width * height, ground);
        std::ptrdiff_t x = 3 + static_cast<std::ptrdiff_t>(number(9));
        const std::ptrdiff_t base = 28 + static_cast<std::ptrdiff_t>(number(10));
        for (const char c : text) {
            if (FT_Load_Char(face, static_cast<unsigned char>(c), FT_LOAD_RENDER) != 0)
                continue;
            const FT_GlyphSlot glyph = face->glyph;
            for (unsigned r = 0; r < glyph->bitmap.rows; ++r)
                for (unsigned i = 0; i < glyph->bitmap.width; ++i) {
                    const std::ptrdiff_t to_x = x + glyph->bitmap_left + static_cast<std::ptrdiff_t>(i);
                    const std::ptrdiff_t to_y = base - glyph->bitmap_top + static_cast<std::ptrdiff_t>(r);
                    if (to_x < 0 || to_y < 0 || to_x >= static_cast<std::ptrdiff_t>(width) || to_y >= static_cast<std::ptrdiff_t>(height))
                        continue;
                    const double covered
                        = glyph->bitmap.buffer[static_cast<std::size_t>(r) * static_cast<unsigned>(glyph->bitmap.pitch) + i];
                    double& pixel = grey[static_cast<std::size_t>(to_y) * width + static_cast<std::size_t>(to_x)];
                    pixel += (ink - pixel) * covered / 255;
                }
            x += glyph->advance.x >> 6;
        }
        std::vector<float> made;
        for (const double g : grey) {
            const double noisy = g + noise * bell_shaped();
            made.push_back(static_cast<float>((noisy < 0 ? 0 : noisy > 255 ? 255 : noisy) / 127.5 - 1));
        }
        for (int copy = 0; copy < 2; ++copy)
            made.insert(made.end(), made.begin(), made.begin() + static_cast<std::ptrdiff_t>(width * height));
        return made;
    }

    std::size_t number(std::size_t below) { return random_() % below; }

private:
    static constexpr std::array<const char*, 6> names {"Sans", "Sans-Bold", "SansMono", "SansMono-Bold", "Serif", "Serif-Bold"};
    FT_Library library_ = nullptr;
    std::array<FT_Face, names.size()> faces_ {};
    std::mt19937 random_ {3};

    double bell_shaped()
    {
        double sum = -6;
        for (int i = 0; i < 12; ++i)
            sum += double(random_()) / 4294967296.0;
        return sum;
    }
};

// Some words from a random place of the text.
std::string line(painter& paint, const std::string& text)
{
    std::size_t begin = text.find(' ', paint.number(text.size() - 200)) + 1, end = begin;
    for (int words = 0; words < 6; ++words) {
        const std::size_t space = text.find(' ', end + 1);
        if (space == std::string::npos || space - begin > 34)
            break;
        end = space;
    }
    return text.substr(begin, end - begin);
}

} // namespace

int main(int argc, char** argv)
{
    std::string model_file, folder, fonts = "/usr/share/fonts/truetype/dejavu";
    int lines = 48;
    CLI::App app("Gets a text recogniser's linear layers ready for nibble_accuracy.");
    app.add_option("model", model_file, "ONNX file")->required()->check(CLI::ExistingFile);
    app.add_option("folder", folder, "where to write")->required();
    app.add_option("--fonts", fonts, "folder of the DejaVu fonts")->check(CLI::ExistingDirectory);
    command_line::add_number(app, "--lines", lines, 1, 100000, "lines of text for calibration, and as many for the test");
    CLI11_PARSE(app, argc, argv);
    if (const std::string wrong = command_line::need_folder(folder); !wrong.empty())
        fail(wrong);

    std::string text = king_james_text();
    if (text.empty())
        fail("there is no text: install the packages bible-kjv and bible-kjv-text");
    std::replace(text.begin(), text.end(), '\n', ' ');
    onnx::ModelProto model;
    std::ifstream file(model_file, std::ios::binary);
    if (!model.ParseFromIstream(&file))
        fail(model_file + " is not an ONNX model");
    write_layers(model, folder);

    painter paint(fonts);
    const std::string test = held_out(text), calibration = text.substr(0, text.size() - test.size());
    for (const auto& [name, source] : {std::pair {"calibration", &calibration}, std::pair {"test", &test}}) {
        std::string pictures;
        for (int i = 0; i < lines; ++i)
            pictures += bytes_of(paint.picture(line(paint, *source)));
        write(folder + "/" + name + ".pictures", pictures);
    }
}
