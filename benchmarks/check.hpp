// Whether a result is right.
//
// int32: every sum is checked, through sums of sums: for random odd weights r modulo 2^64, each row of the result must satisfy
//   sum over j of c[i, j] r[j] = sum over k of a[i, k] (sum over j of w[j, k] r[j]),
// which one wrong sum always breaks, and several wrong ones all but never fail to. Where it is broken, wrong sums of one row are counted.
//
// float: the root mean square of the error, relative to that of the exact product (in double precision, of the weights as the contender's
// format holds them), over the first and the last row. Bounds: 1e-5 for float activations; 2e-2 for activations quantized to 8 bits, which
// cost 0.4 % for rows of the uniform data used here.
#pragma once

#include "contender.hpp"

namespace bench {

struct verdict {
    bool right = true;
    std::string text {}; ///< for people
};

/// Run the contender before.
verdict check(const contender& c, const problem& p);

/// The weights w of kind k, row j, as floats.
void weight_row(const weight_matrix& w, kind k, std::ptrdiff_t j, float* out);

} // namespace bench
