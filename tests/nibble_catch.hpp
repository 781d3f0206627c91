// Catch2, version 2 or 3: tests include this and are the same for both. Approx is nibble_test::Approx.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
namespace nibble_test {
using Approx = Catch::Approx;
}
#else
#include <catch2/catch.hpp>
namespace nibble_test {
using Approx = Catch::Detail::Approx; // Catch::Approx is a matcher in version 2
}
#endif
