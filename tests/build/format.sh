#!/usr/bin/env bash
# format.sh CLANG_FORMAT: every source file is formatted as .clang-format says; the generated lists of macros are left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
find include tests benchmarks examples cmake \( -name '*.hpp' -o -name '*.inl' -o -name '*.cpp' \) -not -path '*/simd/xsimd/*' -print0 2>/dev/null |
    xargs -0 "$1" --dry-run -Werror
echo "formatted as .clang-format says"
