// nibble against OpenBLAS's float product, interleaved: each round times everything once, so that noise meets all alike. One thread.
// usage: nibble_compare [ROUNDS]
#include "support.hpp"

int main(int argc, char** argv)
{
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 11;
    openblas_set_num_threads(1);
    std::printf("GOP/s, medians of %d interleaved rounds, and the ratio to OpenBLAS's sgemm\n%-14s %-11s %9s", rounds, "m x n x k",
        "backend", "OpenBLAS");
    for (const bench::kind what : bench::all_kinds)
        std::printf(" %16s", bench::name_of(what));
    std::printf("\n");
    const std::ptrdiff_t shapes[][3]
        = {{256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {128, 4096, 4096}, {1, 4096, 4096}};
    for (const auto& s : shapes)
        for (int i = nibble::backend_count - 1; i > 0; --i) {
            const nibble::backend b = static_cast<nibble::backend>(i);
            if (nibble::force_backend(b) != nibble::status::ok)
                continue;
            std::vector<bench::product> products;
            for (const bench::kind what : bench::all_kinds) {
                products.emplace_back(what, s[0], s[1], s[2]);
                products.back().check();
            }
            const std::vector<float> w = bench::data(s[1] * s[2]);
            const int m = static_cast<int>(s[0]), n = static_cast<int>(s[1]), k = static_cast<int>(s[2]);
            std::vector<float> c(static_cast<std::size_t>(s[0] * s[1]));
            std::vector<std::vector<double>> times(products.size() + 1);
            for (int round = 0; round < rounds; ++round) {
                times[0].push_back(
                    bench::seconds([&] { cblas_sgemm(101, 111, 112, m, n, k, 1, products[0].a.data(), k, w.data(), k, 0, c.data(), n); }));
                for (std::size_t p = 0; p < products.size(); ++p)
                    times[p + 1].push_back(bench::seconds([&] { products[p].run(); }));
            }
            const double operations = 2e-9 * double(m) * double(n) * double(k), base = operations / bench::median(times[0]);
            std::printf("%4d %4d %4d %-11s %9.1f", m, n, k, nibble::to_string(b), base);
            for (std::size_t p = 0; p < products.size(); ++p)
                std::printf(" %8.1f (%4.2f)", operations / bench::median(times[p + 1]), operations / bench::median(times[p + 1]) / base);
            std::printf("\n");
            std::fflush(stdout);
        }
}
