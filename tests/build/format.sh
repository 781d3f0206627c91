#!/usr/bin/env bash
# format.sh CLANG_FORMAT: every source file is formatted as .clang-format says; the generated lists of macros are left out. The formatter leaves
# comments alone, for it would run the rows of a table together, so their length is checked here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
find include tests benchmarks examples cmake \( -name '*.hpp' -o -name '*.inl' -o -name '*.cpp' \) -not -path '*/simd/xsimd/*' -print0 2>/dev/null |
    xargs -0 "$1" --dry-run -Werror
if grep -rnE '^.{141,}$' include tests benchmarks examples cmake --include=*.hpp --include=*.inl --include=*.cpp --include=*.h; then
  echo "FAILED: lines of more than 140 characters"
  exit 1
fi
echo "formatted as .clang-format says"
