// One line that is written over, on a terminal only.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string_view>

#include <unistd.h>

class progress_bar {
public:
    explicit progress_bar(std::uint64_t total) : total_(total), shown_(isatty(2) != 0) {}
    progress_bar(const progress_bar&) = delete;
    progress_bar& operator=(const progress_bar&) = delete;
    ~progress_bar()
    {
        if (shown_)
            std::fprintf(stderr, "\r\x1b[K");
    }

    /// Work on `bytes` more begins, called `name`.
    void advance(std::uint64_t bytes, std::string_view name)
    {
        if (shown_) {
            const double part = total_ == 0 ? 0.0 : static_cast<double>(done_) / static_cast<double>(total_);
            std::fprintf(stderr, "\r\x1b[K[%-30.*s] %3.0f %%  %.*s", static_cast<int>(30 * part), "##############################",
                100 * part, static_cast<int>(name.size()), name.data());
        }
        done_ += bytes;
    }

private:
    std::uint64_t total_, done_ = 0;
    bool shown_;
};
