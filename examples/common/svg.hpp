// A picture made of rectangles, lines, circles and text, in SVG. For the reports of the benchmarks and the examples.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

class svg {
public:
    struct text_style {
        double size = 13;
        const char* fill = "#222";
        const char* anchor = "start"; ///< or "middle", "end": which point of the text stands at x
        bool bold = false;
        double turned = 0; ///< degrees, clockwise
    };

    svg(double width, double height) : width_(width), height_(height) { rectangle(0, 0, width, height, "white"); }

    void rectangle(double x, double y, double width, double height, const char* fill, const char* stroke = "none")
    {
        add("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" stroke=\"%s\"/>\n", x, y, width, height, fill, stroke);
    }
    void line(double x1, double y1, double x2, double y2, const char* stroke, double width = 1, const char* dashes = "none")
    {
        add("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%.1f\" stroke-dasharray=\"%s\"/>\n", x1, y1,
            x2, y2, stroke, width, dashes);
    }
    void circle(double x, double y, double radius, const char* fill, const char* stroke)
    {
        add("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\" stroke=\"%s\" stroke-width=\"1.5\"/>\n", x, y, radius, fill, stroke);
    }
    void text(double x, double y, std::string_view words, const text_style& style)
    {
        add("<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" fill=\"%s\" text-anchor=\"%s\" font-weight=\"%s\"", x, y, style.size,
            style.fill, style.anchor, style.bold ? "bold" : "normal");
        if (style.turned != 0)
            add(" transform=\"rotate(%.1f %.1f %.1f)\"", style.turned, x, y);
        body_ += '>';
        for (const char c : words)
            if (c == '&')
                body_ += "&amp;";
            else if (c == '<')
                body_ += "&lt;";
            else
                body_ += c;
        body_ += "</text>\n";
    }
    void text(double x, double y, std::string_view words) { text(x, y, words, text_style()); }

    /// False if the file cannot be written.
    bool write(const std::string& path) const
    {
        std::FILE* const file = std::fopen(path.c_str(), "w");
        if (file == nullptr)
            return false;
        std::fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
            "font-family=\"sans-serif\">\n"
            "%s</svg>\n",
            width_, height_, width_, height_, body_.c_str());
        const bool good = std::ferror(file) == 0;
        return std::fclose(file) == 0 && good;
    }

private:
    template <class... Values>
    void add(const char* format, Values... values)
    {
        char text[512];
        std::snprintf(text, sizeof text, format, values...);
        body_ += text;
    }

    double width_, height_;
    std::string body_;
};
