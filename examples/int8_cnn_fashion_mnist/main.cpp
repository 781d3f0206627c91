// A convolutional network of 100 thousand parameters, trained in floats on Fashion-MNIST and quantized to TFLite's int8 scheme.
// usage: nibble_int8_cnn_fashion_mnist [--epochs N] [--data FOLDER]
#include <ctime>
#include <string>

#include "../common/command_line.hpp"
#include "training.hpp"
#include "int8.hpp"

int main(int argc, char** argv)
{
    int epochs = 8;
    std::string folder = "/usr/share/datasets/fashion-mnist";
    for (int i = 1; i < argc; i += 2) {
        const std::string flag = argv[i];
        if (flag == "--epochs" && i + 1 < argc) {
            const auto given = command_line::whole_number(argv[i + 1], 1, 100000);
            if (!given) {
                std::fprintf(stderr, "%s\n", command_line::not_whole_number(flag, 1, 100000, argv[i + 1]).c_str());
                return 2;
            }
            epochs = static_cast<int>(*given);
        } else if (flag == "--data" && i + 1 < argc) {
            folder = argv[i + 1];
        } else {
            std::fprintf(stderr, "%s is unknown or lacks its value; options: --epochs N and --data FOLDER\n", flag.c_str());
            return 2;
        }
    }
    command_line::warn_of_backend("nibble_int8_cnn_fashion_mnist");
    const images training = read_images(folder, "train", 60000), test = read_images(folder, "t10k", 10000);

    using nibble::tflite::same_padding;
    cnn::network net({28, 28, 1});
    net.convolution(16, same_padding({3, 3}, 28, 28), true);
    net.depthwise(same_padding({3, 3, 2, 2}, 28, 28)).convolution(32, {}, true);
    net.depthwise(same_padding({3, 3, 2, 2}, 14, 14)).convolution(96, {}, true);
    net.average_pool({2, 2, 2, 2}).fully_connected(112, true).fully_connected(10, false);
    net.initialize(1);
    std::fprintf(stderr, "Fashion-MNIST, %td parameters, products on %s\n", net.parameters(), nibble::to_string(nibble::active_backend()));

    perceptron::progress shown;
    shown.start(static_cast<std::size_t>(epochs) * static_cast<std::size_t>(training.count / perceptron::batch));
    char line[100];
    const double loss = perceptron::train(net, training, epochs, 2e-3f, 1, shown);
    std::snprintf(line, sizeof line, "trained, loss %.3f", loss);
    shown.say(line);
    const double floats = perceptron::accuracy(net, test);

    constexpr std::ptrdiff_t samples = 1024;
    const perceptron::matrix x = perceptron::first_images(training, samples);
    std::printf("| weights | bytes | accuracy |\n|---|---|---|\n");
    std::printf("| FP32 | %td | %.2f |\n", 4 * net.parameters(), floats);
    bool close = true;
    const struct {
        const char* name;
        nibble::granularity weights;
        cnn::kept_in_float kept;
    } ways[] = {{"INT8 per tensor", nibble::granularity::per_tensor, {}}, {"INT8 per channel", nibble::granularity::per_channel, {}},
        {"the same, first layer in floats", nibble::granularity::per_channel, {true, false}},
        {"the same, last layer in floats", nibble::granularity::per_channel, {false, true}},
        {"the same, both in floats", nibble::granularity::per_channel, {true, true}}};
    for (const auto& [name, weights, kept] : ways) {
        cnn::int8_network quantized(net, x, weights, kept);
        const double found = perceptron::accuracy(quantized, test);
        close = close && std::fabs(found - floats) <= 0.5;
        std::printf("| %s | %zu | %.2f |\n", name, quantized.bytes(), found);
    }
    std::printf("Per cent of 10000 test images; calibrated with %td training images. %.0f s of processor time.\n", samples,
        static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
    if (!close)
        std::fprintf(stderr, "an int8 network is more than half a point from the float one\n");
    return command_line::finish("nibble_int8_cnn_fashion_mnist", close ? 0 : 1);
}
