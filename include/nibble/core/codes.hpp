// Reads and writes one code of a row. An element of the row holds one, two or four codes; the first is in the lowest bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "numeric.hpp"

NIBBLE_BEGIN

/// Stores the code of a column; the codes of earlier columns in the same byte are kept, those of later ones become 0.
template <class Q>
inline void store_code(Q* row, std::ptrdiff_t column, std::int32_t code) noexcept
{
    constexpr int each = code_traits<Q>::per_element;
    if constexpr (each == 1) {
        row[column] = static_cast<Q>(code);
    } else {
        constexpr unsigned bits = 8 / each, mask = (1u << bits) - 1;
        Q& packed = row[column / each];
        const unsigned shift = static_cast<unsigned>(column % each) * bits, kept = shift == 0 ? 0u : packed.bits & ((1u << shift) - 1);
        packed.bits = static_cast<std::uint8_t>(kept | (static_cast<unsigned>(code) & mask) << shift);
    }
}

/// The code of a column.
template <class Q>
inline std::int32_t load_code(const Q* row, std::ptrdiff_t column) noexcept
{
    constexpr int each = code_traits<Q>::per_element;
    if constexpr (each == 1) {
        return row[column];
    } else {
        constexpr std::int32_t bits = 8 / each, mask = (1 << bits) - 1, sign = code_traits<Q>::qmin < 0 ? 1 << (bits - 1) : 0;
        return ((row[column / each].bits >> column % each * bits & mask) ^ sign) - sign;
    }
}

NIBBLE_END
