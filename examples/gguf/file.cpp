#include "file.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

constexpr int deadly_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU};

char to_remove[4096]; // what an interrupted program leaves no trace of
bool on_terminal = false;

// Takes the file away, says so, and then dies of the signal, so that a shell or a script that waits knows it.
void interrupted(int signal)
{
    const char said[] = "\r\x1b[Knibble: interrupted, the output is as it was before\n";
    if (to_remove[0] != '\0') {
        unlink(to_remove);
        const std::size_t skipped = on_terminal ? 0 : 4;
        if (::write(2, said + skipped, sizeof said - 1 - skipped) < 0)
            _exit(128 + signal);
    }
    std::signal(signal, SIG_DFL);
    sigset_t this_one;
    sigemptyset(&this_one);
    sigaddset(&this_one, signal);
    pthread_sigmask(SIG_UNBLOCK, &this_one, nullptr);
    std::raise(signal);
}

#define CUT_SHORT "a file became shorter while it was read, or its disk failed"

// What a mapped file gives that others cut short, or whose disk fails.
void lost(int)
{
    const char said[] = "nibble: " CUT_SHORT "\n";
    if (to_remove[0] != '\0')
        unlink(to_remove);
    _exit(::write(2, said, sizeof said - 1) < 0 ? 2 : 1);
}

std::string reason() { return std::string(": ") + std::strerror(errno); }

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + reason()); }

} // namespace

mapped_file::mapped_file(const std::string& path) : path_(path)
{
    // A pipe that nobody writes to must not hold the program up.
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info = {};
    if (descriptor < 0 || fstat(descriptor, &info) != 0)
        fail("cannot read " + path);
    std::string wrong;
    if (S_ISDIR(info.st_mode))
        wrong = path + " is a directory: name a file";
    else if (!S_ISREG(info.st_mode))
        wrong = path + " is a pipe or a device, and only a file can be mapped: save it under a name first";
    else if (info.st_size == 0)
        wrong = path + " is empty";
    if (wrong.empty()) {
        size_ = static_cast<std::size_t>(info.st_size);
        data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data_ == MAP_FAILED)
            wrong = "cannot map " + path + reason();
        std::signal(SIGBUS, lost);
    }
    close(descriptor);
    if (!wrong.empty())
        throw std::runtime_error(wrong);
}

mapped_file::~mapped_file() { munmap(data_, size_); }

nibble::gguf_reader open_gguf(const mapped_file& file, const nibble::gguf_options& options)
{
    constexpr std::size_t least = 24; // mark, version, two counts
    if (file.bytes().size() < least)
        throw std::runtime_error(file.path() + " has " + std::to_string(file.bytes().size()) + " bytes, too few for a GGUF file");
    auto opened = nibble::gguf_reader::open(file.bytes(), options);
    if (!opened)
        throw std::runtime_error(file.path() + ": " + to_string(opened.error()));
    return std::move(*opened);
}

bool same_file(const std::string& a, const std::string& b)
{
    struct stat first = {}, second = {};
    return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

new_file::new_file(const std::string& path, std::uint64_t size) : path_(path)
{
    if (path.empty())
        throw std::runtime_error("the output has no name");
    struct stat info = {};
    const bool there = stat(path.c_str(), &info) == 0;
    if (!there && errno != ENOENT)
        fail("cannot write " + path);
    if (there && S_ISDIR(info.st_mode))
        throw std::runtime_error(path + " is a directory: name a file in it");
    if (there && S_ISBLK(info.st_mode))
        throw std::runtime_error(path + " is a block device, whose content would be lost: name a file");

    // Where links lead. In /proc some lead to files that have no name: these are written to directly, as are devices and pipes.
    namespace fs = std::filesystem;
    fs::path target = path;
    std::error_code none;
    for (int i = 0; i < 40 && fs::is_symlink(fs::symlink_status(target, none)); ++i)
        target = target.parent_path() / fs::read_symlink(target, none);
    if (there && (!S_ISREG(info.st_mode) || !same_file(path, target.string()))) {
        descriptor_ = open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
        if (descriptor_ < 0)
            fail("cannot write " + path);
        if (isatty(descriptor_) != 0) {
            close(descriptor_);
            throw std::runtime_error(path + " is a terminal: name a file");
        }
        return;
    }
    path_ = target.string();
    replaces_ = there;
    if (replaces_ && faccessat(AT_FDCWD, path_.c_str(), W_OK, AT_EACCESS) != 0)
        fail("cannot write " + path_);
    mode_ = info.st_mode & 0777u;
    user_ = info.st_uid;
    group_ = info.st_gid;
    temporary_ = path_ + ".partial";
    if (temporary_.size() >= sizeof to_remove)
        throw std::runtime_error("the name " + path + " is too long");
    open_temporary();
    // Who may not give the file to its owner keeps it, if possible with its group.
    const bool given = !replaces_ || fchown(descriptor_, user_, group_) == 0 || fchown(descriptor_, static_cast<uid_t>(-1), group_) == 0;
    if (replaces_ && fchmod(descriptor_, given ? mode_ : mode_ & 0700u) != 0)
        give_up("cannot keep the permissions of " + path);
#if defined(__linux__)
    if (size != 0 && fallocate(descriptor_, 0, 0, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        give_up("cannot write the " + std::to_string(size) + " bytes of " + path);
#else
    (void)size;
#endif
}

void new_file::open_temporary()
{
    std::signal(SIGXFSZ, SIG_IGN); // a limit on the size of files is an error like a full disk
    // No signal comes between making the file and knowing that it is to be removed.
    sigset_t held, before;
    sigemptyset(&held);
    for (const int s : deadly_signals)
        sigaddset(&held, s);
    pthread_sigmask(SIG_BLOCK, &held, &before);
    // A file of that name is somebody else's, perhaps the input.
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, replaces_ ? 0600 : 0666);
    const int error = errno;
    if (descriptor_ >= 0) {
        std::memcpy(to_remove, temporary_.c_str(), temporary_.size() + 1);
        on_terminal = isatty(2) != 0;
        for (const int s : deadly_signals)
            if (std::signal(s, interrupted) == SIG_IGN)
                std::signal(s, SIG_IGN); // as nohup wants it
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    if (descriptor_ < 0 && error == EEXIST)
        throw std::runtime_error(temporary_ + " exists already: remove it, or name another output than " + path_);
    if (descriptor_ < 0)
        fail("cannot write " + temporary_);
}

void new_file::give_up(const std::string& what)
{
    const std::string why = reason();
    discard();
    throw std::runtime_error(what + why);
}

new_file::~new_file() { discard(); }

void new_file::discard()
{
    if (descriptor_ >= 0)
        close(descriptor_);
    descriptor_ = -1;
    if (to_remove[0] != '\0')
        unlink(to_remove);
    to_remove[0] = '\0';
}

void new_file::write(const void* data, std::size_t size)
{
    for (const char* at = static_cast<const char*>(data); size > 0;) {
        const ssize_t done = ::write(descriptor_, at, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EFAULT)
            throw std::runtime_error(CUT_SHORT); // bytes of a mapped file, found gone by the system first
        if (done < 0)
            fail("cannot write " + path_);
        at += done;
        size -= static_cast<std::size_t>(done);
    }
}

void new_file::commit()
{
    const int closed = descriptor_;
    descriptor_ = -1;
    if (close(closed) != 0 || (!temporary_.empty() && rename(temporary_.c_str(), path_.c_str()) != 0))
        give_up("cannot write " + path_);
    to_remove[0] = '\0';
}
