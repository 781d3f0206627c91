#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "../examples/common/command_line.hpp"
#include "contender.hpp"

namespace bench {

std::string shape_of(const row& r) { return std::to_string(r.m) + " x " + std::to_string(r.n) + " x " + std::to_string(r.k); }

namespace {

// Whether a kind of nibble's products is compared with a kind of a peer's: its own, or the nearest that peers have.
bool compared(const std::string& kind, const std::string& with)
{
    if (kind == "half" || kind == "bfloat16")
        return with == "f32";
    if (kind == "int8_reduced")
        return with == "int8";
    if (kind == "int4_channel")
        return with == "int4_group128";
    return with == kind || (kind == "int8" && with == "q8_0") || (kind == "int4_group32" && (with == "q4_0" || with == "q4_K"));
}

bool same_product(const row& a, const row& b)
{
    return a.cap == b.cap && a.m == b.m && a.n == b.n && a.k == b.k && a.stream == b.stream && a.threads == b.threads;
}

std::string print(const char* format, double value)
{
    char text[64];
    std::snprintf(text, sizeof text, format, value);
    return text;
}

class table {
public:
    explicit table(std::vector<std::string> head) { lines_.push_back(std::move(head)); }
    void add(std::vector<std::string> line) { lines_.push_back(std::move(line)); }
    bool empty() const { return lines_.size() == 1; }
    std::string text() const
    {
        std::vector<std::size_t> widths(lines_.front().size());
        for (const auto& line : lines_)
            for (std::size_t i = 0; i < line.size(); ++i)
                widths[i] = std::max(widths[i], line[i].size());
        std::string out;
        for (std::size_t l = 0; l < lines_.size(); ++l) {
            for (std::size_t i = 0; i < widths.size(); ++i) {
                const std::string& cell = lines_[l][i];
                const std::string space(widths[i] - cell.size(), ' ');
                out += i == 0 ? "| " + cell + space : " | " + space + cell;
            }
            out += " |\n";
            if (l == 0) {
                for (std::size_t i = 0; i < widths.size(); ++i)
                    out += i == 0 ? "|" + std::string(widths[i] + 2, '-') : "|" + std::string(widths[i] + 1, '-') + ":";
                out += "|\n";
            }
        }
        return out;
    }

private:
    std::vector<std::vector<std::string>> lines_;
};

std::string size_of(std::size_t bytes)
{
    return bytes == 0 ? "?" : bytes < (1 << 20) ? std::to_string(bytes >> 10) + " KiB" : std::to_string(bytes >> 20) + " MiB";
}

std::string threads_of(int threads) { return threads == 1 ? "1 thread" : std::to_string(threads) + " threads"; }

std::string with_memory(const row& r) { return shape_of(r) + (r.stream ? " *" : ""); }

std::vector<int> thread_counts(const report& r)
{
    std::vector<int> all;
    for (const row& one : r.rows)
        if (std::find(all.begin(), all.end(), one.threads) == all.end())
            all.push_back(one.threads);
    return all;
}

std::string compute_table(const report& r)
{
    const std::vector<int> threads = thread_counts(r);
    std::vector<std::string> head {"registers only, GOP/s"};
    for (const int t : threads)
        head.push_back(threads_of(t));
    table out(head);
    for (const compute_limit& l : r.limits.compute) {
        if (l.threads != threads.front())
            continue;
        std::vector<std::string> line {l.backend + ": " + l.mix};
        for (const int t : threads)
            for (const compute_limit& other : r.limits.compute)
                if (other.backend == l.backend && other.mix == l.mix && other.threads == t)
                    line.push_back(print("%.0f", other.gops));
        line.resize(head.size());
        out.add(line);
    }
    return out.text();
}

std::string memory_table(const report& r)
{
    std::vector<std::string> head {"read, GB/s"};
    std::vector<const memory_limit*> columns;
    for (const memory_limit& l : r.limits.memory)
        if (l.level == r.limits.memory.front().level) {
            columns.push_back(&l);
            head.push_back(threads_of(l.threads) + ", " + (l.streams == 1 ? "1 stream" : std::to_string(l.streams) + " streams"));
        }
    table out(head);
    for (const memory_limit& l : r.limits.memory) {
        if (l.streams != columns.front()->streams || l.threads != columns.front()->threads)
            continue;
        std::vector<std::string> line {l.level + ", " + size_of(l.bytes) + " a thread"};
        for (const memory_limit* column : columns)
            for (const memory_limit& other : r.limits.memory)
                if (other.level == l.level && other.streams == column->streams && other.threads == column->threads)
                    line.push_back(print("%.0f", other.gbs));
        out.add(line);
    }
    return out.text();
}

// nibble's products of one kind: a line a shape, a column a backend, and the fastest peer.
std::string products_table(const report& r, const std::string& kind, int threads)
{
    std::vector<std::string> backends, head {kind + ", " + threads_of(threads)};
    for (const row& one : r.rows)
        if (one.peer == "nibble" && one.cap.empty() && std::find(backends.begin(), backends.end(), one.backend) == backends.end())
            backends.push_back(one.backend);
    for (const std::string& b : backends)
        head.push_back(b);
    head.insert(head.end(), {"of limit", "GB/s", "check", "fastest peer", "GOP/s", "ratio", "right peers'"});
    table out(head);
    for (const row& one : r.rows) {
        if (one.peer != "nibble" || one.kind != kind || one.threads != threads || !one.cap.empty() || one.backend != backends.front())
            continue;
        std::vector<std::string> line {with_memory(one)};
        bool right = true;
        for (const std::string& b : backends) {
            std::string cell;
            for (const row& other : r.rows)
                if (other.peer == "nibble" && other.kind == kind && other.backend == b && same_product(one, other)) {
                    cell = print("%.1f", other.gops);
                    right = right && other.right && other.exact;
                }
            line.push_back(cell);
        }
        line.push_back(one.fraction == 0 ? "" : print("%.0f %%", 100 * one.fraction));
        line.push_back(print("%.1f", one.gbs));
        line.push_back(right ? "exact" : "WRONG");
        line.push_back(one.best_peer);
        line.push_back(one.ratio == 0 ? "" : print("%.1f", one.gops / one.ratio));
        line.push_back(one.ratio == 0 ? "" : print("%.2f", one.ratio));
        line.push_back(one.ratio_exact == 0 ? "" : print("%.2f", one.ratio_exact));
        out.add(line);
    }
    return out.empty() ? "" : out.text() + "\n";
}

// Backends older than the newest, against peers that were held to the same instructions.
std::string capped_table(const report& r, const std::string& cap)
{
    table out({"held to " + cap, "threads", "GOP/s", "of limit", "fastest peer", "GOP/s", "ratio", "right peers'"});
    for (const row& one : r.rows)
        if (one.peer == "nibble" && one.cap == cap && one.ratio != 0)
            out.add({one.kind + ", " + with_memory(one), std::to_string(one.threads), print("%.1f", one.gops),
                one.fraction == 0 ? "" : print("%.0f %%", 100 * one.fraction), one.best_peer, print("%.1f", one.gops / one.ratio),
                print("%.2f", one.ratio), one.ratio_exact == 0 ? "" : print("%.2f", one.ratio_exact)});
    return out.empty() ? "" : out.text() + "\n";
}

// A line a convolution: nibble's backends, then the peers.
std::string convolutions_table(const report& r)
{
    std::vector<std::string> columns, head {"1 thread, microseconds (fastest right peer / this)"};
    for (const convolution_row& one : r.convolutions)
        if (const std::string c = one.peer == "nibble" ? one.backend : one.peer;
            std::find(columns.begin(), columns.end(), c) == columns.end())
            columns.push_back(c);
    head.insert(head.end(), columns.begin(), columns.end());
    table out(head);
    std::vector<std::string> seen;
    for (const convolution_row& first : r.convolutions) {
        if (std::find(seen.begin(), seen.end(), first.shape) != seen.end())
            continue;
        seen.push_back(first.shape);
        double fastest = 0;
        for (const convolution_row& one : r.convolutions)
            if (one.shape == first.shape && one.peer != "nibble" && one.right && (fastest == 0 || one.median < fastest))
                fastest = one.median;
        std::vector<std::string> line {first.shape};
        for (const std::string& c : columns) {
            std::string cell;
            for (const convolution_row& one : r.convolutions)
                if (one.shape == first.shape && (one.peer == "nibble" ? one.backend : one.peer) == c)
                    cell = print("%.1f", 1e6 * one.median) + (one.right ? "" : " WRONG")
                           + (one.peer == "nibble" && fastest != 0 ? print(" (%.2f)", fastest / one.median) : "");
            line.push_back(cell);
        }
        out.add(line);
    }
    return out.empty() ? "" : out.text() + "\n";
}

std::string peers_table(const report& r)
{
    table out({"peers", "m x n x k", "held to", "threads", "GOP/s", "best", "GB/s", "check"});
    for (const row& one : r.rows)
        if (one.peer != "nibble")
            out.add({one.peer + " " + one.kernel + " (" + one.kind + ")", with_memory(one), one.cap, std::to_string(one.threads),
                print("%.1f", one.gops), print("%.1f", one.gops * one.median / one.best), print("%.1f", one.gbs), one.check});
    return out.empty() ? "" : out.text() + "\n";
}

} // namespace

void complete(report& r)
{
    for (row& one : r.rows) {
        if (one.peer != "nibble")
            continue;
        one.limit = attainable(
            r.limits, r.cpu.caches, one.kind, one.backend, one.threads, one.gops * one.median, one.gbs * one.median, one.stream);
        one.fraction = one.limit == 0 ? 0 : one.gops / one.limit;
        double fastest = 0, fastest_right = 0;
        if (!one.cap.empty() || one.backend == newest_backend(r))
            for (const row& p : r.rows) {
                if (p.peer == "nibble" || !compared(one.kind, p.kind) || !same_product(p, one))
                    continue;
                if (fastest == 0 || p.median < fastest) {
                    fastest = p.median;
                    one.best_peer = p.peer + " " + p.kernel + (p.right ? "" : " (WRONG)");
                }
                if (p.right && (fastest_right == 0 || p.median < fastest_right))
                    fastest_right = p.median;
            }
        one.ratio = fastest / one.median;
        one.ratio_exact = fastest_right / one.median;
    }
}

std::string newest_backend(const report& r)
{
    for (const row& one : r.rows)
        if (one.peer == "nibble" && one.cap.empty())
            return one.backend; // rows stand from the newest to the oldest
    return {};
}

report load(const std::string& path)
{
    std::string wrong;
    const std::vector<char> text = command_line::read_file(path, wrong);
    if (!wrong.empty()) {
        std::fprintf(stderr, "%s; ./go bench writes build/bench/report.json\n", wrong.c_str());
        std::exit(1);
    }
    try {
        return nlohmann::json::parse(text).get<report>();
    } catch (const nlohmann::json::exception& e) {
        std::fprintf(stderr, "%s is no report of ./go bench: %s\n", path.c_str(), e.what());
        std::exit(1);
    }
}

void save(const report& r, const std::string& path)
{
    // One line a row: short, and readable in a diff.
    const nlohmann::json all(r);
    std::ofstream file(path);
    file << "{\"cpu\": " << all["cpu"] << ",\n";
    for (const char* list : {"peers", "rows", "convolutions"}) {
        file << '"' << list << "\": [";
        for (std::size_t i = 0; i < all[list].size(); ++i)
            file << (i ? ",\n" : "\n") << all[list][i];
        file << "],\n";
    }
    file << "\"limits\": " << all["limits"] << "}\n";
    if (!file.flush()) {
        std::fprintf(stderr, "%s cannot be written\n", path.c_str());
        std::exit(1);
    }
}

std::string tables(const report& r)
{
    std::string out = "# nibble " + r.cpu.nibble + " on " + r.cpu.name + "\n\n" + r.cpu.microarchitecture + ", "
                      + std::to_string(r.cpu.cores) + " cores, caches L1d " + size_of(r.cpu.caches.l1) + ", L2 " + size_of(r.cpu.caches.l2)
                      + ", L3 " + size_of(r.cpu.caches.l3) + ". " + r.cpu.compiler + ", " + r.cpu.flags + ".\n\n";
    for (const peer_info& p : r.peers)
        out += "- " + p.name + (p.left_out.empty() ? " " + p.version : ": left out, " + p.left_out)
               + (p.cap.empty() ? "" : " (held to " + p.cap + ")") + "\n";
    out += "\n## Limits\n\n";
    if (!r.limits.compute.empty())
        out += compute_table(r) + "\n" + memory_table(r) + "\n";
    out += "## Products\n\nGOP/s: 2 m n k / median time; GB/s: bytes of weights / median time; *: weights from memory. \"of limit\", GB/s "
           "and the "
           "ratio (of medians, in the same rounds; above 1 nibble is faster) are those of the first backend. \"right peers'\": the ratio "
           "to the fastest peer whose result is right.\n\n";
    for (const int t : thread_counts(r))
        for (const char* kind : kind_names)
            out += products_table(r, kind, t);
    if (const std::string convolutions = convolutions_table(r); !convolutions.empty())
        out += "## Convolutions\n\nMobileNetV2's, int8, a scale a channel, requantized in floats.\n\n" + convolutions;
    std::vector<std::string> caps;
    for (const row& one : r.rows)
        if (!one.cap.empty() && std::find(caps.begin(), caps.end(), one.cap) == caps.end())
            caps.push_back(one.cap);
    if (!caps.empty())
        out += "## Older instruction sets\n\nPeers held to the same instructions as nibble.\n\n";
    for (const std::string& cap : caps)
        out += capped_table(r, cap);
    if (const std::string peers = peers_table(r); !peers.empty())
        out += "## Peers\n\n" + peers;
    return out;
}

std::string comparison(const std::vector<report>& all)
{
    std::vector<std::string> head {"GOP/s (of limit)"};
    for (const report& r : all)
        head.push_back(r.cpu.name + ", " + newest_backend(r));
    table out(head);
    std::vector<std::vector<std::string>> seen;
    for (const report& source : all)
        for (const row& one : source.rows) {
            if (one.peer != "nibble" || !one.cap.empty() || one.backend != newest_backend(source))
                continue;
            const std::vector<std::string> key {one.kind, with_memory(one), threads_of(one.threads)};
            if (std::find(seen.begin(), seen.end(), key) != seen.end())
                continue;
            seen.push_back(key);
            std::vector<std::string> line {one.kind + ", " + with_memory(one) + ", " + threads_of(one.threads)};
            for (const report& r : all) {
                std::string cell;
                for (const row& other : r.rows)
                    if (other.peer == "nibble" && other.kind == one.kind && other.backend == newest_backend(r) && same_product(one, other))
                        cell = print("%.1f", other.gops) + (other.fraction == 0 ? "" : print(" (%.0f %%)", 100 * other.fraction));
                line.push_back(cell);
            }
            out.add(line);
        }
    return out.text();
}

} // namespace bench
