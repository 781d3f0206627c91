#include "file.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

char to_remove[4096]; // what an interrupted program leaves no trace of

void interrupted(int signal)
{
    if (to_remove[0] != '\0')
        unlink(to_remove);
    _exit(128 + signal);
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

} // namespace

mapped_file::mapped_file(const std::string& path)
{
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info = {};
    if (descriptor < 0 || fstat(descriptor, &info) != 0)
        fail("cannot read " + path);
    size_ = static_cast<std::size_t>(info.st_size);
    if (size_ != 0) {
        data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data_ == MAP_FAILED)
            fail("cannot map " + path);
    }
    close(descriptor);
}

mapped_file::~mapped_file()
{
    if (size_ != 0)
        munmap(data_, size_);
}

new_file::new_file(const std::string& path) : path_(path), temporary_(path + ".partial")
{
    if (temporary_.size() >= sizeof to_remove)
        throw std::runtime_error("the name " + path + " is too long");
    // No signal comes between making the file and knowing that it is to be removed.
    sigset_t held, before;
    sigemptyset(&held);
    for (const int s : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&held, s);
    pthread_sigmask(SIG_BLOCK, &held, &before);
    // A file of that name is somebody else's, perhaps the input.
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    const int error = errno;
    if (descriptor_ >= 0) {
        std::memcpy(to_remove, temporary_.c_str(), temporary_.size() + 1);
        for (const int s : {SIGINT, SIGTERM, SIGHUP})
            std::signal(s, interrupted);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    if (descriptor_ < 0 && error == EEXIST)
        throw std::runtime_error(temporary_ + " exists already: remove it, or name another output than " + path_);
    if (descriptor_ < 0)
        fail("cannot write " + temporary_);
}

new_file::~new_file()
{
    if (descriptor_ < 0)
        return;
    close(descriptor_);
    unlink(temporary_.c_str());
    to_remove[0] = '\0';
}

void new_file::write(const void* data, std::size_t size)
{
    for (const char* at = static_cast<const char*>(data); size > 0;) {
        const ssize_t done = ::write(descriptor_, at, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            fail("cannot write " + temporary_);
        at += done;
        size -= static_cast<std::size_t>(done);
    }
}

void new_file::commit()
{
    if (close(descriptor_) != 0 || rename(temporary_.c_str(), path_.c_str()) != 0) {
        descriptor_ = -1;
        unlink(temporary_.c_str());
        fail("cannot write " + path_);
    }
    descriptor_ = -1;
    to_remove[0] = '\0';
}
