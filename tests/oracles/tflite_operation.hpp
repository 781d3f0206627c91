// What the programs that write TFLite operations as JSON share.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <type_traits>
#include <vector>

#include <nibble/nibble.hpp>
#include <nibble/reference/reference.hpp>

#include "../random.hpp"

using namespace nibble;
using tflite::quantization;

namespace {

using dims = std::vector<std::ptrdiff_t>;

inline std::string decimal(double value)
{
    char number[40];
    std::snprintf(number, sizeof number, "%.10g", value);
    return number;
}

template <class T>
std::string list(const std::vector<T>& values)
{
    std::string text = "[";
    for (std::size_t i = 0; i < values.size(); ++i)
        text += (i == 0 ? "" : ",") + decimal(static_cast<double>(values[i]));
    return text + "]";
}

class operation {
public:
    operation(std::string folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}

    /// Operands in the operator's order; `constant` ones are in the model, the others are fed.
    template <class T>
    operation& tensor(const dims& shape, const std::vector<T>& codes, const std::vector<float>& scales, std::int32_t zero_point = 0,
        bool constant = false, int axis = 0)
    {
        const std::string kind = std::is_floating_point_v<T> ? "float" : std::is_unsigned_v<T> ? "uint" : "int";
        const std::string type = kind + std::to_string(8 * sizeof(T));
        tensors_ += std::string(tensors_.empty() ? "" : ",\n ") + "{\"shape\":" + list(shape) + ",\"type\":\"" + type
                    + "\",\"scale\":" + list(scales) + ",\"zero_point\":" + std::to_string(zero_point) + ",\"axis\":" + std::to_string(axis)
                    + ",\"constant\":" + (constant ? "true" : "false") + ",\"codes\":" + list(codes) + "}";
        return *this;
    }
    operation& option(const std::string& name, double value)
    {
        options_ += std::string(options_.empty() ? "" : ",") + "\"" + name + "\":" + decimal(value);
        return *this;
    }
    /// The output with what nibble computed; floats have no scale.
    template <class X>
    void write(const dims& shape, const std::vector<X>& codes, quantization q)
    {
        tensor(shape, codes, std::is_floating_point_v<X> ? std::vector<float> {} : std::vector<float> {q.scale}, q.zero_point);
        const std::string path = folder_ + "/" + std::to_string(1000 + count_++) + ".json";
        std::ofstream file(path);
        file << "{\"operator\":\"" << name_ << "\",\"options\":{" << options_ << "},\"tensors\":[\n " << tensors_ << "]}\n";
        if (!file.flush()) {
            std::fprintf(stderr, "cannot write %s\n", path.c_str());
            std::exit(2);
        }
    }

private:
    static inline int count_ = 0;
    std::string folder_, name_, tensors_, options_;
};

inline void must(status s)
{
    if (s != status::ok) {
        std::fprintf(stderr, "refused: %s\n", to_string(s));
        std::exit(1);
    }
}

} // namespace
