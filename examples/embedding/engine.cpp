#include "engine.hpp"

#include <cmath>

namespace {

void normalize(const std::vector<float>& x, const std::vector<float>& weight, float epsilon, std::vector<float>& out)
{
    float sum = 0;
    for (const float v : x)
        sum += v * v;
    const float scale = 1 / std::sqrt(sum / static_cast<float>(x.size()) + epsilon);
    out.resize(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
        out[i] = x[i] * scale * weight[i];
}

void rotate(float* v, std::size_t width, std::size_t head, std::size_t position, float base)
{
    for (std::size_t i = 0; i < width; i += 2) {
        const float angle = static_cast<float>(position) * std::pow(base, -static_cast<float>(i % head) / static_cast<float>(head));
        const float c = std::cos(angle), s = std::sin(angle), a = v[i], b = v[i + 1];
        v[i] = a * c - b * s;
        v[i + 1] = a * s + b * c;
    }
}

void add(std::vector<float>& x, const std::vector<float>& y)
{
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] += y[i];
}

} // namespace

void multiply_plainly(const matrix& w, const float* x, float* y)
{
    for (std::size_t r = 0; r < w.rows; ++r) {
        const float* const row = w.values.data() + r * w.columns;
        float sum = 0;
        for (std::size_t c = 0; c < w.columns; ++c)
            sum += row[c] * x[c];
        y[r] = sum;
    }
}

const std::vector<float>& engine::next(unsigned token, std::size_t position)
{
    const std::size_t head_size = width / heads;
    keys_.resize(blocks.size(), std::vector<float>(context * width));
    values_.resize(blocks.size(), std::vector<float>(context * width));
    x_.assign(embedding.values.begin() + static_cast<std::ptrdiff_t>(token * width),
        embedding.values.begin() + static_cast<std::ptrdiff_t>((token + 1) * width));
    const auto run = [this](const matrix& w, const std::vector<float>& x, std::vector<float>& y) {
        y.resize(w.rows);
        multiply(w, x.data(), y.data());
    };
    for (std::size_t l = 0; l < blocks.size(); ++l) {
        const block& b = blocks[l];
        normalize(x_, b.attention_norm, epsilon, normed_);
        run(b.q, normed_, q_);
        multiply(b.k, normed_.data(), keys_[l].data() + position * width);
        multiply(b.v, normed_.data(), values_[l].data() + position * width);
        rotate(q_.data(), width, head_size, position, rope_base);
        rotate(keys_[l].data() + position * width, width, head_size, position, rope_base);
        mixed_.assign(width, 0.0f);
        scores_.resize(position + 1);
        for (std::size_t h = 0; h < heads; ++h) {
            const float* const q = q_.data() + h * head_size;
            float top = -INFINITY, sum = 0;
            for (std::size_t t = 0; t <= position; ++t) {
                const float* const k = keys_[l].data() + t * width + h * head_size;
                float dot = 0;
                for (std::size_t i = 0; i < head_size; ++i)
                    dot += q[i] * k[i];
                scores_[t] = dot / std::sqrt(static_cast<float>(head_size));
                top = scores_[t] > top ? scores_[t] : top;
            }
            for (float& s : scores_)
                sum += s = std::exp(s - top);
            for (std::size_t t = 0; t <= position; ++t)
                for (std::size_t i = 0; i < head_size; ++i)
                    mixed_[h * head_size + i] += scores_[t] / sum * values_[l][t * width + h * head_size + i];
        }
        run(b.output, mixed_, out_);
        add(x_, out_);
        normalize(x_, b.feed_forward_norm, epsilon, normed_);
        run(b.gate, normed_, gate_);
        run(b.up, normed_, up_);
        for (std::size_t i = 0; i < gate_.size(); ++i)
            gate_[i] = gate_[i] / (1 + std::exp(-gate_[i])) * up_[i];
        run(b.down, gate_, out_);
        add(x_, out_);
    }
    normalize(x_, final_norm, epsilon, normed_);
    run(head, normed_, logits_);
    return logits_;
}
