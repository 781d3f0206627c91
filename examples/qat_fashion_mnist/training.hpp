// Training and testing a network on images.
#pragma once

#include <chrono>
#include <atomic>
#include <mutex>
#include <numeric>

#include <unistd.h>

#include <nibble/thread_pool.hpp>

#include "data.hpp"
#include "network.hpp"

namespace perceptron {

constexpr std::ptrdiff_t batch = 128, pixels = 784;
constexpr float float_rate = 1e-3f;

// Images `which` as rows of numbers in [0, 1].
inline void gather(const images& from, const std::ptrdiff_t* which, std::ptrdiff_t count, matrix& x, std::vector<std::uint8_t>& labels)
{
    x.resize(count, pixels);
    labels.resize(static_cast<std::size_t>(count));
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        const std::uint8_t* image = from.pixels.data() + which[i] * pixels;
        for (std::ptrdiff_t p = 0; p < pixels; ++p)
            x.row(i)[p] = static_cast<float>(image[p]) / 255.0f;
        labels[static_cast<std::size_t>(i)] = from.labels[static_cast<std::size_t>(which[i])];
    }
}

// The first images as rows of numbers in [0, 1].
inline matrix first_images(const images& from, std::ptrdiff_t count)
{
    matrix x;
    std::vector<std::uint8_t> labels;
    std::vector<std::ptrdiff_t> which(static_cast<std::size_t>(count));
    std::iota(which.begin(), which.end(), std::ptrdiff_t {0});
    gather(from, which.data(), count, x, labels);
    return x;
}

// One line on a terminal for all that runs at once; a line for each end elsewhere.
class progress {
public:
    void start(std::size_t all) { all_ = all; }
    void step()
    {
        const std::size_t done = ++done_;
        if (isatty(2) && done % 50 == 0) {
            const std::lock_guard<std::mutex> lock(mutex_);
            std::fprintf(stderr, "\r%3zu%%  %.0f s ", 100 * done / all_, seconds());
        }
    }
    void say(const char* text)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::fprintf(stderr, "%s%3zu%%  %4.0f s  %s\n", isatty(2) ? "\r" : "", 100 * done_ / all_, seconds(), text);
    }
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

private:
    std::atomic<std::size_t> done_ {0};
    std::size_t all_ = 1;
    std::mutex mutex_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// The rate falls to zero as a half wave. Returns the last epoch's mean loss.
template <class Network>
double train(Network& net, const images& data, int epochs, float rate, unsigned seed, progress& shown)
{
    std::mt19937 random(seed);
    std::vector<std::ptrdiff_t> order(static_cast<std::size_t>(data.count));
    std::iota(order.begin(), order.end(), std::ptrdiff_t {0});
    matrix x, d;
    std::vector<std::uint8_t> labels;
    const std::ptrdiff_t steps = data.count / batch, all = steps * epochs;
    double loss = 0;
    net.forget();
    for (int epoch = 0; epoch < epochs; ++epoch) {
        for (std::size_t i = order.size(); i > 1; --i)
            std::swap(order[i - 1], order[random() % i]);
        loss = 0;
        for (std::ptrdiff_t s = 0; s < steps; ++s) {
            gather(data, order.data() + s * batch, batch, x, labels);
            loss += cross_entropy(net.forward(x), labels.data(), d) / static_cast<double>(steps);
            net.backward(d);
            const float part = static_cast<float>(epoch * steps + s) / static_cast<float>(all);
            net.step(rate * 0.5f * (1.0f + std::cos(3.14159265f * part)));
            shown.step();
        }
    }
    return loss;
}

// Per cent of the images that are classified rightly.
template <class Network>
double accuracy(Network& net, const images& data)
{
    constexpr std::ptrdiff_t part = 500;
    matrix x;
    std::vector<std::uint8_t> labels;
    std::vector<std::ptrdiff_t> which(part);
    std::ptrdiff_t correct = 0;
    for (std::ptrdiff_t first = 0; first < data.count; first += part) {
        std::iota(which.begin(), which.end(), first);
        gather(data, which.data(), part, x, labels);
        correct += count_correct(net.forward(x), labels.data());
    }
    return 100.0 * static_cast<double>(correct) / static_cast<double>(data.count);
}

} // namespace perceptron
