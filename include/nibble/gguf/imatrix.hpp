// Reads importance matrices. For each tensor they have one weight for each column: the mean square of what the column was multiplied with.
// The first bytes tell the two formats apart. Everything is checked when the file is opened.
//   .gguf   tensors NAME.in_sum2 [columns, experts] and NAME.counts [1, experts] of f32: weight = sum / count, or 1 where the count is 0
//   .dat    i32 entries; each: i32 length, name, i32 calls, i32 values, f32 values; the rest is ignored: weight = value / calls
#pragma once

#include "../core/fp_mode.hpp"
#include "../core/importance.hpp"
#include "reader.hpp"

NIBBLE_STRICT_BEGIN
NIBBLE_BEGIN

class imatrix_reader {
public:
    imatrix_reader() noexcept = default;

    /// The bytes must outlive the reader. For .dat: file_truncated, file_damaged (a negative count or length, or no calls to divide by).
    static result<imatrix_reader> open(span<const std::byte> bytes) noexcept
    {
        if (check(bytes) != status::ok)
            return status::null_pointer;
        imatrix_reader r;
        r.bytes_ = bytes;
        if (bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0) {
            result<gguf_reader> file = gguf_reader::open(bytes);
            if (!file)
                return file.error();
            r.file_ = std::move(*file);
            r.is_gguf_ = true;
            for (std::size_t i = 0; i < r.file_.tensor_count(); ++i)
                r.entries_ += ends_with(r.file_.tensor(i).name, ".in_sum2");
            return result<imatrix_reader>(std::move(r));
        }
        std::int32_t entries = 0;
        if (!number(bytes, 0, entries))
            return status::file_truncated;
        if (entries < 1)
            return status::file_damaged;
        r.entries_ = static_cast<std::size_t>(entries);
        std::size_t at = 4;
        for (std::size_t i = 0; i < r.entries_; ++i) {
            entry e;
            if (const status s = read_entry(bytes, at, e); s != status::ok)
                return s;
            at = e.end;
        }
        return result<imatrix_reader>(std::move(r));
    }

    /// Tensors that have weights.
    std::size_t size() const noexcept { return entries_; }

    /// The weights of a tensor of `columns` columns and `experts` matrices (1 unless they are stacked), experts * columns of them.
    /// file_key_missing if there are none, file_type_mismatch if their number is another, file_damaged if a count is NaN, infinite or below
    /// zero, and what check_importance says of the weights. A status leaves out as it was.
    status weights(std::string_view name, std::uint64_t columns, std::uint64_t experts, span<float> out) const noexcept
    {
        if (check(out) != status::ok)
            return status::null_pointer;
        if (columns == 0 || experts == 0 || out.size() / columns != experts || out.size() % columns != 0)
            return status::shape_mismatch;
        const default_fp_mode mode;
        return is_gguf_ ? from_gguf(name, columns, out) : from_dat(name, out);
    }

private:
    struct entry {
        std::string_view name;
        std::int32_t calls = 0;
        std::size_t values = 0, count = 0, end = 0;
    };

    static bool ends_with(std::string_view s, std::string_view end) noexcept
    {
        return s.size() >= end.size() && s.substr(s.size() - end.size()) == end;
    }

    static bool number(span<const std::byte> bytes, std::size_t at, std::int32_t& out) noexcept
    {
        if (bytes.size() < 4 || at > bytes.size() - 4)
            return false;
        std::memcpy(&out, bytes.data() + at, 4);
        return true;
    }

    static status read_entry(span<const std::byte> bytes, std::size_t at, entry& e) noexcept
    {
        std::int32_t length = 0, values = 0;
        if (!number(bytes, at, length))
            return status::file_truncated;
        if (length < 1)
            return status::file_damaged;
        at += 4;
        if (static_cast<std::size_t>(length) > bytes.size() - at)
            return status::file_truncated;
        e.name = {reinterpret_cast<const char*>(bytes.data() + at), static_cast<std::size_t>(length)};
        at += static_cast<std::size_t>(length);
        if (!number(bytes, at, e.calls) || !number(bytes, at + 4, values))
            return status::file_truncated;
        if (values < 1 || e.calls < 0)
            return status::file_damaged;
        e.values = at + 8;
        e.count = static_cast<std::size_t>(values);
        if (e.count > (bytes.size() - e.values) / 4)
            return status::file_truncated;
        e.end = e.values + 4 * e.count;
        return status::ok;
    }

    status from_dat(std::string_view name, span<float> out) const noexcept
    {
        std::size_t at = 4;
        for (std::size_t i = 0; i < entries_; ++i) {
            entry e;
            (void)read_entry(bytes_, at, e);
            at = e.end;
            if (e.name != name)
                continue;
            if (e.count != out.size())
                return status::file_type_mismatch;
            const std::byte* const values = bytes_.data() + e.values;
            const float calls = static_cast<float>(e.calls);
            return fill(out, [values, calls](std::size_t column) noexcept {
                const float sum = float_at(values, column);
                return mean(sum, calls, sum);
            });
        }
        return status::file_key_missing;
    }

    static float float_at(const std::byte* bytes, std::size_t i) noexcept
    {
        float x = 0.0f;
        std::memcpy(&x, bytes + 4 * i, 4);
        return x;
    }

    static float mean(float sum, float count, float of_none) noexcept
    {
        if (count > 0.0f)
            return sum < 0.0f && sum / count == 0.0f ? sum : sum / count; // a sum below zero is refused, however near
        return of_none;
    }

    /// out[i] = weight(i), if all are importances.
    template <class Weight>
    static status fill(span<float> out, Weight weight) noexcept
    {
        status found = status::ok;
        for (std::size_t i = 0; i < out.size() && found != status::not_finite; ++i) {
            const float w = weight(i);
            const status s = check_importance(span<const float>(&w, 1));
            found = s == status::ok ? found : s;
        }
        if (found != status::ok)
            return found;
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = weight(i);
        return status::ok;
    }

    result<gguf_tensor> part(std::string_view name, std::string_view suffix, std::size_t count) const noexcept
    {
        char key[64]; // no tensor of a file has a longer name
        if (name.size() + suffix.size() > sizeof key)
            return status::file_key_missing;
        if (!name.empty())
            std::memcpy(key, name.data(), name.size());
        std::memcpy(key + name.size(), suffix.data(), suffix.size());
        const result<gguf_tensor> found = file_.tensor(std::string_view(key, name.size() + suffix.size()));
        if (found && (found->type != ggml_type::f32 || found->data.size() != 4 * count))
            return status::file_type_mismatch;
        return found;
    }

    status from_gguf(std::string_view name, std::uint64_t columns, span<float> out) const noexcept
    {
        const std::size_t experts = out.size() / std::size_t {columns};
        const result<gguf_tensor> sums = part(name, ".in_sum2", out.size()), counts = part(name, ".counts", experts);
        if (!sums || !counts)
            return !sums ? sums.error() : counts.error();
        const std::byte *const sum = sums->data.data(), *const count = counts->data.data();
        for (std::size_t e = 0; e < experts; ++e)
            if (const float c = float_at(count, e); check_importance(span<const float>(&c, 1)) != status::ok)
                return status::file_damaged;
        return fill(out, [sum, count, columns](
                             std::size_t i) noexcept { return mean(float_at(sum, i), float_at(count, std::size_t {i / columns}), 1.0f); });
    }

    span<const std::byte> bytes_;
    gguf_reader file_;
    std::size_t entries_ = 0;
    bool is_gguf_ = false;
};

NIBBLE_END
NIBBLE_STRICT_END
