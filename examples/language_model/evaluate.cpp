#include "evaluate.hpp"
#include "text.hpp"

#include <chrono>
#include <cstdio>

#include <unistd.h>

namespace {

double seconds_since(std::chrono::steady_clock::time_point began)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

} // namespace

void show_progress(const std::string& what, std::size_t done, std::size_t all, double tokens_per_second)
{
    if (!isatty(2)) {
        if (done == all)
            std::fprintf(stderr, "%s: %.0f tokens/s\n", what.c_str(), tokens_per_second);
        return;
    }
    const int filled = static_cast<int>(30 * done / all);
    std::fprintf(stderr, "\r%-22s [%-30.*s] %3zu%%  %8.0f tokens/s ", what.c_str(), filled, "##############################",
        100 * done / all, tokens_per_second);
    if (done == all)
        std::fprintf(stderr, "\n");
}

nibble::result<evaluation> evaluate(
    model& m, const std::string& text, std::size_t windows, std::vector<float>& reference, const std::string& name)
{
    const std::size_t context = m.context(), vocabulary = m.vocabulary();
    const bool first = reference.empty();
    evaluation done;
    std::vector<float> z;
    for (std::size_t w = 0; w < windows; ++w) {
        const std::vector<std::int32_t> tokens = tokens_of(std::string_view(text).substr(w * context, context));
        const auto began = std::chrono::steady_clock::now();
        if (const nibble::status s = m.logits(tokens, z); s != nibble::status::ok)
            return s;
        done.seconds += seconds_since(began);
        if (first)
            reference.insert(reference.end(), z.begin(), z.end());
        for (std::size_t t = 0; t + 1 < context; ++t) {
            const nibble::span<const float> now(z.data() + t * vocabulary, vocabulary);
            const nibble::span<const float> expected(reference.data() + (w * context + t) * vocabulary, vocabulary);
            if (const nibble::status s = done.predictions.add(expected, now); s != nibble::status::ok)
                return s;
            if (const nibble::status s = done.predictions.add_target(now, static_cast<std::size_t>(tokens[t + 1])); s != nibble::status::ok)
                return s;
        }
        show_progress(name, w + 1, windows, double((w + 1) * context) / done.seconds);
    }
    return done;
}

nibble::result<calibration> calibrate(model& m, const std::vector<std::vector<std::int32_t>>& texts)
{
    const auto began = std::chrono::steady_clock::now();
    return m.calibrate(texts,
        [&](std::size_t i) { show_progress("calibration", i + 1, texts.size(), double((i + 1) * m.context()) / seconds_since(began)); });
}
