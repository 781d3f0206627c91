// Fashion-MNIST with a perceptron of 784-256-128-10: trained in floats, then quantized after training (PTQ: round to nearest, GPTQ) and
// with quantization-aware training (QAT), at several widths of weights and activations. What is measured runs on the integer kernels.
// usage: nibble_qat_fashion_mnist [--seeds N] [--threads N] [--float-epochs N] [--qat-epochs N] [--data FOLDER]
#include <ctime>
#include <string>

#include "../common/command_line.hpp"
#include "training.hpp"

namespace {

using namespace perceptron;

struct options {
    int seeds = 3, threads = static_cast<int>(std::thread::hardware_concurrency()), float_epochs = 10, qat_epochs = 5;
    std::string data = "/usr/share/datasets/fashion-mnist";
};

struct setting {
    const char* weights;
    const char* activations;
    precision bits;
};

constexpr nibble::code_limits unsigned_codes(int bits) { return nibble::codes_of_bits(bits, false); }
constexpr nibble::code_limits signed_codes(int bits) { return nibble::codes_of_bits(bits, true); }
constexpr nibble::code_limits ternary_codes = nibble::codes_of_bits(2, true, nibble::code_range::narrow);

const setting settings[] = {
    {"INT8", "INT8", {signed_codes(8), unsigned_codes(8)}},
    {"INT4", "INT8", {signed_codes(4), unsigned_codes(8)}},
    {"INT3", "INT8", {signed_codes(3), unsigned_codes(8)}},
    {"INT2", "INT8", {signed_codes(2), unsigned_codes(8)}},
    {"ternary", "INT8", {ternary_codes, unsigned_codes(8)}},
    {"INT8", "INT4", {signed_codes(8), unsigned_codes(4)}},
    {"INT4", "INT4", {signed_codes(4), unsigned_codes(4)}},
    {"INT3", "INT4", {signed_codes(3), unsigned_codes(4)}},
    {"INT2", "INT4", {signed_codes(2), unsigned_codes(4)}},
    {"ternary", "INT4", {ternary_codes, unsigned_codes(4)}},
};
constexpr std::size_t setting_count = sizeof settings / sizeof settings[0];

constexpr std::ptrdiff_t calibration_images = 2048;
constexpr float qat_rate = 1e-3f;

// The integer kernels', and whether the simulation in floats comes to the same.
double integer_accuracy(network& net, const images& test, double& simulated)
{
    simulated = accuracy(net, test);
    integer_network shipped(net);
    return accuracy(shipped, test);
}

std::string mean_and_spread(const std::vector<double>& of_seeds)
{
    const auto [least, greatest] = std::minmax_element(of_seeds.begin(), of_seeds.end());
    const double mean = std::accumulate(of_seeds.begin(), of_seeds.end(), 0.0) / static_cast<double>(of_seeds.size());
    char text[64];
    std::snprintf(text, sizeof text, "%.2f (%.2f–%.2f)", mean, *least, *greatest);
    return text;
}

options parse(int argc, char** argv)
{
    const char* const known = "options: --seeds, --threads, --float-epochs, --qat-epochs, each with a number, and --data FOLDER";
    options o;
    for (int i = 1; i < argc; i += 2) {
        const std::string flag = argv[i];
        if (flag == "--help") {
            std::printf("Trains a small network in floats and in fake quantization, and measures it on the integer kernels.\n%s\n", known);
            std::exit(0);
        }
        int* number = flag == "--seeds"          ? &o.seeds
                      : flag == "--threads"      ? &o.threads
                      : flag == "--float-epochs" ? &o.float_epochs
                      : flag == "--qat-epochs"   ? &o.qat_epochs
                                                 : nullptr;
        const std::int64_t most = flag == "--threads" ? 1024 : 100000;
        if (i + 1 < argc && number != nullptr) {
            const auto given = command_line::whole_number(argv[i + 1], 1, most);
            if (!given) {
                std::fprintf(stderr, "%s\n", command_line::not_whole_number(flag, 1, most, argv[i + 1]).c_str());
                std::exit(2);
            }
            *number = static_cast<int>(*given);
        } else if (i + 1 < argc && flag == "--data") {
            o.data = argv[i + 1];
        } else {
            std::fprintf(stderr, "%s is unknown or lacks its value; %s\n", flag.c_str(), known);
            std::exit(2);
        }
    }
    o.threads = std::max(o.threads, 1);
    return o;
}

} // namespace

int main(int argc, char** argv)
{
    const options o = parse(argc, argv);
    command_line::warn_of_backend("nibble_qat_fashion_mnist");
    const images training = read_images(o.data, "train", 60000), test = read_images(o.data, "t10k", 10000);
    const std::size_t seeds = static_cast<std::size_t>(o.seeds), steps = static_cast<std::size_t>(training.count / batch);
    std::fprintf(
        stderr, "Fashion-MNIST, 784-256-128-10, %d threads, products on %s\n", o.threads, nibble::to_string(nibble::active_backend()));

    progress shown;
    shown.start(seeds * steps * (static_cast<std::size_t>(o.float_epochs) + (setting_count + 1) * static_cast<std::size_t>(o.qat_epochs)));
    std::vector<network> trained;
    for (std::size_t s = 0; s < seeds; ++s)
        trained.emplace_back(std::vector<std::ptrdiff_t> {pixels, 256, 128, 10}, static_cast<unsigned>(s + 1));
    std::vector<double> floats(seeds);
    nibble::thread_pool pool(static_cast<std::size_t>(o.threads));
    pool.parallel_for(seeds, [&](std::size_t s) {
        const double loss = train(trained[s], training, o.float_epochs, float_rate, static_cast<unsigned>(s + 100), shown);
        floats[s] = accuracy(trained[s], test);
        char line[100];
        std::snprintf(line, sizeof line, "seed %zu  FP32            loss %.3f  accuracy %.2f %%", s + 1, loss, floats[s]);
        shown.say(line);
    });

    const matrix samples = first_images(training, calibration_images);
    // The last of a seed's trainings goes on in floats, as long as the others: what the further epochs do without quantization.
    std::vector<double> longer(seeds);
    std::vector<std::vector<double>> ptq(setting_count, std::vector<double>(seeds)), mse = ptq, gptq = ptq, qat = ptq,
                                                                                     simulation_error = ptq;
    pool.parallel_for(seeds * (setting_count + 1), [&](std::size_t i) {
        const std::size_t s = i / (setting_count + 1), at = i % (setting_count + 1);
        const unsigned seed = static_cast<unsigned>(s + 200);
        network net = trained[s];
        char line[160];
        if (at == setting_count) {
            const double loss = train(net, training, o.qat_epochs, qat_rate, seed, shown);
            longer[s] = accuracy(net, test);
            std::snprintf(line, sizeof line, "seed %zu  FP32, longer    loss %.3f  accuracy %.2f %%", s + 1, loss, longer[s]);
            return shown.say(line);
        }
        const setting& how = settings[at];
        double simulated = 0;
        net.quantize(how.bits, nibble::params_start::max_abs, samples);
        ptq[at][s] = integer_accuracy(net, test, simulated);
        net.quantize(how.bits, nibble::params_start::mse, samples);
        mse[at][s] = integer_accuracy(net, test, simulated);
        network compensated = net;
        compensated.gptq(samples);
        gptq[at][s] = integer_accuracy(compensated, test, simulated);
        const double loss = train(net, training, o.qat_epochs, qat_rate, seed, shown);
        qat[at][s] = integer_accuracy(net, test, simulated);
        simulation_error[at][s] = std::fabs(simulated - qat[at][s]);
        std::snprintf(line, sizeof line, "seed %zu  %-7s x %s  loss %.3f  accuracy %.2f %%  (PTQ %.2f %%, simulated %.2f %%)", s + 1,
            how.weights, how.activations, loss, qat[at][s], ptq[at][s], simulated);
        shown.say(line);
    });

    std::printf("| weights | activations | PTQ, max-abs | PTQ, least squares | GPTQ | QAT |\n|---|---|---|---|---|---|\n");
    std::printf("| FP32 | FP32 | %s | | | %s (trained as long) |\n", mean_and_spread(floats).c_str(), mean_and_spread(longer).c_str());
    for (std::size_t at = 0; at < setting_count; ++at)
        std::printf("| %s | %s | %s | %s | %s | %s |\n", settings[at].weights, settings[at].activations, mean_and_spread(ptq[at]).c_str(),
            mean_and_spread(mse[at]).c_str(), mean_and_spread(gptq[at]).c_str(), mean_and_spread(qat[at]).c_str());
    double worst = 0;
    for (const std::vector<double>& each : simulation_error)
        worst = std::max(worst, *std::max_element(each.begin(), each.end()));
    std::printf(
        "Per cent of 10000 test images, mean (least–greatest) of %zu seeds, on the integer kernels; the simulation in floats differs "
        "by at most %.2f points. %.0f s, %.0f s of processor time.\n",
        seeds, worst, shown.seconds(), static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
    return command_line::finish("nibble_qat_fashion_mnist", 0);
}
