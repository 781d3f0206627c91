#include "check.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "support.hpp"

namespace bench {
namespace {

constexpr double float_bound = 1e-5, quantized_bound = 2e-2;

std::uint64_t random_odd(std::uint64_t& state)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state ^ state >> 29) | 1;
}

template <class A>
verdict check_sums(const std::int32_t* c, const A* a, const problem& p)
{
    const std::ptrdiff_t m = p.m, n = p.w->n, k = p.w->k;
    std::vector<std::uint64_t> r(static_cast<std::size_t>(n)), wr(static_cast<std::size_t>(k));
    std::uint64_t state = 1;
    for (std::uint64_t& v : r)
        v = random_odd(state);
    for (std::ptrdiff_t j = 0; j < n; ++j) {
        const std::int8_t* w = p.w->s8().data() + j * k;
        const std::uint64_t rj = r[static_cast<std::size_t>(j)];
        for (std::ptrdiff_t l = 0; l < k; ++l)
            wr[static_cast<std::size_t>(l)] += rj * static_cast<std::uint64_t>(std::int64_t(w[l]));
    }
    for (std::ptrdiff_t i = 0; i < m; ++i) {
        std::uint64_t have = 0, want = 0;
        for (std::ptrdiff_t j = 0; j < n; ++j)
            have += r[static_cast<std::size_t>(j)] * static_cast<std::uint64_t>(std::int64_t(c[i * n + j]));
        for (std::ptrdiff_t l = 0; l < k; ++l)
            want += wr[static_cast<std::size_t>(l)] * static_cast<std::uint64_t>(std::int64_t(a[i * k + l]));
        if (have == want)
            continue;
        std::ptrdiff_t wrong = 0;
        std::int64_t most = 0;
        for (std::ptrdiff_t j = 0; j < n; ++j) {
            std::int64_t sum = 0;
            for (std::ptrdiff_t l = 0; l < k; ++l)
                sum += std::int64_t(a[i * k + l]) * p.w->s8()[static_cast<std::size_t>(j * k + l)];
            wrong += sum != c[i * n + j];
            most = std::max(most, std::abs(sum - c[i * n + j]));
        }
        return {false, "WRONG: " + std::to_string(wrong) + " of " + std::to_string(n) + " sums of row " + std::to_string(i) + ", by up to "
                           + std::to_string(most)};
    }
    return {true, "exact"};
}

} // namespace

void weight_row(const weight_matrix& w, kind what, std::ptrdiff_t j, float* out)
{
    const std::ptrdiff_t k = w.k;
    const float* const floats = w.f32().data() + j * k;
    if (what == kind::f32) {
        std::copy_n(floats, k, out);
    } else if (what == kind::half) {
        std::transform(floats, floats + k, out, [](float v) { return nibble::to_float(nibble::to_half(v)); });
    } else if (what == kind::bfloat16) {
        std::transform(floats, floats + k, out, [](float v) { return nibble::to_float(nibble::to_bfloat16(v)); });
    } else if (block_type(what) != 0) {
        const std::vector<std::uint8_t>& blocks = w.blocks(what);
        const std::size_t row = blocks.size() / static_cast<std::size_t>(w.n);
        require(nibble::dequantize_blocks(static_cast<nibble::ggml_type>(block_type(what)),
            {reinterpret_cast<const std::byte*>(blocks.data()) + static_cast<std::size_t>(j) * row, row}, {out, 1, k}));
    } else if (what < kind::int4_channel) {
        const std::int8_t* const codes = w.s8().data() + j * k;
        const float scale = w.s8_scales()[static_cast<std::size_t>(j)];
        for (std::ptrdiff_t l = 0; l < k; ++l)
            out[l] = static_cast<float>(codes[l]) * scale;
    } else {
        const int4_codes& q = w.int4(what);
        const std::ptrdiff_t group = q.group == 0 ? k : q.group, groups = (k + group - 1) / group, row_bytes = (k + 1) / 2;
        for (std::ptrdiff_t l = 0; l < k; ++l) {
            const int code = q.codes[static_cast<std::size_t>(j * row_bytes + l / 2)] >> (l % 2 ? 4 : 0) & 15;
            out[l] = static_cast<float>((code ^ 8) - 8) * q.scales[static_cast<std::size_t>(j * groups + l / group)];
        }
    }
}

verdict check(const contender& c, const problem& p)
{
    if (c.what == kind::u8s8)
        return check_sums(static_cast<const std::int32_t*>(c.result()), p.a_u8().data(), p);
    if (c.what == kind::s8s8)
        return check_sums(static_cast<const std::int32_t*>(c.result()), p.a_s8().data(), p);
    if (c.what == kind::u7s8)
        return check_sums(static_cast<const std::int32_t*>(c.result()), p.a_u7().data(), p);

    const std::ptrdiff_t m = p.m, n = p.w->n, k = p.w->k;
    const float* const result = static_cast<const float*>(c.result());
    std::vector<float> w(static_cast<std::size_t>(k));
    double error = 0, norm = 0;
    for (std::ptrdiff_t j = 0; j < n; ++j) {
        if (!c.weight_row(j, w.data()))
            weight_row(*p.w, c.what, j, w.data());
        for (const std::ptrdiff_t i : {std::ptrdiff_t(0), m - 1}) {
            const float* const a = p.a().data() + i * k;
            double sums[4] = {};
            for (std::ptrdiff_t l = 0; l < k; ++l)
                sums[l % 4] += double(a[l]) * double(w[static_cast<std::size_t>(l)]);
            const double sum = sums[0] + sums[1] + sums[2] + sums[3], difference = result[i * n + j] - sum;
            error += difference * difference;
            norm += sum * sum;
        }
    }
    const double relative = std::sqrt(error / norm);
    const double bound = c.error_bound != 0 ? c.error_bound : quantizes_activations(c.what) ? quantized_bound : float_bound;
    const bool right = relative <= bound; // false for NaN
    char text[64];
    std::snprintf(text, sizeof text, "%serror %.1e", right ? "" : "WRONG: ", relative);
    return {right, text};
}

} // namespace bench
