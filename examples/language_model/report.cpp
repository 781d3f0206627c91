#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>

namespace {

// Whether all that was printed is in the file.
bool closed(std::FILE* file)
{
    const bool good = std::ferror(file) == 0;
    return std::fclose(file) == 0 && good;
}

} // namespace

void print_table(const std::vector<row>& rows)
{
    std::printf("\n%-10s %-13s %10s %10s %11s %10s %8s\n", "format", "backend", "bytes", "tokens/s", "perplexity", "mean KL", "top-1");
    for (const row& r : rows)
        std::printf("%-10s %-13s %10zu %10.0f %11.4f %10.6f %7.2f%%\n", r.format.c_str(), r.backend.c_str(), r.bytes, r.tokens_per_second,
            r.perplexity, r.mean_kl, 100 * r.top1_agreement);
    std::printf("\nSignal to quantization noise of the weights, dB\n%-28s", "matrix");
    std::vector<const row*> shown;
    for (const row& r : rows)
        if (r.backend == rows.front().backend && r.format != "FP32")
            shown.push_back(&r);
    for (const row* r : shown)
        std::printf(" %9s", r->format.c_str());
    for (std::size_t i = 0; i < rows.front().sqnr.size(); ++i) {
        std::printf("\n%-28s", rows.front().sqnr[i].first.c_str());
        for (const row* r : shown)
            if (std::isinf(r->sqnr[i].second))
                std::printf(" %9s", "exact");
            else
                std::printf(" %9.1f", r->sqnr[i].second);
    }
    std::printf("\n");
}

void print_costs()
{
    std::printf("\nWhat the weights of larger models take, GB\n%-34s %8s %8s\n", "", "7.0 B", "8.03 B");
    const struct {
        const char* name;
        double bits;
    } formats[]
        = {{"FP32", 32}, {"FP16, BF16", 16}, {"INT8, codes alone", 8}, {"INT4, codes alone", 4}, {"INT4 and a half for every 32", 4.5}};
    for (const auto& f : formats)
        std::printf("%-34s %8.2f %8.2f\n", f.name, 7.0 * f.bits / 8, 8.03 * f.bits / 8);
    std::printf("%-34s %8s %8.2f  (Llama-3-8B: 4 912 898 048 bytes)\n", "GGUF Q4_K_M", "", 4.912898048);
}

bool write_json(const std::string& path, const std::vector<row>& rows)
{
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (file == nullptr)
        return false;
    std::fprintf(file, "[\n");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const row& r = rows[i];
        std::fprintf(file,
            "  {\"format\": \"%s\", \"backend\": \"%s\", \"bytes\": %zu, \"tokens_per_second\": %.1f, \"perplexity\": %.6f, \"mean_kl\": "
            "%.8f, "
            "\"top1_agreement\": %.6f, \"sqnr_db\": {",
            r.format.c_str(), r.backend.c_str(), r.bytes, r.tokens_per_second, r.perplexity, r.mean_kl, r.top1_agreement);
        for (std::size_t j = 0; j < r.sqnr.size(); ++j) {
            std::fprintf(file, "%s\"%s\": ", j ? ", " : "", r.sqnr[j].first.c_str());
            std::isinf(r.sqnr[j].second) ? std::fprintf(file, "null") : std::fprintf(file, "%.3f", r.sqnr[j].second);
        }
        std::fprintf(file, "}}%s\n", i + 1 < rows.size() ? "," : "");
    }
    std::fprintf(file, "]\n");
    return closed(file);
}

bool write_svg(const std::string& path, const std::vector<row>& rows)
{
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (file == nullptr)
        return false;
    const int line = 22, top = 70, height = top + line * static_cast<int>(rows.size()) + 30;
    std::fprintf(file,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1000\" height=\"%d\" font-family=\"sans-serif\" font-size=\"13\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
        "<text x=\"20\" y=\"28\" font-size=\"18\">One model, eight formats, every backend of this CPU</text>\n",
        height);
    const struct {
        const char* title;
        double row::*value;
        const char* print;
        bool from_zero;
    } columns[] = {{"tokens per second", &row::tokens_per_second, "%.0f", true}, {"mean KL against FP32", &row::mean_kl, "%.5f", true},
        {"perplexity (axis cut)", &row::perplexity, "%.4f", false}};
    const char* colours[] = {"#4c78a8", "#72b7b2", "#54a24b", "#e45756", "#f58518", "#88d27a", "#ff9da6", "#eeca3b"};
    const char* formats[] = {"FP32", "FP16", "INT8", "INT4", "INT4 GPTQ", "Q8_0", "Q4_0", "Q4_K_M"};
    for (std::size_t c = 0; c < 3; ++c) {
        const int x = 205 + static_cast<int>(c) * 260;
        double low = 1e300, high = -1e300;
        for (const row& r : rows) {
            low = std::min(low, r.*columns[c].value);
            high = std::max(high, r.*columns[c].value);
        }
        const double base = columns[c].from_zero ? 0 : low - 0.25 * (high - low);
        std::fprintf(file, "<text x=\"%d\" y=\"56\" fill=\"#444\">%s</text>\n", x, columns[c].title);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const double value = rows[i].*columns[c].value;
            const int y = top + line * static_cast<int>(i);
            const double length = high > base ? 170 * (value - base) / (high - base) : 0;
            std::size_t colour = 0;
            while (colour + 1 < std::size(formats) && rows[i].format != formats[colour])
                ++colour;
            std::fprintf(file, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"15\" fill=\"%s\"/>\n", x, y, length, colours[colour]);
            std::fprintf(file, "<text x=\"%.1f\" y=\"%d\">", x + length + 5, y + 12);
            std::fprintf(file, columns[c].print, value);
            std::fprintf(file, "</text>\n");
            if (c == 0)
                std::fprintf(file, "<text x=\"20\" y=\"%d\">%s on %s</text>\n", y + 12, rows[i].format.c_str(), rows[i].backend.c_str());
        }
    }
    std::fprintf(file, "</svg>\n");
    return closed(file);
}
