// Files: one mapped for reading, and one written under a temporary name that gets its own name only when all is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <nibble/gguf/reader.hpp>

/// Maps a regular file that is not empty. Throws std::runtime_error with a sentence for the user, as do all functions here.
class mapped_file {
public:
    explicit mapped_file(const std::string& path);
    mapped_file(const mapped_file&) = delete;
    mapped_file& operator=(const mapped_file&) = delete;
    ~mapped_file();
    nibble::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

/// The file must outlive the reader.
nibble::gguf_reader open_gguf(const mapped_file& file, const nibble::gguf_options& options = {});

/// Whether both are there and the same, by whatever names.
bool same_file(const std::string& a, const std::string& b);

/// Writes PATH.partial, which commit() renames. What is replaced keeps its owner and mode; a symbolic link stays, and what it names is
/// replaced. Character devices and pipes are written to directly. Directories, block devices, terminals and files that may not be written
/// are refused before anything is made. Destroyed before commit(), or when the program is interrupted, it leaves nothing.
class new_file {
public:
    /// `size`: bytes that will be written. A disk without room for them is reported at once.
    new_file(const std::string& path, std::uint64_t size);
    new_file(const new_file&) = delete;
    new_file& operator=(const new_file&) = delete;
    ~new_file();
    void write(const void* data, std::size_t size);
    void commit();

private:
    void open_temporary();
    void discard();
    [[noreturn]] void give_up(const std::string& what);

    std::string path_, temporary_; // no temporary name: path_ is written to directly
    int descriptor_ = -1;
    bool replaces_ = false;
    unsigned mode_ = 0, user_ = 0, group_ = 0; // of the file that is replaced
};
