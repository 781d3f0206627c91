// Every kernel on every backend of this CPU. Names: kernel/backend/shape; --benchmark_filter=int4.*avx2 picks some.
#include <benchmark/benchmark.h>

#include <nibble/nibble.hpp>

void register_products(nibble::backend b);
void register_elementwise(nibble::backend b);
void register_baselines();

int main(int argc, char** argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    benchmark::AddCustomContext("nibble", NIBBLE_VERSION_STRING);
    benchmark::AddCustomContext("default backend", nibble::to_string(nibble::active_backend()));
    register_baselines();
    for (int i = nibble::backend_count - 1; i >= 0; --i)
        if (const nibble::backend b = static_cast<nibble::backend>(i); nibble::check_backend(b) == nibble::status::ok) {
            register_products(b);
            register_elementwise(b);
        }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
