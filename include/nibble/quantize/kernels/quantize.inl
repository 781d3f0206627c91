// Floats to codes of 8, 4 and 2 bits. From the inside out:
//   quantizer, absmax_quantizer     one scale and the usual rule, a vector at a time; products' epilogues use the first, too
//   general_quantizer               any rule, any scales, a vector at a time
//   quantize_span, quantize_bytes   some columns of a row by one of these
//   quantize_chunks                 whole chunks, optimistically: rounds (usual_rounding, rule_rounding), finishes (as_rounded,
//                                   with_zero_point), and says if a lane may be wrong, for then the row is done again by general_quantizer
//   row_quantizer, quantize_matrix  a row, and a matrix
#if __INCLUDE_LEVEL__ == 0
#define NIBBLE_ALONE
#endif
#include "quantize.hpp"

NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline floats zero_if_nan(floats t) noexcept { return select(t == t, t, floats(0.0f)); }

// The rule of one scale and zero point that most quantization uses: times 1 / scale, ties to even, then the zero point. low and high are
// the bounds of the codes less the zero point. Clamping before rounding gives the same codes, since both bounds are integers, and keeps the
// conversion to int in range: out of range its result differs from CPU to CPU.
struct quantizer {
    float inverse, low, high;
    std::int32_t zero_point;

    void prepare(std::ptrdiff_t, std::ptrdiff_t) const noexcept {}
    ints operator()(floats x, std::ptrdiff_t) const noexcept
    {
        const floats t = zero_if_nan(x * floats(inverse));
        return round_to_int(min(max(t, floats(low)), floats(high))) + ints(zero_point);
    }
};

// x is finite and scale = max|x| / qmax, so nothing can leave the range.
struct absmax_quantizer {
    float inverse;

    void prepare(std::ptrdiff_t, std::ptrdiff_t) const noexcept {}
    ints operator()(floats x, std::ptrdiff_t) const noexcept { return round_to_int(x * floats(inverse)); }
};

// What stochastic rounding adds before it rounds down: reals in [0, 1) whose 24 bits come from the column, times random_step, by two rounds
// of multiply and shift, with a key of the row before each.
inline constexpr std::uint32_t random_step = 0x9e3779b9u;
inline floats noise(ints column_step, const stochastic_keys& keys) noexcept
{
    const auto mix = [](ints h) noexcept {
        h = (h ^ shift_right<16>(h)) * ints(0x7feb352d);
        return (h ^ shift_right<15>(h)) * ints(static_cast<std::int32_t>(0x846ca68bu));
    };
    const ints h = mix(column_step ^ ints(static_cast<std::int32_t>(keys.first)));
    return to_float(shift_right<8>(mix(h + ints(static_cast<std::int32_t>(keys.second))))) * floats(0x1p-24f);
}

struct lane_steps_table {
    std::int32_t v[chunk] {};
    constexpr lane_steps_table() noexcept
    {
        for (std::uint32_t i = 0; i < chunk; ++i)
            v[i] = static_cast<std::int32_t>(i * random_step);
    }
};
inline constexpr lane_steps_table lane_steps;

// Column `column` + `lane` and those after it, times random_step; lane is in a chunk.
inline ints column_steps(std::ptrdiff_t column, std::ptrdiff_t lane) noexcept
{
    return ints(static_cast<std::int32_t>(static_cast<std::uint32_t>(column) * random_step)) + ints::load_unaligned(lane_steps.v + lane);
}

// x rounded to an integer by the rule, for x in the range of int32.
template <rounding Round>
inline ints round_by(floats x, ints column_step, const stochastic_keys& keys) noexcept
{
    if constexpr (Round == rounding::ties_to_even) {
        return round_to_int(x);
    } else if constexpr (Round == rounding::half_away_from_zero) {
        return round_half_away_to_int(x);
    } else if constexpr (Round == rounding::half_up) { // the half is added before
        return truncate_to_int(floor_of(x));
    } else if constexpr (Round == rounding::toward_zero) {
        return truncate_to_int(x);
    } else {
        const floats u = opaque(x), below = floor_of(u);
        return truncate_to_int(below + select(noise(column_step, keys) < u - below, floats(1.0f), floats(0.0f)));
    }
}

// visit(integral_constant of the rule).
template <class Visit>
inline auto with_rounding(rounding round, Visit visit) noexcept
{
    switch (round) {
    case rounding::half_away_from_zero: return visit(std::integral_constant<rounding, rounding::half_away_from_zero> {});
    case rounding::half_up: return visit(std::integral_constant<rounding, rounding::half_up> {});
    case rounding::toward_zero: return visit(std::integral_constant<rounding, rounding::toward_zero> {});
    case rounding::stochastic: return visit(std::integral_constant<rounding, rounding::stochastic> {});
    case rounding::ties_to_even: break;
    }
    return visit(std::integral_constant<rounding, rounding::ties_to_even> {});
}

// Any rule, and any scales. It is set up in one of two ways: by set(), once for a group with one scale; or by set_row() where every column
// has a scale of its own, and then prepare() loads those of each chunk. Everything is kept for each lane of a chunk, so that operator() is
// the same for both. add_ is what t gains before it is rounded (the zero point if the rule adds it first, the half of half_up), after_ what
// the code gains afterwards.
class general_quantizer {
public:
    general_quantizer(const quantize_args& args, std::ptrdiff_t row) noexcept : args_(args), keys_(args.rule.seed, row) {}

    void set(
        std::ptrdiff_t begin, std::ptrdiff_t count, const float* scales, const std::int32_t* zero_points, std::ptrdiff_t stride) noexcept
    {
        begin_ = begin;
        const float half = args_.rule.round == rounding::half_up ? 0.5f : 0.0f;
        for (std::ptrdiff_t i = 0; i < chunk; ++i) {
            const std::ptrdiff_t at = i < count ? i * stride : 0;
            const std::int32_t zero_point = zero_points ? zero_points[at] : 0, after = args_.rule.zero_point_first ? 0 : zero_point;
            scale_[i] = scales[at];
            add_[i] = static_cast<float>(zero_point - after) + half;
            low_[i] = static_cast<float>(args_.qmin - after);
            high_[i] = static_cast<float>(args_.qmax - after);
            after_[i] = after;
        }
        if (!args_.rule.divide)
            for (std::ptrdiff_t i = 0; i < chunk; i += width)
                quotient(floats(1.0f), floats::load_unaligned(scale_ + i)).store_unaligned(scale_ + i);
    }

    // For scales that differ from column to column, before each chunk.
    void prepare(std::ptrdiff_t column, std::ptrdiff_t count) noexcept
    {
        if (args_.group_size == 1)
            set(column, count, row_scales_ + column * args_.group_stride,
                row_zero_points_ ? row_zero_points_ + column * args_.group_stride : nullptr, args_.group_stride);
        else
            begin_ = column;
    }
    void set_row(const float* scales, const std::int32_t* zero_points) noexcept
    {
        row_scales_ = scales;
        row_zero_points_ = zero_points;
    }

    ints operator()(floats x, std::ptrdiff_t column) const noexcept
    {
        const std::ptrdiff_t i = column - begin_;
        const floats scale = floats::load_unaligned(scale_ + i), low = floats::load_unaligned(low_ + i),
                     high = floats::load_unaligned(high_ + i);
        const floats t = args_.rule.divide ? quotient(x, scale) : x * scale;
        const floats u = opaque(zero_if_nan(t)) + floats::load_unaligned(add_ + i);
        const floats bounded = min(max(u, low), high);
        const ints code = with_rounding(args_.rule.round,
            [&](auto round) noexcept { return round_by<decltype(round)::value>(bounded, column_steps(column, 0), keys_); });
        return code + ints::load_unaligned(after_ + i);
    }

private:
    const quantize_args& args_;
    const float* row_scales_ = nullptr;
    const std::int32_t* row_zero_points_ = nullptr;
    stochastic_keys keys_;
    std::ptrdiff_t begin_ = 0;
    float scale_[chunk]; // its reciprocal, unless the rule divides
    float add_[chunk], low_[chunk], high_[chunk];
    std::int32_t after_[chunk];
};

// Columns [begin, begin + count) of a row, whose first code is at q; begin is at a whole byte of q. The last chunk goes through a copy:
// nothing is read or written beyond the row, and bits of the last byte that have no column become 0.
template <int Bits, class Rule>
inline void quantize_span(const float* x, std::uint8_t* q, std::ptrdiff_t begin, std::ptrdiff_t count, Rule& rule) noexcept
{
    const auto body = [&](const float* from, std::uint8_t* to, std::ptrdiff_t column) noexcept {
        ints codes[chunk_vectors];
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
            const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(i) * width;
            codes[i] = rule(floats::load_unaligned(from + lane), column + lane);
        });
        store_codes<Bits>(codes, to);
    };
    std::ptrdiff_t i = 0;
    for (; i + chunk <= count; i += chunk) {
        rule.prepare(begin + i, chunk);
        body(x + begin + i, q + (begin + i) * Bits / 8, begin + i);
    }
    if (i < count) {
        float from[chunk] = {};
        std::uint8_t to[chunk];
        const std::ptrdiff_t rest = count - i, bits = rest * Bits;
        std::memcpy(from, x + begin + i, static_cast<std::size_t>(rest) * sizeof(float));
        rule.prepare(begin + i, rest);
        body(from, to, begin + i);
        if (bits % 8 != 0)
            to[bits / 8] &= static_cast<std::uint8_t>((1 << bits % 8) - 1);
        std::memcpy(q + (begin + i) * Bits / 8, to, static_cast<std::size_t>((bits + 7) / 8));
    }
}

template <class Rule>
inline void quantize_bytes(const float* x, std::uint8_t* q, std::ptrdiff_t count, Rule rule) noexcept
{
    quantize_span<8>(x, q, 0, count, rule);
}

// What becomes of a chunk of rounded codes: nothing, or a zero point and bounds. Rounded codes are int16 and saturated, and so is the sum
// with the zero point: what is beyond the bounds stays beyond them. Codes of uint8 are bounded as int8, 128 less, and flipped at the end.
struct as_rounded {
    chunk_bytes operator()(const chunk_shorts& s, std::ptrdiff_t) const noexcept { return narrow(s); }
};
class with_zero_point {
public:
    // zero_points: one for each chunk, `stride` apart, or null.
    with_zero_point(std::int32_t low, std::int32_t high, const std::int32_t* zero_points, std::ptrdiff_t stride) noexcept
        : zero_points_(zero_points), stride_(stride), offset_(high > 127 ? 128 : 0), low_(all_bytes(low - offset_)),
          high_(all_bytes(high - offset_)), flip_(all_bytes(offset_))
    {
    }
    chunk_bytes operator()(const chunk_shorts& s, std::ptrdiff_t c) const noexcept
    {
        const std::int32_t zero_point = zero_points_ ? zero_points_[c * stride_] : 0;
        return exclusive_or(bounded(narrow(shifted(s, zero_point - offset_)), low_, high_), flip_);
    }

private:
    const std::int32_t* zero_points_;
    std::ptrdiff_t stride_;
    std::int32_t offset_; // of uint8 codes, which are bounded as int8
    chunk_bytes low_, high_, flip_;
};

// How a chunk of floats becomes rounded codes. The usual rule: times a reciprocal, ties to even.
struct usual_rounding {
    NIBBLE_INLINE chunk_shorts operator()(const float* x, float inverse, std::ptrdiff_t) const noexcept
    {
        floats t[chunk_vectors];
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
            t[i] = floats::load_unaligned(x + static_cast<std::ptrdiff_t>(i) * width) * floats(inverse);
        });
        return round_to_shorts(t);
    }
};

// Any rule: times a reciprocal, or over a scale. zero_points, if the rule adds them before it rounds: one for each chunk, `stride` apart.
template <rounding Round>
class rule_rounding {
public:
    rule_rounding(
        bool divide, const stochastic_keys& keys, std::ptrdiff_t begin, const std::int32_t* zero_points, std::ptrdiff_t stride) noexcept
        : divide_(divide), begin_(begin), zero_points_(zero_points), stride_(stride), keys_(keys)
    {
    }

    chunk_shorts operator()(const float* x, float factor, std::ptrdiff_t c) const noexcept
    {
        const std::ptrdiff_t column = begin_ + c * chunk;
        floats t[chunk_vectors];
        if (divide_)
            unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { t[i] = quotient(load(x, i), floats(factor)); });
        else
            unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { t[i] = load(x, i) * floats(factor); });
        if (zero_points_ || Round == rounding::half_up) {
            const floats add(
                (zero_points_ ? static_cast<float>(zero_points_[c * stride_]) : 0.0f) + (Round == rounding::half_up ? 0.5f : 0.0f));
            unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED { t[i] = opaque(round_is_exact ? zero_if_nan(t[i]) : t[i]) + add; });
        }
        ints codes[chunk_vectors];
        unroll<chunk_vectors>([&](std::size_t i) NIBBLE_UNROLLED {
            const std::ptrdiff_t lane = static_cast<std::ptrdiff_t>(i) * width;
            codes[i] = round_by<Round>(within_shorts(t[i]), column_steps(column, lane), keys_);
        });
        return to_shorts(codes);
    }

private:
    template <class I>
    static floats load(const float* x, I i) noexcept
    {
        return floats::load_unaligned(x + static_cast<std::ptrdiff_t>(std::size_t {i}) * width);
    }

    bool divide_;
    std::ptrdiff_t begin_;
    const std::int32_t* zero_points_;
    std::ptrdiff_t stride_;
    stochastic_keys keys_;
};

// `count` chunks, chunk c with factors[c * stride]. Optimistic: x86 turns NaN, and what int32 does not hold, into the least int32, which
// becomes the least int16. So a lane whose rounded code is the least int16 may be wrong. Looking for one at the end costs one minimum a
// chunk; testing and mending each lane would cost several instructions. False: some lane may be wrong, and the caller does all chunks again
// by general_quantizer's or quantizer's exact way; never false if Known says that all products are finite and small.
template <int Bits, bool Known, class Round, class Finish>
inline bool quantize_chunks(const float* x, std::uint8_t* q, std::ptrdiff_t count, const float* factors, std::ptrdiff_t stride,
    const Round& round, const Finish& finish) noexcept
{
    constexpr bool checked = !Known && !round_is_exact;
    chunk_shorts worst = zero_shorts();
    for (std::ptrdiff_t c = 0; c < count; ++c, x += chunk, q += chunk * Bits / 8) {
        const chunk_shorts codes = round(x, factors[c * stride], c);
        if constexpr (checked)
            worst = lowest(worst, codes);
        store_bytes<Bits>(finish(codes, c), q);
    }
    return !checked || !any_least(worst);
}

// One row. group() takes columns of one group, groups() whole chunks that are a group each, columns() a row with a scale a column.
template <int Bits>
class row_quantizer {
public:
    row_quantizer(const quantize_args& args, std::ptrdiff_t row) noexcept
        : args_(args), row_(row), x_(args.x + row * args.x_stride), q_(static_cast<std::uint8_t*>(args.q) + row * args.q_stride),
          usual_(args.rule.round == rounding::ties_to_even && !args.rule.divide && !args.rule.zero_point_first), keys_(args.rule.seed, row)
    {
        const std::ptrdiff_t at = row / args.block_rows * args.row_stride;
        scales_ = args.scales + at;
        zero_points_ = args.zero_points ? args.zero_points + at : nullptr;
    }

    void group(std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t at) const noexcept
    {
        const float factor = args_.rule.divide ? scales_[at] : 1.0f / scales_[at];
        const std::ptrdiff_t whole = count / chunk * chunk;
        for (std::ptrdiff_t i = 0; i < whole; i += block * chunk)
            chunks(begin + i, whole - i < block * chunk ? (whole - i) / chunk : block, &factor, at, 0);
        if (whole < count)
            one_by_one(begin + whole, count - whole, at);
    }

    // `width` groups of a chunk each: their quotients are one division.
    void groups(std::ptrdiff_t begin, std::ptrdiff_t at) const noexcept
    {
        float factors[floats::size];
        const floats scales = floats::load_unaligned(scales_ + at);
        (args_.rule.divide ? scales : quotient(floats(1.0f), scales)).store_unaligned(factors);
        chunks(begin, width, factors, at, 1);
    }

    // A scale for each column.
    void columns() const noexcept
    {
        general_quantizer rule(args_, row_);
        rule.set_row(scales_, zero_points_);
        quantize_span<Bits>(x_, q_, 0, args_.cols, rule);
    }

private:
    // Chunks that are tried together: if one lane is doubtful, all are done again. More of them test less often and redo more.
    static constexpr std::ptrdiff_t block = 8;

    // A vector at a time, without doubt: the ends of groups, and what a try left doubtful.
    void one_by_one(std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t at) const noexcept
    {
        const std::int32_t zero_point = zero_points_ ? zero_points_[at] : 0;
        if (usual_) {
            quantizer rule {
                1.0f / scales_[at], static_cast<float>(args_.qmin - zero_point), static_cast<float>(args_.qmax - zero_point), zero_point};
            quantize_span<Bits>(x_, q_, begin, count, rule);
        } else {
            general_quantizer rule(args_, row_);
            rule.set(begin, chunk, scales_ + at, &zero_point, 0);
            quantize_span<Bits>(x_, q_, begin, count, rule);
        }
    }
    // All of a try's chunks, where no lane is doubtful. Whole int8 without zero points needs no bounds: narrowing saturates.
    template <class Round>
    bool finished(std::ptrdiff_t begin, std::ptrdiff_t count, const float* factors, const std::int32_t* zero_points, std::ptrdiff_t stride,
        const Round& round) const noexcept
    {
        const float* x = x_ + begin;
        std::uint8_t* q = q_ + begin * Bits / 8;
        if constexpr (Bits == 8 && std::is_same_v<Round, usual_rounding>)
            if (!zero_points && args_.qmin == -128)
                return quantize_chunks<Bits, false>(x, q, count, factors, stride, round, as_rounded {});
        return quantize_chunks<Bits, false>(
            x, q, count, factors, stride, round, with_zero_point(args_.qmin, args_.qmax, zero_points, stride));
    }
    void chunks(std::ptrdiff_t begin, std::ptrdiff_t count, const float* factors, std::ptrdiff_t at, std::ptrdiff_t stride) const noexcept
    {
        const std::int32_t *zero_points = zero_points_ ? zero_points_ + at : nullptr,
                           *first = args_.rule.zero_point_first ? zero_points : nullptr,
                           *last = args_.rule.zero_point_first ? nullptr : zero_points;
        const bool right = usual_ ? finished(begin, count, factors, last, stride, usual_rounding {})
                                  : with_rounding(args_.rule.round, [&](auto round) noexcept {
                                        return finished(begin, count, factors, last, stride,
                                            rule_rounding<decltype(round)::value>(args_.rule.divide, keys_, begin, first, stride));
                                    });
        for (std::ptrdiff_t c = 0; !right && c < count; ++c)
            one_by_one(begin + c * chunk, chunk, at + c * stride);
    }

    const quantize_args& args_;
    std::ptrdiff_t row_;
    const float* x_;
    std::uint8_t* q_;
    bool usual_;
    stochastic_keys keys_;
    const float* scales_;
    const std::int32_t* zero_points_;
};

template <int Bits>
inline void quantize_matrix(const quantize_args& args) noexcept
{
    for (std::ptrdiff_t r = args.row_begin; r < args.row_end; ++r) {
        const row_quantizer<Bits> row(args, r);
        if (args.group_size == 1) {
            row.columns();
            continue;
        }
        std::ptrdiff_t begin = 0, at = 0;
        if (args.group_size == chunk && args.group_stride == 1)
            for (; begin + width * chunk <= args.cols; begin += width * chunk, at += width)
                row.groups(begin, at);
        for (; begin < args.cols; begin += args.group_size, at += args.group_stride)
            row.group(begin, smaller(args.cols - begin, args.group_size), at);
    }
}

template <class Lazy>
inline void quantize_8(const quantize_args& args) noexcept
{
    quantize_matrix<8>(args);
}
template <class Lazy>
inline void quantize_4(const quantize_args& args) noexcept
{
    quantize_matrix<4>(args);
}
template <class Lazy>
inline void quantize_2(const quantize_args& args) noexcept
{
    quantize_matrix<2>(args);
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
