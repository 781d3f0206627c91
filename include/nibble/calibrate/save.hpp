// Observers as bytes: to keep with a model, to merge with those of another process, or to compare with those of deployment (drift.hpp).
// Little-endian:
//   "nibbleob"   u32 layout (1)   u32 kind   u64 observers   u64 bytes of the label   the label: what the data was, in UTF-8
//   min_max             f32 low, f32 high, u64 count, nans, infinities
//   histogram           the same, i32 exponent, u32 0, u64 [4096]
//   column_statistics   the same as min_max, then 3 sums of 24 i64: of x, |x| and x^2
// load() takes untrusted bytes: it checks every number against the others before it uses them.
#pragma once

#include "observer.hpp"

NIBBLE_BEGIN_TYPES

/// The start of saved observers.
struct saved_observers {
    std::uint64_t count = 0;
    span<const char> label; ///< points into the bytes
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

namespace detail {

inline constexpr std::size_t observers_header = 32;

template <class Observer>
struct saved_observer;

struct observer_bytes {
    std::byte* to = nullptr;
    const std::byte* from = nullptr;

    template <class T>
    void put(const T* values, std::size_t count) noexcept
    {
        std::memcpy(to, values, count * sizeof(T));
        to += count * sizeof(T);
    }
    template <class T>
    void take(T* values, std::size_t count) noexcept
    {
        std::memcpy(values, from, count * sizeof(T));
        from += count * sizeof(T);
    }
};

template <>
struct saved_observer<min_max_observer> {
    static constexpr std::uint32_t kind = 1;
    static constexpr std::size_t bytes = 32;

    static void save(const min_max_observer& o, observer_bytes& at) noexcept
    {
        const float ends[] = {o.low, o.high};
        const std::uint64_t counts[] = {o.count, o.nans, o.infinities};
        at.put(ends, 2);
        at.put(counts, 3);
    }
    static status load(min_max_observer& o, observer_bytes& at) noexcept
    {
        float ends[2];
        std::uint64_t counts[3];
        at.take(ends, 2);
        at.take(counts, 3);
        const min_max_observer empty;
        if (!is_finite(ends[0]) || !is_finite(ends[1]))
            return status::observers_damaged;
        // Sums of three loads of 2^62 values still fit 64 bits.
        for (const std::uint64_t count : counts)
            if (count > std::uint64_t {1} << 62)
                return status::observers_damaged;
        if (counts[0] == 0 ? ends[0] != empty.low || ends[1] != empty.high : ends[0] > ends[1])
            return status::observers_damaged;
        o = {ends[0], ends[1], counts[0], counts[1], counts[2]};
        return status::ok;
    }
};

template <>
struct saved_observer<histogram_observer> {
    static constexpr std::uint32_t kind = 2;
    static constexpr std::size_t bytes = 32 + 8 + 8 * static_cast<std::size_t>(histogram_observer::bins);

    static void save(const histogram_observer& o, observer_bytes& at) noexcept
    {
        saved_observer<min_max_observer>::save(o.values(), at);
        const std::int32_t exponent[] = {o.exponent(), 0};
        at.put(exponent, 2);
        for (std::ptrdiff_t i = 0; i < histogram_observer::bins; ++i) {
            const std::uint64_t count = o.count(i);
            at.put(&count, 1);
        }
    }
    static status load(histogram_observer& o, observer_bytes& at) noexcept
    {
        min_max_observer values;
        std::int32_t exponent[2];
        std::uint64_t counts[histogram_observer::bins];
        if (const status s = saved_observer<min_max_observer>::load(values, at); s != status::ok)
            return s;
        at.take(exponent, 2);
        at.take(counts, static_cast<std::size_t>(histogram_observer::bins));
        return exponent[1] != 0 ? status::observers_damaged : o.restore(values, exponent[0], counts);
    }
};

template <>
struct saved_observer<column_statistics> {
    static constexpr std::uint32_t kind = 3;
    static constexpr std::size_t bytes = 32 + 3 * 8 * static_cast<std::size_t>(exact_sum::limbs);

    static void save(const column_statistics& o, observer_bytes& at) noexcept
    {
        saved_observer<min_max_observer>::save(o.values, at);
        for (exact_sum sum : {o.sum, o.absolute, o.squares}) {
            sum.normalize();
            at.put(sum.data(), exact_sum::limbs);
        }
    }
    static status load(column_statistics& o, observer_bytes& at) noexcept
    {
        column_statistics loaded;
        if (const status s = saved_observer<min_max_observer>::load(loaded.values, at); s != status::ok)
            return s;
        for (exact_sum* sum : {&loaded.sum, &loaded.absolute, &loaded.squares}) {
            at.take(sum->data(), exact_sum::limbs);
            for (int i = 0; i + 1 < exact_sum::limbs; ++i)
                if (sum->data()[i] < 0 || sum->data()[i] > 0xffffffff)
                    return status::observers_damaged;
            // The sum of 2^62 squares of floats stays below 2^318, and limb 23 begins at 2^352.
            const std::int64_t top = sum->data()[exact_sum::limbs - 1];
            if (top < (sum == &loaded.sum ? -1 : 0) || top > 0)
                return status::observers_damaged;
        }
        o = loaded;
        return status::ok;
    }
};

} // namespace detail

/// The bytes that save() writes; SIZE_MAX if they do not fit std::ptrdiff_t.
template <class Observer>
inline std::size_t saved_size(span<const Observer> observers, span<const char> label) noexcept
{
    return (
        checked_size(detail::observers_header) + label.size() + checked_size(observers.size()) * detail::saved_observer<Observer>::bytes)
        .value();
}

template <class Observer>
inline status save(span<const Observer> observers, span<const char> label, span<std::byte> out) noexcept
{
    if (check(observers) != status::ok || check(label) != status::ok)
        return status::null_pointer;
    if (const status s = check_room(out, saved_size(observers, label)); s != status::ok)
        return s;
    detail::observer_bytes at {out.data(), nullptr};
    const std::uint32_t start[] = {1, detail::saved_observer<Observer>::kind};
    const std::uint64_t sizes[] = {observers.size(), label.size()};
    at.put("nibbleob", 8);
    at.put(start, 2);
    at.put(sizes, 2);
    if (!label.empty())
        at.put(label.data(), label.size());
    for (const Observer& o : observers)
        detail::saved_observer<Observer>::save(o, at);
    return status::ok;
}

/// How many observers there are, and their label; load() then wants memory for as many.
template <class Observer>
inline result<saved_observers> open_observers(span<const std::byte> bytes) noexcept
{
    if (check(bytes) != status::ok)
        return status::null_pointer;
    if (bytes.size() < detail::observers_header || std::memcmp(bytes.data(), "nibbleob", 8) != 0)
        return status::not_observers;
    detail::observer_bytes at {nullptr, bytes.data() + 8};
    std::uint32_t start[2];
    std::uint64_t sizes[2];
    at.take(start, 2);
    at.take(sizes, 2);
    if (start[0] != 1)
        return status::observers_version;
    const std::size_t rest = bytes.size() - detail::observers_header;
    constexpr std::size_t each = detail::saved_observer<Observer>::bytes;
    if (start[1] != detail::saved_observer<Observer>::kind || sizes[1] > rest || sizes[0] > (rest - sizes[1]) / each)
        return status::observers_damaged;
    return saved_observers {sizes[0], {reinterpret_cast<const char*>(at.from), std::size_t {sizes[1]}}};
}

/// observers.size() is what open_observers said. A status leaves the observers before the damaged one loaded, the others as they were.
template <class Observer>
inline status load(span<const std::byte> bytes, span<Observer> observers) noexcept
{
    const auto opened = open_observers<Observer>(bytes);
    if (!opened)
        return opened.error();
    if (observers.size() != opened->count)
        return status::shape_mismatch;
    if (check(observers) != status::ok)
        return status::null_pointer;
    detail::observer_bytes at {nullptr, bytes.data() + detail::observers_header + opened->label.size()};
    for (Observer& o : observers)
        if (const status s = detail::saved_observer<Observer>::load(o, at); s != status::ok)
            return s;
    return status::ok;
}

NIBBLE_END
