#!/usr/bin/env bash
# kernel_files.sh COMPILER: every kernel file compiles on its own, as an editor opens it, without a warning.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../include/nibble"

files=0
for file in */kernels/*.inl; do
  # Included by accumulate.inl for one Arm backend only.
  [ "$file" != gemm/kernels/i8mm.inl ] || continue
  if ! "$1" -std=c++17 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -Wno-unused-function -x c++ "$file"; then
    echo "FAILED: $file does not compile on its own: does the header of the same name include what it uses?"
    exit 1
  fi
  files=$((files + 1))
done
[ "$files" -gt 20 ]
echo "$files kernel files compile on their own"
