#include "report.hpp"

#include <algorithm>

namespace bench {

std::string shape_of(const row& r) { return std::to_string(r.m) + " x " + std::to_string(r.n) + " x " + std::to_string(r.k); }

namespace {

// The kinds of peers' products that a kind of nibble's is compared with: its own, or the nearest that peers have.
std::string compared_with(const std::string& kind)
{
    if (kind == "half" || kind == "bfloat16")
        return "f32";
    return kind == "int4_channel" ? "int4_group128" : kind;
}

} // namespace

void compare_with_peers(std::vector<row>& rows)
{
    for (row& r : rows) {
        if (r.peer != "nibble")
            continue;
        double fastest = 0, fastest_right = 0;
        for (const row& p : rows) {
            if (p.peer == "nibble" || p.kind != compared_with(r.kind) || p.cap != r.cap || p.m != r.m || p.n != r.n || p.k != r.k
                || p.stream != r.stream || p.threads != r.threads)
                continue;
            if (fastest == 0 || p.median < fastest) {
                fastest = p.median;
                r.best_peer = p.peer + " " + p.kernel;
            }
            if (p.right && (fastest_right == 0 || p.median < fastest_right))
                fastest_right = p.median;
        }
        r.ratio = fastest / r.median;
        r.ratio_exact = fastest_right / r.median;
    }
}

} // namespace bench
