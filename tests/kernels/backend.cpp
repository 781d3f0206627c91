#include "../support.hpp"

#include <cstdlib>
#include <string>

using namespace nibble;

TEST_CASE("scalar is always there, and the best backend is the one that the test run expects", "[choice]")
{
    REQUIRE(check_backend(backend::scalar) == status::ok);
    if (const char* expected = std::getenv("NIBBLE_EXPECT_BACKEND"))
        REQUIRE(std::string(to_string(best_backend())) == expected);
}

TEST_CASE("names that cannot be used give a status and change nothing", "[choice]")
{
    const backend before = active_backend();
    CHECK(force_backend("sse9") == status::backend_unknown);
    CHECK(force_backend(nullptr) == status::backend_unknown);
#if defined(__x86_64__)
    CHECK(force_backend("neon") == status::backend_not_compiled);
#else
    CHECK(force_backend("avx2") == status::backend_not_compiled);
#endif
    CHECK(active_backend() == before);
    CHECK(force_backend("scalar") == status::ok);
    CHECK(active_backend() == backend::scalar);
    CHECK(std::string(explain()).size() > 0);
    CHECK(force_backend(before) == status::ok);
}

TEST_CASE("cpuinfo, where it is linked, and the probe agree", "[choice]") { CHECK(runnable_backends().bits == probe_cpu().bits); }
