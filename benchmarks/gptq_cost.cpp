// What GPTQ of a square layer costs, on one thread, beside what it must do as OpenBLAS does it: the Cholesky factor (dpotrf of k x k) and
// the products of errors with it (dgemm of n x k by k x k/2, which are as many operations).
// usage: nibble_gptq_cost SIZE... [--group N]        for instance 1024 2048 4096
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <cblas.h>

#include <nibble/nibble.hpp>

#include "../examples/common/command_line.hpp"

extern "C" {
void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);
void openblas_set_num_threads(int count);
}

namespace {

[[noreturn]] void fail(const char* what)
{
    std::fprintf(stderr, "nibble_gptq_cost: %s\n", what);
    std::exit(1);
}

template <class Work>
double seconds(Work work)
{
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Bytes of a line of /proc/self/status: VmRSS is what the program holds, VmHWM the most since forget_peak().
double mib(const char* name)
{
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.rfind(name, 0) == 0)
            return std::atof(line.c_str() + std::strlen(name) + 1) / 1024;
    return 0;
}
void forget_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

bool show(void*, double part)
{
    std::fprintf(stderr, "\rGPTQ %3.0f%%%s", 100 * part, part < 1 ? "" : "\n");
    return true;
}

// Inputs that depend on each other.
std::vector<float> inputs(std::ptrdiff_t m, std::ptrdiff_t k)
{
    std::mt19937 random(1);
    const auto number = [&] { return static_cast<float>(static_cast<std::int32_t>(random())) * 0x1p-31f; };
    std::vector<float> x(static_cast<std::size_t>(m * k));
    for (std::ptrdiff_t r = 0; r < m; ++r) {
        float shared[16];
        for (float& s : shared)
            s = number();
        for (std::ptrdiff_t c = 0; c < k; ++c)
            x[static_cast<std::size_t>(r * k + c)] = number() + 2 * shared[c % 16] + shared[c % 7];
    }
    return x;
}

void measure(std::ptrdiff_t k, std::ptrdiff_t group)
{
    const std::size_t count = static_cast<std::size_t>(k * k);
    auto h = nibble::hessian::make(k);
    if (!h)
        fail(nibble::to_string(h.error()));
    double gathering = 0;
    for (std::ptrdiff_t rows = 0; rows < 2 * k; rows += 512) {
        const std::vector<float> x = inputs(512, k);
        gathering += seconds([&] { (void)h->add({x.data(), 512, k}); });
        std::fprintf(stderr, "\rHessian of %td columns: %td of %td rows", k, rows + 512, 2 * k);
    }
    std::fprintf(stderr, "\n");

    std::vector<double> a(count), b(count);
    for (std::ptrdiff_t i = 0; i < k; ++i)
        for (std::ptrdiff_t j = 0; j < k; ++j)
            a[static_cast<std::size_t>(i * k + j)] = b[static_cast<std::size_t>(i * k + j)]
                = (*h)(i, j) + (i == j ? 0.01 * (*h)(i, i) : 0.0);
    const int size = static_cast<int>(k), half = size / 2;
    int info = 0;
    const double dpotrf = seconds([&] { dpotrf_("L", &size, a.data(), &size, &info); });
    std::vector<double> c(count / 2);
    const double dgemm = seconds([&] {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size, half, size, 1, b.data(), size, a.data(), size, 0, c.data(), half);
    });
    bool factored = false;
    const double cholesky = seconds([&] { factored = nibble::cholesky(nibble::matrix_view<double>(b.data(), k, k)); });
    if (info != 0 || !factored)
        fail("the Hessian cannot be factored");
    std::vector<double>().swap(a);
    std::vector<double>().swap(b);
    std::vector<double>().swap(c);

    const std::vector<float> w = inputs(k, k);
    nibble::weight_format f;
    f.kind = group == 0 ? nibble::granularity::per_channel : nibble::granularity::per_group;
    f.group_size = group;
    std::vector<nibble::int4x2> codes(count / 2);
    std::vector<float> scales(static_cast<std::size_t>(nibble::params_count(f.kind, k, k, group)));
    nibble::gptq_report report;
    nibble::status done = nibble::status::ok;
    forget_peak();
    const double held = mib("VmRSS");
    const double gptq = seconds([&] {
        done = nibble::gptq(nibble::matrix_view<const float>(w.data(), k, k), *h, f,
            nibble::quantized_matrix<nibble::int4x2> {{codes.data(), k, k / 2}, scales}, {}, &report, {show, nullptr});
    });
    if (done != nibble::status::ok)
        fail(nibble::to_string(done));
    std::printf("| %td | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %td |\n", k, gathering, dpotrf, cholesky, dgemm, gptq,
        gptq / (dpotrf + dgemm), (mib("VmHWM") - held) / (static_cast<double>(count) * 4 / 1048576), report.nearest_rows);
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv)
{
    std::vector<std::ptrdiff_t> sizes;
    std::ptrdiff_t group = 0;
    for (int i = 1; i < argc; ++i) {
        const bool is_group = std::strcmp(argv[i], "--group") == 0 && i + 1 < argc;
        const auto number = is_group ? command_line::whole_number(argv[i + 1], 0, 32768) : command_line::whole_number(argv[i], 512, 32768);
        if (!number || (!is_group && *number % 512 != 0))
            fail(is_group ? "--group takes a number, 0 for none" : "sizes are multiples of 512, at most 32768");
        if (is_group) {
            group = static_cast<std::ptrdiff_t>(*number);
            ++i;
        } else {
            sizes.push_back(static_cast<std::ptrdiff_t>(*number));
        }
    }
    command_line::warn_of_backend("nibble_gptq_cost");
    openblas_set_num_threads(1);
    std::printf("%s, INT4, %s\n\n", nibble::to_string(nibble::active_backend()), group == 0 ? "per channel" : "groups");
    std::printf("| n = k | Hessian of 2k rows, s | dpotrf, s | cholesky, s | dgemm, s | GPTQ, s | GPTQ / (dpotrf + dgemm) | memory / "
                "floats of the layer | rows rounded to "
                "nearest |\n|---|---|---|---|---|---|---|---|---|\n");
    for (const std::ptrdiff_t k : sizes)
        measure(k, group);
}
