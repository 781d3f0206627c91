#!/usr/bin/env bash
# Compiles readme.cpp with nothing but -I include: each compiler here, each standard; runs it with and without optimisation.
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
  for way in 17:-O0 17:-O2 20:-fsyntax-only 2b:-fsyntax-only; do
    flags=("-std=c++${way%:*}" "${way#*:}" -fno-exceptions -fno-rtti -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
    echo "$compiler ${flags[*]:0:2}"
    rm -f "$work/readme"
    if ! "$compiler" "${flags[@]}" -I "$include" "$here/readme.cpp" -o "$work/readme" || { [ -e "$work/readme" ] && ! "$work/readme"; }; then
      echo "FAILED: $compiler ${flags[*]}"
      failures=$((failures + 1))
    fi
  done
done
[ $failures = 0 ]
