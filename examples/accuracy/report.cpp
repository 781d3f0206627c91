#include "report.hpp"

#include "../common/svg.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>

#include <nlohmann/json.hpp>

namespace {

constexpr const char* colours[] = {"#e45756", "#f58518", "#b279a2", "#72b7b2", "#4c78a8", "#54a24b", "#9d755d"};

// Rows of one format, which follow each other.
template <class Row, class Format>
std::vector<std::vector<const Row*>> grouped(const std::vector<Row>& rows, Format format)
{
    std::vector<std::vector<const Row*>> groups;
    for (const Row& row : rows) {
        if (groups.empty() || format(*groups.back().front()) != format(row))
            groups.emplace_back();
        groups.back().push_back(&row);
    }
    return groups;
}

std::vector<std::vector<const layer_errors*>> by_format(const std::vector<layer_errors>& all)
{
    return grouped(all, [](const layer_errors& e) { return e.format; });
}

std::vector<layer_errors> errors_of(const std::vector<model_row>& models)
{
    std::vector<layer_errors> all;
    for (const model_row& row : models)
        if (!row.errors.layers.empty())
            all.push_back(row.errors);
    return all;
}

double mean(const std::vector<double>& values)
{
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::string number(double value, int digits)
{
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

// ---- pictures

// A point on an axis for every method, a line for every format.
struct chart {
    struct point {
        std::string format, method;
        double value;
    };
    std::string title;
    std::vector<point> points;
    bool logarithmic;
};

// Methods have the same colour in all charts of a picture.
class methods {
public:
    const char* colour(const std::string& method)
    {
        auto found = std::find(known_.begin(), known_.end(), method);
        if (found == known_.end())
            found = known_.insert(known_.end(), method);
        return colours[static_cast<std::size_t>(found - known_.begin()) % std::size(colours)];
    }
    void legend(svg& picture, double x, double y)
    {
        for (const std::string& name : known_) {
            picture.circle(x, y, 5, colour(name), "white");
            picture.text(x + 10, y + 4, name);
            x += 30 + 7.5 * static_cast<double>(name.size());
        }
    }

private:
    std::vector<std::string> known_;
};

constexpr double left = 270, width = 640, line = 30;

double height_of(const chart& c)
{
    return 90 + line * static_cast<double>(grouped(c.points, [](const chart::point& p) { return p.format; }).size());
}

void draw(svg& picture, const chart& c, methods& known, double y)
{
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (const chart::point& p : c.points) {
        least = std::min(least, p.value);
        most = std::max(most, p.value);
    }
    // Ticks at powers of ten, or at multiples of 5.
    const double step = c.logarithmic ? 1 : 5;
    const auto scale = [&](double value) { return c.logarithmic ? std::log10(value) : value; };
    const double low = step * std::floor(scale(least) / step), high = step * std::ceil(scale(most) / step);
    const auto x_of = [&](double value) { return left + width * (scale(value) - low) / (high - low); };
    picture.text(20, y + 20, c.title, {18});
    const auto groups = grouped(c.points, [](const chart::point& p) { return p.format; });
    const double top = y + 60, bottom = top + line * static_cast<double>(groups.size());
    for (double tick = low; tick <= high; tick += step) {
        const double value = c.logarithmic ? std::pow(10.0, tick) : tick;
        picture.line(x_of(value), top - 14, x_of(value), bottom - 8, "#ddd");
        char label[16];
        std::snprintf(label, sizeof label, "%g", value);
        picture.text(x_of(value), top - 18, label, {11, "#666", "middle"});
    }
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const double at = top + line * static_cast<double>(i) + 6;
        picture.text(20, at + 4, groups[i].front()->format);
        picture.line(left, at, left + width, at, "#eee");
        for (const chart::point* p : groups[i])
            picture.circle(x_of(p->value), at, 6, known.colour(p->method), "white");
    }
}

void draw_outliers(svg& picture, const std::vector<outlier_row>& rows, double y)
{
    picture.text(20, y + 20, "Synthetic activations, one channel in 64 a hundred times as large: INT8", {18});
    picture.text(20, y + 40, "dB between what the ordinary channels contribute and the noise", {13, "#444"});
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const double at = y + 54 + 26 * static_cast<double>(i), length = std::max(rows[i].ordinary_db, 1.0) * width / 60;
        picture.text(20, at + 12, rows[i].scheme);
        picture.rectangle(left, at, length, 16, colours[4]);
        picture.text(left + length + 6, at + 12, number(rows[i].ordinary_db, 1));
    }
}

svg accuracy_picture(const report& r)
{
    std::vector<chart> charts;
    if (!r.language_model.rows.empty()) {
        charts.push_back({"Language model: mean KL against FP32 on held-out text", {}, true});
        for (const model_row& row : r.language_model.rows)
            if (!row.errors.layers.empty())
                charts.back().points.push_back({row.errors.format, row.errors.method, row.mean_kl});
    }
    if (!r.images.empty()) {
        charts.push_back({"Fashion-MNIST: per cent of the test images classified rightly", {}, false});
        for (const image_row& row : r.images)
            if (row.activations == "INT8, dynamic")
                charts.back().points.push_back({row.weights, row.method, mean(row.accuracy)});
    }
    methods known;
    for (const chart& c : charts)
        for (const chart::point& p : c.points)
            (void)known.colour(p.method);
    double height = 90 + 26 * static_cast<double>(r.outliers.size()), y = 50;
    for (const chart& c : charts)
        height += height_of(c);
    svg picture(960, height + y);
    known.legend(picture, 26, 26);
    for (const chart& c : charts) {
        draw(picture, c, known, y);
        y += height_of(c);
    }
    draw_outliers(picture, r.outliers, y);
    return picture;
}

// The output's SQNR of every layer, a panel for each format.
svg layers_picture(const std::string& title, const std::vector<layer_errors>& all)
{
    std::vector<chart> charts;
    methods known;
    double height = 60;
    for (const auto& group : by_format(all)) {
        charts.push_back({group.front()->format, {}, false});
        for (std::size_t l = 0; l < group.front()->layers.size(); ++l)
            for (const layer_errors* e : group) {
                charts.back().points.push_back({e->layers[l].name, e->method, e->layers[l].output_db});
                (void)known.colour(e->method);
            }
        height += height_of(charts.back());
    }
    svg picture(960, height);
    picture.text(20, 30, title, {18, "#222", "start", true});
    known.legend(picture, 26, 50);
    double y = 60;
    for (const chart& c : charts) {
        draw(picture, c, known, y);
        y += height_of(c);
    }
    return picture;
}

// ---- JSON

nlohmann::json json_of(const layer_errors& e)
{
    nlohmann::json layers = nlohmann::json::array();
    for (const layer_row& l : e.layers)
        layers.push_back({{"name", l.name}, {"weight_sqnr_db", l.weight_db}, {"output_sqnr_db", l.output_db}});
    return {{"format", e.format}, {"method", e.method}, {"layers", layers}};
}

nlohmann::json json_of(const report& r)
{
    nlohmann::json all = {{"calibration", r.language_model.calibration}, {"test", r.language_model.test}};
    for (const model_row& row : r.language_model.rows) {
        all["language_model"].push_back(json_of(row.errors));
        all["language_model"].back().update(
            {{"bytes", row.bytes}, {"perplexity", row.perplexity}, {"mean_kl", row.mean_kl}, {"top1_agreement", row.top1_agreement}});
    }
    for (const image_row& row : r.images)
        all["fashion_mnist"].push_back(
            {{"weights", row.weights}, {"activations", row.activations}, {"method", row.method}, {"accuracy", row.accuracy}});
    for (const layer_errors& e : r.recogniser)
        all["recogniser"].push_back(json_of(e));
    for (const layer_errors& e : r.recogniser_activations)
        all["recogniser_activations"].push_back(json_of(e));
    for (const outlier_row& row : r.outliers)
        all["synthetic_outliers"].push_back(
            {{"scheme", row.scheme}, {"output_sqnr_db", row.output_db}, {"ordinary_channels_db", row.ordinary_db}});
    for (const nibble::gate& g : r.gates)
        all["gates"].push_back(
            {{"name", g.name}, {"value", g.value}, {g.is_upper_limit ? "at_most" : "at_least", g.limit}, {"holds", nibble::holds(g)}});
    return all;
}

// ---- tables

void print_row(const std::string& first, const std::vector<std::string>& cells)
{
    std::printf("| %s |", first.c_str());
    for (const std::string& cell : cells)
        std::printf(" %s |", cell.c_str());
    std::printf("\n");
}

void print_head(const std::string& first, const std::vector<std::string>& cells)
{
    std::printf("\n");
    print_row(first, cells);
    print_row("---", std::vector<std::string>(cells.size(), "---"));
}

// A table for each format: layers down, methods across.
void print_layers(const std::vector<layer_errors>& all)
{
    for (const auto& group : by_format(all)) {
        std::vector<std::string> names;
        for (const layer_errors* e : group)
            names.push_back(e->method);
        print_head(group.front()->format, names);
        for (std::size_t l = 0; l < group.front()->layers.size(); ++l) {
            std::vector<std::string> cells;
            for (const layer_errors* e : group)
                cells.push_back(number(e->layers[l].output_db, 1));
            print_row(group.front()->layers[l].name, cells);
        }
    }
}

// The mean over layers: formats down, methods across.
void print_means(const std::vector<layer_errors>& all)
{
    const auto groups = by_format(all);
    std::vector<std::string> names;
    for (const layer_errors* e : groups.front())
        names.push_back(e->method);
    print_head("mean over layers", names);
    for (const auto& group : groups) {
        std::vector<std::string> cells;
        for (const layer_errors* e : group) {
            std::vector<double> db;
            for (const layer_row& l : e->layers)
                db.push_back(l.output_db);
            cells.push_back(number(mean(db), 1));
        }
        print_row(group.front()->format, cells);
    }
}

void print_language_model(const language_model_rows& all)
{
    std::printf("\nLanguage model, calibrated on %s, tested on %s\n", all.calibration.c_str(), all.test.c_str());
    print_head("weights", {"method", "bytes", "perplexity", "mean KL", "top-1, %"});
    for (const model_row& row : all.rows)
        print_row(row.errors.format, {row.errors.method, std::to_string(row.bytes), number(row.perplexity, 4), number(row.mean_kl, 6),
                                         number(100 * row.top1_agreement, 2)});
    std::printf("\nSQNR of each matrix's output on the calibration inputs, dB\n");
    print_layers(errors_of(all.rows));
}

std::string mean_and_spread(const std::vector<double>& values)
{
    const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
    return number(mean(values), 2) + (values.size() > 1 ? " (" + number(*least, 2) + "–" + number(*greatest, 2) + ")" : "");
}

void print_images(const std::vector<image_row>& rows)
{
    std::printf(
        "\nFashion-MNIST: per cent of the 10000 test images classified rightly, of %zu trained networks\n", rows[0].accuracy.size());
    print_head("weights", {"activations, by", "accuracy"});
    for (const image_row& row : rows)
        if (row.activations != "INT8, dynamic")
            print_row(row.weights, {row.activations + (row.method.empty() ? "" : ", " + row.method), mean_and_spread(row.accuracy)});
    std::vector<image_row> dynamic;
    std::copy_if(
        rows.begin(), rows.end(), std::back_inserter(dynamic), [](const image_row& row) { return row.activations == "INT8, dynamic"; });
    const auto groups = grouped(dynamic, [](const image_row& row) { return row.weights; });
    std::vector<std::string> names;
    for (const image_row* row : groups.front())
        names.push_back(row->method);
    print_head("weights; activations INT8, dynamic", names);
    for (const auto& group : groups) {
        std::vector<std::string> cells;
        for (const image_row* row : group)
            cells.push_back(mean_and_spread(row->accuracy));
        print_row(group.front()->weights, cells);
    }
}

} // namespace

void print(const report& r)
{
    if (!r.language_model.rows.empty())
        print_language_model(r.language_model);
    if (!r.images.empty())
        print_images(r.images);
    if (!r.recogniser.empty()) {
        std::printf("\nLinear layers of PP-OCRv4's recogniser: SQNR of the output on test inputs, dB; activations INT8, a scale per row\n");
        print_layers(r.recogniser);
        print_means(r.recogniser);
        std::printf("\nThe same with INT8 weights per channel, by how the activations become INT8\n");
        print_layers(r.recogniser_activations);
        print_means(r.recogniser_activations);
    }
    std::printf("\nSynthetic activations, one channel in 64 a hundred times as large as the rest; weights and activations in INT8\n");
    print_head("scheme", {"SQNR of the output, dB", "noise against the ordinary channels' part, dB"});
    for (const outlier_row& row : r.outliers)
        print_row(row.scheme, {number(row.output_db, 1), number(row.ordinary_db, 1)});
    std::printf("\n");
    for (const nibble::gate& g : r.gates)
        std::printf("%s: %s is %.6g, limit %s %.6g\n", nibble::holds(g) ? "holds" : "FAILS", g.name, g.value,
            g.is_upper_limit ? "at most" : "at least", g.limit);
}

std::string write(const report& r, const std::string& folder)
{
    std::string json = folder + "/report.json", accuracy = folder + "/accuracy.svg", layers = folder + "/layers.svg",
                recogniser = folder + "/recogniser.svg";
    std::ofstream out(json);
    out << json_of(r).dump(2) << '\n';
    if (!out.flush())
        return json;
    if (!accuracy_picture(r).write(accuracy))
        return accuracy;
    if (!r.language_model.rows.empty()) {
        const std::string title = "Language model: SQNR of every matrix's output on the calibration inputs, dB";
        if (!layers_picture(title, errors_of(r.language_model.rows)).write(layers))
            return layers;
    }
    if (r.recogniser.empty())
        return "";
    const std::string title = "PP-OCRv4 recogniser: SQNR of every linear layer's output on test inputs, dB";
    return layers_picture(title, r.recogniser).write(recogniser) ? "" : recogniser;
}
