// TFLite's int4 tensors: two codes in a byte, the first in the low four bits. There are no gaps between rows, so a row with an odd number
// of codes shares a byte with the next.
#pragma once

#include "../core/numeric.hpp"
#include "../core/view.hpp"

NIBBLE_BEGIN
namespace tflite {

/// Codes as int8, in [-8, 7]: what depthwise_conv2d takes, and packed_filter::make. packed has ceil(codes.size() / 2) elements.
inline status unpack_int4(span<const int4x2> packed, span<std::int8_t> codes) noexcept
{
    if (nibble::check(packed) != status::ok || nibble::check(codes) != status::ok)
        return status::null_pointer;
    if (packed.size() != codes.size() / 2 + codes.size() % 2)
        return status::shape_mismatch;
    for (std::size_t i = 0; i < codes.size(); ++i)
        codes[i] = static_cast<std::int8_t>(i % 2 == 0 ? packed[i / 2].first() : packed[i / 2].second());
    return status::ok;
}

} // namespace tflite
NIBBLE_END
