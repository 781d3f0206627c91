#include "comparisons.hpp"

#include <random>

namespace {

using nibble::matrix_view;
using nibble::status;

constexpr std::ptrdiff_t rows = 512, outputs = 256, channels = 512, outlier_every = 64;
constexpr float outlier_factor = 100.0f;

struct matrix {
    std::vector<float> values;
    std::ptrdiff_t rows, cols;

    matrix(std::ptrdiff_t r, std::ptrdiff_t c) : values(static_cast<std::size_t>(r * c)), rows(r), cols(c) {}
    matrix_view<const float> view() const { return {values.data(), rows, cols}; }
    matrix_view<float> view() { return {values.data(), rows, cols}; }
};

status in_floats(matrix_view<const float> x, matrix_view<const float> w, matrix& y)
{
    const auto packed = nibble::packed_weights::make(w);
    return packed ? nibble::gemm(x, *packed, {}, y.view(), {}) : packed.error();
}

class experiment {
public:
    experiment(matrix_view<const float> seen, matrix_view<const float> x, matrix_view<const float> w)
        : seen_(seen), x_(x), w_(w), exact_(x.rows, w.rows), y_(x.rows, w.rows)
    {
    }

    status run()
    {
        if (status s = in_floats(x_, w_, exact_); s != status::ok)
            return s;
        std::vector<float> none(static_cast<std::size_t>(w_.cols), 1.0f), scales(none);
        for (const auto kind : {nibble::activation_scales::per_tensor, nibble::activation_scales::per_row}) {
            const bool rowwise = kind == nibble::activation_scales::per_row;
            if (status s = int8(rowwise, none, rowwise ? "a scale per row" : "one scale"); s != status::ok)
                return s;
            if (status s = nibble::search_smooth_scales(seen_, w_, kind, false, 20, scales); s != status::ok)
                return s;
            if (status s = int8(rowwise, scales, rowwise ? "SmoothQuant, a scale per row" : "SmoothQuant, one scale"); s != status::ok)
                return s;
        }
        return split();
    }

    std::vector<activation_error> errors;

private:
    matrix_view<const float> seen_, x_, w_;
    matrix exact_, y_;

    status add(const char* name)
    {
        const auto e = nibble::compare(exact_.view(), y_.view());
        if (e)
            errors.push_back({name, *e});
        return e.error();
    }

    // The inputs divided by `factors`, the weights' columns multiplied by them.
    status int8(bool rowwise, const std::vector<float>& factors, const char* name)
    {
        const std::ptrdiff_t m = x_.rows, n = w_.rows, k = w_.cols;
        matrix w(n, k), x(m, k), seen(seen_.rows, k);
        (void)nibble::scale_columns(w_, factors, false, w.view());
        (void)nibble::scale_columns(x_, factors, true, x.view());
        (void)nibble::scale_columns(seen_, factors, true, seen.view());
        std::vector<std::int8_t> w_codes(w.values.size()), x_codes(x.values.size());
        std::vector<float> scales(static_cast<std::size_t>(n));
        const nibble::quantized_matrix<std::int8_t> q {{w_codes.data(), n, k}, scales};
        if (const status s = nibble::round_to_nearest(matrix_view<const float>(w.view()), {}, q); s != status::ok)
            return s;
        const auto packed = nibble::packed_weights::make(matrix_view<const std::int8_t>(q.codes), k, nibble::params_of({}, q));
        if (!packed)
            return packed.error();
        std::vector<std::byte> workspace(nibble::gemm_workspace(m, *packed));
        const matrix_view<const float> from = x.view(), sample = seen.view();
        status s = status::ok;
        if (rowwise) {
            s = nibble::gemm(from, *packed, {}, y_.view(), workspace);
        } else {
            float scale = 0, scratch[2];
            const matrix_view<std::int8_t> codes(x_codes.data(), m, k);
            s = nibble::choose_params<std::int8_t>(
                sample, nibble::scheme::symmetric, nibble::granularity::per_tensor, 0, {&scale, 1}, {}, scratch);
            if (s == status::ok)
                s = nibble::quantize(from, {nibble::granularity::per_tensor, 0, {&scale, 1}}, codes);
            if (s == status::ok)
                s = nibble::gemm(matrix_view<const std::int8_t>(codes), {scale, 0}, *packed, {}, y_.view(), workspace);
        }
        return s == status::ok ? add(name) : s;
    }

    status split()
    {
        std::vector<float> most(static_cast<std::size_t>(w_.cols));
        std::vector<std::int32_t> columns(most.size());
        (void)nibble::column_max(seen_, most);
        const auto found = nibble::find_outlier_columns(most, 6.0f, columns);
        if (!found)
            return found.error();
        columns.resize(static_cast<std::size_t>(found->outliers));
        const auto weights = nibble::column_split::make<std::int8_t>(w_, columns, {});
        if (!weights)
            return weights.error();
        std::vector<std::byte> workspace(nibble::gemm_workspace(x_.rows, *weights));
        const status s = nibble::gemm(x_, *weights, {}, y_.view(), workspace);
        return s == status::ok ? add("column split, a scale per row") : s;
    }
};

// The mean of 12 uniform numbers from the generator's bits: the same with every standard library.
matrix bell_shaped(std::ptrdiff_t r, std::ptrdiff_t c, unsigned seed)
{
    std::mt19937 random(seed);
    matrix x(r, c);
    for (float& v : x.values) {
        double sum = -6;
        for (int i = 0; i < 12; ++i)
            sum += double(random()) / 4294967296.0;
        v = static_cast<float>(sum);
    }
    return x;
}

// `outliers`: what their channels are multiplied by.
matrix synthetic(unsigned seed, float outliers)
{
    matrix x = bell_shaped(rows, channels, seed);
    for (std::size_t i = 0; i < x.values.size(); ++i)
        x.values[i] *= static_cast<std::ptrdiff_t>(i) % outlier_every == 5 ? outliers : 1.0f;
    return x;
}

} // namespace

nibble::result<std::vector<activation_error>> compare_activation_schemes(
    matrix_view<const float> seen, matrix_view<const float> x, matrix_view<const float> w)
{
    experiment e(seen, x, w);
    if (const status s = e.run(); s != status::ok)
        return s;
    return std::move(e.errors);
}

nibble::result<std::vector<outlier_row>> compare_outliers()
{
    const matrix seen = synthetic(1, outlier_factor), x = synthetic(2, outlier_factor), w = bell_shaped(outputs, channels, 3);
    const matrix without = synthetic(2, 0.0f);
    matrix ordinary(rows, outputs);
    if (const status s = in_floats(without.view(), w.view(), ordinary); s != status::ok)
        return s;
    const auto signal = nibble::compare(ordinary.view(), ordinary.view());
    const auto errors = compare_activation_schemes(seen.view(), x.view(), w.view());
    if (!signal || !errors)
        return errors ? signal.error() : errors.error();
    std::vector<outlier_row> all;
    for (const activation_error& e : *errors) {
        nibble::error_statistics against_ordinary = e.output;
        against_ordinary.signal = signal->signal;
        all.push_back({e.scheme, e.output.sqnr_db(), against_ordinary.sqnr_db()});
    }
    return all;
}
