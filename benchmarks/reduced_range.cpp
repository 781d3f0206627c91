// What 7-bit activations gain with the weights of a model, and what its weights allow. Every matrix of the GGUF file is quantized to int8
// per channel. A panel of 16 channels is multiplied in steps of 8 k; "chained" counts the steps whose sums of two pairs fit int16. For
// 8-bit activations "bytes" counts the quads of k whose pairs do: there vpmaddubsw would be exact with them too, which no kernel uses.
// usage: nibble_reduced_range FILE.gguf [ROUNDS]
#include <cmath>
#include <string>

#include "../examples/common/command_line.hpp"
#include "support.hpp"

namespace {

struct matrix {
    std::string name;
    std::ptrdiff_t n, k;
    std::vector<std::int8_t> codes;
    std::vector<float> scales;
};

matrix quantized(std::string name, std::ptrdiff_t n, std::ptrdiff_t k, const std::vector<float>& w)
{
    matrix m {std::move(name), n, k, std::vector<std::int8_t>(w.size()), std::vector<float>(static_cast<std::size_t>(n))};
    constexpr auto by_channel = nibble::granularity::per_channel;
    const nibble::matrix_view<const float> view(w.data(), n, k);
    std::vector<float> scratch(nibble::choose_params_scratch(by_channel, n, k, 0));
    bench::require(nibble::choose_params<std::int8_t>(view, nibble::scheme::symmetric, by_channel, 0, m.scales, {}, scratch));
    bench::require(nibble::quantize(view, {by_channel, 0, m.scales}, nibble::matrix_view<std::int8_t>(m.codes.data(), n, k)));
    return m;
}

// Normally distributed, as the sum of twelve uniform numbers.
matrix normal(std::ptrdiff_t n, std::ptrdiff_t k)
{
    const std::vector<float> x = bench::data(12 * n * k);
    std::vector<float> w(static_cast<std::size_t>(n * k));
    for (std::size_t i = 0; i < w.size(); ++i)
        for (std::size_t j = 0; j < 12; ++j)
            w[i] += x[12 * i + j];
    return quantized("normal", n, k, w);
}

struct counts {
    std::ptrdiff_t steps = 0, chained = 0, quads = 0, bytes = 0, panels = 0, whole = 0;
    void add(const counts& c)
    {
        steps += c.steps;
        chained += c.chained;
        quads += c.quads;
        bytes += c.bytes;
        panels += c.panels;
        whole += c.whole;
    }
};

counts count(const matrix& m)
{
    counts c;
    for (std::ptrdiff_t panel = 0; panel < m.n; panel += nibble::panel_columns) {
        // The greatest sum of positive or of negative weights in an int16 lane that `quads` quads from k = i on have in any channel.
        const auto greatest = [&](std::ptrdiff_t i, std::ptrdiff_t quads) {
            int most = 0;
            for (std::ptrdiff_t j = panel; j < std::min(m.n, panel + nibble::panel_columns); ++j)
                for (std::ptrdiff_t lane = 0; lane < 2; ++lane) {
                    int positive = 0, negative = 0;
                    for (std::ptrdiff_t q = 0; q < quads; ++q)
                        for (std::ptrdiff_t l = i + 4 * q + 2 * lane; l < i + 4 * q + 2 * lane + 2; ++l) {
                            const int w = l < m.k ? m.codes[static_cast<std::size_t>(j * m.k + l)] : 0;
                            positive += std::max(w, 0);
                            negative += std::max(-w, 0);
                        }
                    most = std::max({most, positive, negative});
                }
            return most;
        };
        const std::ptrdiff_t before = c.chained, steps = (m.k + 7) / 8;
        for (std::ptrdiff_t i = 0; i < m.k; i += 8, ++c.steps)
            c.chained += greatest(i, 2) * 127 <= 32767;
        for (std::ptrdiff_t i = 0; i < m.k; i += 4, ++c.quads)
            c.bytes += greatest(i, 1) * 255 <= 32767;
        c.whole += c.chained - before == steps;
        ++c.panels;
    }
    return c;
}

void print(const char* name, const counts& c)
{
    std::printf("  %-26s chained %5.1f %% of steps, all in %zd of %zd panels; 8 bits as bytes: %5.1f %% of quads\n", name,
        100.0 * double(c.chained) / double(c.steps), c.whole, c.panels, 100.0 * double(c.bytes) / double(c.quads));
}

// GOP/s of m rows by all matrices, with 8 and with 7 bits, float to float, interleaved.
void time_products(const char* name, const std::vector<matrix>& all, std::ptrdiff_t m, int rounds)
{
    std::vector<nibble::packed_weights> packed;
    std::size_t scratch = 0, floats_in = 0, floats_out = 0;
    double operations = 0;
    for (const matrix& w : all) {
        auto made = nibble::packed_weights::make(
            nibble::matrix_view<const std::int8_t>(w.codes.data(), w.n, w.k), w.k, {nibble::granularity::per_channel, 0, w.scales});
        bench::require(made.error());
        scratch = std::max(scratch, nibble::gemm_workspace(m, made->view()));
        floats_in = std::max(floats_in, static_cast<std::size_t>(m * w.k));
        floats_out = std::max(floats_out, static_cast<std::size_t>(m * w.n));
        operations += 2.0 * double(m) * double(w.n) * double(w.k);
        packed.push_back(std::move(*made));
    }
    const std::vector<float> a = bench::data(static_cast<std::ptrdiff_t>(floats_in));
    std::vector<float> c(floats_out);
    std::vector<std::byte> workspace(scratch);
    const auto time = [&](bool reduced) {
        return bench::seconds([&] {
            for (const nibble::packed_weights& w : packed) {
                const nibble::matrix_view<const float> from(a.data(), m, w.view().k);
                const nibble::matrix_view<float> to(c.data(), m, w.view().n);
                bench::require(reduced ? nibble::gemm(from, nibble::reduced_range(nibble::dynamic_activations {}), w, {}, to, workspace)
                                       : nibble::gemm(from, w, {}, to, workspace));
            }
        });
    };
    for (int b = nibble::backend_count - 1; b > 0; --b) {
        if (nibble::force_backend(static_cast<nibble::backend>(b)) != nibble::status::ok)
            continue;
        std::vector<double> eight, seven;
        for (int round = 0; round < rounds; ++round) {
            eight.push_back(time(false));
            seven.push_back(time(true));
        }
        const double before = bench::median(eight), after = bench::median(seven);
        std::printf("  %-10s %-12s m %4td: 8 bits %6.1f GOP/s, 7 bits %6.1f (%.2f)\n", name,
            nibble::to_string(static_cast<nibble::backend>(b)), m, 1e-9 * operations / before, 1e-9 * operations / after, before / after);
    }
}

} // namespace

int main(int argc, char** argv)
{
    const auto given = command_line::whole_number(argc > 2 ? argv[2] : "15", 1, 100000);
    if (argc < 2 || argc > 3 || !given) {
        std::fprintf(stderr, "usage: nibble_reduced_range FILE.gguf [ROUNDS, 1 to 100000]\n");
        return 2;
    }
    command_line::warn_of_backend("nibble_reduced_range");
    const int rounds = static_cast<int>(*given);
    std::string wrong;
    const std::vector<char> text = command_line::read_file(argv[1], wrong);
    if (!wrong.empty()) {
        std::fprintf(stderr, "%s\n", wrong.c_str());
        return 1;
    }
    const auto file = nibble::gguf_reader::open({reinterpret_cast<const std::byte*>(text.data()), text.size()});
    bench::require(file.error());

    std::vector<matrix> model;
    counts sum;
    for (std::size_t i = 0; i < file->tensor_count(); ++i) {
        const nibble::gguf_tensor t = file->tensor(i);
        if (t.dimensions != 2)
            continue;
        std::vector<float> w(static_cast<std::size_t>(t.rows() * t.sizes[0]));
        bench::require(nibble::dequantize_blocks(t.type, t.data, nibble::matrix_view<float>(w.data(), t.rows(), t.sizes[0])));
        model.push_back(quantized(std::string(t.name), t.rows(), t.sizes[0], w));
        const counts c = count(model.back());
        print(model.back().name.c_str(), c);
        sum.add(c);
    }
    print("the model", sum);
    const std::vector<matrix> other {normal(1024, 1024)};
    print("1024 x 1024, normal", count(other[0]));
    const std::vector<float> uniform = bench::data(1024 * 1024);
    const std::vector<matrix> worst {quantized("uniform", 1024, 1024, uniform)};
    print("1024 x 1024, uniform", count(worst[0]));
    for (const std::ptrdiff_t m : {16, 256}) {
        time_products("the model", model, m, rounds);
        time_products("normal", other, m, rounds);
        time_products("uniform", worst, m, rounds);
    }
    return 0;
}
