// Prints docs/layouts.md's table of sections. layout_table.sh compares them.
#include <cstdio>

#include <nibble/gemm/section_layout.hpp>

namespace {

void print_place(bool is_there, std::ptrdiff_t at)
{
    if (is_there)
        std::printf(" %td |", at);
    else
        std::printf(" |");
}

} // namespace

int main()
{
    const struct {
        const char* name;
        nibble::section_format format; // bits, half scales, minimums, zero points, without sums
    } rows[] = {
        {"int8", {8, false, false, false, false}},
        {"int8, zero points", {8, false, false, true, false}},
        {"int8, half scales", {8, true, false, false, false}},
        {"int8, half scales, no sums: q8_0", {8, true, false, false, true}},
        {"int8, no sums: q8_K", {8, false, false, false, true}},
        {"4 bits", {4, false, false, false, false}},
        {"4 bits, zero points", {4, false, false, true, false}},
        {"4 bits, half scales: q4_0", {4, true, false, false, false}},
        {"4 bits, half scales, zero points", {4, true, false, true, false}},
        {"4 bits, half scales, minimums: q4_1", {4, true, true, false, false}},
    };
    std::printf("| section | scales | minimums | sums | zero points | codes | bytes with 32 k |\n|---|---|---|---|---|---|---|\n");
    for (const auto& [name, f] : rows) {
        const nibble::section_layout at(f, 32);
        std::printf("| %s | 0 |", name);
        print_place(f.has_minimums, at.minimums);
        print_place(f.bits == 8 && !f.without_sums, at.sums);
        print_place(f.has_zero_points, at.zero_points);
        std::printf(" %td | %td |\n", at.codes, at.bytes);
    }
}
