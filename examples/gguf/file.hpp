// Files: one mapped for reading, and one written under a temporary name that gets its own name only when all is written.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

#include <nibble/core/view.hpp>

class mapped_file {
public:
    explicit mapped_file(const std::string& path);
    mapped_file(const mapped_file&) = delete;
    mapped_file& operator=(const mapped_file&) = delete;
    ~mapped_file();
    nibble::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Throws std::runtime_error with the system's reason. Destroyed before commit(), or when the program is interrupted, it leaves nothing.
class new_file {
public:
    explicit new_file(const std::string& path);
    new_file(const new_file&) = delete;
    new_file& operator=(const new_file&) = delete;
    ~new_file();
    void write(const void* data, std::size_t size);
    void commit();

private:
    std::string path_, temporary_;
    int descriptor_ = -1;
};
