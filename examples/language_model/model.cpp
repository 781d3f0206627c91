#include "model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace {

using nibble::status;

struct loader {
    const nibble::gguf_reader& file;
    const nibble::gguf_reader& original;
    const quantizer& quantize;
    status error = status::ok;
    std::size_t bytes = 0, tensors = 0;

    nibble::gguf_tensor find(const nibble::gguf_reader& from, const std::string& name, std::size_t rows, std::size_t columns)
    {
        const auto t = from.tensor(name.c_str());
        if (!t)
            error = t.error();
        else if (t->sizes[0] != static_cast<std::int64_t>(columns) || t->rows() != static_cast<std::int64_t>(rows))
            error = status::file_type_mismatch;
        return error == status::ok ? *t : nibble::gguf_tensor {};
    }

    std::vector<float> floats_of(const nibble::gguf_tensor& t, std::size_t rows, std::size_t columns)
    {
        if (error != status::ok)
            return {};
        std::vector<float> values(rows * columns);
        error = nibble::dequantize_blocks(
            t.type, t.data, {values.data(), static_cast<std::ptrdiff_t>(rows), static_cast<std::ptrdiff_t>(columns)});
        return values;
    }

    std::vector<float> tensor(const std::string& name, std::size_t rows, std::size_t columns)
    {
        ++tensors;
        return floats_of(find(file, name, rows, columns), rows, columns);
    }

    std::vector<float> vector(const std::string& name, std::size_t size)
    {
        bytes += size * sizeof(float);
        return tensor(name, 1, size);
    }

    linear matrix(const std::string& name, std::size_t rows, std::size_t columns)
    {
        ++tensors;
        const nibble::gguf_tensor t = find(file, name, rows, columns);
        const std::vector<float> w = floats_of(find(original, name, rows, columns), rows, columns);
        const nibble::matrix_view<const float> view(w.data(), static_cast<std::ptrdiff_t>(rows), static_cast<std::ptrdiff_t>(columns));
        linear made;
        made.name = name;
        std::vector<float> back;
        if (error == status::ok && nibble::is_quantized(t.type)) {
            auto packed = nibble::make_packed_blocks(t.type, t.data, view.rows, view.cols);
            if (packed)
                made.weights = std::move(*packed);
            error = packed.error();
            back = floats_of(t, rows, columns);
        } else if (error == status::ok) {
            const std::vector<float> values = floats_of(t, rows, columns);
            error = quantize({values.data(), view.rows, view.cols}, made, back);
        }
        if (error != status::ok)
            return made;
        const auto compared = nibble::compare(view, nibble::matrix_view<const float>(back.data(), view.rows, view.cols));
        made.sqnr = compared ? compared->sqnr_db() : 0;
        bytes += made.weights.bytes().size() + made.input_scales.size() * sizeof(float);
        return made;
    }
};

// Float weights, kept as they are or rounded to half.
template <class W>
status keep_float(nibble::matrix_view<const float> w, linear& to, std::vector<float>& back)
{
    std::vector<W> kept(static_cast<std::size_t>(w.rows * w.cols));
    back.assign(w.data, w.data + kept.size());
    if constexpr (std::is_same_v<W, float>) {
        kept = back;
    } else {
        (void)nibble::convert(nibble::span<const float>(back), nibble::span<W>(kept));
        (void)nibble::convert(nibble::span<const W>(kept), nibble::span<float>(back));
    }
    auto packed = nibble::packed_weights::make(nibble::matrix_view<const W>(kept.data(), w.rows, w.cols));
    if (packed)
        to.weights = std::move(*packed);
    return packed.error();
}

// Symmetric codes. Scales are rounded to half before they are used, so that they can be stored in two bytes.
template <class Q>
status quantize_to(
    nibble::matrix_view<const float> w, std::ptrdiff_t group_size, const nibble::hessian* h, linear& to, std::vector<float>& back)
{
    nibble::weight_format f;
    f.kind = group_size == 0 ? nibble::granularity::per_channel : nibble::granularity::per_group;
    f.group_size = group_size;
    f.half_scales = true;
    std::vector<float> scales(static_cast<std::size_t>(nibble::params_count(f.kind, w.rows, w.cols, group_size)));
    std::vector<Q> codes(static_cast<std::size_t>(w.rows * nibble::elements_for<Q>(w.cols)));
    const nibble::quantized_matrix<Q> q {{codes.data(), w.rows, nibble::elements_for<Q>(w.cols)}, scales};
    nibble::gptq_options o;
    o.act_order = true;
    if (const status s = h == nullptr ? nibble::round_to_nearest(w, f, q) : nibble::gptq(w, *h, f, q, o); s != status::ok)
        return s;
    return keep(q, w.cols, f, to, back);
}

void normalize(const std::vector<float>& x, std::size_t rows, const std::vector<float>& weight, float epsilon, std::vector<float>& out)
{
    const std::size_t width = weight.size();
    out.resize(rows * width);
    for (std::size_t r = 0; r < rows; ++r) {
        double sum = 0;
        for (std::size_t i = 0; i < width; ++i)
            sum += double(x[r * width + i]) * x[r * width + i];
        const float scale = static_cast<float>(1 / std::sqrt(sum / double(width) + epsilon));
        for (std::size_t i = 0; i < width; ++i)
            out[r * width + i] = x[r * width + i] * scale * weight[i];
    }
}

} // namespace

nibble::status multiply(
    const linear& w, nibble::matrix_view<const float> x, const nibble::epilogue& e, nibble::matrix_view<float> y, product_scratch& scratch)
{
    nibble::matrix_view<const float> input = x;
    if (!w.input_scales.empty()) {
        scratch.scaled.resize(static_cast<std::size_t>(x.rows * x.cols));
        const nibble::matrix_view<float> scaled(scratch.scaled.data(), x.rows, x.cols);
        if (const status s = nibble::scale_columns(x, w.input_scales, false, scaled); s != status::ok)
            return s;
        input = scaled;
    }
    const std::size_t needed = nibble::gemm_workspace(x.rows, w.weights);
    if (scratch.workspace.size() < needed)
        scratch.workspace.resize(needed);
    return nibble::gemm(input, w.weights, e, y, scratch.workspace);
}

nibble::result<layer_inputs> layer_inputs::make(std::ptrdiff_t k)
{
    auto products = nibble::hessian::make(k);
    if (!products)
        return products.error();
    return layer_inputs {std::move(*products), std::vector<double>(static_cast<std::size_t>(k))};
}

nibble::status layer_inputs::add(nibble::matrix_view<const float> x)
{
    if (const status s = products.add(x); s != status::ok)
        return s;
    for (std::ptrdiff_t r = 0; r < x.rows; ++r)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c)
            absolute[static_cast<std::size_t>(c)] += std::fabs(double(x(r, c)));
    return status::ok;
}

std::vector<float> layer_inputs::magnitude() const
{
    std::vector<float> means;
    for (const double sum : absolute)
        means.push_back(static_cast<float>(sum / static_cast<double>(products.rows())));
    return means;
}

const char* name_of(format f)
{
    constexpr const char* names[] = {"FP32", "FP16", "INT8", "INT4", "INT4 GPTQ"};
    return names[static_cast<int>(f)];
}

quantizer quantizer_for(format f, const calibration* data)
{
    return [f, data](nibble::matrix_view<const float> w, linear& to, std::vector<float>& back) {
        switch (f) {
        case format::fp32: return keep_float<float>(w, to, back);
        case format::fp16: return keep_float<nibble::half>(w, to, back);
        case format::int8: return quantize_to<std::int8_t>(w, 0, nullptr, to, back);
        case format::int4: return quantize_to<nibble::int4x2>(w, 32, nullptr, to, back);
        case format::int4_gptq: break;
        }
        return data == nullptr ? status::calibration_missing : quantize_to<nibble::int4x2>(w, 32, &data->at(to.name).products, to, back);
    };
}

nibble::result<model> model::load(nibble::span<const std::byte> file, const quantizer& quantize, nibble::span<const std::byte> original)
{
    const auto reader = nibble::gguf_reader::open(file), compared = nibble::gguf_reader::open(original.empty() ? file : original);
    if (!reader || !compared)
        return reader ? compared.error() : reader.error();
    const auto number = [&](const char* key, std::size_t most) {
        const auto found = reader->get<std::uint32_t>(key);
        return found && *found != 0 && *found <= most ? std::size_t(*found) : std::size_t(0);
    };
    model m;
    m.context_ = number("llama.context_length", 1 << 24);
    m.width_ = number("llama.embedding_length", 1 << 14);
    m.heads_ = number("llama.attention.head_count", 256);
    m.kv_heads_ = reader->find("llama.attention.head_count_kv") ? number("llama.attention.head_count_kv", m.heads_) : m.heads_;
    m.hidden_ = number("llama.feed_forward_length", 1 << 16);
    const std::size_t blocks = number("llama.block_count", 256);
    const auto epsilon = reader->get<float>("llama.attention.layer_norm_rms_epsilon");
    const auto base = reader->get<float>("llama.rope.freq_base");
    const auto embedding = reader->tensor("token_embd.weight");
    if (m.context_ == 0 || m.width_ == 0 || m.heads_ == 0 || m.kv_heads_ == 0 || m.hidden_ == 0 || blocks == 0 || !epsilon || !embedding)
        return status::file_key_missing;
    const auto rotated = reader->get<std::uint32_t>("llama.rope.dimension_count");
    const auto scaling = reader->get<std::string_view>("llama.rope.scaling.type");
    if (m.width_ % (2 * m.heads_) != 0 || m.heads_ % m.kv_heads_ != 0 || embedding->sizes[1] > 1 << 20
        || (rotated && *rotated != m.width_ / m.heads_) || (scaling && *scaling != "none"))
        return status::file_type_mismatch;
    m.vocabulary_ = static_cast<std::size_t>(embedding->sizes[1]);
    m.epsilon_ = *epsilon;
    m.rope_base_ = base ? *base : 10000.0f;

    const std::size_t kv_width = m.width_ / m.heads_ * m.kv_heads_;
    loader load {*reader, *compared, quantize};
    m.embedding_ = load.tensor("token_embd.weight", m.vocabulary_, m.width_);
    for (std::size_t i = 0; i < blocks && load.error == status::ok; ++i) {
        const std::string prefix = "blk." + std::to_string(i) + ".";
        layer l;
        l.attention_norm = load.vector(prefix + "attn_norm.weight", m.width_);
        l.q = load.matrix(prefix + "attn_q.weight", m.width_, m.width_);
        l.k = load.matrix(prefix + "attn_k.weight", kv_width, m.width_);
        l.v = load.matrix(prefix + "attn_v.weight", kv_width, m.width_);
        l.output = load.matrix(prefix + "attn_output.weight", m.width_, m.width_);
        l.feed_forward_norm = load.vector(prefix + "ffn_norm.weight", m.width_);
        l.gate = load.matrix(prefix + "ffn_gate.weight", m.hidden_, m.width_);
        l.up = load.matrix(prefix + "ffn_up.weight", m.hidden_, m.width_);
        l.down = load.matrix(prefix + "ffn_down.weight", m.width_, m.hidden_);
        m.layers_.push_back(std::move(l));
    }
    m.final_norm_ = load.vector("output_norm.weight", m.width_);
    const bool tied = !reader->tensor("output.weight");
    m.head_ = load.matrix(tied ? "token_embd.weight" : "output.weight", m.vocabulary_, m.width_);
    if (load.error != status::ok)
        return load.error;
    if (load.tensors - tied != reader->tensor_count())
        return status::file_type_mismatch;
    const std::size_t embedding_bytes = m.head_.weights.view().type == nibble::weight_type::f32 ? 4 : 2;
    m.bytes_ = load.bytes + (nibble::is_quantized(embedding->type) ? embedding->data.size() : m.embedding_.size() * embedding_bytes);
    return nibble::result<model>(std::move(m));
}

nibble::result<calibration> model::calibrate(
    const std::vector<std::vector<std::int32_t>>& texts, const std::function<void(std::size_t)>& done)
{
    calibration gathered;
    std::vector<float> z;
    status s = status::ok;
    observed_ = &gathered;
    for (std::size_t i = 0; i < texts.size() && s == status::ok; ++i) {
        s = logits(texts[i], z);
        if (done)
            done(i);
    }
    observed_ = nullptr;
    if (s != status::ok)
        return s;
    return nibble::result<calibration>(std::move(gathered));
}

std::vector<const linear*> model::matrices() const
{
    std::vector<const linear*> all;
    for (const layer& l : layers_)
        for (const linear* w : {&l.q, &l.k, &l.v, &l.output, &l.gate, &l.up, &l.down})
            all.push_back(w);
    all.push_back(&head_);
    return all;
}

nibble::status model::product(
    const linear& w, const std::vector<float>& x, std::size_t rows, std::vector<float>& y, nibble::activation_function f)
{
    const nibble::packed_weights_view view = w.weights;
    const nibble::matrix_view<const float> input(x.data(), static_cast<std::ptrdiff_t>(rows), view.k);
    if (observed_ != nullptr) {
        auto found = observed_->find(w.name);
        if (found == observed_->end()) {
            auto made = layer_inputs::make(view.k);
            if (!made)
                return made.error();
            found = observed_->emplace(w.name, std::move(*made)).first;
        }
        if (const status s = found->second.add(input); s != status::ok)
            return s;
    }
    y.resize(rows * static_cast<std::size_t>(view.n));
    nibble::epilogue e;
    e.function = f;
    return multiply(w, input, e, {y.data(), input.rows, view.n}, scratch_);
}

// Causal attention of q_, k_, v_ and the positions before into mixed_, with rotary positions applied to pairs (2i, 2i + 1) first.
nibble::status model::attend(std::size_t rows, layer& l)
{
    const std::size_t head = width_ / heads_, kv_width = head * kv_heads_, all = position_ + rows;
    for (std::vector<float>* v : {&q_, &k_}) {
        const std::size_t width = v->size() / rows;
        for (std::size_t t = 0; t < rows; ++t)
            for (std::size_t i = 0; i < width; i += 2) {
                const std::size_t angle = (position_ + t) * head / 2 + i % head / 2;
                const float c = cosines_[angle], s = sines_[angle];
                float* pair = v->data() + t * width + i;
                const float a = pair[0], b = pair[1];
                pair[0] = a * c - b * s;
                pair[1] = a * s + b * c;
            }
    }
    l.keys.resize(position_ * kv_width);
    l.values.resize(position_ * kv_width);
    l.keys.insert(l.keys.end(), k_.begin(), k_.end());
    l.values.insert(l.values.end(), v_.begin(), v_.end());
    mixed_.resize(rows * width_);
    std::vector<float> weights(rows * all), turned(head * all);
    const std::ptrdiff_t m = static_cast<std::ptrdiff_t>(rows), n = static_cast<std::ptrdiff_t>(all), k = static_cast<std::ptrdiff_t>(head),
                         stride = static_cast<std::ptrdiff_t>(width_);
    const float scale = 1.0f / std::sqrt(static_cast<float>(head));
    for (std::size_t h = 0; h < heads_; ++h) {
        const std::size_t kv_head = h * kv_heads_ / heads_ * head;
        const auto keys = nibble::packed_weights::make(
            nibble::matrix_view<const float>(l.keys.data() + kv_head, n, k, static_cast<std::ptrdiff_t>(kv_width)));
        if (!keys)
            return keys.error();
        if (const status s = nibble::gemm(nibble::matrix_view<const float>(q_.data() + h * head, m, k, stride), *keys, {},
                nibble::matrix_view<float>(weights.data(), m, n), {});
            s != status::ok)
            return s;
        for (std::size_t t = 0; t < rows; ++t) {
            float* w = weights.data() + t * all;
            const std::size_t seen = position_ + t + 1;
            const float top = *std::max_element(w, w + seen);
            float sum = 0;
            for (std::size_t u = 0; u < seen; ++u)
                sum += w[u] = std::exp((w[u] - top) * scale);
            for (std::size_t u = 0; u < all; ++u)
                w[u] = u < seen ? w[u] / sum : 0.0f;
        }
        for (std::size_t u = 0; u < all; ++u)
            for (std::size_t i = 0; i < head; ++i)
                turned[i * all + u] = l.values[u * kv_width + kv_head + i];
        const auto values = nibble::packed_weights::make(nibble::matrix_view<const float>(turned.data(), k, n));
        if (!values)
            return values.error();
        if (const status s = nibble::gemm(nibble::matrix_view<const float>(weights.data(), m, n), *values, {},
                nibble::matrix_view<float>(mixed_.data() + h * head, m, k, stride), {});
            s != status::ok)
            return s;
    }
    return status::ok;
}

nibble::status model::extend(const std::vector<std::int32_t>& tokens, std::vector<float>& out)
{
    const std::size_t rows = tokens.size();
    if (rows == 0 || rows > context_ - position_)
        return status::shape_mismatch;
    for (const std::int32_t token : tokens)
        if (token < 0 || static_cast<std::size_t>(token) >= vocabulary_)
            return status::shape_mismatch;
    const std::size_t pairs = width_ / heads_ / 2;
    for (std::size_t t = cosines_.size() / pairs; t < position_ + rows; ++t)
        for (std::size_t i = 0; i < pairs; ++i) {
            const double angle = double(t) * std::pow(double(rope_base_), -double(i) / double(pairs));
            cosines_.push_back(static_cast<float>(std::cos(angle)));
            sines_.push_back(static_cast<float>(std::sin(angle)));
        }
    x_.resize(rows * width_);
    for (std::size_t t = 0; t < rows; ++t)
        std::memcpy(x_.data() + t * width_, embedding_.data() + static_cast<std::size_t>(tokens[t]) * width_, width_ * sizeof(float));
    const auto add = [&](const std::vector<float>& y) {
        for (std::size_t i = 0; i < x_.size(); ++i)
            x_[i] += y[i];
    };
    status s = status::ok;
    const auto run = [&](const linear& w, const std::vector<float>& x, std::vector<float>& y,
                         nibble::activation_function f = nibble::activation_function::none) {
        if (s == status::ok)
            s = product(w, x, rows, y, f);
    };
    for (layer& l : layers_) {
        normalize(x_, rows, l.attention_norm, epsilon_, normed_);
        run(l.q, normed_, q_);
        run(l.k, normed_, k_);
        run(l.v, normed_, v_);
        if (s == status::ok)
            s = attend(rows, l);
        run(l.output, mixed_, normed_);
        add(normed_);
        normalize(x_, rows, l.feed_forward_norm, epsilon_, normed_);
        run(l.gate, normed_, gate_, nibble::activation_function::silu);
        run(l.up, normed_, up_);
        for (std::size_t i = 0; i < gate_.size(); ++i)
            gate_[i] *= up_[i];
        run(l.down, gate_, normed_);
        add(normed_);
    }
    normalize(x_, rows, final_norm_, epsilon_, normed_);
    run(head_, normed_, out);
    position_ += rows;
    return s;
}
