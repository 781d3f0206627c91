#!/usr/bin/env bash
# Compiles and runs readme.cpp with nothing but -I include: each compiler here, each standard, with and without optimisation.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
include=$here/../../include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# The README shows this very program.
awk '/^```cpp$/ { shown = 1; next } /^```$/ { if (shown) exit } shown' "$here/../../README.md" | diff - "$here/readme.cpp"

for compiler in g++ clang++ clang++-19; do
  if ! command -v "$compiler" >/dev/null; then
    echo "skipped: $compiler is not here"
    continue
  fi
  for standard in 17 20 2b; do
    for level in 0 2; do
      flags=("-std=c++$standard" "-O$level" -fno-exceptions -fno-rtti -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
      echo "$compiler ${flags[*]:0:2}"
      if ! { "$compiler" "${flags[@]}" -I "$include" "$here/readme.cpp" -o "$work/readme" && "$work/readme"; }; then
        echo "FAILED: $compiler ${flags[*]}"
        failures=$((failures + 1))
      fi
    done
  done
done
[ $failures = 0 ]
