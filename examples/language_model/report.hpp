// What the demo measured, as a table, as JSON and as a picture.
#pragma once

#include <string>
#include <vector>

struct row {
    std::string format, backend;
    std::size_t bytes = 0;
    double tokens_per_second = 0, perplexity = 0, mean_kl = 0, top1_agreement = 0;
    std::vector<std::pair<std::string, double>> sqnr; ///< dB, by matrix
};

void print_table(const std::vector<row>& rows);
void print_costs();
bool write_json(const std::string& path, const std::vector<row>& rows);
bool write_svg(const std::string& path, const std::vector<row>& rows);
