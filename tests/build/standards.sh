#!/usr/bin/env bash
# standards.sh COMPILER WAY...: compiles readme.cpp with nothing but -I include, in each way, a standard and a flag, such as 17:-O2; runs what
# it compiles. thread_pool.hpp, which nibble.hpp leaves out, has to compile as well.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
include=$here/../../include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

compiler=$1
shift
if ! command -v "$compiler" >/dev/null; then
  echo "skipped: $compiler is not here"
  exit 77
fi
for way in "$@"; do
  flags=("-std=c++${way%:*}" "${way#*:}" -fno-exceptions -fno-rtti -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wold-style-cast -Wshadow -Werror
    -DNIBBLE_ALLOW_SLOW)
  case $compiler in g++*) flags+=(-Wuseless-cast) ;; esac
  echo "$compiler ${flags[*]:0:2}"
  rm -f "$work/readme"
  if ! "$compiler" "${flags[@]}" -I "$include" "$here/readme.cpp" -o "$work/readme" || { [ -e "$work/readme" ] && ! "$work/readme"; }; then
    echo "FAILED: $compiler ${flags[*]}"
    failures=$((failures + 1))
  fi
  if ! "$compiler" "${flags[@]}" -fsyntax-only -I "$include" -x c++ - <<<'#include <nibble/thread_pool.hpp>'; then
    echo "FAILED: $compiler ${flags[*]} of the thread pool"
    failures=$((failures + 1))
  fi
  echo "$compiler ${flags[0]}, all kernels"
  if ! "$compiler" "${flags[@]}" -fsyntax-only -I "$include" "$here/budget/all_kernels.cpp"; then
    echo "FAILED: $compiler ${flags[*]} of all kernels"
    failures=$((failures + 1))
  fi
done
[ $failures = 0 ]
