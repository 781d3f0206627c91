// The convolutions of MobileNetV2 at 224 x 224, one of each size, int8 in and out, a scale a channel; beside peers, one thread.
#pragma once

#include <functional>

#include <nibble/nibble.hpp>

#include "contender.hpp"
#include "report.hpp"

namespace bench {

/// Interleaved, as products are; every result is held against the reference's codes. wanted(text): as --filter.
std::vector<convolution_row> measure_convolutions(const std::vector<nibble::backend>& backends, const std::vector<peer*>& peers, int rounds,
    const std::function<bool(const std::string&)>& wanted);

} // namespace bench
