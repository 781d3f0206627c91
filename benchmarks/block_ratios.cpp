// Products with ggml's blocks against ggml's own kernels, as they are and repacked, interleaved: each round times everything once, so that
// noise meets all alike. One thread, weights of 4096 x 4096.
// usage: nibble_block_ratios [ROUNDS] [BACKEND]
//   BACKEND  nibble's, and the most that ggml may use: avx2, avx512 or avx512vnni
#include <string>

#include <dlfcn.h>

#include "contender.hpp"
#include "support.hpp"

namespace {

constexpr std::ptrdiff_t n = 4096, k = 4096;
constexpr std::ptrdiff_t quantized_rows = 64; // and those again and again, since some types search their scales for long

nibble::packed_weights packed(nibble::ggml_type type, const std::vector<float>& w)
{
    const std::size_t part = static_cast<std::size_t>(*nibble::bytes_for(quantized_rows, k, type));
    std::vector<std::byte> blocks(part);
    bench::require(nibble::quantize_blocks(type, {w.data(), quantized_rows, k}, blocks));
    while (blocks.size() < part * (n / quantized_rows))
        blocks.insert(blocks.end(), blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(part));
    auto made = nibble::make_packed_blocks(type, blocks, n, k);
    bench::require(made.error());
    return std::move(*made);
}

std::unique_ptr<bench::peer> ggml(const std::string& program, const std::string& cap)
{
    const std::string module = program.substr(0, program.rfind('/') + 1) + "libpeer_ggml.so";
    void* const library = dlopen(module.c_str(), RTLD_NOW);
    void* const make = library == nullptr ? nullptr : dlsym(library, "nibble_bench_peer");
    std::string reason = make == nullptr ? dlerror() : "";
    bench::peer* const made = make == nullptr ? nullptr : reinterpret_cast<bench::make_peer*>(make)(NIBBLE_BENCH_PEERS, cap, reason);
    if (made == nullptr) {
        std::fprintf(stderr, "no ggml: %s\n", reason.c_str());
        std::exit(1);
    }
    return std::unique_ptr<bench::peer>(made);
}

} // namespace

int main(int argc, char** argv)
{
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 15;
    const std::string cap = argc > 2 ? argv[2] : "";
    if (!cap.empty()) {
        const auto wanted = nibble::find_backend(cap.c_str());
        bench::require(wanted.error());
        bench::require(nibble::force_backend(*wanted));
    }
    const std::unique_ptr<bench::peer> other = ggml(argv[0], cap);
    std::printf("nibble on %s, ggml %s; microseconds of a product, median of %d\n%-8s %5s %10s %10s %10s %22s\n",
        nibble::to_string(nibble::active_backend()), other->version().c_str(), rounds, "type", "m", "nibble", "ggml", "repacked",
        "best ggml / nibble");
    auto w = std::make_shared<bench::weight_matrix>();
    w->n = n;
    w->k = k;
    w->f32 = bench::data(n * k);
    using nibble::ggml_type;
    for (const ggml_type type : {ggml_type::q8_0, ggml_type::q4_0, ggml_type::q4_K, ggml_type::q6_K, ggml_type::iq4_nl, ggml_type::mxfp4}) {
        const nibble::packed_weights weights = packed(type, w->f32);
        for (const std::ptrdiff_t m : {1, 16, 128}) {
            bench::problem p;
            p.m = m;
            p.w = w;
            p.a = bench::data(m * k);
            p.every_format = true;
            const std::string name = nibble::to_string(type);
            p.wants = [&](const std::string& kernel, bench::kind) { return kernel == name || kernel == name + " repacked"; };
            const bench::contenders theirs = other->make(p, 1);
            std::vector<float> c(static_cast<std::size_t>(m * n));
            std::vector<std::byte> workspace(nibble::gemm_workspace(m, weights));
            const auto product = [&] {
                bench::require(nibble::gemm(nibble::matrix_view<const float>(p.a.data(), m, k), weights, {},
                    nibble::matrix_view<float>(c.data(), m, n), workspace));
            };
            std::vector<double> ours;
            std::vector<std::vector<double>> others(theirs.size());
            for (int round = -1; round < rounds; ++round) { // the first warms up
                const double time = bench::seconds(product);
                if (round >= 0)
                    ours.push_back(time);
                for (std::size_t i = 0; i < theirs.size(); ++i) {
                    const double its = bench::seconds([&] { theirs[i]->run(1); });
                    if (round >= 0)
                        others[i].push_back(its);
                }
            }
            double best = 0, plain = 0, repacked = 0;
            for (std::size_t i = 0; i < theirs.size(); ++i) {
                const double time = bench::median(others[i]);
                (theirs[i]->kernel == name ? plain : repacked) = time;
                best = best == 0 ? time : std::min(best, time);
            }
            const auto shown = [](double time) { return time == 0 ? std::string("-") : std::to_string(std::lround(1e6 * time)); };
            std::printf("%-8s %5td %10s %10s %10s %22.2f\n", name.c_str(), m, shown(bench::median(ours)).c_str(), shown(plain).c_str(),
                shown(repacked).c_str(), best / bench::median(ours));
            std::fflush(stdout);
        }
    }
}
