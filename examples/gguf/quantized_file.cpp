#include "quantized_file.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>

using namespace nibble;

namespace {

// Calls work(first, count) for every portion of rows; a failure ends it.
template <class Work>
status for_rows(std::int64_t rows, std::int64_t portion, thread_pool& pool, Work work)
{
    std::atomic<status> failed {status::ok};
    pool.parallel_for(static_cast<std::size_t>((rows + portion - 1) / portion), [&](std::size_t i) {
        if (failed != status::ok)
            return;
        const std::int64_t first = static_cast<std::int64_t>(i) * portion;
        if (const status s = work(first, std::min(portion, rows - first)); s != status::ok)
            failed.store(s);
    });
    return failed;
}

bool all_finite(const std::vector<float>& x)
{
    return std::all_of(x.begin(), x.end(), [](float v) { return std::isfinite(v); });
}

// Floats to 16 bits; not_finite if a number is too large for them.
template <class T>
status narrowed(const std::vector<float>& x, std::byte* to)
{
    std::vector<T> narrow(x.size());
    std::vector<float> back(x.size());
    if (const status s = convert(span<const float>(x), span<T>(narrow)); s != status::ok)
        return s;
    if (const status s = convert(span<const T>(narrow), span<float>(back)); s != status::ok)
        return s;
    std::memcpy(to, narrow.data(), sizeof(T) * narrow.size());
    return all_finite(back) ? status::ok : status::not_finite;
}

// The tensor's data in another type. `importance` is empty or has a matrix's weights for each of its experts.
std::vector<std::byte> converted(
    const gguf_tensor& t, ggml_type type, const std::vector<float>& importance, thread_pool& pool, const std::string& file)
{
    const std::int64_t columns = t.sizes[0], per_expert = t.sizes[1];
    const std::size_t row_bytes = static_cast<std::size_t>(*bytes_for(1, columns, type));
    const std::size_t old_row_bytes = static_cast<std::size_t>(*bytes_for(1, columns, t.type));
    std::vector<std::byte> out(static_cast<std::size_t>(t.rows()) * row_bytes);
    if (out.empty())
        return out;
    const std::int64_t portion = std::max<std::int64_t>(1, 65536 / columns);
    const status done = for_rows(t.rows(), portion, pool, [&](std::int64_t first, std::int64_t count) {
        std::vector<float> x(static_cast<std::size_t>(count * columns));
        const span<const std::byte> from
            = t.data.subspan(static_cast<std::size_t>(first) * old_row_bytes, static_cast<std::size_t>(count) * old_row_bytes);
        if (const status s = dequantize_blocks(t.type, from, {x.data(), count, columns}); s != status::ok)
            return s;
        std::byte* to = out.data() + static_cast<std::size_t>(first) * row_bytes;
        if (type == ggml_type::f16)
            return narrowed<half>(x, to);
        if (type == ggml_type::bf16)
            return narrowed<bfloat16>(x, to);
        if (type == ggml_type::f32) {
            std::memcpy(to, x.data(), sizeof(float) * x.size());
            return all_finite(x) ? status::ok : status::not_finite;
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
    if (done == status::not_finite)
        throw std::runtime_error(file + ": " + printable(t.name) + " has a NaN, an infinity or a number too large for " + to_string(type));
    require(done, file + ": " + printable(t.name));
    return out;
}

bool uses_importance(const gguf_tensor& t, ggml_type type) { return type != t.type && is_quantized(type) && t.name != "token_embd.weight"; }

// Of every column, for each of the tensor's matrices; empty if there is none.
std::vector<float> weights_of(const imatrix_reader& importance, const gguf_tensor& t)
{
    if (importance.size() == 0)
        return {};
    std::vector<float> weights(static_cast<std::size_t>(t.sizes[0] * t.sizes[2] * t.sizes[3]));
    const status s
        = importance.weights(t.name, static_cast<std::uint64_t>(t.sizes[0]), static_cast<std::uint64_t>(t.sizes[2] * t.sizes[3]), weights);
    if (s == status::file_key_missing)
        return {};
    if (s == status::file_type_mismatch)
        throw std::runtime_error(
            "the importance of " + printable(t.name) + " has another number of columns or experts: it belongs to another model");
    require(s, "the importance of " + printable(t.name));
    return weights;
}

} // namespace

void require(status s, const std::string& what)
{
    if (s != status::ok)
        throw std::runtime_error(what + ": " + to_string(s));
}

std::string printable(std::string_view name)
{
    std::string text(name);
    for (char& c : text)
        c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return text;
}

quantized_file::quantized_file(const gguf_reader& file, recipe wanted, const imatrix_reader& importance, std::string name)
    : importance_(importance), name_(std::move(name))
{
    std::vector<gguf_tensor> tensors;
    for (std::size_t i = 0; i < file.tensor_count(); ++i)
        tensors.push_back(file.tensor(i));
    std::sort(
        tensors.begin(), tensors.end(), [](const gguf_tensor& a, const gguf_tensor& b) { return detail::tensor_before(a.name, b.name); });
    std::vector<ggml_type> types(tensors.size()), before_fitting(tensors.size());
    require(choose_types(wanted, recipe_model_of(file), tensors, importance.size() != 0, types, before_fitting), name_);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const gguf_tensor& t = tensors[i];
        if (is_quantized(t.type) && types[i] != t.type)
            throw std::runtime_error(
                name_ + " is quantized already (" + printable(t.name) + " is " + to_string(t.type) + "): quantize from f16, bf16 or f32");
    }

    std::size_t with_importance = 0, could_have = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        change c {tensors[i], tensors[i], before_fitting[i], false};
        c.after.type = types[i];
        if (uses_importance(c.before, types[i])) {
            c.has_importance = !weights_of(importance, c.before).empty();
            with_importance += c.has_importance;
            ++could_have;
        }
        changes_.push_back(c);
        planned_.push_back(c.after);
    }
    if (importance.size() != 0 && could_have != 0 && with_importance == 0)
        throw std::runtime_error("the importance names no tensor of " + name_ + ": it belongs to another model");

    for (std::size_t i = 0; i < file.pair_count(); ++i) {
        const gguf_pair p = file.pair(i);
        if (p.key != "general.file_type" && p.key != "general.quantization_version" && p.key != "general.alignment"
            && p.key.substr(0, 6) != "split.")
            pairs_.push_back(p);
    }
    pairs_.push_back({"general.quantization_version", 2u});
    pairs_.push_back({"general.file_type", static_cast<std::uint32_t>(wanted)});
    const auto size = gguf_file_size(pairs_, planned_, gguf_rules::lenient);
    require(size.error(), name_ + ": the new header");
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
    thread_pool pool(threads);
    require(write_gguf_header(pairs_, planned_, collect, gguf_rules::lenient), name_ + ": the new header");
    send(header);
    for (const change& c : changes_) {
        const gguf_tensor& t = c.before;
        if (done)
            done(t.data.size(), t.name);
        std::vector<std::byte> made;
        span<const std::byte> data = t.data;
        if (c.after.type != t.type) {
            made = converted(t, c.after.type, c.has_importance ? weights_of(importance_, t) : std::vector<float>(), pool, name_);
            data = made;
        }
        send(data);
        send(std::vector<std::byte>(static_cast<std::size_t>(gguf_padding(data.size(), 32))));
    }
    if (written != size_)
        throw std::runtime_error("the size is not what was predicted: please report this");
}
