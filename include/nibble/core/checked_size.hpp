// Sizes computed from a caller's numbers, without overflow. All of nibble follows one rule:
//   a size that does not fit std::ptrdiff_t   becomes size_overflow in functions that return a status, SIZE_MAX in those that return
//                                             std::size_t, and PTRDIFF_MAX in those that return std::ptrdiff_t; no buffer is as large
//   a matrix or tensor without elements       is refused too if its other sizes do not fit: a size of 0 counts as 1 in that check
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "config.hpp"

NIBBLE_BEGIN_TYPES

/// A number of bytes or elements. Sums and products that do not fit, and numbers below zero, are marked and stay so. PTRDIFF_MAX itself
/// counts as not fitting, since functions return it for what does not.
class checked_size {
public:
    NIBBLE_INLINE constexpr checked_size(std::size_t n) noexcept : value_(n < PTRDIFF_MAX ? n : SIZE_MAX) {}
    template <class Int, class = std::enable_if_t<std::is_integral_v<Int> && std::is_signed_v<Int>>>
    NIBBLE_INLINE constexpr checked_size(Int n) noexcept : checked_size(n < 0 ? SIZE_MAX : static_cast<std::size_t>(n))
    {
    }

    NIBBLE_INLINE constexpr bool fits() const noexcept { return value_ != SIZE_MAX; }
    /// SIZE_MAX if it does not fit.
    NIBBLE_INLINE constexpr std::size_t value() const noexcept { return value_; }
    /// The same as a signed number; PTRDIFF_MAX if it does not fit.
    NIBBLE_INLINE constexpr std::ptrdiff_t count() const noexcept { return fits() ? static_cast<std::ptrdiff_t>(value_) : PTRDIFF_MAX; }

    friend NIBBLE_INLINE constexpr checked_size operator+(checked_size a, checked_size b) noexcept
    {
        return !a.fits() || !b.fits() ? SIZE_MAX : a.value_ + b.value_;
    }
    /// What does not fit does not fit either when it is multiplied by 0.
    friend NIBBLE_INLINE constexpr checked_size operator*(checked_size a, checked_size b) noexcept
    {
        std::size_t product = 0;
        const bool over = __builtin_mul_overflow(a.value_, b.value_, &product);
        return over || !a.fits() || !b.fits() ? SIZE_MAX : product;
    }

private:
    std::size_t value_;
};

/// The product of a shape's sizes, each of which counts as 1 if it is 0: whether the shape is one that nibble takes.
template <class... Sizes>
NIBBLE_INLINE constexpr checked_size shape_extent(Sizes... sizes) noexcept
{
    return (checked_size(1) * ... * checked_size(sizes == 0 ? 1 : sizes));
}

static_assert((checked_size(3) * std::ptrdiff_t(5) + 1).value() == 16);
static_assert((checked_size(std::size_t(1) << 40) * (std::size_t(1) << 40)).value() == SIZE_MAX);
static_assert((checked_size(-1) * 0 + 1).value() == SIZE_MAX && (checked_size(PTRDIFF_MAX) + 0).count() == PTRDIFF_MAX);
static_assert(shape_extent(std::ptrdiff_t(0), std::ptrdiff_t(7)).value() == 7);
static_assert(!shape_extent(PTRDIFF_MAX / 2, std::ptrdiff_t(0), std::ptrdiff_t(3)).fits());

NIBBLE_END_TYPES
