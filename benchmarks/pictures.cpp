#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "svg.hpp"
#include "contender.hpp"
#include "report.hpp"

namespace bench {
namespace {

constexpr const char* kind_colours[kind_count] = {"#4c78a8", "#9ecae9", "#83bcb6", "#e45756", "#ff9da6", "#b279a2", "#7b4173", "#d6a5c9",
    "#54a24b", "#f2b701", "#f58518", "#1b9e9e", "#8c6d31", "#bcbd22", "#6b6ecf", "#a55194", "#393b79"};
constexpr const char* machine_colours[] = {"#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2"};
constexpr const char *grey = "#777", *pale = "#e4e4e4", *peer_colour = "#b8b8b8", *wrong_colour = "#d62728";

std::string print(const char* format, double value)
{
    char text[64];
    std::snprintf(text, sizeof text, format, value);
    return text;
}

void write(const svg& picture, const std::string& path)
{
    if (!picture.write(path)) {
        std::fprintf(stderr, "%s cannot be written\n", path.c_str());
        std::exit(1);
    }
}

const row* find(const report& r, const std::string& kind, const std::string& backend, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k)
{
    for (const row& one : r.rows)
        if (one.peer == "nibble" && one.kind == kind && one.backend == backend && one.cap.empty() && one.threads == 1 && one.m == m
            && one.n == n && one.k == k)
            return &one;
    return nullptr;
}

// A label whose place may move down so that it stands clear of others.
struct label {
    double y;
    std::string words;
};
void place(std::vector<label>& labels, double apart)
{
    std::sort(labels.begin(), labels.end(), [](const label& a, const label& b) { return a.y < b.y; });
    for (std::size_t i = 1; i < labels.size(); ++i)
        labels[i].y = std::max(labels[i].y, labels[i - 1].y + apart);
}

struct shape {
    std::ptrdiff_t m, n, k;
};
// The shapes in the pictures of bars.
constexpr shape shown_shapes[] = {{1, 4096, 4096}, {16, 4096, 4096}, {1024, 1024, 1024}};

} // namespace

void draw_roofline(const report& r, const std::string& path)
{
    const std::string backend = newest_backend(r);
    constexpr double width = 1000, height = 700, left = 70, right = 770, top = 70, bottom = 630;
    svg picture(width, height);
    picture.text(left, 30, r.cpu.name + ": what it allows and what nibble reaches", {18, "#222", "start", true, 0});
    picture.text(left, 52, backend + ", 1 thread, medians; a circle is a product of one shape, hollow if its weights come from memory",
        {13, grey, "start", false, 0});

    double most = 1;
    for (const compute_limit& l : r.limits.compute)
        if (l.backend == backend && l.threads == 1)
            most = std::max(most, l.gops);
    const double low_x = 0.25, high_x = 16384, low_y = 1, high_y = std::pow(10, std::ceil(std::log10(most * 1.2)));
    const auto at_x = [&](double v) { return left + (right - left) * std::log(v / low_x) / std::log(high_x / low_x); };
    const auto at_y = [&](double v) { return bottom - (bottom - top) * std::log(v / low_y) / std::log(high_y / low_y); };

    for (double v = low_y; v <= high_y * 1.01; v *= 10) {
        picture.line(left, at_y(v), right, at_y(v), pale);
        picture.text(left - 8, at_y(v) + 4, print("%.0f", v), {13, "#222", "end", false, 0});
    }
    for (double v = low_x; v <= high_x; v *= 4) {
        picture.line(at_x(v), top, at_x(v), bottom, pale);
        picture.text(at_x(v), bottom + 18, print(v < 1 ? "%.2f" : "%.0f", v), {13, "#222", "middle", false, 0});
    }
    picture.text((left + right) / 2, bottom + 44, "operations for a byte of weights (2 m n k / bytes)", {13, "#222", "middle", false, 0});
    picture.text(22, (top + bottom) / 2, "GOP/s", {13, "#222", "middle", false, -90});

    std::vector<label> labels;
    for (const compute_limit& l : r.limits.compute) {
        if (l.backend != backend || l.threads != 1)
            continue;
        picture.line(left, at_y(l.gops), right, at_y(l.gops), "#222", 1.2, "6 3");
        labels.push_back({at_y(l.gops) + 4, print("%.0f ", l.gops) + l.mix});
    }
    place(labels, 16);
    for (const label& l : labels)
        picture.text(right + 8, l.y, l.words, {12, "#222", "start", false, 0});
    for (const char* level : {"DRAM", "L3", "L2"}) {
        double gbs = 0;
        for (const memory_limit& l : r.limits.memory)
            if (l.level == level && l.threads == 1)
                gbs = std::max(gbs, l.gbs);
        if (gbs == 0)
            continue;
        const double from = std::max(low_x, low_y / gbs), to = std::min(high_x, most / gbs);
        picture.line(at_x(from), at_y(from * gbs), at_x(to), at_y(to * gbs), "#222", 1.2);
        const double angle = -std::atan2(at_y(1) - at_y(2), at_x(2) - at_x(1)) * 180 / 3.14159265;
        const double where = std::max(from, std::string(level) == "L3" ? 0.9 : 0.3); // its line may run beside the memory's
        picture.text(
            at_x(where), at_y(where * gbs) - 6, std::string(level) + print(" %.0f GB/s", gbs), {12, "#222", "start", false, angle});
    }

    double legend = std::max(300.0, labels.empty() ? 0 : labels.back().y + 30);
    for (int k = 0; k < kind_count; ++k) {
        bool any = false;
        for (const row& one : r.rows) {
            if (one.peer != "nibble" || one.backend != backend || one.threads != 1 || !one.cap.empty() || one.kind != kind_names[k])
                continue;
            any = true;
            const double intensity = std::clamp(one.gops / one.gbs, low_x, high_x);
            picture.circle(at_x(intensity), at_y(std::max(one.gops, low_y)), 4, one.stream ? "white" : kind_colours[k], kind_colours[k]);
        }
        if (any) {
            picture.circle(right + 16, legend, 5, kind_colours[k], kind_colours[k]);
            picture.text(right + 28, legend + 4, kind_names[k]);
            legend += 20;
        }
    }
    write(picture, path);
}

void draw_peers(const report& r, const std::string& path)
{
    const std::string backend = newest_backend(r);
    constexpr const char* kinds[]
        = {"f32", "int8", "u8s8s32", "s8s8s32", "int4_group32", "int4_group128", "q8_0", "q4_0", "q4_K", "q6_K", "iq4_nl", "mxfp4"};
    constexpr double width = 1000, panel = 320, names = 172, bars = panel - names - 44, line = 17, top = 96;
    // How many lines each kind takes.
    const auto rows_of = [&](const char* kind, const shape& s) {
        std::vector<const row*> rows;
        for (const row& one : r.rows)
            if (one.kind == kind && one.cap.empty() && one.threads == 1 && one.m == s.m && one.n == s.n && one.k == s.k
                && (one.peer != "nibble" || one.backend == backend))
                rows.push_back(&one);
        std::sort(rows.begin(), rows.end(), [](const row* a, const row* b) {
            return (a->peer == "nibble") != (b->peer == "nibble") ? a->peer == "nibble" : a->gops > b->gops;
        });
        return rows;
    };
    double height = top;
    for (const char* kind : kinds) {
        std::size_t most = 0;
        for (const shape& s : shown_shapes)
            most = std::max(most, rows_of(kind, s).size());
        height += most == 0 ? 0 : line * double(most) + 40;
    }
    svg picture(width, height + 30);
    picture.text(20, 30, r.cpu.name + ": nibble (" + backend + ") beside other libraries, GOP/s", {18, "#222", "start", true, 0});
    picture.text(20, 52,
        "1 thread, medians of the same rounds, longer is faster. Red: its result is wrong. Black line: the machine's limit for nibble.",
        {13, grey, "start", false, 0});
    for (std::size_t c = 0; c < 3; ++c) {
        const shape& s = shown_shapes[c];
        picture.text(20 + 325 * double(c), 80,
            std::to_string(s.m) + " x " + std::to_string(s.n) + " x " + std::to_string(s.k)
                + (s.m <= 16 ? ", weights from memory" : ", in cache"),
            {14, "#222", "start", true, 0});
    }
    double y = top;
    for (const char* kind : kinds) {
        std::size_t most = 0;
        for (std::size_t c = 0; c < 3; ++c) {
            const std::vector<const row*> rows = rows_of(kind, shown_shapes[c]);
            if (rows.empty())
                continue;
            most = std::max(most, rows.size());
            const double x = 20 + 325 * double(c);
            picture.text(x, y + 14, kind, {13, grey, "start", true, 0});
            double longest = 0, limit = 0;
            for (const row* one : rows) {
                longest = std::max(longest, one->gops);
                limit = std::max(limit, one->limit);
            }
            const double scale = bars / std::max(longest, std::min(limit, 2 * longest));
            for (std::size_t i = 0; i < rows.size(); ++i) {
                const row& one = *rows[i];
                const bool own = one.peer == "nibble";
                const double at = y + 22 + line * double(i);
                std::string name = own ? "nibble" : one.peer + " " + one.kernel;
                for (const auto& [longer, shorter] : {std::pair<const char*, const char*> {"ONNX Runtime", "ORT"}, {"MatMulInteger ", ""},
                         {"DynamicQuantizeMatMul", "dynamic"}, {"Matrix product", ""},
                         {std::string(kind) == "f32" ? " f32" : "matmul ", ""}})
                    if (const std::size_t found = name.find(longer); found != std::string::npos)
                        name.replace(found, std::string(longer).size(), shorter);
                picture.text(x + names - 8, at + 10, name, {12, one.right ? "#222" : wrong_colour, "end", own, 0});
                picture.rectangle(x + names, at, one.gops * scale, line - 4, own ? "#4c78a8" : one.right ? peer_colour : wrong_colour);
                picture.text(x + names + one.gops * scale + 4, at + 10, print(one.gops < 10 ? "%.1f" : "%.0f", one.gops),
                    {12, one.right ? "#222" : wrong_colour, "start", own, 0});
                if (own && limit != 0 && limit <= 2 * longest)
                    picture.line(x + names + limit * scale, at - 2, x + names + limit * scale, at + line - 2, "#222", 1.5);
            }
        }
        y += most == 0 ? 0 : line * double(most) + 40;
    }
    write(picture, path);
}

void draw_comparison(const std::vector<report>& all, const std::string& path)
{
    constexpr const char* kinds[] = {"f32", "int8", "u8s8s32", "int4_group32", "int4_group128"};
    constexpr double width = 1000, panel = 320, names = 100, bars = panel - names - 50, line = 16;
    const double top = 84 + 20 * double(all.size()), block = line * double(all.size()) + 14;
    svg picture(width, top + 30 + block * 5 + 20);
    picture.text(20, 30, "nibble on several machines, GOP/s", {18, "#222", "start", true, 0});
    picture.text(20, 52, "1 thread, the newest backend of each, medians; longer is faster. Black line: the limit of that machine.",
        {13, grey, "start", false, 0});
    for (std::size_t i = 0; i < all.size(); ++i) {
        picture.rectangle(20, 64 + 20 * double(i), 13, 13, machine_colours[i % 6]);
        picture.text(40, 75 + 20 * double(i), all[i].cpu.name + ", " + all[i].cpu.microarchitecture + ": " + newest_backend(all[i]));
    }
    for (std::size_t c = 0; c < 3; ++c) {
        const shape& s = shown_shapes[c];
        const double x = 20 + 325 * double(c);
        picture.text(x, top + 14,
            std::to_string(s.m) + " x " + std::to_string(s.n) + " x " + std::to_string(s.k) + (s.m <= 16 ? ", from memory" : ", in cache"),
            {14, "#222", "start", true, 0});
        double longest = 1;
        for (const report& r : all)
            for (const char* kind : kinds)
                if (const row* one = find(r, kind, newest_backend(r), s.m, s.n, s.k))
                    longest = std::max(longest, std::max(one->gops, std::min(one->limit, 2 * one->gops)));
        for (std::size_t k = 0; k < 5; ++k) {
            const double y = top + 30 + block * double(k);
            picture.text(x + names - 8, y + block / 2 - 2, kinds[k], {12, "#222", "end", false, 0});
            for (std::size_t i = 0; i < all.size(); ++i) {
                const row* const one = find(all[i], kinds[k], newest_backend(all[i]), s.m, s.n, s.k);
                if (one == nullptr)
                    continue;
                const double at = y + line * double(i), length = bars * one->gops / longest;
                picture.rectangle(x + names, at, length, line - 4, machine_colours[i % 6]);
                if (one->limit != 0 && one->limit <= longest)
                    picture.line(x + names + bars * one->limit / longest, at - 1, x + names + bars * one->limit / longest, at + line - 3,
                        "#222", 1.5);
                picture.text(
                    x + names + length + 4, at + 10, print(one->gops < 10 ? "%.1f" : "%.0f", one->gops), {12, "#222", "start", false, 0});
            }
        }
    }
    write(picture, path);
}

} // namespace bench
