#include "quantized_file.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <thread>

using namespace nibble;

namespace {

// Calls work(first, count) for every portion of rows; the first failure is kept.
template <class Work>
status for_rows(std::int64_t rows, std::int64_t portion, unsigned threads, Work work)
{
    std::atomic<std::int64_t> next {0};
    std::atomic<status> failed {status::ok};
    const auto run = [&] {
        for (std::int64_t first; failed == status::ok && (first = next.fetch_add(portion)) < rows;)
            if (const status s = work(first, std::min(portion, rows - first)); s != status::ok)
                failed.store(s);
    };
    std::vector<std::thread> others;
    for (unsigned i = 1; i < threads; ++i)
        others.emplace_back(run);
    run();
    for (std::thread& t : others)
        t.join();
    return failed;
}

// The tensor's data in another type. `importance` is empty or has a matrix's weights for each of its experts.
std::vector<std::byte> converted(const gguf_tensor& t, ggml_type type, const std::vector<float>& importance, unsigned threads)
{
    const std::int64_t columns = t.sizes[0], per_expert = t.sizes[1];
    const std::size_t row_bytes = static_cast<std::size_t>(*bytes_for(1, columns, type));
    const std::size_t old_row_bytes = static_cast<std::size_t>(*bytes_for(1, columns, t.type));
    std::vector<std::byte> out(static_cast<std::size_t>(t.rows()) * row_bytes);
    const std::int64_t portion = std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, columns));
    const status done = for_rows(t.rows(), portion, threads, [&](std::int64_t first, std::int64_t count) {
        std::vector<float> x(static_cast<std::size_t>(count * columns));
        const span<const std::byte> from
            = t.data.subspan(static_cast<std::size_t>(first) * old_row_bytes, static_cast<std::size_t>(count) * old_row_bytes);
        if (const status s = dequantize_blocks(t.type, from, {x.data(), count, columns}); s != status::ok)
            return s;
        std::byte* to = out.data() + static_cast<std::size_t>(first) * row_bytes;
        if (type == ggml_type::f16) {
            std::vector<half> halves(x.size());
            const status s = convert(span<const float>(x), span<half>(halves));
            std::memcpy(to, halves.data(), 2 * halves.size());
            return s;
        }
        for (std::int64_t r = 0; r < count; ++r) {
            span<const float> weights;
            if (!importance.empty())
                weights = span<const float>(importance)
                              .subspan(static_cast<std::size_t>((first + r) / per_expert * columns), static_cast<std::size_t>(columns));
            const span<std::byte> row(to + static_cast<std::size_t>(r) * row_bytes, row_bytes);
            if (const status s = quantize_blocks(type, {x.data() + r * columns, 1, columns}, row, weights); s != status::ok)
                return s;
            if (const status s = check_blocks(type, row); s != status::ok)
                return s;
        }
        return status::ok;
    });
    require(done, std::string(t.name));
    return out;
}

// Of every column, for each of the tensor's matrices; empty if there is none.
std::vector<float> weights_of(const imatrix_reader& importance, const gguf_tensor& t)
{
    if (importance.size() == 0 || t.name == "token_embd.weight")
        return {};
    std::vector<float> weights(static_cast<std::size_t>(t.sizes[0] * t.sizes[2] * t.sizes[3]));
    const status s
        = importance.weights(t.name, static_cast<std::uint64_t>(t.sizes[0]), static_cast<std::uint64_t>(t.sizes[2] * t.sizes[3]), weights);
    if (s == status::file_key_missing)
        return {};
    require(s, "the importance of " + std::string(t.name));
    return weights;
}

} // namespace

void require(status s, const std::string& what)
{
    if (s != status::ok)
        throw std::runtime_error(what + ": " + to_string(s));
}

quantized_file::quantized_file(const gguf_reader& file, recipe wanted, const imatrix_reader& importance) : importance_(importance)
{
    for (std::size_t i = 0; i < file.tensor_count(); ++i)
        tensors_.push_back(file.tensor(i));
    std::sort(
        tensors_.begin(), tensors_.end(), [](const gguf_tensor& a, const gguf_tensor& b) { return detail::tensor_before(a.name, b.name); });
    std::vector<ggml_type> types(tensors_.size());
    require(choose_types(wanted, recipe_model_of(file), tensors_, importance.size() != 0, types), "the recipe");

    for (std::size_t i = 0; i < file.pair_count(); ++i) {
        const gguf_pair p = file.pair(i);
        if (p.key != "general.file_type" && p.key != "general.quantization_version" && p.key != "general.alignment"
            && p.key.substr(0, 6) != "split.")
            pairs_.push_back(p);
    }
    pairs_.push_back({"general.quantization_version", 2u});
    pairs_.push_back({"general.file_type", static_cast<std::uint32_t>(wanted)});

    planned_ = tensors_;
    for (std::size_t i = 0; i < planned_.size(); ++i) {
        if (is_quantized(tensors_[i].type) && types[i] != tensors_[i].type)
            throw std::runtime_error("it is quantized already: quantize from f16, bf16 or f32");
        planned_[i].type = types[i];
    }
    const auto size = gguf_file_size(pairs_, planned_, gguf_rules::lenient);
    require(size.error(), "the header");
    size_ = *size;
}

void quantized_file::write(const std::function<void(const std::byte*, std::size_t)>& sink, unsigned threads,
    const std::function<void(std::uint64_t, std::string_view)>& done) const
{
    std::uint64_t written = 0;
    const auto send = [&](span<const std::byte> bytes) {
        sink(bytes.data(), bytes.size());
        written += bytes.size();
    };
    std::vector<std::byte> header;
    const auto collect = [&](const std::byte* bytes, std::size_t count) noexcept {
        header.insert(header.end(), bytes, bytes + count);
        return true;
    };
    require(write_gguf_header(pairs_, planned_, collect, gguf_rules::lenient), "the header");
    send(header);
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
        const gguf_tensor& t = tensors_[i];
        if (done)
            done(t.data.size(), t.name);
        std::vector<std::byte> made;
        span<const std::byte> data = t.data;
        if (planned_[i].type != t.type) {
            made = converted(t, planned_[i].type, weights_of(importance_, t), threads);
            data = made;
        }
        send(data);
        send(std::vector<std::byte>(static_cast<std::size_t>(gguf_padding(data.size(), 32))));
    }
    if (written != size_)
        throw std::runtime_error("the size is not what was predicted: please report this");
}
