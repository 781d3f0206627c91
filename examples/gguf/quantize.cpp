// Quantizes a file's tensors by a recipe. Rows are shared out among threads; which thread has which rows does not show in the bytes.
#include "commands.hpp"
#include "file.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include <nibble/nibble.hpp>

#include <unistd.h>

using namespace nibble;

namespace {

void require(status s, const std::string& what)
{
    if (s != status::ok)
        throw std::runtime_error(what + ": " + to_string(s));
}

// One line that is written over, on a terminal only.
class progress_bar {
public:
    explicit progress_bar(std::uint64_t total) : total_(total), shown_(isatty(2) != 0) {}
    ~progress_bar()
    {
        if (shown_)
            std::fprintf(stderr, "\r\x1b[K");
    }
    void advance(std::uint64_t bytes, std::string_view name)
    {
        done_ += bytes;
        if (shown_)
            std::fprintf(stderr, "\r\x1b[K%3.0f %%  %.*s", 100.0 * static_cast<double>(done_) / static_cast<double>(total_),
                static_cast<int>(name.size()), name.data());
    }

private:
    std::uint64_t total_, done_ = 0;
    bool shown_;
};

// Calls work(row) for every portion of rows; the first failure is kept.
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
    const std::int64_t portion = std::max<std::int64_t>(1, 65536 / columns);
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

} // namespace

void quantize(const quantize_options& options)
{
    const auto wanted = find_recipe(options.recipe);
    require(wanted.error(), options.recipe);
    const mapped_file input(options.input);
    const auto file = gguf_reader::open(input.bytes());
    require(file.error(), options.input);

    imatrix_reader imatrix;
    std::unique_ptr<mapped_file> imatrix_file;
    if (!options.imatrix.empty()) {
        imatrix_file = std::make_unique<mapped_file>(options.imatrix);
        auto opened = imatrix_reader::open(imatrix_file->bytes());
        require(opened.error(), options.imatrix);
        imatrix = std::move(*opened);
    }

    std::vector<gguf_tensor> tensors;
    for (std::size_t i = 0; i < file->tensor_count(); ++i)
        tensors.push_back(file->tensor(i));
    std::sort(
        tensors.begin(), tensors.end(), [](const gguf_tensor& a, const gguf_tensor& b) { return detail::tensor_before(a.name, b.name); });
    std::vector<ggml_type> types(tensors.size());
    require(choose_types(*wanted, recipe_model_of(*file), tensors, !options.imatrix.empty(), types), options.input);

    std::vector<gguf_pair> pairs;
    for (std::size_t i = 0; i < file->pair_count(); ++i) {
        const gguf_pair p = file->pair(i);
        if (p.key != "general.file_type" && p.key != "general.quantization_version" && p.key != "general.alignment"
            && p.key.substr(0, 6) != "split.")
            pairs.push_back(p);
    }
    pairs.push_back({"general.quantization_version", 2u});
    pairs.push_back({"general.file_type", static_cast<std::uint32_t>(*wanted)});

    std::vector<gguf_tensor> planned = tensors;
    for (std::size_t i = 0; i < planned.size(); ++i) {
        if (is_quantized(tensors[i].type) && types[i] != tensors[i].type)
            throw std::runtime_error(options.input + " is quantized already: quantize from f16, bf16 or f32");
        planned[i].type = types[i];
    }
    const auto size = gguf_file_size(pairs, planned, gguf_rules::lenient);
    require(size.error(), options.input);
    std::printf("%s: %.1f MB -> %.1f MB\n", options.input.c_str(), static_cast<double>(input.bytes().size()) * 1e-6,
        static_cast<double>(*size) * 1e-6);

    new_file output(options.output);
    std::uint64_t written = 0;
    const auto sink = [&](const std::byte* bytes, std::size_t count) {
        output.write(bytes, count);
        written += count;
        return true;
    };
    std::vector<std::byte> header;
    require(write_gguf_header(
                pairs, planned,
                [&](const std::byte* bytes, std::size_t count) noexcept {
                    header.insert(header.end(), bytes, bytes + count);
                    return true;
                },
                gguf_rules::lenient),
        options.output);
    sink(header.data(), header.size());

    progress_bar bar(input.bytes().size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const gguf_tensor& t = tensors[i];
        bar.advance(t.data.size(), t.name);
        std::vector<std::byte> made;
        span<const std::byte> data = t.data;
        if (types[i] != t.type) {
            std::vector<float> importance;
            if (imatrix.size() != 0 && t.name != "token_embd.weight") {
                importance.resize(static_cast<std::size_t>(t.sizes[0] * t.sizes[2] * t.sizes[3]));
                const status s = imatrix.weights(
                    t.name, static_cast<std::uint64_t>(t.sizes[0]), static_cast<std::uint64_t>(t.sizes[2] * t.sizes[3]), importance);
                if (s == status::file_key_missing)
                    importance.clear();
                else
                    require(s, options.imatrix + ", " + std::string(t.name));
            }
            made = converted(t, types[i], importance, options.threads);
            data = made;
        }
        sink(data.data(), data.size());
        const std::vector<std::byte> zeros(static_cast<std::size_t>(gguf_padding(data.size(), 32)));
        sink(zeros.data(), zeros.size());
    }
    if (written != *size)
        throw std::runtime_error("the size of " + options.output + " is not what was predicted: please report this");
    output.commit();
}
