#!/usr/bin/env bash
# other_backends.sh COMPILER: files of one program that leave different backends out. The linker keeps one copy of what they share, whichever
# comes first; each file must still find a kernel for every backend that another one chooses.
set -euo pipefail

include=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../include" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >quantize.cpp <<'CPP'
#include <nibble/quantize/quantize.hpp>
int code()
{
    const float x[] = {1.0f}, scale[] = {0.5f};
    std::int8_t q = 0;
    const auto done = nibble::quantize<std::int8_t>({x, 1, 1}, {nibble::granularity::per_tensor, 0, scale}, {&q, 1, 1});
    return done == nibble::status::ok ? q : -1;
}
CPP
cat >dequantize.cpp <<'CPP'
#include <nibble/quantize/quantize.hpp>
float number()
{
    const std::int8_t q = 3;
    const float scale[] = {0.5f};
    float x = 0;
    const auto done = nibble::dequantize<std::int8_t>({&q, 1, 1}, {nibble::granularity::per_tensor, 0, scale}, {&x, 1, 1});
    return done == nibble::status::ok ? x : -1;
}
CPP
cat >main.cpp <<'CPP'
int code();
float number();
int main() { return code() == 2 && number() == 1.5f ? 0 : 1; }
CPP
"$1" -O1 -std=c++17 -I "$include" -c quantize.cpp main.cpp
for macro in NIBBLE_SCALAR_ONLY NIBBLE_NO_AVX512 NIBBLE_NO_XSIMD; do
  "$1" -O1 -std=c++17 -D$macro -I "$include" -c dequantize.cpp
  for order in "quantize.o dequantize.o" "dequantize.o quantize.o"; do
    # shellcheck disable=SC2086
    "$1" main.o $order -o program
    ./program || {
      echo "FAILED: $macro, linked as $order"
      exit 1
    }
  done
done
echo "files with other backends work together"
