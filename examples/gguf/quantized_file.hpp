// A GGUF file's tensors quantized by a recipe: the bytes that llama.cpp writes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nibble/nibble.hpp>
#include <nibble/thread_pool.hpp>

/// Throws std::runtime_error with a sentence for the user, as do all functions here.
void require(nibble::status s, const std::string& what);

/// A name from a file, without what would move a terminal's cursor.
std::string printable(std::string_view name);

class quantized_file {
public:
    /// Chooses every tensor's type. What is given must outlive this object; importance may be empty. `name` is what messages call the file.
    quantized_file(const nibble::gguf_reader& file, nibble::recipe wanted, const nibble::imatrix_reader& importance, std::string name);

    /// The bytes that write() gives to its sink.
    std::uint64_t size() const { return size_; }

    /// One tensor in the file that is read and in the one that is written.
    struct change {
        nibble::gguf_tensor before, after;
        nibble::ggml_type wanted; ///< another than after's if its blocks do not divide the rows
        bool has_importance;
    };
    const std::vector<change>& changes() const { return changes_; }

    /// Threads share rows; which has which does not show in the bytes. done(bytes, name): so much of the input comes next.
    void write(const std::function<void(const std::byte*, std::size_t)>& sink, unsigned threads,
        const std::function<void(std::uint64_t, std::string_view)>& done = {}) const;

private:
    const nibble::imatrix_reader& importance_;
    std::string name_;
    std::vector<change> changes_;
    std::vector<nibble::gguf_tensor> planned_;
    std::vector<nibble::gguf_pair> pairs_;
    std::uint64_t size_ = 0;
};
